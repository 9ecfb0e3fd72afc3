/* SPDX-License-Identifier: MIT */
/* TUN ports against the kernel's own TCP and UDP. Each test runs in a process, and so in a namespace, of its own. */
#include "tests/unit/packet/live.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <netinet/udp.h>
#include <sys/ioctl.h>
#include <sys/uio.h>

#include <sluice/compat.h>

#include "common/csum.h"
#include "user/packet/tun.h"
#include "user/packet/wire.h"

#ifndef UDP_SEGMENT
#define UDP_SEGMENT 103
#endif

#define N_FRAMES 1024

static struct fault fault;
static struct area *a;
static struct port port;
static struct port_queue *q, *q2;
static struct sluice_port_counters counters;
static struct sluice_drops drops;
static struct pkt *got[64];
static uint8_t bytes[70000];

static int open_queue(uint16_t qid, const struct tun_params *params, struct port_queue **out)
{
	struct port_queue_params qp = {
		.qid = qid, .index = (uint16_t)(4 + qid), .area = a, .counters = &counters, .drops = &drops,
	};

	return tun_open(&port, &qp, params, out, &fault);
}

static void up(uint32_t chunk_bytes, const struct tun_params *params)
{
	struct area_params ap = { .n_frames = N_FRAMES, .chunk_bytes = chunk_bytes, .reserve = 16 };

	if (!live_namespace()) {
		printf("SKIP: TUN devices need root\n");
		exit(0);
	}
	ck_assert_msg(area_create(&a, &ap, &fault) == 0, "%s", fault.text);
	port = (struct port){ .id = 6, .name = "app", .device = "sl%d" };
	ck_assert_msg(open_queue(0, params, &q) == 0, "%s", fault.text);
	live_run("ip addr add 10.9.0.1/24 dev %s && ip -6 addr add fd09::1/64 dev %s nodad", port.device, port.device);
	/* The kernel adds the route to its own IPv6 address later, by a work queue. Before, what comes for it is lost. */
	live_wait(system("ip -6 route show table local | grep -q '^local fd09::1 '") == 0);
}

static void down(void)
{
	q->ops->close(q);
	ck_assert_msg(area_check(a, &fault) == 0, "%s", fault.text);
	ck_assert_uint_eq(area_leaks(a), 0);
	area_destroy(a);
}

static struct sockaddr_in addr4(const char *text, uint16_t port_number)
{
	struct sockaddr_in sa = { .sin_family = AF_INET, .sin_port = htobe16(port_number) };

	inet_pton(AF_INET, text, &sa.sin_addr);
	return sa;
}

static struct sockaddr_in6 addr6(const char *text, uint16_t port_number)
{
	struct sockaddr_in6 sa = { .sin6_family = AF_INET6, .sin6_port = htobe16(port_number) };

	inet_pton(AF_INET6, text, &sa.sin6_addr);
	return sa;
}

/* The next packet of protocol @proto; others (router solicitations, say) are let go. */
static struct pkt *receive(uint8_t proto)
{
	uint64_t until = live_now_ms() + LIVE_WAIT_MS;

	while (live_now_ms() < until) {
		struct pkt *p;
		const uint8_t *ip;

		if (q->ops->rx(q, got, 1, 55) == 0) {
			poll(&(struct pollfd){ .fd = q->fd, .events = POLLIN }, 1, 50);
			continue;
		}
		p = got[0];
		ip = pkt_data(p);
		if ((ip[0] >> 4 == 4 && ip[IP4_PROTO] == proto) || (ip[0] >> 4 == 6 && ip[IP6_NEXT] == proto))
			return p;
		pkt_put(a, p);
	}
	ck_abort_msg("no packet of protocol %u", proto);
	return NULL;
}

/* Make of a packet from the kernel the one that comes back: addresses and ports change places, no checksum changes. */
static void turn_round(struct pkt *p)
{
	uint8_t *ip = pkt_data(p), t[16];
	bool v4 = ip[0] >> 4 == 4;
	unsigned int n = v4 ? 4 : 16, src = v4 ? IP4_SRC : IP6_SRC;
	uint8_t *l4 = ip + (v4 ? (ip[0] & 15) * 4 : IP6_HLEN);

	memcpy(t, ip + src, n);
	memcpy(ip + src, ip + src + n, n);
	memcpy(ip + src + n, t, n);
	memcpy(t, l4, 2);
	memcpy(l4, l4 + 2, 2);
	memcpy(l4 + 2, t, 2);
}

