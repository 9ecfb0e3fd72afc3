/* SPDX-License-Identifier: MIT */
/* AF_XDP ports on veth pairs. Each test runs in a process, and so in a namespace, of its own. */
#include "tests/unit/packet/live.h"

#include <arpa/inet.h>
#include <netinet/in.h>

#include <sluice/compat.h>

#include "common/csum.h"
#include "user/packet/steer.h"
#include "user/packet/xsk.h"

#define TEST_TYPE 0x88b5	/* local experimental EtherType */
#define N_FRAMES 8192

struct bed {
	struct area *area;
	struct port port;
	struct port_queue *q;
	struct sluice_port_counters counters;
	struct sluice_drops drops;
	struct live_xdp xdp;
	int peer;			/* packet socket at the other end */
	struct pkt *got[64];
};

static struct fault fault;
static struct bed bed;

static void bed_area(uint32_t chunk_bytes)
{
	struct area_params ap = { .n_frames = N_FRAMES, .chunk_bytes = chunk_bytes, .reserve = 256 };

	ck_assert_msg(area_create(&bed.area, &ap, &fault) == 0, "%s", fault.text);
}

static int bed_open(const struct xsk_params *params)
{
	struct port_queue_params qp = {
		.index = 7, .area = bed.area, .counters = &bed.counters, .drops = &bed.drops,
	};
	int err = xsk_open(&bed.port, &qp, params, &bed.q, &fault);

	if (!err)
		live_steer(&bed.xdp, 0, bed.q->fd);
	return err;
}

static void bed_up(uint32_t mtu, uint32_t chunk_bytes, const struct xsk_params *params)
{
	if (!live_namespace()) {
		printf("SKIP: AF_XDP on veth needs root\n");
		exit(0);
	}
	live_run("ip link add p0 numrxqueues 2 numtxqueues 2 mtu %u type veth "
		 "peer name p1 numrxqueues 2 numtxqueues 2 mtu %u", mtu, mtu);
	live_run("sysctl -qw net.ipv6.conf.p0.disable_ipv6=1 net.ipv6.conf.p1.disable_ipv6=1");
	live_run("ip link set p0 up && ip link set p1 up");
	bed.port = (struct port){ .id = 3, .name = "lan", .device = "p0", .mtu_bytes = mtu };
	bed.port.ifindex = (int)if_nametoindex("p0");
	bed_area(chunk_bytes);
	bed.xdp = live_attach(bed.port.ifindex, params->generic);
	ck_assert_msg(bed_open(params) == 0, "%s", fault.text);
	bed.peer = live_packet_socket("p1");
}

static void bed_down(void)
{
	if (bed.q)
		bed.q->ops->close(bed.q);
	ck_assert_msg(area_check(bed.area, &fault) == 0, "%s", fault.text);
	ck_assert_uint_eq(area_leaks(bed.area), 0);
	area_destroy(bed.area);
	live_detach(&bed.xdp);
}

/* The peer's device up again; what its socket has to say of the time between is not a failure. */
static void peer_up(void)
{
	live_run("ip link set p1 up");
	close(bed.peer);
	bed.peer = live_packet_socket("p1");
}

static uint32_t frame_make(uint8_t *b, uint32_t len, uint8_t seed)
{
	memset(b, 0xff, 6);
	memset(b + 6, 2, 6);
	put_be16(b + 12, TEST_TYPE);
	for (uint32_t i = 14; i < len; i++)
		b[i] = (uint8_t)(seed + i * 7);
	return len;
}

static struct pkt *receive_one(void)
{
	unsigned int n = 0;

	live_wait((n = bed.q->ops->rx(bed.q, bed.got, 1, 1)) > 0);
	return bed.got[0];
}

static void send_one(struct pkt *p)
{
	ck_assert_uint_eq(bed.q->ops->tx(bed.q, &p, 1), 1);
	bed.q->ops->flush(bed.q);
}

static const uint32_t lengths[] = { 14, 60, 64, 65, 128, 1000, 1499, 1500, 1514 };

