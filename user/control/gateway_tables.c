/* SPDX-License-Identifier: MIT */
/*
 * From the kernel's words and the configuration's to the engine's tables: interfaces, addresses, routes.
 */
#include "user/control/gateway.h"

#include <errno.h>
#include <linux/if_addr.h>
#include <linux/rtnetlink.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "common/log.h"

uint16_t gw_iface_by_ifindex(const struct gateway *gw, int ifindex)
{
	for (uint16_t i = 0; i < gw->n_ifaces; i++)
		if (ifindex && gw->ifaces[i].ifindex == ifindex)
			return i;
	return IFACE_NONE;
}

uint16_t gw_iface_by_name(const struct gateway *gw, const char *name)
{
	for (uint16_t i = 0; i < gw->n_ifaces; i++)
		if (strcmp(gw->ifaces[i].name, name) == 0)
			return i;
	return IFACE_NONE;
}

/* ---- VLAN devices of the kernel --------------------------------------------------------------------------------- */

/* The tags of a VLAN device, outermost first; false when it does not end at a port, or has more than two. */
static bool vlan_stack(struct gateway *gw, const struct nl_link *link, struct gw_port **gp, uint16_t *vlan,
		       uint16_t *tpid, uint8_t *n)
{
	const struct nl_link *parent = mirror_link(gw->mirror, link->parent);

	if (!parent || link->parent_elsewhere)
		return false;
	*gp = gw_port_by_ifindex(gw, (int)link->parent);
	if (*gp) {
		vlan[0] = link->vlan_id;
		tpid[0] = be16toh(link->vlan_proto);
		*n = 1;
		return (*gp)->port.has_l2;
	}
	if (strcmp(parent->kind, "vlan") != 0)
		return false;
	*gp = gw_port_by_ifindex(gw, (int)parent->parent);
	if (!*gp)
		return false;
	vlan[0] = parent->vlan_id;
	tpid[0] = be16toh(parent->vlan_proto);
	vlan[1] = link->vlan_id;
	tpid[1] = be16toh(link->vlan_proto);
	*n = 2;
	return (*gp)->port.has_l2;
}

static struct iface *vlan_iface_find(struct gateway *gw, uint16_t port, const uint16_t *vlan, uint8_t n)
{
	for (uint16_t i = 0; i < gw->n_ifaces; i++) {
		struct iface *iface = &gw->ifaces[i];

		if (iface->port == port && iface->n_vlans == n && iface->vlan[0].vid == vlan[0] &&
		    (n == 1 || iface->vlan[1].vid == vlan[1]))
			return iface;
	}
	return NULL;
}

void gw_vlan_link(struct gateway *gw, const struct nl_link *link, bool removed)
{
	uint16_t vlan[2] = { 0, 0 }, tpid[2] = { 0, 0 }, id;
	struct gw_port *gp;
	struct iface *iface;
	uint8_t n;

	id = gw_iface_by_ifindex(gw, (int)link->ifindex);
	if (removed) {
		if (id != IFACE_NONE && gw->ifaces[id].n_vlans)
			gw->ifaces[id].ifindex = 0;
		return;
	}
	if (id != IFACE_NONE || !vlan_stack(gw, link, &gp, vlan, tpid, &n))
		return;
	iface = vlan_iface_find(gw, gp->port.id, vlan, n);
	if (!iface) {
		if (gw->n_ifaces == TABLES_IFACES_MAX) {
			log_warn("%s: no room for more than %d interfaces; its traffic is the kernel's", link->name,
				 TABLES_IFACES_MAX);
			return;
		}
		iface = &gw->ifaces[gw->n_ifaces];
		*iface = (struct iface){
			.id = gw->n_ifaces++, .port = gp->port.id, .n_vlans = n, .flags = IFACE_ROUTER,
			.vlan = { { tpid[0], vlan[0] }, { tpid[1], vlan[1] } },
		};
		snprintf(iface->name, sizeof(iface->name), "%s", link->name);
		gw_iface_settings(iface, &gp->cfg->iface);
	}
	iface->ifindex = (int)link->ifindex;
	log_info("interface %s: VLAN device of the kernel on port %s", link->name, gp->cfg->name);
	/* Its routes were refused while nobody knew it. */
	mirror_resync(gw->mirror);
}

