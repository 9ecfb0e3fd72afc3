/* SPDX-License-Identifier: MIT */
#include "user/packet/area.h"

#include <check.h>
#include <errno.h>
#include <stdlib.h>

#include "common/bytes.h"

#define N 64
#define RESERVE 8

static struct area *a;
static struct fault fault;

static void setup(void)
{
	struct area_params ap = { .id = 3, .n_frames = N, .chunk_bytes = 2048, .reserve = RESERVE };

	ck_assert_msg(area_create(&a, &ap, &fault) == 0, "%s", fault.text);
}

static void teardown(void)
{
	ck_assert_msg(area_check(a, &fault) == 0, "%s", fault.text);
	ck_assert_uint_eq(area_leaks(a), 0);
	area_destroy(a);
}

/* A packet of @n frames of @each bytes, whose bytes count up. */
static struct pkt *chain(unsigned int n, uint16_t each)
{
	struct pkt *head = area_alloc(a), *tail = head;

	ck_assert_ptr_nonnull(head);
	for (unsigned int i = 0; i < n; i++) {
		struct pkt *p = i == 0 ? head : area_alloc(a);

		ck_assert_ptr_nonnull(p);
		p->len = each;
		for (unsigned int b = 0; b < each; b++)
			pkt_data(p)[b] = (uint8_t)(i * each + b);
		if (p != head) {
			tail->next = p->frame;
			tail = p;
		}
	}
	head->n_frames = (uint8_t)n;
	head->total_bytes = n * each;
	return head;
}

START_TEST(every_frame_is_its_own)
{
	for (uint32_t i = 0; i < N; i++) {
		ck_assert_uint_eq(a->pkts[i].frame, i);
		ck_assert_ptr_eq(a->pkts[i].buf, a->base + (size_t)i * 2048);
		ck_assert_uint_eq(a->pkts[i].area, 3);
		/* Touched, and writable to its end. */
		memset(a->pkts[i].buf, (int)i, 2048);
	}
}
END_TEST

static const struct {
	const char *name;
	struct area_params ap;
} bad[] = {
	{ "chunk 1024", { .n_frames = 64, .chunk_bytes = 1024 } },
	{ "chunk 8192", { .n_frames = 64, .chunk_bytes = 8192 } },
	{ "no frames", { .n_frames = 0, .chunk_bytes = 2048 } },
	{ "too many frames", { .n_frames = UINT32_MAX, .chunk_bytes = 2048 } },
	{ "all reserved", { .n_frames = 64, .chunk_bytes = 2048, .reserve = 64 } },
};

START_TEST(area_params_rejects)
{
	struct area *none = NULL;

	fault.text[0] = 0;
	ck_assert_msg(area_create(&none, &bad[_i].ap, &fault) == -EINVAL, "%s", bad[_i].name);
	ck_assert_ptr_null(none);
	ck_assert_msg(fault.text[0], "%s", bad[_i].name);
}
END_TEST

/* This machine may have huge pages or not: asked for, they are there or the fault says so. */
START_TEST(huge_pages_or_a_reason)
{
	struct area_params ap = { .n_frames = 64, .chunk_bytes = 2048, .huge = AREA_HUGE_REQUIRE };
	struct area *huge = NULL;

	fault.text[0] = 0;
	if (area_create(&huge, &ap, &fault) == 0) {
		ck_assert(huge->huge);
		ck_assert_uint_eq(huge->map_bytes, 2u << 20);
		area_destroy(huge);
	} else {
		ck_assert_msg(strstr(fault.text, "huge"), "%s", fault.text);
	}
}
END_TEST

START_TEST(memory_that_is_not_there_is_an_error)
{
	struct area_params ap = { .n_frames = (1u << 20) - 1, .chunk_bytes = 4096, .huge = AREA_HUGE_REQUIRE };
	struct area *none = NULL;

	ck_assert_int_lt(area_create(&none, &ap, &fault), 0);
	ck_assert_ptr_null(none);
}
END_TEST

