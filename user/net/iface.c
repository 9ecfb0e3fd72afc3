/* SPDX-License-Identifier: MIT */
#include "user/net/iface.h"

#include "user/net/ipv6.h"

bool iface_has_addr(const struct iface *iface, uint8_t family, const uint8_t *addr)
{
	for (unsigned int i = 0; i < iface->n_addrs; i++) {
		const struct iface_addr *a = &iface->addrs[i];

		if (a->family == family && a->state == IFACE_ADDR_PREFERRED &&
		    memcmp(a->addr, addr, iface_addr_bytes(family)) == 0)
			return true;
	}
	return false;
}

static unsigned int common_bits(const uint8_t *a, const uint8_t *b, size_t bytes)
{
	for (size_t i = 0; i < bytes; i++)
		if (a[i] != b[i])
			return (unsigned int)(i * 8) + (unsigned int)__builtin_clz((unsigned int)(a[i] ^ b[i])) - 24;
	return (unsigned int)bytes * 8;
}

const struct iface_addr *iface_source_for(const struct iface *iface, uint8_t family, const uint8_t *dst)
{
	const struct iface_addr *best = NULL;
	unsigned int best_score = 0;

	for (unsigned int i = 0; i < iface->n_addrs; i++) {
		const struct iface_addr *a = &iface->addrs[i];
		unsigned int score;

		if (a->family != family || a->state != IFACE_ADDR_PREFERRED)
			continue;
		score = 1 + common_bits(a->addr, dst, iface_addr_bytes(family));
		if (family == AF_INET6 && ipv6_is_link_local(a->addr) == ipv6_is_link_local(dst))
			score += 256;
		if (!best || score > best_score) {
			best = a;
			best_score = score;
		}
	}
	return best;
}
