/* SPDX-License-Identifier: MIT */
#include "tests/unit/net/area_fixture.h"
#include "user/net/icmp.h"
#include "user/net/ipv4.h"
#include "user/net/pkt_csum.h"

#include <arpa/inet.h>
#include <netinet/in.h>

/* ---- Built with scapy -------------------------------------------------------------------------------------------- */

static const uint8_t udp4[] = {
	0x45, 0x1b, 0x00, 0x27, 0x12, 0x34, 0x00, 0x00, 0x01, 0x11, 0x73, 0x3c, 0x0a, 0x00, 0x00, 0x01,
	0xc6, 0x33, 0x64, 0x07, 0x12, 0x34, 0x00, 0x35, 0x00, 0x13, 0x27, 0x55, 0x68, 0x65, 0x6c, 0x6c,
	0x6f, 0x20, 0x77, 0x6f, 0x72, 0x6c, 0x64,
};

static const uint8_t ttl4[] = {
	0x45, 0xd8, 0x00, 0x43, 0x00, 0x00, 0x40, 0x00, 0x40, 0x01, 0x24, 0xe4, 0x0a, 0x00, 0x00, 0xfe,
	0x0a, 0x00, 0x00, 0x01, 0x0b, 0x00, 0x29, 0x60, 0x00, 0x00, 0x00, 0x00, 0x45, 0x1b, 0x00, 0x27,
	0x12, 0x34, 0x00, 0x00, 0x01, 0x11, 0x73, 0x3c, 0x0a, 0x00, 0x00, 0x01, 0xc6, 0x33, 0x64, 0x07,
	0x12, 0x34, 0x00, 0x35, 0x00, 0x13, 0x27, 0x55, 0x68, 0x65, 0x6c, 0x6c, 0x6f, 0x20, 0x77, 0x6f,
	0x72, 0x6c, 0x64,
};

static const uint8_t toobig4[] = {
	0x45, 0xd8, 0x00, 0x43, 0x00, 0x00, 0x40, 0x00, 0x40, 0x01, 0x24, 0xe4, 0x0a, 0x00, 0x00, 0xfe,
	0x0a, 0x00, 0x00, 0x01, 0x03, 0x04, 0x2b, 0xe4, 0x00, 0x00, 0x05, 0x78, 0x45, 0x1b, 0x00, 0x27,
	0x12, 0x34, 0x00, 0x00, 0x01, 0x11, 0x73, 0x3c, 0x0a, 0x00, 0x00, 0x01, 0xc6, 0x33, 0x64, 0x07,
	0x12, 0x34, 0x00, 0x35, 0x00, 0x13, 0x27, 0x55, 0x68, 0x65, 0x6c, 0x6c, 0x6f, 0x20, 0x77, 0x6f,
	0x72, 0x6c, 0x64,
};

static const uint8_t param4[] = {
	0x45, 0xd8, 0x00, 0x43, 0x00, 0x00, 0x40, 0x00, 0x40, 0x01, 0x24, 0xe4, 0x0a, 0x00, 0x00, 0xfe,
	0x0a, 0x00, 0x00, 0x01, 0x0c, 0x00, 0x14, 0x60, 0x14, 0x00, 0x00, 0x00, 0x45, 0x1b, 0x00, 0x27,
	0x12, 0x34, 0x00, 0x00, 0x01, 0x11, 0x73, 0x3c, 0x0a, 0x00, 0x00, 0x01, 0xc6, 0x33, 0x64, 0x07,
	0x12, 0x34, 0x00, 0x35, 0x00, 0x13, 0x27, 0x55, 0x68, 0x65, 0x6c, 0x6c, 0x6f, 0x20, 0x77, 0x6f,
	0x72, 0x6c, 0x64,
};

static const uint8_t udp6[] = {
	0x60, 0x00, 0x00, 0x00, 0x00, 0x13, 0x11, 0x01, 0x20, 0x01, 0x0d, 0xb8, 0x00, 0x00, 0x00, 0x00,
	0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x01, 0x20, 0x01, 0x0d, 0xb8, 0xff, 0xff, 0x00, 0x00,
	0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x07, 0x12, 0x34, 0x00, 0x35, 0x00, 0x13, 0x00, 0x17,
	0x68, 0x65, 0x6c, 0x6c, 0x6f, 0x20, 0x77, 0x6f, 0x72, 0x6c, 0x64,
};

