/* SPDX-License-Identifier: MIT */
/* The packet path of AF_XDP ports, on rings in plain memory whose other side is played here. */
#include "user/packet/memport.h"

#include <check.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <linux/if_xdp.h>
#include <netinet/in.h>
#include <sluice/compat.h>
#include <sluice/steer.h>

#include "common/bytes.h"
#include "common/csum.h"
#include "user/packet/xskq.h"

#define N_FRAMES 512
#define RESERVE 16
#define ENTRIES 32
#define NOW 12345

static struct area *a;
static struct port port;
static struct port_queue *q;
static struct sluice_port_counters counters;
static struct sluice_drops drops;
static struct fault fault;
static struct pkt *got[ENTRIES * 2];
static uint8_t data[70000];

static void open_port(const struct memport_params *params)
{
	struct port_queue_params qp = { .qid = 1, .index = 5, .area = a, .counters = &counters, .drops = &drops };

	port = (struct port){ .id = 9, .name = "m", .mtu_bytes = 1500 };
	ck_assert_msg(memport_open(&port, &qp, params, &q, &fault) == 0, "%s", fault.text);
}

static void setup(void)
{
	struct area_params ap = { .id = 2, .n_frames = N_FRAMES, .chunk_bytes = 2048, .reserve = RESERVE };

	ck_assert_msg(area_create(&a, &ap, &fault) == 0, "%s", fault.text);
	for (size_t i = 0; i < sizeof(data); i++)
		data[i] = (uint8_t)(i * 31 + (i >> 8));
	q = NULL;
	memset(&counters, 0, sizeof(counters));
	memset(&drops, 0, sizeof(drops));
}

/* Whatever a test did: with the port closed, all frames are home. */
static void teardown(void)
{
	ck_assert_msg(area_check(a, &fault) == 0, "%s", fault.text);
	if (q)
		q->ops->close(q);
	ck_assert_msg(area_check(a, &fault) == 0, "%s", fault.text);
	ck_assert_uint_eq(area_leaks(a), 0);
	area_destroy(a);
}

static unsigned int rx(unsigned int max)
{
	return q->ops->rx(q, got, max, NOW);
}

static struct pkt *rx_one(uint32_t len)
{
	ck_assert_int_eq(memport_inject(q, data, len), 0);
	ck_assert_uint_eq(rx(1), 1);
	ck_assert_uint_eq(got[0]->total_bytes, len);
	return got[0];
}

static uint64_t sum_drops(void)
{
	uint64_t sum = 0;

	for (unsigned int i = 0; i < DROP_N; i++)
		sum += ((uint64_t *)&drops)[i];
	return sum;
}

/* ---- Reception ------------------------------------------------------------------------------------------------- */

START_TEST(rx_gives_the_bytes_and_clean_metadata)
{
	struct pkt *p;

	open_port(&(struct memport_params){ 0 });
	/* Dirty what a former packet might have left. */
	for (uint32_t i = 0; i < N_FRAMES; i++) {
		struct pkt save = a->pkts[i];

		memset(&a->pkts[i], 0xee, sizeof(save));
		a->pkts[i].buf = save.buf;
		a->pkts[i].frame = save.frame;
		a->pkts[i].place = save.place;
		a->pkts[i].area = save.area;
		a->pkts[i].queue = save.queue;
	}
	p = rx_one(100);
	ck_assert_int_eq(memcmp(pkt_data(p), data, 100), 0);
	ck_assert_uint_eq(p->off, PKT_HEADROOM_BYTES);
	ck_assert_uint_eq(p->len, 100);
	ck_assert_uint_eq(p->n_frames, 1);
	ck_assert_uint_eq(p->next, PKT_NONE);
	ck_assert_uint_eq(p->place, PLACE_ENGINE);
	ck_assert_uint_eq(p->port_in, 9);
	ck_assert_uint_eq(p->area, 2);
	ck_assert_uint_eq(p->rx_time_ns, NOW);
	/* And nothing else. */
	p->place = p->n_frames = p->area = 0;
	p->port_in = p->off = p->len = 0;
	p->total_bytes = 0;
	p->rx_time_ns = 0;
	for (size_t i = offsetof(struct pkt, total_bytes); i < sizeof(*p); i++)
		ck_assert_msg(((uint8_t *)p)[i] == 0, "byte %zu of struct pkt is not 0", i);
	p->place = PLACE_ENGINE;
	p->area = 2;
	pkt_put(a, p);
	ck_assert_uint_eq(counters.rx_pkts, 1);
	ck_assert_uint_eq(counters.rx_bytes, 100);
}
END_TEST

