// SPDX-License-Identifier: MIT
/*
 * xsk-bare: the limit of native mode, a peer of the benchmarks.
 *
 * A bare AF_XDP forwarder between queue 0 of two devices: it writes new MAC addresses and sends on. It looks nothing
 * up, checks nothing, decrements nothing and knows no neighbour; one memory area is the UMEM of both ports, so no
 * payload is copied here. With --csum it asks for the checksum of TCP and UDP by TX metadata, as a forwarder between
 * local senders must, whose frames carry partial checksums; for that it reads ethertype and protocol at fixed offsets
 * and takes every checksum for partial.
 */
#include <errno.h>
#include <getopt.h>
#include <linux/if_ether.h>
#include <linux/if_link.h>
#include <linux/if_xdp.h>
#include <net/if.h>
#include <netinet/ether.h>
#include <netinet/in.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#define BATCH	   64u
#define CHUNK	   2048u
#define META_LEN   16u		/* of struct tx_meta, in front of the frame */
#define TXMD_FLAGS_CHECKSUM	(1u << 1)
#define UMEM_TX_METADATA_LEN	(1u << 2)
#define TX_METADATA		(1u << 1)	/* in xdp_desc.options */
#define MAX_TX_SKB_BUDGET	9		/* socket option */
#ifndef SO_PREFER_BUSY_POLL
#define SO_PREFER_BUSY_POLL	69
#define SO_BUSY_POLL_BUDGET	70
#endif

/* linux/if_xdp.h of later kernels; Debian 12's does not have them. */
struct tx_meta {
	uint64_t flags;
	uint16_t csum_start, csum_offset;
	uint32_t pad;
};
struct umem_reg {
	uint64_t addr, len;
	uint32_t chunk_size, headroom, flags, tx_metadata_len;
};

struct ring {
	_Atomic uint32_t *producer, *consumer, *flags;
	void *desc;
	uint32_t mask, cached;		/* cached: our own index */
};

struct port {
	const char *dev;
	int fd;
	struct ring rx, tx, fill, comp;
	uint8_t macs[12];		/* of what leaves here: next hop, own */
	uint64_t received, sent, dropped;
};

static struct {
	uint32_t ring;			/* entries of each ring */
	uint32_t spin_us, busy_poll_us;
	bool csum;
	int cpu;
	const char *bpf;
} opt = { .ring = 2048, .cpu = -1 };

static uint8_t *area;
static uint64_t *stack;			/* free frames; last in, first out keeps them in cache */
static uint32_t stacked;
static volatile sig_atomic_t stopped;

static void on_signal(int sig)
{
	(void)sig;
	stopped = 1;
}

static void die(const char *what, const char *on)
{
	fprintf(stderr, "xsk-bare: %s %s: %s\n", what, on, strerror(errno));
	exit(1);
}

/* Return: a number of the command line, or exit code 2 */
static uint32_t number(const char *text)
{
	char *end;
	unsigned long v = strtoul(text, &end, 10);

	if (end == text || *end || v > UINT32_MAX) {
		fprintf(stderr, "xsk-bare: %s: want a number\n", text);
		exit(2);
	}
	return (uint32_t)v;
}

static void ring_map(struct port *p, struct ring *r, int sockopt, const struct xdp_ring_offset *off, off_t at,
		     size_t size)
{
	uint8_t *m;

	if (setsockopt(p->fd, SOL_XDP, sockopt, &opt.ring, sizeof(opt.ring)) < 0)
		die("ring of", p->dev);
	m = mmap(NULL, off->desc + opt.ring * size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, p->fd, at);
	if (m == MAP_FAILED)
		die("mmap ring of", p->dev);
	*r = (struct ring){ (void *)(m + off->producer), (void *)(m + off->consumer), (void *)(m + off->flags),
			    m + off->desc, opt.ring - 1, 0 };
}

static void port_macs(struct port *p, const char *next_hop)
{
	struct ether_addr *to = ether_aton(next_hop);
	struct ifreq ifr = { 0 };
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);	/* AF_XDP sockets do not know the call */

	if (!to) {
		errno = EINVAL;
		die("MAC address", next_hop);
	}
	snprintf(ifr.ifr_name, sizeof(ifr.ifr_name), "%s", p->dev);
	if (ioctl(fd, SIOCGIFHWADDR, &ifr) < 0)
		die("address of", p->dev);
	close(fd);
	memcpy(p->macs, to, 6);
	memcpy(p->macs + 6, ifr.ifr_hwaddr.sa_data, 6);
}