static const uint8_t ttl6[] = {
	0x6c, 0x00, 0x00, 0x00, 0x00, 0x43, 0x3a, 0x40, 0x20, 0x01, 0x0d, 0xb8, 0x00, 0x00, 0x00, 0x00,
	0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0xfe, 0x20, 0x01, 0x0d, 0xb8, 0x00, 0x00, 0x00, 0x00,
	0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x01, 0x03, 0x00, 0x2f, 0x21, 0x00, 0x00, 0x00, 0x00,
	0x60, 0x00, 0x00, 0x00, 0x00, 0x13, 0x11, 0x01, 0x20, 0x01, 0x0d, 0xb8, 0x00, 0x00, 0x00, 0x00,
	0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x01, 0x20, 0x01, 0x0d, 0xb8, 0xff, 0xff, 0x00, 0x00,
	0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x07, 0x12, 0x34, 0x00, 0x35, 0x00, 0x13, 0x00, 0x17,
	0x68, 0x65, 0x6c, 0x6c, 0x6f, 0x20, 0x77, 0x6f, 0x72, 0x6c, 0x64,
};

static const uint8_t toobig6[] = {
	0x6c, 0x00, 0x00, 0x00, 0x00, 0x43, 0x3a, 0x40, 0x20, 0x01, 0x0d, 0xb8, 0x00, 0x00, 0x00, 0x00,
	0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0xfe, 0x20, 0x01, 0x0d, 0xb8, 0x00, 0x00, 0x00, 0x00,
	0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x01, 0x02, 0x00, 0x2a, 0xa9, 0x00, 0x00, 0x05, 0x78,
	0x60, 0x00, 0x00, 0x00, 0x00, 0x13, 0x11, 0x01, 0x20, 0x01, 0x0d, 0xb8, 0x00, 0x00, 0x00, 0x00,
	0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x01, 0x20, 0x01, 0x0d, 0xb8, 0xff, 0xff, 0x00, 0x00,
	0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x07, 0x12, 0x34, 0x00, 0x35, 0x00, 0x13, 0x00, 0x17,
	0x68, 0x65, 0x6c, 0x6c, 0x6f, 0x20, 0x77, 0x6f, 0x72, 0x6c, 0x64,
};

static const uint8_t param6[] = {
	0x6c, 0x00, 0x00, 0x00, 0x00, 0x43, 0x3a, 0x40, 0x20, 0x01, 0x0d, 0xb8, 0x00, 0x00, 0x00, 0x00,
	0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0xfe, 0x20, 0x01, 0x0d, 0xb8, 0x00, 0x00, 0x00, 0x00,
	0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x01, 0x04, 0x01, 0x2e, 0x1a, 0x00, 0x00, 0x00, 0x06,
	0x60, 0x00, 0x00, 0x00, 0x00, 0x13, 0x11, 0x01, 0x20, 0x01, 0x0d, 0xb8, 0x00, 0x00, 0x00, 0x00,
	0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x01, 0x20, 0x01, 0x0d, 0xb8, 0xff, 0xff, 0x00, 0x00,
	0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x07, 0x12, 0x34, 0x00, 0x35, 0x00, 0x13, 0x00, 0x17,
	0x68, 0x65, 0x6c, 0x6c, 0x6f, 0x20, 0x77, 0x6f, 0x72, 0x6c, 0x64,
};

static const uint8_t unreach6[] = {
	0x6c, 0x00, 0x00, 0x00, 0x00, 0x43, 0x3a, 0x40, 0x20, 0x01, 0x0d, 0xb8, 0x00, 0x00, 0x00, 0x00,
	0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0xfe, 0x20, 0x01, 0x0d, 0xb8, 0x00, 0x00, 0x00, 0x00,
	0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x01, 0x01, 0x03, 0x31, 0x1e, 0x00, 0x00, 0x00, 0x00,
	0x60, 0x00, 0x00, 0x00, 0x00, 0x13, 0x11, 0x01, 0x20, 0x01, 0x0d, 0xb8, 0x00, 0x00, 0x00, 0x00,
	0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x01, 0x20, 0x01, 0x0d, 0xb8, 0xff, 0xff, 0x00, 0x00,
	0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x07, 0x12, 0x34, 0x00, 0x35, 0x00, 0x13, 0x00, 0x17,
	0x68, 0x65, 0x6c, 0x6c, 0x6f, 0x20, 0x77, 0x6f, 0x72, 0x6c, 0x64,
};

