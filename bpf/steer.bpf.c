// SPDX-License-Identifier: GPL-2.0-only
/*
 * steer: which frames of a device the engine takes.
 *
 * The order of decisions is described in include/sluice/steer.h. Two programs are made of one body: "steer_meta" asks
 * the driver for hash, timestamp and VLAN tag and must be bound to a device, "steer" runs everywhere. The loader loads
 * one of them.
 *
 * Only the linear part of a frame is parsed (in multi-buffer frames: the first buffer).
 */
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/in.h>

#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#include <sluice/steer.h>

/* Facts of this load: the verifier removes what they rule out, helpers and kfuncs of later kernels included. */
const volatile __u32 have_frags;
const volatile __u32 have_rx_hash;
const volatile __u32 have_rx_timestamp;
const volatile __u32 have_rx_vlan;
const volatile __u32 deliver_metadata;	/* below the frame, for the engine */

struct sluice_steer_config config SEC(".data.config");

struct {
	__uint(type, BPF_MAP_TYPE_XSKMAP);
	__uint(max_entries, SLUICE_STEER_MAX_QUEUES);
	__type(key, __u32);
	__type(value, __u32);
} xsks SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct sluice_steer_counters);
} counters SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, SLUICE_STEER_MAX_HIT_SLOTS);
	__type(key, __u32);
	__type(value, struct sluice_rule_hits);
} rule_hits SEC(".maps");

/* Tables have room for the old and the new entries together: the loader adds before it deletes. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 4 * SLUICE_STEER_MAX_ADDRS);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, struct sluice_addr4_key);
	__type(value, struct sluice_addr_value);
} addrs4 SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 4 * SLUICE_STEER_MAX_ADDRS);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, struct sluice_addr6_key);
	__type(value, struct sluice_addr_value);
} addrs6 SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_LPM_TRIE);
	__uint(max_entries, 2 * SLUICE_STEER_MAX_PREFIXES);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, struct sluice_transit4_key);
	__type(value, struct sluice_transit_value);
} transit4 SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_LPM_TRIE);
	__uint(max_entries, 2 * SLUICE_STEER_MAX_PREFIXES);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, struct sluice_transit6_key);
	__type(value, struct sluice_transit_value);
} transit6 SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 2 * SLUICE_STEER_MAX_VLANS);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, __u32);
	__type(value, struct sluice_vlan_value);
} vlans SEC(".maps");

/*
 * What was decided for a destination. Two lookups, one of them in a trie, are saved for the frames that follow to it.
 * Good as long as its generation is the configuration's.
 */
struct decision {
	__be32 dst[4];
	__u32 vlan;
	__u32 family;
	__u32 generation;
	__u32 verdict;
};

#define DECISIONS_BITS 8

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1 << DECISIONS_BITS);
	__type(key, __u32);
	__type(value, struct decision);
} decisions SEC(".maps");

/* Replacing the inner map waits until no program uses the old one: see steer_set_rules(). */
struct rule_set_map {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct sluice_rule_set);
} no_rules SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY_OF_MAPS);
	__uint(max_entries, 1);
	__type(key, __u32);
	__array(values, struct rule_set_map);
} rules SEC(".maps") = {
	.values = { &no_rules },
};

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, SLUICE_STEER_TRACE_BYTES);
} trace SEC(".maps");

/* The kernel's type has to be named; its values are the kernel's. */
enum xdp_rss_hash_type {
	SLUICE_RSS_TYPE_NONE = 0,
};

extern int bpf_xdp_metadata_rx_hash(const struct xdp_md *ctx, __u32 *hash, enum xdp_rss_hash_type *type) __ksym __weak;
extern int bpf_xdp_metadata_rx_timestamp(const struct xdp_md *ctx, __u64 *timestamp) __ksym __weak;
extern int bpf_xdp_metadata_rx_vlan_tag(const struct xdp_md *ctx, __be16 *proto, __u16 *tci) __ksym __weak;

#include "steer_parse.bpf.h"

/* A verdict per action, for rules and for prefixes. */
static __always_inline __u32 verdict_of(__u32 action, __u32 engine, __u32 kernel, __u32 drop)
{
	return action == SLUICE_ACTION_ENGINE ? engine : action == SLUICE_ACTION_DROP ? drop : kernel;
}