static void send_all(struct pkt *p)
{
	ck_assert_uint_eq(q->ops->tx(q, &p, 1), 1);
}

/* ---- UDP: there and back ---------------------------------------------------------------------------------------- */

static int udp_socket(bool v6)
{
	int fd = socket(v6 ? AF_INET6 : AF_INET, SOCK_DGRAM, 0), big = 4 << 20;
	struct sockaddr_in a4 = addr4("10.9.0.1", 5000);
	struct sockaddr_in6 a6 = addr6("fd09::1", 5000);

	ck_assert_int_eq(bind(fd, v6 ? (void *)&a6 : (void *)&a4, v6 ? sizeof(a6) : sizeof(a4)), 0);
	setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &big, sizeof(big));
	return fd;
}

static void udp_send(int fd, bool v6, size_t len)
{
	struct sockaddr_in a4 = addr4("10.9.0.2", 6000);
	struct sockaddr_in6 a6 = addr6("fd09::2", 6000);
	ssize_t n = v6 ? sendto(fd, bytes, len, 0, (struct sockaddr *)&a6, sizeof(a6)) :
			 sendto(fd, bytes, len, 0, (struct sockaddr *)&a4, sizeof(a4));

	ck_assert_msg(n == (ssize_t)len, "send of %zu: %s", len, strerror(errno));
}

static void expect_datagram(int fd, const uint8_t *want, size_t len)
{
	static uint8_t back[70000];
	ssize_t n;

	ck_assert_int_eq(poll(&(struct pollfd){ .fd = fd, .events = POLLIN }, 1, LIVE_WAIT_MS), 1);
	n = recv(fd, back, sizeof(back), MSG_DONTWAIT);
	ck_assert_int_eq(n, (ssize_t)len);
	ck_assert_int_eq(memcmp(back, want, len), 0);
}

static const struct {
	bool v6, csum;
	uint32_t chunk;
} udp_cases[] = { { false, true, 2048 }, { true, true, 2048 }, { false, false, 2048 }, { true, true, 4096 } };

START_TEST(datagrams_there_and_back)
{
	static const size_t lens[] = { 0, 1, 18, 100, 1400, 1452 };
	int fd;

	up(udp_cases[_i].chunk, &(struct tun_params){ .no_csum = !udp_cases[_i].csum });
	fd = udp_socket(udp_cases[_i].v6);
	for (size_t i = 0; i < ARRAY_SIZE(lens); i++) {
		struct pkt *p;

		udp_send(fd, udp_cases[_i].v6, lens[i]);
		p = receive(IPPROTO_UDP);
		ck_assert_uint_eq(p->total_bytes, lens[i] + (udp_cases[_i].v6 ? 48 : 28));
		ck_assert_uint_eq(p->port_in, 6);
		ck_assert_uint_eq(p->rx_time_ns, 55);
		ck_assert_uint_eq(p->csum, udp_cases[_i].csum ? PKT_CSUM_PARTIAL : PKT_CSUM_NONE);
		turn_round(p);
		send_all(p);
		expect_datagram(fd, bytes, lens[i]);
	}
	ck_assert_uint_eq(counters.tx_partial_pkts, udp_cases[_i].csum ? ARRAY_SIZE(lens) : 0);
	close(fd);
	down();
}
END_TEST

/* A link-layer header in front, as on a packet that came from an Ethernet port, is not given to the kernel. */
START_TEST(ethernet_header_is_left_behind)
{
	struct pkt *p;
	int fd;

	up(2048, &(struct tun_params){ 0 });
	fd = udp_socket(false);
	udp_send(fd, false, 100);
	p = receive(IPPROTO_UDP);
	turn_round(p);
	p->l3 = p->off;
	p->off = (uint16_t)(p->off - 14);
	p->len = (uint16_t)(p->len + 14);
	p->total_bytes += 14;
	p->flags |= PKT_L2;
	send_all(p);
	expect_datagram(fd, bytes, 100);
	ck_assert_uint_eq(counters.tx_bytes, 128);
	close(fd);
	down();
}
END_TEST

