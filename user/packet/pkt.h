/* SPDX-License-Identifier: MIT */
/*
 * The packet: what every stage reads and nobody parses twice.
 *
 * Theory of operation. Each frame of an area has one struct pkt, made once. A packet is the pkt of its first frame; a
 * packet of several frames (multi-buffer reception, a superpacket from a TUN) is a chain over `next`. Offsets count
 * from the frame's first byte (`buf`), not from the packet's start, so that taking off or putting on a link-layer
 * header changes `off` and nothing else. All headers lie in the first frame.
 *
 * The metadata of the packet stands in its first frame's pkt: of the other frames only buf, off, len, next and place
 * mean anything.
 */
#ifndef USER_PACKET_PKT_H
#define USER_PACKET_PKT_H

#include <assert.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <linux/types.h>

#include <sluice/drops.h>

#define PKT_NONE UINT32_MAX		/* no frame */
#define PKT_FRAMES_MAX 40		/* 64 KiB in 2048-byte chunks with reception's headroom in each */
#define PKT_HEADROOM_BYTES 256u		/* what XDP leaves free in front of a received frame */

/* Where a frame is: it is in exactly one place, and each place is counted. */
enum place {
	PLACE_FREE,		/* on the area's free stack */
	PLACE_FILL,		/* the kernel's, for reception by a port */
	PLACE_ENGINE,		/* in the hands of the worker */
	PLACE_TX,		/* the kernel's, until the completion ring returns it */
	PLACE_NEIGH,		/* waits for a neighbour */
	PLACE_CROSS,		/* on its way to another worker */
	PLACE_N,
};

/* State of the transport checksum, in virtio_net_hdr's terms. */
enum pkt_csum {
	PKT_CSUM_NONE,		/* a whole checksum stands in the field; nobody has verified it */
	PKT_CSUM_COMPLETE,	/* a whole checksum stands in the field, and it is right */
	PKT_CSUM_PARTIAL,	/* the pseudo-header's sum stands in the field; csum_start, csum_offset are set */
};

enum pkt_gso {
	PKT_GSO_NONE,
	PKT_GSO_TCP4,
	PKT_GSO_TCP6,
	PKT_GSO_UDP,		/* UDP segmentation (USO), either family */
};

enum pkt_flag {
	PKT_L2 = 1 << 0,	/* an Ethernet header stands at off */
	PKT_FRAG = 1 << 1,	/* a fragment, first or later */
	PKT_FRAG_LATER = 1 << 2,/* a fragment that carries no transport header */
	PKT_L4 = 1 << 3,	/* a whole transport header was found: ports and tcp_flags are valid */
	PKT_IP_OPTIONS = 1 << 4,/* IPv4 options or IPv6 extension headers */
	PKT_L2_GROUP = 1 << 5,	/* received by a link-layer destination that is broadcast or multicast */
	PKT_RX_HASH = 1 << 6,	/* rx_hash is the device's */
	PKT_RX_TIME = 1 << 7,	/* rx_time_ns is the device's; else the batch's time */
	PKT_FLOW_HASH = 1 << 8,	/* flow_hash is computed */
	PKT_TRACE = 1 << 9,	/* follow this packet through the stages */
	PKT_DF = 1 << 10,	/* IPv4 don't-fragment bit; always for IPv6 */
	PKT_GSO_ECN = 1 << 11,	/* superpacket whose first segment carries CWR */
	PKT_LOCAL_OUT = 1 << 12,/* made here */
	PKT_CROSSED = 1 << 13,	/* has come from another worker */
	PKT_GSO_GUESSED = 1 << 15,/* gso_size is what its link carries; its sender's may be smaller */
	PKT_TX_HELD = 1 << 14,	/* somebody holds it beside the transmit ring; the ports' own */
};

/* A packet's way out, to be copied as one. */
struct pkt_way {
	uint16_t port_out;
	uint16_t iface_out;
	uint16_t mtu_out;
	uint8_t next_hop;
	uint8_t unused;
};

struct pkt {
	/* -- first cache line: what every stage reads ------------------------------------------------------- */
	uint8_t *buf;		/* the frame's first byte */
	uint32_t frame;		/* the frame's index in its area */
	uint32_t next;		/* next frame of this packet, or PKT_NONE */
	uint32_t total_bytes;	/* bytes of the packet, over all its frames */
	uint16_t off;		/* where the packet starts in this frame */
	uint16_t len;		/* bytes of the packet in this frame */
	uint16_t l3;		/* offset of the IP header */
	uint16_t l4;		/* offset of the transport header, or of what follows the IP header */
	uint16_t payload;	/* offset of the transport payload; l4 when there is no whole transport header */
	uint16_t flags;		/* enum pkt_flag */
	uint8_t place;		/* enum place */
	uint8_t family;		/* AF_INET, AF_INET6, or 0 */
	uint8_t proto;		/* IPPROTO_*, after extension headers */
	uint8_t tcp_flags;	/* the 8 flag bits, CWR first */
	__be16 ether_type;	/* behind the VLAN tags */
	uint8_t n_frames;
	uint8_t n_vlans;	/* tags on the frame: 0, 1 or 2 */
	__be16 sport, dport;
	uint16_t port_in;	/* id of the port of reception */
	uint16_t iface_in;	/* id of the interface of reception */
	uint8_t csum;		/* enum pkt_csum */
	uint8_t gso;		/* enum pkt_gso */
	uint16_t csum_start;	/* offset where the checksum's range starts, when partial */
	uint16_t csum_offset;	/* the field, bytes from csum_start */
	uint16_t gso_size;	/* payload bytes of each segment but the last */
	uint16_t gso_segs;	/* how many; 0 when not a superpacket */
	uint16_t refs;		/* holders beside the one that has it in hand */
	uint16_t queue;		/* index of the port queue that has it, in PLACE_FILL and PLACE_TX */
	uint8_t area;		/* id of its area, which is its worker's */
	uint8_t depth;		/* times it went back to an earlier stage */

