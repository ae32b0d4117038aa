# Sourced by the demo and the benchmark: a private broker and a private PostgreSQL cluster on free loopback ports, in a
# temporary directory, ended by their process ids. Sets $work, $broker_port, $database_port and $database_url.
# shellcheck shell=bash

postgres_bin=$(find /usr/lib/postgresql -maxdepth 2 -name bin 2>/dev/null | sort -V | tail -n 1)
started=()

# PostgreSQL refuses root: its processes run as the postgres user then.
as_postgres() {
    if [ "$(id -u)" -eq 0 ]; then setpriv --reuid=postgres --regid=postgres --clear-groups "$@"; else "$@"; fi
}

as_postgres_server() {
    if [ "$(id -u)" -eq 0 ]; then
        exec setpriv --reuid=postgres --regid=postgres --clear-groups "$@"
    else
        exec "$@"
    fi
}

# A port that nothing listens on now.
free_port() {
    local port
    while :; do
        port=$((20000 + RANDOM % 20000))
        (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null || { echo "$port"; return; }
    done
}

# Waits up to 20 s for a command to succeed.
await() {
    local deadline=$((SECONDS + 20))
    until "$@" >/dev/null 2>&1; do
        [ "$SECONDS" -lt "$deadline" ] || { echo "gave up waiting for: $*" >&2; return 1; }
        sleep 0.1
    done
}

make_work_directory() {
    work=$(mktemp -d "${TMPDIR:-/tmp}/homeward.XXXXXX")
    chmod 755 "$work"
}

start_postgres() {
    database_port=$(free_port)
    mkdir "$work/postgres"
    [ "$(id -u)" -ne 0 ] || chown postgres: "$work/postgres"
    as_postgres "$postgres_bin/initdb" -D "$work/postgres/data" -U homeward --auth=trust --no-instructions -E UTF8 \
        --locale=C.UTF-8 >/dev/null
    # exec, so that $! is the server itself: a shell in front of it would be ended alone.
    as_postgres_server "$postgres_bin/postgres" -D "$work/postgres/data" -p "$database_port" -h 127.0.0.1 \
        -k "$work/postgres" >"$work/postgres.log" 2>&1 &
    started+=($!)
    # shellcheck disable=SC2034  # read by whoever sources this
    database_url="postgresql://homeward@127.0.0.1:$database_port/homeward"
    await "$postgres_bin/pg_isready" -q -h 127.0.0.1 -p "$database_port"
    "$postgres_bin/createdb" -h 127.0.0.1 -p "$database_port" -U homeward homeward
}

# Queue and window as deploy/broker/mosquitto.conf has them; no TLS and no accounts, since it listens on loopback alone.
start_broker() {
    broker_port=$(free_port)
    mkdir -p "$work/broker"
    cat >"$work/broker/mosquitto.conf" <<CONF
listener $broker_port 127.0.0.1
allow_anonymous true
persistence true
persistence_location $work/broker/
max_queued_messages 0
max_inflight_messages 2000
max_packet_size 131072
set_tcp_nodelay true
log_dest file $work/broker/log
$([ "$(id -u)" -eq 0 ] && echo "user root")
CONF
    mosquitto -c "$work/broker/mosquitto.conf" >/dev/null 2>&1 &
    broker_process=$!
    started+=("$broker_process")
    await bash -c "exec 3<>/dev/tcp/127.0.0.1/$broker_port"
}

# Ends what was started, last first, and removes the directory.
end_servers() {
    local index process
    for ((index = ${#started[@]} - 1; index >= 0; index--)); do
        process=${started[index]}
        kill -TERM "$process" 2>/dev/null || continue
        for _ in $(seq 100); do kill -0 "$process" 2>/dev/null || break; sleep 0.1; done
        kill -KILL "$process" 2>/dev/null || true
    done
    started=()
    [ -z "${work:-}" ] || rm -rf "$work"
}
