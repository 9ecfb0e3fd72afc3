/* SPDX-License-Identifier: MIT */
#include "common/clock.h"
#include "user/net/arp.h"
#include "user/net/ipv6.h"
#include "user/net/nd.h"
#include "user/net/neigh.h"

#include <arpa/inet.h>
#include <check.h>
#include <errno.h>
#include <stdlib.h>

#define S NS_PER_S
#define MAX 8

/* ---- A link with a recorder -------------------------------------------------------------------------------------- */

enum { LAN = 3, WAN = 4 };

static struct iface ifaces[2] = {
	{ .id = LAN, .mac = { 2, 0, 0, 0, 0, 1 }, .up = true },
	{ .id = WAN, .mac = { 2, 0, 0, 0, 0, 2 }, .up = true },
};
static bool gone;			/* the LAN interface */

static struct {
	unsigned int frames, changes, duplicates;
	uint16_t out;
	uint8_t frame[128];
	uint32_t bytes;
	struct neigh n;
	enum neigh_event event;
	unsigned int events[4];
	enum neigh_addr_state addr_state;
	bool addr_has_mac;
} seen;

static struct neigh_table *t;
static uint64_t now;
static uint8_t gw4[16] = { 10, 0, 0, 254 }, host4[16] = { 10, 0, 0, 9 }, gw6[16], host6[16];
static const uint8_t host_mac[6] = { 2, 0, 0, 0, 0, 9 }, other_mac[6] = { 2, 0, 0, 0, 0, 8 };

static const struct iface *get_iface(void *ctx, uint16_t id)
{
	(void)ctx;
	if (id != LAN && id != WAN)
		return NULL;
	return id == LAN && gone ? NULL : &ifaces[id - LAN];
}

static void on_send(void *ctx, const struct iface *out, const uint8_t *frame, uint32_t bytes)
{
	(void)ctx;
	seen.frames++;
	seen.out = out->id;
	seen.bytes = bytes;
	ck_assert_uint_le(bytes, sizeof(seen.frame));
	memcpy(seen.frame, frame, bytes);
}

static void on_changed(void *ctx, const struct neigh *n, enum neigh_event event)
{
	(void)ctx;
	seen.changes++;
	seen.n = *n;
	seen.event = event;
	seen.events[event]++;
}

static void on_address(void *ctx, uint16_t iface, uint8_t family, const uint8_t *addr, enum neigh_addr_state state,
		       const uint8_t *mac)
{
	(void)ctx;
	(void)iface;
	(void)family;
	(void)addr;
	seen.duplicates += state == NEIGH_ADDR_DUPLICATED;
	seen.addr_state = state;
	seen.addr_has_mac = mac;
}

static const struct neigh_ops ops = {
	.iface = get_iface, .send = on_send, .changed = on_changed, .address = on_address,
};

static void forget_seen(void)
{
	memset(&seen, 0, sizeof(seen));
}

static void setup(void)
{
	const struct neigh_params params = { .max_entries = MAX, .ops = &ops, .seed = { 1, 2 } };
	struct fault f;

	inet_pton(AF_INET6, "2001:db8::254", gw6);
	inet_pton(AF_INET6, "2001:db8::9", host6);
	iface_set_l2(&ifaces[0]);
	iface_set_l2(&ifaces[1]);
	ifaces[0].flags = 0;
	gone = false;
	ifaces[0].up = true;
	now = 1000 * S;
	ck_assert_int_eq(neigh_create(&t, &params, &f), 0);
	ck_assert_int_eq(neigh_addr_add(t, LAN, AF_INET, gw4, 24, false, now), 0);
	ck_assert_int_eq(neigh_addr_add(t, LAN, AF_INET6, gw6, 64, false, now), 0);
	/* the announcements of both go out */
	now += 10 * S;
	for (int i = 0; i < 3; i++)
		neigh_tick(t, now + (uint64_t)i * 3 * S);
	now += 10 * S;
	ck_assert_uint_eq(neigh_deadline(t), UINT64_MAX);
	forget_seen();
}

static void teardown(void)
{
	neigh_destroy(t);
}

/* Let time pass, event by event. */
static void pass(uint64_t ns)
{
	uint64_t end = now + ns;

	while (neigh_deadline(t) <= end) {
		now = neigh_deadline(t) > now ? neigh_deadline(t) : now;
		neigh_tick(t, now);
	}
	now = end;
}

/* An interface to send from as somebody else. */
static struct iface station(const uint8_t *mac)
{
	struct iface i = { .up = true };

	memcpy(i.mac, mac, 6);
	iface_set_l2(&i);
	return i;
}

static void arp_from(const uint8_t *mac, uint16_t op, const uint8_t *sender, const uint8_t *target)
{
	const struct iface from = station(mac);
	struct arp_msg m = { .op = op };
	uint8_t f[ARP_FRAME_BYTES_MAX];

	memcpy(m.sender, sender, 4);
	memcpy(m.target, target, 4);
	memcpy(m.target_mac, ifaces[0].mac, 6);
	arp_build(f, &from, ifaces[0].mac, &m);
	ck_assert_int_eq(neigh_input_arp(t, LAN, f + 14, 28, now), DROP_NONE);
}

