# SPDX-License-Identifier: MIT
# shellcheck shell=bash
# shellcheck disable=SC2034  # the options of topology/lib.sh are set here
# h1 - gateway - TUN - application in the gateway's own namespace.

app_port='.ports[] | select(.name == "app")'

both_ways() {
	check "IPv4 to the application" ping_ok h1 10.3.0.2
	check "IPv6 from the application" ping_ok gw fd01::2 -I fd03::2
	check "IPv6 in fragments" ping_ok h1 fd03::2 -s 20000
	# Bound: a UDP server on the wildcard address would answer with that of the nearest device.
	iperf_server gw -B 10.3.0.2
	spawn gw iperf6.log iperf3 -s -B fd03::2 -p 5202
	wait_for 5 "iperf3 listens" tcp_listens gw 5202
	check "TCP to the application" tcp_ok h1 10.3.0.2 60
	check "TCP over IPv6 from the application" tcp_ok h1 fd03::2 60 -p 5202 -R
	check "UDP to the application" udp_ok h1 10.3.0.2 2
	check "UDP over IPv6 from the application" udp_ok h1 fd03::2 2 -p 5202 -R
	file_ok h1 gw 10.3.0.2
	file_ok h1 gw fd03::2
}

test_application() {
	tun_up
	tun_gateway
	check "the offloads of the TUN" port_is app '.offloads | .tso4 and .tso6'
	both_ways
	check "superpackets of the kernel were cut" stat_reaches .engine.segmented_pkts 500
	wait_for 2 "a balance" balanced
	gateway_ends
	nothing_left lan
	refuse "the TUN device stays" link_exists gw tun0 2>/dev/null
}

test_generic_mode() {
	tun_up
	tun_conf | sed 's/device = "lan";/& mode = "generic";/' >"$TOPO_STATE/generic.conf"
	TOPO_CONF=$TOPO_STATE/generic.conf
	tun_gateway
	both_ways
	wait_for 2 "a balance" balanced
	gateway_ends
}

test_without_offloads() {
	tun_up
	tun_conf | sed 's/tun = "tun0";/& offloads = "off";/' >"$TOPO_STATE/plain.conf"
	TOPO_CONF=$TOPO_STATE/plain.conf
	tun_gateway
	check "none is left" port_is app '.offloads | (.tso4 or .tso6 or .uso) | not'
	check "ping" ping_ok h1 10.3.0.2
	file_ok h1 gw 10.3.0.2
	equal "superpackets" "$(stat_of .engine.segmented_pkts)" 0
	gateway_ends
}

flows_on_both() {
	[ "$(stat_of "$app_port"' | [.queues[].counters | select(.rx_pkts > 500 and .tx_pkts > 500)] | length')" = 2 ]
}

test_two_queues() {
	TOPO_QUEUES=2
	tun_up
	tun_gateway
	check "ping" ping_ok h1 10.3.0.2
	iperf_server gw
	check "TCP, 8 flows" tcp_ok h1 10.3.0.2 60 -P 8
	check "TCP over IPv6, 8 flows, backwards" tcp_ok h1 fd03::2 60 -P 8 -R
	check "both queues were used in both directions" flows_on_both
	wait_for 2 "a balance" balanced
	gateway_ends
}

# sendmsg of 20 x 1000 octets at once: one superpacket of the kernel's, twenty datagrams on the link.
uso_send() {
	in_ns gw /usr/bin/python3 - "$1" "$2" <<-'END'
		import socket, sys
		source, to = sys.argv[1:]
		s = socket.socket(socket.AF_INET6 if ":" in to else socket.AF_INET, socket.SOCK_DGRAM)
		s.bind((source, 0))
		s.setsockopt(socket.SOL_UDP, 103, 1000)                 # UDP_SEGMENT
		for i in range(50):
		    s.sendto(bytes([i]) * 20000, (to, 9))
	END
}

test_udp_segmentation() {
	local to from n=0
	tun_up
	tun_gateway
	port_is app .offloads.uso || skip "this kernel has no UDP segmentation over TUN"
	check "ping" ping_ok h1 10.3.0.2
	check "ping" ping_ok h1 fd03::2
	sink_start h1 datagrams --udp 9
	for to in 10.1.0.2 fd01::2; do
		from=10.3.0.2
		[[ $to != *:* ]] || from=fd03::2
		uso_send $from $to
		n=$((n + 1000))
		wait_for 5 "all datagrams to $to" sink_reached datagrams $n
	done
	kill_wait "$SINK_PID"
	equal "datagrams" "$(sink_now datagrams)" 2000
	# ping and its replies are in none of these.
	equal "superpackets" "$(stat_of .engine.segmented_pkts)" 100
	equal "their segments" "$(stat_of .engine.created_pkts)" 2000
	gateway_ends
}
