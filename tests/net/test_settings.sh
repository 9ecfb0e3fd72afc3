# SPDX-License-Identifier: MIT
# shellcheck shell=bash
# shellcheck disable=SC2034  # the options of topology/lib.sh are set here
# Keys of the configuration that say what the running gateway does, where no other test looks at them.

# conf TEXT: a configuration with these keys beside the instance.
conf() {
	printf 'instance = "%s";\n%s\n' "$TOPO" "$1" >"$TOPO_STATE/gateway.conf"
	TOPO_CONF=$TOPO_STATE/gateway.conf
}

# refused CODE TEXT: a start with the configuration ends so, says so, and leaves nothing.
refused() {
	code "$1" in_ns gw "$SLUICE" run -c "$TOPO_STATE/gateway.conf"
	says "$2"
	GATEWAY_INSTANCE=$TOPO
	nothing_left lan wan
	refuse "the lock stays" test -e "/run/sluice/$TOPO.sock.lock"
}

BOTH='ports = ( { name = "lan"; device = "lan"; }, { name = "wan"; device = "wan"; } );'

iface_mtu() { port_is "$1" ".interfaces[0].mtu == $2"; }

test_mtu_is_capped_by_the_device() {
	routed_up
	conf 'ports = ( { name = "lan"; device = "lan"; mtu = 9000; }, { name = "wan"; device = "wan"; mtu = 1400; } );'
	routed_gateway
	check "lan has its device's" iface_mtu lan 1500
	check "and says so" log_has 'interface lan: mtu 9000 is more than the device.s: 1500'
	check "wan has its own" iface_mtu wan 1400
	check "1400 pass" ping_ok h1 10.2.0.2 -s 1372 -M 'do'
	in_ns h1 ping -n -c 1 -W 1 -s 1402 -M 'do' fd02::2 >"$TOPO_STATE/too-big" || :
	check "1450 do not" file_has "$TOPO_STATE/too-big" 'Packet too big: mtu=1400'
	ip -n "$(ns gw)" link set dev wan mtu 1300
	wait_for 5 "the device's is less now" iface_mtu wan 1300
	ip -n "$(ns gw)" link set dev wan mtu 1500
	wait_for 5 "and its own again" iface_mtu wan 1400
	gateway_ends
}

test_mtu_beyond_one_frame() {
	local dev
	routed_up
	conf 'ports = ( { name = "lan"; device = "lan"; mode = "generic"; multibuffer = "off"; },
	                { name = "wan"; device = "wan"; mode = "generic"; multibuffer = "off"; } );'
	routed_gateway
	refuse "a reason before" port_is lan '[.reasons[] | test("no multi-buffer")] | any'
	for dev in lan wan; do ip -n "$(ns gw)" link set dev $dev mtu 3000; done
	wait_for 5 "the port says what it cannot" port_is lan \
		'.state == "up" and .mtu == 3000 and ([.reasons[] | test("no multi-buffer")] | any)'
	wait_for 5 "wan is up again" port_is wan '.state == "up" and .mtu == 3000'
	check "what fits, passes" ping_ok h1 10.2.0.2 -s 1400
	for dev in lan wan; do ip -n "$(ns gw)" link set dev $dev mtu 1500; done
	wait_for 5 "and is told no more" port_is lan \
		'.state == "up" and .mtu == 1500 and ([.reasons[] | test("no multi-buffer")] | any | not)'
	gateway_ends
	nothing_left lan wan
}

test_clamped_mss_of_vlans() {
	TOPO_VLAN=1
	routed_up
	routed_vlan_conf | sed 's|id = 10;|id = 10; mss_clamp = 1000; rp_filter = "strict";|' >"$TOPO_STATE/vlan.conf"
	TOPO_CONF=$TOPO_STATE/vlan.conf
	routed_gateway
	wait_for 5 "forwards" in_ns h1 ping -q -c 1 -W 0.2 10.2.0.2
	iperf_server h2
	check "TCP" tcp_ok h1 10.2.0.2 10
	check "both SYNs" stat_reaches .engine.mss_clamped_pkts 2
	equal "segments as long as the clamp says" "$(json "$TOPO_STATE/tcp.json" .start.tcp_mss_default)" 988
	# Strict: a source of nobody's, and one that is reached by the other side.
	addr_add h1 vlan0 10.2.0.77/32
	equal "spoofed sources" "$(stat_of .drops.rp_filter)" 0
	refuse "an answer" in_ns h1 ping -q -c 3 -i 0.1 -W 0.2 -I 10.2.0.77 10.2.0.2 >/dev/null
	check "dropped" stat_reaches .drops.rp_filter 3
	gateway_ends
}

