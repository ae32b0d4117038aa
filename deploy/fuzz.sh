#!/bin/sh
# Fuzzes everything that reads bytes from outside, under AddressSanitizer, for the given seconds (60 unless given).
# Needs the Swift toolchain only. Ends with one line that says how it went; exit 0 when nothing was found.
set -eu
seconds=${1:-60}
root=$(cd "$(dirname "$0")/.." && pwd)
build="$root/.build/fuzz"
mkdir -p "$build/corpus" "$build/findings"
cd "$build"

set -- -O -use-ld=lld -wmo -swift-version 6 -parse-as-library -sanitize=fuzzer,address \
    -enable-upcoming-feature InternalImportsByDefault -enable-upcoming-feature MemberImportVisibility -I .
echo "building the fuzz target"
for module in Clinical Formats; do
    swiftc "$@" -emit-module -emit-object -module-name "$module" "$root/Sources/$module"/*.swift -o "$module.o"
done
swiftc "$@" "$root"/Tests/Fuzz/*.swift Clinical.o Formats.o -o fuzz-formats

echo "fuzzing for $seconds s"
# Into a file: the symbolizer that a finding starts would keep a pipe open.
status=0
./fuzz-formats corpus "$root/Tests/Fuzz/seeds" -dict="$root/Tests/Fuzz/dictionary.txt" -max_total_time="$seconds" \
    -max_len=4096 -timeout=5 -print_final_stats=1 -artifact_prefix=findings/ >log 2>&1 || status=$?
runs=$(sed -n 's/^stat::number_of_executed_units: *//p' log)
if [ "$status" -ne 0 ]; then
    tail -n 40 log
    echo "fuzz: FOUND a fault (exit $status); its input is in $build/findings, the log is $build/log"
    exit 1
fi
echo "fuzz: passed, ${runs:-no} inputs in $seconds s, nothing found"
