/* SPDX-License-Identifier: MIT */
#include "user/packet/xsk.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <sluice/compat.h>

#include "common/bytes.h"
#include "common/log.h"
#include "user/packet/xskq.h"

#define RING_ENTRIES 2048
#define XDP_HEADROOM_BYTES 256u		/* XDP_PACKET_HEADROOM */
#define L2_BYTES 22u			/* Ethernet header and two VLAN tags */
#define BUSY_WAIT_MS 1000		/* for a queue that the kernel is still taking back */
#define DRAIN_MS 50
/* MAX_SKB_FRAGS as most kernels have it; what goes beyond is sent as two packets by copy mode. */
#define COPY_FRAMES_MAX 17

struct mapping {
	void *at;
	size_t bytes;
};

struct xsk {
	struct xskq x;			/* first */
	struct mapping maps[4];
	struct sluice_port_counters at_open;	/* the kernel's statistics start from 0 with each socket */
	bool zero_copy;
	const char *no_metadata;	/* why there is no transmit metadata; NULL when there is */
};

/* One way of doing it. */
struct rung {
	bool zero_copy, sg;
	const char *name;
};

static void sleep_ms(long ms)
{
	nanosleep(&(struct timespec){ .tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000 }, NULL);
}

/* ---- The kernel's side ----------------------------------------------------------------------------------------- */

/* Copy mode sends in the system call, until the ring is empty or something stops it. */
static void kick_copy(struct xskq *x)
{
	/* A call that makes progress takes one descriptor at least. */
	uint32_t calls = x->tx.size, left = ring_unread(&x->tx), now;

	x->tx_stalled = false;
	while (left && calls--) {
		x->q.counters->tx_wakeups++;
		if (sendto(x->q.fd, NULL, 0, MSG_DONTWAIT, NULL, 0) >= 0)
			return;
		switch (errno) {
		case EBUSY:
			/* One packet was taken and then dropped by the device, which counts it as well. */
			x->q.counters->tx_errors++;
			break;
		case EAGAIN:
			/* Its budget is used up, the completion ring is full, memory short, or the device is busy. */
			now = ring_unread(&x->tx);
			if (xskq_reap(x) == 0 && now == left)
				return;
			left = now;
			break;
		case EINVAL:
			if (xskq_finish_checksums(x) == 0)
				return;
			/* The port's caps and reasons are the control thread's: xsk_update() follows. */
			if (atomic_exchange_explicit(&x->tx_csum, false, memory_order_relaxed))
				log_warn("port %s: the kernel refuses transmit metadata: checksums in software now",
					 x->q.port->name);
			break;
		case ENETDOWN:
		case ENXIO:
		case ENODEV:
			x->tx_stalled = true;
			return;
		default:
			return;
		}
	}
}

/* Zero-copy: the call wakes the driver and returns. */
static void kick_zero_copy(struct xskq *x)
{
	x->q.counters->tx_wakeups++;
	x->tx_stalled = sendto(x->q.fd, NULL, 0, MSG_DONTWAIT, NULL, 0) < 0 &&
			(errno == ENETDOWN || errno == ENXIO || errno == ENODEV);
}

static void wake_rx(struct xskq *x)
{
	x->q.counters->rx_wakeups++;
	/* No error here is one to act on: a device that is down delivers nothing. */
	(void)recvfrom(x->q.fd, NULL, 0, MSG_DONTWAIT, NULL, NULL);
}

static void xsk_update(struct port_queue *q)
{
	struct xsk *s = (struct xsk *)q;
	struct xdp_statistics st = { 0 };
	socklen_t len = sizeof(st);

	if (q->port->caps & PORT_CAP_TX_PARTIAL && !atomic_load_explicit(&s->x.tx_csum, memory_order_relaxed)) {
		q->port->caps &= ~(uint32_t)PORT_CAP_TX_PARTIAL;
		port_reason(q->port, "transmit checksums in software: the kernel refused metadata while running");
	}
	if (getsockopt(q->fd, SOL_XDP, XDP_STATISTICS, &st, &len) < 0)
		return;
	q->counters->xdp_rx_dropped = s->at_open.xdp_rx_dropped + st.rx_dropped;
	q->counters->xdp_rx_invalid_descs = s->at_open.xdp_rx_invalid_descs + st.rx_invalid_descs;
	q->counters->xdp_tx_invalid_descs = s->at_open.xdp_tx_invalid_descs + st.tx_invalid_descs;
	q->counters->xdp_rx_ring_full = s->at_open.xdp_rx_ring_full + st.rx_ring_full;
	q->counters->xdp_rx_fill_ring_empty_descs =
		s->at_open.xdp_rx_fill_ring_empty_descs + st.rx_fill_ring_empty_descs;
	q->counters->xdp_tx_ring_empty_descs = s->at_open.xdp_tx_ring_empty_descs + st.tx_ring_empty_descs;
}

