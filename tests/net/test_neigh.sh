# SPDX-License-Identifier: MIT
# shellcheck shell=bash
# shellcheck disable=SC2034  # what lib.sh reads is set here
# Engine-only addresses: the engine's own ARP and neighbour discovery, in a namespace where the kernel has no address at
# all; VLANs and QinQ, which no device of the kernel's is needed for.

# engine_up: the topology of routed.sh, but the kernel of gw neither has addresses nor forwards.
engine_up() {
	ns_add h1
	ns_add gw
	ns_add h2
	in_ns gw sysctl -qw net.ipv6.conf.all.disable_ipv6=1 net.ipv6.conf.default.disable_ipv6=1
	veth_add gw lan h1 eth0
	veth_add gw wan h2 eth0
	addr_add h1 eth0 10.1.0.2/24 fd01::2/64
	addr_add h2 eth0 10.2.0.2/24 fd02::2/64
	route_add h1 default via 10.1.0.1
	route_add h1 default via fd01::1
	route_add h2 default via 10.2.0.1
	route_add h2 default via fd02::1
	equal "addresses of the kernel in gw" "$(ip -n "$(ns gw)" -o addr show scope global | wc -l)" 0
	equal "and of the link" "$(ip -n "$(ns gw)" -o addr show dev lan | wc -l)" 0
}

DETECT=false

# engine_gateway [LINES...]: engine-only addresses on both ports; LINES go into the configuration, NEIGHBOURS into the
# group of that name. The look for duplicates takes seconds: only tests of it have DETECT=true.
engine_gateway() {
	engine_conf "$@" >"$TOPO_STATE/gateway.conf"
	gateway_start gw -c "$TOPO_STATE/gateway.conf"
}

engine_conf() {
	cat <<-END
		instance = "$TOPO";
		ports = (
		    { name = "lan"; device = "lan"; addresses = [ "10.1.0.1/24", "fd01::1/64" ]; },
		    { name = "wan"; device = "wan"; addresses = [ "10.2.0.1/24", "fd02::1/64" ]; }
		);
	END
	echo "neighbours: { detect_duplicates = $DETECT; ${NEIGHBOURS:-} };"
	printf '%s\n' "$@"
}

address_is() {	# PORT ADDRESS STATE
	port_is "$1" ".interfaces[0].addresses[] | select(.address == \"$2\").state == \"$3\""
}

all_preferred() {
	address_is lan 10.1.0.1/24 preferred && address_is lan fd01::1/64 preferred &&
		address_is wan 10.2.0.1/24 preferred && address_is wan fd02::1/64 preferred
}

neigh_is() {	# ADDRESS CONDITION
	gw neigh --json | jq -e ".neighbours[] | select(.address == \"$1\") | $2" >/dev/null
}

test_addresses_answer() {
	local to
	engine_up
	engine_gateway
	wait_for 5 "the addresses are usable" all_preferred
	for to in 10.1.0.1 fd01::1 10.2.0.1 fd02::1; do
		check "$to" ping_ok h1 "$to"
	done
	check "long echoes" ping_ok h1 10.1.0.1 -s 1472
	check "ARP" in_ns h1 arping -q -c 1 -w 2 -I eth0 10.1.0.1
	# A host's own probe for the address is answered: it is taken (RFC 5227 2.1.1).
	refuse "a probe finds the address free" in_ns h1 arping -q -D -c 1 -w 2 -I eth0 10.1.0.1
	equal "the MAC that was told" "$(ip -n "$(ns h1)" -j neigh show 10.1.0.1 | jq -r '.[0].lladdr')" "$(mac_of gw lan)"
	equal "and by IPv6" "$(ip -n "$(ns h1)" -j neigh show fd01::1 | jq -r '.[0].lladdr')" "$(mac_of gw lan)"
	check "echo replies are counted" stat_reaches .engine.echo_replies_sent 50
	wait_for 2 "a balance" balanced
	gateway_ends
	nothing_left lan wan
}

test_forwards_without_the_kernel() {
	engine_up
	engine_gateway
	wait_for 5 "the addresses are usable" all_preferred
	check "IPv4" ping_ok h1 10.2.0.2
	check "IPv6" ping_ok h2 fd01::2
	file_ok h1 h2 10.2.0.2
	file_ok h1 h2 fd02::2
	check "neighbours are the engine's" neigh_is 10.2.0.2 '.owner == "engine" and .state != "failed"'
	check "IPv6 ones too" neigh_is fd01::2 '.owner == "engine"'
	equal "the kernel's" "$(ip -n "$(ns gw)" neigh show | wc -l)" 0
	gateway_ends
}

test_netlink_switched_off() {
	engine_up
	engine_gateway 'netlink: { enabled = false; };' 'routes = ( { prefix = "10.9.0.0/24"; via = "10.2.0.2"; } );'
	ip -n "$(ns h2)" addr add 10.9.0.1/32 dev lo
	wait_for 5 "the addresses are usable" all_preferred
	equal "netlink" "$(gw status --json | jq -r .netlink.state)" off
	check "a static route" ping_ok h1 10.9.0.1
	gateway_ends
}

