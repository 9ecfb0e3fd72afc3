/* SPDX-License-Identifier: MIT */
#include "tests/unit/net/area_fixture.h"
#include "user/net/eth.h"
#include "user/net/ipv4.h"
#include "user/net/ipv6.h"
#include "user/net/pkt_csum.h"
#include "user/net/tcp_mss.h"

#include <arpa/inet.h>
#include <netinet/in.h>

/* ---- IPv4 header ------------------------------------------------------------------------------------------------- */

START_TEST(ttl_agrees_with_a_full_checksum)
{
	static struct bytes f;

	for (unsigned int round = 0; round < 65536; round++) {
		uint8_t want[60];

		f.len = 0;
		add_ip4(&f, 17, 0, NULL, 0, 0);
		put_be16(f.b + 4, (uint16_t)round);		/* moves the checksum through all its values */
		f.b[8] = (uint8_t)_i;
		ipv4_set_csum(f.b);
		ck_assert(ipv4_csum_ok(f.b));
		memcpy(want, f.b, 20);
		want[8]--;
		ipv4_set_csum(want);
		ipv4_dec_ttl(f.b);
		ck_assert_mem_eq(f.b, want, 20);
		want[8] = 64;
		ipv4_set_csum(want);
		ipv4_set_ttl(f.b, 64);
		ck_assert_mem_eq(f.b, want, 20);
	}
}
END_TEST

START_TEST(header_checksum_known)
{
	/* a header from RFC 1071 style examples: 192.168.0.1 -> 192.168.0.199, checksum b861 */
	uint8_t ip[60] = { 0x45, 0, 0, 0x73, 0, 0, 0x40, 0, 0x40, 0x11, 0xb8, 0x61, 192, 168, 0, 1, 192, 168, 0, 199 };

	ck_assert(ipv4_csum_ok(ip));
	ip[3]++;
	ck_assert(!ipv4_csum_ok(ip));
	ipv4_set_csum(ip);
	ck_assert_uint_eq(be16_at(ip + 10), 0xb860);
}
END_TEST

START_TEST(header_checksum_covers_options)
{
	static struct bytes f;

	f.len = 0;
	add_ip4(&f, 17, 0, "\x94\x04\x00\x00", 4, 0);
	ipv4_set_csum(f.b);
	ck_assert(ipv4_csum_ok(f.b));
	f.b[23] = 1;
	ck_assert(!ipv4_csum_ok(f.b));
}
END_TEST

static const struct {
	const char *src, *dst;
	enum drop want;
} forward4[] = {
	{ "10.0.0.1", "192.0.2.1", DROP_NONE },
	{ "169.253.0.1", "169.255.0.1", DROP_NONE },
	{ "126.255.255.255", "128.0.0.0", DROP_NONE },
	{ "1.0.0.0", "223.255.255.255", DROP_NONE },
	{ "0.0.0.0", "10.0.0.1", DROP_martian_source },
	{ "0.1.2.3", "10.0.0.1", DROP_martian_source },
	{ "127.0.0.1", "10.0.0.1", DROP_martian_source },
	{ "224.0.0.1", "10.0.0.1", DROP_martian_source },
	{ "239.255.255.255", "10.0.0.1", DROP_martian_source },
	{ "240.0.0.1", "10.0.0.1", DROP_martian_source },
	{ "255.255.255.255", "10.0.0.1", DROP_martian_source },
	{ "10.0.0.1", "0.0.0.0", DROP_martian_destination },
	{ "10.0.0.1", "0.0.0.1", DROP_martian_destination },
	{ "10.0.0.1", "127.1.2.3", DROP_martian_destination },
	{ "10.0.0.1", "240.0.0.1", DROP_martian_destination },
	{ "10.0.0.1", "255.255.255.254", DROP_martian_destination },
	{ "10.0.0.1", "255.255.255.255", DROP_broadcast },
	{ "10.0.0.1", "224.0.0.1", DROP_multicast },
	{ "10.0.0.1", "239.1.1.1", DROP_multicast },
	{ "169.254.1.1", "10.0.0.1", DROP_link_scope },
	{ "10.0.0.1", "169.254.1.1", DROP_link_scope },
};

