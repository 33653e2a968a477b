#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Usage: fuzz.sh CASES: throws so many random inputs at every decoder that reads bytes of a peer.
#
# These are the property tests of `tests/any_bytes.rs` in each crate, and those inside a crate with `any_bytes` in their name. `make test`
# runs them briefly. Here they are optimised, yet keep overflow checks and assertions, and the address space is limited: an allocation
# that follows a claimed length fails the run.
set -eu
cd "$(dirname "$0")/.."
cases=${1:?usage: fuzz.sh CASES}
limit_kib=4194304

run() {
    cargo test --workspace --profile fuzz --config 'profile.fuzz.inherits="release"' \
        --config 'profile.fuzz.overflow-checks=true' --config 'profile.fuzz.debug-assertions=true' "$@"
}

log=$(mktemp)
trap 'rm -f "$log"' EXIT
run --quiet --no-run --lib --test any_bytes
ulimit -v $limit_kib
export BARREL_P2P_FUZZ_CASES="$cases"
began=$(date +%s)
code=0
{ run --test any_bytes && run --lib any_bytes; } >"$log" 2>&1 || code=$?
grep -E '^test .* \.\.\. ' "$log" || true
targets=$(grep -cE '^test .* ok$' "$log" || true)
[ $code = 0 ] && [ "$targets" -gt 0 ] || { tail -n 60 "$log"; exit 1; }
echo "$targets properties, $cases cases for each decoder, $(($(date +%s) - began)) s"
