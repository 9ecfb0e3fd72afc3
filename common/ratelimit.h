/* SPDX-License-Identifier: MIT */
/* A token bucket. The clock is passed in; integer arithmetic is exact, so that a rate of 3 per second stays 3. */
#ifndef COMMON_RATELIMIT_H
#define COMMON_RATELIMIT_H

#include "common/clock.h"

#include <stdbool.h>
#include <stdint.h>

#define RATELIMIT_BURST_MAX UINT32_MAX

struct ratelimit {
	uint64_t credit;	/* 1e-9 tokens, so that credit grows by rate_per_s in each nanosecond */
	uint64_t credit_max;
	uint64_t fill_ns;	/* an empty bucket is full after this time */
	uint64_t rate_per_s;	/* tokens; 0 = the burst is all there ever is */
	uint64_t last_ns;
};

/**
 * ratelimit_init() - A full bucket.
 * @rl:         the bucket; one thread only
 * @rate_per_s: tokens that come in per second
 * @burst:      tokens that the bucket holds; 0 lets nothing through
 * @now_ns:     monotonic clock
 */
static inline void ratelimit_init(struct ratelimit *rl, uint32_t rate_per_s, uint32_t burst, uint64_t now_ns)
{
	rl->credit_max = burst * NS_PER_S;
	rl->credit = rl->credit_max;
	rl->fill_ns = rate_per_s ? rl->credit_max / rate_per_s + 1 : UINT64_MAX;
	rl->rate_per_s = rate_per_s;
	rl->last_ns = now_ns;
}

/**
 * ratelimit_try_take() - May @tokens pass now?
 *
 * A clock that runs backwards adds nothing and takes nothing.
 * Return: true and the tokens are taken, or false and nothing is
 */
static inline bool ratelimit_try_take(struct ratelimit *rl, uint32_t tokens, uint64_t now_ns)
{
	uint64_t cost = tokens * NS_PER_S;

	if (now_ns > rl->last_ns) {
		uint64_t elapsed_ns = now_ns - rl->last_ns;

		/* Also keeps the product below credit_max + rate, far from overflow. */
		if (elapsed_ns >= rl->fill_ns)
			rl->credit = rl->credit_max;
		else
			rl->credit += elapsed_ns * rl->rate_per_s;
		if (rl->credit > rl->credit_max)
			rl->credit = rl->credit_max;
		rl->last_ns = now_ns;
	}
	if (rl->credit < cost)
		return false;
	rl->credit -= cost;
	return true;
}

#endif