START_TEST(ipv4_forwards)
{
	uint8_t ip[60] = { 0x45 };
	enum drop why;

	ck_assert_int_eq(inet_pton(AF_INET, forward4[_i].src, ip + 12), 1);
	ck_assert_int_eq(inet_pton(AF_INET, forward4[_i].dst, ip + 16), 1);
	why = ipv4_forward_check(ip);
	ck_assert_msg(why == forward4[_i].want, "%s -> %s: %d", forward4[_i].src, forward4[_i].dst, why);
}
END_TEST

/* The short way through must say the same as the long one, for every first byte. */
START_TEST(ipv4_short_check_agrees)
{
	uint8_t ip[60] = { 0x45, [13] = 254, [17] = 254 };

	for (unsigned int src = 0; src < 256; src++) {
		for (unsigned int dst = 0; dst < 256; dst++) {
			ip[12] = (uint8_t)src;
			ip[16] = (uint8_t)dst;
			ck_assert_int_eq(ipv4_forward_check(ip), ipv4_addr_drop(ip));
		}
	}
}
END_TEST

static const struct {
	const char *addr, *net;
	uint8_t len;
	bool want;
} subnet_broadcast[] = {
	{ "10.0.0.255", "10.0.0.1", 24, true },
	{ "10.0.0.0", "10.0.0.1", 24, true },
	{ "10.0.0.254", "10.0.0.1", 24, false },
	{ "10.0.1.255", "10.0.0.1", 24, false },
	{ "10.0.1.255", "10.0.0.1", 23, true },
	{ "10.0.0.255", "10.0.0.1", 23, false },
	{ "10.0.0.1", "10.0.0.0", 31, false },
	{ "10.0.0.0", "10.0.0.0", 31, false },
	{ "10.0.0.1", "10.0.0.1", 32, false },
	{ "10.0.0.3", "10.0.0.1", 30, true },
	{ "255.255.255.255", "10.0.0.1", 0, true },
	{ "10.255.255.255", "10.0.0.1", 8, true },
};

START_TEST(subnet_broadcasts)
{
	uint8_t addr[4], net[4];

	inet_pton(AF_INET, subnet_broadcast[_i].addr, addr);
	inet_pton(AF_INET, subnet_broadcast[_i].net, net);
	ck_assert_int_eq(ipv4_is_subnet_broadcast(addr, net, subnet_broadcast[_i].len), subnet_broadcast[_i].want);
}
END_TEST

/* ---- IPv6 addresses ---------------------------------------------------------------------------------------------- */

static const struct {
	const char *src, *dst;
	enum drop want;
} forward6[] = {
	{ "2001:db8::1", "2001:db8::2", DROP_NONE },
	{ "fd00::1", "2001:db8::2", DROP_NONE },
	{ "2001:db8::1", "fc00::2", DROP_NONE },
	{ "64:ff9b::1", "2001:db8::2", DROP_NONE },
	{ "::", "2001:db8::2", DROP_martian_source },
	{ "::1", "2001:db8::2", DROP_martian_source },
	{ "ff02::1", "2001:db8::2", DROP_martian_source },
	{ "::ffff:10.0.0.1", "2001:db8::2", DROP_martian_source },
	{ "2001:db8::1", "::", DROP_martian_destination },
	{ "2001:db8::1", "::1", DROP_martian_destination },
	{ "2001:db8::1", "::ffff:10.0.0.1", DROP_martian_destination },
	{ "2001:db8::1", "ff0e::1", DROP_multicast },
	{ "2001:db8::1", "ff02::1", DROP_multicast },
	{ "fe80::1", "2001:db8::2", DROP_link_scope },
	{ "febf::1", "2001:db8::2", DROP_link_scope },
	{ "2001:db8::1", "fe80::2", DROP_link_scope },
	{ "fec0::1", "2001:db8::2", DROP_NONE },
};

START_TEST(ipv6_forwards)
{
	uint8_t ip[40] = { 0x60 };
	enum drop why;

	ck_assert_int_eq(inet_pton(AF_INET6, forward6[_i].src, ip + 8), 1);
	ck_assert_int_eq(inet_pton(AF_INET6, forward6[_i].dst, ip + 24), 1);
	why = ipv6_forward_check(ip);
	ck_assert_msg(why == forward6[_i].want, "%s -> %s: %d", forward6[_i].src, forward6[_i].dst, why);
	if (!ipv6_is_multicast(ip + 24))
		ck_assert_int_eq(ipv6_forward_check(ip), ipv6_addr_drop(ip));
}
END_TEST

