# SPDX-License-Identifier: MIT
# shellcheck shell=bash
# shellcheck disable=SC2034  # what lib.sh reads is set here
# Every packet is counted, once: what bpftool shows, what `stats` says and what was sent are the same numbers.

# Hosts that answer nothing, so that nothing is on the links but what a test sends.
silent_hosts() {
	local h
	for h in "$@"; do
		ip -n "$(ns "$h")" addr flush dev eth0
		in_ns "$h" sysctl -qw net.ipv6.conf.eth0.disable_ipv6=1
	done
}

# Neighbours that need not be asked for, and a kernel that forwards nothing beside the engine.
quiet_gw() {
	ip -n "$(ns gw)" neigh replace 10.1.0.2 lladdr "$(mac_of h1 eth0)" dev lan nud permanent
	ip -n "$(ns gw)" neigh replace fd01::2 lladdr "$(mac_of h1 eth0)" dev lan nud permanent
	if link_exists gw wan >/dev/null 2>&1; then
		ip -n "$(ns gw)" neigh replace 10.2.0.2 lladdr "$(mac_of h2 eth0)" dev wan nud permanent
		ip -n "$(ns gw)" neigh replace fd02::2 lladdr "$(mac_of h2 eth0)" dev wan nud permanent
	fi
	in_ns gw sysctl -qw net.ipv4.ip_forward=0 net.ipv6.conf.all.forwarding=0
}

# The same counters by bpftool and by the gateway itself.
maps_agree() { "$TOPO_ROOT/tests/net/stats_vs_bpftool.py" "$SLUICE" "$GATEWAY_INSTANCE"; }

test_maps_by_name() {
	TOPO_QUEUES=2
	routed_up
	cat >"$TOPO_STATE/gateway.conf" <<-END
		instance = "$TOPO";
		workers: { count = 2; };
		ports = ( { name = "lan"; device = "lan"; }, { name = "wan"; device = "wan"; } );
		steer: { rules = ( { name = "no"; priority = 1; action = "drop"; protocol = "udp"; destination_ports = 7; },
		                   { name = "mine"; priority = 2; action = "engine"; protocol = "udp"; destination_ports = 9; } ); };
	END
	TOPO_CONF=$TOPO_STATE/gateway.conf
	routed_gateway
	quiet_gw
	silent_hosts h1 h2
	wait_for 5 "the neighbours are known" gw_knows fd02::2
	sink_start h2 arrived --device eth0 --filter 'udp'
	to_lan() { in_ns h1 "$TOOLS/pktgen" udp --device eth0 --dmac "$(mac_of gw lan)" --rate 50000 --exact "$@" >/dev/null; }
	to_lan --count 5000 --flows 64
	to_lan --count 300 --dport 7
	to_lan --count 200 --dst 10.99.0.1
	to_lan --count 100 --src fd01::2 --dst fd02::2 --size 100
	wait_for 5 "all arrive" sink_reached arrived 5100
	wait_for 5 "all are counted" stat_is .engine.rx_pkts 5300
	until_deadline 5 maps_agree || fail "bpftool and stats: $(maps_agree)"
	equal "dropped by the program" "$(stat_of '.ports[0].steer.drop_rule')" 300
	equal "octets" "$(stat_of .engine.rx_bytes)" $((5200 * 60 + 100 * 100))
	equal "forwarded" "$(stat_of .engine.forwarded_pkts)" 5100
	equal "sent by wan" "$(stat_of '.ports[1].counters.tx_pkts')" 5100
	equal "without a route" "$(stat_of .drops.no_route)" 200
	equal "hits of the rules" "$(stat_of '[.ports[0].rules[].pkts]' | jq -c .)" '[300,5300]'
	equal "arrived" "$(sink_now arrived)" 5100
	check "a balance" balanced
	gateway_ends
}

gw_knows() { gw neigh --json | jq -e "[.neighbours[].address] | index(\"$1\")" >/dev/null; }

# xdp_account PORT SENT HOST DEVICE: SENT frames went from HOST's eth0 into DEVICE of gw. Each met one verdict; each that was
# redirected came to the engine, or is in XDP_STATISTICS.
xdp_account() {
	gw stats --json | jq ".ports[] | select(.name == \"$1\")" >"$TOPO_STATE/port"
	jq -e --argjson sent "$2" --argjson lost "$(device_drops "$3" eth0 tx)" --argjson missed "$(veth_drops gw "$4")" '
		(.steer | with_entries(select(.key | test("^(pass|drop|redirect)_(?!bytes)"))) | [.[]] | add) as $verdicts |
		(.steer | with_entries(select(.key | test("^redirect_(?!bytes)"))) | [.[]] | add) as $redirects |
		.counters as $c | ($c.xdp_rx_dropped + $c.xdp_rx_ring_full) as $refused |
		$sent == .steer.rx_frames + $lost + ($missed - $refused) and $verdicts == .steer.rx_frames and
		$redirects == $c.rx_pkts + $c.rx_drops + $refused' "$TOPO_STATE/port" >/dev/null
}