/* A frame arrives as it was sent and goes back as it came, without a copy. */
static void there_and_back(uint32_t len)
{
	static uint8_t out[10000], back[10000];
	struct pkt *p;

	frame_make(out, len, (uint8_t)len);
	ck_assert_int_eq(send(bed.peer, out, len, 0), len);
	p = receive_one();
	ck_assert_uint_eq(p->total_bytes, len);
	ck_assert_uint_eq(p->port_in, 3);
	ck_assert_uint_eq(p->place, PLACE_ENGINE);
	ck_assert_uint_eq(pkt_copy_out(bed.area, p, 0, back, sizeof(back)), len);
	ck_assert_int_eq(memcmp(out, back, len), 0);
	send_one(p);
	ck_assert_int_eq(live_recv(bed.peer, back, sizeof(back), TEST_TYPE), len);
	ck_assert_int_eq(memcmp(out, back, len), 0);
}

START_TEST(native_single_buffer)
{
	bed_up(1500, 2048, &(struct xsk_params){ .no_sg = true });
	ck_assert_str_eq(bed.port.mode, "copy native");
	for (size_t i = 0; i < ARRAY_SIZE(lengths); i++)
		there_and_back(lengths[i]);
	bed_down();
}
END_TEST

START_TEST(native_chunk_4096)
{
	bed_up(1500, 4096, &(struct xsk_params){ 0 });
	for (size_t i = 0; i < ARRAY_SIZE(lengths); i++)
		there_and_back(lengths[i]);
	bed_down();
}
END_TEST

START_TEST(generic)
{
	bed_up(1500, 2048, &(struct xsk_params){ .generic = true });
	ck_assert_str_eq(bed.port.mode, "copy generic");
	for (size_t i = 0; i < ARRAY_SIZE(lengths); i++)
		there_and_back(lengths[i]);
	bed_down();
}
END_TEST

START_TEST(jumbo_frames_as_chains)
{
	static const uint32_t jumbo[] = { 60, 1792, 1793, 3584, 3585, 5000, 9014 };

	bed_up(9000, 2048, &(struct xsk_params){ .generic = _i });
	ck_assert(bed.port.caps & PORT_CAP_TX_SG);
	for (size_t i = 0; i < ARRAY_SIZE(jumbo); i++) {
		there_and_back(jumbo[i]);
		ck_assert_msg(area_check(bed.area, &fault) == 0, "%s", fault.text);
	}
	ck_assert_uint_eq(bed.counters.rx_pkts, ARRAY_SIZE(jumbo));
	bed_down();
}
END_TEST

START_TEST(without_multi_buffer_long_frames_are_dropped_and_counted)
{
	static uint8_t out[2000];

	bed_up(1900, 2048, &(struct xsk_params){ .no_sg = true });
	ck_assert(!(bed.port.caps & PORT_CAP_TX_SG));
	frame_make(out, 1900, 1);
	ck_assert_int_eq(send(bed.peer, out, 1900, 0), 1900);
	there_and_back(1000);
	bed.q->ops->update(bed.q);
	ck_assert_uint_eq(bed.counters.xdp_rx_dropped, 1);
	bed_down();
}
END_TEST

/* ---- Checksums ---- */

/* Ethernet, IPv4 and UDP from 10.8.0.2 to 10.8.0.1, with the pseudo-header's sum where the checksum goes. */
static struct pkt *make_udp(const uint8_t *dst_mac, uint32_t payload, unsigned int frames)
{
	struct pkt *p = area_alloc(bed.area), *tail = p;
	uint8_t *b = pkt_data(p);
	uint32_t first = payload / frames;

	memset(b, 0, 42);
	memcpy(b, dst_mac, 6);
	b[6] = 2;
	put_be16(b + 12, ETH_P_IP);
	b[14] = 0x45;
	put_be16(b + 16, (uint16_t)(28 + payload));
	b[22] = 64;
	b[23] = IPPROTO_UDP;
	put_be32(b + 26, 0x0a080002);
	put_be32(b + 30, 0x0a080001);
	put_wire16(b + 24, csum_fold(csum_ipv4_header(b + 14, 5)));
	put_be16(b + 34, 4000);
	put_be16(b + 36, 4001);
	put_be16(b + 38, (uint16_t)(8 + payload));
	put_wire16(b + 40, csum_fold16(csum_ipv4_pseudo(wire32_at(b + 26), wire32_at(b + 30), 8 + payload,
							IPPROTO_UDP)));
	p->csum = PKT_CSUM_PARTIAL;
	p->csum_start = (uint16_t)(p->off + 34);
	p->csum_offset = 6;
	p->n_frames = (uint8_t)frames;
	p->total_bytes = 42 + payload;
	for (unsigned int i = 0; i < frames; i++) {
		uint32_t here = i + 1 < frames ? first : payload - first * (frames - 1), at = i ? 0 : 42;
		struct pkt *f = i ? area_alloc(bed.area) : p;

		for (uint32_t k = 0; k < here; k++)
			pkt_data(f)[at + k] = (uint8_t)(i * first + k);
		f->len = (uint16_t)(at + here);
		if (f != p)
			tail->next = f->frame;
		tail = f;
	}
	return p;
}

