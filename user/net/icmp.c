/* SPDX-License-Identifier: MIT */
#include "user/net/icmp.h"

#include "common/csum.h"
#include "user/net/ipv4.h"
#include "user/net/ipv6.h"
#include "user/net/pkt_csum.h"

#include <netinet/in.h>
#include <sys/socket.h>

#define TTL_DEFAULT 64
#define TOS_CONTROL 0xc0		/* RFC 1812 4.3.2.5: precedence 6 */
#define TOS_KEEP 0x1c			/* and the TOS of the offending packet, but no ECN */

static const struct {
	uint8_t type4, code4, type6, code6;
} causes[ICMP_CAUSE_N] = {
	[ICMP_CAUSE_TTL] = { ICMP4_TIME_EXCEEDED, 0, ICMP6_TIME_EXCEEDED, 0 },
	[ICMP_CAUSE_REASSEMBLY] = { ICMP4_TIME_EXCEEDED, 1, ICMP6_TIME_EXCEEDED, 1 },
	[ICMP_CAUSE_NO_ROUTE] = { ICMP4_UNREACHABLE, 0, ICMP6_UNREACHABLE, 0 },
	[ICMP_CAUSE_NO_NEIGHBOUR] = { ICMP4_UNREACHABLE, 1, ICMP6_UNREACHABLE, 3 },
	[ICMP_CAUSE_PROTO] = { ICMP4_UNREACHABLE, 2, ICMP6_PARAM_PROBLEM, 1 },
	[ICMP_CAUSE_PORT] = { ICMP4_UNREACHABLE, 3, ICMP6_UNREACHABLE, 4 },
	[ICMP_CAUSE_PROHIBITED] = { ICMP4_UNREACHABLE, 13, ICMP6_UNREACHABLE, 1 },
	[ICMP_CAUSE_TOO_BIG] = { ICMP4_UNREACHABLE, 4, ICMP6_TOO_BIG, 0 },
	[ICMP_CAUSE_HEADER] = { ICMP4_PARAM_PROBLEM, 0, ICMP6_PARAM_PROBLEM, 0 },
	[ICMP_CAUSE_OPTION] = { ICMP4_PARAM_PROBLEM, 0, ICMP6_PARAM_PROBLEM, 2 },
};

/* Of the types that are known to be no errors. */
static bool icmp4_is_query(uint8_t type)
{
	return type == ICMP4_ECHO_REPLY || type == ICMP4_ECHO_REQUEST || type == ICMP4_ROUTER_ADVERT ||
	       type == ICMP4_ROUTER_SOLICIT || (type >= ICMP4_TIMESTAMP && type <= ICMP4_ADDRESS_MASK_REPLY) ||
	       type == ICMP4_EXT_ECHO_REQUEST || type == ICMP4_EXT_ECHO_REPLY;
}

static bool forbidden4(const struct pkt *p)
{
	const uint8_t *ip = pkt_l3(p);

	if (p->flags & (PKT_L2_GROUP | PKT_FRAG_LATER))
		return true;
	if (!ipv4_is_host(ip + IP4_SRC) || !ipv4_is_host(ip + IP4_DST))
		return true;
	if (p->proto != IPPROTO_ICMP)
		return false;
	return !(p->flags & PKT_L4) || !icmp4_is_query(pkt_l4(p)[0]);
}

static bool forbidden6(const struct pkt *p, enum icmp_cause cause)
{
	const uint8_t *ip = pkt_l3(p);
	uint8_t type;

	if (!ipv6_is_host(ip + IP6_SRC))
		return true;
	if ((p->flags & PKT_L2_GROUP) || ipv6_is_multicast(ip + IP6_DST)) {
		if (cause != ICMP_CAUSE_TOO_BIG && cause != ICMP_CAUSE_OPTION)
			return true;
	}
	if (p->proto != IPPROTO_ICMPV6)
		return false;
	if (!(p->flags & PKT_L4))
		return true;
	type = pkt_l4(p)[0];
	return type < ICMP6_INFORMATIONAL || type == ICMP6_REDIRECT;
}

bool icmp_error_forbidden(const struct pkt *p, enum icmp_cause cause)
{
	if (p->family == AF_INET)
		return forbidden4(p);
	if (p->family == AF_INET6)
		return forbidden6(p, cause);
	return true;
}

