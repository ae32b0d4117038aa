#!/usr/bin/env bash
# Installs, upgrades, removes and purges the package in a bare Debian 12, and holds the units against systemd.
#
#   deploy/package-test.sh [--binary FILE] [--boot]
#
# --binary as in deploy/package.sh. --boot starts the bare system too, with systemd as its first process, and looks how the
# unit does there; two minutes more, and not where containers are forbidden. The bare system is made once, by debootstrap, and kept below .build/package-test. As
# root or with sudo.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
# shellcheck source=deploy/install.sh
source deploy/install.sh

binary='' boot=''
while [ $# -gt 0 ]; do
    case $1 in
        --binary) binary=${2:?}; shift 2 ;;
        --boot) boot=yes; shift ;;
        *) echo "usage: deploy/package-test.sh [--binary FILE] [--boot]" >&2; exit 64 ;;
    esac
done

cache=.build/package-test
chroot=$(mktemp -d /tmp/homeward-package.XXXXXX)
trap 'as_root rm -rf --one-file-system "$chroot"' EXIT
mkdir -p "$cache"

fail() { echo "package-test: $*" >&2; exit 1; }

expect() { # expect WHAT COMMAND...
    local what=$1
    shift
    "$@" >"$chroot.log" 2>&1 || { cat "$chroot.log" >&2; fail "$what"; }
    rm -f "$chroot.log"
}

# inside COMMAND...: in the bare system, with /proc and nothing else of this one's.
inside() {
    # shellcheck disable=SC2016 # the inner shell's arguments
    as_root env DEBIAN_FRONTEND=noninteractive LC_ALL=C.UTF-8 unshare --mount --pid --fork --kill-child bash -c '
        root=$1
        shift
        mount -t proc proc "$root/proc"
        exec chroot "$root" "$@"' - "$chroot" "$@"
}

# units: silent to verify, exposed by 1.2 at most, and the template is homeward.service but for its names.
units() {
    say "units"
    local unit rendered said
    rendered=$(mktemp -d)
    for unit in deploy/systemd/*.service deploy/systemd/*.timer; do
        # The program need not be installed here.
        sed 's|/usr/bin/homeward |/bin/true |' "$unit" >"$rendered/$(basename "$unit")"
    done
    for unit in "$rendered"/*; do
        said=$(systemd-analyze verify --man=no "$unit" 2>&1)
        [ -z "$said" ] || fail "$(basename "$unit"): $said"
        case $unit in
            *.service) systemd-analyze security --offline=true --threshold=12 "$unit" | tail -1 ;;
        esac
    done
    rm -r "$rendered"
    diff <(settings homeward | sed -e 's|/etc/homeward/homeward.yaml|/etc/homeward/%i.yaml|' \
        -e 's|/etc/homeward/credentials/|/etc/homeward/%i.credentials/|' \
        -e 's|^StateDirectory=.*|StateDirectory=homeward/%i|' -e 's|^Description=.*|& (%i)|') \
        <(settings homeward@) || fail "homeward@.service is not homeward.service but for its names"
    diff <(settings homeward-doctor | sed -e 's|/etc/homeward/homeward.yaml|/etc/homeward/%i.yaml|' \
        -e 's|/etc/homeward/credentials/|/etc/homeward/%i.credentials/|' -e 's|^After=homeward|&@%i|' \
        -e 's|^Description=.*|& (%i)|') \
        <(settings homeward-doctor@) || fail "homeward-doctor@.service is not homeward-doctor.service but for its names"
}

settings() { grep -E '^[A-Z][A-Za-z]*=|^\[' "deploy/systemd/$1.service"; }

packages() {
    deploy/package.sh --output "$cache" ${binary:+--binary "$binary"}
    package=$(find "$cache" -name 'homeward_*.deb' ! -name '*+next*' -printf '%T@ %p\n' | sort -n | tail -1 | cut -d' ' -f2)
    version=$(dpkg-deb -f "$package" Version)
    # The next version: the same, with a program that writes down each call, and a changed conffile.
    next=$cache/homeward_$version+next.deb
    local tree
    tree=$(mktemp -d)
    as_root dpkg-deb -R "$package" "$tree"
    as_root sed -i "s/^Version: .*/&+next/" "$tree/DEBIAN/control"
    # shellcheck disable=SC2016 # the program's own arguments
    printf '#!/bin/sh\necho "$@" >>/root/calls\n' | as_root tee "$tree/usr/bin/homeward" >/dev/null
    echo "# the next version's" | as_root tee -a "$tree/etc/homeward/homeward.yaml" >/dev/null
    as_root dpkg-deb -Zgzip -z1 --build "$tree" "$next" >/dev/null
    as_root rm -r "$tree"
}

