/* SPDX-License-Identifier: MIT */
/* Packets made from another packet: fragments, segments. */
#ifndef USER_NET_DERIVE_H
#define USER_NET_DERIVE_H

#include "user/packet/area.h"

/**
 * pkt_inherit() - Give a new packet all metadata of another one: where it came from, its way out, its headers.
 *
 * Not what belongs to the frame, and nothing of length, chain and references: the new packet stays as empty as
 * area_alloc() made it. Offsets are those of @from; the caller puts its headers there or corrects them.
 */
static inline void pkt_inherit(struct pkt *to, const struct pkt *from)
{
	struct pkt own = *to;

	*to = *from;
	to->buf = own.buf;
	to->frame = own.frame;
	to->next = PKT_NONE;
	to->total_bytes = 0;
	to->off = own.off;
	to->len = 0;
	to->place = own.place;
	to->n_frames = 1;
	to->refs = 0;
	to->queue = own.queue;
	to->area = own.area;
}

#endif
