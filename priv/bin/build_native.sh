#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Builds the native core and puts it into priv/. A loaded library must never be overwritten in place: remove, then copy.
# BARREL_P2P_PREBUILT=1: the library in priv/ was built elsewhere, leave it.
set -eu
cd "$(dirname "$0")/../.."
[ -z "${BARREL_P2P_PREBUILT:-}" ] || exit 0
command -v cargo >/dev/null 2>&1 || { echo "barrel_p2p: cargo not found; install stable Rust (https://rustup.rs) and try again" >&2; exit 1; }
[ -e priv/barrel_p2p_nif.so ] || echo "barrel_p2p: building the native core; the first time takes a few minutes"
cargo build --quiet --release --package barrel_p2p_nif
built="${CARGO_TARGET_DIR:-target}/release/libbarrel_p2p_nif"
for ext in so dylib; do
    [ -f "$built.$ext" ] || continue
    cmp -s "$built.$ext" priv/barrel_p2p_nif.so && exit 0
    rm -f priv/barrel_p2p_nif.so
    cp "$built.$ext" priv/barrel_p2p_nif.so
    exit 0
done
echo "barrel_p2p: cargo built no library at $built" >&2
exit 1
