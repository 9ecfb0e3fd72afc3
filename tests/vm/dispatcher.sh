#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# shellcheck source-path=SCRIPTDIR
# Another program's XDP program was there first: both run, behind libxdp's dispatcher, and the other one stays.
# guest: --kernel new --smp 2 --timeout 300
set -uo pipefail
# shellcheck source=../../topology/routed.sh
. topology/routed.sh
# shellcheck source=lib.sh
. tests/vm/lib.sh
set +e

# shellcheck disable=SC2317	# called through check
# counted: the packets that the other program saw.
counted() { bpftool --json map dump pinned "$PIN/packets" | grep -oE '"value":[0-9]+' | cut -d : -f 2; }

# shellcheck disable=SC2317	# called through check
# seen_by_both MINIMUM CMD...: CMD succeeds, its packets pass the other program and are forwarded by the engine.
seen_by_both() {
	local minimum=$1 before after
	before=$(counted)
	by_engine "$@" || return 1
	after=$(counted)
	[ $((after - before)) -ge $((minimum / 2)) ] && return 0
	echo "the other program counted $((after - before)) packets, not $((minimum / 2))"
	return 1
}

topo_begin dispatch
PIN=/sys/fs/bpf/$TOPO
pin_note "$PIN"
mkdir "$PIN"

routed_up
check 'the other program is loaded' \
	in_ns gw xdp-loader load --mode native --pin-path "$PIN" lan "$B/tests/vm/count.bpf.o"
check 'the kernel forwards behind it' reaches h1 10.2.0.2
check 'it counts' test "$(counted)" -ge 3

check 'the gateway starts beside it' routed_gateway
check 'the dispatcher has the other program' xdp_program gw lan count_packets
check 'the dispatcher has the gateway' xdp_program gw lan steer
check 'status names the dispatcher' status_says dispatcher
check 'IPv4 passes both' seen_by_both 6 reaches h1 10.2.0.2
check 'IPv6 passes both' seen_by_both 6 reaches h1 fd02::2
check 'TCP passes both' seen_by_both 100 sends h1 h2 10.2.0.2

check 'SIGTERM ends the gateway' gateway_stop
check 'the other program stays' xdp_program gw lan count_packets
check 'the gateway left the dispatcher' no xdp_program gw lan steer
check 'the kernel forwards behind the other program' reaches h1 10.2.0.2

check 'the gateway starts again' routed_gateway
gateway_stop KILL
check 'the kernel forwards after SIGKILL' reaches h1 10.2.0.2
check 'the other program outlives the SIGKILL' xdp_program gw lan count_packets
check 'the gateway starts after the SIGKILL' routed_gateway
check 'IPv4 passes both once more' seen_by_both 6 reaches h1 10.2.0.2
check 'SIGTERM ends it' gateway_stop
check 'the gateway is gone from lan' no xdp_program gw lan steer
check 'the gateway is gone from wan' has_no_xdp gw wan
checks_end
