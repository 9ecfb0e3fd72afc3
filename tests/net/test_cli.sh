# SPDX-License-Identifier: MIT
# shellcheck shell=bash
# The command line: exit codes, messages, what it makes of an instance's replies. No gateway runs here: fake_instance.py
# answers, and `attach` needs none.

fake_up() {
	SOCKET=$TOPO_STATE/fake.sock
	ns_add cli
	spawn cli "$TOPO_STATE/requests" /usr/bin/python3 "$TOPO_ROOT/tests/net/fake_instance.py" "$SOCKET"
	wait_for 10 "the socket is there" test -S "$SOCKET"
}

out=''	# of the last command: see code()

asked() { wait_for 5 "request $1" file_has "$TOPO_STATE/requests" "$1"; }

test_check_vectors() {
	local conf n=0 want text
	cd "$TOPO_ROOT/tests/vectors/config/bad" || return
	for conf in *.conf; do
		{ read -r want; read -r text; } <"${conf%.conf}.want"
		code "$want" "$SLUICE" check -c "$conf"
		equal "$conf" "$out" "sluice: $text"
		n=$((n + 1))
	done
	[ "$n" -ge 30 ] || fail "only $n wrong configurations"
	cd ../good || return
	for conf in *.conf; do
		code 0 "$SLUICE" check -c "$conf"
		says "$conf: fine"
		code 0 "$SLUICE" check --json -c "$conf"
		jq -e .ports[0].name >/dev/null <<<"$out"
	done
}

test_usage_errors() {
	code 2 "$SLUICE"
	says "usage: sluice"
	code 0 "$SLUICE" help
	says "Exit codes"
	code 2 "$SLUICE" statz
	says 'did you mean "stats"?'
	code 0 "$SLUICE" version
	for c in run check status stats ports routes neigh capture trace attach detach; do
		code 0 "$SLUICE" help $c
		says "usage: sluice $c"
		code 0 "$SLUICE" $c --help
		code 2 "$SLUICE" $c --no-such-option
	done
	code 2 "$SLUICE" status too many
	code 2 "$SLUICE" check
	code 2 "$SLUICE" run
	code 2 "$SLUICE" run -c x.conf --port lan=eth1
	code 2 "$SLUICE" run --port lan=eth1 --log loud
	code 2 "$SLUICE" stats --interval 1ms
	code 2 "$SLUICE" stats --count 0
	code 2 "$SLUICE" capture
	code 2 "$SLUICE" capture lan
	code 2 "$SLUICE" capture lan -w x.pcap --snaplen 70000
	code 2 "$SLUICE" capture lan -w x.pcap --direction sideways
	code 2 "$SLUICE" trace --source 10.0.0.1 --destination ::1
	code 2 "$SLUICE" trace --destination-port 80
	code 2 "$SLUICE" attach
	code 2 "$SLUICE" attach eth0
	code 2 "$SLUICE" attach eth0.5 --rules x
	says "--name"
	code 2 "$SLUICE" status -i ../x
	code 3 "$SLUICE" run -c /nonexistent.conf
	code 3 "$SLUICE" run --port "lan=eth 1"
	code 3 "$SLUICE" attach eth0 --rules /nonexistent
}

test_no_instance() {
	code 4 "$SLUICE" status -i "$TOPO"
	says "no instance \"$TOPO\" is running"
	code 4 "$SLUICE" -i "$TOPO" stats --json
	code 4 "$SLUICE" capture lan -w "$TOPO_STATE/x.pcap" -s "$TOPO_STATE/none.sock"
	refuse "a file for nothing" test -e "$TOPO_STATE/x.pcap"
}

test_not_permitted() {
	need setpriv
	fake_up
	chmod 755 "$TOPO_STATE"
	code 5 setpriv --reuid 65534 --clear-groups "$SLUICE" status -s "$SOCKET"
	says "not permitted"
}

test_client_reports() {
	fake_up
	code 0 "$SLUICE" status -s "$SOCKET"
	says "instance fake, running for 1h 2m"
	says "limit: no TX metadata"
	says "lan: zero-copy: veth has no such thing"
	code 0 "$SLUICE" -s "$SOCKET" status --json
	equal "pid" "$(jq .pid <<<"$out")" 1
	code 0 "$SLUICE" ports lan -s "$SOCKET"
	says "VLAN 7.9 (802.1ad)"
	code 1 "$SLUICE" ports wlan -s "$SOCKET"
	says 'there is no port "wlan"'
	code 0 "$SLUICE" routes -4 --json -s "$SOCKET"
	equal "routes of all pages" "$(jq '.routes | length' <<<"$out")" 25
	asked '"cursor": "20"'
	code 0 "$SLUICE" routes -s "$SOCKET"
	says "10.24.0.0/16"
	code 0 "$SLUICE" neigh lan -s "$SOCKET"
	says "02:00:00:00:00:07"
	code 0 "$SLUICE" stats -s "$SOCKET"
	says "TTL or hop limit expired"
	code 0 "$SLUICE" stats --count 3 --interval 20ms --json -s "$SOCKET"
	equal "three lines" "$(wc -l <<<"$out")" 3
	code 0 "$SLUICE" stats --count 2 --interval 20ms -s "$SOCKET"
	says "PER SECOND"
}

