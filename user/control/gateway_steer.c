/* SPDX-License-Identifier: MIT */
/*
 * What the XDP programs are told: whose an address is, which prefixes and VLANs the engine takes.
 *
 * Transit prefixes follow the routes: where the kernel has a route that leaves by a device which is no port, its
 * packets are the kernel's, and an entry says so. Without this a covering prefix such as 0.0.0.0/0 would take packets
 * that the engine cannot send.
 */
#include "user/control/gateway.h"

#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "common/bytes.h"
#include "common/log.h"
#include "user/control/steer_convert.h"

struct addr_list {
	struct steer_addr addrs[SLUICE_STEER_MAX_ADDRS];
	size_t n;
	bool full;
	struct gateway *gw;
};

static void addr_add(struct addr_list *l, uint16_t family, const void *bytes, uint32_t vlan)
{
	struct steer_addr *a;

	if (l->n == SLUICE_STEER_MAX_ADDRS) {
		l->full = true;
		return;
	}
	a = &l->addrs[l->n++];
	*a = (struct steer_addr){ .family = family == AF_INET ? 4 : 6, .vlan = vlan };
	memcpy(a->addr, bytes, family == AF_INET ? 4 : 16);
}

/* The last address of an IPv4 subnet; RFC 3021: a /31 and a host have none. */
static bool subnet_broadcast(const struct nl_addr *addr, __be32 *broadcast)
{
	if (addr->family != AF_INET || addr->prefix_len >= 31)
		return false;
	*broadcast = addr->local.v4 | htobe32(UINT32_MAX >> addr->prefix_len);
	return true;
}

static int kernel_addr(void *ctx, const struct nl_addr *addr)
{
	struct addr_list *l = ctx;
	struct gw_port *gp = gw_port_by_ifindex(l->gw, (int)addr->ifindex);
	__be32 broadcast;

	/* Addresses of a TUN port lie behind it and are reached through the engine. */
	if (gp && gp->port.kind == PORT_TUN)
		return 0;
	addr_add(l, addr->family, &addr->local, SLUICE_VLAN_ANY);
	if (addr->has_broadcast)
		addr_add(l, AF_INET, &addr->broadcast, SLUICE_VLAN_ANY);
	else if (subnet_broadcast(addr, &broadcast))
		addr_add(l, AF_INET, &broadcast, SLUICE_VLAN_ANY);
	return 0;
}

static uint32_t tag_key(uint16_t tpid, uint16_t vlan)
{
	return vlan | (tpid == 0x88a8 ? SLUICE_VLAN_8021AD : 0);
}

static uint32_t iface_vlan(const struct iface *iface)
{
	if (iface->n_vlans == 0)
		return SLUICE_VLAN_UNTAGGED;
	return sluice_vlan_key(tag_key(iface->vlan[0].tpid, iface->vlan[0].vid),
			       iface->n_vlans == 2 ? tag_key(iface->vlan[1].tpid, iface->vlan[1].vid) : 0);
}

static void engine_addrs(struct gateway *gw, struct addr_list *l)
{
	for (uint16_t i = 0; i < gw->n_ifaces; i++) {
		const struct iface *iface = &gw->ifaces[i];

		/*
		 * Whichever port it comes in by: a router's address is reachable from everywhere. One that is looked for
		 * a duplicate is among them, since the answer must come here; one that somebody else has is not.
		 */
		for (unsigned int k = 0; k < iface->n_addrs; k++)
			if (iface->addrs[k].engine && iface->addrs[k].state != IFACE_ADDR_DUPLICATED)
				addr_add(l, iface->addrs[k].family, iface->addrs[k].addr, SLUICE_VLAN_ANY);
	}
}

/* ---- Transit ---------------------------------------------------------------------------------------------------- */

struct transit_list {
	struct gateway *gw;
	struct steer_transit prefixes[2 * SLUICE_STEER_MAX_PREFIXES];
	size_t n, n4, n6;
	bool full;
	bool foreign_default[2];	/* some covering route is the kernel's: nested ones need entries of their own */
};

static void transit_add(struct transit_list *l, uint8_t family, const uint8_t *bytes, uint8_t len,
			enum sluice_steer_action action)
{
	size_t *n = family == AF_INET ? &l->n4 : &l->n6;
	struct steer_transit *t;

	if (*n == SLUICE_STEER_MAX_PREFIXES) {
		l->full = true;
		return;
	}
	++*n;
	t = &l->prefixes[l->n++];
	*t = (struct steer_transit){
		.prefix = { .family = family == AF_INET ? 4 : 6, .len = len }, .action = action,
	};
	memcpy(t->prefix.addr, bytes, family == AF_INET ? 4 : 16);
}

