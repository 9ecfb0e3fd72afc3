/* SPDX-License-Identifier: MIT */
/*
 * Coalesce full-sized TCP segments, 64 a batch, so that `valgrind --tool=callgrind` can count what one costs:
 * insn_coalesce FLOWS SEGMENTS [--ip6] [--whole]
 *
 * Their checksums are partial, as a local sender's are, unless --whole asks for ones that must be verified over the
 * payload. The driver's part (making the packets, freeing what came out) is outside of what is counted: run with
 * --toggle-collect=coalesce_batch.
 */
#include "tests/unit/packet/frames.h"
#include "user/net/ipv4.h"
#include "user/net/pkt_csum.h"
#include "user/offload/coalesce.h"
#include "user/packet/wire.h"

#include <stdio.h>

#define BATCH 64
#define PAYLOAD_BYTES 1448

/* With a timestamp option, as nearly every segment has. */
static void make_template(struct bytes *f, bool ip6)
{
	uint32_t l4_bytes = 32 + PAYLOAD_BYTES;

	if (ip6)
		add_ip6(f, 6, l4_bytes);
	else
		add_ip4(f, 6, IP4_FRAG_DF, NULL, 0, l4_bytes);
	if (!ip6)
		ipv4_set_csum(f->b);
	add_tcp(f, 8, TCP_ACKED);
	add_fill(f, PAYLOAD_BYTES);
}

static struct pkt *segment(struct area *a, const struct bytes *f, uint16_t flow, uint32_t seq, bool whole)
{
	struct pkt *p = area_alloc(a);
	uint8_t *l4;

	if (!p)
		abort();
	memcpy(pkt_data(p), f->b, f->len);
	p->len = (uint16_t)f->len;
	p->total_bytes = f->len;
	if (pkt_parse_ip(p) != DROP_NONE)
		abort();
	l4 = pkt_l4(p);
	put_be16(l4, (uint16_t)(1000 + flow));
	put_be32(l4 + TCP_SEQ, seq);
	p->csum = PKT_CSUM_PARTIAL;
	p->csum_start = p->l4;
	p->csum_offset = TCP_CSUM;
	put_wire16(l4 + TCP_CSUM, (uint16_t)~csum_fold(pkt_pseudo_sum(p, pkt_l3_bytes(p) - (uint32_t)(p->l4 - p->l3))));
	if (whole) {
		(void)pkt_csum_complete(a, p);
		p->csum = PKT_CSUM_NONE;
	}
	return p;
}

int main(int argc, char **argv)
{
	static const struct area_params params = { .n_frames = 256, .chunk_bytes = 2048, .huge = AREA_HUGE_NO };
	static const struct siphash_key key = { 3, 4 };
	const uint32_t takes[] = { 1u << PKT_GSO_TCP4 | 1u << PKT_GSO_TCP6 };
	static struct coalescer c;
	static struct bytes f;
	struct pkt *in[BATCH], *out[BATCH];
	unsigned long segments, done = 0, left = 0;
	bool ip6 = false, whole = false;
	unsigned int flows, n_out;
	struct area *a;

	for (int i = 3; i < argc; i++) {
		ip6 |= strcmp(argv[i], "--ip6") == 0;
		whole |= strcmp(argv[i], "--whole") == 0;
	}
	flows = argc < 3 ? 0 : (unsigned int)strtoul(argv[1], NULL, 10);
	if (flows == 0 || flows > BATCH) {
		fprintf(stderr, "usage: insn_coalesce FLOWS SEGMENTS [--ip6] [--whole]\n");
		return 2;
	}
	segments = strtoul(argv[2], NULL, 10);
	if (area_create(&a, &params, NULL))
		return 1;
	coalesce_init(&c, &key);
	make_template(&f, ip6);
	while (done < segments) {
		for (unsigned int i = 0; i < BATCH; i++)
			in[i] = segment(a, &f, (uint16_t)(i % flows), i / flows * PAYLOAD_BYTES, whole);
		n_out = coalesce_batch(&c, a, in, BATCH, takes, out);
		for (unsigned int i = 0; i < n_out; i++)
			pkt_put(a, out[i]);
		done += BATCH;
		left += n_out;
	}
	printf("%lu segments left as %lu packets\n", done, left);
	return area_leaks(a) ? 1 : 0;
}
