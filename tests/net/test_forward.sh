# SPDX-License-Identifier: MIT
# shellcheck shell=bash
# shellcheck disable=SC2034  # the options of topology/lib.sh are set here
# h1 - gateway - h2: what users do with a router, in each mode and frame size. No host has an ethtool setting: its TCP and
# UDP leave with partial checksums, as they do on every veth.

# conf LAN WAN [LINES...]: a configuration; LAN and WAN are more keys of the ports.
conf() {
	local lan=$1 wan=$2
	shift 2
	{
		echo "instance = \"$TOPO\";"
		printf '%s\n' "$@"
		echo "ports = ( { name = \"lan\"; device = \"lan\"; $lan }, { name = \"wan\"; device = \"wan\"; $wan } );"
	} >"$TOPO_STATE/gateway.conf"
	TOPO_CONF=$TOPO_STATE/gateway.conf
}

# both_ways: ping, TCP, UDP, a file; both families, both directions.
both_ways() {
	local mtu=$TOPO_MTU
	check "IPv4" ping_ok h1 10.2.0.2
	check "IPv6" ping_ok h2 fd01::2
	check "IPv4, as long as the link takes" ping_ok h1 10.2.0.2 -s $((mtu - 28)) -M 'do'
	check "IPv6, as long as the link takes" ping_ok h1 fd02::2 -s $((mtu - 48)) -M 'do'
	check "IPv4 in fragments" ping_ok h1 10.2.0.2 -s 20000
	check "IPv6 in fragments" ping_ok h2 fd01::2 -s 20000
	iperf_server h2
	check "TCP over IPv4" tcp_ok h1 10.2.0.2 60
	check "TCP over IPv6, backwards" tcp_ok h1 fd02::2 60 -R
	check "UDP over IPv4" udp_ok h1 10.2.0.2 2
	check "UDP over IPv6, backwards" udp_ok h1 fd02::2 2 -R
	file_ok h1 h2 10.2.0.2
	file_ok h1 h2 fd02::2
}

checksums_are_partial() {
	local h
	for h in h1 h2; do
		in_ns $h ethtool -k eth0 | grep -q '^tx-checksumming: on' || fail "$h does not leave checksums to the device"
	done
	spawn h2 dump tcpdump -nvv -i eth0 -c 40 'tcp src port 8000'
	wait_for 5 "tcpdump listens" file_has "$TOPO_STATE/dump" 'listening on'
	file_ok h1 h2 10.2.0.2
	join "$SPAWNED" 10
	check "they are partial" [ "$(grep -c incorrect "$TOPO_STATE/dump")" -ge 35 ]
}

test_native() {
	routed_up
	routed_gateway
	check "the mode" port_is lan '.mode == "copy native"'
	check "finished by the kernel" port_is lan '.offloads.tx_checksum and .offloads.partial_checksums'
	both_ways
	checksums_are_partial
	check "partial checksums came and went" stat_reaches '.ports[0].counters.tx_partial_pkts' 10000
	equal "segments cut in native mode" "$(stat_of .engine.segmented_pkts)" 0
	wait_for 2 "a balance" balanced
	gateway_ends
	nothing_left lan wan
}

test_generic() {
	routed_up
	routed_gateway --mode generic
	check "the mode" port_is lan '.mode | contains("generic")'
	both_ways
	checksums_are_partial
	check "superpackets of the hosts' TSO came in" stat_reaches .engine.segmented_pkts 100
	wait_for 2 "a balance" balanced
	gateway_ends
	nothing_left lan wan
}

# Software alone: no checksum by TX metadata, and segments that the engine cuts itself.
test_generic_without_offloads() {
	local off='mode = "generic"; checksum_offload = "off"; metadata = "off";'
	routed_up
	conf "$off" "$off"
	routed_gateway
	check "no checksums for the kernel" port_is lan '.offloads.tx_checksum | not'
	check "IPv4" ping_ok h1 10.2.0.2
	file_ok h1 h2 10.2.0.2
	file_ok h1 h2 fd02::2
	check "checksums were finished here" stat_reaches .engine.csum_completed_pkts 100
	check "superpackets of the hosts' TSO came in" stat_reaches .engine.segmented_pkts 100
	gateway_ends
}

