// SPDX-License-Identifier: MIT
#include "user/control/loop.h"

#include <check.h>
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

static const uint64_t MS = 1000000;

static struct loop *loop;
static int pair[2], pair2[2];

static void setup(void)
{
	struct fault f = { 0 };

	ck_assert_msg(loop_create(&loop, &f) == 0, "%s", f.text);
	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair), 0);
	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair2), 0);
}

static void teardown(void)
{
	loop_destroy(loop);
	for (int i = 0; i < 2; i++) {
		close(pair[i]);
		close(pair2[i]);
	}
}

struct seen {
	unsigned int calls;
	uint32_t events;
	int fd;			/* to remove when called; -1 = none */
	int signo;
};

static void on_fd(void *ctx, uint32_t events)
{
	struct seen *s = ctx;

	s->calls++;
	s->events |= events;
	if (s->fd >= 0)
		loop_del_fd(loop, s->fd);
}

START_TEST(readable_fd_is_delivered_until_read)
{
	struct seen s = { .fd = -1 };
	char c;

	ck_assert_int_eq(loop_add_fd(loop, pair[0], EPOLLIN, on_fd, &s, NULL), 0);
	ck_assert_int_eq(loop_step(loop, 0), 0);
	ck_assert_uint_eq(s.calls, 0);
	ck_assert_int_eq(write(pair[1], "x", 1), 1);
	loop_step(loop, -1);
	loop_step(loop, -1);	/* level triggered */
	ck_assert_uint_eq(s.calls, 2);
	ck_assert_int_eq(read(pair[0], &c, 1), 1);
	loop_step(loop, 0);
	ck_assert_uint_eq(s.calls, 2);
	ck_assert_int_eq(loop_mod_fd(loop, pair[0], EPOLLOUT), 0);
	loop_step(loop, -1);
	ck_assert(s.events & EPOLLOUT);
}
END_TEST

START_TEST(fd_is_watched_once_and_bounded)
{
	struct seen s = { .fd = -1 };
	struct fault f;
	int fds[LOOP_FDS_MAX], n = 0, err = 0;

	ck_assert_int_eq(loop_add_fd(loop, pair[0], EPOLLIN, on_fd, &s, &f), 0);
	ck_assert_int_eq(loop_add_fd(loop, pair[0], EPOLLIN, on_fd, &s, &f), -EEXIST);
	ck_assert_int_eq(loop_mod_fd(loop, pair[1], EPOLLIN), -ENOENT);
	ck_assert_int_eq(loop_add_fd(loop, -1, EPOLLIN, on_fd, &s, &f), -EBADF);
	while (n < LOOP_FDS_MAX && (fds[n] = dup(pair[1])) >= 0 && !err)
		err = loop_add_fd(loop, fds[n++], EPOLLIN, on_fd, &s, &f);
	ck_assert_int_eq(err, -ENOSPC);
	while (n > 0)
		close(fds[--n]);
}
END_TEST

/* Both are readable in one round; whichever is called first removes the other, which must not be called. */
START_TEST(removed_fd_is_not_called_in_the_same_round)
{
	struct seen a = { .fd = pair2[0] }, b = { .fd = pair[0] };

	loop_add_fd(loop, pair[0], EPOLLIN, on_fd, &a, NULL);
	loop_add_fd(loop, pair2[0], EPOLLIN, on_fd, &b, NULL);
	ck_assert_int_eq(write(pair[1], "x", 1), 1);
	ck_assert_int_eq(write(pair2[1], "x", 1), 1);
	loop_step(loop, -1);
	ck_assert_uint_eq(a.calls + b.calls, 1);
}
END_TEST

struct replace {
	unsigned int calls;
	int victim, reborn;
	struct seen *next;
};

static void on_fd_replace(void *ctx, uint32_t events)
{
	struct replace *r = ctx;

	(void)events;
	if (r->calls++)
		return;
	/* The slot and the number both get a new owner, with an event of the old one still undelivered. */
	loop_del_fd(loop, r->victim);
	loop_add_fd(loop, r->victim, EPOLLIN, on_fd, r->next, NULL);
}

START_TEST(event_of_an_old_owner_is_not_given_to_the_new_one)
{
	struct seen next = { .fd = -1 };
	struct replace a = { .victim = pair2[0], .next = &next }, b = { .victim = pair[0], .next = &next };

	loop_add_fd(loop, pair[0], EPOLLIN, on_fd_replace, &a, NULL);
	loop_add_fd(loop, pair2[0], EPOLLIN, on_fd_replace, &b, NULL);
	ck_assert_int_eq(write(pair[1], "x", 1), 1);
	ck_assert_int_eq(write(pair2[1], "x", 1), 1);
	loop_step(loop, -1);
	ck_assert_uint_eq(next.calls, 0);
	loop_step(loop, -1);
	ck_assert_uint_eq(next.calls, 1);
}
END_TEST

static char order[16];
static unsigned int order_len;

struct tick {
	struct loop_timer timer;
	char letter;
	unsigned int left;	/* stop the loop when it reaches 0 */
	bool rearm;
};