START_TEST(ipv6_groups)
{
	uint8_t addr[16], group[16], want[16], mac[6];

	inet_pton(AF_INET6, "2001:db8::abcd:1234:5678", addr);
	inet_pton(AF_INET6, "ff02::1:ff34:5678", want);
	ipv6_solicited_node(addr, group);
	ck_assert_mem_eq(group, want, 16);
	ck_assert(ipv6_is_solicited_node(group));
	ck_assert(!ipv6_is_solicited_node(addr));
	ck_assert_uint_eq(ipv6_multicast_scope(group), IPV6_SCOPE_LINK);
	ipv6_multicast_mac(group, mac);
	ck_assert_mem_eq(mac, "\x33\x33\xff\x34\x56\x78", 6);
	inet_pton(AF_INET6, "ff02::1", group);
	ck_assert(!ipv6_is_solicited_node(group));
}
END_TEST

/* ---- Checksums over chains --------------------------------------------------------------------------------------- */

static void make_udp4(struct bytes *f, uint32_t payload)
{
	f->len = 0;
	add_ip4(f, 17, 0, NULL, 0, 8 + payload);
	add_udp(f, payload);
}

static __sum16 whole_csum(const struct bytes *f, uint32_t l4, uint32_t field, uint8_t proto)
{
	static struct bytes c;
	uint32_t len = f->len - l4, sum;

	memcpy(c.b, f->b, f->len);
	put_wire16(c.b + l4 + field, 0);
	if (c.b[0] >> 4 == 4)
		sum = csum_ipv4_pseudo(wire32_at(c.b + 12), wire32_at(c.b + 16), len, proto);
	else
		sum = csum_ipv6_pseudo(c.b + 8, c.b + 24, len, proto);
	return csum_fold_udp(csum_partial(c.b + l4, len, sum));
}

/* What a sender with checksum offload leaves in the field of make_udp4(). */
static void set_partial(struct bytes *f)
{
	uint32_t sum = csum_ipv4_pseudo(wire32_at(f->b + 12), wire32_at(f->b + 16), f->len - 20, 17);

	put_wire16(f->b + 26, csum_fold16(sum));
}

START_TEST(partial_checksum_is_completed_over_any_chain)
{
	static struct bytes f;

	for (uint32_t frame = 28; frame < 140; frame++) {
		struct pkt *p;
		__sum16 want;

		make_udp4(&f, 400 + frame % 2);
		want = whole_csum(&f, 20, 6, 17);
		set_partial(&f);
		p = parsed_l3(&f, frame);
		pkt_find_partial(p);
		ck_assert_uint_eq(p->csum, PKT_CSUM_PARTIAL);
		ck_assert(pkt_csum_ok(area, p));
		ck_assert_int_eq(pkt_csum_complete(area, p), DROP_NONE);
		ck_assert_uint_eq(wire16_at(pkt_l4(p) + 6), want);
		ck_assert_uint_eq(p->csum, PKT_CSUM_COMPLETE);
		p->csum = PKT_CSUM_NONE;
		ck_assert(pkt_csum_ok(area, p));
		pkt_put(area, p);
	}
}
END_TEST

START_TEST(udp_checksum_zero_becomes_ffff)
{
	static struct bytes f;
	struct pkt *p;

	/* find a payload whose checksum comes out as 0, by letting the payload cancel it */
	make_udp4(&f, 2);
	memset(f.b + 28, 0, 2);
	put_wire16(f.b + 28, whole_csum(&f, 20, 6, 17));
	set_partial(&f);
	p = parsed_l3(&f, 2048);
	pkt_find_partial(p);
	ck_assert_int_eq(pkt_csum_complete(area, p), DROP_NONE);
	ck_assert_uint_eq(wire16_at(pkt_l4(p) + 6), 0xffff);
	p->csum = PKT_CSUM_NONE;
	ck_assert(pkt_csum_ok(area, p));
	pkt_put(area, p);
}
END_TEST

