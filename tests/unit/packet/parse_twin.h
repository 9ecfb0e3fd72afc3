/* SPDX-License-Identifier: MIT */
/*
 * A second parser for comparison: slow, over a flat copy, one header after the other through a cursor that refuses to
 * read beyond what is there. Written from the RFCs and pkt.h, not from parse.c.
 */
#ifndef TESTS_UNIT_PACKET_PARSE_TWIN_H
#define TESTS_UNIT_PACKET_PARSE_TWIN_H

#include "user/packet/pkt.h"

#include <stdlib.h>

struct twin {
	enum drop why;
	uint32_t total_bytes;
	uint32_t l3, l4, payload;	/* from the packet's start */
	uint16_t flags;
	uint8_t family, proto, tcp_flags;
	uint16_t ether_type;
	uint8_t n_vlans;
	uint16_t vlan[2];
	uint16_t sport, dport;		/* host order */
};

struct twin_cursor {
	const uint8_t *b;
	uint32_t at;
	uint32_t total;		/* what exists */
	uint32_t first;		/* what the first frame holds of it */
};

enum twin_have { HAVE, SPLIT, CUT };

static enum twin_have twin_have(const struct twin_cursor *c, uint32_t n)
{
	if (c->at + n > c->total)
		return CUT;
	return c->at + n > c->first ? SPLIT : HAVE;
}

static unsigned int twin_u8(const struct twin_cursor *c, uint32_t i)
{
	if (c->at + i >= c->total || c->at + i >= c->first)
		abort();
	return c->b[c->at + i];
}

static unsigned int twin_u16(const struct twin_cursor *c, uint32_t i)
{
	return twin_u8(c, i) * 256 + twin_u8(c, i + 1);
}

static struct twin twin_drop(enum drop why)
{
	return (struct twin){ .why = why };
}

static void twin_end(struct twin_cursor *c, uint32_t ip_bytes)
{
	c->total = c->at + ip_bytes;
	if (c->first > c->total)
		c->first = c->total;
}

static struct twin twin_l4(struct twin_cursor *c, struct twin t)
{
	uint32_t need = 8;

	t.l4 = t.payload = c->at;
	t.total_bytes = c->total;
	if (t.flags & PKT_FRAG_LATER)
		return t;
	if (t.proto != 6 && t.proto != 17 && t.proto != (t.family == 2 ? 1 : 58))
		return t;
	if (t.proto == 6)
		need = 20;
	switch (twin_have(c, need)) {
	case CUT:
		return t;
	case SPLIT:
		return twin_drop(DROP_hdr_split);
	case HAVE:
		break;
	}
	if (t.proto == 6) {
		need = twin_u8(c, 12) / 16 * 4;
		if (need < 20)
			return t;
		switch (twin_have(c, need)) {
		case CUT:
			return t;
		case SPLIT:
			return twin_drop(DROP_hdr_split);
		case HAVE:
			break;
		}
		t.tcp_flags = (uint8_t)twin_u8(c, 13);
	}
	if (t.proto == 6 || t.proto == 17) {
		t.sport = (uint16_t)twin_u16(c, 0);
		t.dport = (uint16_t)twin_u16(c, 2);
	}
	t.payload = c->at + need;
	t.flags |= PKT_L4;
	return t;
}

static struct twin twin_ip4(struct twin_cursor *c, struct twin t)
{
	uint32_t hlen, total, i;

