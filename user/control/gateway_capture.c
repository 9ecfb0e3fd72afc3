/* SPDX-License-Identifier: MIT */
/*
 * The command `capture`: packets of a port, as they are on it, in a stream of records.
 *
 * Each worker has a ring for each capture; a timer empties them into the stream in order of time. A client that reads
 * too slowly leaves its packets in the rings until these are full: the workers then lose and count records, and nothing
 * ever waits for a client. Start and end pause the workers, for some ten microseconds.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/bytes.h"
#include "common/clock.h"
#include "user/control/gateway_api.h"
#include "user/control/gateway_watch.h"

#define POLL_NS (5 * NS_PER_MS)

/* Records of one worker that are younger wait for older ones of another, which may not be in its ring yet. */
#define SETTLE_NS NS_PER_MS

#define RING_BYTES_MIN 4096u

static_assert((int)API_DIRECTION_IN == (int)TAP_IN && (int)API_DIRECTION_OUT == (int)TAP_OUT, "the same bits");

struct capture {
	struct gateway *gw;
	struct server_stream *stream;
	struct loop_timer poll;
	unsigned int slot;			/* in gw->watch->captures */
	unsigned int tap[WORKERS_MAX];		/* by worker */
	uint32_t snap_bytes;
	uint64_t left;				/* records until it ends */
	uint64_t lost_told;			/* how much of the loss the client knows of */
	uint8_t *record;			/* one, to be sent in one piece */
};

/* Workers paused. */
static void taps_changed(struct gateway *gw)
{
	for (unsigned int i = 0; i < gw->n_workers; i++) {
		struct worker *w = gw->engine->workers[i];

		w->tapping = taps_ports(w->taps);
	}
}

static void taps_end(struct capture *c, unsigned int n_workers)
{
	for (unsigned int i = 0; i < n_workers; i++)
		taps_stop(c->gw->engine->workers[i]->taps, c->tap[i]);
	taps_changed(c->gw);
}

static int taps_begin(struct capture *c, const struct tap_params *params, struct fault *f)
{
	struct gateway *gw = c->gw;
	unsigned int n = 0;
	int err = 0;

	engine_pause(gw->engine);
	while (n < gw->n_workers && !err) {
		err = taps_start(gw->engine->workers[n]->taps, params, &c->tap[n], f);
		n += !err;
	}
	if (err)
		taps_end(c, n);
	else
		taps_changed(gw);
	engine_resume(gw->engine);
	return err;
}

static void capture_free(struct capture *c)
{
	free(c->record);
	free(c);
}

static void capture_end(struct capture *c)
{
	struct gateway *gw = c->gw;

	loop_del_timer(&c->poll);
	engine_pause(gw->engine);
	taps_end(c, gw->n_workers);
	engine_resume(gw->engine);
	gw->watch->captures[c->slot] = NULL;
	capture_free(c);
}

static void on_closed(void *ctx)
{
	capture_end(ctx);
}

static uint64_t lost_so_far(const struct capture *c)
{
	uint64_t lost = 0;

	for (unsigned int i = 0; i < c->gw->n_workers; i++)
		lost += taps_lost(c->gw->engine->workers[i]->taps, c->tap[i]);
	return lost;
}

/* The oldest record of all workers'. Return: NULL when there is none */
static const struct tap_record *oldest(struct capture *c, unsigned int *worker)
{
	const struct tap_record *first = NULL;

	for (unsigned int i = 0; i < c->gw->n_workers; i++) {
		const struct tap_record *r = taps_read(c->gw->engine->workers[i]->taps, c->tap[i]);

		if (!r || (first && first->time_ns <= r->time_ns))
			continue;
		first = r;
		*worker = i;
	}
	return first;
}

static bool send_record(struct capture *c, const struct tap_record *r)
{
	struct api_capture_record head = {
		.time_ns = r->time_ns, .caplen = r->cap_bytes, .len = r->wire_bytes, .queue = r->queue,
		.direction = r->dir,
	};
	uint64_t lost = lost_so_far(c) - c->lost_told;

	head.lost = lost < UINT32_MAX ? (uint32_t)lost : UINT32_MAX;
	memcpy(c->record, &head, sizeof(head));
	memcpy(c->record + sizeof(head), r + 1, r->cap_bytes);
	if (!server_stream_write(c->stream, c->record, sizeof(head) + r->cap_bytes))
		return false;
	c->lost_told += head.lost;
	return true;
}

