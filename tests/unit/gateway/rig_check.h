/* SPDX-License-Identifier: MIT */
/* The rig as a Check fixture: after every test the counters balance and all frames are home. */
#ifndef TESTS_GATEWAY_RIG_CHECK_H
#define TESTS_GATEWAY_RIG_CHECK_H

#include <check.h>
#include <stdio.h>

#include "tests/unit/gateway/rig.h"

static struct rig rig;
static struct frame sent, got;		/* too large for a stack */

#define ck_drops(why, n) ck_assert_uint_eq(rig_drops(&rig, DROP_##why), n)

static inline void rig_setup(void)
{
	rig_init(&rig);
}

/* What a test left in the ports leaves them, what waits is dropped as at a shutdown. */
static inline void rig_teardown(void)
{
	uint64_t sent_pkts = 0, received_pkts = 0;

	for (unsigned int i = 0; i < RIG_PORTS; i++)
		while (rig_sent(&rig, i, &got, NULL))
			rig.q[i]->ops->flush(rig.q[i]);
	worker_drain(rig.w, DROP_shutdown);
	ck_assert_msg(rig_balanced(&rig), "received and made is not sent, dropped and consumed");
	for (unsigned int i = 0; i < RIG_PORTS; i++) {
		sent_pkts += rig.counters[i].tx_pkts;
		received_pkts += rig.counters[i].rx_pkts;
	}
	ck_assert_uint_eq(sent_pkts, rig.w->count->tx_pkts);
	ck_assert_uint_eq(received_pkts, rig.w->count->rx_pkts);
	ck_assert_uint_eq(rig_fini(&rig), 0);
}

/* Exactly @n packets have left by the port; the last is in `got`. */
static inline void rig_expect_sent(unsigned int port, unsigned int n)
{
	unsigned int k = 0;

	while (rig_sent(&rig, port, &got, NULL)) {
		k++;
		rig.q[port]->ops->flush(rig.q[port]);
	}
	ck_assert_uint_eq(k, n);
}

/* No packet has left by any port. */
static inline void rig_expect_silence(void)
{
	for (unsigned int i = 0; i < RIG_PORTS; i++)
		rig_expect_sent(i, 0);
}

static inline int rig_run(const char *name, TCase *(*const cases[])(void), unsigned int n)
{
	Suite *s = suite_create(name);
	SRunner *r;
	int failed;

	for (unsigned int i = 0; i < n; i++) {
		TCase *tc = cases[i]();

		tcase_set_timeout(tc, 120);
		suite_add_tcase(s, tc);
	}
	r = srunner_create(s);
	srunner_run_all(r, CK_ENV);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}

#endif
