#!/usr/bin/env bash
# Runs the fault harness with one fresh seed after another until the time is over, or with one seed alone. Stops at the
# first seed that fails, prints it, and keeps its log. Fills disks and freezes processes of its own making only.
#
#   deploy/soak.sh [--hours N] [--seed S] [--seconds N] [--rate N]
#
#   --hours     for how long; 1 unless given, and may be a fraction
#   --seed      this seed alone, once: replays a failure
#   --seconds   how long each seed publishes, 20 unless given; a failure replays with the same number only
#   --rate      reports a second, 100 unless given; likewise
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
# shellcheck source=deploy/install.sh
source deploy/install.sh

usage() { echo "usage: deploy/soak.sh [--hours N] [--seed S] [--seconds N] [--rate N]" >&2; exit 64; }

hours=1
seed=
seconds=20
rate=100
while [ $# -gt 0 ]; do
    [ $# -ge 2 ] || usage
    case $1 in
        --hours) hours=$2 ;;
        --seed) seed=$2 ;;
        --seconds) seconds=$2 ;;
        --rate) rate=$2 ;;
        *) usage ;;
    esac
    shift 2
done
[[ $hours =~ ^[0-9]+(\.[0-9]+)?$ && $seed =~ ^[0-9]*$ && $seconds =~ ^[0-9]+$ && $rate =~ ^[0-9]+$ ]] || usage

# The log of the last seed; it is overwritten by the next.
log=.build/soak.log

run() {
    HOMEWARD_FAULT_SEED=$1 HOMEWARD_FAULT_SECONDS=$seconds HOMEWARD_FAULT_RATE=$rate \
        swift test --skip-build --filter FaultTests >"$log" 2>&1
}

fail() {
    cat "$log"
    echo "soak: seed $1 FAILED after $passed seeds; again: deploy/soak.sh --seed $1 --seconds $seconds --rate $rate"
    exit 1
}

install_build_packages
install_server_packages
install_missing faketime
say "building"
swift build --build-tests
passed=0
if [ -n "$seed" ]; then
    run "$seed" || fail "$seed"
    echo "soak: seed $seed passed"
    exit
fi
end=$(awk -v now="$SECONDS" -v hours="$hours" 'BEGIN { printf "%d", now + hours * 3600 }')
say "seeds until $hours h are over"
while [ "$SECONDS" -lt "$end" ]; do
    fresh=$((RANDOM << 30 | RANDOM << 15 | RANDOM))
    run "$fresh" || fail "$fresh"
    grep "^seed $fresh:" "$log"
    passed=$((passed + 1))
done
echo "soak: passed, $passed seeds in $hours h, nothing lost and nothing doubled"
