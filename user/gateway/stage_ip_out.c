/* SPDX-License-Identifier: MIT */
/*
 * Stage "ip-out": the way out for packets made here.
 *
 * Reads: the destination, iface_in for link-local ones. Writes: route, iface_out, mtu_out, next_hop.
 */
#include <sys/socket.h>

#include "user/gateway/forward.h"
#include "user/gateway/worker.h"
#include "user/net/ipv6.h"

enum { OUT_NEIGH, OUT_FRAGMENT };

static enum drop out_route(struct worker *w, struct pkt *p)
{
	const struct tables *t = w->tables;
	const uint8_t *dst6 = pkt_l3(p) + IP6_DST;
	const struct fib_route *r;

	if (p->family == AF_INET6 && ipv6_is_link_local(dst6)) {
		/* The tables may have changed since: see error_source(). */
		if (unlikely(p->iface_in >= t->n_ifaces))
			return DROP_no_port;
		/* The answer to something from that link goes back to it (RFC 4007 6). */
		p->route = NULL;
		p->iface_out = p->iface_in;
		p->mtu_out = (uint16_t)min_u32(t->ifaces[p->iface_in].mtu_bytes, UINT16_MAX);
		return t->ifaces[p->iface_in].up ? DROP_NONE : DROP_port_down;
	}
	r = p->family == AF_INET ? fib_lookup4(t->fib, wire32_at(pkt_l3(p) + IP4_DST)) : fib_lookup6(t->fib, (const void *)dst6);
	if (r->type != FIB_UNICAST)
		return r->type == FIB_LOCAL || r->type == FIB_KERNEL ? DROP_own_source : DROP_no_route;
	p->route = r;
	return forward_choose(w, p);
}

static void ip_out_run(struct worker *w, struct batch *in, struct edges *out)
{
	for (unsigned int i = 0; i < in->n; i++) {
		struct pkt *p = in->pkt[i];
		enum drop why = out_route(w, p);

		if (why != DROP_NONE)
			edge_drop(out, p, why);
		else if (pkt_l3_bytes(p) <= p->mtu_out)
			edge_push(out, OUT_NEIGH, p);
		else if (p->family == AF_INET)
			edge_push(out, OUT_FRAGMENT, p);
		else
			edge_drop(out, p, DROP_mtu_df);
	}
}

const struct stage stage_ip_out = {
	.name = "ip-out", .run = ip_out_run,
	.next = { [OUT_NEIGH] = "neigh", [OUT_FRAGMENT] = "fragment" },
};