static void na_from(const uint8_t *mac, const uint8_t *target, uint8_t flags)
{
	const struct iface from = station(mac);
	uint8_t f[ND_FRAME_BYTES_MAX];
	uint32_t n;

	n = nd_build_na(f, &from, target, flags & ND_SOLICITED ? gw6 : NULL, ifaces[0].mac, flags);
	ck_assert_int_eq(neigh_input_nd(t, LAN, f + 14, n - 14, mac, now), DROP_NONE);
}

static void ns_from(const uint8_t *mac, const uint8_t *src, const uint8_t *target)
{
	const struct iface from = station(mac);
	uint8_t f[ND_FRAME_BYTES_MAX];
	uint32_t n;

	n = nd_build_ns(f, &from, src, target, NULL);
	ck_assert_int_eq(neigh_input_nd(t, LAN, f + 14, n - 14, mac, now), DROP_NONE);
}

/* Answer the question that is open, for either family. */
static void answer(uint8_t family, const uint8_t *mac)
{
	if (family == AF_INET)
		arp_from(mac, ARP_REPLY, host4, gw4);
	else
		na_from(mac, host6, ND_SOLICITED | ND_OVERRIDE);
}

static const uint8_t families[] = { AF_INET, AF_INET6 };

static const uint8_t *host(uint8_t family)
{
	return family == AF_INET ? host4 : host6;
}

static enum neigh_state state_of(uint8_t family)
{
	const struct neigh *n = neigh_find(t, LAN, family, host(family));

	return n ? (enum neigh_state)n->state : NEIGH_NONE;
}

static void make_reachable(uint8_t family)
{
	ck_assert_int_eq(neigh_resolve(t, LAN, family, host(family), now), NEIGH_INCOMPLETE);
	answer(family, host_mac);
	ck_assert_int_eq(state_of(family), NEIGH_REACHABLE);
	forget_seen();
}

static void make_stale(uint8_t family)
{
	make_reachable(family);
	pass(46 * S);
	ck_assert_int_eq(state_of(family), NEIGH_STALE);
	forget_seen();
}

/* ---- Resolution -------------------------------------------------------------------------------------------------- */

START_TEST(resolution_asks_and_believes_the_answer)
{
	uint8_t family = families[_i];

	ck_assert_int_eq(neigh_resolve(t, LAN, family, host(family), now), NEIGH_INCOMPLETE);
	ck_assert_uint_eq(seen.frames, 1);
	ck_assert_uint_eq(seen.out, LAN);
	ck_assert(seen.frame[0] & 1);		/* to a group */
	if (family == AF_INET)
		ck_assert_mem_eq(seen.frame + 28, gw4, 4);
	else
		ck_assert_mem_eq(seen.frame + 22, gw6, 16);
	ck_assert_int_eq(neigh_resolve(t, LAN, family, host(family), now), NEIGH_INCOMPLETE);
	ck_assert_uint_eq(seen.frames, 1);	/* once a second, not once a packet */
	answer(family, host_mac);
	ck_assert_uint_eq(seen.changes, 1);
	ck_assert_int_eq(seen.event, NEIGH_EVENT_RESOLVED);
	ck_assert_int_eq(seen.n.state, NEIGH_REACHABLE);
	ck_assert_mem_eq(seen.n.mac, host_mac, 6);
	ck_assert_int_eq(neigh_resolve(t, LAN, family, host(family), now), NEIGH_REACHABLE);
}
END_TEST

START_TEST(resolution_fails_after_three_questions)
{
	uint8_t family = families[_i];

	neigh_resolve(t, LAN, family, host(family), now);
	pass(1 * S - 1);
	ck_assert_uint_eq(seen.frames, 1);
	pass(1);
	ck_assert_uint_eq(seen.frames, 2);
	pass(1 * S);
	ck_assert_uint_eq(seen.frames, 3);
	ck_assert_uint_eq(seen.changes, 0);
	pass(1 * S);
	ck_assert_uint_eq(seen.frames, 3);
	ck_assert_int_eq(seen.event, NEIGH_EVENT_FAILED);
	ck_assert_int_eq(neigh_resolve(t, LAN, family, host(family), now), NEIGH_FAILED);
	ck_assert_uint_eq(seen.frames, 3);
	/* an answer that comes too late is not waited for any more, and a second later all starts anew */
	answer(family, host_mac);
	ck_assert_int_eq(state_of(family), NEIGH_FAILED);
	pass(1 * S);
	ck_assert_int_eq(seen.event, NEIGH_EVENT_GONE);
	ck_assert_int_eq(neigh_resolve(t, LAN, family, host(family), now), NEIGH_INCOMPLETE);
	ck_assert_uint_eq(seen.frames, 4);
}
END_TEST

START_TEST(answer_to_a_later_question_counts)
{
	neigh_resolve(t, LAN, AF_INET, host4, now);
	pass(2 * S + S / 2);
	answer(AF_INET, host_mac);
	ck_assert_int_eq(state_of(AF_INET), NEIGH_REACHABLE);
	pass(10 * S);
	ck_assert_uint_eq(seen.frames, 3);
}
END_TEST

