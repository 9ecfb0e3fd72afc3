/* SPDX-License-Identifier: MIT */
/* The commands `ports` and `stats`. */
#include "user/control/gateway_api.h"

#include <errno.h>
#include <linux/if_addr.h>
#include <string.h>

#include "common/bytes.h"
#include "common/clock.h"
#include "common/counter.h"

const char *api_port_state(const struct gw_port *gp)
{
	return !gp->open ? "gone" : gp->port.up ? "up" : "down";
}

void api_put_reasons(struct json_object *o, const struct gw_port *gp)
{
	struct json_object *list = api_put_array(o, "reasons");

	if (!gp->open) {
		json_object_array_add(list, json_object_new_string(gp->why_closed));
		return;
	}
	for (unsigned int i = 0; i < gp->port.n_reasons; i++)
		json_object_array_add(list, json_object_new_string(gp->port.reasons[i]));
}

/* ---- ports ------------------------------------------------------------------------------------------------------- */

static void put_program(struct json_object *o, const struct gw_port *gp)
{
	const struct steer_info *info;
	struct json_object *to;

	if (!gp->steer) {
		json_object_object_add(o, "program", NULL);
		return;
	}
	info = steer_info(gp->steer);
	to = api_put_object(o, "program");
	api_put_number(to, "id", info->prog_id);
	api_put_text(to, "variant", info->metadata ? "metadata" : info->vlan_tag ? "tag" : "plain");
	api_put_bool(to, "frags", info->frags);
	api_put_text(to, "attached_by", info->adopted ? "adopted" : info->dispatcher ? "dispatcher" : "link");
	api_put_text(to, "pins", info->pinned ? info->pins.path : NULL);
}

static void put_offloads(struct json_object *o, const struct gw_port *gp)
{
	const uint32_t caps = gp->port.caps;
	struct json_object *to = api_put_object(o, "offloads");

	api_put_bool(to, "tx_checksum", caps & PORT_CAP_TX_PARTIAL);
	api_put_bool(to, "multibuffer", caps & PORT_CAP_TX_SG);
	api_put_bool(to, "superpackets", caps & PORT_CAP_RX_GSO);
	api_put_bool(to, "tso4", caps & PORT_CAP_TX_TSO4);
	api_put_bool(to, "tso6", caps & PORT_CAP_TX_TSO6);
	api_put_bool(to, "uso", caps & PORT_CAP_TX_USO);
	api_put_bool(to, "partial_checksums", caps & PORT_CAP_RX_PARTIAL);
}

static void put_queues(struct json_object *o, const struct gw_port *gp)
{
	struct json_object *list = api_put_array(o, "queues");

	for (unsigned int i = 0; gp->open && i < gp->port.n_queues; i++) {
		const struct port_queue *q = gp->port.queues[i];
		struct json_object *to;

		if (!q)
			continue;
		to = api_add_object(list);
		api_put_number(to, "queue", q->qid);
		api_put_number(to, "worker", q->area->id);	/* each worker has its own */
	}
}

static int put_kernel_addr(void *ctx, const struct nl_addr *addr)
{
	struct json_object *to = api_add_object(ctx);

	api_put_prefix(to, "address", addr->family, addr->local.bytes, addr->prefix_len);
	api_put_text(to, "owner", "kernel");
	api_put_text(to, "state", addr->flags & IFA_F_DADFAILED ? "duplicate" :
				  addr->flags & IFA_F_TENTATIVE ? "tentative" : "preferred");
	return 0;
}

static const char *addr_state(const struct iface_addr *a)
{
	static const char *const states[] = {
		[IFACE_ADDR_TENTATIVE] = "tentative", [IFACE_ADDR_PREFERRED] = "preferred",
		[IFACE_ADDR_DUPLICATED] = "duplicate",
	};

	return a->state < ARRAY_SIZE(states) ? states[a->state] : NULL;
}

static void put_iface(struct json_object *o, const struct gateway *gw, const struct iface *iface)
{
	struct json_object *list, *to;

	api_put_text(o, "name", iface->name);
	if (iface->n_vlans) {
		to = api_put_object(o, "vlan");
		api_put_number(to, "id", iface->vlan[0].vid);
		api_put_number(to, "inner", iface->n_vlans == 2 ? iface->vlan[1].vid : 0);
		api_put_text(to, "protocol", iface->vlan[0].tpid == ETHERTYPE_STAG ? "802.1ad" : "802.1q");
	} else {
		json_object_object_add(o, "vlan", NULL);
	}
	api_put_number(o, "mtu", iface->mtu_bytes);
	list = api_put_array(o, "addresses");
	for (unsigned int i = 0; i < iface->n_addrs; i++) {
		const struct iface_addr *a = &iface->addrs[i];

		if (!a->engine)
			continue;
		to = api_add_object(list);
		api_put_prefix(to, "address", a->family, a->addr, a->prefix_len);
		api_put_text(to, "owner", "engine");
		api_put_text(to, "state", addr_state(a));
	}
	if (gw->mirror && gw->cfg->netlink.enabled && iface->ifindex)
		mirror_each_addr(gw->mirror, (uint32_t)iface->ifindex, put_kernel_addr, list);
}

