/* SPDX-License-Identifier: MIT */
/*
 * The engine: workers, their memory, their ports, and how the control thread speaks with them.
 *
 * Everything here is called by one thread, the control thread, unless it says otherwise. Two ways lead to the workers:
 * snapshots (engine_publish()), which never stop them; and pauses, for what is rare and touches their own structures
 * (ports that come and go): between engine_pause() and engine_resume() no worker runs.
 */
#ifndef USER_GATEWAY_ENGINE_H
#define USER_GATEWAY_ENGINE_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "common/epoch.h"
#include "common/fault.h"
#include "user/gateway/tables.h"
#include "user/gateway/worker.h"
#include "user/packet/port.h"

struct engine_params {
	unsigned int n_workers;
	int cpus[WORKERS_MAX];				/* -1: not pinned */
	struct area_params area;			/* of each worker; id is filled in */
	struct worker_limits limits;
	uint32_t neigh_quota_frames;			/* frames that may wait for neighbours, per worker */
	/* Where the workers count, one each; NULL: in memory of their own. */
	struct sluice_engine_counters *(*counters)(void *ctx, unsigned int worker);
	struct sluice_drops *(*drops)(void *ctx, unsigned int worker);
	void *counters_ctx;
	uint32_t trace_records;				/* per worker, a power of two */
	/* Called first in each worker's thread; may be NULL. */
	void (*thread_begins)(void *ctx, unsigned int worker);
	void *thread_ctx;
};

struct engine {
	/* read by the workers */
	_Atomic(const struct tables *) tables;
	_Atomic uint32_t pause_wanted;
	struct epoch epoch;
	unsigned int n_workers;
	struct worker *workers[WORKERS_MAX];

	/* pausing */
	pthread_mutex_t lock;
	pthread_cond_t parked_cond, resume_cond;
	unsigned int parked;
	unsigned int n_started;				/* workers whose thread runs */
	bool stopping;
	bool running;

	/* the control thread's */
	struct port *ports[TABLES_PORTS_MAX];
	struct fib *fib;
	int control_fd;					/* eventfd: a worker has written to its ring */
	_Atomic uint32_t control_awake;			/* the control thread knows already */
	void (*thread_begins)(void *ctx, unsigned int worker);
	void *thread_ctx;
	struct sluice_engine_counters *own_counters;
	struct sluice_drops *own_drops;
};

/**
 * engine_create() - Memory, rings and an empty forwarding table; no thread yet.
 * Return: 0, or a negative errno with the reason in @f
 */
int engine_create(struct engine **out, const struct engine_params *params, struct fault *f);

/** engine_start() - Start the workers. Tables must have been published. */
int engine_start(struct engine *e, struct fault *f);

/**
 * engine_drain() - Wait until the workers have nothing on its way any more; the caller has seen to it that nothing new
 * comes in by the XDP programs.
 * @timeout_ns: how long at most: a TUN's sender cannot be told to stop
 *
 * Packets that wait for a neighbour are not waited for.
 */
void engine_drain(struct engine *e, uint64_t timeout_ns);

/**
 * engine_stop() - Stop the workers for good, and drop what they still hold under DROP_shutdown.
 *
 * Ports are still open and owned by the caller, who closes them next.
 */
void engine_stop(struct engine *e);

/** engine_destroy() - After engine_stop() and closing of all ports. Return: frames that did not come home (0 is right) */
uint32_t engine_destroy(struct engine *e);

/** engine_pause() - Wait until no worker runs; nests not. Allowed while not running, too. */
void engine_pause(struct engine *e);
void engine_resume(struct engine *e);

/**
 * engine_port_attach() - Give a port to the workers. Paused.
 * @port:         its queues are open, each with the area of the worker it is for
 * @queue_worker: which worker has queue i
 * Return: 0, or -E2BIG when one of the workers would have more than WORKER_QUEUES_MAX; nothing has changed then
 */
int engine_port_attach(struct engine *e, struct port *port, const uint8_t *queue_worker, struct fault *f);

/**
 * engine_port_detach() - Take a port from the workers. Paused. The caller closes its queues before it resumes.
 *
 * Packets on their way to the port are dropped under DROP_port_removed.
 */
void engine_port_detach(struct engine *e, struct port *port);

/**
 * engine_publish() - Let the workers use a new snapshot; the old one is freed when none of them can see it.
 */
void engine_publish(struct engine *e, struct tables *t);

/**
 * engine_read() - Take what the workers have to say. Call it when engine->control_fd is readable.
 * @fn: called for each message; the message is valid during the call
 */
void engine_read(struct engine *e, void (*fn)(void *ctx, const struct ctl_msg *m), void *ctx);

/**
 * engine_inject() - Send a frame of the control thread's.
 * Return: 0, or -ENOBUFS when the ring is full, -EMSGSIZE, or -ENODEV without such a port
 */
int engine_inject(struct engine *e, uint16_t port, uint16_t iface, const void *frame, size_t len);

/** engine_port_caps_changed() - After port->caps, mtu or up changed. Paused. */
void engine_port_caps_changed(struct engine *e);

/* For the workers. */
static inline bool engine_wants_pause(struct engine *e)
{
	return atomic_load_explicit(&e->pause_wanted, memory_order_relaxed) != 0;
}

/** engine_park() - Wait for the resume. Worker threads. Return: false when the worker is to end */
bool engine_park(struct engine *e, struct worker *w);

/** engine_tell() - Queue a message to the control thread. Worker threads. Return: false when the ring is full */
bool engine_tell(struct worker *w, const struct ctl_msg *m);

#endif
