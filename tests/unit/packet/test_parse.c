/* SPDX-License-Identifier: MIT */
#include "user/packet/pkt.h"

#include "common/csum.h"
#include "common/siphash.h"
#include "tests/unit/packet/frames.h"
#include "tests/unit/packet/parse_twin.h"

#include <arpa/inet.h>
#include <check.h>
#include <netinet/in.h>
#include <stdio.h>

/* ---- Frames that are well formed --------------------------------------------------------------------------------- */

static void eth_ip4_udp(struct bytes *f)
{
	add_eth(f, 0x0800);
	add_ip4(f, 17, 0, NULL, 0, 8 + 18);
	add_udp(f, 18);
}

static void eth_ip4_tcp(struct bytes *f)
{
	add_eth(f, 0x0800);
	add_ip4(f, 6, 0x4000, NULL, 0, 32 + 9);
	add_tcp(f, 8, 0x18);
	add_fill(f, 9);
}

static void eth_ip4_icmp(struct bytes *f)
{
	add_eth(f, 0x0800);
	add_ip4(f, 1, 0, NULL, 0, 12);
	ADD(f, "\x08\x00\x00\x00\x00\x01\x00\x02" "abcd");
}

static void eth_ip4_esp(struct bytes *f)
{
	add_eth(f, 0x0800);
	add_ip4(f, 50, 0, NULL, 0, 24);
	add_fill(f, 24);
}

static void eth_ip4_options(struct bytes *f)
{
	add_eth(f, 0x0800);
	/* router alert, no-operation, record route of one address, end */
	add_ip4(f, 17, 0, "\x94\x04\x00\x00\x01\x07\x07\x04\x00\x00\x00\x00\x00\xff\xff\xff", 16, 8);
	add_udp(f, 0);
}

static void eth_ip4_first(struct bytes *f)
{
	add_eth(f, 0x0800);
	add_ip4(f, 17, 0x2000, NULL, 0, 16);
	add_udp(f, 8);
}

static void eth_ip4_later(struct bytes *f)
{
	add_eth(f, 0x0800);
	add_ip4(f, 6, 0x0003, NULL, 0, 40);
	add_fill(f, 40);
}

static void eth_ip6_tcp(struct bytes *f)
{
	add_eth(f, 0x86dd);
	add_ip6(f, 6, 20 + 5);
	add_tcp(f, 5, 0x02);
	add_fill(f, 5);
}

static void eth_ip6_udp(struct bytes *f)
{
	add_eth(f, 0x86dd);
	add_ip6(f, 17, 8);
	add_udp(f, 0);
}

static void eth_ip6_icmp(struct bytes *f)
{
	add_eth(f, 0x86dd);
	add_ip6(f, 58, 8);
	ADD(f, "\x80\x00\x00\x00\x00\x01\x00\x02");
}

/* hop-by-hop (router alert), routing, destination options, AH, then UDP */
static void eth_ip6_chain(struct bytes *f)
{
	add_eth(f, 0x86dd);
	add_ip6(f, 0, 8 + 24 + 8 + 24 + 8);
	ADD(f, "\x2b\x00\x05\x02\x00\x00\x01\x00");
	ADD(f, "\x3c\x02\x04\x00\x00\x00\x00\x00" "\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x09");
	ADD(f, "\x33\x00\x01\x04\x00\x00\x00\x00");
	ADD(f, "\x11\x04\x00\x00\x00\x00\x00\x01\x00\x00\x00\x01" "123456789012");
	add_udp(f, 0);
}

static void eth_ip6_first(struct bytes *f)
{
	add_eth(f, 0x86dd);
	add_ip6(f, 44, 8 + 16);
	ADD(f, "\x11\x00\x00\x01\xca\xfe\xba\xbe");
	add_udp(f, 8);
}

static void eth_ip6_later(struct bytes *f)
{
	add_eth(f, 0x86dd);
	add_ip6(f, 44, 8 + 16);
	ADD(f, "\x3c\x00\x00\x10\xca\xfe\xba\xbe");
	add_fill(f, 16);
}

