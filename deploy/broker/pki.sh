#!/usr/bin/env bash
# A private certificate authority for the broker, Homeward and the patients' readers.
#
#   pki.sh DIRECTORY init [NAME]                  the authority, once; its key stays in DIRECTORY/private
#   pki.sh DIRECTORY broker HOST...               the broker's certificate, for these names and addresses
#   pki.sh DIRECTORY client NAME                  Homeward's (NAME homeward) or a ward display's
#   pki.sh DIRECTORY device CODE SITE             a reader's: CODE is the device's code in the registry
#   pki.sh DIRECTORY sign CODE SITE REQUEST.pem   the same, for a reader that has made its key itself
#   pki.sh DIRECTORY renew NAME                   a new certificate under the same name, of the same key
#   pki.sh DIRECTORY revoke NAME                  no longer accepted, from the broker's next look at revoked.pem on
#   pki.sh DIRECTORY crl                          a new revoked.pem; once a month at least, or the broker refuses everybody
#   pki.sh DIRECTORY list                         names, states and days left
#
# Certificates are DIRECTORY/NAME.pem, keys DIRECTORY/private/NAME.key; ca.pem and revoked.pem are for the broker.
# HOMEWARD_PKI_DAYS sets how long certificates are good for: 397 days unless told otherwise. HOMEWARD_PKI_CRL_DAYS: 60.
set -euo pipefail

usage() { sed -n '4,12s/^#   //p' "${BASH_SOURCE[0]}" >&2; exit 64; }

fail() { echo "pki: $*" >&2; exit "${status:-65}"; }

[ $# -ge 2 ] || usage
directory=$1 verb=$2
shift 2
days=${HOMEWARD_PKI_DAYS:-397} crl_days=${HOMEWARD_PKI_CRL_DAYS:-60}
umask 077

# In a topic and an ACL pattern these would be wildcards or levels; the broker takes the name from the certificate.
checked() {
    [[ $1 =~ ^[A-Za-z0-9_-]{1,64}$ ]] || fail "$2 is 1 to 64 of A-Z a-z 0-9 _ -, not: $1"
}

# A device with Homeward's name would have Homeward's rights.
checked_device() {
    checked "$1" CODE
    checked "$2" SITE
    case $1 in homeward | broker | ca | revoked) fail "no device may be called $1" ;; esac
}

# One change at a time: two serial numbers must not be given twice.
locked() {
    [ -e "$directory/private/ca.key" ] || fail "no authority in $directory: pki.sh $directory init"
    exec 9>"$directory/private/lock"
    flock 9
}

settings() {
    cat <<CONF
[ca]
default_ca = homeward
[homeward]
dir = $directory
database = $directory/private/index
new_certs_dir = $directory/private/issued
serial = $directory/private/serial
crlnumber = $directory/private/crlnumber
certificate = $directory/ca.pem
private_key = $directory/private/ca.key
default_md = sha256
policy = policy
unique_subject = no
copy_extensions = none
[policy]
organizationName = optional
commonName = supplied
[authority]
basicConstraints = critical, CA:true, pathlen:0
keyUsage = critical, keyCertSign, cRLSign
subjectKeyIdentifier = hash
[client]
basicConstraints = critical, CA:false
keyUsage = critical, digitalSignature
extendedKeyUsage = clientAuth
subjectKeyIdentifier = hash
authorityKeyIdentifier = keyid
[broker]
basicConstraints = critical, CA:false
keyUsage = critical, digitalSignature
extendedKeyUsage = serverAuth
subjectKeyIdentifier = hash
authorityKeyIdentifier = keyid
subjectAltName = ${names:-DNS:localhost}
CONF
}

# openssl's own talk is kept for when it fails.
openssl_quietly() {
    local said
    said=$(openssl "$@" 2>&1) || { printf '%s\n' "$said" >&2; status=70 fail "openssl $1 failed"; }
}

init() {
    local name=${1:-Homeward}
    [ ! -e "$directory/private/ca.key" ] || fail "there is an authority in $directory already"
    mkdir -p "$directory/private/issued"
    chmod 755 "$directory"
    : >"$directory/private/index"
    openssl rand -hex 16 >"$directory/private/serial"
    echo 01 >"$directory/private/crlnumber"
    openssl_quietly req -new -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -noenc -days 3650 \
        -config <(settings; printf '[req]\ndistinguished_name = subject\n[subject]\n') -extensions authority \
        -subj "/CN=$name device authority" -keyout "$directory/private/ca.key" -out "$directory/ca.pem"
    chmod 644 "$directory/ca.pem"
    locked
    crl
}

crl() {
    openssl_quietly ca -config <(settings) -gencrl -crldays "$crl_days" -out "$directory/revoked.pem.new"
    chmod 644 "$directory/revoked.pem.new"
    mv "$directory/revoked.pem.new" "$directory/revoked.pem"
}

