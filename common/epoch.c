/* SPDX-License-Identifier: MIT */
#include "common/epoch.h"

#include <errno.h>
#include <sched.h>
#include <stdlib.h>
#include <time.h>

#define RECLAIM_AT_MIN 1024	/* what may pile up before epoch_retire() looks by itself */
#define QUEUE_MIN      64
#define SPINS	       64	/* yields before the writer sleeps: a batch takes microseconds */
#define NAP_NS	       20000

struct epoch_retired {
	uint64_t stamp;
	void (*free_fn)(void *arg);
	void *arg;
};

int epoch_init(struct epoch *e, unsigned int n_readers, struct fault *f)
{
	struct epoch_reader *readers = NULL;

	if (n_readers) {
		readers = aligned_alloc(CACHE_LINE_BYTES, n_readers * sizeof(*readers));
		if (!readers)
			return fault_set(f, ENOMEM, "epoch of %u readers: no memory", n_readers);
	}
	for (unsigned int i = 0; i < n_readers; i++)
		atomic_init(&readers[i].seen, EPOCH_OFFLINE);
	*e = (struct epoch){ .now = EPOCH_OFFLINE + 1, .readers = readers, .n_readers = n_readers,
			     .passed = EPOCH_OFFLINE + 1, .reclaim_at = RECLAIM_AT_MIN };
	return 0;
}

void epoch_fini(struct epoch *e)
{
	while (epoch_reclaim(e) > 0)
		;	/* all readers are offline: the first round frees everything, unless a free retires */
	free(e->queue);
	free(e->readers);
	e->queue = NULL;
	e->readers = NULL;
	e->n_readers = 0;
}

void epoch_poll(struct epoch *e)
{
	uint64_t now = atomic_load_explicit(&e->now, memory_order_relaxed);
	uint64_t oldest;

	if (e->stamped) {
		/* Sequentially consistent, as are the loads below: see epoch_online(). */
		atomic_store_explicit(&e->now, ++now, memory_order_seq_cst);
		e->stamped = false;
	}
	oldest = now;
	for (unsigned int i = 0; i < e->n_readers; i++) {
		uint64_t seen = atomic_load_explicit(&e->readers[i].seen, memory_order_seq_cst);

		if (seen != EPOCH_OFFLINE && seen < oldest)
			oldest = seen;
	}
	/* A reader that comes online may have stored a clock that it read long ago; what has passed stays passed. */
	if (oldest > e->passed)
		e->passed = oldest;
}

static void free_passed(struct epoch *e)
{
	while (e->count > 0 && epoch_passed(e, e->queue[e->first].stamp)) {
		struct epoch_retired r = e->queue[e->first];

		e->first = e->first + 1 < e->cap ? e->first + 1 : 0;
		e->count--;
		r.free_fn(r.arg);
	}
}

size_t epoch_reclaim(struct epoch *e)
{
	epoch_poll(e);
	free_passed(e);
	return e->count;
}

void epoch_synchronize(struct epoch *e)
{
	uint64_t stamp = epoch_stamp(e);
	const struct timespec nap = { .tv_nsec = NAP_NS };

	epoch_poll(e);
	for (unsigned int spins = 0; !epoch_passed(e, stamp); spins++) {
		if (spins < SPINS)
			sched_yield();
		else
			nanosleep(&nap, NULL);
		epoch_poll(e);
	}
	free_passed(e);
}

static bool queue_grow(struct epoch *e)
{
	size_t cap = e->cap ? e->cap * 2 : QUEUE_MIN;
	struct epoch_retired *q = malloc(cap * sizeof(*q));

	if (!q)
		return false;
	for (size_t i = 0; i < e->count; i++)
		q[i] = e->queue[(e->first + i) % e->cap];
	free(e->queue);
	e->queue = q;
	e->first = 0;
	e->cap = cap;
	return true;
}

void epoch_retire(struct epoch *e, void (*free_fn)(void *arg), void *arg)
{
	size_t at;

	if (e->count >= e->reclaim_at) {
		size_t left = epoch_reclaim(e);

		/* A reader that is slow must not make each call look again in vain. */
		e->reclaim_at = max_size(RECLAIM_AT_MIN, left * 2);
	}
	if (e->count == e->cap && !queue_grow(e)) {
		epoch_synchronize(e);
		free_fn(arg);
		return;
	}
	at = e->first + e->count;
	if (at >= e->cap)
		at -= e->cap;
	e->queue[at] = (struct epoch_retired){ epoch_stamp(e), free_fn, arg };
	e->count++;
}
