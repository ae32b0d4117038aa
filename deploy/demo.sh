#!/usr/bin/env bash
# Homeward at work, on this machine alone: a private broker and a private PostgreSQL cluster on free loopback ports, the
# daemon, a simulated ward and recorded readings, and alerts as they arrive; then the address of the care managers' page
# with a ready sign-in. From a bare Debian 12 with a Swift 6 toolchain, as root or with sudo. Ends, and cleans up, on
# Ctrl-C or after --seconds N.
#
#   deploy/demo.sh [--seconds N] [--patients N] [--rate R] [--screenshots DIRECTORY]
#
# --rate is the ward's reports a second; a patient takes four a day, so with 24 patients and 10 reports a second a day on
# the ward goes by in about ten seconds. --screenshots takes pictures of the page in a real browser before it ends.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
# shellcheck source=deploy/install.sh
source deploy/install.sh

usage() { echo "usage: deploy/demo.sh [--seconds N] [--patients N] [--rate R] [--screenshots DIRECTORY]" >&2; exit 64; }

seconds=0 patients=24 rate=10 screenshots=
while [ $# -gt 0 ]; do
    case $1 in
        --seconds | --patients | --rate)
            [[ ${2:-} =~ ^[1-9][0-9]{0,6}$ ]] || usage
            printf -v "${1#--}" '%s' "$2"
            shift 2
            ;;
        --screenshots)
            [ -d "${2:-}" ] || usage
            screenshots=$2
            shift 2
            ;;
        *) usage ;;
    esac
done

install_build_packages
install_server_packages
if [ -n "$screenshots" ]; then install_browser; fi
# shellcheck source=deploy/servers.sh
source deploy/servers.sh

say "building (release; minutes the first time)"
swift build -c release --static-swift-stdlib --product homeward
homeward=$(swift build -c release --static-swift-stdlib --show-bin-path)/homeward

# Every background process gets a process group of its own: Ctrl-C reaches this script alone, which ends them in order.
set -m
stopping=
trap 'stopping=yes' INT TERM
trap end_servers EXIT

http_port=
daemon=
simulators=()

# GET of a path of the daemon, without curl.
http_get() {
    exec 3<>"/dev/tcp/127.0.0.1/$http_port" || return 1
    printf 'GET %s HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n' "$1" >&3
    tr -d '\r' <&3
    exec 3<&-
}

is_ready() { http_get /readyz | head -n 1 | grep -q ' 200 '; }

query() { psql -X -q -A -t -F '|' -d "$database_url" -c "$1"; }

start_webhook() {
    webhook_port=$(free_port)
    perl deploy/demo/webhook.pl "$webhook_port" >"$work/webhook.log" 2>&1 &
    started+=($!)
}

write_configuration() {
    http_port=$(free_port)
    cat >"$work/homeward.yaml" <<YAML
broker: { host: 127.0.0.1, port: $broker_port, client_id: homeward-demo }
database: { url: "$database_url" }
sites: ["*"]
spool: { directory: $work/spool, quota: 256MiB }
http: { host: 127.0.0.1, port: $http_port, public_url: "http://127.0.0.1:$http_port" }
metrics: { host: 127.0.0.1, port: $http_port }
YAML
    mkdir "$work/spool"
}

enrol() {
    local webhook="http://127.0.0.1:$webhook_port/hook"
    sed "s|@WEBHOOK@|$webhook|" deploy/demo/ward.yaml >"$work/demo-ward.yaml"
    "$homeward" simulate --config "$work/homeward.yaml" --patients "$patients" --scenario mixed --site ward \
        --webhook "$webhook" --write-registry "$work/simulated-ward.yaml"
    "$homeward" enrol --config "$work/homeward.yaml" "$work/demo-ward.yaml" "$work/simulated-ward.yaml"
}

# A ready sign-in for the page of each site; password and secrets are this demo's alone.
page_users=(sim-lead-ward demo-lead) page_addresses=() page_password=
add_users() {
    local user
    page_password=demo-$(head -c 12 /dev/urandom | od -An -tx1 | tr -d ' \n')
    for user in "${page_users[@]}"; do
        page_addresses+=("$("$homeward" user --config "$work/homeward.yaml" add "$user" <<<"$page_password" \
            2>"$work/user.log")")
    done
}

explain_page() {
    cat <<TEXT

The care managers' page of the simulated ward, and of the readers to try by hand (another site: each sees its own):

  http://127.0.0.1:$http_port

  code ${page_users[0]}   password $page_password   six digits $(perl deploy/demo/code.pl "${page_addresses[0]}")
  code ${page_users[1]}      password $page_password   six digits $(perl deploy/demo/code.pl "${page_addresses[1]}")

The digits are good for half a minute. An authenticator app makes them of the addresses below, and so does

  perl deploy/demo/code.pl '${page_addresses[0]}'
  perl deploy/demo/code.pl '${page_addresses[1]}'

$1
TEXT
}

