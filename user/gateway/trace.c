/* SPDX-License-Identifier: MIT */
#include "user/gateway/trace.h"

#include <errno.h>
#include <pcap/pcap.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "common/bytes.h"
#include "common/spsc.h"
#include "user/gateway/stage.h"

struct tracer {
	struct spsc ring;
	struct bpf_insn filter[2][TRACE_FILTER_MAX];	/* [0]: IP packets, [1]: Ethernet frames */
	bool filtered[2];
	bool on;
	uint32_t ports;
	uint32_t every, seen;
	uint64_t next_packet;
	_Atomic uint64_t lost;
};

int tracer_create(struct tracer **out, uint32_t records, struct fault *f)
{
	struct tracer *t = aligned_alloc(CACHE_LINE_BYTES, align_up(sizeof(*t), CACHE_LINE_BYTES));
	int err;

	if (!t)
		return fault_set(f, ENOMEM, "no memory for a tracer");
	memset(t, 0, sizeof(*t));
	err = spsc_init(&t->ring, records, sizeof(struct trace_record), f);
	if (err) {
		free(t);
		return err;
	}
	*out = t;
	return 0;
}

void tracer_destroy(struct tracer *t)
{
	if (!t)
		return;
	spsc_fini(&t->ring);
	free(t);
}

static int filter_take(struct tracer *t, bool l2, const struct trace_filter *filter, struct fault *f)
{
	t->filtered[l2] = filter->n_insns;
	if (!filter->n_insns)
		return 0;
	if (filter->n_insns > TRACE_FILTER_MAX || !bpf_validate(filter->insns, (int)filter->n_insns))
		return fault_set(f, EINVAL, "filter program is not valid");
	memcpy(t->filter[l2], filter->insns, filter->n_insns * sizeof(*filter->insns));
	return 0;
}

int tracer_start(struct tracer *t, const struct trace_params *params, struct fault *f)
{
	int err = filter_take(t, false, &params->ip, f);

	if (!err)
		err = filter_take(t, true, &params->l2, f);
	if (err)
		return err;
	spsc_release(&t->ring, spsc_peek(&t->ring, UINT32_MAX));
	t->ports = params->ports;
	t->every = params->every ? params->every : 1;
	t->seen = 0;
	t->on = true;
	return 0;
}

void tracer_stop(struct tracer *t)
{
	t->on = false;
}

unsigned int tracer_read(struct tracer *t, void (*fn)(void *ctx, const struct trace_record *r), void *ctx)
{
	uint32_t n = spsc_peek(&t->ring, UINT32_MAX);

	for (uint32_t i = 0; i < n; i++)
		fn(ctx, spsc_slot(&t->ring, i));
	spsc_release(&t->ring, n);
	return n;
}

uint64_t tracer_lost(const struct tracer *t)
{
	return atomic_load_explicit(&t->lost, memory_order_relaxed);
}

static struct trace_record *record(struct tracer *t, uint64_t now_ns, const struct pkt *p, enum trace_kind kind)
{
	struct trace_record *r;

	if (spsc_reserve(&t->ring, 1) == 0) {
		atomic_store_explicit(&t->lost, tracer_lost(t) + 1, memory_order_relaxed);
		return NULL;
	}
	r = spsc_free_slot(&t->ring, 0);
	*r = (struct trace_record){
		.time_ns = now_ns, .packet = p->trace_id, .kind = (uint8_t)kind,
		.family = p->family, .proto = p->proto,
		.port_in = p->port_in, .iface_in = p->iface_in, .port_out = p->port_out, .iface_out = p->iface_out,
		.bytes = p->total_bytes, .sport = p->sport, .dport = p->dport, .ether_type = p->ether_type,
	};
	if (p->family == AF_INET) {
		memcpy(r->src, pkt_l3(p) + 12, 4);
		memcpy(r->dst, pkt_l3(p) + 16, 4);
	} else if (p->family == AF_INET6) {
		memcpy(r->src, pkt_l3(p) + 8, 16);
		memcpy(r->dst, pkt_l3(p) + 24, 16);
	}
	return r;
}

void trace_select(struct tracer *t, uint64_t now_ns, bool has_l2, struct pkt *p)
{
	if (!t->on || !(t->ports >> p->port_in & 1))
		return;
	/* Filters are written for the packet's headers, which lie in its first frame. */
	if (t->filtered[has_l2] && bpf_filter(t->filter[has_l2], pkt_data(p), p->total_bytes, p->len) == 0)
		return;
	if (++t->seen < t->every)
		return;
	t->seen = 0;
	p->flags |= PKT_TRACE;
	p->trace_id = ++t->next_packet;
	if (record(t, now_ns, p, TRACE_RX))
		spsc_commit(&t->ring, 1);
}

void trace_stage(struct tracer *t, uint64_t now_ns, const struct stage *s, const struct batch *in)
{
	for (unsigned int i = 0; i < in->n; i++) {
		struct trace_record *r;

		if (!(in->pkt[i]->flags & PKT_TRACE))
			continue;
		r = record(t, now_ns, in->pkt[i], TRACE_STAGE);
		if (!r)
			continue;
		r->stage = s->name;
		spsc_commit(&t->ring, 1);
	}
}

void trace_drop(struct tracer *t, uint64_t now_ns, const struct pkt *p, enum drop why)
{
	struct trace_record *r = record(t, now_ns, p, TRACE_DROP);

	if (!r)
		return;
	r->drop = (uint8_t)why;
	spsc_commit(&t->ring, 1);
}