static __always_inline __u32 addr_flags(const struct frame *f, const __be32 *addr)
{
	struct sluice_addr_value *v;
	__u32 flags = 0;

	if (f->family == 4) {
		struct sluice_addr4_key k = { addr[0], SLUICE_VLAN_ANY };

		v = bpf_map_lookup_elem(&addrs4, &k);
		if (v)
			flags = v->flags;
		if (config.have_vlan_addrs) {
			k.vlan = f->vlan;
			v = bpf_map_lookup_elem(&addrs4, &k);
			if (v)
				flags |= v->flags;
		}
	} else {
		struct sluice_addr6_key k = { { addr[0], addr[1], addr[2], addr[3] }, SLUICE_VLAN_ANY };

		v = bpf_map_lookup_elem(&addrs6, &k);
		if (v)
			flags = v->flags;
		if (config.have_vlan_addrs) {
			k.vlan = f->vlan;
			v = bpf_map_lookup_elem(&addrs6, &k);
			if (v)
				flags |= v->flags;
		}
	}
	return flags;
}

static __always_inline __u32 transit_action(const struct frame *f)
{
	struct sluice_transit_value *v;

	if (f->family == 4) {
		struct sluice_transit4_key k = { 32, f->dst[0] };

		v = bpf_map_lookup_elem(&transit4, &k);
	} else {
		struct sluice_transit6_key k = { 128, { f->dst[0], f->dst[1], f->dst[2], f->dst[3] } };

		v = bpf_map_lookup_elem(&transit6, &k);
	}
	return v ? v->action : 0;
}

/* Never to be routed: multicast, the limited broadcast, link-local (RFC 3927 7, RFC 4291 2.5.6). */
static __always_inline bool link_scope(const struct frame *f)
{
	__u32 first = bpf_ntohl(f->dst[0]);

	if (f->family == 4)
		return first >> 28 == 0xe || first == 0xffffffff || first >> 16 == 0xa9fe;
	return first >> 24 == 0xff || first >> 22 == 0xfe80 >> 6;
}

static __always_inline bool addr_matches(const __be32 *a, const __be32 *want, const __be32 *mask)
{
	return !(((a[0] & mask[0]) ^ want[0]) | ((a[1] & mask[1]) ^ want[1]) | ((a[2] & mask[2]) ^ want[2]) |
		 ((a[3] & mask[3]) ^ want[3]));
}

static __always_inline bool rule_matches(const struct sluice_steer_rule *r, const struct frame *f)
{
	__u32 match = r->match;

	if (r->family && r->family != f->family)
		return false;
	if ((match & SLUICE_RULE_PROTOCOL) && r->protocol != f->protocol)
		return false;
	if (match & (SLUICE_RULE_SRC_PORT | SLUICE_RULE_DST_PORT)) {
		if (!(f->flags & SLUICE_TRACE_HAS_PORTS))
			return false;
		if ((match & SLUICE_RULE_SRC_PORT) && (f->src_port < r->src_port_min || f->src_port > r->src_port_max))
			return false;
		if ((match & SLUICE_RULE_DST_PORT) && (f->dst_port < r->dst_port_min || f->dst_port > r->dst_port_max))
			return false;
	}
	if ((match & SLUICE_RULE_VLAN) && r->vlan != f->vlan)
		return false;
	if ((match & SLUICE_RULE_SRC) && !addr_matches(f->src, r->src, r->src_mask))
		return false;
	return !(match & SLUICE_RULE_DST) || addr_matches(f->dst, r->dst, r->dst_mask);
}

/*
 * Return: the action of the first rule that matches, 0 if none does.
 *
 * A global function: the verifier looks at the scan once, not once for each way that leads here.
 */
__noinline __u32 rules_action(struct frame *f)
{
	struct sluice_rule_hits *hits;
	struct sluice_rule_set *set;
	__u32 zero = 0, i;
	void *inner;

	if (!f)
		return 0;
	inner = bpf_map_lookup_elem(&rules, &zero);
	if (!inner)
		return 0;
	set = bpf_map_lookup_elem(inner, &zero);
	if (!set)
		return 0;
#pragma clang loop unroll(disable)
	for (i = 0; i < SLUICE_STEER_MAX_RULES; i++) {
		const struct sluice_steer_rule *r = &set->rules[i];
		__u32 slot;

		if (i >= set->count)
			break;
		if (!rule_matches(r, f))
			continue;
		f->flags |= SLUICE_TRACE_HAS_RULE;
		f->rule_id = r->id;
		slot = r->slot;
		hits = bpf_map_lookup_elem(&rule_hits, &slot);
		if (hits) {
			hits->pkts++;
			hits->bytes += f->len;
		}
		return r->action;
	}
	return 0;
}

