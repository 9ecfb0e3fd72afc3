/* SPDX-License-Identifier: MIT */
#include "common/lpm.h"

#include <check.h>
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/resource.h>

/* ---- The naive twin: a list that is searched from end to end ----------------------------------------------------- */

#define TWIN_MAX 600

struct route {
	uint8_t key[16];
	unsigned int plen;
	uint32_t value;
};

struct twin {
	unsigned int key_bits;
	size_t n;
	struct route r[TWIN_MAX];
};

static bool key_matches(const uint8_t *a, const uint8_t *b, unsigned int bits)
{
	unsigned int rest = bits % 8;

	if (memcmp(a, b, bits / 8))
		return false;
	return !rest || (a[bits / 8] ^ b[bits / 8]) >> (8 - rest) == 0;
}

static void key_mask(uint8_t *key, unsigned int bits, bool ones)
{
	for (unsigned int i = bits; i < 128; i++) {
		uint8_t bit = (uint8_t)(0x80 >> i % 8);

		key[i / 8] = (uint8_t)(ones ? key[i / 8] | bit : key[i / 8] & ~bit);
	}
}

static struct route *twin_find(struct twin *t, const uint8_t *key, unsigned int plen)
{
	for (size_t i = 0; i < t->n; i++) {
		if (t->r[i].plen == plen && key_matches(t->r[i].key, key, plen))
			return &t->r[i];
	}
	return NULL;
}

static uint32_t twin_lookup(const struct twin *t, const uint8_t *key, unsigned int *plen)
{
	const struct route *best = NULL;

	for (size_t i = 0; i < t->n; i++) {
		if ((!best || t->r[i].plen > best->plen) && key_matches(t->r[i].key, key, t->r[i].plen))
			best = &t->r[i];
	}
	*plen = best ? best->plen : 0;
	return best ? best->value : LPM_NONE;
}

static void check_lookup(const struct lpm *l, const struct twin *t, const uint8_t *key)
{
	unsigned int want_plen, plen = 0;
	uint32_t want = twin_lookup(t, key, &want_plen);

	ck_assert_uint_eq(t->key_bits == 32 ? lpm_lookup4(l, be32_at(key)) : lpm_lookup6(l, key), want);
	ck_assert_uint_eq(lpm_match(l, key, &plen), want);
	ck_assert_uint_eq(plen, want_plen);
}

/* Keys that share most of their bits, so that prefixes nest, touch and share nodes. */
static void random_key(uint8_t *key, unsigned int key_bits)
{
	unsigned int from = (unsigned int)random() % (key_bits / 8), n = 1 + (unsigned int)random() % 2;

	memset(key, 0x5a, key_bits / 8);
	memset(key + key_bits / 8, 0, 16 - key_bits / 8);
	for (unsigned int i = from; i < from + n && i < key_bits / 8; i++)
		key[i] = (uint8_t)random();
	if (random() % 16 == 0)
		memset(key, random() % 2 ? 0xff : 0, key_bits / 8);
}

static void check_around(const struct lpm *l, const struct twin *t, const uint8_t *key, unsigned int plen)
{
	uint8_t first[16], last[16];

	memcpy(first, key, 16);
	key_mask(first, plen, false);
	memcpy(last, key, 16);
	key_mask(last, plen, true);
	check_lookup(l, t, first);
	check_lookup(l, t, last);
	for (unsigned int i = t->key_bits / 8; i-- > 0 && first[i]-- == 0;)
		;
	for (unsigned int i = t->key_bits / 8; i-- > 0 && ++last[i] == 0;)
		;
	check_lookup(l, t, first);
	check_lookup(l, t, last);
}

struct order {
	struct twin *t;
	struct route last;
	size_t n;
};

