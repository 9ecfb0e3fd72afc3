/* SPDX-License-Identifier: MIT */
/* The mirror fed with messages: orders of events that a live kernel produces only by chance. */
#include "canned.h"
#include "common/bytes.h"
#include "user/control/netlink_mirror_priv.h"

#include <check.h>
#include <stdlib.h>

static struct canned c;
static struct mirror *m;

/* The owner of the routes, small. */
#define ROUTES_MAX 16
static struct { struct nl_route r; bool used, seen; } routes[ROUTES_MAX];
static unsigned int sets, dels, link_events[3], addr_events[3], ends_complete, ends;

static int find(const struct nl_route_key *key)
{
	for (int i = 0; i < ROUTES_MAX; i++) {
		if (routes[i].used && nl_route_key_same(&routes[i].r.key, key))
			return i;
	}
	return -1;
}

static void on_begin(void *ctx, uint8_t family)
{
	(void)ctx;
	for (int i = 0; i < ROUTES_MAX; i++) {
		if (routes[i].r.key.family == family)
			routes[i].seen = false;
	}
}

static void on_set(void *ctx, const struct nl_route *r)
{
	int i = find(&r->key);

	(void)ctx;
	sets++;
	for (int k = 0; i < 0 && k < ROUTES_MAX; k++)
		i = routes[k].used ? -1 : k;
	ck_assert_int_ge(i, 0);
	memcpy(&routes[i].r, r, nl_route_bytes(r));
	routes[i].used = routes[i].seen = true;
}

static void on_del(void *ctx, const struct nl_route_key *key)
{
	int i = find(key);

	(void)ctx;
	dels++;
	if (i >= 0)
		routes[i].used = false;
}

static void on_end(void *ctx, uint8_t family, bool complete)
{
	(void)ctx;
	ends++;
	ends_complete += complete;
	for (int i = 0; complete && i < ROUTES_MAX; i++) {
		if (routes[i].used && routes[i].r.key.family == family && !routes[i].seen)
			routes[i].used = false;
	}
}

static void on_link(void *ctx, enum mirror_event ev, const struct nl_link *link, const struct nl_link *before)
{
	(void)ctx;
	(void)link;
	(void)before;
	link_events[ev]++;
}

static void on_addr(void *ctx, enum mirror_event ev, const struct nl_addr *addr)
{
	(void)ctx;
	(void)addr;
	addr_events[ev]++;
}

static void setup(void)
{
	static const struct mirror_ops ops = {
		.link = on_link, .addr = on_addr, .route_begin_resync = on_begin, .route_set = on_set,
		.route_del = on_del, .route_end_resync = on_end,
	};

	m = mirror_alloc(NULL, &ops, NULL);
	ck_assert_ptr_nonnull(m);
}

static void teardown(void)
{
	mirror_destroy(m);
}

/* ---- Input ---- */

static void feed(void)
{
	mirror_input(m, c.buf, c.nlh->nlmsg_len);
}

static void begin(enum dump d)
{
	m->seq++;
	mirror_begin_dump(m, d);
}

static void feed_dumped(int flags)
{
	c.nlh->nlmsg_flags |= (uint16_t)(NLM_F_MULTI | flags);
	c.nlh->nlmsg_seq = m->seq;
	feed();
}

static void done(void)
{
	*(int32_t *)canned_begin(&c, NLMSG_DONE, 0, 4) = 0;
	feed_dumped(0);
	ck_assert_int_eq(m->running, DUMP_NONE);
}

#define NEW_FIRST (NLM_F_CREATE | NLM_F_EXCL)
#define APPENDED  (NLM_F_CREATE | NLM_F_APPEND)

static void route(int type, int flags, const char *dst, const char *gw)
{
	canned_route(&c, type, flags, dst, RTN_UNICAST);
	canned_via(&c, gw, 1);
}

static void notify(int type, int flags, const char *dst, const char *gw)
{
	route(type, flags, dst, gw);
	feed();
}

static void dumped(const char *dst, const char *gw)
{
	route(RTM_NEWROUTE, 0, dst, gw);
	feed_dumped(0);
}

