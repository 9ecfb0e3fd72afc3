// SPDX-License-Identifier: MIT
#include "user/control/config_dump.h"

#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "user/control/config_text.h"

static const char *const switch_names[] = { "auto", "on", "off" };
static const char *const mode_names[] = { "auto", "zerocopy", "native", "generic" };
static const char *const action_names[] = { "engine", "kernel", "drop" };
static const char *const rp_filter_names[] = { "off", "loose", "strict" };
static const char *const type_names[] = { "unicast", "blackhole", "unreachable", "prohibit" };
static const char *const level_names[] = { "error", "warn", "info", "debug" };

static void put_text(struct json_object *o, const char *key, const char *text)
{
	json_object_object_add(o, key, json_object_new_string(text));
}

static void put_uint(struct json_object *o, const char *key, uint64_t v)
{
	json_object_object_add(o, key, json_object_new_uint64(v));
}

static void put_bool(struct json_object *o, const char *key, bool v)
{
	json_object_object_add(o, key, json_object_new_boolean(v));
}

static void put_prefix(struct json_object *o, const char *key, const struct config_prefix *prefix)
{
	char buf[CONFIG_PREFIX_STRLEN];

	put_text(o, key, config_prefix_text(prefix, buf));
}

static void put_ip(struct json_object *o, const char *key, const struct config_ip *ip)
{
	char buf[CONFIG_PREFIX_STRLEN];

	put_text(o, key, config_ip_text(ip, buf));
}

/* 0 stands for "auto". */
static void put_auto(struct json_object *o, const char *key, unsigned int v)
{
	if (v)
		put_uint(o, key, v);
	else
		put_text(o, key, "auto");
}

static struct json_object *put_object(struct json_object *o, const char *key)
{
	struct json_object *child = json_object_new_object();

	json_object_object_add(o, key, child);
	return child;
}

static struct json_object *put_array(struct json_object *o, const char *key)
{
	struct json_object *child = json_object_new_array();

	json_object_object_add(o, key, child);
	return child;
}

static struct json_object *append_object(struct json_object *array)
{
	struct json_object *child = json_object_new_object();

	json_object_array_add(array, child);
	return child;
}

static void dump_iface(struct json_object *o, const struct config_iface *iface)
{
	struct json_object *addrs;
	char buf[CONFIG_PREFIX_STRLEN];

	put_auto(o, "mtu", iface->mtu);
	if (iface->mss_clamp == CONFIG_MSS_OFF)
		put_text(o, "mss_clamp", "off");
	else if (iface->mss_clamp == CONFIG_MSS_PMTU)
		put_text(o, "mss_clamp", "pmtu");
	else
		put_uint(o, "mss_clamp", iface->mss_clamp);
	put_text(o, "rp_filter", rp_filter_names[iface->rp_filter]);
	addrs = put_array(o, "addresses");
	for (unsigned int i = 0; i < iface->n_addrs; i++)
		json_object_array_add(addrs, json_object_new_string(config_prefix_text(&iface->addrs[i], buf)));
}

static void dump_xdp(struct json_object *o, const struct config_port *p)
{
	const struct {
		const char *key;
		enum config_switch value;
	} switches[] = {
		{ "metadata", p->metadata },	 { "dispatcher", p->dispatcher },
		{ "partial_checksums", p->partial_checksums }, { "checksum_offload", p->checksum_offload },
		{ "multibuffer", p->multibuffer },
	};
	struct json_object *rings, *vlans;

	put_text(o, "mode", mode_names[p->mode]);
	rings = put_object(o, "rings");
	put_uint(rings, "rx", p->rings.rx);
	put_uint(rings, "tx", p->rings.tx);
	put_uint(rings, "fill", p->rings.fill);
	for (size_t i = 0; i < sizeof(switches) / sizeof(switches[0]); i++)
		put_text(o, switches[i].key, switch_names[switches[i].value]);
	vlans = put_array(o, "vlans");
	for (unsigned int i = 0; i < p->n_vlans; i++) {
		const struct config_vlan *v = &p->vlans[i];
		struct json_object *vlan = append_object(vlans);

		put_text(vlan, "name", v->iface.name);
		put_uint(vlan, "id", v->id);
		if (v->inner)
			put_uint(vlan, "inner", v->inner);
		put_text(vlan, "protocol", v->tpid == 0x88a8 ? "802.1ad" : "802.1q");
		dump_iface(vlan, &v->iface);
	}
}

