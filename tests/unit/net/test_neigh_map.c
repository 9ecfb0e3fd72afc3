/* SPDX-License-Identifier: MIT */
#include "user/net/neigh_map.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

static struct neigh_entry entry4(uint16_t iface, uint32_t addr)
{
	struct neigh_entry e = { .iface = iface, .family = AF_INET, .usable = true };

	put_be32(e.addr, addr);
	put_be32(e.mac, addr);
	return e;
}

static struct neigh_entry entry6(uint16_t iface, uint64_t hi, uint64_t lo)
{
	struct neigh_entry e = { .iface = iface, .family = AF_INET6, .usable = true };

	put_be64(e.addr, hi);
	put_be64(e.addr + 8, lo);
	put_be32(e.mac, (uint32_t)lo);
	return e;
}

static struct neigh_map *map_of(uint32_t n)
{
	struct fault f;
	struct neigh_map *m = neigh_map_create(n, &f);

	ck_assert_msg(m != NULL, "%s", f.text);
	return m;
}

/* Dense addresses on several interfaces, as links have them: everything is found, nothing else is. */
START_TEST(map_finds_what_it_holds)
{
	uint32_t n = (uint32_t)_i;
	struct neigh_map *m = map_of(n);

	for (uint32_t i = 0; i < n; i++) {
		struct neigh_entry e = i % 2 ? entry4((uint16_t)(i % 6), 0x0a000000 + i) :
					       entry6((uint16_t)(i % 6), UINT64_C(0x20010db800000000), i);

		ck_assert(neigh_map_add(m, &e));
	}
	for (uint32_t i = 0; i < n; i++) {
		struct neigh_entry e4 = entry4((uint16_t)(i % 6), 0x0a000000 + i);
		struct neigh_entry e6 = entry6((uint16_t)(i % 6), UINT64_C(0x20010db800000000), i);
		struct neigh_entry *f4 = neigh_map_lookup4(m, e4.iface, wire32_at(e4.addr));
		struct neigh_entry *f6 = neigh_map_lookup6(m, e6.iface, e6.addr);

		if ((i % 2 ? f4 : f6) == NULL || (i % 2 ? f6 : f4) != NULL)
			ck_abort_msg("neighbour %u", i);
		ck_assert_mem_eq(i % 2 ? f4->mac : f6->mac, i % 2 ? e4.mac : e6.mac, 6);
		if (neigh_map_lookup4(m, (uint16_t)(e4.iface + 6), wire32_at(e4.addr)) ||
		    neigh_map_lookup6(m, (uint16_t)(e6.iface + 6), e6.addr))
			ck_abort_msg("neighbour %u on another interface", i);
	}
	neigh_map_destroy(m);
}
END_TEST

START_TEST(map_is_bounded)
{
	struct neigh_map *m = map_of(8);
	struct fault f;
	uint32_t n = 0;

	for (;; n++) {
		struct neigh_entry e = entry4(1, n);

		if (!neigh_map_add(m, &e))
			break;
		ck_assert_uint_lt(n, 1000);
	}
	ck_assert_uint_ge(n, 8);
	ck_assert_ptr_null(neigh_map_lookup4(m, 1, htobe32(n)));
	neigh_map_destroy(m);
	ck_assert_ptr_null(neigh_map_create(NEIGH_MAP_MAX + 1, &f));
}
END_TEST

START_TEST(first_entry_of_an_address_stays)
{
	struct neigh_map *m = map_of(4);
	struct neigh_entry e = entry4(1, 0x0a000001);

	ck_assert(neigh_map_add(m, &e));
	e.mac[0] = 0x77;
	ck_assert(neigh_map_add(m, &e));
	ck_assert_uint_eq(m->count, 1);
	e.iface = 2;
	ck_assert(neigh_map_add(m, &e));
	ck_assert_uint_eq(m->count, 2);
	ck_assert_uint_eq(neigh_map_lookup4(m, 2, htobe32(0x0a000001))->mac[0], 0x77);
	ck_assert_uint_ne(neigh_map_lookup4(m, 1, htobe32(0x0a000001))->mac[0], 0x77);
	neigh_map_destroy(m);
}
END_TEST

/* Link-local addresses are the same on every link. */
START_TEST(interfaces_are_told_apart)
{
	struct neigh_map *m = map_of(2000);

	for (unsigned int i = 0; i < 2000; i++) {
		struct neigh_entry e = entry6((uint16_t)(i % 100), UINT64_C(0xfe80000000000000), i / 100);

		put_be32(e.mac, i);
		ck_assert(neigh_map_add(m, &e));
	}
	ck_assert_uint_eq(m->count, 2000);
	for (unsigned int i = 0; i < 2000; i++) {
		struct neigh_entry e = entry6((uint16_t)(i % 100), UINT64_C(0xfe80000000000000), i / 100);

		ck_assert_uint_eq(be32_at(neigh_map_lookup6(m, e.iface, e.addr)->mac), i);
	}
	neigh_map_destroy(m);
}
END_TEST

START_TEST(mark_of_use_is_set_once)
{
	struct neigh_map *m = map_of(4);
	struct neigh_entry e = entry4(1, 0x0a000001), *f;

	atomic_store(&e.used, 1);
	neigh_map_add(m, &e);
	f = neigh_map_lookup4(m, 1, htobe32(0x0a000001));
	ck_assert_uint_eq(atomic_load(&f->used), 0);
	neigh_map_mark_used(f);
	neigh_map_mark_used(f);
	ck_assert_uint_eq(atomic_load(&f->used), 1);
	neigh_map_destroy(m);
}
END_TEST

int main(void)
{
	static const int sizes[] = { 1, 7, 100, 5000 };
	Suite *s = suite_create("neigh_map");
	TCase *tc = tcase_create("neigh_map");
	SRunner *sr;
	int failed;

	for (unsigned int i = 0; i < ARRAY_SIZE(sizes); i++)
		tcase_add_loop_test(tc, map_finds_what_it_holds, sizes[i], sizes[i] + 1);
	tcase_add_test(tc, map_is_bounded);
	tcase_add_test(tc, first_entry_of_an_address_stays);
	tcase_add_test(tc, interfaces_are_told_apart);
	tcase_add_test(tc, mark_of_use_is_set_once);
	suite_add_tcase(s, tc);
	sr = srunner_create(s);
	srunner_run_all(sr, CK_NORMAL);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed != 0;
}
