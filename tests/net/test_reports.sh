# SPDX-License-Identifier: MIT
# shellcheck shell=bash
# What the command line says of a running gateway, for persons and as JSON.

# A table's row: words with any number of blanks between.
# shellcheck disable=SC2154  # out is code's of lib.sh
row() { grep -qE "^ *${1// / +}" <<<"$out" || fail "no row \"$1\" in: $out"; }

test_tables() {
	tun_up
	# shellcheck disable=SC2119
	tun_gateway
	check "ping" ping_ok h1 10.3.0.2
	ip -n "$(ns gw)" route add blackhole 10.66.0.0/16
	wait_for 5 "the route" has_route 10.66.0.1 '.routes[0].type == "blackhole"'

	code 0 gw status
	says "instance $TOPO, running for"
	row "lan lan xdp up copy native"
	row "app tun0 tun up"
	says "lan: not zero-copy: "
	says "netlink synchronised, table 254"
	code 0 gw status --json
	equal "of the JSON" "$(jq -r '[.instance, .pid, .state, (.workers | length), (.ports | length)] | join(" ")' <<<"$out")" \
		"$TOPO $GATEWAY_PID running 1 2"
	jq -e '.workers[0].frames | .total == .free + .fill + .engine + .tx + .neigh + .cross' <<<"$out" >/dev/null ||
		fail "frames that are nowhere: $out"

	code 0 gw ports
	says "10.1.0.1/24"
	says "$(mac_of gw lan)"
	code 0 gw ports lan
	says "/sys/fs/bpf/sluice/$TOPO/lan"
	code 0 gw ports --json
	equal "ports" "$(jq -c '[.ports[] | [.name, .kind, .mtu]]' <<<"$out")" '[["lan","xdp",1500],["app","tun",1500]]'
	code 1 gw ports nosuch
	says "nosuch"

	code 0 gw routes
	row "10.3.0.2/32 unicast 0 static on-link app"
	row "10.66.0.0/16 blackhole"
	row "fd01::/64 unicast"
	code 0 gw routes -6
	refuse "IPv4 among IPv6" grep -q '^10\.' <<<"$out"
	code 0 gw routes --get 10.1.0.77
	row "10.1.0.0/24 unicast"
	code 0 gw routes --get 10.1.0.77 --json
	equal "the route" "$(jq -r '.routes[0] | .prefix + " " + .nexthops[0].interface' <<<"$out")" "10.1.0.0/24 lan"
	code 1 gw routes --get 192.0.2.1

	code 0 gw neigh
	row "10.1.0.2 lan $(mac_of h1 eth0) kernel"
	code 0 gw neigh lan --json
	jq -e '.neighbours[] | select(.address == "10.1.0.2").interface == "lan"' <<<"$out" >/dev/null || fail "neighbours: $out"

	code 0 gw stats
	row "forwarded_pkts 20 packets routed"
	spawn gw watch.log "$SLUICE" -i "$TOPO" stats --watch --interval 100ms --count 3
	check "ping" ping_ok h1 10.3.0.2
	join "$SPAWNED" 5 || fail "stats --watch ended with $?: $(cat "$TOPO_STATE/watch.log")"
	check "rates" file_has "$TOPO_STATE/watch.log" 'PER SECOND'
	code 0 gw stats --json --count 2 --interval 50ms
	equal "one line for each" "$(jq -c .engine.rx_pkts <<<"$out" | wc -l)" 2
	gateway_ends
	code 4 gw status
}

# IP packets of the TUN, as a file that tcpdump reads.
test_capture_of_a_tun() {
	tun_up
	# shellcheck disable=SC2119
	tun_gateway
	check "ping" ping_ok h1 10.3.0.2
	spawn gw capture.log "$SLUICE" -i "$TOPO" capture app -w "$TOPO_STATE/app.pcap" -c 4 -d out icmp or icmp6
	until_deadline 20 ping_until_gone "$SPAWNED" || fail "the capture does not end"
	tcpdump --time-stamp-precision=nano -nr "$TOPO_STATE/app.pcap" >"$TOPO_STATE/app.txt" 2>"$TOPO_STATE/app.err"
	check "IP without a link layer" file_has "$TOPO_STATE/app.err" 'link-type RAW'
	equal "echo requests" "$(grep -c 'IP 10.1.0.2 > 10.3.0.2: ICMP echo request' "$TOPO_STATE/app.txt")" 4
	check "nanoseconds" file_has "$TOPO_STATE/app.txt" '^[0-9:]+\.[0-9]{9} '
	between "of which are whole microseconds, by chance" "$(grep -cE '^[0-9:]+\.[0-9]{6}000 ' "$TOPO_STATE/app.txt")" 0 3
	gateway_ends
}

ping_until_gone() {
	pid_gone "$1" && return 0
	in_ns h1 ping -q -c 1 -W 1 10.3.0.2 >/dev/null
	pid_gone "$1"
}

# The story of a packet that was dropped, as a person reads it.
test_trace_of_drops() {
	routed_up
	# shellcheck disable=SC2119
	routed_gateway
	check "ping" ping_ok h1 10.2.0.2
	spawn gw trace.log "$SLUICE" -i "$TOPO" trace --drops --source 10.1.0.2 -c 1
	until_deadline 20 drop_until_gone "$SPAWNED" || fail "the trace does not end"
	check "why it was dropped" file_has "$TOPO_STATE/trace.log" 'dropped: no_route \(no route to the destination\)'
	check "and where it was" file_has "$TOPO_STATE/trace.log" 'ip4-input'
	refuse "packets that were not dropped" file_has "$TOPO_STATE/trace.log" '10\.2\.0\.2'
	gateway_ends
}

drop_until_gone() {
	in_ns h1 ping -q -c 1 -W 0.1 10.2.0.2 >/dev/null
	in_ns h1 ping -q -c 1 -W 0.1 10.99.0.1 >/dev/null || :
	pid_gone "$1"
}