static void port_program(struct port *p)
{
	struct bpf_object *obj = bpf_object__open_file(opt.bpf, NULL);
	struct bpf_program *prog;
	struct bpf_link *link;
	uint32_t queue = 0;
	int map;

	if (!obj || bpf_object__load(obj))
		die("load", opt.bpf);
	prog = bpf_object__find_program_by_name(obj, "xsk_bare");
	map = bpf_object__find_map_fd_by_name(obj, "xsks");
	if (bpf_map_update_elem(map, &queue, &p->fd, BPF_ANY))
		die("xskmap of", p->dev);
	link = bpf_program__attach_xdp(prog, (int)if_nametoindex(p->dev));	/* ends with the process */
	if (!link)
		die("attach to", p->dev);
}

static const char *port_bind(struct port *p)
{
	static const struct { uint16_t flag; const char *name; } mode[] = {
		{ XDP_ZEROCOPY, "zero-copy" }, { XDP_COPY, "copy" },
	};
	struct sockaddr_xdp sa = { .sxdp_family = AF_XDP, .sxdp_ifindex = if_nametoindex(p->dev) };

	for (unsigned int i = 0; i < 2; i++) {
		sa.sxdp_flags = (uint16_t)(mode[i].flag | XDP_USE_NEED_WAKEUP);
		if (!bind(p->fd, (struct sockaddr *)&sa, sizeof(sa)))
			return mode[i].name;
	}
	die("bind to", p->dev);
	return NULL;
}

static void port_open(struct port *p, const char *next_hop, size_t area_len)
{
	struct umem_reg reg = { (uintptr_t)area, area_len, CHUNK, 0, UMEM_TX_METADATA_LEN, META_LEN };
	struct xdp_mmap_offsets off;
	socklen_t len = sizeof(off);
	int big = 16 << 20, one = 1, budget = (int)BATCH;

	p->fd = socket(AF_XDP, SOCK_RAW | SOCK_CLOEXEC, 0);
	if (p->fd < 0)
		die("AF_XDP socket for", p->dev);
	port_macs(p, next_hop);
	if (!opt.csum)
		reg.flags = reg.tx_metadata_len = 0;
	if (setsockopt(p->fd, SOL_XDP, XDP_UMEM_REG, &reg, sizeof(reg)) < 0) {
		reg.flags = 0;		/* kernels before the flag took the length alone */
		if (setsockopt(p->fd, SOL_XDP, XDP_UMEM_REG, &reg, sizeof(reg)) < 0)
			die("UMEM of", p->dev);
	}
	/* A copy-mode frame is charged to the socket until its skb is orphaned. Where the options exist, they help. */
	(void)setsockopt(p->fd, SOL_SOCKET, SO_SNDBUFFORCE, &big, sizeof(big));
	(void)setsockopt(p->fd, SOL_XDP, MAX_TX_SKB_BUDGET, &budget, sizeof(budget));
	if (opt.busy_poll_us) {
		int us = (int)opt.busy_poll_us;

		if (setsockopt(p->fd, SOL_SOCKET, SO_PREFER_BUSY_POLL, &one, sizeof(one)) < 0 ||
		    setsockopt(p->fd, SOL_SOCKET, SO_BUSY_POLL, &us, sizeof(us)) < 0 ||
		    setsockopt(p->fd, SOL_SOCKET, SO_BUSY_POLL_BUDGET, &budget, sizeof(budget)) < 0)
			die("busy polling on", p->dev);
	}
	if (getsockopt(p->fd, SOL_XDP, XDP_MMAP_OFFSETS, &off, &len) < 0)
		die("offsets of", p->dev);
	ring_map(p, &p->fill, XDP_UMEM_FILL_RING, &off.fr, XDP_UMEM_PGOFF_FILL_RING, sizeof(uint64_t));
	ring_map(p, &p->comp, XDP_UMEM_COMPLETION_RING, &off.cr, XDP_UMEM_PGOFF_COMPLETION_RING, sizeof(uint64_t));
	ring_map(p, &p->rx, XDP_RX_RING, &off.rx, XDP_PGOFF_RX_RING, sizeof(struct xdp_desc));
	ring_map(p, &p->tx, XDP_TX_RING, &off.tx, XDP_PGOFF_TX_RING, sizeof(struct xdp_desc));
}