static const uint8_t echo4[] = {
	0x45, 0x00, 0x00, 0x1f, 0x00, 0x07, 0x00, 0x00, 0x09, 0x01, 0x9d, 0xd5, 0x0a, 0x00, 0x00, 0x01,
	0x0a, 0x00, 0x00, 0x02, 0x08, 0x00, 0x24, 0x94, 0x00, 0x03, 0x00, 0x04, 0x6f, 0x64, 0x64,
};

static const uint8_t reply4[] = {
	0x45, 0x00, 0x00, 0x1f, 0x00, 0x07, 0x00, 0x00, 0x40, 0x01, 0x66, 0xd5, 0x0a, 0x00, 0x00, 0x02,
	0x0a, 0x00, 0x00, 0x01, 0x00, 0x00, 0x2c, 0x94, 0x00, 0x03, 0x00, 0x04, 0x6f, 0x64, 0x64,
};

static const uint8_t echo6[] = {
	0x60, 0x00, 0x00, 0x00, 0x00, 0x0b, 0x3a, 0x09, 0x20, 0x01, 0x0d, 0xb8, 0x00, 0x00, 0x00, 0x00,
	0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x01, 0x20, 0x01, 0x0d, 0xb8, 0x00, 0x00, 0x00, 0x00,
	0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x02, 0x80, 0x00, 0x50, 0xd9, 0x00, 0x03, 0x00, 0x04,
	0x6f, 0x64, 0x64,
};

static const uint8_t reply6[] = {
	0x60, 0x00, 0x00, 0x00, 0x00, 0x0b, 0x3a, 0x40, 0x20, 0x01, 0x0d, 0xb8, 0x00, 0x00, 0x00, 0x00,
	0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x02, 0x20, 0x01, 0x0d, 0xb8, 0x00, 0x00, 0x00, 0x00,
	0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x01, 0x81, 0x00, 0x4f, 0xd9, 0x00, 0x03, 0x00, 0x04,
	0x6f, 0x64, 0x64,
};

static const uint8_t gw4[] = { 10, 0, 0, 254 };
static const uint8_t gw6[] = { 0x20, 0x01, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xfe };

#define V(name) name, sizeof(name)
static const struct {
	const uint8_t *about;
	size_t about_bytes;
	enum icmp_cause cause;
	uint32_t info;
	const uint8_t *saddr;
	const uint8_t *want;
	size_t want_bytes;
} errors[] = {
	{ V(udp4), ICMP_CAUSE_TTL, 0, gw4, V(ttl4) },
	{ V(udp4), ICMP_CAUSE_TOO_BIG, 1400, gw4, V(toobig4) },
	{ V(udp4), ICMP_CAUSE_HEADER, 20, gw4, V(param4) },
	{ V(udp6), ICMP_CAUSE_TTL, 0, gw6, V(ttl6) },
	{ V(udp6), ICMP_CAUSE_TOO_BIG, 1400, gw6, V(toobig6) },
	{ V(udp6), ICMP_CAUSE_PROTO, 6, gw6, V(param6) },
	{ V(udp6), ICMP_CAUSE_NO_NEIGHBOUR, 0, gw6, V(unreach6) },
};

static struct pkt *parsed(const uint8_t *b, uint32_t len, uint32_t frame)
{
	struct pkt *p = pkt_of(b, len, frame);

	ck_assert_int_eq(pkt_parse_ip(p), DROP_NONE);
	return p;
}

START_TEST(errors_are_scapys)
{
	struct pkt *p = parsed(errors[_i].about, (uint32_t)errors[_i].about_bytes, 50), *e;
	static struct bytes got;

	ck_assert(!icmp_error_forbidden(p, errors[_i].cause));
	e = icmp_error_build(area, p, errors[_i].cause, errors[_i].info, errors[_i].saddr);
	flatten(e, &got);
	ck_assert_uint_eq(got.len, errors[_i].want_bytes);
	for (uint32_t i = 0; i < got.len; i++)
		ck_assert_msg(got.b[i] == errors[_i].want[i], "byte %u: %02x, not %02x", i, got.b[i],
			      errors[_i].want[i]);
	ck_assert(e->flags & PKT_LOCAL_OUT);
	metadata_is_right(e);
	/* an error about an error there is not */
	ck_assert(icmp_error_forbidden(e, errors[_i].cause));
	pkt_put(area, e);
	pkt_put(area, p);
}
END_TEST

