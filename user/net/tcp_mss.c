/* SPDX-License-Identifier: MIT */
#include "user/net/tcp_mss.h"

#include "common/csum.h"
#include "user/packet/wire.h"

#include <netinet/in.h>
#include <sys/socket.h>

enum { TCP_OPT_END = 0, TCP_OPT_NOP = 1, TCP_OPT_MSS = 2, TCP_OPT_MSS_BYTES = 4 };

uint16_t tcp_mss_of_mtu(uint8_t family, uint32_t mtu_bytes)
{
	uint32_t hdrs = (family == AF_INET6 ? IP6_HLEN : IP4_HLEN_MIN) + TCP_HLEN_MIN;

	return mtu_bytes <= hdrs ? 0 : (uint16_t)min_u32(mtu_bytes - hdrs, UINT16_MAX);
}

/* The MSS option's value, or NULL. Options that are malformed end the search. */
static uint8_t *find_mss(uint8_t *at, const uint8_t *end)
{
	while (at < end && at[0] != TCP_OPT_END) {
		if (at[0] == TCP_OPT_NOP) {
			at++;
			continue;
		}
		if (end - at < 2 || at[1] < 2 || at[1] > end - at)
			return NULL;
		if (at[0] == TCP_OPT_MSS)
			return at[1] == TCP_OPT_MSS_BYTES ? at + 2 : NULL;
		at += at[1];
	}
	return NULL;
}

bool tcp_clamp_mss(struct pkt *p, uint16_t mss_max)
{
	uint8_t *tcp = pkt_l4(p), *mss;
	uint32_t from, to;

	if (likely(p->proto != IPPROTO_TCP || !(p->tcp_flags & TCP_SYN) || !(p->flags & PKT_L4)))
		return false;
	mss = find_mss(tcp + TCP_HLEN_MIN, p->buf + p->payload);
	if (!mss || be16_at(mss) <= mss_max)
		return false;
	from = wire16_at(mss);
	put_be16(mss, mss_max);
	to = wire16_at(mss);
	if (p->csum == PKT_CSUM_PARTIAL)
		return true;
	/* Behind an odd number of NOPs the value lies across two words. */
	from = csum_add_at(0, from, (size_t)(mss - tcp));
	to = csum_add_at(0, to, (size_t)(mss - tcp));
	put_wire16(tcp + TCP_CSUM, csum_replace(wire16_at(tcp + TCP_CSUM), from, to));
	return true;
}