/* Fixed offsets: no IPv4 options, no IPv6 extension headers; nothing else sends TCP or UDP in the benchmarks. */
static void ask_checksum(uint8_t *frame, struct xdp_desc *d)
{
	struct tx_meta *m = (struct tx_meta *)(frame - META_LEN);
	bool v6 = frame[12] == 0x86;
	uint8_t proto = frame[v6 ? 20 : 23];

	if (proto != IPPROTO_TCP && proto != IPPROTO_UDP)
		return;
	*m = (struct tx_meta){ TXMD_FLAGS_CHECKSUM, v6 ? 54 : 34, proto == IPPROTO_TCP ? 16 : 6, 0 };
	d->options = TX_METADATA;
}

static void complete(struct port *p)
{
	struct ring *r = &p->comp;
	uint32_t end = atomic_load_explicit(r->producer, memory_order_acquire);

	while (r->cached != end)
		stack[stacked++] = ((uint64_t *)r->desc)[r->cached++ & r->mask] & ~(uint64_t)(CHUNK - 1);
	atomic_store_explicit(r->consumer, end, memory_order_release);
}

/* Half a ring in flight is plenty, and what is not in flight stays in cache. */
static void refill(struct port *p)
{
	struct ring *r = &p->fill;
	uint32_t held = r->cached - atomic_load_explicit(r->consumer, memory_order_acquire);

	if (held > opt.ring / 2)
		return;
	for (; held < opt.ring && stacked; held++)
		((uint64_t *)r->desc)[r->cached++ & r->mask] = stack[--stacked];
	atomic_store_explicit(r->producer, r->cached, memory_order_release);
}

/* One call moves a bounded number of frames (32 by default) and says EAGAIN when there are more. */
static void kick(struct port *p)
{
	if (!(atomic_load_explicit(p->tx.flags, memory_order_relaxed) & XDP_RING_NEED_WAKEUP))
		return;
	for (unsigned int tries = 0; tries < 64; tries++) {
		uint32_t left = p->tx.cached - atomic_load_explicit(p->tx.consumer, memory_order_acquire);

		if (!left || !sendto(p->fd, NULL, 0, MSG_DONTWAIT, NULL, 0) || errno != EAGAIN)
			return;
	}
}

static uint32_t forward(struct port *in, struct port *out)
{
	uint32_t end = atomic_load_explicit(in->rx.producer, memory_order_acquire), n = end - in->rx.cached;
	uint32_t room = opt.ring - (out->tx.cached - atomic_load_explicit(out->tx.consumer, memory_order_acquire));

	if (!n)
		return 0;
	n = n > BATCH ? BATCH : n;
	for (uint32_t i = 0; i < n; i++) {
		struct xdp_desc d = ((struct xdp_desc *)in->rx.desc)[in->rx.cached++ & in->rx.mask];
		uint8_t *frame = area + d.addr;

		if (i >= room) {
			stack[stacked++] = d.addr & ~(uint64_t)(CHUNK - 1);
			out->dropped++;
			continue;
		}
		memcpy(frame, out->macs, sizeof(out->macs));
		d.options = 0;
		if (opt.csum)
			ask_checksum(frame, &d);
		((struct xdp_desc *)out->tx.desc)[out->tx.cached++ & out->tx.mask] = d;
		out->sent++;
	}
	in->received += n;
	atomic_store_explicit(in->rx.consumer, in->rx.cached, memory_order_release);
	atomic_store_explicit(out->tx.producer, out->tx.cached, memory_order_release);
	kick(out);
	complete(out);
	refill(in);
	return n;
}

static uint64_t now_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

static void run(struct port *a, struct port *b)
{
	struct pollfd fds[2] = { { .fd = a->fd, .events = POLLIN }, { .fd = b->fd, .events = POLLIN } };
	uint64_t idle_since = 0;

	while (!stopped) {
		if (forward(a, b) + forward(b, a)) {
			idle_since = 0;
			continue;
		}
		if (opt.busy_poll_us) {
			(void)recvfrom(a->fd, NULL, 0, MSG_DONTWAIT, NULL, NULL);
			(void)recvfrom(b->fd, NULL, 0, MSG_DONTWAIT, NULL, NULL);
			continue;
		}
		if (opt.spin_us) {
			uint64_t now = now_us();

			idle_since = idle_since ? idle_since : now;
			if (now - idle_since < opt.spin_us)
				continue;
			idle_since = 0;
		}
		/* What the kernel had no room for is offered again on waking, at the latest after a millisecond. */
		kick(a);
		kick(b);
		complete(a);
		complete(b);
		refill(a);
		refill(b);
		bool unsent = a->tx.cached != atomic_load(a->tx.consumer) || b->tx.cached != atomic_load(b->tx.consumer);
		(void)poll(fds, 2, unsent ? 1 : 100);	/* a signal between test and sleep waits 0.1 s */
	}
}