/* Does a configured prefix decide this one already, with the same words? */
static bool configured(const struct gateway *gw, uint8_t family, const uint8_t *bytes, uint8_t len)
{
	const struct config_steer *cs = &gw->cfg->steer;

	for (unsigned int i = 0; i < cs->n_transit; i++) {
		const struct config_prefix *p = &cs->transit[i].prefix;

		if (p->ip.family == family && p->len == len &&
		    memcmp(p->ip.bytes, bytes, family == AF_INET ? 4 : 16) == 0)
			return true;
	}
	return false;
}

static bool leaves_by_port(const struct fib_route *r)
{
	for (unsigned int i = 0; i < r->n_nexthops; i++)
		if (r->nexthops[i].iface == IFACE_NONE)
			return false;
	return true;
}

static bool foreign_route(void *ctx, uint8_t family, const uint8_t *bytes, uint8_t len, const struct fib_route *r)
{
	struct transit_list *l = ctx;

	if (r->type == FIB_UNICAST && !leaves_by_port(r)) {
		/* The kernel's, unless the user names this very prefix; a covering prefix of the user's gives way. */
		if (len == 0)
			l->foreign_default[family == AF_INET6] = true;
		if (!configured(l->gw, family, bytes, len) || len == 0)
			transit_add(l, family, bytes, len, SLUICE_ACTION_KERNEL);
	}
	return !l->full;
}

/* Under a default route of the kernel's, each route through a port says that it is the engine's. */
static bool nested_route(void *ctx, uint8_t family, const uint8_t *bytes, uint8_t len, const struct fib_route *r)
{
	struct transit_list *l = ctx;

	if (l->foreign_default[family == AF_INET6] && len > 0 && r->type == FIB_UNICAST && leaves_by_port(r) &&
	    !configured(l->gw, family, bytes, len))
		transit_add(l, family, bytes, len, SLUICE_ACTION_ENGINE);
	return !l->full;
}

static void transit_build(struct gateway *gw, struct transit_list *l)
{
	const struct config_steer *cs = &gw->cfg->steer;

	fib_each(gw->engine->fib, foreign_route, l);
	fib_each(gw->engine->fib, nested_route, l);
	for (unsigned int i = 0; i < cs->n_transit; i++) {
		const struct config_prefix *p = &cs->transit[i].prefix;

		if (p->len == 0 && l->foreign_default[p->ip.family == AF_INET6])
			continue;
		transit_add(l, (uint8_t)p->ip.family, p->ip.bytes, p->len, steer_convert_action(cs->transit[i].action));
	}
	if (l->full)
		log_warn("steering: more than %d transit prefixes; some traffic of devices that are no ports is taken "
			 "and dropped as no_port: name narrower prefixes in steer.transit", SLUICE_STEER_MAX_PREFIXES);
}

static size_t vlans_of(const struct gw_port *gp, uint32_t *vlans)
{
	size_t n = 0;

	for (uint16_t i = 0; i < gp->gw->n_ifaces; i++) {
		const struct iface *iface = &gp->gw->ifaces[i];

		if (iface->port == gp->port.id && iface->n_vlans && (iface->ifindex || gp->gw->iface_cfg[i]))
			vlans[n++] = iface_vlan(iface);
	}
	return n;
}

static void steer_one(struct gw_port *gp, const struct addr_list *kernel, const struct addr_list *engine,
		      const struct transit_list *transit)
{
	struct steer_rule rules[CONFIG_RULES_MAX];
	size_t n_rules = steer_convert_rules(&gp->gw->cfg->steer, gp->cfg->name, rules);
	uint32_t vlans[TABLES_IFACES_MAX];
	struct fault f;
	int err;

	err = steer_set_kernel_addrs(gp->steer, kernel->addrs, kernel->n, &f);
	if (!err)
		err = steer_set_engine_addrs(gp->steer, engine->addrs, engine->n, &f);
	if (!err)
		err = steer_set_vlans(gp->steer, vlans, vlans_of(gp, vlans), &f);
	if (!err)
		err = steer_set_rules(gp->steer, rules, n_rules, &f);
	if (!err)
		err = steer_set_transit(gp->steer, transit->prefixes, transit->n, &f);
	if (err)
		log_error("port %s: steering: %s", gp->cfg->name, f.text);
	steer_set_enabled(gp->steer, !err);
}

void gw_steer_update(struct gateway *gw)
{
	struct addr_list *kernel = calloc(1, sizeof(*kernel)), *engine = calloc(1, sizeof(*engine));
	struct transit_list *transit = calloc(1, sizeof(*transit));

	if (kernel && engine && transit) {
		kernel->gw = gw;
		transit->gw = gw;
		mirror_each_addr(gw->mirror, 0, kernel_addr, kernel);
		engine_addrs(gw, engine);
		transit_build(gw, transit);
		for (unsigned int i = 0; i < gw->n_ports; i++)
			if (gw->ports[i].open && gw->ports[i].steer)
				steer_one(&gw->ports[i], kernel, engine, transit);
	} else {
		log_error("steering: no memory");
	}
	free(kernel);
	free(engine);
	free(transit);
}
