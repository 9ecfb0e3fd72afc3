/* SPDX-License-Identifier: MIT */
/*
 * Fuzz target: a datagram of netlink messages into a mirror that is in the midst of a dump, and then again at rest.
 * The first byte chooses which dump; without sanitizer findings, bounds and counts must hold.
 */
#include "common/log.h"
#include "user/control/netlink_mirror_priv.h"

#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct owner {
	uint64_t sets;
	unsigned int open[2];
};

static void require(bool ok)
{
	if (!ok)
		abort();
}

static void on_begin(void *ctx, uint8_t family)
{
	struct owner *o = ctx;

	require(++o->open[family == AF_INET6] == 1);
}

static void on_end(void *ctx, uint8_t family, bool complete)
{
	struct owner *o = ctx;

	(void)complete;
	require(o->open[family == AF_INET6]-- == 1);
}

static void on_set(void *ctx, const struct nl_route *r)
{
	struct owner *o = ctx;

	require(r->key.family == AF_INET || r->key.family == AF_INET6);
	require(r->key.dst_len <= (r->key.family == AF_INET ? 32 : 128));
	require(r->n_nexthops <= NL_NEXTHOPS_MAX);
	for (uint32_t i = 0; i < r->n_nexthops; i++)
		require(r->nexthops[i].weight > 0);
	o->sets++;
}

static void on_link(void *ctx, enum mirror_event ev, const struct nl_link *link, const struct nl_link *before)
{
	(void)ctx;
	require((ev == MIRROR_ADDED) == !before);
	require(link->ifindex != 0 && memchr(link->name, '\0', sizeof(link->name)) != NULL);
}

static void on_addr(void *ctx, enum mirror_event ev, const struct nl_addr *a)
{
	(void)ctx;
	(void)ev;
	require(a->prefix_len <= (a->family == AF_INET ? 32 : 128));
}

static void on_neigh(void *ctx, enum mirror_event ev, const struct nl_neigh *n)
{
	(void)ctx;
	(void)ev;
	require(n->lladdr_len <= NL_LLADDR_MAX);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct mirror_ops ops = {
		.link = on_link, .addr = on_addr, .neigh = on_neigh,
		.route_begin_resync = on_begin, .route_end_resync = on_end, .route_set = on_set,
	};
	struct owner owner = { 0 };
	struct mirror *m;
	uint8_t *buf;

	if (size < 1 || size > 65536)
		return 0;
	log_set_level(LOG_LEVEL_ERROR);
	m = mirror_alloc(NULL, &ops, &owner);
	buf = malloc(size);		/* exact, and aligned, which the input need not be */
	if (!m || !buf)
		abort();
	memcpy(buf, data + 1, size - 1);
	mirror_begin_dump(m, (enum dump)(data[0] % DUMP_COUNT));
	mirror_input(m, buf, size - 1);
	mirror_input(m, buf, size - 1);
	free(buf);
	mirror_destroy(m);
	return 0;
}