# sign NAME SUBJECT EXTENSIONS REQUEST
sign() {
    openssl_quietly ca -config <(settings) -batch -notext -rand_serial -days "$days" -extensions "$3" -subj "$2" \
        -in "$4" -out "$directory/$1.pem.new"
    chmod 644 "$directory/$1.pem.new"
    mv "$directory/$1.pem.new" "$directory/$1.pem"
    printf '%s\n' "$3" >"$directory/private/$1.sort"
}

# issue NAME SUBJECT EXTENSIONS: with a key of its own making.
issue() {
    [ ! -e "$directory/$1.pem" ] || fail "$1 has a certificate: renew or revoke it"
    local request
    request=$(mktemp)
    openssl_quietly req -new -newkey ec -pkeyopt ec_paramgen_curve:P-256 -noenc -subj "$2" \
        -config <(printf '[req]\ndistinguished_name = subject\n[subject]\n') \
        -keyout "$directory/private/$1.key" -out "$request"
    sign "$1" "$2" "$3" "$request"
    rm "$request"
}

# Names of hosts and addresses as a certificate lists them.
alternatives() {
    local host kind list=
    for host in "$@"; do
        case $host in
            *[!A-Za-z0-9.:_-]*) fail "not a host: $host" ;;
            *:* | [0-9]*.[0-9]*.[0-9]*.[0-9]*) kind=IP ;;
            *) kind=DNS ;;
        esac
        list+=${list:+,}$kind:$host
    done
    printf '%s' "$list"
}

subject_of() { openssl x509 -in "$directory/$1.pem" -noout -subject -nameopt compat | sed 's/^subject=\s*//'; }

renew() {
    checked "$1" NAME
    [ -e "$directory/$1.pem" ] || fail "$1 has no certificate"
    local sort request
    sort=$(cat "$directory/private/$1.sort")
    if [ "$sort" = broker ]; then
        names=$(openssl x509 -in "$directory/$1.pem" -noout -ext subjectAltName |
            sed -n '2{s/ //g; s/IPAddress:/IP:/g; p}')
    fi
    request=$(mktemp)
    # A reader that has made its key itself sends a new request; what it signed before says what the key is.
    if [ -e "$directory/private/$1.key" ]; then
        openssl_quietly req -new -key "$directory/private/$1.key" -subj "$(subject_of "$1")" \
            -config <(printf '[req]\ndistinguished_name = subject\n[subject]\n') -out "$request"
    else
        cp "$directory/private/$1.request" "$request"
    fi
    sign "$1" "$(subject_of "$1")" "$sort" "$request"
    rm "$request"
}

# Every certificate of that name that is still good, a renewed one's predecessors too.
revoke() {
    checked "$1" NAME
    [ "$1" != ca ] || fail "the authority itself can't be revoked"
    local serial found=
    while IFS= read -r serial; do
        openssl_quietly ca -config <(settings) -revoke "$directory/private/issued/$serial.pem"
        found=yes
    done < <(awk -F '\t' -v name="/CN=$1" '$1 == "V" && substr($6, length($6) - length(name) + 1) == name { print $4 }' \
        "$directory/private/index")
    [ -n "$found" ] || fail "$1 has no certificate that is good"
    crl
    rm -f "$directory/$1.pem" "$directory/private/$1.key" "$directory/private/$1.request" "$directory/private/$1.sort"
}

list() {
    openssl_quietly ca -config <(settings) -updatedb
    TZ=UTC awk -F '\t' -v now="$(date -u +%s)" '{
        state = $1 == "V" ? "good" : $1 == "R" ? "revoked" : "expired"
        year = substr($2, 1, 2) + 2000
        stamp = year " " substr($2, 3, 2) " " substr($2, 5, 2) " " substr($2, 7, 2) " " substr($2, 9, 2) " 00"
        printf "%s\t%s\t%d days\n", $6, state, (mktime(stamp) - now) / 86400
    }' "$directory/private/index"
}

case $verb in
    init) init "$@" ;;
    broker) [ $# -ge 1 ] || usage; locked; names=$(alternatives "$@"); issue broker "/CN=$1" broker ;;
    client) [ $# -eq 1 ] || usage; checked "$1" NAME; locked; issue "$1" "/CN=$1" client ;;
    device)
        [ $# -eq 2 ] || usage
        checked_device "$1" "$2"
        locked
        issue "$1" "/O=$2/CN=$1" client
        ;;
    sign)
        [ $# -eq 3 ] || usage
        checked_device "$1" "$2"
        locked
        [ ! -e "$directory/$1.pem" ] || fail "$1 has a certificate: renew or revoke it"
        openssl req -in "$3" -noout -verify 2>/dev/null || fail "$3 is no request, or not signed by its own key"
        sign "$1" "/O=$2/CN=$1" client "$3"
        cp "$3" "$directory/private/$1.request"
        ;;
    renew) [ $# -eq 1 ] || usage; locked; renew "$1" ;;
    revoke) [ $# -eq 1 ] || usage; locked; revoke "$1" ;;
    crl) locked; crl ;;
    list) locked; list ;;
    *) usage ;;
esac
