/* SPDX-License-Identifier: MIT */
/*
 * Coalescing: packets of one flow that follow each other become one superpacket, which a segmenter turns into the same
 * packets again.
 *
 * Theory of operation. Each packet of a batch is either put out, in its place, or joined to a packet of its flow that was
 * put out before: its frames go behind that one's, its headers are skipped by moving `off`.
 * No payload moves, so an egress that gathers (writev() to a TUN, sendmsg() to a packet socket) takes it from where it
 * was received. Because what was put out first is what grows, order is kept with nothing to wait for or to sort: whatever
 * ends a chain is put out behind it, and nothing is ever joined to a chain that has ended. The end of the batch ends all
 * chains.
 *
 * What joins (RFC 9293 and RFC 768 fields; "the same" is in comparison with the chain's first packet):
 *
 *	both	whole TCP or UDP packets with payload, one flow and one way out: addresses, ports, protocol, iface_out
 *		no fragment, no IPv4 options, no IPv6 extension header, no superpacket, nobody else holds it
 *		link-layer header, TTL, DSCP, ECN, DF, flow label the same
 *		IPv4 identification one more than the packet before; with DF set, any (RFC 6864)
 *		payload as long as the first, or shorter; a shorter one ends the chain
 *		checksums of the IP header and of the transport right; a partial one is right if its field is
 *	TCP	flags only ACK (always), PSH, ECE; the same but for PSH, which ends the chain and is in the superpacket then
 *		sequence continues; acknowledgment, window, urgent pointer and all options the same
 *	UDP	its length agrees with IP's; there is a checksum
 *
 * It may be less than what Linux's GRO joins: FIN with payload; IPv4 identifications that are all the same without DF,
 * which virtio_net_hdr cannot express; superpackets and TCP checksums of 0 or 0xffff, two ways to write the same of
 * which segmenting knows one.
 *
 * A packet of TCP or UDP that cannot join ends its flow's chain. One that nobody can tell the flow of (fragments, cut
 * headers, neither IPv4 nor IPv6) ends all chains. The table of flows is bounded: when it is full, the flow that has been
 * in it for longest leaves, and its chain ends.
 */
#ifndef USER_OFFLOAD_COALESCE_H
#define USER_OFFLOAD_COALESCE_H

#include "common/siphash.h"
#include "user/packet/area.h"

#define COALESCE_FLOWS_MAX 64
#define COALESCE_BUCKETS 128
#define COALESCE_SEGS_MAX 64u		/* packets in a superpacket; as many frames as a packet may have are fewer */
#define COALESCE_BYTES_MAX 65535u	/* of its IP packet */
#define COALESCE_KEYS 10			/* 32-bit words in an IPv6 flow */

/* A flow that may have an open chain. */
struct coalesce_flow {
	uint64_t tag;			/* hash of the flow; what decides is the comparison of headers */
	struct pkt *head;		/* first packet of the open chain, as received until the chain ends; NULL: none */
	struct pkt *tail;		/* its last packet: the chain ends where that one's frames do */
	uint32_t next_seq;		/* TCP */
	uint16_t seg_bytes;		/* payload of the first packet */
	uint16_t n_segs;
	uint16_t short_bytes;		/* what the last segment has less */
	uint16_t more_frames;		/* than n_segs */

	/* For packets that are like the head in all that may be alike. */
	uint16_t alike_max;		/* n_segs up to which they may be joined without a closer look; 0 for none */
	uint16_t alike_off, alike_len;	/* of a frame without the headers, as in struct pkt */
	uint16_t ip4_rest;
	bool timestamp;			/* TCP's only option; else there is none */
	bool link_layer;		/* there is a header of it */
	bool prepared;			/* it is known whether there can be such packets */

	bool verified;			/* the head's checksums are right */
	uint8_t kind;			/* family and protocol; see coalesce.c */
	uint8_t next;			/* flow in the same bucket */
	uint8_t pad[6];
	const uint8_t *head_ip;
};

static_assert(sizeof(struct coalesce_flow) == 64, "a power of two: finding one is a shift");

struct coalescer {
	const struct area *area;
	const uint32_t *takes;
	struct pkt **out;		/* where the next packet is put */
	unsigned int n_flows;
	unsigned int oldest;		/* when the table is full: who leaves next */
	uint64_t key[COALESCE_KEYS];	/* secret: nobody outside can choose flows that collide */
	uint8_t bucket[COALESCE_BUCKETS];	/* first flow */
	struct coalesce_flow flow[COALESCE_FLOWS_MAX + 1];	/* the last one stands for none and is never written */
};

/** coalesce_init() - Make a coalescer, once. @key: random for each run */
void coalesce_init(struct coalescer *c, const struct siphash_key *key);

/**
 * coalesce_batch() - Make superpackets of a batch; nothing is held when it returns.
 * @a:     the area of all its packets
 * @in:    packets, parsed, with the headers that they leave with; port_out and iface_out are set
 * @n:     how many
 * @takes: what each port takes, by the port's number, and there by bit: 1 << PKT_GSO_TCP4 and so on. Packets of another
 *         type are put out as they are
 * @out:   receives what comes out, room for @n; not @in
 *
 * A superpacket has gso, gso_size, gso_segs and a partial checksum; a packet that nothing was joined to has the bytes
 * that it came with. Each packet of @in is in @out, or its frames are part of one that is.
 *
 * Return: how many packets came out
 */
unsigned int coalesce_batch(struct coalescer *c, const struct area *a, struct pkt *const *in, unsigned int n,
			    const uint32_t *takes, struct pkt **out);

#endif