/* type and code of every cause */
static const struct {
	enum icmp_cause cause;
	uint8_t type4, code4, type6, code6;
} codes[] = {
	{ ICMP_CAUSE_TTL, 11, 0, 3, 0 },
	{ ICMP_CAUSE_REASSEMBLY, 11, 1, 3, 1 },
	{ ICMP_CAUSE_NO_ROUTE, 3, 0, 1, 0 },
	{ ICMP_CAUSE_NO_NEIGHBOUR, 3, 1, 1, 3 },
	{ ICMP_CAUSE_PROTO, 3, 2, 4, 1 },
	{ ICMP_CAUSE_PORT, 3, 3, 1, 4 },
	{ ICMP_CAUSE_PROHIBITED, 3, 13, 1, 1 },
	{ ICMP_CAUSE_TOO_BIG, 3, 4, 2, 0 },
	{ ICMP_CAUSE_HEADER, 12, 0, 4, 0 },
	{ ICMP_CAUSE_OPTION, 12, 0, 4, 2 },
};

START_TEST(causes_have_their_codes)
{
	struct pkt *p4 = parsed(V(udp4), 2048), *p6 = parsed(V(udp6), 2048);
	struct pkt *e4 = icmp_error_build(area, p4, codes[_i].cause, 0, gw4);
	struct pkt *e6 = icmp_error_build(area, p6, codes[_i].cause, 0, gw6);

	ck_assert_uint_eq(pkt_l4(e4)[0], codes[_i].type4);
	ck_assert_uint_eq(pkt_l4(e4)[1], codes[_i].code4);
	ck_assert_uint_eq(pkt_l4(e6)[0], codes[_i].type6);
	ck_assert_uint_eq(pkt_l4(e6)[1], codes[_i].code6);
	pkt_put(area, p4);
	pkt_put(area, p6);
	pkt_put(area, e4);
	pkt_put(area, e6);
}
END_TEST

/* A long packet: quoted up to the limit, over chains, with a VLAN tag in front, and with its checksum completed. */
START_TEST(quotation_is_bounded_and_whole)
{
	static struct bytes f, got;

	for (unsigned int six = 0; six < 2; six++) {
		uint32_t l3 = 18, hlen = six ? 40 : 20, max = six ? 1280 : 576, pseudo;
		struct pkt *p, *e;

		f.len = 0;
		add_eth(&f, 0x8100);
		add_vlan(&f, 5, six ? 0x86dd : 0x0800);
		if (six)
			add_ip6(&f, 17, 1408);
		else
			add_ip4(&f, 17, 0, NULL, 0, 1408);
		add_udp(&f, 1400);
		pseudo = six ? csum_ipv6_pseudo(f.b + l3 + 8, f.b + l3 + 24, 1408, 17) :
			       csum_ipv4_pseudo(wire32_at(f.b + l3 + 12), wire32_at(f.b + l3 + 16), 1408, 17);
		put_wire16(f.b + l3 + hlen + 6, csum_fold16(pseudo));
		for (uint32_t frame = 100; frame <= 1700; frame += 1600) {
			p = parsed_l2(&f, frame);
			pkt_find_partial(p);
			ck_assert_uint_eq(p->csum, PKT_CSUM_PARTIAL);
			e = icmp_error_build(area, p, ICMP_CAUSE_TTL, 0, six ? gw6 : gw4);
			flatten(e, &got);
			ck_assert_uint_eq(got.len, max);
			e->csum = PKT_CSUM_NONE;
			ck_assert(pkt_csum_ok(area, e));
			ck_assert_mem_eq(got.b + hlen + 8, f.b + l3, hlen + 6);
			ck_assert_mem_eq(got.b + hlen + 8 + hlen + 8, f.b + l3 + hlen + 8, max - 2 * hlen - 16);
			if (frame == 1700) {
				__be16 quoted = wire16_at(got.b + hlen + 8 + hlen + 6), want;

				want = csum_fold_udp(csum_partial(f.b + l3 + hlen, 1408, 0));
				ck_assert_uint_eq(quoted, want);
			}
			/* the packet itself is as it was */
			ck_assert_uint_eq(p->csum, PKT_CSUM_PARTIAL);
			ck_assert_uint_eq(wire16_at(pkt_l4(p) + 6), csum_fold16(pseudo));
			pkt_put(area, e);
			pkt_put(area, p);
		}
	}
}
END_TEST

