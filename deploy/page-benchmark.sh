#!/usr/bin/env bash
# How long the care managers' page takes to its first byte with many patients and viewers, on private servers, while
# reports come in and alerts change the worklist.
#
#   deploy/page-benchmark.sh [--patients N] [--viewers N] [--seconds N] [--rate R]
#
# Machines are shared and noisy: read the ratio to /healthz, which the same daemon answers in the same run.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
# shellcheck source=deploy/install.sh
source deploy/install.sh
# shellcheck source=deploy/servers.sh
source deploy/servers.sh

usage() { echo "usage: deploy/page-benchmark.sh [--patients N] [--viewers N] [--seconds N] [--rate R]" >&2; exit 64; }

patients=10000 viewers=50 seconds=30 rate=200
while [ $# -gt 0 ]; do
    case $1 in
        --patients | --viewers | --seconds | --rate)
            [[ ${2:-} =~ ^[1-9][0-9]{0,6}$ ]] || usage
            printf -v "${1#--}" '%s' "$2"
            shift 2
            ;;
        *) usage ;;
    esac
done

install_build_packages
install_server_packages
install_missing curl python3
if [ -z "${HOMEWARD_BINARY:-}" ]; then
    say "building (release; minutes the first time)"
    swift build -c release --static-swift-stdlib --product homeward
    HOMEWARD_BINARY=$(swift build -c release --static-swift-stdlib --show-bin-path)/homeward
fi
homeward=$HOMEWARD_BINARY
make_work_directory
trap end_servers EXIT
start_postgres
start_broker
webhook_port=$(free_port)
perl deploy/demo/webhook.pl "$webhook_port" >"$work/webhook.log" 2>&1 &
started+=($!)
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

simulate() { "$homeward" simulate --config "$work/homeward.yaml" --patients "$patients" --scenario mixed --site ward "$@"; }

say "enrolling $patients patients"
"$homeward" migrate --config "$work/homeward.yaml" >/dev/null
simulate --webhook "http://127.0.0.1:$webhook_port/hook" --write-registry "$work/ward.yaml"
"$homeward" enrol --config "$work/homeward.yaml" "$work/ward.yaml" >"$work/enrol.log" 2>&1 || { head "$work/enrol.log" >&2; exit 1; }
"$homeward" serve --config "$work/homeward.yaml" 2>"$work/homeward.log" &
started+=($!)
await curl -fs "http://127.0.0.1:$http_port/readyz"

say "a week's reports for the worklist"
simulate --count "$((patients * 4))" --rate 2000 --connections 4 >"$work/fill.log" 2>&1 || { cat "$work/fill.log" >&2; exit 1; }
"$homeward" alerts --config "$work/homeward.yaml" list | wc -l | sed 's/^/open alerts: /'

say "$viewers viewers for $seconds s, $rate reports a second"
users=(sim-lead-ward)
for ((n = 1; n <= viewers / 8; n++)); do users+=("sim-cm-ward-$(printf %03d "$n")"); done
for user in "${users[@]}"; do
    address=$("$homeward" user --config "$work/homeward.yaml" add "$user" <<<"benchmark-password" 2>"$work/user.log") ||
        { cat "$work/user.log" >&2; exit 1; }
    echo "$user benchmark-password $(perl deploy/demo/code.pl "$address")"
done >"$work/accounts"
simulate --seed 2 --rate "$rate" --duration "$((seconds + 10))" --connections 4 >"$work/simulate.log" 2>&1 &
started+=($!)
VIEWERS=$viewers python3 deploy/benchmark/viewers.py "$http_port" "$work/accounts" "$seconds"