static void capture_poll(void *ctx)
{
	struct capture *c = ctx;
	uint64_t now_ns = clock_real_ns();
	const struct tap_record *r;
	unsigned int worker = 0;

	/* Bounded by the stream, whose client reads only when this has returned. */
	while ((r = oldest(c, &worker))) {
		/* (What lies in the future does not wait: the clock was set back.) */
		if (c->gw->n_workers > 1 && r->time_ns <= now_ns && now_ns - r->time_ns < SETTLE_NS)
			return;
		if (!send_record(c, r))
			return;
		taps_release(c->gw->engine->workers[worker]->taps, c->tap[worker]);
		if (--c->left == 0) {
			struct server_stream *stream = c->stream;

			capture_end(c);
			server_stream_end(stream);
			return;
		}
	}
}

/* A worker's share of what the configuration gives a capture, with room for some of the largest records. */
static uint32_t ring_bytes(const struct gateway *gw, uint32_t snap_bytes)
{
	uint32_t share = gw->cfg->trace.capture_bytes / gw->n_workers;
	uint32_t least = round_up_pow2(4 * (snap_bytes + (uint32_t)sizeof(struct tap_record)));

	if (!is_pow2(share))
		share = round_up_pow2(share) / 2;
	return max_u32(max_u32(share, least), RING_BYTES_MIN);
}

static int capture_create(struct capture **out, struct gateway *gw, uint32_t snap_bytes, struct fault *f)
{
	struct capture *c = calloc(1, sizeof(*c));

	if (c)
		c->record = malloc(sizeof(struct api_capture_record) + snap_bytes);
	if (!c || !c->record) {
		free(c);
		return fault_set(f, ENOMEM, "no memory for a capture");
	}
	c->gw = gw;
	c->snap_bytes = snap_bytes;
	while (c->slot < TAPS_MAX && gw->watch->captures[c->slot])
		c->slot++;
	if (c->slot == TAPS_MAX) {
		capture_free(c);
		return fault_set(f, EBUSY, "%d captures run already", TAPS_MAX);
	}
	*out = c;
	return 0;
}

static int run_capture(void *ctx, struct server_request *rq, struct fault *f)
{
	static const char *const directions[] = { "both", "in", "out", NULL };
	static const uint8_t dirs[] = { TAP_IN | TAP_OUT, TAP_IN, TAP_OUT };
	struct gateway *gw = ctx;
	uint64_t snap_bytes = API_SNAPLEN_MAX, count = UINT64_MAX;
	struct gw_port *gp = NULL;
	struct watch_filter filter;
	struct tap_params params;
	unsigned int direction = 0;
	struct capture *c = NULL;
	int err;

	err = api_arg_port(gw, rq->args, &gp, f);
	if (err)
		return err;
	if (!gp)
		return fault_set(f, EINVAL, "\"port\" is missing");
	err = server_arg_word(rq->args, "direction", directions, &direction, f);
	if (!err)
		err = server_arg_uint(rq->args, "snaplen", API_SNAPLEN_MIN, API_SNAPLEN_MAX, &snap_bytes, f);
	if (!err)
		err = server_arg_uint(rq->args, "count", 1, UINT64_MAX, &count, f);
	if (!err)
		err = watch_arg_filter(rq->args, "filter", &filter, f);
	if (!err)
		err = capture_create(&c, gw, (uint32_t)snap_bytes, f);
	if (err || !c)
		return err;
	params = (struct tap_params){
		.port = gp->port.id, .dirs = dirs[direction], .snap_bytes = c->snap_bytes,
		.ring_bytes = ring_bytes(gw, c->snap_bytes), .has_l2 = gp->port.has_l2,
		.filter = filter.n ? filter.insns : NULL, .n_filter = filter.n,
	};
	err = taps_begin(c, &params, f);
	if (err) {
		capture_free(c);
		return err;
	}
	c->left = count;
	c->stream = server_request_stream(rq, on_closed, c);
	gw->watch->captures[c->slot] = c;
	loop_add_timer(gw->loop, &c->poll, POLL_NS, POLL_NS, capture_poll, c);
	api_put_text(rq->result, "port", gp->cfg->name);
	api_put_text(rq->result, "linktype", gp->port.has_l2 ? "ethernet" : "raw");
	api_put_number(rq->result, "snaplen", c->snap_bytes);
	return 0;
}

static const char *const capture_args[] = { "port", "direction", "snaplen", "count", "filter", NULL };
const struct server_command watch_command_capture = {
	"capture", "packets of a port, as a stream", capture_args, run_capture,
};
