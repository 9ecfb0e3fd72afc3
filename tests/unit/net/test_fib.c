/* SPDX-License-Identifier: MIT */
#include "user/net/fib.h"

#include "common/bytes.h"

#include <arpa/inet.h>
#include <check.h>
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

static struct epoch epoch;
static struct fib *fib;

static void setup(void)
{
	ck_assert_int_eq(epoch_init(&epoch, 2, NULL), 0);
	ck_assert_int_eq(fib_create(&fib, &epoch, NULL), 0);
}

static void teardown(void)
{
	fib_destroy(fib);
	epoch_fini(&epoch);
}

/* "10.0.0.0/8" or "2001:db8::/32"; the address alone is a prefix of full length. */
static uint8_t parse(const char *text, uint8_t addr[16], uint8_t *len)
{
	char host[64];
	const char *slash = strchr(text, '/');
	uint8_t family = strchr(text, ':') ? AF_INET6 : AF_INET;

	snprintf(host, sizeof(host), "%.*s", slash ? (int)(slash - text) : (int)strlen(text), text);
	memset(addr, 0, 16);
	ck_assert_int_eq(inet_pton(family, host, addr), 1);
	*len = slash ? (uint8_t)atoi(slash + 1) : family == AF_INET ? 32 : 128;
	return family;
}

static struct fib_route via(uint16_t iface, const char *gw)
{
	struct fib_route r = { .type = FIB_UNICAST, .n_nexthops = 1, .nexthops = { { .iface = iface, .weight = 1 } } };
	uint8_t len;

	/* Bytes that are not used must not matter. */
	memset(r.nexthops[1].gw, 0x77, sizeof(r.nexthops[1].gw));
	if (gw)
		r.nexthops[0].gw_family = parse(gw, r.nexthops[0].gw, &len);
	return r;
}

static int set(const char *prefix, enum fib_origin origin, uint32_t metric, struct fib_route r)
{
	uint8_t addr[16], len, family = parse(prefix, addr, &len);

	return fib_set(fib, family, addr, len, origin, metric, &r, NULL);
}

static int del(const char *prefix, enum fib_origin origin, uint32_t metric)
{
	uint8_t addr[16], len, family = parse(prefix, addr, &len);

	return fib_del(fib, family, addr, len, origin, metric);
}

static const struct fib_route *lookup(const char *text)
{
	uint8_t addr[16], len, family = parse(text, addr, &len);
	struct in6_addr a6;

	if (family == AF_INET)
		return fib_lookup4(fib, wire32_at(addr));
	memcpy(&a6, addr, 16);
	return fib_lookup6(fib, &a6);
}

/* The first next hop's interface, or minus the type of another route. */
static int way(const char *text)
{
	const struct fib_route *r = lookup(text);

	return r->type == FIB_UNICAST ? r->nexthops[0].iface : -(int)r->type;
}

