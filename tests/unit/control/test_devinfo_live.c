/* SPDX-License-Identifier: MIT */
/* Device facts of a veth pair, against this machine's kernel. Needs root: each test makes a namespace of its own. */
#include "common/clock.h"
#include "user/control/devinfo.h"

#include <check.h>
#include <errno.h>
#include <poll.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static struct devinfo get(const char *name)
{
	struct devinfo d;
	struct fault f;

	ck_assert_msg(devinfo_get(if_nametoindex(name), &d, &f) == 0, "%s", f.text);
	return d;
}

static void sh(const char *cmd)
{
	ck_assert_msg(system(cmd) == 0, "failed: %s", cmd);
}

static void setup(void)
{
	ck_assert_int_eq(unshare(CLONE_NEWNET), 0);
	sh("ip link add va numrxqueues 2 numtxqueues 2 type veth peer name pa numrxqueues 2 numtxqueues 1");
}

START_TEST(a_veth_tells_its_facts)
{
	struct devinfo d = get("va");

	ck_assert_str_eq(d.name, "va");
	ck_assert_str_eq(d.driver, "veth");
	ck_assert(d.has_channels);
	ck_assert_uint_eq(d.rx_channels.max, 2);
	ck_assert_uint_eq(d.rx_queues, d.rx_channels.now + d.combined.now);
	ck_assert_uint_ge(d.rx_queues, 1);
	ck_assert(!d.has_rings);	/* veth has none to tell of */
	ck_assert(d.has_features);
	ck_assert(devinfo_has(&d, DEV_FEATURE_TSO4) && devinfo_has(&d, DEV_FEATURE_TSO6));
	ck_assert(devinfo_has(&d, DEV_FEATURE_TX_CSUM_GENERIC) && devinfo_has(&d, DEV_FEATURE_SG));
	ck_assert(!devinfo_has(&d, DEV_FEATURE_RX_HASH) && !devinfo_has(&d, DEV_FEATURE_LRO));
	ck_assert(d.changeable & 1u << DEV_FEATURE_TSO4);
	ck_assert(!(d.changeable & 1u << DEV_FEATURE_LRO));
	d = get("lo");
	ck_assert(d.has_features && !d.has_channels);
}
END_TEST

/* All names are known to the kernel: a misspelt one would be off for ever. */
START_TEST(feature_names_are_ethtools)
{
	char cmd[256];

	for (unsigned int i = 0; i < DEV_FEATURE_COUNT; i++) {
		const char *name = dev_feature_name((enum dev_feature)i);

		/* The kernel refuses a name that it does not know, even for a feature that is fixed. */
		snprintf(cmd, sizeof(cmd), "ethtool -K va %s off 2>&1 | grep -q 'not found'", name);
		ck_assert_msg(system(cmd) != 0, "%s", name);
	}
}
END_TEST

START_TEST(xdp_facts_or_the_reason_why_not)
{
	struct devinfo d = get("va");

	if (!d.has_xdp) {
		ck_assert_msg(strstr(d.xdp_why, "Linux 6.3"), "%s", d.xdp_why);
		return;
	}
	ck_assert_uint_ne(d.xdp & DEV_XDP_BASIC, 0);
	ck_assert_uint_ne(d.xdp & DEV_XDP_REDIRECT, 0);
	ck_assert_uint_ne(d.xdp & DEV_XDP_RX_SG, 0);
	ck_assert_uint_eq(d.xdp & DEV_XDP_ZEROCOPY, 0);
	ck_assert_uint_ne(d.rx_metadata & DEV_RX_HASH, 0);
	d = get("lo");
	ck_assert(d.has_xdp);
	ck_assert_uint_eq(d.xdp, 0);
}
END_TEST

START_TEST(missing_device_is_named)
{
	struct devinfo d;
	struct fault f;

	ck_assert_int_eq(devinfo_get(4242, &d, &f), -ENODEV);
	ck_assert_msg(strstr(f.text, "4242"), "%s", f.text);
}
END_TEST

static void on_change(void *ctx, uint32_t ifindex)
{
	if (ifindex == if_nametoindex("va"))
		++*(unsigned int *)ctx;
}

static void await(struct devwatch *w, const unsigned int *n, unsigned int want)
{
	uint64_t end_ns = clock_mono_ns() + 10 * NS_PER_S;
	struct fault f;

	while (*n < want) {
		struct pollfd p = { .fd = devwatch_fd(w), .events = POLLIN };

		ck_assert_msg(clock_mono_ns() < end_ns, "%u of %u changes came", *n, want);
		(void)poll(&p, 1, 100);
		ck_assert_msg(devwatch_read(w, &f) == 0, "%s", f.text);
	}
}

START_TEST(changes_are_told)
{
	struct devwatch *w;
	unsigned int n = 0;
	struct devinfo d;
	struct fault f;

	ck_assert_msg(devwatch_open(&w, on_change, &n, &f) == 0, "%s", f.text);
	sh("ethtool -K va tso off");
	await(w, &n, 1);
	d = get("va");
	ck_assert(!devinfo_has(&d, DEV_FEATURE_TSO4));
	n = 0;
	sh("ethtool -L va rx 1 tx 1");
	await(w, &n, 1);
	d = get("va");
	ck_assert_uint_eq(d.rx_queues, 1);
	devwatch_close(w);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("devinfo_live");
	TCase *tc = tcase_create("kernel");
	SRunner *r = srunner_create(s);
	int failed;

	if (geteuid() != 0) {
		puts("SKIP: test_devinfo_live needs root to make network namespaces");
		puts("100%: Checks: 0, Failures: 0, Errors: 0");
		return EXIT_SUCCESS;
	}
	tcase_set_timeout(tc, 60);
	tcase_add_checked_fixture(tc, setup, NULL);
	tcase_add_test(tc, a_veth_tells_its_facts);
	tcase_add_test(tc, feature_names_are_ethtools);
	tcase_add_test(tc, xdp_facts_or_the_reason_why_not);
	tcase_add_test(tc, missing_device_is_named);
	tcase_add_test(tc, changes_are_told);
	suite_add_tcase(s, tc);
	srunner_run_all(r, CK_ENV);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
