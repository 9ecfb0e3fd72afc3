# SPDX-License-Identifier: MIT
# shellcheck shell=bash
# shellcheck disable=SC2034  # what lib.sh reads is set here
# The kernel beside the gateway: what is its own is never touched, and it takes over when the gateway ends, however it
# ends; `attach`, `run` and `detach` on one device.

ROUTED="--port lan=lan --port wan=wan"

# A TCP service of the gateway machine itself, over lan and in use.
service_start() {
	spawn gw serve.log /usr/bin/python3 "$TOPO_ROOT/tests/net/tcp_probe.py" serve 10.1.0.1 22
	wait_for 5 "the service listens" tcp_listens gw 22
	spawn h1 ask.log /usr/bin/python3 "$TOPO_ROOT/tests/net/tcp_probe.py" ask 10.1.0.1 22
	ASK_PID=$SPAWNED
	wait_for 5 "the service is connected" file_has "$TOPO_STATE/ask.log" '^connected'
}

# service_undisturbed MILLISECONDS: the connection stands, and no answer took longer.
service_undisturbed() {
	local count worst
	kill "$ASK_PID"
	join "$ASK_PID" 5 || fail "the service's connection broke: $(cat "$TOPO_STATE/ask.log")"
	read -r count worst < <(tail -n 1 "$TOPO_STATE/ask.log")
	say "service: $count answers, the slowest after $worst ms"
	[ "$count" -gt 100 ] || fail "only $count answers of the service"
	[ "$worst" -le "$1" ] || fail "an answer of the service took $worst ms"
}

ping_start() {
	spawn h1 ping.log ping -n -i 0.05 -W 1 10.2.0.2
	PING_PID=$SPAWNED
	ping_reaches 5
}

ping_last() { sed -nE 's/.*icmp_seq=([0-9]+) ttl.*/\1/p' "$TOPO_STATE/ping.log" | tail -n 1; }
ping_has() { [ "$(ping_last)" -ge "$1" ]; }
# ping_reaches N: N more answers. A gap is judged at the end, not here.
ping_reaches() { wait_for 20 "$1 more answers to ping" ping_has $(($(ping_last) + $1)); }

# ping_gap: the longest run of unanswered requests, in milliseconds.
ping_gap() {
	kill_wait "$PING_PID" INT
	sed -nE 's/.*icmp_seq=([0-9]+) ttl.*/\1/p' "$TOPO_STATE/ping.log" |
		awk '$1 - last - 1 > worst { worst = $1 - last - 1 } { last = $1 } END { print worst * 50 }'
}

load_start() {
	iperf_server h2
	spawn h1 load.log iperf3 -c 10.2.0.2 -C reno -t 600
	LOAD_PID=$SPAWNED
}

moved() { [ "$(ip -n "$(ns h2)" -s -j link show dev eth0 | jq '.[0].stats64.rx.bytes')" -ge "$1" ]; }
# load_moves BYTES: that much more arrives at h2.
load_moves() {
	wait_for 20 "load" moved $(($(ip -n "$(ns h2)" -s -j link show dev eth0 | jq '.[0].stats64.rx.bytes') + $1))
}

no_program() { ! xdp_attached gw lan && ! xdp_attached gw wan; }

# alone: gaps in time are measured under full load
test_killed_under_load() {
	local before after gap rc=0
	routed_up
	service_start
	routed_gateway
	ping_start
	load_start
	load_moves 200000000
	gateway_stop KILL || rc=$?
	equal "exit code" $rc 137
	wait_for 1 "the kernel takes the programs off" no_program
	load_moves 50000000
	ping_reaches 30
	check "pins of the dead run are there" test -d "/sys/fs/bpf/sluice/$TOPO/lan"
	before=$(bpftool -j map dump pinned "/sys/fs/bpf/sluice/$TOPO/engine" | jq '.[0].formatted.value.rx_pkts')
	# shellcheck disable=SC2119
	routed_gateway
	check "the load is forwarded again" wait_for 10 "the engine forwards" stat_reaches .engine.forwarded_pkts 10000
	after=$(bpftool -j map dump pinned "/sys/fs/bpf/sluice/$TOPO/engine" | jq '.[0].formatted.value.rx_pkts')
	[ "$after" -ne "$before" ] || fail "the counters are those of the dead run"
	ping_reaches 10
	kill_wait "$LOAD_PID"
	gap=$(ping_gap)
	say "longest gap of the kill and the restart: $gap ms"
	between "longest gap in ms" "$gap" 0 1000
	gateway_ends
	nothing_left lan wan
	service_undisturbed 500
}

