#!/bin/bash
# Run by deploy/package-test.sh --boot inside the booted system: how homeward.service does there.
set -euo pipefail

fail() {
    echo "boot test: $*"
    systemctl status --no-pager homeward || true
    journalctl --no-pager -u homeward | tail -40
    exit 1
}

# until_seconds SECONDS COMMAND...
until_seconds() {
    local left=$1
    shift
    until "$@"; do
        left=$((left - 1))
        [ "$left" -gt 0 ] || return 1
        sleep 1
    done
}

state_is() { [ "$(systemctl show -P "$1" homeward)" = "$2" ]; }
process() { systemctl show -P MainPID homeward; }
is_another() { [ "$(process)" != "$1" ] && [ "$(process)" != 0 ] && state_is ActiveState active; }

systemctl start homeward || fail "not ready without broker and database"
[ "$(stat -c '%U %a' /var/lib/homeward/spool)" = 'homeward 700' ] || fail "the spool is open to others"
grep -q '^CapEff:\s0000000000000000$' "/proc/$(process)/status" || fail "it has capabilities"
grep -q '^NoNewPrivs:.*1' "/proc/$(process)/status" || fail "it may get privileges"
grep -q '^Seccomp:.*2' "/proc/$(process)/status" || fail "its system calls are not filtered"
systemctl reload homeward || fail "reload"

before=$(process)
echo 'unknown: 1' >>/etc/homeward/homeward.yaml
if systemctl reload homeward 2>/dev/null; then fail "a bad configuration was reloaded"; fi
[ "$(process)" = "$before" ] || fail "a refused reload ended the daemon"
sed -i '/^unknown/d' /etc/homeward/homeward.yaml

kill -KILL "$before"
until_seconds 120 is_another "$before" || fail "not started again after kill -9"

before=$(process)
kill -STOP "$before"
until_seconds 180 is_another "$before" || fail "a daemon that stands still is not started again"
journalctl --no-pager -u homeward | grep -q 'Watchdog timeout' || fail "it was not the watchdog"

echo "a secret" >/etc/homeward/credentials/broker-password
sed -i -E 's/^  # (username: homeward|password_file: broker-password)/  \1/' /etc/homeward/homeward.yaml
systemctl restart homeward || fail "a credential is not found"
systemctl stop homeward || fail "stop"
state_is Result success || fail "it did not end well"
echo "all as it should be"