START_TEST(error_needs_a_frame)
{
	struct pkt *p = parsed(V(udp4), 2048), *taken[600] = { NULL };
	unsigned int n = 0;

	while ((taken[n] = area_alloc(area)) != NULL)
		n++;
	ck_assert_ptr_null(icmp_error_build(area, p, ICMP_CAUSE_TTL, 0, gw4));
	while (n > 0)
		pkt_put(area, taken[--n]);
	pkt_put(area, p);
}
END_TEST

/* ---- What must not be answered ----------------------------------------------------------------------------------- */

static const struct {
	const char *src, *dst;
	uint8_t proto;
	uint8_t icmp_type;
	uint16_t frag;
	bool l2_group;
	uint8_t payload;	/* bytes */
	bool want;
} forbidden4[] = {
	{ "10.0.0.1", "192.0.2.1", 17, 0, 0, false, 8, false },
	{ "10.0.0.1", "192.0.2.1", 17, 0, 0x2000, false, 8, false },
	{ "10.0.0.1", "192.0.2.1", 17, 0, 1, false, 8, true },
	{ "10.0.0.1", "192.0.2.1", 17, 0, 0, true, 8, true },
	{ "10.0.0.1", "224.0.0.5", 17, 0, 0, false, 8, true },
	{ "10.0.0.1", "255.255.255.255", 17, 0, 0, false, 8, true },
	{ "0.0.0.0", "192.0.2.1", 17, 0, 0, false, 8, true },
	{ "0.0.0.9", "192.0.2.1", 17, 0, 0, false, 8, true },
	{ "127.0.0.1", "192.0.2.1", 17, 0, 0, false, 8, true },
	{ "224.0.0.1", "192.0.2.1", 17, 0, 0, false, 8, true },
	{ "240.0.0.1", "192.0.2.1", 17, 0, 0, false, 8, true },
	{ "255.255.255.255", "192.0.2.1", 17, 0, 0, false, 8, true },
	{ "10.0.0.1", "192.0.2.1", 1, 8, 0, false, 8, false },
	{ "10.0.0.1", "192.0.2.1", 1, 0, 0, false, 8, false },
	{ "10.0.0.1", "192.0.2.1", 1, 13, 0, false, 8, false },
	{ "10.0.0.1", "192.0.2.1", 1, 18, 0, false, 8, false },
	{ "10.0.0.1", "192.0.2.1", 1, 3, 0, false, 8, true },
	{ "10.0.0.1", "192.0.2.1", 1, 4, 0, false, 8, true },
	{ "10.0.0.1", "192.0.2.1", 1, 5, 0, false, 8, true },
	{ "10.0.0.1", "192.0.2.1", 1, 11, 0, false, 8, true },
	{ "10.0.0.1", "192.0.2.1", 1, 12, 0, false, 8, true },
	{ "10.0.0.1", "192.0.2.1", 1, 99, 0, false, 8, true },
	{ "10.0.0.1", "192.0.2.1", 1, 8, 0, false, 4, true },
};

START_TEST(ipv4_errors_are_forbidden)
{
	static struct bytes f;
	struct pkt *p;

	f.len = 0;
	add_ip4(&f, forbidden4[_i].proto, forbidden4[_i].frag, NULL, 0, forbidden4[_i].payload);
	inet_pton(AF_INET, forbidden4[_i].src, f.b + 12);
	inet_pton(AF_INET, forbidden4[_i].dst, f.b + 16);
	memset(f.b + 20, 0, 8);
	f.b[20] = forbidden4[_i].icmp_type;
	f.len += forbidden4[_i].payload;
	p = parsed_l3(&f, 2048);
	if (forbidden4[_i].l2_group)
		p->flags |= PKT_L2_GROUP;
	ck_assert_int_eq(icmp_error_forbidden(p, ICMP_CAUSE_TTL), forbidden4[_i].want);
	pkt_put(area, p);
}
END_TEST