START_TEST(resolution_needs_an_address_and_an_interface)
{
	ck_assert_int_eq(neigh_resolve(t, WAN, AF_INET, host4, now), -EADDRNOTAVAIL);
	ck_assert_int_eq(neigh_resolve(t, 9, AF_INET, host4, now), -ENODEV);
	ifaces[0].up = false;
	ck_assert_int_eq(neigh_resolve(t, LAN, AF_INET, host4, now), -ENODEV);
	ifaces[0].up = true;
	ifaces[0].flags = IFACE_NO_L2;
	ck_assert_int_eq(neigh_resolve(t, LAN, AF_INET, host4, now), -ENODEV);
	ck_assert_uint_eq(neigh_count(t, NEIGH_NONE), 0);
	ck_assert_uint_eq(seen.frames, 0);
}
END_TEST

START_TEST(questions_come_from_the_right_address)
{
	uint8_t far4[16] = { 192, 0, 2, 1 }, second4[16] = { 192, 0, 2, 254 }, ll[16], far6[16];

	ck_assert_int_eq(neigh_addr_add(t, LAN, AF_INET, second4, 24, false, now), 0);
	neigh_resolve(t, LAN, AF_INET, far4, now);
	ck_assert_mem_eq(seen.frame + 28, second4, 4);
	inet_pton(AF_INET6, "fe80::1", ll);
	inet_pton(AF_INET6, "2001:db8:1::5", far6);
	neigh_resolve(t, LAN, AF_INET6, far6, now);
	ck_assert_mem_eq(seen.frame + 22, gw6, 16);	/* the only one */
	ck_assert_int_eq(neigh_addr_add(t, LAN, AF_INET6, ll, 64, false, now), 0);
	far6[15] = 6;
	neigh_resolve(t, LAN, AF_INET6, far6, now);
	ck_assert_mem_eq(seen.frame + 22, ll, 16);
}
END_TEST

/* ---- The life of an entry ---------------------------------------------------------------------------------------- */

START_TEST(reachable_becomes_stale_within_its_time)
{
	uint8_t family = families[_i];

	make_reachable(family);
	pass(15 * S - 1);
	ck_assert_int_eq(state_of(family), NEIGH_REACHABLE);
	pass(30 * S + 1);
	ck_assert_int_eq(state_of(family), NEIGH_STALE);
	ck_assert_uint_eq(seen.frames, 0);
	ck_assert_int_eq(seen.event, NEIGH_EVENT_STATE);
	pass(599 * S - 30 * S);
	ck_assert_int_eq(state_of(family), NEIGH_STALE);
	pass(60 * S);
	ck_assert_int_eq(state_of(family), NEIGH_NONE);
	ck_assert_int_eq(seen.event, NEIGH_EVENT_GONE);
}
END_TEST

START_TEST(stale_and_used_is_probed)
{
	uint8_t family = families[_i];
	uint32_t slot;

	make_stale(family);
	slot = neigh_find(t, LAN, family, host(family))->slot;
	neigh_used(t, slot, now);
	ck_assert_int_eq(state_of(family), NEIGH_DELAY);
	pass(5 * S - 1);
	ck_assert_uint_eq(seen.frames, 0);
	pass(1);
	ck_assert_int_eq(state_of(family), NEIGH_PROBE);
	ck_assert_uint_eq(seen.frames, 1);
	ck_assert_mem_eq(seen.frame, host_mac, 6);	/* unicast */
	answer(family, host_mac);
	ck_assert_int_eq(state_of(family), NEIGH_REACHABLE);
	ck_assert_mem_eq(neigh_find(t, LAN, family, host(family))->mac, host_mac, 6);
	ck_assert_uint_eq(seen.events[NEIGH_EVENT_RESOLVED], 0);	/* the address stayed the same all the time */
}
END_TEST

START_TEST(probe_without_answer_forgets)
{
	uint8_t family = families[_i];

	make_stale(family);
	neigh_resolve(t, LAN, family, host(family), now);	/* also a use */
	ck_assert_int_eq(state_of(family), NEIGH_DELAY);
	pass(5 * S + 2 * S);
	ck_assert_uint_eq(seen.frames, 3);
	ck_assert_int_eq(state_of(family), NEIGH_PROBE);
	pass(1 * S);
	ck_assert_uint_eq(seen.frames, 3);
	ck_assert_int_eq(state_of(family), NEIGH_NONE);
	ck_assert_int_eq(seen.event, NEIGH_EVENT_GONE);
}
END_TEST

START_TEST(confirmation_saves_the_probe)
{
	make_stale(AF_INET);
	neigh_confirm(t, LAN, AF_INET, host4, now);
	ck_assert_int_eq(state_of(AF_INET), NEIGH_REACHABLE);
	pass(14 * S);
	neigh_confirm(t, LAN, AF_INET, host4, now);	/* each one starts the time anew */
	pass(14 * S);
	ck_assert_int_eq(state_of(AF_INET), NEIGH_REACHABLE);
	ck_assert_uint_eq(seen.frames, 0);
	/* but an unresolved one is not confirmed */
	neigh_resolve(t, LAN, AF_INET6, host6, now);
	neigh_confirm(t, LAN, AF_INET6, host6, now);
	ck_assert_int_eq(state_of(AF_INET6), NEIGH_INCOMPLETE);
}
END_TEST

