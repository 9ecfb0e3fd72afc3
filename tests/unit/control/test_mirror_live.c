/* SPDX-License-Identifier: MIT */
/* The mirror against the kernel of this machine. Needs root: each test makes a network namespace of its own. */
#include "live.h"
#include "common/bytes.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <linux/neighbour.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <unistd.h>

static struct live live;

/* Two pairs up, with addresses; the far ends are in the same namespace and up. */
static void setup(void)
{
	live_enter();
	sh("ip link add va type veth peer name pa && ip link add vb type veth peer name pb");
	sh("for i in va pa vb pb; do ip link set $i up; done");
	sh("ip addr add 192.0.2.1/24 dev va && ip addr add 198.51.100.1/24 dev vb");
	sh("ip addr add 2001:db8:1::1/64 dev va nodad && ip addr add 2001:db8:2::1/64 dev vb nodad");
	live_begin(&live, 0);
}

static void teardown(void)
{
	live_end(&live);
}

static bool link_is(struct live *l, const void *arg)
{
	return mirror_link_by_name(l->m, arg) != NULL;
}

static bool link_is_not(struct live *l, const void *arg)
{
	return mirror_link_by_name(l->m, arg) == NULL;
}

static bool mtu_is_1400(struct live *l, const void *arg)
{
	return mirror_link_by_name(l->m, arg)->mtu == 1400;
}

START_TEST(links_come_change_and_return)
{
	const struct nl_link *va = mirror_link_by_name(live.m, "va"), *lo = mirror_link_by_name(live.m, "lo");
	uint32_t ifindex = va->ifindex;

	live.watched = ifindex;
	ck_assert_str_eq(va->kind, "veth");
	ck_assert_str_eq(lo->kind, "");
	ck_assert_uint_eq(va->lladdr_len, 6);
	ck_assert_uint_eq(va->mtu, 1500);
	ck_assert_uint_ge(va->rx_queues, 1);
	ck_assert(va->flags & IFF_UP);
	ck_assert(!va->parent_elsewhere);
	ck_assert_uint_eq(va->parent, mirror_link_by_name(live.m, "pa")->ifindex);
	ck_assert_ptr_eq(va, mirror_link(live.m, ifindex));
	sh("ip link set va mtu 1400");
	live_until(&live, mtu_is_1400, "va", "MTU 1400");
	sh("ip link set va down && ip link set va name vx");
	live_until(&live, link_is, "vx", "new name");
	ck_assert_ptr_null(mirror_link_by_name(live.m, "va"));
	sh("ip link del vx");
	live_until(&live, link_is_not, "vx", "link gone");
	ck_assert_int_eq(live.watched_event, MIRROR_REMOVED);
	sh("ip link add va type veth peer name pa");
	live_until(&live, link_is, "va", "link returned");
	ck_assert_uint_ne(mirror_link_by_name(live.m, "va")->ifindex, ifindex);
	live_compare(&live);
}
END_TEST

static int count_addr(void *ctx, const struct nl_addr *a)
{
	unsigned int *n = ctx;

	*n += a->family == AF_INET ? 1 : 100;
	return 0;
}

static bool addrs_are(struct live *l, const void *arg)
{
	unsigned int n = 0;

	mirror_each_addr(l->m, mirror_link_by_name(l->m, "va")->ifindex, count_addr, &n);
	return n == *(const unsigned int *)arg;
}

START_TEST(addresses_come_and_go)
{
	live_until(&live, addrs_are, &(unsigned int){ 201 }, "IPv4, IPv6 and its link-local one");
	sh("ip addr add 203.0.113.1/32 peer 203.0.113.2/32 dev va");
	live_until(&live, addrs_are, &(unsigned int){ 202 }, "another");
	sh("ip addr del 2001:db8:1::1/64 dev va");
	live_until(&live, addrs_are, &(unsigned int){ 102 }, "one less");
	sh("ip link set va down");	/* IPv6 addresses go */
	live_until(&live, addrs_are, &(unsigned int){ 2 }, "IPv4 only");
	live_compare(&live);
}
END_TEST