static void udp_checksum_is_valid(const uint8_t *b, uint32_t payload)
{
	uint32_t sum = csum_ipv4_pseudo(wire32_at(b + 26), wire32_at(b + 30), 8 + payload, IPPROTO_UDP);

	ck_assert_uint_ne(wire16_at(b + 40), 0);
	ck_assert_uint_eq(csum_fold(csum_partial(b + 34, 8 + payload, sum)), 0);
}

static void peer_mac(uint8_t mac[6])
{
	FILE *f = popen("ip -o link show p1 | sed 's/.*ether \\([0-9a-f:]*\\).*/\\1/'", "r");
	unsigned int m[6];

	ck_assert_int_eq(fscanf(f, "%x:%x:%x:%x:%x:%x", &m[0], &m[1], &m[2], &m[3], &m[4], &m[5]), 6);
	pclose(f);
	for (unsigned int i = 0; i < 6; i++)
		mac[i] = (uint8_t)m[i];
}

static const struct {
	uint32_t payload;
	unsigned int frames;
	bool metadata, device_checksums;
} csum_cases[] = {
	/* The kernel finishes it in the send call where the device does not. */
	{ 1, 1, true, false }, { 100, 1, true, false }, { 1400, 1, true, false }, { 1401, 2, true, false },
	{ 1401, 3, true, false },
	/* Or hands it on as it is, and a socket takes it. */
	{ 100, 1, true, true }, { 1401, 3, true, true },
	/* Or it is done before. */
	{ 100, 1, false, true }, { 1401, 3, false, false },
};

START_TEST(partial_checksums_are_finished)
{
	static uint8_t b[2000];
	uint32_t payload = csum_cases[_i].payload;
	struct sockaddr_in me = { .sin_family = AF_INET, .sin_port = htobe16(4001) };
	int fd = -1;
	uint8_t mac[6];

	bed_up(1500, 2048, &(struct xsk_params){ .no_tx_metadata = !csum_cases[_i].metadata });
	live_run("ip addr add 10.8.0.1/24 dev p1");
	live_run("ethtool -K p0 tx %s >/dev/null", csum_cases[_i].device_checksums ? "on" : "off");
	ck_assert_int_eq(!!(bed.port.caps & PORT_CAP_TX_PARTIAL), csum_cases[_i].metadata);
	peer_mac(mac);
	fd = socket(AF_INET, SOCK_DGRAM, 0);
	ck_assert_int_eq(bind(fd, (struct sockaddr *)&me, sizeof(me)), 0);
	send_one(make_udp(mac, payload, csum_cases[_i].frames));
	ck_assert_int_eq(live_recv(bed.peer, b, sizeof(b), ETH_P_IP), 42 + payload);
	if (!csum_cases[_i].device_checksums || !csum_cases[_i].metadata)
		udp_checksum_is_valid(b, payload);
	/* A socket verifies it, unless the kernel knows it to be partial. */
	ck_assert_int_eq(poll(&(struct pollfd){ .fd = fd, .events = POLLIN }, 1, LIVE_WAIT_MS), 1);
	ck_assert_int_eq(recv(fd, b, sizeof(b), 0), payload);
	for (uint32_t k = 0; k < payload; k++)
		ck_assert_uint_eq(b[k], (uint8_t)k);
	ck_assert_uint_eq(bed.counters.tx_partial_pkts, csum_cases[_i].metadata);
	close(fd);
	bed_down();
}
END_TEST