/* ---- What nobody asked for --------------------------------------------------------------------------------------- */

START_TEST(nothing_unasked_makes_an_entry)
{
	for (unsigned int i = 1; i < 250; i++) {
		uint8_t from4[4] = { 10, 0, 0, (uint8_t)i }, from6[16];
		const uint8_t mac[6] = { 2, 0, 0, 0, 1, (uint8_t)i };

		memcpy(from6, host6, 16);
		from6[15] = (uint8_t)i;
		arp_from(mac, ARP_REQUEST, from4, from4);
		arp_from(mac, ARP_REPLY, from4, gw4);
		arp_from(mac, ARP_REQUEST, from4, gw4);
		na_from(mac, from6, ND_OVERRIDE);
		na_from(mac, from6, ND_SOLICITED | ND_OVERRIDE);
		ns_from(mac, from6, gw6);
	}
	ck_assert_uint_eq(neigh_count(t, NEIGH_NONE), 0);
	ck_assert_uint_eq(seen.changes, 0);
}
END_TEST

START_TEST(gratuitous_arp_moves_what_is_known)
{
	make_reachable(AF_INET);
	arp_from(host_mac, ARP_REQUEST, host4, host4);	/* nothing new */
	ck_assert_uint_eq(seen.changes, 0);
	arp_from(other_mac, ARP_REQUEST, host4, host4);
	ck_assert_int_eq(seen.event, NEIGH_EVENT_RESOLVED);
	ck_assert_mem_eq(seen.n.mac, other_mac, 6);
	ck_assert_int_eq(state_of(AF_INET), NEIGH_STALE);
	/* a reply that nobody asked for is no better */
	arp_from(host_mac, ARP_REPLY, host4, gw4);
	ck_assert_int_eq(state_of(AF_INET), NEIGH_STALE);
	ck_assert_mem_eq(seen.n.mac, host_mac, 6);
}
END_TEST

START_TEST(request_answers_our_own_question)
{
	neigh_resolve(t, LAN, AF_INET, host4, now);
	arp_from(host_mac, ARP_REQUEST, host4, gw4);
	ck_assert_int_eq(state_of(AF_INET), NEIGH_STALE);	/* known, not proven */
	ck_assert_uint_eq(seen.frames, 2);			/* and it got its answer */
	neigh_resolve(t, LAN, AF_INET6, host6, now);
	ns_from(host_mac, host6, gw6);
	ck_assert_int_eq(state_of(AF_INET6), NEIGH_STALE);
}
END_TEST

/* RFC 4861 7.2.5, line by line */
static const struct {
	enum neigh_state from, to;
	bool other_mac;
	uint8_t flags;
	bool moved;
} advertised[] = {
	{ NEIGH_INCOMPLETE, NEIGH_STALE, false, 0, true },
	{ NEIGH_INCOMPLETE, NEIGH_STALE, false, ND_OVERRIDE, true },
	{ NEIGH_INCOMPLETE, NEIGH_REACHABLE, false, ND_SOLICITED, true },
	{ NEIGH_REACHABLE, NEIGH_STALE, true, 0, false },
	{ NEIGH_STALE, NEIGH_STALE, true, 0, false },
	{ NEIGH_REACHABLE, NEIGH_STALE, true, ND_SOLICITED, false },
	{ NEIGH_STALE, NEIGH_STALE, true, ND_SOLICITED, false },
	{ NEIGH_REACHABLE, NEIGH_STALE, true, ND_OVERRIDE, true },
	{ NEIGH_STALE, NEIGH_STALE, true, ND_OVERRIDE, true },
	{ NEIGH_REACHABLE, NEIGH_REACHABLE, true, ND_OVERRIDE | ND_SOLICITED, true },
	{ NEIGH_STALE, NEIGH_REACHABLE, true, ND_OVERRIDE | ND_SOLICITED, true },
	{ NEIGH_REACHABLE, NEIGH_REACHABLE, false, 0, false },
	{ NEIGH_REACHABLE, NEIGH_REACHABLE, false, ND_OVERRIDE, false },
	{ NEIGH_STALE, NEIGH_STALE, false, 0, false },
	{ NEIGH_STALE, NEIGH_STALE, false, ND_OVERRIDE, false },
	{ NEIGH_STALE, NEIGH_REACHABLE, false, ND_SOLICITED, false },
};

START_TEST(advertisements_by_the_table)
{
	const uint8_t *mac = advertised[_i].other_mac ? other_mac : host_mac;

	switch (advertised[_i].from) {
	case NEIGH_INCOMPLETE:
		neigh_resolve(t, LAN, AF_INET6, host6, now);
		break;
	case NEIGH_REACHABLE:
		make_reachable(AF_INET6);
		break;
	default:
		make_stale(AF_INET6);
		break;
	}
	forget_seen();
	na_from(mac, host6, advertised[_i].flags);
	ck_assert_int_eq(state_of(AF_INET6), advertised[_i].to);
	ck_assert_uint_eq(seen.events[NEIGH_EVENT_RESOLVED], advertised[_i].moved);
	ck_assert_mem_eq(neigh_find(t, LAN, AF_INET6, host6)->mac, advertised[_i].moved ? mac : host_mac, 6);
}
END_TEST

