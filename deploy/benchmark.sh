#!/usr/bin/env bash
# End to end, on private servers: N reports queued at the broker until the last one is stored and acknowledged.
# Homeward against `mosquitto_sub | psql COPY` and against a Python consumer (paho-mqtt, psycopg COPY), in one run.
#
#   deploy/benchmark.sh [--reports N] [--rounds N]
#
# Machines are shared and noisy: read the ratios, not the seconds. Each round gives every consumer the same reports, on
# the same servers; the middle of the rounds counts. Startup is part of every consumer's time.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
# shellcheck source=deploy/install.sh
source deploy/install.sh
# shellcheck source=deploy/servers.sh
source deploy/servers.sh

reports=100000
rounds=3
while [ $# -gt 0 ]; do
    case $1 in
        --reports) reports=$2; shift 2 ;;
        --rounds) rounds=$2; shift 2 ;;
        *) echo "usage: deploy/benchmark.sh [--reports N] [--rounds N]" >&2; exit 64 ;;
    esac
done
devices=8
each=$((reports / devices))
reports=$((each * devices))

prepare() {
    install_build_packages
    install_server_packages
    install_missing python3-venv
    say "building"
    swift build -c release --static-swift-stdlib
    homeward=$(swift build -c release --static-swift-stdlib --show-bin-path)/homeward
    benchmarks=$(dirname "$homeward")/homeward-benchmarks
    make_work_directory
    trap end_servers EXIT
    python3 -m venv "$work/python"
    "$work/python/bin/pip" install --quiet 'paho-mqtt>=2' 'psycopg[binary]>=3'
    start_postgres
    start_broker
    configure
}

configure() {
    http_port=$(free_port)
    cat >"$work/homeward.yaml" <<YAML
broker: { host: 127.0.0.1, port: $broker_port, client_id: homeward }
database: { url: "$database_url" }
sites: ["*"]
spool: { directory: $work/spool }
http: { host: 127.0.0.1, port: $http_port, public_url: "http://127.0.0.1:$http_port" }
metrics: { host: 127.0.0.1, port: $http_port }
log: { level: warning }
YAML
    # The same without a spool: what it costs while PostgreSQL is there.
    sed "s|directory: $work/spool|quota: 0, directory: $work/no-spool|" "$work/homeward.yaml" >"$work/no-spool.yaml"
    {
        echo 'sites: [ { code: bench, name: Benchmark } ]'
        echo 'patients:'
        for ((d = 1; d <= devices; d++)); do echo "  - { code: B$d, site: bench }"; done
        echo 'devices:'
        for ((d = 1; d <= devices; d++)); do
            echo "  - { code: bench-$d, site: bench, pairings: [ { patient: B$d, from: 2020-01-01T00:00:00Z } ] }"
        done
    } >"$work/registry.yaml"
    "$homeward" migrate --config "$work/homeward.yaml" >/dev/null
    "$homeward" enrol --config "$work/homeward.yaml" --uncovered "$work/registry.yaml" >/dev/null 2>&1
    psql -q "$database_url" -c 'CREATE TABLE reference_reading
        (device text, report_id text, taken_at timestamptz, kind text, value double precision, unit text)' \
        -c 'CREATE TABLE reference_line (line text)'
}

# Publishes the round's reports, which every consumer's session queues. Ordinary ones: three readings, in range.
publish() {
    local round=$1 now d
    now=$(date -u +%Y-%m-%dT%H:%M:%SZ)
    local publishers=()
    for ((d = 1; d <= devices; d++)); do
        seq "$each" | awk -v round="$round" -v now="$now" '{
            printf "{\"id\":\"r%s-%d\",\"taken_at\":\"%s\",\"readings\":[{\"kind\":\"systolic\",\"value\":%d,\"unit\":\"mm[Hg]\"},{\"kind\":\"diastolic\",\"value\":%d,\"unit\":\"mm[Hg]\"},{\"kind\":\"pulse\",\"value\":%d,\"unit\":\"/min\"}]}\n", round, $1, now, 115 + $1 % 20, 70 + $1 % 10, 60 + $1 % 20 }' |
            mosquitto_pub -h 127.0.0.1 -p "$broker_port" -q 1 -l -t "homeward/v1/bench/bench-$d/report" &
        publishers+=($!)
    done
    wait "${publishers[@]}"
}

# seconds.fraction now
now() { date +%s.%N; }
since() { awk -v a="$1" -v b="$(now)" 'BEGIN { printf "%.2f", b - a }'; }

# CPU seconds of a living process.
cpu_of() { awk -v ticks="$(getconf CLK_TCK)" '{ printf "%.2f", ($14 + $15) / ticks }' "/proc/$1/stat"; }
peak_of() { awk '/VmHWM/ { printf "%d", $2 / 1024 }' "/proc/$1/status"; }
stored() { curl -s "http://127.0.0.1:$http_port/metrics" | awk '/^homeward_reports_stored_total / { print $2 }'; }

serve() {
    "$homeward" serve --config "$work/${1:-homeward}.yaml" 2>>"$work/homeward.log" &
    daemon=$!
    started+=("$daemon")
}

# Leaves behind the sessions under which the broker queues.
open_sessions() {
    serve
    await curl -fs "http://127.0.0.1:$http_port/readyz"
    kill -TERM "$daemon"
    wait "$daemon"
    mosquitto_sub -h 127.0.0.1 -p "$broker_port" -V 5 -c -i pipe -x 3600 -q 1 -t 'homeward/v1/+/+/report' -E
    "$work/python/bin/python" deploy/benchmark/consumer.py "$broker_port" "$database_url" 0
}