/* Metadata that the kernel refuses would block the ring for ever: it is done without, and from then on. */
START_TEST(refused_metadata_falls_back)
{
	static uint8_t b[2000];
	struct pkt *p[3];
	uint64_t bad = UINT64_MAX;

	bed_up(1500, 2048, &(struct xsk_params){ 0 });
	for (unsigned int i = 0; i < 3; i++)
		p[i] = make_udp((const uint8_t[]){ 2, 2, 2, 2, 2, 2 }, 100 + i, 1 + i);
	ck_assert_uint_eq(bed.q->ops->tx(bed.q, p, 2), 2);
	memcpy(pkt_data(p[0]) - sizeof(struct sluice_tx_metadata), &bad, sizeof(bad));
	bed.q->ops->flush(bed.q);
	ck_assert_uint_eq(bed.q->ops->tx(bed.q, p + 2, 1), 1);
	bed.q->ops->flush(bed.q);
	for (unsigned int i = 0; i < 3; i++) {
		ck_assert_int_eq(live_recv(bed.peer, b, sizeof(b), ETH_P_IP), 142 + i);
		udp_checksum_is_valid(b, 100 + i);
	}
	ck_assert_uint_eq(bed.counters.tx_partial_pkts, 2);
	bed.q->ops->update(bed.q);
	ck_assert(!(bed.port.caps & PORT_CAP_TX_PARTIAL));
	ck_assert_msg(strstr(bed.port.reasons[bed.port.n_reasons - 1], "refused"), "no reason");
	bed_down();
}
END_TEST

/* ---- Load, backpressure, closing ---- */

static struct pkt *make_frame(uint32_t len)
{
	struct pkt *p = area_alloc(bed.area);

	ck_assert_ptr_nonnull(p);
	p->len = (uint16_t)frame_make(pkt_data(p), len, 3);
	p->total_bytes = len;
	return p;
}

/* More than the ring holds, more than one system call moves: all of it leaves, in order. */
START_TEST(a_long_burst_leaves_whole)
{
	enum { BURST = 1000, RING = 128 };
	static struct pkt *p[BURST];
	static uint8_t b[2000];
	int big = 32 << 20, budget = 32;
	unsigned int sent = 0;

	bed_up(1500, 2048, &(struct xsk_params){ .tx_entries = RING });
	if (_i)		/* what kernels before 6.17 have */
		setsockopt(bed.q->fd, SOL_XDP, XDP_MAX_TX_SKB_BUDGET, &budget, sizeof(budget));
	setsockopt(bed.peer, SOL_SOCKET, SO_RCVBUFFORCE, &big, sizeof(big));
	for (unsigned int i = 0; i < BURST; i++) {
		p[i] = make_frame(100);
		put_be32(pkt_data(p[i]) + 14, i);
	}
	while (sent < BURST) {
		unsigned int n = bed.q->ops->tx(bed.q, p + sent, BURST - sent);

		sent += n;
		bed.q->ops->flush(bed.q);
	}
	for (unsigned int i = 0; i < BURST; i++) {
		ck_assert_int_eq(live_recv(bed.peer, b, sizeof(b), TEST_TYPE), 100);
		ck_assert_uint_eq(be32_at(b + 14), i);
	}
	live_wait((bed.q->ops->flush(bed.q), bed.area->count[PLACE_TX] == 0));
	ck_assert(!bed.q->ops->pending(bed.q));
	ck_assert_uint_eq(bed.counters.tx_pkts, BURST);
	ck_assert_uint_eq(bed.counters.tx_errors, 0);
	bed_down();
}
END_TEST

/* A device that is down takes nothing: the ring fills, tx() says so, and it all leaves when the device is back. */
START_TEST(link_down_is_backpressure_and_comes_back)
{
	enum { RING = 64 };
	static struct pkt *p[RING + 1];
	static uint8_t b[2000];

	bed_up(1500, 2048, &(struct xsk_params){ .tx_entries = RING });
	live_run("ip link set p0 down");
	for (unsigned int i = 0; i < RING + 1; i++)
		p[i] = make_frame(100);
	ck_assert_uint_eq(bed.q->ops->tx(bed.q, p, RING + 1), RING);
	ck_assert_uint_eq(p[RING]->place, PLACE_ENGINE);
	/* Nothing to hurry for. */
	ck_assert(!bed.q->ops->pending(bed.q));
	live_run("ip link set p0 up");
	live_wait((bed.q->ops->flush(bed.q), bed.area->count[PLACE_TX] == 0));
	for (unsigned int i = 0; i < RING; i++)
		ck_assert_int_eq(live_recv(bed.peer, b, sizeof(b), TEST_TYPE), 100);
	pkt_put(bed.area, p[RING]);
	there_and_back(500);
	bed_down();
}
END_TEST