static void eth_ip6_atomic(struct bytes *f)
{
	add_eth(f, 0x86dd);
	add_ip6(f, 44, 8 + 8);
	ADD(f, "\x11\x00\x00\x00\xca\xfe\xba\xbe");
	add_udp(f, 0);
}

static void vlan_ip4(struct bytes *f)
{
	add_eth(f, 0x8100);
	add_vlan(f, 0x6064, 0x0800);
	add_ip4(f, 17, 0, NULL, 0, 8);
	add_udp(f, 0);
}

static void qinq_ip6(struct bytes *f)
{
	add_eth(f, 0x88a8);
	add_vlan(f, 7, 0x8100);
	add_vlan(f, 0xe008, 0x86dd);
	add_ip6(f, 17, 8);
	add_udp(f, 0);
}

static void eth_arp(struct bytes *f)
{
	static const uint8_t group[] = { 0xff, 0xff, 0xff, 0xff, 0xff, 0xff };

	add_eth(f, 0x0806);
	memcpy(f->b, group, 6);
	add_fill(f, 28);
}

static void (*const good[])(struct bytes *) = {
	eth_ip4_udp, eth_ip4_tcp, eth_ip4_icmp, eth_ip4_esp, eth_ip4_options, eth_ip4_first, eth_ip4_later,
	eth_ip6_tcp, eth_ip6_udp, eth_ip6_icmp, eth_ip6_chain, eth_ip6_first, eth_ip6_later, eth_ip6_atomic,
	vlan_ip4, qinq_ip6, eth_arp,
};

static enum drop parse(struct pkt *p, bool l2)
{
	return l2 ? pkt_parse_eth(p) : pkt_parse_ip(p);
}

/* Parse these bytes, cut into @n frames, and compare all there is to compare with the twin. */
static void agree(const uint8_t *b, uint32_t len, const uint32_t *cuts, unsigned int n, bool l2, const char *what)
{
	struct twin t = twin_parse(b, len, n > 1 ? cuts[0] : len, l2);
	struct exact e;
	struct pkt *p = exact_make(&e, b, len, cuts, n);
	enum drop why = parse(p, l2);
	const char *differs = twin_differs(&t, why, p, 0);

	if (differs) {
		fprintf(stderr, "l2 %d, cut at %u:", l2, n > 1 ? cuts[0] : 0);
		for (uint32_t i = 0; i < len; i++)
			fprintf(stderr, " %02x", b[i]);
		fputc('\n', stderr);
	}
	ck_assert_msg(!differs, "%s, %u bytes: %s differs; verdict %d, twin's %d", what, len, differs, why, t.why);
	if (why == DROP_NONE) {
		uint32_t sum = 0;

		for (unsigned int i = 0; i < n; i++)
			sum += e.pkts[i].len;
		ck_assert_uint_eq(sum, p->total_bytes);
	}
	exact_free(&e);
}

/* ---- Known answers ----------------------------------------------------------------------------------------------- */

