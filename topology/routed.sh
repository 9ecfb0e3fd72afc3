#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Two hosts and a gateway that routes between them.
#
#        h1                            gw                            h2
#   +----------+              +------------------+              +----------+
#   |   eth0 --+----- veth ---+- lan        wan -+---- veth ----+-- eth0   |
#   +----------+              +------------------+              +----------+
#   10.1.0.2/24     10.1.0.1/24            10.2.0.1/24      10.2.0.2/24
#   fd01::2/64      fd01::1/64             fd02::1/64       fd02::2/64
#
# The addresses and routes of gw are the kernel's: with --no-gateway, or after the gateway died, the kernel forwards.
# With --vlan the hosts are tagged: h1's addresses are in VLAN 10 and h2's in VLAN 20 inside of VLAN 100 (QinQ). Those
# of gw are then the engine's own, since a kernel without 802.1Q devices cannot have them.
#
# Sourced, it defines routed_up for tests and benchmarks; run, it takes the options that --help lists.
set -euo pipefail
# shellcheck source=lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

# routed_up: the namespaces, links, addresses; no gateway. ROUTED_WAN_QUEUES: of h2's link, where they differ.
routed_up() {
	ns_add h1
	ns_add gw
	ns_add h2
	veth_add gw lan h1 eth0
	veth_add gw wan h2 eth0 "${ROUTED_WAN_QUEUES:-$TOPO_QUEUES}"
	forward_on gw
	if [ "$TOPO_VLAN" = 1 ]; then
		vlan_host_up h1 vlan0 10
		vlan_host_up h2 vlan0 100.20
		addr_add h1 vlan0 10.1.0.2/24 fd01::2/64
		addr_add h2 vlan0 10.2.0.2/24 fd02::2/64
	else
		addr_add h1 eth0 10.1.0.2/24 fd01::2/64
		addr_add h2 eth0 10.2.0.2/24 fd02::2/64
		addr_add gw lan 10.1.0.1/24 fd01::1/64
		addr_add gw wan 10.2.0.1/24 fd02::1/64
	fi
	route_add h1 default via 10.1.0.1
	route_add h1 default via fd01::1
	route_add h2 default via 10.2.0.1
	route_add h2 default via fd02::1
}

# The configuration of the tagged topology; the untagged one needs none.
routed_vlan_conf() {
	cat <<-END
	instance = "$TOPO";
	# As on the hosts: static addresses of a network without others are usable at once.
	neighbours = { detect_duplicates = false; };
	ports = (
	    { name = "lan"; device = "lan";
	      vlans = ( { id = 10; addresses = [ "10.1.0.1/24", "fd01::1/64" ]; } ); },
	    { name = "wan"; device = "wan";
	      vlans = ( { id = 100; inner = 20; mtu = $((TOPO_MTU - 8)); addresses = [ "10.2.0.1/24", "fd02::1/64" ]; } ); }
	);
	END
}

# routed_gateway [ARGUMENTS...]: the gateway between the two.
# shellcheck disable=SC2120  # tests and benchmarks pass arguments
routed_gateway() {
	if [ -n "$TOPO_CONF" ]; then
		gateway_start gw -c "$TOPO_CONF" "$@"
	elif [ "$TOPO_VLAN" = 1 ]; then
		routed_vlan_conf >"$TOPO_STATE/gateway.conf"
		gateway_start gw -c "$TOPO_STATE/gateway.conf" "$@"
	else
		gateway_start gw --instance "$TOPO" --port lan=lan --port wan=wan "$@"
	fi
}

routed_main() {
	topo_options "$@"
	topo_begin routed
	routed_up
	if [ "$TOPO_GATEWAY" = 1 ]; then
		routed_gateway
	fi
	topo_serve h1 gw h2
}

if [ "${BASH_SOURCE[0]}" = "$0" ]; then
	routed_main "$@"
fi
