/* SPDX-License-Identifier: MIT */
/*
 * A mirror, the owner of its routes, and their comparison with what `ip route` says, all in a network namespace of the
 * test's own.
 */
#ifndef TESTS_CONTROL_LIVE_H
#define TESTS_CONTROL_LIVE_H

#include "common/clock.h"
#include "user/control/netlink_mirror.h"

#include <arpa/inet.h>
#include <check.h>
#include <json-c/json.h>
#include <linux/rtnetlink.h>
#include <poll.h>
#include <sched.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <uthash.h>

#define PATIENCE_NS (20 * NS_PER_S)

struct live_route {
	UT_hash_handle hh;
	struct nl_route_key key;
	unsigned int round;
	struct nl_route r;		/* allocated up to its last nexthop */
};

struct live {
	struct mirror *m;
	struct live_route *routes;
	unsigned int round[2];		/* of resynchronisation: IPv4, IPv6 */
	unsigned int synced;
	unsigned int addrs[3], links[3], neighs[3];	/* events by kind */
	struct nl_neigh neigh;		/* of the last event */
	uint32_t watched;		/* the ifindex of a link, and its last event */
	enum mirror_event watched_event;
	int compat_mode;		/* sysctl nexthop_compat_mode */
};

/* Run a command that must succeed. */
__attribute__((format(printf, 1, 2))) static void sh(const char *fmt, ...)
{
	char cmd[1024];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(cmd, sizeof(cmd), fmt, ap);
	va_end(ap);
	ck_assert_msg(system(cmd) == 0, "failed: %s", cmd);
}

/* A new namespace with its loopback up, for this process. */
static void live_enter(void)
{
	ck_assert_int_eq(unshare(CLONE_NEWNET), 0);
	sh("ip link set lo up");
}

/* ---- The owner of the routes ---- */

static void on_begin(void *ctx, uint8_t family)
{
	struct live *l = ctx;

	l->round[family == AF_INET6]++;
}

static void remove_route(struct live *l, struct live_route *lr)
{
	HASH_DEL(l->routes, lr);
	free(lr);
}

static void on_set(void *ctx, const struct nl_route *r)
{
	struct live *l = ctx;
	struct live_route *lr;

	HASH_FIND(hh, l->routes, &r->key, sizeof(r->key), lr);
	if (lr)
		remove_route(l, lr);
	lr = malloc(offsetof(struct live_route, r) + nl_route_bytes(r));
	memcpy(&lr->r, r, nl_route_bytes(r));
	lr->key = r->key;
	lr->round = l->round[r->key.family == AF_INET6];
	HASH_ADD(hh, l->routes, key, sizeof(lr->key), lr);
}

static void on_del(void *ctx, const struct nl_route_key *key)
{
	struct live *l = ctx;
	struct live_route *lr;

	HASH_FIND(hh, l->routes, key, sizeof(*key), lr);
	if (lr)
		remove_route(l, lr);
}

static void on_end(void *ctx, uint8_t family, bool complete)
{
	struct live *l = ctx;
	struct live_route *lr, *next;

	for (lr = l->routes; lr; lr = next) {
		next = lr->hh.next;
		if (complete && lr->key.family == family && lr->round != l->round[family == AF_INET6])
			remove_route(l, lr);
	}
}

static void on_synced(void *ctx)
{
	struct live *l = ctx;

	l->synced++;
}

static void on_link(void *ctx, enum mirror_event ev, const struct nl_link *link, const struct nl_link *before)
{
	struct live *l = ctx;

	ck_assert((ev == MIRROR_ADDED) == (before == NULL));
	l->links[ev]++;
	if (link->ifindex == l->watched)
		l->watched_event = ev;
}

static void on_addr(void *ctx, enum mirror_event ev, const struct nl_addr *addr)
{
	struct live *l = ctx;

	ck_assert_uint_ne(addr->ifindex, 0);
	l->addrs[ev]++;
}