START_TEST(fib_longest_prefix_of_both_families)
{
	ck_assert_int_eq(way("10.1.2.3"), -FIB_NO_ROUTE);
	ck_assert_int_eq(way("2001:db8::1"), -FIB_NO_ROUTE);
	ck_assert_int_eq(set("0.0.0.0/0", FIB_ORIGIN_KERNEL, 0, via(1, "192.0.2.1")), 0);
	ck_assert_int_eq(set("10.0.0.0/8", FIB_ORIGIN_KERNEL, 0, via(2, NULL)), 0);
	ck_assert_int_eq(set("10.1.2.0/24", FIB_ORIGIN_STATIC, 0, via(3, "fe80::1")), 0);
	ck_assert_int_eq(set("10.1.2.3/32", FIB_ORIGIN_ENGINE, 0, (struct fib_route){ .type = FIB_LOCAL }), 0);
	ck_assert_int_eq(set("10.9.0.0/16", FIB_ORIGIN_KERNEL, 0, (struct fib_route){ .type = FIB_BLACKHOLE }), 0);
	ck_assert_int_eq(set("2001:db8::/32", FIB_ORIGIN_KERNEL, 1024, via(4, "fe80::2")), 0);
	ck_assert_int_eq(way("8.8.8.8"), 1);
	ck_assert_int_eq(way("10.200.0.1"), 2);
	ck_assert_int_eq(way("10.1.2.4"), 3);
	ck_assert_int_eq(way("10.1.2.3"), -FIB_LOCAL);
	ck_assert_int_eq(way("10.9.1.1"), -FIB_BLACKHOLE);
	ck_assert_int_eq(way("2001:db8:ffff::1"), 4);
	ck_assert_int_eq(way("2001:db9::1"), -FIB_NO_ROUTE);
	ck_assert_uint_eq(fib_count(fib, AF_INET), 5);
	ck_assert_uint_eq(fib_count(fib, AF_INET6), 1);
	ck_assert_int_eq(del("10.1.2.0/24", FIB_ORIGIN_STATIC, 0), 0);
	ck_assert_int_eq(way("10.1.2.4"), 2);
	ck_assert_int_eq(way("10.1.2.3"), -FIB_LOCAL);
}
END_TEST

START_TEST(fib_keeps_what_was_given)
{
	struct fib_route r = via(7, "2001:db8::9");
	const struct fib_route *got;

	r.mtu = 1400;
	r.nexthops[0].weight = 9;
	ck_assert_int_eq(set("198.51.100.0/24", FIB_ORIGIN_STATIC, 77, r), 0);
	got = lookup("198.51.100.200");
	ck_assert_uint_eq(got->origin, FIB_ORIGIN_STATIC);
	ck_assert_uint_eq(got->metric, 77);
	ck_assert_uint_eq(got->mtu, 1400);
	ck_assert_uint_eq(got->n_nexthops, 1);
	ck_assert_uint_eq(got->nexthops[0].weight, 9);
	ck_assert_uint_eq(got->nexthops[0].gw_family, AF_INET6);
	ck_assert_mem_eq(got->nexthops[0].gw, r.nexthops[0].gw, 16);
}
END_TEST

START_TEST(fib_lowest_metric_wins_and_others_wait)
{
	ck_assert_int_eq(set("10.0.0.0/8", FIB_ORIGIN_KERNEL, 200, via(2, NULL)), 0);
	ck_assert_int_eq(set("10.0.0.0/8", FIB_ORIGIN_KERNEL, 100, via(1, NULL)), 0);
	ck_assert_int_eq(set("10.0.0.0/8", FIB_ORIGIN_KERNEL, UINT32_MAX, via(3, NULL)), 0);
	ck_assert_int_eq(set("10.0.0.0/8", FIB_ORIGIN_STATIC, 200, via(4, NULL)), 0);
	ck_assert_int_eq(way("10.0.0.1"), 1);
	ck_assert_uint_eq(fib_count(fib, AF_INET), 1);
	ck_assert_int_eq(del("10.0.0.0/8", FIB_ORIGIN_STATIC, 100), -ENOENT);	/* another origin's */
	ck_assert_int_eq(del("10.0.0.0/8", FIB_ORIGIN_KERNEL, 100), 0);
	ck_assert_int_eq(way("10.0.0.1"), 4);		/* equal metric: the lower origin */
	ck_assert_int_eq(del("10.0.0.0/8", FIB_ORIGIN_STATIC, 200), 0);
	ck_assert_int_eq(way("10.0.0.1"), 2);
	ck_assert_int_eq(set("10.0.0.0/8", FIB_ORIGIN_KERNEL, 200, via(5, NULL)), 0);	/* replaced, not added */
	ck_assert_int_eq(way("10.0.0.1"), 5);
	ck_assert_int_eq(del("10.0.0.0/8", FIB_ORIGIN_KERNEL, 200), 0);
	ck_assert_int_eq(del("10.0.0.0/8", FIB_ORIGIN_KERNEL, 200), -ENOENT);
	ck_assert_int_eq(way("10.0.0.1"), 3);
	ck_assert_int_eq(del("10.0.0.0/8", FIB_ORIGIN_KERNEL, UINT32_MAX), 0);
	ck_assert_int_eq(way("10.0.0.1"), -FIB_NO_ROUTE);
	ck_assert_uint_eq(fib_count(fib, AF_INET), 0);
}
END_TEST