/* Last byte of the route's first gateway; 0 when there is no such route. */
static unsigned int has(const char *dst)
{
	struct nl_route want;
	int i;

	canned_route(&c, RTM_NEWROUTE, 0, dst, RTN_UNICAST);
	ck_assert_int_eq(nl_route_parse(c.nlh, &want), NL_OK);
	i = find(&want.key);
	if (i < 0)
		return 0;
	return routes[i].r.nexthops[0].gw.bytes[routes[i].r.nexthops[0].gw_family == AF_INET ? 3 : 15];
}

static unsigned int nexthops_of(const char *dst)
{
	struct nl_route want;
	int i;

	canned_route(&c, RTM_NEWROUTE, 0, dst, RTN_UNICAST);
	ck_assert_int_eq(nl_route_parse(c.nlh, &want), NL_OK);
	i = find(&want.key);
	return i < 0 ? 0 : routes[i].r.n_nexthops;
}

/* ---- Dumps and what crosses them ---- */

START_TEST(dump_sweeps_what_it_does_not_tell)
{
	begin(DUMP_ROUTE4);
	dumped("10.0.0.0/8", "192.0.2.2");
	dumped("11.0.0.0/8", "192.0.2.2");
	done();
	notify(RTM_NEWROUTE, NEW_FIRST, "2001:db8::/32", "2001:db8::9");
	begin(DUMP_ROUTE4);
	dumped("11.0.0.0/8", "192.0.2.3");
	done();
	ck_assert_uint_eq(has("10.0.0.0/8"), 0);
	ck_assert_uint_eq(has("11.0.0.0/8"), 3);
	ck_assert_uint_eq(has("2001:db8::/32"), 9);
	ck_assert_uint_eq(m->pending, 0);
}
END_TEST

START_TEST(interrupted_dump_removes_nothing_and_is_repeated)
{
	notify(RTM_NEWROUTE, NEW_FIRST, "10.0.0.0/8", "192.0.2.2");
	canned_link(&c, RTM_NEWLINK, 1, "eth0", IFF_UP);
	feed();
	begin(DUMP_ROUTE4);
	route(RTM_NEWROUTE, 0, "11.0.0.0/8", "192.0.2.2");
	feed_dumped(NLM_F_DUMP_INTR);
	done();
	ck_assert_uint_eq(has("10.0.0.0/8"), 2);
	ck_assert_uint_eq(ends, 1);
	ck_assert_uint_eq(ends_complete, 0);
	begin(DUMP_LINK);
	canned_begin(&c, NLMSG_DONE, NLM_F_DUMP_INTR, 4);
	feed_dumped(0);
	ck_assert_ptr_nonnull(mirror_link(m, 1));
	ck_assert_uint_eq(m->pending, DUMP_BIT(DUMP_ROUTE4) | DUMP_BIT(DUMP_LINK));
	ck_assert_uint_eq(m->stats.dumps_interrupted, 2);
	begin(DUMP_LINK);
	done();
	ck_assert_ptr_null(mirror_link(m, 1));
	ck_assert_uint_eq(link_events[MIRROR_REMOVED], 1);
}
END_TEST

START_TEST(dump_that_ends_in_an_error_removes_nothing)
{
	notify(RTM_NEWROUTE, NEW_FIRST, "10.0.0.0/8", "192.0.2.2");
	begin(DUMP_ROUTE4);
	*(int32_t *)canned_begin(&c, NLMSG_DONE, 0, 4) = -90;
	feed_dumped(0);
	ck_assert_int_eq(m->running, DUMP_NONE);
	ck_assert_uint_eq(has("10.0.0.0/8"), 2);
	ck_assert_uint_eq(m->pending, DUMP_BIT(DUMP_ROUTE4));
	ck_assert_uint_eq(m->stats.dumps_failed, 1);
}
END_TEST

START_TEST(notified_deletion_wins_over_an_older_dump)
{
	notify(RTM_NEWROUTE, NEW_FIRST, "10.0.0.0/8", "192.0.2.2");
	begin(DUMP_ROUTE4);
	notify(RTM_DELROUTE, 0, "10.0.0.0/8", "192.0.2.2");
	dumped("10.0.0.0/8", "192.0.2.2");
	done();
	ck_assert_uint_eq(has("10.0.0.0/8"), 0);
	ck_assert_uint_eq(m->pending, DUMP_BIT(DUMP_ROUTE4));	/* unless there were two of it */
	ck_assert_uint_eq(m->stats.races, 1);
}
END_TEST