static void on_neigh(void *ctx, enum mirror_event ev, const struct nl_neigh *neigh)
{
	struct live *l = ctx;

	l->neighs[ev]++;
	l->neigh = *neigh;
}

static const struct mirror_ops ops = {
	.link = on_link, .addr = on_addr, .neigh = on_neigh,
	.route_begin_resync = on_begin, .route_set = on_set, .route_del = on_del, .route_end_resync = on_end,
	.synced = on_synced,
};

/* Mirror the current namespace, and be in sync. */
static void live_begin(struct live *l, uint32_t rcvbuf_bytes)
{
	const struct mirror_config config = { .rcvbuf_bytes = rcvbuf_bytes, .tables = { 1000 } };
	struct fault f;

	memset(l, 0, sizeof(*l));
	l->compat_mode = 1;
	ck_assert_msg(mirror_create(&l->m, &config, &ops, l, &f) == 0, "%s", f.text);
	ck_assert_msg(mirror_sync(l->m, 20000, &f) == 0, "%s", f.text);
	ck_assert_uint_eq(l->synced, 1);
}

static void live_end(struct live *l)
{
	struct live_route *lr, *next;
	struct mirror_stats s;

	mirror_stats(l->m, &s);
	ck_assert_uint_eq(s.malformed, 0);
	ck_assert_uint_eq(s.full, 0);
	lr = l->routes;
	HASH_CLEAR(hh, l->routes);
	for (; lr; lr = next) {
		next = lr->hh.next;
		free(lr);
	}
	mirror_destroy(l->m);
}

/* Read until @cond holds; never is a failure. */
static void live_until(struct live *l, bool (*cond)(struct live *l, const void *arg), const void *arg, const char *what)
{
	uint64_t end_ns = clock_mono_ns() + PATIENCE_NS;
	struct fault f;

	while (!cond(l, arg)) {
		struct pollfd p = { .fd = mirror_fd(l->m), .events = POLLIN };

		ck_assert_msg(clock_mono_ns() < end_ns, "never: %s", what);
		(void)poll(&p, 1, 100);
		ck_assert_msg(mirror_read(l->m, &f) == 0, "%s", f.text);
	}
}

/* ---- What `ip` says, and what we have, as sorted lines ---- */

struct lines {
	char **line;
	size_t n, room;
};

static void lines_add(struct lines *v, const char *text)
{
	if (v->n == v->room) {
		v->room = v->room ? v->room * 2 : 256;
		v->line = realloc(v->line, v->room * sizeof(*v->line));
		ck_assert_ptr_nonnull(v->line);
	}
	v->line[v->n++] = strdup(text);
}