static bool count_route(void *ctx, const struct fib_route *r)
{
	unsigned int *n = ctx;

	ck_assert_uint_eq(r->metric, ++*n);	/* best first */
	return *n < 5;
}

START_TEST(fib_bounds_the_routes_of_a_prefix)
{
	struct fib_route r = via(1, NULL);
	struct fault f = { "" };
	uint8_t addr[16], len, family = parse("10.0.0.0/8", addr, &len);
	unsigned int n = 0;

	for (uint32_t metric = FIB_PREFIX_ROUTES_MAX; metric > 0; metric--)
		ck_assert_int_eq(set("10.0.0.0/8", FIB_ORIGIN_KERNEL, metric, r), 0);
	ck_assert_int_eq(fib_set(fib, family, addr, len, FIB_ORIGIN_KERNEL, 99, &r, &f), -ENOSPC);
	ck_assert_str_ne(f.text, "");
	ck_assert_int_eq(set("10.0.0.0/8", FIB_ORIGIN_KERNEL, 1, via(2, NULL)), 0);	/* replaced */
	ck_assert_int_eq(way("10.0.0.1"), 2);
	fib_each_route(fib, family, addr, len, count_route, &n);
	ck_assert_uint_eq(n, 5);
}
END_TEST

static const struct {
	const char *name;
	uint8_t family, len;
	enum fib_origin origin;
	struct fib_route r;
} bad[] = {
	{ "family", 77, 8, FIB_ORIGIN_KERNEL, { .type = FIB_LOCAL } },
	{ "IPv4 /33", AF_INET, 33, FIB_ORIGIN_KERNEL, { .type = FIB_LOCAL } },
	{ "IPv6 /129", AF_INET6, 129, FIB_ORIGIN_KERNEL, { .type = FIB_LOCAL } },
	{ "origin", AF_INET, 8, FIB_ORIGINS, { .type = FIB_LOCAL } },
	{ "no type", AF_INET, 8, FIB_ORIGIN_KERNEL, { .type = FIB_NO_ROUTE } },
	{ "type", AF_INET, 8, FIB_ORIGIN_KERNEL, { .type = FIB_TYPES } },
	{ "no next hop", AF_INET, 8, FIB_ORIGIN_KERNEL, { .type = FIB_UNICAST } },
	{ "9 next hops", AF_INET, 8, FIB_ORIGIN_KERNEL, { .type = FIB_UNICAST, .n_nexthops = 9 } },
	{ "weight 0", AF_INET, 8, FIB_ORIGIN_KERNEL, { .type = FIB_UNICAST, .n_nexthops = 1 } },
	{ "gateway", AF_INET, 8, FIB_ORIGIN_KERNEL,
	  { .type = FIB_UNICAST, .n_nexthops = 1, .nexthops = { { .weight = 1, .gw_family = 3 } } } },
	{ "MTU 67", AF_INET, 8, FIB_ORIGIN_KERNEL, { .type = FIB_LOCAL, .mtu = 67 } },
};

START_TEST(fib_rejects)
{
	static const uint8_t addr[16];
	struct fault f = { "" };
	int ret = fib_set(fib, bad[_i].family, addr, bad[_i].len, bad[_i].origin, 0, &bad[_i].r, &f);

	ck_assert_msg(ret == -EINVAL, "%s", bad[_i].name);
	ck_assert_str_ne(f.text, "");
	ck_assert_uint_eq(fib_count(fib, AF_INET) + fib_count(fib, AF_INET6), 0);
}
END_TEST

