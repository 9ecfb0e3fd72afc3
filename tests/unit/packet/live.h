/* SPDX-License-Identifier: MIT */
/*
 * For tests that use real devices: a network namespace of the process's own, a veth pair in it, an XDP program that
 * redirects every frame to the socket of its queue, and raw sockets at the other end. Needs root.
 */
#ifndef TESTS_UNIT_PACKET_LIVE_H
#define TESTS_UNIT_PACKET_LIVE_H

#include <bpf/bpf.h>
#include <check.h>
#include <errno.h>
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/if_link.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <poll.h>
#include <sched.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "common/bytes.h"

#define LIVE_WAIT_MS 20000

/* A command that must work. */
static inline __attribute__((format(printf, 1, 2))) void live_run(const char *fmt, ...)
{
	char cmd[512];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(cmd, sizeof(cmd), fmt, ap);
	va_end(ap);
	ck_assert_msg(system(cmd) == 0, "%s", cmd);
}

/* A namespace that ends with the process. Return: false when this needs more rights than there are */
static inline bool live_namespace(void)
{
	if (geteuid() != 0 || unshare(CLONE_NEWNET) < 0)
		return false;
	live_run("ip link set lo up");
	return true;
}

static inline uint64_t live_now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
}

/* Until @cond holds, or the test fails. */
#define live_wait(cond)                                                                                                \
	do {                                                                                                           \
		uint64_t live_until_ = live_now_ms() + LIVE_WAIT_MS;                                                   \
		while (!(cond)) {                                                                                      \
			ck_assert_msg(live_now_ms() < live_until_, "never came true: %s", #cond);                      \
			usleep(200);                                                                                   \
		}                                                                                                      \
	} while (0)

/* Every frame to the socket of its queue, or to the kernel where there is none. */
static inline int live_redirect_prog(int xskmap)
{
	const struct bpf_insn insns[] = {
		{ .code = BPF_LDX | BPF_MEM | BPF_W, .dst_reg = BPF_REG_2, .src_reg = BPF_REG_1,
		  .off = offsetof(struct xdp_md, rx_queue_index) },
		{ .code = BPF_LD | BPF_DW | BPF_IMM, .dst_reg = BPF_REG_1, .src_reg = BPF_PSEUDO_MAP_FD,
		  .imm = xskmap },
		{ 0 },
		{ .code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_3, .imm = XDP_PASS },
		{ .code = BPF_JMP | BPF_CALL, .imm = BPF_FUNC_redirect_map },
		{ .code = BPF_JMP | BPF_EXIT },
	};
	LIBBPF_OPTS(bpf_prog_load_opts, opts, .prog_flags = BPF_F_XDP_HAS_FRAGS);
	int fd = bpf_prog_load(BPF_PROG_TYPE_XDP, "to_socket", "GPL", insns, ARRAY_SIZE(insns), &opts);

	ck_assert_msg(fd >= 0, "loading the XDP program: %s", strerror(errno));
	return fd;
}

struct live_xdp {
	int map, prog, link;
};

static inline struct live_xdp live_attach(int ifindex, bool generic)
{
	LIBBPF_OPTS(bpf_link_create_opts, opts, .flags = generic ? XDP_FLAGS_SKB_MODE : XDP_FLAGS_DRV_MODE);
	struct live_xdp x;

	x.map = bpf_map_create(BPF_MAP_TYPE_XSKMAP, "sockets", 4, 4, 16, NULL);
	ck_assert_msg(x.map >= 0, "XSKMAP: %s", strerror(errno));
	x.prog = live_redirect_prog(x.map);
	x.link = bpf_link_create(x.prog, ifindex, BPF_XDP, &opts);
	ck_assert_msg(x.link >= 0, "attaching XDP: %s", strerror(errno));
	return x;
}

static inline void live_steer(const struct live_xdp *x, uint32_t qid, int socket_fd)
{
	ck_assert_msg(bpf_map_update_elem(x->map, &qid, &socket_fd, BPF_ANY) == 0, "%s", strerror(errno));
}

static inline void live_detach(const struct live_xdp *x)
{
	close(x->link);
	close(x->prog);
	close(x->map);
}

/* A raw socket that sends and receives whole frames. */
static inline int live_packet_socket(const char *device)
{
	struct sockaddr_ll addr = {
		.sll_family = AF_PACKET, .sll_protocol = htobe16(ETH_P_ALL), .sll_ifindex = (int)if_nametoindex(device),
	};
	int one = 1, fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, htobe16(ETH_P_ALL));

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(bind(fd, (struct sockaddr *)&addr, sizeof(addr)), 0);
	setsockopt(fd, SOL_PACKET, PACKET_IGNORE_OUTGOING, &one, sizeof(one));
	return fd;
}

/* The next frame of EtherType @type, or -1 after a while. */
static inline ssize_t live_recv(int fd, void *buf, size_t room, uint16_t type)
{
	uint64_t until = live_now_ms() + LIVE_WAIT_MS;

	while (live_now_ms() < until) {
		struct pollfd p = { .fd = fd, .events = POLLIN };
		ssize_t n;

		if (poll(&p, 1, 100) <= 0)
			continue;
		n = recv(fd, buf, room, MSG_DONTWAIT);
		if (n >= ETH_HLEN && be16_at((uint8_t *)buf + 12) == type)
			return n;
	}
	return -1;
}

#endif
