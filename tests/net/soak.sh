#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Mixed load for SOAK_SECONDS (600): TCP, UDP, fragments, ICMP, random and mutated octets, into two devices and a TUN, on two
# workers, while routes come and go and somebody reads the counters. It must end with all frames at home (the gateway's
# exit code), every packet counted once, and no more memory than it had after the first quarter.
#
#        h1 ---- lan  gw  wan ---- h2         tun0: an application in gw, 10.3.0.2
set -euo pipefail
cd "$(dirname "$0")/../.."
# shellcheck source=lib.sh
. tests/net/lib.sh

SECONDS_WANTED=${SOAK_SECONDS:-600}
# What the allocator may keep of a larger table of routes, and of a client's reply.
GROWTH_MAX_KB=${SOAK_GROWTH_KB:-512}

soak_conf() {
	cat <<-END
		instance = "$TOPO";
		workers: { count = 2; };
		ports = (
		    { name = "lan"; device = "lan"; queues = 2; },
		    { name = "wan"; device = "wan"; queues = 2; },
		    { name = "app"; tun = "tun0"; queues = 1; }
		);
		steer: { rules = (
		    { name = "app4"; priority = 10; action = "engine"; destination = "10.3.0.2/32"; },
		    { name = "app6"; priority = 11; action = "engine"; destination = "fd03::2/128"; } );
		};
	END
}

topology_up() {
	TOPO_QUEUES=2
	routed_up
	ip -n "$(ns gw)" rule add from 10.3.0.2 lookup "$TUN_TABLE" pref "$TUN_TABLE"
	ip -n "$(ns gw)" -6 rule add from fd03::2 lookup "$TUN_TABLE" pref "$TUN_TABLE"
	soak_conf >"$TOPO_STATE/gateway.conf"
	gateway_start gw -c "$TOPO_STATE/gateway.conf"
	tun_addresses
	# The neighbours stay known whatever forged frames say, so that the load keeps flowing.
	ip -n "$(ns gw)" neigh replace 10.1.0.2 lladdr "$(mac_of h1 eth0)" dev lan nud permanent
	ip -n "$(ns gw)" neigh replace fd01::2 lladdr "$(mac_of h1 eth0)" dev lan nud permanent
	ip -n "$(ns gw)" neigh replace 10.2.0.2 lladdr "$(mac_of h2 eth0)" dev wan nud permanent
	ip -n "$(ns gw)" neigh replace fd02::2 lladdr "$(mac_of h2 eth0)" dev wan nud permanent
}

LOADS=()
# load HOST NAME CMD...: runs until it is stopped.
load() {
	spawn "$1" "$2.log" "${@:3}"
	LOADS+=("$SPAWNED:$2")
}

loads_up() {
	local port
	for port in 5201 5202; do
		spawn h2 "server$port.log" iperf3 -s -p "$port"
		wait_for 5 "iperf3 listens" tcp_listens h2 "$port"
	done
	spawn gw server-app.log iperf3 -s -B 10.3.0.2
	wait_for 5 "iperf3 listens" tcp_listens gw 5201
	load h1 tcp4 iperf3 -c 10.2.0.2 -C reno -t 0 -b 300M -P 4
	load h1 tcp6 iperf3 -c fd02::2 -p 5202 -C reno -t 0 -b 200M -P 2 -R
	load h1 tcp-app iperf3 -c 10.3.0.2 -C reno -t 0 -b 200M --bidir
	load h1 fragments ping -q -i 0.01 -s 20000 10.2.0.2
	load h2 fragments6 ping -q -i 0.01 -s 20000 fd01::2
	load h1 udp "$TOOLS/pktgen" udp --device eth0 --dmac "$(mac_of gw lan)" --flows 64 --rate 10000
	load h1 mix "$TOOLS/pktgen" mix --device eth0 --dmac "$(mac_of gw lan)" --rate 5000 --seed $$
	load h2 mix2 "$TOOLS/pktgen" mix --device eth0 --dmac "$(mac_of gw wan)" --src 10.2.0.2 --dst 10.1.0.2 --src fd02::2 \
		--dst fd01::2 --rate 5000 --seed $$
	load h1 mutate "$TOOLS/pktgen" mutate --device eth0 --dmac "$(mac_of gw lan)" --rate 2000 --seed $$
	load gw mix-tun "$TOOLS/pktgen" mix --device tun0 --dmac 02:00:00:00:00:01 --src 10.3.0.2 --dst 10.1.0.2 --src fd03::2 \
		--dst fd01::2 --rate 2000 --seed $$
}

