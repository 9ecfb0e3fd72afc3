// SPDX-License-Identifier: MIT
#include "user/packet/pkt.h"

#include "common/bytes.h"
#include "common/siphash.h"
#include "user/packet/wire.h"

#include <netinet/in.h>
#include <sys/socket.h>

/*
 * What both directions have in common is the unordered pair of ends: hash the smaller end first. An IPv4 end (address
 * and port) is 48 bits, so the flow is two words; IPv6 compares address and port as one number of 144 bits.
 */
static uint32_t hash_ip4(const uint8_t *ip, uint64_t sport, uint64_t dport, uint64_t proto,
			 const struct siphash_key *key)
{
	uint64_t src = (uint64_t)u32_at(ip + IP4_SRC) << 16 | sport;
	uint64_t dst = (uint64_t)u32_at(ip + IP4_DST) << 16 | dport;

	return (uint32_t)siphash13_2u64(min_u64(src, dst) | proto << 48, max_u64(src, dst), key);
}

static uint32_t hash_ip6(const uint8_t *ip, uint64_t sport, uint64_t dport, uint64_t proto,
			 const struct siphash_key *key)
{
	uint64_t s0 = u64_at(ip + IP6_SRC), s1 = u64_at(ip + IP6_SRC + 8);
	uint64_t d0 = u64_at(ip + IP6_DST), d1 = u64_at(ip + IP6_DST + 8);
	bool src_first = s0 != d0 ? s0 < d0 : s1 != d1 ? s1 < d1 : sport <= dport;

	if (src_first)
		return (uint32_t)siphash13_5u64(s0, s1, d0, d1, sport | dport << 16 | proto << 32, key);
	return (uint32_t)siphash13_5u64(d0, d1, s0, s1, dport | sport << 16 | proto << 32, key);
}

uint32_t pkt_flow_hash(struct pkt *p, const struct siphash_key *key)
{
	uint64_t sport = p->sport, dport = p->dport, proto = p->proto;

	if (p->flags & PKT_FLOW_HASH)
		return p->flow_hash;
	if (unlikely(p->flags & PKT_FRAG)) {
		sport = 0;
		dport = 0;
		/* A later IPv6 fragment may name an extension header where the first one has the transport. */
		if (p->family == AF_INET6)
			proto = IPPROTO_FRAGMENT;
	}
	if (p->family == AF_INET)
		p->flow_hash = hash_ip4(pkt_l3(p), sport, dport, proto, key);
	else if (p->family == AF_INET6)
		p->flow_hash = hash_ip6(pkt_l3(p), sport, dport, proto, key);
	else
		p->flow_hash = 0;
	p->flags |= PKT_FLOW_HASH;
	return p->flow_hash;
}