jumbo() {	# CHUNK
	TOPO_MTU=9000
	routed_up
	conf '' '' "memory: { chunk = $1; };"
	routed_gateway
	equal "bytes of a chunk" "$(gw status --json | jq '.workers[0].chunk_bytes')" "$1"
	check "several buffers for one packet" port_is lan '.offloads.multibuffer and .mtu == 9000'
	both_ways
	check "long packets in both directions" [ "$(stat_of '.ports[0].counters | .rx_bytes / .rx_pkts | floor')" -gt 1000 ]
	equal "packets of a wrong length" "$(stat_of '.drops | .too_long + .too_many_frags + .hdr_split + .mtu_df')" 0
	wait_for 2 "a balance" balanced
	gateway_ends
}

test_jumbo_chunk_2048() { jumbo 2048; }
test_jumbo_chunk_4096() { jumbo 4096; }

test_chunk_4096() {
	routed_up
	conf '' '' 'memory: { chunk = 4096; frames = 8192; };'
	routed_gateway
	check "IPv4" ping_ok h1 10.2.0.2 -s 1472 -M 'do'
	file_ok h1 h2 10.2.0.2
	file_ok h2 h1 fd01::2
	gateway_ends
}

# No multi-buffer: one frame is one packet, and the kernel says so by the largest MTU it allows.
test_single_buffer() {
	routed_up
	conf 'multibuffer = "off";' 'multibuffer = "off";'
	routed_gateway
	check "said" port_is lan '.offloads.multibuffer | not'
	check "IPv4" ping_ok h1 10.2.0.2 -s 1472 -M 'do'
	file_ok h1 h2 fd02::2
	gateway_ends
}

test_two_queues_two_workers() {
	local w
	TOPO_QUEUES=2
	routed_up
	conf 'queues = 2;' 'queues = 2;' 'workers: { cpus = [ 0, 1 ]; };'
	routed_gateway
	equal "pinned to" "$(gw status --json | jq -c '[.workers[].cpu]')" '[0,1]'
	[[ $B == */tsan ]] || equal "the threads' CPUs" "$(worker_cpus)" "0 1"	# TSan has a thread of its own
	check "ping" ping_ok h2 10.1.0.2
	iperf_server h2
	check "TCP, 8 flows" tcp_ok h1 10.2.0.2 100 -P 8
	check "TCP over IPv6, 8 flows, backwards" tcp_ok h1 fd02::2 100 -P 8 -R
	for w in 0 1; do
		check "worker $w had a part of it" stat_reaches ".workers[$w].engine.forwarded_pkts" 1000
	done
	equal "crossings" "$(stat_of .engine.cross_out_pkts)" 0
	gateway_ends
	nothing_left lan wan
}

# Affinity of the threads that are bound to one CPU each.
worker_cpus() {
	local t
	for t in /proc/"$GATEWAY_PID"/task/*; do
		[ "$t" = "/proc/$GATEWAY_PID/task/$GATEWAY_PID" ] || sed -n 's/^Cpus_allowed_list:\t//p' "$t/status"
	done | sort | xargs
}

# The way out has one queue, of worker 0: what worker 1 received crosses.
test_crossing() {
	TOPO_QUEUES=2
	ROUTED_WAN_QUEUES=1
	routed_up
	conf 'queues = 2; workers = [ 0, 1 ];' 'queues = 1; workers = [ 0 ];' 'workers: { count = 2; };'
	routed_gateway
	check "ping" ping_ok h1 10.2.0.2
	iperf_server h2
	check "TCP, 8 flows" tcp_ok h1 10.2.0.2 100 -P 8
	check "TCP backwards" tcp_ok h1 fd02::2 60 -P 4 -R
	check "UDP" udp_ok h1 10.2.0.2 2 -P 4
	check "crossings are counted" stat_reaches '.workers[1].engine.cross_out_pkts' 1000
	wait_for 2 "what left worker 1 has come to worker 0" stat_is '.workers[1].engine.cross_out_pkts - .workers[0].engine.cross_in_pkts' 0
	wait_for 2 "a balance" balanced
	gateway_ends
}