static const struct {
	void (*make)(struct bytes *);
	uint16_t l3, l4, payload;
	uint16_t flags;
	uint8_t family, proto, tcp_flags, n_vlans;
	uint16_t sport, dport;
} known[] = {
	{ eth_ip4_udp, 14, 34, 42, PKT_L2 | PKT_L4, AF_INET, 17, 0, 0, 0x1234, 53 },
	{ eth_ip4_tcp, 14, 34, 66, PKT_L2 | PKT_L4 | PKT_DF, AF_INET, 6, 0x18, 0, 0x1234, 443 },
	{ eth_ip4_icmp, 14, 34, 42, PKT_L2 | PKT_L4, AF_INET, 1, 0, 0, 0, 0 },
	{ eth_ip4_esp, 14, 34, 34, PKT_L2, AF_INET, 50, 0, 0, 0, 0 },
	{ eth_ip4_options, 14, 50, 58, PKT_L2 | PKT_L4 | PKT_IP_OPTIONS, AF_INET, 17, 0, 0, 0x1234, 53 },
	{ eth_ip4_first, 14, 34, 42, PKT_L2 | PKT_L4 | PKT_FRAG, AF_INET, 17, 0, 0, 0x1234, 53 },
	{ eth_ip4_later, 14, 34, 34, PKT_L2 | PKT_FRAG | PKT_FRAG_LATER, AF_INET, 6, 0, 0, 0, 0 },
	{ eth_ip6_tcp, 14, 54, 74, PKT_L2 | PKT_L4 | PKT_DF, AF_INET6, 6, 0x02, 0, 0x1234, 443 },
	{ eth_ip6_udp, 14, 54, 62, PKT_L2 | PKT_L4 | PKT_DF, AF_INET6, 17, 0, 0, 0x1234, 53 },
	{ eth_ip6_icmp, 14, 54, 62, PKT_L2 | PKT_L4 | PKT_DF, AF_INET6, 58, 0, 0, 0, 0 },
	{ eth_ip6_chain, 14, 118, 126, PKT_L2 | PKT_L4 | PKT_DF | PKT_IP_OPTIONS, AF_INET6, 17, 0, 0, 0x1234, 53 },
	{ eth_ip6_first, 14, 62, 70, PKT_L2 | PKT_L4 | PKT_DF | PKT_IP_OPTIONS | PKT_FRAG, AF_INET6, 17, 0, 0,
	  0x1234, 53 },
	{ eth_ip6_later, 14, 62, 62, PKT_L2 | PKT_DF | PKT_IP_OPTIONS | PKT_FRAG | PKT_FRAG_LATER, AF_INET6, 60, 0, 0,
	  0, 0 },
	{ eth_ip6_atomic, 14, 62, 70, PKT_L2 | PKT_L4 | PKT_DF | PKT_IP_OPTIONS, AF_INET6, 17, 0, 0, 0x1234, 53 },
	{ vlan_ip4, 18, 38, 46, PKT_L2 | PKT_L4, AF_INET, 17, 0, 1, 0x1234, 53 },
	{ qinq_ip6, 22, 62, 70, PKT_L2 | PKT_L4 | PKT_DF, AF_INET6, 17, 0, 2, 0x1234, 53 },
	{ eth_arp, 14, 14, 14, PKT_L2 | PKT_L2_GROUP, 0, 0, 0, 0, 0, 0 },
};

START_TEST(parse_knows)
{
	static struct bytes f;
	struct exact e;
	struct pkt *p;

	f.len = 0;
	known[_i].make(&f);
	p = exact_make(&e, f.b, f.len, NULL, 1);
	ck_assert_int_eq(pkt_parse_eth(p), DROP_NONE);
	ck_assert_uint_eq(p->l3, known[_i].l3);
	ck_assert_uint_eq(p->l4, known[_i].l4);
	ck_assert_uint_eq(p->payload, known[_i].payload);
	ck_assert_uint_eq(p->flags, known[_i].flags);
	ck_assert_uint_eq(p->family, known[_i].family);
	ck_assert_uint_eq(p->proto, known[_i].proto);
	ck_assert_uint_eq(p->tcp_flags, known[_i].tcp_flags);
	ck_assert_uint_eq(p->n_vlans, known[_i].n_vlans);
	ck_assert_uint_eq(ntohs(p->sport), known[_i].sport);
	ck_assert_uint_eq(ntohs(p->dport), known[_i].dport);
	ck_assert_uint_eq(p->total_bytes, f.len);
	exact_free(&e);
}
END_TEST

START_TEST(parse_reads_both_tags)
{
	static struct bytes f;
	struct exact e;
	struct pkt *p;

	f.len = 0;
	qinq_ip6(&f);
	p = exact_make(&e, f.b, f.len, NULL, 1);
	ck_assert_int_eq(pkt_parse_eth(p), DROP_NONE);
	ck_assert_uint_eq(p->vlan[0], 7);
	ck_assert_uint_eq(p->vlan[1], 0xe008);
	ck_assert_uint_eq(ntohs(p->ether_type), 0x86dd);
	exact_free(&e);
}
END_TEST

/* ---- What is refused, and why ------------------------------------------------------------------------------------ */

#define MACS "\x02\x00\x00\x00\x00\x01\x02\x00\x00\x00\x00\x02"
#define IP4(first, total, frag, proto) \
	MACS "\x08\x00" first "\x00" total "\x00\x00" frag "\x40" proto "\x00\x00" "\x0a\x00\x00\x01\x0a\x00\x00\x02"
