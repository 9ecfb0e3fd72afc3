/* SPDX-License-Identifier: MIT */
/* The parsers of rtnetlink's messages: what they take, and that nothing malformed gets through or crashes. */
#include "canned.h"
#include "common/bytes.h"
#include "user/control/netlink_attr.h"
#include "user/control/netlink_request.h"

#include <check.h>
#include <errno.h>
#include <stdlib.h>

static struct canned c;
static struct nl_route r;

static enum nl_verdict parse_link(const struct nlmsghdr *nlh)
{
	struct nl_link l;

	return nl_link_parse(nlh, NULL, &l);
}

static enum nl_verdict parse_addr(const struct nlmsghdr *nlh)
{
	struct nl_addr a;

	return nl_addr_parse(nlh, &a);
}

static enum nl_verdict parse_neigh(const struct nlmsghdr *nlh)
{
	struct nl_neigh n;

	return nl_neigh_parse(nlh, &n);
}

static enum nl_verdict parse_route(const struct nlmsghdr *nlh)
{
	return nl_route_parse(nlh, &r);
}

static enum nl_verdict parse_nexthop(const struct nlmsghdr *nlh)
{
	static struct nl_nhobj nh;

	return nl_nhobj_parse(nlh, &nh);
}

static void make_link(void)
{
	canned_link(&c, RTM_NEWLINK, 3, "eth0", IFF_UP);
}

static void make_vlan(void)
{
	canned_vlan(&c, 7, "eth0.100", 100, 0x8100, 3);
}

static void make_addr4(void)
{
	canned_addr(&c, RTM_NEWADDR, 3, "192.0.2.1", 24);
}

static void make_addr6(void)
{
	canned_addr(&c, RTM_NEWADDR, 3, "2001:db8::1", 64);
}

static void make_neigh(void)
{
	canned_neigh(&c, RTM_NEWNEIGH, 3, "192.0.2.2", NUD_REACHABLE);
}

static void make_route4(void)
{
	struct nlattr *nest;

	canned_route(&c, RTM_NEWROUTE, 0, "10.0.0.0/8", RTN_UNICAST);
	canned_via(&c, "192.0.2.2", 3);
	canned_ip(&c, RTA_PREFSRC, "192.0.2.1");
	nest = mnl_attr_nest_start(c.nlh, RTA_METRICS);
	mnl_attr_put_u32(c.nlh, RTAX_MTU, 1400);
	mnl_attr_nest_end(c.nlh, nest);
}

static const char *const gateways4[] = { "192.0.2.2", "192.0.2.3", "192.0.2.4" };
static const char *const gateways6[] = { "2001:db8::2", "2001:db8::3", "2001:db8::4" };

static void make_ecmp4(void)
{
	canned_route(&c, RTM_NEWROUTE, 0, "10.0.0.0/8", RTN_UNICAST);
	canned_multipath(&c, gateways4, 3);
}

static void make_ecmp6(void)
{
	canned_route(&c, RTM_NEWROUTE, 0, "2001:db8:a::/48", RTN_UNICAST);
	canned_multipath(&c, gateways6, 3);
}

static void make_via6(void)
{
	uint8_t via[18] = { AF_INET6, 0, 0x20, 0x01, 0x0d, 0xb8, [17] = 2 };

	canned_route(&c, RTM_NEWROUTE, 0, "10.0.0.0/8", RTN_UNICAST);
	mnl_attr_put(c.nlh, RTA_VIA, sizeof(via), via);
	mnl_attr_put_u32(c.nlh, RTA_OIF, 3);
}

static void make_nexthop(void)
{
	canned_nexthop(&c, RTM_NEWNEXTHOP, 5, "192.0.2.2", 3);
}

static void make_group(void)
{
	canned_group(&c, RTM_NEWNEXTHOP, 9, 3);
}

