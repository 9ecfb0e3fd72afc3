/* SPDX-License-Identifier: MIT */
#include "common/epoch.h"

#include <check.h>
#include <pthread.h>
#include <stdlib.h>

static unsigned int n_freed;

static void count_free(void *arg)
{
	free(arg);
	n_freed++;
}

static void setup(void)
{
	n_freed = 0;
}

START_TEST(epoch_waits_for_each_online_reader)
{
	struct epoch e;

	ck_assert_int_eq(epoch_init(&e, 3, NULL), 0);
	epoch_online(&e, 0);
	epoch_online(&e, 2);
	epoch_retire(&e, count_free, malloc(1));
	ck_assert_uint_eq(epoch_reclaim(&e), 1);
	epoch_quiescent(&e, 0);
	ck_assert_uint_eq(epoch_reclaim(&e), 1);
	epoch_quiescent(&e, 2);
	ck_assert_uint_eq(n_freed, 0);
	ck_assert_uint_eq(epoch_reclaim(&e), 0);
	ck_assert_uint_eq(n_freed, 1);
	epoch_offline(&e, 0);
	epoch_offline(&e, 2);
	epoch_fini(&e);
}
END_TEST

START_TEST(epoch_quiescent_before_the_retirement_does_not_count)
{
	struct epoch e;

	ck_assert_int_eq(epoch_init(&e, 1, NULL), 0);
	epoch_online(&e, 0);
	epoch_retire(&e, count_free, malloc(1));
	epoch_quiescent(&e, 0);		/* the clock has not moved yet: a pointer may be loaded after this */
	epoch_retire(&e, count_free, malloc(1));
	ck_assert_uint_eq(epoch_reclaim(&e), 2);
	epoch_quiescent(&e, 0);
	epoch_retire(&e, count_free, malloc(1));
	ck_assert_uint_eq(epoch_reclaim(&e), 1);
	ck_assert_uint_eq(n_freed, 2);
	epoch_offline(&e, 0);
	epoch_fini(&e);
	ck_assert_uint_eq(n_freed, 3);
}
END_TEST

START_TEST(epoch_offline_reader_is_not_waited_for)
{
	struct epoch e;

	ck_assert_int_eq(epoch_init(&e, 2, NULL), 0);
	epoch_online(&e, 1);
	epoch_offline(&e, 1);
	epoch_retire(&e, count_free, malloc(1));
	ck_assert_uint_eq(epoch_reclaim(&e), 0);
	epoch_synchronize(&e);
	/* Who comes online later has nothing to do with what was retired before. */
	epoch_retire(&e, count_free, malloc(1));
	epoch_poll(&e);
	epoch_online(&e, 0);
	ck_assert_uint_eq(epoch_reclaim(&e), 0);
	epoch_offline(&e, 0);
	epoch_fini(&e);
}
END_TEST

START_TEST(epoch_stamps_pass_like_retirements)
{
	struct epoch e;
	uint64_t stamp;

	ck_assert_int_eq(epoch_init(&e, 1, NULL), 0);
	epoch_online(&e, 0);
	stamp = epoch_stamp(&e);
	epoch_poll(&e);
	ck_assert(!epoch_passed(&e, stamp));
	epoch_quiescent(&e, 0);
	ck_assert(!epoch_passed(&e, stamp));	/* as of the last poll */
	epoch_poll(&e);
	ck_assert(epoch_passed(&e, stamp));
	epoch_offline(&e, 0);
	epoch_fini(&e);
}
END_TEST

START_TEST(epoch_retire_reclaims_by_itself)
{
	struct epoch e;

	ck_assert_int_eq(epoch_init(&e, 1, NULL), 0);
	for (unsigned int i = 0; i < 100000; i++)
		epoch_retire(&e, count_free, malloc(1));
	ck_assert_uint_le(e.count, 2048);
	epoch_online(&e, 0);
	for (unsigned int i = 0; i < 5000; i++)		/* a reader that stands still: everything must be kept */
		epoch_retire(&e, count_free, malloc(1));
	ck_assert_uint_ge(epoch_reclaim(&e), 5000);
	epoch_offline(&e, 0);
	epoch_fini(&e);
	ck_assert_uint_eq(n_freed, 105000);
}
END_TEST