# What the engine says of itself when it comes up: probes (RFC 5227, RFC 4862), then announcements.
test_announces() {
	DETECT=true
	engine_up
	spawn h1 dump tcpdump -nel -i eth0 'arp or icmp6'
	wait_for 5 "tcpdump listens" file_has "$TOPO_STATE/dump" 'listening on'
	engine_gateway
	check "not used while it is looked for a duplicate" address_is lan 10.1.0.1/24 tentative
	refuse "not used while it is looked for a duplicate" in_ns h1 arping -q -c 1 -w 1 -I eth0 10.1.0.1
	wait_for 10 "the addresses are usable" all_preferred
	wait_for 5 "an ARP probe" file_has "$TOPO_STATE/dump" '> ff:ff:ff:ff:ff:ff.* who-has 10\.1\.0\.1 .*tell 0\.0\.0\.0'
	wait_for 5 "an ARP announcement" file_has "$TOPO_STATE/dump" '> ff:ff:ff:ff:ff:ff.* who-has 10\.1\.0\.1 .*tell 10\.1\.0\.1|Reply 10\.1\.0\.1 is-at'
	wait_for 5 "duplicate address detection" file_has "$TOPO_STATE/dump" ':: > ff02::1:ff00:1.* neighbor solicitation, who has fd01::1'
	wait_for 5 "an unsolicited advertisement" file_has "$TOPO_STATE/dump" 'fd01::1 > ff02::1: .*neighbor advertisement, tgt is fd01::1'
	check "ping" ping_ok h1 10.1.0.1
	gateway_ends
}

# The hosts take a new MAC address from the announcement of it.
test_announces_a_new_mac() {
	engine_up
	engine_gateway
	wait_for 5 "the addresses are usable" all_preferred
	check "ping" ping_ok h1 10.1.0.1
	check "IPv6" ping_ok h1 fd01::1
	ip -n "$(ns gw)" link set dev lan address 02:00:00:00:00:77
	wait_for 10 "the host knows the new MAC" neigh_mac_is h1 10.1.0.1 02:00:00:00:00:77
	check "ping" ping_ok h1 10.1.0.1
	check "IPv6" ping_ok h1 fd01::1
	gateway_ends
}

neigh_mac_is() { ip -n "$(ns "$1")" -j neigh show "$2" | jq -e ".[0].lladdr == \"$3\""; }

test_conflict_at_start() {
	DETECT=true
	engine_up
	addr_add h2 eth0 10.2.0.1/24 fd02::1/64
	engine_gateway
	wait_for 5 "IPv4 conflict" address_is wan 10.2.0.1/24 duplicate
	wait_for 5 "IPv6 conflict" address_is wan fd02::1/64 duplicate
	check "logged" log_has "interface wan: $(mac_of h2 eth0) has address 10.2.0.1 too; it is not used here"
	check "logged" log_has "interface wan: $(mac_of h2 eth0) has address fd02::1 too; it is not used here"
	# It is h2's: the way there is the subnet's.
	equal "the route" "$(gw routes --get 10.2.0.1 --json | jq -r '.routes[0].type')" unicast
	gateway_ends
}

test_conflict_while_running() {
	engine_up
	engine_gateway
	wait_for 5 "the addresses are usable" all_preferred
	check "ping" ping_ok h1 10.1.0.1
	# Another host claims the address: it is told off (RFC 5227 2.4), and the address stays.
	in_ns h1 /usr/bin/python3 - "$(mac_of gw lan)" <<-'END'
		import socket, sys
		s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
		s.bind(("eth0", 0))
		mac = bytes.fromhex("02000000000e")
		ip = socket.inet_aton("10.1.0.1")
		s.send(b"\xff" * 6 + mac + bytes.fromhex("0806" "0001080006040001") + mac + ip + bytes(6) + ip)
	END
	wait_for 5 "logged" log_has 'interface lan: 02:00:00:00:00:0e has address 10.1.0.1 too$'
	check "the address stays" address_is lan 10.1.0.1/24 preferred
	wait_for 5 "hosts come back" neigh_mac_is h1 10.1.0.1 "$(mac_of gw lan)"
	check "ping" ping_ok h1 10.1.0.1
	gateway_ends
}

test_unresolved() {
	engine_up
	NEIGHBOURS='retransmit = "200ms";'
	engine_gateway
	wait_for 5 "the addresses are usable" all_preferred
	# 20 packets for one that does not answer: 16 wait and are answered by an error, the rest found no room.
	in_ns h1 ping -n -q -c 20 -i 0.002 -W 0.1 10.2.0.9 >/dev/null || :
	wait_for 5 "they have failed" stat_reaches .drops.neigh_failed 16
	check "the rest found no room" stat_reaches .drops.neigh_queue_full 1
	in_ns h1 ping -n -c 1 -W 2 10.2.0.10 >"$TOPO_STATE/answer" || :
	check "the sender is told" file_has "$TOPO_STATE/answer" 'From 10.1.0.1 .*Destination Host Unreachable'
	in_ns h1 ping -n -c 1 -W 2 fd02::9 >"$TOPO_STATE/answer" || :
	check "by IPv6" file_has "$TOPO_STATE/answer" 'From fd01::1 .*Address unreachable'
	check "said" neigh_is fd02::9 '.state == "failed" or .state == "incomplete"'
	wait_for 2 "a balance" balanced
	gateway_ends
}

