#!/bin/sh
# Sends a reader's reports and loses none: mosquitto-clients, nothing else.
#
#   reader.sh BROKER PORT SITE DEVICE OUTBOX [READINGS]
#
# READINGS are those of one report, as [{"kind":"spo2","value":97,"unit":"%"}]; without them what is left is sent. A report
# is kept in the directory OUTBOX until its receipt has come, and sent again meanwhile; the program ends when nothing is left
# there. READER_TLS holds mosquitto_rr's own options, as "--cafile ca.pem --cert dev-0001.pem --key dev-0001.key".
set -eu

broker=$1 port=$2 site=$3 device=$4 outbox=$5 readings=${6-}
topic=homeward/v1/$site/$device
patience=${READER_PATIENCE:-20} # seconds for a receipt
pause=${READER_RETRY:-10}       # seconds until a report is sent again; doubles up to 30 min
mkdir -p "$outbox"

# keep NAME: standard input under this name, whole or not at all.
keep() {
    cat >"$outbox/new"
    sync "$outbox/new"
    mv "$outbox/new" "$outbox/$1"
}

if [ -n "$readings" ]; then
    number=$(($(cat "$outbox/seq" 2>/dev/null || echo 0) + 1))
    # Unique for ever, also for a reader that has forgotten its number.
    id=$(od -An -N4 -tx1 /dev/urandom | tr -d ' \n')-$number
    echo "$number" | keep seq
    printf '{"id":"%s","taken_at":"%s","seq":%s,"readings":%s}' \
        "$id" "$(date -u +%Y-%m-%dT%H:%M:%SZ)" "$number" "$readings" | keep "$id.json"
fi

while :; do
    left=''
    for report in "$outbox"/*.json; do
        [ -e "$report" ] || continue
        id=$(basename "$report" .json)
        # Subscribes to the receipts, publishes the report, and prints the first receipt that comes. (-f sends nothing.)
        # shellcheck disable=SC2086 # options, several
        receipt=$(mosquitto_rr ${READER_TLS-} -h "$broker" -p "$port" -i "$device" -q 1 -W "$patience" \
            -t "$topic/report" -e "$topic/receipt" -m "$(cat "$report")" 2>/dev/null) || receipt=''
        case $receipt in
            *"\"id\":\"$id\""*)
                echo "$receipt"
                rm "$report"
                ;;
            *) left=yes ;; # none, or that of an earlier try of another report: again
        esac
    done
    [ -n "$left" ] || exit 0
    sleep "$pause"
    pause=$((pause * 2 < 1800 ? pause * 2 : 1800))
done
