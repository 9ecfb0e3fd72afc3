# SPDX-License-Identifier: MIT
# shellcheck shell=bash
# shellcheck disable=SC2034  # what lib.sh reads is set here
# Devices, addresses and routes that change under the running gateway.

port_state() { gw status --json | jq -er ".ports[] | select(.name == \"$1\").state"; }
port_in_state() { [ "$(port_state "$1")" = "$2" ]; }

gw_ip() { ip -n "$(ns gw)" "$@"; }

# forwarded WHAT: a ping is answered, and it was the engine that forwarded it.
forwarded() {
	local before
	before=$(stat_of .engine.forwarded_pkts)
	check "$1" ping_ok h1 10.2.0.2
	between "packets through the engine, $1" "$(stat_of .engine.forwarded_pkts)" $((before + 20)) $((before + 100))
}

flood() {	# ARGUMENTS OF pktgen...
	spawn h1 flood.log "$TOOLS/pktgen" udp --device eth0 --dmac "$(mac_of gw lan)" "$@"
	FLOOD_PID=$SPAWNED
}

test_link_down_and_up() {
	routed_up
	routed_gateway
	forwarded "before"
	flood --rate 50000
	wait_for 5 "load" stat_reaches .engine.forwarded_pkts 1000
	# The other side's carrier first: addresses and routes of the kernel stay.
	ip -n "$(ns h2)" link set dev eth0 down
	wait_for 5 "the carrier's loss is noticed" port_in_state wan down
	check "logged" log_has 'port wan: link down'
	ip -n "$(ns h2)" link set dev eth0 up
	wait_for 5 "its return is noticed" port_in_state wan up
	route_add h2 default via 10.2.0.1
	addr_add h2 eth0 fd02::2/64
	route_add h2 default via fd02::1
	wait_for 5 "IPv4 flows again" in_ns h1 ping -q -c 1 -W 0.2 10.2.0.2
	# Then the administrator's: the kernel takes routes and IPv6 addresses off.
	gw_ip link set dev wan down
	wait_for 5 "it is noticed" port_in_state wan down
	refuse "no way out" in_ns h1 ping -q -c 1 -W 0.2 10.2.0.2 >/dev/null
	gw_ip link set dev wan up
	wait_for 5 "its return is noticed" port_in_state wan up
	addr_add gw wan fd02::1/64
	wait_for 5 "IPv4 flows again" in_ns h1 ping -q -c 1 -W 0.2 10.2.0.2
	kill_wait "$FLOOD_PID"
	forwarded "after"
	check "IPv6" ping_ok h1 fd02::2
	wait_for 5 "a balance" balanced
	gateway_ends
	nothing_left lan wan
}

learned_mtu() { in_ns h1 ip route get "$1" | grep -q " mtu $2"; }

test_mtu_changes() {
	routed_up
	routed_gateway
	forwarded "at 1500"
	iperf_server h2
	spawn h1 load.log iperf3 -c 10.2.0.2 -C reno -t 30
	wait_for 5 "load" stat_reaches .engine.forwarded_pkts 5000
	gw_ip link set dev wan mtu 1400
	ip -n "$(ns h2)" link set dev eth0 mtu 1400
	wait_for 5 "the new MTU is known" port_is wan '.mtu == 1400'
	check "logged" log_has 'port wan: MTU 1400'
	wait_for 5 "the running load is told the new MTU" learned_mtu 10.2.0.2 1400
	in_ns h1 ping -n -c 1 -W 1 -s 1452 -M 'do' fd02::2 >"$TOPO_STATE/too-big" || :
	check "and who uses IPv6" file_has "$TOPO_STATE/too-big" 'From fd01::1 .*Packet too big: mtu=1400'
	# The load may fill a queue now and then.
	wait_for 5 "IPv4 of 1400" in_ns h1 ping -q -c 1 -W 0.5 -s 1372 -M 'do' 10.2.0.2
	file_ok h2 h1 10.1.0.2
	file_ok h2 h1 fd01::2
	refuse "the load broke off" pid_gone "$SPAWNED"
	kill_wait "$SPAWNED"
	# And up: packets of several buffers on a port that was opened for one.
	for h in "h1 eth0" "gw lan" "gw wan" "h2 eth0"; do
		ip -n "$(ns "${h% *}")" link set dev "${h#* }" mtu 9000
	done
	wait_for 5 "the new MTU is known" port_is wan '.mtu == 9000'
	wait_for 5 "the new MTU is known" port_is lan '.mtu == 9000'
	in_ns h1 ip route flush cache
	wait_for 5 "the neighbours answer" in_ns h1 ping -q -c 1 -W 0.2 -s 8972 10.2.0.2
	check "IPv4 of 9000" ping_ok h2 10.1.0.2 -s 8972 -M 'do'
	wait_for 5 "a balance" balanced
	gateway_ends
}

