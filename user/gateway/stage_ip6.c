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

/* All the checks. Return: whether the packet is to be forwarded; else it has gone another way */
static aside bool ip6_other(struct worker *w, struct edges *out, struct pkt *p)
{
	const struct tables *t = w->tables;
	const struct iface *iface = &t->ifaces[p->iface_in];
	const uint8_t *ip = pkt_l3(p), *dst = ip + IP6_DST;
	enum drop why = DROP_NONE;
	const struct fib_route *r;

	if (ipv6_is_multicast(dst) || ipv6_is_link_local(dst)) {
		ip6_on_link(w, out, p, iface, dst);
		return false;
	}
	r = fib_lookup6(t->fib, (const void *)dst);
	p->route = r;
	if (r->type == FIB_LOCAL) {
		ip6_local(w, out, p, iface);
		return false;
	}
	if (r->type != FIB_KERNEL)
		why = ipv6_forward_check(ip);
	if (why == DROP_NONE && p->flags & PKT_L2_GROUP)
		why = DROP_l2_multicast;
	if (why == DROP_NONE && iface->flags & IFACE_CHECK_SOURCE)
		why = forward_source_check(fib_lookup6(t->fib, (const void *)(ip + IP6_SRC)), iface);
	if (why == DROP_NONE && r->type == FIB_UNICAST)
		return true;
	if (why != DROP_NONE)
		forward_error(out, IP6_ERROR, p, why);
	else
		forward_refuse(out, IP6_ERROR, p, r->type);
	return false;
}

/* Is there nothing to be said against forwarding it, given a route? All but the source's own route. */
static inline bool is_plain(const struct pkt *p, const uint8_t *ip)
{
	return !(p->flags & PKT_L2_GROUP) && ipv6_is_plain[ip[IP6_SRC]] && ipv6_is_plain[ip[IP6_DST]];
}

static void ip6_input_run(struct worker *w, struct batch *in, struct edges *out)
{
	const struct tables *t = w->tables;
	const struct fib *fib = t->fib;
	bool checks_source = t->checks_source;
	struct pkt **forward = edge_open(out, IP6_FORWARD);
	unsigned int n = in->n;

	for (unsigned int i = 0; i < n; i++) {
		struct pkt *p = in->pkt[i];
		const uint8_t *ip = pkt_l3(p);
		const struct fib_route *r = NULL;

		if (likely(is_plain(p, ip) && !checks_source))
			r = fib_lookup6(fib, (const void *)(ip + IP6_DST));
		p->route = r;
		if (likely(r && r->type == FIB_UNICAST) || ip6_other(w, out, p))
			*forward++ = p;
	}
	edge_close(out, IP6_FORWARD, forward);
}

const struct stage stage_ip6_input = {
	.name = "ip6-input", .run = ip6_input_run,
	.next = {
		[IP6_FORWARD] = "forward", [IP6_LOCAL] = "ip-local", [IP6_PUNT] = "punt",
		[IP6_ERROR] = "icmp-error",
	},
};