START_TEST(partial_checksum_outside_the_packet_is_refused)
{
	static struct bytes f;
	struct pkt *p;

	make_udp4(&f, 10);
	p = parsed_l3(&f, 2048);
	p->csum = PKT_CSUM_PARTIAL;
	p->csum_start = p->l4;
	p->csum_offset = 17;
	ck_assert_int_eq(pkt_csum_complete(area, p), DROP_csum_bad);
	p->csum_offset = 0xffff;
	p->csum_start = 0xffff;
	ck_assert_int_eq(pkt_csum_complete(area, p), DROP_csum_bad);
	p->csum_start = (uint16_t)(p->off - 1);
	p->csum_offset = 6;
	ck_assert_int_eq(pkt_csum_complete(area, p), DROP_csum_bad);
	pkt_put(area, p);
}
END_TEST

START_TEST(checksum_verdicts)
{
	static struct bytes f;
	struct pkt *p;

	make_udp4(&f, 10);			/* UDP over IPv4 without a checksum */
	p = parsed_l3(&f, 2048);
	ck_assert(pkt_csum_ok(area, p));
	pkt_put(area, p);

	put_wire16(f.b + 26, whole_csum(&f, 20, 6, 17));
	f.b[37] ^= 1;
	p = parsed_l3(&f, 2048);
	ck_assert(!pkt_csum_ok(area, p));
	pkt_put(area, p);

	make_udp4(&f, 10);			/* a UDP length beyond the packet, and below 8 */
	put_be16(f.b + 24, 19);
	p = parsed_l3(&f, 2048);
	ck_assert(!pkt_csum_ok(area, p));
	put_be16(pkt_l4(p) + 4, 7);
	ck_assert(!pkt_csum_ok(area, p));
	pkt_put(area, p);

	f.len = 0;				/* UDP over IPv6 must have one */
	add_ip6(&f, 17, 8);
	add_udp(&f, 0);
	p = parsed_l3(&f, 2048);
	ck_assert(!pkt_csum_ok(area, p));
	pkt_put(area, p);
	put_wire16(f.b + 46, whole_csum(&f, 40, 6, 17));
	p = parsed_l3(&f, 2048);
	ck_assert(pkt_csum_ok(area, p));
	ck_assert_uint_eq(p->csum, PKT_CSUM_COMPLETE);
	pkt_put(area, p);
}
END_TEST

START_TEST(frames_of_padding_go_home)
{
	static struct bytes f;
	struct pkt *p;

	f.len = 0;
	add_eth(&f, 0x0800);
	add_ip4(&f, 17, 0, NULL, 0, 8 + 60);
	add_udp(&f, 60);
	add_fill(&f, 1000);
	p = parsed_l2(&f, 80);
	ck_assert_uint_eq(p->total_bytes, 14 + 20 + 68);
	pkt_trim(area, p, p->total_bytes);
	ck_assert_uint_eq(p->n_frames, 2);
	ck_assert_uint_eq(area_leaks(area), 2);
	ck_assert_uint_eq(area_next(area, p)->len, 22);
	pkt_put(area, p);
}
END_TEST

/* ---- Fragments --------------------------------------------------------------------------------------------------- */

/* Put fragments together again, naively. @f: what was there before */
static void check_fragments(const struct bytes *f, struct pkt *p, uint32_t mtu)
{
	static struct bytes again, frag;
	uint32_t hlen = (f->b[0] & 15u) * 4, covered = 0, n = 0;
	uint32_t base = (be16_at(f->b + 6) & 0x1fffu) * 8;
	bool last_seen = false, more = be16_at(f->b + 6) & 0x2000;
	struct ipv4_fragmenter fr;
	struct pkt *q;

	again.len = 0;
	ck_assert_int_eq(ipv4_fragment_begin(&fr, area, p, mtu), DROP_NONE);
	while ((q = ipv4_fragment_next(&fr, area)) != NULL) {
		uint32_t h, off;

		flatten(q, &frag);
		metadata_is_right(q);
		h = (frag.b[0] & 15u) * 4;
		off = (be16_at(frag.b + 6) & 0x1fffu) * 8;
		ck_assert_uint_le(frag.len, mtu);
		ck_assert(ipv4_csum_ok(frag.b));
		ck_assert_mem_eq(frag.b + 4, f->b + 4, 2);	/* ID */
		ck_assert_mem_eq(frag.b + 8, f->b + 8, 2);	/* TTL, protocol */
		ck_assert_mem_eq(frag.b + 12, f->b + 12, 8);
		ck_assert_uint_eq(frag.b[1], f->b[1]);
		ck_assert_uint_eq(off, base + covered);
		if (n == 0)
			ck_assert_uint_eq(h, hlen);
		last_seen = fr.done;
		ck_assert_int_eq((be16_at(frag.b + 6) & 0x2000) != 0, !fr.done || more);
		if (!fr.done)
			ck_assert_uint_eq((frag.len - h) % 8, 0);
		add(&again, frag.b + h, frag.len - h);
		covered += frag.len - h;
		n++;
		pkt_put(area, q);
	}
	ck_assert(last_seen);
	ipv4_fragment_end(&fr, area);
	ck_assert_uint_eq(again.len, f->len - hlen);
	ck_assert_mem_eq(again.b, f->b + hlen, again.len);
}

