/* SPDX-License-Identifier: MIT */
/*
 * The Internet checksum (RFC 1071) and its incremental update (RFC 1624).
 *
 * A "sum" is a uint32_t that holds a one's complement sum of 16-bit words as they lie in memory, neither folded nor
 * complemented. The order of bytes does not matter to such sums (RFC 1071 1.2.B), so nothing here swaps, and what
 * csum_fold() returns is stored in the packet as it is. Sums of adjacent pieces are added with csum_add(), or with
 * csum_add_at() where the second piece starts at an odd offset.
 */
#ifndef COMMON_CSUM_H
#define COMMON_CSUM_H

#include "common/bytes.h"

#include <linux/types.h>
#include <stddef.h>
#include <stdint.h>

/**
 * csum_partial() - Add bytes to a sum.
 * @buf: any alignment
 * @len: bytes; an odd last byte counts as if a zero byte followed
 * @sum: where to start: 0, a pseudo-header sum, or the sum of an even number of bytes before @buf
 */
uint32_t csum_partial(const void *buf, size_t len, uint32_t sum);

/** csum_add() - Sum of two sums */
static inline uint32_t csum_add(uint32_t a, uint32_t b)
{
	a += b;
	return a + (a < b);
}

/** csum_sub() - Take @b out of @a again */
static inline uint32_t csum_sub(uint32_t a, uint32_t b)
{
	return csum_add(a, ~b);
}

/** csum_add_at() - Add the sum of a piece that starts @offset bytes after the start of what @sum covers */
static inline uint32_t csum_add_at(uint32_t sum, uint32_t piece, size_t offset)
{
	/* At an odd offset each byte of the piece lies in the other half of its word (RFC 1071 1.2.B). */
	if (offset & 1)
		piece = piece << 8 | piece >> 24;
	return csum_add(sum, piece);
}

/** csum_fold16() - Sum in 16 bits, not complemented: what a partial checksum's field holds */
static inline uint16_t csum_fold16(uint32_t sum)
{
	sum = (sum & 0xffff) + (sum >> 16);
	sum += sum >> 16;
	return (uint16_t)sum;
}

/** csum_fold() - The checksum to store, or 0 when the summed bytes held a correct one */
static inline __sum16 csum_fold(uint32_t sum)
{
	return (__sum16)~csum_fold16(sum);
}

/**
 * csum_is_zero() - Would this sum of 16-, 32- or 64-bit words fold to 0xffff, which is zero in one's complement?
 *
 * Folding adds the 16-bit digits of a number, which keeps its remainder modulo 0xffff: so a sum need not be folded to
 * be compared, and a remainder by a constant costs a multiplication. @sum: plain sum in 64 bits, not 0, no carry lost
 */
static inline bool csum_is_zero(uint64_t sum)
{
	return sum % 0xffff == 0;
}

/** csum_fold_udp() - The same for UDP, where 0 means "no checksum" and 0xffff is sent in its place (RFC 768) */
static inline __sum16 csum_fold_udp(uint32_t sum)
{
	__sum16 check = csum_fold(sum);

	return check ? check : (__sum16)0xffff;
}

/* A plain 64-bit sum of 32-bit words as a sum: its carries wrapped round. */
static inline uint32_t csum_from64(uint64_t sum)
{
	sum = (sum & 0xffffffff) + (sum >> 32);
	sum += sum >> 32;
	return (uint32_t)sum;
}

/**
 * csum_ipv4_header64() - Plain sum of an IPv4 header, inline because every packet has one.
 * @hdr:   any alignment
 * @words: header length in 32-bit words (IHL), 5 to 15
 */
static inline uint64_t csum_ipv4_header64(const void *hdr, unsigned int words)
{
	const uint8_t *p = hdr;
	uint64_t sum = (uint64_t)u32_at(p) + u32_at(p + 4) + u32_at(p + 8) + u32_at(p + 12) + u32_at(p + 16);

	for (size_t i = 5; i < words; i++)
		sum += u32_at(p + i * 4);
	return sum;
}