	switch (twin_have(c, 20)) {
	case CUT:
		return twin_drop(DROP_ip4_short);
	case SPLIT:
		return twin_drop(DROP_hdr_split);
	case HAVE:
		break;
	}
	if (twin_u8(c, 0) / 16 != 4)
		return twin_drop(DROP_ip4_version);
	hlen = twin_u8(c, 0) % 16 * 4;
	total = twin_u16(c, 2);
	if (hlen < 20 || hlen > total)
		return twin_drop(DROP_ip4_hlen);
	if (c->at + total > c->total)
		return twin_drop(DROP_ip4_truncated);
	twin_end(c, total);
	if (twin_have(c, hlen) != HAVE)
		return twin_drop(DROP_hdr_split);
	for (i = 20; i < hlen;) {
		unsigned int type = twin_u8(c, i);

		if (type == 0)
			break;
		if (type == 1) {
			i++;
			continue;
		}
		if (type == 131 || type == 137 || i + 1 >= hlen || twin_u8(c, i + 1) < 2 ||
		    i + twin_u8(c, i + 1) > hlen)
			return twin_drop(DROP_ip4_options);
		i += twin_u8(c, i + 1);
	}
	t.family = 2;
	t.l3 = c->at;
	t.proto = (uint8_t)twin_u8(c, 9);
	if (hlen > 20)
		t.flags |= PKT_IP_OPTIONS;
	if (twin_u16(c, 6) & 0x4000)
		t.flags |= PKT_DF;
	if (twin_u16(c, 6) & 0x3fff)
		t.flags |= PKT_FRAG;
	if (twin_u16(c, 6) & 0x1fff)
		t.flags |= PKT_FRAG_LATER;
	c->at += hlen;
	return twin_l4(c, t);
}

static bool twin_hbh_bad(const struct twin_cursor *c, uint32_t hlen, bool *jumbo)
{
	uint32_t i = 2;

	*jumbo = false;
	while (i < hlen) {
		unsigned int type = twin_u8(c, i);

		if (type == 0xc2) {
			*jumbo = true;
			return true;
		}
		if (type == 0) {
			i++;
			continue;
		}
		if (i + 1 >= hlen || i + 2 + twin_u8(c, i + 1) > hlen)
			return true;
		i += 2 + twin_u8(c, i + 1);
	}
	return false;
}

static struct twin twin_ip6(struct twin_cursor *c, struct twin t)
{
	bool fragment_seen = false;
	unsigned int n, next;
	uint32_t plen;

	switch (twin_have(c, 40)) {
	case CUT:
		return twin_drop(DROP_ip6_short);
	case SPLIT:
		return twin_drop(DROP_hdr_split);
	case HAVE:
		break;
	}
	if (twin_u8(c, 0) / 16 != 6)
		return twin_drop(DROP_ip6_version);
	plen = twin_u16(c, 4);
	next = twin_u8(c, 6);
	if (c->at + 40 + plen > c->total)
		return twin_drop(DROP_ip6_truncated);
	if (plen == 0 && next == 0 && c->total > c->at + 40)
		return twin_drop(DROP_ip6_truncated);
	twin_end(c, 40 + plen);
	t.family = 10;
	t.l3 = c->at;
	t.flags |= PKT_DF;
	c->at += 40;
	for (n = 0; next == 0 || next == 43 || next == 44 || next == 60 || next == 51; n++) {
		uint32_t hlen = 8;

		t.flags |= PKT_IP_OPTIONS;
		if (n == 8)
			return twin_drop(DROP_ip6_ext_hdr);
		switch (twin_have(c, 8)) {
		case CUT:
			return twin_drop(DROP_ip6_ext_hdr);
		case SPLIT:
			return twin_drop(DROP_hdr_split);
		case HAVE:
			break;
		}
		if (next == 51)
			hlen = 4 * (twin_u8(c, 1) + 2);
		else if (next != 44)
			hlen = 8 * (twin_u8(c, 1) + 1);
		switch (twin_have(c, hlen)) {
		case CUT:
			return twin_drop(DROP_ip6_ext_hdr);
		case SPLIT:
			return twin_drop(DROP_hdr_split);
		case HAVE:
			break;
		}
		if (next == 0) {
			bool jumbo;

			if (n > 0)
				return twin_drop(DROP_ip6_ext_hdr);
			if (twin_hbh_bad(c, hlen, &jumbo))
				return twin_drop(jumbo ? DROP_ip6_truncated : DROP_ip6_ext_hdr);
		}
		if (next == 44) {
			if (fragment_seen)
				return twin_drop(DROP_ip6_ext_hdr);
			fragment_seen = true;
			if (twin_u16(c, 2) / 8 != 0)
				t.flags |= PKT_FRAG | PKT_FRAG_LATER;
			if (twin_u16(c, 2) & 1)
				t.flags |= PKT_FRAG;
		}
		next = twin_u8(c, 0);
		c->at += hlen;
		if (t.flags & PKT_FRAG_LATER)
			break;
	}
	t.proto = (uint8_t)next;
	return twin_l4(c, t);
}

