/* SPDX-License-Identifier: MIT */
#include "user/packet/tun.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <linux/sockios.h>
#include <linux/virtio_net.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include <sluice/compat.h>

#include "common/bytes.h"
#include "common/log.h"
#include "user/packet/vnet.h"

#define MTU_BYTES 1500
#define TXQUEUELEN 1000
#define PACKET_BYTES_MAX 65535u
/* Frames behind the first need no room for link-layer headers, but some below, for transmit metadata on a socket. */
#define TAIL_OFF 64u
/* Refusals of one kind of superpacket, none accepted in between, after which it is not offered any more. */
#define GSO_REFUSALS_MAX 8

struct tun {
	struct port_queue q;		/* first */
	/*
	 * A row of frames that the next read goes into, in PLACE_FILL: enough for the longest packet. A packet takes
	 * the first ones, which are then missing until make_ready() puts others in their places.
	 */
	struct pkt *row[PKT_FRAMES_MAX];
	struct iovec iov[1 + PKT_FRAMES_MAX];	/* the header, then the row */
	uint32_t n_row, n_missing;
	struct virtio_net_hdr hdr;
	uint8_t gso_refused[PKT_GSO_UDP + 1];
	_Atomic uint32_t caps_lost;
	bool refusal_logged;
};

/* ---- Reception ------------------------------------------------------------------------------------------------- */

static inline uint16_t row_off(uint32_t i)
{
	return i == 0 ? PKT_HEADROOM_BYTES : TAIL_OFF;
}

/* Return: false when the area has too few frames for a packet of any length, which a read would cut short */
static bool make_ready(struct tun *t)
{
	struct area *a = t->q.area;

	while (t->n_missing > 0) {
		uint32_t i = t->n_missing - 1;
		struct pkt *p = area_take(a);

		if (!p)
			return false;
		area_move(a, p, PLACE_ENGINE, PLACE_FILL);
		p->queue = t->q.index;
		t->row[i] = p;
		t->iov[1 + i] = (struct iovec){ p->buf + row_off(i), a->chunk_bytes - row_off(i) };
		t->n_missing = i;
	}
	return true;
}

/* Take as many frames out of the row as @bytes lie in, as one packet. */
static struct pkt *take_packet(struct tun *t, uint32_t bytes)
{
	struct area *a = t->q.area;
	struct pkt *head = t->row[0], *tail = NULL;
	uint32_t left = bytes, used = 0;

	while (used == 0 || left > 0) {
		struct pkt *p = t->row[used];

		area_move(a, p, PLACE_FILL, PLACE_ENGINE);
		pkt_reset(p);
		p->off = row_off(used);
		p->len = (uint16_t)min_u32(left, a->chunk_bytes - p->off);
		if (tail)
			tail->next = p->frame;
		tail = p;
		left -= p->len;
		used++;
	}
	t->n_missing = used;
	head->total_bytes = bytes;
	head->n_frames = (uint8_t)used;
	head->port_in = t->q.port->id;
	return head;
}

static unsigned int tun_rx(struct port_queue *q, struct pkt **pkts, unsigned int max, uint64_t now_ns)
{
	struct tun *t = (struct tun *)q;
	unsigned int n = 0;

	while (n < max && make_ready(t)) {
		ssize_t got = readv(q->fd, t->iov, (int)(1 + t->n_row));
		enum drop why;
		struct pkt *p;

		if (got < 0 && errno == EINTR)
			continue;
		if (got <= (ssize_t)sizeof(t->hdr))
			break;
		p = take_packet(t, (uint32_t)got - (uint32_t)sizeof(t->hdr));
		p->rx_time_ns = now_ns;
		/* Longer ones may have been cut by the end of the buffers. */
		why = p->total_bytes > PACKET_BYTES_MAX ? DROP_too_long : vnet_read(p, &t->hdr);
		if (why != DROP_NONE) {
			q->counters->rx_drops++;
			port_drop(q, p, why);
			continue;
		}
		q->counters->rx_bytes += p->total_bytes;
		pkts[n++] = p;
	}
	q->counters->rx_pkts += n;
	return n;
}

/* ---- Transmission ---------------------------------------------------------------------------------------------- */

/* What may be done with each kind of superpacket, and what it is called. */
static const struct {
	uint32_t cap;
	const char *name;
} gso_kinds[] = {
	[PKT_GSO_TCP4] = { PORT_CAP_TX_TSO4, "TCP over IPv4" },
	[PKT_GSO_TCP6] = { PORT_CAP_TX_TSO6, "TCP over IPv6" },
	[PKT_GSO_UDP] = { PORT_CAP_TX_USO, "UDP" },
};