start_daemon() {
    "$homeward" serve --config "$work/homeward.yaml" 2>"$work/homeward.log" &
    daemon=$!
    started+=("$daemon")
    if ! await is_ready; then
        tail -n 20 "$work/homeward.log" >&2
        exit 69
    fi
}

# simulate NAME ARGUMENT…: in the background, its summary into NAME.summary.
simulate() {
    local name=$1
    shift
    "$homeward" simulate --config "$work/homeward.yaml" "$@" >"$work/$name.summary" 2>"$work/$name.log" &
    simulators+=("$!:$name")
    started+=($!)
}

start_readers() {
    simulate ward --patients "$patients" --scenario mixed --site ward --rate "$rate"
    simulate weights --from deploy/demo/weights.csv --site demo --time-column Date --shift-to now \
        --column kind=weight,unit=kg,value=WeightKg,digits=1 --device-column Id --device-prefix fitbit-
    local number
    for number in 001 005; do
        simulate "glucose-$number" --from "deploy/demo/glucose-$number.csv" --site demo --time-column Time \
            --shift-to now --column kind=glucose,unit=mg/dL,value=CGM,digits=0 --device "glucose-$number"
    done
}

publish() { mosquitto_pub -h 127.0.0.1 -p "$broker_port" -q 1 -t "$1" -m "$2"; }

# What readers that are broken or not enrolled send, so that quarantine has something to show.
publish_faults() {
    local topic=homeward/v1/demo/demo-0001/report now
    now=$(date -u +%Y-%m-%dT%H:%M:%SZ)
    publish "$topic" '{"id":"fault-1","taken_at":'
    publish "$topic" "{\"id\":\"fault-2\",\"taken_at\":\"$now\",\"readings\":[{\"kind\":\"weight\",\"value\":11.2,\"unit\":\"stones\"}]}"
    publish "$topic" "{\"id\":\"fault-3\",\"taken_at\":\"2016-05-02T08:00:00Z\",\"readings\":[{\"kind\":\"pulse\",\"value\":70,\"unit\":\"/min\"}]}"
    publish homeward/v1/demo/nobodys/report "{\"id\":\"fault-4\",\"taken_at\":\"$now\",\"readings\":[{\"kind\":\"pulse\",\"value\":70,\"unit\":\"/min\"}]}"
    # Half of it is good: the implausible weight is refused alone, and the SpO2 still raises its alert.
    publish "$topic" "{\"id\":\"fault-5\",\"taken_at\":\"$now\",\"readings\":[{\"kind\":\"spo2\",\"value\":90,\"unit\":\"%\"},{\"kind\":\"weight\",\"value\":700,\"unit\":\"kg\"}]}"
}

explain() {
    # shellcheck disable=SC2016 # the reader's shell expands them
    local now='$(date -u +%Y-%m-%dT%H:%M:%SZ)' id='try-$(date +%s)'
    cat <<TEXT

Try a reading of your own in another terminal (its receipt, then its alert on the page):

  mosquitto_sub -h 127.0.0.1 -p $broker_port -q 1 -C 1 -W 10 -t homeward/v1/demo/demo-0001/receipt & sleep 0.2; \\
  mosquitto_pub -h 127.0.0.1 -p $broker_port -q 1 -t homeward/v1/demo/demo-0001/report -m \\
    "{\"id\":\"$id\",\"taken_at\":\"$now\",\"readings\":[{\"kind\":\"spo2\",\"value\":88,\"unit\":\"%\"}]}"; wait

Look around:

  psql $database_url -c 'select * from homeward.v_reading order by received_at desc limit 10'
  $homeward alerts --config $work/homeward.yaml list
  tail -f $work/homeward.log $work/webhook.log

TEXT
}

# The value of one metric without labels in the scrape at hand.
metric() { awk -v name="$1" '$1 == name { print $2; found = 1 } END { if (!found) print 0 }' <<<"$scrape"; }

# `reason 3, reason 4` of one metric's label.
by_label() {
    awk -v name="$1" -v label="$2" '
        index($0, name "{") == 1 && $NF > 0 {
            if (match($0, label "=\"[^\"]*\"")) {
                value = substr($0, RSTART + length(label) + 2, RLENGTH - length(label) - 3)
                sum[value] += $NF
            }
        }
        END { for (value in sum) { printf "%s%s %d", separator, value, sum[value]; separator = ", " } }' <<<"$scrape"
}

sum_of() { awk -v name="$1" 'index($0, name "{") == 1 { sum += $NF } END { print sum + 0 }' <<<"$scrape"; }

