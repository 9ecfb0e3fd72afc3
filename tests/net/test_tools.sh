# SPDX-License-Identifier: MIT
# shellcheck shell=bash
# shellcheck disable=SC2034  # the options of topology/lib.sh are set here
# The tools and topologies that the other tests lean on: what they say they sent and lost is what happened.

link_up() {
	ns_add h1
	ns_add h2
	veth_add h1 eth0 h2 eth0
}

test_kernel_forwards_without_a_gateway() {
	routed_up
	check "IPv4 by the kernel" ping_ok h1 10.2.0.2
	check "IPv6 by the kernel" ping_ok h2 fd01::2
}

test_two_queues() {
	TOPO_QUEUES=2
	routed_up
	equal "receive queues of lan" "$(in_ns gw ethtool -l lan | awk '/Current/ { on = 1 } on && /^RX:/ { print $2 }')" 2
}

# No frames on the link of link_up but those of the test.
silent() {
	in_ns h1 sysctl -qw net.ipv6.conf.all.disable_ipv6=1
	in_ns h2 sysctl -qw net.ipv6.conf.all.disable_ipv6=1
}

rx_packets() { ip -n "$(ns "$1")" -s -j link show dev "$2" | jq '.[0].stats64.rx.packets'; }
rx_reached() { [ "$(rx_packets "$1" "$2")" -ge "$3" ]; }

test_pktgen_count_is_exact() {
	local mode want
	link_up
	silent
	sink_start h2 frames --device eth0
	# No packet socket sees a frame that ends within its VLAN tag, so the device counts the hostile ones.
	for mode in udp mix mutate; do
		want=$(($(rx_packets h2 eth0) + 20000))
		in_ns h1 "$TOOLS/pktgen" "$mode" --device eth0 --dmac "$(mac_of h2 eth0)" --count 20000 --exact >"$TOPO_STATE/sent"
		equal "frames sent" "$(json "$TOPO_STATE/sent" .sent)" 20000
		wait_for 5 "all frames of $mode arrive" rx_reached h2 eth0 $want
		equal "frames of $mode" "$(rx_packets h2 eth0)" $want
		[ "$mode" != udp ] || wait_for 5 "pktsink counts them" sink_reached frames 20000
	done
}

test_pktgen_seed_repeats() {
	local i
	link_up
	silent
	for i in 1 2; do
		spawn h2 "dump$i" tcpdump -i eth0 -w "$TOPO_STATE/$i.pcap" -s 2048 -c 1900 --immediate-mode -B 16384
		wait_for 5 "tcpdump listens" file_has "$TOPO_STATE/dump$i" 'listening on'
		in_ns h1 "$TOOLS/pktgen" mutate --device eth0 --dmac 02:00:00:00:00:99 --count 2000 --rate 5000 --seed 7 --exact
		join "$SPAWNED" 10
		# Frames alone: the times differ.
		tcpdump -nr "$TOPO_STATE/$i.pcap" -xx -t 2>/dev/null | grep '0x' >"$TOPO_STATE/$i.hex"
	done
	check "both runs are alike" cmp "$TOPO_STATE/1.hex" "$TOPO_STATE/2.hex"
}

test_udp_sink_counts_what_its_socket_got() {
	routed_up
	sink_start h2 datagrams --udp 9
	in_ns h1 "$TOOLS/pktgen" udp --device eth0 --dmac "$(mac_of gw lan)" --count 5000 --rate 100000 --exact
	in_ns h1 "$TOOLS/pktgen" udp --device eth0 --dmac "$(mac_of gw lan)" --src fd01::2 --dst fd02::2 --size 80 \
		--count 5000 --rate 100000 --exact
	wait_for 5 "all datagrams arrive" sink_reached datagrams 10000
	kill_wait "$SINK_PID"
	equal "datagrams" "$(sink_now datagrams)" 10000
}

tagged() {	# TAGS [OPTIONS...]
	link_up
	vlan_host_up h1 vlan0 "$@"
	vlan_host_up h2 vlan0 "$@"
	addr_add h1 vlan0 10.1.0.2/24 fd01::2/64
	addr_add h2 vlan0 10.1.0.3/24 fd01::3/64
}

test_vlan_host() {
	tagged 10
	sink_start h2 tagged --device eth0 --filter 'vlan 10'
	check "IPv4 in VLAN 10" ping_ok h1 10.1.0.3 -s 1472 -M 'do'
	check "IPv6 in VLAN 10" ping_ok h1 fd01::3
	wait_for 5 "tagged frames" sink_reached tagged 20
}

test_vlan_host_qinq() {
	tagged 100.20
	check "IPv4 in QinQ" ping_ok h1 10.1.0.3 -s 1464 -M 'do'
	check "IPv6 in QinQ" ping_ok h1 fd01::3
	head -c 4000000 /dev/urandom >"$TOPO_STATE/file"
	serve_files h2 10.1.0.3 8000 "$TOPO_STATE"
	equal "a file in QinQ" "$(fetch_sha256 h1 http://10.1.0.3:8000/file)" "$(sha256 "$TOPO_STATE/file")"
}

