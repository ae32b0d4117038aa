#!/usr/bin/env bash
# Builds Debian packages: homeward_VERSION_ARCH.deb, and homeward-dbgsym_VERSION_ARCH.deb with the debug symbols.
#
#   deploy/package.sh [--output DIRECTORY] [--binary FILE] [--version VERSION]
#
# Into .build/package unless told otherwise. --binary takes a program that was built already, in release mode with
# --static-swift-stdlib; without it one is built. --version is for tests: else it is what the program says.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
# shellcheck source=deploy/install.sh
source deploy/install.sh

output=.build/package binary='' version=''
while [ $# -gt 0 ]; do
    case $1 in
        --output) output=${2:?} ;;
        --binary) binary=${2:?} ;;
        --version) version=${2:?} ;;
        *) sed -n '2,7s/^# \{0,1\}//p' "${BASH_SOURCE[0]}" >&2; exit 64 ;;
    esac
    shift 2
done

install_missing dpkg-dev binutils chrpath python3 lintian man-db
if [ -z "$binary" ]; then
    install_build_packages
    say "release build"
    swift build -c release --static-swift-stdlib --product homeward
    binary=$(swift build -c release --static-swift-stdlib --show-bin-path)/homeward
fi
[ -n "$version" ] || version=$("$binary" --version)
architecture=$(dpkg --print-architecture)
# The last change, so that the same sources give the same package.
SOURCE_DATE_EPOCH=$(git log -1 --format=%ct 2>/dev/null || stat -c %Y Package.swift)
export SOURCE_DATE_EPOCH

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
root=$work/homeward debug=$work/homeward-dbgsym
mkdir -p "$root" "$debug" "$output"

# put MODE FILE PLACE: one file into the package.
put() { install -D -m "$1" "$2" "$root/$3"; }

program() {
    put 755 "$binary" usr/bin/homeward
    build_id=$(readelf -n "$binary" 2>/dev/null | sed -n 's/.*Build ID: //p')
    [ -n "$build_id" ] || { echo "$binary has no build id" >&2; exit 70; }
    local symbols=$debug/usr/lib/debug/.build-id/${build_id:0:2}/${build_id:2}.debug
    mkdir -p "$(dirname "$symbols")"
    objcopy --only-keep-debug --compress-debug-sections "$binary" "$symbols"
    chmod 644 "$symbols"
    # Where it was linked looks for libraries beside it; the packaged one uses the system's alone.
    chrpath --delete "$root/usr/bin/homeward" >/dev/null
    strip --strip-unneeded --remove-section=.comment --remove-section=.note "$root/usr/bin/homeward"
}

words() {
    # Sourced, not run: without its first line, which names a shell.
    "$binary" --generate-completion-script bash | sed '1{/^#!/d}' >"$work/completion.bash"
    "$binary" --generate-completion-script zsh >"$work/completion.zsh"
    put 644 "$work/completion.bash" usr/share/bash-completion/completions/homeward
    put 644 "$work/completion.zsh" usr/share/zsh/vendor-completions/_homeward
    "$binary" --experimental-dump-help |
        deploy/package/manual.py "$version" "$(LC_ALL=C date -ud "@$SOURCE_DATE_EPOCH" '+%B %-d, %Y')" \
            >"$work/homeward.1"
    gzip -9n "$work/homeward.1"
    put 644 "$work/homeward.1.gz" usr/share/man/man1/homeward.1.gz
    gzip -9nc deploy/package/changelog >"$work/changelog.gz"
    put 644 "$work/changelog.gz" usr/share/doc/homeward/changelog.gz
    copyright >"$work/copyright"
    put 644 "$work/copyright" usr/share/doc/homeward/copyright
    put 644 README.md usr/share/doc/homeward/README.md
}