/* ---- Addresses -------------------------------------------------------------------------------------------------- */

static void addr_put(struct iface *iface, uint8_t family, const uint8_t *bytes, uint8_t prefix_len, bool engine,
		     enum iface_addr_state state)
{
	struct iface_addr *a;

	if (iface->n_addrs == IFACE_ADDRS_MAX)
		return;
	a = &iface->addrs[iface->n_addrs++];
	*a = (struct iface_addr){
		.family = family, .prefix_len = prefix_len, .engine = engine, .state = (uint8_t)state,
	};
	memcpy(a->addr, bytes, iface_addr_bytes(family));
}

static int kernel_addr_put(void *ctx, const struct nl_addr *addr)
{
	if (!(addr->flags & (IFA_F_TENTATIVE | IFA_F_DADFAILED)))
		addr_put(ctx, addr->family, addr->local.bytes, addr->prefix_len, false, IFACE_ADDR_PREFERRED);
	return 0;
}

/* Of an engine-only address: as far as the look for a duplicate has come. */
static enum iface_addr_state engine_addr_state(const struct gateway *gw, const struct iface *iface,
					       const struct config_prefix *p)
{
	switch (neigh_addr_state_of(gw->neighs, iface->id, (uint8_t)p->ip.family, p->ip.bytes)) {
	case NEIGH_ADDR_PREFERRED:
		return IFACE_ADDR_PREFERRED;
	case NEIGH_ADDR_DUPLICATED:
		return IFACE_ADDR_DUPLICATED;
	default:
		return IFACE_ADDR_TENTATIVE;
	}
}

/*
 * What is for an address that is ours is not forwarded. One that is not ours, or not yet, is its subnet's: where somebody
 * else has it, he is to be reached.
 */
static void engine_addr_route(struct gateway *gw, const struct config_prefix *p, enum iface_addr_state state)
{
	struct fib_route local = { .type = FIB_LOCAL };
	uint8_t family = (uint8_t)p->ip.family, bits = family == AF_INET ? 32 : 128;
	struct fault f;
	int err;

	if (state == IFACE_ADDR_PREFERRED)
		err = fib_set(gw->engine->fib, family, p->ip.bytes, bits, FIB_ORIGIN_ENGINE, 0, &local, &f);
	else
		err = fib_del(gw->engine->fib, family, p->ip.bytes, bits, FIB_ORIGIN_ENGINE, 0);
	if (err == -ENOMEM)
		log_error("routes: no memory for an address of the engine's");
}

void gw_addrs_update(struct gateway *gw, struct iface *iface)
{
	const struct config_iface *cfg = gw->iface_cfg[iface->id];

	iface->n_addrs = 0;
	for (unsigned int i = 0; cfg && i < cfg->n_addrs; i++) {
		const struct config_prefix *p = &cfg->addrs[i];
		enum iface_addr_state state = engine_addr_state(gw, iface, p);

		addr_put(iface, (uint8_t)p->ip.family, p->ip.bytes, p->len, true, state);
		engine_addr_route(gw, p, state);
	}
	if (iface->ifindex && gw->cfg->netlink.enabled)
		mirror_each_addr(gw->mirror, (uint32_t)iface->ifindex, kernel_addr_put, iface);
}

/* ---- Routes ----------------------------------------------------------------------------------------------------- */

static enum fib_type route_type(const struct gateway *gw, const struct nl_route *r)
{
	const struct gw_port *gp;
	uint16_t id;

	switch (r->type) {
	case RTN_UNICAST:
		return FIB_UNICAST;
	case RTN_LOCAL:
	case RTN_ANYCAST:
		/* Addresses of a TUN device lie behind it: that is what the TUN is for. */
		id = r->n_nexthops ? gw_iface_by_ifindex(gw, (int)r->nexthops[0].ifindex) : IFACE_NONE;
		gp = id == IFACE_NONE ? NULL : &gw->ports[gw->ifaces[id].port];
		return gp && gp->port.kind == PORT_TUN ? FIB_UNICAST : FIB_KERNEL;
	case RTN_BROADCAST:
		return FIB_BROADCAST;
	case RTN_BLACKHOLE:
		return FIB_BLACKHOLE;
	case RTN_PROHIBIT:
		return FIB_PROHIBIT;
	case RTN_THROW:
		return FIB_THROW;
	default:
		return FIB_UNREACHABLE;
	}
}