# Drains the queue with that configuration; $seconds and $cpu are what it took.
drain() {
    local began
    began=$(now)
    serve "$1"
    until [ "$(stored)" = "$reports" ]; do sleep 0.05; done
    seconds=$(since "$began")
    cpu=$(cpu_of "$daemon")
    peak=$(peak_of "$daemon")
    kill -TERM "$daemon"
    wait "$daemon"
}

run_homeward() {
    drain homeward
    homeward_seconds+=("$seconds")
    homeward_cpu+=("$cpu")
    homeward_peak+=("$peak")
}

run_without_spool() {
    drain no-spool
    without_seconds+=("$seconds")
    without_cpu+=("$cpu")
}

run_pipe() {
    local began
    began=$(now)
    mosquitto_sub -h 127.0.0.1 -p "$broker_port" -V 5 -c -i pipe -x 3600 -q 1 -D connect receive-maximum 2000 \
        -t 'homeward/v1/+/+/report' -C "$reports" -F '%t %p' |
        psql -q "$database_url" -c "COPY reference_line FROM STDIN (FORMAT csv, DELIMITER E'\\x01', QUOTE E'\\x02')"
    pipe_seconds+=("$(since "$began")")
}

run_python() {
    local began usage
    began=$(now)
    usage=$("$work/python/bin/python" deploy/benchmark/consumer.py "$broker_port" "$database_url" "$reports")
    python_seconds+=("$(since "$began")")
    [[ $usage =~ \"cpu\":\ ([0-9.]+) ]] && python_cpu+=("${BASH_REMATCH[1]}")
    [[ $usage =~ \"peak_kib\":\ ([0-9]+) ]] && python_peak+=("$((BASH_REMATCH[1] / 1024))")
}

# What the last publication queued for those who are not measured by it.
drop_queued() {
    local session
    for session in pipe reference; do
        mosquitto_sub -h 127.0.0.1 -p "$broker_port" -V 5 -c -i "$session" -x 3600 -q 1 -D connect receive-maximum 2000 \
            -t 'homeward/v1/+/+/report' -C "$reports" >/dev/null
    done
}

median() { printf '%s\n' "$@" | sort -n | awk '{ v[NR] = $1 } END { print v[int((NR + 1) / 2)] }'; }
ratio() { awk -v a="$1" -v b="$2" 'BEGIN { printf "%.2f", a / b }'; }
per_million() { awk -v cpu="$1" -v n="$reports" 'BEGIN { printf "%.1f", cpu * 1000000 / n }'; }

# Publish to receipt at a steady 2,000 a second: an upper bound of publish to commit.
latency() {
    serve
    await curl -fs "http://127.0.0.1:$http_port/readyz"
    "$homeward" simulate --config "$work/homeward.yaml" --patients 200 --scenario stable --site bench2 \
        --write-registry "$work/bench2.yaml"
    "$homeward" enrol --config "$work/homeward.yaml" --uncovered "$work/bench2.yaml" >/dev/null 2>&1
    "$homeward" simulate --config "$work/homeward.yaml" --patients 200 --scenario stable --site bench2 --rate 2000 \
        --duration 10 --connections 4
    kill -TERM "$daemon"
    wait "$daemon"
}

report() {
    local h p y
    h=$(median "${homeward_seconds[@]}") p=$(median "${pipe_seconds[@]}") y=$(median "${python_seconds[@]}")
    say "end to end, $reports reports of three readings, median of $rounds rounds"
    printf '%-34s %10s %16s %10s\n' consumer seconds 'CPU s/million' 'peak MiB'
    printf '%-34s %10s %16s %10s\n' 'homeward (validates, judges, raw)' "$h" \
        "$(per_million "$(median "${homeward_cpu[@]}")")" "$(median "${homeward_peak[@]}")"
    printf '%-34s %10s %16s %10s\n' 'mosquitto_sub | psql COPY (lines)' "$p" - -
    printf '%-34s %10s %16s %10s\n' 'Python, paho and psycopg COPY' "$y" \
        "$(per_million "$(median "${python_cpu[@]}")")" "$(median "${python_peak[@]}")"
    echo "with the spool it takes $(ratio "$h" "$(median "${without_seconds[@]}")") of the time and" \
        "$(ratio "$(median "${homeward_cpu[@]}")" "$(median "${without_cpu[@]}")") of the CPU that it takes without"
    echo "homeward is $(ratio "$p" "$h") times as fast as the pipe, $(ratio "$y" "$h") times as fast as Python," \
        "at $(ratio "$(median "${homeward_cpu[@]}")" "$(median "${python_cpu[@]}")") of Python's CPU"
}

homeward_seconds=() homeward_cpu=() homeward_peak=() without_seconds=() without_cpu=() pipe_seconds=() python_seconds=() python_cpu=() python_peak=()
prepare
say "ring and decoder"
"$benchmarks" ring
"$benchmarks" decode
open_sessions
for ((round = 1; round <= rounds; round++)); do
    say "round $round of $rounds"
    publish "$round"
    run_homeward
    run_pipe
    run_python
    publish "$round-again"
    run_without_spool
    drop_queued
    echo "homeward ${homeward_seconds[-1]} s, without its spool ${without_seconds[-1]} s, pipe ${pipe_seconds[-1]} s, Python ${python_seconds[-1]} s"
done
report
say "publish to receipt at 2,000 a second"
latency
