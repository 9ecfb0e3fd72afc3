#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# What the namespace tests share, and the shell one test runs in: lib.sh FILE FUNCTION (run.sh calls it).
#
# A test is a function test_NAME in tests/net/test_*.sh. It runs under `set -e` with topology/lib.sh, routed.sh and
# tun.sh in reach (routed_up, routed_gateway, tun_up, ...) and topo_begin done; all it made is removed when it
# returns. Any command that fails fails the test; `check` says in words what was wanted. A test file starts nothing
# itself.
set -euo pipefail
# shellcheck source=../../topology/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/../../topology/lib.sh"
# shellcheck source=/dev/null  # each sources lib.sh too: read thrice, it is more than shellcheck can bear
. "$TOPO_ROOT/topology/routed.sh"
# shellcheck source=/dev/null
. "$TOPO_ROOT/topology/tun.sh"

fail() {
	say "FAILED: $*"
	exit 1
}

# skip WHY: for what this machine lacks; it names what.
skip() {
	echo "SKIP: $*"
	exit 77
}

need() {
	local c
	for c; do
		command -v "$c" >/dev/null || skip "$c is not installed"
	done
}

# check WHAT CMD...: CMD must succeed.
check() {
	local what=$1
	shift
	"$@" || fail "$what: $*"
}

# refuse WHAT CMD...: CMD must fail.
refuse() {
	local what=$1
	shift
	if "$@"; then fail "$what: $*"; fi
}

# equal WHAT GOT WANT
equal() { [ "$2" = "$3" ] || fail "$1: got $2, want $3"; }

# between WHAT GOT MIN MAX: integers
between() {
	if [ "$2" -lt "$3" ] || [ "$2" -gt "$4" ]; then
		fail "$1: got $2, want $3..$4"
	fi
}

# json FILE|- PATH: one value.
json() { jq -er "$2" "$1"; }

# sink_start HOST NAME ARGUMENTS...: a pktsink; $SINK_PID and its log $TOPO_STATE/NAME.
sink_start() {
	local host=$1 name=$2
	shift 2
	spawn "$host" "$name" "$TOOLS/pktsink" "$@"
	# shellcheck disable=SC2034  # for the tests
	SINK_PID=$SPAWNED
	wait_for 5 "pktsink listens" file_has "$TOPO_STATE/$name" '^ready'
}

sink_now() { sed -n '$s/.* //p' "$TOPO_STATE/$1"; }
sink_reached() { [ "$(sink_now "$1")" -ge "$2" ]; }

# ping_ok HOST ADDRESS [OPTIONS...]: ten, none lost.
ping_ok() {
	local host=$1 to=$2
	shift 2
	in_ns "$host" ping -q -n -c 10 -i 0.02 -W 2 "$@" "$to" | grep -q ' 0% packet loss'
}

# fetch_sha256 HOST URL [SECONDS]: the digest of what came.
fetch_sha256() { in_ns "$1" curl -sS --fail --max-time "${3:-60}" "$2" | sha256sum | cut -d' ' -f1; }

sha256() { sha256sum <"$1" | cut -d' ' -f1; }

# serve_files HOST ADDRESS PORT FOLDER: an HTTP server.
serve_files() {
	spawn "$1" "http-$1.log" /usr/bin/python3 -m http.server --bind "$2" --directory "$4" "$3"
	wait_for 10 "the HTTP server listens" tcp_listens "$1" "$3"
}

# iperf_server HOST [OPTIONS...]
iperf_server() {
	local host=$1
	shift
	spawn "$host" "iperf-$host.log" iperf3 -s "$@"
	wait_for 5 "iperf3 listens" tcp_listens "$host" 5201
}

if [ "${BASH_SOURCE[0]}" = "$0" ]; then
	test_file=$1 test_function=$2
	topo_begin "$(basename "${test_function#test_}" | tr '_' '-' | cut -c1-24)"
	# shellcheck source=/dev/null
	. "$test_file"
	"$test_function"
fi
