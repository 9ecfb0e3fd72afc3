/* SPDX-License-Identifier: MIT */
/*
 * Superpackets, compared with the twin. Bytes 0 and 1: gso type and flags, 2 and 3: gso_size, 4: size of frames; then
 * the packet.
 */
#include "tests/fuzz/fuzz_area.h"
#include "tests/unit/offload/segment_twin.h"
#include "user/net/pkt_csum.h"
#include "user/offload/segment.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void compare(struct area *a, struct pkt *p, bool complete)
{
	static struct bytes super, want, got;
	uint32_t l3 = (uint32_t)(p->l3 - p->off), l4 = (uint32_t)(p->l4 - p->off);
	uint32_t payload = (uint32_t)(p->payload - p->off), gso_size = p->gso_size, i;
	bool tcp = p->gso != PKT_GSO_UDP, partial = p->csum == PKT_CSUM_PARTIAL, no_csum;
	struct segmenter s;
	struct pkt *q;

	super.len = pkt_copy_out(a, p, 0, super.b, BYTES_MAX);
	if (segment_begin(&s, a, p, complete ? SEGMENT_CSUM_COMPLETE : SEGMENT_CSUM_PARTIAL) != DROP_NONE) {
		pkt_put(a, p);
		return;
	}
	no_csum = s.no_csum;
	for (i = 0; (q = segment_next(&s, a)) != NULL; i++) {
		must(twin_segment(&super, l3, l4, payload, tcp, no_csum, gso_size, i, &want));
		must(pkt_csum_complete(a, q) == DROP_NONE);
		got.len = pkt_copy_out(a, q, 0, got.b, BYTES_MAX);
		must(got.len == want.len);
		/* A partial sum that was wrong, or over a routing header's destination, stays so. */
		if (partial) {
			memset(got.b + l4 + (tcp ? 16 : 6), 0, 2);
			memset(want.b + l4 + (tcp ? 16 : 6), 0, 2);
		}
		must(memcmp(got.b, want.b, got.len) == 0);
		pkt_put(a, q);
	}
	must(s.done && !twin_segment(&super, l3, l4, payload, tcp, no_csum, gso_size, i, &want));
	segment_end(&s, a);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct area *a = fuzz_area();
	struct pkt *p;

	if (size < 6 || size > 8000)
		return 0;
	p = fuzz_pkt(a, data + 5, (uint32_t)size - 5, 64 + data[4] * 7u);
	if (pkt_parse_eth(p) != DROP_NONE) {
		pkt_put(a, p);
		fuzz_area_check(a);
		return 0;
	}
	pkt_trim(a, p, p->total_bytes);
	p->gso = data[0] % 5;
	p->gso_size = (uint16_t)(data[2] << 8 | data[3]);
	pkt_find_partial(p);
	if (data[1] & 1) {
		p->csum = PKT_CSUM_PARTIAL;
		p->csum_start = (uint16_t)(p->l4 + (data[1] >> 6));
		p->csum_offset = p->gso == PKT_GSO_UDP ? 6 : 16;
	}
	if (data[1] & 2)
		p->csum = PKT_CSUM_COMPLETE;
	compare(a, p, data[1] & 4);
	fuzz_area_check(a);
	return 0;
}