START_TEST(udp_superpacket_there_and_back)
{
	bool v6 = _i;
	int fd, size = 1000;
	uint32_t ip_bytes = v6 ? 40 : 20;
	struct pkt *p;

	up(2048, &(struct tun_params){ 0 });
	if (!(port.caps & PORT_CAP_TX_USO)) {
		printf("SKIP: this kernel has no UDP segmentation on TUN devices\n");
		exit(0);
	}
	fd = udp_socket(v6);
	ck_assert_int_eq(setsockopt(fd, IPPROTO_UDP, UDP_SEGMENT, &size, sizeof(size)), 0);
	udp_send(fd, v6, 40500);
	p = receive(IPPROTO_UDP);
	ck_assert_uint_eq(p->gso, PKT_GSO_UDP);
	ck_assert_uint_eq(p->gso_size, 1000);
	ck_assert_uint_eq(p->gso_segs, 41);
	ck_assert_uint_eq(p->total_bytes, 40500 + 8 + ip_bytes);
	ck_assert_uint_gt(p->n_frames, 1);
	ck_assert_uint_eq(p->csum, PKT_CSUM_PARTIAL);
	ck_assert_uint_eq(p->csum_start, p->off + ip_bytes);
	ck_assert_uint_eq(p->csum_offset, 6);
	turn_round(p);
	send_all(p);
	for (unsigned int i = 0; i < 41; i++)
		expect_datagram(fd, bytes + i * 1000, i < 40 ? 1000 : 500);
	ck_assert_uint_eq(counters.tx_pkts, 1);
	close(fd);
	down();
}
END_TEST

/* ---- TCP: the kernel talks to itself through the engine, every packet turned round ------------------------------- */

/*
 * The peer of a socket at 10.9.0.1 is 10.9.0.2; with both address and port exchanged, what the client sends comes back
 * as the listener's traffic would, if the client's port is the listener's and the other way round.
 */
struct tcp_pair {
	int listener, client, server;
};

static struct tcp_pair tcp_connect(bool v6)
{
	struct tcp_pair t;
	struct sockaddr_in me4 = addr4("10.9.0.1", 7000), to4 = addr4("10.9.0.2", 7001);
	struct sockaddr_in6 me6 = addr6("fd09::1", 7000), to6 = addr6("fd09::2", 7001);
	struct sockaddr_in listen4 = addr4("10.9.0.1", 7001);
	struct sockaddr_in6 listen6 = addr6("fd09::1", 7001);
	socklen_t len = v6 ? sizeof(me6) : sizeof(me4);
	int family = v6 ? AF_INET6 : AF_INET;

	t.listener = socket(family, SOCK_STREAM | SOCK_NONBLOCK, 0);
	t.client = socket(family, SOCK_STREAM | SOCK_NONBLOCK, 0);
	t.server = -1;
	for (int i = 0; i < 2; i++)
		setsockopt(i ? t.client : t.listener, IPPROTO_TCP, TCP_CONGESTION, "reno", 4);
	ck_assert_int_eq(bind(t.listener, v6 ? (void *)&listen6 : (void *)&listen4, len), 0);
	ck_assert_int_eq(listen(t.listener, 1), 0);
	ck_assert_int_eq(bind(t.client, v6 ? (void *)&me6 : (void *)&me4, len), 0);
	ck_assert(connect(t.client, v6 ? (void *)&to6 : (void *)&to4, len) < 0 && errno == EINPROGRESS);
	return t;
}

/* Only addresses change places: the client speaks from .1:7000 to .2:7001, and .2:7000 to .1:7001 is what arrives. */
static void reflect(struct pkt *p)
{
	uint8_t *ip = pkt_data(p), t[16];
	bool v4 = ip[0] >> 4 == 4;
	unsigned int n = v4 ? 4 : 16, src = v4 ? IP4_SRC : IP6_SRC;

	memcpy(t, ip + src, n);
	memcpy(ip + src, ip + src + n, n);
	memcpy(ip + src + n, t, n);
}