test_vlan_host_sends_partial_checksums() {
	tagged 10 --partial
	head -c 4000000 /dev/urandom >"$TOPO_STATE/file"
	serve_files h2 10.1.0.3 8000 "$TOPO_STATE"
	spawn h1 dump tcpdump -nvv -i eth0 -c 50 'vlan 10 and tcp src port 8000'
	wait_for 5 "tcpdump listens" file_has "$TOPO_STATE/dump" 'listening on'
	equal "a file" "$(fetch_sha256 h1 http://10.1.0.3:8000/file)" "$(sha256 "$TOPO_STATE/file")"
	join "$SPAWNED" 10
	between "partial checksums of 50" "$(grep -c 'incorrect' "$TOPO_STATE/dump")" 45 50
}

test_vlan_host_hears_its_own_tags_only() {
	link_up
	vlan_host_up h1 vlan0 10
	vlan_host_up h2 vlan0 11
	addr_add h1 vlan0 10.1.0.2/24
	addr_add h2 vlan0 10.1.0.3/24
	refuse "VLAN 10 reaches VLAN 11" in_ns h1 ping -q -c 2 -i 0.1 -W 1 10.1.0.3
}

impaired() {	# OPTIONS OF impair...
	ns_add h1
	ns_add box
	ns_add h2
	in_ns box sysctl -qw net.ipv6.conf.default.disable_ipv6=1
	veth_add box near h1 eth0
	veth_add box far h2 eth0
	addr_add h1 eth0 10.1.0.2/24
	addr_add h2 eth0 10.1.0.3/24
	in_ns h1 ethtool -K eth0 tso off gso off
	in_ns h2 ethtool -K eth0 tso off gso off
	spawn box impair "$TOOLS/impair" --a near --b far "$@"
	IMPAIR_PID=$SPAWNED
	wait_for 5 "impair is ready" file_has "$TOPO_STATE/impair" '^ready'
}

impair_end() {
	kill_wait "$IMPAIR_PID"
	sed 1d "$TOPO_STATE/impair" >"$TOPO_STATE/impair.json"
}

test_impair_loses_by_seed() {
	local i
	for i in 1 2; do
		impaired --loss 0.1 --seed 5
		sink_start h2 arrived --device eth0 --filter 'udp port 9'
		in_ns h1 "$TOOLS/pktgen" udp --device eth0 --dmac "$(mac_of h2 eth0)" --dst 10.1.0.3 --count 20000 \
			--rate 40000 --exact
		wait_for 5 "impair saw all" sink_reached arrived 17000
		impair_end
		kill_wait "$SINK_PID"
		equal "seen, less passed, lost, refused" \
			"$(json "$TOPO_STATE/impair.json" '.near | .seen - .passed - .lost - .refused - .overflow')" 0
		json "$TOPO_STATE/impair.json" '.near.lost' >"$TOPO_STATE/lost$i"
		between "lost of 20000 at 10 %" "$(cat "$TOPO_STATE/lost$i")" 1800 2200
		for h in h1 h2 box; do ip netns del "$(ns $h)"; done
	done
}

test_impair_delays_and_reorders() {
	impaired --delay 10 --reorder 0.03 --seed 2
	check "ping with 20 ms" in_ns h1 ping -q -n -c 20 -i 0.01 -W 2 10.1.0.3 >"$TOPO_STATE/ping"
	between "the round trip in ms" "$(sed -nE 's/^rtt [^=]*= [0-9.]+\/([0-9]+).*/\1/p' "$TOPO_STATE/ping")" 20 40
	head -c 2000000 /dev/urandom >"$TOPO_STATE/file"
	serve_files h2 10.1.0.3 8000 "$TOPO_STATE"
	equal "a file over it" "$(fetch_sha256 h1 http://10.1.0.3:8000/file)" "$(sha256 "$TOPO_STATE/file")"
	impair_end
	check "some were reordered" [ "$(json "$TOPO_STATE/impair.json" '.near.reordered + .far.reordered')" -gt 10 ]
}

test_xsk_bare_forwards() {
	routed_up
	head -c 20000000 /dev/urandom >"$TOPO_STATE/file"
	serve_files h2 :: 8000 "$TOPO_STATE"
	spawn gw bare "$TOPO_ROOT/build/tests/bench/xsk-bare" --a lan --b wan --mac-a "$(mac_of h1 eth0)" \
		--mac-b "$(mac_of h2 eth0)" --csum --bpf "$TOPO_ROOT/build/tests/bench/xsk-bare.bpf.o"
	wait_for 5 "xsk-bare is ready" file_has "$TOPO_STATE/bare" '^ready'
	for url in http://10.2.0.2:8000/file 'http://[fd02::2]:8000/file'; do
		equal "$url" "$(fetch_sha256 h1 "$url")" "$(sha256 "$TOPO_STATE/file")"
	done
	kill_wait "$SPAWNED"
	check "it forwarded them" [ "$(awk '/^lan: received/ { print $5 }' "$TOPO_STATE/bare")" -gt 20000 ]
}

test_dead_run_is_swept() {
	local name
	"$TOPO_ROOT/topology/routed.sh" --no-gateway --pause </dev/null >"$TOPO_STATE/other" 2>&1 &
	wait_for 10 "another run is up" file_has "$TOPO_STATE/other" 'up; SIGTERM'
	name=$(sed -nE 's|.*/run/netns/(sl-routed-[0-9]+)-h1.*|\1|p' "$TOPO_STATE/other")
	kill -KILL $!
	wait $! || :
	check "it left a namespace" [ -e "/run/netns/$name-gw" ]
	"$TOPO_ROOT/topology/tun.sh" --no-gateway
	refuse "the next run swept it" [ -e "/run/netns/$name-gw" ]
	refuse "and its state" [ -e "/run/sluice-topology/$name" ]
}