START_TEST(fragments_carry_everything)
{
	static const uint32_t mtus[] = { 68, 69, 100, 576, 1000, 1400, 1499 };
	static struct bytes f;

	for (unsigned int i = 0; i < ARRAY_SIZE(mtus); i++) {
		make_udp4(&f, 1472);
		ipv4_set_csum(f.b);
		check_fragments(&f, parsed_l3(&f, 2048), mtus[i]);
		make_udp4(&f, 8000 + i);
		ipv4_set_csum(f.b);
		check_fragments(&f, parsed_l3(&f, 1000 + i), mtus[i]);
		/* a fragment in the middle of a datagram, cut again */
		put_be16(f.b + 6, 0x2000 | 125);
		ipv4_set_csum(f.b);
		check_fragments(&f, parsed_l3(&f, 1000 + i), mtus[i]);
		/* and its last one */
		put_be16(f.b + 6, 250);
		ipv4_set_csum(f.b);
		check_fragments(&f, parsed_l3(&f, 1000 + i), mtus[i]);
	}
}
END_TEST

START_TEST(fragments_copy_options_by_their_bit)
{
	static struct bytes f, frag;
	struct ipv4_fragmenter fr;
	struct pkt *q;

	f.len = 0;
	/* record route (not copied), NOP, router alert (copied), a copied option of 3 bytes, end */
	add_ip4(&f, 17, 0, "\x07\x07\x04\x00\x00\x00\x00" "\x01" "\x94\x04\x00\x00" "\x95\x03\xaa" "\x00", 16, 208);
	add_udp(&f, 200);
	ipv4_set_csum(f.b);
	ck_assert_int_eq(ipv4_fragment_begin(&fr, area, parsed_l3(&f, 2048), 100), DROP_NONE);
	q = ipv4_fragment_next(&fr, area);
	flatten(q, &frag);
	ck_assert_uint_eq(frag.b[0], 0x49);
	ck_assert_mem_eq(frag.b + 20, f.b + 20, 16);
	pkt_put(area, q);
	while ((q = ipv4_fragment_next(&fr, area)) != NULL) {
		flatten(q, &frag);
		metadata_is_right(q);
		ck_assert_uint_eq(frag.b[0], 0x47);
		ck_assert_mem_eq(frag.b + 20, "\x94\x04\x00\x00\x95\x03\xaa\x00", 8);
		pkt_put(area, q);
	}
	ck_assert(fr.done);
	ipv4_fragment_end(&fr, area);
	check_fragments(&f, parsed_l3(&f, 2048), 68);
}
END_TEST

START_TEST(fragments_of_partial_checksums_are_whole)
{
	static struct bytes f, want;

	make_udp4(&f, 3000);
	ipv4_set_csum(f.b);
	memcpy(&want, &f, sizeof(f));
	put_wire16(want.b + 26, whole_csum(&f, 20, 6, 17));
	set_partial(&f);
	for (unsigned int i = 0; i < 2; i++) {
		struct pkt *p = parsed_l3(&f, i ? 777 : 1700);

		pkt_find_partial(p);
		ck_assert_uint_eq(p->csum, PKT_CSUM_PARTIAL);
		check_fragments(&want, p, 1000);
	}
}
END_TEST

START_TEST(fragmenting_is_refused)
{
	struct ipv4_fragmenter fr;
	static struct bytes f;
	struct pkt *p;

	make_udp4(&f, 1472);
	put_be16(f.b + 6, 0x4000);
	p = parsed_l3(&f, 2048);
	ck_assert_int_eq(ipv4_fragment_begin(&fr, area, p, 1000), DROP_mtu_df);
	put_be16(pkt_l3(p) + 6, 0);
	ck_assert_int_eq(ipv4_fragment_begin(&fr, area, p, 27), DROP_fragment_fit);
	p->gso = PKT_GSO_UDP;
	ck_assert_int_eq(ipv4_fragment_begin(&fr, area, p, 1000), DROP_gso_unsupported);
	pkt_put(area, p);
}
END_TEST

