#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Usage: bootstrap.sh demo|test
# Makes sure that the tools of `make demo` or `make test` are here. Silent when nothing is missing. On Debian, root gets the missing
# packages installed; everybody else is told the exact command.
set -eu
cd "$(dirname "$0")/../.."
purpose=${1:-demo}
min_rust=$(sed -n 's/^rust-version = "\(.*\)"/\1/p' Cargo.toml)

say() { echo "barrel_p2p: $*" >&2; }
have() { command -v "$1" >/dev/null 2>&1; }
# at_least 1.96.0 1.88
at_least() { [ "$(printf '%s\n%s\n' "$2" "$1" | sort -V | head -n 1)" = "$2" ]; }

# The OTP applications that are needed, and their Debian package when it is not erlang-<application>.
applications() {
    echo "kernel:base stdlib:base sasl:base crypto public_key tools runtime_tools parsetools syntax_tools"
    [ "$purpose" = demo ] || echo "common_test eunit dialyzer mnesia ssl os_mon reltool"
}

missing_erlang() {
    if ! have erl; then
        for entry in $(applications); do package "${entry#*:}"; done | sort -u
        echo erlang-dev
        return
    fi
    for entry in $(applications); do echo "${entry%:*}=$(package "${entry#*:}")"; done | tr '\n' ' ' >"$scratch/apps"
    erl -noinput -boot start_clean -eval '
        {ok, Text} = file:read_file(hd(init:get_plain_arguments())),
        [io:format("~s~n", [Package]) || Entry <- string:lexemes(Text, " \n"), [App, Package] <- [string:split(Entry, "=")],
                                         code:lib_dir(binary_to_atom(App)) =:= {error, bad_name}],
        halt().' -extra "$scratch/apps" | sort -u
}

package() { echo "erlang-$(echo "$1" | tr _ -)"; }

otp_too_old() {
    have erl && ! erl -noinput -boot start_clean -eval 'halt(case list_to_integer(erlang:system_info(otp_release)) of N when N >= 25 -> 0; _ -> 1 end).'
}

rust_is_fine() {
    have cargo && have rustc && at_least "$(rustc --version | cut -d' ' -f2)" "$min_rust" || return 1
    [ "$purpose" = demo ] || { cargo fmt --version && cargo clippy --version; } >/dev/null 2>&1
}

# Debian carries two families of Rust packages; the one with the suffix -web follows the browsers and is the newer one on Debian 12.
rust_packages() {
    for family in "rustc cargo rustfmt rust-clippy" "rustc-web cargo-web rustfmt-web rust-web-clippy"; do
        version=$(apt-cache policy "${family%% *}" 2>/dev/null | sed -n 's/^  Candidate: \([0-9.]*\).*/\1/p')
        if [ -n "$version" ] && at_least "$version" "$min_rust"; then echo "$family"; return; fi
    done
}

rust_by_hand() {
    if have rustup; then
        say "Rust $min_rust or newer with rustfmt and clippy is needed. Run:"
        say "  rustup toolchain install stable --component rustfmt --component clippy && rustup default stable"
    else
        say "Rust $min_rust or newer is needed and this system has no package of it. Run:"
        say "  curl --proto '=https' --tlsv1.2 -sSf https://sh.rustup.rs | sh -s -- -y && . \"\$HOME/.cargo/env\""
    fi
    say "and start again."
    exit 1
}

scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

if otp_too_old; then
    say "Erlang/OTP 25 or newer is needed; this is OTP $(erl -noinput -eval 'io:put_chars(erlang:system_info(otp_release)), halt().')."
    exit 1
fi
packages=$(missing_erlang)
have rebar3 || packages="$packages rebar3"
have cc || packages="$packages build-essential"
have git || packages="$packages git"
rust=fine
rust_is_fine || rust=missing

if ! have apt-get; then
    if [ -n "$(echo $packages)" ]; then
        say "please install Erlang/OTP 25 or newer with all its applications, rebar3 3.19 or newer, a C compiler and git (missing: $(echo $packages))."
        exit 1
    fi
    [ $rust = fine ] || rust_by_hand
    exit 0
fi

[ -z "$(echo $packages)" ] && [ $rust = fine ] && exit 0

if [ "$(id -u)" = 0 ]; then
    say "bringing the package lists up to date"
    apt-get update -qq
fi
if [ $rust = missing ]; then
    # Packages of Debian and a toolchain of rustup exclude each other.
    have rustup && rust_by_hand
    found=$(rust_packages)
    [ -n "$found" ] || [ "$(id -u)" != 0 ] || rust_by_hand
    # cargo reads crates.io over HTTPS.
    packages="$packages ${found:-cargo} ca-certificates"
fi
install="apt-get install -y --no-install-recommends $(echo $packages)"
if [ "$(id -u)" != 0 ]; then
    say "some tools are missing. Run:"
    say "  sudo apt-get update && sudo $install"
    say "and start again."
    exit 1
fi
say "installing: $(echo $packages)"
DEBIAN_FRONTEND=noninteractive $install -qq >"$scratch/log" 2>&1 || { cat "$scratch/log" >&2; say "the installation failed, see above"; exit 1; }
rust_is_fine || rust_by_hand
