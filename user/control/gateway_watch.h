/* SPDX-License-Identifier: MIT */
/* Captures and the trace, private to user/control/gateway_watch.c, gateway_capture.c, gateway_trace.c. */
#ifndef USER_CONTROL_GATEWAY_WATCH_H
#define USER_CONTROL_GATEWAY_WATCH_H

#include <json-c/json.h>
#include <pcap/bpf.h>

#include "user/control/api.h"
#include "user/control/gateway.h"
#include "user/gateway/tap.h"

struct capture;
struct trace;

struct gw_watch {
	struct capture *captures[TAPS_MAX];	/* those that run */
	struct trace *trace;			/* there is one at a time: each XDP program has one filter */
};

/* A classic BPF program of a client's. */
struct watch_filter {
	unsigned int n;				/* 0: none was given */
	struct bpf_insn insns[API_FILTER_MAX];
};

/**
 * watch_arg_filter() - A program among the arguments: [[code, jt, jf, k], ...].
 *
 * What is taken ends: jumps lead forward only. (libpcap's own check lets loops pass, which its "protochain" makes, and a
 * worker would run them.)
 * Return: 0, also without the argument, or -EINVAL
 */
int watch_arg_filter(struct json_object *args, const char *name, struct watch_filter *filter, struct fault *f);

/* gateway_capture.c */
extern const struct server_command watch_command_capture;

/* gateway_trace.c */
extern const struct server_command watch_command_trace;

#endif
