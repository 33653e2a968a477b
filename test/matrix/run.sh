#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Runs the suites of test/integration and test/cluster on OTP 27 and OTP 29, then the cluster suites with nodes of different versions.
#
# The versions come from Debian trixie and forky, unpacked below $BARREL_P2P_MATRIX_DIR. Each compiles the Erlang modules itself; the native
# library is the one built here. Every version sees its own modules under one common path, by mounts in a namespace that ends with this
# script.
#
# Usage: run.sh [SUITE...]: only these suites, such as `signals_SUITE`.
set -eu
cd "$(dirname "$0")/../.."
root=$PWD
home=${BARREL_P2P_MATRIX_DIR:-$HOME/.cache/barrel_p2p-matrix}
mirror=${BARREL_P2P_MATRIX_MIRROR:-http://deb.debian.org/debian}
packages="erlang-base erlang-common-test erlang-crypto erlang-dev erlang-eunit erlang-mnesia erlang-os-mon erlang-public-key erlang-ssl
    erlang-tools rebar3"
work=_build/matrix
# Where a node finds the modules, whatever its version.
common=$work/common/test/lib/barrel_p2p
chosen="$*"
failures=0

say() { echo "matrix: $*"; }
fail() { say "$*" >&2; exit 1; }

[ "$(uname -s)" = Linux ] || fail "needs Linux"
[ "$(id -u)" = 0 ] || fail "needs root, for debootstrap and chroot. Run: sudo make test-matrix"
if [ "${BARREL_P2P_MATRIX_MOUNTS:-}" != private ]; then
    BARREL_P2P_MATRIX_MOUNTS=private exec unshare --mount "$0" "$@"
fi
if ! command -v debootstrap >/dev/null; then
    command -v apt-get >/dev/null || fail "needs debootstrap"
    apt-get update -qq
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends debootstrap >/dev/null
fi
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

# unpack RELEASE: a Debian with OTP in $home/RELEASE. A folder without the mark was left by an interrupted run.
unpack() {
    [ -e "$home/$1/.complete" ] && return
    say "unpacking Debian $1 into $home/$1"
    rm -rf "${home:?}/$1"
    mkdir -p "$home"
    # An older debootstrap does not know newer releases; they are made like unstable.
    cp -r /usr/share/debootstrap "$scratch/$1"
    [ -e "$scratch/$1/scripts/$1" ] || ln -s sid "$scratch/$1/scripts/$1"
    {
        DEBOOTSTRAP_DIR=$scratch/$1 debootstrap --variant=minbase "$1" "$home/$1" "$mirror" &&
            DEBIAN_FRONTEND=noninteractive chroot "$home/$1" apt-get install -y --no-install-recommends $packages &&
            chroot "$home/$1" apt-get clean
    } >"$scratch/log" 2>&1 || { tail -n 20 "$scratch/log" >&2; fail "Debian $1 could not be unpacked"; }
    touch "$home/$1/.complete"
}

# inside WHERE COMMAND...: runs it here (`host`) or in a release, in this folder.
inside() {
    place=$1
    shift
    if [ "$place" = host ]; then "$@"; else chroot "$home/$place" env -C "$root" "$@"; fi
}

# build WHERE: compiles there and shows the result under the common path.
build() {
    say "compiling with OTP $(version "$1")"
    inside "$1" env REBAR_BASE_DIR="$work/$1" BARREL_P2P_PREBUILT=1 rebar3 as test compile >"$work/$1.log" 2>&1 ||
        { tail -n 20 "$work/$1.log" >&2; fail "OTP $(version "$1") does not compile the modules"; }
    case $1 in host) tree= ;; *) tree=$home/$1 ;; esac
    mount --bind "$work/$1/test/lib/barrel_p2p" "$tree$root/$common"
}

version() { inside "$1" erl -noinput -boot start_clean -eval 'io:put_chars(erlang:system_info(otp_release)), halt().'; }