/* Complete a partial checksum in a quotation of @n bytes at @quote, when that is cheap and the field is quoted. */
static void complete_quoted(const struct area *a, const struct pkt *p, uint8_t *quote, uint32_t n)
{
	uint32_t field = (uint32_t)p->csum_start + p->csum_offset;

	if (p->csum != PKT_CSUM_PARTIAL || p->next != PKT_NONE || p->gso != PKT_GSO_NONE)
		return;
	if (p->csum_start < p->l3 || field + 2 > p->l3 + n || field + 2 > (uint32_t)p->off + p->len)
		return;
	put_wire16(quote + (field - p->l3), csum_fold_udp(pkt_sum(a, p, p->csum_start, p->total_bytes)));
}

static struct pkt *begin_error(struct area *a, const struct pkt *p, uint32_t hlen, uint32_t quote_max)
{
	uint32_t skip = (uint32_t)(p->l3 - p->off);
	uint32_t quoted = min_u32(pkt_l3_bytes(p), quote_max);
	struct pkt *e = area_alloc(a);
	uint8_t *quote;

	if (!e)
		return NULL;
	e->len = (uint16_t)(hlen + ICMP_HLEN_BYTES + quoted);
	e->total_bytes = e->len;
	e->l3 = e->off;
	e->l4 = (uint16_t)(e->off + hlen);
	e->payload = (uint16_t)(e->l4 + ICMP_HLEN_BYTES);
	e->family = p->family;
	e->ether_type = p->ether_type;
	e->flags = PKT_L4 | PKT_DF | PKT_LOCAL_OUT | (p->flags & PKT_TRACE);
	e->csum = PKT_CSUM_COMPLETE;
	e->port_in = p->port_in;
	e->iface_in = p->iface_in;
	e->rx_time_ns = p->rx_time_ns;
	quote = e->buf + e->payload;
	pkt_copy_out(a, p, skip, quote, quoted);
	complete_quoted(a, p, quote, quoted);
	return e;
}

static struct pkt *build4(struct area *a, const struct pkt *p, enum icmp_cause cause, uint32_t info,
			  const uint8_t *saddr)
{
	struct pkt *e = begin_error(a, p, IP4_HLEN_MIN, ICMP4_ERROR_BYTES_MAX - IP4_HLEN_MIN - ICMP_HLEN_BYTES);
	uint8_t *ip, *icmp;

	if (!e)
		return NULL;
	e->proto = IPPROTO_ICMP;
	ip = pkt_l3(e);
	memset(ip, 0, IP4_HLEN_MIN + ICMP_HLEN_BYTES);
	ip[0] = 0x45;
	ip[IP4_TOS] = (pkt_l3(p)[IP4_TOS] & TOS_KEEP) | TOS_CONTROL;
	put_be16(ip + IP4_TOTAL, e->len);
	/* Never in fragments; an ID of 0 is as good as any then (RFC 6864 4.1). */
	put_be16(ip + IP4_FRAG, IP4_FRAG_DF);
	ip[IP4_TTL] = TTL_DEFAULT;
	ip[IP4_PROTO] = IPPROTO_ICMP;
	memcpy(ip + IP4_SRC, saddr, 4);
	memcpy(ip + IP4_DST, pkt_l3(p) + IP4_SRC, 4);
	ipv4_set_csum(ip);
	icmp = pkt_l4(e);
	icmp[0] = causes[cause].type4;
	icmp[ICMP_CODE] = causes[cause].code4;
	if (cause == ICMP_CAUSE_TOO_BIG)
		put_be16(icmp + 6, (uint16_t)min_u32(info, UINT16_MAX));	/* RFC 1191 4 */
	else if (icmp[0] == ICMP4_PARAM_PROBLEM)
		icmp[4] = (uint8_t)info;
	put_wire16(icmp + ICMP_CSUM, csum_fold(csum_partial(icmp, (size_t)e->len - IP4_HLEN_MIN, 0)));
	return e;
}