static void dump_tun(struct json_object *o, const struct config_port *p)
{
	static const char *const names[] = { "csum", "tso4", "tso6", "uso" };
	struct json_object *offloads = put_array(o, "offloads");

	for (unsigned int bit = 0; bit < 4; bit++)
		if (p->tun_offloads & 1u << bit)
			json_object_array_add(offloads, json_object_new_string(names[bit]));
	put_bool(o, "persistent", p->tun_persistent);
	if (p->tun_owner[0])
		put_text(o, "owner", p->tun_owner);
}

static void dump_port(struct json_object *o, const struct config_port *p)
{
	struct json_object *list;

	put_text(o, "name", p->name);
	put_text(o, p->kind == CONFIG_PORT_TUN ? "tun" : "device", p->device);
	if (p->n_queue_ids) {
		list = put_array(o, "queues");
		for (unsigned int i = 0; i < p->n_queue_ids; i++)
			json_object_array_add(list, json_object_new_int(p->queue_ids[i]));
	} else {
		put_auto(o, "queues", p->n_queues);
	}
	if (p->n_queue_workers) {
		list = put_array(o, "workers");
		for (unsigned int i = 0; i < p->n_queue_workers; i++)
			json_object_array_add(list, json_object_new_int(p->queue_worker[i]));
	}
	dump_iface(o, &p->iface);
	if (p->kind == CONFIG_PORT_TUN)
		dump_tun(o, p);
	else
		dump_xdp(o, p);
}

static void dump_route(struct json_object *o, const struct config_route *route)
{
	struct json_object *nexthops;

	put_prefix(o, "prefix", &route->prefix);
	put_text(o, "type", type_names[route->type]);
	put_uint(o, "metric", route->metric);
	nexthops = put_array(o, "nexthops");
	for (unsigned int i = 0; i < route->n_nexthops; i++) {
		const struct config_nexthop *nh = &route->nexthops[i];
		struct json_object *hop = append_object(nexthops);

		if (nh->via.family)
			put_ip(hop, "via", &nh->via);
		put_text(hop, "interface", nh->iface);
		put_uint(hop, "weight", nh->weight);
		if (nh->onlink)
			put_bool(hop, "onlink", true);
	}
}

static void put_range(struct json_object *o, const char *key, const struct config_range *range)
{
	char buf[16];

	snprintf(buf, sizeof(buf), range->first == range->last ? "%u" : "%u-%u", range->first, range->last);
	put_text(o, key, buf);
}

static void dump_rule(struct json_object *o, const struct config_rule *rule)
{
	const char *protocol = config_protocol_name(rule->protocol);

	put_text(o, "name", rule->name);
	put_uint(o, "priority", rule->priority);
	put_text(o, "action", action_names[rule->action]);
	if (rule->family)
		put_text(o, "family", rule->family == AF_INET ? "ipv4" : "ipv6");
	if (protocol)
		put_text(o, "protocol", protocol);
	else if (rule->protocol >= 0)
		put_uint(o, "protocol", (uint64_t)rule->protocol);
	if (rule->has_source)
		put_prefix(o, "source", &rule->source);
	if (rule->has_destination)
		put_prefix(o, "destination", &rule->destination);
	if (rule->has_source_ports)
		put_range(o, "source_ports", &rule->source_ports);
	if (rule->has_destination_ports)
		put_range(o, "destination_ports", &rule->destination_ports);
	if (rule->port[0])
		put_text(o, "port", rule->port);
	if (rule->vlan == 0)
		put_text(o, "vlan", "untagged");
	if (rule->vlan > 0) {
		put_uint(o, "vlan", (uint64_t)rule->vlan);
		if (rule->inner)
			put_uint(o, "inner", rule->inner);
		put_text(o, "vlan_protocol", rule->tpid == 0x88a8 ? "802.1ad" : "802.1q");
	}
}

struct json_object *config_dump_steer(const struct config_steer *steer)
{
	struct json_object *o = json_object_new_object(), *list = put_array(o, "transit");

