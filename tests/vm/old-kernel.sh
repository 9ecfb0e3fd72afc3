#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# shellcheck source-path=SCRIPTDIR
# The oldest kernel that is supported. What it lacks is done without, and `status` names each thing.
# guest: --kernel 6.1 --smp 2 --timeout 300
set -uo pipefail
# shellcheck source=../../topology/tun.sh
. topology/tun.sh
# shellcheck source=../../topology/routed.sh
. topology/routed.sh
# shellcheck source=lib.sh
. tests/vm/lib.sh
set +e

topo_begin old
check 'this is 6.1' grep -F ' 6.1.' /proc/version

routed_up
check 'the kernel forwards before the gateway runs' reaches h1 10.2.0.2
check 'the gateway starts' routed_gateway
check 'IPv4 through the engine' by_engine 6 reaches h1 10.2.0.2
check 'IPv6 through the engine' by_engine 6 reaches h1 fd02::2
check 'TCP through the engine' by_engine 100 sends h1 h2 10.2.0.2
check 'TCP over IPv6 through the engine' by_engine 100 sends h1 h2 fd02::2
check 'the gateway answers on its own address' reaches h1 10.1.0.1

check 'status: no multi-buffer sockets' status_says 'multi-buffer|scatter|XDP_USE_SG'
check 'status: no transmit metadata' status_says 'transmit checksums in software|(TX|transmit) metadata'
check 'status: no reception metadata' status_says 'no RX metadata: the kernel'
check 'status: no netdev family' status_says 'no netdev netlink family'

check 'SIGTERM ends it' gateway_stop
check 'no program is left on lan' has_no_xdp gw lan
check 'no program is left on wan' has_no_xdp gw wan
check 'no pin is left' has_no_pins
check 'the kernel forwards again' reaches h1 10.2.0.2
for host in h1 gw h2; do
	ip netns del "$(ns $host)"
done

tun_up
check 'the gateway starts with a TUN' tun_gateway
check 'IPv4 through the TUN' by_engine 6 reaches h1 10.3.0.2
check 'TCP through the TUN' by_engine 100 sends h1 gw 10.3.0.2
check 'status: no USO' status_says 'USO|UDP segmentation'
check 'SIGTERM ends it with a TUN' gateway_stop
checks_end