static void gso_refused(struct tun *t, const struct pkt *p)
{
	uint32_t cap = gso_kinds[p->gso].cap;

	if (t->gso_refused[p->gso] == GSO_REFUSALS_MAX || ++t->gso_refused[p->gso] < GSO_REFUSALS_MAX)
		return;
	/* The port's caps and reasons are the control thread's: tun_update() follows. */
	atomic_fetch_or_explicit(&t->caps_lost, cap, memory_order_relaxed);
	log_warn("port %s: the kernel refuses superpackets of %s: they are segmented in software from now on",
		 t->q.port->name, gso_kinds[p->gso].name);
}

/* The kernel has said no, for good. */
static enum drop refused(struct tun *t, const struct pkt *p, int err)
{
	t->q.counters->tx_errors++;
	if (err == EIO || err == EBADFD)	/* the device is down or gone */
		return DROP_port_down;
	if (!t->refusal_logged)
		log_warn("port %s: the kernel refuses a packet of %u bytes: %s (said once; see counter tx_errors)",
			 t->q.port->name, p->total_bytes, strerror(err));
	t->refusal_logged = true;
	if (p->gso != PKT_GSO_NONE)
		gso_refused(t, p);
	return DROP_tx_refused;
}

static enum drop tx_check(const struct tun *t, const struct pkt *p, uint16_t start)
{
	/* A superpacket may be longer than the MTU; what else is, the kernel would take and a host not expect. */
	uint32_t most = p->gso == PKT_GSO_NONE && t->q.port->mtu_bytes ? t->q.port->mtu_bytes : PACKET_BYTES_MAX;

	if (start < p->off || start - p->off >= p->len)
		return DROP_tx_refused;
	return p->total_bytes - (uint32_t)(start - p->off) > most ? DROP_too_long : DROP_NONE;
}

/* Return: bytes written, or a negative errno */
static ssize_t write_packet(const struct tun *t, const struct pkt *p, uint16_t start, struct virtio_net_hdr *hdr)
{
	struct iovec iov[1 + PKT_FRAMES_MAX];
	int n = 1;
	ssize_t r;

	iov[0] = (struct iovec){ hdr, sizeof(*hdr) };
	iov[n++] = (struct iovec){ p->buf + start, pkt_linear_bytes(p, start) };
	for (const struct pkt *f = area_next(t->q.area, p); f; f = area_next(t->q.area, f)) {
		if (n == ARRAY_SIZE(iov))
			return -EMSGSIZE;
		iov[n++] = (struct iovec){ pkt_data(f), f->len };
	}
	do {
		r = writev(t->q.fd, iov, n);
	} while (r < 0 && errno == EINTR);
	return r < 0 ? -errno : r;
}

static unsigned int tun_tx(struct port_queue *q, struct pkt **pkts, unsigned int count)
{
	struct tun *t = (struct tun *)q;
	unsigned int i;

	for (i = 0; i < count; i++) {
		struct pkt *p = pkts[i];
		uint16_t start = p->flags & PKT_L2 ? p->l3 : p->off;
		struct virtio_net_hdr hdr;
		enum drop why = tx_check(t, p, start);
		ssize_t r;

		if (why == DROP_NONE)
			why = vnet_write(p, start, &hdr);
		if (why != DROP_NONE) {
			port_drop(q, p, why);
			continue;
		}
		r = write_packet(t, p, start, &hdr);
		if (r == -EAGAIN)
			break;
		q->counters->tx_wakeups++;
		if (r < 0) {
			port_drop(q, p, refused(t, p, (int)-r));
			continue;
		}
		t->gso_refused[p->gso] = 0;
		q->counters->tx_pkts++;
		q->counters->tx_bytes += (uint64_t)r - sizeof(hdr);
		q->counters->tx_partial_pkts += p->csum == PKT_CSUM_PARTIAL;
		pkt_put(q->area, p);
	}
	return i;
}

/* A write has sent it. */
static void tun_flush(struct port_queue *q)
{
	(void)q;
}

static bool tun_pending(const struct port_queue *q)
{
	const struct tun *t = (const struct tun *)q;

	/* Starved of frames, and now there are some again. */
	return t->n_missing > 0 && q->area->n_free >= t->n_missing;
}

