/* SPDX-License-Identifier: MIT */
#include "common/csum.h"

/* One's complement addition: the carry comes in again at the bottom. gcc makes "add; adc $0" of it. */
static inline uint64_t add64(uint64_t sum, uint64_t word)
{
	sum += word;
	return sum + (sum < word);
}

/*
 * 64-bit words are summed, eight bytes per addition, which is the same sum as that of 16-bit words: 2^16 and 2^64 are
 * both 1 modulo 2^16 - 1. Loads are unaligned: current CPUs charge nothing for that, and an aligning prologue costs
 * more than it saves on packets.
 */
static uint64_t sum64(const uint8_t *p, size_t len, uint64_t sum)
{
	uint64_t even = sum, odd = 0;

	for (; len >= 64; p += 64, len -= 64) {
		even = add64(even, u64_at(p));
		odd = add64(odd, u64_at(p + 8));
		even = add64(even, u64_at(p + 16));
		odd = add64(odd, u64_at(p + 24));
		even = add64(even, u64_at(p + 32));
		odd = add64(odd, u64_at(p + 40));
		even = add64(even, u64_at(p + 48));
		odd = add64(odd, u64_at(p + 56));
	}
	for (; len >= 8; p += 8, len -= 8)
		even = add64(even, u64_at(p));
	if (len) {
		uint64_t last = 0;

		memcpy(&last, p, len);
		odd = add64(odd, last);
	}
	return add64(even, odd);
}

uint32_t csum_partial(const void *buf, size_t len, uint32_t sum)
{
	uint64_t s = sum64(buf, len, sum);

	s = (s & 0xffffffff) + (s >> 32);
	s += s >> 32;
	return (uint32_t)s;
}
