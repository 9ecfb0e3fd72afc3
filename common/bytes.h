/* SPDX-License-Identifier: MIT */
/* Bytes and bits: unaligned loads and stores in network order, and the few macros that every layer uses. */
#ifndef COMMON_BYTES_H
#define COMMON_BYTES_H

#include <endian.h>
#include <linux/types.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define CACHE_LINE_BYTES 64

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))
#define likely(x)     __builtin_expect(!!(x), 1)
#define unlikely(x)   __builtin_expect(!!(x), 0)
/* A function beside the common path: inlined, it would take registers from the loop that calls it. */
#define aside	      __attribute__((noinline))

/** container_of() - The struct of type @type whose member @member is at @ptr */
#define container_of(ptr, type, member) ((type *)((uintptr_t)(ptr) - offsetof(type, member)))

/*
 * X_at() loads and put_X() stores at any alignment. be16, be24, be32 and be64 convert between network order in memory
 * and a number in host order; wire16 and wire32 move a __be16 or __be32 as it is.
 */
static inline uint16_t be16_at(const void *p)
{
	uint16_t v;

	memcpy(&v, p, sizeof(v));
	return be16toh(v);
}

static inline uint32_t be24_at(const void *p)
{
	const uint8_t *b = p;

	return (uint32_t)b[0] << 16 | (uint32_t)b[1] << 8 | b[2];
}

static inline uint32_t be32_at(const void *p)
{
	uint32_t v;

	memcpy(&v, p, sizeof(v));
	return be32toh(v);
}

static inline uint64_t be64_at(const void *p)
{
	uint64_t v;

	memcpy(&v, p, sizeof(v));
	return be64toh(v);
}

static inline __be16 wire16_at(const void *p)
{
	__be16 v;

	memcpy(&v, p, sizeof(v));
	return v;
}

static inline __be32 wire32_at(const void *p)
{
	__be32 v;

	memcpy(&v, p, sizeof(v));
	return v;
}

static inline void put_be16(void *p, uint16_t v)
{
	v = htobe16(v);
	memcpy(p, &v, sizeof(v));
}

static inline void put_be24(void *p, uint32_t v)
{
	uint8_t *b = p;

	b[0] = (uint8_t)(v >> 16);
	b[1] = (uint8_t)(v >> 8);
	b[2] = (uint8_t)v;
}

static inline void put_be32(void *p, uint32_t v)
{
	v = htobe32(v);
	memcpy(p, &v, sizeof(v));
}

static inline void put_be64(void *p, uint64_t v)
{
	v = htobe64(v);
	memcpy(p, &v, sizeof(v));
}

static inline void put_wire16(void *p, __be16 v)
{
	memcpy(p, &v, sizeof(v));
}

static inline void put_wire32(void *p, __be32 v)
{
	memcpy(p, &v, sizeof(v));
}

/* Native order at any alignment: for hashing and comparing, where the order of bytes does not matter. */
static inline uint32_t u32_at(const void *p)
{
	uint32_t v;

	memcpy(&v, p, sizeof(v));
	return v;
}

static inline uint64_t u64_at(const void *p)
{
	uint64_t v;

	memcpy(&v, p, sizeof(v));
	return v;
}

static inline uint32_t min_u32(uint32_t a, uint32_t b)
{
	return a < b ? a : b;
}

static inline uint32_t max_u32(uint32_t a, uint32_t b)
{
	return a > b ? a : b;
}

static inline uint64_t min_u64(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

static inline uint64_t max_u64(uint64_t a, uint64_t b)
{
	return a > b ? a : b;
}

static inline size_t min_size(size_t a, size_t b)
{
	return a < b ? a : b;
}

static inline size_t max_size(size_t a, size_t b)
{
	return a > b ? a : b;
}

static inline bool is_pow2(uint64_t v)
{
	return v != 0 && (v & (v - 1)) == 0;
}

/** round_up_pow2() - The smallest power of two that is at least @v; 1 for 0, @v at most 2^31 */
static inline uint32_t round_up_pow2(uint32_t v)
{
	return v <= 1 ? 1 : 1u << (32 - __builtin_clz(v - 1));
}

/** align_up() - @v rounded up to a multiple of @align, a power of two */
static inline size_t align_up(size_t v, size_t align)
{
	return (v + align - 1) & ~(align - 1);
}

#endif