START_TEST(fib_equal_routes_are_one_object)
{
	struct fib_route r;
	size_t bytes = 0;

	for (uint32_t i = 0; i < 60000; i++) {
		char prefix[32];

		snprintf(prefix, sizeof(prefix), "20.%u.%u.0/24", i >> 8, i & 255);
		ck_assert_int_eq(set(prefix, FIB_ORIGIN_KERNEL, 20, via((uint16_t)(i % 4), "192.0.2.1")), 0);
	}
	ck_assert_ptr_eq(lookup("20.0.0.1"), lookup("20.0.4.1"));
	ck_assert_ptr_ne(lookup("20.0.0.1"), lookup("20.0.1.1"));
	r = via(0, "192.0.2.1");
	memset(r.nexthops[0].gw + 4, 0x77, 12);		/* after an IPv4 gateway: not looked at */
	ck_assert_int_eq(set("20.0.8.0/24", FIB_ORIGIN_KERNEL, 20, r), 0);
	ck_assert_ptr_eq(lookup("20.0.0.1"), lookup("20.0.8.1"));
	bytes = fib_bytes(fib);
	ck_assert_uint_le(bytes, (2 << 20) + 60000 * 64);
	/* Another next hop for all: in place, and the groups of before are given back. */
	for (int round = 0; round < 3; round++) {
		for (uint32_t i = 0; i < 60000; i++) {
			char prefix[32];

			snprintf(prefix, sizeof(prefix), "20.%u.%u.0/24", i >> 8, i & 255);
			r = via((uint16_t)((uint32_t)round * 100 + i % 50), NULL);
			ck_assert_int_eq(set(prefix, FIB_ORIGIN_KERNEL, 20, r), 0);
		}
		epoch_reclaim(&epoch);
		ck_assert_int_eq(way("20.0.49.1"), round * 100 + 49);
	}
	ck_assert_uint_le(fib_bytes(fib), bytes + 100 * 300);
}
END_TEST

START_TEST(fib_groups_of_their_own_come_and_go)
{
	size_t bytes = 0;

	for (int round = 0; round < 4; round++) {
		for (uint32_t i = 0; i < 5000; i++) {
			char prefix[32];

			snprintf(prefix, sizeof(prefix), "2001:db8:%x::/48", i);
			ck_assert_int_eq(set(prefix, FIB_ORIGIN_KERNEL, i, via((uint16_t)i, NULL)), 0);
		}
		ck_assert_int_eq(way("2001:db8:1387::1"), 4999);
		bytes = bytes ? bytes : fib_bytes(fib);
		ck_assert_uint_le(fib_bytes(fib), bytes + 8192);	/* notes of what is retired */
		for (uint32_t i = 0; i < 5000; i++) {
			char prefix[32];

			snprintf(prefix, sizeof(prefix), "2001:db8:%x::/48", i);
			ck_assert_int_eq(del(prefix, FIB_ORIGIN_KERNEL, i), 0);
		}
		epoch_reclaim(&epoch);
		ck_assert_uint_eq(fib_count(fib, AF_INET6), 0);
	}
}
END_TEST

/* ---- Next hops --------------------------------------------------------------------------------------------------- */