/* Two readers follow a pointer that the writer replaces all the time; what is retired is poisoned, then freed. */
#define ALIVE UINT64_C(0x600d600d600d600d)
#define ROUNDS 20000u

struct object {
	uint64_t mark, number;
};

struct shared {
	struct epoch e;
	struct object *_Atomic current;
	_Atomic unsigned int running;
	_Atomic unsigned int next_reader;
};

static void poison(void *arg)
{
	struct object *o = arg;

	o->mark = 0;
	free(o);
	n_freed++;
}

static void *read_on(void *arg)
{
	struct shared *sh = arg;
	unsigned int me = atomic_fetch_add(&sh->next_reader, 1);
	uint64_t last = 0;

	epoch_online(&sh->e, me);
	for (unsigned int i = 0; atomic_load(&sh->running); i++) {
		for (unsigned int batch = 0; batch < 32; batch++) {
			const struct object *o = atomic_load_explicit(&sh->current, memory_order_acquire);

			if (o->mark != ALIVE || o->number < last)
				return arg;
			last = o->number;
		}
		if (i % 64 == 63) {
			epoch_offline(&sh->e, me);
			epoch_online(&sh->e, me);
		} else {
			epoch_quiescent(&sh->e, me);
		}
	}
	epoch_offline(&sh->e, me);
	return NULL;
}

static struct object *object_new(uint64_t number)
{
	struct object *o = malloc(sizeof(*o));

	ck_assert_ptr_nonnull(o);
	*o = (struct object){ ALIVE, number };
	return o;
}

START_TEST(epoch_readers_never_see_what_is_freed)
{
	struct shared sh = { .running = 1 };
	pthread_t t[2];
	void *failed;

	ck_assert_int_eq(epoch_init(&sh.e, 2, NULL), 0);
	atomic_store(&sh.current, object_new(0));
	for (unsigned int i = 0; i < 2; i++)
		ck_assert_int_eq(pthread_create(&t[i], NULL, read_on, &sh), 0);
	for (unsigned int i = 1; i <= ROUNDS; i++) {
		struct object *old = atomic_exchange_explicit(&sh.current, object_new(i), memory_order_acq_rel);

		epoch_retire(&sh.e, poison, old);
		if (i % 1000 == 0)
			epoch_synchronize(&sh.e);
		else
			epoch_reclaim(&sh.e);
	}
	ck_assert_uint_eq(n_freed, ROUNDS);	/* the last synchronize left nothing */
	atomic_store(&sh.running, 0);
	for (unsigned int i = 0; i < 2; i++) {
		ck_assert_int_eq(pthread_join(t[i], &failed), 0);
		ck_assert_ptr_null(failed);
	}
	free(atomic_load(&sh.current));
	epoch_fini(&sh.e);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("epoch");
	TCase *tc = tcase_create("epoch");
	SRunner *r = srunner_create(s);
	int failed;

	tcase_set_timeout(tc, 60);
	tcase_add_checked_fixture(tc, setup, NULL);
	tcase_add_test(tc, epoch_waits_for_each_online_reader);
	tcase_add_test(tc, epoch_quiescent_before_the_retirement_does_not_count);
	tcase_add_test(tc, epoch_offline_reader_is_not_waited_for);
	tcase_add_test(tc, epoch_stamps_pass_like_retirements);
	tcase_add_test(tc, epoch_retire_reclaims_by_itself);
	tcase_add_test(tc, epoch_readers_never_see_what_is_freed);
	suite_add_tcase(s, tc);
	srunner_run_all(r, CK_ENV);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
