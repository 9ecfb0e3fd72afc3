/* SPDX-License-Identifier: MIT */
/* The commands of the control socket, asked of a running engine: see api_rig.h. */
#include "tests/unit/control/api_rig.h"

/* ---- status, ports ----------------------------------------------------------------------------------------------- */

START_TEST(status_tells_all)
{
	static const char *const places[] = { "free", "fill", "engine", "tx", "neigh", "cross" };
	int fd = client();
	struct json_object *o = ask(fd, "{\"cmd\":\"status\"}");

	ck_assert_str_eq(text_at(o, "/result/instance"), "api");
	ck_assert_str_eq(text_at(o, "/result/state"), "running");
	ck_assert_ptr_nonnull(at(o, "/result/version"));
	ck_assert_uint_eq(number_at(o, "/result/pid"), (uint64_t)getpid());
	ck_assert_str_eq(text_at(o, "/result/netlink/state"), "off");
	ck_assert_uint_eq(json_object_array_length(at(o, "/result/workers")), QUEUES);
	for (int w = 0; w < QUEUES; w++) {
		char path[64];
		uint64_t sum = 0;

		for (size_t i = 0; i < ARRAY_SIZE(places); i++) {
			snprintf(path, sizeof(path), "/result/workers/%d/frames/%s", w, places[i]);
			sum += number_at(o, path);
		}
		snprintf(path, sizeof(path), "/result/workers/%d/frames/total", w);
		ck_assert_uint_eq(number_at(o, path), 2048);
		ck_assert_uint_eq(sum, 2048);
	}
	ck_assert_str_eq(text_at(o, "/result/ports/0/state"), "up");
	ck_assert_str_eq(text_at(o, "/result/ports/0/reasons/0"), "not zero-copy: it is memory");
	ck_assert_str_eq(text_at(o, "/result/ports/2/kind"), "tun");
	ck_assert_str_eq(text_at(o, "/result/ports/3/state"), "gone");
	ck_assert_str_eq(text_at(o, "/result/ports/3/reasons/0"), "not opened yet");
	ck_assert_ptr_null(at(o, "/result/ports/3/mode"));
	ck_assert_uint_eq(number_at(o, "/result/counts/neighbours"), 2);
	ck_assert_uint_eq(number_at(o, "/result/counts/addresses"), 5);
	ck_assert_uint_eq(number_at(o, "/result/counts/routes_ipv4"), fib_count(gw->engine->fib, AF_INET));
	json_object_put(o);
	close(fd);
}
END_TEST

START_TEST(ports_in_detail)
{
	int fd = client();
	struct json_object *o = ask(fd, "{\"cmd\":\"ports\"}");

	ck_assert_uint_eq(json_object_array_length(at(o, "/result/ports")), P_N);
	json_object_put(o);
	o = ask(fd, "{\"cmd\":\"ports\",\"port\":\"lan\"}");
	ck_assert_uint_eq(json_object_array_length(at(o, "/result/ports")), 1);
	ck_assert_str_eq(text_at(o, "/result/ports/0/mac"), "02:00:00:00:01:01");
	ck_assert_uint_eq(number_at(o, "/result/ports/0/queues/1/queue"), 1);
	ck_assert_uint_eq(number_at(o, "/result/ports/0/queues/1/worker"), 1);
	ck_assert(json_object_get_boolean(at(o, "/result/ports/0/offloads/tx_checksum")));
	ck_assert_ptr_null(at(o, "/result/ports/0/program"));
	ck_assert_ptr_null(at(o, "/result/ports/0/interfaces/0/vlan"));
	ck_assert_str_eq(text_at(o, "/result/ports/0/interfaces/0/addresses/1/address"), "fd01::1/64");
	ck_assert_str_eq(text_at(o, "/result/ports/0/interfaces/1/name"), "lan.100.7");
	ck_assert_uint_eq(number_at(o, "/result/ports/0/interfaces/1/vlan/inner"), 7);
	ck_assert_str_eq(text_at(o, "/result/ports/0/interfaces/1/addresses/0/owner"), "engine");
	ck_assert_str_eq(text_at(o, "/result/ports/0/interfaces/1/addresses/0/state"), "preferred");
	json_object_put(o);
	o = ask(fd, "{\"cmd\":\"ports\",\"port\":\"app\"}");
	ck_assert_ptr_null(at(o, "/result/ports/0/mac"));
	json_object_put(o);
	o = ask(fd, "{\"cmd\":\"ports\",\"port\":\"off\"}");
	ck_assert_ptr_null(at(o, "/result/ports/0/ifindex"));
	ck_assert(!has(o, "/result/ports/0/offloads"));
	json_object_put(o);
	fails(fd, "{\"cmd\":\"ports\",\"port\":\"dmz\"}", ENOENT, "there is no port \"dmz\"");
	close(fd);
}
END_TEST

