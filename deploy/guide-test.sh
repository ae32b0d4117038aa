#!/usr/bin/env bash
# Runs every command of the operators' pages of the guide (the blocks marked sh), against private servers: PostgreSQL, and
# the shipped mosquitto.conf with certificates of pki.sh. Nothing outside of a temporary directory is touched: the guide's
# paths are moved there.
#
#   deploy/guide-test.sh [--binary FILE]
#
# What can't be run here is looked at instead: for systemctl the units and their settings, for apt the package (which
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
pages='OperatorsGuide KeepingHistory CapacityPlanning SecurityModel WhatHappensWhen'

make_work_directory
trap end_servers EXIT
ran=0 looked_at=0

fail() { echo "guide-test: $*" >&2; tail -20 "$work/daemon.log" 2>/dev/null >&2 || true; exit 1; }

# Programs under the names that the guide has for them.
programs() {
    mkdir -p "$work/bin"
    ln -s "$binary" "$work/bin/homeward"
    ln -s "$root/deploy/broker/pki.sh" "$work/bin/pki.sh"
    local tool
    for tool in pg_dump pg_restore createdb psql; do ln -s "$postgres_bin/$tool" "$work/bin/$tool"; done
    cat >"$work/bin/systemctl" <<'SHIM'
#!/usr/bin/env bash
# Looks at what systemd would be asked: the units are there, can be enabled, and systemd has nothing to say of them.
set -euo pipefail
verb=$1
shift
case $verb in enable | disable | start | stop | restart | reload | status) ;; *) echo "systemctl: $verb?" >&2; exit 1 ;; esac
for unit in "$@"; do
    case $unit in --now) continue ;; *.service | *.timer) ;; *) unit+=.service ;; esac
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
    [ "$verb $unit" != 'enable homeward.service' ] || touch "$GUIDE_WORK/start"
done
SHIM
    # shellcheck disable=SC2016 # its own arguments
    printf '#!/bin/sh\n%s\n' 'case "$1 $2" in "install ./homeward_"*_*.deb) ;; *) echo "apt: $*?" >&2; exit 1 ;; esac' >"$work/bin/apt"
    chmod +x "$work/bin/systemctl" "$work/bin/apt"
    export PATH="$work/bin:$PATH" GUIDE_ROOT=$root GUIDE_WORK=$work
}

# As the package lays them out, but for the settings that the guide leaves to its reader.
configuration() {
    devices_port=$(free_port) ours_port=$(free_port) http_port=$(free_port)
    mkdir -p "$work/etc/homeward/tls" "$work/archive" "$work/backups" "$work/state"
    chmod 700 "$work/state" "$work/archive"
    cp "$work/pki/ca.pem" "$work/pki/homeward.pem" "$work/pki/private/homeward.key" "$work/etc/homeward/tls"
    cat >"$work/etc/homeward/homeward.yaml" <<YAML
broker:
  host: localhost
  port: $ours_port
  tls: { ca_file: tls/ca.pem, certificate_file: tls/homeward.pem, key_file: tls/homeward.key, watched_directory: $work/pki }
database: { url: "$database_url" }
sites: ["*"]
spool: { directory: $work/state }
http: { host: 127.0.0.1, port: $http_port }
retention: { months: 96, archive: $work/archive }
YAML
    export DATABASE=$database_url MAINTENANCE=${database_url%/*}/postgres RESTORED=${database_url%/*}/homeward_restored
    export ARCHIVE=$work/archive
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

start_daemon() {
    homeward serve --config "$work/etc/homeward/homeward.yaml" >"$work/daemon.log" 2>&1 &
    started+=($!)
    local deadline=$((SECONDS + 120))
    until homeward status --config "$work/etc/homeward/homeward.yaml" >/dev/null 2>&1; do
        [ "$SECONDS" -lt "$deadline" ] || fail "the daemon is not ready"
        sleep 0.2
    done
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
    sed -i -e "s|/etc/homeward|$work/etc/homeward|g; s|/root/pki|$work/pki|g; s|/var/backups|$work/backups|g" \
        -e "s|--config homeward.yaml|--config $work/etc/homeward/homeward.yaml|g" \
        -e "s|broker.example.org|localhost 127.0.0.1|" "$work"/blocks/*
}

run() { # run BLOCK: with a password for whatever asks for one
    echo "-- $(basename "$1")"
    (cd "$work" && bash -euo pipefail "$1" >"$work/said" 2>&1 < <(yes 'correct horse battery staple' 2>/dev/null)) ||
        { cat "$1" "$work/said" >&2; fail "$(basename "$1")"; }
    ran=$((ran + 1))
    mv "$1" "$1.ran"
    if [ -e "$work/start" ]; then
        rm "$work/start"
        start_daemon
    fi
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
run "$(block homeward user)"
psql -qX "$database_url" -c "\copy (SELECT * FROM homeward.reading) TO '$ARCHIVE/reading_2025_03.csv' (FORMAT csv, HEADER)"
for file in "$work"/blocks/*; do
    case $file in *.ran) continue ;; esac
    case $(head -1 "$file") in
        deploy/*) look "$file" ;;
        pg_restore* | createdb*) ;;
        *) run "$file" ;;
    esac
done
run "$(block createdb)"
for file in "$work"/blocks/*; do case $file in *.ran) ;; *) fail "not run: $(cat "$file")" ;; esac; done
say "$ran blocks of the guide were run, $looked_at looked at, in $SECONDS s"
