/* SPDX-License-Identifier: (GPL-2.0-only OR MIT) */
/*
 * What bpf/steer.bpf.c and its loader say to each other: map keys and values, verdicts, counters, RX metadata and trace
 * events. Everything here is read by `bpftool map dump pinned` too, so fields have full names.
 *
 * DOC: How a frame is decided
 *
 * The program takes nothing that it was not told to take: whatever is not named below ends as XDP_PASS. The first
 * line that applies decides; each ends in exactly one verdict (names in brackets), so that the sum of the verdicts is
 * the number of frames.
 *
 *  1. Steering is switched off in the configuration                                    [pass_disabled]
 *  2. The VLAN of a tagged frame is not one of the configured VLANs                     [pass_vlan]
 *     (a tag of VLAN 0 carries only a priority: the frame counts as untagged)
 *  3. Unicast to a station address that is not the port's                               [pass_other_host]
 *  4. ARP: to the engine if the target address is engine-only, or if the sender
 *     address is (somebody else claims it) and the target is not the kernel's           [redirect_arp, pass_arp]
 *     Neither ARP nor IP                                                                [pass_not_ip]
 *     Headers cut short or impossible (IHL < 5, total length)     [pass_short, pass_malformed, pass_jumbogram]
 *     More IPv6 extension headers than SLUICE_STEER_MAX_EXT_HEADERS                     [pass_ext_headers]
 *  5. The destination is an address of the kernel's own: before any rule, so that
 *     nobody can cut himself off from the machine                                       [pass_kernel_address]
 *  6. Neighbour solicitation or advertisement whose target or destination is engine-only [redirect_nd]
 *  7. Link-layer multicast and broadcast, unless the destination is an engine-only
 *     address with SLUICE_ADDR_GROUP                                                    [pass_group]
 *     Multicast, broadcast and link-local destinations that are not engine-only         [pass_link_scope]
 *  8. Rules in order of priority, the lower number first              [redirect_rule, pass_rule, drop_rule]
 *  9. The destination is an engine-only address                                         [redirect_address]
 * 10. The longest transit prefix that covers the destination    [redirect_prefix, pass_prefix, drop_prefix]
 * 11. Nothing of this                                                                   [pass_default]
 *
 * A redirect to a queue without a socket is a pass [pass_no_socket]. So is one whose RX metadata cannot be handed on
 * [pass_no_metadata]: without room the receiver could not tell old memory from metadata, and where frames bear none it
 * would not know of a VLAN tag that the device took off.
 *
 * Rules with ports match no fragment, neither the first nor a later one, and nothing whose ports are cut off: one
 * datagram never goes two ways. Fragments follow rules of prefix and protocol; the protocol of a fragmented IPv6
 * packet is the Next Header of its Fragment header, which all fragments show. A Fragment header with offset 0 and no
 * more to come is no fragment (RFC 6946).
 */
#ifndef SLUICE_STEER_H
#define SLUICE_STEER_H

#include <linux/types.h>

/* Changes with any layout in this file: maps pinned by another version are not adopted. */
#define SLUICE_STEER_ABI		2

#define SLUICE_STEER_MAX_RULES		64
#define SLUICE_STEER_MAX_HIT_SLOTS	(2 * SLUICE_STEER_MAX_RULES)	/* old set and new set together */
#define SLUICE_STEER_MAX_ADDRS		4096	/* for each family and owner (kernel, engine) */
#define SLUICE_STEER_MAX_PREFIXES	4096	/* for each family */
#define SLUICE_STEER_MAX_VLANS		4096
#define SLUICE_STEER_MAX_QUEUES		256
#define SLUICE_STEER_MAX_EXT_HEADERS	8
#define SLUICE_STEER_TRACE_BYTES	(256 * 1024)

/*
 * A VLAN as one number: the outer tag in the low half, the inner in the high half, 0 for untagged. A tag is its VLAN
 * identifier, with SLUICE_VLAN_8021AD when its type is 0x88a8 instead of 0x8100.
 */
