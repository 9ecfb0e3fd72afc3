#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# What the figures share, and the shell one figure is measured in: lib.sh FILE NAME RESULT (run.sh calls it).
#
# A side of a comparison is a function that measures once and sets VALUE and, when it has something to tell,
# CPU[party] in seconds. pairs OURS PEER runs the two in turn, $BENCH_REPS times, first one first and then the other
# first.
set -euo pipefail
# shellcheck source=../../topology/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/../../topology/lib.sh"
# shellcheck source=/dev/null  # it sources topology/lib.sh as well
. "$TOPO_ROOT/topology/routed.sh"

# Two cores: the sender has one, the forwarder and the sink the other. The kernel's forwarding has no thread to pin: it
# runs where the sender and the interrupts are.
CORES=$(nproc)
CPU_SENDER=0 CPU_GATEWAY=$((CORES > 1 ? 1 : 0)) CPU_SINK=$((CORES > 2 ? 2 : CORES - 1))
PINNING="sender $CPU_SENDER, gateway $CPU_GATEWAY, sink $CPU_SINK"
BARE=$B/tests/bench/xsk-bare
BARE_BPF=$TOPO_ROOT/build/tests/bench/xsk-bare.bpf.o
RESULT=''

VALUE=''
declare -A CPU=()
OURS=() PEER=() CPU_OURS=() CPU_PEER=()
# What the figure says of its conditions, over what is the same for all.
MODE='' CC=reno POLLING='need_wakeup' SECONDS_OF_ONE=$BENCH_SECONDS

# ---- Recording ------------------------------------------------------------------------------------------------------

# Numbers as arguments -> a JSON array.
array() { printf '%s\n' "$@" | jq -s .; }

cpu_json() {
	local k
	for k in "${!CPU[@]}"; do printf '%s %s\n' "$k" "${CPU[$k]}"; done |
		jq -Rn '[inputs | split(" ") | { (.[0]): (.[1] | tonumber) }] | add // {}'
}

# pairs OURS PEER: the functions of both sides, in turn.
pairs() {
	local i side order
	for ((i = 0; i < BENCH_REPS; i++)); do
		order="ours peer"
		[ $((i % 2)) -eq 0 ] || order="peer ours"
		for side in $order; do
			VALUE='' CPU=()
			if [ "$side" = ours ]; then
				"$1"
				OURS+=("$VALUE")
				CPU_OURS+=("$(cpu_json)")
			else
				"$2"
				PEER+=("$VALUE")
				CPU_PEER+=("$(cpu_json)")
			fi
			say "pair $((i + 1)) $side: $VALUE"
		done
	done
}

conditions() {	# REPETITIONS CPU_OURS CPU_PEER
	jq -n --arg kernel "$(uname -r)" --argjson cores "$CORES" --arg mode "$MODE" --argjson mtu "$TOPO_MTU" --arg cc "$CC" \
		--arg polling "$POLLING" --arg pinning "$PINNING" --argjson seconds "$SECONDS_OF_ONE" --argjson reps "$1" \
		--argjson ours "$2" --argjson peer "$3" '
		def median: sort | if length == 0 then null elif length % 2 == 1 then .[length / 2 | floor]
			else (.[length / 2] + .[length / 2 - 1]) / 2 end;
		def parties: if length == 0 or .[0] == {} then null
			else . as $runs | .[0] | with_entries(.key as $k | .value = ([$runs[][$k]] | median)) end;
		{ kernel: $kernel, cores: $cores, mode: $mode, mtu: $mtu, cc: $cc, polling: $polling, pinning: $pinning,
		  seconds: $seconds, repetitions: $reps, cpu_seconds: { ours: ($ours | parties), peer: ($peer | parties) } }'
}

# The bound is "", ">= NUMBER" or "<= NUMBER": of the ratio where there is a peer, of the value else.
# shellcheck disable=SC2016  # jq's variables, not the shell's
met_filter='
	def median: sort | if length % 2 == 1 then .[length / 2 | floor]
		else (.[length / 2] + .[length / 2 - 1]) / 2 end;
	def meets($wants): if $wants == "" then true else ($wants | split(" ")) as $w
		| if $w[0] == ">=" then . >= ($w[1] | tonumber) else . <= ($w[1] | tonumber) end end;'

# record_ratio NAME UNIT PEER WANTS: what pairs measured.
record_ratio() {
	jq -n --arg name "$1" --arg unit "$2" --arg peer "$3" --arg wants "$4" --argjson ours "$(array "${OURS[@]}")" \
		--argjson theirs "$(array "${PEER[@]}")" --argjson conditions "$(conditions ${#OURS[@]} \
		"$(array "${CPU_OURS[@]}")" "$(array "${CPU_PEER[@]}")")" "$met_filter"'
		([$ours, $theirs] | transpose | map(.[0] / .[1])) as $ratios
		| { name: $name, unit: $unit, value: ($ours | median), peer: $peer, peer_value: ($theirs | median),
		    ratio: ($ratios | median), ratio_min: ($ratios | min), ratio_max: ($ratios | max), wants: $wants,
		    met: ($ratios | median | meets($wants)), values: $ours, peer_values: $theirs, conditions: $conditions }' \
		>"$RESULT"
}