START_TEST(rx_takes_no_more_than_asked)
{
	open_port(&(struct memport_params){ .ring_entries = ENTRIES });
	for (unsigned int i = 0; i < 20; i++)
		ck_assert_int_eq(memport_inject(q, data + i, 60), 0);
	ck_assert_uint_eq(rx(7), 7);
	for (unsigned int i = 0; i < 7; i++)
		pkt_put(a, got[i]);
	ck_assert_uint_eq(rx(64), 13);
	for (unsigned int i = 0; i < 13; i++) {
		ck_assert_int_eq(memcmp(pkt_data(got[i]), data + 7 + i, 60), 0);
		pkt_put(a, got[i]);
	}
	ck_assert_uint_eq(rx(64), 0);
	ck_assert_uint_eq(rx(0), 0);
}
END_TEST

START_TEST(rx_chains_buffers)
{
	struct pkt *p;

	open_port(&(struct memport_params){ .ring_entries = 64 });
	p = rx_one(9014);
	ck_assert_uint_eq(p->n_frames, 6);
	ck_assert_uint_eq(a->count[PLACE_ENGINE], 6);
	ck_assert_uint_eq(pkt_copy_out(a, p, 0, got, 0), 0);
	for (const struct pkt *f = p; f; f = area_next(a, f))
		ck_assert_uint_eq(f->place, PLACE_ENGINE);
	static uint8_t back[10000];
	ck_assert_uint_eq(pkt_copy_out(a, p, 0, back, sizeof(back)), 9014);
	ck_assert_int_eq(memcmp(back, data, 9014), 0);
	pkt_put(a, p);
	ck_assert_uint_eq(counters.rx_bytes, 9014);
}
END_TEST

/* 64 KiB in 2048-byte chunks, with what XDP leaves free in each. */
START_TEST(rx_takes_a_superpacket)
{
	open_port(&(struct memport_params){ .ring_entries = 64 });
	ck_assert_uint_eq(rx_one(65535 + 14)->n_frames, 37);
	pkt_put(a, got[0]);
}
END_TEST

START_TEST(rx_joins_a_packet_over_two_calls)
{
	int64_t first, second;

	open_port(&(struct memport_params){ .ring_entries = ENTRIES });
	first = memport_steal(q);
	second = memport_steal(q);
	ck_assert_int_eq(memport_inject_desc(q, (uint64_t)first + 256, 1000, XDP_PKT_CONTD), 0);
	ck_assert_uint_eq(rx(8), 0);
	ck_assert_msg(area_check(a, &fault) == 0, "%s", fault.text);
	ck_assert_int_eq(memport_inject_desc(q, (uint64_t)second + 256, 500, 0), 0);
	ck_assert_int_eq(memport_inject(q, data, 60), 0);
	ck_assert_uint_eq(rx(8), 2);
	ck_assert_uint_eq(got[0]->total_bytes, 1500);
	ck_assert_uint_eq(got[0]->n_frames, 2);
	ck_assert_uint_eq(got[1]->total_bytes, 60);
	pkt_put(a, got[0]);
	pkt_put(a, got[1]);
}
END_TEST

START_TEST(rx_drops_a_chain_that_is_too_long_and_goes_on)
{
	open_port(&(struct memport_params){ .ring_entries = 64, .buffer_bytes = 100 });
	ck_assert_int_eq(memport_inject(q, data, 60), 0);
	ck_assert_int_eq(memport_inject(q, data, (PKT_FRAMES_MAX + 5) * 100), 0);
	ck_assert_int_eq(memport_inject(q, data + 1, 60), 0);
	ck_assert_uint_eq(rx(8), 2);
	ck_assert_int_eq(memcmp(pkt_data(got[0]), data, 60), 0);
	ck_assert_int_eq(memcmp(pkt_data(got[1]), data + 1, 60), 0);
	ck_assert_uint_eq(drops.too_many_frags, 1);
	ck_assert_uint_eq(sum_drops(), 1);
	ck_assert_uint_eq(counters.rx_drops, 1);
	ck_assert_uint_eq(a->count[PLACE_ENGINE], 2);
	pkt_put(a, got[0]);
	pkt_put(a, got[1]);
	/* Exactly as long as allowed. */
	rx_one(PKT_FRAMES_MAX * 100);
	pkt_put(a, got[0]);
}
END_TEST

static const struct {
	const char *name;
	uint64_t frame_add, off;
	uint32_t len, options;
	bool lost;			/* the frame is not the kernel's, or cannot be told */
} odd[] = {
	{ "length 0", 0, 256, 0, 0, false },
	{ "one byte beyond the chunk", 0, 256, 1793, 0, false },
	{ "length near 2^32", 0, 256, UINT32_MAX, 0, false },
	{ "no such frame", N_FRAMES, 0, 60, 0, true },
	{ "far beyond the area", UINT64_C(1) << 40, 0, 60, 0, true },
	{ "length 0, to be continued", 0, 256, 0, XDP_PKT_CONTD, false },
};

