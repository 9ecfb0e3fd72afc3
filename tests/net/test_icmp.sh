# SPDX-License-Identifier: MIT
# shellcheck shell=bash
# shellcheck disable=SC2034  # what lib.sh reads is set here
# What the gateway tells senders, and what it does with packets that do not fit.

probe() { in_ns h1 /usr/bin/python3 "$TOPO_ROOT/tests/net/icmp_probe.py" "$1" "$(mac_of gw lan)"; }

gw_conf() {	# WAN'S KEYS [LINES...]
	local wan=$1
	shift
	{
		echo "instance = \"$TOPO\";"
		printf '%s\n' "$@"
		echo "ports = ( { name = \"lan\"; device = \"lan\"; }, { name = \"wan\"; device = \"wan\"; $wan } );"
	} >"$TOPO_STATE/gateway.conf"
	TOPO_CONF=$TOPO_STATE/gateway.conf
}

# ping_says TEXT ARGUMENTS...
ping_says() {
	local text=$1
	shift
	in_ns h1 ping -n -c 1 -W 1 "$@" >"$TOPO_STATE/ping" || :
	grep -q "$text" "$TOPO_STATE/ping" || fail "ping $* says: $(cat "$TOPO_STATE/ping")"
}

test_errors() {
	routed_up
	routed_gateway
	check "ping" ping_ok h1 10.2.0.2
	ping_says 'From 10.1.0.1 .*Time to live exceeded' -t 1 10.2.0.2
	ping_says 'bytes from 10.2.0.2' -t 2 10.2.0.2
	ping_says 'From fd01::1 .*Time exceeded: Hop limit' -t 1 fd02::2
	ping_says 'bytes from fd02::2' -t 2 fd02::2
	ping_says 'From 10.1.0.1 .*Destination Net Unreachable' 10.99.0.1
	ping_says 'From fd01::1 .*No route' fd99::1
	probe quote
	equal "errors" "$(stat_of .engine.icmp_errors_sent)" 8
	equal "of these for the TTL" "$(stat_of .drops.ttl)" 4
	equal "and for want of a route" "$(stat_of .drops.no_route)" 4
	wait_for 2 "a balance" balanced
	gateway_ends
}

test_forbidden() {
	routed_up
	routed_gateway
	check "ping" ping_ok h1 fd02::2
	probe forbidden
	equal "errors that were sent" "$(stat_of .engine.icmp_errors_sent)" 2
	check "and were not" stat_reaches .engine.icmp_errors_forbidden 6
	gateway_ends
}

test_local() {
	routed_up
	ip -n "$(ns gw)" addr flush dev lan
	gw_conf '' 'neighbours: { detect_duplicates = false; };'
	sed -i 's/device = "lan";/& addresses = [ "10.1.0.1\/24", "fd01::1\/64" ];/' "$TOPO_CONF"
	routed_gateway
	wait_for 5 "the address answers" in_ns h1 ping -q -c 1 -W 0.2 10.1.0.1
	wait_for 5 "the address answers" in_ns h1 ping -q -c 1 -W 0.2 fd01::1
	probe local
	equal "refused" "$(stat_of .drops.no_listener)" 4
	gateway_ends
}

test_rate_limit() {
	routed_up
	gw_conf '' 'icmp: { error_rate = 10; error_burst = 5; };'
	routed_gateway
	check "ping" ping_ok h1 10.2.0.2
	spawn h1 dump tcpdump -n -l -i eth0 'icmp[0] == 3'
	wait_for 5 "tcpdump listens" file_has "$TOPO_STATE/dump" 'listening on'
	in_ns h1 "$TOOLS/pktgen" udp --device eth0 --dmac "$(mac_of gw lan)" --dst 10.99.0.1 --count 1000 --rate 10000 --exact
	wait_for 5 "all are refused" stat_is .drops.no_route 1000
	# 0.1 s: the burst of 5 and what comes in meanwhile, a little more on a slow machine.
	between "errors" "$(stat_of .engine.icmp_errors_sent)" 5 10
	equal "errors and what was not said" "$(stat_of '.engine | .icmp_errors_sent + .icmp_errors_limited')" 1000
	wait_for 5 "those that were sent arrive" arrived_are "$(stat_of .engine.icmp_errors_sent)"
	gateway_ends
}

arrived_are() { [ "$(grep -c unreachable "$TOPO_STATE/dump")" -eq "$1" ]; }

