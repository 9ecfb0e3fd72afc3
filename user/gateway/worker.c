/* SPDX-License-Identifier: MIT */
#include "user/gateway/worker.h"

#include <errno.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/log.h"
#include "user/gateway/engine.h"
#include "user/gateway/tap.h"
#include "user/gateway/trace.h"

#define PENDING_WAIT_MIN_NS NS_PER_MS
#define PENDING_WAIT_MAX_NS NS_PER_S

/* The graph, upstream first. A stage's edges lead down this list but where edge_push_back() is used. */
static const struct stage *const graph[] = {
	&stage_input,
	&stage_punt,
	&stage_ip4_input,
	&stage_ip6_input,
	&stage_ip_local,
	&stage_forward,
	&stage_icmp_error,
	&stage_ip_out,
	&stage_segment,
	&stage_fragment,
	&stage_neigh,
	&stage_coalesce,
	&stage_tx,
};

static unsigned int stage_find(const char *name)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(graph); i++)
		if (strcmp(graph[i]->name, name) == 0)
			break;
	return i;
}

static int graph_init(struct worker *w, struct fault *f)
{
	static_assert(ARRAY_SIZE(graph) <= STAGES_MAX, "the worker has room for the graph");
	static_assert(STAGES_MAX <= 32, "a word has a bit for each stage");

	w->n_stages = ARRAY_SIZE(graph);
	for (unsigned int i = 0; i < w->n_stages; i++) {
		w->stages[i] = graph[i];
		w->edges[i].w = w;
		for (unsigned int e = 0; e < STAGE_EDGES_MAX && graph[i]->next[e]; e++) {
			unsigned int to = stage_find(graph[i]->next[e]);

			if (to == w->n_stages)
				return fault_set(f, EINVAL, "stage %s: edge to unknown stage %s", graph[i]->name,
						 graph[i]->next[e]);
			w->edges[i].to[e] = &w->queue[to];
			w->edges[i].stage[e] = (uint8_t)to;
			w->edges[i].n = e + 1;
		}
	}
	w->inject_to = &w->queue[stage_find("tx")];
	w->neigh_stage = stage_find("neigh");
	return 0;
}

void worker_drop(struct worker *w, struct pkt *p, enum drop why)
{
	w->drops[why]++;
	if (unlikely(p->flags & PKT_TRACE))
		trace_drop(w->tracer, w->now_ns, p, why);
	pkt_put(w->area, p);
}

void edge_drop(struct edges *out, struct pkt *p, enum drop why)
{
	worker_drop(out->w, p, why);
}

int worker_init(struct worker *w, struct fault *f)
{
	int err;

	w->wake_fd = -1;
	err = graph_init(w, f);
	if (err)
		return err;
	err = siphash_key_random(&w->hash_key, f);
	if (err)
		return err;
	coalesce_init(&w->coalescer, &w->hash_key);
	w->now_ns = clock_mono_ns();
	ratelimit_init(&w->icmp_errors, w->limits.icmp_error_rate, w->limits.icmp_error_burst, w->now_ns);
	ratelimit_init(&w->echo_replies, w->limits.echo_rate, w->limits.echo_burst, w->now_ns);
	if (w->limits.neigh_queue_pkts > NEIGH_WAIT_PKTS_MAX)
		w->limits.neigh_queue_pkts = NEIGH_WAIT_PKTS_MAX;
	if (w->limits.neigh_queue_pkts == 0)
		w->limits.neigh_queue_pkts = 1;	/* RFC 1122 2.3.2.2 */
	w->wake_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	if (w->wake_fd < 0)
		return fault_errno(f, "eventfd");
	err = spsc_init(&w->to_control, 256, sizeof(struct ctl_msg), f);
	if (err)
		return err;
	return spsc_init(&w->from_control, 256, sizeof(struct inject_msg), f);
}

void worker_fini(struct worker *w)
{
	spsc_fini(&w->to_control);
	spsc_fini(&w->from_control);
	if (w->wake_fd >= 0)
		close(w->wake_fd);
	w->wake_fd = -1;
}

void worker_queues_changed(struct worker *w)
{
	w->n_fds = 0;
	w->fds[w->n_fds++] = (struct pollfd){ .fd = w->wake_fd, .events = POLLIN };
	for (unsigned int i = 0; i < w->n_rxq; i++)
		if (w->rxq[i]->fd >= 0)
			w->fds[w->n_fds++] = (struct pollfd){ .fd = w->rxq[i]->fd, .events = POLLIN };
	w->tx_dirty = 0;
	for (unsigned int i = 0; i < TABLES_PORTS_MAX; i++) {
		const struct port *port = w->engine->ports[i];

		w->port_caps[i] = port ? port->caps | (port->has_l2 ? WORKER_PORT_L2 : 0) : 0;
		/* Some may be pending. */
		if (w->txq[i])
			w->tx_dirty |= UINT64_C(1) << i;
	}
}