/* ---- Opening --------------------------------------------------------------------------------------------------- */

/*
 * Linux 6.8 to 6.10 look at tx_metadata_len without a flag that says so, older ones do not look at it at all, and both
 * take a good value. A bad one tells them apart.
 */
static bool kernel_reads_metadata_len(const struct area *a)
{
	struct sluice_umem_reg reg = {
		.addr = (uintptr_t)a->base, .len = a->chunk_bytes, .chunk_size = a->chunk_bytes, .tx_metadata_len = 255,
	};
	int fd = socket(AF_XDP, SOCK_RAW | SOCK_CLOEXEC, 0);
	bool refused;

	if (fd < 0)
		return false;
	reg.len = 4096 > a->chunk_bytes ? 4096 : a->chunk_bytes;
	refused = setsockopt(fd, SOL_XDP, XDP_UMEM_REG, &reg, sizeof(reg)) < 0 && errno == EINVAL;
	close(fd);
	return refused;
}

static int register_umem(struct xsk *s, const struct rung *r, const struct xsk_params *params, struct fault *f)
{
	struct area *a = s->x.q.area;
	struct sluice_umem_reg reg = {
		.addr = (uintptr_t)a->base,
		.len = (uint64_t)a->n_frames * a->chunk_bytes,
		.chunk_size = a->chunk_bytes,
		.headroom = params->headroom_bytes,
		.flags = XDP_UMEM_TX_METADATA_LEN,
		.tx_metadata_len = sizeof(struct sluice_tx_metadata),
	};
	const char *why = NULL;

	if (params->no_tx_metadata)
		why = "switched off";
	else if (r->zero_copy && !params->zc_tx_checksum)
		why = "the driver does not offer them to zero-copy sockets";
	if (!why) {
		if (setsockopt(s->x.q.fd, SOL_XDP, XDP_UMEM_REG, &reg, sizeof(reg)) == 0)
			goto with_metadata;
		if (errno != EINVAL)
			return fault_errno(f, "register %u frames as UMEM", a->n_frames);
		why = "the kernel has no transmit metadata (Linux 6.8)";
		reg.flags = 0;
		if (kernel_reads_metadata_len(a)) {
			if (setsockopt(s->x.q.fd, SOL_XDP, XDP_UMEM_REG, &reg, sizeof(reg)) == 0)
				goto with_metadata;
			why = "the kernel refused metadata for this UMEM";
		}
	}
	s->no_metadata = why;
	reg.flags = 0;
	reg.tx_metadata_len = 0;
	s->x.tx_meta_bytes = 0;
	s->x.tx_csum = false;
	if (setsockopt(s->x.q.fd, SOL_XDP, XDP_UMEM_REG, &reg, sizeof(reg)) < 0)
		return fault_errno(f, "register %u frames as UMEM", a->n_frames);
	return 0;

with_metadata:
	s->no_metadata = NULL;
	s->x.tx_meta_bytes = sizeof(struct sluice_tx_metadata);
	s->x.tx_csum = true;
	return 0;
}

static int map_ring(struct xsk *s, unsigned int i, struct ring *ring, const struct xdp_ring_offset *off,
		    bool has_flags, uint64_t pgoff, uint32_t entries, size_t entry_bytes, struct fault *f)
{
	size_t bytes = off->desc + entries * entry_bytes;
	uint8_t *at = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, s->x.q.fd, (off_t)pgoff);

	if (at == MAP_FAILED)
		return fault_errno(f, "map a ring of %u entries", entries);
	s->maps[i] = (struct mapping){ at, bytes };
	ring->producer = (_Atomic uint32_t *)(void *)(at + off->producer);
	ring->consumer = (_Atomic uint32_t *)(void *)(at + off->consumer);
	ring->flags = has_flags ? (_Atomic uint32_t *)(void *)(at + off->flags) : NULL;
	ring->descs = (void *)(at + off->desc);
	ring->size = entries;
	ring->mask = entries - 1;
	ring->prod = ring->cons = 0;
	return 0;
}

