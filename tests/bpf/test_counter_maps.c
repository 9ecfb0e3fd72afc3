// SPDX-License-Identifier: MIT
/* The engine's counters: the same numbers in memory, in the pinned maps and in bpftool's output. */
#include <bpf/bpf.h>
#include <check.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "user/packet/counter_maps.h"

static struct counter_maps_params params;
static struct counter_maps maps;
static struct fault fault;
static char instance[BPFFS_NAME_MAX];

static void setup(void)
{
	snprintf(instance, sizeof(instance), "ctest-%d", (int)getpid());
	params = (struct counter_maps_params){ .instance = instance, .n_workers = 3, .n_queues = 5 };
}

static void open_ok(void)
{
	int err = counter_maps_open(&maps, &params, &fault);

	ck_assert_msg(err == 0, "%d %s", err, fault.text);
}

static bool printed(const char *map, const char *field)
{
	char command[256];

	snprintf(command, sizeof(command), "bpftool map dump pinned /sys/fs/bpf/sluice/%s/%s | grep -qF '%s'", instance,
		 map, field);
	return system(command) == 0;	/* NOLINT(cert-env33-c): words of this file */
}

START_TEST(bpftool_reads_what_the_engine_counts)
{
	char path[128];

	open_ok();
	ck_assert_str_eq(maps.reason, "");
	ck_assert(maps.in_bpf && maps.pinned);
	counter_maps_engine(&maps, 2)->sleeps = 4711;	/* the last field of the last entry */
	counter_maps_engine(&maps, 0)->rx_pkts = 4712;
	counter_maps_drops(&maps, 1)->shutdown = 4713;
	counter_maps_port(&maps, 4)->xdp_tx_ring_empty_descs = 4714;
	ck_assert(printed("engine", "\"sleeps\": 4711"));
	ck_assert(printed("engine", "\"rx_pkts\": 4712"));
	ck_assert(printed("drops", "\"shutdown\": 4713"));
	ck_assert(printed("ports", "\"xdp_tx_ring_empty_descs\": 4714"));
	counter_maps_close(&maps);
	snprintf(path, sizeof(path), "/sys/fs/bpf/sluice/%s", instance);
	ck_assert_int_ne(access(path, F_OK), 0);
}
END_TEST

START_TEST(entries_are_apart_and_zero)
{
	open_ok();
	for (uint32_t w = 0; w < 3; w++) {
		struct sluice_drops zero = { 0 };

		ck_assert_int_eq(memcmp(counter_maps_drops(&maps, w), &zero, sizeof(zero)), 0);
		ck_assert_uint_eq((uintptr_t)counter_maps_drops(&maps, w) % 64, 0);
		ck_assert_uint_eq((uintptr_t)counter_maps_engine(&maps, w) % 64, 0);
		memset(counter_maps_drops(&maps, w), 0xff, sizeof(zero));
	}
	ck_assert_ptr_null(counter_maps_engine(&maps, 3));
	ck_assert_ptr_null(counter_maps_drops(&maps, 3));
	ck_assert_ptr_null(counter_maps_port(&maps, 5));
	counter_maps_close(&maps);
}
END_TEST

START_TEST(pins_of_a_dead_run_are_replaced)
{
	struct counter_maps dead;

	open_ok();
	counter_maps_engine(&maps, 0)->rx_pkts = 1;
	dead = maps;		/* never closed: so it is after a SIGKILL */
	open_ok();
	ck_assert(maps.pinned);
	ck_assert(printed("engine", "\"rx_pkts\": 0"));
	ck_assert(!printed("engine", "\"rx_pkts\": 1"));
	counter_maps_close(&maps);
	dead.pinned = false;
	counter_maps_close(&dead);
}
END_TEST

START_TEST(without_bpffs_it_counts_unpinned)
{
	params.bpffs_root = "/proc/none";
	open_ok();
	ck_assert(maps.in_bpf && !maps.pinned);
	ck_assert_ptr_nonnull(strstr(maps.reason, "mount -t bpf bpffs /proc/none"));
	counter_maps_engine(&maps, 0)->rx_pkts++;
	counter_maps_close(&maps);
}
END_TEST

START_TEST(without_bpf_it_counts_in_memory)
{
	ck_assert_int_eq(setgid(65534), 0);
	ck_assert_int_eq(setuid(65534), 0);
	open_ok();
	ck_assert(!maps.in_bpf && !maps.pinned);
	ck_assert_str_ne(maps.reason, "");
	ck_assert_uint_eq(counter_maps_engine(&maps, 2)->rx_pkts, 0);
	counter_maps_engine(&maps, 2)->rx_pkts++;
	counter_maps_port(&maps, 4)->rx_pkts++;
	counter_maps_close(&maps);
}
END_TEST

START_TEST(limits_are_checked)
{
	params.n_workers = 0;
	ck_assert_int_eq(counter_maps_open(&maps, &params, &fault), -EINVAL);
	params.n_workers = COUNTER_MAPS_WORKERS_MAX + 1;
	ck_assert_int_eq(counter_maps_open(&maps, &params, &fault), -EINVAL);
	params.n_workers = COUNTER_MAPS_WORKERS_MAX;
	params.n_queues = COUNTER_MAPS_QUEUES_MAX + 1;
	ck_assert_int_eq(counter_maps_open(&maps, &params, &fault), -EINVAL);
	params.n_queues = COUNTER_MAPS_QUEUES_MAX;
	open_ok();
	counter_maps_port(&maps, COUNTER_MAPS_QUEUES_MAX - 1)->xdp_tx_ring_empty_descs = 1;
	counter_maps_close(&maps);
	params.instance = "a.b";
	ck_assert_int_eq(counter_maps_open(&maps, &params, &fault), -EINVAL);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("counter_maps");
	TCase *tc = tcase_create("counter_maps");
	SRunner *sr;
	int failed;

	if (geteuid() != 0) {
		printf("SKIP counter_maps: needs root\n");
		return 77;
	}
	tcase_add_checked_fixture(tc, setup, NULL);
	tcase_add_test(tc, bpftool_reads_what_the_engine_counts);
	tcase_add_test(tc, entries_are_apart_and_zero);
	tcase_add_test(tc, pins_of_a_dead_run_are_replaced);
	tcase_add_test(tc, without_bpffs_it_counts_unpinned);
	tcase_add_test(tc, without_bpf_it_counts_in_memory);
	tcase_add_test(tc, limits_are_checked);
	suite_add_tcase(s, tc);
	sr = srunner_create(s);
	srunner_run_all(sr, CK_NORMAL);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