last_received=0
last_time=0
show_figures() {
    scrape=$(http_get /metrics) || return 0
    local received time per_second=0
    received=$(metric homeward_reports_received_total)
    time=$(date +%s%N)
    if [ "$last_time" -gt 0 ]; then
        per_second=$(((received - last_received) * 1000000000 / (time - last_time)))
    fi
    last_received=$received
    last_time=$time
    printf '%s  %s/s  received %s = stored %s + duplicate %s + quarantined %s + in flight %s | told %s\n' \
        "$(date +%T)" "$per_second" "$received" "$(metric homeward_reports_stored_total)" \
        "$(metric homeward_reports_duplicate_total)" "$(sum_of homeward_reports_quarantined_total)" \
        "$(metric homeward_reports_in_flight)" "$(grep -c '^{' "$work/webhook.log" || true) by webhook"
    local reports readings
    reports=$(by_label homeward_reports_quarantined_total reason)
    readings=$(by_label homeward_readings_refused_total reason)
    [ -z "$reports$readings" ] || echo "          quarantined: ${reports:-none}; readings refused: ${readings:-none}"
}

# Alerts that are new or got worse since the last look, as a care manager would read them.
alerts_shown='' red_ink='' plain_ink=''
if [ -t 1 ]; then red_ink=$'\033[31m' plain_ink=$'\033[0m'; fi
show_alerts() {
    local row
    while IFS= read -r row; do
        case $alerts_shown in *"<$row>"*) continue ;; esac
        alerts_shown+="<$row>"
        IFS='|' read -r _ severity class subject summary <<<"$row"
        if [ "$severity" = red ]; then printf '%s' "$red_ink"; fi
        printf '  %-5s%s %-9s %-10s %s\n' "$severity" "$plain_ink" "$class" "$subject" "$summary"
    done < <(query "
        select alert_id, severity, class, coalesce(patient, device, site, 'homeward'),
               translate(summary, E'\n\r|', '   ')
        from homeward.v_alert order by raised_at, alert_id")
}

end_simulators() {
    local entry
    for entry in "${simulators[@]}"; do kill -INT "${entry%%:*}" 2>/dev/null || true; done
    for entry in "${simulators[@]}"; do wait "${entry%%:*}" 2>/dev/null || true; done
    for entry in "${simulators[@]}"; do
        say "what the readers of ${entry#*:} say"
        cat "$work/${entry#*:}.summary"
        # Their own words, if anything went wrong.
        cat "$work/${entry#*:}.log" >&2
    done
}

show_result() {
    say "what is in PostgreSQL"
    query "
        select 'readings', count(*) from homeward.v_reading
        union all select 'reports', count(*) from homeward.v_report
        union all select 'quarantined, ' || reason, count(*) from homeward.v_quarantine group by reason
        union all select 'alerts, ' || class || ' ' || severity, count(*) from homeward.v_alert group by class, severity
        order by 1" | awk -F '|' '{ printf "%-40s %s\n", $1, $2 }'
}

make_work_directory
say "starting PostgreSQL and the broker in $work"
start_postgres
start_broker
start_webhook
write_configuration
"$homeward" migrate --config "$work/homeward.yaml"
enrol
add_users
start_daemon
say "the daemon is ready; $patients patients, $rate reports a second, and recorded weights and glucose"
explain
start_readers
publish_faults

# The first alerts are shown here, and the rest on the page: nothing scrolls the sign-in away.
end=$((SECONDS + seconds))
quiet=$((SECONDS + (seconds > 0 ? seconds / 2 : 30)))
how_it_ends="The ward goes on until Ctrl-C."
if [ "$seconds" -gt 0 ]; then how_it_ends="The ward goes on for $seconds seconds in all."; fi
if [ -t 0 ]; then how_it_ends+=" Enter makes fresh digits."; fi
is_quiet=
while [ -z "$stopping" ] && { [ "$seconds" -eq 0 ] || [ "$SECONDS" -lt "$end" ]; }; do
    kill -0 "$daemon" 2>/dev/null || { echo "the daemon has ended:" >&2; tail -n 20 "$work/homeward.log" >&2; exit 1; }
    if [ -z "$is_quiet" ]; then
        show_alerts
        show_figures
        if [ "$SECONDS" -ge "$quiet" ]; then
            is_quiet=yes
            explain_page "$how_it_ends"
        fi
    fi
    if [ -t 0 ]; then
        if read -r -t 2; then explain_page "$how_it_ends"; fi
    else
        # In the background, so that a signal ends it at once.
        sleep 2 &
        wait $! || true
    fi
done

trap '' INT TERM
if [ -n "$screenshots" ]; then
    say "taking pictures of the page into $screenshots"
    "$HOMEWARD_BROWSER_PYTHON" Tests/Browser/demo.py "http://127.0.0.1:$http_port" "${page_users[0]}" "$page_password" \
        "$(perl deploy/demo/code.pl "${page_addresses[0]}")" "$screenshots"
fi
end_simulators
show_alerts
show_figures
kill -TERM "$daemon"
wait "$daemon"
show_result
say "stopped and cleaned up"
