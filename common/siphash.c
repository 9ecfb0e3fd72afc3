/* SPDX-License-Identifier: MIT */
#include "common/siphash.h"

#include <endian.h>
#include <string.h>
#include <sys/random.h>

int siphash_key_random(struct siphash_key *key, struct fault *f)
{
	/* Up to 256 bytes come whole and uninterrupted (getrandom(2)). */
	if (getrandom(key, sizeof(*key), 0) != (ssize_t)sizeof(*key))
		return fault_errno(f, "getrandom");
	return 0;
}

static inline uint64_t siphash(const void *buf, size_t len, const struct siphash_key *key, unsigned int c_rounds,
			       unsigned int d_rounds)
{
	struct siphash_state s = siphash_start(key);
	const uint8_t *p = buf;
	uint64_t last = (uint64_t)(len & 0xff) << 56, tail = 0;
	size_t left = len;

	for (;;) {
		uint64_t word;

		if (left >= 8) {
			memcpy(&word, p, 8);
			word = le64toh(word);
		} else {
			if (left)
				memcpy(&tail, p, left);
			word = last | le64toh(tail);
		}
		s.v3 ^= word;
		for (unsigned int i = 0; i < c_rounds; i++)
			siphash_round(&s);
		s.v0 ^= word;
		if (left < 8)
			break;
		p += 8;
		left -= 8;
	}
	s.v2 ^= 0xff;
	for (unsigned int i = 0; i < d_rounds; i++)
		siphash_round(&s);
	return s.v0 ^ s.v1 ^ s.v2 ^ s.v3;
}

uint64_t siphash24(const void *buf, size_t len, const struct siphash_key *key)
{
	return siphash(buf, len, key, 2, 4);
}

uint64_t siphash13(const void *buf, size_t len, const struct siphash_key *key)
{
	return siphash(buf, len, key, 1, 3);
}