START_TEST(tcp_superpackets_both_ways)
{
	static const char *const names[] = { "IPv4", "IPv6" };
	bool v6 = _i & 1, tso = !(_i & 2);
	struct tcp_pair t;
	size_t sent = 0, received = 0, total = 8 << 20;
	unsigned int superpackets = 0, frames_max = 0;
	uint64_t until;
	static uint8_t in[1 << 16];

	/* What is off for the other family does not matter. */
	up(_i & 4 ? 4096 : 2048, &(struct tun_params){ .no_tso4 = tso == v6, .no_tso6 = tso != v6 });
	t = tcp_connect(v6);
	until = live_now_ms() + 10000;
	while (received < total) {
		unsigned int n = q->ops->rx(q, got, 16, 1);
		ssize_t k;

		ck_assert_msg(live_now_ms() < until, "%s: %zu of %zu bytes sent, %zu received", names[v6], sent, total,
			      received);
		for (unsigned int i = 0; i < n; i++) {
			struct pkt *p = got[i];

			if (p->gso) {
				superpackets++;
				ck_assert_uint_eq(p->gso, v6 ? PKT_GSO_TCP6 : PKT_GSO_TCP4);
				ck_assert_uint_eq(p->csum, PKT_CSUM_PARTIAL);
				ck_assert_uint_eq(p->gso_size, v6 ? 1428 : 1448);
				ck_assert_uint_eq(p->gso_segs,
						  (p->total_bytes - (v6 ? 72 : 52) + p->gso_size - 1) / p->gso_size);
				frames_max = p->n_frames > frames_max ? p->n_frames : frames_max;
			}
			reflect(p);
		}
		ck_assert_uint_eq(q->ops->tx(q, got, n), n);
		if (t.server < 0)
			t.server = accept4(t.listener, NULL, NULL, SOCK_NONBLOCK);
		if (sent < total) {
			size_t at = sent % sizeof(bytes);

			k = send(t.client, bytes + at, min_size(sizeof(bytes) - at, total - sent), MSG_NOSIGNAL);
			sent += k > 0 ? (size_t)k : 0;
		}
		while (t.server >= 0 && (k = recv(t.server, in, sizeof(in), 0)) > 0) {
			for (ssize_t i = 0; i < k; i++) {
				if (in[i] != bytes[(received + (size_t)i) % sizeof(bytes)])
					ck_abort_msg("byte %zu is wrong", received + (size_t)i);
			}
			received += (size_t)k;
		}
	}
	while (q->ops->rx(q, got, 1, 1) == 1)
		pkt_put(a, got[0]);
	ck_assert_uint_eq(counters.tx_errors, 0);
	if (tso) {
		ck_assert_uint_gt(superpackets, 50);
		ck_assert_uint_gt(frames_max, _i & 4 ? 10 : 20);
	} else {
		ck_assert_uint_eq(superpackets, 0);
	}
	down();
}
END_TEST

/* ---- What the kernel sends and we must not take ------------------------------------------------------------------ */

/* Another queue of the same device, on which anything can be written; the kernel sends it on to our queue. */
START_TEST(kernel_refusals_are_counted)
{
	struct pkt *p;

	up(2048, &(struct tun_params){ 0 });
	/* Neither IPv4 nor IPv6. */
	p = area_alloc(a);
	p->len = 40;
	p->total_bytes = 40;
	pkt_data(p)[0] = 0x10;
	send_all(p);
	ck_assert_uint_eq(drops.tx_refused, 1);
	ck_assert_uint_eq(counters.tx_errors, 1);
	ck_assert_uint_eq(counters.tx_pkts, 0);
	/* Longer than the MTU and no superpacket. */
	p = area_alloc(a);
	p->len = 1501;
	p->total_bytes = 1501;
	pkt_data(p)[0] = 0x45;
	send_all(p);
	ck_assert_uint_eq(drops.too_long, 1);
	/* A checksum outside the packet. */
	p = area_alloc(a);
	p->len = 100;
	p->total_bytes = 100;
	pkt_data(p)[0] = 0x45;
	p->csum = PKT_CSUM_PARTIAL;
	p->csum_start = (uint16_t)(p->off + 90);
	p->csum_offset = 16;
	send_all(p);
	ck_assert_uint_eq(drops.csum_bad, 1);
	/* The device is down. */
	live_run("ip link set %s down", port.device);
	p = area_alloc(a);
	p->len = 100;
	p->total_bytes = 100;
	pkt_data(p)[0] = 0x45;
	send_all(p);
	ck_assert_uint_eq(drops.port_down, 1);
	while (q->ops->rx(q, got, 1, 1) == 1)	/* what had been sent before */
		pkt_put(a, got[0]);
	down();
}
END_TEST