/* Steps 5 to 11 of the list in steer.h. */
static __always_inline __u32 decide_ip(struct frame *f)
{
	__u32 flags = addr_flags(f, f->dst), action;

	if (flags & SLUICE_ADDR_KERNEL)
		return SLUICE_VERDICT_pass_kernel_address;
	if (f->nd) {
		if ((f->nd == ND_ADVERT && (flags & SLUICE_ADDR_ENGINE)) ||
		    (addr_flags(f, f->target) & (SLUICE_ADDR_ENGINE | SLUICE_ADDR_KERNEL)) == SLUICE_ADDR_ENGINE)
			return SLUICE_VERDICT_redirect_nd;
	}
	if ((f->flags & SLUICE_TRACE_GROUP) &&
	    (flags & (SLUICE_ADDR_ENGINE | SLUICE_ADDR_GROUP)) != (SLUICE_ADDR_ENGINE | SLUICE_ADDR_GROUP))
		return SLUICE_VERDICT_pass_group;
	if (!(flags & SLUICE_ADDR_ENGINE) && link_scope(f))
		return SLUICE_VERDICT_pass_link_scope;
	if (config.have_rules) {
		action = rules_action(f);
		if (action)
			return verdict_of(action, SLUICE_VERDICT_redirect_rule, SLUICE_VERDICT_pass_rule,
					  SLUICE_VERDICT_drop_rule);
	}
	if (flags & SLUICE_ADDR_ENGINE)
		return SLUICE_VERDICT_redirect_address;
	action = transit_action(f);
	if (action)
		return verdict_of(action, SLUICE_VERDICT_redirect_prefix, SLUICE_VERDICT_pass_prefix,
				  SLUICE_VERDICT_drop_prefix);
	return SLUICE_VERDICT_pass_default;
}

/* Where a decision about the frame would be remembered; NULL if it depends on more than the destination. */
static __always_inline struct decision *decision_place(const struct frame *f)
{
	__u32 mix, at;

	if (config.have_rules || f->nd || (f->flags & SLUICE_TRACE_GROUP))
		return NULL;
	/* The multiplier is Knuth's, of the golden ratio. */
	mix = (f->dst[0] ^ f->dst[1] ^ f->dst[2] ^ f->dst[3] ^ f->vlan) * 0x9e3779b1u;
	at = mix >> (32 - DECISIONS_BITS);
	return bpf_map_lookup_elem(&decisions, &at);
}

static __always_inline bool decision_fits(const struct decision *d, const struct frame *f)
{
	return d->generation == config.generation && d->vlan == f->vlan && d->family == f->family &&
	       !((d->dst[0] ^ f->dst[0]) | (d->dst[1] ^ f->dst[1]) | (d->dst[2] ^ f->dst[2]) | (d->dst[3] ^ f->dst[3]));
}

/* decide_ip(), or what it said of the last frame to the same destination. */
static __always_inline __u32 decide_ip_again(struct frame *f)
{
	struct decision *d = decision_place(f);
	__u32 generation, verdict, i;

	if (!d)
		return decide_ip(f);
	if (decision_fits(d, f))
		return d->verdict;
	/*
	 * The generation is read before the tables are: what an older state of them says is then not taken for the
	 * newer one's. The exchange is fully ordered, and voids the entry while it is written.
	 */
	generation = *(volatile __u32 *)&config.generation;
	__sync_lock_test_and_set(&d->generation, 0);
	verdict = decide_ip(f);
	for (i = 0; i < 4; i++)
		d->dst[i] = f->dst[i];
	d->vlan = f->vlan;
	d->family = f->family;
	d->verdict = verdict;
	d->generation = generation;
	return verdict;
}