START_TEST(notified_change_wins_over_an_older_dump)
{
	notify(RTM_NEWROUTE, NEW_FIRST, "10.0.0.0/8", "192.0.2.2");
	begin(DUMP_ROUTE4);
	notify(RTM_NEWROUTE, NLM_F_CREATE | NLM_F_REPLACE, "10.0.0.0/8", "192.0.2.3");
	dumped("10.0.0.0/8", "192.0.2.2");
	notify(RTM_NEWROUTE, NEW_FIRST, "12.0.0.0/8", "192.0.2.4");	/* never dumped: newer than the dump's place */
	done();
	ck_assert_uint_eq(has("10.0.0.0/8"), 3);
	ck_assert_uint_eq(has("12.0.0.0/8"), 4);
	ck_assert_uint_eq(m->pending, 0);
	/* The same for what the mirror keeps itself. */
	canned_link(&c, RTM_NEWLINK, 1, "eth0", IFF_UP);
	feed();
	begin(DUMP_LINK);
	canned_link(&c, RTM_DELLINK, 1, "eth0", IFF_UP);
	feed();
	canned_link(&c, RTM_NEWLINK, 1, "eth0", IFF_UP);
	feed_dumped(0);
	done();
	ck_assert_ptr_null(mirror_link(m, 1));
}
END_TEST

START_TEST(more_changes_than_are_remembered_lead_to_another_dump)
{
	begin(DUMP_NEIGH4);
	for (unsigned int i = 0; i < 70000; i++) {
		char ip[32];

		snprintf(ip, sizeof(ip), "10.%u.%u.%u", i >> 16, i >> 8 & 255, i & 255);
		canned_neigh(&c, RTM_DELNEIGH, 1, ip, NUD_FAILED);
		feed();
	}
	done();
	ck_assert_uint_eq(m->pending, DUMP_BIT(DUMP_NEIGH4));
	ck_assert_ptr_null(m->touched);
}
END_TEST

START_TEST(rest_of_an_abandoned_dump_is_ignored)
{
	m->portid = 77;
	begin(DUMP_ROUTE4);
	m->seq++;	/* given up, and asked again */
	route(RTM_NEWROUTE, NLM_F_MULTI, "10.0.0.0/8", "192.0.2.2");
	c.nlh->nlmsg_seq = m->seq - 1;
	c.nlh->nlmsg_pid = 77;
	feed();
	ck_assert_uint_eq(sets, 0);
}
END_TEST

/* ---- Several routes of a key ---- */

START_TEST(dump_gives_the_first_of_several_routes)
{
	begin(DUMP_ROUTE4);
	dumped("10.0.0.0/8", "192.0.2.2");
	dumped("10.0.0.0/8", "192.0.2.3");
	dumped("10.0.0.0/8", "192.0.2.4");
	done();
	ck_assert_uint_eq(has("10.0.0.0/8"), 2);
	ck_assert_uint_eq(m->stats.stacks, 1);
	notify(RTM_DELROUTE, 0, "10.0.0.0/8", "192.0.2.3");
	ck_assert_uint_eq(has("10.0.0.0/8"), 2);
	notify(RTM_DELROUTE, 0, "10.0.0.0/8", "192.0.2.2");
	ck_assert_uint_eq(has("10.0.0.0/8"), 4);
	ck_assert_uint_eq(m->stats.stacks, 0);
	notify(RTM_DELROUTE, 0, "10.0.0.0/8", "192.0.2.4");
	ck_assert_uint_eq(has("10.0.0.0/8"), 0);
}
END_TEST

START_TEST(prepended_route_counts_until_it_goes)
{
	notify(RTM_NEWROUTE, NEW_FIRST, "10.0.0.0/8", "192.0.2.2");
	notify(RTM_NEWROUTE, NLM_F_CREATE, "10.0.0.0/8", "192.0.2.3");
	ck_assert_uint_eq(has("10.0.0.0/8"), 3);
	notify(RTM_DELROUTE, 0, "10.0.0.0/8", "192.0.2.3");
	/* What counts now was never kept here: no stale route, and a dump. */
	ck_assert_uint_eq(has("10.0.0.0/8"), 0);
	ck_assert_uint_eq(m->pending, DUMP_BIT(DUMP_ROUTE4));
}
END_TEST

