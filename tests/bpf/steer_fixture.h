/* SPDX-License-Identifier: MIT */
/* A loaded, not attached program, and one frame through it by BPF_PROG_TEST_RUN. */
#ifndef TESTS_BPF_STEER_FIXTURE_H
#define TESTS_BPF_STEER_FIXTURE_H

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <check.h>
#include <errno.h>
#include <linux/bpf.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "tests/bpf/frame_spec.h"
#include "tests/bpf/xsk_stub.h"
#include "user/packet/steer.h"

#define ck_ok(call)                                                                                                    \
	do {                                                                                                           \
		int err_ = (call);                                                                                     \
		ck_assert_msg(err_ == 0, "%s: %d %s", #call, err_, fault.text);                                        \
	} while (0)

static struct fault fault;
static struct steer *steer;
static char instance[BPFFS_NAME_MAX];

static inline struct steer_addr addr_of(const char *text, uint32_t vlan)
{
	struct steer_addr a = { .family = strchr(text, ':') ? 6 : 4, .vlan = vlan };

	ck_assert_int_eq(inet_pton(a.family == 4 ? AF_INET : AF_INET6, text, a.addr), 1);
	return a;
}

/* "10.0.0.0/8" */
static inline struct steer_prefix prefix_of(const char *text)
{
	struct steer_prefix p = { .family = strchr(text, ':') ? 6 : 4 };
	const char *slash = strchr(text, '/');
	char addr[64];

	ck_assert_ptr_nonnull(slash);
	snprintf(addr, sizeof(addr), "%.*s", (int)(slash - text), text);
	ck_assert_int_eq(inet_pton(p.family == 4 ? AF_INET : AF_INET6, addr, p.addr), 1);
	p.len = (uint8_t)atoi(slash + 1);
	return p;
}

static inline void steer_load(void)
{
	struct steer_params p = { .ifname = "", .instance = instance, .port = "t", .mode = STEER_MODE_DETACHED };

	ck_ok(steer_attach(&p, &steer, &fault));
	steer_set_mac(steer, frame_port_mac);
	steer_set_enabled(steer, true);
}

/* The pins' name is the parent's: it clears what a failed test leaves. */
static inline void instance_init(void)
{
	snprintf(instance, sizeof(instance), "test-%d", (int)getpid());
}

static inline void instance_fini(const char *port)
{
	(void)steer_detach_pinned(NULL, instance, port, NULL);
}

static inline void steer_unload(void)
{
	steer_close(steer);
	steer = NULL;
}

/* Return: the program's XDP_... */
static inline uint32_t run_frame_queue(const void *frame, size_t len, uint32_t queue)
{
	/* The kernel wants a device that has the queue: lo has queue 0 only. */
	struct xdp_md ctx = { .data_end = (uint32_t)len, .ingress_ifindex = 1, .rx_queue_index = queue };
	LIBBPF_OPTS(bpf_test_run_opts, o, .data_in = frame, .data_size_in = (uint32_t)len, .ctx_in = &ctx,
		    .ctx_size_in = sizeof(ctx), .repeat = 1);
	int err = bpf_prog_test_run_opts(steer_prog_fd(steer), &o);

	ck_assert_msg(err == 0, "BPF_PROG_TEST_RUN of %zu octets: %d", len, err);
	return o.retval;
}

static inline uint32_t run_frame(const struct frame_buf *f)
{
	return run_frame_queue(f->b, f->len, 0);
}

static inline struct sluice_steer_counters counters(void)
{
	struct sluice_steer_counters c;

	ck_ok(steer_read_counters(steer, &c, &fault));
	return c;
}

static inline uint64_t verdict_count(const struct sluice_steer_counters *c, uint32_t verdict)
{
	return (&c->pass_disabled)[verdict];
}

static inline uint64_t verdict_sum(const struct sluice_steer_counters *c)
{
	uint64_t sum = 0;

	for (uint32_t v = 0; v < SLUICE_VERDICT_COUNT; v++)
		sum += verdict_count(c, v);
	return sum;
}

static inline uint32_t xdp_action_of(uint32_t verdict)
{
	return verdict >= SLUICE_VERDICT_FIRST_REDIRECT ? XDP_REDIRECT :
	       verdict >= SLUICE_VERDICT_FIRST_DROP	? XDP_DROP :
							  XDP_PASS;
}

#endif
