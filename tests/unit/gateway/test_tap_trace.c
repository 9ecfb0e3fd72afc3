/* SPDX-License-Identifier: MIT */
/* Captures and traces: what they see, what they cost the packet (nothing), and what they do when nobody reads. */
#include <errno.h>
#include <pcap/pcap.h>

#include "tests/unit/gateway/rig_check.h"
#include "user/gateway/tap.h"
#include "user/gateway/trace.h"

static void udp(const char *src, const char *dst, uint32_t payload)
{
	frame_eth(&sent, MAC_LAN, MAC_H1, strchr(src, ':') ? ETHERTYPE_IP6 : ETHERTYPE_IP4);
	frame_udp(&sent, src, dst, payload);
}

/* The instructions of a filter expression; freed with the process. */
static struct bpf_program compile(const char *text, int linktype)
{
	pcap_t *p = pcap_open_dead(linktype, 65535);
	struct bpf_program prog;

	ck_assert_int_eq(pcap_compile(p, &prog, text, 1, PCAP_NETMASK_UNKNOWN), 0);
	pcap_close(p);
	return prog;
}

/* ---- Captures ---------------------------------------------------------------------------------------------------- */

static unsigned int tap(struct tap_params params)
{
	unsigned int id;

	if (!params.ring_bytes)
		params.ring_bytes = 65536;
	if (!params.snap_bytes)
		params.snap_bytes = 65535;
	ck_assert_int_eq(taps_start(rig.w->taps, &params, &id, &rig.f), 0);
	rig.w->tapping = taps_ports(rig.w->taps);
	return id;
}

/* The next record of a tap is this frame. */
static void expect_record(unsigned int id, uint16_t port, enum tap_dir dir, const struct frame *f, uint32_t cap)
{
	const struct tap_record *r = taps_read(rig.w->taps, id);

	ck_assert_ptr_nonnull(r);
	ck_assert_uint_eq(r->port, port);
	ck_assert_uint_eq(r->dir, dir);
	ck_assert_uint_eq(r->wire_bytes, f->len);
	ck_assert_uint_eq(r->cap_bytes, cap);
	ck_assert_uint_gt(r->time_ns, UINT64_C(1500000000) * NS_PER_S);
	ck_assert_mem_eq(r + 1, f->b, cap);
	taps_release(rig.w->taps, id);
}

START_TEST(a_capture_sees_both_directions_of_its_port_only)
{
	unsigned int id = tap((struct tap_params){ .port = LAN, .dirs = TAP_IN | TAP_OUT, .has_l2 = true });

	udp("10.1.0.2", "10.2.0.2", 100);
	rig_in(&rig, LAN, &sent);
	expect_record(id, LAN, TAP_IN, &sent, sent.len);
	ck_assert_ptr_null(taps_read(rig.w->taps, id));
	rig_expect_sent(WAN, 1);
	frame_eth(&sent, MAC_LAN, MAC_H1, ETHERTYPE_IP4);
	frame_echo(&sent, "10.1.0.2", "10.1.0.1", 30);
	rig_in(&rig, LAN, &sent);
	rig_expect_sent(LAN, 1);
	expect_record(id, LAN, TAP_IN, &sent, sent.len);
	expect_record(id, LAN, TAP_OUT, &got, got.len);
	ck_assert_ptr_null(taps_read(rig.w->taps, id));
}
END_TEST

START_TEST(a_capture_of_one_direction)
{
	unsigned int in = tap((struct tap_params){ .port = LAN, .dirs = TAP_IN, .has_l2 = true });
	unsigned int out = tap((struct tap_params){ .port = LAN, .dirs = TAP_OUT, .has_l2 = true });

	frame_eth(&sent, MAC_LAN, MAC_H1, ETHERTYPE_IP4);
	frame_echo(&sent, "10.1.0.2", "10.1.0.1", 30);
	rig_in(&rig, LAN, &sent);
	rig_expect_sent(LAN, 1);
	expect_record(in, LAN, TAP_IN, &sent, sent.len);
	expect_record(out, LAN, TAP_OUT, &got, got.len);
	ck_assert_ptr_null(taps_read(rig.w->taps, in));
	ck_assert_ptr_null(taps_read(rig.w->taps, out));
}
END_TEST

