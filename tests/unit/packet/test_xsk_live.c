/* SPDX-License-Identifier: MIT */
/* AF_XDP ports on veth pairs. Each test runs in a process, and so in a namespace, of its own. */
#include "tests/unit/packet/live.h"

#include <arpa/inet.h>
#include <netinet/in.h>

#include "common/csum.h"
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
	live_run("ip link add p0 numrxqueues 2 numtxqueues 2 mtu %u type veth peer name p1 numrxqueues 2 numtxqueues 2 mtu %u", mtu, mtu);
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
	suite_add_tcase(s, tc);
	srunner_run_all(r, CK_NORMAL);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