static int by_text(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static void lines_sort(struct lines *v)
{
	if (v->n)
		qsort(v->line, v->n, sizeof(*v->line), by_text);
}

static void lines_free(struct lines *v)
{
	for (size_t i = 0; i < v->n; i++)
		free(v->line[i]);
	free(v->line);
	*v = (struct lines){ .n = 0 };
}

static const char *const type_names[] = {
	[RTN_UNICAST] = "unicast", [RTN_LOCAL] = "local", [RTN_BROADCAST] = "broadcast", [RTN_ANYCAST] = "anycast",
	[RTN_MULTICAST] = "multicast", [RTN_BLACKHOLE] = "blackhole", [RTN_UNREACHABLE] = "unreachable",
	[RTN_PROHIBIT] = "prohibit", [RTN_THROW] = "throw",
};

#define BAD_FLAGS (RTNH_F_DEAD | RTNH_F_LINKDOWN)

static void route_line(char *out, size_t room, const char *dst, unsigned int table, unsigned int metric,
		       const char *type, struct lines *nexthops)
{
	size_t at = (size_t)snprintf(out, room, "%s table %u metric %u %s", dst, table, metric, type);

	lines_sort(nexthops);
	for (size_t i = 0; i < nexthops->n; i++)
		at += (size_t)snprintf(out + at, room - at, " [%s]", nexthops->line[i]);
	lines_free(nexthops);
}

static const char *jstr(struct json_object *o, const char *key, const char *def)
{
	struct json_object *v;

	return json_object_object_get_ex(o, key, &v) ? json_object_get_string(v) : def;
}

static void ip_nexthop(struct json_object *o, struct lines *to)
{
	struct json_object *via, *flags = NULL, *w;
	const char *gw = jstr(o, "gateway", NULL);
	unsigned int bad = 0;
	char text[256];

	if (!gw && json_object_object_get_ex(o, "via", &via))
		gw = jstr(via, "host", "?");
	json_object_object_get_ex(o, "flags", &flags);
	for (size_t i = 0; flags && i < json_object_array_length(flags); i++) {
		const char *f = json_object_get_string(json_object_array_get_idx(flags, i));

		bad |= strcmp(f, "dead") == 0 ? RTNH_F_DEAD : strcmp(f, "linkdown") == 0 ? RTNH_F_LINKDOWN : 0;
	}
	snprintf(text, sizeof(text), "%s %s %d %u", gw ? gw : "link", jstr(o, "dev", "-"),
		 json_object_object_get_ex(o, "weight", &w) ? json_object_get_int(w) : 1, bad);
	lines_add(to, text);
}

static void ip_routes(const char *family, struct lines *to)
{
	char cmd[128], *text = NULL, last[128] = "";
	size_t room = 0, got = 0;
	struct json_object *all;
	FILE *p;

	snprintf(cmd, sizeof(cmd), "ip -d -j %s route show table all", family);
	p = popen(cmd, "r");
	ck_assert_ptr_nonnull(p);
	do {
		room += 1 << 16;
		text = realloc(text, room + 1);
		got += fread(text + got, 1, room - got, p);
	} while (got == room);
	pclose(p);
	text[got] = '\0';
	all = json_tokener_parse(text);
	free(text);
	for (size_t i = 0; all && i < json_object_array_length(all); i++) {
		struct json_object *o = json_object_array_get_idx(all, i), *nhs, *metric;
		const char *dst = jstr(o, "dst", "?"), *table = jstr(o, "table", "main");
		const char *type = jstr(o, "type", "unicast"), *host = strcmp(family, "-4") == 0 ? "/32" : "/128";
		unsigned int t, m = 0;
		char line[4096], prefix[128], key[256];
		struct lines hops = { .n = 0 };

		if (json_object_object_get_ex(o, "metric", &metric))
			m = (unsigned int)json_object_get_int(metric);
		if (strcmp(type, "multicast") == 0 || strncmp(dst, "fe80", 4) == 0 || strncmp(dst, "ff", 2) == 0)
			continue;
		t = strcmp(table, "main") == 0 ? 254 : strcmp(table, "local") == 0 ? 255 : (unsigned int)atoi(table);
		if (t != 254 && t != 255 && t != 1000)
			continue;
		if (strcmp(dst, "default") == 0)
			dst = strcmp(family, "-4") == 0 ? "0.0.0.0/0" : "::/0";
		snprintf(prefix, sizeof(prefix), "%s%s", dst, strchr(dst, '/') ? "" : host);
		snprintf(key, sizeof(key), "%.100s %u %u", prefix, t, m);
		if (strcmp(key, last) == 0)
			continue;	/* not the first of its key */
		snprintf(last, sizeof(last), "%.127s", key);
		if (strcmp(type, "blackhole") != 0 && strcmp(type, "unreachable") != 0 &&
		    strcmp(type, "prohibit") != 0 && strcmp(type, "throw") != 0) {
			if (json_object_object_get_ex(o, "nexthops", &nhs)) {
				for (size_t k = 0; k < json_object_array_length(nhs); k++)
					ip_nexthop(json_object_array_get_idx(nhs, k), &hops);
			} else {
				ip_nexthop(o, &hops);
			}
		}
		route_line(line, sizeof(line), prefix, t, m, type, &hops);
		lines_add(to, line);
	}
	json_object_put(all);
}

static void our_routes(const struct live *l, struct lines *to)
{
	for (const struct live_route *lr = l->routes; lr; lr = lr->hh.next) {
		const struct nl_route *r = &lr->r;
		char ip[INET6_ADDRSTRLEN], prefix[64], line[4096], hop[256], dev[IF_NAMESIZE];
		struct lines hops = { .n = 0 };

		for (uint32_t i = 0; i < r->n_nexthops; i++) {
			const struct nl_nexthop *nh = &r->nexthops[i];

			snprintf(hop, sizeof(hop), "%s %s %u %u",
				 nh->gw_family ? inet_ntop(nh->gw_family, &nh->gw, ip, sizeof(ip)) : "link",
				 nh->ifindex ? (if_indextoname(nh->ifindex, dev) ? dev : "?") : "-", nh->weight,
				 nh->flags & BAD_FLAGS);
			lines_add(&hops, hop);
		}
		snprintf(prefix, sizeof(prefix), "%s/%u", inet_ntop(r->key.family, &r->key.dst, ip, sizeof(ip)),
			 r->key.dst_len);
		route_line(line, sizeof(line), prefix, r->key.table, r->key.metric, type_names[r->type], &hops);
		lines_add(to, line);
	}
}

/* Return: whether they are equal; @report gets the first differences */
static bool compare_once(const struct live *l, char *report, size_t room)
{
	struct lines want = { .n = 0 }, have = { .n = 0 };
	size_t i = 0, k = 0, at = 0;

	/* Without it the kernel shows routes of nexthop objects by their number only. */
	sh("echo 1 > /proc/sys/net/ipv4/nexthop_compat_mode");
	ip_routes("-4", &want);
	ip_routes("-6", &want);
	sh("echo %d > /proc/sys/net/ipv4/nexthop_compat_mode", l->compat_mode);
	our_routes(l, &have);
	lines_sort(&want);
	lines_sort(&have);
	report[0] = '\0';
	while ((i < want.n || k < have.n) && at < room - 1) {
		int c = i == want.n ? 1 : k == have.n ? -1 : strcmp(want.line[i], have.line[k]);

		if (c != 0)
			at += (size_t)snprintf(report + at, room - at, "%s %s\n", c < 0 ? "missing" : "surplus",
					       c < 0 ? want.line[i] : have.line[k]);
		i += c <= 0;
		k += c >= 0;
	}
	lines_free(&want);
	lines_free(&have);
	return at == 0;
}

/* Read until our routes are those that `ip route` shows; never is a failure. */
static void live_compare(struct live *l)
{
	uint64_t end_ns = clock_mono_ns() + PATIENCE_NS;
	char report[2048];
	struct fault f;

	for (;;) {
		ck_assert_msg(mirror_sync(l->m, 20000, &f) == 0, "%s", f.text);
		if (compare_once(l, report, sizeof(report)))
			return;
		ck_assert_msg(clock_mono_ns() < end_ns, "routes differ:\n%s", report);
	}
}

/* Route of the main table by prefix, as in "10.0.0.0/8", and metric. */
static const struct nl_route *live_find(const struct live *l, const char *prefix, uint32_t metric)
{
	const char *slash = strchr(prefix, '/');
	struct live_route *lr;
	struct nl_route_key key;
	char ip[64];

	memset(&key, 0, sizeof(key));
	snprintf(ip, sizeof(ip), "%.*s", (int)(slash - prefix), prefix);
	key.family = strchr(ip, ':') ? AF_INET6 : AF_INET;
	ck_assert_int_eq(inet_pton(key.family, ip, &key.dst), 1);
	key.dst_len = (uint8_t)atoi(slash + 1);
	key.table = RT_TABLE_MAIN;
	key.metric = metric;
	HASH_FIND(hh, l->routes, &key, sizeof(key), lr);
	return lr ? &lr->r : NULL;
}

#endif