START_TEST(refused_superpackets_switch_off)
{
	up(2048, &(struct tun_params){ 0 });
	ck_assert(port.caps & PORT_CAP_TX_TSO4);
	for (unsigned int i = 0; i < 8; i++) {
		struct pkt *p = area_alloc(a);

		/* Said to be TCP over IPv4, and no version at all. */
		memset(pkt_data(p), 0, 1500);
		pkt_data(p)[0] = 0x15;
		pkt_data(p)[20 + TCP_DOFF] = 0x50;
		p->len = 1500;
		p->total_bytes = 1500;
		p->csum = PKT_CSUM_PARTIAL;
		p->csum_start = (uint16_t)(p->off + 20);
		p->csum_offset = TCP_CSUM;
		p->gso = PKT_GSO_TCP4;
		p->gso_size = 500;
		send_all(p);
	}
	ck_assert_uint_eq(drops.tx_refused, 8);
	q->ops->update(q);
	ck_assert(!(port.caps & PORT_CAP_TX_TSO4));
	ck_assert(port.caps & PORT_CAP_TX_TSO6);
	ck_assert_uint_eq(port.n_reasons, 1);
	down();
}
END_TEST

/* ---- Queues, persistence, shortage, removal ---------------------------------------------------------------------- */

START_TEST(two_queues_of_one_device)
{
	struct pkt *p;
	int fd;

	up(2048, &(struct tun_params){ 0 });
	ck_assert_msg(open_queue(1, &(struct tun_params){ 0 }, &q2) == 0, "%s", fault.text);
	ck_assert_uint_eq(port.n_queues, 2);
	fd = udp_socket(false);
	/* Whichever queue the flow is given to. */
	udp_send(fd, false, 100);
	live_wait((q->ops->rx(q, got, 1, 1) == 1 && pkt_data(got[0])[IP4_PROTO] == IPPROTO_UDP) ||
		  (q2->ops->rx(q2, got, 1, 1) == 1 && pkt_data(got[0])[IP4_PROTO] == IPPROTO_UDP));
	p = got[0];
	turn_round(p);
	ck_assert_uint_eq(q2->ops->tx(q2, &p, 1), 1);
	expect_datagram(fd, bytes, 100);
	/* The kernel keeps a flow where its answers came from. */
	for (unsigned int i = 0; i < 5; i++) {
		udp_send(fd, false, 100);
		live_wait(q2->ops->rx(q2, got, 1, 1) == 1);
		pkt_put(a, got[0]);
	}
	q2->ops->close(q2);
	ck_assert_uint_eq(port.n_queues, 1);
	close(fd);
	/* Frames of router solicitations that live_wait() has overwritten are not leaks of the port. */
	while (a->count[PLACE_ENGINE] > 0) {
		for (uint32_t i = 0; i < a->n_frames; i++) {
			if (a->pkts[i].place == PLACE_ENGINE)
				area_give(a, &a->pkts[i]);
		}
	}
	down();
}
END_TEST

START_TEST(device_ends_with_the_port_unless_persistent)
{
	char name[IFNAMSIZ];

	up(2048, &(struct tun_params){ .persistent = _i, .has_owner = _i, .owner = 54321 });
	snprintf(name, sizeof(name), "%s", port.device);
	ck_assert_uint_ne(if_nametoindex(name), 0);
	ck_assert_uint_eq((unsigned int)port.ifindex, if_nametoindex(name));
	live_run("ip link show %s | grep -q 'mtu 1500.*qlen 1000'", name);
	live_run("%s ip -d link show %s | grep -q 'user 54321'", _i ? "" : "!", name);
	q->ops->close(q);
	ck_assert_int_eq(if_nametoindex(name) != 0, _i);
	if (_i) {
		/* Taken over by somebody who would not have made it so: it is not his to end. */
		ck_assert_msg(open_queue(0, &(struct tun_params){ .txqueuelen = 77 }, &q) == 0, "%s", fault.text);
		ck_assert_str_eq(port.device, name);
		live_run("ip link show %s | grep -q 'qlen 77'", name);
		q->ops->close(q);
		ck_assert_uint_ne(if_nametoindex(name), 0);
	}
	ck_assert_uint_eq(area_leaks(a), 0);
	area_destroy(a);
}
END_TEST