void worker_wake(struct worker *w)
{
	uint64_t one = 1;

	/* A full counter wakes just as well. */
	if (write(w->wake_fd, &one, sizeof(one)) < 0 && errno != EAGAIN)
		log_error("worker %u: wake-up: %s", w->id, strerror(errno));
}

static void stage_run(struct worker *w, unsigned int i)
{
	struct batch *in = &w->queue[i];
	const struct stage *s = w->stages[i];

	if (unlikely(w->tracing))
		trace_stage(w->tracer, w->now_ns, s, in);
	s->run(w, in, &w->edges[i]);
	if (!s->resumes)
		in->n = 0;
}

void worker_graph_run(struct worker *w)
{
	uint32_t ready = 0;

	for (unsigned int i = 0; i < w->n_stages; i++)
		ready |= (uint32_t)(w->queue[i].n > 0) << i;
	while (ready) {
		/* The most downstream one first: see stage.h. */
		unsigned int i = 31 - (unsigned int)__builtin_clz(ready);
		const struct edges *out = &w->edges[i];

		stage_run(w, i);
		if (w->queue[i].n == 0)
			ready &= ~(UINT32_C(1) << i);
		/* Only its own edges can have filled anything. */
		for (unsigned int e = 0; e < out->n; e++)
			ready |= (uint32_t)(out->to[e]->n > 0) << out->stage[e];
	}
}

static inline bool queue_pending(const struct port_queue *q)
{
	return q->ops->pending && q->ops->pending(q);
}

/* What a port could not send, or the kernel has not given back, is looked after in the rounds that follow. */
static void tx_flush(struct worker *w)
{
	uint64_t dirty = w->tx_dirty, still = 0;

	for (; dirty; dirty &= dirty - 1) {
		unsigned int port = (unsigned int)__builtin_ctzll(dirty);
		struct port_queue *q = w->txq[port];

		if (!q)
			continue;
		q->ops->flush(q);
		if (queue_pending(q))
			still |= UINT64_C(1) << port;
	}
	w->tx_dirty = still;
}

/* Frames that the control thread made: they know their port and bear their headers. */
static void inject_receive(struct worker *w)
{
	uint32_t n = spsc_peek(&w->from_control, WORKER_RX_MAX);

	for (uint32_t i = 0; i < n; i++) {
		const struct inject_msg *m = spsc_slot(&w->from_control, i);
		struct pkt *p = area_alloc(w->area);

		if (!p) {
			/* Never became a packet, so it stands outside the balance of created and dropped ones. */
			w->drops[DROP_no_frame]++;
			w->count->created_pkts++;
			continue;
		}
		memcpy(pkt_data(p), m->data, m->len);
		p->len = m->len;
		p->total_bytes = m->len;
		p->l3 = p->off;
		p->port_out = m->port;
		p->iface_out = m->iface;
		p->flags = PKT_LOCAL_OUT;
		w->count->created_pkts++;
		w->inject_to->pkt[w->inject_to->n++] = p;
	}
	spsc_release(&w->from_control, n);
	worker_graph_run(w);
}

unsigned int worker_step(struct worker *w)
{
	unsigned int total = 0;

	for (unsigned int i = 0; i < w->n_rxq; i++) {
		struct port_queue *q = w->rxq[i];
		struct batch *in = &w->queue[0];
		uint64_t bytes_before = q->counters->rx_bytes;

		in->n = q->ops->rx(q, in->pkt, WORKER_RX_MAX, w->now_ns);
		if (in->n == 0)
			continue;
		w->count->rx_pkts += in->n;
		w->count->rx_bytes += q->counters->rx_bytes - bytes_before;
		w->count->batches++;
		total += in->n;
		if (unlikely(w->tapping >> q->port->id & 1))
			taps_batch(w->taps, q, TAP_IN, in->pkt, in->n);
		worker_graph_run(w);
	}
	tx_flush(w);
	return total;
}

unsigned int worker_round(struct worker *w)
{
	unsigned int n, others;

	/* First, so that what waits leaves before what is received now: flows keep their order. */
	if (unlikely(w->n_waits))
		neigh_waits_check(w);
	n = worker_step(w);
	others = spsc_peek(&w->from_control, 1);
	if (others)
		inject_receive(w);
	if (w->engine->n_workers > 1)
		others += cross_receive(w);
	if (others)
		tx_flush(w);
	return n + others;
}