START_TEST(fragmenting_waits_for_frames)
{
	struct ipv4_fragmenter fr;
	static struct bytes f;
	struct pkt *p, *q, *taken[600] = { NULL };
	unsigned int n = 0;

	make_udp4(&f, 1472);
	ipv4_set_csum(f.b);
	p = parsed_l3(&f, 2048);
	while ((taken[n] = area_alloc(area)) != NULL)
		n++;
	ck_assert_int_eq(ipv4_fragment_begin(&fr, area, p, 1000), DROP_NONE);
	ck_assert_ptr_null(ipv4_fragment_next(&fr, area));
	ck_assert(!fr.done);
	pkt_put(area, taken[--n]);
	q = ipv4_fragment_next(&fr, area);
	ck_assert_ptr_nonnull(q);
	pkt_put(area, q);
	ipv4_fragment_end(&fr, area);		/* giving up in the middle */
	while (n > 0)
		pkt_put(area, taken[--n]);
}
END_TEST

/* ---- Link-layer headers ------------------------------------------------------------------------------------------ */

START_TEST(header_is_pushed_and_popped)
{
	static const uint8_t dst[6] = { 2, 0, 0, 0, 0, 9 }, group[6] = { 0x33, 0x33, 0, 0, 0, 1 };
	struct iface out = {
		.mac = { 2, 0, 0, 0, 0, 1 }, .n_vlans = (uint8_t)_i, .vlan = { { 0x88a8, 5 }, { 0x8100, 6 } },
	};
	static struct bytes f, got;

	iface_set_l2(&out);
	ck_assert_int_eq((int)out.l2_bytes, 14 + 4 * _i);
	for (unsigned int from = 0; from < 3; from++) {		/* no header, a plain one, a tagged one */
		struct pkt *p;
		uint32_t l2;

		f.len = 0;
		if (from == 1)
			add_eth(&f, 0x86dd);
		if (from == 2) {
			add_eth(&f, 0x8100);
			add_vlan(&f, 7, 0x86dd);
		}
		l2 = f.len;
		add_ip6(&f, 17, 8 + 100);
		add_udp(&f, 100);
		p = from ? parsed_l2(&f, 120) : parsed_l3(&f, 120);
		eth_push(p, &out, dst);
		metadata_is_right(p);
		flatten(p, &got);
		ck_assert_mem_eq(got.b, dst, 6);
		ck_assert_mem_eq(got.b + 6, out.mac, 6);
		ck_assert_mem_eq(got.b + out.l2_bytes, f.b + l2, f.len - l2);
		if (_i == 2)
			ck_assert_mem_eq(got.b + 12, "\x88\xa8\x00\x05\x81\x00\x00\x06\x86\xdd", 10);
		if (_i > 0)
			ck_assert_uint_eq(p->vlan[0], 5);
		eth_push(p, &out, group);	/* PKT_L2_GROUP stays what it was on reception */
		eth_pop(p);
		metadata_is_right(p);
		flatten(p, &got);
		ck_assert_mem_eq(got.b, f.b + l2, f.len - l2);
		pkt_put(area, p);
	}
}
END_TEST

/* ---- MSS --------------------------------------------------------------------------------------------------------- */

static const struct {
	const char *opts;
	uint8_t words;
	uint8_t flags;
	uint16_t max;
	bool want;
	uint8_t at;		/* of the value, from the header's start */
} mss[] = {
	{ "\x02\x04\x05\xb4", 1, 0x02, 1400, true, 22 },
	{ "\x02\x04\x05\xb4", 1, 0x12, 1400, true, 22 },
	{ "\x02\x04\x05\xb4", 1, 0x02, 1460, false, 22 },
	{ "\x02\x04\x05\xb4", 1, 0x10, 1400, false, 22 },
	{ "\x01\x02\x04\x05\xb4\x01\x01\x00", 2, 0x02, 1400, true, 23 },	/* odd offset */
	{ "\x03\x03\x07\x02\x04\xff\xff\x00", 2, 0x02, 536, true, 25 },
	{ "\x00\x02\x04\x05\xb4\x00\x00\x00", 2, 0x02, 1400, false, 0 },	/* behind the end */
	{ "\x02\x03\x05\xb4", 1, 0x02, 1400, false, 0 },
	{ "\x01\x01\x02\x04", 1, 0x02, 1400, false, 0 },			/* cut off */
	{ "\x03\x00\x05\xb4", 1, 0x02, 1400, false, 0 },
	{ "\x01\x01\x01\x02", 1, 0x02, 1400, false, 0 },
};

