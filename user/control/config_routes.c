// SPDX-License-Identifier: MIT
/* Static routes and static neighbours. Ports have been read before: next hops are checked against their addresses. */
#include "user/control/config_reader.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "user/control/config_text.h"

#define N_KEYS(keys) (sizeof(keys) / sizeof((keys)[0]))

static const char *const type_words[] = { "unicast", "blackhole", "unreachable", "prohibit", NULL };

/* ---- Interfaces by name ------------------------------------------------------------------------------------------ */

static const char *nearest_iface(const struct config *c, const char *name)
{
	enum { NAMES_MAX = CONFIG_PORTS_MAX * (CONFIG_VLANS_MAX + 1) };
	const char **names = calloc(NAMES_MAX + 1, sizeof(*names)), *near;
	size_t n = 0;

	if (!names)
		return NULL;
	for (unsigned int i = 0; i < c->n_ports; i++) {
		names[n++] = c->ports[i].iface.name;
		for (unsigned int v = 0; v < c->ports[i].n_vlans; v++)
			names[n++] = c->ports[i].vlans[v].iface.name;
	}
	near = config_nearest(name, names);
	free(names);
	return near;
}

static int read_iface_name(struct config_reader *r, const config_setting_t *s, void *to)
{
	const char *text = config_want_string(r, s, "the name of a port or VLAN"), *near;

	if (!text)
		return -EINVAL;
	if (!config_find_iface(r->config, text, NULL, NULL)) {
		near = nearest_iface(r->config, text);
		if (near)
			return config_fault(r, s, "there is no port or VLAN \"%s\", did you mean \"%s\"?", text, near);
		return config_fault(r, s, "there is no port or VLAN \"%s\"", text);
	}
	snprintf(to, CONFIG_IFACE_NAME_MAX, "%s", text);
	return 0;
}

static int read_ip(struct config_reader *r, const config_setting_t *s, void *to)
{
	const char *text = config_want_string(r, s, "an address such as \"192.0.2.1\"");

	if (!text)
		return -EINVAL;
	if (config_parse_ip(text, to, r->f))
		return config_fault_text(r, s);
	return 0;
}

static int read_prefix(struct config_reader *r, const config_setting_t *s, void *to)
{
	const char *text = config_want_string(r, s, "a prefix such as \"192.0.2.0/24\"");

	if (!text)
		return -EINVAL;
	if (config_parse_prefix(text, to, r->f))
		return config_fault_text(r, s);
	return 0;
}

/* ---- Next hops --------------------------------------------------------------------------------------------------- */

static bool is_link_local(const struct config_ip *ip)
{
	if (ip->family == AF_INET)
		return ip->bytes[0] == 169 && ip->bytes[1] == 254;
	return ip->bytes[0] == 0xfe && (ip->bytes[1] & 0xc0) == 0x80;
}

/* An address that a neighbour may have: what an interface may have, too. */
static int check_neighbour_ip(struct config_reader *r, const config_setting_t *g, const char *key,
			      const struct config_ip *ip)
{
	const config_setting_t *s = config_setting_get_member(g, key);
	struct config_prefix unused;
	char buf[CONFIG_PREFIX_STRLEN];
	const config_setting_t *at = s ? s : g;

	config_prefix_text(&(struct config_prefix){ *ip, (uint8_t)config_ip_bits(ip) }, buf);
	if (config_parse_iface_addr(buf, &unused, r->f))
		return config_fault(r, at, "%s cannot be a neighbour's: unspecified, loopback, multicast or reserved",
				    config_ip_text(ip, buf));
	for (unsigned int i = 0; i < r->config->n_ports; i++) {
		const struct config_port *p = &r->config->ports[i];

		for (unsigned int v = 0; v <= p->n_vlans; v++) {
			const struct config_iface *iface = v ? &p->vlans[v - 1].iface : &p->iface;

			for (unsigned int k = 0; k < iface->n_addrs; k++)
				if (config_ip_equal(&iface->addrs[k].ip, ip))
					return config_fault(r, at, "%s is our own address, on \"%s\"",
							    config_ip_text(ip, buf), iface->name);
		}
	}
	return 0;
}

