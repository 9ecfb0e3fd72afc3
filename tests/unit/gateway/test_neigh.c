/* SPDX-License-Identifier: MIT */
/* Packets in front of a neighbour that is not known yet: RFC 1122 2.3.2.2, RFC 1812 3.3.2, RFC 4861 7.2.2. */
#include "tests/unit/gateway/rig_check.h"
#include "user/net/icmp.h"

static const uint8_t MAC_NEW[6] = { 2, 0, 0, 0, 2, 0x77 };
static unsigned int n_asked;
static struct ctl_msg asked;

static void keep_asked(void *ctx, const struct ctl_msg *m)
{
	(void)ctx;
	ck_assert_uint_eq(m->kind, CTL_RESOLVE);
	memcpy(&asked, m, offsetof(struct ctl_msg, data));
	n_asked++;
}

static void expect_asked(unsigned int n)
{
	n_asked = 0;
	engine_read(rig.e, keep_asked, NULL);
	ck_assert_uint_eq(n_asked, n);
}

/* A packet with a number in it, from the lan to @dst. */
static void send_numbered(const char *dst, uint16_t n)
{
	bool v6 = strchr(dst, ':');

	frame_eth(&sent, MAC_LAN, MAC_H1, v6 ? ETHERTYPE_IP6 : ETHERTYPE_IP4);
	frame_ip(&sent, v6 ? "fd01::2" : "10.1.0.2", dst, 253, 8);
	put_be16(sent.b + sent.l4, n);
	rig_in(&rig, LAN, &sent);
}

static void expect_numbered(unsigned int port, const uint8_t *mac, uint16_t n)
{
	ck_assert(rig_sent(&rig, port, &got, NULL));
	ck_assert_mem_eq(got.b, mac, 6);
	ck_assert_uint_eq(be16_at(got.b + got.l4), n);
	rig.q[port]->ops->flush(rig.q[port]);
}

static uint32_t held(void)
{
	return rig.w->area->count[PLACE_NEIGH];
}

START_TEST(one_question_for_all_packets_of_a_neighbour)
{
	send_numbered("10.2.0.9", 1);
	send_numbered("10.2.0.9", 2);
	rig_expect_silence();
	expect_asked(1);
	ck_assert_uint_eq(asked.iface, WAN);
	ck_assert_uint_eq(asked.family, AF_INET);
	ck_assert_mem_eq(asked.addr, "\x0a\x02\x00\x09", 4);
	ck_assert_uint_eq(held(), 2);
	ck_assert_uint_eq(rig.w->count->neigh_requests, 1);
}
END_TEST

START_TEST(asked_is_for_the_gateway_of_a_route)
{
	uint8_t gw[16];

	rig_route(&rig, "10.40.0.0", 16, FIB_UNICAST, WAN, "10.2.0.40");
	rig_route(&rig, "10.41.0.0", 16, FIB_UNICAST, WAN, "fe80::41");	/* RFC 5549 */
	send_numbered("10.40.1.1", 1);
	expect_asked(1);
	ck_assert_mem_eq(asked.addr, "\x0a\x02\x00\x28", 4);
	send_numbered("10.41.1.1", 2);
	expect_asked(1);
	ck_assert_uint_eq(asked.family, AF_INET6);
	inet_pton(AF_INET6, "fe80::41", gw);
	ck_assert_mem_eq(asked.addr, gw, 16);
	rig_publish_with(&rig, WAN, "fe80::41", MAC_NEW);
	rig_step(&rig);
	expect_numbered(WAN, MAC_NEW, 2);
	ck_assert_uint_eq(be16_at(got.b + 12), ETHERTYPE_IP4);
}
END_TEST

START_TEST(an_answer_sends_what_waits_in_order)
{
	const char *const dst[] = { "10.2.0.9", "fd02::9" };

	for (uint16_t n = 0; n < 4; n++)
		send_numbered(dst[_i], n);
	ck_assert_uint_eq(held(), 4);
	rig_step(&rig);
	rig_expect_silence();
	rig_publish_with(&rig, WAN, dst[_i], MAC_NEW);
	rig_step(&rig);
	for (uint16_t n = 0; n < 4; n++)
		expect_numbered(WAN, MAC_NEW, n);
	rig_expect_silence();
	ck_assert_uint_eq(held(), 0);
	ck_assert_uint_eq(rig.w->n_waits, 0);
}
END_TEST