test_without_netlink() {
	ns_add h1
	ns_add gw
	ns_add h2
	veth_add h1 eth0 gw lan
	veth_add h2 eth0 gw wan
	addr_add h1 eth0 10.1.0.2/24 fd01::2/64
	addr_add h2 eth0 10.2.0.2/24 fd02::2/64
	route_add h1 default via 10.1.0.1
	route_add h1 default via fd01::1
	route_add h2 default via 10.2.0.1
	route_add h2 default via fd02::1
	conf 'netlink = { enabled = false; }; neighbours = { detect_duplicates = false; };
	ports = ( { name = "lan"; device = "lan"; addresses = [ "10.1.0.1/24", "fd01::1/64" ]; },
	          { name = "wan"; device = "wan"; addresses = [ "10.2.0.1/24", "fd02::1/64" ]; } );'
	routed_gateway
	check "said" test "$(gw status --json | jq -r .netlink.state)" = off
	ip -n "$(ns gw)" route add 10.9.0.0/24 dev wan
	check "IPv4" ping_ok h1 10.2.0.2
	check "IPv6" ping_ok h2 fd01::2
	check "through the engine" stat_reaches .engine.forwarded_pkts 40
	refuse "the kernel's route is known" has_route 10.9.0.1 '.routes | length > 0' 2>/dev/null
	ip -n "$(ns gw)" link del lan
	wait_for 5 "links are followed all the same" port_is lan '.state == "gone"'
	gateway_ends
	nothing_left wan
}

test_icmp_rates() {
	routed_up
	conf 'workers = { count = 2; }; icmp = { error_rate = 2; error_burst = 4; echo_rate = 0; };
	ports = ( { name = "lan"; device = "lan"; addresses = [ "10.1.0.9/24" ]; }, { name = "wan"; device = "wan"; } );
	neighbours = { detect_duplicates = false; };'
	routed_gateway
	wait_for 5 "the address is taken" in_ns h1 arping -q -c 1 -w 1 -I eth0 10.1.0.9
	refuse "an echo" in_ns h1 ping -q -c 3 -i 0.1 -W 0.2 10.1.0.9 >/dev/null
	equal "as many are refused" "$(stat_of .drops.icmp_echo_limited)" 3
	in_ns h1 ping -q -c 20 -i 0.02 -t 1 -W 0.2 10.2.0.2 >/dev/null || :
	# One queue, so one worker: its half of the burst, and what came in since.
	between "errors" "$(stat_of .engine.icmp_errors_sent)" 2 4
	gateway_ends
}

test_what_cannot_be_is_said() {
	routed_up
	conf "workers = { cpus = [ 0, 4000 ]; }; $BOTH"
	refused 1 'workers.cpus: CPU 4000 is not there'
	if [ "$(cat /proc/sys/vm/nr_hugepages)" = 0 ]; then
		conf "memory = { huge = true; }; $BOTH"
		refused 1 'huge'
	fi
	conf "control = { group = \"no-such-group\"; }; $BOTH"
	refused 1 'no group "no-such-group"'
	conf 'ports = ( { name = "app"; tun = "app0"; owner = "no-such-user"; } );'
	refused 1 'port app: owner: there is no user "no-such-user"'
	conf 'ports = ( { name = "lan"; device = "lan"; mode = "zerocopy"; } );'
	refused 1 'zerocopy is not possible'
	conf 'ports = ( { name = "lan"; device = "lan"; queues = [ 7 ]; } );'
	refused 1 'queue 7'
}

test_switches() {
	routed_up
	conf 'ports = ( { name = "lan"; device = "lan"; metadata = "on"; multibuffer = "on"; checksum_offload = "on"; },
	                { name = "wan"; device = "wan"; metadata = "off"; multibuffer = "off"; checksum_offload = "off";
	                  partial_checksums = "off"; } );'
	routed_gateway
	check "on" port_is lan '.program.variant == "metadata" and
		(.offloads | .multibuffer and .tx_checksum and .partial_checksums)'
	check "off" port_is wan '.program.variant == "plain" and
		(.offloads | (.multibuffer or .tx_checksum or .partial_checksums) | not)'
	check "forwards" ping_ok h1 10.2.0.2
	gateway_ends
	in_ns gw ip link add br0 type bridge || skip "this kernel has no bridges"
	conf 'ports = ( { name = "lan"; device = "lan"; }, { name = "br"; device = "br0"; metadata = "on"; } );'
	refused 1 'port br: metadata is not possible: no RX metadata: generic mode has none'
}