test_capture_file() {
	local file=$TOPO_STATE/x.pcap
	fake_up
	code 0 "$SLUICE" capture lan -w "$file" -c 5 -s "$SOCKET" icmp or vlan 7
	says "5 packets captured, 3 lost"
	asked '"filter": \[\[40, 0, 0, 12\]'
	code 2 "$SLUICE" capture lan -w "$file.not" -s "$SOCKET" icmpp
	says 'filter "icmpp"'
	refuse "a file for nothing" test -e "$file.not"
	/usr/bin/python3 - "$file" <<-'END'
		import struct, sys
		data = open(sys.argv[1], "rb").read()
		magic, _, _, _, _, snaplen, linktype = struct.unpack("=IHHiIII", data[:24])
		assert (magic, linktype) == (0xa1b23c4d, 1), "a nanosecond pcap file of Ethernet frames"
		sec, nsec, caplen, length = struct.unpack("=IIII", data[24:40])
		assert (sec, nsec, caplen, length) == (1700000000, 123456789, 60, 1500)
		assert len(data) == 24 + 5 * (16 + 60)
	END
	# To a pipe, of IP packets of a TUN port, ended by a signal: the file is whole.
	spawn cli "$TOPO_STATE/capture.log" sh -c "exec '$SLUICE' capture app -w - -s '$SOCKET' >'$file.tun'"
	wait_for 5 "five packets" file_size_is "$file.tun" $((24 + 5 * 76))
	kill -INT "$SPAWNED"
	wait_for 5 "its end" pid_gone "$SPAWNED"
	file_has "$TOPO_STATE/capture.log" "5 packets captured" || fail "no summary"
	equal "linktype" "$(od -An -tu4 -j20 -N4 "$file.tun" | tr -d ' ')" 101
}

file_size_is() { [ "$(stat -c %s "$1" 2>/dev/null)" = "$2" ]; }

test_trace_lines() {
	fake_up
	code 0 "$SLUICE" trace -c 1 -s "$SOCKET"
	says "VLAN 7, 98 bytes, 10.0.0.2:5 > 10.1.0.2:6, udp: redirect_prefix"
	code 0 "$SLUICE" trace --drops -c 1 --either-way -P udp --source 10.0.0.0/8 --destination-port 6 -s "$SOCKET"
	says "#0.2   dropped: ttl (TTL or hop limit expired)"
	refuse "a packet that was not dropped" grep -q '#0.1' <<<"$out"
	asked '"either_way": true'
	asked '"filter_ip"'
}

rule_was_hit() { [[ $(bpftool map dump pinned "$1") =~ '"pkts": '[1-9] ]]; }

test_attach_detach() {
	local rules=$TOPO_STATE/rules pins=/sys/fs/bpf/sluice/$TOPO/lan
	bpffs_mounted || mount -t bpf bpf /sys/fs/bpf
	pin_note "/sys/fs/bpf/sluice/$TOPO"
	ns_add h1
	ns_add gw
	veth_add h1 eth0 gw lan
	addr_add h1 eth0 10.77.0.2/24
	addr_add gw lan 10.77.0.1/24
	cat >"$rules" <<-END
		transit = [ "10.99.0.0/16" ];
		rules = ( { name = "no-echo"; priority = 5; action = "drop"; protocol = "icmp"; destination = "10.98.0.0/16"; } );
	END
	code 1 in_ns gw "$SLUICE" detach lan -i "$TOPO"
	says "nothing is attached"
	code 1 in_ns gw "$SLUICE" attach nosuch --rules "$rules" -i "$TOPO"
	code 0 in_ns gw "$SLUICE" attach lan --rules "$rules" -i "$TOPO"
	says "pins in $pins"
	check "pinned" test -e "$pins"
	in_ns h1 ping -c1 -W2 10.77.0.1 >/dev/null || fail "the machine's own address is cut off"
	route_add h1 10.98.0.0/16 via 10.77.0.1
	refuse "what a rule drops comes through" in_ns h1 ping -c1 -W1 10.98.0.1 >/dev/null
	check "the rule has a hit" rule_was_hit "$pins/rule_hits"
	# Once more: the rules are replaced in place.
	code 0 in_ns gw "$SLUICE" attach lan --rules "$rules" -i "$TOPO" --json
	equal "renewed" "$(jq .renewed <<<"$out")" true
	code 0 in_ns gw "$SLUICE" detach lan -i "$TOPO"
	refuse "pins stay" test -e "$pins"
	code 1 in_ns gw "$SLUICE" detach lan -i "$TOPO"
}