START_TEST(reserve_is_for_reception)
{
	struct pkt *held[N], *last[RESERVE];
	unsigned int n = 0;

	while ((held[n] = area_alloc(a)) != NULL)
		n++;
	ck_assert_uint_eq(n, N - RESERVE);
	for (unsigned int i = 0; i < RESERVE; i++)
		ck_assert_ptr_nonnull(last[i] = area_take(a));
	ck_assert_ptr_null(area_take(a));
	ck_assert_uint_eq(area_leaks(a), N);
	for (unsigned int i = 0; i < RESERVE; i++)
		area_give(a, last[i]);
	for (unsigned int i = 0; i < n; i++)
		pkt_put(a, held[i]);
}
END_TEST

START_TEST(alloc_gives_an_empty_packet)
{
	struct pkt *p = area_alloc(a);

	p->rx_hash = 1;
	p->flags = 0xffff;
	p->gso_size = 1;
	p->vlan[1] = 1;
	p->off = 9;
	pkt_put(a, p);
	p = area_alloc(a);
	ck_assert_uint_eq(p->off, PKT_HEADROOM_BYTES);
	ck_assert_uint_eq(p->len, 0);
	ck_assert_uint_eq(p->n_frames, 1);
	ck_assert_uint_eq(p->next, PKT_NONE);
	ck_assert_uint_eq(p->flags, 0);
	ck_assert_uint_eq(p->gso_size, 0);
	ck_assert_uint_eq(p->rx_hash, 0);
	ck_assert_uint_eq(p->vlan[1], 0);
	ck_assert_uint_eq(p->area, 3);
	ck_assert_uint_eq(p->place, PLACE_ENGINE);
	pkt_put(a, p);
}
END_TEST

START_TEST(reference_keeps_the_whole_chain)
{
	struct pkt *p = chain(3, 100);

	pkt_get(p);
	pkt_put(a, p);
	ck_assert_uint_eq(area_leaks(a), 3);
	pkt_put(a, p);
	ck_assert_uint_eq(area_leaks(a), 0);
}
END_TEST

START_TEST(quota_bounds_a_holder)
{
	struct pkt *one = chain(1, 10), *two = chain(2, 10), *again;

	a->quota[PLACE_NEIGH] = 3;
	ck_assert(pkt_hold(a, two, PLACE_NEIGH));
	ck_assert_uint_eq(two->place, PLACE_NEIGH);
	ck_assert_uint_eq(area_next(a, two)->place, PLACE_NEIGH);
	again = chain(2, 10);
	ck_assert(!pkt_hold(a, again, PLACE_NEIGH));
	ck_assert_uint_eq(again->place, PLACE_ENGINE);
	ck_assert(pkt_hold(a, one, PLACE_NEIGH));
	ck_assert_uint_eq(a->count[PLACE_NEIGH], 3);
	/* Lowered while frames are held: nothing more, and no arithmetic below zero. */
	a->quota[PLACE_NEIGH] = 1;
	ck_assert(!pkt_hold(a, again, PLACE_NEIGH));
	ck_assert_msg(area_check(a, &fault) == 0, "%s", fault.text);
	pkt_unhold(a, two);
	ck_assert_uint_eq(two->place, PLACE_ENGINE);
	ck_assert_uint_eq(a->count[PLACE_NEIGH], 1);
	pkt_put(a, two);
	pkt_put(a, one);	/* from where it is held */
	pkt_put(a, again);
}
END_TEST

START_TEST(nobody_holds_below_the_reserve)
{
	struct pkt *p = area_alloc(a), *rest[N];
	unsigned int n = 0;

	while (a->n_free >= RESERVE)
		rest[n++] = area_take(a);
	ck_assert(!pkt_hold(a, p, PLACE_NEIGH));
	area_give(a, rest[--n]);
	ck_assert(pkt_hold(a, p, PLACE_NEIGH));
	pkt_put(a, p);
	while (n > 0)
		area_give(a, rest[--n]);
}
END_TEST