static void put_port(struct json_object *o, const struct gw_port *gp)
{
	const struct gateway *gw = gp->gw;
	struct json_object *list;

	api_put_text(o, "name", gp->cfg->name);
	api_put_text(o, "device", gp->port.device);
	api_put_text(o, "kind", api_port_kind(gp));
	json_object_object_add(o, "ifindex", gp->open ? json_object_new_int(gp->port.ifindex) : NULL);
	api_put_text(o, "state", api_port_state(gp));
	if (gp->open && gp->port.has_l2)
		api_put_mac(o, "mac", gp->port.mac);
	else
		json_object_object_add(o, "mac", NULL);
	json_object_object_add(o, "mtu", gp->open ? json_object_new_uint64(gp->port.mtu_bytes) : NULL);
	api_put_text(o, "mode", gp->open ? gp->port.mode : NULL);
	api_put_reasons(o, gp);
	put_program(o, gp);
	if (gp->open)
		put_offloads(o, gp);
	put_queues(o, gp);
	list = api_put_array(o, "interfaces");
	for (unsigned int i = 0; i < gw->n_ifaces; i++) {
		const struct iface *iface = &gw->ifaces[i];

		/* A VLAN device of the kernel's that has gone leaves its place behind. */
		if (iface->port == gp->port.id && (gw->iface_cfg[i] || iface->ifindex))
			put_iface(api_add_object(list), gw, iface);
	}
}

static int run_ports(void *ctx, struct server_request *rq, struct fault *f)
{
	struct gateway *gw = ctx;
	struct gw_port *only = NULL;
	struct json_object *list;
	int err = api_arg_port(gw, rq->args, &only, f);

	if (err)
		return err;
	list = api_put_array(rq->result, "ports");
	for (unsigned int i = 0; i < gw->n_ports; i++)
		if (!only || only == &gw->ports[i])
			put_port(api_add_object(list), &gw->ports[i]);
	return 0;
}

static const char *const ports_args[] = { "port", NULL };
const struct server_command api_command_ports = { "ports", "ports in detail", ports_args, run_ports };

/* ---- stats ------------------------------------------------------------------------------------------------------- */

/* The structs of the pinned maps are nothing but 64-bit counters: their fields' names, in order. */
#define X(name, text) #name,
static const char *const engine_fields[] = { SLUICE_ENGINE_COUNTERS(X) };
static const char *const drop_fields[] = { "none", SLUICE_DROPS(X) };
static const char *const port_fields[] = { SLUICE_PORT_COUNTERS(X) };
static const char *const steer_fields[] = {
	"rx_frames", "rx_bytes", "redirect_bytes", "drop_bytes", SLUICE_VERDICTS(X) "fragments", "vlan_stripped",
	"traced", "trace_lost",
};
#undef X

static_assert(sizeof(struct sluice_engine_counters) == ARRAY_SIZE(engine_fields) * 8, "all fields are named");
static_assert(sizeof(struct sluice_drops) == ARRAY_SIZE(drop_fields) * 8, "all fields are named");
static_assert(sizeof(struct sluice_port_counters) == ARRAY_SIZE(port_fields) * 8, "all fields are named");
static_assert(sizeof(struct sluice_steer_counters) == ARRAY_SIZE(steer_fields) * 8, "all fields are named");
static_assert(offsetof(struct sluice_steer_counters, trace_lost) == (ARRAY_SIZE(steer_fields) - 1) * 8, "in order");

#define FIELDS_MAX 128
static_assert(ARRAY_SIZE(drop_fields) <= FIELDS_MAX && ARRAY_SIZE(port_fields) <= FIELDS_MAX &&
	      ARRAY_SIZE(engine_fields) <= FIELDS_MAX && ARRAY_SIZE(steer_fields) <= FIELDS_MAX, "they fit");

struct counters {
	uint64_t value[FIELDS_MAX];
};

/* One entry of a map, as it is now; added to a sum as well. */
static void counters_take(struct counters *c, struct counters *sum, const void *entry, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		c->value[i] = counter_read((const uint8_t *)entry + i * 8);
		sum->value[i] += c->value[i];
	}
}

static void put_counters(struct json_object *o, const char *key, const struct counters *c, const char *const *fields,
			 size_t n)
{
	struct json_object *to = api_put_object(o, key);

	for (size_t i = 0; i < n; i++)
		api_put_number(to, fields[i], c->value[i]);
}