START_TEST(rx_survives_odd_descriptors)
{
	int64_t at, next;

	open_port(&(struct memport_params){ .ring_entries = ENTRIES });
	at = memport_steal(q);
	next = memport_steal(q);
	ck_assert_int_eq(memport_inject_desc(q, (uint64_t)at + odd[_i].frame_add * 2048 + odd[_i].off, odd[_i].len,
					     odd[_i].options), 0);
	/* What belongs to the bad one goes with it; what follows is whole. */
	ck_assert_int_eq(memport_inject_desc(q, (uint64_t)next + 256, 60, 0), 0);
	ck_assert_int_eq(memport_inject(q, data, 61), 0);
	ck_assert_uint_eq(rx(8), odd[_i].options ? 1 : 2);
	for (unsigned int i = 0; i < (odd[_i].options ? 1u : 2u); i++)
		pkt_put(a, got[i]);
	ck_assert_uint_eq(drops.too_long, 1);
	ck_assert_uint_eq(counters.rx_drops, 1);
	ck_assert_uint_eq(a->count[PLACE_ENGINE], 0);
	ck_assert_msg(area_check(a, &fault) == 0, "%s", fault.text);
}
END_TEST

START_TEST(rx_refuses_a_frame_that_is_not_the_kernels)
{
	struct pkt *mine;

	open_port(&(struct memport_params){ .ring_entries = ENTRIES });
	mine = area_alloc(a);
	ck_assert_int_eq(memport_inject_desc(q, (uint64_t)mine->frame * 2048 + 256, 60, 0), 0);
	ck_assert_uint_eq(rx(8), 0);
	ck_assert_uint_eq(mine->place, PLACE_ENGINE);
	ck_assert_uint_eq(counters.rx_drops, 1);
	pkt_put(a, mine);
}
END_TEST

START_TEST(rx_keeps_the_fill_ring_full)
{
	open_port(&(struct memport_params){ .ring_entries = ENTRIES });
	ck_assert_uint_eq(a->count[PLACE_FILL], ENTRIES);
	for (unsigned int round = 0; round < 100; round++) {
		for (unsigned int i = 0; i < 24; i++)
			ck_assert_int_eq(memport_inject(q, data, 60), 0);
		ck_assert_uint_eq(rx(64), 24);
		ck_assert_uint_eq(a->count[PLACE_FILL], ENTRIES);
		for (unsigned int i = 0; i < 24; i++)
			pkt_put(a, got[i]);
	}
}
END_TEST

START_TEST(rx_starves_and_recovers)
{
	struct pkt *all[N_FRAMES];
	unsigned int n = 0;

	open_port(&(struct memport_params){ .ring_entries = ENTRIES });
	ck_assert(!q->ops->pending(q));
	while ((all[n] = area_take(a)) != NULL)
		n++;
	for (unsigned int i = 0; i < ENTRIES; i++)
		ck_assert_int_eq(memport_inject(q, data, 60), 0);
	ck_assert_int_eq(memport_inject(q, data, 60), -ENOBUFS);
	ck_assert_uint_eq(rx(64), ENTRIES);
	ck_assert_uint_eq(a->count[PLACE_FILL], 0);
	/* Nothing to feed it with: looking again would not help. */
	ck_assert(!q->ops->pending(q));
	for (unsigned int i = 0; i < ENTRIES; i++)
		pkt_put(a, got[i]);
	ck_assert(q->ops->pending(q));
	ck_assert_uint_eq(rx(64), 0);
	ck_assert_uint_eq(a->count[PLACE_FILL], ENTRIES);
	ck_assert(!q->ops->pending(q));
	while (n > 0)
		area_give(a, all[--n]);
}
END_TEST

static struct sluice_rx_meta full_meta(void)
{
	return (struct sluice_rx_meta){
		.magic = SLUICE_RX_META_MAGIC, .version = SLUICE_RX_META_VERSION,
		.valid = SLUICE_RX_META_HASH | SLUICE_RX_META_TIMESTAMP, .hash = 0xabcd1234, .timestamp_ns = 77,
	};
}

