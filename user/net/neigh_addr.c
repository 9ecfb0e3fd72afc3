/* SPDX-License-Identifier: MIT */
/*
 * Addresses of ours: checked for duplicates, announced, defended.
 *
 * IPv4, RFC 5227: wait up to 1 s, 3 probes 1 to 2 s apart, wait 2 s, then 2 announcements 2 s apart; any ARP packet
 * from the address, or a foreign probe for it, ends that. IPv6, RFC 4862 5.4: wait up to 1 s, 1 solicitation from ::,
 * wait 1 s, then one unsolicited advertisement, so that neighbours with an old entry learn the new place at once.
 */
#include "user/net/arp.h"
#include "user/net/ipv6.h"
#include "user/net/nd.h"
#include "user/net/neigh_table.h"

#include <errno.h>
#include <sys/socket.h>

#define PROBE_WAIT_NS (1 * NS_PER_S)
#define ACD_PROBES 3
#define ACD_PROBE_MIN_NS (1 * NS_PER_S)
#define ACD_PROBE_SPREAD_NS (1 * NS_PER_S)
#define ACD_ANNOUNCE_WAIT_NS (2 * NS_PER_S)
#define ACD_ANNOUNCEMENTS 2
#define ACD_ANNOUNCE_INTERVAL_NS (2 * NS_PER_S)
#define ACD_DEFEND_INTERVAL_NS (10 * NS_PER_S)
#define DAD_PROBES 1

static const uint8_t any_addr[16];

static uint32_t own_addr_index(const struct neigh_table *t, uint16_t iface, uint8_t family, const uint8_t *addr)
{
	uint32_t i;

	for (i = 0; i < t->n_addrs; i++) {
		const struct own_addr *own = &t->addrs[i];

		if (own->iface == iface && own->family == family && memcmp(own->addr, addr, addr_bytes(family)) == 0)
			break;
	}
	return i;
}

struct own_addr *own_addr_find(struct neigh_table *t, uint16_t iface, uint8_t family, const uint8_t *addr)
{
	uint32_t i = own_addr_index(t, iface, family, addr);

	return i < t->n_addrs ? &t->addrs[i] : NULL;
}

static bool same_subnet(const struct own_addr *own, const uint8_t *addr)
{
	uint32_t bytes = own->prefix_len / 8u, bits = own->prefix_len % 8u;

	if (memcmp(own->addr, addr, bytes) != 0)
		return false;
	return bits == 0 || (own->addr[bytes] ^ addr[bytes]) >> (8 - bits) == 0;
}

const uint8_t *own_addr_source(const struct neigh_table *t, uint16_t iface, uint8_t family, const uint8_t *target)
{
	const uint8_t *best = NULL;

	for (uint32_t i = 0; i < t->n_addrs; i++) {
		const struct own_addr *own = &t->addrs[i];

		if (own->iface != iface || own->family != family || own->state != NEIGH_ADDR_PREFERRED)
			continue;
		if (same_subnet(own, target))
			return own->addr;
		if (!best || (family == AF_INET6 && ipv6_is_link_local(own->addr)))
			best = own->addr;
	}
	return best;
}

static void tell(struct neigh_table *t, const struct own_addr *own, const uint8_t *mac)
{
	t->ops->address(t->ctx, own->iface, own->family, own->addr, (enum neigh_addr_state)own->state, mac);
}

static void announce(struct neigh_table *t, const struct own_addr *own)
{
	const struct iface *out = table_iface(t, own->iface);
	uint8_t frame[ND_FRAME_BYTES_MAX];
	uint32_t bytes;

	if (!out)
		return;
	if (own->family == AF_INET)
		bytes = arp_build_announcement(frame, out, own->addr);
	else
		bytes = nd_build_na(frame, out, own->addr, NULL, NULL, ND_OVERRIDE);
	t->ops->send(t->ctx, out, frame, bytes);
}

static void probe(struct neigh_table *t, const struct own_addr *own)
{
	const struct iface *out = table_iface(t, own->iface);
	uint8_t frame[ND_FRAME_BYTES_MAX];
	uint32_t bytes;

	if (!out)
		return;
	if (own->family == AF_INET)
		bytes = arp_build_request(frame, out, any_addr, own->addr);
	else
		bytes = nd_build_ns(frame, out, any_addr, own->addr, NULL);
	t->ops->send(t->ctx, out, frame, bytes);
}

