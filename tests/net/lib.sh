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

# code WANT CMD...: CMD ends with exit code WANT; its output is left in $out (both streams).
code() {
	local want=$1 rc=0
	shift
	out=$("$@" 2>&1) || rc=$?
	[ "$rc" -eq "$want" ] || fail "exit code $rc instead of $want: $* says: $out"
}

# says TEXT: the last output has it.
says() { [[ $out == *"$1"* ]] || fail "\"$1\" is not in: $out"; }

# ---- The running gateway --------------------------------------------------------------------------------------------

gw() { "$SLUICE" -i "$GATEWAY_INSTANCE" "$@"; }

# stat_of PATH: a number of `sluice stats`, such as .engine.forwarded_pkts or '.ports[0].steer.redirect_arp'.
stat_of() { gw stats --json | jq "$1"; }
stat_is() { [ "$(stat_of "$1")" = "$2" ]; }
stat_reaches() { [ "$(stat_of "$1")" -ge "$2" ]; }

# port_is NAME CONDITION: what `sluice ports` says of a port, as a condition of jq's.
port_is() { gw ports "$1" --json | jq -e ".ports[0] | $2" >/dev/null; }

log_has() { file_has "$GATEWAY_LOG" "$1"; }
log_count() { grep -c -- "$1" "$GATEWAY_LOG" || :; }

has_route() { gw routes --get "$1" --json | jq -e "$2" >/dev/null; }

xdp_attached() { ip -n "$(ns "$1")" -d -j link show dev "$2" | jq -e '.[0].xdp.prog.id // .[0].xdp.attached'; }

# nothing_left [DEVICE...]: what a gateway in gw must have taken away at its end.
nothing_left() {
	local dev
	refuse "pins stay" test -e "/sys/fs/bpf/sluice/$GATEWAY_INSTANCE"
	refuse "the control socket stays" test -e "/run/sluice/$GATEWAY_INSTANCE.sock"
	for dev in "${@:-lan}"; do
		refuse "a program stays on $dev" xdp_attached gw "$dev" >/dev/null
	done
}

# gateway_ends: SIGTERM; exit code 0 says that every frame came home.
gateway_ends() {
	local rc=0
	gateway_stop TERM || rc=$?
	[ "$rc" -eq 0 ] || tail -n 20 "$GATEWAY_LOG"
	equal "exit code of the gateway" "$rc" 0
	refuse "a sanitizer speaks" grep -E 'Sanitizer|runtime error' "$GATEWAY_LOG"
}

# balance: every packet is somewhere. A packet between workers is in neither, so traffic must rest.
# shellcheck disable=SC2016  # variables of jq's
BALANCE='.engine as $e | ([.drops[]] | add) as $drops |
	([.ports[].counters.rx_drops] | add) + $e.rx_pkts + $e.created_pkts + $e.cross_in_pkts - $e.tx_pkts - $e.consumed_pkts - $e.cross_out_pkts - $drops'
balanced() { stat_is "$BALANCE" 0; }

# tcp_ok HOST ADDRESS MEGABYTES [OPTIONS...]: so much by iperf3 from HOST, with a congestion control that is named.
tcp_ok() {
	local host=$1 to=$2 bytes=$(($3 * 1000000))
	shift 3
	in_ns "$host" iperf3 -c "$to" -C reno -n "$bytes" -J "$@" >"$TOPO_STATE/tcp.json" ||
		fail "iperf3 to $to: $(json "$TOPO_STATE/tcp.json" .error)"
	[ "$(json "$TOPO_STATE/tcp.json" .end.sum_received.bytes)" -gt $((bytes / 2)) ]
}

# Datagrams that came and that a socket had no room for, in all namespaces of the topology.
socket_losses() {
	local h
	for h in h1 h2 gw; do
		[ ! -e "/run/netns/$(ns $h)" ] || in_ns $h cat /proc/net/snmp /proc/net/snmp6
	done | awk '/^Udp: [0-9]/ { n += $6 } /^Udp6RcvbufErrors/ { n += $2 } END { print n + 0 }'
}

# udp_ok HOST ADDRESS MEGABYTES [OPTIONS...]: nine of ten datagrams arrive at least, on however busy a machine; what the receiver was too slow to read is
# not the network's loss.
udp_ok() {
	local host=$1 to=$2 bytes=$(($3 * 1000000)) missed
	shift 3
	missed=$(socket_losses)
	in_ns "$host" iperf3 -c "$to" -u -b 20M -l 1200 -n "$bytes" -J "$@" >"$TOPO_STATE/udp.json" ||
		fail "iperf3 to $to: $(json "$TOPO_STATE/udp.json" .error)"
	jq -e --argjson missed $(($(socket_losses) - missed)) \
		'.end.sum | .packets > 100 and .lost_packets - $missed <= .packets / 10' "$TOPO_STATE/udp.json" >/dev/null
}

# file_ok FROM SERVER ADDRESS: a file of 16 MB by HTTP, compared by its digest. The first call makes file and server.
file_ok() {
	local host=$1 server=$2 url=$3
	[[ $url != *:* ]] || url="[$url]"
	if [ ! -f "$TOPO_STATE/www/file" ]; then
		mkdir "$TOPO_STATE/www"
		head -c 16777216 /dev/urandom >"$TOPO_STATE/www/file"
		sha256sum <"$TOPO_STATE/www/file" | cut -d' ' -f1 >"$TOPO_STATE/digest"
	fi
	tcp_listens "$server" 8000 || serve_files "$server" :: 8000 "$TOPO_STATE/www"
	equal "digest of the file from $url" "$(fetch_sha256 "$host" "http://$url:8000/file")" "$(cat "$TOPO_STATE/digest")"
}

if [ "${BASH_SOURCE[0]}" = "$0" ]; then
	test_file=$1 test_function=$2
	topo_begin "$(basename "${test_function#test_}" | tr '_' '-' | cut -c1-19)"
	# shellcheck source=/dev/null
	. "$test_file"
	"$test_function"
fi
