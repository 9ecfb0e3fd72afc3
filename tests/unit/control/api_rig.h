/* SPDX-License-Identifier: MIT */
/*
 * The control socket of a running engine: two workers with threads, ports in memory, a client in the test's thread that
 * turns the loop while it waits.
 *
 *	10.1.0.2 --- lan 10.1.0.1 (two queues)  [engine]  wan 10.2.0.1 (two queues) --- 10.2.0.2
 *	                                        app (TUN, no link layer), off (never opened)
 */
#ifndef TESTS_CONTROL_API_RIG_H
#define TESTS_CONTROL_API_RIG_H

#include "user/control/gateway.h"

#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <json-c/json.h>
#include <json-c/json_pointer.h>
#include <pcap/pcap.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "common/clock.h"
#include "tests/unit/gateway/rig.h"
#include "user/control/api.h"
#include "user/gateway/tap.h"

enum { P_LAN, P_WAN, P_APP, P_OFF, P_N, QUEUES = 2, PATIENCE_MS = 10000 };

static char dir[] = "/tmp/sluice-api-XXXXXX";
static struct gateway *gw;
static struct config *cfg;
static struct fault fault;
static struct frame frame;

#define ok(call) ck_assert_msg((call) == 0, "%s: %s", #call, fault.text)

/* ---- A gateway without devices ----------------------------------------------------------------------------------- */

static const char config_text[] =
	"instance = \"api\"; workers = { count = 2; };\n"
	"control = { socket = \"%s/s.sock\"; };\n"
	"spin = \"0us\"; netlink = { enabled = false; };\n"
	"trace = { records = 256; capture_buffer = \"64K\"; };\n"
	"ports = (\n"
	"  { name = \"lan\"; device = \"no-lan\"; queues = 2; addresses = [ \"10.1.0.1/24\", \"fd01::1/64\" ];\n"
	"    vlans = ( { id = 100; inner = 7; addresses = [ \"10.7.0.1/24\" ]; } ); },\n"
	"  { name = \"wan\"; device = \"no-wan\"; queues = 2; addresses = [ \"10.2.0.1/24\" ]; },\n"
	"  { name = \"app\"; tun = \"no-app\"; queues = 1; addresses = [ \"10.3.0.1/32\" ]; },\n"
	"  { name = \"off\"; device = \"no-off\"; queues = 1; } );\n"
	"routes = ( { prefix = \"10.9.0.0/16\"; via = \"10.2.0.2\"; metric = 5; },\n"
	"  { prefix = \"10.3.0.0/24\"; interface = \"app\"; }, { prefix = \"10.66.0.0/16\"; type = \"blackhole\"; },\n"
	"  { prefix = \"10.8.0.0/16\"; nexthops = ( { via = \"10.2.0.2\"; weight = 2; }, { via = \"10.2.0.3\"; } ); } );\n"
	"neighbours = { detect_duplicates = false; static = (\n"
	"  { address = \"10.1.0.2\"; mac = \"02:00:00:00:01:02\"; interface = \"lan\"; },\n"
	"  { address = \"10.2.0.2\"; mac = \"02:00:00:00:02:02\"; interface = \"wan\"; } ); };\n";

static struct sluice_engine_counters *counters_of(void *ctx, unsigned int worker)
{
	return counter_maps_engine(ctx, worker);
}

static struct sluice_drops *drops_of(void *ctx, unsigned int worker)
{
	return counter_maps_drops(ctx, worker);
}

static void open_port(unsigned int i, const uint8_t *mac)
{
	struct gw_port *gp = &gw->ports[i];
	const struct memport_params params = { .tx_metadata = true, .tx_frames_max = PKT_FRAMES_MAX };

	gp->port.n_queues = gp->max_queues;
	gp->port.mtu_bytes = 1500;
	gp->port.up = true;
	gp->port.ifindex = (int)(100 + i);
	if (mac)
		memcpy(gp->port.mac, mac, 6);
	for (unsigned int q = 0; q < gp->max_queues; q++) {
		struct port_queue *opened;
		struct worker *w = gw->engine->workers[q];
		struct port_queue_params qp = {
			.qid = (uint16_t)q, .index = (uint16_t)(gp->first_queue + q), .area = w->area,
			.counters = counter_maps_port(&gw->counters, gp->first_queue + q),
			.drops = (struct sluice_drops *)w->drops,
		};

		gp->queue_worker[q] = (uint8_t)q;
		ok(memport_open(&gp->port, &qp, &params, &opened, &fault));
	}
	port_reason(&gp->port, "not zero-copy: it is memory");
	ok(engine_port_attach(gw->engine, &gp->port, gp->queue_worker, &fault));
	gp->open = true;
}