START_TEST(reception_ring_overflow_is_the_kernels_count)
{
	static uint8_t out[100];
	uint64_t n = 0;
	unsigned int k;

	bed_up(1500, 2048, &(struct xsk_params){ .rx_entries = 32, .fill_entries = 64 });
	frame_make(out, 100, 1);
	for (unsigned int i = 0; i < 200; i++)
		ck_assert_int_eq(send(bed.peer, out, 100, 0), 100);
	live_wait((bed.q->ops->update(bed.q), n = bed.counters.xdp_rx_ring_full, n == 200 - 32));
	n = 0;
	while ((k = bed.q->ops->rx(bed.q, bed.got, 64, 1)) > 0) {
		n += k;
		for (unsigned int i = 0; i < k; i++)
			pkt_put(bed.area, bed.got[i]);
	}
	ck_assert_uint_eq(n, 32);
	there_and_back(100);
	bed_down();
}
END_TEST

/* Frames unread in the reception ring, unsent in the transmit ring, kept by the kernel: close() finds them all. */
START_TEST(close_in_the_middle_of_everything)
{
	static uint8_t out[9014];
	static struct pkt *p[64];
	uint64_t full;

	bed_up(9000, 2048, &(struct xsk_params){ .rx_entries = 64, .fill_entries = 256, .tx_entries = 64 });
	frame_make(out, 9014, 1);
	for (unsigned int i = 0; i < 40; i++)
		ck_assert_int_eq(send(bed.peer, out, i % 2 ? 9014 : 100, 0), i % 2 ? 9014 : 100);
	live_wait((bed.q->ops->update(bed.q), bed.counters.xdp_rx_ring_full > 0));
	live_run("ip link set p1 down");
	for (unsigned int i = 0; i < 64; i++)
		p[i] = make_frame(100);
	ck_assert_uint_eq(bed.q->ops->tx(bed.q, p, 64), 64);
	ck_assert_uint_eq(bed.q->ops->rx(bed.q, bed.got, 3, 1), 3);
	for (unsigned int i = 0; i < 3; i++)
		pkt_put(bed.area, bed.got[i]);
	bed.q->ops->close(bed.q);
	ck_assert_msg(area_check(bed.area, &fault) == 0, "%s", fault.text);
	ck_assert_uint_eq(area_leaks(bed.area), 0);
	ck_assert_uint_eq(bed.port.n_queues, 0);

	/* The same queue again, at once: the kernel needs a moment to take it back. Its counts do not start anew. */
	full = bed.counters.xdp_rx_ring_full;
	peer_up();
	ck_assert_msg(bed_open(&(struct xsk_params){ 0 }) == 0, "%s", fault.text);
	there_and_back(9014);
	bed.q->ops->update(bed.q);
	ck_assert_uint_eq(bed.counters.xdp_rx_ring_full, full);
	bed_down();
}
END_TEST

START_TEST(queue_can_be_opened_again_at_once)
{
	bed_up(1500, 2048, &(struct xsk_params){ 0 });
	for (unsigned int i = 0; i < 30; i++) {
		bed.q->ops->close(bed.q);
		ck_assert_msg(bed_open(&(struct xsk_params){ 0 }) == 0, "%s", fault.text);
	}
	there_and_back(100);
	bed_down();
}
END_TEST

START_TEST(device_removed_while_open)
{
	struct pkt *p;

	bed_up(1500, 2048, &(struct xsk_params){ 0 });
	there_and_back(100);
	p = make_frame(100);
	live_run("ip link del p0");
	ck_assert_uint_eq(bed.q->ops->tx(bed.q, &p, 1), 1);
	bed.q->ops->flush(bed.q);
	ck_assert(!bed.q->ops->pending(bed.q));
	ck_assert_uint_eq(bed.q->ops->rx(bed.q, bed.got, 8, 1), 0);
	bed.q->ops->update(bed.q);
	bed_down();
}
END_TEST