static void on_tick(void *ctx)
{
	struct tick *t = ctx;

	order[order_len++ % sizeof(order)] = t->letter;
	if (t->left && --t->left == 0)
		loop_stop(loop, 7);
	if (t->rearm)
		loop_add_timer(loop, &t->timer, 0, 0, on_tick, t);
}

START_TEST(timers_fire_in_order)
{
	struct tick a = { .letter = 'a' }, b = { .letter = 'b' }, c = { .letter = 'c', .left = 1 };

	order_len = 0;
	loop_add_timer(loop, &c.timer, 3 * MS, 0, on_tick, &c);
	loop_add_timer(loop, &a.timer, 1 * MS, 0, on_tick, &a);
	loop_add_timer(loop, &b.timer, 2 * MS, 0, on_tick, &b);
	ck_assert_int_eq(loop_run(loop), 7);
	ck_assert_uint_eq(order_len, 3);
	ck_assert_mem_eq(order, "abc", 3);
	ck_assert(!loop_timer_armed(&a.timer));
}
END_TEST

START_TEST(periodic_timer_repeats_without_catching_up)
{
	struct tick p = { .letter = 'p', .left = 3 };
	uint64_t until;

	order_len = 0;
	loop_step(loop, 0);
	loop_add_timer(loop, &p.timer, MS, MS, on_tick, &p);
	until = loop_now_ns(loop) + 20 * MS;
	ck_assert_int_eq(loop_run(loop), 7);
	ck_assert_uint_eq(order_len, 3);
	ck_assert(loop_timer_armed(&p.timer));
	/* The loop is away for many periods: one call, not twenty. */
	for (struct timespec ts = { .tv_nsec = MS }; ; nanosleep(&ts, NULL)) {
		struct timespec now;

		clock_gettime(CLOCK_MONOTONIC, &now);
		if ((uint64_t)now.tv_sec * 1000 * MS + (uint64_t)now.tv_nsec > until)
			break;
	}
	loop_step(loop, 0);
	ck_assert_uint_eq(order_len, 4);
	loop_del_timer(&p.timer);
	loop_del_timer(&p.timer);
}
END_TEST

START_TEST(timer_that_rearms_itself_starves_nobody)
{
	struct tick t = { .letter = 't', .rearm = true };
	struct seen s = { .fd = -1 };

	order_len = 0;
	loop_add_timer(loop, &t.timer, 0, 0, on_tick, &t);
	loop_add_fd(loop, pair[0], EPOLLIN, on_fd, &s, NULL);
	ck_assert_int_eq(write(pair[1], "x", 1), 1);
	for (int i = 0; i < 10; i++)
		loop_step(loop, -1);
	ck_assert_uint_ge(s.calls, 5);
	ck_assert_uint_ge(order_len, 1);
	loop_del_timer(&t.timer);
}
END_TEST

static void on_signal(void *ctx, int signo)
{
	struct seen *s = ctx;

	s->calls++;
	s->signo = signo;
	loop_stop(loop, 3);
}

START_TEST(signal_arrives_through_the_loop)
{
	struct seen s = { 0 };
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGUSR2);
	ck_assert_int_eq(loop_add_signals(loop, &set, on_signal, &s, NULL), 0);
	ck_assert_int_eq(loop_add_signals(loop, &set, on_signal, &s, NULL), -EEXIST);
	ck_assert_int_eq(raise(SIGUSR2), 0);
	ck_assert_int_eq(loop_run(loop), 3);
	ck_assert_int_eq(s.signo, SIGUSR2);
	pthread_sigmask(SIG_UNBLOCK, &set, NULL);
}
END_TEST

static void *stop_it(void *ctx)
{
	loop_stop(ctx, 5);
	return NULL;
}

START_TEST(another_thread_stops_a_sleeping_loop)
{
	pthread_t thread;

	for (int round = 0; round < 2; round++) {	/* a stopped loop runs again */
		ck_assert_int_eq(pthread_create(&thread, NULL, stop_it, loop), 0);
		ck_assert_int_eq(loop_run(loop), 5);
		pthread_join(thread, NULL);
	}
}
END_TEST

int main(void)
{
	Suite *s = suite_create("control/loop");
	TCase *tc = tcase_create("loop");
	SRunner *sr;
	int failed;

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, readable_fd_is_delivered_until_read);
	tcase_add_test(tc, fd_is_watched_once_and_bounded);
	tcase_add_test(tc, removed_fd_is_not_called_in_the_same_round);
	tcase_add_test(tc, event_of_an_old_owner_is_not_given_to_the_new_one);
	tcase_add_test(tc, timers_fire_in_order);
	tcase_add_test(tc, periodic_timer_repeats_without_catching_up);
	tcase_add_test(tc, timer_that_rearms_itself_starves_nobody);
	tcase_add_test(tc, signal_arrives_through_the_loop);
	tcase_add_test(tc, another_thread_stops_a_sleeping_loop);
	suite_add_tcase(s, tc);
	sr = srunner_create(s);
	srunner_run_all(sr, CK_NORMAL);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