static const struct {
	const char *src, *dst;
	uint8_t proto;
	uint8_t icmp_type;
	uint16_t frag;		/* with a fragment header when not 0xffff */
	bool l2_group;
	uint8_t payload;
	enum icmp_cause cause;
	bool want;
} forbidden6[] = {
	{ "2001:db8::1", "2001:db8::2", 17, 0, 0xffff, false, 8, ICMP_CAUSE_TTL, false },
	{ "2001:db8::1", "2001:db8::2", 17, 0, 0xffff, true, 8, ICMP_CAUSE_TTL, true },
	{ "2001:db8::1", "2001:db8::2", 17, 0, 0xffff, true, 8, ICMP_CAUSE_TOO_BIG, false },
	{ "2001:db8::1", "2001:db8::2", 17, 0, 0xffff, true, 8, ICMP_CAUSE_OPTION, false },
	{ "2001:db8::1", "2001:db8::2", 17, 0, 0xffff, true, 8, ICMP_CAUSE_HEADER, true },
	{ "2001:db8::1", "ff0e::2", 17, 0, 0xffff, false, 8, ICMP_CAUSE_TTL, true },
	{ "2001:db8::1", "ff0e::2", 17, 0, 0xffff, false, 8, ICMP_CAUSE_TOO_BIG, false },
	{ "2001:db8::1", "ff0e::2", 17, 0, 0xffff, false, 8, ICMP_CAUSE_OPTION, false },
	{ "::", "2001:db8::2", 17, 0, 0xffff, false, 8, ICMP_CAUSE_TOO_BIG, true },
	{ "::1", "2001:db8::2", 17, 0, 0xffff, false, 8, ICMP_CAUSE_TTL, true },
	{ "ff02::1", "2001:db8::2", 17, 0, 0xffff, false, 8, ICMP_CAUSE_TTL, true },
	{ "fe80::1", "2001:db8::2", 17, 0, 0xffff, false, 8, ICMP_CAUSE_TTL, false },
	{ "2001:db8::1", "2001:db8::2", 58, 1, 0xffff, false, 8, ICMP_CAUSE_TTL, true },
	{ "2001:db8::1", "2001:db8::2", 58, 127, 0xffff, false, 8, ICMP_CAUSE_TTL, true },
	{ "2001:db8::1", "2001:db8::2", 58, 128, 0xffff, false, 8, ICMP_CAUSE_TTL, false },
	{ "2001:db8::1", "2001:db8::2", 58, 137, 0xffff, false, 8, ICMP_CAUSE_TTL, true },
	{ "2001:db8::1", "2001:db8::2", 58, 128, 0xffff, false, 7, ICMP_CAUSE_TTL, true },
	{ "2001:db8::1", "2001:db8::2", 17, 0, 8, false, 8, ICMP_CAUSE_TOO_BIG, false },
	{ "2001:db8::1", "2001:db8::2", 58, 128, 1, false, 8, ICMP_CAUSE_TOO_BIG, false },
	{ "2001:db8::1", "2001:db8::2", 58, 128, 8, false, 8, ICMP_CAUSE_TOO_BIG, true },
};

START_TEST(ipv6_errors_are_forbidden)
{
	bool in_fragment = forbidden6[_i].frag != 0xffff;
	static struct bytes f;
	struct pkt *p;

	f.len = 0;
	add_ip6(&f, in_fragment ? 44 : forbidden6[_i].proto, forbidden6[_i].payload + in_fragment * 8u);
	inet_pton(AF_INET6, forbidden6[_i].src, f.b + 8);
	inet_pton(AF_INET6, forbidden6[_i].dst, f.b + 24);
	memset(f.b + 40, 0, 16);
	if (in_fragment) {
		f.b[40] = forbidden6[_i].proto;
		put_be16(f.b + 42, forbidden6[_i].frag);
		f.len += 8;
	}
	f.b[f.len] = forbidden6[_i].icmp_type;
	f.len += forbidden6[_i].payload;
	p = parsed_l3(&f, 2048);
	if (forbidden6[_i].l2_group)
		p->flags |= PKT_L2_GROUP;
	ck_assert_int_eq(icmp_error_forbidden(p, forbidden6[_i].cause), forbidden6[_i].want);
	pkt_put(area, p);
}
END_TEST

START_TEST(errors_only_about_ip)
{
	static struct bytes f;
	struct pkt *p;

	f.len = 0;
	add_eth(&f, 0x0806);
	add_fill(&f, 28);
	p = parsed_l2(&f, 2048);
	ck_assert(icmp_error_forbidden(p, ICMP_CAUSE_TTL));
	pkt_put(area, p);
}
END_TEST

/* ---- Echo -------------------------------------------------------------------------------------------------------- */

