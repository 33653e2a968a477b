#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Boots real nodes that talk Erlang distribution over barrel_p2p, and shows what they do. Needs a compiled project (`rebar3 compile`).
set -eu
cd "$(dirname "$0")/../.."
command -v erl >/dev/null 2>&1 || { echo "demo: erl not found; on Debian: apt-get install erlang" >&2; exit 1; }
ebin=${DEMO_EBIN:-_build/default/lib/barrel_p2p/ebin}
[ -f "$ebin/barrel_p2p_dist.beam" ] || { echo "demo: nothing compiled in $ebin; run \`rebar3 compile\` first" >&2; exit 1; }
unset ERL_FLAGS ERL_AFLAGS ERL_ZFLAGS ERL_LIBS

temp=$(mktemp -d "${TMPDIR:-/tmp}/barrel_p2p_demo.XXXXXX")
# The nodes end when the story loses them. This is for the case that one of them hangs: every process that was noted and is still ours.
cleanup() {
    for pid in $(cat "$temp/pids" 2>/dev/null); do
        grep -qs "$temp" "/proc/$pid/cmdline" && kill -9 "$pid" 2>/dev/null
    done
    rm -rf "$temp"
}
trap cleanup EXIT
trap 'exit 130' INT TERM HUP

erlc -Werror -I include -o "$temp" examples/demo/*.erl
if [ -t 1 ] && [ -z "${NO_COLOR:-}" ]; then colour=true; else colour=false; fi
# +Bd: an interrupt ends the story at once.
erl -noinput +Bd -pa "$temp" -pa "$ebin" -demo_temp "$temp" -demo_colour "$colour" -s demo main
