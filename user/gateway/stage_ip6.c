/* SPDX-License-Identifier: MIT */
/*
 * Stage "ip6-input": which IPv6 packets are accepted, and where they go (RFC 8200, RFC 4291 2.5 and 2.7).
 *
 * Reads: l3, flags, iface_in. Writes: route, error_*.
 */
#include <netinet/in.h>

#include "user/gateway/forward.h"
#include "user/gateway/worker.h"
#include "user/net/icmp.h"
#include "user/net/ipv6.h"

enum { IP6_FORWARD, IP6_LOCAL, IP6_PUNT, IP6_ERROR };

/* Neighbour discovery is the control thread's, by whatever address it came. */
static bool is_nd(const struct pkt *p)
{
	uint8_t type;

	if (p->proto != IPPROTO_ICMPV6 || p->flags & PKT_FRAG || pkt_linear_bytes(p, p->l4) < 1)
		return false;
	type = pkt_l4(p)[0];
	return type >= ICMP6_ROUTER_SOLICIT && type <= ICMP6_REDIRECT;
}

/* For an address of this node's own. Link-local sources have no route, and are right on every link. */
static void ip6_local(struct worker *w, struct edges *out, struct pkt *p, const struct iface *iface)
{
	const uint8_t *src = pkt_l3(p) + IP6_SRC;
	enum drop why = DROP_NONE;

	if (is_nd(p)) {
		edge_push(out, IP6_PUNT, p);
		return;
	}
	if (!ipv6_is_host(src))
		why = DROP_martian_source;
	else if (p->flags & PKT_L2_GROUP)
		why = DROP_l2_multicast;
	else if (iface->flags & IFACE_CHECK_SOURCE && !ipv6_is_link_local(src))
		why = forward_source_check(fib_lookup6(w->tables->fib, (const void *)src), iface);
	if (why != DROP_NONE)
		edge_drop(out, p, why);
	else
		edge_push(out, IP6_LOCAL, p);
}

/* Multicast and link-local destinations never leave the link: no route is asked. */
static void ip6_on_link(struct worker *w, struct edges *out, struct pkt *p, const struct iface *iface,
			const uint8_t *dst)
{
	if (iface_has_addr(iface, AF_INET6, dst))
		ip6_local(w, out, p, iface);
	else if (!ipv6_is_multicast(dst))
		edge_drop(out, p, DROP_link_scope);
	else if (is_nd(p))
		edge_push(out, IP6_PUNT, p);
	else
		edge_drop(out, p, DROP_multicast);
}

static void ip6_one(struct worker *w, struct edges *out, struct pkt *p)
{
	const struct tables *t = w->tables;
	const struct iface *iface = &t->ifaces[p->iface_in];
	const uint8_t *ip = pkt_l3(p), *dst = ip + IP6_DST;
	enum drop why = DROP_NONE;
	const struct fib_route *r;

	if (unlikely(dst[0] >= 0xfe && (ipv6_is_multicast(dst) || ipv6_is_link_local(dst)))) {
		ip6_on_link(w, out, p, iface, dst);
		return;
	}
	r = fib_lookup6(t->fib, (const void *)dst);
	p->route = r;
	if (unlikely(r->type == FIB_LOCAL)) {
		ip6_local(w, out, p, iface);
		return;
	}
	if (likely(r->type != FIB_KERNEL))
		why = ipv6_forward_check(ip);
	if (likely(why == DROP_NONE) && unlikely(p->flags & PKT_L2_GROUP))
		why = DROP_l2_multicast;
	if (likely(why == DROP_NONE) && unlikely(iface->flags & IFACE_CHECK_SOURCE))
		why = forward_source_check(fib_lookup6(t->fib, (const void *)(ip + IP6_SRC)), iface);
	if (unlikely(why != DROP_NONE))
		forward_error(out, IP6_ERROR, p, why);
	else if (likely(r->type == FIB_UNICAST))
		edge_push(out, IP6_FORWARD, p);
	else
		forward_refuse(out, IP6_ERROR, p, r->type);
}

static void ip6_input_run(struct worker *w, struct batch *in, struct edges *out)
{
	for (unsigned int i = 0; i < in->n; i++)
		ip6_one(w, out, in->pkt[i]);
}

const struct stage stage_ip6_input = {
	.name = "ip6-input", .run = ip6_input_run,
	.next = {
		[IP6_FORWARD] = "forward", [IP6_LOCAL] = "ip-local", [IP6_PUNT] = "punt",
		[IP6_ERROR] = "icmp-error",
	},
};