START_TEST(stacks_do_not_outlive_their_routes)
{
	notify(RTM_NEWROUTE, NEW_FIRST, "10.0.0.0/8", "192.0.2.2");
	notify(RTM_NEWROUTE, APPENDED, "10.0.0.0/8", "192.0.2.3");
	ck_assert_uint_eq(m->stats.stacks, 1);
	begin(DUMP_ROUTE4);
	done();
	ck_assert_uint_eq(m->stats.stacks, 0);
	ck_assert_uint_eq(has("10.0.0.0/8"), 0);
	for (int i = 0; i < 200; i++) {
		char gw[32];

		snprintf(gw, sizeof(gw), "192.0.2.%d", i + 1);
		notify(RTM_NEWROUTE, APPENDED, "10.0.0.0/8", gw);
	}
	ck_assert_uint_eq(m->stats.stacks, 1);
	ck_assert_uint_gt(m->stats.full, 0);	/* bounded, and counted */
	notify(RTM_NEWROUTE, NEW_FIRST, "10.0.0.0/8", "192.0.2.2");
	ck_assert_uint_eq(m->stats.stacks, 0);
}
END_TEST

static const char *const two[] = { "2001:db8::2", "2001:db8::3" };
static const char *const three[] = { "2001:db8::2", "2001:db8::3", "2001:db8::4" };

START_TEST(ipv6_sibling_goes_alone)
{
	canned_route(&c, RTM_NEWROUTE, NLM_F_CREATE, "2001:db8:a::/48", RTN_UNICAST);
	canned_multipath(&c, three, 3);
	feed();
	ck_assert_uint_eq(nexthops_of("2001:db8:a::/48"), 3);
	canned_route(&c, RTM_DELROUTE, 0, "2001:db8:a::/48", RTN_UNICAST);
	canned_via(&c, "2001:db8::2", 1);
	feed();
	ck_assert_uint_eq(nexthops_of("2001:db8:a::/48"), 2);
	ck_assert_uint_eq(has("2001:db8:a::/48"), 3);
	canned_route(&c, RTM_DELROUTE, 0, "2001:db8:a::/48", RTN_UNICAST);
	canned_via(&c, "2001:db8::4", 3);
	feed();
	ck_assert_uint_eq(nexthops_of("2001:db8:a::/48"), 1);
	ck_assert_uint_eq(m->stats.stacks, 0);
	canned_route(&c, RTM_DELROUTE, 0, "2001:db8:a::/48", RTN_UNICAST);
	canned_via(&c, "2001:db8::3", 2);
	feed();
	ck_assert_uint_eq(nexthops_of("2001:db8:a::/48"), 0);
	ck_assert_uint_eq(m->pending, 0);
}
END_TEST

START_TEST(ipv6_route_grows_by_a_sibling)
{
	notify(RTM_NEWROUTE, NEW_FIRST, "2001:db8:a::/48", "2001:db8::2");
	canned_route(&c, RTM_NEWROUTE, APPENDED, "2001:db8:a::/48", RTN_UNICAST);
	canned_multipath(&c, two, 2);
	feed();
	ck_assert_uint_eq(nexthops_of("2001:db8:a::/48"), 2);
	canned_route(&c, RTM_NEWROUTE, APPENDED, "2001:db8:a::/48", RTN_UNICAST);
	canned_multipath(&c, three, 3);
	feed();
	ck_assert_uint_eq(nexthops_of("2001:db8:a::/48"), 3);
	/* All at once. */
	canned_route(&c, RTM_DELROUTE, 0, "2001:db8:a::/48", RTN_UNICAST);
	canned_multipath(&c, three, 3);
	feed();
	ck_assert_uint_eq(nexthops_of("2001:db8:a::/48"), 0);
	ck_assert_uint_eq(m->stats.stacks, 0);
}
END_TEST

/* ---- What one thing means for others ---- */

