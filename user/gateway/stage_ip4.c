/* SPDX-License-Identifier: MIT */
/*
 * Stage "ip4-input": which IPv4 packets are accepted, and where they go (RFC 1812 4.2, 5.2, 5.3).
 *
 * Reads: l3, flags, iface_in. Writes: route, error_*.
 */
#include "user/gateway/forward.h"
#include "user/gateway/worker.h"
#include "user/net/ipv4.h"

enum { IP4_FORWARD, IP4_LOCAL, IP4_ERROR };

/* Addresses and how they came, whatever the routes say but for what is this node's own. */
static enum drop header_check(const struct pkt *p, const uint8_t *ip, enum fib_type type)
{
	if (unlikely(!ipv4_csum_ok(ip)))
		return DROP_ip4_checksum;
	if (unlikely(p->flags & PKT_L2_GROUP)) {
		if (ipv4_is_multicast(ip + IP4_DST))
			return DROP_multicast;
		if (ipv4_is_limited_broadcast(ip + IP4_DST) || type == FIB_BROADCAST)
			return DROP_broadcast;
		/* RFC 1812 5.3.4: a unicast packet in a link-layer broadcast is not to be forwarded. */
		return DROP_l2_multicast;
	}
	if (likely(type != FIB_LOCAL && type != FIB_KERNEL))
		return ipv4_forward_check(ip);
	return ipv4_is_host(ip + IP4_SRC) ? DROP_NONE : DROP_martian_source;
}

/* Is there nothing to be said against forwarding it, given a route? All but the source's own route. */
static inline bool is_plain(const struct pkt *p, const uint8_t *ip)
{
	return !(p->flags & (PKT_L2_GROUP | PKT_IP_OPTIONS)) && csum_is_zero(csum_ipv4_header64(ip, 5)) &&
	       ipv4_forward_check(ip) == DROP_NONE;
}

/* All the checks. Return: whether the packet is to be forwarded; else it has gone another way */
static aside bool ip4_other(struct worker *w, struct edges *out, struct pkt *p)
{
	const struct tables *t = w->tables;
	const struct fib_route *r = p->route;
	const uint8_t *ip = pkt_l3(p);
	enum drop why = header_check(p, ip, r->type);

	if (why == DROP_NONE && t->ifaces[p->iface_in].flags & IFACE_CHECK_SOURCE)
		why = forward_source_check(fib_lookup4(t->fib, wire32_at(ip + IP4_SRC)), &t->ifaces[p->iface_in]);
	if (why == DROP_NONE && r->type == FIB_UNICAST)
		return true;
	if (why != DROP_NONE)
		edge_drop(out, p, why);
	else if (r->type == FIB_LOCAL)
		edge_push(out, IP4_LOCAL, p);
	else
		forward_refuse(out, IP4_ERROR, p, r->type);
	return false;
}

static void ip4_input_run(struct worker *w, struct batch *in, struct edges *out)
{
	const struct tables *t = w->tables;
	const struct fib *fib = t->fib;
	bool checks_source = t->checks_source;
	struct pkt **forward = edge_open(out, IP4_FORWARD);
	unsigned int n = in->n;

	for (unsigned int i = 0; i < n; i++) {
		struct pkt *p = in->pkt[i];
		const uint8_t *ip = pkt_l3(p);
		const struct fib_route *r = fib_lookup4(fib, wire32_at(ip + IP4_DST));

		p->route = r;
		if (likely(r->type == FIB_UNICAST && !checks_source && is_plain(p, ip)) || ip4_other(w, out, p))
			*forward++ = p;
	}
	edge_close(out, IP4_FORWARD, forward);
}

const struct stage stage_ip4_input = {
	.name = "ip4-input", .run = ip4_input_run,
	.next = { [IP4_FORWARD] = "forward", [IP4_LOCAL] = "ip-local", [IP4_ERROR] = "icmp-error" },
};