static int make_rings(struct xsk *s, const struct xsk_params *params, struct fault *f)
{
	struct {
		int option;
		uint32_t entries;
		const char *name;
	} want[] = {
		{ XDP_UMEM_FILL_RING, params->fill_entries, "fill" },
		{ XDP_UMEM_COMPLETION_RING, params->tx_entries, "completion" },
		{ XDP_RX_RING, params->rx_entries, "reception" },
		{ XDP_TX_RING, params->tx_entries, "transmit" },
	};
	struct xdp_mmap_offsets off = { 0 };
	socklen_t len = sizeof(off);
	int err, fd = s->x.q.fd;

	for (unsigned int i = 0; i < ARRAY_SIZE(want); i++) {
		if (!is_pow2(want[i].entries))
			return fault_set(f, EINVAL, "%s ring of %u entries: a power of two is wanted", want[i].name,
					 want[i].entries);
		if (setsockopt(fd, SOL_XDP, want[i].option, &want[i].entries, sizeof(want[i].entries)) < 0)
			return fault_errno(f, "%s ring of %u entries", want[i].name, want[i].entries);
	}
	if (getsockopt(fd, SOL_XDP, XDP_MMAP_OFFSETS, &off, &len) < 0)
		return fault_errno(f, "XDP_MMAP_OFFSETS");
	if (len != sizeof(off))
		return fault_set(f, EPROTO, "XDP_MMAP_OFFSETS gives %u bytes; Linux 5.4 or later is wanted", len);
	err = map_ring(s, 0, &s->x.fill, &off.fr, true, XDP_UMEM_PGOFF_FILL_RING, params->fill_entries,
		       sizeof(uint64_t), f);
	if (!err)
		err = map_ring(s, 1, &s->x.comp, &off.cr, false, XDP_UMEM_PGOFF_COMPLETION_RING, params->tx_entries,
			       sizeof(uint64_t), f);
	if (!err)
		err = map_ring(s, 2, &s->x.rx, &off.rx, false, XDP_PGOFF_RX_RING, params->rx_entries,
			       sizeof(struct xdp_desc), f);
	if (!err)
		err = map_ring(s, 3, &s->x.tx, &off.tx, true, XDP_PGOFF_TX_RING, params->tx_entries,
			       sizeof(struct xdp_desc), f);
	return err;
}

/* Without it a call moves 32 descriptors and says EAGAIN, and kick_copy() calls again. */
static void raise_tx_budget(const struct xsk *s)
{
	uint32_t budget = s->x.tx.size;

	if (budget >= 32)
		(void)setsockopt(s->x.q.fd, SOL_XDP, XDP_MAX_TX_SKB_BUDGET, &budget, sizeof(budget));
}

static void set_busy_poll(struct xsk *s, const struct xsk_params *params)
{
	struct {
		int option, value;
		const char *name;
	} opts[] = {
		{ SO_PREFER_BUSY_POLL, 1, "SO_PREFER_BUSY_POLL" },
		{ SO_BUSY_POLL, params->busy_poll_us ? (int)params->busy_poll_us : 20, "SO_BUSY_POLL" },
		{ SO_BUSY_POLL_BUDGET, params->busy_poll_budget ? (int)params->busy_poll_budget : 64,
		  "SO_BUSY_POLL_BUDGET" },
	};

	for (unsigned int i = 0; i < ARRAY_SIZE(opts); i++) {
		if (setsockopt(s->x.q.fd, SOL_SOCKET, opts[i].option, &opts[i].value, sizeof(opts[i].value)) < 0) {
			port_reason(s->x.q.port, "no busy polling: %s: %s", opts[i].name, strerror(errno));
			return;
		}
	}
	s->x.rx_poll = true;
}

static void close_socket(struct xsk *s)
{
	for (unsigned int i = 0; i < ARRAY_SIZE(s->maps); i++) {
		if (s->maps[i].at)
			munmap(s->maps[i].at, s->maps[i].bytes);
		s->maps[i].at = NULL;
	}
	if (s->x.q.fd >= 0)
		close(s->x.q.fd);
	s->x.q.fd = -1;
}

