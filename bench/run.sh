#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# The carrier benchmark: the same workload over inet_tcp, inet_tls and barrel_p2p; with `state` as first argument the one of maps and
# registry, with `lanes` the one of small messages beside bulk, with `network` the one on impaired paths; `page` writes
# docs/reference/benchmarks.md from their newest results. See bench/README.md.
set -eu
cd "$(dirname "$0")/.."
command -v erl >/dev/null 2>&1 || { echo "bench: erl not found; on Debian: apt-get install erlang" >&2; exit 1; }
[ -r /proc/self/stat ] || { echo "bench: needs Linux, it reads CPU times from /proc" >&2; exit 1; }

# The VMs under test run with default emulator flags.
unset ERL_FLAGS ERL_AFLAGS ERL_ZFLAGS ERL_LIBS ERL_EPMD_PORT ERL_EPMD_ADDRESS

temp=$(mktemp -d "${TMPDIR:-/tmp}/barrel_p2p_bench.XXXXXX")
trap 'rm -rf "$temp"' EXIT
trap 'exit 130' INT TERM HUP
mkdir "$temp/ebin"
erlc -Werror -o "$temp/ebin" bench/src/bench_carrier.erl
erlc -Werror -pa "$temp/ebin" -o "$temp/ebin" bench/src/*.erl bench/test/*.erl

if [ "${1:-}" = --self-test ]; then
    erl -noinput -pa "$temp/ebin" -bench_temp "$temp" \
        -eval 'halt(case eunit:test([bench_instrument_tests, bench_page_tests]) of ok -> 0; error -> 1 end).'
    exit
fi

commit=$(git describe --always --dirty --exclude '*' 2>/dev/null || echo unknown)
main=bench
case "${1:-}" in
    state) main=bench_state ;;
    lanes) main=bench_lanes ;;
    network)
        main=bench_network
        cargo build --quiet --release -p barrel_p2p_impair ;;
    page) main=bench_page ;;
esac
# +Bd: an interrupt ends the driver at once; its VMs and its epmd end when they lose it.
erl -noinput +Bd -pa "$temp/ebin" -bench_temp "$temp" -bench_commit "$commit" -s $main main -extra "$@"
