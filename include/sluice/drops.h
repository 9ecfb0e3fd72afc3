/* SPDX-License-Identifier: (GPL-2.0-only OR MIT) */
/*
 * Every reason for which the engine drops a packet: one row, one counter, one text. A packet is counted under exactly
 * one of them. The names are the fields of the pinned map `drops` and the keys of `sluice stats --json`.
 */
#ifndef SLUICE_DROPS_H
#define SLUICE_DROPS_H

#include <linux/types.h>

#define SLUICE_DROPS(X)                                                                                                \
	/* Parsing: the frame does not hold what its headers say. */                                                    \
	X(eth_short, "frame shorter than an Ethernet header")                                                           \
	X(eth_type, "EtherType that the engine does not handle")                                                        \
	X(vlan_depth, "more than two VLAN tags, or a tag cut off")                                                      \
	X(vlan_unknown, "VLAN that no interface is configured for")                                                     \
	X(hdr_split, "headers not within the packet's first buffer")                                                    \
	X(ip4_short, "shorter than an IPv4 header")                                                                     \
	X(ip4_version, "EtherType IPv4, version field not 4")                                                           \
	X(ip4_hlen, "IPv4 header length below 20 or beyond the total length")                                           \
	X(ip4_truncated, "IPv4 total length beyond the frame")                                                          \
	X(ip4_checksum, "IPv4 header checksum wrong")                                                                   \
	X(ip4_options, "IPv4 option malformed, or a source route")                                                      \
	X(ip6_short, "shorter than an IPv6 header")                                                                     \
	X(ip6_version, "EtherType IPv6, version field not 6")                                                           \
	X(ip6_truncated, "IPv6 payload length beyond the frame, or a jumbogram")                                        \
	X(ip6_ext_hdr, "IPv6 extension header malformed, or too many")                                                  \
	X(l4_short, "transport header cut off, for a local address")                                                    \
	/* Input: well formed, but not to be accepted here. */                                                          \
	X(not_our_mac, "unicast frame for another station")                                                             \
	X(own_mac, "frame that carries this port's own source address")                                                 \
	X(martian_source, "source address that cannot be a sender (RFC 1812 5.3.7)")                                    \
	X(martian_destination, "destination address that must not be forwarded (RFC 1812 5.3.7)")                       \
	X(l2_multicast, "IP unicast in a link-layer broadcast (RFC 1812 5.3.4)")                                        \
	X(rp_filter, "source has no route back through this interface (RFC 3704)")                                      \
	X(own_source, "source address is the gateway's own")                                                            \
	X(multicast, "multicast group without a member here")                                                           \
	X(broadcast, "directed or limited broadcast, not forwarded")                                                    \
	X(link_scope, "link-local address, not forwarded (RFC 4291 2.5.6)")                                             \
	/* Forwarding. */                                                                                               \
	X(ttl, "TTL or hop limit expired")                                                                              \
	X(no_route, "no route to the destination")                                                                      \
	X(blackhole, "blackhole route")                                                                                 \
	X(unreachable, "unreachable route")                                                                             \
	X(prohibit, "prohibit route")                                                                                   \
	X(no_port, "route leaves through a device that is no port of the engine")                                       \
	X(port_down, "route leaves through a port that is down or gone")                                                \
	X(kernel_address, "for an address of the kernel's own; the XDP program should have passed it")                  \
	X(mtu_df, "larger than the MTU of the way out, and not to be fragmented")                                       \
	X(fragment_fit, "MTU of the way out too small for a fragment")                                                  \
	/* Neighbours. */                                                                                               \
	X(neigh_failed, "next hop did not answer ARP or neighbour solicitation")                                        \
	X(neigh_queue_full, "queue of packets that wait for a neighbour is full")                                       \
	X(neigh_table_full, "too many unresolved neighbours")                                                           \
	X(arp_bad, "ARP packet malformed")                                                                              \
	X(nd_bad, "neighbour discovery message malformed, or not from this link")                                       \
	/* For the gateway itself. */                                                                                   \
	X(icmp_bad, "ICMP message malformed or with a wrong checksum")                                                  \
	X(icmp_ignored, "ICMP type that the engine does not answer")                                                    \
	X(icmp_echo_limited, "echo request beyond the rate limit")                                                      \
	X(no_listener, "no socket for this protocol and port at an engine-only address")                                \
	X(local_fragment, "fragment for an engine-only address")                                                        \
	/* Offload state. */                                                                                            \
	X(gso_bad, "virtio_net_hdr that contradicts the packet")                                                        \
	X(gso_unsupported, "superpacket of a type that cannot be segmented")                                            \
	X(csum_bad, "checksum start or offset outside the packet")                                                      \
	/* Memory, queues, ports. */                                                                                    \
	X(no_frame, "no free frame")                                                                                    \
	X(frame_quota, "holder's quota of frames used up, or the reserve for reception reached")                        \
	X(too_long, "longer than a frame or than the port can send")                                                    \
	X(too_many_frags, "more buffers than a packet may have")                                                        \
	X(stage_full, "a stage's queue was full")                                                                       \
	X(loop_depth, "passed the graph's loop too often")                                                              \
	X(cross_full, "ring to another worker was full")                                                                \
	X(control_full, "ring to the control thread was full")                                                          \
	X(tx_ring_full, "transmit ring was full")                                                                       \
	X(tx_refused, "the kernel refused the packet")                                                                  \
	X(port_removed, "port was removed while the packet was on its way")                                             \
	X(shutdown, "still queued when the engine stopped")

enum drop {
	DROP_NONE,
#define X(name, text) DROP_##name,
	SLUICE_DROPS(X)
#undef X
	DROP_N,
};

/* Value of the map `drops`, one entry for each worker. [0] is no drop: it stays 0. */
struct sluice_drops {
	__u64 none;
#define X(name, text) __u64 name;
	SLUICE_DROPS(X)
#undef X
};

#endif