# record_value NAME UNIT VALUE WANTS
record_value() {
	jq -n --arg name "$1" --arg unit "$2" --argjson value "$3" --arg wants "$4" \
		--argjson conditions "$(conditions 1 '[]' '[]')" "$met_filter"'
		{ name: $name, unit: $unit, value: $value, peer: "", peer_value: null, ratio: null, wants: $wants,
		  met: ($value | meets($wants)), conditions: $conditions }' >"$RESULT"
}

# record_missing NAME UNIT WANTS WHY [PEER]: the figure cannot be had. Ends the measurement.
record_missing() {
	say "missing: $4"
	# What one side did measure is worth keeping.
	jq -n --arg name "$1" --arg unit "$2" --arg wants "$3" --arg why "$4" --arg peer "${5:-}" \
		--argjson theirs "$(array "${PEER[@]}")" \
		--argjson conditions "$(conditions ${#PEER[@]} '[]' "$(array "${CPU_PEER[@]}")")" "$met_filter"'
		{ name: $name, unit: $unit, value: null, peer: $peer,
		  peer_value: (if $theirs == [] then null else $theirs | median end), ratio: null, wants: $wants, met: false,
		  missing: $why, conditions: $conditions }' >"$RESULT"
	exit 0
}

# ---- Measuring ------------------------------------------------------------------------------------------------------

# CPU seconds that the threads of a process used so far, to the nanosecond.
process_cpu() {
	cat "/proc/$1"/task/*/schedstat 2>/dev/null | awk '{ ns += $1 } END { printf "%.6f\n", ns / 1e9 }'
}

minus() { awk -v a="$1" -v b="$2" 'BEGIN { printf "%.6f\n", a - b }'; }

# measured PID CMD...: run CMD, then CPU[gateway] (of PID, "" for none) and CPU[machine].
measured() {
	local pid=$1 mark before=0 after=0
	shift
	mark=$(cpu_mark)
	[ -z "$pid" ] || before=$(process_cpu "$pid")
	"$@"
	[ -z "$pid" ] || after=$(process_cpu "$pid")
	CPU[machine]=$(cpu_seconds "$mark" "$(cpu_mark)")
	CPU[gateway]=$(minus "$after" "$before")
}

# instructions FUNCTION CMD...: that CMD executes in user space in FUNCTION and below it.
instructions() {
	local log=$TOPO_STATE/callgrind inside=$1
	shift
	valgrind --tool=callgrind --callgrind-out-file=/dev/null --toggle-collect="$inside" "$@" >"$log" 2>&1 || {
		tail -n 20 "$log" >&2
		return 1
	}
	sed -nE 's/^==[0-9]+== Collected : ([0-9]+).*/\1/p' "$log"
}

# tcp_run ADDRESS [OPTIONS...]: one iperf3 from h1 to h2; VALUE in Gbit/s at the receiver, CPU of both ends.
tcp_run() {
	local to=$1 server
	shift
	spawn h2 iperf-server taskset -c "$CPU_SINK" iperf3 -s -1
	server=$SPAWNED
	wait_for 5 "iperf3 listens" tcp_listens h2 5201
	in_ns h1 taskset -c "$CPU_SENDER" iperf3 -c "$to" -C "$CC" -t "$BENCH_SECONDS" -O 1 -J "$@" \
		>"$TOPO_STATE/iperf.json" || {
		jq -r '.error // empty' "$TOPO_STATE/iperf.json" >&2
		stop "$server"
		return 1
	}
	join "$server" 5 || :
	read -r VALUE 'CPU[sender]' 'CPU[sink]' < <(jq -r '[.end.sum_received.bits_per_second / 1e9,
		(.end | .cpu_utilization_percent as $c | .sum_sent.seconds as $s
		 | $c.host_total / 100 * $s, $c.remote_total / 100 * $s)]
		| @tsv' "$TOPO_STATE/iperf.json")
}

