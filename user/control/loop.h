/* SPDX-License-Identifier: MIT */
/*
 * The control thread's event loop: file descriptors by epoll, timers in nanoseconds, signals by signalfd.
 *
 * One thread owns a loop and everything registered with it; only loop_stop() may come from a signal handler or
 * another thread. Callbacks may add and remove anything, themselves included: an event that was already fetched
 * for a descriptor which an earlier callback of the same round removed is not delivered, even if the number of the
 * descriptor has been given out again meanwhile.
 */
#ifndef USER_CONTROL_LOOP_H
#define USER_CONTROL_LOOP_H

#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/epoll.h>

#include "common/fault.h"

enum { LOOP_FDS_MAX = 512 };	/* descriptors of one loop */

struct loop;

/** loop_fd_fn - @events: EPOLLIN and so on, as epoll_wait(2) gave them. */
typedef void loop_fd_fn(void *ctx, uint32_t events);
typedef void loop_timer_fn(void *ctx);
typedef void loop_signal_fn(void *ctx, int signo);

/** struct loop_timer - The caller's memory, zeroed before its first use; fields belong to the loop. */
struct loop_timer {
	struct loop_timer *prev, *next;
	struct loop *loop;		/* NULL = not armed */
	uint64_t expires_ns;
	uint64_t period_ns;		/* 0 = once */
	loop_timer_fn *fn;
	void *ctx;
};

/** loop_create() - Return: 0 or -errno */
int loop_create(struct loop **out, struct fault *f);

/** loop_destroy() - Forget all; descriptors stay open (except the loop's own), timers become unarmed. NULL is fine. */
void loop_destroy(struct loop *l);

/**
 * loop_add_fd() - Call @fn when @fd has one of @events (level triggered; EPOLLERR and EPOLLHUP always).
 *
 * Return: 0, -ENOSPC when LOOP_FDS_MAX are watched, -EEXIST when @fd is watched already, or epoll's -errno
 */
int loop_add_fd(struct loop *l, int fd, uint32_t events, loop_fd_fn *fn, void *ctx, struct fault *f);

/** loop_mod_fd() - Other events from now on. Return: 0 or -ENOENT */
int loop_mod_fd(struct loop *l, int fd, uint32_t events);

/** loop_del_fd() - Before close(), always. What is not watched is ignored. */
void loop_del_fd(struct loop *l, int fd);

/**
 * loop_add_timer() - Call @fn in @delay_ns, and every @period_ns after that unless it is 0.
 *
 * An armed timer is armed anew. Periods do not drift; those missed while the loop was busy are left out, not caught up.
 */
void loop_add_timer(struct loop *l, struct loop_timer *t, uint64_t delay_ns, uint64_t period_ns, loop_timer_fn *fn,
		    void *ctx);

/** loop_del_timer() - An unarmed timer is ignored. */
void loop_del_timer(struct loop_timer *t);

static inline bool loop_timer_armed(const struct loop_timer *t)
{
	return t->loop;
}

/**
 * loop_add_signals() - Take these signals through the loop; once per loop.
 *
 * Blocks them in the calling thread: call it before other threads are made, which inherit the mask.
 */
int loop_add_signals(struct loop *l, const sigset_t *set, loop_signal_fn *fn, void *ctx, struct fault *f);

/** loop_now_ns() - CLOCK_MONOTONIC at the start of this round. */
uint64_t loop_now_ns(const struct loop *l);

/**
 * loop_step() - One round: wait for at most @timeout_ns (or the next timer), then deliver what is due.
 * @timeout_ns: negative = as long as it takes
 *
 * Return: 0 or -errno of epoll
 */
int loop_step(struct loop *l, int64_t timeout_ns);

/** loop_run() - Rounds until loop_stop(). Return: the code given there, or -errno of epoll */
int loop_run(struct loop *l);

/** loop_stop() - Make loop_run() return after this round. Async-signal safe, any thread. @code: >= 0 */
void loop_stop(struct loop *l, int code);

#endif
