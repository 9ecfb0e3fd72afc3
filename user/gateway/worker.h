/* SPDX-License-Identifier: MIT */
/*
 * A worker: one thread, its queues, its memory, its copy of the graph. Nothing in it is touched by another thread but
 * the rings and atomics named so.
 */
#ifndef USER_GATEWAY_WORKER_H
#define USER_GATEWAY_WORKER_H

#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>

#include <sluice/counters.h>
#include <sluice/drops.h>

#include "common/bytes.h"
#include "common/epoch.h"
#include "common/ratelimit.h"
#include "common/siphash.h"
#include "common/spsc.h"
#include "user/gateway/stage.h"
#include "user/gateway/tables.h"
#include "user/net/ipv4.h"
#include "user/offload/coalesce.h"
#include "user/offload/segment.h"
#include "user/packet/area.h"
#include "user/packet/port.h"

#define WORKERS_MAX 64
#define WORKER_QUEUES_MAX 64	/* port queues of one worker */
#define WORKER_RX_MAX 64	/* packets of one reception */
#define NEIGH_WAITS_MAX 64	/* unresolved neighbours of one worker */
#define NEIGH_WAIT_PKTS_MAX 32	/* packets in front of each, upper bound of the setting */
#define NEIGH_WAIT_NS (3 * NS_PER_S)
#define PUNT_BYTES_MAX 512	/* ARP, ND: what is longer is cut, and the parsers refuse it */

struct engine;
struct tracer;
struct taps;

/* What a worker says to the control thread. */
enum ctl_kind {
	CTL_RESOLVE,		/* please resolve iface, addr */
	CTL_PUNT,		/* an ARP or ND packet for the engine's own addresses: bytes from the Ethernet header on */
};

struct ctl_msg {
	uint8_t kind;		/* enum ctl_kind */
	uint8_t family;
	uint16_t iface;
	uint16_t len;		/* bytes of data */
	uint16_t l3;		/* CTL_PUNT: where in data the header behind the link layer's starts */
	uint8_t addr[16];
	uint8_t data[PUNT_BYTES_MAX];
};

/* A frame that the control thread wants sent, Ethernet header included. */
struct inject_msg {
	uint16_t port;
	uint16_t iface;
	uint16_t len;
	uint8_t data[PUNT_BYTES_MAX];
};

/* Packets in front of a neighbour that is being resolved. */
struct neigh_wait {
	uint8_t family;		/* 0: entry free */
	uint8_t n;
	uint16_t iface;
	uint8_t addr[16];
	uint64_t deadline_ns;
	struct pkt *pkt[NEIGH_WAIT_PKTS_MAX];
};

/* Two rings between a pair of workers: packets one way, their frames' way home the other. */
struct cross_link {
	struct spsc pkts;	/* slots: struct pkt * */
	struct spsc home;
};

struct worker_limits {
	uint32_t icmp_error_rate, icmp_error_burst;
	uint32_t echo_rate, echo_burst;
	unsigned int neigh_queue_pkts;		/* 1 to NEIGH_WAIT_PKTS_MAX; worker_init() sees to it */
	uint64_t spin_ns;
};

struct worker {
	/* -- per packet ------------------------------------------------------------------------------------- */
	uint64_t now_ns;			/* monotonic, once per batch */
	const struct tables *tables;		/* this batch's snapshot */
	struct area *area;
	struct sluice_engine_counters *count;
	uint64_t *drops;			/* by enum drop */
	uint32_t port_caps[TABLES_PORTS_MAX];	/* enum port_cap, and WORKER_PORT_L2 */
	struct port_queue *txq[TABLES_PORTS_MAX];	/* this worker's queue to each port, or NULL */
	uint64_t tx_dirty;			/* ports that need a flush, by bit */
	uint32_t tracing;			/* packets may bear PKT_TRACE */
	uint32_t tapping;			/* ports with a capture, by bit */

	/* -- per batch -------------------------------------------------------------------------------------- */
	unsigned int n_rxq;
	struct port_queue *rxq[WORKER_QUEUES_MAX];
	unsigned int n_stages;
	const struct stage *stages[STAGES_MAX];
	struct edges edges[STAGES_MAX];
	struct batch queue[STAGES_MAX];
	struct batch *inject_to;		/* where frames of the control thread enter: in front of tx */
	unsigned int neigh_stage;		/* whose edges released packets go on by */
	struct siphash_key hash_key;

	/* -- stages' state ---------------------------------------------------------------------------------- */
	struct worker_limits limits;
	struct ratelimit icmp_errors, echo_replies;
	struct neigh_wait waits[NEIGH_WAITS_MAX];
	unsigned int n_waits;
	uint64_t waits_version;			/* snapshot that the waits were last looked up in */
	uint64_t waits_check_ns;		/* next look at their deadlines */
	struct segmenter segmenter;
	bool segmenting;
	struct ipv4_fragmenter fragmenter;
	bool fragmenting;
	struct coalescer coalescer;

	/* -- the thread ------------------------------------------------------------------------------------- */
	struct engine *engine;
	unsigned int id;
	int cpu;				/* -1: not pinned */
	pthread_t thread;
	int wake_fd;				/* eventfd: rings, pause, stop */
	struct pollfd fds[WORKER_QUEUES_MAX + 1];
	unsigned int n_fds;
	uint64_t pending_wait_ns;		/* longest sleep while a port is pending */
	struct tracer *tracer;
	struct taps *taps;

	/* -- shared with other threads ----------------------------------------------------------------------- */
	struct spsc to_control;			/* struct ctl_msg */
	struct spsc from_control;		/* struct inject_msg */
	struct cross_link *cross_in[WORKERS_MAX];	/* from worker i; NULL for itself */
	_Atomic uint32_t asleep;
};

#define WORKER_PORT_L2 (1u << 31)		/* in port_caps: frames carry Ethernet headers */

/** worker_create() - Everything but the thread. @w->engine, id, area, count, drops, limits are set by the caller. */
int worker_init(struct worker *w, struct fault *f);
void worker_fini(struct worker *w);

/** worker_main() - The thread's function. */
void *worker_main(void *worker);

/** worker_step() - One round: receive from each queue, run the graph, flush. Return: packets received */
unsigned int worker_step(struct worker *w);

/**
 * worker_round() - What the thread does over and over: what waits for neighbours, worker_step(), frames of the control
 * thread, packets of other workers.
 *
 * The caller has set now_ns and tables. Return: packets and messages that were there
 */
unsigned int worker_round(struct worker *w);

/** worker_drop() - Count a packet under a reason, tell who follows it, and free it. */
void worker_drop(struct worker *w, struct pkt *p, enum drop why);

/** worker_graph_run() - Run stages until every queue is empty. */
void worker_graph_run(struct worker *w);

/** worker_wake() - Make a sleeping worker look around. Any thread. */
void worker_wake(struct worker *w);

/** worker_drain() - Drop all that the worker holds (neighbour queues, crossings). Worker paused or ended. */
void worker_drain(struct worker *w, enum drop why);

/** worker_queues_changed() - After rxq or txq changed: rebuild what is derived from them. */
void worker_queues_changed(struct worker *w);

/* neighbour queues, stage_neigh.c */
void neigh_waits_check(struct worker *w);
void neigh_waits_drain(struct worker *w, enum drop why);

/* packets from and to other workers, cross.c */
void cross_send(struct worker *w, struct pkt *p);
unsigned int cross_receive(struct worker *w);
void cross_link_drain(struct cross_link *l, struct worker *from, enum drop why);

#endif
