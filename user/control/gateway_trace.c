/* SPDX-License-Identifier: MIT */
/*
 * The command `trace`: what becomes of chosen packets, as a stream of lines.
 *
 * Two sources tell it, each with a filter of its own that the client has sent: the XDP programs by a ring buffer (one
 * line for each frame: the verdict), and the workers' tracers by rings (a line for the reception, for each stage and for
 * the drop of a packet). Nothing but time and tuple joins the two, and a verdict to pass or drop has no other line.
 *
 * A timer reads both. Lines that a slow client has no room for stay in the rings, whose writers lose and count what
 * does not fit them. A port that comes back while the trace runs is traced again. Start and end pause the workers, for
 * some ten microseconds; the XDP programs never stop.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/bytes.h"
#include "common/clock.h"
#include "common/log.h"
#include "user/control/config_text.h"
#include "user/control/gateway_api.h"
#include "user/control/gateway_watch.h"
#include "user/gateway/trace.h"
#include "user/packet/steer_trace.h"
#include "user/packet/wire.h"

#define POLL_NS (10 * NS_PER_MS)
#define POLLS_PER_LOSS 16u	/* the XDP programs' losses take a system call to read */
#define VERDICTS_PER_POLL 1024u	/* of one port: what the control thread spends on them stays bounded */
#define LINE_BYTES_MAX 1024u
#define ROOM_BYTES (64u << 10)	/* below it nothing is read from the rings */

struct trace_ring {			/* of the XDP program of one port */
	struct trace *trace;
	struct gw_port *gp;
	struct steer_trace *events;	/* NULL: none */
	uint32_t prog_id;		/* whose it is; 0: nobody's */
	uint64_t lost_seen;
};

struct trace {
	struct gateway *gw;
	struct server_stream *stream;
	struct loop_timer poll;
	unsigned int polls;
	uint32_t ports;			/* that are traced, by bit */
	struct sluice_trace_filter xdp;
	struct trace_ring rings[CONFIG_PORTS_MAX];
	uint64_t lost_seen[WORKERS_MAX];
	uint64_t lost;			/* records that the client has not been told of */
	unsigned int worker;		/* whose records are being read */
};

static const char *drop_name(unsigned int drop)
{
	static const char *const names[DROP_N] = {
#define X(name, text) [DROP_##name] = #name,
		SLUICE_DROPS(X)
#undef X
	};

	return drop < DROP_N ? names[drop] : NULL;
}

/* ---- Lines ------------------------------------------------------------------------------------------------------- */

/* One line, whole or not at all. @o: given away */
static bool send_line(struct trace *t, struct json_object *o)
{
	char line[LINE_BYTES_MAX];
	size_t len = 0;
	const char *text = json_object_to_json_string_length(o, JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE,
							     &len);
	bool sent = false;

	if (text && len < sizeof(line)) {
		memcpy(line, text, len);
		line[len] = '\n';
		sent = server_stream_write(t->stream, line, len + 1);
	}
	json_object_put(o);
	return sent;
}

static void tell(struct trace *t, struct json_object *o)
{
	t->lost += !send_line(t, o);
}

static void tell_lost(struct trace *t)
{
	struct json_object *o;

	if (!t->lost)
		return;
	o = json_object_new_object();
	api_put_text(o, "kind", "lost");
	api_put_number(o, "records", t->lost);
	if (send_line(t, o))
		t->lost = 0;
}

static struct json_object *line_new(const char *kind, uint64_t time_ns)
{
	struct json_object *o = json_object_new_object();

	api_put_text(o, "kind", kind);
	api_put_number(o, "time_ns", time_ns);
	return o;
}

static void put_tuple(struct json_object *o, uint8_t family, uint8_t protocol, const void *src, const void *dst)
{
	api_put_text(o, "family", family == AF_INET ? "ipv4" : "ipv6");
	api_put_number(o, "protocol", protocol);
	api_put_ip(o, "source", family, src);
	api_put_ip(o, "destination", family, dst);
}

static void put_ports(struct json_object *o, uint16_t src, uint16_t dst)
{
	api_put_number(o, "source_port", src);
	api_put_number(o, "destination_port", dst);
}

/* ---- The XDP programs' verdicts ---------------------------------------------------------------------------------- */

static void put_vlans(struct json_object *o, uint32_t vlan)
{
	struct json_object *list;

	if (vlan == SLUICE_VLAN_UNTAGGED)
		return;
	list = api_put_array(o, "vlan");
	for (; vlan; vlan >>= 16)
		json_object_array_add(list, json_object_new_int((int)(vlan & SLUICE_VLAN_ID_MASK)));
}

