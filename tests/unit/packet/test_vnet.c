/* SPDX-License-Identifier: MIT */
#include "user/packet/vnet.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

#include <sluice/compat.h>

#include "common/bytes.h"

#define V4 0x45
#define V6 0x60

static uint8_t frame[2048];
static struct pkt pkt;

/* What matters of an IP packet: version, IHL, protocol, and the TCP data offset where a transport header may stand. */
static struct pkt *packet(uint8_t first, uint8_t proto, uint16_t off, uint16_t len, uint32_t total)
{
	memset(frame, 0, sizeof(frame));
	memset(&pkt, 0, sizeof(pkt));
	pkt.buf = frame;
	pkt.next = PKT_NONE;
	pkt.n_frames = 1;
	pkt.off = off;
	pkt.len = len;
	pkt.total_bytes = total;
	frame[off] = first;
	frame[off + 9] = first >> 4 == 4 ? proto : 0;
	if (first >> 4 == 6)
		frame[off + 6] = proto;
	frame[off + 20 + 12] = 0x50;	/* TCP data offset behind 20 or 40 bytes of IP */
	frame[off + 24 + 12] = 0x80;
	frame[off + 40 + 12] = 0x50;
	return &pkt;
}

#define CSUM VIRTIO_NET_HDR_F_NEEDS_CSUM
#define TCP4 VIRTIO_NET_HDR_GSO_TCPV4
#define TCP6 VIRTIO_NET_HDR_GSO_TCPV6
#define USO  VIRTIO_NET_HDR_GSO_UDP_L4
#define ECN  VIRTIO_NET_HDR_GSO_ECN