START_TEST(copy_out_crosses_frames)
{
	struct pkt *p = chain(3, 100);
	uint8_t b[400];

	memset(b, 0xee, sizeof(b));
	ck_assert_uint_eq(pkt_copy_out(a, p, 95, b, 110), 110);
	for (unsigned int i = 0; i < 110; i++)
		ck_assert_uint_eq(b[i], (uint8_t)(95 + i));
	ck_assert_uint_eq(b[110], 0xee);
	ck_assert_uint_eq(pkt_copy_out(a, p, 0, b, 400), 300);
	ck_assert_uint_eq(pkt_copy_out(a, p, 299, b, 5), 1);
	ck_assert_uint_eq(pkt_copy_out(a, p, 300, b, 5), 0);
	ck_assert_uint_eq(pkt_copy_out(a, p, UINT32_MAX, b, 5), 0);
	ck_assert_uint_eq(pkt_copy_out(a, p, 200, b, 0), 0);
	pkt_put(a, p);
}
END_TEST

static const struct {
	uint32_t to;
	unsigned int frames;
	uint16_t last;
} trims[] = {
	{ 1000, 3, 100 }, { 300, 3, 100 }, { 299, 3, 99 }, { 201, 3, 1 }, { 200, 2, 100 }, { 100, 1, 100 }, { 1, 1, 1 },
	{ 0, 1, 0 },
};

START_TEST(trim_sends_frames_home)
{
	struct pkt *p = chain(3, 100), *last = p;

	pkt_trim(a, p, trims[_i].to);
	ck_assert_uint_eq(p->total_bytes, trims[_i].to < 300 ? trims[_i].to : 300);
	ck_assert_uint_eq(p->n_frames, trims[_i].frames);
	ck_assert_uint_eq(area_leaks(a), trims[_i].frames);
	while (last->next != PKT_NONE)
		last = area_next(a, last);
	ck_assert_uint_eq(last->len, trims[_i].last);
	ck_assert_msg(area_check(a, &fault) == 0, "%s", fault.text);
	pkt_put(a, p);
}
END_TEST

/* The check must see each way in which a ledger goes wrong. */
START_TEST(check_finds_faults)
{
	struct pkt *p = area_alloc(a);
	uint32_t saved;

	p->place = PLACE_TX;
	ck_assert_int_eq(area_check(a, &fault), -EINVAL);
	p->place = PLACE_ENGINE;

	saved = a->free[0];
	a->free[0] = a->free[1];
	ck_assert_int_eq(area_check(a, &fault), -EINVAL);
	a->free[0] = p->frame;
	ck_assert_int_eq(area_check(a, &fault), -EINVAL);
	a->free[0] = saved;

	p->next = N;
	ck_assert_int_eq(area_check(a, &fault), -EINVAL);
	p->next = PKT_NONE;
	p->frame++;
	ck_assert_int_eq(area_check(a, &fault), -EINVAL);
	p->frame--;
	p->place = PLACE_N;
	ck_assert_int_eq(area_check(a, &fault), -EINVAL);
	p->place = PLACE_ENGINE;
	a->n_free--;
	ck_assert_int_eq(area_check(a, &fault), -EINVAL);
	a->n_free++;
	pkt_put(a, p);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("area");
	TCase *tc = tcase_create("area");
	SRunner *r = srunner_create(s);
	int failed;

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, every_frame_is_its_own);
	tcase_add_loop_test(tc, area_params_rejects, 0, ARRAY_SIZE(bad));
	tcase_add_test(tc, huge_pages_or_a_reason);
	tcase_add_test(tc, memory_that_is_not_there_is_an_error);
	tcase_add_test(tc, reserve_is_for_reception);
	tcase_add_test(tc, alloc_gives_an_empty_packet);
	tcase_add_test(tc, reference_keeps_the_whole_chain);
	tcase_add_test(tc, quota_bounds_a_holder);
	tcase_add_test(tc, nobody_holds_below_the_reserve);
	tcase_add_test(tc, copy_out_crosses_frames);
	tcase_add_loop_test(tc, trim_sends_frames_home, 0, ARRAY_SIZE(trims));
	tcase_add_test(tc, check_finds_faults);
	suite_add_tcase(s, tc);
	srunner_run_all(r, CK_NORMAL);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