bare_system() {
    if [ ! -e "$cache/bookworm.tar" ]; then
        say "bare Debian 12"
        as_root debootstrap --variant=minbase bookworm "$chroot" >"$cache/debootstrap.log" 2>&1 || {
            tail -20 "$cache/debootstrap.log" >&2
            as_root find "$chroot" -mindepth 1 -xdev -delete
            return 1
        }
        as_root tar -C "$chroot" -cf "$cache/bookworm.tar" .
    else
        as_root tar -C "$chroot" -xf "$cache/bookworm.tar"
    fi
    # mktemp's is root's alone: others could not read their own libraries there.
    as_root chmod 755 "$chroot"
    printf '#!/bin/sh\nexit 101\n' | as_root tee "$chroot/usr/sbin/policy-rc.d" >/dev/null
    as_root chmod 755 "$chroot/usr/sbin/policy-rc.d"
    as_root cp /etc/resolv.conf "$chroot/etc/resolv.conf"
}

# install FILE: as an administrator does, so that apt finds what it depends on.
install_package() {
    as_root cp "$1" "$chroot/root/homeward.deb"
    inside apt-get install -qq -y --no-install-recommends -o Dpkg::Options::=--force-confdef \
        -o Dpkg::Options::=--force-confold /root/homeward.deb
}

ours() { inside find / -xdev -path /proc -prune -o -path /root -prune -o -path /var/log -prune -o -name '*homeward*' -print; }

installation() {
    say "install"
    expect "install" install_package "$package"
    [ "$(inside homeward --version)" = "$version" ] || fail "the installed program is another version"
    expect "user" inside getent passwd homeward
    expect "the shipped configuration is good for the daemon's user" \
        inside setpriv --reuid=homeward --regid=homeward --clear-groups --no-new-privs --inh-caps=-all \
        env STATE_DIRECTORY=/var/lib/homeward/spool homeward check --config /etc/homeward/homeward.yaml
    [ "$(inside stat -c %a%U /etc/homeward/credentials)" = 700root ] || fail "secrets are not root's alone"
    [ "$(inside stat -c %a%U:%G /etc/homeward/tls)" = 750root:homeward ] || fail "keys are not for the daemon's group"
    expect "bash's completion" inside bash -c \
        '. /usr/share/bash-completion/completions/homeward && complete -p homeward'
    # Where zsh looks for what it loads by its first line.
    [ "$(inside head -n 1 /usr/share/zsh/vendor-completions/_homeward)" = '#compdef homeward' ] || fail "zsh's completion"
    local said
    said=$(inside systemd-analyze verify --man=no homeward.service homeward@north.service homeward-doctor.timer \
        homeward-doctor@north.timer homeward-retention.timer 2>&1)
    [ -z "$said" ] || fail "installed units: $said"
    [ ! -e "$chroot/etc/systemd/system/multi-user.target.wants/homeward.service" ] || fail "enabled by itself"
    said=$(zcat "$chroot/usr/share/man/man1/homeward.1.gz" | LC_ALL=C.UTF-8 man --warnings -l - 2>&1 >/dev/null)
    [ -z "$said" ] || fail "manual page: $said"
}

upgrade() {
    say "upgrade"
    echo "# a change of the administrator's" | as_root tee -a "$chroot/etc/homeward/homeward.yaml" >/dev/null
    expect "upgrade" install_package "$next"
    [ ! -e "$chroot/root/calls" ] || fail "the upgrade called: $(cat "$chroot/root/calls")"
    as_root grep -q "administrator's" "$chroot/etc/homeward/homeward.yaml" || fail "a changed conffile was overwritten"
    as_root grep -q "next version's" "$chroot/etc/homeward/homeward.yaml.dpkg-dist" || fail "the new conffile is not shown"
}