/* A whole new socket for each try: one whose bind() has failed has lost its rings on many kernels. */
static int try_rung(struct xsk *s, const struct rung *r, const struct xsk_params *params, struct fault *f)
{
	struct sockaddr_xdp addr = {
		.sxdp_family = AF_XDP,
		.sxdp_ifindex = (uint32_t)s->x.q.port->ifindex,
		.sxdp_queue_id = s->x.q.qid,
		.sxdp_flags = (uint16_t)((r->zero_copy ? XDP_ZEROCOPY : XDP_COPY) | (r->sg ? XDP_USE_SG : 0) |
					 (params->no_need_wakeup ? 0 : XDP_USE_NEED_WAKEUP)),
	};
	int err;

	s->x.q.fd = socket(AF_XDP, SOCK_RAW | SOCK_CLOEXEC, 0);
	if (s->x.q.fd < 0)
		return fault_errno(f, "AF_XDP socket");
	err = register_umem(s, r, params, f);
	if (!err)
		err = make_rings(s, params, f);
	if (!err) {
		raise_tx_budget(s);
		if (bind(s->x.q.fd, (struct sockaddr *)&addr, sizeof(addr)) < 0)
			err = fault_errno(f, "bind to %s queue %u", s->x.q.port->device, s->x.q.qid);
	}
	if (err)
		close_socket(s);
	return err;
}

/* The kernel takes a closed socket's queue back in its own time; until then it is EBUSY. */
static int try_rung_patiently(struct xsk *s, const struct rung *r, const struct xsk_params *params, struct fault *f)
{
	int err = try_rung(s, r, params, f);

	for (int waited = 0; err == -EBUSY && waited < BUSY_WAIT_MS; waited += 5) {
		sleep_ms(5);
		err = try_rung(s, r, params, f);
	}
	return err;
}

/* Down the ladder. */
static int open_best(struct xsk *s, const struct xsk_params *params, struct rung *taken, struct fault *f)
{
	static const struct rung ladder[] = {
		{ true, true, "zero-copy with multi-buffer" },
		{ true, false, "zero-copy" },
		{ false, true, "multi-buffer" },
		{ false, false, "copy mode" },
	};
	struct port *port = s->x.q.port;
	uint32_t frame_bytes = s->x.q.area->chunk_bytes - XDP_HEADROOM_BYTES - params->headroom_bytes;
	bool wants_sg = port->mtu_bytes + L2_BYTES > frame_bytes;
	int err = -EINVAL;

	for (unsigned int i = 0; i < ARRAY_SIZE(ladder); i++) {
		const struct rung *r = &ladder[i];

		if (r->zero_copy && params->no_zero_copy) {
			port_reason(port, "not zero-copy: switched off");
			continue;
		}
		if (r->zero_copy && params->generic) {
			port_reason(port, "not zero-copy: the XDP program is attached in generic mode");
			continue;
		}
		if (r->sg && params->no_sg) {
			port_reason(port, "not multi-buffer: switched off");
			continue;
		}
		if (r->zero_copy && !r->sg && wants_sg) {
			port_reason(port, "not zero-copy: an MTU of %u wants several buffers of %u bytes, which the "
				    "driver cannot", port->mtu_bytes, frame_bytes);
			continue;
		}
		err = try_rung_patiently(s, r, params, f);
		if (!err) {
			*taken = *r;
			if (wants_sg && !r->sg)
				port_reason(port, "frames of more than %u bytes are dropped: no multi-buffer",
					    frame_bytes);
			return 0;
		}
		/* Nothing that another mode would mend. */
		if (err == -EBUSY || err == -ENODEV || err == -EPERM || err == -ENOMEM || err == -ENOBUFS)
			return err;
		port_reason(port, "not %s: %s", r->name, strerror(-err));
	}
	return err;
}

/* ---- Closing --------------------------------------------------------------------------------------------------- */

/* Send what is queued and wait a little for what the device still reads; then nothing more can be waited for. */
static void drain(struct xskq *x)
{
	for (int ms = 0; x->n_tx && ms < DRAIN_MS; ms++) {
		xskq_flush(&x->q);
		if (x->n_tx == 0 || x->tx_stalled)
			return;
		sleep_ms(1);
	}
}

