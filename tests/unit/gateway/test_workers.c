/* SPDX-License-Identifier: MIT */
/*
 * Real threads: two workers, and packets that must cross between them. This thread is the control thread; the kernel's
 * side of the ports is played by this thread or, where both must go on at once, by another one.
 *
 *	"both" has a queue at each worker; "left" only at worker 0, "right" only at worker 1.
 *	10.1.0.0/16 lies behind both, 10.2.0.0/16 behind left, 10.3.0.0/16 behind right; all by one MAC address.
 */
#include <check.h>
#include <errno.h>
#include <poll.h>
#include <time.h>
#include <unistd.h>

#include "tests/unit/gateway/rig.h"

enum { BOTH, LEFT, RIGHT, PORTS, Q_BOTH0 = 0, Q_BOTH1, Q_LEFT, Q_RIGHT, QUEUES };

#define PATIENCE_NS (60 * NS_PER_S)	/* longer than any scheduler lets a thread wait, sanitizers included */

static const uint8_t MAC_US[6] = { 2, 0, 0, 0, 9, 1 }, MAC_THEM[6] = { 2, 0, 0, 0, 9, 2 };

struct duo {
	struct engine *e;
	struct port port[PORTS];
	struct port_queue *q[QUEUES];
	struct sluice_port_counters counters[QUEUES];
	struct iface iface[PORTS];
	uint64_t version;
	struct fault f;
};

static struct duo duo;

static const uint8_t workers_of[PORTS][PORT_QUEUES_MAX] = { [BOTH] = { 0, 1 }, [LEFT] = { 0 }, [RIGHT] = { 1 } };

static void must(int err, const char *what)
{
	ck_assert_msg(err == 0, "%s: %s", what, duo.f.text);
}

static void duo_publish(bool neighbours)
{
	struct neigh_map *m = neigh_map_create(16, &duo.f);
	struct tables *t;

	for (uint16_t i = 0; i < PORTS && neighbours; i++)
		rig_neigh(m, i, "10.99.0.1", MAC_THEM, false);
	must(tables_build(&t, duo.iface, PORTS, m, duo.e->fib, ++duo.version, &duo.f), "tables_build");
	engine_publish(duo.e, t);
}

static void duo_open(unsigned int q, unsigned int port, uint16_t qid, unsigned int worker)
{
	struct worker *w = duo.e->workers[worker];
	struct port_queue_params qp = {
		.index = (uint16_t)q, .qid = qid, .area = w->area, .counters = &duo.counters[q],
		.drops = (struct sluice_drops *)w->drops,
	};
	struct memport_params mp = { .tx_metadata = true, .tx_frames_max = 4 };

	must(memport_open(&duo.port[port], &qp, &mp, &duo.q[q], &duo.f), "memport_open");
}

static void duo_init(uint64_t spin_ns, bool neighbours)
{
	static const char *const names[PORTS] = { "both", "left", "right" };
	struct engine_params params = {
		.n_workers = 2, .cpus = { -1, -1 },
		.area = { .n_frames = 4096, .chunk_bytes = 2048, .reserve = 64 },
		.limits = { .icmp_error_rate = 1000, .icmp_error_burst = 1000, .echo_rate = 1000, .echo_burst = 1000,
			    .neigh_queue_pkts = 4, .spin_ns = spin_ns },
		.neigh_quota_frames = 64, .trace_records = 256,
	};

	memset(&duo, 0, sizeof(duo));
	must(engine_create(&duo.e, &params, &duo.f), "engine_create");
	for (unsigned int i = 0; i < PORTS; i++) {
		struct fib_route r = { .type = FIB_UNICAST, .n_nexthops = 1 };
		uint8_t net[16] = { 10, (uint8_t)(i + 1) };

		duo.port[i] = (struct port){ .id = (uint16_t)i, .kind = PORT_MEM, .has_l2 = true, .up = true,
					     .mtu_bytes = 3000 };
		snprintf(duo.port[i].name, sizeof(duo.port[i].name), "%s", names[i]);
		duo.iface[i] = (struct iface){ .id = (uint16_t)i, .port = (uint16_t)i, .up = true, .mtu_bytes = 3000 };
		memcpy(duo.iface[i].mac, MAC_US, 6);
		iface_set_l2(&duo.iface[i]);
		r.nexthops[0] = (struct fib_nexthop){ .iface = (uint16_t)i, .weight = 1, .gw_family = AF_INET,
						      .gw = { 10, 99, 0, 1 } };
		must(fib_set(duo.e->fib, AF_INET, net, 16, FIB_ORIGIN_STATIC, 0, &r, &duo.f), "fib_set");
	}
	duo_open(Q_BOTH0, BOTH, 0, 0);
	duo_open(Q_BOTH1, BOTH, 1, 1);
	duo_open(Q_LEFT, LEFT, 0, 0);
	duo_open(Q_RIGHT, RIGHT, 0, 1);
	for (unsigned int i = 0; i < PORTS; i++)
		must(engine_port_attach(duo.e, &duo.port[i], workers_of[i], &duo.f), "engine_port_attach");
	duo_publish(neighbours);
	must(engine_start(duo.e, &duo.f), "engine_start");
}