static void put_engine_stats(struct json_object *o, const struct gateway *gw)
{
	struct json_object *list = json_object_new_array();
	struct counters engine = { 0 }, drops = { 0 }, one;

	for (unsigned int i = 0; i < gw->n_workers; i++) {
		const struct worker *w = gw->engine->workers[i];
		struct json_object *to = api_add_object(list);

		api_put_number(to, "worker", i);
		counters_take(&one, &engine, w->count, ARRAY_SIZE(engine_fields));
		put_counters(to, "engine", &one, engine_fields, ARRAY_SIZE(engine_fields));
		counters_take(&one, &drops, w->drops, ARRAY_SIZE(drop_fields));
		put_counters(to, "drops", &one, drop_fields, ARRAY_SIZE(drop_fields));
	}
	put_counters(o, "engine", &engine, engine_fields, ARRAY_SIZE(engine_fields));
	put_counters(o, "drops", &drops, drop_fields, ARRAY_SIZE(drop_fields));
	json_object_object_add(o, "workers", list);
}

static const struct port_queue *open_queue(const struct gw_port *gp, uint32_t index)
{
	for (unsigned int i = 0; gp->open && i < gp->port.n_queues; i++)
		if (gp->port.queues[i] && gp->port.queues[i]->index == index)
			return gp->port.queues[i];
	return NULL;
}

/* All queues that the port may have: what is closed now has counted before. */
static void put_port_counters(struct json_object *o, const struct gw_port *gp)
{
	struct json_object *list = json_object_new_array();
	struct counters sum = { 0 }, one;

	for (unsigned int i = 0; i < gp->max_queues; i++) {
		const uint32_t index = (uint32_t)gp->first_queue + i;
		const void *entry = counter_maps_port(&gp->gw->counters, index);
		const struct port_queue *q = open_queue(gp, index);
		struct json_object *to;

		if (!entry)
			break;
		counters_take(&one, &sum, entry, ARRAY_SIZE(port_fields));
		if (!q)
			continue;
		to = api_add_object(list);
		api_put_number(to, "queue", q->qid);
		api_put_number(to, "index", index);
		api_put_number(to, "worker", q->area->id);
		put_counters(to, "counters", &one, port_fields, ARRAY_SIZE(port_fields));
	}
	put_counters(o, "counters", &sum, port_fields, ARRAY_SIZE(port_fields));
	json_object_object_add(o, "queues", list);
}

static int put_steer(struct json_object *o, const struct gw_port *gp, struct fault *f)
{
	struct sluice_steer_counters counters;
	struct counters c = { 0 }, sum = { 0 };
	int err;

	if (!gp->steer) {
		json_object_object_add(o, "steer", NULL);
		return 0;
	}
	err = steer_read_counters(gp->steer, &counters, f);
	if (err)
		return err;
	counters_take(&c, &sum, &counters, ARRAY_SIZE(steer_fields));
	put_counters(o, "steer", &c, steer_fields, ARRAY_SIZE(steer_fields));
	return 0;
}

static int put_rules(struct json_object *o, const struct gw_port *gp, struct fault *f)
{
	const struct config_steer *cs = &gp->gw->cfg->steer;
	struct sluice_rule_hits hits[SLUICE_STEER_MAX_RULES];
	struct json_object *list = api_put_array(o, "rules");
	size_t n = ARRAY_SIZE(hits);
	int err = gp->steer ? steer_read_rule_hits(gp->steer, hits, &n, f) : 0;

	for (size_t i = 0; !err && gp->steer && i < n; i++) {
		struct json_object *to = api_add_object(list);
		uint64_t id = hits[i].rule_id;

		api_put_text(to, "name", id >= 1 && id <= cs->n_rules ? cs->rules[id - 1].name : NULL);
		api_put_number(to, "id", id);
		api_put_number(to, "pkts", hits[i].pkts);
		api_put_number(to, "bytes", hits[i].bytes);
	}
	return err;
}

static int run_stats(void *ctx, struct server_request *rq, struct fault *f)
{
	struct gateway *gw = ctx;
	struct json_object *list;

	/* First what only the kernel knows, so that the maps say the same as the reply. */
	for (unsigned int i = 0; i < gw->n_ports; i++) {
		struct port *port = &gw->ports[i].port;

		for (unsigned int q = 0; gw->ports[i].open && q < port->n_queues; q++)
			if (port->queues[q] && port->queues[q]->ops->update)
				port->queues[q]->ops->update(port->queues[q]);
	}
	api_put_number(rq->result, "time_ns", clock_mono_ns());
	put_engine_stats(rq->result, gw);
	list = api_put_array(rq->result, "ports");
	for (unsigned int i = 0; i < gw->n_ports; i++) {
		struct json_object *to = api_add_object(list);
		int err;

		api_put_text(to, "name", gw->ports[i].cfg->name);
		put_port_counters(to, &gw->ports[i]);
		err = put_steer(to, &gw->ports[i], f);
		if (!err)
			err = put_rules(to, &gw->ports[i], f);
		if (err) {
			fault_prefix(f, "port %s: ", gw->ports[i].cfg->name);
			return err;
		}
	}
	return 0;
}

const struct server_command api_command_stats = { "stats", "counters", NULL, run_stats };