	for (unsigned int i = 0; i < steer->n_transit; i++) {
		struct json_object *transit = append_object(list);

		put_prefix(transit, "prefix", &steer->transit[i].prefix);
		put_text(transit, "action", action_names[steer->transit[i].action]);
	}
	list = put_array(o, "rules");
	for (unsigned int i = 0; i < steer->n_rules; i++)
		dump_rule(append_object(list), &steer->rules[i]);
	return o;
}

static void dump_engine(struct json_object *root, const struct config *c)
{
	struct json_object *o = put_object(root, "workers"), *list;
	char mode[8];

	put_auto(o, "count", c->workers.count);
	list = put_array(o, "cpus");
	for (unsigned int i = 0; i < c->workers.n_cpus; i++)
		json_object_array_add(list, json_object_new_int(c->workers.cpus[i]));

	o = put_object(root, "control");
	put_text(o, "socket", c->control.socket);
	snprintf(mode, sizeof(mode), "%04o", c->control.mode & 0777);
	put_text(o, "mode", mode);
	if (c->control.group[0])
		put_text(o, "group", c->control.group);
	put_uint(o, "max_clients", c->control.max_clients);

	o = put_object(root, "memory");
	put_uint(o, "frames", c->memory.frames);
	put_uint(o, "chunk", c->memory.chunk_bytes);
	put_text(o, "huge", switch_names[c->memory.huge]);
	put_uint(o, "reserve", c->memory.reserve);

	o = put_object(root, "busy_poll");
	put_bool(o, "enabled", c->busy_poll.enabled);
	put_uint(o, "time_us", c->busy_poll.usecs);
	put_uint(o, "budget", c->busy_poll.budget);

	o = put_object(root, "icmp");
	put_uint(o, "error_rate", c->icmp.error_rate);
	put_uint(o, "error_burst", c->icmp.error_burst);
	put_uint(o, "echo_rate", c->icmp.echo_rate);
	put_uint(o, "echo_burst", c->icmp.echo_burst);

	o = put_object(root, "netlink");
	put_bool(o, "enabled", c->netlink.enabled);
	put_uint(o, "table", c->netlink.table);
	put_uint(o, "receive_buffer", c->netlink.receive_buffer_bytes);

	o = put_object(root, "trace");
	put_uint(o, "records", c->trace.records);
	put_uint(o, "capture_buffer", c->trace.capture_bytes);
}

static void dump_neighbours(struct json_object *o, const struct config *c)
{
	struct json_object *list;
	char mac[18];

	put_uint(o, "max", c->neighbours.max);
	put_uint(o, "queue", c->neighbours.queue);
	put_uint(o, "reachable_ms", c->neighbours.reachable_ms);
	put_uint(o, "retransmit_ms", c->neighbours.retrans_ms);
	put_uint(o, "probes", c->neighbours.probes);
	put_uint(o, "stale_ms", c->neighbours.stale_ms);
	put_bool(o, "detect_duplicates", c->neighbours.detect_duplicates);
	list = put_array(o, "static");
	for (unsigned int i = 0; i < c->n_neighs; i++) {
		const struct config_neigh *n = &c->neighs[i];
		struct json_object *neigh = append_object(list);

		put_ip(neigh, "address", &n->ip);
		snprintf(mac, sizeof(mac), "%02x:%02x:%02x:%02x:%02x:%02x", n->mac[0], n->mac[1], n->mac[2], n->mac[3],
			 n->mac[4], n->mac[5]);
		put_text(neigh, "mac", mac);
		put_text(neigh, "interface", n->iface);
	}
}

struct json_object *config_dump(const struct config *c)
{
	struct json_object *root = json_object_new_object(), *list;

	put_text(root, "instance", c->instance);
	put_text(root, "user", c->user);
	put_bool(root, "seccomp", c->seccomp);
	put_text(root, "log", level_names[c->log_level]);
	put_uint(root, "spin_us", c->spin_us);
	dump_engine(root, c);
	list = put_array(root, "ports");
	for (unsigned int i = 0; i < c->n_ports; i++)
		dump_port(append_object(list), &c->ports[i]);
	list = put_array(root, "routes");
	for (unsigned int i = 0; i < c->n_routes; i++)
		dump_route(append_object(list), &c->routes[i]);
	dump_neighbours(put_object(root, "neighbours"), c);
	json_object_object_add(root, "steer", config_dump_steer(&c->steer));
	return root;
}