static void put_event(struct json_object *o, const struct gw_port *gp, const struct sluice_trace_event *e)
{
	const struct config_steer *cs = &gp->gw->cfg->steer;

	api_put_text(o, "port", gp->cfg->name);
	api_put_number(o, "queue", e->queue);
	api_put_number(o, "bytes", e->len);
	put_vlans(o, e->vlan);
	if (e->ethertype == ETHERTYPE_ARP4 && e->family) {
		api_put_ip(o, "source", AF_INET, e->src);	/* who asks, and whom for */
		api_put_ip(o, "destination", AF_INET, e->dst);
	} else if (e->family) {
		put_tuple(o, e->family == 4 ? AF_INET : AF_INET6, e->protocol, e->src, e->dst);
		api_put_bool(o, "fragment", e->flags & SLUICE_TRACE_FRAGMENT);
	}
	if (e->ethertype == ETHERTYPE_ARP4 || !e->family)
		api_put_number(o, "ethertype", e->ethertype);
	if (e->flags & SLUICE_TRACE_HAS_PORTS)
		put_ports(o, e->src_port, e->dst_port);
	api_put_text(o, "verdict", steer_verdict_name(e->verdict));
	if (e->flags & SLUICE_TRACE_HAS_RULE && e->rule_id >= 1 && e->rule_id <= cs->n_rules)
		api_put_text(o, "rule", cs->rules[e->rule_id - 1].name);
}

static void on_event(void *ctx, const struct sluice_trace_event *e)
{
	struct trace_ring *r = ctx;
	struct json_object *o = line_new("verdict", e->time_ns);

	put_event(o, r->gp, e);
	tell(r->trace, o);
}

static void ring_close(struct trace_ring *r)
{
	steer_trace_close(r->events);
	r->events = NULL;
	r->prog_id = 0;
}

static uint64_t events_lost(const struct steer *s)
{
	struct sluice_steer_counters counters;

	return steer_read_counters(s, &counters, NULL) == 0 ? counters.trace_lost : 0;
}

static void ring_open(struct trace_ring *r)
{
	struct fault f;

	/* Also when it fails: it is not tried again for the same program. */
	r->prog_id = steer_info(r->gp->steer)->prog_id;
	r->lost_seen = events_lost(r->gp->steer);
	if (steer_trace_open(&r->events, r->gp->steer, &r->trace->xdp, &f))
		log_warn("port %s: trace of the XDP program: %s", r->gp->cfg->name, f.text);
}

/* The programs of ports that came or went since the last time. Their numbers are never the same again. */
static void rings_follow(struct trace *t)
{
	for (unsigned int i = 0; i < t->gw->n_ports; i++) {
		struct trace_ring *r = &t->rings[i];
		uint32_t now = r->gp->steer && (t->ports >> i & 1) ? steer_info(r->gp->steer)->prog_id : 0;

		if (now == r->prog_id)
			continue;
		ring_close(r);
		if (now)
			ring_open(r);
	}
}

static void rings_read(struct trace *t)
{
	for (unsigned int i = 0; i < t->gw->n_ports; i++) {
		struct trace_ring *r = &t->rings[i];
		uint64_t lost;

		if (!r->events)
			continue;
		steer_trace_read(r->events, VERDICTS_PER_POLL, on_event, r);
		if (t->polls % POLLS_PER_LOSS)
			continue;
		lost = events_lost(r->gp->steer);
		t->lost += lost > r->lost_seen ? lost - r->lost_seen : 0;
		r->lost_seen = max_u64(lost, r->lost_seen);
	}
}

/* ---- The workers' records ---------------------------------------------------------------------------------------- */

/* Stages that a packet only comes to when it has its way out. */
static bool has_way_out(const char *stage)
{
	static const char *const stages[] = { "segment", "fragment", "neigh", "coalesce", "tx" };

	for (unsigned int i = 0; i < ARRAY_SIZE(stages); i++)
		if (strcmp(stage, stages[i]) == 0)
			return true;
	return false;
}

static void put_rx(struct json_object *o, const struct gateway *gw, const struct trace_record *r)
{
	api_put_text(o, "port", r->port_in < gw->n_ports ? gw->ports[r->port_in].cfg->name : NULL);
	if (r->iface_in < gw->n_ifaces)
		api_put_text(o, "interface", gw->ifaces[r->iface_in].name);
	api_put_number(o, "bytes", r->bytes);
	if (r->family)
		put_tuple(o, r->family, r->proto, r->src, r->dst);
	else
		api_put_number(o, "ethertype", be16toh(r->ether_type));
	if (r->sport || r->dport)
		put_ports(o, be16toh(r->sport), be16toh(r->dport));
}

