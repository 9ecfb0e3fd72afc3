/* SPDX-License-Identifier: MIT */
/*
 * Everything that the forwarding path does to any packet: ICMP errors, echo, MSS clamping, checksums, fragments. Byte 0
 * selects cause and MTU, byte 1 the size of frames.
 */
#include "user/net/icmp.h"
#include "user/net/ipv4.h"
#include "user/net/ipv6.h"
#include "user/net/pkt_csum.h"
#include "user/net/tcp_mss.h"
#include "tests/fuzz/fuzz_area.h"

#include <sys/socket.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* An error of ours must be one that everybody else takes, and must not be answered itself. */
static void try_error(struct area *a, const struct pkt *p, enum icmp_cause cause)
{
	static const uint8_t saddr[16] = { 10, 0, 0, 1, [15] = 1 };
	struct pkt *e, again;

	if (icmp_error_forbidden(p, cause))
		return;
	e = icmp_error_build(a, p, cause, 1400, saddr);
	again = *e;
	must(pkt_parse_ip(&again) == DROP_NONE);
	must(again.total_bytes == e->total_bytes && again.l4 == e->l4 && again.proto == e->proto);
	again.csum = PKT_CSUM_NONE;
	must(pkt_csum_ok(a, &again));
	must(e->family == AF_INET6 || ipv4_csum_ok(pkt_l3(e)));
	must(icmp_error_forbidden(&again, cause));
	pkt_put(a, e);
}

static void try_fragments(struct area *a, struct pkt *p, uint32_t mtu)
{
	uint32_t payload = pkt_l3_bytes(p) - ipv4_hlen(pkt_l3(p)), sum = 0;
	struct ipv4_fragmenter f;
	struct pkt *q;

	if (ipv4_fragment_begin(&f, a, p, mtu) != DROP_NONE) {
		pkt_put(a, p);
		return;
	}
	while ((q = ipv4_fragment_next(&f, a)) != NULL) {
		struct pkt again = *q;

		must(pkt_parse_ip(&again) == DROP_NONE);
		must(again.total_bytes == q->total_bytes && again.total_bytes <= mtu && again.flags == q->flags);
		must(again.payload == q->payload && again.sport == q->sport);
		must(ipv4_csum_ok(pkt_l3(q)));
		sum += pkt_l3_bytes(q) - ipv4_hlen(pkt_l3(q));
		pkt_put(a, q);
	}
	must(f.done && sum == payload);
	ipv4_fragment_end(&f, a);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct area *a = fuzz_area();
	enum icmp_cause cause;
	struct pkt *p;
	uint32_t mtu;

	if (size < 2 || size > 9000)
		return 0;
	cause = data[0] % ICMP_CAUSE_N;
	mtu = IPV4_MTU_MIN + data[0] * 4u;
	p = fuzz_pkt(a, data + 2, (uint32_t)size - 2, 64 + data[1] * 7u);
	if (pkt_parse_eth(p) != DROP_NONE || p->family == 0) {
		pkt_put(a, p);
		fuzz_area_check(a);
		return 0;
	}
	pkt_trim(a, p, p->total_bytes);
	pkt_find_partial(p);
	if (p->family == AF_INET)
		ipv4_forward_check(pkt_l3(p));
	else
		ipv6_forward_check(pkt_l3(p));
	try_error(a, p, cause);
	pkt_csum_ok(a, p);
	tcp_clamp_mss(p, (uint16_t)mtu);
	if (icmp_is_echo_request(p) && pkt_csum_ok(a, p)) {
		icmp_echo_reply(p, NULL, 64);
		p->csum = PKT_CSUM_NONE;
		must(pkt_csum_ok(a, p));
	}
	if (p->family == AF_INET)
		try_fragments(a, p, mtu);
	else
		pkt_put(a, p);
	fuzz_area_check(a);
	return 0;
}