# In front of the XDP program, and redirects that the socket refused: XDP_STATISTICS has those, too. (A device's rx_dropped
# also has what the kernel's stack dropped behind it.)
veth_drops() { in_ns "$1" ethtool -S "$2" | awk '/rx_queue_[0-9]+_drops:/ { n += $2 } END { print n + 0 }'; }

device_drops() { ip -n "$(ns "$1")" -s -j link show dev "$2" | jq ".[0].stats64.$3.dropped"; }

hostile() {	# HOST SMAC... : 100,000 mutated frames from h1 or h2
	in_ns "$1" "$TOOLS/pktgen" mutate --device eth0 --count 100000 --exact "${@:2}" >"$TOPO_STATE/sent-$1"
	equal "frames sent by $1" "$(json "$TOPO_STATE/sent-$1" .sent)" 100000
}

test_mutated_frames_into_both_ports() {
	local before lan wan
	routed_up
	quiet_gw
	silent_hosts h1 h2
	routed_gateway
	before=$(ip -n "$(ns h2)" -s -j link show dev eth0 | jq '.[0].stats64.rx.packets')
	wait_for 5 "the neighbours are known" gw_knows fd02::2
	# A last word of the hosts' before they were silenced may have come in.
	lan=$(stat_of '.ports[0].steer.rx_frames') wan=$(stat_of '.ports[1].steer.rx_frames')
	hostile h1 --dmac "$(mac_of gw lan)" --seed 1
	hostile h2 --dmac "$(mac_of gw wan)" --seed 2 --src 10.2.0.2 --dst 10.1.0.2 --src fd02::2 --dst fd01::2
	# Sent = verdicts + device drops, redirected = received + XDP_STATISTICS.
	until_deadline 10 xdp_account lan $((lan + 100000)) h1 lan || fail "lan: $(cat "$TOPO_STATE/port"), $(device_drops h1 eth0 tx)"
	until_deadline 10 xdp_account wan $((wan + 100000)) h2 wan || fail "wan: $(cat "$TOPO_STATE/port"), $(device_drops h2 eth0 tx)"
	wait_for 10 "received = sent + drops by reason" balanced
	# What the engine sent by wan is on h2's wire, beside at most what the kernel of gw had to say.
	between "frames that h2 got" $(($(ip -n "$(ns h2)" -s -j link show dev eth0 | jq '.[0].stats64.rx.packets') - before)) \
		"$(stat_of '.ports[1].counters.tx_pkts')" $(($(stat_of '.ports[1].counters.tx_pkts') + 2000))
	check "many were forwarded" stat_reaches .engine.forwarded_pkts 20000
	check "for many reasons" [ "$(stat_of '[.drops[] | select(. > 0)] | length')" -ge 10 ]
	check "it still runs" gw status >/dev/null
	gateway_ends
	nothing_left lan wan
}

# tun_account BEFORE: what was sent since came to the engine; what the device's queue refused was sent again.
tun_account() {
	[ "$(stat_of '.ports[1].counters | .rx_pkts + .rx_drops')" -eq $(($1 + $(json "$TOPO_STATE/sent-gw" .sent))) ]
}

test_mutated_packets_into_the_tun() {
	local before
	tun_up
	tun_gateway
	quiet_gw
	silent_hosts h1
	in_ns gw sysctl -qw net.ipv6.conf.tun0.disable_ipv6=1
	ip -n "$(ns gw)" addr flush dev tun0
	wait_for 5 "the neighbours are known" gw_knows fd01::2
	before=$(stat_of '.ports[1].counters | .rx_pkts + .rx_drops')
	in_ns gw "$TOOLS/pktgen" mutate --device tun0 --dmac 02:00:00:00:00:01 --count 100000 --exact --src 10.3.0.2 --dst 10.1.0.2 \
		--src fd03::2 --dst fd01::2 >"$TOPO_STATE/sent-gw"
	equal "packets sent" "$(json "$TOPO_STATE/sent-gw" .sent)" 100000
	wait_for 10 "sent = received" tun_account "$before"
	wait_for 10 "received = sent + drops by reason" balanced
	check "many were forwarded" stat_reaches .engine.forwarded_pkts 20000
	gateway_ends
}
