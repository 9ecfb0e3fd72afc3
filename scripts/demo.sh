#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# What `make demo` shows: both topologies on real traffic, by Sluice and by the kernel alone in the same namespaces,
# the table of both, CPU included, and the counters as bpftool reads them. Exit code 0 when all traffic passed and
# every file came whole.
#
#   h1 --- gw --- h2        Sluice forwards; the kernel (ip_forward) with Sluice stopped
#   h1 --- gw [TUN: app]    Sluice carries it into a TUN; the kernel delivers to the same application without one
#
# DEMO_SECONDS (4) is the length of each iperf3 run, DEMO_MB (256) the size of the file.
set -euo pipefail
# shellcheck source=../topology/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/../topology/lib.sh"
# shellcheck source=/dev/null  # both source topology/lib.sh as well
. "$TOPO_ROOT/topology/routed.sh"
# shellcheck source=/dev/null
. "$TOPO_ROOT/topology/tun.sh"

SECONDS_EACH=${DEMO_SECONDS:-4} FILE_MB=${DEMO_MB:-256} CC=reno
[ "$(id -u)" -eq 0 ] || die "make demo needs root: it makes network namespaces"
[ -x "$SLUICE" ] || die "$SLUICE is not built"

WORK=$(mktemp -d -p /dev/shm 2>/dev/null || mktemp -d)	# in memory: no disk is measured
RESULTS=$WORK/results	# lines "topology|row|unit|better|forwarder|value|CPU share"
: >"$RESULTS"
BEGIN=$SECONDS
trap 'rm -rf "$WORK"' EXIT

step() { printf '\033[1m[%3d s]\033[0m %s\n' $((SECONDS - BEGIN)) "$*"; }
detail() { printf '        %s\n' "$*"; }

# record ROW UNIT BETTER VALUE MARK: BETTER is "more" or "less"; the CPU share is that since MARK.
record() {
	local share
	share=$(cpu_share "$5" "$(cpu_mark)")
	printf '%s|%s|%s|%s|%s|%s|%s\n' "$TOPOLOGY" "$1" "$2" "$3" "$BY" "$4" "$share" >>"$RESULTS"
	detail "$1: $4 $2, CPU $share % of $(nproc) cores"
}

# ---- Traffic: all from h1 to $APP in the namespace of $APP_HOST -----------------------------------------------------

ping_row() {	# NAME ADDRESS
	local mark
	mark=$(cpu_mark)
	in_ns h1 ping -q -n -i 0.01 -c 100 -W 2 "$2" >"$WORK/ping" || { cat "$WORK/ping"; die "ping $2 by $BY"; }
	grep -q ' 0% packet loss' "$WORK/ping" || { cat "$WORK/ping"; die "ping $2 by $BY lost packets"; }
	record "$1" ms less "$(sed -nE 's|^rtt [^=]*= [^/]*/([^/]*)/.*|\1|p' "$WORK/ping")" "$mark"
}

file_row() {
	local mark from to sum
	mark=$(cpu_mark)
	from=$(now_us)
	in_ns h1 curl -sS --fail --max-time 60 -o "$WORK/got" "http://$APP:8000/file" || die "curl by $BY"
	to=$(now_us)
	record "file of $FILE_MB MB by curl, sha256 equal" Gbit/s more \
		"$(awk -v mb="$FILE_MB" -v us=$((to - from)) 'BEGIN { printf "%.2f", mb * 1048576 * 8 / us / 1000 }')" "$mark"
	sum=$(sha256sum <"$WORK/got" | cut -d' ' -f1)
	[ "$sum" = "$FILE_SUM" ] || die "the file came with sha256 $sum by $BY, not $FILE_SUM"
}

# iperf_row NAME UNIT FILTER ADDRESS OPTIONS...: the server is bound, since datagrams from a wildcard socket would leave
# by the kernel's shortest way and under that device's address.
iperf_row() {
	local name=$1 unit=$2 filter=$3 to=$4 mark server value
	shift 4
	spawn "$APP_HOST" iperf-server iperf3 -s -1 -B "$to"
	server=$SPAWNED
	wait_for 5 "iperf3 listens" tcp_listens "$APP_HOST" 5201
	mark=$(cpu_mark)
	in_ns h1 iperf3 -c "$to" -t "$SECONDS_EACH" -J "$@" >"$WORK/iperf" || {
		jq -r '.error // empty' "$WORK/iperf" >&2
		die "iperf3 by $BY: $name"
	}
	# The end of a run can be missing from the output of one that says it succeeded.
	value=$(jq -er "$filter" "$WORK/iperf" 2>/dev/null) || {
		jq -c '{ error: .error, sum: .end.sum }' "$WORK/iperf" >&2 || :
		die "iperf3 by $BY: $name: no result"
	}
	record "$name" "$unit" more "$value" "$mark"
	join "$server" 5 || :
}