/* A peer that is not there drops; the kernel says so packet by packet, and the ring does not stick. */
START_TEST(no_carrier_is_counted_and_does_not_stick)
{
	static struct pkt *p[50];

	bed_up(1500, 2048, &(struct xsk_params){ 0 });
	live_run("ip link set p1 down");
	for (unsigned int i = 0; i < 50; i++)
		p[i] = make_frame(100);
	ck_assert_uint_eq(bed.q->ops->tx(bed.q, p, 50), 50);
	live_wait((bed.q->ops->flush(bed.q), bed.area->count[PLACE_TX] == 0));
	ck_assert_uint_eq(bed.counters.tx_errors, 50);
	peer_up();
	there_and_back(100);
	bed_down();
}
END_TEST

/* ---- With the program that the gateway uses ---- */

START_TEST(steer_gives_metadata)
{
	struct steer_params sp = {
		.ifname = "p0", .instance = "xsk-live", .port = "lan", .mode = STEER_MODE_NATIVE, .metadata = true,
	};
	struct steer_transit all = { .prefix = { .family = 4 }, .action = SLUICE_ACTION_ENGINE };
	const struct steer_info *info;
	static uint8_t b[2000];
	struct steer *s;
	struct pkt *p;

	bed_up(1500, 2048, &(struct xsk_params){ .rx_meta = true });
	live_detach(&bed.xdp);
	sp.ifindex = bed.port.ifindex;
	ck_assert_msg(steer_attach(&sp, &s, &fault) == 0, "%s", fault.text);
	info = steer_info(s);
	if (!info->metadata) {
		printf("SKIP: no RX metadata on veth: %s\n", info->n_reasons ? info->reasons[0] : "");
		exit(0);
	}
	steer_set_mac(s, (const uint8_t[]){ 2, 2, 2, 2, 2, 2 });
	ck_assert_msg(steer_set_transit(s, &all, 1, &fault) == 0, "%s", fault.text);
	ck_assert_msg(steer_set_xsk(s, 0, bed.q->fd, &fault) == 0, "%s", fault.text);
	steer_set_enabled(s, true);

	p = make_udp((const uint8_t[]){ 2, 2, 2, 2, 2, 2 }, 100, 1);
	ck_assert_uint_eq(pkt_copy_out(bed.area, p, 0, b, sizeof(b)), 142);
	pkt_put(bed.area, p);
	for (unsigned int i = 0; i < 3; i++) {
		ck_assert_int_eq(send(bed.peer, b, 142, 0), 142);
		p = receive_one();
		ck_assert_uint_eq(p->total_bytes, 142);
		ck_assert_int_eq(memcmp(pkt_data(p), b, 142), 0);
		ck_assert(p->flags & PKT_RX_HASH);
		ck_assert_uint_ne(p->rx_hash, 0);
		pkt_put(bed.area, p);
	}
	steer_close(s);
	bed.xdp = (struct live_xdp){ -1, -1, -1 };
	bed_down();
}
END_TEST

/* ---- Ladder ---- */

START_TEST(ladder_says_why)
{
	static const struct {
		struct xsk_params p;
		const char *mode, *why;
	} cases[] = {
		{ { 0 }, "copy native", "not zero-copy" },
		{ { .no_zero_copy = true }, "copy native", "not zero-copy: switched off" },
		{ { .generic = true }, "copy generic", "attached in generic mode" },
		{ { .no_sg = true }, "copy native", "not multi-buffer: switched off" },
		{ { .no_tx_metadata = true }, "copy native", "transmit checksums in software: switched off" },
		{ { .no_need_wakeup = true }, "copy native", NULL },
		{ { .headroom_bytes = 64 }, "copy native", NULL },
		{ { .busy_poll = true }, "copy native", NULL },
		{ { .rx_entries = 64, .tx_entries = 16, .fill_entries = 128 }, "copy native", NULL },
	};
	bool found = !cases[_i].why;

	bed_up(1500, 2048, &cases[_i].p);
	ck_assert_str_eq(bed.port.mode, cases[_i].mode);
	for (unsigned int i = 0; i < bed.port.n_reasons; i++)
		found = found || strstr(bed.port.reasons[i], cases[_i].why);
	ck_assert_msg(found, "no reason \"%s\"", cases[_i].why);
	for (unsigned int i = 0; i < 20; i++)
		there_and_back(1514);
	bed_down();
}
END_TEST