static const struct {
	const char *name;
	uint8_t first, proto;
	uint16_t len;			/* in the first frame */
	uint32_t total;
	struct virtio_net_hdr h;
	enum drop want;
	enum pkt_gso gso;
	uint16_t segs;
} reads[] = {
#define H(f, t, size, start, offset)                                                                                   \
	{ .flags = (f), .gso_type = (t), .gso_size = (size), .csum_start = (start), .csum_offset = (offset),           \
	  .hdr_len = 7 }
	{ "plain", V4, 6, 100, 100, H(0, 0, 0, 0, 0), DROP_NONE, 0, 0 },
	{ "partial TCP", V4, 6, 100, 100, H(CSUM, 0, 0, 20, 16), DROP_NONE, 0, 0 },
	{ "partial, field at the very end", V4, 17, 28, 28, H(CSUM, 0, 0, 20, 6), DROP_NONE, 0, 0 },
	{ "partial, field beyond the packet", V4, 17, 27, 27, H(CSUM, 0, 0, 20, 6), DROP_csum_bad, 0, 0 },
	{ "partial, field beyond the first frame", V4, 6, 30, 3000, H(CSUM, 0, 0, 20, 16), DROP_csum_bad, 0, 0 },
	{ "partial, within the IP header", V4, 6, 100, 100, H(CSUM, 0, 0, 19, 16), DROP_csum_bad, 0, 0 },
	{ "partial, numbers that wrap", V4, 6, 100, 100, H(CSUM, 0, 0, 65535, 65535), DROP_csum_bad, 0, 0 },
	{ "TSO4", V4, 6, 1700, 14640, H(CSUM, TCP4, 1460, 20, 16), DROP_NONE, PKT_GSO_TCP4, 10 },
	{ "TSO4, a last segment of one byte", V4, 6, 1700, 40 + 1461, H(CSUM, TCP4, 1460, 20, 16), DROP_NONE,
	  PKT_GSO_TCP4, 2 },
	{ "TSO4 that is one segment", V4, 6, 1500, 1500, H(CSUM, TCP4, 1460, 20, 16), DROP_NONE, PKT_GSO_NONE, 0 },
	{ "TSO4 without payload", V4, 6, 40, 40, H(CSUM, TCP4, 1460, 20, 16), DROP_NONE, PKT_GSO_NONE, 0 },
	{ "TSO4 with ECN", V4, 6, 1700, 14640, H(CSUM, TCP4 | ECN, 1460, 20, 16), DROP_NONE, PKT_GSO_TCP4, 10 },
	{ "TSO4 with IP options", 0x46, 6, 1700, 2000, H(CSUM, TCP4, 500, 24, 16), DROP_NONE, PKT_GSO_TCP4, 4 },
	{ "TSO6", V6, 6, 1700, 14460, H(CSUM, TCP6, 1440, 40, 16), DROP_NONE, PKT_GSO_TCP6, 10 },
	{ "TSO6, segments smaller than the headers", V6, 6, 1700, 160, H(CSUM, TCP6, 10, 40, 16), DROP_NONE,
	  PKT_GSO_TCP6, 10 },
	{ "USO over IPv4", V4, 17, 1700, 5028, H(CSUM, USO, 1000, 20, 6), DROP_NONE, PKT_GSO_UDP, 5 },
	{ "USO over IPv6", V6, 17, 1700, 5048, H(CSUM, USO, 1000, 40, 6), DROP_NONE, PKT_GSO_UDP, 5 },
	{ "TSO4 of an IPv6 packet", V6, 6, 1700, 3000, H(CSUM, TCP4, 1000, 40, 16), DROP_gso_bad, 0, 0 },
	{ "TSO6 of an IPv4 packet", V4, 6, 1700, 3000, H(CSUM, TCP6, 1000, 20, 16), DROP_gso_bad, 0, 0 },
	{ "no version", 0x05, 6, 1700, 3000, H(CSUM, TCP4, 1000, 20, 16), DROP_gso_bad, 0, 0 },
	{ "TSO of UDP", V4, 17, 1700, 3000, H(CSUM, TCP4, 1000, 20, 16), DROP_gso_bad, 0, 0 },
	{ "USO of TCP", V4, 6, 1700, 3000, H(CSUM, USO, 1000, 20, 6), DROP_gso_bad, 0, 0 },
	{ "USO with ECN", V4, 17, 1700, 3000, H(CSUM, USO | ECN, 1000, 20, 6), DROP_gso_bad, 0, 0 },
	{ "GSO without partial checksum", V4, 6, 1700, 3000, H(0, TCP4, 1000, 20, 16), DROP_gso_bad, 0, 0 },
	{ "GSO of size 0", V4, 6, 1700, 3000, H(CSUM, TCP4, 0, 20, 16), DROP_gso_bad, 0, 0 },
	{ "checksum not behind the IP header", V4, 6, 1700, 3000, H(CSUM, TCP4, 1000, 24, 16), DROP_gso_bad, 0, 0 },
	{ "checksum not TCP's", V4, 6, 1700, 3000, H(CSUM, TCP4, 1000, 20, 6), DROP_gso_bad, 0, 0 },
	{ "TCP header beyond the first frame", V4, 6, 39, 3000, H(CSUM, TCP4, 1000, 20, 16), DROP_gso_bad, 0, 0 },
	{ "ECN alone", V4, 6, 1700, 3000, H(CSUM, ECN, 1000, 20, 16), DROP_gso_bad, 0, 0 },
	{ "unknown type", V4, 6, 1700, 3000, H(CSUM, 2, 1000, 20, 16), DROP_gso_bad, 0, 0 },
	{ "UFO", V4, 17, 1700, 3000, H(CSUM, VIRTIO_NET_HDR_GSO_UDP, 1000, 20, 6), DROP_gso_unsupported, 0, 0 },
	{ "shorter than any IP header", V4, 6, 12, 12, H(0, 0, 0, 0, 0), DROP_NONE, 0, 0 },
	{ "GSO of that", V4, 6, 12, 3000, H(CSUM, TCP4, 1000, 20, 16), DROP_csum_bad, 0, 0 },
};

START_TEST(vnet_read_cases)
{
	struct pkt *p = packet(reads[_i].first, reads[_i].proto, 256, reads[_i].len, reads[_i].total);
	const struct virtio_net_hdr *h = &reads[_i].h;

	ck_assert_msg(vnet_read(p, h) == reads[_i].want, "%s", reads[_i].name);
	if (reads[_i].want != DROP_NONE)
		return;
	ck_assert_msg(p->gso == reads[_i].gso, "%s", reads[_i].name);
	ck_assert_msg(p->gso_segs == reads[_i].segs, "%s: %u segments", reads[_i].name, p->gso_segs);
	if (p->gso) {
		ck_assert_uint_eq(p->gso_size, h->gso_size);
		ck_assert_uint_eq(!!(p->flags & PKT_GSO_ECN), !!(h->gso_type & ECN));
	}
	if (h->flags & CSUM) {
		ck_assert_uint_eq(p->csum, PKT_CSUM_PARTIAL);
		ck_assert_uint_eq(p->csum_start, 256 + h->csum_start);
		ck_assert_uint_eq(p->csum_offset, h->csum_offset);
	} else {
		ck_assert_uint_eq(p->csum, PKT_CSUM_NONE);
	}
}
END_TEST