static const char usage[] = "usage: xsk-bare --a DEV --mac-a MAC --b DEV --mac-b MAC [--csum] [--cpu N] [--spin US]\n"
	"                [--busy-poll US] [--ring N] [--bpf FILE]\n"
	"--mac-a: where frames that leave on a go; prints \"ready\", and its counters at SIGTERM\n";

int main(int argc, char **argv)
{
	static const struct option longs[] = {
		{ "a", 1, 0, 'a' }, { "b", 1, 0, 'b' }, { "mac-a", 1, 0, 'A' }, { "mac-b", 1, 0, 'B' },
		{ "csum", 0, 0, 'k' }, { "cpu", 1, 0, 'c' }, { "spin", 1, 0, 's' }, { "busy-poll", 1, 0, 'p' },
		{ "ring", 1, 0, 'r' }, { "bpf", 1, 0, 'f' }, { 0 },
	};
	struct port a = { 0 }, b = { 0 };
	const char *mac_a = NULL, *mac_b = NULL, *mode;
	struct sigaction sa = { .sa_handler = on_signal };
	static char beside[4096];
	size_t area_len;
	int c;

	snprintf(beside, sizeof(beside), "%s.bpf.o", argv[0]);
	opt.bpf = beside;
	while ((c = getopt_long(argc, argv, "", longs, NULL)) != -1) {
		switch (c) {
		case 'a': a.dev = optarg; break;
		case 'b': b.dev = optarg; break;
		case 'A': mac_a = optarg; break;
		case 'B': mac_b = optarg; break;
		case 'k': opt.csum = true; break;
		case 'c': opt.cpu = (int)number(optarg); break;
		case 's': opt.spin_us = number(optarg); break;
		case 'p': opt.busy_poll_us = number(optarg); break;
		case 'r': opt.ring = number(optarg); break;
		case 'f': opt.bpf = optarg; break;
		default: a.dev = NULL; optind = argc; break;
		}
	}
	if (!a.dev || !b.dev || !mac_a || !mac_b || optind != argc || !opt.ring || (opt.ring & (opt.ring - 1))) {
		fputs(usage, stderr);
		return 2;
	}
	if (opt.cpu >= 0) {
		cpu_set_t set;

		CPU_ZERO(&set);
		CPU_SET((size_t)opt.cpu, &set);
		if (sched_setaffinity(0, sizeof(set), &set) < 0)
			die("pin to CPU", "--cpu");
	}
	/* Both fill rings full, both transmit rings full, and a batch on its way. */
	stacked = 4 * opt.ring + 2 * BATCH;
	area_len = (size_t)stacked * CHUNK;
	area = mmap(NULL, area_len, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
	stack = calloc(stacked, sizeof(*stack));
	if (area == MAP_FAILED || !stack)
		die("memory for", "frames");
	for (uint32_t i = 0; i < stacked; i++)
		stack[i] = (uint64_t)(stacked - 1 - i) * CHUNK;

	sigaction(SIGTERM, &sa, NULL);
	sigaction(SIGINT, &sa, NULL);
	port_open(&a, mac_a, area_len);
	port_open(&b, mac_b, area_len);
	refill(&a);
	refill(&b);
	mode = port_bind(&a);
	printf("%s: %s\n", a.dev, mode);
	mode = port_bind(&b);
	printf("%s: %s\n", b.dev, mode);
	port_program(&a);
	port_program(&b);
	puts("ready");
	fflush(stdout);
	run(&a, &b);
	printf("%s: received %lu sent %lu dropped %lu\n", a.dev, a.received, a.sent, a.dropped);
	printf("%s: received %lu sent %lu dropped %lu\n", b.dev, b.received, b.sent, b.dropped);
	return 0;
}
