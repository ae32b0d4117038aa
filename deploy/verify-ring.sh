#!/usr/bin/env bash
# Checks the model of the ring's protocol, Tests/RingModel/ring.pml, with spin: that nothing is wrong with it, and that
# each protection of the protocol is needed, by taking one away at a time and requiring an error. As root or with sudo,
# on Debian. Needs 1.5 GB of memory and some two minutes of a core; leaves nothing. Exit 0 when all is as it must be.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
# shellcheck source=deploy/install.sh
source deploy/install.sh
install_missing spin gcc libc6-dev

model=$PWD/Tests/RingModel/ring.pml
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"

fail() {
    echo "ring model: $*" >&2
    tail -n 40 log >&2
    exit 1
}

# check KIND DEPTH [-DMACRO…]: explores the whole model; the report is in `log`. KIND is one of
#   safety    every assertion, and every end state
#   progress  no run in which nothing becomes durable for ever
#   ending    no run in which an end never ends after finish
check() {
    local kind=$1 depth=$2 build=() run=()
    shift 2
    case $kind in
        safety) build=(-DSAFETY) ;;
        progress) build=(-DNP -DNFAIR=3) run=(-l -f); set -- "$@" -DPROGRESS ;;
        ending) build=(-DNFAIR=3) run=(-a -f); set -- "$@" -DLIVENESS ;;
    esac
    rm -f pan* ./*.trail
    spin -a "$@" "$model" >log 2>&1 || fail "spin refuses the model with $*"
    gcc -w -O2 -DCOLLAPSE -DMEMLIM=1800 "${build[@]}" -o pan pan.c >log 2>&1 || fail "the checker does not compile"
    ./pan "-m$depth" "${run[@]}" >log 2>&1 || true
}

holds() {
    local title=$1
    shift
    check "$@"
    if grep -Eq 'max search depth too small|out of memory|Search not completed' log; then
        fail "$title: the search was not complete"
    fi
    grep -q ', errors: 0$' log || fail "$title: spin FOUND an error"
    echo "$title: holds, $(sed -n 's/^ *\([0-9]*\) states, stored.*/\1/p' log) states"
}

# Everything was reached in these process types but the end of one that runs for ever.
all_reached() {
    local unreached type
    for type in "$@"; do
        grep -q "^unreached in proctype $type\$" log || fail "nothing is said about $type"
    done
    unreached=$(awk -v types=" $* " '
        /^unreached in / { type = $NF; next }
        /, state [0-9]+, / && index(types, " " type " ") && !/"-end-"/ { print type ": " $0 }' log)
    [ -z "$unreached" ] || fail "never reached: $unreached"
}

# The error must be found: otherwise the check could not fail.
breaks() {
    local macro=$1
    shift
    check "$@" -DCAPACITY=1 "-D$macro"
    grep -Eq '^pan:1: (invalid end state|assertion violated|acceptance cycle|non-progress cycle)' log ||
        fail "$macro: spin did NOT find the error ($1)"
    echo "$macro: $(grep -Eom 1 'invalid end state|assertion violated|acceptance cycle|non-progress cycle' log), as it must ($1)"
}

holds "one slot, failures, other wakes" safety 3000000 -DCAPACITY=1 -DWITH_FAILURE -DWITH_OTHER_WAKES
all_reached storeBuffer stage producer
holds "two slots" safety 4000000 -DCAPACITY=2
holds "gauge" safety 1000000 -DCAPACITY=1 -DWITH_GAUGE
all_reached gauge
holds "something becomes durable again and again" progress 2000000 -DCAPACITY=1
holds "every end ends after finish" ending 2000000 -DCAPACITY=1

for macro in NO_FENCE_PUBLISH NO_FENCE_CLOSE NO_FENCE_PARK RELAXED_PUBLISH NO_PARK_RECHECK NO_FULL_CHECK \
    NO_DURABLE_CHECK NO_WAKE NO_WAKE_AT_CLOSE POSITION_BEFORE_ENDED CLEAR_AFTER_SIGNAL DRAIN_AFTER_LOOK; do
    breaks "$macro" safety 1000000
done
for macro in NO_FENCE_FAIL NO_WAKE_AT_FAIL NO_FAIL_AT_SCOPE_END; do
    breaks "$macro" safety 1000000 -DWITH_FAILURE
done
breaks NO_WAKE_AT_CLOSE ending 1000000
breaks NO_FENCE_PARK progress 1000000
echo "ring model: passed in $SECONDS s"