static void fill_iface(struct iface *iface)
{
	memcpy(iface->mac, gw->ports[iface->port].port.mac, 6);
	iface->mtu_bytes = 1500;
	iface->up = gw->ports[iface->port].open;
	iface_set_l2(iface);
	gw_neigh_iface_up(gw, iface, false);
	gw_addrs_update(gw, iface);
}

static void setup(void)
{
	struct counter_maps_params cp = { .instance = "api", .n_workers = QUEUES, .memory_only = true };
	struct engine_params ep = {
		.n_workers = QUEUES, .cpus = { -1, -1 },
		.area = { .n_frames = 2048, .chunk_bytes = 2048, .reserve = 64, .huge = AREA_HUGE_NO },
		.limits = { .icmp_error_rate = 1, .icmp_error_burst = 1, .echo_rate = 1, .echo_burst = 1,
			    .neigh_queue_pkts = 4 },
		.neigh_quota_frames = 64, .counters = counters_of, .drops = drops_of, .trace_records = 256,
	};
	static const struct mirror_ops no_ops;
	char text[4096];

	snprintf(dir, sizeof(dir), "/tmp/sluice-api-XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(dir));
	ck_assert_int_lt(snprintf(text, sizeof(text), config_text, dir), (int)sizeof(text));
	ok(config_parse(text, strlen(text), "test", &cfg, &fault));
	gw = calloc(1, sizeof(*gw));
	gw->cfg = cfg;
	gw->started_ns = clock_mono_ns();
	gw->n_workers = QUEUES;
	ok(gw_ports_init(gw, &fault));
	for (unsigned int i = 0; i < gw->n_ports; i++)
		cp.n_queues += gw->ports[i].max_queues;
	ok(counter_maps_open(&gw->counters, &cp, &fault));
	ep.counters_ctx = &gw->counters;
	ok(engine_create(&gw->engine, &ep, &fault));
	ok(loop_create(&gw->loop, &fault));
	ok(mirror_create(&gw->mirror, NULL, &no_ops, gw, &fault));	/* never read: it stays empty */
	ok(gw_api_init(gw, &fault));
	ok(gw_watch_init(gw, &fault));
	ok(gw_neigh_init(gw, &fault));
	open_port(P_LAN, MAC_LAN);
	open_port(P_WAN, MAC_WAN);
	open_port(P_APP, NULL);
	for (uint16_t i = 0; i < gw->n_ifaces; i++)
		fill_iface(&gw->ifaces[i]);
	for (uint16_t i = 0; i < gw->n_ifaces; i++)
		if (gw->ifaces[i].up && !(gw->ifaces[i].flags & IFACE_NO_L2))
			gw_neigh_iface_up(gw, &gw->ifaces[i], false);
	ok(gw_static_routes(gw, &fault));
	ok(gw_publish(gw, &fault));
	ok(engine_start(gw->engine, &fault));
}

static void teardown(void)
{
	server_destroy(gw->server);
	for (unsigned int i = 0; i < QUEUES; i++)
		ck_assert_uint_eq(gw->engine->workers[i]->tapping | gw->engine->workers[i]->tracing, 0);
	engine_stop(gw->engine);
	gw_watch_fini(gw);
	for (unsigned int i = 0; i < gw->n_ports; i++) {
		struct gw_port *gp = &gw->ports[i];

		if (!gp->open)
			continue;
		engine_port_detach(gw->engine, &gp->port);
		for (unsigned int q = 0; q < gp->max_queues; q++)
			gp->port.queues[q]->ops->close(gp->port.queues[q]);
	}
	ck_assert_uint_eq(engine_destroy(gw->engine), 0);
	gw_neigh_fini(gw);
	mirror_destroy(gw->mirror);
	loop_destroy(gw->loop);
	counter_maps_close(&gw->counters);
	config_free(cfg);
	free(gw);
	ck_assert_int_eq(rmdir(dir), 0);
}

/* ---- A client ---------------------------------------------------------------------------------------------------- */

static int client(void)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	snprintf(addr.sun_path, sizeof(addr.sun_path), "%s", cfg->control.socket);
	ck_assert_int_eq(connect(fd, (struct sockaddr *)&addr, sizeof(addr)), 0);
	return fd;
}