START_TEST(router_flag_is_kept)
{
	neigh_resolve(t, LAN, AF_INET6, host6, now);
	na_from(host_mac, host6, ND_SOLICITED | ND_OVERRIDE | ND_ROUTER);
	ck_assert(neigh_find(t, LAN, AF_INET6, host6)->router);
	na_from(host_mac, host6, ND_SOLICITED | ND_OVERRIDE);
	ck_assert(!neigh_find(t, LAN, AF_INET6, host6)->router);
}
END_TEST

START_TEST(bad_messages_are_refused)
{
	uint8_t b[100] = { 0 };

	ck_assert_int_eq(neigh_input_arp(t, LAN, b, 28, now), DROP_arp_bad);
	ck_assert_int_eq(neigh_input_nd(t, LAN, b, 72, host_mac, now), DROP_nd_bad);
	gone = true;
	arp_build_request(b, &ifaces[1], host4, gw4);
	ck_assert_int_eq(neigh_input_arp(t, LAN, b + 14, 28, now), DROP_arp_bad);
}
END_TEST

/* ---- Bounds ------------------------------------------------------------------------------------------------------ */

static int resolve4(unsigned int last)
{
	uint8_t addr[16] = { 10, 0, 0, (uint8_t)last };

	return neigh_resolve(t, LAN, AF_INET, addr, now);
}

static void reply4(unsigned int last)
{
	uint8_t addr[16] = { 10, 0, 0, (uint8_t)last };
	const uint8_t mac[6] = { 2, 0, 0, 0, 2, (uint8_t)last };

	arp_from(mac, ARP_REPLY, addr, gw4);
}

START_TEST(a_scan_takes_half_of_the_table)
{
	for (unsigned int i = 1; i <= MAX / 2; i++)
		ck_assert_int_eq(resolve4(i), NEIGH_INCOMPLETE);
	ck_assert_int_eq(resolve4(100), -ENOBUFS);
	ck_assert_uint_eq(neigh_count(t, NEIGH_INCOMPLETE), MAX / 2);
	reply4(1);
	ck_assert_int_eq(resolve4(100), NEIGH_INCOMPLETE);
}
END_TEST

START_TEST(failed_goes_before_stale_and_the_stalest_first)
{
	for (unsigned int i = 1; i <= MAX - 1; i++) {
		resolve4(i);
		reply4(i);
	}
	pass(46 * S);
	ck_assert_uint_eq(neigh_count(t, NEIGH_STALE), MAX - 1);
	resolve4(50);
	pass(3 * S);
	ck_assert_uint_eq(neigh_count(t, NEIGH_FAILED), 1);
	forget_seen();
	ck_assert_int_eq(resolve4(51), NEIGH_INCOMPLETE);
	ck_assert_uint_eq(seen.events[NEIGH_EVENT_GONE], 1);
	ck_assert_int_eq(seen.n.state, NEIGH_FAILED);
	/* now there are only stale ones to take */
	reply4(51);
	ck_assert_int_eq(resolve4(52), NEIGH_INCOMPLETE);
	ck_assert_int_eq(seen.n.state, NEIGH_STALE);
	ck_assert_uint_eq(neigh_count(t, NEIGH_NONE), MAX);
}
END_TEST

START_TEST(reachable_is_never_evicted)
{
	for (unsigned int i = 1; i <= MAX; i++) {
		ck_assert_int_eq(resolve4(i), NEIGH_INCOMPLETE);
		reply4(i);
	}
	forget_seen();
	ck_assert_int_eq(resolve4(100), -ENOBUFS);
	ck_assert_uint_eq(seen.changes, 0);
	ck_assert_uint_eq(neigh_count(t, NEIGH_REACHABLE), MAX);
	/* nor is one that is being probed */
	pass(46 * S);
	for (unsigned int i = 1; i <= MAX; i++)
		resolve4(i);
	ck_assert_uint_eq(neigh_count(t, NEIGH_DELAY), MAX);
	ck_assert_int_eq(resolve4(100), -ENOBUFS);
}
END_TEST

START_TEST(answers_are_limited)
{
	for (unsigned int i = 0; i < 5000; i++)
		arp_from(host_mac, ARP_REQUEST, host4, gw4);
	ck_assert_uint_eq(seen.frames, 200);
	now += S / 10;
	for (unsigned int i = 0; i < 5000; i++)
		arp_from(host_mac, ARP_REQUEST, host4, gw4);
	ck_assert_uint_eq(seen.frames, 300);
}
END_TEST

START_TEST(flush_tells_who_waits)
{
	make_reachable(AF_INET);
	neigh_resolve(t, LAN, AF_INET6, host6, now);
	forget_seen();
	neigh_flush(t, LAN, now);
	ck_assert_uint_eq(seen.events[NEIGH_EVENT_FAILED], 1);
	ck_assert_uint_eq(seen.events[NEIGH_EVENT_GONE], 2);
	ck_assert_uint_eq(neigh_count(t, NEIGH_NONE), 0);
	ck_assert_uint_eq(neigh_deadline(t), UINT64_MAX);
}
END_TEST