static void start(struct neigh_table *t, struct own_addr *own, uint64_t now_ns)
{
	own->probes = 0;
	own->announcements = own->family == AF_INET ? ACD_ANNOUNCEMENTS : 1;
	own->defended_ns = 0;
	if (own->detect) {
		own->state = NEIGH_ADDR_TENTATIVE;
		own->probes = own->family == AF_INET ? ACD_PROBES : DAD_PROBES;
		own->deadline_ns = now_ns + table_random(t, PROBE_WAIT_NS);
	} else {
		own->state = NEIGH_ADDR_PREFERRED;
		own->deadline_ns = now_ns;
	}
	tell(t, own, NULL);
}

/* One step of an address's life. */
static void own_addr_due(struct neigh_table *t, struct own_addr *own, uint64_t now_ns)
{
	if (own->probes > 0) {
		probe(t, own);
		own->probes--;
		if (own->family == AF_INET6)
			own->deadline_ns = now_ns + t->retrans_ns;
		else if (own->probes == 0)
			own->deadline_ns = now_ns + ACD_ANNOUNCE_WAIT_NS;
		else
			own->deadline_ns = now_ns + ACD_PROBE_MIN_NS + table_random(t, ACD_PROBE_SPREAD_NS);
		return;
	}
	if (own->state == NEIGH_ADDR_TENTATIVE) {
		own->state = NEIGH_ADDR_PREFERRED;
		tell(t, own, NULL);
	}
	announce(t, own);
	own->announcements--;
	own->deadline_ns = own->announcements > 0 ? now_ns + ACD_ANNOUNCE_INTERVAL_NS : NEVER;
}

void own_addr_conflict(struct neigh_table *t, struct own_addr *own, const uint8_t *mac, uint64_t now_ns)
{
	if (own->state == NEIGH_ADDR_TENTATIVE) {
		own->state = NEIGH_ADDR_DUPLICATED;
		own->probes = 0;
		own->deadline_ns = NEVER;
		tell(t, own, mac);
		return;
	}
	if (own->state != NEIGH_ADDR_PREFERRED)
		return;
	/* Both may go on for ever if both defend at once: not more often than this. */
	if (own->defended_ns != 0 && now_ns < own->defended_ns + ACD_DEFEND_INTERVAL_NS)
		return;
	own->defended_ns = now_ns;
	announce(t, own);
	tell(t, own, mac);
}

uint64_t own_addr_deadline(const struct neigh_table *t)
{
	uint64_t deadline = NEVER;

	for (uint32_t i = 0; i < t->n_addrs; i++)
		deadline = min_u64(deadline, t->addrs[i].deadline_ns);
	return deadline;
}

void own_addr_tick(struct neigh_table *t, uint64_t now_ns)
{
	for (uint32_t i = 0; i < t->n_addrs; i++) {
		if (t->addrs[i].deadline_ns <= now_ns)
			own_addr_due(t, &t->addrs[i], now_ns);
	}
}

int neigh_addr_add(struct neigh_table *t, uint16_t iface, uint8_t family, const uint8_t *addr, uint8_t prefix_len,
		   bool detect, uint64_t now_ns)
{
	struct own_addr *own;

	if (!t->ops->iface(t->ctx, iface))
		return -ENODEV;
	if (own_addr_find(t, iface, family, addr))
		return -EEXIST;
	if (t->n_addrs == NEIGH_ADDRS_MAX)
		return -ENOBUFS;
	own = &t->addrs[t->n_addrs++];
	memset(own, 0, sizeof(*own));
	own->iface = iface;
	own->family = family;
	own->prefix_len = prefix_len;
	own->detect = detect;
	memcpy(own->addr, addr, addr_bytes(family));
	start(t, own, now_ns);
	return 0;
}

int neigh_addr_del(struct neigh_table *t, uint16_t iface, uint8_t family, const uint8_t *addr)
{
	struct own_addr *own = own_addr_find(t, iface, family, addr);

	if (!own)
		return -ENOENT;
	*own = t->addrs[--t->n_addrs];
	return 0;
}

int neigh_addr_state_of(const struct neigh_table *t, uint16_t iface, uint8_t family, const uint8_t *addr)
{
	uint32_t i = own_addr_index(t, iface, family, addr);

	return i < t->n_addrs ? (int)t->addrs[i].state : -ENOENT;
}

void neigh_addr_restart(struct neigh_table *t, uint16_t iface, uint64_t now_ns)
{
	for (uint32_t i = 0; i < t->n_addrs; i++) {
		if (t->addrs[i].iface == iface)
			start(t, &t->addrs[i], now_ns);
	}
}

void neigh_iface_gone(struct neigh_table *t, uint16_t iface, uint64_t now_ns)
{
	neigh_flush(t, iface, now_ns);
	for (uint32_t i = t->n_addrs; i-- > 0;) {
		if (t->addrs[i].iface == iface)
			t->addrs[i] = t->addrs[--t->n_addrs];
	}
}