# program FROM TO: writes a program that, started in FROM, starts the Erlang of TO, and prints its path.
program() {
    [ "$1" != "$2" ] || { inside "$1" sh -c 'command -v erl'; return; }
    path=$work/bin/$1-$2
    # A release sees another one below /mnt; the host sees all of them.
    case $1 in host) to=$home/$2 ;; *) to=/mnt/$2 ;; esac
    cat >"$path" <<EOF
#!/bin/sh
exec chroot "$to" /bin/sh -c 'cd "\$0" && exec erl "\$@"' "\$PWD" "\$@"
EOF
    chmod +x "$path"
    echo "$root/$path"
}

# suites FOLDER...: the chosen suites in these folders, as Erlang atoms.
suites() {
    for folder; do
        for file in test/"$folder"/*_SUITE.erl; do
            name=$(basename "$file" .erl)
            case " $chosen " in "  " | *" $name "*) echo "$name" ;; esac
        done
    done | paste -s -d , -
}

# run TITLE WHERE PROGRAMS SUITES: Common Test in WHERE, its nodes started with PROGRAMS in turn.
run() {
    [ -n "$4" ] || return 0
    log=$work/$1.log
    began=$(date +%s)
    mkdir -p "$work/$1"
    verdict=ok
    inside "$2" env BARREL_P2P_TEST_ERL="$3" erl -noinput -pa "$root/$common/ebin" "$root/$common/test" -eval "
        {Ok, Failed, {Skipped, Unable}} =
            ct:run_test([{dir, \"$common/test\"}, {suite, [$4]}, {auto_compile, false}, {logdir, \"$work/$1\"}]),
        io:format(\"~nVERDICT ~b passed, ~b failed, ~b skipped~n\", [Ok, Failed + Unable, Skipped]),
        halt(case Failed + Unable of 0 -> 0; _ -> 1 end)." >"$log" 2>&1 </dev/null || verdict=FAILED
    counts=$(sed -n 's/^VERDICT //p' "$log")
    say "$verdict  $1: ${counts:-no verdict} ($(($(date +%s) - began)) s, $log)"
    [ $verdict = ok ] && return
    failures=$((failures + 1))
    grep -E 'FAILED|SKIPPED|failed on line|Reason:' "$log" | head -n 20 || tail -n 20 "$log"
}

# mixed CONTROL RELEASE: CONTROL steers, and nodes of both take part, CONTROL's first. Both use the suites that CONTROL has compiled, because
# funs travel between nodes only when both have the very same module.
mixed() {
    mount --bind "$work/$1/test/lib/barrel_p2p/test" "$home/$2$root/$common/test"
    [ "$1" = host ] || mount --rbind "$home/$2" "$home/$1/mnt/$2"
    run "mixed-$(version "$1")-$(version "$2")" "$1" "$(program "$1" "$1"):$(program "$1" "$2")" "$(suites cluster)"
    [ "$1" = host ] || umount --recursive "$home/$1/mnt/$2"
    umount "$home/$2$root/$common/test"
}

rebar3 compile
rm -rf "$work"
mkdir -p "$work/bin" "$common"
for release in trixie forky; do
    unpack $release
    mkdir -p "$home/$release$root" "$home/$release/mnt/forky"
    mount --bind "$root" "$home/$release$root"
    mount -t proc proc "$home/$release/proc"
    mount --rbind /dev "$home/$release/dev"
    cp /etc/hosts "$home/$release/etc/hosts"
done
for where in host trixie forky; do build $where; done

for release in trixie forky; do
    run "otp-$(version $release)" $release "$(program $release $release)" "$(suites integration cluster)"
done
# Two releases apart, as far as OTP promises to understand itself: pg of 25 and of 29 does not, over any carrier.
mixed host trixie
mixed trixie forky

[ $failures = 0 ] || fail "$failures runs failed"
say "all runs passed"
