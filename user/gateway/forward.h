/* SPDX-License-Identifier: MIT */
/* What the IPv4 and IPv6 stages share about routes and refusals. */
#ifndef USER_GATEWAY_FORWARD_H
#define USER_GATEWAY_FORWARD_H

#include "user/gateway/stage.h"
#include "user/net/fib.h"
#include "user/net/icmp.h"
#include "user/net/iface.h"
#include "user/packet/wire.h"

/**
 * forward_refuse() - A packet whose route is not one to forward by: dropped, or answered with an ICMP error.
 * @edge: the stage's edge to "icmp-error"
 * @type: of the route
 */
void forward_refuse(struct edges *out, unsigned int edge, struct pkt *p, enum fib_type type);

/**
 * forward_error() - Drop a packet under a reason that its sender is told about.
 *
 * Which message belongs to which reason is one table here. The stage "icmp-error" decides whether it may be sent.
 */
void forward_error(struct edges *out, unsigned int edge, struct pkt *p, enum drop why);

/** forward_too_big() - The same for a packet above the MTU of its way out. @mtu_bytes: largest IP packet there */
void forward_too_big(struct edges *out, unsigned int edge, struct pkt *p, uint32_t mtu_bytes);

/** forward_no_listener() - The same for a packet to an address of ours that nobody takes. */
void forward_no_listener(struct edges *out, unsigned int edge, struct pkt *p, enum icmp_cause cause, uint32_t info);

/**
 * forward_source_check() - Reverse path filtering, RFC 3704.
 * @back: the route to the packet's source
 * @in:   the interface it came in by; its rp_filter says how strict
 * Return: DROP_NONE, DROP_own_source or DROP_rp_filter
 */
enum drop forward_source_check(const struct fib_route *back, const struct iface *in);

/** forward_next_hop() - The next hop that was chosen for the packet, or NULL without a route. Within the batch. */
static inline const struct fib_nexthop *forward_next_hop(const struct pkt *p)
{
	const struct fib_route *r = p->route;

	return r && p->next_hop < r->n_nexthops ? &r->nexthops[p->next_hop] : NULL;
}

struct worker;

/**
 * forward_choose() - Choose among a route's next hops; sets iface_out, mtu_out and next_hop.
 * Return: DROP_NONE, DROP_no_port or DROP_port_down
 */
enum drop forward_choose(struct worker *w, struct pkt *p);

#endif