/* ---- stats ------------------------------------------------------------------------------------------------------- */

static void same(struct json_object *o, const char *path, const void *entry, const char *const *fields, size_t n)
{
	struct json_object *counters = at(o, path);

	ck_assert_uint_eq((uint64_t)json_object_object_length(counters), n);
	for (size_t i = 0; i < n; i++) {
		struct json_object *v = NULL;

		ck_assert(json_object_object_get_ex(counters, fields[i], &v));
		ck_assert_msg(json_object_get_uint64(v) == ((const uint64_t *)entry)[i], "%s/%s", path, fields[i]);
	}
}

START_TEST(stats_agree_with_the_maps_and_the_traffic)
{
#define X(name, text) #name,
	static const char *const engine[] = { SLUICE_ENGINE_COUNTERS(X) };
	static const char *const drops[] = { "none", SLUICE_DROPS(X) };
	static const char *const port[] = { SLUICE_PORT_COUNTERS(X) };
#undef X
	int fd = client();
	struct json_object *o;
	char path[64];

	for (int i = 0; i < 10; i++) {
		udp_frame("10.2.0.2", 64, 100);
		inject(P_LAN, 0);
		inject(P_LAN, 1);
	}
	udp_frame("10.2.0.2", 1, 100);
	inject(P_LAN, 1);
	udp_frame("10.66.1.1", 64, 100);
	inject(P_LAN, 0);
	o = wait_received(fd, 22);
	ck_assert_uint_eq(number_at(o, "/result/engine/forwarded_pkts"), 20);
	ck_assert_uint_eq(number_at(o, "/result/drops/ttl"), 1);
	ck_assert_uint_eq(number_at(o, "/result/drops/blackhole"), 1);
	ck_assert_uint_eq(number_at(o, "/result/workers/0/drops/blackhole"), 1);
	ck_assert_uint_eq(number_at(o, "/result/workers/1/drops/ttl"), 1);
	ck_assert_uint_eq(number_at(o, "/result/ports/0/counters/rx_pkts"), 22);
	ck_assert_uint_eq(number_at(o, "/result/ports/0/queues/0/counters/rx_pkts"), 11);
	/* (The addresses have been announced meanwhile.) */
	ck_assert_uint_eq(number_at(o, "/result/ports/0/counters/tx_pkts") + number_at(o, "/result/ports/1/counters/tx_pkts"),
			  number_at(o, "/result/engine/tx_pkts"));
	ck_assert_ptr_null(at(o, "/result/ports/0/steer"));
	ck_assert_uint_eq(json_object_array_length(at(o, "/result/ports/3/queues")), 0);
	json_object_put(o);
	/* A worker that looks around once more counts its sleep: it must not between the reply and the look at the map. */
	engine_pause(gw->engine);
	gw->engine->running = false;	/* the handler's own pauses do nothing meanwhile */
	o = stats(fd);
	for (unsigned int w = 0; w < QUEUES; w++) {
		snprintf(path, sizeof(path), "/result/workers/%u/engine", w);
		same(o, path, counter_maps_engine(&gw->counters, w), engine, ARRAY_SIZE(engine));
		snprintf(path, sizeof(path), "/result/workers/%u/drops", w);
		same(o, path, counter_maps_drops(&gw->counters, w), drops, ARRAY_SIZE(drops));
		for (unsigned int p = P_LAN; p <= P_WAN; p++) {
			snprintf(path, sizeof(path), "/result/ports/%u/queues/%u/counters", p, w);
			same(o, path, counter_maps_port(&gw->counters, gw->ports[p].first_queue + w), port, ARRAY_SIZE(port));
		}
	}
	gw->engine->running = true;
	engine_resume(gw->engine);
	json_object_put(o);
	close(fd);
}
END_TEST

START_TEST(stats_are_read_while_workers_count)
{
	uint64_t last = 0;
	int fd = client();

	for (int i = 0; i < 200; i++) {
		struct json_object *o;

		udp_frame("10.2.0.2", 64, 20);
		inject(P_LAN, 0);
		inject(P_LAN, 1);
		o = stats(fd);
		ck_assert_uint_ge(number_at(o, "/result/engine/rx_pkts"), last);
		last = number_at(o, "/result/engine/rx_pkts");
		json_object_put(o);
		memport_drain(gw->ports[P_WAN].port.queues[0]);
		memport_drain(gw->ports[P_WAN].port.queues[1]);
	}
	json_object_put(wait_received(fd, 400));
	close(fd);
}
END_TEST