/* A packet that comes with the answer does not overtake those that wait. */
START_TEST(a_new_packet_stays_behind_those_that_wait)
{
	send_numbered("10.2.0.9", 0);
	send_numbered("10.2.0.9", 1);
	rig_publish_with(&rig, WAN, "10.2.0.9", MAC_NEW);
	send_numbered("10.2.0.9", 2);
	for (uint16_t n = 0; n < 3; n++)
		expect_numbered(WAN, MAC_NEW, n);
}
END_TEST

START_TEST(a_full_queue_drops_the_oldest)
{
	for (uint16_t n = 0; n < 7; n++)
		send_numbered("10.2.0.9", n);
	ck_drops(neigh_queue_full, 3);
	rig_publish_with(&rig, WAN, "10.2.0.9", MAC_NEW);
	rig_step(&rig);
	for (uint16_t n = 3; n < 7; n++)
		expect_numbered(WAN, MAC_NEW, n);
	rig_expect_silence();
}
END_TEST

START_TEST(a_snapshot_without_the_answer_changes_nothing)
{
	send_numbered("10.2.0.9", 0);
	rig_publish_with(&rig, LAN, "10.2.0.9", MAC_NEW);	/* on another link */
	rig_step(&rig);
	rig_expect_silence();
	ck_assert_uint_eq(held(), 1);
	expect_asked(1);
}
END_TEST

static void expect_unreachable(enum drop why, unsigned int n)
{
	for (unsigned int i = 0; i < n; i++) {
		ck_assert(rig_sent(&rig, LAN, &got, NULL));
		ck_assert_uint_eq(got.b[got.l4], ICMP4_UNREACHABLE);
		ck_assert_uint_eq(got.b[got.l4 + 1], 1);
		ck_assert_uint_eq(be16_at(got.b + got.l4 + 8 + 20), i);
	}
	rig_expect_silence();
	ck_assert_uint_eq(rig_drops(&rig, why), n);
	ck_assert_uint_eq(held(), 0);
	ck_assert_uint_eq(rig.w->n_waits, 0);
}

START_TEST(a_failure_tells_the_senders)
{
	struct neigh_map *m;
	struct tables *t;

	for (uint16_t n = 0; n < 3; n++)
		send_numbered("10.2.0.9", n);
	m = neigh_map_create(16, NULL);
	rig_neigh(m, LAN, "10.1.0.2", MAC_H1, false);
	rig_neigh(m, WAN, "10.2.0.9", MAC_NEW, true);
	ck_assert_int_eq(tables_build(&t, rig.iface, rig.n_ifaces, m, rig.e->fib, ++rig.version, NULL), 0);
	engine_publish(rig.e, t);
	rig_step(&rig);
	expect_unreachable(DROP_neigh_failed, 3);
}
END_TEST

START_TEST(silence_for_three_seconds_is_a_failure)
{
	for (uint16_t n = 0; n < 3; n++)
		send_numbered("10.2.0.9", n);
	rig_later(&rig, NEIGH_WAIT_NS - 1);
	rig_step(&rig);
	rig_expect_silence();
	rig_later(&rig, 100 * NS_PER_MS);
	rig_step(&rig);
	expect_unreachable(DROP_neigh_failed, 3);
	/* And the next one asks anew. */
	expect_asked(1);
	send_numbered("10.2.0.9", 9);
	expect_asked(1);
}
END_TEST

