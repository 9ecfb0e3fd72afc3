/* SPDX-License-Identifier: MIT */
/*
 * SipHash (Aumasson and Bernstein, "SipHash: a fast short-input PRF", 2012): keyed, so that nobody who does not know
 * the key can choose flows that collide.
 *
 * SipHash-2-4 is the paper's proposal. SipHash-1-3 has half the rounds per word and is what hash tables use, where an
 * attacker sees no hash values. The u64 variants hash whole words with no loop: for flow tuples packed into words;
 * their result is that of the general function over the same words in little-endian bytes.
 */
#ifndef COMMON_SIPHASH_H
#define COMMON_SIPHASH_H

#include "common/fault.h"

#include <stddef.h>
#include <stdint.h>

struct siphash_key {
	uint64_t k0, k1;
};

/** siphash_key_random() - Fill a key from the kernel's random generator. Return: 0 or -errno */
int siphash_key_random(struct siphash_key *key, struct fault *f);

/** siphash24() - SipHash-2-4 of @len bytes at any alignment */
uint64_t siphash24(const void *buf, size_t len, const struct siphash_key *key);

/** siphash13() - SipHash-1-3 of @len bytes at any alignment */
uint64_t siphash13(const void *buf, size_t len, const struct siphash_key *key);

struct siphash_state {
	uint64_t v0, v1, v2, v3;
};

static inline uint64_t siphash_rotl(uint64_t x, unsigned int bits)
{
	return x << bits | x >> (64 - bits);
}

static inline void siphash_round(struct siphash_state *s)
{
	s->v0 += s->v1;
	s->v2 += s->v3;
	s->v1 = siphash_rotl(s->v1, 13);
	s->v3 = siphash_rotl(s->v3, 16);
	s->v1 ^= s->v0;
	s->v3 ^= s->v2;
	s->v0 = siphash_rotl(s->v0, 32);
	s->v2 += s->v1;
	s->v0 += s->v3;
	s->v1 = siphash_rotl(s->v1, 17);
	s->v3 = siphash_rotl(s->v3, 21);
	s->v1 ^= s->v2;
	s->v3 ^= s->v0;
	s->v2 = siphash_rotl(s->v2, 32);
}

static inline struct siphash_state siphash_start(const struct siphash_key *key)
{
	/* "somepseudorandomlygeneratedbytes" */
	return (struct siphash_state){
		.v0 = key->k0 ^ UINT64_C(0x736f6d6570736575),
		.v1 = key->k1 ^ UINT64_C(0x646f72616e646f6d),
		.v2 = key->k0 ^ UINT64_C(0x6c7967656e657261),
		.v3 = key->k1 ^ UINT64_C(0x7465646279746573),
	};
}

static inline void siphash13_word(struct siphash_state *s, uint64_t word)
{
	s->v3 ^= word;
	siphash_round(s);
	s->v0 ^= word;
}

static inline uint64_t siphash13_finish(struct siphash_state *s, uint64_t last)
{
	siphash13_word(s, last);
	s->v2 ^= 0xff;
	siphash_round(s);
	siphash_round(s);
	siphash_round(s);
	return s->v0 ^ s->v1 ^ s->v2 ^ s->v3;
}

/** siphash13_2u64() - SipHash-1-3 of 16 bytes: an IPv4 flow (two addresses; two ports and the protocol) */
static inline uint64_t siphash13_2u64(uint64_t a, uint64_t b, const struct siphash_key *key)
{
	struct siphash_state s = siphash_start(key);

	siphash13_word(&s, a);
	siphash13_word(&s, b);
	return siphash13_finish(&s, UINT64_C(16) << 56);
}

/** siphash13_5u64() - SipHash-1-3 of 40 bytes: an IPv6 flow (two addresses; two ports and the protocol) */
static inline uint64_t siphash13_5u64(uint64_t a, uint64_t b, uint64_t c, uint64_t d, uint64_t e,
				      const struct siphash_key *key)
{
	struct siphash_state s = siphash_start(key);

	siphash13_word(&s, a);
	siphash13_word(&s, b);
	siphash13_word(&s, c);
	siphash13_word(&s, d);
	siphash13_word(&s, e);
	return siphash13_finish(&s, UINT64_C(40) << 56);
}

/**
 * siphash13_12() - SipHash-1-3 of 12 bytes: an IPv4 flow without protocol.
 * @a: the first 8 bytes: two addresses
 * @b: the other 4: two ports
 */
static inline uint64_t siphash13_12(uint64_t a, uint32_t b, const struct siphash_key *key)
{
	struct siphash_state s = siphash_start(key);

	siphash13_word(&s, a);
	return siphash13_finish(&s, UINT64_C(12) << 56 | b);
}

/** siphash13_36() - SipHash-1-3 of 36 bytes: an IPv6 flow without protocol (two addresses; two ports) */
static inline uint64_t siphash13_36(uint64_t a, uint64_t b, uint64_t c, uint64_t d, uint32_t e,
				    const struct siphash_key *key)
{
	struct siphash_state s = siphash_start(key);

	siphash13_word(&s, a);
	siphash13_word(&s, b);
	siphash13_word(&s, c);
	siphash13_word(&s, d);
	return siphash13_finish(&s, UINT64_C(36) << 56 | e);
}

#endif