static const struct {
	const char *name;
	void (*make)(void);
	enum nl_verdict (*parse)(const struct nlmsghdr *nlh);
	size_t header;
} samples[] = {
	{ "link", make_link, parse_link, sizeof(struct ifinfomsg) },
	{ "VLAN", make_vlan, parse_link, sizeof(struct ifinfomsg) },
	{ "IPv4 address", make_addr4, parse_addr, sizeof(struct ifaddrmsg) },
	{ "IPv6 address", make_addr6, parse_addr, sizeof(struct ifaddrmsg) },
	{ "neighbour", make_neigh, parse_neigh, sizeof(struct ndmsg) },
	{ "IPv4 route", make_route4, parse_route, sizeof(struct rtmsg) },
	{ "IPv4 ECMP route", make_ecmp4, parse_route, sizeof(struct rtmsg) },
	{ "IPv6 ECMP route", make_ecmp6, parse_route, sizeof(struct rtmsg) },
	{ "IPv4 route by an IPv6 gateway", make_via6, parse_route, sizeof(struct rtmsg) },
	{ "nexthop object", make_nexthop, parse_nexthop, sizeof(struct nhmsg) },
	{ "nexthop group", make_group, parse_nexthop, sizeof(struct nhmsg) },
};

/* Parse a copy of exactly @len bytes, so that the sanitizer sees each read beyond. */
static enum nl_verdict parse_exact(size_t sample, const struct nlmsghdr *nlh, size_t len)
{
	struct nlmsghdr *copy = malloc(len);
	enum nl_verdict v;

	memcpy(copy, nlh, len);
	copy->nlmsg_len = (uint32_t)len;
	v = samples[sample].parse(copy);
	free(copy);
	return v;
}

START_TEST(whole_messages_are_taken)
{
	samples[_i].make();
	ck_assert_msg(parse_exact((size_t)_i, c.nlh, c.nlh->nlmsg_len) == NL_OK, "%s", samples[_i].name);
}
END_TEST

START_TEST(cut_messages_are_refused)
{
	size_t whole, good = 0;

	samples[_i].make();
	whole = c.nlh->nlmsg_len;
	for (size_t len = sizeof(struct nlmsghdr); len < whole; len++) {
		enum nl_verdict v = parse_exact((size_t)_i, c.nlh, len);

		if (len < sizeof(struct nlmsghdr) + samples[_i].header)
			ck_assert_msg(v == NL_MALFORMED, "%s of %zu bytes", samples[_i].name, len);
		good += v == NL_OK;	/* cut just before or within the padding of an attribute that is not needed */
	}
	ck_assert_msg(good < whole / 8 * 7 && good < whole, "%s: %zu of %zu lengths taken",
		      samples[_i].name, good, whole);
}
END_TEST

/* Each byte of each message, changed to a few values: no crash, and lengths beyond the message are refused. */
START_TEST(changed_bytes_do_not_crash)
{
	static const uint8_t values[] = { 0x00, 0x01, 0x7f, 0x80, 0xff };
	struct canned pristine;

	samples[_i].make();
	memcpy(&pristine, &c, sizeof(c));
	for (size_t at = sizeof(struct nlmsghdr); at < c.nlh->nlmsg_len; at++) {
		for (size_t k = 0; k < ARRAY_SIZE(values); k++) {
			c.buf[at] = values[k];
			(void)parse_exact((size_t)_i, c.nlh, c.nlh->nlmsg_len);
			c.buf[at] = pristine.buf[at];
		}
	}
	/* The first attribute claims more than there is, or less than its own header. */
	for (uint16_t len = 0; len < 4; len++) {
		memcpy(c.buf + NL_HDR + nl_align(samples[_i].header), &len, sizeof(len));
		ck_assert_int_eq(parse_exact((size_t)_i, c.nlh, c.nlh->nlmsg_len), NL_MALFORMED);
	}
	memset(c.buf + NL_HDR + nl_align(samples[_i].header), 0xff, 2);
	ck_assert_int_eq(parse_exact((size_t)_i, c.nlh, c.nlh->nlmsg_len), NL_MALFORMED);
}
END_TEST

START_TEST(vlan_is_understood)
{
	struct nl_link l;

	canned_vlan(&c, 7, "eth0.100", 100, 0x88a8, 3);
	ck_assert_int_eq(nl_link_parse(c.nlh, NULL, &l), NL_OK);
	ck_assert_str_eq(l.kind, "vlan");
	ck_assert_uint_eq(l.vlan_id, 100);
	ck_assert_uint_eq(l.vlan_proto, htons(0x88a8));
	ck_assert_uint_eq(l.parent, 3);
	ck_assert_uint_eq(l.rx_queues, 4);
}
END_TEST