static uint64_t worker_drops(const struct worker *w)
{
	uint64_t n = 0;

	for (unsigned int why = 1; why < DROP_N; why++)
		n += w->drops[why];
	return n;
}

/* The engine has stopped: every worker's counters balance. */
static void ck_balance(void)
{
	for (unsigned int i = 0; i < 2; i++) {
		const struct sluice_engine_counters *c = duo.e->workers[i]->count;

		ck_assert_uint_eq(c->rx_pkts + c->created_pkts + c->cross_in_pkts,
				  c->tx_pkts + c->consumed_pkts + c->cross_out_pkts + worker_drops(duo.e->workers[i]));
	}
	ck_assert_uint_eq(duo.e->workers[0]->count->cross_out_pkts, duo.e->workers[1]->count->cross_in_pkts);
	ck_assert_uint_eq(duo.e->workers[1]->count->cross_out_pkts, duo.e->workers[0]->count->cross_in_pkts);
}

static void duo_fini(void)
{
	engine_stop(duo.e);
	ck_balance();
	for (unsigned int i = 0; i < PORTS; i++)
		if (duo.e->ports[i])
			engine_port_detach(duo.e, &duo.port[i]);
	for (unsigned int i = 0; i < QUEUES; i++)
		if (duo.q[i])
			duo.q[i]->ops->close(duo.q[i]);
	for (unsigned int i = 0; i < 2; i++)
		must(area_check(duo.e->workers[i]->area, &duo.f), "area_check");
	ck_assert_uint_eq(engine_destroy(duo.e), 0);
}

/* ---- The kernel's side ------------------------------------------------------------------------------------------- */

static struct frame in, out;		/* of the thread that plays the kernel */

static void numbered(struct frame *f, uint8_t net, uint32_t n, uint32_t payload)
{
	char dst[32];

	snprintf(dst, sizeof(dst), "10.%u.0.9", net + 1);
	frame_eth(f, MAC_US, MAC_THEM, ETHERTYPE_IP4);
	frame_ip(f, "10.1.0.2", dst, 253, payload);
	put_be32(f->b + f->l4, n);
}

static bool inject(unsigned int q, const struct frame *f)
{
	if (memport_inject(duo.q[q], f->b, f->len))
		return false;
	/* What poll() would have done. */
	worker_wake(duo.e->workers[q == Q_BOTH1 || q == Q_RIGHT]);
	return true;
}

static uint64_t deadline(void)
{
	return clock_mono_ns() + PATIENCE_NS;
}

static void nap(void)
{
	nanosleep(&(struct timespec){ .tv_nsec = 20000 }, NULL);
}

