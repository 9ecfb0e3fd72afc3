# SPDX-License-Identifier: MIT
# shellcheck shell=bash
# shellcheck disable=SC2034  # what lib.sh reads is set here
# What the engine takes and what stays with the kernel: rules, prefixes, routes.

steer_gateway() {	# LINES INSIDE OF steer...
	{
		echo "instance = \"$TOPO\";"
		echo 'ports = ( { name = "lan"; device = "lan"; }, { name = "wan"; device = "wan"; } );'
		printf '%s\n' 'steer: {' "$@" '};'
	} >"$TOPO_STATE/gateway.conf"
	gateway_start gw -c "$TOPO_STATE/gateway.conf"
}

verdict() { stat_of ".ports[0].steer.$1"; }
hits() { stat_of ".ports[0].rules[] | select(.name == \"$1\").pkts"; }

# flow COUNT ARGUMENTS OF pktgen...: so many datagrams from h1 into lan, counted where h2's device gets them.
flow() {
	local n=$1
	shift
	in_ns h1 "$TOOLS/pktgen" udp --device eth0 --dmac "$(mac_of gw lan)" --count "$n" --rate 2000 --exact "$@" >/dev/null
}

test_rules_by_priority() {
	routed_up
	steer_gateway 'transit = ();' 'rules = (' \
		'{ name = "all";   priority = 30; action = "engine"; protocol = "udp"; },' \
		'{ name = "no";    priority = 20; action = "drop";   protocol = "udp"; destination_ports = "1000-1999"; },' \
		'{ name = "but";   priority = 10; action = "kernel"; protocol = "udp"; destination_ports = 1500; source = "10.1.0.0/24"; },' \
		'{ name = "other"; priority = 5;  action = "drop";   protocol = "udp"; port = "wan"; } );'
	sink_start h2 arrived --device eth0 --filter 'udp'
	flow 100 --dport 9
	flow 200 --dport 1500
	flow 300 --dport 1600
	flow 400 --dport 1500 --src fd01::2 --dst fd02::2 --size 80
	wait_for 5 "what is not dropped" sink_reached arrived 300
	equal "taken by the engine" "$(hits all)" 100
	equal "left to the kernel" "$(hits but)" 200
	equal "dropped" "$(hits no)" 700
	equal "verdicts" "$(verdict redirect_rule) $(verdict pass_rule) $(verdict drop_rule)" "100 200 700"
	equal "forwarded by the engine" "$(stat_of .engine.forwarded_pkts)" 100
	equal "arrived" "$(sink_now arrived)" 300
	equal "no rule of lan's" "$(stat_of '[.ports[0].rules[].name] | index("other")')" null
	# TCP has no rule and no prefix.
	file_ok h1 h2 10.2.0.2
	equal "forwarded by the engine" "$(stat_of .engine.forwarded_pkts)" 100
	gateway_ends
}

# Rules with ports split no datagram: all its fragments go by prefix and protocol.
test_fragments() {
	routed_up
	steer_gateway 'rules = ( { name = "port"; priority = 1; action = "drop"; protocol = "udp"; destination_ports = 9; } );'
	check "ping" ping_ok h1 10.2.0.2
	sink_start h2 fragments --device eth0 --filter 'ip[6:2] & 0x3fff != 0 and udp'
	in_ns h1 /usr/bin/python3 - <<-'END'
		import socket
		s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
		s.setsockopt(socket.IPPROTO_IP, 10, 0)                  # IP_MTU_DISCOVER: no DF
		for i in range(10):
		    s.sendto(bytes(2000), ("10.2.0.2", 9))             # a first and a last fragment
		    s.sendto(b"whole", ("10.2.0.2", 9))
	END
	wait_for 5 "first and later fragments" sink_reached fragments 20
	equal "whole ones are dropped by the rule" "$(hits port)" 10
	equal "fragments seen" "$(verdict fragments)" 20
	equal "and taken by their prefix" "$(verdict redirect_prefix)" 30
	# A rule of the protocol alone takes both.
	gateway_ends
	steer_gateway 'rules = ( { name = "udp"; priority = 1; action = "drop"; protocol = "udp"; } );'
	in_ns h1 ping -q -c 1 -W 1 10.2.0.2 >/dev/null
	in_ns h1 /usr/bin/python3 -c 'import socket
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.setsockopt(0, 10, 0)
s.sendto(bytes(4000), ("10.2.0.2", 9))'
	wait_for 2 "all three fragments" stat_is '.ports[0].rules[0].pkts' 3
	gateway_ends
}

test_transit_prefixes() {
	routed_up
	steer_gateway 'transit = ( "10.0.0.0/8", { prefix = "10.2.0.128/25"; action = "kernel"; }, { prefix = "10.2.0.200/32"; action = "drop"; } );'
	addr_add h2 eth0 10.2.0.130/24 10.2.0.200/24
	check "the engine's" ping_ok h1 10.2.0.2
	equal "through the engine" "$(stat_of .engine.forwarded_pkts)" 20
	# There by the kernel, back by the engine: the answer is for 10.1.0.2.
	check "the kernel's" ping_ok h1 10.2.0.130
	equal "through the engine" "$(stat_of .engine.forwarded_pkts)" 30
	refuse "dropped" in_ns h1 ping -q -c 3 -i 0.01 -W 0.2 10.2.0.200 >/dev/null
	equal "verdicts" "$(verdict redirect_prefix) $(verdict pass_prefix) $(verdict drop_prefix)" "10 10 3"
	check "IPv6 has no prefix" ping_ok h1 fd02::2
	equal "through the engine" "$(stat_of .engine.forwarded_pkts)" 30
	gateway_ends
}

# A way out that is no port of the engine's: the kernel goes it, and the steering follows the routes.
test_routes_of_other_devices() {
	routed_up
	ns_add h3
	veth_add gw other h3 eth0
	addr_add gw other 10.3.0.1/24 fd03::1/64
	addr_add h3 eth0 10.3.0.2/24 fd03::2/64
	route_add h3 default via 10.3.0.1
	route_add h3 default via fd03::1
	routed_gateway
	check "by the kernel" ping_ok h1 10.3.0.2
	check "by the kernel" ping_ok h1 fd03::2
	check "left to it" [ "$(verdict pass_prefix)" -ge 20 ]
	check "by the engine" ping_ok h1 10.2.0.2
	equal "packets without a way" "$(stat_of .drops.no_port)" 0
	# A default route by the other device: all but the engine's own networks are the kernel's then.
	ip -n "$(ns h3)" addr add 10.77.0.1/32 dev lo
	route_add gw default via 10.3.0.2
	wait_for 5 "the steering follows" in_ns h1 ping -q -c 1 -W 0.2 10.77.0.1
	check "by the engine still" forwarded_by_engine 10.2.0.2
	# And back: the route turns to a port.
	ip -n "$(ns gw)" route replace default via 10.2.0.2
	ip -n "$(ns h2)" addr add 10.77.0.1/32 dev lo
	wait_for 5 "the steering follows" forwarded_by_engine 10.77.0.1
	gateway_ends
}

forwarded_by_engine() {
	local before
	before=$(stat_of .engine.forwarded_pkts)
	in_ns h1 ping -q -c 1 -W 0.2 "$1" && [ "$(stat_of .engine.forwarded_pkts)" -ge $((before + 2)) ]
}