static struct pkt *build6(struct area *a, const struct pkt *p, enum icmp_cause cause, uint32_t info,
			  const uint8_t *saddr)
{
	struct pkt *e = begin_error(a, p, IP6_HLEN, ICMP6_ERROR_BYTES_MAX - IP6_HLEN - ICMP_HLEN_BYTES);
	uint8_t *ip, *icmp;
	uint32_t bytes;

	if (!e)
		return NULL;
	e->proto = IPPROTO_ICMPV6;
	ip = pkt_l3(e);
	memset(ip, 0, IP6_HLEN + ICMP_HLEN_BYTES);
	ip[0] = 0x60 | TOS_CONTROL >> 4;
	bytes = (uint32_t)e->len - IP6_HLEN;
	put_be16(ip + IP6_PLEN, (uint16_t)bytes);
	ip[IP6_NEXT] = IPPROTO_ICMPV6;
	ip[IP6_HOPS] = TTL_DEFAULT;
	memcpy(ip + IP6_SRC, saddr, 16);
	memcpy(ip + IP6_DST, pkt_l3(p) + IP6_SRC, 16);
	icmp = pkt_l4(e);
	icmp[0] = causes[cause].type6;
	icmp[ICMP_CODE] = causes[cause].code6;
	if (icmp[0] == ICMP6_TOO_BIG || icmp[0] == ICMP6_PARAM_PROBLEM)
		put_be32(icmp + 4, info);
	put_wire16(icmp + ICMP_CSUM, csum_fold(csum_partial(icmp, bytes, pkt_pseudo_sum(e, bytes))));
	return e;
}

struct pkt *icmp_error_build(struct area *a, const struct pkt *p, enum icmp_cause cause, uint32_t info,
			     const uint8_t *saddr)
{
	if (p->family == AF_INET)
		return build4(a, p, cause, info, saddr);
	return build6(a, p, cause, info, saddr);
}

bool icmp_is_echo_request(const struct pkt *p)
{
	const uint8_t *icmp = pkt_l4(p);

	if ((p->flags & (PKT_L4 | PKT_FRAG)) != PKT_L4 || icmp[ICMP_CODE] != 0)
		return false;
	if (p->proto == IPPROTO_ICMP)
		return icmp[0] == ICMP4_ECHO_REQUEST;
	return p->proto == IPPROTO_ICMPV6 && icmp[0] == ICMP6_ECHO_REQUEST;
}

static void reply4(struct pkt *p, const uint8_t *saddr, uint8_t ttl)
{
	uint8_t *ip = pkt_l3(p), asked[4];

	memcpy(asked, ip + IP4_DST, 4);
	memcpy(ip + IP4_DST, ip + IP4_SRC, 4);
	memcpy(ip + IP4_SRC, saddr ? saddr : asked, 4);
	/* The sum does not change when two addresses change places. */
	if (saddr)
		put_wire16(ip + IP4_CSUM, csum_replace4(wire16_at(ip + IP4_CSUM), wire32_at(asked), wire32_at(saddr)));
	ipv4_set_ttl(ip, ttl);
}

static void reply6(struct pkt *p, const uint8_t *saddr, uint8_t hops)
{
	uint8_t *ip = pkt_l3(p), *icmp = pkt_l4(p), asked[16];

	memcpy(asked, ip + IP6_DST, 16);
	memcpy(ip + IP6_DST, ip + IP6_SRC, 16);
	memcpy(ip + IP6_SRC, saddr ? saddr : asked, 16);
	if (saddr)
		put_wire16(icmp + ICMP_CSUM, csum_replace16(wire16_at(icmp + ICMP_CSUM), asked, saddr));
	ip[IP6_HOPS] = hops;
}

void icmp_echo_reply(struct pkt *p, const uint8_t *saddr, uint8_t ttl)
{
	uint8_t *icmp = pkt_l4(p);
	__be16 from = wire16_at(icmp);

	icmp[0] = p->proto == IPPROTO_ICMP ? ICMP4_ECHO_REPLY : ICMP6_ECHO_REPLY;
	put_wire16(icmp + ICMP_CSUM, csum_replace2(wire16_at(icmp + ICMP_CSUM), from, wire16_at(icmp)));
	if (p->proto == IPPROTO_ICMP)
		reply4(p, saddr, ttl);
	else
		reply6(p, saddr, ttl);
	p->flags |= PKT_LOCAL_OUT;
}
