/* SPDX-License-Identifier: MIT */
#include "common/record_ring.h"

#include <check.h>
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>

#define SIZE 4096u

static struct record_ring ring;

static void setup(void)
{
	ck_assert_int_eq(record_ring_init(&ring, SIZE, NULL), 0);
}

static void teardown(void)
{
	record_ring_fini(&ring);
}

/* A record whose bytes follow from its length and number. */
static bool put(uint32_t len, uint32_t n)
{
	uint8_t *at = record_ring_reserve(&ring, len);

	if (!at)
		return false;
	if ((uintptr_t)at % 8)
		ck_abort_msg("record %u is not aligned", n);
	for (uint32_t i = 0; i < len; i++)
		at[i] = (uint8_t)(n + i);
	record_ring_commit(&ring);
	return true;
}

static bool get(uint32_t len, uint32_t n)
{
	uint32_t got;
	const uint8_t *at = record_ring_peek(&ring, &got);

	if (!at)
		return false;
	if (got != len)
		ck_abort_msg("record %u is of %u bytes, not %u", n, got, len);
	for (uint32_t i = 0; i < len; i++)
		if (at[i] != (uint8_t)(n + i))
			ck_abort_msg("record %u, byte %u of %u", n, i, len);
	record_ring_release(&ring);
	return true;
}

START_TEST(bad_sizes_are_refused)
{
	static const uint32_t bad[] = { 0, 1, 2048, 4095, 4097, 6000, (1u << 30) + 1, 1u << 31 };
	struct record_ring r;

	for (unsigned int i = 0; i < ARRAY_SIZE(bad); i++)
		ck_assert_int_lt(record_ring_init(&r, bad[i], NULL), 0);
}
END_TEST

START_TEST(an_empty_ring_has_no_record)
{
	uint32_t len;

	ck_assert_ptr_null(record_ring_peek(&ring, &len));
	ck_assert(put(0, 0));
	ck_assert(get(0, 0));
	ck_assert_ptr_null(record_ring_peek(&ring, &len));
}
END_TEST

START_TEST(peeking_twice_sees_the_same_record)
{
	uint32_t len;

	/* Also where a marker is skipped: the second record begins at the start. */
	ck_assert(put(SIZE / 2 - 8, 1) && get(SIZE / 2 - 8, 1));
	ck_assert(put(SIZE / 2 - 32, 1) && get(SIZE / 2 - 32, 1));
	ck_assert(put(100, 2));
	ck_assert_ptr_nonnull(record_ring_peek(&ring, &len));
	ck_assert(get(100, 2));
}
END_TEST

START_TEST(a_reservation_that_is_not_committed_costs_nothing)
{
	uint32_t len;

	for (unsigned int i = 0; i < 100; i++)
		ck_assert_ptr_nonnull(record_ring_reserve(&ring, 1000));
	ck_assert_ptr_null(record_ring_peek(&ring, &len));
	ck_assert(put(16, 1) && get(16, 1));
}
END_TEST

START_TEST(a_full_ring_refuses_until_something_is_released)
{
	uint32_t n = 0;

	while (put(56, n))
		n++;
	ck_assert_uint_eq(n, SIZE / 64);
	ck_assert(!put(0, 0));
	ck_assert(get(56, 0));
	ck_assert(put(56, n));
	ck_assert(!put(0, 0));
	for (uint32_t i = 1; i <= n; i++)
		ck_assert(get(56, i));
}
END_TEST

/* An empty ring whose next record would begin at byte @at. */
static void stand_at(uint32_t at)
{
	atomic_store(&ring.head, at);
	atomic_store(&ring.tail, at);
	ring.seen_head = ring.seen_tail = at;
}

/* Whatever the position: a length is either refused always or fits an empty ring always. */
START_TEST(what_fits_once_fits_wherever_the_ring_stands)
{
	for (uint32_t len = 0; len <= SIZE; len += len < SIZE / 2 - 40 || len > SIZE / 2 + 40 ? 61 : 1) {
		bool fits;

		stand_at(0);
		fits = put(len, 0);
		for (uint32_t at = 0; at < SIZE; at += 8) {
			/* Before and behind the wrap of the indices themselves. */
			stand_at(at & 8 ? at : UINT32_MAX - SIZE + 1 + at);
			if (put(len, 7) != fits || (fits && !get(len, 7)))
				ck_abort_msg("%u bytes at %u", len, at);
		}
	}
	ck_assert_ptr_null(record_ring_reserve(&ring, UINT32_MAX));
}
END_TEST

START_TEST(all_lengths_at_all_positions_with_a_queue)
{
	uint32_t in = 0, out = 0, state = 1;
	static uint32_t lens[1 << 16];

	while (out < ARRAY_SIZE(lens)) {
		state = state * 1664525 + 1013904223;
		if (in < ARRAY_SIZE(lens) && state >> 31) {
			lens[in] = (state >> 8) % 700;
			if (put(lens[in], in))
				in++;
		} else if (out < in) {
			if (!get(lens[out], out))
				ck_abort_msg("record %u is missing", out);
			out++;
		}
	}
}
END_TEST

#define RECORDS 200000u

static uint32_t len_of(uint32_t n)
{
	return n * 2654435761u >> 22;	/* 0 to 1023 */
}

static void *produce(void *arg)
{
	(void)arg;
	for (uint32_t n = 0; n < RECORDS; n++) {
		uint8_t *at;

		while (!(at = record_ring_reserve(&ring, len_of(n))))
			sched_yield();
		memset(at, (int)(n & 0xff), len_of(n));
		record_ring_commit(&ring);
	}
	return NULL;
}

START_TEST(two_threads_keep_order_and_content)
{
	pthread_t t;

	ck_assert_int_eq(pthread_create(&t, NULL, produce, NULL), 0);
	for (uint32_t n = 0; n < RECORDS;) {
		uint32_t len;
		const uint8_t *at = record_ring_peek(&ring, &len);

		if (!at) {
			sched_yield();
			continue;
		}
		if (len != len_of(n))
			ck_abort_msg("record %u is of %u bytes, not %u", n, len, len_of(n));
		for (uint32_t i = 0; i < len; i++)
			if (at[i] != (uint8_t)n)
				ck_abort_msg("record %u, byte %u of %u", n, i, len);
		record_ring_release(&ring);
		n++;
	}
	pthread_join(t, NULL);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("record ring");
	TCase *tc = tcase_create("record ring");
	SRunner *r = srunner_create(s);
	int failed;

	tcase_set_timeout(tc, 60);
	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, bad_sizes_are_refused);
	tcase_add_test(tc, an_empty_ring_has_no_record);
	tcase_add_test(tc, peeking_twice_sees_the_same_record);
	tcase_add_test(tc, a_reservation_that_is_not_committed_costs_nothing);
	tcase_add_test(tc, a_full_ring_refuses_until_something_is_released);
	tcase_add_test(tc, what_fits_once_fits_wherever_the_ring_stands);
	tcase_add_test(tc, all_lengths_at_all_positions_with_a_queue);
	tcase_add_test(tc, two_threads_keep_order_and_content);
	suite_add_tcase(s, tc);
	srunner_run_all(r, CK_ENV);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
