/* SPDX-License-Identifier: MIT */
#include "common/spsc.h"

#include <check.h>
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

START_TEST(spsc_refuses_bad_sizes)
{
	struct fault f = { "" };
	struct spsc r;

	ck_assert_int_eq(spsc_init(&r, 0, 8, &f), -EINVAL);
	ck_assert_int_eq(spsc_init(&r, 3, 8, &f), -EINVAL);
	ck_assert_int_eq(spsc_init(&r, 1u << 31, 8, &f), -EINVAL);
	ck_assert_int_eq(spsc_init(&r, 8, 0, &f), -EINVAL);
	ck_assert_str_ne(f.text, "");
}
END_TEST

START_TEST(spsc_all_slots_are_usable_and_none_twice)
{
	struct spsc r;

	ck_assert_int_eq(spsc_init(&r, 4, 4, NULL), 0);
	/* Also where the counters pass 2^32. */
	atomic_store(&r.head, UINT32_MAX - 5);
	atomic_store(&r.tail, UINT32_MAX - 5);
	r.seen_head = r.seen_tail = UINT32_MAX - 5;
	for (uint32_t round = 0; round < 20; round++) {
		uint32_t n = round % 5;

		ck_assert_uint_eq(spsc_reserve(&r, 100), 4);
		ck_assert_uint_eq(spsc_reserve(&r, n), n);
		for (uint32_t i = 0; i < n; i++)
			*(uint32_t *)spsc_free_slot(&r, i) = round * 100 + i;
		ck_assert_uint_eq(spsc_peek(&r, 100), 0);	/* not before the commit */
		spsc_commit(&r, n);
		ck_assert_uint_eq(spsc_count(&r), n);
		ck_assert_uint_eq(spsc_reserve(&r, 100), 4 - n);
		ck_assert_uint_eq(spsc_peek(&r, 100), n);
		for (uint32_t i = 0; i < n; i++)
			ck_assert_uint_eq(*(uint32_t *)spsc_slot(&r, i), round * 100 + i);
		spsc_release(&r, n);
	}
	spsc_fini(&r);
	spsc_fini(&r);
}
END_TEST

#define MESSAGES 300000u

struct duo {
	struct spsc r;
	int wake_fd;	/* -1: the consumer spins */
};

static void *produce(void *arg)
{
	struct duo *d = arg;
	uint64_t next = 0, one = 1;

	while (next < MESSAGES) {
		uint32_t n = spsc_reserve(&d->r, (uint32_t)min_u64(1 + next % 7, MESSAGES - next));

		if (n == 0) {
			sched_yield();
			continue;
		}
		for (uint32_t i = 0; i < n; i++) {
			uint64_t *slot = spsc_free_slot(&d->r, i);

			slot[0] = next;
			slot[1] = ~next++;
		}
		if (d->wake_fd < 0)
			spsc_commit(&d->r, n);
		else if (spsc_commit_wakes(&d->r, n) && write(d->wake_fd, &one, sizeof(one)) != sizeof(one))
			return arg;
	}
	return NULL;
}

static void consume(struct duo *d)
{
	uint64_t expect = 0, n_woken;
	struct pollfd p = { .fd = d->wake_fd, .events = POLLIN };

	while (expect < MESSAGES) {
		uint32_t n = spsc_peek(&d->r, 16);

		for (uint32_t i = 0; i < n; i++) {
			const uint64_t *slot = spsc_slot(&d->r, i);

			ck_assert_uint_eq(slot[0], expect);
			ck_assert_uint_eq(slot[1], ~expect);
			expect++;
		}
		spsc_release(&d->r, n);
		if (n > 0)
			continue;
		if (d->wake_fd < 0) {
			sched_yield();
		} else if (spsc_wait_begin(&d->r)) {
			/* A lost wake-up shows as a time-out: the producer writes on until it is done. */
			ck_assert_int_eq(poll(&p, 1, 20000), 1);
			ck_assert_int_eq(read(d->wake_fd, &n_woken, sizeof(n_woken)), sizeof(n_woken));
			spsc_wait_end(&d->r);
		}
	}
}

static void run_duo(int wake_fd)
{
	struct duo d = { .wake_fd = wake_fd };
	void *failed;
	pthread_t t;

	ck_assert_int_eq(spsc_init(&d.r, 64, 16, NULL), 0);
	ck_assert_int_eq(pthread_create(&t, NULL, produce, &d), 0);
	consume(&d);
	ck_assert_int_eq(pthread_join(t, &failed), 0);
	ck_assert_ptr_null(failed);
	ck_assert_uint_eq(spsc_count(&d.r), 0);
	spsc_fini(&d.r);
}

START_TEST(spsc_two_threads_keep_order_and_content)
{
	run_duo(-1);
}
END_TEST

START_TEST(spsc_no_wakeup_is_lost)
{
	int fd = eventfd(0, EFD_CLOEXEC);

	ck_assert_int_ge(fd, 0);
	run_duo(fd);
	close(fd);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("spsc");
	TCase *tc = tcase_create("spsc");
	SRunner *r = srunner_create(s);
	int failed;

	tcase_set_timeout(tc, 60);
	tcase_add_test(tc, spsc_refuses_bad_sizes);
	tcase_add_test(tc, spsc_all_slots_are_usable_and_none_twice);
	tcase_add_test(tc, spsc_two_threads_keep_order_and_content);
	tcase_add_test(tc, spsc_no_wakeup_is_lost);
	suite_add_tcase(s, tc);
	srunner_run_all(r, CK_ENV);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
