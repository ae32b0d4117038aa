# Sourced by the scripts beside it: installs the Debian packages that are missing.
# shellcheck shell=bash

say() { printf '\n== %s\n' "$*"; }

as_root() { if [ "$(id -u)" -eq 0 ]; then "$@"; else sudo "$@"; fi; }

# The servers that these packages bring are not wanted as services: every script here starts private ones.
install_missing() {
    local missing=() package
    for package in "$@"; do
        dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null | grep -qx installed || missing+=("$package")
    done
    [ ${#missing[@]} -eq 0 ] && return
    say "installing ${missing[*]}"
    local policy=/usr/sbin/policy-rc.d
    if [ ! -e "$policy" ]; then
        printf '#!/bin/sh\nexit 101\n' | as_root tee "$policy" >/dev/null
        as_root chmod 755 "$policy"
        # shellcheck disable=SC2064 # the path is known now
        trap "as_root rm -f $policy" RETURN
    fi
    as_root apt-get update -qq
    as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
}

install_build_packages() {
    install_missing libmosquitto-dev libpq-dev libcurl4-openssl-dev libsodium-dev pkg-config
    command -v swift >/dev/null || { echo "a Swift 6 toolchain is needed: https://www.swift.org/install/linux/" >&2; exit 69; }
}

install_server_packages() { install_missing mosquitto mosquitto-clients postgresql postgresql-client openssl; }

# What the tests need beside: a mail server that misbehaves on demand, a clock that jumps, a reader's MQTT library, and
# networks whose cables can be pulled.
install_test_packages() { install_missing python3-aiosmtpd faketime python3-paho-mqtt iproute2; }

# A browser, and what drives it and holds it to axe-core's rules in an environment of its own; its Python into HOMEWARD_BROWSER_PYTHON.
install_browser() {
    install_missing chromium python3-venv
    local environment=$PWD/.build/browser
    [ -x "$environment/bin/python" ] || /usr/bin/python3 -m venv "$environment"
    "$environment/bin/python" -c 'import playwright, axe_playwright_python' 2>/dev/null ||
        "$environment/bin/pip" install --quiet 'playwright>=1.50' 'axe-playwright-python>=0.1.4'
    export HOMEWARD_BROWSER_PYTHON=$environment/bin/python
}
