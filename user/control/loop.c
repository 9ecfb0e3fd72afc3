// SPDX-License-Identifier: MIT
/*
 * A watched descriptor is a slot; epoll's data word carries the slot's index and its generation, so that an event
 * fetched before the slot was freed does not reach the slot's next owner.
 */
#include "user/control/loop.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <time.h>
#include <unistd.h>

enum { EVENTS_PER_ROUND = 64 };

static const uint64_t NS_PER_S = 1000000000;

struct watch {
	int fd;			/* -1 = free */
	uint32_t generation;
	loop_fd_fn *fn;
	void *ctx;
};

struct loop {
	int epfd;
	int stop_fd;		/* eventfd: wakes a loop that sleeps */
	int signal_fd;		/* -1 = none */
	loop_signal_fn *signal_fn;
	void *signal_ctx;
	uint64_t now_ns;
	_Atomic int stop_code;	/* -1 = run */
	struct loop_timer timers;	/* head of a ring, earliest first */
	struct watch watches[LOOP_FDS_MAX];
};

static uint64_t clock_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * NS_PER_S + (uint64_t)ts.tv_nsec;
}

static void take_stop(void *ctx, uint32_t events)
{
	struct loop *l = ctx;
	uint64_t n;

	(void)events;
	if (read(l->stop_fd, &n, sizeof(n)) < 0)
		return;		/* another round took it: stop_code says what is to be done */
}

int loop_create(struct loop **out, struct fault *f)
{
	struct loop *l = calloc(1, sizeof(*l));
	int err;

	if (!l)
		return fault_set(f, ENOMEM, "event loop: no memory");
	for (unsigned int i = 0; i < LOOP_FDS_MAX; i++)
		l->watches[i].fd = -1;
	l->signal_fd = -1;
	l->timers.prev = l->timers.next = &l->timers;
	atomic_init(&l->stop_code, -1);
	l->now_ns = clock_ns();
	l->epfd = epoll_create1(EPOLL_CLOEXEC);
	if (l->epfd < 0) {
		err = fault_errno(f, "epoll_create1");
		goto err_free;
	}
	l->stop_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (l->stop_fd < 0) {
		err = fault_errno(f, "eventfd");
		goto err_close_epfd;
	}
	err = loop_add_fd(l, l->stop_fd, EPOLLIN, take_stop, l, f);
	if (err)
		goto err_close_stop_fd;
	*out = l;
	return 0;
err_close_stop_fd:
	close(l->stop_fd);
err_close_epfd:
	close(l->epfd);
err_free:
	free(l);
	return err;
}

void loop_destroy(struct loop *l)
{
	if (!l)
		return;
	while (l->timers.next != &l->timers)
		loop_del_timer(l->timers.next);
	if (l->signal_fd >= 0)
		close(l->signal_fd);
	close(l->stop_fd);
	close(l->epfd);
	free(l);
}

static struct watch *find_watch(struct loop *l, int fd)
{
	for (unsigned int i = 0; i < LOOP_FDS_MAX; i++)
		if (l->watches[i].fd == fd)
			return &l->watches[i];
	return NULL;
}

static struct epoll_event event_for(const struct loop *l, const struct watch *w, uint32_t events)
{
	uint64_t index = (uint64_t)(w - l->watches);

	return (struct epoll_event){ .events = events, .data.u64 = (uint64_t)w->generation << 32 | index };
}

int loop_add_fd(struct loop *l, int fd, uint32_t events, loop_fd_fn *fn, void *ctx, struct fault *f)
{
	struct epoll_event ev;
	struct watch *w;

	if (fd < 0)
		return fault_set(f, EBADF, "event loop: descriptor %d", fd);
	if (find_watch(l, fd))
		return fault_set(f, EEXIST, "event loop: descriptor %d is watched already", fd);
	w = find_watch(l, -1);
	if (!w)
		return fault_set(f, ENOSPC, "event loop: more than %d descriptors", LOOP_FDS_MAX);
	ev = event_for(l, w, events);
	if (epoll_ctl(l->epfd, EPOLL_CTL_ADD, fd, &ev) < 0)
		return fault_errno(f, "epoll_ctl for descriptor %d", fd);
	w->fd = fd;
	w->fn = fn;
	w->ctx = ctx;
	return 0;
}

int loop_mod_fd(struct loop *l, int fd, uint32_t events)
{
	struct watch *w = fd < 0 ? NULL : find_watch(l, fd);
	struct epoll_event ev;

	if (!w)
		return -ENOENT;
	ev = event_for(l, w, events);
	return epoll_ctl(l->epfd, EPOLL_CTL_MOD, fd, &ev) < 0 ? -errno : 0;
}

void loop_del_fd(struct loop *l, int fd)
{
	struct watch *w = fd < 0 ? NULL : find_watch(l, fd);

	if (!w)
		return;
	epoll_ctl(l->epfd, EPOLL_CTL_DEL, fd, NULL);
	w->fd = -1;
	w->generation++;
}

static void insert_timer(struct loop *l, struct loop_timer *t)
{
	struct loop_timer *after = l->timers.prev;

	/* From the end: periodic timers with like periods, the usual case, land there at once. */
	while (after != &l->timers && after->expires_ns > t->expires_ns)
		after = after->prev;
	t->prev = after;
	t->next = after->next;
	after->next->prev = t;
	after->next = t;
	t->loop = l;
}