START_TEST(what_is_dropped_and_its_padding_are_captured_as_received)
{
	unsigned int id = tap((struct tap_params){ .port = LAN, .dirs = TAP_IN, .has_l2 = true });

	udp("10.1.0.2", "10.2.0.2", 1);
	memset(sent.b + sent.len, 0xee, 17);
	sent.len += 17;
	sent.b[sent.l3] = 0x35;
	rig_in(&rig, LAN, &sent);
	ck_drops(ip4_version, 1);
	expect_record(id, LAN, TAP_IN, &sent, sent.len);
}
END_TEST

START_TEST(a_snap_length_cuts_the_copy_only)
{
	unsigned int id = tap((struct tap_params){ .port = LAN, .dirs = TAP_IN, .snap_bytes = 64, .has_l2 = true });

	udp("10.1.0.2", "10.2.0.2", 1000);
	rig_in(&rig, LAN, &sent);
	expect_record(id, LAN, TAP_IN, &sent, 64);
	rig_expect_sent(WAN, 1);
	ck_assert_uint_eq(got.len, sent.len);
}
END_TEST

START_TEST(a_chain_is_captured_whole)
{
	unsigned int id = tap((struct tap_params){ .port = LAN, .dirs = TAP_IN, .has_l2 = true });

	udp("10.1.0.2", "10.3.0.2", 8000);
	rig_in(&rig, LAN, &sent);
	expect_record(id, LAN, TAP_IN, &sent, sent.len);
}
END_TEST

START_TEST(a_filter_chooses)
{
	struct bpf_program p = compile("udp port 2000 and ip6", DLT_EN10MB);
	unsigned int id = tap((struct tap_params){ .port = LAN, .dirs = TAP_IN, .has_l2 = true, .filter = p.bf_insns,
						   .n_filter = p.bf_len });

	udp("10.1.0.2", "10.2.0.2", 100);
	rig_in(&rig, LAN, &sent);
	ck_assert_ptr_null(taps_read(rig.w->taps, id));
	udp("fd01::2", "fd02::2", 100);
	rig_in(&rig, LAN, &sent);
	expect_record(id, LAN, TAP_IN, &sent, sent.len);
	pcap_freecode(&p);
}
END_TEST

START_TEST(a_full_ring_loses_records_and_no_packet)
{
	unsigned int id = tap((struct tap_params){ .port = LAN, .dirs = TAP_IN, .ring_bytes = 4096, .has_l2 = true });
	unsigned int n = 0;

	for (unsigned int i = 0; i < 50; i++) {
		udp("10.1.0.2", "10.2.0.2", 500);
		rig_in(&rig, LAN, &sent);
		n += rig_sent(&rig, WAN, &got, NULL);
		rig_step(&rig);
	}
	ck_assert_uint_eq(n, 50);
	for (n = 0; taps_read(rig.w->taps, id); n++)
		taps_release(rig.w->taps, id);
	ck_assert_uint_ge(n, 4096 / 600);
	ck_assert_uint_eq(n + taps_lost(rig.w->taps, id), 50);
	rig_in(&rig, LAN, &sent);
	expect_record(id, LAN, TAP_IN, &sent, sent.len);
	/* One that is never to fit is lost, too. */
	udp("10.1.0.2", "10.3.0.2", 3000);
	rig_in(&rig, LAN, &sent);
	ck_assert_ptr_null(taps_read(rig.w->taps, id));
	ck_assert_uint_eq(n + taps_lost(rig.w->taps, id), 51);
}
END_TEST