/* Is @ip on a subnet of @iface? *@any tells whether there is an engine-only address of its family at all. */
static bool on_link(const struct config_iface *iface, const struct config_ip *ip, bool *any)
{
	*any = false;
	for (unsigned int i = 0; i < iface->n_addrs; i++) {
		if (iface->addrs[i].ip.family != ip->family)
			continue;
		*any = true;
		if (config_prefix_contains(&iface->addrs[i], ip))
			return true;
	}
	return false;
}

/* The interface was not named: it is the one with an engine-only address whose subnet has the next hop. */
static int deduce_iface(struct config_reader *r, const config_setting_t *g, struct config_nexthop *nh)
{
	const struct config *c = r->config;
	const config_setting_t *via = config_setting_get_member(g, "via");
	const struct config_iface *found = NULL;
	char buf[CONFIG_PREFIX_STRLEN];
	bool any;

	if (nh->via.family == AF_INET6 && is_link_local(&nh->via))
		return config_fault(r, via, "%s is link-local, \"interface\" must tell on which link",
				    config_ip_text(&nh->via, buf));
	for (unsigned int i = 0; i < c->n_ports; i++) {
		const struct config_port *p = &c->ports[i];

		for (unsigned int v = 0; v <= p->n_vlans; v++) {
			const struct config_iface *iface = v ? &p->vlans[v - 1].iface : &p->iface;

			if (!on_link(iface, &nh->via, &any))
				continue;
			if (found)
				return config_fault(r, via, "%s is on-link on \"%s\" and on \"%s\", \"interface\" must tell",
						    config_ip_text(&nh->via, buf), found->name, iface->name);
			found = iface;
		}
	}
	if (!found)
		return config_fault(r, via, "%s is not on-link: no engine-only address has it on its subnet; for one of the "
				    "kernel's subnets name the \"interface\"", config_ip_text(&nh->via, buf));
	memcpy(nh->iface, found->name, sizeof(nh->iface));
	return 0;
}

static int check_nexthop(struct config_reader *r, const config_setting_t *g, const struct config_route *route,
			 struct config_nexthop *nh)
{
	const config_setting_t *via = config_setting_get_member(g, "via");
	const struct config_iface *iface;
	const struct config_port *port;
	char buf[CONFIG_PREFIX_STRLEN];
	bool any;
	int err;

	if (!via && !nh->iface[0])
		return config_fault(r, g, "leads nowhere: \"via\" or \"interface\" is wanted");
	if (nh->onlink && (!via || !nh->iface[0]))
		return config_fault(r, config_setting_get_member(g, "onlink"), "needs \"via\" and \"interface\"");
	if (!via)
		return 0;
	if (nh->via.family != route->prefix.ip.family)
		return config_fault(r, via, "%s is of the other family than the prefix", config_ip_text(&nh->via, buf));
	err = check_neighbour_ip(r, g, "via", &nh->via);
	if (err)
		return err;
	if (!nh->iface[0])
		return deduce_iface(r, g, nh);
	iface = config_find_iface(r->config, nh->iface, &port, NULL);
	if (port->kind == CONFIG_PORT_TUN)
		return config_fault(r, via, "\"%s\" is a TUN port, which has no neighbours; leave \"via\" out", nh->iface);
	if (nh->onlink || (nh->via.family == AF_INET6 && is_link_local(&nh->via)) || on_link(iface, &nh->via, &any) || !any)
		return 0;	/* without addresses of ours the kernel's count, and they are not known here */
	return config_fault(r, via, "%s is not on-link on \"%s\", whose engine-only addresses are on other subnets; "
			    "if the kernel's are not, say onlink = true", config_ip_text(&nh->via, buf), nh->iface);
}