START_TEST(at_most_so_many_neighbours_are_waited_for)
{
	char dst[32];

	for (unsigned int i = 0; i < NEIGH_WAITS_MAX + 3; i++) {
		snprintf(dst, sizeof(dst), "10.2.0.%u", 10 + i);
		send_numbered(dst, (uint16_t)i);
	}
	ck_drops(neigh_table_full, 3);
	ck_assert_uint_eq(rig.w->n_waits, NEIGH_WAITS_MAX);
	rig_publish_with(&rig, WAN, "10.2.0.10", MAC_NEW);
	rig_step(&rig);
	expect_numbered(WAN, MAC_NEW, 0);
	send_numbered(dst, 99);
	ck_drops(neigh_table_full, 3);
	ck_assert_uint_eq(rig.w->n_waits, NEIGH_WAITS_MAX);
}
END_TEST

START_TEST(a_question_that_cannot_be_asked_drops)
{
	struct ctl_msg m = { .kind = CTL_RESOLVE };

	while (engine_tell(rig.w, &m))
		;
	send_numbered("10.2.0.9", 0);
	ck_drops(control_full, 1);
	ck_assert_uint_eq(rig.w->n_waits, 0);
	expect_asked(256);
	send_numbered("10.2.0.9", 0);
	expect_asked(1);
}
END_TEST

START_TEST(what_waits_is_bounded_in_frames)
{
	char dst[32];

	rig.w->area->quota[PLACE_NEIGH] = 5;
	for (unsigned int i = 0; i < 8; i++) {
		snprintf(dst, sizeof(dst), "10.2.0.%u", 10 + i);
		send_numbered(dst, (uint16_t)i);
	}
	ck_assert_uint_eq(held(), 5);
	ck_drops(frame_quota, 3);
}
END_TEST

START_TEST(a_queue_of_no_packets_holds_one)
{
	struct engine_params params = {
		.n_workers = 1, .cpus = { -1 }, .trace_records = 64,
		.area = { .n_frames = 64, .chunk_bytes = 2048 },
	};
	struct engine *e;

	ck_assert_int_eq(engine_create(&e, &params, NULL), 0);
	ck_assert_uint_eq(e->workers[0]->limits.neigh_queue_pkts, 1);
	ck_assert_uint_eq(engine_destroy(e), 0);
}
END_TEST

/* ---- The world changes while packets wait ------------------------------------------------------------------------ */

START_TEST(the_route_may_go)
{
	uint8_t net[16] = { 10, 40 };

	rig_route(&rig, "10.40.0.0", 16, FIB_UNICAST, WAN, "10.2.0.40");
	send_numbered("10.40.1.1", 1);
	ck_assert_int_eq(fib_del(rig.e->fib, AF_INET, net, 16, FIB_ORIGIN_STATIC, 0), 0);
	rig_publish_with(&rig, WAN, "10.2.0.40", MAC_NEW);
	rig_step(&rig);
	expect_numbered(WAN, MAC_NEW, 1);
}
END_TEST

START_TEST(the_interface_may_go_down)
{
	send_numbered("10.2.0.9", 0);
	rig.iface[WAN].up = false;
	rig_publish_with(&rig, WAN, "10.2.0.9", MAC_NEW);
	rig_step(&rig);
	rig_expect_silence();
	rig_later(&rig, NEIGH_WAIT_NS);
	rig_step(&rig);
	expect_unreachable(DROP_neigh_failed, 1);
}
END_TEST

/* Both interfaces of the packet are gone when its time is over. */
START_TEST(the_interfaces_may_go)
{
	uint16_t in = rig_vlan(&rig, LAN, 7, 0), out = rig_vlan(&rig, WAN, 8, 0);

	rig_route(&rig, "10.8.0.0", 24, FIB_UNICAST, out, NULL);
	rig_publish(&rig);
	frame_eth(&sent, MAC_LAN, MAC_H1, ETHERTYPE_CTAG);
	put_be16(sent.b + 14, 7);
	put_be16(sent.b + 16, ETHERTYPE_IP4);
	sent.l3 = 18;
	frame_ip(&sent, "10.1.0.2", "10.8.0.2", 253, 8);
	rig_in(&rig, LAN, &sent);
	ck_assert_uint_eq(held(), 1);
	rig.n_ifaces = in < out ? in : out;
	rig_publish(&rig);
	rig_later(&rig, NEIGH_WAIT_NS);
	rig_step(&rig);
	ck_drops(neigh_failed, 1);
	rig_expect_sent(LAN, 1);	/* an error, by the route to the sender */
}
END_TEST