/* @total bytes at @b, of which the first frame holds @first; @l2: an Ethernet header is there */
static struct twin twin_parse(const uint8_t *b, uint32_t total, uint32_t first, bool l2)
{
	struct twin_cursor c = { b, 0, total, first };
	struct twin t = { .why = DROP_NONE };

	if (!l2) {
		switch (twin_have(&c, 1)) {
		case CUT:
			return twin_drop(DROP_ip4_short);
		case SPLIT:
			return twin_drop(DROP_hdr_split);
		case HAVE:
			break;
		}
		t.ether_type = twin_u8(&c, 0) / 16 == 6 ? 0x86dd : 0x0800;
		return t.ether_type == 0x86dd ? twin_ip6(&c, t) : twin_ip4(&c, t);
	}
	t.flags = PKT_L2;
	switch (twin_have(&c, 14)) {
	case CUT:
		return twin_drop(DROP_eth_short);
	case SPLIT:
		return twin_drop(DROP_hdr_split);
	case HAVE:
		break;
	}
	if (twin_u8(&c, 0) % 2)
		t.flags |= PKT_L2_GROUP;
	t.ether_type = (uint16_t)twin_u16(&c, 12);
	c.at = 14;
	while (t.ether_type == 0x8100 || t.ether_type == 0x88a8) {
		if (t.n_vlans == 2)
			return twin_drop(DROP_vlan_depth);
		switch (twin_have(&c, 4)) {
		case CUT:
			return twin_drop(DROP_vlan_depth);
		case SPLIT:
			return twin_drop(DROP_hdr_split);
		case HAVE:
			break;
		}
		t.vlan[t.n_vlans++] = (uint16_t)twin_u16(&c, 0);
		t.ether_type = (uint16_t)twin_u16(&c, 2);
		c.at += 4;
	}
	if (t.ether_type == 0x0800)
		return twin_ip4(&c, t);
	if (t.ether_type == 0x86dd)
		return twin_ip6(&c, t);
	t.l3 = t.l4 = t.payload = c.at;
	t.total_bytes = c.total;
	return t;
}

/* What differs between the packet, which started at @off when it was parsed, and the twin; NULL when nothing does. */
static const char *twin_differs(const struct twin *t, enum drop why, const struct pkt *p, uint16_t off)
{
	if (why != t->why)
		return "verdict";
	if (why != DROP_NONE)
		return NULL;
#define SAME(got, want) do { if ((got) != (want)) return #got; } while (0)
	SAME(p->off, off);
	SAME(p->total_bytes, t->total_bytes);
	SAME(p->l3, off + t->l3);
	SAME(p->l4, off + t->l4);
	SAME(p->payload, off + t->payload);
	SAME(p->flags, t->flags);
	SAME(p->family, t->family);
	SAME(p->proto, t->proto);
	SAME(p->tcp_flags, t->tcp_flags);
	SAME(p->ether_type, __builtin_bswap16(t->ether_type));
	SAME(p->n_vlans, t->n_vlans);
	if (t->n_vlans > 0)
		SAME(p->vlan[0], t->vlan[0]);
	if (t->n_vlans > 1)
		SAME(p->vlan[1], t->vlan[1]);
	SAME(p->sport, __builtin_bswap16(t->sport));
	SAME(p->dport, __builtin_bswap16(t->dport));
#undef SAME
	return NULL;
}

#endif