GBIT='.end.sum_received.bits_per_second / 1e7 | round / 100'
# Of what was sent at a fixed rate, what came.
UDP='.end.sum | (100 - .lost_percent) * .bits_per_second / 1e9 | round / 100'

traffic() {
	step "$TOPOLOGY by $BY"
	ping_row "ping, IPv4, mean" "$APP"
	ping_row "ping, IPv6, mean" "$APP6"
	file_row
	iperf_row "TCP ($CC), IPv4, to the application" Gbit/s "$GBIT" "$APP" -C $CC
	iperf_row "TCP ($CC), IPv6, from the application" Gbit/s "$GBIT" "$APP6" -C $CC -R
	iperf_row "UDP, 1400 octets, 500 Mbit/s offered" Gbit/s "$UDP" "$APP" -u -b 500M -l 1400
}

# ---- Counters -------------------------------------------------------------------------------------------------------

# Each pinned counter map: its name, then every field that is not 0, summed over CPUs and workers.
counters() {
	local pin root=/sys/fs/bpf/sluice/$GATEWAY_INSTANCE
	step "counters of $TOPOLOGY, by bpftool map dump pinned"
	while read -r pin; do
		bpftool -j map dump pinned "$pin" 2>/dev/null | jq -r --arg pin "${pin#/sys/fs/bpf/}" '
			[.[] | .formatted? // empty | (.values? // [{ value: .value }])[] | .value
			 | paths(type == "number") as $p | { name: ([$p[] | strings] | join(".")), n: getpath($p) }
			 | select(.n != 0)]
			| group_by(.name) | map("\(.[0].name) \(map(.n) | add)")
			| if length > 0 then "\($pin): \(join(", "))" else empty end' | fold -s -w 104 | sed 's/^/        /'
	done < <(find "$root" -type f \( -name engine -o -name drops -o -name '*ports*' -o -name '*counters*' \
		-o -name rule_hits \) 2>/dev/null | sort)
}

# ---- The two topologies ---------------------------------------------------------------------------------------------

serve() {
	spawn "$APP_HOST" http.log /usr/bin/python3 -m http.server --bind "$1" --directory "$WORK/www" 8000
	HTTP_PID=$SPAWNED
	wait_for 10 "the HTTP server listens" tcp_listens "$APP_HOST" 8000
}

routed_demo() {
	TOPOLOGY="h1 - gw - h2" APP=10.2.0.2 APP6=fd02::2 APP_HOST=h2
	topo_begin demo-routed
	routed_up
	serve "$APP"
	BY=kernel
	traffic
	BY=sluice
	routed_gateway
	detail "$("$SLUICE" -i "$GATEWAY_INSTANCE" status --json | jq -r '[.ports[] | "\(.name): \(.mode)"] | join(", ")')"
	traffic
	counters
	gateway_stop TERM || die "the gateway ended with exit code $?"
}

tun_demo() {
	TOPOLOGY="h1 - gw - TUN" APP_HOST=gw
	topo_begin demo-tun
	tun_up
	BY=kernel APP=10.1.0.1 APP6=fd01::1
	serve "$APP"
	traffic
	stop "$HTTP_PID"
	BY=sluice APP=10.3.0.2 APP6=fd03::2
	tun_gateway
	serve "$APP"
	traffic
	counters
	gateway_stop TERM || die "the gateway ended with exit code $?"
}

table() {
	echo
	awk -F'|' '
		{ k = $1 "|" $2; if (!(k in unit)) order[++n] = k
		  unit[k] = $3; better[k] = $4; v[k, $5] = $6; cpu[k, $5] = $7 }
		END {
			print "topology|what|unit|Sluice|kernel|ratio|CPU % Sluice|CPU % kernel"
			for (i = 1; i <= n; i++) {
				k = order[i]; s = v[k, "sluice"]; o = v[k, "kernel"]
				printf "%s|%s|%s|%s|%s|%s|%s\n", k, unit[k], s, o, (o + 0 ? sprintf("%.2f", s / o) : "-"),
					cpu[k, "sluice"], cpu[k, "kernel"]
			}
		}' "$RESULTS" | column -t -s '|'
	echo
	echo "CPU is that of the whole machine ($(nproc) cores) by /proc/stat: hosts, gateway, servers. Kernel: ip_forward"
	echo "in the same namespaces (hosts' TSO on); for the TUN topology, delivery to the application without a TUN."
	echo "curl and its server use the default congestion control, $(sysctl -n net.ipv4.tcp_congestion_control);" \
		"iperf3 uses $CC."
}

step "a file of $FILE_MB MB"
mkdir "$WORK/www"
head -c "${FILE_MB}M" /dev/urandom >"$WORK/www/file"
FILE_SUM=$(sha256sum <"$WORK/www/file" | cut -d' ' -f1)
# A shell each: each cleans up its namespaces when it ends, however it ends.
(routed_demo)
(tun_demo)
table
step "done"
