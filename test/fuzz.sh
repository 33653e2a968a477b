#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Usage: fuzz.sh CASES: throws so many random inputs at every decoder that reads bytes of a peer.
#
# These are the property tests with `any_bytes` in their name, which `make test` runs briefly. Here they are optimised, yet keep overflow
# checks and assertions, and the address space is limited: an allocation that follows a claimed length fails the run.
set -eu
cd "$(dirname "$0")/.."
cases=${1:?usage: fuzz.sh CASES}
limit_kib=4194304

run() {
    cargo test --workspace --lib --tests --profile fuzz \
        --config 'profile.fuzz.inherits="release"' \
        --config 'profile.fuzz.overflow-checks=true' --config 'profile.fuzz.debug-assertions=true' "$@"
}

run --quiet --no-run
ulimit -v $limit_kib
export BARREL_P2P_FUZZ_CASES="$cases" PROPTEST_CASES="$cases"
began=$(date +%s)
log=$(mktemp)
trap 'rm -f "$log"' EXIT
code=0
run any_bytes >"$log" 2>&1 || code=$?
grep -E '^test .*any_bytes|panicked|^error' "$log" || true
targets=$(grep -cE '^test .*any_bytes.* ok$' "$log" || true)
[ $code = 0 ] || { tail -n 60 "$log"; exit 1; }
[ "$targets" -gt 0 ] || { echo "no decoder was tested" >&2; exit 1; }
echo "$targets decoders, $cases cases each, $(($(date +%s) - began)) s"