static int check_order(void *ctx, const uint8_t *key, unsigned int plen, uint32_t value)
{
	struct order *o = ctx;
	const struct route *r = twin_find(o->t, key, plen);
	uint8_t masked[16] = { 0 };
	int cmp;

	ck_assert_ptr_nonnull(r);
	ck_assert_uint_eq(r->value, value);
	memcpy(masked, key, o->t->key_bits / 8);
	cmp = o->n ? memcmp(o->last.key, masked, 16) : -1;
	ck_assert(cmp < 0 || (cmp == 0 && o->last.plen < plen));
	memcpy(o->last.key, masked, 16);
	key_mask(masked, plen, false);
	ck_assert_mem_eq(masked, o->last.key, 16);	/* no bits after the prefix */
	o->last.plen = plen;
	o->n++;
	return 0;
}

static void check_all(const struct lpm *l, struct twin *t)
{
	struct order o = { .t = t };

	ck_assert_uint_eq(lpm_count(l), t->n);
	ck_assert_int_eq(lpm_walk(l, check_order, &o), 0);
	ck_assert_uint_eq(o.n, t->n);
	for (size_t i = 0; i < t->n; i++) {
		ck_assert_uint_eq(lpm_get(l, t->r[i].key, t->r[i].plen), t->r[i].value);
		check_around(l, t, t->r[i].key, t->r[i].plen);
	}
}

static void step(struct lpm *l, struct twin *t, bool growing)
{
	unsigned int plen = (unsigned int)random() % (t->key_bits + 1);
	uint8_t key[16];
	struct route *r;

	random_key(key, t->key_bits);
	if (random() % 20 == 0)
		plen = random() % 2 ? 0 : t->key_bits;
	if (t->n == TWIN_MAX || random() % 8 < (growing ? 2 : 6)) {
		if (t->n > 0 && random() % 8) {		/* mostly one that is there */
			r = &t->r[(size_t)random() % t->n];
			memcpy(key, r->key, 16);
			plen = r->plen;
		}
		r = twin_find(t, key, plen);
		ck_assert_int_eq(lpm_del(l, key, plen), r ? 0 : -ENOENT);
		if (r)
			*r = t->r[--t->n];
	} else {
		uint32_t value = (uint32_t)random() % (random() % 2 ? 3 : LPM_VALUE_MAX);

		ck_assert_int_eq(lpm_set(l, key, plen, value), 0);
		r = twin_find(t, key, plen);
		if (!r) {
			r = &t->r[t->n++];
			memcpy(r->key, key, 16);
			r->plen = plen;
		}
		r->value = value;
	}
	ck_assert_uint_eq(lpm_count(l), t->n);
	check_around(l, t, key, plen);
	random_key(key, t->key_bits);
	check_lookup(l, t, key);
}

static void model(unsigned int key_bits, struct epoch *e, unsigned int seed)
{
	struct twin *t = calloc(1, sizeof(*t));
	struct lpm *l;

	srandom(seed);
	t->key_bits = key_bits;
	ck_assert_int_eq(lpm_create(&l, key_bits, e, NULL), 0);
	for (int phase = 0; phase < 6; phase++) {
		for (int i = 0; i < 1500; i++) {
			step(l, t, phase % 2 == 0);
			if (i % 500 == 0)
				check_all(l, t);
			if (e && i % 16 == 0)
				epoch_quiescent(e, 0);
		}
	}
	check_all(l, t);
	while (t->n > 0) {
		t->n--;
		ck_assert_int_eq(lpm_del(l, t->r[t->n].key, t->r[t->n].plen), 0);
		check_around(l, t, t->r[t->n].key, t->r[t->n].plen);
	}
	check_all(l, t);
	lpm_destroy(l);
	free(t);
}

START_TEST(lpm4_does_what_its_naive_twin_does)
{
	model(32, NULL, 1 + (unsigned int)_i);
}
END_TEST

START_TEST(lpm6_does_what_its_naive_twin_does)
{
	model(128, NULL, 100 + (unsigned int)_i);
}
END_TEST