START_TEST(vnet_read_data_valid)
{
	struct virtio_net_hdr h = { .flags = VIRTIO_NET_HDR_F_DATA_VALID };

	ck_assert_int_eq(vnet_read(packet(V4, 6, 256, 100, 100), &h), DROP_NONE);
	ck_assert_uint_eq(pkt.csum, PKT_CSUM_COMPLETE);
}
END_TEST

/* What is read is what is written, with hdr_len right, wherever the packet begins in its frame. */
START_TEST(vnet_write_gives_it_back)
{
	struct pkt *p = packet(reads[_i].first, reads[_i].proto, 256, reads[_i].len, reads[_i].total);
	struct virtio_net_hdr h;

	if (reads[_i].want != DROP_NONE || vnet_read(p, &reads[_i].h) != DROP_NONE)
		return;
	/* An Ethernet header in front that is not given away. */
	p->off -= 14;
	p->len += 14;
	p->total_bytes += 14;
	ck_assert_int_eq(vnet_write(p, 256, &h), DROP_NONE);
	ck_assert_uint_eq(h.flags, reads[_i].h.flags & CSUM);
	ck_assert_uint_eq(h.csum_start, reads[_i].h.csum_start);
	ck_assert_uint_eq(h.csum_offset, reads[_i].h.csum_offset);
	if (p->gso) {
		ck_assert_uint_eq(h.gso_type, reads[_i].h.gso_type);
		ck_assert_uint_eq(h.gso_size, reads[_i].h.gso_size);
		ck_assert_int_eq(h.hdr_len, h.csum_start + (p->gso == PKT_GSO_UDP ? 8 :
							    (frame[256 + h.csum_start + 12] >> 4) * 4));
	} else {
		ck_assert_uint_eq(h.gso_type, 0);
		ck_assert_uint_eq(h.gso_size, 0);
	}
	/* With it. */
	if (p->csum == PKT_CSUM_PARTIAL && !p->gso) {
		ck_assert_int_eq(vnet_write(p, p->off, &h), DROP_NONE);
		ck_assert_uint_eq(h.csum_start, reads[_i].h.csum_start + 14);
	}
}
END_TEST

START_TEST(vnet_write_rejects)
{
	struct virtio_net_hdr h;
	struct pkt *p = packet(V4, 6, 256, 1700, 3000);

	p->csum = PKT_CSUM_PARTIAL;
	p->csum_start = 255;
	p->csum_offset = 16;
	ck_assert_int_eq(vnet_write(p, 256, &h), DROP_csum_bad);
	p->csum_start = 256 + 1700 - 17;
	ck_assert_int_eq(vnet_write(p, 256, &h), DROP_csum_bad);
	p->csum_start = 276;
	p->gso = PKT_GSO_TCP4;
	ck_assert_int_eq(vnet_write(p, 256, &h), DROP_gso_bad);
	p->gso_size = 1000;
	ck_assert_int_eq(vnet_write(p, 256, &h), DROP_NONE);
	frame[276 + 12] = 0x40;		/* a TCP header of 16 bytes */
	ck_assert_int_eq(vnet_write(p, 256, &h), DROP_gso_bad);
	frame[276 + 12] = 0x50;
	p->csum = PKT_CSUM_COMPLETE;
	ck_assert_int_eq(vnet_write(p, 256, &h), DROP_gso_bad);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("vnet");
	TCase *tc = tcase_create("vnet");
	SRunner *r = srunner_create(s);
	int failed;

	tcase_add_loop_test(tc, vnet_read_cases, 0, ARRAY_SIZE(reads));
	tcase_add_test(tc, vnet_read_data_valid);
	tcase_add_loop_test(tc, vnet_write_gives_it_back, 0, ARRAY_SIZE(reads));
	tcase_add_test(tc, vnet_write_rejects);
	suite_add_tcase(s, tc);
	srunner_run_all(r, CK_NORMAL);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