START_TEST(walk_meets_every_entry)
{
	const struct neigh *n;
	unsigned int count = 0;

	for (unsigned int i = 1; i <= 4; i++) {
		resolve4(i);
		reply4(i);
	}
	for (uint32_t slot = 0; (n = neigh_next(t, slot)) != NULL; slot = n->slot + 1)
		count++;
	ck_assert_uint_eq(count, 4);
}
END_TEST

/* Thousands of random events: the counts add up, no deadline is missed, nothing is lost. */
START_TEST(random_life)
{
	srandom((unsigned int)_i + 1);
	for (unsigned int i = 0; i < 20000; i++) {
		unsigned int last = 1 + (unsigned int)random() % 20;
		uint32_t sum = 0;

		switch (random() % 6) {
		case 0:
		case 1:
			resolve4(last);
			break;
		case 2:
			reply4(last);
			break;
		case 3:
			neigh_used(t, (uint32_t)random() % (MAX + 2), now);
			break;
		case 4:
			pass((uint64_t)random() % (random() % 20 ? 3 * S : 100 * S));
			break;
		default:
			if (random() % 50 == 0)
				neigh_flush(t, LAN, now);
			break;
		}
		for (unsigned int s = NEIGH_INCOMPLETE; s < NEIGH_STATE_N; s++)
			sum += neigh_count(t, s);
		ck_assert_uint_eq(sum, neigh_count(t, NEIGH_NONE));
		ck_assert_uint_le(sum, MAX);
		ck_assert_uint_le(neigh_count(t, NEIGH_INCOMPLETE), MAX / 2);
		ck_assert(sum == 0 || neigh_deadline(t) != UINT64_MAX);
	}
	pass(2000 * S);
	ck_assert_uint_eq(neigh_count(t, NEIGH_NONE), 0);
}
END_TEST

/* ---- Addresses of ours ------------------------------------------------------------------------------------------- */

static const uint8_t new4[16] = { 10, 0, 0, 77 };
static const uint8_t new6[16] = { 0x20, 0x01, 0x0d, 0xb8, [15] = 0x77 };

START_TEST(ipv4_address_is_probed_then_announced)
{
	ck_assert_int_eq(neigh_addr_add(t, LAN, AF_INET, new4, 24, true, now), 0);
	ck_assert_int_eq(seen.addr_state, NEIGH_ADDR_TENTATIVE);
	pass(1 * S);
	ck_assert_uint_eq(seen.frames, 1);
	ck_assert_mem_eq(seen.frame + 28, "\0\0\0\0", 4);
	ck_assert_mem_eq(seen.frame + 38, new4, 4);
	/* tentative: does not answer */
	arp_from(host_mac, ARP_REQUEST, host4, new4);
	ck_assert_uint_eq(seen.frames, 1);
	pass(4 * S);
	ck_assert_uint_eq(seen.frames, 3);
	ck_assert_int_eq(seen.addr_state, NEIGH_ADDR_TENTATIVE);
	pass(2 * S);
	ck_assert_int_eq(seen.addr_state, NEIGH_ADDR_PREFERRED);
	ck_assert_uint_eq(seen.frames, 4);
	ck_assert_mem_eq(seen.frame + 28, new4, 4);
	pass(2 * S);
	ck_assert_uint_eq(seen.frames, 5);
	pass(100 * S);
	ck_assert_uint_eq(seen.frames, 5);
	arp_from(host_mac, ARP_REQUEST, host4, new4);
	ck_assert_uint_eq(seen.frames, 6);
	ck_assert_mem_eq(seen.frame, host_mac, 6);
	ck_assert_mem_eq(seen.frame + 28, new4, 4);
}
END_TEST

START_TEST(ipv6_address_is_solicited_then_advertised)
{
	ck_assert_int_eq(neigh_addr_add(t, LAN, AF_INET6, new6, 64, true, now), 0);
	pass(1 * S);
	ck_assert_uint_eq(seen.frames, 1);
	ck_assert_uint_eq(seen.frame[54], ICMP6_NEIGH_SOLICIT);
	ck_assert_uint_eq(seen.frame[22], 0);
	ns_from(host_mac, host6, new6);		/* tentative: does not answer */
	ck_assert_uint_eq(seen.frames, 1);
	pass(1 * S);
	ck_assert_int_eq(seen.addr_state, NEIGH_ADDR_PREFERRED);
	ck_assert_uint_eq(seen.frames, 2);
	ck_assert_uint_eq(seen.frame[54], ICMP6_NEIGH_ADVERT);
	pass(100 * S);
	ck_assert_uint_eq(seen.frames, 2);
	ns_from(host_mac, host6, new6);
	ck_assert_uint_eq(seen.frames, 3);
	ck_assert_mem_eq(seen.frame, host_mac, 6);
	ck_assert_mem_eq(seen.frame + 38, host6, 16);
	ck_assert_uint_eq(seen.frame[58], ND_SOLICITED | ND_OVERRIDE);
}
END_TEST