START_TEST(rx_reads_metadata)
{
	struct sluice_rx_meta m = full_meta();

	open_port(&(struct memport_params){ .rx_meta = true });
	ck_assert_int_eq(memport_inject_meta(q, data, 60, &m, sizeof(m)), 0);
	m.valid = 0;
	ck_assert_int_eq(memport_inject_meta(q, data, 60, &m, sizeof(m)), 0);
	m = full_meta();
	m.magic++;
	ck_assert_int_eq(memport_inject_meta(q, data, 60, &m, sizeof(m)), 0);
	m = full_meta();
	m.version++;
	ck_assert_int_eq(memport_inject_meta(q, data, 60, &m, sizeof(m)), 0);
	ck_assert_uint_eq(rx(8), 4);
	ck_assert_uint_eq(got[0]->flags, PKT_RX_HASH | PKT_RX_TIME);
	ck_assert_uint_eq(got[0]->rx_hash, 0xabcd1234);
	ck_assert_uint_eq(got[0]->rx_time_ns, 77);
	for (unsigned int i = 0; i < 4; i++) {
		if (i > 0) {
			ck_assert_uint_eq(got[i]->flags, 0);
			ck_assert_uint_eq(got[i]->rx_hash, 0);
			ck_assert_uint_eq(got[i]->rx_time_ns, NOW);
		}
		pkt_put(a, got[i]);
	}
}
END_TEST

START_TEST(rx_puts_a_stripped_tag_back)
{
	struct sluice_rx_meta m = full_meta();
	struct pkt *p;

	m.valid = SLUICE_RX_META_VLAN;
	m.vlan_proto = htobe16(0x88a8);
	m.vlan_tci = 0x6123;
	open_port(&(struct memport_params){ .rx_meta = true });
	ck_assert_int_eq(memport_inject_meta(q, data, 1514, &m, sizeof(m)), 0);
	ck_assert_uint_eq(rx(8), 1);
	p = got[0];
	ck_assert_uint_eq(p->total_bytes, 1518);
	ck_assert_uint_eq(p->len, 1518);
	ck_assert_uint_eq(p->off, PKT_HEADROOM_BYTES - 4);
	ck_assert_int_eq(memcmp(pkt_data(p), data, 12), 0);
	ck_assert_uint_eq(be16_at(pkt_data(p) + 12), 0x88a8);
	ck_assert_uint_eq(be16_at(pkt_data(p) + 14), 0x6123);
	ck_assert_int_eq(memcmp(pkt_data(p) + 16, data + 12, 1502), 0);
	pkt_put(a, p);
}
END_TEST

/* ---- Transmission ---------------------------------------------------------------------------------------------- */

static struct pkt *make(uint32_t len)
{
	struct pkt *p = area_alloc(a);

	ck_assert_ptr_nonnull(p);
	memcpy(pkt_data(p), data, len);
	p->len = (uint16_t)len;
	p->total_bytes = len;
	return p;
}

static struct pkt *make_chain(unsigned int n, uint16_t each)
{
	struct pkt *head = make(each), *tail = head;

	for (unsigned int i = 1; i < n; i++) {
		struct pkt *p = make(each);

		memcpy(pkt_data(p), data + i * each, each);
		tail->next = p->frame;
		tail = p;
	}
	head->n_frames = (uint8_t)n;
	head->total_bytes = n * each;
	return head;
}

static unsigned int tx_one(struct pkt *p)
{
	return q->ops->tx(q, &p, 1);
}

START_TEST(tx_sends_what_was_received_without_a_copy)
{
	struct memport_sent sent;
	struct pkt *p;
	uint8_t b[100];

	open_port(&(struct memport_params){ 0 });
	p = rx_one(100);
	ck_assert_uint_eq(tx_one(p), 1);
	ck_assert_uint_eq(p->place, PLACE_TX);
	ck_assert(q->ops->pending(q));
	ck_assert(memport_capture(q, b, sizeof(b), &sent));
	ck_assert_uint_eq(sent.bytes, 100);
	ck_assert_int_eq(memcmp(b, data, 100), 0);
	ck_assert(!memport_capture(q, b, sizeof(b), &sent));
	q->ops->flush(q);
	ck_assert_uint_eq(a->count[PLACE_TX], 0);
	ck_assert(!q->ops->pending(q));
	ck_assert_uint_eq(counters.tx_pkts, 1);
	ck_assert_uint_eq(counters.tx_bytes, 100);
}
END_TEST

START_TEST(tx_of_a_full_ring_takes_what_fits_in_order)
{
	struct pkt *p[ENTRIES + 10];
	uint8_t b[60];

	open_port(&(struct memport_params){ .ring_entries = ENTRIES });
	for (unsigned int i = 0; i < ARRAY_SIZE(p); i++) {
		p[i] = make(60);
		pkt_data(p[i])[20] = (uint8_t)i;
	}
	ck_assert_uint_eq(q->ops->tx(q, p, ARRAY_SIZE(p)), ENTRIES);
	ck_assert_uint_eq(counters.tx_wakeups, 1);
	ck_assert_uint_eq(q->ops->tx(q, p + ENTRIES, 10), 0);
	ck_assert_uint_eq(p[ENTRIES]->place, PLACE_ENGINE);
	ck_assert_uint_eq(memport_drain(q), ENTRIES);
	q->ops->flush(q);
	ck_assert_uint_eq(q->ops->tx(q, p + ENTRIES, 10), 10);
	for (unsigned int i = 0; i < 10; i++) {
		ck_assert(memport_capture(q, b, sizeof(b), NULL));
		ck_assert_uint_eq(b[20], ENTRIES + i);
	}
	ck_assert_uint_eq(counters.tx_pkts, ENTRIES + 10);
}
END_TEST

