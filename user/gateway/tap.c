/* SPDX-License-Identifier: MIT */
#include "user/gateway/tap.h"

#include <errno.h>
#include <pcap/pcap.h>
#include <stdlib.h>
#include <string.h>

#include "common/clock.h"
#include "common/record_ring.h"

struct tap {
	struct record_ring ring;
	struct bpf_insn filter[TAP_FILTER_MAX];
	bool filtered, on;
	struct tap_params params;
	_Atomic uint64_t lost;
};

struct taps {
	struct tap tap[TAPS_MAX];
};

int taps_create(struct taps **out, struct fault *f)
{
	struct taps *t = aligned_alloc(CACHE_LINE_BYTES, align_up(sizeof(*t), CACHE_LINE_BYTES));

	if (!t)
		return fault_set(f, ENOMEM, "no memory for captures");
	memset(t, 0, sizeof(*t));
	*out = t;
	return 0;
}

void taps_destroy(struct taps *t)
{
	if (!t)
		return;
	for (unsigned int i = 0; i < TAPS_MAX; i++)
		taps_stop(t, i);
	free(t);
}

int taps_start(struct taps *t, const struct tap_params *params, unsigned int *id, struct fault *f)
{
	unsigned int i;
	struct tap *tap;
	int err;

	for (i = 0; i < TAPS_MAX && t->tap[i].on; i++)
		;
	if (i == TAPS_MAX)
		return fault_set(f, EBUSY, "%d captures run already", TAPS_MAX);
	tap = &t->tap[i];
	if (params->filter) {
		if (params->n_filter > TAP_FILTER_MAX || !bpf_validate(params->filter, (int)params->n_filter))
			return fault_set(f, EINVAL, "filter program is not valid");
		memcpy(tap->filter, params->filter, params->n_filter * sizeof(*params->filter));
	}
	err = record_ring_init(&tap->ring, params->ring_bytes, f);
	if (err)
		return err;
	tap->filtered = params->filter;
	tap->params = *params;
	atomic_store_explicit(&tap->lost, 0, memory_order_relaxed);
	tap->on = true;
	*id = i;
	return 0;
}

void taps_stop(struct taps *t, unsigned int id)
{
	struct tap *tap = &t->tap[id];

	if (!tap->on)
		return;
	tap->on = false;
	record_ring_fini(&tap->ring);
}

uint32_t taps_ports(const struct taps *t)
{
	uint32_t ports = 0;

	for (unsigned int i = 0; i < TAPS_MAX; i++)
		if (t->tap[i].on)
			ports |= 1u << t->tap[i].params.port;
	return ports;
}

const struct tap_record *taps_read(struct taps *t, unsigned int id)
{
	uint32_t len;

	return record_ring_peek(&t->tap[id].ring, &len);
}

void taps_release(struct taps *t, unsigned int id)
{
	record_ring_release(&t->tap[id].ring);
}

uint64_t taps_lost(const struct taps *t, unsigned int id)
{
	return atomic_load_explicit(&t->tap[id].lost, memory_order_relaxed);
}

static void tap_packet(struct tap *tap, const struct port_queue *q, uint64_t now_ns, enum tap_dir dir,
		       const struct pkt *p)
{
	uint32_t cap = min_u32(p->total_bytes, tap->params.snap_bytes);
	struct tap_record *r;

	/* The filter sees the first frame, where all headers are. */
	if (tap->filtered && bpf_filter(tap->filter, pkt_data(p), p->total_bytes, p->len) == 0)
		return;
	r = record_ring_reserve(&tap->ring, (uint32_t)sizeof(*r) + cap);
	if (!r) {
		atomic_fetch_add_explicit(&tap->lost, 1, memory_order_relaxed);
		return;
	}
	*r = (struct tap_record){
		.time_ns = now_ns, .wire_bytes = p->total_bytes, .port = tap->params.port, .queue = q->qid,
		.dir = (uint8_t)dir, .has_l2 = tap->params.has_l2,
	};
	r->cap_bytes = pkt_copy_out(q->area, p, 0, r + 1, cap);
	record_ring_commit(&tap->ring);
}

void taps_batch(struct taps *t, const struct port_queue *q, enum tap_dir dir, struct pkt *const *pkts, unsigned int n)
{
	uint64_t now_ns = clock_real_ns();

	for (unsigned int i = 0; i < TAPS_MAX; i++) {
		struct tap *tap = &t->tap[i];

		if (!tap->on || tap->params.port != q->port->id || !(tap->params.dirs & dir))
			continue;
		for (unsigned int k = 0; k < n; k++)
			tap_packet(tap, q, now_ns, dir, pkts[k]);
	}
}
