#!/usr/bin/env bash
# Runs every command of the operators' pages of the guide (the blocks marked sh), against private servers: PostgreSQL, and
# the shipped mosquitto.conf with certificates of pki.sh. Nothing outside of a temporary directory is touched: the guide's
# paths are moved there, and each of the guide's two machines is a directory of its own.
#
#   deploy/guide-test.sh [--binary FILE]
#
# What can't be run here is looked at instead: for systemctl the units (the daemon is started without one), for apt the package (which
# package-test.sh installs), for what takes hours the script and its options. A block that is neither is a failure.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
# shellcheck source=deploy/install.sh
source deploy/install.sh
# shellcheck source=deploy/servers.sh
source deploy/servers.sh

binary=''
case ${1:-} in
    --binary) binary=$(realpath "${2:?}") ;;
    '') ;;
    *) echo "usage: deploy/guide-test.sh [--binary FILE]" >&2; exit 64 ;;
esac
install_server_packages
install_missing systemd python3
if [ -z "$binary" ]; then
    binary=$(swift build --show-bin-path)/homeward
    [ -x "$binary" ] || { echo "build first, or give --binary" >&2; exit 64; }
fi
root=$PWD
catalog=$root/Sources/HomewardDaemon/HomewardDaemon.docc
pages='OperatorsGuide GrowthPath KeepingHistory CapacityPlanning SecurityModel WhatHappensWhen'

make_work_directory
trap finish EXIT
ran=0 looked_at=0