#define IP6(first, plen, next) \
	MACS "\x86\xdd" first "\x00\x00\x00" plen next "\x40" "\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\1" \
	"\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\2"
#define BAD(why, bytes) { #why " of " #bytes, bytes, sizeof(bytes) - 1, DROP_##why }

static const struct {
	const char *name;
	const char *b;
	uint32_t len;
	enum drop want;
} bad[] = {
	BAD(eth_short, ""),
	BAD(eth_short, MACS "\x08"),
	BAD(vlan_depth, MACS "\x81\x00\x00\x01\x08"),
	BAD(vlan_depth, MACS "\x88\xa8\x00\x01\x81\x00\x00\x02\x81\x00\x00\x03\x08\x00"),
	BAD(ip4_short, MACS "\x08\x00\x45"),
	BAD(ip4_version, IP4("\x65", "\x00\x14", "\0\0", "\x11")),
	BAD(ip4_hlen, IP4("\x44", "\x00\x14", "\0\0", "\x11")),
	BAD(ip4_hlen, IP4("\x40", "\x00\x14", "\0\0", "\x11")),
	BAD(ip4_hlen, IP4("\x45", "\x00\x13", "\0\0", "\x11")),
	BAD(ip4_hlen, IP4("\x45", "\x00\x00", "\0\0", "\x11")),
	BAD(ip4_hlen, IP4("\x46", "\x00\x14", "\0\0", "\x11") "\x01\x01\x01\x01"),
	BAD(ip4_truncated, IP4("\x45", "\x00\x15", "\0\0", "\x11")),
	BAD(ip4_truncated, IP4("\x4f", "\x00\x3c", "\0\0", "\x11")),
	BAD(ip4_options, IP4("\x46", "\x00\x18", "\0\0", "\x11") "\x83\x03\x04\x00"),
	BAD(ip4_options, IP4("\x46", "\x00\x18", "\0\0", "\x11") "\x89\x03\x04\x00"),
	BAD(ip4_options, IP4("\x46", "\x00\x18", "\0\0", "\x11") "\x01\x01\x01\x83"),
	BAD(ip4_options, IP4("\x46", "\x00\x18", "\0\0", "\x11") "\x07\x00\x00\x00"),
	BAD(ip4_options, IP4("\x46", "\x00\x18", "\0\0", "\x11") "\x07\x01\x00\x00"),
	BAD(ip4_options, IP4("\x46", "\x00\x18", "\0\0", "\x11") "\x07\x05\x00\x00"),
	BAD(ip4_options, IP4("\x46", "\x00\x18", "\0\0", "\x11") "\x01\x01\x01\x07"),
	BAD(ip6_short, MACS "\x86\xdd\x60"),
	BAD(ip6_version, IP6("\x40", "\0\0", "\x3b")),
	BAD(ip6_truncated, IP6("\x60", "\0\1", "\x3b")),
	/* a jumbogram, and a jumbo option with a payload length */
	BAD(ip6_truncated, IP6("\x60", "\0\0", "\x00") "\x3b\x00\xc2\x04\x00\x01\x00\x00"),
	BAD(ip6_truncated, IP6("\x60", "\0\x08", "\x00") "\x3b\x00\xc2\x04\x00\x01\x00\x00"),
	/* hop-by-hop: cut off, length beyond the packet, option beyond the header, not the first header */
	BAD(ip6_ext_hdr, IP6("\x60", "\0\x07", "\x00") "\x3b\x00\x01\x04\x00\x00\x00"),
	BAD(ip6_ext_hdr, IP6("\x60", "\0\x08", "\x00") "\x3b\x01\x01\x04\x00\x00\x00\x00"),
	BAD(ip6_ext_hdr, IP6("\x60", "\0\x08", "\x00") "\x3b\x00\x01\x05\x00\x00\x00\x00"),
	BAD(ip6_ext_hdr, IP6("\x60", "\0\x08", "\x00") "\x3b\x00\x00\x00\x00\x00\x00\x01"),
	BAD(ip6_ext_hdr, IP6("\x60", "\0\x10", "\x3c") "\x00\x00\x01\x04\0\0\0\0" "\x3b\x00\x01\x04\0\0\0\0"),
	/* two fragment headers */
	BAD(ip6_ext_hdr, IP6("\x60", "\0\x10", "\x2c") "\x2c\x00\x00\x01\0\0\0\1" "\x11\x00\x00\x01\0\0\0\1"),
	/* AH shorter than its own length */
	BAD(ip6_ext_hdr, IP6("\x60", "\0\x08", "\x33") "\x3b\x01\x00\x00\0\0\0\0"),
	/* nine extension headers */
	BAD(ip6_ext_hdr, IP6("\x60", "\0\x48", "\x3c")
	    "\x3c\0\1\4\0\0\0\0" "\x3c\0\1\4\0\0\0\0" "\x3c\0\1\4\0\0\0\0" "\x3c\0\1\4\0\0\0\0" "\x3c\0\1\4\0\0\0\0"
	    "\x3c\0\1\4\0\0\0\0" "\x3c\0\1\4\0\0\0\0" "\x3c\0\1\4\0\0\0\0" "\x3b\0\1\4\0\0\0\0"),
};

