/* SPDX-License-Identifier: MIT */
/*
 * Why was this packet dropped, or sent where it was? A tracer follows chosen packets through the stages of one worker
 * and writes a record at each; the control thread turns records into text. While nobody traces, the cost is one test
 * for each stage and batch.
 *
 * Packets are chosen as they are received: by port, by a classic BPF program, every Nth of these.
 */
#ifndef USER_GATEWAY_TRACE_H
#define USER_GATEWAY_TRACE_H

#include <stdbool.h>
#include <stdint.h>

#include "common/fault.h"
#include "user/packet/area.h"
#include "user/packet/pkt.h"

#define TRACE_FILTER_MAX 512	/* instructions of a filter */

struct batch;
struct stage;
struct tracer;
struct bpf_insn;

enum trace_kind {
	TRACE_RX,		/* received by port_in */
	TRACE_STAGE,		/* entered a stage */
	TRACE_DROP,		/* dropped under a reason */
};

struct trace_record {
	uint64_t time_ns;	/* monotonic */
	uint64_t packet;	/* number of the traced packet, the same in all its records */
	const char *stage;	/* TRACE_STAGE: static text */
	uint8_t kind;		/* enum trace_kind */
	uint8_t family;
	uint8_t proto;
	uint8_t drop;		/* TRACE_DROP: enum drop */
	uint16_t port_in, iface_in;
	uint16_t port_out, iface_out;	/* known from stage "forward" on */
	uint32_t bytes;
	__be16 sport, dport;
	__be16 ether_type;
	uint8_t src[16], dst[16];
};

/** tracer_create() - @records: ring size, a power of two */
int tracer_create(struct tracer **out, uint32_t records, struct fault *f);
void tracer_destroy(struct tracer *t);

/* A classic BPF program; without instructions it takes every packet. */
struct trace_filter {
	const struct bpf_insn *insns;
	unsigned int n_insns;
};

struct trace_params {
	uint32_t ports;			/* of reception, by bit */
	uint32_t every;			/* of the packets that match, every Nth; 0 counts as 1 */
	struct trace_filter l2;		/* over packets with an Ethernet header */
	struct trace_filter ip;		/* over those without */
};

/**
 * tracer_start() - Trace from now on; what an earlier trace has left is forgotten. Workers paused.
 * @params: copied, filters included
 * Return: 0, -EINVAL for a filter that does not validate
 */
int tracer_start(struct tracer *t, const struct trace_params *params, struct fault *f);

/** tracer_stop() - Workers paused. */
void tracer_stop(struct tracer *t);

/**
 * tracer_read() - Control thread: hand out what was recorded.
 * Return: records handed out
 */
unsigned int tracer_read(struct tracer *t, void (*fn)(void *ctx, const struct trace_record *r), void *ctx);

/** tracer_lost() - Records that found the ring full, so far. Any thread. */
uint64_t tracer_lost(const struct tracer *t);

/* The worker's side. */
void trace_select(struct tracer *t, uint64_t now_ns, bool has_l2, struct pkt *p);
void trace_stage(struct tracer *t, uint64_t now_ns, const struct stage *s, const struct batch *in);
void trace_drop(struct tracer *t, uint64_t now_ns, const struct pkt *p, enum drop why);

#endif
