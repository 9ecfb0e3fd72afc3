/* SPDX-License-Identifier: MIT */
/* The least that an AF_XDP socket needs to be put into an XSKMAP: memory, a fill ring and a receive ring; not bound. */
#ifndef TESTS_BPF_XSK_STUB_H
#define TESTS_BPF_XSK_STUB_H

#include <check.h>
#include <linux/if_xdp.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/socket.h>

static inline int xsk_stub(void)
{
	int fd = socket(AF_XDP, SOCK_RAW | SOCK_CLOEXEC, 0), n = 16;
	void *area = mmap(NULL, 16 * 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	struct xdp_umem_reg reg = { .addr = (uintptr_t)area, .len = 16 * 4096, .chunk_size = 4096 };

	ck_assert_int_ge(fd, 0);
	ck_assert_ptr_ne(area, MAP_FAILED);
	ck_assert_int_eq(setsockopt(fd, SOL_XDP, XDP_UMEM_REG, &reg, sizeof(reg)), 0);
	ck_assert_int_eq(setsockopt(fd, SOL_XDP, XDP_UMEM_FILL_RING, &n, sizeof(n)), 0);
	ck_assert_int_eq(setsockopt(fd, SOL_XDP, XDP_UMEM_COMPLETION_RING, &n, sizeof(n)), 0);
	ck_assert_int_eq(setsockopt(fd, SOL_XDP, XDP_RX_RING, &n, sizeof(n)), 0);
	return fd;
}

#endif