static const struct config_key nexthop_keys[] = {
	{ "via", CONFIG_KIND_CUSTOM, false, KEY_FIELD(struct config_nexthop, via), .read = read_ip },
	{ "interface", CONFIG_KIND_CUSTOM, false, KEY_FIELD(struct config_nexthop, iface), .read = read_iface_name },
	{ "onlink", CONFIG_KIND_BOOL, false, KEY_FIELD(struct config_nexthop, onlink) },
	{ "weight", CONFIG_KIND_UINT, false, KEY_FIELD(struct config_nexthop, weight), .min = 1, .max = 256 },
};

static int read_nexthop(struct config_reader *r, const config_setting_t *s, unsigned int index, void *obj)
{
	struct config_route *route = obj;
	struct config_nexthop *nh = &route->nexthops[index];
	int err;

	nh->weight = 1;
	err = config_read_group(r, s, nexthop_keys, N_KEYS(nexthop_keys), NULL, nh);
	if (!err)
		err = check_nexthop(r, s, route, nh);
	for (unsigned int i = 0; i < index && !err; i++)
		if (config_ip_equal(&route->nexthops[i].via, &nh->via) && !strcmp(route->nexthops[i].iface, nh->iface))
			err = config_fault(r, s, "the same next hop as nexthops[%u]; \"weight\" gives one a larger share", i);
	route->n_nexthops = index + 1;
	return err;
}

static int read_nexthops(struct config_reader *r, const config_setting_t *s, void *route)
{
	if (config_setting_is_aggregate(s) && config_setting_length(s) == 0)
		return config_fault(r, s, "no next hop");
	return config_read_list(r, s, CONFIG_NEXTHOPS_MAX, "next hops", read_nexthop, route);
}

/* ---- Routes ------------------------------------------------------------------------------------------------------ */

static const struct config_key route_keys[] = {
	{ "prefix", CONFIG_KIND_CUSTOM, true, KEY_FIELD(struct config_route, prefix), .read = read_prefix },
	{ "type", CONFIG_KIND_WORD, false, KEY_FIELD(struct config_route, type), .words = type_words },
	{ "metric", CONFIG_KIND_U32, false, KEY_FIELD(struct config_route, metric), .max = UINT32_MAX },
	{ "via", CONFIG_KIND_CUSTOM, false, KEY_FIELD(struct config_route, nexthops[0].via), .read = read_ip },
	{ "interface", CONFIG_KIND_CUSTOM, false, KEY_FIELD(struct config_route, nexthops[0].iface),
	  .read = read_iface_name },
	{ "onlink", CONFIG_KIND_BOOL, false, KEY_FIELD(struct config_route, nexthops[0].onlink) },
	{ "nexthops", CONFIG_KIND_CUSTOM, false, .read = read_nexthops },
};

static const struct config_elsewhere not_in_route[] = {
	{ "port", "a route leads to an \"interface\": a port or a VLAN" },
	{ "weight", "belongs to one of several \"nexthops\"" },
	{ NULL, NULL },
};

static int check_route_keys(struct config_reader *r, const config_setting_t *s)
{
	static const char *const single[] = { "via", "interface", "onlink" };
	const config_setting_t *type = config_setting_get_member(s, "type"), *key;
	bool unicast = !type || !config_is_string(type) || !strcmp(config_setting_get_string(type), "unicast");
	bool ecmp = config_setting_get_member(s, "nexthops");

	for (unsigned int i = 0; i < sizeof(single) / sizeof(single[0]); i++) {
		key = config_setting_get_member(s, single[i]);
		if (key && ecmp)
			return config_fault(r, key, "stands inside of \"nexthops\" when there are such");
		if (key && !unicast)
			return config_fault(r, key, "a route of type \"%s\" leads nowhere",
					    config_setting_get_string(type));
	}
	if (ecmp && !unicast)
		return config_fault(r, config_setting_get_member(s, "nexthops"), "a route of type \"%s\" leads nowhere",
				    config_setting_get_string(type));
	return 0;
}