START_TEST(so_many_captures_and_no_more)
{
	struct tap_params params = { .port = LAN, .dirs = TAP_IN, .ring_bytes = 4096, .snap_bytes = 100 };
	struct bpf_insn bad = { .code = 0xffff };
	unsigned int id[TAPS_MAX], more;

	params.filter = &bad;
	params.n_filter = 1;
	ck_assert_int_eq(taps_start(rig.w->taps, &params, &more, &rig.f), -EINVAL);
	params.n_filter = TAP_FILTER_MAX + 1;
	ck_assert_int_eq(taps_start(rig.w->taps, &params, &more, &rig.f), -EINVAL);
	params.filter = NULL;
	params.ring_bytes = 1000;
	ck_assert_int_eq(taps_start(rig.w->taps, &params, &more, &rig.f), -EINVAL);
	params.ring_bytes = 4096;
	ck_assert_uint_eq(taps_ports(rig.w->taps), 0);
	for (unsigned int i = 0; i < TAPS_MAX; i++) {
		params.port = (uint16_t)i;
		ck_assert_int_eq(taps_start(rig.w->taps, &params, &id[i], &rig.f), 0);
	}
	ck_assert_uint_eq(taps_ports(rig.w->taps), 0xf);
	ck_assert_int_eq(taps_start(rig.w->taps, &params, &more, &rig.f), -EBUSY);
	taps_stop(rig.w->taps, id[2]);
	taps_stop(rig.w->taps, id[2]);
	ck_assert_uint_eq(taps_ports(rig.w->taps), 0xb);
	ck_assert_int_eq(taps_start(rig.w->taps, &params, &more, &rig.f), 0);
	ck_assert_uint_eq(more, id[2]);
}
END_TEST

/* ---- Traces ------------------------------------------------------------------------------------------------------ */

static struct trace_record record[512];
static unsigned int n_records;

static void keep_record(void *ctx, const struct trace_record *r)
{
	(void)ctx;
	if (n_records < ARRAY_SIZE(record))
		record[n_records++] = *r;
}

static void records(void)
{
	n_records = 0;
	tracer_read(rig.w->tracer, keep_record, NULL);
}

static void trace(struct trace_params params)
{
	if (!params.ports)
		params.ports = UINT32_MAX;
	ck_assert_int_eq(tracer_start(rig.w->tracer, &params, &rig.f), 0);
	rig.w->tracing = 1;
}

/* The stages that a packet went through, with what became of it, such as "rx input ip4-input ... tx". */
static const char *story(uint64_t packet)
{
	static char text[512];
	size_t n = 0;

	text[0] = 0;
	for (unsigned int i = 0; i < n_records; i++) {
		const struct trace_record *r = &record[i];
		const char *word = r->kind == TRACE_RX ? "rx" : r->kind == TRACE_DROP ? "drop" : r->stage;

		if (r->packet == packet)
			n += (size_t)snprintf(text + n, sizeof(text) - n, "%s%s", n ? " " : "", word);
	}
	return text;
}

START_TEST(a_forwarded_packet_tells_its_stages)
{
	uint8_t h1[4] = { 10, 1, 0, 2 }, h2[4] = { 10, 2, 0, 2 };

	trace((struct trace_params){ 0 });
	udp("10.1.0.2", "10.2.0.2", 100);
	rig_in(&rig, LAN, &sent);
	records();
	ck_assert_str_eq(story(1), "rx ip4-input forward neigh tx");
	ck_assert_mem_eq(record[0].src, h1, 4);
	ck_assert_mem_eq(record[0].dst, h2, 4);
	ck_assert_uint_eq(be16toh(record[0].sport), 1000);
	ck_assert_uint_eq(be16toh(record[0].dport), 2000);
	ck_assert_uint_eq(record[0].port_in, LAN);
	ck_assert_uint_eq(record[0].iface_in, LAN);
	ck_assert_uint_eq(record[0].bytes, sent.len);
	ck_assert_uint_eq(record[n_records - 1].port_out, WAN);
	ck_assert_uint_eq(record[n_records - 1].iface_out, WAN);
	rig_expect_sent(WAN, 1);
}
END_TEST

START_TEST(a_dropped_packet_tells_why)
{
	trace((struct trace_params){ 0 });
	udp("10.1.0.2", "224.0.0.9", 100);
	rig_in(&rig, LAN, &sent);
	records();
	ck_assert_str_eq(story(1), "rx ip4-input drop");
	ck_assert_uint_eq(record[n_records - 1].drop, DROP_multicast);
}
END_TEST

START_TEST(a_packet_that_cannot_be_parsed_tells_why)
{
	trace((struct trace_params){ 0 });
	udp("10.1.0.2", "10.2.0.2", 100);
	sent.b[sent.l3] = 0x42;
	rig_in(&rig, LAN, &sent);
	records();
	ck_assert_str_eq(story(1), "rx drop");
	ck_assert_uint_eq(record[1].drop, DROP_ip4_hlen);
	ck_assert_uint_eq(record[1].family, 0);
	ck_assert_uint_eq(record[1].iface_in, IFACE_NONE);
}
END_TEST

