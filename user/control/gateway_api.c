/* SPDX-License-Identifier: MIT */
/* The control socket of a running gateway, and the command `status`. */
#include "user/control/gateway_api.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "common/bytes.h"
#include "common/clock.h"

#ifndef SLUICE_VERSION
#define SLUICE_VERSION "unknown"
#endif

/* What may wait for one client of a stream: some ten milliseconds of a fast capture. */
#define STREAM_BUFFER_BYTES (2u << 20)

/* ---- Members of objects ------------------------------------------------------------------------------------------ */

void api_put_ip(struct json_object *o, const char *key, uint8_t family, const void *bytes)
{
	char text[INET6_ADDRSTRLEN] = "";

	inet_ntop(family, bytes, text, sizeof(text));
	api_put_text(o, key, text);
}

void api_put_prefix(struct json_object *o, const char *key, uint8_t family, const void *bytes, uint8_t len)
{
	char ip[INET6_ADDRSTRLEN] = "", text[INET6_ADDRSTRLEN + 4];

	inet_ntop(family, bytes, ip, sizeof(ip));
	snprintf(text, sizeof(text), "%s/%u", ip, len);
	api_put_text(o, key, text);
}

void api_put_mac(struct json_object *o, const char *key, const uint8_t mac[6])
{
	char text[18];

	snprintf(text, sizeof(text), "%02x:%02x:%02x:%02x:%02x:%02x", mac[0], mac[1], mac[2], mac[3], mac[4], mac[5]);
	api_put_text(o, key, text);
}

int api_arg_port(struct gateway *gw, struct json_object *args, struct gw_port **gp, struct fault *f)
{
	const char *name = NULL;
	int err = server_arg_string(args, "port", &name, f);

	if (err || !name)
		return err;
	*gp = gw_port_by_name(gw, name);
	return *gp ? 0 : fault_set(f, ENOENT, "there is no port \"%.64s\"", name);
}

/* ---- What this kernel lacks -------------------------------------------------------------------------------------- */

/* What was seen to work here, whatever the kernel calls itself. */
enum evidence { EVIDENCE_RX_METADATA = 1, EVIDENCE_MULTIBUFFER = 2, EVIDENCE_TX_METADATA = 4, EVIDENCE_USO = 8 };

static const struct {
	unsigned int major, minor;	/* the first Linux that has it */
	unsigned int evidence;
	const char *text;
} limits[] = {
	{ 6, 2, EVIDENCE_USO, "no UDP segmentation offload on TUN ports" },
	{ 6, 3, 0, "no netdev netlink family: what a driver's XDP can do is found out by trying" },
	{ 6, 3, EVIDENCE_RX_METADATA, "no RX metadata: the device's hash and timestamp are not known" },
	{ 6, 6, EVIDENCE_MULTIBUFFER, "no AF_XDP packets of several buffers: longer ones do not reach the engine" },
	{ 6, 8, 0, "no VLAN tag in RX metadata: a tag that the device takes off is lost" },
	{ 6, 8, EVIDENCE_TX_METADATA, "no TX metadata: checksums are finished in software" },
};

static unsigned int evidence_of(const struct gateway *gw)
{
	unsigned int seen = 0;

	for (unsigned int i = 0; i < gw->n_ports; i++) {
		const struct gw_port *gp = &gw->ports[i];

		if (!gp->open)
			continue;
		if (gp->cfg->kind == CONFIG_PORT_TUN) {
			seen |= gp->port.caps & PORT_CAP_TX_USO ? EVIDENCE_USO : 0;
			continue;
		}
		seen |= gp->port.caps & PORT_CAP_TX_SG ? EVIDENCE_MULTIBUFFER : 0;
		seen |= gp->port.caps & PORT_CAP_TX_PARTIAL ? EVIDENCE_TX_METADATA : 0;
		seen |= gp->steer && (steer_info(gp->steer)->metadata || steer_info(gp->steer)->vlan_tag) ?
				EVIDENCE_RX_METADATA : 0;
	}
	return seen;
}

static void put_limits(struct json_object *o, const struct gateway *gw, const char *release)
{
	struct json_object *list = api_put_array(o, "limits");
	unsigned int seen = evidence_of(gw);
	char *rest, text[320];
	unsigned long major = strtoul(release, &rest, 10);
	unsigned long minor = *rest == '.' ? strtoul(rest + 1, NULL, 10) : 0;

	for (unsigned int i = 0; i < ARRAY_SIZE(limits); i++) {
		if (major > limits[i].major || (major == limits[i].major && minor >= limits[i].minor) ||
		    (seen & limits[i].evidence))
			continue;
		snprintf(text, sizeof(text), "%s (the kernel is older than %u.%u)", limits[i].text, limits[i].major,
			 limits[i].minor);
		json_object_array_add(list, json_object_new_string(text));
	}
	if (gw->counters.reason[0]) {
		snprintf(text, sizeof(text), "bpftool cannot show the engine's counters: %s", gw->counters.reason);
		json_object_array_add(list, json_object_new_string(text));
	}
}

/* ---- status ------------------------------------------------------------------------------------------------------ */