# Start, full load, orderly end: neither the machine's own service nor transit stops.
# alone: gaps in time are measured under full load
test_started_and_stopped_under_load() {
	local gap
	routed_up
	service_start
	ping_start
	load_start
	load_moves 100000000
	# shellcheck disable=SC2119
	routed_gateway
	load_moves 200000000
	gateway_ends
	nothing_left lan wan
	load_moves 50000000
	ping_reaches 10
	gap=$(ping_gap)
	say "longest gap: $gap ms"
	between "longest gap in ms" "$gap" 0 500
	service_undisturbed 500
	refuse "the load broke off" pid_gone "$LOAD_PID"
}

test_terminated_leaves_nothing() {
	local sig
	tun_up
	for sig in TERM INT; do
		# shellcheck disable=SC2119
		tun_gateway
		check "ping" ping_ok h1 10.3.0.2
		check "there while it runs" test -S "/run/sluice/$TOPO.sock" -a -d "/sys/fs/bpf/sluice/$TOPO/lan"
		check "the program" xdp_attached gw lan >/dev/null
		gateway_stop $sig
		nothing_left lan
		refuse "the TUN device stays" link_exists gw tun0 2>/dev/null
	done
	refuse "rules of the kernel's firewall" grep -q . <(in_ns gw nft list ruleset 2>/dev/null)
}

test_second_instance() {
	routed_up
	# shellcheck disable=SC2119
	routed_gateway
	# shellcheck disable=SC2086
	code 6 in_ns gw "$SLUICE" run --instance "$TOPO" $ROUTED
	says "$TOPO"
	says "running"
	# Under another name: the devices are taken.
	# shellcheck disable=SC2086
	code 6 in_ns gw "$SLUICE" run --instance "$TOPO-b" $ROUTED
	says "lan"
	refuse "its pins stay" test -e "/sys/fs/bpf/sluice/$TOPO-b"
	check "the first runs on" ping_ok h1 10.2.0.2
	check "through the engine" stat_reaches .engine.forwarded_pkts 20
	gateway_ends
}

test_start_that_fails_leaves_nothing() {
	routed_up
	code 1 in_ns gw "$SLUICE" run --instance "$TOPO" --port lan=lan --port wan=nosuch0
	says "nosuch0"
	GATEWAY_INSTANCE=$TOPO
	nothing_left lan wan
}

icmp_verdicts() { bpftool -j map dump pinned "/sys/fs/bpf/sluice/$TOPO/lan/counters" |
	jq "[.[0].formatted.values[].value.$1] | add"; }

test_attach_run_detach() {
	local id
	routed_up
	pin_note "/sys/fs/bpf/sluice/$TOPO"
	cat >"$TOPO_STATE/rules" <<-'END'
		rules = ( { name = "no-echo"; priority = 1; action = "drop"; protocol = "icmp"; destination = "10.2.0.0/24"; } );
	END
	code 0 in_ns gw "$SLUICE" attach lan --rules "$TOPO_STATE/rules" -i "$TOPO"
	id=$(ip -n "$(ns gw)" -d -j link show dev lan | jq '.[0].xdp.prog.id')
	refuse "the rule drops" in_ns h1 ping -q -c 2 -i 0.1 -W 0.2 10.2.0.2 >/dev/null
	equal "drops by the rule" "$(icmp_verdicts drop_rule)" 2
	check "other traffic is the kernel's" ping_ok h1 fd02::2
	# shellcheck disable=SC2119
	routed_gateway
	check "adopted" port_is lan '.program.attached_by == "adopted" and .program.id == '"$id"
	check "the run's own rules hold now" ping_ok h1 10.2.0.2
	check "through the engine" stat_reaches .engine.forwarded_pkts 20
	gateway_ends
	equal "the program stays" "$(ip -n "$(ns gw)" -d -j link show dev lan | jq '.[0].xdp.prog.id')" "$id"
	refuse "wan's does not" xdp_attached gw wan
	refuse "the rule drops again" in_ns h1 ping -q -c 1 -W 0.2 10.2.0.2 >/dev/null
	check "the kernel forwards the rest" ping_ok h1 fd02::2
	# A killed run leaves the program, but no verdict.
	GATEWAY_INSTANCE=$TOPO
	# shellcheck disable=SC2119
	routed_gateway
	gateway_stop KILL || :
	check "the kernel forwards" ping_ok h1 10.2.0.2
	code 0 in_ns gw "$SLUICE" attach lan --rules "$TOPO_STATE/rules" -i "$TOPO"
	refuse "the rule drops again" in_ns h1 ping -q -c 1 -W 0.2 10.2.0.2 >/dev/null
	# shellcheck disable=SC2119
	routed_gateway
	gateway_ends
	code 0 in_ns gw "$SLUICE" detach lan -i "$TOPO"
	GATEWAY_INSTANCE=$TOPO
	nothing_left lan wan
	check "the kernel forwards" ping_ok h1 10.2.0.2
}
