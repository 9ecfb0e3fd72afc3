/* SPDX-License-Identifier: MIT */
/* An area for fuzz targets, in it packets of any bytes, and the check that no frame is lost. */
#ifndef TESTS_FUZZ_FUZZ_AREA_H
#define TESTS_FUZZ_FUZZ_AREA_H

#include "common/bytes.h"
#include "user/packet/area.h"

#include <stdlib.h>

/* An assertion that is there in every build. */
#define must(what) do { if (!(what)) abort(); } while (0)

static inline struct area *fuzz_area(void)
{
	static struct area *a;
	const struct area_params params = { .n_frames = 512, .chunk_bytes = 2048, .huge = AREA_HUGE_NO };

	if (!a)
		must(area_create(&a, &params, NULL) == 0);
	return a;
}

static inline void fuzz_area_check(const struct area *a)
{
	must(area_leaks(a) == 0);
}

/* A packet of these bytes in frames of at most @frame_bytes. */
static inline struct pkt *fuzz_pkt(struct area *a, const uint8_t *b, uint32_t len, uint32_t frame_bytes)
{
	struct pkt *head = NULL, *tail = NULL;
	uint32_t at = 0;

	frame_bytes = min_u32(frame_bytes, a->chunk_bytes - PKT_HEADROOM_BYTES);
	do {
		uint32_t n = min_u32(len - at, frame_bytes);
		struct pkt *p = area_alloc(a);

		memcpy(pkt_data(p), b + at, n);
		p->len = (uint16_t)n;
		at += n;
		if (tail) {
			tail->next = p->frame;
			head->n_frames++;
		} else {
			head = p;
		}
		tail = p;
	} while (at < len);
	head->total_bytes = len;
	return head;
}

#endif