/* Wait for packet @n to leave by a queue, whole. */
static void expect(unsigned int q, uint32_t n, const struct frame *want)
{
	uint64_t until = deadline();
	struct memport_sent s;

	while (!memport_capture(duo.q[q], out.b, sizeof(out.b), &s)) {
		ck_assert_msg(clock_mono_ns() < until, "packet %u has not come by queue %u", n, q);
		nap();
	}
	ck_assert_uint_eq(s.bytes, want->len);
	ck_assert_uint_eq(be32_at(out.b + want->l4), n);
	ck_assert_mem_eq(out.b + want->l4, want->b + want->l4, want->len - want->l4);
	ck_assert_mem_eq(out.b, MAC_THEM, 6);
	ck_assert_mem_eq(out.b + 6, MAC_US, 6);
	ck_assert_uint_eq(out.b[14 + IP4_TTL], 63);
}

/* ---- Tests ------------------------------------------------------------------------------------------------------- */

/* One packet at a time through sleeping workers: each step must wake the next. */
START_TEST(no_wake_up_is_lost)
{
	duo_init(0, true);
	for (uint32_t n = 0; n < 1000; n++) {
		numbered(&in, RIGHT, n, 100);
		ck_assert(inject(Q_BOTH0, &in));
		expect(Q_RIGHT, n, &in);
		numbered(&in, LEFT, n, 100);
		ck_assert(inject(Q_BOTH1, &in));
		expect(Q_LEFT, n, &in);
		numbered(&in, LEFT, n, 100);
		ck_assert(inject(Q_BOTH0, &in));
		expect(Q_LEFT, n, &in);
	}
	engine_stop(duo.e);
	ck_assert_uint_eq(duo.e->workers[0]->count->cross_out_pkts, 1000);
	ck_assert_uint_eq(duo.e->workers[1]->count->cross_out_pkts, 1000);
	duo_fini();
}
END_TEST

/* Both ways at once, with 64 on their way at most: nothing is lost, nothing changes its place. */
START_TEST(crossing_packets_keep_order_and_bytes)
{
	static const struct {
		unsigned int in, out;
		uint8_t net;
	} way[] = { { Q_BOTH0, Q_RIGHT, RIGHT }, { Q_BOTH1, Q_LEFT, LEFT } };
	uint32_t sent[2] = { 0 }, got[2] = { 0 }, total = 20000, payload = _i ? 2500 : 200;
	uint64_t until = deadline();

	duo_init(_i ? 0 : 50000, true);
	while (got[0] < total || got[1] < total) {
		for (unsigned int i = 0; i < 2; i++) {
			struct memport_sent s;

			while (sent[i] < total && sent[i] - got[i] < 64) {
				numbered(&in, way[i].net, sent[i], payload);
				if (!inject(way[i].in, &in))
					break;
				sent[i]++;
			}
			while (memport_capture(duo.q[way[i].out], out.b, sizeof(out.b), &s)) {
				ck_assert_uint_eq(s.bytes, 34 + payload);
				ck_assert_uint_eq(be32_at(out.b + 34), got[i]);
				for (uint32_t k = 4; k < payload; k += 97)
					ck_assert_uint_eq(out.b[34 + k], (uint8_t)(k * 7));
				got[i]++;
			}
		}
		ck_assert_msg(clock_mono_ns() < until, "%u and %u of %u", got[0], got[1], total);
		sched_yield();
	}
	engine_stop(duo.e);
	ck_assert_uint_eq(worker_drops(duo.e->workers[0]) + worker_drops(duo.e->workers[1]), 0);
	duo_fini();
}
END_TEST

/* ---- Load by another thread -------------------------------------------------------------------------------------- */

struct load {
	_Atomic bool stop;
	_Atomic uint64_t sent, got;
	pthread_t thread;
};

static void *load_main(void *arg)
{
	struct load *l = arg;
	uint32_t n = 0;

	while (!atomic_load(&l->stop)) {
		for (unsigned int k = 0; k < 32; k++, n++) {
			numbered(&in, (uint8_t)(n % 3), n, 60 + n % 1000);
			if (!inject(n & 8 ? Q_BOTH0 : Q_BOTH1, &in))
				break;
			atomic_fetch_add(&l->sent, 1);
		}
		for (unsigned int q = 0; q < QUEUES; q++)
			while (memport_capture(duo.q[q], NULL, 0, NULL))
				atomic_fetch_add(&l->got, 1);
		sched_yield();
	}
	return NULL;
}