static void put_frames(struct json_object *o, const struct area *a)
{
	static const char *const places[PLACE_N] = {
		[PLACE_FREE] = "free", [PLACE_FILL] = "fill", [PLACE_ENGINE] = "engine", [PLACE_TX] = "tx",
		[PLACE_NEIGH] = "neigh", [PLACE_CROSS] = "cross",
	};

	api_put_number(o, "total", a->n_frames);
	for (unsigned int i = 0; i < PLACE_N; i++)
		api_put_number(o, places[i], a->count[i]);
}

static void put_workers(struct json_object *o, struct gateway *gw)
{
	struct json_object *list = api_put_array(o, "workers");

	/* The ledger is the workers' own: it is whole, and its sum right, while they rest. Some ten microseconds. */
	engine_pause(gw->engine);
	for (unsigned int i = 0; i < gw->n_workers; i++) {
		const struct worker *w = gw->engine->workers[i];
		struct json_object *to = api_add_object(list);

		api_put_number(to, "worker", i);
		json_object_object_add(to, "cpu", w->cpu < 0 ? NULL : json_object_new_int(w->cpu));
		api_put_bool(to, "busy_poll", gw->cfg->busy_poll.enabled);
		api_put_number(to, "chunk_bytes", w->area->chunk_bytes);
		api_put_bool(to, "huge_pages", w->area->huge);
		put_frames(api_put_object(to, "frames"), w->area);
	}
	engine_resume(gw->engine);
}

static void put_ports(struct json_object *o, struct gateway *gw)
{
	struct json_object *list = api_put_array(o, "ports");

	for (unsigned int i = 0; i < gw->n_ports; i++) {
		const struct gw_port *gp = &gw->ports[i];
		struct json_object *to = api_add_object(list);

		api_put_text(to, "name", gp->cfg->name);
		api_put_text(to, "device", gp->port.device);
		api_put_text(to, "kind", api_port_kind(gp));
		api_put_text(to, "state", api_port_state(gp));
		api_put_text(to, "mode", gp->open ? gp->port.mode : NULL);
		api_put_reasons(to, gp);
	}
}

static void put_netlink(struct json_object *o, const struct gateway *gw)
{
	struct json_object *to = api_put_object(o, "netlink");
	struct mirror_stats stats = { 0 };
	bool on = gw->mirror && gw->cfg->netlink.enabled;

	if (on)
		mirror_stats(gw->mirror, &stats);
	api_put_text(to, "state", !on ? "off" : mirror_is_synced(gw->mirror) ? "synchronised" : "resynchronising");
	api_put_number(to, "table", gw->cfg->netlink.table);
	api_put_number(to, "resyncs", stats.resyncs);
}

static void put_counts(struct json_object *o, struct gateway *gw)
{
	struct json_object *to = api_put_object(o, "counts");
	uint64_t addrs = 0;

	for (unsigned int i = 0; i < gw->n_ifaces; i++)
		addrs += gw->ifaces[i].n_addrs;
	api_put_number(to, "routes_ipv4", fib_count(gw->engine->fib, AF_INET));
	api_put_number(to, "routes_ipv6", fib_count(gw->engine->fib, AF_INET6));
	api_put_number(to, "neighbours", api_count_neighs(gw));
	api_put_number(to, "addresses", addrs);
}

static int run_status(void *ctx, struct server_request *rq, struct fault *f)
{
	struct gateway *gw = ctx;
	struct json_object *o = rq->result;
	struct utsname kernel;

	if (uname(&kernel) < 0)
		return fault_errno(f, "uname");
	api_put_text(o, "instance", gw->cfg->instance);
	api_put_text(o, "version", SLUICE_VERSION);
	api_put_number(o, "pid", (uint64_t)getpid());
	api_put_number(o, "uptime_ns", clock_mono_ns() - gw->started_ns);
	api_put_text(o, "state", gw->stopping ? "draining" : "running");
	api_put_text(o, "config", gw->cfg->file[0] ? gw->cfg->file : NULL);
	api_put_text(o, "kernel", kernel.release);
	api_put_number(o, "uid", geteuid());
	api_put_bool(o, "seccomp", gw->privilege.filtered);
	put_limits(o, gw, kernel.release);
	put_workers(o, gw);
	put_ports(o, gw);
	put_netlink(o, gw);
	put_counts(o, gw);
	return 0;
}

static const struct server_command command_status = {
	"status", "what runs, how, and what this kernel lacks", NULL, run_status,
};

int gw_api_init(struct gateway *gw, struct fault *f)
{
	static const struct server_command *const commands[] = {
		&command_status, &api_command_ports, &api_command_stats, &api_command_routes, &api_command_neigh,
	};
	const struct config_control *cc = &gw->cfg->control;
	struct server_params params = {
		.path = cc->socket, .mode = cc->mode, .group = cc->group, .max_clients = cc->max_clients,
		.stream_buffer_bytes = STREAM_BUFFER_BYTES,
	};
	int err = server_create(&gw->server, gw->loop, &params, f);

	for (unsigned int i = 0; !err && i < ARRAY_SIZE(commands); i++)
		err = server_add_command(gw->server, commands[i], gw);
	return err;
}