#define SLUICE_VLAN_8021AD		0x8000u
#define SLUICE_VLAN_ID_MASK		0x0fffu
#define SLUICE_VLAN_UNTAGGED		0u
#define SLUICE_VLAN_ANY			0xffffffffu

static inline __u32 sluice_vlan_key(__u32 outer_tag, __u32 inner_tag)
{
	return outer_tag | inner_tag << 16;
}

enum sluice_steer_action {
	SLUICE_ACTION_KERNEL = 1,
	SLUICE_ACTION_ENGINE = 2,
	SLUICE_ACTION_DROP = 3,
};

/* ---- Verdicts: X(name, text) ------------------------------------------------------------------------------------ */
#define SLUICE_PASS_VERDICTS(X) \
	X(pass_disabled, "steering is switched off") \
	X(pass_short, "headers cut short") \
	X(pass_malformed, "impossible IP version or length") \
	X(pass_jumbogram, "IPv6 payload length 0: longer than the engine takes") \
	X(pass_ext_headers, "too many IPv6 extension headers") \
	X(pass_vlan, "VLAN that is not configured") \
	X(pass_other_host, "sent to another station") \
	X(pass_not_ip, "neither IP nor ARP") \
	X(pass_arp, "ARP that is not for the engine") \
	X(pass_kernel_address, "to an address of the kernel") \
	X(pass_group, "link-layer multicast or broadcast") \
	X(pass_link_scope, "to a multicast, broadcast or link-local address") \
	X(pass_rule, "rule with action kernel") \
	X(pass_prefix, "transit prefix with action kernel") \
	X(pass_default, "no rule, address or prefix for it") \
	X(pass_no_socket, "for the engine, but the queue has no socket") \
	X(pass_no_metadata, "for the engine, but its RX metadata cannot be handed on")
#define SLUICE_DROP_VERDICTS(X) \
	X(drop_rule, "rule with action drop") \
	X(drop_prefix, "transit prefix with action drop")
#define SLUICE_REDIRECT_VERDICTS(X) \
	X(redirect_arp, "ARP for an engine-only address") \
	X(redirect_nd, "neighbour discovery for an engine-only address") \
	X(redirect_rule, "rule with action engine") \
	X(redirect_address, "to an engine-only address") \
	X(redirect_prefix, "transit prefix with action engine")
#define SLUICE_VERDICTS(X) SLUICE_PASS_VERDICTS(X) SLUICE_DROP_VERDICTS(X) SLUICE_REDIRECT_VERDICTS(X)

#define SLUICE_VERDICT_ENUM(name, text)	 SLUICE_VERDICT_##name,
#define SLUICE_VERDICT_FIELD(name, text) __u64 name;

/* Ordered: passes, then drops, then redirects. */
enum sluice_verdict {
	SLUICE_VERDICTS(SLUICE_VERDICT_ENUM)
	SLUICE_VERDICT_COUNT,
	SLUICE_VERDICT_FIRST_DROP = SLUICE_VERDICT_drop_rule,
	SLUICE_VERDICT_FIRST_REDIRECT = SLUICE_VERDICT_redirect_arp,
};

/**
 * struct sluice_steer_counters - Map "counters", one per CPU
 *
 * rx_frames is the sum of the verdicts; the fields from @fragments on count again what a verdict has counted.
 */
struct sluice_steer_counters {
	__u64 rx_frames;
	__u64 rx_bytes;
	__u64 redirect_bytes;
	__u64 drop_bytes;
	SLUICE_VERDICTS(SLUICE_VERDICT_FIELD)
	__u64 fragments;	/* IPv4 and IPv6 fragments, first ones included */
	__u64 vlan_stripped;	/* frames whose outer tag the device had taken off */
	__u64 traced;
	__u64 trace_lost;	/* no room in the trace ring */
};