/* A bridge tells of its ports by link messages of its own family. */
START_TEST(bridge_messages_are_no_links)
{
	canned_link(&c, RTM_DELLINK, 3, "eth0", IFF_UP);
	((struct ifinfomsg *)mnl_nlmsg_get_payload(c.nlh))->ifi_family = AF_BRIDGE;
	ck_assert_int_eq(parse_link(c.nlh), NL_NOT_OURS);
	canned_neigh(&c, RTM_NEWNEIGH, 3, "192.0.2.2", NUD_REACHABLE);
	((struct ndmsg *)mnl_nlmsg_get_payload(c.nlh))->ndm_family = AF_BRIDGE;
	ck_assert_int_eq(parse_neigh(c.nlh), NL_NOT_OURS);
}
END_TEST

/* Wireless drivers announce events with the name alone. */
START_TEST(sparse_link_message_keeps_what_was_known)
{
	struct nl_link before, now;
	struct ifinfomsg *ifi;

	make_link();
	ck_assert_int_eq(nl_link_parse(c.nlh, NULL, &before), NL_OK);
	ifi = canned_begin(&c, RTM_NEWLINK, 0, sizeof(*ifi));
	ifi->ifi_index = 3;
	ifi->ifi_type = 1;
	ifi->ifi_flags = IFF_UP;
	mnl_attr_put_strz(c.nlh, IFLA_IFNAME, "eth0");
	ck_assert_int_eq(nl_link_parse(c.nlh, &before, &now), NL_OK);
	ck_assert_mem_eq(&before, &now, sizeof(now));
}
END_TEST

START_TEST(route_attributes_are_understood)
{
	make_route4();
	ck_assert_int_eq(nl_route_parse(c.nlh, &r), NL_OK);
	ck_assert_uint_eq(r.key.family, AF_INET);
	ck_assert_uint_eq(r.key.dst_len, 8);
	ck_assert_uint_eq(r.key.dst.v4, htonl(0x0a000000));
	ck_assert_uint_eq(r.key.metric, 100);
	ck_assert_uint_eq(r.key.table, RT_TABLE_MAIN);
	ck_assert_uint_eq(r.mtu_bytes, 1400);
	ck_assert(r.has_prefsrc && r.prefsrc.v4 == htonl(0xc0000201));
	ck_assert_uint_eq(r.n_nexthops, 1);
	ck_assert_uint_eq(r.nexthops[0].gw.v4, htonl(0xc0000202));
	ck_assert_uint_eq(r.nexthops[0].weight, 1);
	make_ecmp6();
	ck_assert_int_eq(nl_route_parse(c.nlh, &r), NL_OK);
	ck_assert_uint_eq(r.n_nexthops, 3);
	ck_assert_uint_eq(r.nexthops[2].weight, 3);
	ck_assert_uint_eq(r.nexthops[2].ifindex, 3);
	ck_assert_uint_eq(r.nexthops[2].gw.bytes[15], 4);
	make_via6();
	ck_assert_int_eq(nl_route_parse(c.nlh, &r), NL_OK);
	ck_assert_uint_eq(r.nexthops[0].gw_family, AF_INET6);
	ck_assert_uint_eq(r.nexthops[0].gw.bytes[15], 2);
	/* Encapsulation is for the kernel only, and the route says so. */
	make_route4();
	mnl_attr_put_u16(c.nlh, RTA_ENCAP_TYPE, 1);
	ck_assert_int_eq(nl_route_parse(c.nlh, &r), NL_OK);
	ck_assert(r.nexthops[0].encap);
	/* What leads nowhere has no nexthop although IPv6 names a device. */
	canned_route(&c, RTM_NEWROUTE, 0, "2001:db8::/32", RTN_UNREACHABLE);
	canned_via(&c, NULL, 1);
	ck_assert_int_eq(nl_route_parse(c.nlh, &r), NL_OK);
	ck_assert_uint_eq(r.n_nexthops, 0);
}
END_TEST