START_TEST(silent_losses_lead_to_a_dump)
{
	const uint32_t with_routes = DUMP_BIT(DUMP_NHOBJ) | DUMP_BIT(DUMP_ROUTE4) | DUMP_BIT(DUMP_ROUTE6);

	canned_link(&c, RTM_NEWLINK, 1, "eth0", IFF_UP | IFF_RUNNING);
	feed();
	ck_assert_uint_eq(m->pending, 0);
	canned_link(&c, RTM_NEWLINK, 1, "eth0", IFF_UP);
	feed();
	ck_assert_uint_eq(m->pending, with_routes);
	m->pending = 0;
	canned_link(&c, RTM_NEWLINK, 1, "eth0", IFF_UP | IFF_RUNNING);
	feed();
	ck_assert_uint_eq(m->pending, 0);	/* nothing was dead */
	m->dead_seen[0] = true;
	canned_link(&c, RTM_NEWLINK, 1, "eth0", IFF_UP);
	feed();
	m->pending = 0;
	canned_link(&c, RTM_NEWLINK, 1, "eth0", IFF_UP | IFF_RUNNING);
	feed();
	ck_assert_uint_eq(m->pending, DUMP_BIT(DUMP_NHOBJ) | DUMP_BIT(DUMP_ROUTE4));
	m->pending = 0;
	canned_addr(&c, RTM_NEWADDR, 1, "192.0.2.1", 24);
	feed();
	canned_addr(&c, RTM_DELADDR, 1, "192.0.2.1", 24);
	m->pending = 0;
	feed();
	ck_assert_uint_eq(m->pending, DUMP_BIT(DUMP_ROUTE4));
	m->pending = 0;
	canned_link(&c, RTM_DELLINK, 1, "eth0", 0);
	feed();
	ck_assert_uint_eq(m->pending, with_routes);
}
END_TEST

START_TEST(link_takes_its_addresses_and_neighbours_along)
{
	canned_link(&c, RTM_NEWLINK, 1, "eth0", IFF_UP);
	feed();
	canned_link(&c, RTM_NEWLINK, 2, "eth1", IFF_UP);
	feed();
	canned_addr(&c, RTM_NEWADDR, 1, "192.0.2.1", 24);
	feed();
	canned_addr(&c, RTM_NEWADDR, 2, "192.0.2.9", 24);
	feed();
	canned_neigh(&c, RTM_NEWNEIGH, 1, "2001:db8::2", NUD_STALE);
	feed();
	ck_assert_uint_eq(m->stats.addrs, 2);
	begin(DUMP_LINK);
	canned_link(&c, RTM_NEWLINK, 2, "eth1", IFF_UP);
	feed_dumped(0);
	done();
	ck_assert_uint_eq(m->stats.links, 1);
	ck_assert_uint_eq(m->stats.addrs, 1);
	ck_assert_uint_eq(m->stats.neighs, 0);
	ck_assert_uint_eq(addr_events[MIRROR_REMOVED], 1);
}
END_TEST

static void route_by_object(int flags, const char *dst, uint32_t id)
{
	canned_route(&c, RTM_NEWROUTE, flags, dst, RTN_UNICAST);
	mnl_attr_put_u32(c.nlh, RTA_NH_ID, id);
	feed();
}