/** struct sluice_rule_hits - Map "rule_hits", one per slot and CPU; @rule_id is set by the loader */
struct sluice_rule_hits {
	__u64 rule_id;
	__u64 pkts;
	__u64 bytes;
};

/* ---- Addresses, prefixes, rules --------------------------------------------------------------------------------- */
#define SLUICE_ADDR_KERNEL		(1u << 0)
#define SLUICE_ADDR_ENGINE		(1u << 1)
#define SLUICE_ADDR_GROUP		(1u << 2)	/* also where the frame is link-layer multicast or broadcast */

/* Maps "addrs4" and "addrs6" hold both owners' addresses: one lookup says both. @vlan may be SLUICE_VLAN_ANY. */
struct sluice_addr4_key {
	__be32 addr;
	__u32 vlan;
};

struct sluice_addr6_key {
	__be32 addr[4];
	__u32 vlan;
};

struct sluice_addr_value {
	__u32 flags;
};

/* Maps "transit4" and "transit6" (LPM tries). */
struct sluice_transit4_key {
	__u32 prefix_len;
	__be32 addr;
};

struct sluice_transit6_key {
	__u32 prefix_len;
	__be32 addr[4];
};

struct sluice_transit_value {
	__u32 action;		/* enum sluice_steer_action */
};

/* Map "vlans". */
struct sluice_vlan_value {
	__u32 known;
};

#define SLUICE_RULE_PROTOCOL		(1u << 0)
#define SLUICE_RULE_SRC_PORT		(1u << 1)
#define SLUICE_RULE_DST_PORT		(1u << 2)
#define SLUICE_RULE_SRC			(1u << 3)
#define SLUICE_RULE_DST			(1u << 4)
#define SLUICE_RULE_VLAN		(1u << 5)

/**
 * struct sluice_steer_rule - One rule as the program reads it
 * @match:  SLUICE_RULE_...: which fields must match; none: everything
 * @family: 4, 6, or 0 for both; not 0 where @src or @dst are used
 * @src:    IPv4 in the first word; already masked
 * @slot:   its place in "rule_hits"
 */
struct sluice_steer_rule {
	__u32 id;
	__u32 priority;
	__u32 slot;
	__u32 vlan;
	__u32 match;
	__u8 action;
	__u8 family;
	__u8 protocol;
	__u8 pad;
	__u16 src_port_min, src_port_max;	/* host order, both included */
	__u16 dst_port_min, dst_port_max;
	__be32 src[4], src_mask[4];
	__be32 dst[4], dst_mask[4];
};

/* The inner map of "rules": replaced whole, so that a frame sees the old set or the new one. */
struct sluice_rule_set {
	__u32 count;
	__u32 pad;
	struct sluice_steer_rule rules[SLUICE_STEER_MAX_RULES];
};

/* ---- Trace ------------------------------------------------------------------------------------------------------ */
#define SLUICE_TRACE_PROTOCOL		(1u << 0)
#define SLUICE_TRACE_SRC_PORT		(1u << 1)
#define SLUICE_TRACE_DST_PORT		(1u << 2)
#define SLUICE_TRACE_EITHER_WAY		(1u << 3)	/* also the other direction of the same tuple */

/**
 * struct sluice_trace_filter - Which frames give a trace event
 * @enabled: 0 costs the packet path one branch
 * @one_in:  one frame in so many that match, by chance; 0 and 1: each
 * @family:  4, 6 or 0 for any frame, frames that are not IP included
 */
struct sluice_trace_filter {
	__u32 enabled;
	__u32 one_in;
	__u32 match;
	__u8 family;
	__u8 protocol;
	__u16 src_port, dst_port;	/* host order */
	__u16 pad;
	__be32 src[4], src_mask[4];	/* a mask of 0 matches everything */
	__be32 dst[4], dst_mask[4];
};

