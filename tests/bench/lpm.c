/* SPDX-License-Identifier: MIT */
/*
 * The routing table with a million IPv4 routes: what it weighs and what a lookup costs.
 *
 *   lpm                     load, print memory and times
 *   lpm --bytes             only the memory of a million IPv4 routes, one number
 *   lpm --lookups N         load, then N IPv4 lookups; with --v6, IPv6 in a table of 200,000 routes. Under
 *                           `valgrind --tool=callgrind --toggle-collect=lookups4` (or lookups6) the instructions
 *                           of the lookups alone are counted
 *   lpm --routes N          another number of routes
 *
 * The same seed at each run. Lengths are mixed as in the Internet's tables in 2024. Prefixes are spread evenly over the
 * unicast space, which real ones are not: neighbours that share a node make real tables smaller. Every prefix has
 * another value than its neighbours.
 */
#include "common/bytes.h"
#include "common/clock.h"
#include "common/lpm.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>

#define ROUTES4 1000000u
#define ROUTES6 200000u
#define ADDRS	65536u	/* looked up round and round */

static const struct mix {
	unsigned int plen, permille;
} mix4[] = {
	{ 24, 600 }, { 23, 100 }, { 22, 118 }, { 21, 54 }, { 20, 46 }, { 19, 27 }, { 18, 15 }, { 17, 9 }, { 16, 14 },
	{ 15, 3 }, { 14, 3 }, { 13, 2 }, { 12, 2 }, { 25, 2 }, { 28, 2 }, { 32, 3 },
}, mix6[] = {
	{ 48, 480 }, { 44, 90 }, { 40, 100 }, { 36, 60 }, { 32, 130 }, { 29, 40 }, { 46, 50 }, { 64, 50 },
};

struct rng {
	uint64_t state;
};

/* splitmix64 */
static uint64_t rng_next(struct rng *g)
{
	uint64_t z = g->state += UINT64_C(0x9e3779b97f4a7c15);

	z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
	return z ^ z >> 31;
}

static unsigned int pick(struct rng *g, const struct mix *mix, size_t n)
{
	unsigned int at = (unsigned int)(rng_next(g) % 1000);

	for (size_t i = 0; i < n; i++) {
		if (at < mix[i].permille)
			return mix[i].plen;
		at -= mix[i].permille;
	}
	return mix[0].plen;
}

static uint32_t addr4(struct rng *g)
{
	return 0x01000000 + (uint32_t)(rng_next(g) % 0xdf000000u);	/* 1.0.0.0 to 223.255.255.255 */
}

static void addr6(struct rng *g, uint8_t a[16])
{
	/* Global unicast in some 4,096 registry-sized blocks, as it is given out. */
	uint64_t block = rng_next(g) % 4096;

	put_be64(a, UINT64_C(0x2000000000000000) | block << 44 | rng_next(g) >> 20);
	put_be64(a + 8, rng_next(g));
}

static void load(struct lpm *l, unsigned int key_bits, uint32_t routes)
{
	struct rng g = { key_bits };
	uint8_t key[16];

	for (uint32_t i = 0; lpm_count(l) < routes; i++) {
		unsigned int plen;

		if (key_bits == 32) {
			plen = pick(&g, mix4, ARRAY_SIZE(mix4));
			put_be32(key, addr4(&g));
		} else {
			plen = pick(&g, mix6, ARRAY_SIZE(mix6));
			addr6(&g, key);
		}
		if (lpm_set(l, key, plen, i % LPM_VALUE_MAX)) {
			fprintf(stderr, "lpm: no memory after %zu routes\n", lpm_count(l));
			exit(1);
		}
	}
}

/* Not inlined, not cloned: the names that callgrind is told. */
__attribute__((noipa)) static uint32_t lookups4(const struct lpm *l, const uint32_t *addrs, uint64_t n)
{
	uint32_t x = 0;

	for (uint64_t i = 0; i < n; i++)
		x ^= lpm_lookup4(l, addrs[i % ADDRS]);
	return x;
}

__attribute__((noipa)) static uint32_t lookups6(const struct lpm *l, const uint8_t (*addrs)[16], uint64_t n)
{
	uint32_t x = 0;

	for (uint64_t i = 0; i < n; i++)
		x ^= lpm_lookup6(l, addrs[i % ADDRS]);
	return x;
}