static struct rtmsg *rtm(void)
{
	return mnl_nlmsg_get_payload(c.nlh);
}

START_TEST(routes_of_no_interest_are_told_apart)
{
	make_route4();
	rtm()->rtm_flags |= RTM_F_CLONED;
	ck_assert_int_eq(parse_route(c.nlh), NL_NOT_OURS);
	make_route4();
	rtm()->rtm_type = RTN_MULTICAST;
	ck_assert_int_eq(parse_route(c.nlh), NL_NOT_OURS);
	make_route4();
	rtm()->rtm_type = RTN_NAT;
	ck_assert_int_eq(parse_route(c.nlh), NL_NOT_OURS);
	make_route4();
	rtm()->rtm_tos = 4;
	ck_assert_int_eq(parse_route(c.nlh), NL_NOT_OURS);
	make_ecmp6();
	rtm()->rtm_src_len = 64;
	ck_assert_int_eq(parse_route(c.nlh), NL_NOT_OURS);
	make_ecmp6();
	rtm()->rtm_family = 28;	/* MPLS */
	ck_assert_int_eq(parse_route(c.nlh), NL_NOT_OURS);
	canned_route(&c, RTM_NEWROUTE, 0, "fe80::/64", RTN_UNICAST);
	canned_via(&c, NULL, 3);
	ck_assert_int_eq(parse_route(c.nlh), NL_NOT_OURS);
	canned_route(&c, RTM_NEWROUTE, 0, "ff00::/8", RTN_UNICAST);
	canned_via(&c, NULL, 3);
	ck_assert_int_eq(parse_route(c.nlh), NL_NOT_OURS);
}
END_TEST

START_TEST(unsound_routes_are_refused)
{
	make_route4();
	rtm()->rtm_dst_len = 33;
	ck_assert_int_eq(parse_route(c.nlh), NL_MALFORMED);
	canned_route(&c, RTM_NEWROUTE, 0, "10.0.0.1/8", RTN_UNICAST);	/* host bits */
	ck_assert_int_eq(parse_route(c.nlh), NL_MALFORMED);
	canned_route(&c, RTM_NEWROUTE, 0, "0.0.0.0/0", RTN_UNICAST);
	rtm()->rtm_dst_len = 8;						/* without a destination */
	ck_assert_int_eq(parse_route(c.nlh), NL_MALFORMED);
	make_route4();
	rtm()->rtm_family = AF_INET6;					/* addresses of 4 bytes */
	ck_assert_int_eq(parse_route(c.nlh), NL_MALFORMED);
	canned_route(&c, RTM_NEWROUTE, 0, "10.0.0.0/8", RTN_UNICAST);
	mnl_attr_put_u16(c.nlh, RTA_OIF, 3);
	ck_assert_int_eq(parse_route(c.nlh), NL_MALFORMED);
	canned_route(&c, RTM_NEWROUTE, 0, "10.0.0.0/8", RTN_UNICAST);
	mnl_attr_put(c.nlh, RTA_VIA, 1, "");
	ck_assert_int_eq(parse_route(c.nlh), NL_MALFORMED);
	make_ecmp4();
	((struct rtnexthop *)(void *)(c.buf + c.nlh->nlmsg_len - sizeof(struct rtnexthop) - 8))->rtnh_len = 200;
	ck_assert_int_eq(parse_route(c.nlh), NL_MALFORMED);
}
END_TEST