START_TEST(routes_of_each_type)
{
	const struct nl_route *r;

	sh("ip route add 10.1.0.0/16 via 192.0.2.2 src 192.0.2.1 mtu 1300 metric 7");
	sh("ip route add blackhole 10.2.0.0/16 && ip route add unreachable 10.3.0.0/16 && "
	   "ip route add prohibit 10.4.0.0/16 && ip route add throw 10.5.0.0/16");
	sh("ip route add 10.6.0.0/16 via inet6 2001:db8:1::2 dev va");
	sh("ip route add 10.7.0.0/16 nexthop via 192.0.2.2 weight 3 nexthop via 198.51.100.2 weight 1");
	sh("ip route add default via 192.0.2.9 && ip -6 route add default via 2001:db8:1::9 metric 20");
	sh("ip -6 route add blackhole 2001:db8:b::/48 && ip -6 route add unreachable 2001:db8:c::/48");
	sh("ip -6 route add 2001:db8:d::/48 nexthop via 2001:db8:1::2 weight 5 nexthop via 2001:db8:2::2");
	sh("ip route add 10.8.0.0/16 dev va table 1000 && ip route add 10.9.0.0/16 dev va table 2000");
	live_compare(&live);
	r = live_find(&live, "10.1.0.0/16", 7);
	ck_assert_ptr_nonnull(r);
	ck_assert_uint_eq(r->mtu_bytes, 1300);
	ck_assert(r->has_prefsrc);
	ck_assert_uint_eq(r->prefsrc.v4, htonl(0xc0000201));
	r = live_find(&live, "10.2.0.0/16", 0);
	ck_assert(r && r->type == RTN_BLACKHOLE && r->n_nexthops == 0);
	r = live_find(&live, "10.6.0.0/16", 0);
	ck_assert(r && r->n_nexthops == 1 && r->nexthops[0].gw_family == AF_INET6);
	r = live_find(&live, "10.7.0.0/16", 0);
	ck_assert(r && r->n_nexthops == 2 && r->nexthops[0].weight == 3);
	sh("ip route flush proto boot; ip -6 route flush proto boot; ip route flush table 1000 2>/dev/null");
	live_compare(&live);
	ck_assert_ptr_null(live_find(&live, "10.1.0.0/16", 7));
}
END_TEST

START_TEST(ipv4_routes_of_one_key_keep_the_kernels_order)
{
	sh("ip route add 10.0.0.0/8 via 192.0.2.2");
	live_compare(&live);
	sh("ip route append 10.0.0.0/8 via 192.0.2.3 && ip route append 10.0.0.0/8 via 198.51.100.3");
	live_compare(&live);
	sh("ip route del 10.0.0.0/8 via 192.0.2.2");	/* the second moves up */
	live_compare(&live);
	sh("ip route prepend 10.0.0.0/8 via 192.0.2.4");
	live_compare(&live);
	sh("ip route replace 10.0.0.0/8 via 192.0.2.5");
	live_compare(&live);
	sh("ip route del 10.0.0.0/8 via 198.51.100.3");	/* the last goes */
	live_compare(&live);
	sh("ip route del 10.0.0.0/8 via 192.0.2.5 && ip route del 10.0.0.0/8");
	live_compare(&live);
	/* The first is known to the owner only, when it was prepended to. */
	sh("ip route add 10.0.0.0/8 via 192.0.2.2");
	live_compare(&live);
	sh("ip route prepend 10.0.0.0/8 via 192.0.2.3 && ip route del 10.0.0.0/8 via 192.0.2.3");
	live_compare(&live);
	/* One prefix on two devices. */
	sh("ip addr add 10.50.0.1/24 dev va && ip addr add 10.50.0.2/24 dev vb");
	live_compare(&live);
	sh("ip addr del 10.50.0.1/24 dev va");
	live_compare(&live);
}
END_TEST

