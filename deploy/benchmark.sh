#!/usr/bin/env bash
# End to end, on private servers: N reports queued at the broker until the last row is committed and acknowledged.
# Homeward against `mosquitto_sub | psql COPY` and against a Python consumer (paho-mqtt, psycopg COPY), in one run.
#
#   deploy/benchmark.sh [--reports N] [--rounds N]
#
# Machines are shared and noisy: read the ratios, not the seconds.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
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
