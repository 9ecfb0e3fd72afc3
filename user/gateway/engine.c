/* SPDX-License-Identifier: MIT */
#include "user/gateway/engine.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/counter.h"
#include "common/log.h"
#include "user/gateway/tap.h"
#include "user/gateway/trace.h"

#define CROSS_SLOTS 1024
#define DRAIN_LOOK_MS 2
#define DRAIN_QUIET_LOOKS 5

static void *zalloc_lines(size_t bytes)
{
	size_t rounded = align_up(bytes, CACHE_LINE_BYTES);
	void *p = aligned_alloc(CACHE_LINE_BYTES, rounded);

	return p ? memset(p, 0, rounded) : NULL;
}

static int cross_link_create(struct cross_link **out, struct fault *f)
{
	struct cross_link *l = zalloc_lines(sizeof(*l));
	int err;

	if (!l)
		return fault_set(f, ENOMEM, "no memory for rings between workers");
	err = spsc_init(&l->pkts, CROSS_SLOTS, sizeof(struct pkt *), f);
	if (!err)
		err = spsc_init(&l->home, CROSS_SLOTS, sizeof(struct pkt *), f);
	if (err) {
		spsc_fini(&l->pkts);
		free(l);
		return err;
	}
	*out = l;
	return 0;
}

static int worker_create(struct engine *e, unsigned int id, const struct engine_params *params, struct fault *f)
{
	struct worker *w = zalloc_lines(sizeof(*w));
	struct area_params ap = params->area;
	int err;

	if (!w)
		return fault_set(f, ENOMEM, "no memory for worker %u", id);
	e->workers[id] = w;
	w->wake_fd = -1;
	w->engine = e;
	w->id = id;
	w->cpu = params->cpus[id];
	w->limits = params->limits;
	w->count = params->counters ? params->counters(params->counters_ctx, id) : &e->own_counters[id];
	w->drops = (uint64_t *)(params->drops ? params->drops(params->counters_ctx, id) : &e->own_drops[id]);
	ap.id = (uint8_t)id;
	err = area_create(&w->area, &ap, f);
	if (err)
		return err;
	w->area->quota[PLACE_NEIGH] = params->neigh_quota_frames;
	w->area->quota[PLACE_CROSS] = ap.n_frames / 4;
	err = worker_init(w, f);
	if (err)
		return err;
	err = tracer_create(&w->tracer, params->trace_records, f);
	if (err)
		return err;
	err = taps_create(&w->taps, f);
	if (err)
		return err;
	for (unsigned int i = 0; i < e->n_workers; i++) {
		if (i == id)
			continue;
		err = cross_link_create(&w->cross_in[i], f);
		if (err)
			return err;
	}
	worker_queues_changed(w);
	return 0;
}

static void worker_destroy(struct worker *w, unsigned int n_workers)
{
	for (unsigned int i = 0; i < n_workers; i++) {
		if (!w->cross_in[i])
			continue;
		spsc_fini(&w->cross_in[i]->pkts);
		spsc_fini(&w->cross_in[i]->home);
		free(w->cross_in[i]);
	}
	taps_destroy(w->taps);
	tracer_destroy(w->tracer);
	worker_fini(w);
	area_destroy(w->area);
	free(w);
}

int engine_create(struct engine **out, const struct engine_params *params, struct fault *f)
{
	struct engine *e;
	int err;

	if (params->n_workers == 0 || params->n_workers > WORKERS_MAX)
		return fault_set(f, EINVAL, "%u workers; 1 to %d are possible", params->n_workers, WORKERS_MAX);
	e = zalloc_lines(sizeof(*e));
	if (!e)
		return fault_set(f, ENOMEM, "no memory for the engine");
	pthread_mutex_init(&e->lock, NULL);
	pthread_cond_init(&e->parked_cond, NULL);
	pthread_cond_init(&e->resume_cond, NULL);
	e->n_workers = params->n_workers;
	e->thread_begins = params->thread_begins;
	e->thread_ctx = params->thread_ctx;
	e->own_counters = calloc(e->n_workers, sizeof(*e->own_counters));
	e->own_drops = calloc(e->n_workers, sizeof(*e->own_drops));
	e->control_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	if (e->control_fd < 0 || !e->own_counters || !e->own_drops) {
		err = fault_errno(f, "engine: eventfd or memory");
		goto err_destroy;
	}
	err = epoch_init(&e->epoch, e->n_workers, f);
	if (err)
		goto err_destroy;
	err = fib_create(&e->fib, &e->epoch, f);
	if (err)
		goto err_destroy;
	for (unsigned int i = 0; i < e->n_workers; i++) {
		err = worker_create(e, i, params, f);
		if (err)
			goto err_destroy;
	}
	*out = e;
	return 0;

err_destroy:
	engine_destroy(e);
	return err;
}