START_TEST(fib_select_follows_weights)
{
	struct fib_route r = { .type = FIB_UNICAST, .n_nexthops = 3 };
	unsigned int n[3] = { 0 };
	const unsigned int flows = 1 << 20;

	r.nexthops[0].weight = 1;
	r.nexthops[1].weight = 2;
	r.nexthops[2].weight = 5;
	for (uint32_t i = 0; i < flows; i++)
		n[fib_select(&r, i * 2654435761u)]++;
	for (unsigned int i = 0; i < 3; i++)
		ck_assert_int_le(abs((int)(n[i] * 8) - (int)(flows * r.nexthops[i].weight)), (int)flows / 100);
	ck_assert_uint_eq(fib_select(&r, 0), 0);
	ck_assert_uint_eq(fib_select(&r, UINT32_MAX), 2);
	for (unsigned int i = 0; i < FIB_NEXTHOPS_MAX; i++)
		r.nexthops[i].weight = UINT16_MAX;
	r.n_nexthops = FIB_NEXTHOPS_MAX;
	ck_assert_uint_eq(fib_select(&r, UINT32_MAX), FIB_NEXTHOPS_MAX - 1);
	r.n_nexthops = 1;
	ck_assert_uint_eq(fib_select(&r, UINT32_MAX), 0);
}
END_TEST

START_TEST(fib_select_moves_at_most_half_of_the_flows)
{
	struct fib_route four = { .n_nexthops = 4 }, three = { .n_nexthops = 3 };
	unsigned int moved = 0;
	const unsigned int flows = 100000;

	for (unsigned int i = 0; i < 4; i++)
		four.nexthops[i].weight = three.nexthops[i].weight = 1;
	for (uint32_t i = 0; i < flows; i++) {
		uint32_t hash = i * 2654435761u;

		moved += fib_select(&four, hash) != fib_select(&three, hash);	/* the last one went */
	}
	ck_assert_uint_le(moved, flows / 2 + flows / 100);
}
END_TEST

/* ---- Resynchronisation ------------------------------------------------------------------------------------------- */

static void fill(unsigned int from, unsigned int to)
{
	for (unsigned int i = from; i < to; i++) {
		char prefix[32];

		snprintf(prefix, sizeof(prefix), "10.%u.%u.0/24", i >> 8, i & 255);
		ck_assert_int_eq(set(prefix, FIB_ORIGIN_KERNEL, 0, via(1, NULL)), 0);
	}
}

START_TEST(fib_resync_removes_what_was_not_told_again)
{
	fill(0, 3000);
	ck_assert_int_eq(set("10.0.1.0/24", FIB_ORIGIN_STATIC, 5, via(2, NULL)), 0);
	ck_assert_int_eq(set("11.0.0.0/8", FIB_ORIGIN_STATIC, 5, via(3, NULL)), 0);
	ck_assert_int_eq(set("2001:db8::/32", FIB_ORIGIN_KERNEL, 0, via(4, NULL)), 0);

	ck_assert_int_eq(fib_resync_begin(fib, AF_INET, FIB_ORIGIN_KERNEL), 0);
	fill(1000, 2000);
	ck_assert_int_eq(del("10.3.233.0/24", FIB_ORIGIN_KERNEL, 0), 0);	/* 1001 */
	fill(4000, 4001);
	ck_assert_int_eq(way("10.0.0.1"), 1);		/* nothing goes before the end */
	fib_resync_end(fib, AF_INET, FIB_ORIGIN_KERNEL, true);

	ck_assert_uint_eq(fib_count(fib, AF_INET), 999 + 1 + 2);
	ck_assert_int_eq(way("10.0.0.1"), -FIB_NO_ROUTE);
	ck_assert_int_eq(way("10.0.1.1"), 2);		/* the other origin's was below */
	ck_assert_int_eq(way("11.0.0.1"), 3);
	ck_assert_int_eq(way("10.3.232.1"), 1);
	ck_assert_int_eq(way("10.3.233.1"), -FIB_NO_ROUTE);
	ck_assert_int_eq(way("10.15.160.1"), 1);
	ck_assert_int_eq(way("2001:db8::1"), 4);	/* the other family's */
}
END_TEST