/** csum_ipv4_header() - The same as a sum */
static inline uint32_t csum_ipv4_header(const void *hdr, unsigned int words)
{
	return csum_from64(csum_ipv4_header64(hdr, words));
}

/**
 * csum_ipv4_pseudo64() - Plain sum of the pseudo-header (RFC 793 3.1)
 * @len: of header and payload above IP, in bytes
 */
static inline uint64_t csum_ipv4_pseudo64(__be32 saddr, __be32 daddr, uint32_t len, uint8_t proto)
{
	return (uint64_t)saddr + daddr + htobe32(len) + htobe32(proto);
}

/** csum_ipv4_pseudo() - The same as a sum */
static inline uint32_t csum_ipv4_pseudo(__be32 saddr, __be32 daddr, uint32_t len, uint8_t proto)
{
	return csum_from64(csum_ipv4_pseudo64(saddr, daddr, len, proto));
}

/** csum_ipv6_pseudo64() - Plain sum of the pseudo-header (RFC 8200 8.1); addresses of 16 bytes at any alignment */
static inline uint64_t csum_ipv6_pseudo64(const void *saddr, const void *daddr, uint32_t len, uint8_t proto)
{
	const uint8_t *s = saddr, *d = daddr;
	uint64_t sum = (uint64_t)htobe32(len) + htobe32(proto);

	for (unsigned int i = 0; i < 16; i += 4)
		sum += (uint64_t)u32_at(s + i) + u32_at(d + i);
	return sum;
}

/** csum_ipv6_pseudo() - The same as a sum */
static inline uint32_t csum_ipv6_pseudo(const void *saddr, const void *daddr, uint32_t len, uint8_t proto)
{
	return csum_from64(csum_ipv6_pseudo64(saddr, daddr, len, proto));
}

/*
 * Incremental update, RFC 1624 equation 3: HC' = ~(~HC + ~m + m'). (Equation 4, and equation 2 of RFC 1141, can turn
 * a valid checksum into 0xffff where a full computation gives 0.)
 *
 * The first kind edits a complete checksum. The second, csum_partial_replace*(), edits the field of a partial one:
 * that holds the pseudo-header's sum without complement, so only what changes in the pseudo-header (addresses) may
 * be given to it; ports are summed later with the rest of the packet.
 */

/** csum_replace() - Make a complete checksum follow a change whose old and new bytes have these sums */
static inline __sum16 csum_replace(__sum16 check, uint32_t from, uint32_t to)
{
	return csum_fold(csum_add(csum_sub((uint16_t)~check, from), to));
}

/** csum_replace2() - A 16-bit field at an even offset changed */
static inline __sum16 csum_replace2(__sum16 check, __be16 from, __be16 to)
{
	/* At most 3 * 0xffff: no 32-bit carry to take care of. */
	return csum_fold((uint32_t)(uint16_t)~check + (uint16_t)~from + to);
}

/** csum_replace4() - A 32-bit field at an even offset changed */
static inline __sum16 csum_replace4(__sum16 check, __be32 from, __be32 to)
{
	return csum_replace(check, from, to);
}

/** csum_replace16() - 16 bytes at an even offset changed: an IPv6 address */
static inline __sum16 csum_replace16(__sum16 check, const void *from, const void *to)
{
	return csum_replace(check, csum_partial(from, 16, 0), csum_partial(to, 16, 0));
}

/** csum_partial_replace() - csum_replace() for a partial checksum's field */
static inline __sum16 csum_partial_replace(__sum16 field, uint32_t from, uint32_t to)
{
	return (__sum16)csum_fold16(csum_add(csum_sub(field, from), to));
}

/** csum_partial_replace4() - An IPv4 address of a packet with a partial checksum changed */
static inline __sum16 csum_partial_replace4(__sum16 field, __be32 from, __be32 to)
{
	return csum_partial_replace(field, from, to);
}

/** csum_partial_replace16() - An IPv6 address of a packet with a partial checksum changed */
static inline __sum16 csum_partial_replace16(__sum16 field, const void *from, const void *to)
{
	return csum_partial_replace(field, csum_partial(from, 16, 0), csum_partial(to, 16, 0));
}

#endif