static __always_inline __u32 decide_arp(struct frame *f)
{
	__u32 target = addr_flags(f, f->dst);

	if (target & SLUICE_ADDR_KERNEL)
		return SLUICE_VERDICT_pass_arp;
	if (target & SLUICE_ADDR_ENGINE)
		return SLUICE_VERDICT_redirect_arp;
	if ((addr_flags(f, f->src) & (SLUICE_ADDR_ENGINE | SLUICE_ADDR_KERNEL)) == SLUICE_ADDR_ENGINE)
		return SLUICE_VERDICT_redirect_arp;
	return SLUICE_VERDICT_pass_arp;
}

static __always_inline __u32 decide(struct xdp_md *ctx, struct frame *f)
{
	__u32 bad;

	f->len = have_frags ? (__u32)bpf_xdp_get_buff_len(ctx) : ctx->data_end - ctx->data;
	if (!config.enabled)
		return SLUICE_VERDICT_pass_disabled;
	bad = parse_link(ctx, f);
	if (bad != PARSED)
		return bad;
	if (f->vlan != SLUICE_VLAN_UNTAGGED && !bpf_map_lookup_elem(&vlans, &f->vlan))
		return SLUICE_VERDICT_pass_vlan;
	if (f->other_host)
		return SLUICE_VERDICT_pass_other_host;
	switch (f->ethertype) {
	case ETH_P_IP:
		bad = parse_ipv4(ctx, f);
		break;
	case ETH_P_IPV6:
		bad = parse_ipv6(ctx, f);
		break;
	case ETH_P_ARP:
		bad = parse_arp(ctx, f);
		return bad == PARSED ? decide_arp(f) : bad;
	default:
		return SLUICE_VERDICT_pass_not_ip;
	}
	if (bad != PARSED)
		return bad;
	parse_l4(ctx, f);
	return decide_ip_again(f);
}

static __always_inline bool trace_tuple_matches(const struct sluice_trace_filter *t, const __be32 *src,
						const __be32 *dst, __u16 src_port, __u16 dst_port)
{
	if ((t->match & SLUICE_TRACE_SRC_PORT) && src_port != t->src_port)
		return false;
	if ((t->match & SLUICE_TRACE_DST_PORT) && dst_port != t->dst_port)
		return false;
	return addr_matches(src, t->src, t->src_mask) && addr_matches(dst, t->dst, t->dst_mask);
}

static __always_inline bool trace_wanted(const struct frame *f)
{
	const struct sluice_trace_filter *t = &config.trace;

	if (t->family && t->family != f->family)
		return false;
	if ((t->match & SLUICE_TRACE_PROTOCOL) && t->protocol != f->protocol)
		return false;
	if ((t->match & (SLUICE_TRACE_SRC_PORT | SLUICE_TRACE_DST_PORT)) && !(f->flags & SLUICE_TRACE_HAS_PORTS))
		return false;
	if (!trace_tuple_matches(t, f->src, f->dst, f->src_port, f->dst_port) &&
	    (!(t->match & SLUICE_TRACE_EITHER_WAY) ||
	     !trace_tuple_matches(t, f->dst, f->src, f->dst_port, f->src_port)))
		return false;
	return t->one_in <= 1 || bpf_get_prandom_u32() % t->one_in == 0;
}

static __always_inline void trace_frame(struct xdp_md *ctx, const struct frame *f, __u32 verdict,
					struct sluice_steer_counters *c)
{
	struct sluice_trace_event *e;

	if (!trace_wanted(f))
		return;
	e = bpf_ringbuf_reserve(&trace, sizeof(*e), 0);
	if (!e) {
		c->trace_lost++;
		return;
	}
	*e = (struct sluice_trace_event){
		.time_ns = bpf_ktime_get_ns(),
		.ifindex = ctx->ingress_ifindex,
		.queue = ctx->rx_queue_index,
		.len = f->len,
		.verdict = verdict,
		.rule_id = f->rule_id,
		.vlan = f->vlan,
		.src = { f->src[0], f->src[1], f->src[2], f->src[3] },
		.dst = { f->dst[0], f->dst[1], f->dst[2], f->dst[3] },
		.ethertype = f->ethertype,
		.src_port = f->src_port,
		.dst_port = f->dst_port,
		.family = f->family,
		.protocol = f->protocol,
		.icmp_type = f->icmp_type,
		.icmp_code = f->icmp_code,
		.flags = f->flags,
	};
	bpf_ringbuf_submit(e, 0);
	c->traced++;
}

