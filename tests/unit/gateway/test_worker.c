/* SPDX-License-Identifier: MIT */
/* The worker's rounds: what they look after beside the packets that arrive. */
#include "tests/unit/gateway/rig_check.h"

static void send_one(void)
{
	frame_eth(&sent, MAC_LAN, MAC_H1, ETHERTYPE_IP4);
	frame_udp(&sent, "10.1.0.2", "10.2.0.2", 18);
	ck_assert_int_eq(memport_inject(rig.q[LAN], sent.b, sent.len), 0);
}

static uint32_t in_transmission(void)
{
	return rig.w->area->count[PLACE_TX];
}

/* Nothing more is sent by that port, and its frames must not stay with it. */
START_TEST(what_is_sent_late_comes_home_in_a_round_without_traffic)
{
	send_one();
	ck_assert_uint_eq(worker_round(rig.w), 1);
	ck_assert_uint_eq(in_transmission(), 1);
	ck_assert_uint_eq(worker_round(rig.w), 0);
	ck_assert_uint_eq(in_transmission(), 1);
	ck_assert_uint_eq(memport_drain(rig.q[WAN]), 1);
	ck_assert_uint_eq(worker_round(rig.w), 0);
	ck_assert_uint_eq(in_transmission(), 0);
}
END_TEST

START_TEST(a_port_that_comes_or_goes_lets_no_other_be_forgotten)
{
	send_one();
	worker_round(rig.w);
	ck_assert_uint_eq(in_transmission(), 1);
	ck_assert_uint_eq(memport_drain(rig.q[WAN]), 1);
	engine_port_caps_changed(rig.e);
	ck_assert_uint_eq(worker_round(rig.w), 0);
	ck_assert_uint_eq(in_transmission(), 0);
}
END_TEST

START_TEST(an_idle_port_is_left_alone)
{
	send_one();
	worker_round(rig.w);
	memport_drain(rig.q[WAN]);
	worker_round(rig.w);
	ck_assert_uint_eq(rig.w->tx_dirty, 0);
}
END_TEST

static TCase *rounds(void)
{
	TCase *tc = tcase_create("rounds");

	tcase_add_checked_fixture(tc, rig_setup, rig_teardown);
	tcase_add_test(tc, what_is_sent_late_comes_home_in_a_round_without_traffic);
	tcase_add_test(tc, a_port_that_comes_or_goes_lets_no_other_be_forgotten);
	tcase_add_test(tc, an_idle_port_is_left_alone);
	return tc;
}

int main(void)
{
	static TCase *(*const cases[])(void) = { rounds };

	return rig_run("worker", cases, ARRAY_SIZE(cases));
}