uint32_t engine_destroy(struct engine *e)
{
	uint32_t leaks = 0;

	for (unsigned int i = 0; i < e->n_workers; i++) {
		if (!e->workers[i])
			continue;
		if (e->workers[i]->area)
			leaks += area_leaks(e->workers[i]->area);
		worker_destroy(e->workers[i], e->n_workers);
	}
	tables_free((void *)(uintptr_t)atomic_load(&e->tables));
	if (e->fib)
		fib_destroy(e->fib);
	epoch_fini(&e->epoch);
	if (e->control_fd >= 0)
		close(e->control_fd);
	free(e->own_counters);
	free(e->own_drops);
	pthread_cond_destroy(&e->parked_cond);
	pthread_cond_destroy(&e->resume_cond);
	pthread_mutex_destroy(&e->lock);
	free(e);
	return leaks;
}

int engine_start(struct engine *e, struct fault *f)
{
	sigset_t all, old;
	int err = 0;

	/* Signals are the control thread's. */
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	for (unsigned int i = 0; i < e->n_workers; i++) {
		err = pthread_create(&e->workers[i]->thread, NULL, worker_main, e->workers[i]);
		if (err) {
			fault_set(f, err, "start of worker %u: %s", i, strerror(err));
			break;
		}
		e->n_started++;
	}
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	e->running = true;
	return -err;
}

void engine_pause(struct engine *e)
{
	if (!e->running)
		return;
	atomic_store(&e->pause_wanted, 1);
	for (unsigned int i = 0; i < e->n_started; i++)
		worker_wake(e->workers[i]);
	pthread_mutex_lock(&e->lock);
	while (e->parked < e->n_started)
		pthread_cond_wait(&e->parked_cond, &e->lock);
	pthread_mutex_unlock(&e->lock);
}

void engine_resume(struct engine *e)
{
	if (!e->running)
		return;
	pthread_mutex_lock(&e->lock);
	atomic_store(&e->pause_wanted, 0);
	pthread_cond_broadcast(&e->resume_cond);
	/* So that a pause which follows at once counts these workers anew. */
	while (e->parked > 0)
		pthread_cond_wait(&e->parked_cond, &e->lock);
	pthread_mutex_unlock(&e->lock);
}

bool engine_park(struct engine *e, struct worker *w)
{
	bool stopping;

	(void)w;
	pthread_mutex_lock(&e->lock);
	e->parked++;
	pthread_cond_broadcast(&e->parked_cond);
	while (atomic_load(&e->pause_wanted))
		pthread_cond_wait(&e->resume_cond, &e->lock);
	stopping = e->stopping;
	e->parked--;
	pthread_cond_broadcast(&e->parked_cond);
	pthread_mutex_unlock(&e->lock);
	return !stopping;
}

/* Packets in the rings between workers go home; both ends are parked. */
static void cross_drain(struct engine *e, enum drop why)
{
	for (unsigned int to = 0; to < e->n_workers; to++) {
		for (unsigned int from = 0; from < e->n_workers; from++) {
			struct cross_link *l = e->workers[to]->cross_in[from];

			if (l)
				cross_link_drain(l, e->workers[from], why);
		}
	}
}

static uint64_t pkts_moved(const struct engine *e)
{
	uint64_t sum = 0;

	for (unsigned int i = 0; i < e->n_workers; i++)
		sum += counter_read(&e->workers[i]->count->rx_pkts) + counter_read(&e->workers[i]->count->tx_pkts) +
		       counter_read(&e->workers[i]->count->cross_in_pkts);
	return sum;
}

void engine_drain(struct engine *e, uint64_t timeout_ns)
{
	uint64_t deadline_ns = clock_mono_ns() + timeout_ns, before = pkts_moved(e), now;
	unsigned int quiet = 0;

	/* A batch takes microseconds: when nothing has moved in several milliseconds, nothing will. */
	while (e->running && quiet < DRAIN_QUIET_LOOKS && clock_mono_ns() < deadline_ns) {
		poll(NULL, 0, DRAIN_LOOK_MS);
		now = pkts_moved(e);
		quiet = now == before ? quiet + 1 : 0;
		before = now;
	}
}

void engine_stop(struct engine *e)
{
	if (e->running) {
		engine_pause(e);
		e->stopping = true;
		engine_resume(e);
		for (unsigned int i = 0; i < e->n_started; i++)
			pthread_join(e->workers[i]->thread, NULL);
		e->running = false;
		e->n_started = 0;
	}
	cross_drain(e, DROP_shutdown);
	for (unsigned int i = 0; i < e->n_workers; i++)
		worker_drain(e->workers[i], DROP_shutdown);
}