static void load_start(struct load *l)
{
	memset(l, 0, sizeof(*l));
	ck_assert_int_eq(pthread_create(&l->thread, NULL, load_main, l), 0);
}

static void load_stop(struct load *l)
{
	atomic_store(&l->stop, true);
	pthread_join(l->thread, NULL);
}

/* @n more packets have come through. */
static void load_await(struct load *l, uint64_t n)
{
	uint64_t want = atomic_load(&l->got) + n, until = deadline();

	while (atomic_load(&l->got) < want) {
		ck_assert_msg(clock_mono_ns() < until, "the load stands still");
		nap();
	}
}

START_TEST(pauses_stop_and_go_on_under_load)
{
	struct load l;

	duo_init(_i ? 0 : 50000, true);
	load_start(&l);
	for (unsigned int n = 0; n < 300; n++) {
		engine_pause(duo.e);
		/* No worker runs: their structures are ours. */
		for (unsigned int w = 0; w < 2; w++)
			must(area_check(duo.e->workers[w]->area, &duo.f), "area_check");
		engine_resume(duo.e);
		if (n % 8 == 0)
			load_await(&l, 1);
	}
	/* At once one after the other. */
	for (unsigned int n = 0; n < 300; n++) {
		engine_pause(duo.e);
		engine_resume(duo.e);
	}
	load_await(&l, 100);
	load_stop(&l);
	duo_fini();
}
END_TEST

START_TEST(ports_come_and_go_under_load)
{
	struct load l;

	duo_init(0, true);
	load_start(&l);
	for (unsigned int n = 0; n < 100; n++) {
		unsigned int port = n % 3;

		engine_pause(duo.e);
		engine_port_detach(duo.e, &duo.port[port]);
		engine_resume(duo.e);
		if (port != BOTH)
			load_await(&l, 10);
		engine_pause(duo.e);
		must(engine_port_attach(duo.e, &duo.port[port], workers_of[port], &duo.f), "engine_port_attach");
		engine_resume(duo.e);
		load_await(&l, 10);
	}
	load_stop(&l);
	duo_fini();
}
END_TEST

/* Opened and closed: its frames go and come home each time, while the others work. */
START_TEST(a_port_is_opened_and_closed_under_load)
{
	static const uint8_t right[PORT_QUEUES_MAX] = { 1 }, hello[60];
	struct sluice_port_counters counters = { 0 };
	struct port port = { .id = 5, .kind = PORT_MEM, .name = "more", .has_l2 = true, .mtu_bytes = 1500 };
	struct worker *w;
	struct load l;

	duo_init(0, true);
	w = duo.e->workers[1];
	load_start(&l);
	for (unsigned int n = 0; n < 50; n++) {
		struct port_queue_params qp = {
			.index = 9, .area = w->area, .counters = &counters, .drops = (struct sluice_drops *)w->drops,
		};
		struct memport_params mp = { 0 };
		struct port_queue *q;

		engine_pause(duo.e);
		must(memport_open(&port, &qp, &mp, &q, &duo.f), "memport_open");
		must(engine_port_attach(duo.e, &port, right, &duo.f), "engine_port_attach");
		engine_resume(duo.e);
		ck_assert_int_eq(engine_inject(duo.e, 5, 0, hello, sizeof(hello)), 0);
		load_await(&l, 5);
		engine_pause(duo.e);
		engine_port_detach(duo.e, &port);
		q->ops->close(q);
		engine_resume(duo.e);
		ck_assert_int_eq(engine_inject(duo.e, 5, 0, hello, sizeof(hello)), -ENODEV);
	}
	load_stop(&l);
	duo_fini();
}
END_TEST