START_TEST(ipv6_siblings_come_and_go_one_by_one)
{
	const struct nl_route *r;

	sh("ip -6 route add 2001:db8:9::/48 via 2001:db8:1::2 && ip -6 route append 2001:db8:9::/48 via 2001:db8:2::2");
	live_compare(&live);
	r = live_find(&live, "2001:db8:9::/48", 1024);
	ck_assert(r && r->n_nexthops == 2);
	sh("ip -6 route append 2001:db8:9::/48 via 2001:db8:1::3");
	live_compare(&live);
	sh("ip -6 route del 2001:db8:9::/48 via 2001:db8:1::2");
	live_compare(&live);
	r = live_find(&live, "2001:db8:9::/48", 1024);
	ck_assert(r && r->n_nexthops == 2);
	sh("ip -6 route replace 2001:db8:9::/48 nexthop via 2001:db8:1::7 nexthop via 2001:db8:2::7 "
	   "nexthop via 2001:db8:2::8");
	live_compare(&live);
	sh("ip -6 route del 2001:db8:9::/48 via 2001:db8:2::7 && ip -6 route del 2001:db8:9::/48 via 2001:db8:2::8");
	live_compare(&live);
	r = live_find(&live, "2001:db8:9::/48", 1024);
	ck_assert(r && r->n_nexthops == 1);
	sh("ip -6 route del 2001:db8:9::/48");
	live_compare(&live);
	sh("ip -6 route add 2001:db8:9::/48 nexthop via 2001:db8:1::2 nexthop via 2001:db8:2::2");
	live_compare(&live);
	sh("ip -6 route del 2001:db8:9::/48 nexthop via 2001:db8:1::2 nexthop via 2001:db8:2::2");
	live_compare(&live);
	/* Two devices, no gateway: no siblings, two routes. */
	sh("ip -6 route add 2001:db8:8::/48 dev va && ip -6 route append 2001:db8:8::/48 dev vb");
	live_compare(&live);
	sh("ip -6 route del 2001:db8:8::/48 dev va");
	live_compare(&live);
	sh("ip -6 route del 2001:db8:8::/48 dev vb");
	live_compare(&live);
}
END_TEST

static const int compat_modes[] = { 1, 0 };

START_TEST(nexthop_objects_are_resolved)
{
	live.compat_mode = compat_modes[_i];
	sh("echo %d > /proc/sys/net/ipv4/nexthop_compat_mode", live.compat_mode);
	sh("ip nexthop add id 11 via 192.0.2.2 dev va && ip nexthop add id 12 via 198.51.100.2 dev vb && "
	   "ip nexthop add id 21 via 2001:db8:1::2 dev va && ip nexthop add id 22 via 2001:db8:2::2 dev vb && "
	   "ip nexthop add id 30 blackhole && ip nexthop add id 100 group 11,3/12 && "
	   "ip nexthop add id 200 group 21/22");
	sh("ip route add 10.1.0.0/16 nhid 11 && ip route add 10.2.0.0/16 nhid 100 && "
	   "ip route add 10.3.0.0/16 nhid 30 && ip -6 route add 2001:db8:a::/48 nhid 21 && "
	   "ip -6 route add 2001:db8:b::/48 nhid 200 && "
	   "ip route add 10.4.0.0/16 nhid 21");
	live_compare(&live);
	ck_assert_uint_eq(live_find(&live, "10.2.0.0/16", 0)->n_nexthops, 2);
	ck_assert_uint_eq(live_find(&live, "10.2.0.0/16", 0)->nh_id, 100);
	ck_assert_uint_eq(live_find(&live, "10.3.0.0/16", 0)->type, RTN_BLACKHOLE);
	sh("ip nexthop replace id 11 via 192.0.2.77 dev va");
	live_compare(&live);
	sh("ip nexthop replace id 200 group 22");
	live_compare(&live);
	sh("ip nexthop del id 12");	/* out of its group */
	live_compare(&live);
	sh("ip nexthop del id 100 && ip nexthop del id 21");	/* their routes go, IPv4's silently */
	live_compare(&live);
	ck_assert_ptr_null(live_find(&live, "10.2.0.0/16", 0));
	ck_assert_ptr_null(live_find(&live, "10.4.0.0/16", 0));
	ck_assert_ptr_nonnull(live_find(&live, "10.1.0.0/16", 0));
	sh("ip link set va down");
	live_compare(&live);
	ck_assert_ptr_null(live_find(&live, "10.1.0.0/16", 0));
}
END_TEST