/* The error is part of the packet's story: same number. */
START_TEST(an_icmp_error_is_followed_too)
{
	trace((struct trace_params){ 0 });
	udp("10.1.0.2", "10.77.0.1", 100);
	rig_in(&rig, LAN, &sent);
	records();
	ck_assert_str_eq(story(1), "rx ip4-input icmp-error drop ip-out neigh tx");
	rig_expect_sent(LAN, 1);
}
END_TEST

START_TEST(fragments_are_followed_too)
{
	rig.iface[WAN].mtu_bytes = 620;
	rig_publish(&rig);
	trace((struct trace_params){ 0 });
	udp("10.1.0.2", "10.2.0.2", 1000);
	rig_in(&rig, LAN, &sent);
	records();
	ck_assert_str_eq(story(1), "rx ip4-input forward fragment neigh neigh tx tx");
	rig_expect_sent(WAN, 2);
}
END_TEST

/* A packet that finds its way when its neighbour answers goes on under its number. */
START_TEST(a_packet_that_waits_is_followed_when_it_goes_on)
{
	trace((struct trace_params){ 0 });
	udp("10.1.0.2", "10.2.0.9", 100);
	rig_in(&rig, LAN, &sent);
	records();
	ck_assert_str_eq(story(1), "rx ip4-input forward neigh");
	rig_publish_with(&rig, WAN, "10.2.0.9", MAC_H2);
	rig_step(&rig);
	records();
	ck_assert_str_eq(story(1), "tx");
}
END_TEST

START_TEST(packets_that_a_removed_port_loses_tell_why)
{
	trace((struct trace_params){ 0 });
	engine_port_detach(rig.e, &rig.port[WAN]);
	udp("10.1.0.2", "10.2.0.2", 100);
	rig_in(&rig, LAN, &sent);
	records();
	ck_assert_str_eq(story(1), "rx ip4-input forward neigh tx drop");
	ck_assert_uint_eq(record[n_records - 1].drop, DROP_port_removed);
}
END_TEST

START_TEST(a_packet_dropped_while_it_waits_tells_why)
{
	trace((struct trace_params){ 0 });
	udp("10.1.0.2", "10.2.0.9", 100);
	rig_in(&rig, LAN, &sent);
	records();
	engine_stop(rig.e);
	records();
	ck_assert_str_eq(story(1), "drop");
	ck_assert_uint_eq(record[0].drop, DROP_shutdown);
}
END_TEST

START_TEST(every_nth_packet_that_matches)
{
	struct bpf_program p = compile("ip6", DLT_EN10MB);

	trace((struct trace_params){ .every = 3, .l2 = { p.bf_insns, p.bf_len } });
	for (unsigned int i = 0; i < 7; i++) {
		udp("10.1.0.2", "10.2.0.2", 100);
		rig_in(&rig, LAN, &sent);
		udp("fd01::2", "fd02::2", 100);
		rig_in(&rig, LAN, &sent);
	}
	records();
	ck_assert_str_eq(story(1), "rx ip6-input forward neigh tx");
	ck_assert_str_eq(story(2), "rx ip6-input forward neigh tx");
	ck_assert_str_eq(story(3), "");
	ck_assert_uint_eq(n_records, 10);
	pcap_freecode(&p);
}
END_TEST

START_TEST(a_tun_has_its_own_filter)
{
	struct bpf_program p = compile("dst host 10.2.0.2", DLT_RAW);
	static const struct bpf_insn none = { .code = 0x06 };	/* ret #0 */

	trace((struct trace_params){ .ip = { p.bf_insns, p.bf_len }, .l2 = { &none, 1 } });
	udp("10.1.0.2", "10.2.0.2", 100);
	rig_in(&rig, LAN, &sent);
	frame_eth(&sent, NULL, NULL, 0);
	frame_udp(&sent, "10.3.0.2", "10.1.0.2", 20);
	rig_in(&rig, TUN, &sent);
	frame_eth(&sent, NULL, NULL, 0);
	frame_udp(&sent, "10.3.0.2", "10.2.0.2", 20);
	rig_in(&rig, TUN, &sent);
	records();
	ck_assert_str_eq(story(1), "rx ip4-input forward neigh tx");
	ck_assert_uint_eq(record[0].port_in, TUN);
	ck_assert_uint_eq(n_records, 5);
	pcap_freecode(&p);
}
END_TEST

