// SPDX-License-Identifier: MIT
#include "user/packet/counter_maps.h"

#include <assert.h>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "user/packet/bpf_log.h"

#include "engine.skel.h"

#define CACHE_LINE 64

/* Entries of the maps begin as these structs do; bpf/engine.bpf.c pads them to whole cache lines. */
static size_t round_up(size_t n, size_t to)
{
	return (n + to - 1) / to * to;
}

static int table_map(struct counter_table *t, struct bpf_map *map, struct fault *f)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);
	int fd = bpf_map__fd(map);
	void *base;

	t->size_bytes = round_up(t->stride_bytes * t->n, page);
	base = mmap(NULL, t->size_bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (base == MAP_FAILED)
		return fault_errno(f, "mmap of the map %s", bpf_map__name(map));
	t->base = base;
	t->fd = fcntl(fd, F_DUPFD_CLOEXEC, 3);
	if (t->fd < 0) {
		int err = fault_errno(f, "dup of the map %s", bpf_map__name(map));

		munmap(base, t->size_bytes);
		t->base = NULL;
		return err;
	}
	return 0;
}

static void table_close(struct counter_table *t)
{
	if (t->fd >= 0) {
		munmap(t->base, t->size_bytes);
		close(t->fd);
	} else {
		free(t->base);
	}
	t->base = NULL;
	t->fd = -1;
}

static int open_bpf(struct counter_maps *m, struct fault *f)
{
	struct engine_bpf *skel;
	int err;

	bpf_log_init();
	skel = engine_bpf__open();
	if (!skel)
		return fault_errno(f, "counters: open the BPF object");
	assert(bpf_map__value_size(skel->maps.engine) == m->engine.stride_bytes);
	assert(bpf_map__value_size(skel->maps.drops) == m->drops.stride_bytes);
	assert(bpf_map__value_size(skel->maps.ports) == m->ports.stride_bytes);
	bpf_map__set_max_entries(skel->maps.engine, m->engine.n);
	bpf_map__set_max_entries(skel->maps.drops, m->drops.n);
	bpf_map__set_max_entries(skel->maps.ports, m->ports.n);
	err = engine_bpf__load(skel);
	if (err) {
		errno = -err;
		fault_errno(f, "counters: create the BPF maps");
		goto out;
	}
	err = table_map(&m->engine, skel->maps.engine, f);
	if (!err)
		err = table_map(&m->drops, skel->maps.drops, f);
	if (!err)
		err = table_map(&m->ports, skel->maps.ports, f);
out:
	engine_bpf__destroy(skel);
	return err;
}

static int open_memory(struct counter_table *t)
{
	t->size_bytes = t->stride_bytes * t->n;
	t->base = aligned_alloc(CACHE_LINE, t->size_bytes);
	if (!t->base)
		return -ENOMEM;
	memset(t->base, 0, t->size_bytes);
	return 0;
}

static void unpin(struct counter_maps *m)
{
	bpffs_unpin(&m->dir, "engine");
	bpffs_unpin(&m->dir, "drops");
	bpffs_unpin(&m->dir, "ports");
	bpffs_clear(&m->dir);
}

static int pin(struct counter_maps *m, const struct counter_maps_params *p, struct fault *f)
{
	int err;

	err = bpffs_create(&m->dir, p->bpffs_root, f);
	if (!err)
		err = bpffs_pin(&m->dir, "engine", m->engine.fd, f);
	if (!err)
		err = bpffs_pin(&m->dir, "drops", m->drops.fd, f);
	if (!err)
		err = bpffs_pin(&m->dir, "ports", m->ports.fd, f);
	if (err)
		unpin(m);
	return err;
}

int counter_maps_open(struct counter_maps *m, const struct counter_maps_params *p, struct fault *f)
{
	struct fault why = { "" };
	int err;

	*m = (struct counter_maps){
		.engine = { -1, NULL, round_up(sizeof(struct sluice_engine_counters), CACHE_LINE), 0, p->n_workers },
		.drops = { -1, NULL, round_up(sizeof(struct sluice_drops), CACHE_LINE), 0, p->n_workers },
		.ports = { -1, NULL, round_up(sizeof(struct sluice_port_counters), CACHE_LINE), 0, p->n_queues },
	};
	if (p->n_workers == 0 || p->n_workers > COUNTER_MAPS_WORKERS_MAX)
		return fault_set(f, EINVAL, "counters for %u workers: at least 1, at most %d", p->n_workers,
				 COUNTER_MAPS_WORKERS_MAX);
	if (p->n_queues == 0 || p->n_queues > COUNTER_MAPS_QUEUES_MAX)
		return fault_set(f, EINVAL, "counters for %u queues: at least 1, at most %d", p->n_queues,
				 COUNTER_MAPS_QUEUES_MAX);
	err = bpffs_dir(&m->dir, p->bpffs_root, p->instance, NULL, f);
	if (err)
		return err;
	if (!p->memory_only) {
		m->in_bpf = open_bpf(m, &why) == 0;
		m->pinned = m->in_bpf && pin(m, p, &why) == 0;
		snprintf(m->reason, sizeof(m->reason), "%.255s", m->pinned ? "" : why.text);
		if (m->in_bpf)
			return 0;
		table_close(&m->engine);
		table_close(&m->drops);
		table_close(&m->ports);
	}
	if (open_memory(&m->engine) || open_memory(&m->drops) || open_memory(&m->ports)) {
		counter_maps_close(m);
		return fault_set(f, ENOMEM, "counters: out of memory");
	}
	return 0;
}

void counter_maps_close(struct counter_maps *m)
{
	if (m->pinned)
		unpin(m);
	table_close(&m->engine);
	table_close(&m->drops);
	table_close(&m->ports);
	m->pinned = m->in_bpf = false;
}