START_TEST(link_and_carrier_go_down_and_up)
{
	sh("ip route add 10.1.0.0/16 via 192.0.2.2 && "
	   "ip route add 10.2.0.0/16 nexthop via 192.0.2.2 nexthop via 198.51.100.2");
	sh("ip -6 route add 2001:db8:d::/48 nexthop via 2001:db8:1::2 nexthop via 2001:db8:2::2");
	live_compare(&live);
	sh("ip link set pa down");	/* carrier */
	live_compare(&live);
	ck_assert_uint_ne(live_find(&live, "10.1.0.0/16", 0)->nexthops[0].flags & RTNH_F_LINKDOWN, 0);
	sh("ip link set pa up");
	live_compare(&live);
	ck_assert_uint_eq(live_find(&live, "10.1.0.0/16", 0)->nexthops[0].flags & RTNH_F_LINKDOWN, 0);
	sh("ip link set va down");	/* IPv4 routes go without a word */
	live_compare(&live);
	ck_assert_ptr_null(live_find(&live, "10.1.0.0/16", 0));
	sh("ip link set va up");
	live_compare(&live);
	sh("ip link del vb");
	live_compare(&live);
}
END_TEST

START_TEST(removed_address_takes_its_routes)
{
	sh("ip addr add 192.0.2.7/24 dev va && ip route add 10.1.0.0/16 via 198.51.100.2 src 192.0.2.7");
	live_compare(&live);
	ck_assert_ptr_nonnull(live_find(&live, "10.1.0.0/16", 0));
	sh("ip addr del 192.0.2.7/24 dev va");
	live_compare(&live);
	ck_assert_ptr_null(live_find(&live, "10.1.0.0/16", 0));
	sh("ip route add 10.2.0.0/16 dev vb && ip addr flush dev vb");	/* the last address takes all */
	live_compare(&live);
	ck_assert_ptr_null(live_find(&live, "10.2.0.0/16", 0));
}
END_TEST

static void batch(const char *verb, int from, int to)
{
	char path[] = "/tmp/sluice-mirror-XXXXXX";
	int fd = mkstemp(path);
	FILE *p;

	ck_assert_int_ge(fd, 0);
	p = fdopen(fd, "w");
	for (int i = from; i < to; i++)
		fprintf(p, "route %s 10.%d.%d.0/24 via %s\n", verb, i / 250, i % 250,
			i & 1 ? "192.0.2.2" : "198.51.100.2");
	for (int i = from; i < to; i += 4)
		fprintf(p, "route %s 2001:db8:%x::/48 via 2001:db8:%d::2\n", verb, 0x1000 + i, 1 + (i & 1));
	fclose(p);
	sh("ip -batch %s", path);
	unlink(path);
}

static bool overrun(struct live *l, const void *arg)
{
	struct mirror_stats s;

	(void)arg;
	mirror_stats(l->m, &s);
	return s.overruns > 0 && s.resyncs > 1;
}