test_route_has_its_own_mtu() {
	routed_up
	routed_gateway
	gw_ip route add 10.9.0.0/24 via 10.2.0.2 mtu 1300
	wait_for 5 "the route is known" has_route 10.9.0.1 '.routes[0].mtu == 1300'
	in_ns h1 ping -n -c 1 -W 1 -s 1400 -M 'do' 10.9.0.1 >"$TOPO_STATE/too-big" || :
	check "its MTU is told" file_has "$TOPO_STATE/too-big" 'From 10.1.0.1 .*Frag needed and DF set \(mtu = 1300\)'
	gateway_ends
}

test_device_removed_and_returned() {
	local i
	routed_up
	routed_gateway
	forwarded "before"
	flood --rate 50000
	for i in 1 2; do
		wait_for 5 "load" stat_reaches .engine.forwarded_pkts $((i * 1000))
		gw_ip link del dev wan
		wait_for 5 "reported" port_in_state wan gone
		check "logged" [ "$(log_count 'port wan: device wan is gone')" = $i ]
		check "the port is still listed" gw ports wan >/dev/null
		wait_for 5 "no route" stat_reaches .drops.no_route $((i * 1000))
		veth_add gw wan h2 eth0
		addr_add h2 eth0 10.2.0.2/24 fd02::2/64
		addr_add gw wan 10.2.0.1/24 fd02::1/64
		route_add h2 default via 10.2.0.1
		route_add h2 default via fd02::1
		wait_for 5 "opened again" port_in_state wan up
		wait_for 5 "IPv4 flows again" in_ns h1 ping -q -c 1 -W 0.2 10.2.0.2
	done
	kill_wait "$FLOOD_PID"
	forwarded "after"
	check "IPv6" ping_ok h2 fd01::2
	wait_for 5 "a balance" balanced
	gateway_ends
	nothing_left lan wan
}

# The device that packets come in by goes while they come.
test_inward_device_removed() {
	routed_up
	routed_gateway
	forwarded "before"
	flood
	wait_for 5 "load" stat_reaches .engine.forwarded_pkts 10000
	gw_ip link del dev lan
	wait_for 5 "reported" port_in_state lan gone
	check "the other port stays" port_in_state wan up
	wait_for 5 "a balance" balanced
	gateway_ends
	nothing_left wan
}

test_routes_change() {
	local answer
	routed_up
	routed_gateway
	ip -n "$(ns h2)" addr add 10.9.0.2/32 dev lo
	ip -n "$(ns h2)" -6 addr add fd09::2/128 dev lo
	gw_ip route add 10.9.0.0/24 via 10.2.0.2
	gw_ip -6 route add fd09::/64 via fd02::2
	wait_for 5 "the routes are known" has_route fd09::2 '.routes[0].nexthops[0].interface == "wan"'
	check "IPv4" ping_ok h1 10.9.0.2
	check "IPv6" ping_ok h1 fd09::2
	for answer in "unreachable:Destination Host Unreachable" "prohibit:Packet filtered" "blackhole:"; do
		gw_ip route add "${answer%%:*}" 10.9.0.2/32
		wait_for 5 "${answer%%:*} is known" has_route 10.9.0.2 ".routes[0].type == \"${answer%%:*}\""
		in_ns h1 ping -n -c 1 -W 0.3 10.9.0.2 >"$TOPO_STATE/answer" && fail "${answer%%:*} lets it through"
		if [ -n "${answer#*:}" ]; then
			check "what is said" file_has "$TOPO_STATE/answer" "From 10.1.0.1 .*${answer#*:}"
		else
			refuse "what is said" file_has "$TOPO_STATE/answer" 'From '
		fi
		check "counted" stat_reaches ".drops.${answer%%:*}" 1
		gw_ip route del "${answer%%:*}" 10.9.0.2/32
		wait_for 5 "and gone" has_route 10.9.0.2 '.routes[0].type == "unicast"'
		check "IPv4" ping_ok h1 10.9.0.2
	done
	gw_ip -6 route add prohibit fd09::2/128
	wait_for 5 "prohibit is known" has_route fd09::2 '.routes[0].type == "prohibit"'
	in_ns h1 ping -n -c 1 -W 0.3 fd09::2 >"$TOPO_STATE/answer" || :
	check "what is said" file_has "$TOPO_STATE/answer" 'From fd01::1 .*Administratively prohibited'
	# Metrics: the lower one wins, its loss brings back the other.
	gw_ip route add blackhole 10.9.0.0/24 metric 50
	check "metric 0 holds" ping_ok h1 10.9.0.2
	gw_ip route del 10.9.0.0/24 via 10.2.0.2
	wait_for 5 "metric 50 holds" has_route 10.9.0.2 '.routes[0].type == "blackhole"'
	gateway_ends
}