# A way of 1400 octets that only the gateway knows of: h2's link takes more, so h1 learns it by the error alone.
test_path_mtu() {
	routed_up
	ip -n "$(ns gw)" link set dev wan mtu 1400
	routed_gateway
	check "ping" ping_ok h1 10.2.0.2
	ping_says 'From 10.1.0.1 .*Frag needed and DF set (mtu = 1400)' -s 1472 -M 'do' 10.2.0.2
	ping_says 'From fd01::1 .*Packet too big: mtu=1400' -s 1452 -M 'do' fd02::2
	in_ns h1 ip route flush cache
	in_ns h1 ip -6 route flush cache
	# h2 fetches: the long segments are h1's.
	file_ok h2 h1 10.1.0.2
	check "h1 has learned it" in_ns h1 sh -c 'ip route get 10.2.0.2 | grep -q "mtu 1400"'
	file_ok h2 h1 fd01::2
	check "h1 has learned it" in_ns h1 sh -c 'ip -6 route get fd02::2 | grep -q "mtu 1400"'
	wait_for 2 "a balance" balanced
	gateway_ends
}

# The same for superpackets of a host's TSO: none of them fits.
test_path_mtu_generic() {
	routed_up
	ip -n "$(ns gw)" link set dev wan mtu 1400
	routed_gateway --mode generic
	file_ok h2 h1 10.1.0.2
	file_ok h2 h1 fd01::2
	check "superpackets came in" stat_reaches .engine.segmented_pkts 100
	wait_for 2 "a balance" balanced
	gateway_ends
}

test_fragmentation() {
	local h
	routed_up
	ip -n "$(ns gw)" link set dev wan mtu 1400
	ip -n "$(ns h2)" link set dev eth0 mtu 1400
	routed_gateway
	check "ping" ping_ok h1 10.2.0.2
	spawn h2 dump tcpdump -nv -l -i eth0 'src 10.1.0.2 and icmp'
	wait_for 5 "tcpdump listens" file_has "$TOPO_STATE/dump" 'listening on'
	check "1500 octets without DF" ping_ok h1 10.2.0.2 -s 1472 -M dont
	equal "cut" "$(stat_of .engine.fragmented_pkts)" 10
	equal "fragments" "$(stat_of .engine.created_pkts)" 20
	wait_for 5 "first fragments" dump_shows 10 'offset 0, flags \[\+\].*length 1396'
	wait_for 5 "last fragments" dump_shows 10 'offset 1376, flags \[none\].*length 124'
	# Fragments are cut again: 3 of the host's become 5.
	check "4028 octets" ping_ok h1 10.2.0.2 -s 4000 -M dont
	equal "cut" "$(stat_of .engine.fragmented_pkts)" 30
	# A smaller one first comes on: nothing is cut that fits.
	check "1400 octets" ping_ok h1 10.2.0.2 -s 1372 -M dont
	equal "cut" "$(stat_of .engine.fragmented_pkts)" 30
	wait_for 2 "a balance" balanced
	gateway_ends
}

dump_shows() { [ "$(grep -cE "$2" "$TOPO_STATE/dump")" -eq "$1" ]; }

test_mss_clamp() {
	routed_up
	ip -n "$(ns gw)" link set dev wan mtu 1400
	gw_conf 'mss_clamp = "pmtu";'
	routed_gateway
	spawn h2 dump tcpdump -nv -l -i eth0 'tcp[tcpflags] & tcp-syn != 0 or ip6 proto 6'
	wait_for 5 "tcpdump listens" file_has "$TOPO_STATE/dump" 'listening on'
	file_ok h1 h2 10.2.0.2
	file_ok h1 h2 fd02::2
	wait_for 5 "IPv4" file_has "$TOPO_STATE/dump" '10\.1\.0\.2\.[0-9]+ > 10\.2\.0\.2\.8000: Flags \[S\].*mss 1360,'
	wait_for 5 "IPv6" file_has "$TOPO_STATE/dump" 'fd01::2\.[0-9]+ > fd02::2\.8000: Flags \[S\].*mss 1340,'
	between "SYNs whose MSS was lowered" "$(stat_of .engine.mss_clamped_pkts)" 4 8
	gateway_ends
	sed -i 's/mss_clamp = "pmtu"/mss_clamp = 1000/' "$TOPO_CONF"
	routed_gateway
	spawn h1 dump1 tcpdump -nv -l -i eth0 'tcp[tcpflags] & tcp-syn != 0'
	wait_for 5 "tcpdump listens" file_has "$TOPO_STATE/dump1" 'listening on'
	file_ok h1 h2 10.2.0.2
	wait_for 5 "a number, in the answer too" file_has "$TOPO_STATE/dump1" '10\.2\.0\.2\.8000 > .*Flags \[S\.\].*mss 1000,'
	gateway_ends
}