START_TEST(parse_refuses)
{
	struct exact e;
	struct pkt *p = exact_make(&e, (const uint8_t *)bad[_i].b, bad[_i].len, NULL, 1);
	enum drop why = pkt_parse_eth(p);

	ck_assert_msg(why == bad[_i].want, "%s: got %d, not %d", bad[_i].name, why, bad[_i].want);
	exact_free(&e);
}
END_TEST

/* What a router forwards although an end would not take it. */
START_TEST(parse_takes_cut_transport_headers)
{
	static const struct {
		const char *b;
		uint32_t len;
	} cut[] = {
#define CUT(bytes) { bytes, sizeof(bytes) - 1 }
		CUT(IP4("\x45", "\x00\x14", "\0\0", "\x11")),
		CUT(IP4("\x45", "\x00\x1b", "\0\0", "\x11") "1234567"),
		CUT(IP4("\x45", "\x00\x27", "\0\0", "\x06") "123456789012\x50" "456789"),
		/* data offset 4, and one beyond the packet */
		CUT(IP4("\x45", "\x00\x28", "\0\0", "\x06") "123456789012\x40" "4567890"),
		CUT(IP4("\x45", "\x00\x28", "\0\0", "\x06") "123456789012\x60" "4567890"),
		CUT(IP6("\x60", "\x00\x28", "\x06") "123456789012\xf0" "45678901234567890123456789"),
		CUT(IP6("\x60", "\x00\x00", "\x06")),
#undef CUT
	};

	for (unsigned int i = 0; i < ARRAY_SIZE(cut); i++) {
		struct exact e;
		struct pkt *p;

		p = exact_make(&e, (const uint8_t *)cut[i].b, cut[i].len, NULL, 1);
		if (i == 5)		/* its length field says 40 */
			put_be16(e.mem[0] + 18, (uint16_t)(cut[i].len - 54));
		ck_assert_int_eq(pkt_parse_eth(p), DROP_NONE);
		ck_assert_uint_eq(p->flags & PKT_L4, 0);
		ck_assert_uint_eq(p->sport, 0);
		ck_assert_uint_eq(p->payload, p->l4);
		exact_free(&e);
	}
}
END_TEST

START_TEST(parse_cuts_padding)
{
	static struct bytes f;
	struct exact e;
	struct pkt *p;
	uint32_t len;

	f.len = 0;
	good[_i](&f);
	len = f.len;
	add_fill(&f, 40);
	p = exact_make(&e, f.b, f.len, NULL, 1);
	ck_assert_int_eq(pkt_parse_eth(p), DROP_NONE);
	if (p->family) {
		ck_assert_uint_eq(p->total_bytes, len);
		ck_assert_uint_eq(p->len, len);
	}
	exact_free(&e);
	/* the padding starts in the second frame, or fills the third */
	for (uint32_t cut = len - 3; cut <= len + 3; cut++) {
		uint32_t cuts[2] = { cut, len + 20 };

		agree(f.b, f.len, cuts, 3, true, "padded chain");
	}
}
END_TEST