void loop_add_timer(struct loop *l, struct loop_timer *t, uint64_t delay_ns, uint64_t period_ns, loop_timer_fn *fn,
		    void *ctx)
{
	uint64_t now_ns = clock_ns();

	loop_del_timer(t);
	if (delay_ns == 0)
		delay_ns = 1;	/* a timer that arms itself again waits for the next round: descriptors get their turn */
	t->expires_ns = delay_ns > UINT64_MAX - now_ns ? UINT64_MAX : now_ns + delay_ns;
	t->period_ns = period_ns;
	t->fn = fn;
	t->ctx = ctx;
	insert_timer(l, t);
}

void loop_del_timer(struct loop_timer *t)
{
	if (!t->loop)
		return;
	t->prev->next = t->next;
	t->next->prev = t->prev;
	t->prev = t->next = NULL;
	t->loop = NULL;
}

static void run_timers(struct loop *l)
{
	while (l->timers.next != &l->timers && l->timers.next->expires_ns <= l->now_ns) {
		struct loop_timer *t = l->timers.next;
		loop_timer_fn *fn = t->fn;
		void *ctx = t->ctx;

		loop_del_timer(t);
		if (t->period_ns) {
			uint64_t missed = (l->now_ns - t->expires_ns) / t->period_ns;

			t->expires_ns += (missed + 1) * t->period_ns;
			insert_timer(l, t);
		}
		fn(ctx);	/* may free t */
	}
}

static void take_signals(void *ctx, uint32_t events)
{
	struct loop *l = ctx;
	struct signalfd_siginfo info;

	(void)events;
	while (read(l->signal_fd, &info, sizeof(info)) == (ssize_t)sizeof(info))
		l->signal_fn(l->signal_ctx, (int)info.ssi_signo);
}

int loop_add_signals(struct loop *l, const sigset_t *set, loop_signal_fn *fn, void *ctx, struct fault *f)
{
	int err, fd;

	if (l->signal_fd >= 0)
		return fault_set(f, EEXIST, "event loop: signals are taken already");
	err = pthread_sigmask(SIG_BLOCK, set, NULL);
	if (err)
		return fault_set(f, err, "pthread_sigmask");
	fd = signalfd(-1, set, SFD_CLOEXEC | SFD_NONBLOCK);
	if (fd < 0)
		return fault_errno(f, "signalfd");
	l->signal_fn = fn;
	l->signal_ctx = ctx;
	l->signal_fd = fd;
	err = loop_add_fd(l, fd, EPOLLIN, take_signals, l, f);
	if (err) {
		l->signal_fd = -1;
		close(fd);
	}
	return err;
}

uint64_t loop_now_ns(const struct loop *l)
{
	return l->now_ns;
}

/* How long this round may sleep. Return: false = until an event comes */
static bool round_timeout(const struct loop *l, int64_t timeout_ns, struct timespec *ts)
{
	uint64_t now_ns = clock_ns(), wait_ns = UINT64_MAX;

	if (timeout_ns >= 0)
		wait_ns = (uint64_t)timeout_ns;
	if (l->timers.next != &l->timers) {
		uint64_t at_ns = l->timers.next->expires_ns, left_ns = at_ns > now_ns ? at_ns - now_ns : 0;

		if (left_ns < wait_ns)
			wait_ns = left_ns;
	}
	if (wait_ns == UINT64_MAX)
		return false;
	ts->tv_sec = (time_t)(wait_ns / NS_PER_S);
	ts->tv_nsec = (long)(wait_ns % NS_PER_S);
	return true;
}

int loop_step(struct loop *l, int64_t timeout_ns)
{
	struct epoll_event ev[EVENTS_PER_ROUND];
	struct timespec ts;
	bool bounded = round_timeout(l, timeout_ns, &ts);
	int n = epoll_pwait2(l->epfd, ev, EVENTS_PER_ROUND, bounded ? &ts : NULL, NULL);

	if (n < 0 && errno != EINTR)
		return -errno;
	l->now_ns = clock_ns();
	for (int i = 0; i < n; i++) {
		struct watch *w = &l->watches[ev[i].data.u64 & UINT32_MAX];

		if (w->fd >= 0 && w->generation == ev[i].data.u64 >> 32)
			w->fn(w->ctx, ev[i].events);
	}
	run_timers(l);
	return 0;
}

int loop_run(struct loop *l)
{
	int code;

	while ((code = atomic_load(&l->stop_code)) < 0) {
		int err = loop_step(l, -1);

		if (err)
			return err;
	}
	atomic_store(&l->stop_code, -1);
	return code;
}

void loop_stop(struct loop *l, int code)
{
	int saved_errno = errno;	/* of the code that a signal handler interrupted */
	const uint64_t one = 1;

	atomic_store(&l->stop_code, code < 0 ? 0 : code);
	if (write(l->stop_fd, &one, sizeof(one)) < 0) {
		/* EAGAIN: the counter is full, so the loop wakes anyway */
	}
	errno = saved_errno;
}