static int read_route(struct config_reader *r, const config_setting_t *s, unsigned int index, void *obj)
{
	struct config *c = obj;
	struct config_route *route = &c->routes[index];
	char buf[CONFIG_PREFIX_STRLEN];
	int err = 0;

	*route = (struct config_route){ .line = config_line(s), .nexthops[0].weight = 1 };
	if (config_setting_is_group(s))
		err = check_route_keys(r, s);
	if (!err)
		err = config_read_group(r, s, route_keys, N_KEYS(route_keys), not_in_route, route);
	if (err)
		return err;
	if (route->type == CONFIG_ROUTE_UNICAST && route->n_nexthops == 0) {
		err = check_nexthop(r, s, route, &route->nexthops[0]);
		if (err)
			return err;
		route->n_nexthops = 1;
	}
	if (route->prefix.ip.family == AF_INET6 ? route->prefix.ip.bytes[0] == 0xff && route->prefix.len >= 8 :
						  route->prefix.ip.bytes[0] >> 4 == 0xe && route->prefix.len >= 4)
		return config_fault(r, config_setting_get_member(s, "prefix"), "%s is multicast, which is not routed",
				    config_prefix_text(&route->prefix, buf));
	for (unsigned int i = 0; i < index; i++) {
		const struct config_route *o = &c->routes[i];

		if (o->metric == route->metric && o->prefix.len == route->prefix.len &&
		    config_ip_equal(&o->prefix.ip, &route->prefix.ip))
			return config_fault(r, s, "%s with metric %u is routes[%u] already; several ways are \"nexthops\"",
					    config_prefix_text(&route->prefix, buf), route->metric, i);
	}
	c->n_routes = index + 1;
	return 0;
}

int config_read_routes(struct config_reader *r, const config_setting_t *s, void *config)
{
	return config_read_list(r, s, CONFIG_ROUTES_MAX, "routes", read_route, config);
}

/* ---- Static neighbours ------------------------------------------------------------------------------------------- */

static int read_mac(struct config_reader *r, const config_setting_t *s, void *to)
{
	const char *text = config_want_string(r, s, "a MAC address");

	if (!text)
		return -EINVAL;
	if (config_parse_mac(text, to, r->f))
		return config_fault_text(r, s);
	return 0;
}

static const struct config_key neigh_keys[] = {
	{ "address", CONFIG_KIND_CUSTOM, true, KEY_FIELD(struct config_neigh, ip), .read = read_ip },
	{ "mac", CONFIG_KIND_CUSTOM, true, KEY_FIELD(struct config_neigh, mac), .read = read_mac },
	{ "interface", CONFIG_KIND_CUSTOM, true, KEY_FIELD(struct config_neigh, iface), .read = read_iface_name },
};

static int read_neigh(struct config_reader *r, const config_setting_t *s, unsigned int index, void *obj)
{
	struct config *c = obj;
	struct config_neigh *n = &c->neighs[index];
	const struct config_port *port;
	char buf[CONFIG_PREFIX_STRLEN];
	int err;

	*n = (struct config_neigh){ .line = config_line(s) };
	err = config_read_group(r, s, neigh_keys, N_KEYS(neigh_keys), NULL, n);
	if (err)
		return err;
	err = check_neighbour_ip(r, s, "address", &n->ip);
	if (err)
		return err;
	config_find_iface(c, n->iface, &port, NULL);
	if (port->kind == CONFIG_PORT_TUN)
		return config_fault(r, config_setting_get_member(s, "interface"),
				    "\"%s\" is a TUN port, which has no neighbours", n->iface);
	for (unsigned int i = 0; i < index; i++)
		if (config_ip_equal(&c->neighs[i].ip, &n->ip) && !strcmp(c->neighs[i].iface, n->iface))
			return config_fault(r, s, "%s on \"%s\" is static[%u] already", config_ip_text(&n->ip, buf), n->iface, i);
	c->n_neighs = index + 1;
	return 0;
}

int config_read_static_neighbours(struct config_reader *r, const config_setting_t *s, void *config)
{
	return config_read_list(r, s, CONFIG_NEIGHS_MAX, "neighbours", read_neigh, config);
}