START_TEST(lpm_does_so_with_a_reader_that_lags)
{
	struct epoch e;

	ck_assert_int_eq(epoch_init(&e, 1, NULL), 0);
	epoch_online(&e, 0);
	model(32, &e, 200);
	model(128, &e, 201);
	epoch_offline(&e, 0);
	epoch_fini(&e);
}
END_TEST

/* ---- Edges ------------------------------------------------------------------------------------------------------ */

START_TEST(lpm_refuses_what_it_cannot_hold)
{
	static const uint8_t key[16];
	struct fault f = { "" };
	struct lpm *l;

	ck_assert_int_eq(lpm_create(&l, 64, NULL, &f), -EINVAL);
	ck_assert_str_ne(f.text, "");
	ck_assert_int_eq(lpm_create(&l, 32, NULL, &f), 0);
	ck_assert_int_eq(lpm_set(l, key, 33, 1), -EINVAL);
	ck_assert_int_eq(lpm_set(l, key, 32, LPM_NONE), -EINVAL);
	ck_assert_int_eq(lpm_set(l, key, 32, LPM_NODE_FLAG), -EINVAL);
	ck_assert_int_eq(lpm_del(l, key, 33), -EINVAL);
	ck_assert_int_eq(lpm_del(l, key, 32), -ENOENT);
	ck_assert_int_eq(lpm_del(l, key, 0), -ENOENT);
	ck_assert_uint_eq(lpm_get(l, key, 33), LPM_NONE);
	ck_assert_uint_eq(lpm_lookup4(l, 0), LPM_NONE);
	ck_assert_int_eq(lpm_set(l, key, 32, LPM_VALUE_MAX), 0);
	ck_assert_uint_eq(lpm_lookup4(l, 0), LPM_VALUE_MAX);
	ck_assert_uint_eq(lpm_lookup4(l, 1), LPM_NONE);
	lpm_destroy(l);
	lpm_destroy(NULL);
}
END_TEST

START_TEST(lpm_every_length_nests)
{
	unsigned int key_bits = _i ? 128 : 32;
	uint8_t key[16];
	struct lpm *l;

	memset(key, 0xa5, sizeof(key));
	ck_assert_int_eq(lpm_create(&l, key_bits, NULL, NULL), 0);
	for (unsigned int plen = 0; plen <= key_bits; plen++)
		ck_assert_int_eq(lpm_set(l, key, plen, plen), 0);
	for (unsigned int plen = 0; plen <= key_bits; plen++) {
		uint8_t at[16];

		memcpy(at, key, 16);
		if (plen < key_bits)	/* the first bit after the prefix is another */
			at[plen / 8] ^= (uint8_t)(0x80 >> plen % 8);
		ck_assert_uint_eq(key_bits == 32 ? lpm_lookup4(l, be32_at(at)) : lpm_lookup6(l, at), plen);
	}
	for (unsigned int plen = key_bits; plen > 0; plen--) {
		ck_assert_int_eq(lpm_del(l, key, plen), 0);
		ck_assert_uint_eq(key_bits == 32 ? lpm_lookup4(l, be32_at(key)) : lpm_lookup6(l, key), plen - 1);
	}
	lpm_destroy(l);
}
END_TEST

static int stop_at_third(void *ctx, const uint8_t *key, unsigned int plen, uint32_t value)
{
	(void)key;
	(void)plen;
	(void)value;
	return ++*(int *)ctx == 3 ? -ECANCELED : 0;
}

START_TEST(lpm_walk_can_be_ended)
{
	uint8_t key[4] = { 10 };
	struct lpm *l;
	int n = 0;

	ck_assert_int_eq(lpm_create(&l, 32, NULL, NULL), 0);
	for (unsigned int plen = 8; plen < 20; plen++)
		ck_assert_int_eq(lpm_set(l, key, plen, plen), 0);
	ck_assert_int_eq(lpm_walk(l, stop_at_third, &n), -ECANCELED);
	ck_assert_int_eq(n, 3);
	lpm_destroy(l);
}
END_TEST

