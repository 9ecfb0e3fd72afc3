/* SPDX-License-Identifier: MIT */
/*
 * The neighbour table under messages from a hostile link. The input is a series of records: a byte that says what
 * happens, a byte that says how much, and for a message its bytes. ND messages get a right checksum, for no mutation
 * would find one.
 */
#include "common/clock.h"
#include "common/csum.h"
#include "tests/fuzz/fuzz_area.h"
#include "user/net/nd.h"
#include "user/net/neigh.h"

#include <netinet/in.h>

#define MAX 16

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct iface lan = { .id = 1, .mac = { 2, 0, 0, 0, 0, 1 }, .up = true };

static const struct iface *get_iface(void *ctx, uint16_t id)
{
	(void)ctx;
	return id == 1 ? &lan : NULL;
}

static void on_send(void *ctx, const struct iface *out, const uint8_t *frame, uint32_t bytes)
{
	uint32_t *sent = ctx;
	struct nd_msg m;

	must(out == &lan && bytes >= 42 && bytes <= ND_FRAME_BYTES_MAX);
	if (be16_at(frame + 12) == ETHERTYPE_IP6)
		must(nd_parse(frame + 14, bytes - 14, &m) == DROP_NONE);
	(*sent)++;
}

static void on_changed(void *ctx, const struct neigh *n, enum neigh_event event)
{
	(void)ctx;
	must(n->iface == 1 && n->slot < MAX);
	must(event != NEIGH_EVENT_RESOLVED || !(n->mac[0] & 1));
}

static void on_address(void *ctx, uint16_t iface, uint8_t family, const uint8_t *addr, enum neigh_addr_state state,
		       const uint8_t *mac)
{
	(void)ctx;
	(void)iface;
	(void)family;
	(void)addr;
	(void)mac;
	must(state <= NEIGH_ADDR_DUPLICATED);
}

static void input_nd(struct neigh_table *t, const uint8_t *b, uint32_t n, uint64_t now)
{
	static const uint8_t from[6] = { 2, 0, 0, 0, 0, 9 };
	uint8_t *ip = malloc(n ? n : 1);

	memcpy(ip, b, n);
	if (n >= 48) {
		uint32_t len = min_u32(be16_at(ip + 4), n - 40), sum = csum_ipv6_pseudo(ip + 8, ip + 24, len, 58);

		put_be16(ip + 42, 0);
		put_wire16(ip + 42, csum_fold(csum_partial(ip + 40, len, sum)));
	}
	neigh_input_nd(t, 1, ip, n, from, now);
	free(ip);
}

static void input_arp(struct neigh_table *t, const uint8_t *b, uint32_t n, uint64_t now)
{
	uint8_t *arp = malloc(n ? n : 1);

	memcpy(arp, b, n);
	neigh_input_arp(t, 1, arp, n, now);
	free(arp);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct neigh_ops ops = { get_iface, on_send, on_changed, on_address };
	uint8_t addr4[16] = { 10, 0, 0, 254 }, addr6[16] = { 0x20, 0x01, 0x0d, 0xb8, [15] = 0xfe };
	uint32_t sent = 0;
	const struct neigh_params params = { .max_entries = MAX, .ops = &ops, .ctx = &sent, .seed = { 3, 4 } };
	const uint8_t *end = data + size;
	uint64_t now = NS_PER_S;
	struct neigh_table *t;

	iface_set_l2(&lan);
	must(neigh_create(&t, &params, NULL) == 0);
	neigh_addr_add(t, 1, AF_INET, addr4, 24, false, now);
	neigh_addr_add(t, 1, AF_INET6, addr6, 64, false, now);
	addr4[3] = 253;
	addr6[15] = 0xfd;
	neigh_addr_add(t, 1, AF_INET, addr4, 24, true, now);
	neigh_addr_add(t, 1, AF_INET6, addr6, 64, true, now);
	while (end - data >= 2) {
		uint8_t what = data[0], much = data[1];
		uint32_t n = min_u32(much, (uint32_t)(end - data) - 2), before = neigh_count(t, NEIGH_NONE);

		data += 2;
		switch (what % 8) {
		case 0:
		case 1:
			input_arp(t, data, n, now);
			must(neigh_count(t, NEIGH_NONE) <= before);
			data += n;
			break;
		case 2:
		case 3:
			input_nd(t, data, n, now);
			must(neigh_count(t, NEIGH_NONE) <= before);
			data += n;
			break;
		case 4:
			addr4[3] = much % 32;
			neigh_resolve(t, 1, AF_INET, addr4, now);
			break;
		case 5:
			addr6[15] = much % 32;
			neigh_resolve(t, 1, AF_INET6, addr6, now);
			break;
		case 6:
			now += much * NS_PER_S / 4;
			neigh_tick(t, now);
			break;
		default:
			neigh_used(t, much, now);
			break;
		}
		must(neigh_count(t, NEIGH_INCOMPLETE) <= MAX / 2);
	}
	/* It must come to rest. */
	for (unsigned int i = 0; neigh_deadline(t) != UINT64_MAX; i++) {
		must(i < 10000);
		now = neigh_deadline(t) > now ? neigh_deadline(t) : now;
		neigh_tick(t, now);
	}
	must(neigh_count(t, NEIGH_NONE) == 0);
	neigh_destroy(t);
	return 0;
}
