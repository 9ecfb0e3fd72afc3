/* SPDX-License-Identifier: MIT */
/*
 * Stage "icmp-error": tell a sender why its packet was dropped, where that is allowed.
 *
 * Reads: error_*, iface_in. The packet is always dropped under error_drop; what leaves is a new one.
 */
#include "user/gateway/trace.h"
#include "user/gateway/worker.h"
#include "user/net/icmp.h"
#include "user/net/ipv6.h"

enum { ERROR_OUT };

static bool is_link_local(const struct iface_addr *a)
{
	return a->family == AF_INET6 && ipv6_is_link_local(a->addr);
}

/*
 * RFC 1812 4.3.2.4: an address of the interface the error leaves by, which for all but asymmetric paths is the one the
 * packet came in by; it is also what traceroute should show. An interface without one that reaches as far as the sender
 * borrows another's: a link-local source would not pass the next router.
 */
static const struct iface_addr *error_source(const struct tables *t, const struct pkt *p)
{
	const uint8_t *to = pkt_l3(p) + (p->family == AF_INET ? IP4_SRC : IP6_SRC);
	bool on_link = p->family == AF_INET6 && ipv6_is_link_local(to);
	const struct iface_addr *a = NULL;

	/* A packet that has waited for its neighbour may be older than the tables. */
	if (likely(p->iface_in < t->n_ifaces))
		a = iface_source_for(&t->ifaces[p->iface_in], p->family, to);
	for (unsigned int i = 0; i < t->n_ifaces && (!a || (is_link_local(a) && !on_link)); i++) {
		const struct iface_addr *other = iface_source_for(&t->ifaces[i], p->family, to);

		if (other && !is_link_local(other))
			a = other;
	}
	return a;
}

/* RFC 1812 4.3.2.7: a source that is no single host. What its bits do not show, a route does: a subnet's broadcast. */
static bool source_is_broadcast(const struct tables *t, const struct pkt *p)
{
	return p->family == AF_INET && fib_lookup4(t->fib, wire32_at(pkt_l3(p) + IP4_SRC))->type == FIB_BROADCAST;
}

static struct pkt *error_for(struct worker *w, struct pkt *p)
{
	const struct iface_addr *src;
	struct pkt *e;

	/* What was made here: the sender is this node. */
	if (p->flags & PKT_LOCAL_OUT)
		return NULL;
	if (icmp_error_forbidden(p, (enum icmp_cause)p->error_cause) || source_is_broadcast(w->tables, p)) {
		w->count->icmp_errors_forbidden++;
		return NULL;
	}
	src = error_source(w->tables, p);
	if (!src || !ratelimit_try_take(&w->icmp_errors, 1, w->now_ns)) {
		w->count->icmp_errors_limited++;
		return NULL;
	}
	e = icmp_error_build(w->area, p, (enum icmp_cause)p->error_cause, p->error_info, src->addr);
	if (!e) {
		w->count->icmp_errors_limited++;
		return NULL;
	}
	e->iface_in = p->iface_in;
	e->port_in = p->port_in;
	e->flags |= p->flags & PKT_TRACE;
	e->trace_id = p->trace_id;
	w->count->icmp_errors_sent++;
	w->count->created_pkts++;
	return e;
}

static void icmp_error_run(struct worker *w, struct batch *in, struct edges *out)
{
	for (unsigned int i = 0; i < in->n; i++) {
		struct pkt *p = in->pkt[i];
		struct pkt *e = error_for(w, p);

		edge_drop(out, p, (enum drop)p->error_drop);
		if (e)
			edge_push(out, ERROR_OUT, e);
	}
}

const struct stage stage_icmp_error = {
	.name = "icmp-error", .run = icmp_error_run,
	.next = { [ERROR_OUT] = "ip-out" },
};