START_TEST(snapshots_and_routes_change_under_load)
{
	struct fib_route r = { .type = FIB_UNICAST, .n_nexthops = 1 };
	uint8_t net[16] = { 10, 1 };
	struct load l;

	duo_init(_i ? 0 : 50000, true);
	r.nexthops[0] = (struct fib_nexthop){ .weight = 1, .gw_family = AF_INET, .gw = { 10, 99, 0, 1 } };
	load_start(&l);
	for (unsigned int n = 0; n < 1000; n++) {
		duo_publish(n & 1);
		r.nexthops[0].iface = n & 1 ? LEFT : RIGHT;
		must(fib_set(duo.e->fib, AF_INET, net, 16, FIB_ORIGIN_STATIC, 0, &r, &duo.f), "fib_set");
		if (n % 100 == 99)
			load_await(&l, 1);
	}
	duo_publish(true);
	load_await(&l, 100);
	load_stop(&l);
	duo_fini();
}
END_TEST

/* Whatever is under way when the engine stops is dropped, counted and home. */
START_TEST(a_stop_drains)
{
	struct load l;

	for (unsigned int n = 0; n < 5; n++) {
		duo_init(n & 1 ? 0 : 50000, n % 2 == 0);
		load_start(&l);
		if (n % 2 == 0)
			load_await(&l, 100);
		else
			nap();
		engine_stop(duo.e);
		load_stop(&l);
		duo_fini();
	}
}
END_TEST

START_TEST(packets_that_wait_for_a_neighbour_are_dropped_at_a_stop)
{
	uint64_t until = deadline();
	struct pollfd p;

	duo_init(0, false);
	p = (struct pollfd){ .fd = duo.e->control_fd, .events = POLLIN };
	numbered(&in, RIGHT, 1, 100);
	ck_assert(inject(Q_BOTH0, &in));
	ck_assert_int_eq(poll(&p, 1, (int)(PATIENCE_NS / NS_PER_MS)), 1);
	for (;;) {
		bool waits;

		engine_pause(duo.e);
		waits = duo.e->workers[0]->n_waits == 1;
		engine_resume(duo.e);
		if (waits)
			break;
		ck_assert(clock_mono_ns() < until);
	}
	engine_stop(duo.e);
	ck_assert_uint_eq(duo.e->workers[0]->drops[DROP_shutdown], 1);
	duo_fini();
}
END_TEST

/* A neighbour that does not answer: the sleeping worker looks at the clock by itself. */
START_TEST(a_deadline_wakes_a_sleeping_worker)
{
	uint64_t until = deadline();
	uint64_t dropped = 0;

	duo_init(0, false);
	numbered(&in, RIGHT, 1, 100);
	ck_assert(inject(Q_BOTH0, &in));
	while (!dropped) {
		ck_assert(clock_mono_ns() < until);
		nanosleep(&(struct timespec){ .tv_nsec = 50 * 1000 * 1000 }, NULL);
		engine_pause(duo.e);
		dropped = duo.e->workers[0]->drops[DROP_neigh_failed];
		engine_resume(duo.e);
	}
	duo_fini();
}
END_TEST

/* ---- The control thread ------------------------------------------------------------------------------------------ */

static void count_punts(void *ctx, const struct ctl_msg *m)
{
	ck_assert_uint_eq(m->kind, CTL_PUNT);
	ck_assert_uint_eq(m->len, 60);
	++*(unsigned int *)ctx;
}

START_TEST(the_control_thread_is_woken_for_every_message)
{
	struct pollfd p;
	unsigned int n = 0;

	duo_init(0, true);
	p = (struct pollfd){ .fd = duo.e->control_fd, .events = POLLIN };
	frame_eth(&in, MAC_US, MAC_THEM, ETHERTYPE_ARP4);
	in.len = 60;
	for (unsigned int want = 1; want <= 2000; want++) {
		ck_assert(inject(want & 1 ? Q_BOTH0 : Q_BOTH1, &in));
		while (n < want) {
			ck_assert_int_eq(poll(&p, 1, (int)(PATIENCE_NS / NS_PER_MS)), 1);
			engine_read(duo.e, count_punts, &n);
		}
	}
	ck_assert_uint_eq(n, 2000);
	duo_fini();
}
END_TEST