START_TEST(fib_resync_incomplete_keeps_all_until_one_is_complete)
{
	fill(0, 100);
	for (int round = 0; round < 3; round++) {
		ck_assert_int_eq(fib_resync_begin(fib, AF_INET, FIB_ORIGIN_KERNEL), 0);
		fill(0, 10u * (unsigned int)round);
		fib_resync_end(fib, AF_INET, FIB_ORIGIN_KERNEL, false);
		ck_assert_uint_eq(fib_count(fib, AF_INET), 100);
	}
	fill(100, 101);		/* a live change between two rounds */
	ck_assert_int_eq(fib_resync_begin(fib, AF_INET, FIB_ORIGIN_KERNEL), 0);
	fill(0, 5);
	fib_resync_end(fib, AF_INET, FIB_ORIGIN_KERNEL, true);
	ck_assert_uint_eq(fib_count(fib, AF_INET), 5);
}
END_TEST

/* ---- Walking ----------------------------------------------------------------------------------------------------- */

struct seen {
	unsigned int n, stop_after;
	char text[256];
};

static bool note(void *ctx, uint8_t family, const uint8_t *prefix, uint8_t len, const struct fib_route *r)
{
	struct seen *s = ctx;
	char addr[INET6_ADDRSTRLEN], item[80];

	snprintf(item, sizeof(item), "%s/%u dev %u ", inet_ntop(family, prefix, addr, sizeof(addr)), len,
		 r->nexthops[0].iface);
	strncat(s->text, item, sizeof(s->text) - strlen(s->text) - 1);
	return ++s->n != s->stop_after;
}

START_TEST(fib_each_is_in_order)
{
	struct seen all = { 0 }, two = { .stop_after = 2 };

	ck_assert_int_eq(set("2001:db8::/32", FIB_ORIGIN_KERNEL, 0, via(4, NULL)), 0);
	ck_assert_int_eq(set("10.1.0.0/16", FIB_ORIGIN_KERNEL, 0, via(2, NULL)), 0);
	ck_assert_int_eq(set("0.0.0.0/0", FIB_ORIGIN_KERNEL, 0, via(3, NULL)), 0);
	ck_assert_int_eq(set("10.0.0.0/8", FIB_ORIGIN_KERNEL, 9, via(9, NULL)), 0);
	ck_assert_int_eq(set("10.0.0.0/8", FIB_ORIGIN_KERNEL, 0, via(1, NULL)), 0);
	fib_each(fib, note, &all);
	ck_assert_str_eq(all.text, "0.0.0.0/0 dev 3 10.0.0.0/8 dev 1 10.1.0.0/16 dev 2 2001:db8::/32 dev 4 ");
	fib_each(fib, note, &two);
	ck_assert_str_eq(two.text, "0.0.0.0/0 dev 3 10.0.0.0/8 dev 1 ");
}
END_TEST

START_TEST(fib_match_tells_the_prefix)
{
	uint8_t addr[16], len;

	ck_assert_int_eq(set("10.1.0.0/16", FIB_ORIGIN_KERNEL, 0, via(2, NULL)), 0);
	ck_assert_int_eq(set("::/0", FIB_ORIGIN_KERNEL, 0, via(3, NULL)), 0);
	parse("10.1.2.3", addr, &len);
	ck_assert_uint_eq(fib_match(fib, AF_INET, addr, &len)->nexthops[0].iface, 2);
	ck_assert_uint_eq(len, 16);
	parse("10.2.2.3", addr, &len);
	ck_assert_uint_eq(fib_match(fib, AF_INET, addr, &len)->type, FIB_NO_ROUTE);
	ck_assert_uint_eq(len, 0);
	parse("2001:db8::1", addr, &len);
	ck_assert_uint_eq(fib_match(fib, AF_INET6, addr, &len)->nexthops[0].iface, 3);
	ck_assert_uint_eq(len, 0);
}
END_TEST

/* ---- Readers beside the writer ----------------------------------------------------------------------------------- */

static _Atomic bool running;
static _Atomic unsigned int next_reader;

