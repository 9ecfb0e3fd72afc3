/* SPDX-License-Identifier: MIT */
#include "user/net/ipv6.h"

enum drop ipv6_addr_drop(const uint8_t *ip)
{
	const uint8_t *src = ip + IP6_SRC, *dst = ip + IP6_DST;

	if (!ipv6_is_host(src))
		return DROP_martian_source;
	if (ipv6_is_multicast(dst))
		return DROP_multicast;
	if (!ipv6_is_host(dst))
		return DROP_martian_destination;
	if (ipv6_is_link_local(src) || ipv6_is_link_local(dst))
		return DROP_link_scope;
	return DROP_NONE;
}