test_tun_of_one_queue() {
	ns_add gw
	ip -n "$(ns gw)" tuntap add dev app0 mode tun
	conf 'workers = { count = 2; }; ports = ( { name = "app"; tun = "app0"; } );'
	gateway_start gw -c "$TOPO_CONF"
	check "one" port_is app '(.queues | length == 1) and ([.reasons[] | test("one queue only")] | any)'
	gateway_ends
	check "it stays" link_exists gw app0
	conf 'workers = { count = 2; }; ports = ( { name = "app"; tun = "app0"; queues = 2; } );'
	code 1 in_ns gw "$SLUICE" run -c "$TOPO_CONF"
	says "app0 queue 1"
}

test_access_to_the_control_socket() {
	need setpriv
	routed_up
	conf "control = { group = \"nogroup\"; mode = \"0620\"; }; $BOTH"
	routed_gateway
	equal "group and mode" "$(stat -c '%G %a' "/run/sluice/$TOPO.sock")" "nogroup 620"
	code 0 setpriv --reuid 65534 --regid 65534 --clear-groups "$SLUICE" -i "$TOPO" status
	code 5 setpriv --reuid 65534 --regid 54321 --clear-groups "$SLUICE" -i "$TOPO" status
	gateway_ends
	nothing_left lan wan
	refuse "the lock stays" test -e "/run/sluice/$TOPO.sock.lock"
}

test_without_privileges() {
	need setpriv
	routed_up
	conf "control = { socket = \"$TOPO_STATE/own/gateway.sock\"; }; $BOTH"
	mkdir "$TOPO_STATE/own"
	chmod 755 "$TOPO_STATE"
	chown 65534 "$TOPO_STATE/own"
	code 5 in_ns gw setpriv --reuid 65534 --regid 65534 --clear-groups "$SLUICE" run -c "$TOPO_STATE/gateway.conf"
	refuse "something stays" grep -q . <(ls "$TOPO_STATE/own")
	conf "$BOTH"
	code 5 in_ns gw setpriv --reuid 65534 --regid 65534 --clear-groups "$SLUICE" run -c "$TOPO_STATE/gateway.conf"
}

# Every key at once, on devices that are there.
test_everything() {
	need setpriv
	TOPO_QUEUES=4
	ns_add h1
	ns_add gw
	ns_add h2
	veth_add h1 eth0 gw eth1 4 9000
	veth_add h2 eth0 gw eth2 4 1500
	# Only queues 0 and 3, or as many as there are workers, are the engine's.
	in_ns h1 ethtool -L eth0 tx 1
	in_ns h2 ethtool -L eth0 tx 1
	addr_add h1 eth0 192.0.2.2/24
	ip -n "$(ns h1)" route add default via 192.0.2.1
	addr_add h2 eth0 198.51.100.1/31
	ip -n "$(ns h2)" route add default via 198.51.100.0
	sed "s/\"gw-1\"/\"$TOPO\"/; s|/run/sluice/gw-1.sock|/run/sluice/$TOPO.sock|; s/table = 100/table = \"main\"/" \
		"$TOPO_ROOT/tests/vectors/config/good/everything.conf" >"$TOPO_STATE/gateway.conf"
	gateway_start gw -c "$TOPO_STATE/gateway.conf"
	for command in status stats ports routes neigh; do gw $command >"$TOPO_STATE/$command"; done
	check "the rules" test "$(gw stats --json | jq '.ports[0].rules | length')" = 5
	check "addresses" port_is lan '[.interfaces[0].addresses[] | select(.owner == "engine").address] == ["192.0.2.1/24", "2001:db8::1/64", "fe80::1/64"]'
	check "TUN is persistent" grep -q 'persist on.* user nobody' <<<"$(ip -n "$(ns gw)" -d link show dev tun0)"
	wait_for 5 "forwards" in_ns h1 ping -q -c 1 -W 0.2 198.51.100.1
	gateway_ends
	nothing_left eth1 eth2
	check "TUN stays" link_exists gw tun0
}

# Engine-only, but a host has it already: it stays the host's.
test_duplicate_is_its_owners() {
	routed_up
	conf 'ports = ( { name = "lan"; device = "lan"; addresses = [ "10.1.0.9/24", "fd01::9/64" ]; },
	                { name = "wan"; device = "wan"; } );'
	addr_add h1 eth0 10.1.0.9/24 fd01::9/64
	routed_gateway
	for a in 10.1.0.9/24 fd01::9/64; do
		wait_for 12 "$a is known to be a duplicate" port_is lan \
			".interfaces[0].addresses[] | select(.address == \"$a\").state == \"duplicate\""
	done
	check "logged" log_has 'interface lan: .* has address 10.1.0.9 too; it is not used here'
	check "IPv4 reaches the host" ping_ok h2 10.1.0.9
	check "IPv6 reaches the host" ping_ok h2 fd01::9
	equal "frames taken for the address" "$(stat_of '[.ports[].steer.redirect_address // 0] | add')" 0
	equal "answers of the engine" "$(stat_of .engine.echo_replies_sent)" 0
	gateway_ends
}