/* Routes that come and go for ever must not eat memory. */
START_TEST(lpm_churn_does_not_grow)
{
	struct lpm *l;
	size_t bytes = 0;

	ck_assert_int_eq(lpm_create(&l, 32, NULL, NULL), 0);
	for (int round = 0; round < 20; round++) {
		uint8_t key[4];

		srandom(5);
		for (int i = 0; i < 20000; i++) {
			put_be32(key, (uint32_t)random() << 1);
			ck_assert_int_eq(lpm_set(l, key, 16 + (unsigned int)i % 17, (uint32_t)round), 0);
		}
		if (round == 1)
			bytes = lpm_bytes(l);
		srandom(5);
		for (int i = 0; i < 20000; i++) {
			put_be32(key, (uint32_t)random() << 1);
			lpm_del(l, key, 16 + (unsigned int)i % 17);	/* some were there twice */
		}
		ck_assert_uint_eq(lpm_count(l), 0);
	}
	ck_assert_uint_le(lpm_bytes(l), bytes + bytes / 10);
	lpm_destroy(l);
}
END_TEST

#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
/* The sanitizers' own memory is far above any limit that could be set here. */
START_TEST(lpm_without_memory_keeps_what_it_has)
{
	struct rlimit lim;
	uint32_t n, held;
	uint8_t key[16] = { 0 };
	struct lpm *l;
	int err = 0;

	ck_assert_int_eq(lpm_create(&l, 128, NULL, NULL), 0);
	ck_assert_int_eq(getrlimit(RLIMIT_DATA, &lim), 0);
	lim.rlim_cur = 16 << 20;	/* counts writable pages, the program's own few among them */
	ck_assert_int_eq(setrlimit(RLIMIT_DATA, &lim), 0);
	for (n = 0; n < 10000000; n++) {
		put_be32(key, n * 2654435761u);
		err = lpm_set(l, key, 32 + n % 97, n);
		if (err)
			break;
	}
	ck_assert_int_eq(err, -ENOMEM);
	ck_assert_uint_gt(n, 1000);
	ck_assert_uint_eq(lpm_count(l), n);
	held = n;
	while (n-- > 0) {
		put_be32(key, n * 2654435761u);
		ck_assert_uint_eq(lpm_lookup6(l, key), n);
		ck_assert_int_eq(lpm_del(l, key, 32 + n % 97), 0);
		ck_assert_uint_eq(lpm_lookup6(l, key), LPM_NONE);
	}
	ck_assert_uint_eq(lpm_count(l), 0);
	lim.rlim_cur = lim.rlim_max;
	ck_assert_int_eq(setrlimit(RLIMIT_DATA, &lim), 0);
	for (n = 0; n < held; n++) {
		put_be32(key, n * 2654435761u);
		ck_assert_int_eq(lpm_set(l, key, 32 + n % 97, n), 0);
	}
	while (n-- > 0) {
		put_be32(key, n * 2654435761u);
		ck_assert_uint_eq(lpm_lookup6(l, key), n);
	}
	lpm_destroy(l);
}
END_TEST
#endif

/* ---- Readers beside the writer ---------------------------------------------------------------------------------- */

/* The value tells which prefix it belongs to: what a reader finds must be a prefix of what it asked for. */
static uint32_t value_of(uint32_t addr, unsigned int plen)
{
	uint32_t prefix = plen ? addr >> (32 - plen) << (32 - plen) : 0;

	return plen << 24 | ((prefix * 2654435761u) >> 8);
}

/* TSan makes it hundred times slower, and sees a race whether it has an effect or not. */
#if defined(__SANITIZE_THREAD__)
#define CHASE_CHANGES 3000u
#else
#define CHASE_CHANGES 60000u
#endif

struct chase {
	struct epoch e;
	const struct lpm *l4, *l6;
	_Atomic bool running;
	_Atomic unsigned int next_reader;
};

static uint32_t chase_addr(uint64_t *state)
{
	*state = *state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
	/* Few addresses, close together and at the ends of nodes. */
	return 0x0a000000u | ((uint32_t)(*state >> 40) & 0x0003c03fu);
}