START_TEST(tx_sends_chains_whole)
{
	struct memport_sent sent;
	static uint8_t b[10000];
	struct pkt *p[12];

	open_port(&(struct memport_params){ .ring_entries = ENTRIES, .tx_frames_max = 8 });
	port.mtu_bytes = 9000;
	ck_assert(port.caps & PORT_CAP_TX_SG);
	for (unsigned int i = 0; i < 12; i++)
		p[i] = i % 2 ? make(60) : make_chain(6, 1500);
	/* Four chains and four others are 28 entries: the fifth chain has no room, and nothing of it is taken. */
	ck_assert_uint_eq(q->ops->tx(q, p, 12), 8);
	ck_assert_uint_eq(p[8]->place, PLACE_ENGINE);
	ck_assert_uint_eq(area_next(a, p[8])->place, PLACE_ENGINE);
	for (unsigned int i = 0; i < 8; i++) {
		ck_assert(memport_capture(q, b, sizeof(b), &sent));
		ck_assert_uint_eq(sent.bytes, i % 2 ? 60 : 9000);
		ck_assert_uint_eq(sent.n_frames, i % 2 ? 1 : 6);
		ck_assert_int_eq(memcmp(b, data, sent.bytes), 0);
	}
	q->ops->flush(q);
	ck_assert_uint_eq(q->ops->tx(q, p + 8, 4), 4);
	ck_assert_uint_eq(memport_drain(q), 4);
	ck_assert_uint_eq(counters.tx_bytes, 6 * 9000 + 6 * 60);
}
END_TEST

/* An Ethernet, IPv4 and UDP header as far as a checksum goes: the field holds the pseudo-header's sum. */
static void make_partial(struct pkt *p)
{
	p->csum = PKT_CSUM_PARTIAL;
	p->csum_start = (uint16_t)(p->off + 34);
	p->csum_offset = 6;
	put_be16(pkt_data(p) + 40, 0x1234);
}

START_TEST(tx_leaves_partial_checksums_to_the_kernel)
{
	struct memport_sent sent;
	struct pkt *p;

	open_port(&(struct memport_params){ .tx_metadata = true, .tx_frames_max = 4 });
	ck_assert(port.caps & PORT_CAP_TX_PARTIAL);
	p = make(100);
	make_partial(p);
	ck_assert_uint_eq(tx_one(p), 1);
	p = make_chain(2, 700);
	make_partial(p);
	ck_assert_uint_eq(tx_one(p), 1);
	ck_assert_uint_eq(tx_one(make(60)), 1);
	for (unsigned int i = 0; i < 2; i++) {
		ck_assert(memport_capture(q, NULL, 0, &sent));
		ck_assert(sent.partial);
		ck_assert_uint_eq(sent.csum_start, 34);
		ck_assert_uint_eq(sent.csum_offset, 6);
	}
	ck_assert(memport_capture(q, NULL, 0, &sent));
	ck_assert(!sent.partial);
	ck_assert_uint_eq(counters.tx_partial_pkts, 2);
}
END_TEST

static void checksum_is_valid(const uint8_t *b, uint32_t len)
{
	/* The pseudo-header's sum, 0x1234, and the transport header and payload with the checksum in its place. */
	ck_assert_uint_eq(csum_fold(csum_add(csum_partial(b + 34, len - 34, 0), htobe16(0x1234))), 0);
}

/* Odd lengths in the middle of the chain: sums of what follows are swapped. */
static const uint16_t each_bytes[] = { 700, 701, 99 };

START_TEST(tx_finishes_checksums_where_the_kernel_cannot)
{
	struct memport_sent sent;
	static uint8_t b[4000];
	struct pkt *p;

	open_port(&(struct memport_params){ .tx_frames_max = 4 });
	port.mtu_bytes = 9000;
	p = make_chain(3, each_bytes[_i]);
	make_partial(p);
	ck_assert_uint_eq(tx_one(p), 1);
	ck_assert(memport_capture(q, b, sizeof(b), &sent));
	ck_assert(!sent.partial);
	checksum_is_valid(b, sent.bytes);
}
END_TEST

