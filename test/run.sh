#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Every check and every test that a contributor should run, the fast ones first. Stops at the first step that fails and shows the end of
# its output. The last line is always `N passed, N failed, N skipped`, summed over cargo test, EUnit and Common Test.
set -u
cd "$(dirname "$0")/.."
logs=_build/steps
mkdir -p "$logs"
rm -f "$logs"/*.log
passed=0 failed=0 skipped=0

# sum PATTERN FILE: adds up what the first group of the pattern matches, over all lines.
sum() { sed -nE "s/$1/\1/p" "$2" | awk '{ n += $1 } END { print n + 0 }'; }

# Prints `passed failed skipped` of one test runner's log.
count() {
    case $1 in
        cargo)
            echo "$(sum '^test result:.* ([0-9]+) passed.*' "$2") $(sum '^test result:.* ([0-9]+) failed.*' "$2")" \
                 "$(sum '^test result:.* ([0-9]+) ignored.*' "$2")" ;;
        eunit)
            bad=$(sum '^[0-9]+ tests, ([0-9]+) failures.*' "$2")
            gone=$(sum '^[0-9]+ tests,.* ([0-9]+) cancelled.*' "$2")
            left=$(sum '^[0-9]+ tests,.* ([0-9]+) skip.*' "$2")
            all=$(sum '^([0-9]+) tests, [0-9]+ failures.*' "$2")
            echo "$((all - bad - gone - left)) $((bad + gone)) $left" ;;
        ct | instruments)
            good=$(sum '^ *All ([0-9]+) tests passed.*' "$2")
            echo "$((good + $(sum '.*Passed ([0-9]+) tests.*' "$2"))) $(sum '.*Failed ([0-9]+) tests.*' "$2")" \
                 "$(sum '.*Skipped ([0-9]+) \(.*' "$2")" ;;
        *)
            echo "0 0 0" ;;
    esac
}

closing_line() { echo "$passed passed, $failed failed, $skipped skipped"; }

# step NAME COMMAND...: runs it, keeps its output, prints one line.
step() {
    name=$1
    shift
    began=$(date +%s)
    "$@" >"$logs/$name.raw" 2>&1 </dev/null
    code=$?
    sed 's/\x1b\[[0-9;]*m//g' "$logs/$name.raw" >"$logs/$name.log"
    rm -f "$logs/$name.raw"
    set -- $(count "$name" "$logs/$name.log")
    passed=$((passed + $1)) failed=$((failed + $2)) skipped=$((skipped + $3))
    tests=
    [ "$*" = "0 0 0" ] || tests=", $1 passed, $2 failed, $3 skipped"
    took=$(($(date +%s) - began))
    if [ $code = 0 ]; then
        echo "ok      $name (${took} s$tests)"
        return
    fi
    echo "FAILED  $name (${took} s$tests); the end of $logs/$name.log:"
    tail -n 80 "$logs/$name.log"
    [ "$2" != 0 ] || failed=$((failed + 1))
    closing_line
    exit 1
}

step fmt cargo fmt --all --check
step compile rebar3 compile
step xref rebar3 xref
step clippy cargo clippy --quiet --workspace --all-targets -- --deny warnings
# The crates are internal: their documentation is for who works on them, private items included.
step rustdoc env RUSTDOCFLAGS="--deny warnings --allow rustdoc::private-intra-doc-links" cargo doc --quiet --workspace --no-deps --document-private-items
step dialyzer rebar3 dialyzer
step eunit rebar3 eunit
step instruments bench/run.sh --self-test
step cargo cargo test --workspace
step sim cargo run --quiet --release --package barrel_p2p_sim -- native/sim/scenarios/small
step ct rebar3 ct

grep -h -A1 'SKIPPED$' "$logs/ct.log" | grep -v '^--$' || true
closing_line
