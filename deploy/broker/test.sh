#!/usr/bin/env bash
# The shipped mosquitto.conf and mosquitto.acl with certificates of pki.sh: who gets in, and who may say what.
# A private broker on free loopback ports; as root or not.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
# shellcheck source=deploy/install.sh
source deploy/install.sh
install_server_packages
install_missing faketime python3

work=$(mktemp -d)
broker=
finish() {
    if [ -n "$broker" ]; then
        kill "$broker" 2>/dev/null || true
        # It writes its sessions down before it ends.
        wait "$broker" 2>/dev/null || true
    fi
    rm -rf "$work"
}
trap finish EXIT

fail() { echo "broker test: $*" >&2; tail -20 "$work/mosquitto.log" >&2; exit 1; }

free_port() { python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'; }

authorities() {
    deploy/broker/pki.sh "$work/pki" init
    deploy/broker/pki.sh "$work/pki" broker localhost 127.0.0.1
    deploy/broker/pki.sh "$work/pki" client homeward
    local device
    for device in dev-0001 dev-0002 dev-0003; do deploy/broker/pki.sh "$work/pki" device "$device" north; done
    HOMEWARD_PKI_DAYS=1 faketime -f -3d deploy/broker/pki.sh "$work/pki" device dev-0004 north
    deploy/broker/pki.sh "$work/pki" renew dev-0002
    # Another authority, with the same names.
    deploy/broker/pki.sh "$work/foreign" init
    deploy/broker/pki.sh "$work/foreign" device dev-0001 north
    if deploy/broker/pki.sh "$work/pki" device homeward north 2>/dev/null; then fail "a device got Homeward's name"; fi
    if deploy/broker/pki.sh "$work/pki" device '+' north 2>/dev/null; then fail "a device is called by a wildcard"; fi
}

# The shipped files, but for paths, ports and where the log goes.
start_broker() {
    devices=$(free_port) ours=$(free_port)
    sed -e "s|/etc/mosquitto/certs/broker.key|$work/pki/private/broker.key|; s|/etc/mosquitto/certs|$work/pki|" \
        -e "s|/etc/mosquitto/mosquitto.acl|deploy/broker/mosquitto.acl|; s|/var/lib/mosquitto/|$work/|" \
        -e "s|^listener 8883|listener $devices 127.0.0.1|; s|^listener 8884|listener $ours|" \
        -e "s|^log_dest .*|log_dest file $work/mosquitto.log|" deploy/broker/mosquitto.conf >"$work/mosquitto.conf"
    echo "user $(id -un)" >>"$work/mosquitto.conf"
    mosquitto -c "$work/mosquitto.conf" &
    broker=$!
    local _
    for _ in $(seq 200); do
        if (: <"/dev/tcp/127.0.0.1/$ours") 2>/dev/null; then return; fi
        kill -0 "$broker" 2>/dev/null || fail "the broker ended"
        sleep 0.1
    done
    fail "the broker does not listen"
}

# publish AUTHORITY NAME TOPIC [MESSAGE]: succeeds when the broker took it (MQTT 5 says so).
publish() {
    timeout 60 mosquitto_pub -V 5 -q 1 -h localhost -p "$devices" --cafile "$work/pki/ca.pem" \
        --cert "$work/$1/$2.pem" --key "$work/$1/private/$2.key" -t "$3" -m "${4:-x}" >"$work/said" 2>&1 &&
        ! grep -q 'Not authorized' "$work/said"
}

take() { publish "$@" || { cat "$work/said" >&2; fail "refused: $*"; }; }
refuse() { if publish "$@"; then fail "taken: $*"; fi; }

# because NAME REASON: what is wrong with the certificate, in OpenSSL's words; mosquitto's log has none.
because() {
    local said
    said=$(openssl verify -crl_check -CAfile "$work/pki/ca.pem" -CRLfile "$work/pki/revoked.pem" "$work/pki/$1.pem" \
        2>&1) || true
    [[ $said == *"$2"* ]] || fail "$1 was refused for another reason: $said"
}

# What Homeward reads of what readers write.
listen() {
    timeout 60 mosquitto_sub -V 5 -q 1 -h 127.0.0.1 -p "$ours" --cafile "$work/pki/ca.pem" --cert "$work/pki/homeward.pem" \
        --key "$work/pki/private/homeward.key" -i homeward -c -t 'homeward/v1/+/+/report' "$@"
}

authorities
start_broker
say "who gets in, and who may say what"
listen -E
report=homeward/v1/north/dev-0001/report
take pki dev-0001 "$report" mine
take pki dev-0002 homeward/v1/north/dev-0002/report renewed
refuse pki dev-0002 "$report"
refuse pki dev-0001 homeward/v1/north/dev-0001/receipt
refuse pki dev-0001 homeward/v1/north/alerts
# shellcheck disable=SC2016 # the topic's own
refuse pki dev-0001 '$SYS/broker/clients/total'
refuse pki dev-0004 homeward/v1/north/dev-0004/report
because dev-0004 'certificate has expired'
refuse foreign dev-0001 "$report"
if mosquitto_pub -h localhost -p "$devices" --cafile "$work/pki/ca.pem" -t "$report" -m x 2>/dev/null; then
    fail "a client without a certificate got in"
fi
if mosquitto_pub -h 127.0.0.1 -p "$devices" -t "$report" -m x 2>/dev/null; then fail "plain text got in"; fi
[ "$(listen -C 2 | sort | tr '\n' ' ')" = "mine renewed " ] || fail "other reports arrived than those that may"

take pki dev-0003 homeward/v1/north/dev-0003/report
cp "$work/pki/dev-0003.pem" "$work/pki/private/dev-0003.key" "$work/"
deploy/broker/pki.sh "$work/pki" revoke dev-0003
mv "$work/dev-0003.pem" "$work/pki/"
mv "$work/dev-0003.key" "$work/pki/private/"
kill -HUP "$broker"
for _ in $(seq 300); do
    publish pki dev-0003 homeward/v1/north/dev-0003/report || break
    sleep 0.2
done
refuse pki dev-0003 homeward/v1/north/dev-0003/report
because dev-0003 'certificate revoked'
take pki dev-0001 "$report" again
say "the broker takes each device for who its certificate says"