START_TEST(the_port_may_go)
{
	send_numbered("10.2.0.9", 0);
	engine_port_detach(rig.e, &rig.port[WAN]);
	rig_publish_with(&rig, WAN, "10.2.0.9", MAC_NEW);
	rig_step(&rig);
	rig_expect_silence();
	ck_drops(port_removed, 1);
	ck_assert_int_eq(engine_port_attach(rig.e, &rig.port[WAN], (uint8_t[PORT_QUEUES_MAX]){ 0 }, &rig.f), 0);
	send_numbered("10.2.0.9", 1);
	expect_numbered(WAN, MAC_NEW, 1);
}
END_TEST

/* The identity of an interface may be another port's meanwhile. */
START_TEST(the_interface_may_move_to_another_port)
{
	send_numbered("10.2.0.9", 0);
	rig.iface[WAN].port = LAN;
	rig.iface[LAN].port = WAN;
	rig_publish_with(&rig, WAN, "10.2.0.9", MAC_NEW);
	rig_step(&rig);
	expect_numbered(LAN, MAC_NEW, 0);
}
END_TEST

START_TEST(a_shutdown_drops_what_waits)
{
	for (uint16_t n = 0; n < 3; n++)
		send_numbered("10.2.0.9", n);
	engine_stop(rig.e);
	ck_drops(shutdown, 3);
	ck_assert_uint_eq(held(), 0);
}
END_TEST

START_TEST(used_neighbours_are_marked)
{
	struct neigh_entry *n;
	uint8_t h2[4] = { 10, 2, 0, 2 };

	n = neigh_map_lookup4(rig.w->tables->neighs, WAN, wire32_at(h2));
	ck_assert_uint_eq(atomic_load(&n->used), 0);
	send_numbered("10.9.0.1", 0);
	ck_assert_uint_eq(atomic_load(&n->used), 1);
	rig_expect_sent(WAN, 1);
}
END_TEST

static TCase *waits(void)
{
	TCase *tc = tcase_create("waits");

	tcase_add_checked_fixture(tc, rig_setup, rig_teardown);
	tcase_add_test(tc, one_question_for_all_packets_of_a_neighbour);
	tcase_add_test(tc, asked_is_for_the_gateway_of_a_route);
	tcase_add_loop_test(tc, an_answer_sends_what_waits_in_order, 0, 2);
	tcase_add_test(tc, a_new_packet_stays_behind_those_that_wait);
	tcase_add_test(tc, a_full_queue_drops_the_oldest);
	tcase_add_test(tc, a_snapshot_without_the_answer_changes_nothing);
	tcase_add_test(tc, a_failure_tells_the_senders);
	tcase_add_test(tc, silence_for_three_seconds_is_a_failure);
	tcase_add_test(tc, at_most_so_many_neighbours_are_waited_for);
	tcase_add_test(tc, a_question_that_cannot_be_asked_drops);
	tcase_add_test(tc, what_waits_is_bounded_in_frames);
	tcase_add_test(tc, used_neighbours_are_marked);
	return tc;
}

static TCase *changes(void)
{
	TCase *tc = tcase_create("changes");

	tcase_add_checked_fixture(tc, rig_setup, rig_teardown);
	tcase_add_test(tc, the_route_may_go);
	tcase_add_test(tc, the_interface_may_go_down);
	tcase_add_test(tc, the_interfaces_may_go);
	tcase_add_test(tc, the_port_may_go);
	tcase_add_test(tc, the_interface_may_move_to_another_port);
	tcase_add_test(tc, a_shutdown_drops_what_waits);
	return tc;
}

static TCase *limits(void)
{
	TCase *tc = tcase_create("limits");

	tcase_add_test(tc, a_queue_of_no_packets_holds_one);
	return tc;
}

int main(void)
{
	static TCase *(*const cases[])(void) = { waits, changes, limits };

	return rig_run("neighbours", cases, ARRAY_SIZE(cases));
}
