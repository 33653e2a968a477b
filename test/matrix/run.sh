#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Runs the suites of test/integration and test/cluster on OTP 27 and OTP 29, then the cluster suites with nodes of different versions.
#
# The versions come from Debian trixie and forky, unpacked below $BARREL_P2P_MATRIX_DIR. The modules and the native library that were built
# here run there unchanged. Everything is mounted in a mount namespace of its own, which ends with this script.
#
# Usage: run.sh [SUITE...]: only these suites, such as `signals_SUITE`.
set -eu
cd "$(dirname "$0")/../.."
root=$PWD
home=${BARREL_P2P_MATRIX_DIR:-$HOME/.cache/barrel_p2p-matrix}
mirror=${BARREL_P2P_MATRIX_MIRROR:-http://deb.debian.org/debian}
otp="erlang-base erlang-common-test erlang-crypto erlang-eunit erlang-mnesia erlang-os-mon erlang-public-key erlang-ssl erlang-tools"

say() { echo "matrix: $*"; }
[ "$(id -u)" = 0 ] || { say "needs root, for debootstrap and chroot. Run: sudo make test-matrix" >&2; exit 1; }
[ "$(uname -s)" = Linux ] || { say "needs Linux" >&2; exit 1; }
if [ "${BARREL_P2P_MATRIX_MOUNTS:-}" != private ]; then
    BARREL_P2P_MATRIX_MOUNTS=private exec unshare --mount "$0" "$@"
fi
command -v debootstrap >/dev/null || {
    command -v apt-get >/dev/null || { say "needs debootstrap" >&2; exit 1; }
    apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends debootstrap >/dev/null
}

scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

# unpack RELEASE: a Debian with OTP in $home/RELEASE. A folder without the mark was left by an interrupted run.
unpack() {
    tree=$home/$1
    [ -e "$tree/.complete" ] && return
    say "unpacking Debian $1 into $tree"
    rm -rf "$tree"
    mkdir -p "$home"
    # debootstrap of an older Debian does not know newer releases; they are made like unstable.
    cp -r /usr/share/debootstrap "$scratch/$1"
    [ -e "$scratch/$1/scripts/$1" ] || ln -s sid "$scratch/$1/scripts/$1"
    DEBOOTSTRAP_DIR=$scratch/$1 debootstrap --variant=minbase "$1" "$tree" "$mirror" >"$scratch/log" 2>&1 &&
        DEBIAN_FRONTEND=noninteractive chroot "$tree" apt-get install -y -qq --no-install-recommends $otp >>"$scratch/log" 2>&1 &&
        chroot "$tree" apt-get clean || { tail -n 20 "$scratch/log" >&2; say "Debian $1 could not be unpacked" >&2; exit 1; }
    touch "$tree/.complete"
}

# enter RELEASE: makes this checkout visible there under its own path, and writes $scratch/erl-RELEASE, which starts that Erlang here.
enter() {
    tree=$home/$1
    mkdir -p "$tree$root"
    mount --bind "$root" "$tree$root"
    mount -t proc proc "$tree/proc"
    cp /etc/hosts "$tree/etc/hosts"
    cat >"$scratch/erl-$1" <<EOF
#!/bin/sh
exec chroot "$tree" /bin/sh -c 'cd "\$0" && exec erl "\$@"' "\$PWD" "\$@"
EOF
    chmod +x "$scratch/erl-$1"
}

beams=_build/test/lib/barrel_p2p
# suites FOLDER...: the suites there, or those of the command line that are there.
suites() {
    for folder; do
        for file in test/"$folder"/*_SUITE.erl; do
            name=$(basename "$file" .erl)
            case " $chosen " in "  " | *" $name "*) echo "$name" ;; esac
        done
    done
}

failures=0
# check TITLE COMMAND...: runs ct_run, shows its verdict, goes on with the next one.
check() {
    title=$1
    shift
    log=_build/matrix/$title.log
    began=$(date +%s)
    if "$@" >"$log" 2>&1 </dev/null; then verdict=ok; else verdict=FAILED; failures=$((failures + 1)); fi
    counts=$(sed -n 's/.*- - - - -//; s/^\([0-9]* ok, [0-9]* failed.*of [0-9]* test cases\).*/\1/p' "$log" | tail -n 1)
    say "$verdict  $title ($(($(date +%s) - began)) s; ${counts:-no verdict of Common Test}; $log)"
    [ $verdict = ok ] || grep -E 'FAILED|failed on line|Reason:' "$log" | head -n 20 || true
}

ct() {
    program=$1
    logs=$2
    shift 2
    mkdir -p "$logs"
    $program -noinput -no_auto_compile -pa $beams/ebin $beams/test -dir $beams/test -logdir "$logs" -suite "$@"
}

chosen="$*"
for release in trixie forky; do
    unpack $release
    enter $release
done
rebar3 as test compile
rm -rf _build/matrix
mkdir -p _build/matrix

for release in trixie forky; do
    version=$("$scratch/erl-$release" -noinput -boot start_clean -eval 'io:put_chars(erlang:system_info(otp_release)), halt().')
    check "otp-$version" ct "chroot $home/$release env -C $root ct_run" "_build/matrix/otp-$version" $(suites integration cluster)
done

# The peers of a cluster get the programs in turn, so the first dials across versions, in both directions.
here=$(command -v erl)
for pair in "$here:$scratch/erl-trixie" "$scratch/erl-trixie:$scratch/erl-forky" "$scratch/erl-forky:$here"; do
    title=mixed-$(echo "$pair" | sed "s|$scratch/erl-||g; s|$here|host|")
    check "$(echo "$title" | tr : -)" ct "env BARREL_P2P_TEST_ERL=$pair ct_run" "_build/matrix/$(echo "$title" | tr : -)" $(suites cluster)
done

[ $failures = 0 ] || { say "$failures runs failed"; exit 1; }
say "all runs passed"