static void nexthop_put(const struct gateway *gw, struct fib_route *to, const struct nl_nexthop *nh)
{
	struct fib_nexthop *n;

	if (nh->flags & (RTNH_F_DEAD | RTNH_F_LINKDOWN) || to->n_nexthops == FIB_NEXTHOPS_MAX)
		return;
	n = &to->nexthops[to->n_nexthops++];
	*n = (struct fib_nexthop){
		/* What only the kernel can do leaves by no port of ours. */
		.iface = nh->encap ? IFACE_NONE : gw_iface_by_ifindex(gw, (int)nh->ifindex),
		.weight = (uint16_t)(nh->weight < UINT16_MAX ? nh->weight : UINT16_MAX),
		.gw_family = nh->gw_family,
	};
	memcpy(n->gw, nh->gw.bytes, sizeof(n->gw));
}

/* One table is looked up, and the local one that says what is the kernel's own. */
static bool table_counts(const struct gateway *gw, uint32_t table)
{
	return gw->cfg->netlink.enabled && (table == RT_TABLE_LOCAL || table == gw->cfg->netlink.table);
}

static void on_route_set(void *ctx, const struct nl_route *r)
{
	struct gateway *gw = ctx;
	struct fib_route route = { .mtu = r->mtu_bytes };
	struct fault f;

	if (!table_counts(gw, r->key.table))
		return;
	route.type = (uint8_t)route_type(gw, r);
	if (route.type == FIB_UNICAST) {
		for (uint32_t i = 0; i < r->n_nexthops; i++)
			nexthop_put(gw, &route, &r->nexthops[i]);
		if (route.n_nexthops == 0)
			route.type = FIB_UNREACHABLE;
		for (unsigned int i = 0; i < route.n_nexthops; i++)
			gw->foreign_routes |= route.nexthops[i].iface == IFACE_NONE;
		gw->steer_stale |= gw->foreign_routes;
	}
	if (fib_set(gw->engine->fib, r->key.family, r->key.dst.bytes, r->key.dst_len, FIB_ORIGIN_KERNEL,
		    r->key.metric, &route, &f))
		log_error("routes: %s", f.text);
}

static void on_route_del(void *ctx, const struct nl_route_key *key)
{
	struct gateway *gw = ctx;

	if (!table_counts(gw, key->table))
		return;
	fib_del(gw->engine->fib, key->family, key->dst.bytes, key->dst_len, FIB_ORIGIN_KERNEL, key->metric);
	gw->steer_stale |= gw->foreign_routes;
}

static void on_route_begin(void *ctx, uint8_t family)
{
	struct gateway *gw = ctx;

	fib_resync_begin(gw->engine->fib, family, FIB_ORIGIN_KERNEL);
}

static void on_route_end(void *ctx, uint8_t family, bool complete)
{
	struct gateway *gw = ctx;

	fib_resync_end(gw->engine->fib, family, FIB_ORIGIN_KERNEL, complete);
}

static void on_link(void *ctx, enum mirror_event ev, const struct nl_link *link, const struct nl_link *before)
{
	struct gateway *gw = ctx;
	struct gw_port *gp = gw_port_by_ifindex(gw, (int)link->ifindex);

	(void)before;
	if (gp && ev == MIRROR_REMOVED)
		gp->device_gone = true;
	if (strcmp(link->kind, "vlan") == 0)
		gw_vlan_link(gw, link, ev == MIRROR_REMOVED);
	gw->dirty |= GW_DIRTY_PORTS;
}

static void on_addr(void *ctx, enum mirror_event ev, const struct nl_addr *addr)
{
	struct gateway *gw = ctx;

	(void)ev;
	(void)addr;
	gw->dirty |= GW_DIRTY_PORTS | GW_DIRTY_STEER;
}

static void on_neigh(void *ctx, enum mirror_event ev, const struct nl_neigh *neigh)
{
	struct gateway *gw = ctx;

	(void)ev;
	if (gw_iface_by_ifindex(gw, (int)neigh->ifindex) != IFACE_NONE)
		gw->dirty |= GW_DIRTY_TABLES;
}