START_TEST(mss_is_clamped)
{
	static struct bytes f;

	for (int partial = 0; partial < 2; partial++) {
		uint32_t doff = 5u + mss[_i].words;
		struct pkt *p;
		__sum16 field;

		f.len = 0;
		add_ip4(&f, 6, 0, NULL, 0, doff * 4);
		add_tcp(&f, (uint8_t)doff, mss[_i].flags);
		memcpy(f.b + 40, mss[_i].opts, (size_t)mss[_i].words * 4);
		put_wire16(f.b + 36, whole_csum(&f, 20, 16, 6));
		p = parsed_l3(&f, 2048);
		p->csum = partial ? PKT_CSUM_PARTIAL : PKT_CSUM_NONE;
		field = wire16_at(pkt_l4(p) + 16);
		ck_assert_int_eq(tcp_clamp_mss(p, mss[_i].max), mss[_i].want);
		if (mss[_i].want)
			ck_assert_uint_eq(be16_at(pkt_l4(p) + mss[_i].at), mss[_i].max);
		if (partial)
			ck_assert_uint_eq(wire16_at(pkt_l4(p) + 16), field);
		else
			ck_assert(pkt_csum_ok(area, p));
		pkt_put(area, p);
	}
}
END_TEST

START_TEST(mss_of_mtu)
{
	ck_assert_uint_eq(tcp_mss_of_mtu(AF_INET, 1500), 1460);
	ck_assert_uint_eq(tcp_mss_of_mtu(AF_INET6, 1500), 1440);
	ck_assert_uint_eq(tcp_mss_of_mtu(AF_INET, 40), 0);
	ck_assert_uint_eq(tcp_mss_of_mtu(AF_INET, 100000), 65535);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("ip");
	TCase *tc = tcase_create("ip");
	SRunner *sr;
	int failed;

	tcase_add_checked_fixture(tc, area_setup, area_teardown);
	tcase_add_loop_test(tc, ttl_agrees_with_a_full_checksum, 2, 3);
	tcase_add_loop_test(tc, ttl_agrees_with_a_full_checksum, 255, 256);
	tcase_add_test(tc, header_checksum_known);
	tcase_add_test(tc, header_checksum_covers_options);
	tcase_add_loop_test(tc, ipv4_forwards, 0, ARRAY_SIZE(forward4));
	tcase_add_test(tc, ipv4_short_check_agrees);
	tcase_add_loop_test(tc, subnet_broadcasts, 0, ARRAY_SIZE(subnet_broadcast));
	tcase_add_loop_test(tc, ipv6_forwards, 0, ARRAY_SIZE(forward6));
	tcase_add_test(tc, ipv6_groups);
	tcase_add_test(tc, partial_checksum_is_completed_over_any_chain);
	tcase_add_test(tc, udp_checksum_zero_becomes_ffff);
	tcase_add_test(tc, partial_checksum_outside_the_packet_is_refused);
	tcase_add_test(tc, checksum_verdicts);
	tcase_add_test(tc, frames_of_padding_go_home);
	tcase_add_test(tc, fragments_carry_everything);
	tcase_add_test(tc, fragments_copy_options_by_their_bit);
	tcase_add_test(tc, fragments_of_partial_checksums_are_whole);
	tcase_add_test(tc, fragmenting_is_refused);
	tcase_add_test(tc, fragmenting_waits_for_frames);
	tcase_add_loop_test(tc, header_is_pushed_and_popped, 0, 3);
	tcase_add_loop_test(tc, mss_is_clamped, 0, ARRAY_SIZE(mss));
	tcase_add_test(tc, mss_of_mtu);
	suite_add_tcase(s, tc);
	sr = srunner_create(s);
	srunner_run_all(sr, CK_NORMAL);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed != 0;
}
