/* SPDX-License-Identifier: MIT */
/* The least of an AF_XDP socket that a test of the XDP program needs. */
#ifndef TESTS_BPF_XSK_STUB_H
#define TESTS_BPF_XSK_STUB_H

#include <check.h>
#include <linux/if_xdp.h>
#include <poll.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/socket.h>

#define XSK_FRAMES 16
#define XSK_FRAME_BYTES 4096

struct xsk_rx {
	int fd;
	uint8_t *area;
	volatile uint32_t *rx_producer, *rx_consumer;
	struct xdp_desc *rx_descs;
};

static inline void xsk_memory(struct xsk_rx *x)
{
	struct xdp_umem_reg reg = { .len = XSK_FRAMES * XSK_FRAME_BYTES, .chunk_size = XSK_FRAME_BYTES };
	int n = XSK_FRAMES;

	x->fd = socket(AF_XDP, SOCK_RAW | SOCK_CLOEXEC, 0);
	ck_assert_int_ge(x->fd, 0);
	x->area = mmap(NULL, reg.len, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	ck_assert_ptr_ne(x->area, MAP_FAILED);
	reg.addr = (uintptr_t)x->area;
	ck_assert_int_eq(setsockopt(x->fd, SOL_XDP, XDP_UMEM_REG, &reg, sizeof(reg)), 0);
	ck_assert_int_eq(setsockopt(x->fd, SOL_XDP, XDP_UMEM_FILL_RING, &n, sizeof(n)), 0);
	ck_assert_int_eq(setsockopt(x->fd, SOL_XDP, XDP_UMEM_COMPLETION_RING, &n, sizeof(n)), 0);
	ck_assert_int_eq(setsockopt(x->fd, SOL_XDP, XDP_RX_RING, &n, sizeof(n)), 0);
}

/* A socket that can be put into an XSKMAP, not bound to a device. */
static inline int xsk_stub(void)
{
	struct xsk_rx x;

	xsk_memory(&x);
	return x.fd;
}

static inline uint8_t *xsk_map_ring(const struct xsk_rx *x, const struct xdp_ring_offset *o, size_t entry, off_t at)
{
	uint8_t *ring = mmap(NULL, o->desc + XSK_FRAMES * entry, PROT_READ | PROT_WRITE, MAP_SHARED, x->fd, at);

	ck_assert_ptr_ne(ring, MAP_FAILED);
	return ring;
}

/* A socket on queue 0 in copy mode with all its frames in the fill ring. */
static inline void xsk_rx_open(struct xsk_rx *x, int ifindex)
{
	struct sockaddr_xdp to = { .sxdp_family = AF_XDP, .sxdp_ifindex = (uint32_t)ifindex, .sxdp_flags = XDP_COPY };
	struct xdp_mmap_offsets off;
	socklen_t len = sizeof(off);
	uint64_t *fill;
	uint8_t *ring;

	xsk_memory(x);
	ck_assert_int_eq(getsockopt(x->fd, SOL_XDP, XDP_MMAP_OFFSETS, &off, &len), 0);
	ring = xsk_map_ring(x, &off.fr, sizeof(uint64_t), XDP_UMEM_PGOFF_FILL_RING);
	fill = (uint64_t *)(void *)(ring + off.fr.desc);
	for (uint64_t i = 0; i < XSK_FRAMES; i++)
		fill[i] = i * XSK_FRAME_BYTES;
	__atomic_store_n((uint32_t *)(void *)(ring + off.fr.producer), XSK_FRAMES, __ATOMIC_RELEASE);
	ring = xsk_map_ring(x, &off.rx, sizeof(struct xdp_desc), XDP_PGOFF_RX_RING);
	x->rx_producer = (void *)(ring + off.rx.producer);
	x->rx_consumer = (void *)(ring + off.rx.consumer);
	x->rx_descs = (void *)(ring + off.rx.desc);
	ck_assert_int_eq(bind(x->fd, (struct sockaddr *)&to, sizeof(to)), 0);
}

/* The next frame; there is always less than a ring of them in a test. */
static inline const uint8_t *xsk_rx_next(struct xsk_rx *x, uint32_t *len, int wait_ms)
{
	struct pollfd p = { .fd = x->fd, .events = POLLIN };
	uint32_t at = *x->rx_consumer;

	while (__atomic_load_n(x->rx_producer, __ATOMIC_ACQUIRE) == at)
		ck_assert_msg(poll(&p, 1, wait_ms) == 1, "no frame in the socket");
	*len = x->rx_descs[at].len;
	*x->rx_consumer = at + 1;
	return x->area + x->rx_descs[at].addr;
}

#endif