/* ---- Against the twin -------------------------------------------------------------------------------------------- */

START_TEST(parse_agrees_at_every_length)
{
	static struct bytes f;

	f.len = 0;
	good[_i](&f);
	for (uint32_t len = 0; len <= f.len; len++) {
		agree(f.b, len, NULL, 1, true, "cut");
		if (len >= 14)
			agree(f.b + 14, len - 14, NULL, 1, false, "cut");
	}
}
END_TEST

START_TEST(parse_agrees_when_split_at_every_offset)
{
	static struct bytes f;

	f.len = 0;
	good[_i](&f);
	for (uint32_t cut = 0; cut <= f.len; cut++) {
		agree(f.b, f.len, &cut, 2, true, "split");
		if (cut >= 14) {
			uint32_t at = cut - 14;

			agree(f.b + 14, f.len - 14, &at, 2, false, "split");
		}
	}
}
END_TEST

START_TEST(parse_agrees_on_mutations)
{
	static struct bytes f;
	uint8_t b[400];

	srandom((unsigned int)_i + 1);
	f.len = 0;
	good[_i](&f);
	add_fill(&f, 8);
	for (unsigned int round = 0; round < 4000; round++) {
		uint32_t len = f.len - (random() % 4 ? 0 : (uint32_t)random() % f.len);
		bool l2 = random() % 4;
		uint32_t from = l2 ? 0 : 14, cut;

		memcpy(b, f.b, f.len);
		for (long n = random() % 4; n >= 0; n--) {
			uint32_t at = (uint32_t)random() % f.len;

			if (random() % 2)
				b[at] = (uint8_t)random();
			else
				b[at] ^= (uint8_t)(1 << random() % 8);
		}
		if (len < from)
			continue;
		cut = (uint32_t)random() % (len - from + 1);
		agree(b + from, len - from, &cut, random() % 3 ? 1 : 2, l2, "mutated");
	}
}
END_TEST

START_TEST(parse_reads_superpackets)
{
	static struct bytes f;
	uint32_t cuts[3] = { 3000, 20000, 40000 };

	f.len = 0;
	add_eth(&f, 0x0800);
	add_ip4(&f, 6, 0x4000, NULL, 0, 65535 - 20);
	add_tcp(&f, 8, 0x10);
	add_fill(&f, 65535 - 20 - 32);
	agree(f.b, f.len, cuts, 4, true, "IPv4 of 65535 bytes");
	f.len = 0;
	add_ip6(&f, 6, 65535);
	add_tcp(&f, 8, 0x10);
	add_fill(&f, 65535 - 32);
	agree(f.b, f.len, cuts, 4, false, "IPv6 of 65575 bytes");
}
END_TEST

START_TEST(parse_keeps_what_the_port_said)
{
	static struct bytes f;
	struct exact e;
	struct pkt *p;

	f.len = 0;
	eth_ip4_udp(&f);
	p = exact_make(&e, f.b, f.len, NULL, 1);
	p->flags = PKT_RX_HASH | PKT_TRACE | PKT_FLOW_HASH | PKT_FRAG;
	p->rx_hash = 7;
	p->csum = PKT_CSUM_PARTIAL;
	ck_assert_int_eq(pkt_parse_eth(p), DROP_NONE);
	ck_assert_uint_eq(p->flags, PKT_RX_HASH | PKT_TRACE | PKT_L2 | PKT_L4);
	ck_assert_uint_eq(p->rx_hash, 7);
	ck_assert_uint_eq(p->csum, PKT_CSUM_PARTIAL);
	exact_free(&e);
}
END_TEST

/* ---- The flow's hash --------------------------------------------------------------------------------------------- */

static const struct siphash_key key = { 0x0706050403020100, 0x0f0e0d0c0b0a0908 };

static uint32_t hash_of(const struct bytes *f)
{
	struct exact e;
	struct pkt *p = exact_make(&e, f->b, f->len, NULL, 1);
	uint32_t hash;

	ck_assert_int_eq(pkt_parse_eth(p), DROP_NONE);
	hash = pkt_flow_hash(p, &key);
	ck_assert(p->flags & PKT_FLOW_HASH);
	ck_assert_uint_eq(pkt_flow_hash(p, NULL), hash);	/* computed once */
	exact_free(&e);
	return hash;
}