void engine_publish(struct engine *e, struct tables *t)
{
	const struct tables *old = atomic_exchange_explicit(&e->tables, t, memory_order_acq_rel);

	if (old)
		epoch_retire(&e->epoch, tables_free, (void *)(uintptr_t)old);
	epoch_reclaim(&e->epoch);
	/* Packets may be waiting for just this. */
	for (unsigned int i = 0; e->running && i < e->n_workers; i++)
		worker_wake(e->workers[i]);
}

static void tx_queues_assign(struct engine *e)
{
	for (unsigned int i = 0; i < e->n_workers; i++)
		worker_queues_changed(e->workers[i]);
}

int engine_port_attach(struct engine *e, struct port *port, const uint8_t *queue_worker, struct fault *f)
{
	unsigned int more[WORKERS_MAX] = { 0 };

	for (unsigned int i = 0; i < port->n_queues; i++) {
		unsigned int w = queue_worker[i];

		if (e->workers[w]->n_rxq + ++more[w] > WORKER_QUEUES_MAX)
			return fault_set(f, E2BIG, "worker %u: more than %d queues", w, WORKER_QUEUES_MAX);
	}
	e->ports[port->id] = port;
	for (unsigned int i = 0; i < port->n_queues; i++) {
		struct worker *w = e->workers[queue_worker[i]];

		w->rxq[w->n_rxq++] = port->queues[i];
		/* A worker with several queues of one port sends by the first: one flow, one order. */
		if (!w->txq[port->id])
			w->txq[port->id] = port->queues[i];
	}
	tx_queues_assign(e);
	return 0;
}

void engine_port_detach(struct engine *e, struct port *port)
{
	cross_drain(e, DROP_port_removed);
	for (unsigned int i = 0; i < e->n_workers; i++) {
		struct worker *w = e->workers[i];
		unsigned int kept = 0;

		for (unsigned int k = 0; k < w->n_rxq; k++)
			if (w->rxq[k]->port != port)
				w->rxq[kept++] = w->rxq[k];
		w->n_rxq = kept;
		w->txq[port->id] = NULL;
		w->port_caps[port->id] = 0;
	}
	e->ports[port->id] = NULL;
	tx_queues_assign(e);
}

void engine_port_caps_changed(struct engine *e)
{
	tx_queues_assign(e);
}

bool engine_tell(struct worker *w, const struct ctl_msg *m)
{
	struct engine *e = w->engine;
	uint64_t one = 1;

	if (spsc_reserve(&w->to_control, 1) == 0)
		return false;
	memcpy(spsc_free_slot(&w->to_control, 0), m, offsetof(struct ctl_msg, data) + m->len);
	spsc_commit(&w->to_control, 1);
	if (!atomic_exchange(&e->control_awake, 1) && write(e->control_fd, &one, sizeof(one)) < 0 && errno != EAGAIN)
		log_error("worker %u: wake-up of the control thread: %s", w->id, strerror(errno));
	return true;
}

void engine_read(struct engine *e, void (*fn)(void *ctx, const struct ctl_msg *m), void *ctx)
{
	uint64_t junk;

	if (read(e->control_fd, &junk, sizeof(junk)) < 0 && errno != EAGAIN)
		log_error("control: eventfd: %s", strerror(errno));
	/* Before the rings are looked at: what is written after this wakes again. */
	atomic_store(&e->control_awake, 0);
	for (unsigned int i = 0; i < e->n_workers; i++) {
		struct spsc *r = &e->workers[i]->to_control;
		uint32_t n = spsc_peek(r, 256);

		for (uint32_t k = 0; k < n; k++)
			fn(ctx, spsc_slot(r, k));
		spsc_release(r, n);
	}
}

int engine_inject(struct engine *e, uint16_t port, uint16_t iface, const void *frame, size_t len)
{
	struct inject_msg *m;

	if (len > PUNT_BYTES_MAX)
		return -EMSGSIZE;
	if (port >= TABLES_PORTS_MAX || !e->ports[port])
		return -ENODEV;
	for (unsigned int i = 0; i < e->n_workers; i++) {
		struct worker *w = e->workers[i];

		if (!w->txq[port])
			continue;
		if (spsc_reserve(&w->from_control, 1) == 0)
			return -ENOBUFS;
		m = spsc_free_slot(&w->from_control, 0);
		m->port = port;
		m->iface = iface;
		m->len = (uint16_t)len;
		memcpy(m->data, frame, len);
		if (spsc_commit_wakes(&w->from_control, 1))
			worker_wake(w);
		return 0;
	}
	return -ENODEV;
}