START_TEST(frames_of_the_control_thread_wake_a_worker)
{
	duo_init(0, true);
	for (uint32_t n = 0; n < 1000; n++) {
		numbered(&in, 0, n, 60);
		in.b[14 + IP4_TTL] = 63;
		memcpy(in.b, MAC_THEM, 6);
		memcpy(in.b + 6, MAC_US, 6);
		ck_assert_int_eq(engine_inject(duo.e, n & 1 ? LEFT : RIGHT, 0, in.b, in.len), 0);
		expect(n & 1 ? Q_LEFT : Q_RIGHT, n, &in);
	}
	duo_fini();
}
END_TEST

/*
 * All frames are in transmission when the worker falls asleep, and come back without a packet that would tell: it must
 * look for them, or it would never receive again.
 */
START_TEST(reception_does_not_starve_while_frames_come_back)
{
	struct engine_params params = {
		.n_workers = 1, .cpus = { -1 }, .trace_records = 64, .limits = { .neigh_queue_pkts = 4 },
		.area = { .n_frames = 64, .chunk_bytes = 2048, .reserve = 0 },
	};
	struct memport_params mp = { .ring_entries = 32 };
	uint32_t sent = 0, got = 0, total = 2000;
	uint64_t until = deadline();

	memset(&duo, 0, sizeof(duo));
	must(engine_create(&duo.e, &params, &duo.f), "engine_create");
	for (unsigned int i = 0; i < 2; i++) {
		struct worker *w = duo.e->workers[0];
		struct port_queue_params qp = {
			.index = (uint16_t)i, .area = w->area, .counters = &duo.counters[i],
			.drops = (struct sluice_drops *)w->drops,
		};
		struct fib_route r = { .type = FIB_UNICAST, .n_nexthops = 1 };
		uint8_t net[16] = { 10, (uint8_t)(i + 1) };

		duo.port[i] = (struct port){ .id = (uint16_t)i, .kind = PORT_MEM, .has_l2 = true, .mtu_bytes = 1500 };
		must(memport_open(&duo.port[i], &qp, &mp, &duo.q[i], &duo.f), "memport_open");
		must(engine_port_attach(duo.e, &duo.port[i], (uint8_t[PORT_QUEUES_MAX]){ 0 }, &duo.f), "attach");
		duo.iface[i] = (struct iface){ .id = (uint16_t)i, .port = (uint16_t)i, .up = true, .mtu_bytes = 1500 };
		memcpy(duo.iface[i].mac, MAC_US, 6);
		iface_set_l2(&duo.iface[i]);
		r.nexthops[0] = (struct fib_nexthop){ .iface = (uint16_t)i, .weight = 1, .gw_family = AF_INET,
						      .gw = { 10, 99, 0, 1 } };
		must(fib_set(duo.e->fib, AF_INET, net, 16, FIB_ORIGIN_STATIC, 0, &r, &duo.f), "fib_set");
	}
	duo.iface[2].port = IFACE_NONE;
	duo_publish(true);
	must(engine_start(duo.e, &duo.f), "engine_start");
	while (got < total) {
		numbered(&in, 1, sent, 60);
		while (sent < total && memport_inject(duo.q[0], in.b, in.len) == 0) {
			sent++;
			worker_wake(duo.e->workers[0]);
		}
		/* Complete only when everything is stuck, as a device with one interrupt for all does. */
		nap();
		while (memport_capture(duo.q[1], NULL, 0, NULL))
			got++;
		ck_assert_msg(clock_mono_ns() < until, "%u of %u", got, total);
	}
	engine_stop(duo.e);
	ck_assert_uint_eq(worker_drops(duo.e->workers[0]), 0);
	for (unsigned int i = 0; i < 2; i++) {
		engine_port_detach(duo.e, &duo.port[i]);
		duo.q[i]->ops->close(duo.q[i]);
	}
	ck_assert_uint_eq(engine_destroy(duo.e), 0);
}
END_TEST

/* ---- Bounds ------------------------------------------------------------------------------------------------------ */