/* Exchange addresses and, if there are any, ports. */
static void turn_round(struct bytes *f, uint32_t addrs, uint32_t addr_bytes, uint32_t ports)
{
	uint8_t t[16];

	memcpy(t, f->b + addrs, addr_bytes);
	memcpy(f->b + addrs, f->b + addrs + addr_bytes, addr_bytes);
	memcpy(f->b + addrs + addr_bytes, t, addr_bytes);
	if (ports) {
		memcpy(t, f->b + ports, 2);
		memcpy(f->b + ports, f->b + ports + 2, 2);
		memcpy(f->b + ports + 2, t, 2);
	}
}

START_TEST(flow_hash_is_the_same_in_both_directions)
{
	static struct bytes f;
	uint32_t h;

	f.len = 0;
	eth_ip4_udp(&f);
	h = hash_of(&f);
	turn_round(&f, 26, 4, 34);
	ck_assert_uint_eq(hash_of(&f), h);
	turn_round(&f, 26, 4, 0);		/* the other pairing of addresses and ports is another flow */
	ck_assert_uint_ne(hash_of(&f), h);
	memcpy(f.b + 26, f.b + 30, 4);		/* equal addresses: ports decide */
	h = hash_of(&f);
	turn_round(&f, 26, 4, 34);
	ck_assert_uint_eq(hash_of(&f), h);

	f.len = 0;
	eth_ip6_tcp(&f);
	h = hash_of(&f);
	turn_round(&f, 22, 16, 54);
	ck_assert_uint_eq(hash_of(&f), h);
	turn_round(&f, 22, 16, 0);
	ck_assert_uint_ne(hash_of(&f), h);
	memcpy(f.b + 22, f.b + 38, 16);
	h = hash_of(&f);
	turn_round(&f, 22, 16, 54);
	ck_assert_uint_eq(hash_of(&f), h);
}
END_TEST

START_TEST(flow_hash_is_the_same_for_all_fragments)
{
	static struct bytes f;
	uint32_t h;

	f.len = 0;
	eth_ip4_first(&f);
	h = hash_of(&f);
	f.len = 0;
	eth_ip4_later(&f);
	f.b[23] = 17;
	ck_assert_uint_eq(hash_of(&f), h);
	f.len = 0;
	eth_ip6_first(&f);
	h = hash_of(&f);
	f.len = 0;
	eth_ip6_later(&f);
	ck_assert_uint_eq(hash_of(&f), h);
}
END_TEST

START_TEST(flow_hash_depends_on_each_part)
{
	static const uint32_t at4[] = { 23, 26, 27, 28, 29, 30, 31, 32, 33, 34, 35, 36, 37 };
	static struct bytes f;
	uint32_t h;

	f.len = 0;
	eth_ip4_tcp(&f);
	h = hash_of(&f);
	for (unsigned int i = 0; i < ARRAY_SIZE(at4); i++) {
		f.b[at4[i]] ^= 0x11;		/* TCP becomes another protocol that has no ports */
		ck_assert_uint_ne(hash_of(&f), h);
		f.b[at4[i]] ^= 0x11;
	}
	f.len = 0;
	eth_ip6_tcp(&f);
	h = hash_of(&f);
	for (uint32_t i = 22; i < 58; i++) {
		f.b[i] ^= 0x10;
		ck_assert_uint_ne(hash_of(&f), h);
		f.b[i] ^= 0x10;
	}
}
END_TEST

/* ---- Partial checksums ------------------------------------------------------------------------------------------- */

/* Put the pseudo-header's sum, or the whole checksum, into the field at @field. */
static void set_csum(struct bytes *f, bool ip6, uint32_t l4, uint32_t field, uint8_t proto, bool partial)
{
	uint32_t len = f->len - l4, sum;

	put_wire16(f->b + l4 + field, 0);
	sum = ip6 ? csum_ipv6_pseudo(f->b + 22, f->b + 38, len, proto) :
		    csum_ipv4_pseudo(wire32_at(f->b + 26), wire32_at(f->b + 30), len, proto);
	if (partial)
		put_wire16(f->b + l4 + field, csum_fold16(sum));
	else
		put_wire16(f->b + l4 + field, csum_fold_udp(csum_partial(f->b + l4, len, sum)));
}

