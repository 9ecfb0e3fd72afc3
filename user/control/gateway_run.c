/* SPDX-License-Identifier: MIT */
/* The gateway's life: start, rounds of the control thread, orderly end. */
#include "user/control/gateway_run.h"

#include <errno.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/log.h"
#include "user/control/devinfo.h"
#include "user/control/gateway.h"

#define SYNC_TIMEOUT_MS 30000
#define DRAIN_NS (500 * NS_PER_MS)
#define FLUSH_ROUNDS_MAX 4

static struct sluice_engine_counters *counters_of(void *ctx, unsigned int worker)
{
	return counter_maps_engine(ctx, worker);
}

static struct sluice_drops *drops_of(void *ctx, unsigned int worker)
{
	return counter_maps_drops(ctx, worker);
}

/* As many workers as the port with the most queues has, at most one for each CPU. */
static unsigned int worker_count(const struct config *cfg)
{
	unsigned int most = 1;
	cpu_set_t set;
	unsigned int cpus = 1;

	if (cfg->workers.count)
		return cfg->workers.count;
	if (sched_getaffinity(0, sizeof(set), &set) == 0)
		cpus = (unsigned int)CPU_COUNT(&set);
	for (unsigned int i = 0; i < cfg->n_ports; i++) {
		const struct config_port *p = &cfg->ports[i];
		unsigned int ifindex = if_nametoindex(p->device), n = p->n_queues;
		struct devinfo info;

		if (!n && ifindex && p->kind == CONFIG_PORT_XDP && devinfo_get(ifindex, &info, NULL) == 0)
			n = info.rx_queues;
		if (n > most)
			most = n;
	}
	return most < cpus ? most : cpus;
}

/* In the worker's thread. */
static void worker_begins(void *ctx, unsigned int worker)
{
	const struct gateway *gw = ctx;
	struct fault f;

	privilege_drop_worker(&gw->privilege);
	if (gw->cfg->seccomp && privilege_filter(PRIVILEGE_WORKER, &f))
		log_debug("worker %u: %s", worker, f.text);
}

/* A worker's part of what the whole engine may do; at least 1, unless it is to do nothing. */
static uint32_t share(const struct gateway *gw, unsigned int whole)
{
	return whole && whole < gw->n_workers ? 1 : whole / gw->n_workers;
}

/* Whether a worker can be pinned shows only where it is tried. */
static int cpus_check(const struct gateway *gw, struct fault *f)
{
	cpu_set_t before, set;
	int err = 0;

	if (sched_getaffinity(0, sizeof(before), &before) < 0)
		return fault_errno(f, "workers.cpus: sched_getaffinity");
	for (unsigned int i = 0; i < gw->cfg->workers.n_cpus && !err; i++) {
		unsigned int cpu = gw->cfg->workers.cpus[i];

		CPU_ZERO(&set);
		if (cpu < CPU_SETSIZE)
			CPU_SET(cpu, &set);
		if (cpu >= CPU_SETSIZE || sched_setaffinity(0, sizeof(set), &set) < 0)
			err = fault_set(f, EINVAL, "workers.cpus: CPU %u is not there, or not for this process", cpu);
	}
	if (sched_setaffinity(0, sizeof(before), &before) < 0 && !err)
		err = fault_errno(f, "workers.cpus: sched_setaffinity");
	return err;
}

static int engine_setup(struct gateway *gw, struct fault *f)
{
	const struct config *cfg = gw->cfg;
	struct engine_params params = {
		.n_workers = gw->n_workers,
		.area = {
			.n_frames = cfg->memory.frames, .chunk_bytes = cfg->memory.chunk_bytes,
			.reserve = cfg->memory.reserve,
			.huge = cfg->memory.huge == CONFIG_ON ? AREA_HUGE_REQUIRE :
				cfg->memory.huge == CONFIG_OFF ? AREA_HUGE_NO : AREA_HUGE_AUTO,
		},
		.limits = {
			.icmp_error_rate = share(gw, cfg->icmp.error_rate),
			.icmp_error_burst = share(gw, cfg->icmp.error_burst),
			.echo_rate = share(gw, cfg->icmp.echo_rate),
			.echo_burst = cfg->icmp.echo_rate ? share(gw, cfg->icmp.echo_burst) : 0,
			.neigh_queue_pkts = cfg->neighbours.queue,
			.spin_ns = cfg->busy_poll.enabled ? UINT64_MAX : cfg->spin_us * NS_PER_US,
		},
		.neigh_quota_frames = cfg->memory.frames / 8,
		.counters = counters_of, .drops = drops_of, .counters_ctx = &gw->counters,
		.trace_records = cfg->trace.records,
		.thread_begins = worker_begins, .thread_ctx = gw,
	};

	for (unsigned int i = 0; i < gw->n_workers; i++)
		params.cpus[i] = cfg->workers.n_cpus ? cfg->workers.cpus[i] : -1;
	return engine_create(&gw->engine, &params, f);
}

