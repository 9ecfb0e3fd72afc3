/* SPDX-License-Identifier: MIT */
#include "user/gateway/forward.h"

#include "user/gateway/worker.h"
#include "user/net/icmp.h"

/* Reasons whose senders are told, and how. */
static bool cause_of(enum drop why, enum icmp_cause *cause)
{
	switch (why) {
	case DROP_ttl:
		*cause = ICMP_CAUSE_TTL;
		return true;
	case DROP_no_route:
		*cause = ICMP_CAUSE_NO_ROUTE;
		return true;
	case DROP_unreachable:
	case DROP_port_down:
	case DROP_neigh_failed:
		*cause = ICMP_CAUSE_NO_NEIGHBOUR;
		return true;
	case DROP_prohibit:
		*cause = ICMP_CAUSE_PROHIBITED;
		return true;
	default:
		return false;
	}
}

static void error_push(struct edges *out, unsigned int edge, struct pkt *p, enum drop why, enum icmp_cause cause,
		       uint32_t info)
{
	p->error_drop = (uint8_t)why;
	p->error_cause = (uint8_t)cause;
	p->error_info = info;
	edge_push(out, edge, p);
}

void forward_error(struct edges *out, unsigned int edge, struct pkt *p, enum drop why)
{
	enum icmp_cause cause;

	if (cause_of(why, &cause))
		error_push(out, edge, p, why, cause, 0);
	else
		edge_drop(out, p, why);
}

void forward_too_big(struct edges *out, unsigned int edge, struct pkt *p, uint32_t mtu_bytes)
{
	error_push(out, edge, p, DROP_mtu_df, ICMP_CAUSE_TOO_BIG, mtu_bytes);
}

void forward_no_listener(struct edges *out, unsigned int edge, struct pkt *p, enum icmp_cause cause, uint32_t info)
{
	error_push(out, edge, p, DROP_no_listener, cause, info);
}

void forward_refuse(struct edges *out, unsigned int edge, struct pkt *p, enum fib_type type)
{
	enum drop why;

	switch (type) {
	case FIB_KERNEL:
		why = DROP_kernel_address;
		break;
	case FIB_BROADCAST:
		why = DROP_broadcast;
		break;
	case FIB_BLACKHOLE:
		why = DROP_blackhole;
		break;
	case FIB_UNREACHABLE:
		why = DROP_unreachable;
		break;
	case FIB_PROHIBIT:
		why = DROP_prohibit;
		break;
	default:
		why = DROP_no_route;
		break;
	}
	forward_error(out, edge, p, why);
}

enum drop forward_source_check(const struct fib_route *back, const struct iface *in)
{
	if (back->type == FIB_LOCAL || back->type == FIB_KERNEL)
		return DROP_own_source;
	if (in->rp_filter == IFACE_RP_OFF)
		return DROP_NONE;
	if (back->type != FIB_UNICAST)
		return DROP_rp_filter;
	if (in->rp_filter == IFACE_RP_LOOSE)
		return DROP_NONE;
	for (unsigned int i = 0; i < back->n_nexthops; i++)
		if (back->nexthops[i].iface == in->id)
			return DROP_NONE;
	return DROP_rp_filter;
}

enum drop forward_choose(struct worker *w, struct pkt *p)
{
	const struct fib_route *r = p->route;
	const struct iface *iface;
	uint32_t mtu_bytes;

	p->next_hop = 0;
	/* All packets of a flow take the same way: RFC 2992. */
	if (unlikely(r->n_nexthops > 1))
		p->next_hop = (uint8_t)fib_select(r, pkt_flow_hash(p, &w->hash_key));
	p->iface_out = r->nexthops[p->next_hop].iface;
	if (unlikely(p->iface_out >= w->tables->n_ifaces))
		return DROP_no_port;
	iface = &w->tables->ifaces[p->iface_out];
	if (unlikely(!iface->up))
		return DROP_port_down;
	mtu_bytes = iface->mtu_bytes;
	if (unlikely(r->mtu && r->mtu < mtu_bytes))
		mtu_bytes = r->mtu;
	p->mtu_out = (uint16_t)min_u32(mtu_bytes, UINT16_MAX);
	return DROP_NONE;
}