fail() { echo "guide-test: $*" >&2; tail -n 20 "$work"/*.log >&2 || true; exit 1; }

# Daemons first: they are not this shell's children.
finish() {
    stop_daemon first
    stop_daemon second
    end_servers
}

stop_daemon() { # stop_daemon MACHINE
    local process
    process=$(cat "$work/$1.pid" 2>/dev/null) || return 0
    rm "$work/$1.pid"
    kill -TERM "$process" 2>/dev/null || return 0
    for _ in $(seq 300); do kill -0 "$process" 2>/dev/null || return 0; sleep 0.1; done
    kill -KILL "$process"
}

# Programs under the names that the guide has for them.
programs() {
    mkdir -p "$work/bin"
    ln -s "$binary" "$work/bin/homeward"
    ln -s "$root/deploy/broker/pki.sh" "$work/bin/pki.sh"
    local tool
    for tool in pg_dump pg_restore createdb psql; do ln -s "$postgres_bin/$tool" "$work/bin/$tool"; done
    cat >"$work/bin/systemctl" <<'SHIM'
#!/usr/bin/env bash
# Looks at what systemd would be asked: the units are there, can be enabled, and systemd has nothing to say of them. Starts
# the daemon of $MACHINE itself.
set -euo pipefail
verb=$1 now=''
shift
case $verb in enable | disable | start | stop | restart | reload | status) ;; *) echo "systemctl: $verb?" >&2; exit 1 ;; esac
for unit in "$@"; do
    case $unit in --now) now=yes; continue ;; *.service | *.timer) ;; *) unit+=.service ;; esac
    file=$GUIDE_ROOT/deploy/systemd/$(sed 's/@[^.]*\./@./' <<<"$unit")
    [ -e "$file" ] || { echo "systemctl: no unit $unit" >&2; exit 1; }
    [ "$verb" != enable ] || grep -q '^WantedBy=' "$file" || { echo "systemctl: $unit can't be enabled" >&2; exit 1; }
    program=$(sed -n 's|^ExecStart=/usr/bin/homeward \([a-z ]*\) --.*|\1|p' "$file")
    # shellcheck disable=SC2086 # a subcommand of two words
    [ -z "$program" ] || homeward $program --help >/dev/null
    mkdir -p "$GUIDE_WORK/units"
    sed 's|/usr/bin/homeward |/bin/true |' "$file" >"$GUIDE_WORK/units/$(basename "$file")"
    said=$(systemd-analyze verify --man=no "$GUIDE_WORK/units/$(basename "$file")" 2>&1)
    [ -z "$said" ] || { echo "$said" >&2; exit 1; }
    case $verb$now:$unit in enableyes:homeward.service | start:homeward.service) ;; *) continue ;; esac
    configuration=$GUIDE_WORK/$MACHINE/etc/homeward/homeward.yaml
    homeward serve --config "$configuration" >>"$GUIDE_WORK/$MACHINE.log" 2>&1 </dev/null &
    echo $! >"$GUIDE_WORK/$MACHINE.pid"
    deadline=$((SECONDS + 120))
    until homeward status --config "$configuration" >/dev/null 2>&1; do
        [ "$SECONDS" -lt "$deadline" ] || { echo "$MACHINE is not ready" >&2; exit 1; }
        sleep 0.2
    done
done
SHIM
    cat >"$work/bin/scp" <<'SHIM'
#!/usr/bin/env bash
# From the first machine to the second, which has a port and a state of its own here.
set -euo pipefail
sed "s|port: $GUIDE_PORT,|port: $((GUIDE_PORT + 1)),|; s|/first/state|/second/state|" "${1#first:}" >"$2"
SHIM
    # shellcheck disable=SC2016 # its own arguments
    printf '#!/bin/sh\n%s\n' 'case "$1 $2" in "install ./homeward_"*_*.deb) ;; *) echo "apt: $*?" >&2; exit 1 ;; esac' >"$work/bin/apt"
    chmod +x "$work"/bin/{systemctl,scp,apt}
    export PATH="$work/bin:$PATH" GUIDE_ROOT=$root GUIDE_WORK=$work
}

# As the package lays them out, but for the settings that the guide leaves to its reader.
configuration() {
    devices_port=$(free_port) ours_port=$(free_port) http_port=$(free_port)
    local machine
    for machine in first second; do
        mkdir -p "$work/$machine/etc/homeward/tls" "$work/$machine/state"
        chmod 700 "$work/$machine/state"
        cp "$work/pki/ca.pem" "$work/pki/homeward.pem" "$work/pki/private/homeward.key" "$work/$machine/etc/homeward/tls"
    done
    mkdir -p "$work/archive" "$work/backups"
    cat >"$work/first/etc/homeward/homeward.yaml" <<YAML
broker:
  host: localhost
  port: $ours_port
  tls: { ca_file: tls/ca.pem, certificate_file: tls/homeward.pem, key_file: tls/homeward.key, watched_directory: $work/pki }
database: { url: "$database_url" }
sites: ["*"]
spool: { directory: $work/first/state }
http: { host: 127.0.0.1, port: $http_port, public_url: "http://127.0.0.1:$http_port" }
retention: { months: 96, archive: $work/archive }
YAML
    export DATABASE=$database_url MAINTENANCE=${database_url%/*}/postgres RESTORED=${database_url%/*}/homeward_restored
    export ARCHIVE=$work/archive GUIDE_PORT=$http_port PGHOST=127.0.0.1 PGPORT=$database_port PGUSER=homeward
    export PGDATABASE=postgres
}

start_tls_broker() {
    sed -e "s|/etc/mosquitto/certs/broker.key|$work/pki/private/broker.key|; s|/etc/mosquitto/certs|$work/pki|" \
        -e "s|/etc/mosquitto/mosquitto.acl|deploy/broker/mosquitto.acl|; s|/var/lib/mosquitto/|$work/|" \
        -e "s|^listener 8883|listener $devices_port 127.0.0.1|; s|^listener 8884|listener $ours_port|" \
        -e "s|^log_dest .*|log_dest file $work/mosquitto.log|" deploy/broker/mosquitto.conf >"$work/mosquitto.conf"
    echo "user $(id -un)" >>"$work/mosquitto.conf"
    mosquitto -c "$work/mosquitto.conf" &
    started+=($!)
    await bash -c "exec 3<>/dev/tcp/127.0.0.1/$ours_port"
}

# The blocks of all pages, one file each, with the guide's paths moved. Their names sort by page and place.
blocks() {
    mkdir -p "$work/blocks"
    local page
    for page in $pages; do
        awk -v prefix="$work/blocks/$page." '
            /^```sh$/ { on = 1; count += 1; file = sprintf("%s%02d", prefix, count); printf "" >file; next }
            /^```/ { on = 0 }
            on { print >file }' "$catalog/$page.md"
    done
    sed -i -e "s|first:/etc/homeward|first:$work/first/etc/homeward|g" -e 's|\([^t]\)/etc/homeward|\1MACHINE/etc/homeward|g' \
        -e "s|/root/pki|$work/pki|g; s|/var/backups|$work/backups|g" \
        -e 's|--config homeward.yaml|--config MACHINE/etc/homeward/homeward.yaml|g' \
        -e "s|broker.example.org|localhost 127.0.0.1|" "$work"/blocks/*
}

run() { # run BLOCK [MACHINE]: with a password for whatever asks for one
    export MACHINE=${2:-first}
    echo "-- $(basename "$1")"
    sed -i "s|MACHINE/etc|$work/$MACHINE/etc|g" "$1"
    (cd "$work" && bash -euo pipefail "$1" >"$work/said" 2>&1 < <(yes 'correct horse battery staple' 2>/dev/null)) ||
        { cat "$1" "$work/said" >&2; fail "$(basename "$1")"; }
    ran=$((ran + 1))
    mv "$1" "$1.ran"
}

# look BLOCK: the scripts of this repository that it calls are there, can be read, and know the options.
look() {
    local script options option
    while read -r script options; do
        bash -n "$script" || fail "$script"
        for option in ${options%%#*}; do
            case $option in --*) ;; *) continue ;; esac
            grep -q -- "$option" "$script" || fail "$script knows no $option"
        done
    done <"$1"
    looked_at=$((looked_at + 1))
    mv "$1" "$1.ran"
}

# block WORDS...: the block whose first line begins so.
block() {
    local file
    for file in "$work"/blocks/*; do
        case $file in *.ran) continue ;; esac
        case $(head -1 "$file") in "$*"*) echo "$file"; return ;; esac
    done
    fail "no block begins with: $*"
}

programs
start_postgres
blocks
openssl req -new -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN=dev-0002 -keyout "$work/dev-0002.key" \
    -out "$work/request.pem" 2>/dev/null
run "$(block pki.sh)"
configuration
start_tls_broker
cp config/registry.yaml "$work/ward.yaml"
run "$(block apt install)"
run "$(block homeward check)"
run "$(block homeward enrol)"
second=$(block apt install)
run "$second" second
grep -q standby "$work/said" || fail "the second instance does not stand by: $(cat "$work/said")"
run "$(block homeward user)"
psql -qX "$database_url" -c "\copy (SELECT * FROM homeward.reading) TO '$ARCHIVE/reading_2025_03.csv' (FORMAT csv, HEADER)"
after=()
for file in "$work"/blocks/*; do
    case $file in *.ran) continue ;; esac
    case $(head -1 "$file") in
        deploy/*) look "$file" ;;
        createdb*) after+=("$file") ;;
        'homeward timers'*) ;;
        *) run "$file" ;;
    esac
done
# The database is lost, and comes back from the dump.
stop_daemon second
stop_daemon first
# As one of half an hour ago would: the lease has been renewed a thousand times since.
psql -qX "$database_url" -c 'UPDATE homeward.lease SET renewals = renewals - 1000'
pg_dump --format=custom --file "$work/homeward.dump" "$database_url"
psql -qX "$MAINTENANCE" -c 'DROP DATABASE homeward'
for file in "${after[@]}"; do run "$file"; done
# One or the other: each on a hold of its own.
timers=$(block homeward timers)
grep -v ' expire ' "$timers" >"$work/blocks/release"
grep -v ' release ' "$timers" >"$work/blocks/expire"
mv "$timers" "$timers.ran"
run "$work/blocks/release"
stop_daemon first
psql -qX "$database_url" -c 'UPDATE homeward.lease SET renewals = renewals - 1000'
MACHINE=first systemctl start homeward
run "$work/blocks/expire"
for file in "$work"/blocks/*; do case $file in *.ran) ;; *) fail "not run: $(cat "$file")" ;; esac; done
say "$ran blocks of the guide were run, $looked_at looked at, in $SECONDS s"
