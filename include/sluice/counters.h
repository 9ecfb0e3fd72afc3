/* SPDX-License-Identifier: (GPL-2.0-only OR MIT) */
/*
 * The engine's counters as they stand in the pinned maps. Written by one worker each, read by anybody.
 *
 * For each worker, at rest: rx_pkts + (sum of its queues' rx_drops) + created_pkts = tx_pkts + consumed_pkts + (sum of
 * its drops) + cross_out_pkts - cross_in_pkts.
 */
#ifndef SLUICE_COUNTERS_H
#define SLUICE_COUNTERS_H

#include <linux/types.h>

#define SLUICE_ENGINE_COUNTERS(X)                                                                                      \
	X(rx_pkts, "packets received from ports")                                                                       \
	X(rx_bytes, "their bytes, link-layer header included")                                                          \
	X(tx_pkts, "packets handed to ports")                                                                           \
	X(tx_bytes, "their bytes")                                                                                      \
	X(created_pkts, "packets made here: ICMP errors, fragments, segments, ARP, ND")                                 \
	X(consumed_pkts, "packets that ended here: ARP and ND for the gateway, what was cut or coalesced")              \
	X(forwarded_pkts, "packets routed from one interface to another")                                               \
	X(local_pkts, "packets for an engine-only address")                                                             \
	X(fragmented_pkts, "IPv4 packets cut into fragments")                                                           \
	X(segmented_pkts, "superpackets cut into segments")                                                             \
	X(coalesced_pkts, "packets that became part of the superpacket in front of them")                               \
	X(mss_clamped_pkts, "SYNs whose MSS option was lowered")                                                        \
	X(csum_completed_pkts, "partial checksums finished in software")                                                \
	X(icmp_errors_sent, "ICMP errors sent")                                                                         \
	X(icmp_errors_limited, "ICMP errors not sent: rate limit")                                                      \
	X(icmp_errors_forbidden, "ICMP errors not sent: RFC 1122 3.2.2, RFC 1812 4.3.2.7, RFC 4443 2.4(e)")             \
	X(echo_replies_sent, "echo replies sent")                                                                       \
	X(neigh_requests, "next hops that the control thread was asked to resolve")                                     \
	X(cross_in_pkts, "packets taken over from other workers")                                                       \
	X(cross_out_pkts, "packets given to other workers")                                                             \
	X(batches, "batches run")                                                                                       \
	X(sleeps, "times the worker went to sleep")

struct sluice_engine_counters {
#define X(name, text) __u64 name;
	SLUICE_ENGINE_COUNTERS(X)
#undef X
};

#define SLUICE_PORT_COUNTERS(X)                                                                                        \
	X(rx_pkts, "packets received")                                                                                  \
	X(rx_bytes, "their bytes")                                                                                      \
	X(tx_pkts, "packets sent")                                                                                      \
	X(tx_bytes, "their bytes")                                                                                      \
	X(rx_drops, "packets dropped by the port after reception, by reason in the map of drops")                       \
	X(rx_wakeups, "system calls to wake reception")                                                                 \
	X(tx_wakeups, "system calls to start transmission")                                                             \
	X(tx_partial_pkts, "packets sent with the checksum left to the kernel or the device")                           \
	X(tx_errors, "packets the kernel refused")                                                                      \
	X(xdp_rx_dropped, "XDP_STATISTICS: dropped for other reasons")                                                  \
	X(xdp_rx_invalid_descs, "XDP_STATISTICS: invalid descriptors in the fill ring")                                 \
	X(xdp_tx_invalid_descs, "XDP_STATISTICS: invalid descriptors in the transmit ring")                             \
	X(xdp_rx_ring_full, "XDP_STATISTICS: dropped because the reception ring was full")                              \
	X(xdp_rx_fill_ring_empty_descs, "XDP_STATISTICS: times the fill ring was empty")                                \
	X(xdp_tx_ring_empty_descs, "XDP_STATISTICS: times the transmit ring was empty")

/* Value of the map `ports`, one entry for each queue of each port. */
struct sluice_port_counters {
#define X(name, text) __u64 name;
	SLUICE_PORT_COUNTERS(X)
#undef X
};

#endif
