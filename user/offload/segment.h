/* SPDX-License-Identifier: MIT */
/*
 * Segmentation in software: a superpacket becomes the packets that its sender would have sent without offload.
 *
 * Theory of operation. The stage in front of a port that cannot take a superpacket begins a segmenter and draws packets
 * from it, one frame each, as long as the next queue has room; it may stop at any point and go on in a later batch. The
 * superpacket stays where it is until the end, and its payload is copied once, into the segments.
 *
 * Each segment gets all headers, link layer, tags, options and extension headers included, and then: length fields;
 * IPv4 identification + 1 for each; TCP sequence; FIN and PSH on the last only, CWR on the first only.
 */
#ifndef USER_OFFLOAD_SEGMENT_H
#define USER_OFFLOAD_SEGMENT_H

#include "user/packet/area.h"

enum segment_csum {
	SEGMENT_CSUM_PARTIAL,	/* leave the payload's sum to the port */
	SEGMENT_CSUM_COMPLETE,
};

struct segmenter {
	struct pkt *super;
	const struct pkt *from;		/* frame that holds the next payload byte */
	uint32_t from_at;		/* its offset from that frame's packet start */
	uint32_t left_bytes;		/* payload that is in no segment yet */
	uint32_t sent_bytes;
	uint32_t l4_bytes;		/* TCP or UDP length of the superpacket */
	uint16_t n;			/* segments made */
	bool complete;			/* checksums */
	bool no_csum;			/* UDP over IPv4 that was sent without one */
	bool done;
};

/**
 * segment_begin() - Take over a superpacket.
 * @super: parsed, with gso set; its checksum partial, or whole and right
 *
 * Return: DROP_NONE, and the packet belongs to @s until segment_end(). Otherwise it is still the caller's:
 * DROP_gso_unsupported for a type that is not known; DROP_gso_bad when gso type, size or checksum offsets contradict
 * the headers, or the headers cannot be repeated (SYN, RST, fragments); DROP_csum_bad for a wrong checksum;
 * DROP_too_long when a segment does not fit into a frame
 */
enum drop segment_begin(struct segmenter *s, const struct area *a, struct pkt *super, enum segment_csum csum);

/**
 * segment_next() - The next segment, parsed.
 * Return: a packet; or NULL: all are made when @s->done is set, else there was no frame
 */
struct pkt *segment_next(struct segmenter *s, struct area *a);

/** segment_end() - Free the superpacket, whether all its segments were made or not. */
void segment_end(struct segmenter *s, struct area *a);

#endif