test_addresses_change() {
	routed_up
	routed_gateway
	# A new subnet, in which the kernel answers at once.
	addr_add gw wan 10.4.0.1/24 fd04::1/64
	addr_add h2 eth0 10.4.0.2/24 fd04::2/64
	check "the kernel's new address" ping_ok h1 10.4.0.1
	wait_for 5 "the new subnet" has_route 10.4.0.2 '.routes[0].nexthops[0].interface == "wan"'
	wait_for 5 "and IPv6" has_route fd04::2 '.routes[0].nexthops[0].interface == "wan"'
	check "IPv4" ping_ok h1 10.4.0.2
	check "IPv6" ping_ok h1 fd04::2
	check "said" port_is wan '[.interfaces[0].addresses[].address] | contains(["10.4.0.1/24", "fd04::1/64"])'
	gw_ip addr del 10.4.0.1/24 dev wan
	wait_for 5 "and gone" has_no_route 10.4.0.2
	in_ns h1 ping -n -c 1 -W 0.3 10.4.0.1 >"$TOPO_STATE/answer" && fail "the address is gone"
	check "no route" file_has "$TOPO_STATE/answer" 'From 10.1.0.1 .*Net Unreachable'
	gateway_ends
}

has_no_route() { ! gw routes --get "$1"; }

# Two ways by two neighbours' MAC addresses; a flow stays on one.
# has_lines NAME N PATTERN
has_lines() { [ "$(grep -c "$3" "$TOPO_STATE/$1")" -ge "$2" ]; }

test_ecmp() {
	local a=02:00:00:00:00:0a b=02:00:00:00:00:0b
	routed_up
	routed_gateway
	gw_ip neigh add 10.2.0.10 lladdr $a dev wan nud permanent
	gw_ip neigh add 10.2.0.11 lladdr $b dev wan nud permanent
	gw_ip route add 10.9.0.0/24 nexthop via 10.2.0.10 dev wan nexthop via 10.2.0.11 dev wan
	wait_for 5 "both ways are known" has_route 10.9.0.1 '.routes[0].nexthops | length == 2'
	sink_start h2 all --device eth0 --filter 'udp port 9'
	spawn h2 dump tcpdump -nel -i eth0 -s 128 -B 8192 'udp port 9'
	wait_for 5 "tcpdump listens" file_has "$TOPO_STATE/dump" 'listening on'
	in_ns h1 "$TOOLS/pktgen" udp --device eth0 --dmac "$(mac_of gw lan)" --dst 10.9.0.1 --flows 64 --count 1280 --rate 20000 \
		--exact
	wait_for 5 "all arrive" sink_reached all 1280
	wait_for 20 "tcpdump has printed all" has_lines dump 1280 ethertype
	kill_wait "$SPAWNED" INT
	# "TIME SOURCE > DESTINATION, ethertype ..: ADDRESS.PORT > ..." to "MAC PORT", each flow 20 times.
	sed -nE 's/^[^ ]+ [^ ]+ > ([0-9a-f:]+), .* 10\.1\.0\.2\.([0-9]+) > .*/\1 \2/p' "$TOPO_STATE/dump" | sort | uniq -c >"$TOPO_STATE/flows"
	equal "flows that stayed on one way" "$(awk '$1 == 20' "$TOPO_STATE/flows" | wc -l)" 64
	between "flows by $a" "$(grep -c $a "$TOPO_STATE/flows")" 16 48
	gateway_ends
}

many_routes() {	# add|del
	awk -v what="$1" 'BEGIN { for (i = 0; i < 10000; i++)
		printf "route %s 172.%d.%d.%d/30 via 10.2.0.2\n", what, 16 + int(i / 4096), int(i / 16) % 256, i % 16 * 16 }' |
		ip -n "$(ns gw)" -batch -
}

routes_are() { [ "$(gw status --json | jq .counts.routes_ipv4)" -eq "$1" ]; }

test_ten_thousand_routes() {
	local before
	routed_up
	ip -n "$(ns h2)" addr add 172.18.112.241/32 dev lo
	routed_gateway
	forwarded "before"
	before=$(gw status --json | jq .counts.routes_ipv4)
	# As much as the rings hold for a second, in case the worker waits for a CPU.
	flood --rate 2000
	many_routes add
	wait_for 10 "all are known" routes_are $((before + 10000))
	check "the last of them leads to h2" ping_ok h1 172.18.112.241
	equal "listed" "$(gw routes -4 --json | jq '[.routes[] | select(.prefix | startswith("172."))] | length')" 10000
	many_routes del
	wait_for 10 "all are gone" routes_are "$before"
	kill_wait "$FLOOD_PID"
	forwarded "after"
	gateway_ends
}

# A socket buffer that cannot hold what comes: the mirror is read anew, and nothing is missing.
test_overrun_is_resynchronised() {
	local before
	routed_up
	cat >"$TOPO_STATE/gateway.conf" <<-END
		instance = "$TOPO";
		netlink: { receive_buffer = "64K"; };
		ports = ( { name = "lan"; device = "lan"; }, { name = "wan"; device = "wan"; } );
	END
	TOPO_CONF=$TOPO_STATE/gateway.conf
	routed_gateway
	before=$(gw status --json | jq '[.counts.routes_ipv4, .netlink.resyncs]')
	kill -STOP "$GATEWAY_PID"
	many_routes add
	kill -CONT "$GATEWAY_PID"
	wait_for 10 "all are known" routes_are $(($(jq '.[0]' <<<"$before") + 10000))
	check "by a new reading" [ "$(gw status --json | jq .netlink.resyncs)" -gt "$(jq '.[1]' <<<"$before")" ]
	forwarded "after"
	gateway_ends
}