static void tun_update(struct port_queue *q)
{
	struct tun *t = (struct tun *)q;
	uint32_t lost = atomic_load_explicit(&t->caps_lost, memory_order_relaxed) & q->port->caps;

	q->port->caps &= ~lost;
	for (unsigned int i = PKT_GSO_TCP4; i < ARRAY_SIZE(gso_kinds); i++) {
		if (lost & gso_kinds[i].cap)
			port_reason(q->port, "no superpackets of %s to the device: the kernel refused them",
				    gso_kinds[i].name);
	}
}

static void tun_close(struct port_queue *q)
{
	struct tun *t = (struct tun *)q;

	close(q->fd);
	for (uint32_t i = t->n_missing; i < t->n_row; i++)
		area_give(q->area, t->row[i]);
	port_leave(q);
	free(t);
}

static const struct port_ops tun_ops = {
	.rx = tun_rx,
	.tx = tun_tx,
	.flush = tun_flush,
	.pending = tun_pending,
	.update = tun_update,
	.close = tun_close,
};

/* ---- Opening --------------------------------------------------------------------------------------------------- */

/* Down the ladder of what the kernel may hand us. Return: the flags that it took */
static unsigned int set_offloads(struct tun *t, const struct tun_params *params)
{
	const unsigned int tso = TUN_F_TSO4 | TUN_F_TSO6 | TUN_F_TSO_ECN, uso = TUN_F_USO4 | TUN_F_USO6;
	bool no_tso = params->no_tso4 && params->no_tso6;
	unsigned int want = TUN_F_CSUM | (params->no_tso4 ? 0 : TUN_F_TSO4) | (params->no_tso6 ? 0 : TUN_F_TSO6) |
			    (no_tso ? 0 : TUN_F_TSO_ECN) | (params->no_uso ? 0 : uso);
	struct port *port = t->q.port;

	if (params->no_csum) {
		port_reason(port, "no partial checksums, no superpackets: switched off");
		want = 0;
	} else if (params->no_tso4 || params->no_tso6) {
		port_reason(port, "no TCP superpackets%s: switched off",
			    no_tso ? "" : params->no_tso4 ? " over IPv4" : " over IPv6");
	}
	if (!params->no_csum && params->no_uso)
		port_reason(port, "no UDP superpackets: switched off");
	if (ioctl(t->q.fd, TUNSETOFFLOAD, (unsigned long)want) == 0)
		return want;
	if (want & uso) {
		port_reason(port, "no UDP superpackets: %s (Linux 6.2)", strerror(errno));
		want &= ~uso;
		if (ioctl(t->q.fd, TUNSETOFFLOAD, (unsigned long)want) == 0)
			return want;
	}
	if (want & tso) {
		port_reason(port, "no TCP superpackets: %s", strerror(errno));
		want &= ~tso;
		if (ioctl(t->q.fd, TUNSETOFFLOAD, (unsigned long)want) == 0)
			return want;
	}
	port_reason(port, "no partial checksums: %s", strerror(errno));
	(void)ioctl(t->q.fd, TUNSETOFFLOAD, 0ul);
	return 0;
}

static int attach(struct tun *t, struct fault *f)
{
	struct ifreq ifr = { .ifr_flags = IFF_TUN | IFF_NO_PI | IFF_VNET_HDR | IFF_MULTI_QUEUE };
	struct port *port = t->q.port;
	int bytes = sizeof(struct virtio_net_hdr), err;

	t->q.fd = open("/dev/net/tun", O_RDWR | O_CLOEXEC | O_NONBLOCK);
	if (t->q.fd < 0)
		return fault_errno(f, "open /dev/net/tun");
	snprintf(ifr.ifr_name, sizeof(ifr.ifr_name), "%s", port->device);
	if (ioctl(t->q.fd, TUNSETIFF, &ifr) < 0) {
		/* A persistent device that was made with one queue. */
		if (errno != EINVAL || t->q.qid != 0)
			goto err_device;
		ifr.ifr_flags = IFF_TUN | IFF_NO_PI | IFF_VNET_HDR;
		if (ioctl(t->q.fd, TUNSETIFF, &ifr) < 0)
			goto err_device;
		port_reason(port, "one queue only: the device was made so");
	}
	snprintf(port->device, sizeof(port->device), "%s", ifr.ifr_name);
	if (ioctl(t->q.fd, TUNSETVNETHDRSZ, &bytes) < 0) {
		err = fault_errno(f, "TUNSETVNETHDRSZ");
		goto err_close;
	}
	return 0;

err_device:
	err = fault_errno(f, "TUN device %s queue %u", port->device, t->q.qid);
err_close:
	close(t->q.fd);
	t->q.fd = -1;
	return err;
}

