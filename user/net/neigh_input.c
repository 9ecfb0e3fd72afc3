/* SPDX-License-Identifier: MIT */
/* What others say: ARP by RFC 826 and RFC 5227, ND by RFC 4861 7.2. */
#include "user/net/arp.h"
#include "user/net/ipv6.h"
#include "user/net/nd.h"
#include "user/net/neigh_table.h"

#include <sys/socket.h>

/*
 * A neighbour says its MAC address without having been asked, by a request of its own or an announcement. What is new
 * is taken, but not believed to be reachable; what is known already tells nothing.
 */
static void heard(struct neigh_table *t, struct entry *e, const uint8_t *mac, uint64_t now_ns)
{
	if (e->n.state == NEIGH_FAILED)
		return;				/* back within a second, when somebody asks */
	if (e->n.state == NEIGH_INCOMPLETE || memcmp(e->n.mac, mac, 6) != 0)
		entry_update(t, e, NEIGH_STALE, mac, now_ns);
}

/* A neighbour answers. Only an answer to a question of ours proves that it is reachable. */
static void answered_arp(struct neigh_table *t, struct entry *e, const uint8_t *mac, uint64_t now_ns)
{
	if (e->n.state == NEIGH_INCOMPLETE || e->n.state == NEIGH_PROBE)
		entry_update(t, e, NEIGH_REACHABLE, mac, now_ns);
	else
		heard(t, e, mac, now_ns);
}

static void answer_arp(struct neigh_table *t, const struct iface *iface, const struct arp_msg *m, uint64_t now_ns)
{
	uint8_t frame[ARP_FRAME_BYTES_MAX];

	if (table_may_reply(t, now_ns))
		t->ops->send(t->ctx, iface, frame, arp_build_reply(frame, iface, m));
}

enum drop neigh_input_arp(struct neigh_table *t, uint16_t id, const uint8_t *arp, uint32_t bytes, uint64_t now_ns)
{
	const struct iface *iface = table_iface(t, id);
	struct own_addr *own;
	struct arp_msg m;
	struct entry *e;
	enum drop why = arp_parse(arp, bytes, &m);

	if (why != DROP_NONE || !iface)
		return DROP_arp_bad;
	if (memcmp(m.sender_mac, iface->mac, 6) == 0)
		return DROP_NONE;		/* our own, come back */

	/* RFC 5227 2.1.1, 2.4: somebody sends from an address of ours, or probes one that we are probing. */
	own = own_addr_find(t, id, AF_INET, m.sender);
	if (own) {
		own_addr_conflict(t, own, m.sender_mac, now_ns);
		return DROP_NONE;
	}
	own = own_addr_find(t, id, AF_INET, m.target);
	if (own && own->state == NEIGH_ADDR_TENTATIVE && arp_is_probe(&m)) {
		own_addr_conflict(t, own, m.sender_mac, now_ns);
		return DROP_NONE;
	}
	if (own && own->state != NEIGH_ADDR_PREFERRED)
		return DROP_NONE;

	e = u32_at(m.sender) != 0 ? table_find(t, id, AF_INET, m.sender) : NULL;
	if (e && m.op == ARP_REPLY && own)
		answered_arp(t, e, m.sender_mac, now_ns);
	else if (e)
		heard(t, e, m.sender_mac, now_ns);
	if (own && m.op == ARP_REQUEST)
		answer_arp(t, iface, &m, now_ns);
	return DROP_NONE;
}

static void answer_ns(struct neigh_table *t, const struct iface *iface, const struct own_addr *own,
		      const struct nd_msg *m, const uint8_t *src_mac, uint64_t now_ns)
{
	uint8_t frame[ND_FRAME_BYTES_MAX];
	uint32_t n;

	if (!table_may_reply(t, now_ns))
		return;
	/* 7.2.4: who checks for duplicates has no address yet, so everybody is told. */
	if (ipv6_is_unspecified(m->src))
		n = nd_build_na(frame, iface, own->addr, NULL, NULL, ND_OVERRIDE);
	else
		n = nd_build_na(frame, iface, own->addr, m->src, m->has_mac ? m->mac : src_mac,
				ND_SOLICITED | ND_OVERRIDE);
	t->ops->send(t->ctx, iface, frame, n);
}