/* A buffer of one page: the kernel drops most notifications while nobody reads. */
START_TEST(lost_notifications_are_made_up_for)
{
	live_end(&live);
	live_begin(&live, 4096);
	batch("add", 0, 20000);
	live_until(&live, overrun, NULL, "resynchronised after an overrun");
	live_compare(&live);
	ck_assert_uint_ge(HASH_COUNT(live.routes), 25000);
	/* And while being read. */
	if (fork() == 0) {
		batch("del", 0, 10000);
		batch("replace", 5000, 12000);
		_exit(0);
	}
	do
		ck_assert_int_eq(mirror_read(live.m, NULL), 0);
	while (waitpid(-1, NULL, WNOHANG) == 0);
	live_compare(&live);
}
END_TEST

/* No overrun: dumps are crossed by changes all the time, and the result is still right. */
START_TEST(changes_that_cross_dumps_are_not_undone)
{
	struct mirror_stats s;

	batch("add", 0, 8000);
	if (fork() == 0) {
		for (int i = 0; i < 3; i++) {
			batch("del", 2000, 6000);
			batch("add", 2000, 6000);
		}
		batch("del", 3000, 4000);
		_exit(0);
	}
	do {
		mirror_resync(live.m);
		ck_assert_int_eq(mirror_read(live.m, NULL), 0);
	} while (waitpid(-1, NULL, WNOHANG) == 0);
	live_compare(&live);
	mirror_stats(live.m, &s);
	ck_assert_uint_eq(s.overruns, 0);
	ck_assert_uint_ge(s.resyncs, 2);
}
END_TEST

static bool neigh_state(struct live *l, const void *arg)
{
	const union nl_ip ip = { .v4 = htonl(0xc0000202) };
	const struct nl_neigh *n = mirror_neigh(l->m, mirror_link_by_name(l->m, "va")->ifindex, AF_INET, &ip);

	return n ? n->state & *(const uint16_t *)arg : *(const uint16_t *)arg == 0;
}

START_TEST(neighbours_resolve_on_demand)
{
	const union nl_ip ip = { .v4 = htonl(0xc0000202) };
	uint32_t va = mirror_link_by_name(live.m, "va")->ifindex;
	struct mirror_stats s;
	int ready[2];
	pid_t far;
	char c;

	ck_assert_int_eq(mirror_neigh_use(live.m, va, AF_INET, &ip), 0);
	live_until(&live, neigh_state, &(uint16_t){ NUD_FAILED }, "failed");
	ck_assert_uint_eq(mirror_neigh(live.m, va, AF_INET, &ip)->lladdr_len, 0);
	ck_assert_int_eq(pipe(ready), 0);
	far = fork();
	if (far == 0) {
		ck_assert_int_eq(unshare(CLONE_NEWNET), 0);
		ck_assert_int_eq(write(ready[1], "", 1), 1);
		pause();
		_exit(0);
	}
	ck_assert_int_eq(read(ready[0], &c, 1), 1);
	sh("ip link set pa netns %d && nsenter -t %d -n sh -c 'ip addr add 192.0.2.2/24 dev pa && ip link set pa up'",
	   far, far);
	do {
		/* In vain while there is no carrier or the failure is remembered: ask again, as traffic would. */
		ck_assert_int_eq(mirror_neigh_use(live.m, va, AF_INET, &ip), 0);
		poll(&(struct pollfd){ .fd = mirror_fd(live.m), .events = POLLIN }, 1, 100);
		ck_assert_int_eq(mirror_read(live.m, NULL), 0);
	} while (!neigh_state(&live, &(uint16_t){ NUD_REACHABLE }));
	ck_assert_uint_eq(mirror_neigh(live.m, va, AF_INET, &ip)->lladdr_len, 6);
	sh("ip neigh del 192.0.2.2 dev va");
	live_until(&live, neigh_state, &(uint16_t){ 0 }, "deleted");
	ck_assert_int_eq(mirror_neigh_use(live.m, 12345, AF_INET, &ip), 0);	/* no such link */
	ck_assert_int_eq(mirror_sync(live.m, 5000, NULL), 0);
	mirror_stats(live.m, &s);
	ck_assert_uint_ge(s.neigh_use_errors, 1);
	kill(far, SIGKILL);
	waitpid(far, NULL, 0);
}
END_TEST