/* What belongs to the device and not to a queue. */
static int set_device(const struct tun *t, const struct tun_params *params, struct fault *f)
{
	struct port *port = t->q.port;
	struct ifreq ifr = { 0 };
	int err = 0, fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return fault_errno(f, "socket");
	if (port->mtu_bytes == 0)
		port->mtu_bytes = MTU_BYTES;
	snprintf(ifr.ifr_name, sizeof(ifr.ifr_name), "%s", port->device);
	/* What somebody else has made persistent is not ours to end. */
	if (params->persistent && ioctl(t->q.fd, TUNSETPERSIST, 1ul) < 0)
		err = fault_errno(f, "TUNSETPERSIST");
	if (!err && params->has_owner && ioctl(t->q.fd, TUNSETOWNER, (unsigned long)params->owner) < 0)
		err = fault_errno(f, "TUNSETOWNER %u", params->owner);
	ifr.ifr_qlen = params->txqueuelen ? (int)params->txqueuelen : TXQUEUELEN;
	if (!err && ioctl(fd, SIOCSIFTXQLEN, &ifr) < 0)
		err = fault_errno(f, "queue length %d", ifr.ifr_qlen);
	ifr.ifr_mtu = (int)port->mtu_bytes;
	if (!err && ioctl(fd, SIOCSIFMTU, &ifr) < 0)
		err = fault_errno(f, "MTU %u", port->mtu_bytes);
	if (!err && !params->stay_down) {
		if (ioctl(fd, SIOCGIFFLAGS, &ifr) == 0) {
			ifr.ifr_flags |= IFF_UP;
			if (ioctl(fd, SIOCSIFFLAGS, &ifr) == 0)
				port->up = true;
		}
		if (!port->up)
			err = fault_errno(f, "set %s up", port->device);
	}
	close(fd);
	return err;
}

static uint32_t caps_of(unsigned int offloads, const struct tun_params *params)
{
	uint32_t caps = PORT_CAP_TX_SG;

	if (params->no_csum)
		return caps;
	/* The device takes superpackets whatever it may hand out, but UDP ones only since it can do both. */
	caps |= PORT_CAP_TX_PARTIAL;
	caps |= params->no_tso4 ? 0 : PORT_CAP_TX_TSO4;
	caps |= params->no_tso6 ? 0 : PORT_CAP_TX_TSO6;
	if (offloads & TUN_F_USO4)
		caps |= PORT_CAP_TX_USO;
	if (offloads & (TUN_F_TSO4 | TUN_F_TSO6 | TUN_F_USO4))
		caps |= PORT_CAP_RX_GSO;
	return caps;
}

/* Frames for the longest packet and one byte more, so that a longer one shows. */
static uint32_t row_frames(uint32_t chunk)
{
	uint32_t behind = PACKET_BYTES_MAX + 1 - (chunk - PKT_HEADROOM_BYTES), each = chunk - TAIL_OFF;

	static_assert(1 + (PACKET_BYTES_MAX + 1) / (2048 - TAIL_OFF) < PKT_FRAMES_MAX, "the longest fits a chain");
	return 1 + (behind + each - 1) / each;
}

int tun_open(struct port *port, const struct port_queue_params *queue, const struct tun_params *params,
	     struct port_queue **out, struct fault *f)
{
	uint32_t chunk = queue->area->chunk_bytes;
	unsigned int offloads;
	struct tun *t;
	int err;

	t = calloc(1, sizeof(*t));
	if (!t)
		return fault_set(f, ENOMEM, "port %s: out of memory", port->name);
	t->q = (struct port_queue){
		.ops = &tun_ops, .port = port, .area = queue->area, .counters = queue->counters, .drops = queue->drops,
		.qid = queue->qid, .index = queue->index, .fd = -1,
	};
	t->iov[0] = (struct iovec){ &t->hdr, sizeof(t->hdr) };
	t->n_row = row_frames(chunk);
	t->n_missing = t->n_row;

	err = attach(t, f);
	if (err)
		goto err_free;
	offloads = set_offloads(t, params);
	if (!port_is_open(port))
		err = set_device(t, params, f);
	if (err)
		goto err_close;
	port->ifindex = (int)if_nametoindex(port->device);
	port->has_l2 = false;
	err = port_enter(&t->q, caps_of(offloads, params), "tun", f);
	if (err)
		goto err_close;
	*out = &t->q;
	return 0;

err_close:
	close(t->q.fd);
err_free:
	fault_prefix(f, "port %s: ", port->name);
	free(t);
	return err;
}