START_TEST(nexthop_objects_are_resolved_and_watched)
{
	static const char *const gw[] = { "192.0.2.1", "192.0.2.2", "2001:db8::3" };

	for (uint32_t id = 1; id <= 3; id++) {
		canned_nexthop(&c, RTM_NEWNEXTHOP, id, gw[id - 1], id);
		feed();
	}
	canned_group(&c, RTM_NEWNEXTHOP, 9, 3);
	feed();
	ck_assert_uint_eq(m->pending, 0);
	route_by_object(NEW_FIRST, "10.0.0.0/8", 9);
	ck_assert_uint_eq(nexthops_of("10.0.0.0/8"), 3);
	canned_nexthop(&c, RTM_NEWNEXTHOP, 2, "192.0.2.2", 2);	/* as it was */
	feed();
	ck_assert_uint_eq(m->pending, 0);
	canned_nexthop(&c, RTM_NEWNEXTHOP, 2, "192.0.2.77", 2);	/* a member of the group in use */
	feed();
	ck_assert_uint_eq(m->pending, DUMP_ROUTES);
	m->pending = 0;
	route_by_object(NEW_FIRST, "11.0.0.0/8", 4);		/* not known yet */
	ck_assert_uint_eq(m->pending, DUMP_BIT(DUMP_NHOBJ) | DUMP_BIT(DUMP_ROUTE4));
	ck_assert_uint_eq(m->stats.nexthops_unresolved, 1);
	ck_assert_uint_eq(nexthops_of("11.0.0.0/8"), 0);
	/* It stays unknown: the dumps for its sake end. */
	for (int i = 0; i < 5; i++) {
		begin(DUMP_ROUTE4);
		canned_route(&c, RTM_NEWROUTE, 0, "11.0.0.0/8", RTN_UNICAST);
		mnl_attr_put_u32(c.nlh, RTA_NH_ID, 4);
		feed_dumped(0);
		m->pending = 0;
		done();
	}
	begin(DUMP_ROUTE4);
	canned_route(&c, RTM_NEWROUTE, 0, "11.0.0.0/8", RTN_UNICAST);
	mnl_attr_put_u32(c.nlh, RTA_NH_ID, 4);
	feed_dumped(0);
	ck_assert_uint_eq(m->pending, 0);
}
END_TEST

START_TEST(malformed_messages_are_counted)
{
	canned_route(&c, RTM_NEWROUTE, NEW_FIRST, "10.0.0.1/8", RTN_UNICAST);
	feed();
	ck_assert_uint_eq(m->stats.malformed, 1);
	canned_link(&c, RTM_NEWLINK, 1, "eth0", IFF_UP);
	mirror_input(m, c.buf, c.nlh->nlmsg_len - 1);	/* the message says it is longer than what came */
	ck_assert_uint_eq(m->stats.malformed, 2);
	mirror_input(m, c.buf, 3);
	ck_assert_uint_eq(m->stats.malformed, 3);
	c.nlh->nlmsg_len = 0xfffffffd;			/* negative to who takes it for an int */
	mirror_input(m, c.buf, 64);
	ck_assert_uint_eq(m->stats.malformed, 4);
	ck_assert_uint_eq(m->stats.links, 0);
	ck_assert_uint_eq(sets, 0);
}
END_TEST

START_TEST(tables_are_chosen)
{
	canned_route(&c, RTM_NEWROUTE, NEW_FIRST, "10.0.0.0/8", RTN_UNICAST);
	mnl_attr_put_u32(c.nlh, RTA_TABLE, 1000);
	feed();
	ck_assert_uint_eq(sets, 0);
	m->config.tables[0] = 1000;
	feed();
	ck_assert_uint_eq(sets, 1);
	ck_assert_uint_eq(dels, 0);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("mirror");
	TCase *tc = tcase_create("mirror");
	SRunner *r = srunner_create(s);
	int failed;

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, dump_sweeps_what_it_does_not_tell);
	tcase_add_test(tc, interrupted_dump_removes_nothing_and_is_repeated);
	tcase_add_test(tc, dump_that_ends_in_an_error_removes_nothing);
	tcase_add_test(tc, notified_deletion_wins_over_an_older_dump);
	tcase_add_test(tc, notified_change_wins_over_an_older_dump);
	tcase_add_test(tc, more_changes_than_are_remembered_lead_to_another_dump);
	tcase_add_test(tc, rest_of_an_abandoned_dump_is_ignored);
	tcase_add_test(tc, dump_gives_the_first_of_several_routes);
	tcase_add_test(tc, prepended_route_counts_until_it_goes);
	tcase_add_test(tc, stacks_do_not_outlive_their_routes);
	tcase_add_test(tc, ipv6_sibling_goes_alone);
	tcase_add_test(tc, ipv6_route_grows_by_a_sibling);
	tcase_add_test(tc, silent_losses_lead_to_a_dump);
	tcase_add_test(tc, link_takes_its_addresses_and_neighbours_along);
	tcase_add_test(tc, nexthop_objects_are_resolved_and_watched);
	tcase_add_test(tc, malformed_messages_are_counted);
	tcase_add_test(tc, tables_are_chosen);
	suite_add_tcase(s, tc);
	srunner_run_all(r, CK_ENV);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
