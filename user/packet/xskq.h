/* SPDX-License-Identifier: MIT */
/*
 * The packet path of an AF_XDP queue: four rings, an area's frames, no system call of its own.
 *
 * DOC: Where the frames are
 *
 * A frame in the fill ring, in the kernel's hands for reception, or in a reception descriptor not yet read is in
 * PLACE_FILL; from tx() until the completion ring names it, it is in PLACE_TX; in both, pkt->queue says whose it is.
 * The kernel may keep frames that it took from the fill ring and never delivered, and keeps what it was given when the
 * device vanishes: so closing does not read the rings, it looks through the area for what bears the queue's index.
 *
 * A packet that somebody holds beside the transmit ring (pkt->refs) is marked PKT_TX_HELD on each of its frames and
 * released as a whole with its last frame, because a chain cannot go home while a part of it is the kernel's.
 *
 * xsk.c binds this to a socket, memport.c to rings in plain memory whose other side a test plays.
 */
#ifndef USER_PACKET_XSKQ_H
#define USER_PACKET_XSKQ_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "user/packet/port.h"
#include "user/packet/ring.h"

struct xskq {
	struct port_queue q;		/* first: what the engine holds a pointer to */
	struct ring rx, tx, fill, comp;
	uint8_t chunk_shift;
	bool rx_meta;			/* each received frame has a struct sluice_rx_meta below it */
	bool rx_skip;			/* the rest of a packet that was dropped is still to come */
	uint8_t tx_meta_bytes;		/* room below every descriptor that the kernel wants */
	_Atomic bool tx_csum;		/* metadata may ask it to finish checksums; cleared when it has refused */
	uint16_t tx_frames_max;		/* buffers of one packet; 1: no multi-buffer transmission */
	uint32_t fill_batch;		/* refill when so many entries are free */
	uint32_t fill_target;		/* frames to keep with the kernel */
	uint32_t n_fill;		/* frames with the kernel for reception */
	uint32_t n_tx;			/* frames with the kernel for transmission */
	bool tx_stalled;		/* the device is down or gone: the ring waits, nobody need look */
	struct pkt *rx_head, *rx_tail;	/* a packet whose last buffer has not arrived */
	void (*kick)(struct xskq *x);	/* make the kernel read the transmit ring */
	void (*wake_rx)(struct xskq *x);/* make the kernel read the fill ring; NULL: never needed */
	bool rx_poll;			/* an empty reception ring calls wake_rx: busy polling */
};

/** xskq_init() - Set what does not depend on the way the rings were made; the rings and @q are filled in already. */
void xskq_init(struct xskq *x);

/** xskq_fill() - Give the kernel frames for reception, as many as there is room for and the area has. */
void xskq_fill(struct xskq *x);

/** xskq_reap() - Take frames home that the kernel has sent. Return: how many */
uint32_t xskq_reap(struct xskq *x);

/** xskq_home() - Bring home whatever the kernel has, once it can no longer touch it. */
void xskq_home(struct xskq *x);

/**
 * xskq_finish_checksums() - Do in software what unread transmit descriptors ask of the kernel.
 *
 * For a kernel that has refused the first one: it would do so for ever. Only between two system calls in copy mode,
 * when the kernel does not read the ring. Return: how many packets
 */
uint32_t xskq_finish_checksums(struct xskq *x);

/* Operations of struct port_ops. */
unsigned int xskq_rx(struct port_queue *q, struct pkt **pkts, unsigned int max, uint64_t now_ns);
unsigned int xskq_tx(struct port_queue *q, struct pkt **pkts, unsigned int count);
void xskq_flush(struct port_queue *q);
bool xskq_pending(const struct port_queue *q);

#endif
