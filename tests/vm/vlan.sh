#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# shellcheck source-path=SCRIPTDIR
# VLAN devices of the kernel, which the gateway mirrors as interfaces of their port.
# guest: --kernel new --smp 2 --timeout 300
#
#        h1                              gw                                    h2
#   +------------+              +-----------------------+              +-------------------+
#   | eth0.10    |              | lan.10  wan.100.20    |              | eth0.100.20       |
#   |   eth0 ----+----- veth ---+- lan        wan ------+---- veth ----+-- eth0            |
#   +------------+              +-----------------------+              +-------------------+
#   10.1.0.2/24      10.1.0.1/24              10.2.0.1/24      10.2.0.2/24
#
# .10 and .20 are 802.1Q, .100 is a service tag (802.1ad).
#
# A sender's VLAN device leaves the tag to the veth's "offload" (tx-vlan-hw-insert): the tag then is not in the frame
# but beside it, and neither an XDP program nor an AF_XDP socket finds it there. The metadata kfunc tells it; with the
# sender's offload off it is in the frame. Both are tested.
set -uo pipefail
# shellcheck source=../../topology/routed.sh
. topology/routed.sh
# shellcheck source=lib.sh
. tests/vm/lib.sh
set +e

vlan_add() {	# vlan_add HOST DEV NAME PROTOCOL ID [ADDRESS...]
	ip -n "$(ns "$1")" link add link "$2" name "$3" type vlan proto "$4" id "$5" || return 1
	ip -n "$(ns "$1")" link set dev "$3" up
	[ $# -le 5 ] || addr_add "$1" "$3" "${@:6}"
}

# shellcheck disable=SC2317	# called through check
insert_tags() {	# insert_tags on|off: where the hosts' and the gateway's kernel put tags: beside the frame, or in it
	in_ns h1 ethtool -K eth0 tx-vlan-hw-insert "$1" tx-vlan-stag-hw-insert "$1" &&
		in_ns h2 ethtool -K eth0 tx-vlan-hw-insert "$1" tx-vlan-stag-hw-insert "$1"
}

lan10_add() { vlan_add gw lan lan.10 802.1Q 10 10.1.0.1/24 fd01::1/64; }

topo_begin vlan
for host in h1 gw h2; do
	ns_add "$host"
done
veth_add gw lan h1 eth0
veth_add gw wan h2 eth0
forward_on gw
vlan_add h1 eth0 eth0.10 802.1Q 10 10.1.0.2/24 fd01::2/64
lan10_add
vlan_add h2 eth0 eth0.100 802.1ad 100
vlan_add h2 eth0.100 eth0.100.20 802.1Q 20 10.2.0.2/24 fd02::2/64
vlan_add gw wan wan.100 802.1ad 100
vlan_add gw wan.100 wan.100.20 802.1Q 20 10.2.0.1/24 fd02::1/64
route_add h1 default via 10.1.0.1
route_add h1 default via fd01::1
route_add h2 default via 10.2.0.1
route_add h2 default via fd02::1

check 'the kernel forwards between its VLANs' reaches h1 10.2.0.2
check 'the gateway starts' routed_gateway
check 'lan.10 is an interface' status_says '"lan\.10"'
check 'wan.100.20 is an interface' status_says '"wan\.100\.20"'
for place in off on; do
	if [ $place = on ]; then where='beside the frame'; else where='in the frame'; fi
	check "tags $where" insert_tags $place
	check "IPv4, tags $where" by_engine 6 reaches h1 10.2.0.2
	check "IPv6, tags $where" by_engine 6 reaches h1 fd02::2
	check "TCP, tags $where" by_engine 100 sends h1 h2 10.2.0.2
	check "the gateway's own address, tags $where" reaches h1 10.1.0.1
done

ip -n "$(ns gw)" link del lan.10
check 'lan.10 goes with its device' until_deadline 10 no status_says '"lan\.10"'
check 'its network is not reached any more' no reaches h2 10.1.0.2
lan10_add
check 'lan.10 comes back with its device' until_deadline 10 status_says '"lan\.10"'
check 'its network is reached again' by_engine 6 reaches h1 10.2.0.2
check 'SIGTERM ends it' gateway_stop
check 'the kernel forwards between its VLANs again' reaches h1 10.2.0.2
checks_end