static void on_record(void *ctx, const struct trace_record *r)
{
	static const char *const kinds[] = { [TRACE_RX] = "rx", [TRACE_STAGE] = "stage", [TRACE_DROP] = "drop" };
	struct trace *t = ctx;
	struct json_object *o;

	o = line_new(kinds[r->kind], r->time_ns);
	api_put_number(o, "packet", r->packet);
	api_put_number(o, "worker", t->worker);
	if (r->kind == TRACE_RX) {
		put_rx(o, t->gw, r);
	} else if (r->kind == TRACE_STAGE) {
		api_put_text(o, "stage", r->stage);
		if (has_way_out(r->stage) && r->iface_out < t->gw->n_ifaces)
			api_put_text(o, "out", t->gw->ifaces[r->iface_out].name);
	} else {
		api_put_text(o, "drop", drop_name(r->drop));
	}
	tell(t, o);
}

static void tracers_read(struct trace *t)
{
	for (t->worker = 0; t->worker < t->gw->n_workers; t->worker++) {
		struct tracer *tracer = t->gw->engine->workers[t->worker]->tracer;
		uint64_t lost = tracer_lost(tracer);

		t->lost += lost - t->lost_seen[t->worker];
		t->lost_seen[t->worker] = lost;
		tracer_read(tracer, on_record, t);
	}
}

static void trace_poll(void *ctx)
{
	struct trace *t = ctx;

	rings_follow(t);
	if (server_stream_room(t->stream) < ROOM_BYTES)
		return;
	t->polls++;
	tell_lost(t);
	rings_read(t);
	tracers_read(t);
}

/* ---- Start and end ----------------------------------------------------------------------------------------------- */

/* Workers paused. */
static void tracers_stop(struct gateway *gw, unsigned int n_workers)
{
	for (unsigned int i = 0; i < n_workers; i++) {
		gw->engine->workers[i]->tracing = 0;
		tracer_stop(gw->engine->workers[i]->tracer);
	}
}

static int tracers_start(struct trace *t, const struct trace_params *params, struct fault *f)
{
	struct gateway *gw = t->gw;
	unsigned int n = 0;
	int err = 0;

	engine_pause(gw->engine);
	for (; n < gw->n_workers && !err; n += !err) {
		err = tracer_start(gw->engine->workers[n]->tracer, params, f);
		t->lost_seen[n] = tracer_lost(gw->engine->workers[n]->tracer);
		gw->engine->workers[n]->tracing = !err;
	}
	if (err)
		tracers_stop(gw, n);
	engine_resume(gw->engine);
	return err;
}

static void trace_end(void *ctx)
{
	struct trace *t = ctx;
	struct gateway *gw = t->gw;

	loop_del_timer(&t->poll);
	for (unsigned int i = 0; i < gw->n_ports; i++) {
		if (gw->ports[i].steer && t->rings[i].prog_id)
			steer_set_trace(gw->ports[i].steer, NULL);
		ring_close(&t->rings[i]);
	}
	engine_pause(gw->engine);
	tracers_stop(gw, gw->n_workers);
	engine_resume(gw->engine);
	gw->watch->trace = NULL;
	free(t);
}

/* An address or a prefix for the XDP program's filter; it settles the family. */
static int arg_prefix(struct json_object *args, const char *name, struct sluice_trace_filter *to, __be32 *addr,
		      __be32 *mask, struct fault *f)
{
	struct config_prefix p = { 0 };
	const char *text = NULL;
	uint8_t bytes[16] = { 0 }, family;
	int err = server_arg_string(args, name, &text, f);

	if (err || !text)
		return err;
	err = strchr(text, '/') ? config_parse_prefix(text, &p, f) : config_parse_ip(text, &p.ip, f);
	if (err) {
		fault_prefix(f, "\"%s\": ", name);
		return err;
	}
	if (!strchr(text, '/'))
		p.len = (uint8_t)config_ip_bits(&p.ip);
	family = p.ip.family == AF_INET ? 4 : 6;
	if (to->family && to->family != family)
		return fault_set(f, EINVAL, "\"%s\": %s is of another family than the rest", name, text);
	to->family = family;
	for (unsigned int bit = 0; bit < p.len; bit++)
		bytes[bit / 8] |= (uint8_t)(0x80u >> bit % 8);
	memcpy(addr, p.ip.bytes, 16);
	memcpy(mask, bytes, 16);
	return 0;
}

