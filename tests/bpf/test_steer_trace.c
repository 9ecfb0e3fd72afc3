// SPDX-License-Identifier: MIT
/* Reading what an XDP program records for a trace. */
#include "user/packet/steer_trace.h"

#include "tests/bpf/steer_fixture.h"

enum { FRAME_BYTES = 60 };

static const struct sluice_trace_filter every;
static uint32_t seen[512], n_seen;

static void on_event(void *ctx, const struct sluice_trace_event *e)
{
	ck_assert_ptr_eq(ctx, &seen);
	ck_assert_uint_lt(n_seen, sizeof(seen) / sizeof(seen[0]));
	seen[n_seen++] = e->len;
}

/* A frame that can be told from others by its length; it is neither IP nor ARP. */
static void run_len(uint32_t len)
{
	uint8_t b[FRAME_BYTES + 512] = { 0 };

	memcpy(b, frame_port_mac, 6);
	b[12] = 0x88;
	b[13] = 0xcc;
	ck_assert_uint_eq(run_frame_queue(b, len, 0), XDP_PASS);
}

static void setup(void)
{
	n_seen = 0;
	steer_load();
}

START_TEST(what_was_there_before_is_thrown_away)
{
	struct steer_trace *t;

	steer_set_trace(steer, &every);		/* as a killed process leaves it */
	run_len(FRAME_BYTES);
	ck_ok(steer_trace_open(&t, steer, &every, &fault));
	ck_assert_uint_eq(steer_trace_read(t, 10, on_event, &seen), 0);
	run_len(FRAME_BYTES + 1);
	ck_assert_uint_eq(steer_trace_read(t, 10, on_event, &seen), 1);
	ck_assert_uint_eq(seen[0], FRAME_BYTES + 1);
	steer_set_trace(steer, NULL);
	run_len(FRAME_BYTES);
	ck_assert_uint_eq(steer_trace_read(t, 10, on_event, &seen), 0);
	steer_trace_close(t);
}
END_TEST

START_TEST(events_come_in_order_and_as_many_as_wanted)
{
	struct steer_trace *t;

	ck_ok(steer_trace_open(&t, steer, &every, &fault));
	for (uint32_t i = 0; i < 100; i++)
		run_len(FRAME_BYTES + i);
	ck_assert_uint_eq(steer_trace_read(t, 0, on_event, &seen), 0);
	ck_assert_uint_eq(steer_trace_read(t, 30, on_event, &seen), 30);
	ck_assert_uint_eq(steer_trace_read(t, 70, on_event, &seen), 70);
	ck_assert_uint_eq(steer_trace_read(t, 70, on_event, &seen), 0);
	for (uint32_t i = 0; i < 100; i++)
		ck_assert_uint_eq(seen[i], FRAME_BYTES + i);
	steer_trace_close(t);
}
END_TEST

START_TEST(the_program_may_go_first)
{
	struct steer_trace *t;

	ck_ok(steer_trace_open(&t, steer, &every, &fault));
	run_len(FRAME_BYTES);
	steer_unload();
	ck_assert_uint_eq(steer_trace_read(t, 10, on_event, &seen), 1);
	steer_trace_close(t);
	steer_trace_close(NULL);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("steer_trace");
	TCase *tc = tcase_create("trace");
	SRunner *sr;
	int failed;

	if (geteuid() != 0) {
		printf("SKIP steer_trace: needs root\n");
		return 77;
	}
	tcase_add_checked_fixture(tc, setup, steer_unload);
	tcase_add_test(tc, what_was_there_before_is_thrown_away);
	tcase_add_test(tc, events_come_in_order_and_as_many_as_wanted);
	tcase_add_test(tc, the_program_may_go_first);
	suite_add_tcase(s, tc);
	sr = srunner_create(s);
	instance_init();
	srunner_run_all(sr, CK_NORMAL);
	instance_fini("t");
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
