/* SPDX-License-Identifier: MIT */
/*
 * Safe memory reclamation by quiescent states (QSBR): one writer changes shared structures, readers use them with no
 * lock, and what the writer took out is freed once no reader can hold it any more.
 *
 * Theory: the writer's clock "now" goes up after something was unpublished. A reader copies it at each quiescent
 * point, a place where it holds no pointer into shared structures (a worker: between batches). What was unpublished
 * before the clock became g is unreachable once every reader that is online has copied g or later: the copy was loaded
 * with acquire after the writer's release, so later loads see it unpublished; and it was stored with release, so
 * earlier loads are over when the writer (acquire) sees it. An offline reader holds nothing and is not waited for.
 *
 * Rules: a reader goes offline before it sleeps or blocks. The writer unpublishes first, retires then. One thread is
 * the writer; it may be a reader only of other epochs.
 */
#ifndef COMMON_EPOCH_H
#define COMMON_EPOCH_H

#include "common/bytes.h"
#include "common/fault.h"

#include <stdalign.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct epoch_reader {
	alignas(CACHE_LINE_BYTES) _Atomic uint64_t seen;	/* EPOCH_OFFLINE, or now at the last quiescent point */
};

#define EPOCH_OFFLINE UINT64_C(0)

struct epoch_retired;

struct epoch {
	/* Read by the readers at each quiescent point, written at most once per reclaim. */
	alignas(CACHE_LINE_BYTES) _Atomic uint64_t now;
	struct epoch_reader *readers;
	unsigned int n_readers;
	/* The writer's. */
	alignas(CACHE_LINE_BYTES) bool stamped;	/* something is waiting for now + 1 */
	uint64_t passed;			/* every reader has seen this */
	struct epoch_retired *queue;		/* ring of cap entries in order of their stamps */
	size_t first, count, cap;
	size_t reclaim_at;			/* count at which epoch_retire() reclaims by itself */
};

/** epoch_init() - All readers offline. @n_readers may be 0: then nothing is ever waited for. Return: 0 or -errno */
int epoch_init(struct epoch *e, unsigned int n_readers, struct fault *f);

/** epoch_fini() - Free all that is retired. Every reader is offline for good. All zeroes is also taken. */
void epoch_fini(struct epoch *e);

/** epoch_online() - Reader: start using shared structures */
static inline void epoch_online(struct epoch *e, unsigned int reader)
{
	struct epoch_reader *r = &e->readers[reader];

	/*
	 * Either the writer's scan sees this reader online and waits, or the scan came first, and then so did the new
	 * value of the clock, whose load here makes what was unpublished before it visible as unpublished. That needs
	 * one total order of the four accesses.
	 */
	atomic_store_explicit(&r->seen, atomic_load_explicit(&e->now, memory_order_acquire), memory_order_seq_cst);
	atomic_store_explicit(&r->seen, atomic_load_explicit(&e->now, memory_order_seq_cst), memory_order_release);
}

/** epoch_offline() - Reader: no pointer into shared structures is held until epoch_online() */
static inline void epoch_offline(struct epoch *e, unsigned int reader)
{
	atomic_store_explicit(&e->readers[reader].seen, EPOCH_OFFLINE, memory_order_release);
}

/** epoch_quiescent() - Reader, online: no pointer that was loaded before this call is used after it */
static inline void epoch_quiescent(struct epoch *e, unsigned int reader)
{
	atomic_store_explicit(&e->readers[reader].seen, atomic_load_explicit(&e->now, memory_order_acquire),
			      memory_order_release);
}

/**
 * epoch_retire() - Writer: free something when no reader can hold it.
 * @free_fn: called by the writer's thread with @arg, from a later call of this file, in order of retirement; must not
 *           call back into @e
 * @arg:     what was unpublished before this call
 *
 * Never fails: without memory for the note it waits as epoch_synchronize() does, and frees at once.
 */
void epoch_retire(struct epoch *e, void (*free_fn)(void *arg), void *arg);

/** epoch_reclaim() - Writer: free what is free to go, without waiting. Return: how many are still retired */
size_t epoch_reclaim(struct epoch *e);

/** epoch_synchronize() - Writer: wait until all readers have passed a quiescent point, and free all that is retired */
void epoch_synchronize(struct epoch *e);

/*
 * For a structure that keeps a list of its own of what it unpublished (and needs no function call for each piece):
 * note epoch_stamp() with the piece; it may be reused when epoch_passed() says so. epoch_poll() makes that advance.
 */

/** epoch_stamp() - Writer: the stamp for what was unpublished before this call */
static inline uint64_t epoch_stamp(struct epoch *e)
{
	e->stamped = true;
	return atomic_load_explicit(&e->now, memory_order_relaxed) + 1;
}

/** epoch_poll() - Writer: look where the readers are; does not wait */
void epoch_poll(struct epoch *e);

/** epoch_passed() - Writer: had every reader passed @stamp at the last epoch_poll()? */
static inline bool epoch_passed(const struct epoch *e, uint64_t stamp)
{
	return stamp <= e->passed;
}

#endif