/* Do what is due: at the end of each round, so that a burst of events costs one snapshot. */
static void gateway_flush(struct gateway *gw)
{
	struct fault f;

	/* Following a port may change it again: one that comes up takes its addresses into use. */
	for (unsigned int i = 0; gw->dirty & GW_DIRTY_PORTS && i < FLUSH_ROUNDS_MAX; i++) {
		gw->dirty &= ~(unsigned int)GW_DIRTY_PORTS;
		gw_ports_update(gw);
	}
	if (gw->dirty & GW_DIRTY_TABLES) {
		gw->dirty &= ~(unsigned int)GW_DIRTY_TABLES;
		if (gw_publish(gw, &f))
			log_error("tables: %s", f.text);
	}
	if (gw->dirty & GW_DIRTY_STEER) {
		gw->dirty &= ~(unsigned int)GW_DIRTY_STEER;
		gw_steer_update(gw);
	}
	epoch_reclaim(&gw->engine->epoch);
}

static void on_mirror(void *ctx, uint32_t events)
{
	struct gateway *gw = ctx;
	struct fault f;

	(void)events;
	if (mirror_read(gw->mirror, &f)) {
		log_error("netlink: %s", f.text);
		gw->failed = true;
		gw->stopping = true;
	}
}

static void on_workers(void *ctx, uint32_t events)
{
	struct gateway *gw = ctx;

	(void)events;
	engine_read(gw->engine, gw_ctl_message, gw);
}

static void on_signal(void *ctx, int signo)
{
	struct gateway *gw = ctx;

	log_info("%s: stopping", strsignal(signo));
	gw->stopping = true;
}

static void on_second(void *ctx)
{
	struct gateway *gw = ctx;

	gw_neigh_refresh(gw);
	for (unsigned int i = 0; i < gw->n_ports; i++)
		for (unsigned int q = 0; q < gw->ports[i].port.n_queues && gw->ports[i].open; q++)
			if (gw->ports[i].port.queues[q]->ops->update)
				gw->ports[i].port.queues[q]->ops->update(gw->ports[i].port.queues[q]);
	if (gw->steer_stale) {
		gw->steer_stale = false;
		gw->dirty |= GW_DIRTY_STEER;
	}
}

/* Before anything is made that a signal would leave behind. */
static int signals_setup(struct gateway *gw, struct fault *f)
{
	sigset_t set;
	int err;

	/* Whoever reads the log may go; clients may, too. */
	signal(SIGPIPE, SIG_IGN);
	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGHUP);
	err = loop_create(&gw->loop, f);
	return err ? err : loop_add_signals(gw->loop, &set, on_signal, gw, f);
}

static int loop_setup(struct gateway *gw, struct fault *f)
{
	int err = loop_add_fd(gw->loop, gw->engine->control_fd, EPOLLIN, on_workers, gw, f);

	if (!err)
		err = loop_add_fd(gw->loop, mirror_fd(gw->mirror), EPOLLIN, on_mirror, gw, f);
	if (!err)
		loop_add_timer(gw->loop, &gw->second, NS_PER_S, NS_PER_S, on_second, gw);
	return err;
}

/* The first time a port that does not open is an error: a person waits for it. Later it is tried again. */
static int ports_open(struct gateway *gw, struct fault *f)
{
	for (unsigned int i = 0; i < gw->n_ports; i++) {
		int err = gw_port_open(&gw->ports[i], f);

		if (err)
			return err;
	}
	return 0;
}

/* Whoever finds devices that come back behind libxdp's dispatcher has to look programs up by their numbers. */
static bool wants_dispatcher(const struct gateway *gw)
{
	for (unsigned int i = 0; i < gw->n_ports; i++) {
		const struct gw_port *gp = &gw->ports[i];

		if (gp->cfg->dispatcher == CONFIG_ON || (gp->steer && steer_info(gp->steer)->dispatcher))
			return true;
	}
	return false;
}

/* Everything is open: from here on, what a device that comes back needs is enough. */
static int privileges_drop(struct gateway *gw, const struct privilege_user *user, struct fault *f)
{
	return privilege_drop(&gw->privilege, gw->cfg->user[0] ? user : NULL, wants_dispatcher(gw), f);
}

/* The control thread's system calls; after the workers have started, who have a filter of their own. */
static void calls_filter(struct gateway *gw)
{
	struct fault f;

	if (!gw->cfg->seccomp)
		return;
	gw->privilege.filtered = privilege_filter(PRIVILEGE_CONTROL, &f) == 0;
	if (!gw->privilege.filtered)
		log_info("%s", f.text);
}

