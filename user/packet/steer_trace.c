// SPDX-License-Identifier: MIT
#include "user/packet/steer_trace.h"

#include <bpf/libbpf.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct steer_trace {
	struct ring_buffer *ring;
	steer_trace_fn *fn;		/* NULL: throw away */
	void *ctx;
	unsigned int left;		/* events that are still wanted */
};

static int on_event(void *ctx, void *data, size_t size)
{
	struct steer_trace *t = ctx;
	struct sluice_trace_event e;

	if (size < sizeof(e) || !t->fn)
		return 0;
	memcpy(&e, data, sizeof(e));
	t->fn(t->ctx, &e);
	/* The ring counts this one as read and stops. */
	return --t->left > 0 ? 0 : -EAGAIN;
}

int steer_trace_open(struct steer_trace **out, struct steer *s, const struct sluice_trace_filter *filter,
		     struct fault *f)
{
	struct steer_trace *t = calloc(1, sizeof(*t));
	int err;

	if (!t)
		return fault_set(f, ENOMEM, "%s: no memory for a trace", steer_info(s)->ifname);
	t->ring = ring_buffer__new(steer_trace_fd(s), on_event, t, NULL);
	if (!t->ring) {
		err = fault_errno(f, "%s: ring of trace events", steer_info(s)->ifname);
		free(t);
		return err;
	}
	/* A process that was killed may have left its filter in force: then the ring would not become empty. */
	steer_set_trace(s, NULL);
	ring_buffer__consume(t->ring);
	steer_set_trace(s, filter);
	*out = t;
	return 0;
}

unsigned int steer_trace_read(struct steer_trace *t, unsigned int max, steer_trace_fn *fn, void *ctx)
{
	if (max == 0)
		return 0;
	t->fn = fn;
	t->ctx = ctx;
	t->left = max;
	ring_buffer__consume(t->ring);
	return max - t->left;
}

void steer_trace_close(struct steer_trace *t)
{
	if (!t)
		return;
	ring_buffer__free(t->ring);
	free(t);
}
