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

static void ip4_input_run(struct worker *w, struct batch *in, struct edges *out)
{
	const struct tables *t = w->tables;

	for (unsigned int i = 0; i < in->n; i++) {
		struct pkt *p = in->pkt[i];
		const uint8_t *ip = pkt_l3(p);
		const struct fib_route *r = fib_lookup4(t->fib, wire32_at(ip + IP4_DST));
		enum drop why = header_check(p, ip, r->type);

		p->route = r;
		if (likely(why == DROP_NONE) && unlikely(t->ifaces[p->iface_in].flags & IFACE_CHECK_SOURCE))
			why = forward_source_check(fib_lookup4(t->fib, wire32_at(ip + IP4_SRC)),
						   &t->ifaces[p->iface_in]);
		if (unlikely(why != DROP_NONE))
			edge_drop(out, p, why);
		else if (likely(r->type == FIB_UNICAST))
			edge_push(out, IP4_FORWARD, p);
		else if (r->type == FIB_LOCAL)
			edge_push(out, IP4_LOCAL, p);
		else
			forward_refuse(out, IP4_ERROR, p, r->type);
	}
}

const struct stage stage_ip4_input = {
	.name = "ip4-input", .run = ip4_input_run,
	.next = { [IP4_FORWARD] = "forward", [IP4_LOCAL] = "ip-local", [IP4_ERROR] = "icmp-error" },
};
