#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# A host, a gateway, and behind the gateway's TUN an application in the gateway's own namespace.
#
#        h1                                      gw
#   +----------+              +-----------------------------------------+
#   |   eth0 --+----- veth ---+- lan --> gateway --> tun0   application  |
#   +----------+              +-----------------------------------------+
#   10.1.0.2/24     10.1.0.1/24              10.3.0.2/24
#   fd01::2/64      fd01::1/64               fd03::2/64
#
# 10.3.0.2 is an address of the kernel in gw, on tun0: the application (iperf3 -s -B 10.3.0.2, curl, ...) uses it as any
# other. The kernel would answer on lan itself, which has the shorter way; two rules send what comes from there into the
# TUN, so that both directions pass through the gateway. tun0 is the gateway's: it is there while the gateway runs.
#
# Sourced, it defines tun_up and tun_gateway for tests and benchmarks; run, it takes the options that --help lists.
set -euo pipefail
# shellcheck source=lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

TUN_DEV=tun0 TUN_TABLE=103

# tun_up: the namespaces, the link, addresses; no gateway and no TUN.
tun_up() {
	ns_add h1
	ns_add gw
	veth_add gw lan h1 eth0
	forward_on gw
	if [ "$TOPO_VLAN" = 1 ]; then
		vlan_host_up h1 vlan0 10
		addr_add h1 vlan0 10.1.0.2/24 fd01::2/64
	else
		addr_add h1 eth0 10.1.0.2/24 fd01::2/64
		addr_add gw lan 10.1.0.1/24 fd01::1/64
	fi
	route_add h1 default via 10.1.0.1
	route_add h1 default via fd01::1
	ip -n "$(ns gw)" rule add from 10.3.0.2 lookup $TUN_TABLE pref $TUN_TABLE
	ip -n "$(ns gw)" -6 rule add from fd03::2 lookup $TUN_TABLE pref $TUN_TABLE
}

tun_conf() {
	local vlans=''
	if [ "$TOPO_VLAN" = 1 ]; then
		vlans='vlans = ( { id = 10; addresses = [ "10.1.0.1/24", "fd01::1/64" ]; } );'
	fi
	cat <<-END
	instance = "$TOPO";
	# As on the hosts: static addresses of a network without others are usable at once.
	neighbours = { detect_duplicates = false; };
	ports = (
	    { name = "lan"; device = "lan"; $vlans },
	    { name = "app"; tun = "$TUN_DEV"; queues = $TOPO_QUEUES; mtu = $TOPO_MTU; }
	);
	routes = (
	    { prefix = "10.3.0.2/32"; interface = "app"; },
	    { prefix = "fd03::2/128"; interface = "app"; }
	);
	# The kernel would keep its own addresses, on whichever device: these two are taken for the TUN.
	steer = {
	    rules = (
	        { name = "app4"; priority = 10; action = "engine"; destination = "10.3.0.2/32"; },
	        { name = "app6"; priority = 11; action = "engine"; destination = "fd03::2/128"; }
	    );
	};
	END
}

# tun_addresses: the kernel's side of the TUN, once the gateway made it.
tun_addresses() {
	wait_for 5 "the gateway makes $TUN_DEV" link_exists gw $TUN_DEV
	ip -n "$(ns gw)" link set dev $TUN_DEV up
	addr_add gw $TUN_DEV 10.3.0.2/24 fd03::2/64
	route_add gw default dev $TUN_DEV table $TUN_TABLE
	ip -n "$(ns gw)" -6 route add default dev $TUN_DEV table $TUN_TABLE
}

# tun_gateway [ARGUMENTS...]: the gateway and its TUN.
# shellcheck disable=SC2120  # tests and benchmarks pass arguments
tun_gateway() {
	if [ -n "$TOPO_CONF" ]; then
		gateway_start gw -c "$TOPO_CONF" "$@"
	else
		tun_conf >"$TOPO_STATE/gateway.conf"
		gateway_start gw -c "$TOPO_STATE/gateway.conf" "$@"
	fi
	tun_addresses
}

tun_main() {
	topo_options "$@"
	topo_begin tun
	tun_up
	if [ "$TOPO_GATEWAY" = 1 ]; then
		tun_gateway
	fi
	topo_serve h1 gw
}

if [ "${BASH_SOURCE[0]}" = "$0" ]; then
	tun_main "$@"
fi
