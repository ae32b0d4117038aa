#!/usr/bin/env bash
# From a bare Debian 12 with a Swift 6 toolchain, as root or with sudo, to the tests passed.
#
#   deploy/test.sh            everything, as CI runs it
#   deploy/test.sh --quick    debug build and tests alone
#   deploy/test.sh --browser  these, and the care managers' page in a real chromium, which Playwright (from PyPI) drives
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
# shellcheck source=deploy/install.sh
source deploy/install.sh

quick=''
browser=''
case ${1:-} in
    --quick) quick=yes ;;
    --browser) quick=yes browser=yes ;;
    '') browser=yes ;;
    *) echo "usage: deploy/test.sh [--quick | --browser]" >&2; exit 64 ;;
esac

step() {
    local began=$SECONDS title=$1
    shift
    say "$title"
    "$@"
    echo "-- $title: $((SECONDS - began)) s"
}

format() { swift format lint --strict --recursive Package.swift Sources Tests; }

# A link to a page that is not there is a warning of DocC's.
guides() {
    local compiler pages
    compiler=$(dirname "$(readlink -f "$(command -v swift)")")/docc
    pages=$(mktemp -d)
    "$compiler" convert Sources/HomewardDaemon/HomewardDaemon.docc --warnings-as-errors --output-dir "$pages" \
        --fallback-display-name Homeward --fallback-bundle-identifier homeward
    rm -rf "$pages"
}

# Warnings are errors by the package's own settings; an import of a target that was not declared is one by this flag.
debug_build() { swift build --build-tests --explicit-target-dependency-import-check error; }

release_build() { swift build -c release --static-swift-stdlib; }

# What failed stands at the end too: thousands of lines come between.
told_at_the_end() {
    local log status=0
    log=$(mktemp)
    "$@" 2>&1 | tee "$log" || status=$?
    if [ "$status" -ne 0 ]; then
        say "what failed"
        grep -aE -A 24 'recorded an issue|^error:|Fatal error|Crash' "$log" | grep -av '^◇' | head -n 200 || true
    fi
    rm -f "$log"
    return "$status"
}

# Apart, since a test that waits for a server holds a thread, of which there are as many as cores.
tests() { told_at_the_end swift test --skip-build --skip IntegrationTests --skip PostgresStoreTests; }

server_tests() { told_at_the_end swift test --skip-build --filter IntegrationTests --filter PostgresStoreTests; }

# The ring alone, which needs no package and builds in seconds. Debug builds send a million records, release ten.
ring_under_thread_sanitizer() {
    HOMEWARD_ROOMS=RingBuffer swift test --sanitize=thread --scratch-path .build-ring-tsan
}

ring_in_release() { HOMEWARD_ROOMS=RingBuffer swift test -c release --scratch-path .build-ring-release; }

# The ordinary run has two short seeds.
faults() {
    HOMEWARD_FAULT_SEEDS=10 HOMEWARD_FAULT_SECONDS=15 told_at_the_end swift test --skip-build --filter FaultTests
}

# At the rate that the promise is for, which a debug build does not keep.
outage_at_full_rate() {
    local binaries
    binaries=$(swift build -c release --static-swift-stdlib --show-bin-path)
    HOMEWARD_BINARY=$binaries/homeward HOMEWARD_OUTAGE_RATE=2000 HOMEWARD_RED_SECONDS=5 \
        told_at_the_end swift test --skip-build --filter FaultSuite/OutageTests
}

# The demo as its user starts it, and its page in a browser.
demo() {
    local pictures status=0
    pictures=$(mktemp -d)
    deploy/demo.sh --seconds 20 --screenshots "$pictures" || status=$?
    ls "$pictures/worklist.png" "$pictures/patient.png" || status=1
    rm -rf "$pictures"
    return "$status"
}

monitoring() {
    install_missing prometheus
    promtool test rules deploy/monitoring/homeward.rules.test.yml
}

# The Debian package in a bare system, and every command of the guide, with the program of the release build.
released() { echo "$(swift build -c release --static-swift-stdlib --show-bin-path)/homeward"; }
package() { deploy/package-test.sh --binary "$(released)"; }
commands_of_the_guide() { deploy/guide-test.sh --binary "$(released)"; }

# A real chromium works through the care managers' page.
page_in_a_browser() {
    install_browser
    told_at_the_end swift test --skip-build --filter 'a care manager works through the page in a browser'
}

install_build_packages
install_server_packages
install_test_packages
step "format" format
step "guides" guides
step "debug build" debug_build
step "tests" tests
if [ -n "$browser" ]; then step "page in a browser" page_in_a_browser; fi
step "tests against PostgreSQL and the whole daemon" server_tests
if [ -z "$quick" ]; then
    step "ring under ThreadSanitizer" ring_under_thread_sanitizer
    step "ring, ten million records" ring_in_release
    step "ring protocol model" deploy/verify-ring.sh
    step "faults, ten seeds" faults
    step "fuzzing the report decoder" deploy/fuzz.sh 60
    step "release build" release_build
    step "outage, 2,000 reports a second" outage_at_full_rate
    step "demo" demo
    step "broker and certificates" deploy/broker/test.sh
    step "alert rules" monitoring
    step "commands of the guide" commands_of_the_guide
    step "package" package
fi
say "all passed in $SECONDS s"
