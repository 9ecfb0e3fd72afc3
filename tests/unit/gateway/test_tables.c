/* SPDX-License-Identifier: MIT */
/* The workers' snapshot: which interface does a frame belong to? */
#include <check.h>
#include <stdlib.h>

#include "tests/unit/gateway/rig.h"

static struct iface ifaces[64];
static uint16_t n_ifaces;
static struct tables *t;

static void setup(void)
{
	n_ifaces = 0;
	t = NULL;
}

static void teardown(void)
{
	tables_free(t);
}

static uint16_t add(uint16_t port, uint16_t outer, uint16_t inner)
{
	uint16_t id = n_ifaces++;

	ifaces[id] = (struct iface){ .id = id, .port = port, .n_vlans = inner ? 2 : outer ? 1 : 0 };
	ifaces[id].vlan[0].vid = outer;
	ifaces[id].vlan[1].vid = inner;
	return id;
}

static void build(void)
{
	struct neigh_map *m = neigh_map_create(4, NULL);

	tables_free(t);
	ck_assert_int_eq(tables_build(&t, ifaces, n_ifaces, m, NULL, 7, NULL), 0);
}

/* TCIs as received; -1: no tag. */
static uint16_t lookup(uint16_t port, int outer, int inner)
{
	struct pkt p = { .port_in = port, .n_vlans = (uint8_t)((outer >= 0) + (inner >= 0)) };

	p.vlan[0] = (uint16_t)(outer >= 0 ? outer : 0);
	p.vlan[1] = (uint16_t)(inner >= 0 ? inner : 0);
	return tables_iface_of(t, &t->by_port[port], &p);
}

START_TEST(every_port_has_its_own_vlans)
{
	uint16_t a = add(3, 0, 0), a7 = add(3, 7, 0), b = add(31, 0, 0), a8 = add(3, 8, 0), b7 = add(31, 7, 0);
	uint16_t only = add(0, 7, 0);

	build();
	ck_assert_uint_eq(lookup(3, -1, -1), a);
	ck_assert_uint_eq(lookup(3, 7, -1), a7);
	ck_assert_uint_eq(lookup(3, 8, -1), a8);
	ck_assert_uint_eq(lookup(31, -1, -1), b);
	ck_assert_uint_eq(lookup(31, 7, -1), b7);
	ck_assert_uint_eq(lookup(31, 8, -1), IFACE_NONE);
	ck_assert_uint_eq(lookup(0, 7, -1), only);
	ck_assert_uint_eq(lookup(0, -1, -1), IFACE_NONE);
	ck_assert_uint_eq(lookup(1, -1, -1), IFACE_NONE);
	ck_assert_uint_eq(lookup(1, 7, -1), IFACE_NONE);
}
END_TEST

START_TEST(one_tag_and_two_are_different)
{
	uint16_t s = add(0, 7, 0), q = add(0, 7, 70), r = add(0, 7, 71), other = add(0, 8, 70);

	build();
	ck_assert_uint_eq(lookup(0, 7, -1), s);
	ck_assert_uint_eq(lookup(0, 7, 70), q);
	ck_assert_uint_eq(lookup(0, 7, 71), r);
	ck_assert_uint_eq(lookup(0, 8, 70), other);
	ck_assert_uint_eq(lookup(0, 8, -1), IFACE_NONE);
	ck_assert_uint_eq(lookup(0, 70, 7), IFACE_NONE);
}
END_TEST

/* IEEE 802.1Q 6.9.1: VLAN 0 names no VLAN; the tag bears a priority only. */
START_TEST(priority_bits_and_priority_tags_name_no_vlan)
{
	uint16_t a = add(0, 0, 0), a7 = add(0, 7, 0), q = add(0, 7, 70);

	build();
	ck_assert_uint_eq(lookup(0, 0, -1), a);
	ck_assert_uint_eq(lookup(0, 0xe000, -1), a);
	ck_assert_uint_eq(lookup(0, 0x1000, -1), a);
	ck_assert_uint_eq(lookup(0, 0xf007, -1), a7);
	ck_assert_uint_eq(lookup(0, 7, 0xe000), a7);
	ck_assert_uint_eq(lookup(0, 0x6007, 0xa000 | 70), q);
}
END_TEST

START_TEST(a_port_without_an_untagged_interface_takes_no_priority_tag)
{
	add(0, 7, 0);
	build();
	ck_assert_uint_eq(lookup(0, 0, -1), IFACE_NONE);
}
END_TEST

START_TEST(interfaces_not_in_use_are_nowhere)
{
	uint16_t a = add(0, 0, 0), gone = add(0, 7, 0);

	ifaces[gone].port = IFACE_NONE;
	build();
	ck_assert_uint_eq(lookup(0, 7, -1), IFACE_NONE);
	ck_assert_uint_eq(lookup(0, -1, -1), a);
	ck_assert_uint_eq(t->n_ifaces, 2);
}
END_TEST

START_TEST(a_snapshot_is_a_copy)
{
	add(0, 0, 0);
	ifaces[0].mtu_bytes = 1500;
	build();
	ifaces[0].mtu_bytes = 9000;
	ck_assert_uint_eq(t->ifaces[0].mtu_bytes, 1500);
	ck_assert_uint_eq(t->version, 7);
}
END_TEST

START_TEST(no_interfaces_are_a_snapshot_too)
{
	build();
	for (uint16_t port = 0; port < TABLES_PORTS_MAX; port++)
		ck_assert_uint_eq(lookup(port, -1, -1), IFACE_NONE);
	tables_free(NULL);
}
END_TEST

START_TEST(clamping_anywhere_is_seen)
{
	add(0, 0, 0);
	add(1, 0, 0);
	build();
	ck_assert(!t->clamps_mss);
	ifaces[1].flags = IFACE_CLAMP_MSS;
	build();
	ck_assert(t->clamps_mss);
	ifaces[1].flags = 0;
}
END_TEST

int main(void)
{
	Suite *s = suite_create("tables");
	TCase *tc = tcase_create("tables");
	SRunner *r = srunner_create(s);
	int failed;

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, every_port_has_its_own_vlans);
	tcase_add_test(tc, one_tag_and_two_are_different);
	tcase_add_test(tc, priority_bits_and_priority_tags_name_no_vlan);
	tcase_add_test(tc, a_port_without_an_untagged_interface_takes_no_priority_tag);
	tcase_add_test(tc, interfaces_not_in_use_are_nowhere);
	tcase_add_test(tc, a_snapshot_is_a_copy);
	tcase_add_test(tc, no_interfaces_are_a_snapshot_too);
	tcase_add_test(tc, clamping_anywhere_is_seen);
	suite_add_tcase(s, tc);
	srunner_run_all(r, CK_ENV);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