/* ---- routes, neigh ----------------------------------------------------------------------------------------------- */

START_TEST(routes_in_pages)
{
	struct fib_route route = { .type = FIB_UNREACHABLE };
	char seen[400][50], request[160], next[80] = "";
	unsigned int n = 0, pages = 0;
	int fd = client();

	for (uint8_t i = 0; i < 100; i++) {
		uint8_t v4[4] = { 172, 16, i, 0 }, v6[16] = { 0x20, 0x01, 0x0d, 0xb8, i };

		/* Also two of the same address, which a page may end between. */
		ok(fib_set(gw->engine->fib, AF_INET, v4, 24, FIB_ORIGIN_KERNEL, 0, &route, &fault));
		ok(fib_set(gw->engine->fib, AF_INET, v4, 25, FIB_ORIGIN_KERNEL, 0, &route, &fault));
		ok(fib_set(gw->engine->fib, AF_INET6, v6, 48, FIB_ORIGIN_KERNEL, 0, &route, &fault));
	}
	do {
		struct json_object *o, *list, *cursor;

		snprintf(request, sizeof(request), "{\"cmd\":\"routes\",\"limit\":7%s%s%s}", next[0] ? ",\"cursor\":\"" : "",
			 next, next[0] ? "\"" : "");
		o = ask(fd, request);
		list = at(o, "/result/routes");
		for (size_t i = 0; i < json_object_array_length(list); i++)
			snprintf(seen[n++], sizeof(seen[0]), "%s", text_at(json_object_array_get_idx(list, i), "/prefix"));
		cursor = at(o, "/result/next");
		ck_assert_uint_eq(json_object_array_length(list), cursor ? 7 : json_object_array_length(list));
		snprintf(next, sizeof(next), "%s", cursor ? json_object_get_string(cursor) : "");
		json_object_put(o);
		pages++;
	} while (next[0]);
	ck_assert_uint_eq(n, fib_count(gw->engine->fib, AF_INET) + fib_count(gw->engine->fib, AF_INET6));
	ck_assert_uint_eq(pages, (n + 6) / 7);
	for (unsigned int i = 0; i < n; i++)
		for (unsigned int k = 0; k < i; k++)
			ck_assert_str_ne(seen[i], seen[k]);
	close(fd);
}
END_TEST

START_TEST(routes_say_what_they_are)
{
	int fd = client();
	struct json_object *o = ask(fd, "{\"cmd\":\"routes\",\"get\":\"10.9.200.1\"}");

	ck_assert_uint_eq(json_object_array_length(at(o, "/result/routes")), 1);
	ck_assert_str_eq(text_at(o, "/result/routes/0/prefix"), "10.9.0.0/16");
	ck_assert_str_eq(text_at(o, "/result/routes/0/type"), "unicast");
	ck_assert_str_eq(text_at(o, "/result/routes/0/origin"), "static");
	ck_assert_uint_eq(number_at(o, "/result/routes/0/metric"), 5);
	ck_assert_str_eq(text_at(o, "/result/routes/0/nexthops/0/via"), "10.2.0.2");
	ck_assert_str_eq(text_at(o, "/result/routes/0/nexthops/0/interface"), "wan");
	json_object_put(o);
	o = ask(fd, "{\"cmd\":\"routes\",\"get\":\"10.8.0.1\"}");
	ck_assert_uint_eq(number_at(o, "/result/routes/0/nexthops/0/weight"), 2);
	ck_assert_str_eq(text_at(o, "/result/routes/0/nexthops/1/via"), "10.2.0.3");
	json_object_put(o);
	o = ask(fd, "{\"cmd\":\"routes\",\"get\":\"10.1.0.1\"}");
	ck_assert_str_eq(text_at(o, "/result/routes/0/type"), "local");
	ck_assert_str_eq(text_at(o, "/result/routes/0/origin"), "connected");
	json_object_put(o);
	o = ask(fd, "{\"cmd\":\"routes\",\"get\":\"10.1.0.77\"}");
	ck_assert_ptr_null(at(o, "/result/routes/0/nexthops/0/via"));
	json_object_put(o);
	o = ask(fd, "{\"cmd\":\"routes\",\"family\":\"ipv6\"}");
	ck_assert_uint_eq(json_object_array_length(at(o, "/result/routes")), fib_count(gw->engine->fib, AF_INET6));
	ck_assert_ptr_null(at(o, "/result/next"));
	json_object_put(o);
	fails(fd, "{\"cmd\":\"routes\",\"get\":\"192.0.2.1\"}", ENETUNREACH, "no route to 192.0.2.1");
	fails(fd, "{\"cmd\":\"routes\",\"get\":\"10.0.0.0/8\"}", EINVAL, "");
	fails(fd, "{\"cmd\":\"routes\",\"cursor\":\"x\"}", EINVAL, "no cursor");
	fails(fd, "{\"cmd\":\"routes\",\"limit\":10001}", EINVAL, "out of range");
	fails(fd, "{\"cmd\":\"routes\",\"family\":\"ipv5\"}", EINVAL, "not known");
	close(fd);
}
END_TEST