const struct mirror_ops gw_mirror_ops = {
	.link = on_link,
	.addr = on_addr,
	.neigh = on_neigh,
	.route_begin_resync = on_route_begin,
	.route_set = on_route_set,
	.route_del = on_route_del,
	.route_end_resync = on_route_end,
};

/* What an engine-only address brings: its subnet and the subnet's broadcast address; itself once nobody else has it. */
static int engine_addr_routes(struct gateway *gw, const struct iface *iface, const struct config_prefix *p,
			      struct fault *f)
{
	struct fib_route link = { .type = FIB_UNICAST, .n_nexthops = 1 };
	struct fib_route broadcast = { .type = FIB_BROADCAST };
	uint8_t family = (uint8_t)p->ip.family, bits = family == AF_INET ? 32 : 128, net[16];
	int err;

	link.nexthops[0] = (struct fib_nexthop){ .iface = iface->id, .weight = 1 };
	if (p->len == bits)
		return 0;
	memcpy(net, p->ip.bytes, sizeof(net));
	for (unsigned int bit = p->len; bit < bits; bit++)
		net[bit / 8] &= (uint8_t)~(0x80u >> bit % 8);
	err = fib_set(gw->engine->fib, family, net, p->len, FIB_ORIGIN_ENGINE, 0, &link, f);
	if (err || family != AF_INET || p->len >= 31)	/* RFC 3021: a /31 has no broadcast address */
		return err;
	for (unsigned int bit = p->len; bit < bits; bit++)
		net[bit / 8] |= (uint8_t)(0x80u >> bit % 8);
	return fib_set(gw->engine->fib, family, net, bits, FIB_ORIGIN_ENGINE, 0, &broadcast, f);
}

static enum fib_type config_type(enum config_route_type type)
{
	static const enum fib_type types[] = {
		[CONFIG_ROUTE_UNICAST] = FIB_UNICAST, [CONFIG_ROUTE_BLACKHOLE] = FIB_BLACKHOLE,
		[CONFIG_ROUTE_UNREACHABLE] = FIB_UNREACHABLE, [CONFIG_ROUTE_PROHIBIT] = FIB_PROHIBIT,
	};

	return types[type];
}

int gw_static_routes(struct gateway *gw, struct fault *f)
{
	int err;

	for (uint16_t i = 0; i < gw->n_ifaces; i++) {
		const struct config_iface *cfg = gw->iface_cfg[i];

		for (unsigned int k = 0; cfg && k < cfg->n_addrs; k++) {
			err = engine_addr_routes(gw, &gw->ifaces[i], &cfg->addrs[k], f);
			if (err)
				return err;
		}
	}
	for (unsigned int i = 0; i < gw->cfg->n_routes; i++) {
		const struct config_route *r = &gw->cfg->routes[i];
		struct fib_route route = { .type = (uint8_t)config_type(r->type) };

		for (unsigned int k = 0; k < r->n_nexthops; k++) {
			struct fib_nexthop *nh = &route.nexthops[route.n_nexthops++];

			*nh = (struct fib_nexthop){
				.iface = gw_iface_by_name(gw, r->nexthops[k].iface),
				.weight = (uint16_t)r->nexthops[k].weight,
				.gw_family = (uint8_t)r->nexthops[k].via.family,
			};
			memcpy(nh->gw, r->nexthops[k].via.bytes, sizeof(nh->gw));
		}
		err = fib_set(gw->engine->fib, (uint8_t)r->prefix.ip.family, r->prefix.ip.bytes, r->prefix.len,
			      FIB_ORIGIN_STATIC, r->metric, &route, f);
		if (err)
			return err;
	}
	return 0;
}

int gw_publish(struct gateway *gw, struct fault *f)
{
	struct neigh_map *neighs = gw_neigh_fill(gw, f);
	struct tables *t;
	int err;

	if (!neighs)
		return -ENOMEM;
	err = tables_build(&t, gw->ifaces, gw->n_ifaces, neighs, gw->engine->fib, ++gw->version, f);
	if (err)
		return err;
	gw->published_neighs = neighs;
	gw->publishes++;
	engine_publish(gw->engine, t);
	return 0;
}