# A neighbour that comes late: what waited for it arrives, and in order.
test_late_neighbour() {
	engine_up
	engine_gateway
	wait_for 5 "the addresses are usable" all_preferred
	check "the way is warm" ping_ok h1 10.1.0.1
	sink_start h2 late --device eth0 --filter 'udp dst port 9'
	in_ns h1 "$TOOLS/pktgen" udp --device eth0 --dmac "$(mac_of gw lan)" --dst 10.2.0.7 --count 10 --exact
	wait_for 2 "it is asked for" neigh_is 10.2.0.7 '.state == "incomplete"'
	ip -n "$(ns h2)" addr add 10.2.0.7/24 dev eth0
	wait_for 5 "all ten arrive" sink_reached late 10
	gateway_ends
}

# No word of it, only silence at the old one: reachability is probed in unicast, then asked anew (RFC 4861 7.3).
test_neighbour_changes_its_mac() {
	engine_up
	NEIGHBOURS='reachable = "500ms"; retransmit = "100ms";'
	engine_gateway
	check "IPv4" ping_ok h1 10.2.0.2
	check "IPv6" ping_ok h1 fd02::2
	ip -n "$(ns h2)" link set dev eth0 address 02:00:00:00:00:55
	spawn h1 six ping -n -i 0.1 fd02::2
	wait_for 10 "the engine has followed" in_ns h1 ping -q -c 1 -W 0.2 10.2.0.2
	wait_for 5 "by IPv6" neigh_is fd02::2 '.mac == "02:00:00:00:00:55"'
	check "IPv4" ping_ok h1 10.2.0.2
	check "IPv6" ping_ok h1 fd02::2
	gateway_ends
}

test_static_neighbour() {
	engine_up
	NEIGHBOURS='static = ( { address = "10.2.0.50"; mac = "02:00:00:00:00:50"; interface = "wan"; } );'
	engine_gateway
	wait_for 5 "the addresses are usable" all_preferred
	sink_start h2 static --device eth0 --filter 'ether dst 02:00:00:00:00:50'
	in_ns h1 "$TOOLS/pktgen" udp --device eth0 --dmac "$(mac_of gw lan)" --dst 10.2.0.50 --count 10 --exact
	wait_for 2 "all ten arrive" sink_reached static 10
	check "said" neigh_is 10.2.0.50 '.owner == "static"'
	gateway_ends
}

# One conversation through a VLAN on one side and QinQ on the other.
test_vlan_and_qinq() {
	TOPO_VLAN=1
	routed_up
	routed_gateway
	check "the interfaces" port_is wan '.interfaces[] | select(.name == "wan.100.20").vlan == {"id": 100, "inner": 20, "protocol": "802.1ad"}'
	wait_for 5 "the addresses are usable" vlan_preferred
	check "the address in VLAN 10" ping_ok h1 10.1.0.1
	check "the address in QinQ" ping_ok h2 fd02::1
	spawn h2 dump tcpdump -nel -i eth0 --immediate-mode
	wait_for 5 "tcpdump listens" file_has "$TOPO_STATE/dump" 'listening on'
	check "IPv4" ping_ok h1 10.2.0.2
	wait_for 5 "both tags" file_has "$TOPO_STATE/dump" '0x88a8\), .*vlan 100, .* vlan 20, .* 10.1.0.2 > 10.2.0.2: ICMP echo request'
	check "IPv6" ping_ok h2 fd01::2
	check "as long as the way takes" ping_ok h1 10.2.0.2 -s 1464 -M 'do'
	in_ns h1 ping -n -c 1 -W 1 -s 1472 -M 'do' 10.2.0.2 >"$TOPO_STATE/too-big" || :
	check "the inner VLAN's MTU is told" file_has "$TOPO_STATE/too-big" 'From 10.1.0.1 .*mtu = 1492'
	check "in fragments" ping_ok h1 10.2.0.2 -s 10000
	file_ok h1 h2 10.2.0.2
	file_ok h1 h2 fd02::2
	# Frames of a tag that nobody configured are none of the engine's.
	wait_for 2 "a balance" balanced
	gateway_ends
	nothing_left lan wan
}

vlan_preferred() {
	port_is lan '.interfaces[] | select(.name == "lan.10") | [.addresses[].state] | all(. == "preferred")' &&
		port_is wan '.interfaces[] | select(.name == "wan.100.20") | [.addresses[].state] | all(. == "preferred")'
}