/* Somebody has it: by using it, by probing it at the same time. */
START_TEST(duplicates_are_found)
{
	static const uint8_t zero[16];
	bool six = _i >= 2;

	neigh_addr_add(t, LAN, six ? AF_INET6 : AF_INET, six ? new6 : new4, 24, true, now);
	pass(1 * S + S / 2);
	ck_assert_int_eq(seen.addr_state, NEIGH_ADDR_TENTATIVE);
	switch (_i) {
	case 0:
		arp_from(host_mac, ARP_REPLY, new4, zero);
		break;
	case 1:
		arp_from(host_mac, ARP_REQUEST, zero, new4);
		break;
	case 2:
		na_from(host_mac, new6, ND_OVERRIDE);
		break;
	default:
		ns_from(host_mac, zero, new6);
		break;
	}
	ck_assert_int_eq(seen.addr_state, NEIGH_ADDR_DUPLICATED);
	ck_assert(seen.addr_has_mac);
	forget_seen();
	pass(100 * S);
	ck_assert_uint_eq(seen.frames, 0);
	arp_from(host_mac, ARP_REQUEST, host4, new4);
	ns_from(host_mac, host6, new6);
	ck_assert_uint_eq(seen.frames, 0);
	/* until somebody tries again */
	neigh_addr_restart(t, LAN, now);
	ck_assert_int_eq(seen.addr_state, NEIGH_ADDR_TENTATIVE);
	pass(10 * S);
	ck_assert_int_eq(seen.addr_state, NEIGH_ADDR_PREFERRED);
}
END_TEST

START_TEST(own_frames_that_come_back_are_no_duplicate)
{
	static const uint8_t zero[16];

	neigh_addr_add(t, LAN, AF_INET, new4, 24, true, now);
	neigh_addr_add(t, LAN, AF_INET6, new6, 64, true, now);
	pass(1 * S);
	arp_from(ifaces[0].mac, ARP_REQUEST, zero, new4);
	ns_from(ifaces[0].mac, zero, new6);
	pass(10 * S);
	ck_assert_uint_eq(seen.duplicates, 0);
	ck_assert_int_eq(seen.addr_state, NEIGH_ADDR_PREFERRED);
}
END_TEST

START_TEST(ipv4_address_is_defended_every_ten_seconds)
{
	for (unsigned int i = 0; i < 100; i++)
		arp_from(other_mac, ARP_REQUEST, gw4, host4);
	ck_assert_uint_eq(seen.frames, 1);
	ck_assert_mem_eq(seen.frame + 28, gw4, 4);
	ck_assert_mem_eq(seen.frame + 38, gw4, 4);
	ck_assert_int_eq(seen.addr_state, NEIGH_ADDR_PREFERRED);
	ck_assert(seen.addr_has_mac);
	now += 10 * S;
	for (unsigned int i = 0; i < 100; i++)
		arp_from(other_mac, ARP_REQUEST, gw4, host4);
	ck_assert_uint_eq(seen.frames, 2);
}
END_TEST

START_TEST(duplicate_check_of_ours_is_answered_to_all)
{
	static const uint8_t zero[16];

	ns_from(host_mac, zero, gw6);
	ck_assert_uint_eq(seen.frames, 1);
	ck_assert_mem_eq(seen.frame, "\x33\x33\x00\x00\x00\x01", 6);
	ck_assert_uint_eq(seen.frame[58], ND_OVERRIDE);
	arp_from(host_mac, ARP_REQUEST, zero, gw4);
	ck_assert_uint_eq(seen.frames, 2);
	ck_assert_mem_eq(seen.frame, host_mac, 6);
	ck_assert_mem_eq(seen.frame + 28, gw4, 4);
}
END_TEST

START_TEST(other_addresses_are_not_answered_for)
{
	arp_from(host_mac, ARP_REQUEST, host4, new4);
	ns_from(host_mac, host6, new6);
	ck_assert_uint_eq(seen.frames, 0);
	/* and not on another interface */
	ck_assert_int_eq(neigh_addr_add(t, WAN, AF_INET, new4, 24, false, now), 0);
	arp_from(host_mac, ARP_REQUEST, host4, new4);
	ck_assert_uint_eq(seen.frames, 0);
}
END_TEST

START_TEST(addresses_come_and_go)
{
	ck_assert_int_eq(neigh_addr_add(t, LAN, AF_INET, gw4, 24, false, now), -EEXIST);
	ck_assert_int_eq(neigh_addr_add(t, 99, AF_INET, new4, 24, false, now), -ENODEV);
	ck_assert_int_eq(neigh_addr_del(t, LAN, AF_INET, new4), -ENOENT);
	ck_assert_int_eq(neigh_addr_del(t, LAN, AF_INET, gw4), 0);
	arp_from(host_mac, ARP_REQUEST, host4, gw4);
	ck_assert_uint_eq(seen.frames, 0);
	ns_from(host_mac, host6, gw6);
	ck_assert_uint_eq(seen.frames, 1);
	neigh_iface_gone(t, LAN, now);
	ns_from(host_mac, host6, gw6);
	ck_assert_uint_eq(seen.frames, 1);
	for (unsigned int i = 0; i < NEIGH_ADDRS_MAX; i++) {
		uint8_t addr[16] = { 10, 1, (uint8_t)(i >> 8), (uint8_t)i };

		ck_assert_int_eq(neigh_addr_add(t, LAN, AF_INET, addr, 8, false, now), 0);
	}
	ck_assert_int_eq(neigh_addr_add(t, LAN, AF_INET, gw4, 8, false, now), -ENOBUFS);
}
END_TEST