# The packages linked into the program, from the manifest's resolution.
copyright() {
    local checkout
    while IFS= read -r line; do
        if [ "$line" != @PACKAGES@ ]; then printf '%s\n' "$line"; continue; fi
        for checkout in .build/checkouts/*/; do
            case $(head -1 "$checkout"LICENSE* | tr -s ' ') in
                *MIT*) echo "  $(basename "$checkout") (MIT)" ;;
                *Apache*) echo "  $(basename "$checkout")" ;;
                *) echo "  $(basename "$checkout"): read its LICENSE" ;;
            esac
        done
    done <deploy/package/copyright.in
}

settings() {
    put 644 config/homeward.yaml etc/homeward/homeward.yaml
    install -d -m 750 "$root/etc/homeward/tls"
    install -d -m 700 "$root/etc/homeward/credentials"
    local unit file
    for unit in deploy/systemd/*.service deploy/systemd/*.timer; do
        put 644 "$unit" "lib/systemd/system/$(basename "$unit")"
    done
    put 644 deploy/package/homeward.sysusers usr/lib/sysusers.d/homeward.conf
    for file in config/protocols/*.yaml config/templates/* config/schemas/*; do
        put 644 "$file" "usr/share/homeward/${file#config/}"
    done
    put 644 config/registry.yaml usr/share/doc/homeward/examples/registry.yaml
    put 755 deploy/clients/reader.py usr/share/doc/homeward/examples/reader.py
    put 755 deploy/clients/reader.sh usr/share/doc/homeward/examples/reader.sh
    put 644 deploy/roles.sql usr/share/homeward/roles.sql
    put 644 deploy/broker/mosquitto.conf usr/share/homeward/broker/mosquitto.conf
    put 644 deploy/broker/mosquitto.acl usr/share/homeward/broker/mosquitto.acl
    put 755 deploy/broker/pki.sh usr/share/homeward/broker/pki.sh
    put 644 deploy/monitoring/homeward.rules.yml usr/share/homeward/monitoring/homeward.rules.yml
    put 644 deploy/monitoring/homeward.dashboard.json usr/share/homeward/monitoring/homeward.dashboard.json
}

# control FILE TREE: the template filled in, with the tree's size in KiB.
control() {
    mkdir -p "$2/DEBIAN"
    sed -e "s/@VERSION@/$version/; s/@ARCHITECTURE@/$architecture/; s/@BUILDID@/$build_id/" \
        -e "s/@SHLIBDEPS@/${shared:-}/; s/@SIZE@/$(du -sk --apparent-size "$2" | cut -f1)/" "$1" >"$2/DEBIAN/control"
}

# What the shared libraries that the program names are called by Debian, in which versions.
dependencies() {
    mkdir -p "$work/debian" "$root/DEBIAN"
    printf 'Source: homeward\n\nPackage: homeward\nArchitecture: any\n' >"$work/debian/control"
    shared=$(cd "$work" && dpkg-shlibdeps -O homeward/usr/bin/homeward |
        sed -n 's/^shlibs:Depends=//p')
    [ -n "$shared" ] || { echo "no dependencies found" >&2; exit 70; }
}

maintainer_files() {
    local script
    for script in postinst prerm postrm; do install -m 755 "deploy/package/$script" "$root/DEBIAN/$script"; done
    (cd "$root" && find etc -type f -printf '/%p\n' | sort) >"$root/DEBIAN/conffiles"
    local tree
    for tree in "$root" "$debug"; do
        (cd "$tree" && find . -type f ! -path './DEBIAN/*' -printf '%P\0' | sort -z | xargs -0 md5sum) \
            >"$tree/DEBIAN/md5sums"
        chmod 644 "$tree/DEBIAN/md5sums"
    done
    chmod 644 "$root/DEBIAN/conffiles"
}

say "homeward $version for $architecture"
program
words
settings
dependencies
put 644 deploy/package/lintian-overrides usr/share/lintian/overrides/homeward
mkdir -p "$debug/usr/share/doc"
ln -s homeward "$debug/usr/share/doc/homeward-dbgsym"
control deploy/package/control.in "$root"
control deploy/package/control-dbgsym.in "$debug"
maintainer_files
find "$root" "$debug" -newermt "@$SOURCE_DATE_EPOCH" -exec touch -hd "@$SOURCE_DATE_EPOCH" {} +
package=$output/homeward_${version}_$architecture.deb
dpkg-deb --root-owner-group -Zxz -z3 --build "$root" "$package" >/dev/null
# Debug sections are compressed already.
dpkg-deb --root-owner-group -Zgzip -z1 --build "$debug" "$output/homeward-dbgsym_${version}_$architecture.deb" >/dev/null

say "lintian"
lintian --fail-on error --suppress-tags bad-distribution-in-changes-file "$package"
ls -l "$output"/*"_${version}_$architecture.deb"