loads_run() {
	local l
	for l in "${LOADS[@]}"; do
		pid_gone "${l%%:*}" && fail "the load ${l#*:} ended: $(tail -n 3 "$TOPO_STATE/${l#*:}.log")"
	done
	return 0
}

loads_down() {
	local l
	for l in "${LOADS[@]}"; do
		kill_wait "${l%%:*}" INT
	done
}

# memory FIELD: of the gateway, in kB. RssAnon is what it allocates; the packets' memory is a file in memory, whole from the
# start as far as it has been touched.
memory() { awk -v f="$1:" '$1 == f { print $2 }' "/proc/$GATEWAY_PID/status"; }

# Other work for the control thread: a hundred routes come and go, a client reads all there is.
churn() {
	local what
	for what in add del; do
		seq 0 99 | sed "s|.*|route $what 172.16.&.0/24 via 10.2.0.2|" | ip -n "$(ns gw)" -batch -
	done
	gw status --json >/dev/null
	gw routes --json >/dev/null
	gw stats --json >"$TOPO_STATE/now"
}

median() { sort -n | awk '{ v[NR] = $1 } END { print v[int((NR + 1) / 2)] }'; }

report() {
	jq -r '
		def sum: [.[]] | add;
		"engine     received \(.engine.rx_pkts) + dropped by ports \([.ports[].counters.rx_drops] | add) + made \(.engine.created_pkts)",
		"         = sent \(.engine.tx_pkts) + ended here \(.engine.consumed_pkts) + dropped \(.drops | sum)",
		"           between workers \(.engine.cross_out_pkts), forwarded \(.engine.forwarded_pkts), fragmented \(.engine.fragmented_pkts), segmented \(.engine.segmented_pkts)",
		(.ports[] | select(.steer) | "\(.name)        frames \(.steer.rx_frames); to the engine \(
			.steer | with_entries(select(.key | test("^redirect_(?!bytes)"))) | sum) = received \(.counters.rx_pkts
			) + dropped \(.counters.rx_drops) + XDP_STATISTICS \(.counters.xdp_rx_dropped + .counters.xdp_rx_ring_full)"),
		(.drops | to_entries[] | select(.value > 0) | "dropped    \(.key) \(.value)")'
}

redirected_all_arrived() {
	gw stats --json | jq -e '[.ports[] | select(.steer) |
		(.steer | with_entries(select(.key | test("^redirect_(?!bytes)"))) | [.[]] | add) ==
		(.counters | .rx_pkts + .rx_drops + .xdp_rx_dropped + .xdp_rx_ring_full)] | all' >/dev/null
}

main() {
	local start now next=0 n=0 first last
	topo_begin soak
	topology_up
	loads_up
	start=$(now_us)
	while now=$(($(now_us) - start)) && [ $now -lt $((SECONDS_WANTED * 1000000)) ]; do
		pid_gone "$GATEWAY_PID" && fail "the gateway ended: $(tail -n 20 "$GATEWAY_LOG")"
		loads_run
		churn
		n=$((n + 1))
		memory RssAnon >>"$TOPO_STATE/memory"
		if [ $now -ge $next ]; then
			next=$((now + 10000000))
			say "$((now / 1000000)) s: $(memory RssAnon) kB of memory, packets' memory $(memory RssShmem) kB, forwarded $(jq .engine.forwarded_pkts "$TOPO_STATE/now")"
		fi
		sleep 0.2
	done
	loads_down
	# Fragments, neighbours, ICMP errors on their way; then everything is somewhere.
	wait_for 20 "redirected = received + XDP_STATISTICS" redirected_all_arrived
	wait_for 20 "received + made = sent + ended + dropped" balanced
	gw stats --json | report
	between "packets forwarded" "$(stat_of .engine.forwarded_pkts)" $((SECONDS_WANTED * 5000)) $((SECONDS_WANTED * 10000000))
	first=$(sed -n "$((n / 4 + 1)),$((n / 2))p" "$TOPO_STATE/memory" | median)
	last=$(tail -n $((n / 4)) "$TOPO_STATE/memory" | median)
	say "memory: $first kB in the second quarter, $last kB in the last"
	[ "$last" -le $((first + GROWTH_MAX_KB)) ] || fail "memory grows"
	gateway_ends
	nothing_left lan wan
	say "soak: $SECONDS_WANTED s, all frames came home"
}

main
