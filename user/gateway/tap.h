/* SPDX-License-Identifier: MIT */
/*
 * Captures: copies of what ports receive and send, chosen by a classic BPF program, put on a ring for the control
 * thread. A full ring loses records, counts them, and never holds up the packet.
 */
#ifndef USER_GATEWAY_TAP_H
#define USER_GATEWAY_TAP_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "common/fault.h"
#include "user/packet/port.h"

#define TAPS_MAX 4		/* captures at a time */
#define TAP_FILTER_MAX 512	/* instructions of a filter */

struct bpf_insn;
struct taps;

enum tap_dir { TAP_IN = 1, TAP_OUT = 2 };

/* One captured packet; its bytes follow. */
struct tap_record {
	uint64_t time_ns;	/* CLOCK_REALTIME */
	uint32_t wire_bytes;	/* of the packet */
	uint32_t cap_bytes;	/* of the copy */
	uint16_t port;
	uint16_t queue;		/* of the device */
	uint8_t dir;		/* enum tap_dir */
	uint8_t has_l2;		/* starts with an Ethernet header, else with the IP header */
};

struct tap_params {
	uint16_t port;
	uint8_t dirs;		/* enum tap_dir, or-ed */
	uint32_t snap_bytes;	/* copied of each packet at most */
	uint32_t ring_bytes;	/* a power of two */
	bool has_l2;
	const struct bpf_insn *filter;	/* NULL: everything */
	unsigned int n_filter;
};

int taps_create(struct taps **out, struct fault *f);
void taps_destroy(struct taps *t);

/**
 * taps_start() - Capture from now on. Workers paused.
 * Return: 0 and the tap's number in @id; -EINVAL for a filter that does not validate; -EBUSY when TAPS_MAX run
 */
int taps_start(struct taps *t, const struct tap_params *params, unsigned int *id, struct fault *f);

/** taps_stop() - Workers paused. What is still in the ring is gone. */
void taps_stop(struct taps *t, unsigned int id);

/** taps_ports() - Ports that a capture runs on, by bit: worker->tapping. */
uint32_t taps_ports(const struct taps *t);

/**
 * taps_read() - Control thread: the oldest record, or NULL. Undone by taps_release().
 */
const struct tap_record *taps_read(struct taps *t, unsigned int id);
void taps_release(struct taps *t, unsigned int id);

/** taps_lost() - Packets that matched and found the ring full. Any thread. */
uint64_t taps_lost(const struct taps *t, unsigned int id);

/** taps_batch() - The worker's side: look at packets that came by a queue, or are going by it. */
void taps_batch(struct taps *t, const struct port_queue *q, enum tap_dir dir, struct pkt *const *pkts, unsigned int n);

#endif