static void *chase_read(void *arg)
{
	struct chase *c = arg;
	unsigned int me = atomic_fetch_add(&c->next_reader, 1);
	uint8_t a6[16] = { 0 };
	uint64_t state = me;
	void *failed = NULL;

	epoch_online(&c->e, me);
	while (!failed && atomic_load(&c->running)) {
		for (unsigned int i = 0; i < 64; i++) {
			uint32_t addr = chase_addr(&state), v4, v6;

			v4 = lpm_lookup4(c->l4, addr);
			put_be32(a6 + 12, addr);
			v6 = lpm_lookup6(c->l6, a6);
			if (v4 != value_of(addr, v4 >> 24) || v6 != value_of(addr, v6 >> 24))
				failed = arg;
		}
		epoch_quiescent(&c->e, me);
	}
	epoch_offline(&c->e, me);
	return failed;
}

START_TEST(lpm_readers_see_only_prefixes_of_their_address)
{
	struct chase c = { .running = true };
	uint8_t key[16] = { 0 };
	struct lpm *l4, *l6;
	uint64_t state = 99;
	pthread_t t[2];
	void *failed;

	ck_assert_int_eq(epoch_init(&c.e, 2, NULL), 0);
	ck_assert_int_eq(lpm_create(&l4, 32, &c.e, NULL), 0);
	ck_assert_int_eq(lpm_create(&l6, 128, &c.e, NULL), 0);
	ck_assert_int_eq(lpm_set(l4, key, 0, value_of(0, 0)), 0);
	ck_assert_int_eq(lpm_set(l6, key, 0, value_of(0, 0)), 0);
	c.l4 = l4;
	c.l6 = l6;
	for (unsigned int i = 0; i < 2; i++)
		ck_assert_int_eq(pthread_create(&t[i], NULL, chase_read, &c), 0);
	for (unsigned int i = 0; i < CHASE_CHANGES; i++) {
		uint32_t addr = chase_addr(&state);
		unsigned int plen = 1 + (unsigned int)(state >> 59);
		int ret4, ret6;

		put_be32(key + 12, addr);
		if (state >> 33 & 1) {
			ret4 = lpm_del(l4, key + 12, plen);
			ret6 = lpm_del(l6, key, plen + 96);
			ck_assert_int_eq(ret4, ret6);
		} else {
			ck_assert_int_eq(lpm_set(l4, key + 12, plen, value_of(addr, plen)), 0);
			ck_assert_int_eq(lpm_set(l6, key, plen + 96, value_of(addr, plen)), 0);
		}
	}
	atomic_store(&c.running, false);
	for (unsigned int i = 0; i < 2; i++) {
		ck_assert_int_eq(pthread_join(t[i], &failed), 0);
		ck_assert_ptr_null(failed);
	}
	lpm_destroy(l4);
	lpm_destroy(l6);
	epoch_fini(&c.e);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("lpm");
	TCase *tc = tcase_create("lpm");
	SRunner *r = srunner_create(s);
	int failed;

	tcase_set_timeout(tc, 120);
	tcase_add_loop_test(tc, lpm4_does_what_its_naive_twin_does, 0, 4);
	tcase_add_loop_test(tc, lpm6_does_what_its_naive_twin_does, 0, 4);
	tcase_add_test(tc, lpm_does_so_with_a_reader_that_lags);
	tcase_add_test(tc, lpm_refuses_what_it_cannot_hold);
	tcase_add_loop_test(tc, lpm_every_length_nests, 0, 2);
	tcase_add_test(tc, lpm_walk_can_be_ended);
	tcase_add_test(tc, lpm_churn_does_not_grow);
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
	tcase_add_test(tc, lpm_without_memory_keeps_what_it_has);
#endif
	tcase_add_test(tc, lpm_readers_see_only_prefixes_of_their_address);
	suite_add_tcase(s, tc);
	srunner_run_all(r, CK_ENV);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