START_TEST(a_worker_takes_so_many_queues_and_no_more)
{
	struct engine_params params = {
		.n_workers = 1, .cpus = { -1 }, .trace_records = 64, .area = { .n_frames = 512, .chunk_bytes = 2048 },
	};
	static const uint8_t first[PORT_QUEUES_MAX];
	struct sluice_port_counters counters = { 0 };
	struct port port[2] = { { .id = 0, .name = "a" }, { .id = 1, .name = "b" } };
	struct port_queue *q[2][40];
	struct engine *e;

	must(engine_create(&e, &params, &duo.f), "engine_create");
	for (unsigned int p = 0; p < 2; p++) {
		for (uint16_t i = 0; i < 40; i++) {
			struct port_queue_params qp = {
				.index = (uint16_t)(p * 40 + i), .qid = i, .area = e->workers[0]->area,
				.counters = &counters, .drops = (struct sluice_drops *)e->workers[0]->drops,
			};
			struct memport_params mp = { .ring_entries = 4 };

			must(memport_open(&port[p], &qp, &mp, &q[p][i], &duo.f), "memport_open");
		}
	}
	must(engine_port_attach(e, &port[0], first, &duo.f), "engine_port_attach");
	ck_assert_int_eq(engine_port_attach(e, &port[1], first, &duo.f), -E2BIG);
	ck_assert_ptr_nonnull(strstr(duo.f.text, "64 queues"));
	ck_assert_ptr_null(e->ports[1]);
	ck_assert_uint_eq(e->workers[0]->n_rxq, 40);
	engine_port_detach(e, &port[0]);
	for (unsigned int p = 0; p < 2; p++)
		for (unsigned int i = 0; i < 40; i++)
			q[p][i]->ops->close(q[p][i]);
	ck_assert_uint_eq(engine_destroy(e), 0);
}
END_TEST

START_TEST(engines_of_no_or_too_many_workers_are_refused)
{
	struct engine_params params = { .area = { .n_frames = 64, .chunk_bytes = 2048 }, .trace_records = 64 };
	struct engine *e;

	ck_assert_int_eq(engine_create(&e, &params, &duo.f), -EINVAL);
	params.n_workers = WORKERS_MAX + 1;
	ck_assert_int_eq(engine_create(&e, &params, &duo.f), -EINVAL);
	params.n_workers = 2;
	params.area.chunk_bytes = 1000;
	ck_assert_int_eq(engine_create(&e, &params, &duo.f), -EINVAL);
	params.area.chunk_bytes = 2048;
	params.trace_records = 63;
	ck_assert_int_lt(engine_create(&e, &params, &duo.f), 0);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("workers");
	TCase *tc = tcase_create("workers");
	SRunner *r = srunner_create(s);
	int failed;

	tcase_set_timeout(tc, 300);
	tcase_add_test(tc, no_wake_up_is_lost);
	tcase_add_loop_test(tc, crossing_packets_keep_order_and_bytes, 0, 2);
	tcase_add_loop_test(tc, pauses_stop_and_go_on_under_load, 0, 2);
	tcase_add_test(tc, ports_come_and_go_under_load);
	tcase_add_test(tc, a_port_is_opened_and_closed_under_load);
	tcase_add_loop_test(tc, snapshots_and_routes_change_under_load, 0, 2);
	tcase_add_test(tc, a_stop_drains);
	tcase_add_test(tc, packets_that_wait_for_a_neighbour_are_dropped_at_a_stop);
	tcase_add_test(tc, a_deadline_wakes_a_sleeping_worker);
	tcase_add_test(tc, the_control_thread_is_woken_for_every_message);
	tcase_add_test(tc, frames_of_the_control_thread_wake_a_worker);
	tcase_add_test(tc, reception_does_not_starve_while_frames_come_back);
	tcase_add_test(tc, a_worker_takes_so_many_queues_and_no_more);
	tcase_add_test(tc, engines_of_no_or_too_many_workers_are_refused);
	suite_add_tcase(s, tc);
	srunner_run_all(r, CK_ENV);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