START_TEST(ports_that_are_not_asked_for_are_not_traced)
{
	trace((struct trace_params){ .ports = 1u << WAN });
	udp("10.1.0.2", "10.2.0.2", 100);
	rig_in(&rig, LAN, &sent);
	records();
	ck_assert_uint_eq(n_records, 0);
}
END_TEST

START_TEST(a_full_ring_of_records_loses_some_and_no_packet)
{
	trace((struct trace_params){ 0 });
	for (unsigned int i = 0; i < 100; i++) {
		udp("10.1.0.2", "10.2.0.2", 100);
		rig_in(&rig, LAN, &sent);
	}
	rig_expect_sent(WAN, 100);
	records();
	ck_assert_uint_eq(n_records, 256);
	ck_assert_uint_eq(tracer_lost(rig.w->tracer), 500 - 256);
}
END_TEST

START_TEST(a_stopped_trace_is_silent_and_a_new_one_starts_afresh)
{
	struct bpf_insn bad = { .code = 0xffff };
	struct trace_params params = { .ports = UINT32_MAX, .l2 = { &bad, 1 } };

	trace((struct trace_params){ 0 });
	udp("10.1.0.2", "10.2.0.2", 100);
	rig_in(&rig, LAN, &sent);
	tracer_stop(rig.w->tracer);
	rig_in(&rig, LAN, &sent);
	trace((struct trace_params){ 0 });
	records();
	ck_assert_uint_eq(n_records, 0);
	rig_in(&rig, LAN, &sent);
	records();
	ck_assert_uint_eq(n_records, 5);
	ck_assert_int_eq(tracer_start(rig.w->tracer, &params, &rig.f), -EINVAL);
	params.l2.n_insns = TRACE_FILTER_MAX + 1;
	ck_assert_int_eq(tracer_start(rig.w->tracer, &params, &rig.f), -EINVAL);
}
END_TEST

static TCase *captures(void)
{
	TCase *tc = tcase_create("captures");

	tcase_add_checked_fixture(tc, rig_setup, rig_teardown);
	tcase_add_test(tc, a_capture_sees_both_directions_of_its_port_only);
	tcase_add_test(tc, a_capture_of_one_direction);
	tcase_add_test(tc, what_is_dropped_and_its_padding_are_captured_as_received);
	tcase_add_test(tc, a_snap_length_cuts_the_copy_only);
	tcase_add_test(tc, a_chain_is_captured_whole);
	tcase_add_test(tc, a_filter_chooses);
	tcase_add_test(tc, a_full_ring_loses_records_and_no_packet);
	tcase_add_test(tc, so_many_captures_and_no_more);
	return tc;
}

static TCase *traces(void)
{
	TCase *tc = tcase_create("traces");

	tcase_add_checked_fixture(tc, rig_setup, rig_teardown);
	tcase_add_test(tc, a_forwarded_packet_tells_its_stages);
	tcase_add_test(tc, a_dropped_packet_tells_why);
	tcase_add_test(tc, a_packet_that_cannot_be_parsed_tells_why);
	tcase_add_test(tc, an_icmp_error_is_followed_too);
	tcase_add_test(tc, fragments_are_followed_too);
	tcase_add_test(tc, a_packet_that_waits_is_followed_when_it_goes_on);
	tcase_add_test(tc, packets_that_a_removed_port_loses_tell_why);
	tcase_add_test(tc, a_packet_dropped_while_it_waits_tells_why);
	tcase_add_test(tc, every_nth_packet_that_matches);
	tcase_add_test(tc, a_tun_has_its_own_filter);
	tcase_add_test(tc, ports_that_are_not_asked_for_are_not_traced);
	tcase_add_test(tc, a_full_ring_of_records_loses_some_and_no_packet);
	tcase_add_test(tc, a_stopped_trace_is_silent_and_a_new_one_starts_afresh);
	return tc;
}

int main(void)
{
	static TCase *(*const cases[])(void) = { captures, traces };

	return rig_run("taps and traces", cases, ARRAY_SIZE(cases));
}