START_TEST(open_says_what_is_wrong)
{
	struct xsk_params bad[] = { { .rx_entries = 100 }, { .headroom_bytes = 1000 }, { 0 }, { 0 }, { 0 } };
	struct port_queue_params qp = {
		.index = 8, .area = NULL, .counters = &bed.counters, .drops = &bed.drops,
	};
	struct port other;
	struct port_queue *q;

	bed_up(1500, 2048, &(struct xsk_params){ 0 });
	other = (struct port){ .name = "wan", .device = "p0", .ifindex = bed.port.ifindex, .mtu_bytes = 1500 };
	qp.area = bed.area;
	if (_i == 2)
		other.ifindex = 4242;
	if (_i == 4)
		qp.qid = 40;
	/* The one queue that is taken is waited for, and then it is an error. */
	fault.text[0] = 0;
	ck_assert_int_lt(xsk_open(&other, &qp, &bad[_i], &q, &fault), 0);
	ck_assert_msg(strncmp(fault.text, "port wan: ", 10) == 0, "%s", fault.text);
	bed_down();
}
END_TEST

START_TEST(two_queues_share_an_area)
{
	struct port_queue_params qp = { .qid = 1, .index = 8 };
	struct sluice_port_counters counters = { 0 };
	struct port_queue *second;
	static uint8_t b[2000];
	struct pkt *p;

	bed_up(1500, 2048, &(struct xsk_params){ 0 });
	qp.area = bed.area;
	qp.counters = &counters;
	qp.drops = &bed.drops;
	ck_assert_msg(xsk_open(&bed.port, &qp, &(struct xsk_params){ 0 }, &second, &fault) == 0, "%s", fault.text);
	ck_assert_uint_eq(bed.port.n_queues, 2);
	live_steer(&bed.xdp, 1, second->fd);
	/* Received on one, sent on the other. */
	frame_make(b, 200, 1);
	ck_assert_int_eq(send(bed.peer, b, 200, 0), 200);
	live_wait(bed.q->ops->rx(bed.q, &p, 1, 1) == 1 || second->ops->rx(second, &p, 1, 1) == 1);
	ck_assert_uint_eq(second->ops->tx(second, &p, 1), 1);
	second->ops->flush(second);
	ck_assert_int_eq(live_recv(bed.peer, b, sizeof(b), TEST_TYPE), 200);
	second->ops->close(second);
	ck_assert_msg(area_check(bed.area, &fault) == 0, "%s", fault.text);
	bed_down();
}
END_TEST

int main(void)
{
	Suite *s = suite_create("xsk_live");
	TCase *tc = tcase_create("veth");
	SRunner *r = srunner_create(s);
	int failed;

	tcase_set_timeout(tc, 30);
	tcase_add_test(tc, native_single_buffer);
	tcase_add_test(tc, native_chunk_4096);
	tcase_add_test(tc, generic);
	tcase_add_loop_test(tc, jumbo_frames_as_chains, 0, 2);
	tcase_add_test(tc, without_multi_buffer_long_frames_are_dropped_and_counted);
	tcase_add_loop_test(tc, partial_checksums_are_finished, 0, ARRAY_SIZE(csum_cases));
	tcase_add_test(tc, refused_metadata_falls_back);
	tcase_add_loop_test(tc, a_long_burst_leaves_whole, 0, 2);
	tcase_add_test(tc, link_down_is_backpressure_and_comes_back);
	tcase_add_test(tc, reception_ring_overflow_is_the_kernels_count);
	tcase_add_test(tc, close_in_the_middle_of_everything);
	tcase_add_test(tc, queue_can_be_opened_again_at_once);
	tcase_add_test(tc, device_removed_while_open);
	tcase_add_test(tc, no_carrier_is_counted_and_does_not_stick);
	tcase_add_test(tc, steer_gives_metadata);
	tcase_add_loop_test(tc, ladder_says_why, 0, 9);
	tcase_add_loop_test(tc, open_says_what_is_wrong, 0, 5);
	tcase_add_test(tc, two_queues_share_an_area);
	suite_add_tcase(s, tc);
	srunner_run_all(r, CK_NORMAL);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