START_TEST(shortage_of_frames_delays_and_loses_nothing)
{
	struct pkt *all[N_FRAMES], *p;
	unsigned int n = 0;
	int fd;

	up(2048, &(struct tun_params){ 0 });
	fd = udp_socket(false);
	while (q->ops->rx(q, got, 1, 1) == 1)
		pkt_put(a, got[0]);
	/* The row is full now; one packet can be read, the next would have too little room if it were long. */
	while ((all[n] = area_take(a)) != NULL)
		n++;
	udp_send(fd, false, 1000);
	udp_send(fd, false, 1001);
	p = receive(IPPROTO_UDP);
	ck_assert_uint_eq(p->total_bytes, 1028);
	ck_assert_uint_eq(q->ops->rx(q, got, 8, 1), 0);
	ck_assert(!q->ops->pending(q));
	pkt_put(a, p);
	ck_assert(q->ops->pending(q));
	p = receive(IPPROTO_UDP);
	ck_assert_uint_eq(p->total_bytes, 1029);
	pkt_put(a, p);
	while (n > 0)
		area_give(a, all[--n]);
	close(fd);
	down();
}
END_TEST

START_TEST(removal_of_the_device_is_survived)
{
	struct pkt *p;

	up(2048, &(struct tun_params){ 0 });
	q->ops->rx(q, got, 0, 1);
	live_run("ip link del %s", port.device);
	ck_assert_uint_eq(q->ops->rx(q, got, 8, 1), 0);
	p = area_alloc(a);
	p->len = 100;
	p->total_bytes = 100;
	pkt_data(p)[0] = 0x45;
	send_all(p);
	ck_assert_uint_eq(drops.port_down, 1);
	down();
}
END_TEST

START_TEST(open_says_what_is_wrong)
{
	up(2048, &(struct tun_params){ 0 });
	snprintf(port.device, sizeof(port.device), "lo");
	ck_assert_int_lt(open_queue(3, &(struct tun_params){ 0 }, &q2), 0);
	ck_assert_msg(strstr(fault.text, "port app: ") && strstr(fault.text, "lo"), "%s", fault.text);
	snprintf(port.device, sizeof(port.device), "sl0");
	ck_assert_int_eq(open_queue(0, &(struct tun_params){ 0 }, &q2), -EBUSY);
	down();
}
END_TEST

int main(void)
{
	Suite *s = suite_create("tun_live");
	TCase *tc = tcase_create("tun");
	SRunner *r = srunner_create(s);
	int failed;

	for (size_t i = 0; i < sizeof(bytes); i++)
		bytes[i] = (uint8_t)(i * 31 + (i >> 8));
	tcase_set_timeout(tc, 30);
	tcase_add_loop_test(tc, datagrams_there_and_back, 0, ARRAY_SIZE(udp_cases));
	tcase_add_test(tc, ethernet_header_is_left_behind);
	tcase_add_loop_test(tc, udp_superpacket_there_and_back, 0, 2);
	tcase_add_loop_test(tc, tcp_superpackets_both_ways, 0, 6);
	tcase_add_test(tc, kernel_refusals_are_counted);
	tcase_add_test(tc, refused_superpackets_switch_off);
	tcase_add_test(tc, two_queues_of_one_device);
	tcase_add_loop_test(tc, device_ends_with_the_port_unless_persistent, 0, 2);
	tcase_add_test(tc, shortage_of_frames_delays_and_loses_nothing);
	tcase_add_test(tc, removal_of_the_device_is_survived);
	tcase_add_test(tc, open_says_what_is_wrong);
	suite_add_tcase(s, tc);
	srunner_run_all(r, CK_NORMAL);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