/* @n bytes, whatever it takes. Return: false at the end of the connection */
static bool take(int fd, void *to, size_t n)
{
	uint64_t until_ns = clock_mono_ns() + PATIENCE_MS * NS_PER_MS;

	for (size_t at = 0; at < n;) {
		ssize_t got = recv(fd, (char *)to + at, n - at, 0);

		if (got == 0)
			return false;
		if (got > 0) {
			at += (size_t)got;
			continue;
		}
		ck_assert_int_eq(errno, EAGAIN);
		ck_assert_msg(clock_mono_ns() < until_ns, "nothing comes");
		loop_step(gw->loop, NS_PER_MS);
	}
	return true;
}

static struct json_object *take_json(int fd)
{
	struct json_object *o;
	size_t len = 0, size = 4096;
	char *line = malloc(size);

	for (;; len++) {
		if (len == size)
			line = realloc(line, size *= 2);
		if (!take(fd, line + len, 1)) {
			free(line);
			return NULL;
		}
		if (line[len] == '\n')
			break;
	}
	line[len] = 0;
	o = json_tokener_parse(line);
	ck_assert_msg(o != NULL, "no JSON: %s", line);
	free(line);
	return o;
}

static void say(int fd, const char *request)
{
	ck_assert_int_eq(send(fd, request, strlen(request), MSG_NOSIGNAL), (ssize_t)strlen(request));
	ck_assert_int_eq(send(fd, "\n", 1, MSG_NOSIGNAL), 1);
}

/* The whole reply. */
static struct json_object *ask(int fd, const char *request)
{
	struct json_object *o;

	say(fd, request);
	o = take_json(fd);
	ck_assert_ptr_nonnull(o);
	return o;
}

static struct json_object *at(struct json_object *o, const char *path)
{
	struct json_object *found = NULL;

	ck_assert_msg(json_pointer_get(o, path, &found) == 0, "no %s in %s", path, json_object_to_json_string(o));
	return found;
}

#define text_at(o, path)   json_object_get_string(at(o, path))
#define number_at(o, path) json_object_get_uint64(at(o, path))

static bool has(struct json_object *o, const char *path)
{
	struct json_object *found;

	return json_pointer_get(o, path, &found) == 0;
}

static void fails(int fd, const char *request, int err, const char *words)
{
	struct json_object *o = ask(fd, request);

	ck_assert_msg(!json_object_get_boolean(at(o, "/ok")), "%s is taken", request);
	ck_assert_msg(json_object_get_int(at(o, "/errno")) == err && strstr(text_at(o, "/error"), words), "%s: %s", request,
		      json_object_to_json_string(o));
	json_object_put(o);
}

/* ---- Traffic ----------------------------------------------------------------------------------------------------- */

static void udp_frame(const char *dst, uint8_t ttl, uint32_t payload)
{
	frame_eth(&frame, MAC_LAN, MAC_H1, ETH_P_IP);
	frame_udp(&frame, "10.1.0.2", dst, payload);
	frame.b[frame.l3 + 8] = ttl;
	frame_ip4_fix(&frame);
}

/* Let a queue receive the frame, and its worker know. */
static void inject(unsigned int port, unsigned int queue)
{
	struct port_queue *q = gw->ports[port].port.queues[queue];
	uint64_t until_ns = clock_mono_ns() + PATIENCE_MS * NS_PER_MS;

	while (memport_inject(q, frame.b, frame.len)) {
		ck_assert_msg(clock_mono_ns() < until_ns, "no room");
		worker_wake(gw->engine->workers[queue]);
		usleep(100);
	}
	worker_wake(gw->engine->workers[queue]);
}

static struct json_object *stats(int fd)
{
	return ask(fd, "{\"cmd\":\"stats\"}");
}

/* Until the engine has received so many packets and none is on its way. Return: the stats of then */
static struct json_object *wait_received(int fd, uint64_t pkts)
{
	uint64_t until_ns = clock_mono_ns() + PATIENCE_MS * NS_PER_MS;

	for (;;) {
		struct json_object *o = stats(fd);

		for (unsigned int p = P_LAN; p <= P_APP; p++)
			for (unsigned int q = 0; q < gw->ports[p].max_queues; q++)
				memport_drain(gw->ports[p].port.queues[q]);
		if (number_at(o, "/result/engine/rx_pkts") == pkts) {
			/* A pause ends behind a whole batch. */
			engine_pause(gw->engine);
			engine_resume(gw->engine);
			json_object_put(o);
			return stats(fd);
		}
		json_object_put(o);
		ck_assert_msg(clock_mono_ns() < until_ns, "packets are missing");
	}
}

#endif
