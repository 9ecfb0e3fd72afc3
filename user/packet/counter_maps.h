/* SPDX-License-Identifier: MIT */
/*
 * Where the engine counts: BPF maps that are mapped into its memory, pinned under ROOT/sluice/INSTANCE/ as "engine",
 * "drops" and "ports". Counting is a plain store by the one worker that owns the entry; `bpftool map dump pinned` shows
 * the same numbers by name.
 *
 * Without the right to make BPF maps the counters are plain memory: everything works but bpftool.
 */
#ifndef USER_PACKET_COUNTER_MAPS_H
#define USER_PACKET_COUNTER_MAPS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <sluice/counters.h>
#include <sluice/drops.h>

#include "common/fault.h"
#include "user/packet/bpffs.h"

#define COUNTER_MAPS_WORKERS_MAX 256
#define COUNTER_MAPS_QUEUES_MAX 4096

struct counter_maps_params {
	const char *bpffs_root;		/* NULL: BPFFS_ROOT */
	const char *instance;
	uint32_t n_workers;
	uint32_t n_queues;		/* of all ports together, those that may be added later included */
	bool memory_only;		/* plain memory, for tests and for `check` */
};

struct counter_table {
	int fd;				/* of the map; -1 for plain memory */
	uint8_t *base;
	size_t stride_bytes;
	size_t size_bytes;
	uint32_t n;
};

struct counter_maps {
	struct counter_table engine, drops, ports;
	struct bpffs_dir dir;
	bool in_bpf;			/* maps, not plain memory */
	bool pinned;
	char reason[256];		/* why not in BPF or not pinned; empty when both are so */
};

/**
 * counter_maps_open() - Make the counters, all 0, replacing pins of a dead run.
 *
 * Return: 0 also when it had to step down (see @reason); a negative errno for wrong limits or lack of memory
 */
int counter_maps_open(struct counter_maps *m, const struct counter_maps_params *p, struct fault *f);

/** counter_maps_close() - Unpin and free them. The pointers given out end here. */
void counter_maps_close(struct counter_maps *m);

static inline struct sluice_engine_counters *counter_maps_engine(const struct counter_maps *m, uint32_t worker)
{
	return worker < m->engine.n ? (void *)(m->engine.base + worker * m->engine.stride_bytes) : NULL;
}

static inline struct sluice_drops *counter_maps_drops(const struct counter_maps *m, uint32_t worker)
{
	return worker < m->drops.n ? (void *)(m->drops.base + worker * m->drops.stride_bytes) : NULL;
}

static inline struct sluice_port_counters *counter_maps_port(const struct counter_maps *m, uint32_t queue)
{
	return queue < m->ports.n ? (void *)(m->ports.base + queue * m->ports.stride_bytes) : NULL;
}

#endif