static __always_inline void count(struct xdp_md *ctx, const struct frame *f, __u32 verdict)
{
	struct sluice_steer_counters *c;
	__u32 zero = 0;

	c = bpf_map_lookup_elem(&counters, &zero);
	if (!c)
		return;
	c->rx_frames++;
	c->rx_bytes += f->len;
	if (verdict >= SLUICE_VERDICT_FIRST_REDIRECT)
		c->redirect_bytes += f->len;
	else if (verdict >= SLUICE_VERDICT_FIRST_DROP)
		c->drop_bytes += f->len;
	if (verdict < SLUICE_VERDICT_COUNT)	/* fields are in the order of the verdicts */
		(&c->pass_disabled)[verdict]++;
	if (f->flags & SLUICE_TRACE_FRAGMENT)
		c->fragments++;
	if (f->vlan_stripped)
		c->vlan_stripped++;
	if (config.trace.enabled)
		trace_frame(ctx, f, verdict, c);
}

/* Return: 0, or a negative error when there is no room: then nothing was changed. */
static __always_inline int write_metadata(struct xdp_md *ctx, const struct frame *f)
{
	enum xdp_rss_hash_type type = SLUICE_RSS_TYPE_NONE;
	struct sluice_rx_meta *m;
	__u32 hash = 0, valid = 0;
	__u64 timestamp = 0;
	int err;

	err = bpf_xdp_adjust_meta(ctx, -(int)sizeof(*m));
	if (err)
		return err;
	m = (void *)(long)ctx->data_meta;
	if ((void *)(m + 1) > (void *)(long)ctx->data)
		return -1;
	if (have_rx_hash && !bpf_xdp_metadata_rx_hash(ctx, &hash, &type))
		valid |= SLUICE_RX_META_HASH;
	if (have_rx_timestamp && !bpf_xdp_metadata_rx_timestamp(ctx, &timestamp))
		valid |= SLUICE_RX_META_TIMESTAMP;
	if (f->vlan_stripped)
		valid |= SLUICE_RX_META_VLAN;
	m->magic = SLUICE_RX_META_MAGIC;
	m->version = SLUICE_RX_META_VERSION;
	m->valid = (__u16)valid;
	m->hash = hash;
	m->hash_type = (__u32)type;
	m->timestamp_ns = timestamp;
	m->vlan_proto = f->stripped_proto;
	m->vlan_tci = f->stripped_tci;
	m->pad = 0;
	return 0;
}

/* What the driver said of the frame would not reach the engine, and it matters. */
static __always_inline bool metadata_lost(struct xdp_md *ctx, const struct frame *f)
{
	return deliver_metadata ? write_metadata(ctx, f) != 0 : f->vlan_stripped;
}

static __always_inline int steer_frame(struct xdp_md *ctx, struct frame *f, const bool metadata)
{
	__u32 verdict = decide(ctx, f), queue = ctx->rx_queue_index;
	int ret = XDP_PASS;

	if (verdict >= SLUICE_VERDICT_FIRST_REDIRECT) {
		ret = (int)bpf_redirect_map(&xsks, queue, XDP_PASS);
		if (ret != XDP_REDIRECT) {
			verdict = SLUICE_VERDICT_pass_no_socket;
		} else if (metadata && metadata_lost(ctx, f)) {
			verdict = SLUICE_VERDICT_pass_no_metadata;
			ret = XDP_PASS;
		}
	} else if (verdict >= SLUICE_VERDICT_FIRST_DROP) {
		if (config.drop_needs_socket && !bpf_map_lookup_elem(&xsks, &queue))
			verdict = SLUICE_VERDICT_pass_no_socket;
		else
			ret = XDP_DROP;
	}
	count(ctx, f, verdict);
	return ret;
}

SEC("xdp")
int steer(struct xdp_md *ctx)
{
	struct frame f = {};

	return steer_frame(ctx, &f, false);
}

SEC("xdp")
int steer_meta(struct xdp_md *ctx)
{
	struct frame f = {};

	/* Before parsing: a tag which the device took off decides which network the frame is of. */
	if (have_rx_vlan && !bpf_xdp_metadata_rx_vlan_tag(ctx, &f.stripped_proto, &f.stripped_tci))
		f.vlan_stripped = true;
	return steer_frame(ctx, &f, true);
}

char LICENSE[] SEC("license") = "GPL";