removal() {
    say "remove and purge"
    as_root mkdir -p "$chroot/var/lib/homeward/spool/main"
    as_root touch "$chroot/var/lib/homeward/spool/main/0000000000000001.segment"
    expect "remove" inside dpkg --remove homeward
    as_root test -e "$chroot/etc/homeward/homeward.yaml" || fail "removing took the configuration"
    expect "purge" inside dpkg --purge homeward
    as_root test -e "$chroot/var/lib/homeward/spool/main/0000000000000001.segment" || fail "purging took undrained reports"
    as_root rm -r "$chroot/var/lib/homeward"

    expect "install again" install_package "$package"
    as_root install -d "$chroot/var/lib/homeward/spool/main"
    expect "purge" inside dpkg --purge homeward
    local left
    left=$(ours)
    [ -z "$left" ] || fail "left after the purge: $left"
}

# The unit under a real systemd: broker and database are away all the time.
booted() {
    say "boot"
    expect "systemd as the first process" inside apt-get install -qq -y --no-install-recommends systemd-sysv dbus
    expect "install" install_package "$package"
    as_root install -m 755 deploy/package/boot-test.sh "$chroot/root/boot-test.sh"
    printf '%s\n' '[Service]' 'Type=oneshot' 'ExecStart=/root/boot-test.sh' 'ExecStopPost=systemctl poweroff' \
        'StandardOutput=append:/root/said' 'StandardError=inherit' '[Install]' 'WantedBy=multi-user.target' |
        as_root tee "$chroot/etc/systemd/system/boot-test.service" >/dev/null
    expect "enable" inside systemctl enable boot-test.service
    as_root timeout 600 systemd-nspawn -q -D "$chroot" --boot --register=no --keep-unit >"$cache/boot.log" 2>&1 || true
    as_root cat "$chroot/root/said"
    as_root grep -qx 'all as it should be' "$chroot/root/said" || fail "the booted unit"
}

# Whether this place lets a bare system be: containers often forbid mounts, and some devices, without which debootstrap ends.
mounts_allowed() {
    # shellcheck disable=SC2016 # the inner shell's arguments
    as_root unshare --mount --pid --fork bash -c 'mount -t proc proc "$1"' - "$chroot" 2>/dev/null
}

# Where they are forbidden: dpkg alone, below an empty directory, and without the maintainer's scripts, which would work on
# this very system.
files_alone() {
    say "NO BARE SYSTEM CAN BE MADE HERE: files and conffiles alone are tested, by dpkg --root; no scripts, no user, no units run"
    local tree name left
    mkdir -p "$chroot/var/lib/dpkg/info" "$chroot/var/lib/dpkg/updates"
    touch "$chroot/var/lib/dpkg/status" "$chroot/var/lib/dpkg/available"
    for name in package next; do
        tree=$(mktemp -d)
        as_root dpkg-deb -R "${!name}" "$tree"
        as_root rm -f "$tree"/DEBIAN/{postinst,prerm,postrm}
        as_root dpkg-deb -Zgzip -z1 --build "$tree" "$chroot.$name.deb" >/dev/null
        as_root rm -r "$tree"
    done
    local dpkg=(as_root dpkg --root="$chroot" --force-depends --force-confdef --force-confold --log=/dev/null)
    expect "install" "${dpkg[@]}" --install "$chroot.package.deb"
    as_root test -x "$chroot/usr/bin/homeward" || fail "no program"
    echo "# a change of the administrator's" | as_root tee -a "$chroot/etc/homeward/homeward.yaml" >/dev/null
    expect "upgrade" "${dpkg[@]}" --install "$chroot.next.deb"
    as_root grep -q "administrator's" "$chroot/etc/homeward/homeward.yaml" || fail "a changed conffile was overwritten"
    as_root grep -q "next version's" "$chroot/etc/homeward/homeward.yaml.dpkg-dist" || fail "the new conffile is not shown"
    expect "purge" "${dpkg[@]}" --purge homeward
    left=$(as_root find "$chroot" -name '*homeward*' ! -type d)
    rm -f "$chroot".*.deb
    [ -z "$left" ] || fail "left after the purge: $left"
}

install_missing debootstrap systemd man-db
[ -z "$boot" ] || install_missing systemd-container
units
packages
if mounts_allowed && bare_system; then
    installation
    upgrade
    removal
    [ -z "$boot" ] || booted
else
    files_alone
fi
say "the package installs, upgrades and purges cleanly"