static const struct {
	void (*make)(struct bytes *);
	bool ip6;
	uint16_t l4, field;
	uint8_t proto;
} sums[] = {
	{ eth_ip4_udp, false, 34, 6, 17 },
	{ eth_ip4_tcp, false, 34, 16, 6 },
	{ eth_ip4_options, false, 50, 6, 17 },
	{ eth_ip6_tcp, true, 54, 16, 6 },
	{ eth_ip6_udp, true, 54, 6, 17 },
};

START_TEST(partial_is_found)
{
	static struct bytes f;

	for (int partial = 0; partial < 2; partial++) {
		struct exact e;
		struct pkt *p;

		f.len = 0;
		sums[_i].make(&f);
		set_csum(&f, sums[_i].ip6, sums[_i].l4, sums[_i].field, sums[_i].proto, partial);
		p = exact_make(&e, f.b, f.len, NULL, 1);
		ck_assert_int_eq(pkt_parse_eth(p), DROP_NONE);
		pkt_find_partial(p);
		ck_assert_uint_eq(p->csum, partial ? PKT_CSUM_PARTIAL : PKT_CSUM_NONE);
		if (partial) {
			ck_assert_uint_eq(p->csum_start, sums[_i].l4);
			ck_assert_uint_eq(p->csum_offset, sums[_i].field);
		}
		exact_free(&e);
	}
}
END_TEST

START_TEST(partial_is_not_found_in_fragments_and_without_a_checksum)
{
	static struct bytes f;
	struct exact e;
	struct pkt *p;

	f.len = 0;
	eth_ip4_first(&f);
	set_csum(&f, false, 34, 6, 17, true);
	p = exact_make(&e, f.b, f.len, NULL, 1);
	ck_assert_int_eq(pkt_parse_eth(p), DROP_NONE);
	pkt_find_partial(p);
	ck_assert_uint_eq(p->csum, PKT_CSUM_NONE);
	exact_free(&e);

	f.len = 0;
	eth_ip4_udp(&f);			/* UDP without a checksum: 0 */
	p = exact_make(&e, f.b, f.len, NULL, 1);
	ck_assert_int_eq(pkt_parse_eth(p), DROP_NONE);
	pkt_find_partial(p);
	ck_assert_uint_eq(p->csum, PKT_CSUM_NONE);
	exact_free(&e);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("parse");
	TCase *tc = tcase_create("parse");
	SRunner *sr;
	int failed;

	tcase_set_timeout(tc, 60);
	tcase_add_loop_test(tc, parse_knows, 0, ARRAY_SIZE(known));
	tcase_add_test(tc, parse_reads_both_tags);
	tcase_add_loop_test(tc, parse_refuses, 0, ARRAY_SIZE(bad));
	tcase_add_test(tc, parse_takes_cut_transport_headers);
	tcase_add_loop_test(tc, parse_cuts_padding, 0, ARRAY_SIZE(good));
	tcase_add_loop_test(tc, parse_agrees_at_every_length, 0, ARRAY_SIZE(good));
	tcase_add_loop_test(tc, parse_agrees_when_split_at_every_offset, 0, ARRAY_SIZE(good));
	tcase_add_loop_test(tc, parse_agrees_on_mutations, 0, ARRAY_SIZE(good));
	tcase_add_test(tc, parse_reads_superpackets);
	tcase_add_test(tc, parse_keeps_what_the_port_said);
	tcase_add_test(tc, flow_hash_is_the_same_in_both_directions);
	tcase_add_test(tc, flow_hash_is_the_same_for_all_fragments);
	tcase_add_test(tc, flow_hash_depends_on_each_part);
	tcase_add_loop_test(tc, partial_is_found, 0, ARRAY_SIZE(sums));
	tcase_add_test(tc, partial_is_not_found_in_fragments_and_without_a_checksum);
	suite_add_tcase(s, tc);
	sr = srunner_create(s);
	srunner_run_all(sr, CK_NORMAL);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed != 0;
}
