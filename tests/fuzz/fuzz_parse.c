/* SPDX-License-Identifier: MIT */
/* The parser against its twin: byte 0 selects where the packet starts, byte 1 where its first frame ends. */
#include "user/packet/pkt.h"

#include "common/siphash.h"
#include "tests/unit/packet/frames.h"
#include "tests/unit/packet/parse_twin.h"

#include <stdio.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct siphash_key key = { 1, 2 };
	const char *differs;
	uint32_t len, cut;
	struct exact e;
	struct pkt *p;
	struct twin t;
	enum drop why;
	bool l2, split;

	if (size < 2 || size > 10000)
		return 0;
	l2 = data[0] & 1;
	split = data[0] & 2;
	len = (uint32_t)size - 2;
	cut = min_u32(data[1], len);
	t = twin_parse(data + 2, len, split ? cut : len, l2);
	p = exact_make(&e, data + 2, len, &cut, split ? 2 : 1);
	why = l2 ? pkt_parse_eth(p) : pkt_parse_ip(p);
	differs = twin_differs(&t, why, p, 0);
	if (differs) {
		fprintf(stderr, "%s differs\n", differs);
		abort();
	}
	if (why == DROP_NONE && p->family) {
		pkt_find_partial(p);
		pkt_flow_hash(p, &key);
	}
	exact_free(&e);
	return 0;
}
