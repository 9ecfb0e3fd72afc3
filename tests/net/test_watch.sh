# SPDX-License-Identifier: MIT
# shellcheck shell=bash
# shellcheck disable=SC2034  # the options of topology/lib.sh are set here
# What a running gateway says of itself: counters, captures, traces.

sluice() { "$SLUICE" -i "$GATEWAY_INSTANCE" "$@"; }
stats() { sluice stats --json | jq -e "$1"; }
stats_agree() { tests/net/stats_vs_bpftool.py "$SLUICE" "$GATEWAY_INSTANCE"; }

# trace_is 0|1: does the XDP program of lan record?
trace_is() {
	[ "$(bpftool -j map dump pinned "/sys/fs/bpf/sluice/$GATEWAY_INSTANCE/lan/config" |
		jq '[.. | objects | select(has("one_in")) | .enabled] | max')" = "$1" ]
}

# The first packets resolve the neighbours.
watch_up() {
	routed_up
	routed_gateway "$@"
	check "IPv4" ping_ok h1 10.2.0.2
	check "IPv6" ping_ok h1 fd02::2
}

test_stats_agree() {
	need bpftool jq
	TOPO_QUEUES=2
	watch_up --workers 2
	in_ns h1 ping -q -c 5 -i 0.02 -t 1 10.2.0.2 || :
	check "the drops by TTL" [ "$(stats .drops.ttl)" = 5 ]
	# Whatever the links' own chatter does between the two readings is over within some tries.
	until_deadline 20 stats_agree || fail "$(stats_agree)"
}

capture_has() { [ "$(tcpdump -nr "$1" "${@:3}" 2>/dev/null | wc -l)" -eq "$2" ]; }

test_capture() {
	need tcpdump
	watch_up
	spawn gw capture "$SLUICE" -i "$GATEWAY_INSTANCE" capture lan -w "$TOPO_STATE/lan.pcap" -c 20 icmp and host 10.2.0.2
	local pid=$SPAWNED
	# Pings until the capture has its count: it may start in the midst of them.
	until_deadline 20 ping_until_gone "$pid" || fail "the capture does not end"
	check "its exit code" join "$pid" 1
	check "20 packets, all of them pings" capture_has "$TOPO_STATE/lan.pcap" 20 icmp
	check "both directions" capture_has "$TOPO_STATE/lan.pcap" 10 'icmp[icmptype] = icmp-echo'
	equal "magic of nanoseconds" "$(od -An -tx4 -N4 "$TOPO_STATE/lan.pcap" | tr -d ' ')" a1b23c4d
	refuse "a filter that loops" sluice capture lan -w /dev/null ip6 protochain 6
	refuse "no such port" sluice capture dmz -w /dev/null
}

ping_until_gone() {
	pid_gone "$1" && return 0
	in_ns h1 ping -q -c 1 -W 1 10.2.0.2 >/dev/null
	pid_gone "$1"
}

test_trace() {
	need bpftool jq
	local trace
	watch_up
	trace=$TOPO_STATE/trace
	spawn gw "$trace" "$SLUICE" -i "$GATEWAY_INSTANCE" trace --json --protocol icmp
	wait_for 5 "the trace runs" trace_is 1
	in_ns h1 ping -q -c 1 -t 1 10.2.0.2 || :
	in_ns h1 ping -q -c 1 10.1.0.1
	in_ns h1 ping -q -c 1 10.2.0.2
	wait_for 5 "a drop by TTL" file_has "$trace" '"drop":"ttl"'
	wait_for 5 "a verdict for the engine" file_has "$trace" '"verdict":"redirect_prefix"'
	wait_for 5 "a verdict for the kernel" file_has "$trace" '"verdict":"pass_kernel_address"'
	wait_for 5 "the way out" file_has "$trace" '"stage":"tx","out":"wan"'
	refuse "other protocols" file_has "$trace" '"ethertype"'
	# The port goes and comes back, with another program: it is traced again.
	ip -n "$(ns gw)" link del lan
	wait_for 10 "the port is gone" port_is gone
	veth_add gw lan h1 eth0
	addr_add gw lan 10.1.0.1/24
	addr_add h1 eth0 10.1.0.2/24
	route_add h1 default via 10.1.0.1
	wait_for 20 "the port is back" port_is up
	: >"$trace"
	until_deadline 10 traced_again || fail "nothing is traced after the port came back"
	stop "$SPAWNED"
	wait_for 5 "the program traces no more" trace_is 0
}

port_is() { [ "$(sluice status --json | jq -r '.ports[] | select(.name == "lan") | .state')" = "$1" ]; }
traced_again() {
	in_ns h1 ping -q -c 1 -W 1 10.2.0.2 >/dev/null || :
	grep -aq '"port":"lan","queue".*"verdict":"redirect_prefix"' "$TOPO_STATE/trace"
}