/*
 * A driver may write to the frames of a zero-copy socket until the kernel has taken the queue back, which it does some
 * time after close(). As long as that lasts, nobody else can bind to the queue.
 */
static void wait_released(const struct xsk *s)
{
	static const struct rung copy = { false, false, "copy mode" };
	struct xsk_params tiny = { .rx_entries = 2, .tx_entries = 2, .fill_entries = 2, .no_tx_metadata = true };
	struct xsk probe = { .x.q = s->x.q };
	struct port port = { .ifindex = s->x.q.port->ifindex };

	probe.x.q.port = &port;		/* its reasons are nobody's */
	if (try_rung_patiently(&probe, &copy, &tiny, NULL) == 0)
		close_socket(&probe);
}

static void xsk_close(struct port_queue *q)
{
	struct xsk *s = (struct xsk *)q;

	drain(&s->x);
	xsk_update(q);
	close_socket(s);
	if (s->zero_copy)
		wait_released(s);
	xskq_home(&s->x);
	port_leave(q);
	free(s);
}

static const struct port_ops xsk_ops = {
	.rx = xskq_rx,
	.tx = xskq_tx,
	.flush = xskq_flush,
	.pending = xskq_pending,
	.update = xsk_update,
	.close = xsk_close,
};

uint32_t xsk_single_mtu(uint32_t chunk_bytes)
{
	return chunk_bytes - XDP_HEADROOM_BYTES - L2_BYTES;
}

int xsk_open(struct port *port, const struct port_queue_params *queue, const struct xsk_params *params,
	     struct port_queue **out, struct fault *f)
{
	struct xsk_params p = *params;
	struct rung rung = { 0 };
	struct xsk *s;
	uint32_t caps = 0;
	char mode[sizeof(port->mode)];
	int err;

	p.rx_entries = p.rx_entries ? p.rx_entries : RING_ENTRIES;
	p.tx_entries = p.tx_entries ? p.tx_entries : RING_ENTRIES;
	p.fill_entries = p.fill_entries ? p.fill_entries : RING_ENTRIES;
	if (p.headroom_bytes > queue->area->chunk_bytes / 4)
		return fault_set(f, EINVAL, "port %s: headroom of %u bytes in frames of %u", port->name,
				 p.headroom_bytes, queue->area->chunk_bytes);
	s = calloc(1, sizeof(*s));
	if (!s)
		return fault_set(f, ENOMEM, "port %s: out of memory", port->name);
	s->x.q = (struct port_queue){
		.ops = &xsk_ops, .port = port, .area = queue->area, .counters = queue->counters, .drops = queue->drops,
		.qid = queue->qid, .index = queue->index, .fd = -1,
	};
	s->at_open = *queue->counters;
	err = open_best(s, &p, &rung, f);
	if (err)
		goto err_free;
	s->zero_copy = rung.zero_copy;
	s->x.kick = rung.zero_copy ? kick_zero_copy : kick_copy;
	s->x.wake_rx = wake_rx;
	s->x.rx_meta = p.rx_meta;
	s->x.tx_frames_max = 1;
	if (rung.sg)
		s->x.tx_frames_max = (uint16_t)(rung.zero_copy ? max_u32(p.zc_max_segs, 1) : COPY_FRAMES_MAX);
	if (p.busy_poll)
		set_busy_poll(s, &p);
	xskq_init(&s->x);

	if (s->x.tx_csum)
		caps |= PORT_CAP_TX_PARTIAL;
	if (s->x.tx_frames_max > 1)
		caps |= PORT_CAP_TX_SG;
	/* Only generic XDP leaves the TSO of a veth's peer on. */
	if (p.generic && rung.sg)
		caps |= PORT_CAP_RX_GSO;
	snprintf(mode, sizeof(mode), "%s %s", rung.zero_copy ? "zero-copy" : "copy", p.generic ? "generic" : "native");
	err = port_enter(&s->x.q, caps, mode, f);
	if (err)
		goto err_close;
	if (s->no_metadata)
		port_reason(port, "transmit checksums in software: %s", s->no_metadata);
	xskq_fill(&s->x);
	*out = &s->x.q;
	return 0;

err_close:
	close_socket(s);
err_free:
	fault_prefix(f, "port %s: ", port->name);
	free(s);
	return err;
}