	/* -- second cache line ------------------------------------------------------------------------------ */
	uint64_t rx_time_ns;	/* CLOCK_MONOTONIC, or the device's clock with PKT_RX_TIME */
	const void *route;	/* struct fib_route of the way out; valid within the batch */
	uint32_t rx_hash;	/* the device's hash: for spreading only, an attacker can choose it */
	uint32_t flow_hash;	/* keyed, ours, the same in both directions */
	uint16_t vlan[2];	/* TCI of the outer and the inner tag, host order */
	uint32_t error_info;	/* with error_cause: MTU or pointer, host order */
	uint64_t trace_id;	/* with PKT_TRACE: number of the traced packet */
	union {
		struct {
			uint16_t port_out;
			uint16_t iface_out;
			uint16_t mtu_out;	/* largest IP packet of the way out, bytes */
			uint8_t next_hop;	/* index into the route's next hops */
		};
		struct pkt_way way;		/* the same */
	};
	uint8_t error_cause;	/* stage "icmp-error": enum icmp_cause that the sender is told */
	uint8_t error_drop;	/* enum drop that the packet is counted under */
	uint8_t pad[14];
};

static_assert(sizeof(struct pkt) == 128, "two cache lines");
static_assert(offsetof(struct pkt, rx_time_ns) == 64, "what every stage reads is on the first line");

static inline uint8_t *pkt_data(const struct pkt *p)
{
	return p->buf + p->off;
}

static inline uint8_t *pkt_l3(const struct pkt *p)
{
	return p->buf + p->l3;
}

static inline uint8_t *pkt_l4(const struct pkt *p)
{
	return p->buf + p->l4;
}

/* Bytes of the IP packet, link-layer header excluded. */
static inline uint32_t pkt_l3_bytes(const struct pkt *p)
{
	return p->total_bytes - (uint32_t)(p->l3 - p->off);
}

/* Bytes of the packet in its first frame, from offset @at on. */
static inline uint32_t pkt_linear_bytes(const struct pkt *p, uint16_t at)
{
	return (uint32_t)p->off + p->len - at;
}

/**
 * pkt_parse_eth() - Read the headers of a packet that starts with an Ethernet header.
 * @p: off, len, total_bytes and n_frames are set; everything else of the metadata is written here
 *
 * Takes up to two VLAN tags, IPv4 with options, IPv6 with extension headers, TCP, UDP, ICMP. Ethernet padding behind
 * the IP packet is cut off. A packet that is neither IPv4 nor IPv6 is no error: family stays 0, ether_type tells.
 * A transport header that is cut off is no error either, for a router forwards it: PKT_L4 is not set then.
 *
 * Where padding filled whole frames of a chain, these stay in it with len 0: pkt_trim() to total_bytes frees them.
 * After a drop only what the port had set is valid.
 *
 * Return: DROP_NONE, or why the packet cannot be handled
 */
enum drop pkt_parse_eth(struct pkt *p);

/**
 * pkt_parse_ip() - The same for a packet that starts with its IP header (TUN, or what was inside a tunnel).
 */
enum drop pkt_parse_ip(struct pkt *p);

/**
 * pkt_find_partial() - Does the checksum field hold only the pseudo-header's sum?
 *
 * For ports whose sender may be this very machine (veth, TUN, virtio with guest checksum), where AF_XDP has no flag for
 * it. Reads no payload. Sets PKT_CSUM_PARTIAL, csum_start and csum_offset if so. A whole and valid checksum that
 * happens to equal that sum is finished to the same value again, so it does no harm.
 */
void pkt_find_partial(struct pkt *p);

struct siphash_key;

/**
 * pkt_flow_hash() - Hash of the flow, the same in both directions, computed once.
 * @key: random for each run, so that nobody outside can choose flows that collide
 *
 * Over addresses, protocol and, when the packet is no fragment, ports: all fragments of a datagram hash alike.
 */
uint32_t pkt_flow_hash(struct pkt *p, const struct siphash_key *key);

#endif