START_TEST(neighbours_of_every_owner)
{
	static const uint8_t asked[16] = { 10, 2, 0, 50 };
	uint64_t until_ns = clock_mono_ns() + PATIENCE_MS * NS_PER_MS;
	int fd = client();
	struct json_object *o;
	char request[200];

	ck_assert_int_eq(neigh_resolve(gw->neighs, gw->ports[P_WAN].iface, AF_INET, asked, clock_mono_ns()),
			 NEIGH_INCOMPLETE);
	/* And one that packets wait for. */
	udp_frame("10.2.0.77", 64, 20);
	inject(P_LAN, 0);
	inject(P_LAN, 0);
	inject(P_LAN, 1);
	for (;;) {
		o = ask(fd, "{\"cmd\":\"neigh\"}");
		if (json_object_array_length(at(o, "/result/neighbours")) == 4 &&
		    number_at(o, "/result/neighbours/3/queued") == 3)
			break;
		ck_assert_msg(clock_mono_ns() < until_ns, "%s", json_object_to_json_string(o));
		json_object_put(o);
	}
	ck_assert_str_eq(text_at(o, "/result/neighbours/0/address"), "10.1.0.2");
	ck_assert_str_eq(text_at(o, "/result/neighbours/0/owner"), "static");
	ck_assert_str_eq(text_at(o, "/result/neighbours/0/state"), "permanent");
	ck_assert_str_eq(text_at(o, "/result/neighbours/0/mac"), "02:00:00:00:01:02");
	ck_assert_str_eq(text_at(o, "/result/neighbours/1/interface"), "wan");
	ck_assert_str_eq(text_at(o, "/result/neighbours/2/address"), "10.2.0.50");
	ck_assert_str_eq(text_at(o, "/result/neighbours/2/owner"), "engine");
	ck_assert_str_eq(text_at(o, "/result/neighbours/2/state"), "incomplete");
	ck_assert_ptr_null(at(o, "/result/neighbours/2/mac"));
	ck_assert(has(o, "/result/neighbours/2/age_ns"));
	ck_assert_str_eq(text_at(o, "/result/neighbours/3/address"), "10.2.0.77");
	json_object_put(o);
	/* Page by page */
	o = ask(fd, "{\"cmd\":\"neigh\",\"limit\":2}");
	ck_assert_uint_eq(json_object_array_length(at(o, "/result/neighbours")), 2);
	ck_assert_str_eq(text_at(o, "/result/next"), "wan 10.2.0.2 static");
	snprintf(request, sizeof(request), "{\"cmd\":\"neigh\",\"limit\":2,\"cursor\":\"%s\"}", text_at(o, "/result/next"));
	json_object_put(o);
	o = ask(fd, request);
	ck_assert_str_eq(text_at(o, "/result/neighbours/0/address"), "10.2.0.50");
	ck_assert_ptr_null(at(o, "/result/next"));
	json_object_put(o);
	o = ask(fd, "{\"cmd\":\"neigh\",\"interface\":\"lan\"}");
	ck_assert_uint_eq(json_object_array_length(at(o, "/result/neighbours")), 1);
	json_object_put(o);
	fails(fd, "{\"cmd\":\"neigh\",\"interface\":\"eth9\"}", ENOENT, "no interface \"eth9\"");
	fails(fd, "{\"cmd\":\"neigh\",\"cursor\":\"wan 10.2.0.2\"}", EINVAL, "no cursor");
	fails(fd, "{\"cmd\":\"neigh\",\"cursor\":\"wan 10.2.0.2 mine\"}", EINVAL, "no cursor");
	fails(fd, "{\"cmd\":\"neigh\",\"cursor\":\"eth9 10.2.0.2 static\"}", EINVAL, "no cursor");
	close(fd);
}
END_TEST

/* ---- capture ----------------------------------------------------------------------------------------------------- */