START_TEST(tx_metadata_can_be_withdrawn)
{
	struct memport_sent sent;
	static uint8_t b[4000];
	struct pkt *p;

	open_port(&(struct memport_params){ .tx_metadata = true, .tx_frames_max = 4 });
	ck_assert_uint_eq(tx_one(make(60)), 1);
	p = make_chain(3, each_bytes[_i]);
	make_partial(p);
	port.mtu_bytes = 9000;
	ck_assert_uint_eq(tx_one(p), 1);
	p = make(200);
	make_partial(p);
	ck_assert_uint_eq(tx_one(p), 1);
	ck_assert_uint_eq(xskq_finish_checksums((struct xskq *)q), 2);
	ck_assert_uint_eq(xskq_finish_checksums((struct xskq *)q), 0);
	ck_assert(memport_capture(q, b, sizeof(b), &sent));
	ck_assert_int_eq(memcmp(b, data, 60), 0);
	for (unsigned int i = 0; i < 2; i++) {
		ck_assert(memport_capture(q, b, sizeof(b), &sent));
		ck_assert(!sent.partial);
		checksum_is_valid(b, sent.bytes);
	}
}
END_TEST

/* ---- What cannot be sent ---- */

static void too_short(struct pkt *p)
{
	p->len = 13;
	p->total_bytes = 13;
}

static void too_long(struct pkt *p)
{
	p->len = 1523;
	p->total_bytes = 1523;
}

static void longest(struct pkt *p)
{
	p->len = 1522;
	p->total_bytes = 1522;
}

static void empty(struct pkt *p)
{
	p->len = 0;
	p->total_bytes = 0;
}

static void superpacket(struct pkt *p)
{
	p->gso = PKT_GSO_TCP4;
}

static void no_headroom(struct pkt *p)
{
	p->off = 23;
}

static void least_headroom(struct pkt *p)
{
	p->off = 24;
}

static void csum_before(struct pkt *p)
{
	make_partial(p);
	p->csum_start = (uint16_t)(p->off - 1);
}

static void csum_behind(struct pkt *p)
{
	make_partial(p);
	p->csum_offset = 65;
}

static void csum_at_the_end(struct pkt *p)
{
	make_partial(p);
	p->csum_offset = 64;
}

static void csum_wraps(struct pkt *p)
{
	make_partial(p);
	p->csum_offset = 65535;
}

static void length_lies(struct pkt *p)
{
	p->n_frames = 2;
	p->total_bytes = 100;
}

static const struct {
	const char *name;
	void (*spoil)(struct pkt *p);
	enum drop want;
} unsendable[] = {
	{ "13 bytes", too_short, DROP_eth_short },
	{ "one byte more than the MTU and two tags", too_long, DROP_too_long },
	{ "the MTU and two tags", longest, DROP_NONE },
	{ "empty", empty, DROP_eth_short },
	{ "superpacket", superpacket, DROP_gso_unsupported },
	{ "no room for the kernel's metadata", no_headroom, DROP_tx_refused },
	{ "just room", least_headroom, DROP_NONE },
	{ "checksum before the packet", csum_before, DROP_csum_bad },
	{ "checksum behind the packet", csum_behind, DROP_csum_bad },
	{ "checksum at the end", csum_at_the_end, DROP_NONE },
	{ "checksum far away", csum_wraps, DROP_csum_bad },
	{ "fewer frames than said", length_lies, DROP_tx_refused },
};

START_TEST(tx_drops_what_cannot_be_sent)
{
	struct pkt *p[3];

	open_port(&(struct memport_params){ .tx_metadata = true, .tx_frames_max = 4 });
	for (unsigned int i = 0; i < 3; i++)
		p[i] = make(100);
	unsendable[_i].spoil(p[1]);
	ck_assert_uint_eq(q->ops->tx(q, p, 3), 3);
	if (unsendable[_i].want == DROP_NONE) {
		ck_assert_msg(sum_drops() == 0, "%s", unsendable[_i].name);
		ck_assert_uint_eq(memport_drain(q), 3);
		ck_assert_uint_eq(counters.tx_pkts, 3);
	} else {
		ck_assert_msg(((uint64_t *)&drops)[unsendable[_i].want] == 1, "%s", unsendable[_i].name);
		ck_assert_uint_eq(sum_drops(), 1);
		ck_assert_uint_eq(memport_drain(q), 2);
		ck_assert_uint_eq(counters.tx_pkts, 2);
	}
}
END_TEST

START_TEST(tx_drops_chains_that_are_too_many)
{
	open_port(&(struct memport_params){ .tx_frames_max = 4 });
	port.mtu_bytes = 9000;
	ck_assert_uint_eq(tx_one(make_chain(5, 100)), 1);
	ck_assert_uint_eq(drops.too_many_frags, 1);
	ck_assert_uint_eq(tx_one(make_chain(4, 100)), 1);
	ck_assert_uint_eq(memport_drain(q), 1);
	q->ops->close(q);
	open_port(&(struct memport_params){ 0 });
	ck_assert(!(port.caps & PORT_CAP_TX_SG));
	ck_assert_uint_eq(tx_one(make_chain(2, 100)), 1);
	ck_assert_uint_eq(drops.too_many_frags, 2);
}
END_TEST