/* Does a queue want attention soon although nothing comes in? Its own transmissions, or frames for its reception. */
static bool any_pending(const struct worker *w)
{
	for (unsigned int i = 0; i < w->n_rxq; i++)
		if (queue_pending(w->rxq[i]))
			return true;
	return false;
}

static bool rings_idle(struct worker *w)
{
	if (!spsc_wait_begin(&w->from_control))
		return false;
	for (unsigned int i = 0; i < w->engine->n_workers; i++) {
		struct cross_link *in = w->cross_in[i], *out = w->engine->workers[i]->cross_in[w->id];

		if (in && !spsc_wait_begin(&in->pkts))
			return false;
		if (out && !spsc_wait_begin(&out->home))
			return false;
	}
	return true;
}

static void rings_awake(struct worker *w)
{
	spsc_wait_end(&w->from_control);
	for (unsigned int i = 0; i < w->engine->n_workers; i++) {
		struct cross_link *in = w->cross_in[i], *out = w->engine->workers[i]->cross_in[w->id];

		if (in)
			spsc_wait_end(&in->pkts);
		if (out)
			spsc_wait_end(&out->home);
	}
}

/* Sleep until a queue, a ring or a deadline wants attention. */
static void worker_sleep(struct worker *w)
{
	struct timespec ts, *timeout = NULL;
	uint64_t wait_ns = UINT64_MAX, junk;

	if (w->n_waits)
		wait_ns = w->waits_check_ns > w->now_ns ? w->waits_check_ns - w->now_ns : 0;
	if (any_pending(w)) {
		/* A device may never finish: look less and less often. */
		wait_ns = min_u64(wait_ns, w->pending_wait_ns);
		w->pending_wait_ns = min_u64(2 * w->pending_wait_ns, PENDING_WAIT_MAX_NS);
	}
	if (wait_ns != UINT64_MAX) {
		ts.tv_sec = (time_t)(wait_ns / NS_PER_S);
		ts.tv_nsec = (long)(wait_ns % NS_PER_S);
		timeout = &ts;
	}
	if (rings_idle(w) && !engine_wants_pause(w->engine)) {
		epoch_offline(&w->engine->epoch, w->id);
		w->count->sleeps++;
		if (ppoll(w->fds, w->n_fds, timeout, NULL) < 0 && errno != EINTR)
			log_error("worker %u: poll: %s", w->id, strerror(errno));
		epoch_online(&w->engine->epoch, w->id);
		if (w->fds[0].revents && read(w->wake_fd, &junk, sizeof(junk)) < 0 && errno != EAGAIN)
			log_error("worker %u: eventfd: %s", w->id, strerror(errno));
	}
	rings_awake(w);
}

static void worker_pin(struct worker *w)
{
	cpu_set_t set;
	int err;

	if (w->cpu < 0)
		return;
	CPU_ZERO(&set);
	CPU_SET((unsigned int)w->cpu, &set);
	err = pthread_setaffinity_np(pthread_self(), sizeof(set), &set);
	if (err)
		log_warn("worker %u: cannot be pinned to CPU %d: %s", w->id, w->cpu, strerror(err));
}

void *worker_main(void *arg)
{
	struct worker *w = arg;
	struct engine *e = w->engine;
	uint64_t idle_since_ns = 0;

	worker_pin(w);
	if (e->thread_begins)
		e->thread_begins(e->thread_ctx, w->id);
	epoch_online(&e->epoch, w->id);
	w->pending_wait_ns = PENDING_WAIT_MIN_NS;
	for (;;) {
		unsigned int n;

		epoch_quiescent(&e->epoch, w->id);
		if (unlikely(engine_wants_pause(e))) {
			epoch_offline(&e->epoch, w->id);
			if (!engine_park(e, w))
				return NULL;
			epoch_online(&e->epoch, w->id);
		}
		w->now_ns = clock_mono_ns();
		w->tables = atomic_load_explicit(&e->tables, memory_order_acquire);
		n = worker_round(w);
		if (n > 0) {
			idle_since_ns = 0;
			w->pending_wait_ns = PENDING_WAIT_MIN_NS;
			continue;
		}
		if (idle_since_ns == 0)
			idle_since_ns = w->now_ns;
		if (w->now_ns - idle_since_ns >= w->limits.spin_ns) {
			worker_sleep(w);
			idle_since_ns = 0;
		}
	}
}

void worker_drain(struct worker *w, enum drop why)
{
	/* The graph's queues are empty between two steps. */
	neigh_waits_drain(w, why);
}