#define SLUICE_TRACE_HAS_PORTS		(1u << 0)
#define SLUICE_TRACE_FRAGMENT		(1u << 1)
#define SLUICE_TRACE_GROUP		(1u << 2)	/* link-layer multicast or broadcast */
#define SLUICE_TRACE_HAS_RULE		(1u << 3)

/** struct sluice_trace_event - One record of the ring buffer "trace" */
struct sluice_trace_event {
	__u64 time_ns;		/* CLOCK_MONOTONIC */
	__u32 ifindex;
	__u32 queue;
	__u32 len;
	__u32 verdict;		/* enum sluice_verdict */
	__u32 rule_id;		/* with SLUICE_TRACE_HAS_RULE */
	__u32 vlan;
	__be32 src[4], dst[4];
	__u16 ethertype;	/* host order, behind the tags */
	__u16 src_port, dst_port;	/* host order, with SLUICE_TRACE_HAS_PORTS */
	__u8 family;		/* 4, 6, or 0 */
	__u8 protocol;
	__u8 icmp_type, icmp_code;
	__u8 flags;
	__u8 pad[5];
};

/* ---- Configuration ---------------------------------------------------------------------------------------------- */
#define SLUICE_STEER_VARIANT_METADATA	(1u << 0)
#define SLUICE_STEER_VARIANT_FRAGS	(1u << 1)
#define SLUICE_STEER_VARIANT_GENERIC	(1u << 2)
#define SLUICE_STEER_VARIANT_DISPATCHER	(1u << 3)
#define SLUICE_STEER_VARIANT_PERSISTENT	(1u << 4)
#define SLUICE_STEER_VARIANT_VLAN_TAG	(1u << 5)

/**
 * struct sluice_steer_config - Map "config": one, written by the loader while frames are being decided
 * @drop_needs_socket: dropping verdicts are a pass where the queue has no socket; set where the program could outlive
 *                     the engine without anybody having asked for that (libxdp's dispatcher, an adopted program)
 * @have_rules:        a hint that saves looking into an empty set
 * @have_vlan_addrs:   the same for addresses of one VLAN
 * @generation:        never 0; another one after each change of addresses or prefixes: what the program remembers of
 *                     earlier decisions is void
 */
struct sluice_steer_config {
	__u32 abi;		/* SLUICE_STEER_ABI */
	__u32 variant;		/* SLUICE_STEER_VARIANT_...: for who adopts it */
	__u32 ifindex;
	__u32 enabled;
	__u32 drop_needs_socket;
	__u32 have_rules;
	__u32 have_vlan_addrs;
	__u8 mac[8];		/* six octets and padding */
	__u32 generation;
	struct sluice_trace_filter trace;
};

/* ---- RX metadata ------------------------------------------------------------------------------------------------ */
#define SLUICE_RX_META_MAGIC		0x534c5243u
#define SLUICE_RX_META_VERSION		1

#define SLUICE_RX_META_HASH		(1u << 0)
#define SLUICE_RX_META_TIMESTAMP	(1u << 1)
#define SLUICE_RX_META_VLAN		(1u << 2)

/* Of the kernel's enum xdp_rss_hash_type: the hash covers ports. */
#define SLUICE_RX_HASH_L4		(1u << 3)

/**
 * struct sluice_rx_meta - What the device knew of the frame, in the bytes just below its data
 * @valid:      SLUICE_RX_META_...: which fields the device gave
 * @hash:       the device's own: for spreading only
 * @vlan_proto: the tag which the device took off: the frame does not carry it any more
 *
 * Only the variant with metadata writes it, and then for every frame it redirects; the length is constant since a
 * descriptor does not say it. Read it by memcpy(): four-byte alignment is all that is promised.
 */
struct sluice_rx_meta {
	__u32 magic;
	__u16 version;
	__u16 valid;
	__u32 hash;
	__u32 hash_type;
	__u64 timestamp_ns;
	__be16 vlan_proto;
	__u16 vlan_tci;
	__u32 pad;
} __attribute__((packed, aligned(4)));

#endif