/* ---- Packets that are held beside the ring ---- */

START_TEST(held_packet_outlives_completion)
{
	struct pkt *p = NULL;

	open_port(&(struct memport_params){ .tx_frames_max = 8 });
	p = _i ? make_chain(3, 100) : make(100);
	pkt_get(p);
	ck_assert_uint_eq(tx_one(p), 1);
	ck_assert_uint_eq(tx_one(make(60)), 1);
	ck_assert_uint_eq(memport_drain(q), 2);
	q->ops->flush(q);
	ck_assert_uint_eq(a->count[PLACE_TX], 0);
	ck_assert_uint_eq(a->count[PLACE_ENGINE], _i ? 3 : 1);
	ck_assert_uint_eq(p->refs, 0);
	ck_assert_uint_eq(p->flags & PKT_TX_HELD, 0);
	/* It can be sent again. */
	ck_assert_uint_eq(tx_one(p), 1);
	ck_assert_uint_eq(memport_drain(q), 1);
}
END_TEST

START_TEST(held_packet_given_up_while_the_kernel_has_it)
{
	struct pkt *p;

	open_port(&(struct memport_params){ .tx_frames_max = 8 });
	p = _i ? make_chain(3, 100) : make(100);
	pkt_get(p);
	ck_assert_uint_eq(tx_one(p), 1);
	pkt_put(a, p);
	ck_assert_uint_eq(a->count[PLACE_TX], _i ? 3 : 1);
	ck_assert_uint_eq(memport_drain(q), 1);
	q->ops->flush(q);
	ck_assert_uint_eq(area_leaks(a), a->count[PLACE_FILL]);
}
END_TEST

START_TEST(close_gives_up_its_part_of_a_held_packet)
{
	struct pkt *p, *spare;

	open_port(&(struct memport_params){ .tx_frames_max = 8 });
	/* Frames of the chain in falling order, too: closing goes by number. */
	spare = _i ? make(1) : NULL;
	p = make_chain(3, 100);
	if (spare)
		pkt_put(a, spare);
	pkt_get(p);
	ck_assert_uint_eq(tx_one(p), 1);
	q->ops->close(q);
	q = NULL;
	ck_assert_uint_eq(a->count[PLACE_ENGINE], 3);
	pkt_put(a, p);
}
END_TEST

/* ---- Closing ---- */

START_TEST(close_brings_all_frames_home)
{
	int64_t stolen;

	open_port(&(struct memport_params){ .ring_entries = ENTRIES, .tx_frames_max = 4 });
	stolen = memport_steal(q);
	ck_assert_int_ge(stolen, 0);
	ck_assert_int_ge(memport_steal(q), 0);
	/* A packet whose end does not come; others unsent, sent, completed but not reaped; one not yet received. */
	ck_assert_int_eq(memport_inject_desc(q, (uint64_t)stolen + 256, 100, XDP_PKT_CONTD), 0);
	ck_assert_uint_eq(rx(4), 0);
	ck_assert_uint_eq(tx_one(make(60)), 1);
	ck_assert(memport_capture(q, NULL, 0, NULL));
	ck_assert_uint_eq(tx_one(make(60)), 1);
	ck_assert_uint_eq(tx_one(make_chain(3, 60)), 1);
	ck_assert_int_eq(memport_inject(q, data, 60), 0);
	ck_assert_msg(area_check(a, &fault) == 0, "%s", fault.text);
	q->ops->close(q);
	q = NULL;
	ck_assert_uint_eq(area_leaks(a), 0);
	ck_assert(!port_is_open(&port));
	ck_assert_uint_eq(port.n_queues, 0);
}
END_TEST

START_TEST(close_leaves_other_queues_alone)
{
	struct port_queue_params qp = { .qid = 0, .index = 6, .area = a, .counters = &counters, .drops = &drops };
	struct port_queue *other;

	open_port(&(struct memport_params){ .ring_entries = ENTRIES });
	ck_assert_int_eq(memport_open(&port, &qp, &(struct memport_params){ .ring_entries = 8 }, &other, &fault), 0);
	ck_assert_ptr_eq(port.queues[0], q);
	ck_assert_ptr_eq(port.queues[1], other);
	ck_assert_int_eq(memport_open(&port, &qp, &(struct memport_params){ 0 }, &other, &fault), -EBUSY);
	ck_assert_uint_eq(a->count[PLACE_FILL], ENTRIES + 8);
	ck_assert_uint_eq(port.n_queues, 2);
	other->ops->close(other);
	ck_assert_uint_eq(a->count[PLACE_FILL], ENTRIES);
	ck_assert_uint_eq(port.n_queues, 1);
	rx_one(60);
	pkt_put(a, got[0]);
}
END_TEST