/* Addresses within routes, so that lookups go as deep as routes do. */
struct inside {
	struct rng g;
	size_t every, seen, n;
	unsigned int key_bits;
	uint32_t *a4;
	uint8_t (*a6)[16];
};

static int take_inside(void *ctx, const uint8_t *key, unsigned int plen, uint32_t value)
{
	struct inside *in = ctx;

	(void)value;
	if (in->seen++ % in->every || in->n == ADDRS)
		return 0;
	if (in->key_bits == 32) {
		in->a4[in->n++] = be32_at(key) | (plen < 32 ? (uint32_t)rng_next(&in->g) >> plen : 0);
	} else {
		put_be64(in->a6[in->n], be64_at(key) | (plen < 64 ? rng_next(&in->g) >> plen : 0));
		put_be64(in->a6[in->n++] + 8, plen > 64 ? be64_at(key + 8) : rng_next(&in->g));
	}
	return 0;
}

static void addresses(const struct lpm *l, struct inside *in)
{
	in->g.state = 7;
	in->every = lpm_count(l) / ADDRS + 1;
	lpm_walk(l, take_inside, in);
	for (size_t i = in->n; i < ADDRS && in->n; i++) {
		if (in->key_bits == 32)
			in->a4[i] = in->a4[i % in->n];
		else
			memcpy(in->a6[i], in->a6[i % in->n], 16);
	}
	/* Out of order, or the caches would see a sweep. */
	for (size_t i = ADDRS - 1; i > 0; i--) {
		size_t j = rng_next(&in->g) % (i + 1);

		if (in->key_bits == 32) {
			uint32_t a = in->a4[i];

			in->a4[i] = in->a4[j];
			in->a4[j] = a;
		} else {
			uint8_t a[16];

			memcpy(a, in->a6[i], 16);
			memcpy(in->a6[i], in->a6[j], 16);
			memcpy(in->a6[j], a, 16);
		}
	}
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{ "bytes", no_argument, NULL, 'b' },   { "lookups", required_argument, NULL, 'l' },
		{ "routes", required_argument, NULL, 'r' }, { "v6", no_argument, NULL, '6' }, { NULL, 0, NULL, 0 },
	};
	struct inside in = { .key_bits = 32 };
	uint64_t lookups = 0, start_ns, load_ns;
	bool bytes_only = false;
	uint32_t routes = 0, x = 0;
	struct fault f;
	struct lpm *l;
	int c;

	while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
		if (c == 'b')
			bytes_only = true;
		else if (c == 'l')
			lookups = strtoull(optarg, NULL, 10);
		else if (c == 'r')
			routes = (uint32_t)strtoul(optarg, NULL, 10);
		else if (c == '6')
			in.key_bits = 128;
		else
			return 2;
	}
	if (!routes)
		routes = in.key_bits == 32 ? ROUTES4 : ROUTES6;
	if (lpm_create(&l, in.key_bits, NULL, &f)) {
		fprintf(stderr, "lpm: %s\n", f.text);
		return 1;
	}
	start_ns = clock_mono_ns();
	load(l, in.key_bits, routes);
	load_ns = clock_mono_ns() - start_ns;
	if (bytes_only) {
		printf("%zu\n", lpm_bytes(l));
		lpm_destroy(l);
		return 0;
	}
	printf("%zu routes of %u bits: %zu bytes, %.1f per route, loaded in %.2f s\n", lpm_count(l), in.key_bits,
	       lpm_bytes(l), (double)lpm_bytes(l) / (double)lpm_count(l), (double)load_ns / 1e9);
	in.a4 = calloc(ADDRS, sizeof(*in.a4));
	in.a6 = calloc(ADDRS, sizeof(*in.a6));
	if (!in.a4 || !in.a6)
		return 1;
	addresses(l, &in);
	if (!lookups)
		lookups = 20000000;
	start_ns = clock_mono_ns();
	x = in.key_bits == 32 ? lookups4(l, in.a4, lookups) : lookups6(l, (const uint8_t(*)[16])in.a6, lookups);
	printf("%llu lookups: %.1f ns each (%08x)\n", (unsigned long long)lookups,
	       (double)(clock_mono_ns() - start_ns) / (double)lookups, x);
	free(in.a4);
	free(in.a6);
	lpm_destroy(l);
	return 0;
}