static int arg_ports(struct json_object *args, struct sluice_trace_filter *to, struct fault *f)
{
	uint64_t src = UINT64_MAX, dst = UINT64_MAX;
	int err = server_arg_uint(args, "source_port", 0, UINT16_MAX, &src, f);

	if (!err)
		err = server_arg_uint(args, "destination_port", 0, UINT16_MAX, &dst, f);
	if (src != UINT64_MAX) {
		to->match |= SLUICE_TRACE_SRC_PORT;
		to->src_port = (uint16_t)src;
	}
	if (dst != UINT64_MAX) {
		to->match |= SLUICE_TRACE_DST_PORT;
		to->dst_port = (uint16_t)dst;
	}
	return err;
}

/* What the XDP programs are to look for. */
static int arg_xdp_filter(struct json_object *args, struct sluice_trace_filter *to, struct fault *f)
{
	static const char *const families[] = { "any", "ipv4", "ipv6", NULL };
	static const uint8_t numbers[] = { 0, 4, 6 };
	unsigned int family = 0;
	uint64_t protocol = UINT64_MAX, sample = 1;
	bool either_way = false;
	int err = server_arg_word(args, "family", families, &family, f);

	to->family = numbers[family];
	if (!err)
		err = arg_prefix(args, "source", to, to->src, to->src_mask, f);
	if (!err)
		err = arg_prefix(args, "destination", to, to->dst, to->dst_mask, f);
	if (!err)
		err = server_arg_uint(args, "protocol", 0, UINT8_MAX, &protocol, f);
	if (!err)
		err = arg_ports(args, to, f);
	if (!err)
		err = server_arg_bool(args, "either_way", &either_way, f);
	if (!err)
		err = server_arg_uint(args, "sample", 1, UINT32_MAX, &sample, f);
	if (protocol != UINT64_MAX) {
		to->match |= SLUICE_TRACE_PROTOCOL;
		to->protocol = (uint8_t)protocol;
	}
	if (either_way)
		to->match |= SLUICE_TRACE_EITHER_WAY;
	to->one_in = (uint32_t)sample;
	return err;
}

/* Where only one of the two kinds of packets has a filter, the other kind does not match. */
static uint32_t engine_ports(const struct trace *t, const struct watch_filter *l2, const struct watch_filter *ip)
{
	uint32_t ports = t->ports;

	for (unsigned int i = 0; i < t->gw->n_ports; i++) {
		const struct watch_filter *mine = t->gw->ports[i].port.has_l2 ? l2 : ip;

		if ((l2->n || ip->n) && !mine->n)
			ports &= ~(1u << i);
	}
	return ports;
}

static int trace_begin(struct trace *t, struct json_object *args, struct fault *f)
{
	struct watch_filter l2, ip;
	struct trace_params params;
	struct gw_port *gp = NULL;
	int err = api_arg_port(t->gw, args, &gp, f);

	if (!err)
		err = arg_xdp_filter(args, &t->xdp, f);
	if (!err)
		err = watch_arg_filter(args, "filter", &l2, f);
	if (!err)
		err = watch_arg_filter(args, "filter_ip", &ip, f);
	if (err)
		return err;
	for (unsigned int i = 0; i < t->gw->n_ports; i++) {
		t->rings[i] = (struct trace_ring){ .trace = t, .gp = &t->gw->ports[i] };
		if (!gp || gp == &t->gw->ports[i])
			t->ports |= 1u << i;
	}
	params = (struct trace_params){
		.ports = engine_ports(t, &l2, &ip), .every = t->xdp.one_in,
		.l2 = { l2.insns, l2.n }, .ip = { ip.insns, ip.n },
	};
	return tracers_start(t, &params, f);
}

static int run_trace(void *ctx, struct server_request *rq, struct fault *f)
{
	struct gateway *gw = ctx;
	struct trace *t;
	int err;

	if (gw->watch->trace)
		return fault_set(f, EBUSY, "a trace runs already");
	t = calloc(1, sizeof(*t));
	if (!t)
		return fault_set(f, ENOMEM, "no memory for a trace");
	t->gw = gw;
	err = trace_begin(t, rq->args, f);
	if (err) {
		free(t);
		return err;
	}
	rings_follow(t);
	gw->watch->trace = t;
	t->stream = server_request_stream(rq, trace_end, t);
	loop_add_timer(gw->loop, &t->poll, POLL_NS, POLL_NS, trace_poll, t);
	return 0;
}

static const char *const trace_args[] = {
	"port", "family", "protocol", "source", "destination", "source_port", "destination_port", "either_way",
	"sample", "filter", "filter_ip", NULL,
};
const struct server_command watch_command_trace = {
	"trace", "what becomes of packets, as a stream", trace_args, run_trace,
};