/* Interface, metric and MTU of each route belong together, and go with the prefix. */
static void *read_on(void *arg)
{
	unsigned int me = atomic_fetch_add(&next_reader, 1);
	void *failed = NULL;
	uint32_t x = me;

	epoch_online(&epoch, me);
	while (!failed && atomic_load(&running)) {
		for (unsigned int i = 0; i < 32; i++) {
			uint32_t third = (x = x * 1664525u + 1013904223u) >> 28;
			const struct fib_route *r = fib_lookup4(fib, htobe32(0x0a000001 | third << 8));

			if (r->type != FIB_UNICAST || r->mtu != 1000 + r->metric || r->nexthops[0].iface != r->metric ||
			    (r->metric != 999 && r->metric >> 5 != third))
				failed = arg;
		}
		epoch_quiescent(&epoch, me);
	}
	epoch_offline(&epoch, me);
	return failed;
}

START_TEST(fib_readers_see_whole_routes_of_their_prefix)
{
	struct fib_route r = via(999, NULL);
	uint32_t x = 5;
	pthread_t t[2];
	void *failed;

	r.mtu = 1999;
	ck_assert_int_eq(set("10.0.0.0/8", FIB_ORIGIN_KERNEL, 999, r), 0);
	atomic_store(&running, true);
	for (unsigned int i = 0; i < 2; i++)
		ck_assert_int_eq(pthread_create(&t[i], NULL, read_on, fib), 0);
	for (unsigned int i = 0; i < 40000; i++) {
		uint32_t third = (x = x * 1664525u + 1013904223u) >> 28, metric = third << 5 | (x >> 10 & 31);
		uint8_t prefix[4];

		put_be32(prefix, 0x0a000000 | third << 8);
		r = via((uint16_t)metric, NULL);
		r.mtu = 1000 + metric;
		if (x >> 16 & 1)
			fib_del(fib, AF_INET, prefix, 24, FIB_ORIGIN_KERNEL, metric);
		else if (fib_set(fib, AF_INET, prefix, 24, FIB_ORIGIN_KERNEL, metric, &r, NULL))
			fib_del(fib, AF_INET, prefix, 24, FIB_ORIGIN_KERNEL, metric ^ 1);	/* at the bound */
		if (i % 64 == 0)
			epoch_reclaim(&epoch);
	}
	atomic_store(&running, false);
	for (unsigned int i = 0; i < 2; i++) {
		ck_assert_int_eq(pthread_join(t[i], &failed), 0);
		ck_assert_ptr_null(failed);
	}
}
END_TEST

int main(void)
{
	Suite *s = suite_create("fib");
	TCase *tc = tcase_create("fib");
	SRunner *r = srunner_create(s);
	int failed;

	tcase_set_timeout(tc, 120);
	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, fib_longest_prefix_of_both_families);
	tcase_add_test(tc, fib_keeps_what_was_given);
	tcase_add_test(tc, fib_lowest_metric_wins_and_others_wait);
	tcase_add_test(tc, fib_bounds_the_routes_of_a_prefix);
	tcase_add_loop_test(tc, fib_rejects, 0, (int)ARRAY_SIZE(bad));
	tcase_add_test(tc, fib_equal_routes_are_one_object);
	tcase_add_test(tc, fib_groups_of_their_own_come_and_go);
	tcase_add_test(tc, fib_select_follows_weights);
	tcase_add_test(tc, fib_select_moves_at_most_half_of_the_flows);
	tcase_add_test(tc, fib_resync_removes_what_was_not_told_again);
	tcase_add_test(tc, fib_resync_incomplete_keeps_all_until_one_is_complete);
	tcase_add_test(tc, fib_each_is_in_order);
	tcase_add_test(tc, fib_match_tells_the_prefix);
	tcase_add_test(tc, fib_readers_see_whole_routes_of_their_prefix);
	suite_add_tcase(s, tc);
	srunner_run_all(r, CK_ENV);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