/* ---- All together ---- */

/* Any order of everything that can happen, with the ledger checked at each step. */
START_TEST(ledger_holds_in_any_order)
{
	struct pkt *hand[N_FRAMES];
	unsigned int n = 0;
	uint64_t in = 0, out = 0, freed = 0;

	srand((unsigned int)_i + 1);
	open_port(&(struct memport_params){ .ring_entries = ENTRIES, .tx_frames_max = 5, .tx_metadata = true,
					    .buffer_bytes = 400 });
	for (unsigned int step = 0; step < 20000; step++) {
		unsigned int k, many = (unsigned int)rand() % 12;

		switch (rand() % 6) {
		case 0:
			for (k = 0; k < many; k++)
				in += memport_inject(q, data, 14 + (uint32_t)rand() % 2000) == 0;
			break;
		case 1:
			k = rx(many);
			memcpy(hand + n, got, k * sizeof(*got));
			n += k;
			break;
		case 2:
			many = many < n ? many : n;
			for (k = 0; k < many; k++) {
				if (rand() % 3 == 0)
					make_partial(hand[k]);
			}
			k = q->ops->tx(q, hand, many);
			memmove(hand, hand + k, (n - k) * sizeof(*hand));
			n -= k;
			break;
		case 3:
			q->ops->flush(q);
			break;
		case 4:
			while (many-- && memport_capture(q, NULL, 0, NULL))
				out++;
			break;
		default:
			if (n > 0 && rand() % 4 == 0) {
				pkt_put(a, hand[--n]);
				freed++;
			}
		}
		ck_assert_msg(area_check(a, &fault) == 0, "step %u: %s", step, fault.text);
	}
	while (n > 0) {
		pkt_put(a, hand[--n]);
		freed++;
	}
	while ((n = rx(32)) > 0) {
		freed += n;
		while (n > 0)
			pkt_put(a, got[--n]);
	}
	out += memport_drain(q);
	ck_assert_uint_eq(in, out + freed + sum_drops());
	ck_assert_uint_gt(out, 1000);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("memport");
	TCase *tc = tcase_create("memport");
	SRunner *r = srunner_create(s);
	int failed;

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, rx_gives_the_bytes_and_clean_metadata);
	tcase_add_test(tc, rx_takes_no_more_than_asked);
	tcase_add_test(tc, rx_chains_buffers);
	tcase_add_test(tc, rx_takes_a_superpacket);
	tcase_add_test(tc, rx_joins_a_packet_over_two_calls);
	tcase_add_test(tc, rx_drops_a_chain_that_is_too_long_and_goes_on);
	tcase_add_loop_test(tc, rx_survives_odd_descriptors, 0, ARRAY_SIZE(odd));
	tcase_add_test(tc, rx_refuses_a_frame_that_is_not_the_kernels);
	tcase_add_test(tc, rx_keeps_the_fill_ring_full);
	tcase_add_test(tc, rx_starves_and_recovers);
	tcase_add_test(tc, rx_reads_metadata);
	tcase_add_test(tc, rx_puts_a_stripped_tag_back);
	tcase_add_test(tc, tx_sends_what_was_received_without_a_copy);
	tcase_add_test(tc, tx_of_a_full_ring_takes_what_fits_in_order);
	tcase_add_test(tc, tx_sends_chains_whole);
	tcase_add_test(tc, tx_leaves_partial_checksums_to_the_kernel);
	tcase_add_loop_test(tc, tx_finishes_checksums_where_the_kernel_cannot, 0, ARRAY_SIZE(each_bytes));
	tcase_add_loop_test(tc, tx_metadata_can_be_withdrawn, 0, ARRAY_SIZE(each_bytes));
	tcase_add_loop_test(tc, tx_drops_what_cannot_be_sent, 0, ARRAY_SIZE(unsendable));
	tcase_add_test(tc, tx_drops_chains_that_are_too_many);
	tcase_add_loop_test(tc, held_packet_outlives_completion, 0, 2);
	tcase_add_loop_test(tc, held_packet_given_up_while_the_kernel_has_it, 0, 2);
	tcase_add_loop_test(tc, close_gives_up_its_part_of_a_held_packet, 0, 2);
	tcase_add_test(tc, close_brings_all_frames_home);
	tcase_add_test(tc, close_leaves_other_queues_alone);
	tcase_add_loop_test(tc, ledger_holds_in_any_order, 0, 4);
	suite_add_tcase(s, tc);
	srunner_run_all(r, CK_NORMAL);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