START_TEST(too_many_nexthops_are_cut_and_say_so)
{
	static const char *gw[NL_NEXTHOPS_MAX + 1];
	static struct nl_nhobj nh;

	for (size_t i = 0; i < ARRAY_SIZE(gw); i++)
		gw[i] = "192.0.2.2";
	canned_route(&c, RTM_NEWROUTE, 0, "10.0.0.0/8", RTN_UNICAST);
	canned_multipath(&c, gw, NL_NEXTHOPS_MAX);
	ck_assert_int_eq(nl_route_parse(c.nlh, &r), NL_OK);
	ck_assert(r.n_nexthops == NL_NEXTHOPS_MAX && !r.nexthops_cut);
	canned_route(&c, RTM_NEWROUTE, 0, "10.0.0.0/8", RTN_UNICAST);
	canned_multipath(&c, gw, NL_NEXTHOPS_MAX + 1);
	ck_assert_int_eq(nl_route_parse(c.nlh, &r), NL_OK);
	ck_assert(r.n_nexthops == NL_NEXTHOPS_MAX && r.nexthops_cut);
	canned_group(&c, RTM_NEWNEXTHOP, 9, NL_NEXTHOPS_MAX + 1);
	ck_assert_int_eq(nl_nhobj_parse(c.nlh, &nh), NL_OK);
	ck_assert(nh.n_members == NL_NEXTHOPS_MAX && nh.cut);
}
END_TEST

START_TEST(nexthop_groups_are_understood)
{
	static struct nl_nhobj nh;

	make_group();
	ck_assert_int_eq(nl_nhobj_parse(c.nlh, &nh), NL_OK);
	ck_assert_uint_eq(nh.id, 9);
	ck_assert_uint_eq(nh.n_members, 3);
	ck_assert_uint_eq(nh.members[0].id, 1);
	ck_assert_uint_eq(nh.members[0].weight, 256);
	ck_assert_uint_eq(nh.members[1].weight, 257);	/* the high byte of Linux 6.12 */
	canned_group(&c, RTM_NEWNEXTHOP, 9, 0);
	ck_assert_int_eq(nl_nhobj_parse(c.nlh, &nh), NL_MALFORMED);
	canned_nexthop(&c, RTM_NEWNEXTHOP, 0, "192.0.2.2", 3);
	ck_assert_int_eq(nl_nhobj_parse(c.nlh, &nh), NL_MALFORMED);
}
END_TEST

START_TEST(errors_carry_the_kernels_reason)
{
	struct nlmsgerr *e = canned_begin(&c, NLMSG_ERROR, NLM_F_CAPPED | NLM_F_ACK_TLVS, sizeof(*e));
	char why[64];

	e->error = -EINVAL;
	e->msg.nlmsg_len = 4096;	/* of the request, which is left out */
	mnl_attr_put_strz(c.nlh, NLMSGERR_ATTR_MSG, "Invalid prefix");
	ck_assert_int_eq(nl_error(c.nlh, why, sizeof(why)), -EINVAL);
	ck_assert_str_eq(why, "Invalid prefix");
	c.nlh->nlmsg_flags = NLM_F_ACK_TLVS;	/* the request is claimed to be there */
	ck_assert_int_eq(nl_error(c.nlh, why, sizeof(why)), -EINVAL);
	ck_assert_str_eq(why, "");
	c.nlh->nlmsg_len = sizeof(struct nlmsghdr) + 4;
	ck_assert_int_eq(nl_error(c.nlh, why, sizeof(why)), -EBADMSG);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("netlink");
	TCase *tc = tcase_create("parsers");
	SRunner *run = srunner_create(s);
	int failed;

	tcase_add_loop_test(tc, whole_messages_are_taken, 0, ARRAY_SIZE(samples));
	tcase_add_loop_test(tc, cut_messages_are_refused, 0, ARRAY_SIZE(samples));
	tcase_add_loop_test(tc, changed_bytes_do_not_crash, 0, ARRAY_SIZE(samples));
	tcase_add_test(tc, vlan_is_understood);
	tcase_add_test(tc, bridge_messages_are_no_links);
	tcase_add_test(tc, sparse_link_message_keeps_what_was_known);
	tcase_add_test(tc, route_attributes_are_understood);
	tcase_add_test(tc, routes_of_no_interest_are_told_apart);
	tcase_add_test(tc, unsound_routes_are_refused);
	tcase_add_test(tc, too_many_nexthops_are_cut_and_say_so);
	tcase_add_test(tc, nexthop_groups_are_understood);
	tcase_add_test(tc, errors_carry_the_kernels_reason);
	suite_add_tcase(s, tc);
	srunner_run_all(run, CK_ENV);
	failed = srunner_ntests_failed(run);
	srunner_free(run);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