START_TEST(times_are_parameters)
{
	const struct neigh_params params = {
		.max_entries = MAX, .ops = &ops, .seed = { 1, 2 }, .probes = 2, .retrans_ns = S / 4, .reachable_ns = 2 * S,
		.stale_ns = 7 * S,
	};
	uint8_t family = families[_i];
	struct fault f;

	teardown();
	ck_assert_int_eq(neigh_create(&t, &params, &f), 0);
	ck_assert_int_eq(neigh_addr_add(t, LAN, AF_INET, gw4, 24, false, now), 0);
	ck_assert_int_eq(neigh_addr_add(t, LAN, AF_INET6, gw6, 64, false, now), 0);
	pass(10 * S);
	forget_seen();
	neigh_resolve(t, LAN, family, host(family), now);
	pass(S / 4);
	ck_assert_uint_eq(seen.frames, 2);
	pass(S / 4);
	ck_assert_uint_eq(seen.frames, 2);
	ck_assert_int_eq(seen.event, NEIGH_EVENT_FAILED);
	pass(1 * S);
	forget_seen();
	make_reachable(family);
	pass(1 * S - 1);
	ck_assert_int_eq(state_of(family), NEIGH_REACHABLE);
	pass(2 * S + 1);
	ck_assert_int_eq(state_of(family), NEIGH_STALE);
	pass(7 * S);
	ck_assert_int_eq(state_of(family), NEIGH_NONE);
}
END_TEST

START_TEST(table_size_is_checked)
{
	struct neigh_params params = { .max_entries = 1, .ops = &ops };
	struct neigh_table *none = NULL;
	struct fault f;

	ck_assert_int_eq(neigh_create(&none, &params, &f), -EINVAL);
	params.max_entries = 65537;
	ck_assert_int_eq(neigh_create(&none, &params, &f), -EINVAL);
	ck_assert_ptr_null(none);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("neigh");
	TCase *tc = tcase_create("neigh");
	SRunner *sr;
	int failed;

	tcase_set_timeout(tc, 60);
	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_loop_test(tc, resolution_asks_and_believes_the_answer, 0, 2);
	tcase_add_loop_test(tc, resolution_fails_after_three_questions, 0, 2);
	tcase_add_test(tc, answer_to_a_later_question_counts);
	tcase_add_test(tc, resolution_needs_an_address_and_an_interface);
	tcase_add_test(tc, questions_come_from_the_right_address);
	tcase_add_loop_test(tc, reachable_becomes_stale_within_its_time, 0, 2);
	tcase_add_loop_test(tc, stale_and_used_is_probed, 0, 2);
	tcase_add_loop_test(tc, probe_without_answer_forgets, 0, 2);
	tcase_add_test(tc, confirmation_saves_the_probe);
	tcase_add_test(tc, nothing_unasked_makes_an_entry);
	tcase_add_test(tc, gratuitous_arp_moves_what_is_known);
	tcase_add_test(tc, request_answers_our_own_question);
	tcase_add_loop_test(tc, advertisements_by_the_table, 0, ARRAY_SIZE(advertised));
	tcase_add_test(tc, router_flag_is_kept);
	tcase_add_test(tc, bad_messages_are_refused);
	tcase_add_test(tc, a_scan_takes_half_of_the_table);
	tcase_add_test(tc, failed_goes_before_stale_and_the_stalest_first);
	tcase_add_test(tc, reachable_is_never_evicted);
	tcase_add_test(tc, answers_are_limited);
	tcase_add_test(tc, flush_tells_who_waits);
	tcase_add_test(tc, walk_meets_every_entry);
	tcase_add_loop_test(tc, random_life, 0, 3);
	tcase_add_test(tc, ipv4_address_is_probed_then_announced);
	tcase_add_test(tc, ipv6_address_is_solicited_then_advertised);
	tcase_add_loop_test(tc, duplicates_are_found, 0, 4);
	tcase_add_test(tc, own_frames_that_come_back_are_no_duplicate);
	tcase_add_test(tc, ipv4_address_is_defended_every_ten_seconds);
	tcase_add_test(tc, duplicate_check_of_ours_is_answered_to_all);
	tcase_add_test(tc, other_addresses_are_not_answered_for);
	tcase_add_test(tc, addresses_come_and_go);
	tcase_add_loop_test(tc, times_are_parameters, 0, 2);
	tcase_add_test(tc, table_size_is_checked);
	suite_add_tcase(s, tc);
	sr = srunner_create(s);
	srunner_run_all(sr, CK_NORMAL);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed != 0;
}
