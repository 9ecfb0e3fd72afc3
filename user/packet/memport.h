/* SPDX-License-Identifier: MIT */
/*
 * A port in plain memory, for tests and for counting instructions: the rings and the packet path are those of an AF_XDP
 * socket (xskq.c), but no kernel is behind them. The caller plays it: memport_inject() takes frames from the fill ring
 * and receives into them, memport_capture() reads the transmit ring and completes. Nothing happens in between, so a
 * ring that is full stays so until the caller makes room.
 *
 * What a packet costs here is what it costs on a socket, system calls left out.
 */
#ifndef USER_PACKET_MEMPORT_H
#define USER_PACKET_MEMPORT_H

#include <stdbool.h>
#include <stdint.h>

#include "common/fault.h"
#include "user/packet/port.h"

struct memport_params {
	uint32_t ring_entries;		/* of each of the four; a power of two; 0: 256 */
	uint32_t rx_offset;		/* where frames are received; 0: PKT_HEADROOM_BYTES, as XDP does */
	uint32_t buffer_bytes;		/* most bytes in one buffer; 0: what the chunk has room for */
	uint32_t tx_frames_max;		/* 0: 1 */
	bool tx_metadata;		/* the port takes partial checksums */
	bool rx_meta;			/* injected frames have a struct sluice_rx_meta below them */
	uint32_t caps;			/* enum port_cap beyond what follows from the above */
};

/**
 * memport_open() - Open one queue.
 * @port: name and id are set; caps, mode and queues are filled in
 */
int memport_open(struct port *port, const struct port_queue_params *queue, const struct memport_params *params,
		 struct port_queue **out, struct fault *f);

/**
 * memport_inject() - Let the port receive a packet, cut into as many buffers as it needs.
 * @meta: bytes to stand below the packet, @meta_bytes long; NULL when 0
 *
 * Return: 0, -ENOBUFS when the fill ring is empty, -ENOSPC when the reception ring is full; nothing happens then
 */
int memport_inject_meta(struct port_queue *q, const void *packet, uint32_t len, const void *meta, uint32_t meta_bytes);

static inline int memport_inject(struct port_queue *q, const void *packet, uint32_t len)
{
	return memport_inject_meta(q, packet, len, NULL, 0);
}

/** memport_inject_desc() - Put any descriptor into the reception ring, as a broken kernel might. */
int memport_inject_desc(struct port_queue *q, uint64_t addr, uint32_t len, uint32_t options);

/** memport_steal() - Take a frame from the fill ring and keep it, as the kernel may. Return: its address or -ENOBUFS */
int64_t memport_steal(struct port_queue *q);

struct memport_sent {
	uint32_t bytes;
	uint32_t n_frames;
	bool partial;			/* the kernel is asked to finish the checksum */
	uint16_t csum_start, csum_offset;	/* from the packet's start */
};

/**
 * memport_capture() - Take the oldest packet from the transmit ring and complete its frames.
 * @to: receives its first @room bytes; may be NULL
 *
 * Return: false when there is none, or when the completion ring is full because the port has not been flushed
 */
bool memport_capture(struct port_queue *q, void *to, uint32_t room, struct memport_sent *sent);

/** memport_drain() - Complete whatever is in the transmit ring. Return: how many packets */
uint32_t memport_drain(struct port_queue *q);

#endif