START_TEST(tun_is_configured)
{
	struct ifreq ifr = { .ifr_name = "tunx", .ifr_flags = IFF_TUN | IFF_NO_PI };
	const union nl_ip v4 = { .v4 = htonl(0x0a090001) };
	const union nl_ip v6 = { .bytes = { 0x20, 0x01, 0x0d, 0xb8, [4] = 9, [15] = 1 } };
	int fd = open("/dev/net/tun", O_RDWR | O_CLOEXEC);
	const struct nl_link *t;
	unsigned int n = 0;
	struct fault f;

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(ioctl(fd, TUNSETIFF, &ifr), 0);
	live_until(&live, link_is, "tunx", "TUN");
	t = mirror_link_by_name(live.m, "tunx");
	ck_assert_str_eq(t->kind, "tun");
	ck_assert_msg(nl_link_set_mtu(t->ifindex, 1380, &f) == 0, "%s", f.text);
	ck_assert_msg(nl_link_set_up(t->ifindex, true, &f) == 0, "%s", f.text);
	ck_assert_msg(nl_addr_add(t->ifindex, AF_INET, &v4, 24, &f) == 0, "%s", f.text);
	ck_assert_msg(nl_addr_add(t->ifindex, AF_INET6, &v6, 64, &f) == 0, "%s", f.text);
	ck_assert_msg(nl_addr_add(t->ifindex, AF_INET6, &v6, 64, &f) == 0, "not idempotent: %s", f.text);
	live_compare(&live);
	t = mirror_link_by_name(live.m, "tunx");
	ck_assert_uint_eq(t->mtu, 1380);
	ck_assert(t->flags & IFF_UP);
	mirror_each_addr(live.m, t->ifindex, count_addr, &n);
	ck_assert_uint_ge(n, 101);
	ck_assert_int_eq(nl_link_set_mtu(t->ifindex, 70000, &f), -EINVAL);
	ck_assert_msg(strstr(f.text, "mtu greater than device maximum"), "%s", f.text);
	ck_assert_int_eq(nl_link_set_up(54321, true, &f), -ENODEV);
	close(fd);
	live_until(&live, link_is_not, "tunx", "TUN gone");
	live_compare(&live);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("mirror_live");
	TCase *tc = tcase_create("kernel");
	SRunner *r = srunner_create(s);
	int failed;

	if (geteuid() != 0) {
		puts("SKIP: test_mirror_live needs root to make network namespaces");
		puts("100%: Checks: 0, Failures: 0, Errors: 0");
		return EXIT_SUCCESS;
	}
	tcase_set_timeout(tc, 120);
	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, links_come_change_and_return);
	tcase_add_test(tc, addresses_come_and_go);
	tcase_add_test(tc, routes_of_each_type);
	tcase_add_test(tc, ipv4_routes_of_one_key_keep_the_kernels_order);
	tcase_add_test(tc, ipv6_siblings_come_and_go_one_by_one);
	tcase_add_loop_test(tc, nexthop_objects_are_resolved, 0, ARRAY_SIZE(compat_modes));
	tcase_add_test(tc, link_and_carrier_go_down_and_up);
	tcase_add_test(tc, removed_address_takes_its_routes);
	tcase_add_test(tc, lost_notifications_are_made_up_for);
	tcase_add_test(tc, changes_that_cross_dumps_are_not_undone);
	tcase_add_test(tc, neighbours_resolve_on_demand);
	tcase_add_test(tc, tun_is_configured);
	suite_add_tcase(s, tc);
	srunner_run_all(r, CK_ENV);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