# udp64_run: a flood of 64-byte frames (60 and FCS) from h1; VALUE in datagrams a second that reach a UDP socket at h2.
udp64_run() {
	local sink sent from to
	spawn h2 sink taskset -c "$CPU_SINK" "$TOOLS/pktsink" --udp 9 --interval 50
	sink=$SPAWNED
	wait_for 5 "pktsink listens" file_has "$TOPO_STATE/sink" '^ready'
	from=$(now_us)
	in_ns h1 taskset -c "$CPU_SENDER" "$TOOLS/pktgen" udp --device eth0 --dmac "$(mac_of gw lan)" --flows 16 \
		--seconds $((BENCH_SECONDS + 1)) >"$TOPO_STATE/sent"
	to=$(now_us)
	stop "$sink"
	sent=$(jq .sent "$TOPO_STATE/sent")
	say "sent $sent in $((to - from)) us, $(tail -n 1 "$TOPO_STATE/sink")"
	# The first second, in which caches and neighbours warm up, is left out, and so is what came after the last frame.
	VALUE=$(awk -v secs="$BENCH_SECONDS" '
		NF != 2 { next }
		!start && $2 > 0 { start = $1 }
		start && !t0 && $1 >= start + 1e9 { t0 = $1; c0 = $2 }
		t0 && $1 <= start + (secs + 0.9) * 1e9 { t1 = $1; c1 = $2 }
		END { if (!(t1 > t0)) exit 1; printf "%.0f\n", (c1 - c0) / (t1 - t0) * 1e9 }' "$TOPO_STATE/sink")
}

# rtt_run: the median of pings one after the other, microseconds. ping takes the kernel's time of arrival, so its own
# waking up is no part of it; and without pauses caches are as warm as under load, for either side.
rtt_run() {
	in_ns h1 taskset -c "$CPU_SENDER" ping -n -i 0 -w "$BENCH_SECONDS" -s 56 10.2.0.2 >"$TOPO_STATE/ping"
	# It prints whole microseconds: where in the median's one the median lies is told by how many are below.
	VALUE=$(sed -nE 's/.* time=([0-9.]+) ms/\1/p' "$TOPO_STATE/ping" | sort -n | awk '
		{ v[NR] = int($1 * 1000 + 0.5); n[v[NR]]++ }
		END {
			if (!NR) exit 1
			m = v[int((NR + 1) / 2)]
			for (k in n) if (k + 0 < m) below += n[k]
			printf "%.2f\n", m + (NR / 2 - below) / n[m]
		}')
}

# ---- Forwarders: with_FORWARDER CMD...: forwarding is by this one while CMD runs ------------------------------------

# Wants that frames pass before anything is measured: neighbours are resolved, rings are warm.
passes() { wait_for 5 "a ping passes" in_ns h1 ping -q -n -c 1 -W 1 10.2.0.2; }

with_kernel() {
	passes
	measured '' "$@"
}

BARE_OPTIONS=()
with_bare() {
	local pid
	spawn gw bare.log "$BARE" --a lan --b wan --mac-a "$(mac_of h1 eth0)" --mac-b "$(mac_of h2 eth0)" \
		--cpu "$CPU_GATEWAY" --bpf "$BARE_BPF" "${BARE_OPTIONS[@]}"
	pid=$SPAWNED
	wait_for 5 "xsk-bare is ready" file_has "$TOPO_STATE/bare.log" '^ready'
	passes
	measured "$pid" "$@"
	stop "$pid"
	cat "$TOPO_STATE/bare.log" >&2
}

# SLUICE_MODE is the ports' mode, SLUICE_CONF more settings of the configuration.
SLUICE_MODE=native SLUICE_CONF=''
with_sluice() {
	cat >"$TOPO_STATE/gateway.conf" <<-END
	instance = "$TOPO";
	workers = { count = 1; cpus = [ $CPU_GATEWAY ]; };
	ports = (
	    { name = "lan"; device = "lan"; mode = "$SLUICE_MODE"; },
	    { name = "wan"; device = "wan"; mode = "$SLUICE_MODE"; }
	);
	$SLUICE_CONF
	END
	GATEWAY_CPU=$CPU_GATEWAY gateway_start gw -c "$TOPO_STATE/gateway.conf"
	passes
	measured "$GATEWAY_PID" "$@"
	gateway_stop TERM
}

have_sluice() { [ -x "$SLUICE" ]; }
have_bare() { [ -x "$BARE" ] && [ -f "$BARE_BPF" ]; }

# compare NAME UNIT PEER WANTS OURS PEER_FUNCTION: pairs and record, or what is missing. Without ours the peer is still
# measured.
compare() {
	if [ "$3" = xsk-bare ] && ! have_bare; then
		record_missing "$1" "$2" "$4" "$BARE is not built: make bins" "$3"
	fi
	if ! have_sluice; then
		pairs : "$6"
		record_missing "$1" "$2" "$4" "$SLUICE is not built" "$3"
	fi
	pairs "$5" "$6"
	record_ratio "$1" "$2" "$3" "$4"
}

# What else runs on this machine shall not decide between the two sides: the processes of this session come before
# those of others. Among themselves they are equal.
comes_first() {
	{ echo -20 >/proc/self/autogroup; } 2>/dev/null || :
}

if [ "${BASH_SOURCE[0]}" = "$0" ]; then
	comes_first
	figure_file=$1 figure=$2 RESULT=$(realpath "$(dirname "$3")")/$(basename "$3")
	topo_begin "$(tr '_' '-' <<<"$figure" | cut -c1-20)"
	# shellcheck source=/dev/null
	. "$figure_file"
	"figure_$figure"
fi