static void answer(const uint8_t *b, uint32_t len, const uint8_t *want)
{
	struct pkt *p = parsed(b, len, 2048);
	static struct bytes got;

	ck_assert(icmp_is_echo_request(p));
	ck_assert(pkt_csum_ok(area, p));
	icmp_echo_reply(p, NULL, 64);
	flatten(p, &got);
	ck_assert_uint_eq(got.len, len);
	ck_assert_mem_eq(got.b, want, len);
	metadata_is_right(p);
	ck_assert(!icmp_is_echo_request(p));
	pkt_put(area, p);
}

START_TEST(echo_is_answered)
{
	answer(V(echo4), reply4);
	answer(V(echo6), reply6);
}
END_TEST

START_TEST(echo_to_a_group_is_answered_by_a_host)
{
	struct pkt *p = parsed(V(echo4), 45);

	icmp_echo_reply(p, gw4, 64);
	ck_assert(ipv4_csum_ok(pkt_l3(p)));
	ck_assert_mem_eq(pkt_l3(p) + 12, gw4, 4);
	ck_assert(pkt_csum_ok(area, p));
	pkt_put(area, p);

	p = parsed(V(echo6), 50);
	ck_assert(pkt_csum_ok(area, p));
	icmp_echo_reply(p, gw6, 64);
	ck_assert_mem_eq(pkt_l3(p) + 8, gw6, 16);
	p->csum = PKT_CSUM_NONE;
	ck_assert(pkt_csum_ok(area, p));
	pkt_put(area, p);
}
END_TEST

START_TEST(echo_of_every_length_over_chains)
{
	static struct bytes f;

	for (uint32_t n = 0; n < 300; n++) {
		struct pkt *p;

		f.len = 0;
		add_ip4(&f, 1, 0, NULL, 0, 8 + n);
		ipv4_set_csum(f.b);
		ADD(&f, "\x08\x00\x00\x00\x12\x34\x00\x01");
		add_fill(&f, n);
		put_wire16(f.b + 22, csum_fold(csum_partial(f.b + 20, f.len - 20, 0)));
		p = parsed_l3(&f, 37);
		ck_assert(pkt_csum_ok(area, p));
		icmp_echo_reply(p, NULL, 64);
		p->csum = PKT_CSUM_NONE;
		ck_assert(pkt_csum_ok(area, p));
		ck_assert(ipv4_csum_ok(pkt_l3(p)));
		pkt_put(area, p);
	}
}
END_TEST

START_TEST(not_an_echo_request)
{
	struct pkt *p = parsed(V(reply4), 2048);

	ck_assert(!icmp_is_echo_request(p));
	pkt_put(area, p);
	p = parsed(V(udp4), 2048);
	ck_assert(!icmp_is_echo_request(p));
	pkt_put(area, p);
	p = parsed(V(echo4), 2048);
	pkt_l4(p)[1] = 1;
	ck_assert(!icmp_is_echo_request(p));
	pkt_l4(p)[1] = 0;
	p->flags |= PKT_FRAG;
	ck_assert(!icmp_is_echo_request(p));
	pkt_put(area, p);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("icmp");
	TCase *tc = tcase_create("icmp");
	SRunner *sr;
	int failed;

	tcase_add_checked_fixture(tc, area_setup, area_teardown);
	tcase_add_loop_test(tc, errors_are_scapys, 0, ARRAY_SIZE(errors));
	tcase_add_loop_test(tc, causes_have_their_codes, 0, ARRAY_SIZE(codes));
	tcase_add_test(tc, quotation_is_bounded_and_whole);
	tcase_add_test(tc, error_needs_a_frame);
	tcase_add_loop_test(tc, ipv4_errors_are_forbidden, 0, ARRAY_SIZE(forbidden4));
	tcase_add_loop_test(tc, ipv6_errors_are_forbidden, 0, ARRAY_SIZE(forbidden6));
	tcase_add_test(tc, errors_only_about_ip);
	tcase_add_test(tc, echo_is_answered);
	tcase_add_test(tc, echo_to_a_group_is_answered_by_a_host);
	tcase_add_test(tc, echo_of_every_length_over_chains);
	tcase_add_test(tc, not_an_echo_request);
	suite_add_tcase(s, tc);
	sr = srunner_create(s);
	srunner_run_all(sr, CK_NORMAL);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed != 0;
}
