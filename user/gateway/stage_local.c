/* SPDX-License-Identifier: MIT */
/*
 * Stage "ip-local": what is for an engine-only address.
 *
 * Reads: proto, l4, flags. Echo requests become their replies in place; what nobody listens to is refused as RFC 1122
 * 3.2.2.1 and RFC 4443 3.1 say.
 */
#include <netinet/in.h>

#include "user/gateway/forward.h"
#include "user/gateway/worker.h"
#include "user/net/icmp.h"
#include "user/net/pkt_csum.h"

enum { LOCAL_OUT, LOCAL_ERROR };

#define LOCAL_TTL 64		/* RFC 1122 3.2.1.7 */

static void icmp_input(struct worker *w, struct edges *out, struct pkt *p)
{
	enum drop why = DROP_NONE;

	if (!icmp_is_echo_request(p))
		why = DROP_icmp_ignored;
	else if (!pkt_csum_ok(w->area, p))
		why = DROP_icmp_bad;
	else if (!ratelimit_try_take(&w->echo_replies, 1, w->now_ns))
		why = DROP_icmp_echo_limited;
	if (why != DROP_NONE) {
		edge_drop(out, p, why);
		return;
	}
	icmp_echo_reply(p, NULL, LOCAL_TTL);
	w->count->echo_replies_sent++;
	edge_push(out, LOCAL_OUT, p);
}

/* Where the IPv6 header, or the last extension header, says what follows: RFC 4443 3.4. */
static uint32_t next_header_offset(const struct pkt *p)
{
	const uint8_t *ip = pkt_l3(p);
	uint32_t at = IP6_HLEN, len = (uint32_t)(p->l4 - p->l3), field = IP6_NEXT;

	while (at < len) {
		uint8_t type = ip[field];

		field = at;
		if (type == IPPROTO_FRAGMENT)
			at += IP6_FRAG_HLEN;	/* no length, and what stands there means nothing */
		else if (type == IPPROTO_AH)
			at += (ip[at + 1] + 2u) * 4;
		else
			at += (ip[at + 1] + 1u) * 8;
	}
	return field;
}

static bool is_icmp(const struct pkt *p)
{
	return p->proto == (p->family == AF_INET ? IPPROTO_ICMP : IPPROTO_ICMPV6);
}

static void refuse(struct edges *out, struct pkt *p)
{
	/* No next header (RFC 8200 4.7): there is nothing that could be refused. */
	if (p->proto == IPPROTO_TCP || (p->proto == IPPROTO_NONE && p->family == AF_INET6))
		edge_drop(out, p, DROP_no_listener);
	else if (p->proto == IPPROTO_UDP)
		forward_no_listener(out, LOCAL_ERROR, p, ICMP_CAUSE_PORT, 0);
	else
		forward_no_listener(out, LOCAL_ERROR, p, ICMP_CAUSE_PROTO,
				    p->family == AF_INET6 ? next_header_offset(p) : 0);
}

static void local_run(struct worker *w, struct batch *in, struct edges *out)
{
	for (unsigned int i = 0; i < in->n; i++) {
		struct pkt *p = in->pkt[i];

		w->count->local_pkts++;
		if (p->flags & PKT_FRAG)
			edge_drop(out, p, DROP_local_fragment);
		else if (!(p->flags & PKT_L4) && (p->proto == IPPROTO_TCP || p->proto == IPPROTO_UDP || is_icmp(p)))
			edge_drop(out, p, DROP_l4_short);
		else if (is_icmp(p))
			icmp_input(w, out, p);
		else
			refuse(out, p);
	}
}

const struct stage stage_ip_local = {
	.name = "ip-local", .run = local_run,
	.next = { [LOCAL_OUT] = "ip-out", [LOCAL_ERROR] = "icmp-error" },
};