/* A filter expression as the client sends it. */
static const char *program(int dlt, const char *expr)
{
	static char text[16384];
	struct bpf_program p;
	size_t len = 0;
	pcap_t *dead;

	dead = pcap_open_dead(dlt, 65535);
	ck_assert_int_eq(pcap_compile(dead, &p, expr, 1, PCAP_NETMASK_UNKNOWN), 0);
	for (u_int i = 0; i < p.bf_len; i++)
		len += (size_t)snprintf(text + len, sizeof(text) - len, "%s[%u,%u,%u,%u]", i ? "," : "[", p.bf_insns[i].code,
					p.bf_insns[i].jt, p.bf_insns[i].jf, p.bf_insns[i].k);
	snprintf(text + len, sizeof(text) - len, "]");
	pcap_freecode(&p);
	pcap_close(dead);
	return text;
}

static void start(int fd, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

static void start(int fd, const char *fmt, ...)
{
	static char request[32768];
	struct json_object *o;
	va_list args;

	va_start(args, fmt);
	vsnprintf(request, sizeof(request), fmt, args);
	va_end(args);
	o = ask(fd, request);
	ck_assert_msg(has(o, "/stream") && json_object_get_boolean(at(o, "/stream")), "%s", json_object_to_json_string(o));
	json_object_put(o);
}

static struct api_capture_record record(int fd, uint8_t *bytes)
{
	struct api_capture_record r;

	ck_assert(take(fd, &r, sizeof(r)));
	ck_assert_uint_le(r.caplen, API_SNAPLEN_MAX);
	ck_assert(take(fd, bytes, r.caplen));
	return r;
}

START_TEST(capture_gives_the_packets)
{
	static uint8_t bytes[API_SNAPLEN_MAX];
	uint64_t now_ns = clock_real_ns();
	int fd = client(), other = client();
	struct api_capture_record r;

	start(fd, "{\"cmd\":\"capture\",\"port\":\"lan\",\"count\":3,\"filter\":%s}", program(DLT_EN10MB, "ip"));
	start(other, "{\"cmd\":\"capture\",\"port\":\"wan\",\"snaplen\":60,\"direction\":\"out\",\"filter\":%s}",
	      program(DLT_EN10MB, "ip"));
	udp_frame("10.2.0.2", 64, 333);
	for (unsigned int i = 0; i < 3; i++) {
		inject(P_LAN, i % 2);
		r = record(fd, bytes);
		ck_assert_uint_eq(r.caplen, frame.len);
		ck_assert_uint_eq(r.len, frame.len);
		ck_assert_uint_eq(r.direction, API_DIRECTION_IN);
		ck_assert_uint_eq(r.queue, i % 2);
		ck_assert_uint_eq(r.lost, 0);
		ck_assert_uint_ge(r.time_ns, now_ns);
		ck_assert_mem_eq(bytes, frame.b, frame.len);
		now_ns = r.time_ns;
		r = record(other, bytes);
		ck_assert_uint_eq(r.caplen, 60);
		ck_assert_uint_eq(r.len, frame.len);
		ck_assert_uint_eq(r.direction, API_DIRECTION_OUT);
		ck_assert_mem_eq(bytes, MAC_H2, 6);
		ck_assert_uint_eq(bytes[14 + 8], 63);
	}
	ck_assert(!take(fd, bytes, 1));		/* that were all */
	ck_assert_uint_eq(gw->engine->workers[0]->tapping, 1u << P_WAN);
	close(fd);
	close(other);
	for (unsigned int i = 0; gw->engine->workers[1]->tapping; i++) {
		ck_assert_uint_lt(i, PATIENCE_MS);
		loop_step(gw->loop, NS_PER_MS);
	}
}
END_TEST

START_TEST(capture_filters)
{
	static uint8_t bytes[API_SNAPLEN_MAX];
	int fd = client(), app = client();
	struct json_object *o;

	start(fd, "{\"cmd\":\"capture\",\"port\":\"lan\",\"filter\":%s}", program(DLT_EN10MB, "udp and dst host 10.9.0.1"));
	udp_frame("10.2.0.2", 64, 10);
	inject(P_LAN, 0);
	udp_frame("10.9.0.1", 64, 11);
	inject(P_LAN, 0);
	ck_assert_uint_eq(record(fd, bytes).len, frame.len);
	/* On a TUN port packets begin with IP. */
	o = ask(app, "{\"cmd\":\"capture\",\"port\":\"app\"}");
	ck_assert_str_eq(text_at(o, "/result/linktype"), "raw");
	json_object_put(o);
	udp_frame("10.3.0.9", 64, 12);
	inject(P_LAN, 0);
	ck_assert_uint_eq(record(app, bytes).len, frame.len - 14);
	ck_assert_uint_eq(bytes[0], 0x45);
	close(fd);
	close(app);
}
END_TEST

static const struct {
	const char *filter, *words;
} bad_filters[] = {
	{ "7", "is no program" },
	{ "[]", "is no program" },
	{ "[[6,0,0]]", "instruction 0 is not" },
	{ "[[6,0,0,1],[6,0,0,\"1\"]]", "instruction 1 is not" },
	{ "[[65536,0,0,1]]", "instruction 0 is not" },
	{ "[[6,256,0,1]]", "instruction 0 is not" },
	{ "[[6,0,-1,1]]", "instruction 0 is not" },
	{ "[[6,0,0,4294967296]]", "instruction 0 is not" },
	{ "[[40,0,0,12]]", "no valid program" },			/* does not end by a return */
	{ "[[21,5,0,12],[6,0,0,1]]", "no valid program" },		/* jumps out of it */
	{ "[[96,0,0,16],[6,0,0,1]]", "no valid program" },		/* memory that is not there */
	{ "[[52,0,0,0],[6,0,0,1]]", "no valid program" },		/* divides by 0 */
	{ "[[5,0,0,4294967295],[6,0,0,1]]", "jumps back" },		/* for ever; libpcap's check takes it */
	{ "[[0,0,0,0],[5,0,0,4294967294],[6,0,0,1]]", "jumps back" },
	{ "[[5,0,0,1],[6,0,0,1]]", "jumps back or out" },
};

START_TEST(bad_filters_are_refused)
{
	int fd = client();
	char request[256];

	snprintf(request, sizeof(request), "{\"cmd\":\"capture\",\"port\":\"lan\",\"filter\":%s}", bad_filters[_i].filter);
	fails(fd, request, EINVAL, bad_filters[_i].words);
	snprintf(request, sizeof(request), "{\"cmd\":\"trace\",\"filter_ip\":%s}", bad_filters[_i].filter);
	fails(fd, request, EINVAL, bad_filters[_i].words);
	ck_assert_uint_eq(gw->engine->workers[0]->tapping, 0);
	ck_assert_uint_eq(gw->engine->workers[0]->tracing, 0);
	close(fd);
}
END_TEST

START_TEST(filters_and_captures_are_bounded)
{
	static char request[32768];
	size_t len = (size_t)snprintf(request, sizeof(request), "{\"cmd\":\"capture\",\"port\":\"lan\",\"filter\":[");
	int fd[TAPS_MAX + 1];

	fd[0] = client();
	for (int i = 0; i <= API_FILTER_MAX; i++)
		len += (size_t)snprintf(request + len, sizeof(request) - len, "[6,0,0,1],");
	snprintf(request + len - 1, sizeof(request) - len, "]}");
	fails(fd[0], request, EINVAL, "513 instructions");
	fails(fd[0], "{\"cmd\":\"capture\"}", EINVAL, "\"port\" is missing");
	fails(fd[0], "{\"cmd\":\"capture\",\"port\":\"lan\",\"snaplen\":15}", EINVAL, "out of range");
	fails(fd[0], "{\"cmd\":\"capture\",\"port\":\"lan\",\"count\":0}", EINVAL, "out of range");
	fails(fd[0], "{\"cmd\":\"capture\",\"port\":\"lan\",\"direction\":\"up\"}", EINVAL, "not known");
	for (unsigned int i = 0; i <= TAPS_MAX; i++) {
		fd[i] = i ? client() : fd[0];
		if (i < TAPS_MAX)
			start(fd[i], "{\"cmd\":\"capture\",\"port\":\"%s\"}", i % 2 ? "lan" : "off");
	}
	fails(fd[TAPS_MAX], "{\"cmd\":\"capture\",\"port\":\"wan\"}", EBUSY, "captures run already");
	ck_assert_uint_eq(gw->engine->workers[1]->tapping, 1u << P_LAN | 1u << P_OFF);
	close(fd[1]);
	for (unsigned int i = 0; gw->engine->workers[1]->tapping != (1u << P_LAN | 1u << P_OFF) || i < 3; i++)
		loop_step(gw->loop, NS_PER_MS);
	start(fd[TAPS_MAX], "{\"cmd\":\"capture\",\"port\":\"wan\"}");
	for (unsigned int i = 0; i <= TAPS_MAX; i++)
		if (i != 1)
			close(fd[i]);
}
END_TEST

START_TEST(what_a_capture_loses_is_counted)
{
	enum { PKTS = 750 };
	static uint8_t bytes[API_SNAPLEN_MAX];
	uint64_t got = 0, lost = 0;
	int fd = client(), two = client();

	start(fd, "{\"cmd\":\"capture\",\"port\":\"lan\",\"direction\":\"in\"}");
	udp_frame("10.66.0.1", 64, 1400);
	/* Nobody turns the loop: the ring of one worker fills up. */
	for (unsigned int i = 0; i < PKTS; i++)
		inject(P_LAN, 0);
	json_object_put(wait_received(two, PKTS));
	/* The loss is told with the next record behind it. */
	inject(P_LAN, 1);
	while (got + lost < PKTS + 1) {
		struct api_capture_record r = record(fd, bytes);

		got++;
		lost += r.lost;
	}
	ck_assert_uint_eq(got + lost, PKTS + 1);
	ck_assert_uint_gt(lost, 0);
	close(fd);
	close(two);
}
END_TEST

/* ---- trace ------------------------------------------------------------------------------------------------------- */

START_TEST(trace_tells_a_packets_story)
{
	static const char *const stages[] = { "ip4-input", "forward", "neigh", "tx" };
	int fd = client();
	struct json_object *o;
	uint64_t packet;

	start(fd, "{\"cmd\":\"trace\"}");
	udp_frame("10.2.0.2", 64, 10);
	inject(P_LAN, 1);
	o = take_json(fd);
	ck_assert_str_eq(text_at(o, "/kind"), "rx");
	ck_assert_str_eq(text_at(o, "/port"), "lan");
	ck_assert_str_eq(text_at(o, "/interface"), "lan");
	ck_assert_str_eq(text_at(o, "/family"), "ipv4");
	ck_assert_str_eq(text_at(o, "/source"), "10.1.0.2");
	ck_assert_str_eq(text_at(o, "/destination"), "10.2.0.2");
	ck_assert_uint_eq(number_at(o, "/protocol"), IPPROTO_UDP);
	ck_assert_uint_eq(number_at(o, "/bytes"), frame.len);
	ck_assert_uint_eq(number_at(o, "/destination_port"), be16_at(frame.b + frame.l4 + 2));
	ck_assert_uint_eq(number_at(o, "/worker"), 1);
	packet = number_at(o, "/packet");
	json_object_put(o);
	for (size_t i = 0; i < ARRAY_SIZE(stages); i++) {
		o = take_json(fd);
		ck_assert_str_eq(text_at(o, "/kind"), "stage");
		ck_assert_str_eq(text_at(o, "/stage"), stages[i]);
		ck_assert_uint_eq(number_at(o, "/packet"), packet);
		ck_assert_int_eq(has(o, "/out"), i >= 2);
		if (i >= 2)
			ck_assert_str_eq(text_at(o, "/out"), "wan");
		json_object_put(o);
	}
	/* What does not even parse has a story, too, without what its headers pretend. */
	udp_frame("10.2.0.2", 64, 10);
	frame.b[frame.l3] = 0x41;
	inject(P_LAN, 0);
	o = take_json(fd);
	ck_assert_str_eq(text_at(o, "/kind"), "rx");
	ck_assert(!has(o, "/source") && !has(o, "/interface"));
	ck_assert_uint_eq(number_at(o, "/ethertype"), ETH_P_IP);
	json_object_put(o);
	o = take_json(fd);
	ck_assert_str_eq(text_at(o, "/kind"), "drop");
	ck_assert_str_eq(text_at(o, "/drop"), "ip4_hlen");
	ck_assert_uint_eq(number_at(o, "/worker"), 0);
	json_object_put(o);
	close(fd);
}
END_TEST

START_TEST(trace_chooses)
{
	int fd = client(), other = client();
	struct json_object *o;
	unsigned int received = 0, dropped = 0;

	/* A filter for Ethernet alone leaves TUN ports out; of what matches every second one is followed. */
	start(fd, "{\"cmd\":\"trace\",\"sample\":2,\"filter\":%s}", program(DLT_EN10MB, "dst host 10.66.0.1"));
	fails(other, "{\"cmd\":\"trace\"}", EBUSY, "a trace runs already");
	frame_eth(&frame, NULL, NULL, 0);
	frame_udp(&frame, "10.3.0.9", "10.66.0.1", 10);
	inject(P_APP, 0);
	udp_frame("10.2.0.2", 64, 10);
	inject(P_LAN, 0);
	for (uint32_t i = 1; i <= 4; i++) {
		udp_frame("10.66.0.1", 64, 100 * i);
		inject(P_LAN, 0);
	}
	while (dropped < 2) {
		o = take_json(fd);
		if (strcmp(text_at(o, "/kind"), "rx") == 0)
			ck_assert_uint_eq(number_at(o, "/bytes"), 14 + 20 + 8 + 200 * ++received);
		if (strcmp(text_at(o, "/kind"), "drop") == 0) {
			ck_assert_str_eq(text_at(o, "/drop"), "blackhole");
			dropped++;
		}
		json_object_put(o);
	}
	ck_assert_uint_eq(received, 2);
	close(fd);
	for (unsigned int i = 0; gw->engine->workers[0]->tracing; i++) {
		ck_assert_uint_lt(i, PATIENCE_MS);
		loop_step(gw->loop, NS_PER_MS);
	}
	start(other, "{\"cmd\":\"trace\",\"port\":\"wan\"}");
	inject(P_LAN, 0);	/* not on this port */
	frame_eth(&frame, MAC_WAN, MAC_H2, ETH_P_IP);
	frame_udp(&frame, "10.2.0.2", "10.1.0.2", 10);
	inject(P_WAN, 0);
	o = take_json(other);
	ck_assert_str_eq(text_at(o, "/port"), "wan");
	json_object_put(o);
	close(other);
}
END_TEST

START_TEST(trace_tells_what_it_lost)
{
	int fd = client();
	uint64_t seen = 0, lost = 0;

	start(fd, "{\"cmd\":\"trace\"}");
	udp_frame("10.66.0.1", 64, 10);
	for (unsigned int i = 0; i < 300; i++)		/* of three records each; the ring has 256 */
		inject(P_LAN, 0);
	while (seen + lost < 900) {
		struct json_object *o = take_json(fd);

		if (strcmp(text_at(o, "/kind"), "lost") == 0)
			lost += number_at(o, "/records");
		else
			seen++;
		json_object_put(o);
	}
	ck_assert_uint_eq(seen + lost, 900);
	ck_assert_uint_gt(lost, 0);
	close(fd);
}
END_TEST

static const struct {
	const char *args;
	int err;
	const char *words;
} bad_traces[] = {
	{ "\"port\":\"dmz\"", ENOENT, "no port" },
	{ "\"family\":\"ipx\"", EINVAL, "not known" },
	{ "\"source\":\"10.0.0.0/33\"", EINVAL, "\"source\": " },
	{ "\"source\":\"10.0.0.0/8\",\"destination\":\"fd00::1\"", EINVAL, "another family" },
	{ "\"family\":\"ipv6\",\"source\":\"10.0.0.1\"", EINVAL, "another family" },
	{ "\"protocol\":256", EINVAL, "out of range" },
	{ "\"source_port\":65536", EINVAL, "out of range" },
	{ "\"either_way\":1", EINVAL, "neither true nor false" },
	{ "\"sample\":0", EINVAL, "out of range" },
	{ "\"drops\":true", EINVAL, "takes no \"drops\"" },
};

START_TEST(bad_traces_are_refused)
{
	int fd = client();
	char request[256];

	snprintf(request, sizeof(request), "{\"cmd\":\"trace\",%s}", bad_traces[_i].args);
	fails(fd, request, bad_traces[_i].err, bad_traces[_i].words);
	ck_assert_uint_eq(gw->engine->workers[0]->tracing, 0);
	close(fd);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("api");
	TCase *tc = tcase_create("api");
	SRunner *sr;
	int failed;

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_set_timeout(tc, 60);
	tcase_add_test(tc, status_tells_all);
	tcase_add_test(tc, ports_in_detail);
	tcase_add_test(tc, stats_agree_with_the_maps_and_the_traffic);
	tcase_add_test(tc, stats_are_read_while_workers_count);
	tcase_add_test(tc, routes_in_pages);
	tcase_add_test(tc, routes_say_what_they_are);
	tcase_add_test(tc, neighbours_of_every_owner);
	tcase_add_test(tc, capture_gives_the_packets);
	tcase_add_test(tc, capture_filters);
	tcase_add_loop_test(tc, bad_filters_are_refused, 0, ARRAY_SIZE(bad_filters));
	tcase_add_test(tc, filters_and_captures_are_bounded);
	tcase_add_test(tc, what_a_capture_loses_is_counted);
	tcase_add_test(tc, trace_tells_a_packets_story);
	tcase_add_test(tc, trace_chooses);
	tcase_add_test(tc, trace_tells_what_it_lost);
	tcase_add_loop_test(tc, bad_traces_are_refused, 0, ARRAY_SIZE(bad_traces));
	suite_add_tcase(s, tc);
	sr = srunner_create(s);
	srunner_run_all(sr, CK_ENV);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
