# SPDX-License-Identifier: MIT
# shellcheck shell=bash
# shellcheck disable=SC2034  # MODE, CC and the like are read by lib.sh
# The figures of the gateway: forwarding against a bare AF_XDP forwarder and against the kernel, what it costs when
# idle, instructions, memory.

# ---- Forwarding -----------------------------------------------------------------------------------------------------

MODE_NATIVE='native XDP, AF_XDP copy mode or better'

tcp_by_sluice() { with_sluice tcp_run 10.2.0.2; }
tcp_by_bare() { with_bare tcp_run 10.2.0.2; }
tcp_by_kernel() { with_kernel tcp_run 10.2.0.2; }
udp64_by_sluice() { with_sluice udp64_run; }
udp64_by_bare() { with_bare udp64_run; }
udp64_by_kernel() { with_kernel udp64_run; }
rtt_by_sluice() { with_sluice rtt_run; }
rtt_by_kernel() { with_kernel rtt_run; }

figure_fwd_tcp_bare() {
	MODE=$MODE_NATIVE
	BARE_OPTIONS=(--csum)		# local senders: their checksums are partial
	routed_up
	compare fwd_tcp_bare Gbit/s xsk-bare ">= 0.9" tcp_by_sluice tcp_by_bare
}

# At its best without superpackets from the hosts: GRO makes them at the gateway.
kernel_best() {
	local h
	for h in h1 h2; do
		in_ns "$h" ethtool -K eth0 tso off
	done
	for h in lan wan; do
		in_ns gw ethtool -K "$h" gro on
	done
}

figure_fwd_tcp_kernel() {
	MODE="$MODE_NATIVE; hosts' TSO off, GRO on at the gateway"
	routed_up
	kernel_best
	compare fwd_tcp_kernel Gbit/s ip_forward "" tcp_by_sluice tcp_by_kernel
}

figure_fwd_udp64_bare() {
	MODE=$MODE_NATIVE
	routed_up
	compare fwd_udp64_bare pps xsk-bare ">= 0.9" udp64_by_sluice udp64_by_bare
}

figure_fwd_udp64_kernel() {
	MODE=$MODE_NATIVE
	routed_up
	compare fwd_udp64_kernel pps ip_forward "" udp64_by_sluice udp64_by_kernel
}

figure_fwd_rtt_kernel() {
	MODE=$MODE_NATIVE
	POLLING='busy poll'
	SLUICE_CONF='busy_poll = { enabled = true; };'
	routed_up
	compare fwd_rtt_kernel us ip_forward "<= 2" rtt_by_sluice rtt_by_kernel
}

# ---- At rest --------------------------------------------------------------------------------------------------------

idle_share() {
	local before after from to pid=$GATEWAY_PID
	before=$(process_cpu "$pid")
	from=$(now_us)
	sleep "$SECONDS_OF_ONE"		# the length of the measurement, not a wait for something
	after=$(process_cpu "$pid")
	to=$(now_us)
	VALUE=$(awk -v a="$before" -v b="$after" -v us=$((to - from)) 'BEGIN { printf "%.5f\n", (b - a) / us * 1e6 }')
}

figure_idle_cpu() {
	MODE=$MODE_NATIVE
	CC=none
	have_sluice || record_missing idle_cpu "share of a core" "<= 0.01" "$SLUICE is not built"
	SECONDS_OF_ONE=$((BENCH_SECONDS < 10 ? 10 : BENCH_SECONDS))
	routed_up
	with_sluice idle_share
	record_value idle_cpu "share of a core" "$VALUE" "<= 0.01"
}

# ---- Instructions and memory ----------------------------------------------------------------------------------------

# insn_per_packet NAME CASE WANTS: the difference of two runs, so that the start costs nothing.
insn_per_packet() {
	local bin=$B/tests/bench/insn_fwd few=10000 many=60000 a b
	MODE="in-process ports, callgrind" CC=none POLLING=none PINNING=none SECONDS_OF_ONE=0
	[ -x "$bin" ] || record_missing "$1" instructions/packet "$3" "$bin is not built"
	command -v valgrind >/dev/null || record_missing "$1" instructions/packet "$3" "valgrind is not installed"
	# Whatever injects and completes in the kernel's place is not the worker's.
	a=$(instructions worker_step "$bin" "$2" $few)
	b=$(instructions worker_step "$bin" "$2" $many)
	record_value "$1" instructions/packet \
		"$(awk -v d=$((b - a)) -v n=$((many - few)) 'BEGIN { printf "%.1f", d / n }')" "$3"
}

figure_insn_fwd_ip4_udp() { insn_per_packet insn_fwd_ip4_udp ip4_udp "<= 350"; }

figure_insn_fwd_ip6_tcp() { insn_per_packet insn_fwd_ip6_tcp ip6_tcp "<= 400"; }

figure_lpm_1m_routes_bytes() {
	local bin=$B/tests/bench/lpm bytes
	MODE="one million IPv4 routes" CC=none POLLING=none PINNING=none SECONDS_OF_ONE=0
	[ -x "$bin" ] || record_missing lpm_1m_routes_bytes bytes "<= 64000000" "$bin is not built"
	bytes=$("$bin" --bytes | grep -oE '[0-9]+' | tail -n 1)
	record_value lpm_1m_routes_bytes bytes "$bytes" "<= 64000000"
}