static int gateway_start(struct gateway *gw, struct fault *f)
{
	struct counter_maps_params cp = { .instance = gw->cfg->instance };
	struct mirror_config mc = { .rcvbuf_bytes = gw->cfg->netlink.receive_buffer_bytes };
	struct privilege_user user;
	int err;

	gw->started_ns = clock_mono_ns();
	if (gw->cfg->user[0]) {
		err = privilege_find_user(gw->cfg->user, &user, f);
		if (err)
			return err;
	}
	gw->n_workers = worker_count(gw->cfg);
	cp.n_workers = gw->n_workers;
	err = cpus_check(gw, f);
	if (!err)
		err = gw_ports_init(gw, f);
	if (!err)
		err = signals_setup(gw, f);
	/* A socket that another instance answers on ends the start before its pins or any device is touched. */
	if (!err)
		err = gw_api_init(gw, f);
	if (err)
		return err;
	for (unsigned int i = 0; i < gw->n_ports; i++)
		cp.n_queues += gw->ports[i].max_queues;
	err = counter_maps_open(&gw->counters, &cp, f);
	if (err)
		return err;
	if (gw->counters.reason[0])
		log_warn("counters: %s", gw->counters.reason);
	err = engine_setup(gw, f);
	if (err)
		return err;
	if (gw->cfg->netlink.table != RT_TABLE_MAIN)
		mc.tables[0] = gw->cfg->netlink.table;
	err = mirror_create(&gw->mirror, &mc, &gw_mirror_ops, gw, f);
	if (!err)
		err = loop_setup(gw, f);
	if (!err)
		err = gw_watch_init(gw, f);
	if (!err)
		err = gw_neigh_init(gw, f);
	if (!err)
		err = mirror_sync(gw->mirror, SYNC_TIMEOUT_MS, f);
	if (!err)
		err = ports_open(gw, f);
	if (!err)
		err = gw_static_routes(gw, f);
	if (err)
		return err;
	gw_ports_update(gw);
	err = gw_publish(gw, f);
	if (!err)
		err = privileges_drop(gw, &user, f);
	if (!err)
		err = engine_start(gw->engine, f);
	if (err)
		return err;
	calls_filter(gw);
	/* Only now, with tables and workers in place, do the XDP programs begin to steer. */
	gw->dirty |= GW_DIRTY_STEER;
	gateway_flush(gw);
	return 0;
}

/* In the reverse order; each part may be missing when the start failed half way. */
static int gateway_stop(struct gateway *gw)
{
	uint32_t leaks = 0;

	privilege_files(&gw->privilege, true);
	if (gw->server)
		server_destroy(gw->server);
	if (gw->engine) {
		for (unsigned int i = 0; i < gw->n_ports; i++)
			if (gw->ports[i].open && gw->ports[i].steer)
				steer_set_enabled(gw->ports[i].steer, false);
		engine_drain(gw->engine, DRAIN_NS);
		for (unsigned int i = 0; i < gw->n_ports; i++) {
			loop_del_timer(&gw->ports[i].retry);
			gw_port_close(&gw->ports[i], "stopped");
		}
		engine_stop(gw->engine);
		gw_watch_fini(gw);
		leaks = engine_destroy(gw->engine);
		if (leaks)
			log_error("%u frames did not come home", leaks);
	}
	gw_neigh_fini(gw);
	mirror_destroy(gw->mirror);
	loop_destroy(gw->loop);
	privilege_files(&gw->privilege, true);
	if (gw->counters.engine.base)
		counter_maps_close(&gw->counters);
	return leaks ? -EUCLEAN : 0;
}

int gateway_run(const struct config *cfg, struct fault *f)
{
	struct gateway *gw = calloc(1, sizeof(*gw));
	int err, stop_err;

	if (!gw)
		return fault_set(f, ENOMEM, "no memory for the gateway");
	gw->cfg = cfg;
	log_set_level(cfg->log_level);
	err = gateway_start(gw, f);
	if (!err) {
		log_info("instance %s: %u worker%s, %u port%s; control socket %s", cfg->instance, gw->n_workers,
			 gw->n_workers == 1 ? "" : "s", gw->n_ports, gw->n_ports == 1 ? "" : "s", cfg->control.socket);
		while (!err && !gw->stopping) {
			err = loop_step(gw->loop, -1);
			gateway_flush(gw);
		}
		if (err)
			fault_set(f, -err, "event loop: %s", strerror(-err));
	}
	if (!err && gw->failed)
		err = fault_set(f, EIO, "netlink failed, see the log");
	stop_err = gateway_stop(gw);
	if (!err && stop_err)
		err = fault_set(f, EUCLEAN, "frames did not come home");
	free(gw);
	return err;
}