/* 7.2.3 */
static void input_ns(struct neigh_table *t, const struct iface *iface, const struct nd_msg *m, const uint8_t *src_mac,
		     uint64_t now_ns)
{
	struct own_addr *own = own_addr_find(t, iface->id, AF_INET6, m->target);
	struct entry *e;

	if (!own)
		return;
	if (own->state == NEIGH_ADDR_TENTATIVE) {
		/* RFC 4862 5.4.3: two check the same address. Another use of a tentative address is ignored. */
		if (ipv6_is_unspecified(m->src))
			own_addr_conflict(t, own, src_mac, now_ns);
		return;
	}
	if (own->state != NEIGH_ADDR_PREFERRED)
		return;
	e = m->has_mac ? table_find(t, iface->id, AF_INET6, m->src) : NULL;
	if (e)
		heard(t, e, m->mac, now_ns);
	answer_ns(t, iface, own, m, src_mac, now_ns);
}

/* 7.2.5 */
static void input_na(struct neigh_table *t, const struct iface *iface, const struct nd_msg *m, const uint8_t *src_mac,
		     uint64_t now_ns)
{
	struct own_addr *own = own_addr_find(t, iface->id, AF_INET6, m->target);
	struct entry *e = table_find(t, iface->id, AF_INET6, m->target);
	bool solicited = m->flags & ND_SOLICITED, same;

	if (own) {
		own_addr_conflict(t, own, m->has_mac ? m->mac : src_mac, now_ns);
		return;
	}
	if (!e || e->n.state == NEIGH_FAILED)
		return;
	if (e->n.state == NEIGH_INCOMPLETE) {
		if (!m->has_mac)
			return;
		e->n.router = m->flags & ND_ROUTER;
		entry_update(t, e, solicited ? NEIGH_REACHABLE : NEIGH_STALE, m->mac, now_ns);
		return;
	}
	same = !m->has_mac || memcmp(m->mac, e->n.mac, 6) == 0;
	if (!(m->flags & ND_OVERRIDE) && !same) {
		if (e->n.state == NEIGH_REACHABLE)
			entry_update(t, e, NEIGH_STALE, NULL, now_ns);
		return;
	}
	e->n.router = m->flags & ND_ROUTER;
	if (solicited)
		entry_update(t, e, NEIGH_REACHABLE, m->has_mac ? m->mac : NULL, now_ns);
	else if (!same)
		entry_update(t, e, NEIGH_STALE, m->mac, now_ns);
}

enum drop neigh_input_nd(struct neigh_table *t, uint16_t id, const uint8_t *ip, uint32_t bytes,
			 const uint8_t *src_mac, uint64_t now_ns)
{
	const struct iface *iface = table_iface(t, id);
	struct nd_msg m;
	struct entry *e;
	enum drop why = nd_parse(ip, bytes, &m);

	if (why != DROP_NONE || !iface)
		return DROP_nd_bad;
	if (memcmp(src_mac, iface->mac, 6) == 0)
		return DROP_NONE;		/* our own, come back */
	switch (m.type) {
	case ICMP6_NEIGH_SOLICIT:
		input_ns(t, iface, &m, src_mac, now_ns);
		break;
	case ICMP6_NEIGH_ADVERT:
		input_na(t, iface, &m, src_mac, now_ns);
		break;
	default:				/* 6.2.6, 6.3.4: of a router's messages only this is of use here */
		e = table_find(t, id, AF_INET6, m.src);
		if (!e)
			break;
		e->n.router = m.type == ICMP6_ROUTER_ADVERT;
		if (m.has_mac)
			heard(t, e, m.mac, now_ns);
		break;
	}
	return DROP_NONE;
}
