/* SPDX-License-Identifier: MIT */
/*
 * Neighbours: those of the kernel are mirrored, and kept alive while workers use them; those of engine-only addresses
 * are ours, with their own ARP and neighbour discovery. Which of the two answers for a next hop depends on which of
 * them has an address on its link: the kernel where it has one, else the engine.
 */
#include "user/control/gateway.h"

#include <errno.h>
#include <linux/neighbour.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>

#include "common/clock.h"
#include "common/log.h"
#include "user/control/config_text.h"

/* States in which the kernel itself would send. */
#define NUD_USABLE (NUD_REACHABLE | NUD_STALE | NUD_DELAY | NUD_PROBE | NUD_PERMANENT | NUD_NOARP)

static bool kernel_resolves(const struct gateway *gw, const struct iface *iface, uint8_t family)
{
	if (!iface->ifindex || !gw->cfg->netlink.enabled)
		return false;
	for (unsigned int i = 0; i < iface->n_addrs; i++)
		if (iface->addrs[i].family == family && !iface->addrs[i].engine)
			return true;
	return false;
}

/* ---- The engine's own table ------------------------------------------------------------------------------------- */

static const struct iface *iface_of(void *ctx, uint16_t id)
{
	struct gateway *gw = ctx;

	return id < gw->n_ifaces ? &gw->ifaces[id] : NULL;
}

static void send_frame(void *ctx, const struct iface *out, const uint8_t *frame, uint32_t bytes)
{
	struct gateway *gw = ctx;
	int err = engine_inject(gw->engine, out->port, out->id, frame, bytes);

	/* Lost like on a wire: the state machines ask again. */
	if (err)
		log_debug("interface %s: ARP or ND not sent: %s", out->name, strerror(-err));
}

static void neigh_changed(void *ctx, const struct neigh *n, enum neigh_event event)
{
	struct gateway *gw = ctx;

	(void)n;
	if (event != NEIGH_EVENT_STATE)
		gw->dirty |= GW_DIRTY_TABLES;
}

static void address_changed(void *ctx, uint16_t iface, uint8_t family, const uint8_t *addr,
			    enum neigh_addr_state state, const uint8_t *mac)
{
	struct gateway *gw = ctx;
	struct config_ip ip = { .family = family };
	char text[CONFIG_PREFIX_STRLEN];

	memcpy(ip.bytes, addr, iface_addr_bytes(family));
	config_ip_text(&ip, text);
	if (mac)
		log_warn("interface %s: %02x:%02x:%02x:%02x:%02x:%02x has address %s too%s", gw->ifaces[iface].name,
			 mac[0], mac[1], mac[2], mac[3], mac[4], mac[5], text,
			 state == NEIGH_ADDR_DUPLICATED ? "; it is not used here" : "");
	gw->dirty |= GW_DIRTY_PORTS | GW_DIRTY_STEER;
}

static void neigh_due(void *ctx)
{
	struct gateway *gw = ctx;

	neigh_tick(gw->neighs, clock_mono_ns());
	gw_neigh_arm(gw);
}

void gw_neigh_arm(struct gateway *gw)
{
	uint64_t due_ns = neigh_deadline(gw->neighs), now_ns = clock_mono_ns();

	if (due_ns == UINT64_MAX)
		loop_del_timer(&gw->neigh_timer);
	else
		loop_add_timer(gw->loop, &gw->neigh_timer, due_ns > now_ns ? due_ns - now_ns : 0, 0, neigh_due, gw);
}

int gw_neigh_init(struct gateway *gw, struct fault *f)
{
	static const struct neigh_ops ops = {
		.iface = iface_of, .send = send_frame, .changed = neigh_changed, .address = address_changed,
	};
	const struct config_neighbours *cn = &gw->cfg->neighbours;
	struct neigh_params params = {
		.max_entries = cn->max, .ops = &ops, .ctx = gw, .probes = cn->probes,
		.reachable_ns = cn->reachable_ms * NS_PER_MS, .retrans_ns = cn->retrans_ms * NS_PER_MS,
		.stale_ns = cn->stale_ms * NS_PER_MS,
	};

	if (getrandom(params.seed, sizeof(params.seed), 0) != sizeof(params.seed))
		return fault_errno(f, "getrandom");
	return neigh_create(&gw->neighs, &params, f);
}

void gw_neigh_fini(struct gateway *gw)
{
	if (gw->neighs)
		neigh_destroy(gw->neighs);
	gw->neighs = NULL;
}

void gw_neigh_iface_up(struct gateway *gw, const struct iface *iface, bool restart)
{
	const struct config_iface *cfg = gw->iface_cfg[iface->id];
	uint64_t now_ns = clock_mono_ns();
	/* On a TUN there is nobody to ask. */
	bool detect = gw->cfg->neighbours.detect_duplicates && !(iface->flags & IFACE_NO_L2);

	if (!cfg || cfg->n_addrs == 0)
		return;
	if (restart) {
		neigh_flush(gw->neighs, iface->id, now_ns);
		neigh_addr_restart(gw->neighs, iface->id, now_ns);
	}
	for (unsigned int i = 0; i < cfg->n_addrs; i++) {
		const struct config_prefix *a = &cfg->addrs[i];
		int err = neigh_addr_add(gw->neighs, iface->id, (uint8_t)a->ip.family, a->ip.bytes, a->len,
					 detect, now_ns);

		if (err && err != -EEXIST)
			log_error("interface %s: engine-only address: %s", iface->name, strerror(-err));
	}
	gw_neigh_arm(gw);
}

/* ---- What workers say ------------------------------------------------------------------------------------------- */

static void resolve(struct gateway *gw, const struct ctl_msg *m)
{
	const struct iface *iface = &gw->ifaces[m->iface];
	union nl_ip ip;

	if (kernel_resolves(gw, iface, m->family)) {
		memset(&ip, 0, sizeof(ip));
		memcpy(&ip, m->addr, iface_addr_bytes(m->family));
		mirror_neigh_use(gw->mirror, (uint32_t)iface->ifindex, m->family, &ip);
		return;
	}
	if (neigh_resolve(gw->neighs, m->iface, m->family, m->addr, clock_mono_ns()) >= 0)
		gw_neigh_arm(gw);
}

static void count_drop(struct gateway *gw, enum drop why)
{
	/* Worker 0's counters are its own; what the control thread refuses is told in a line of debugging. */
	(void)gw;
	log_debug("ARP or ND refused: reason %d", (int)why);
}

static void punted(struct gateway *gw, const struct ctl_msg *m)
{
	const struct iface *iface = &gw->ifaces[m->iface];
	uint32_t l2 = (uint32_t)m->l3;
	enum drop why;

	if (iface->flags & IFACE_NO_L2 || m->len <= l2)
		return;
	if (m->family == AF_INET6)
		why = neigh_input_nd(gw->neighs, m->iface, m->data + l2, m->len - l2, m->data + ETH_SRC,
				     clock_mono_ns());
	else
		why = neigh_input_arp(gw->neighs, m->iface, m->data + l2, m->len - l2, clock_mono_ns());
	if (why != DROP_NONE)
		count_drop(gw, why);
	gw_neigh_arm(gw);
}

void gw_ctl_message(void *ctx, const struct ctl_msg *m)
{
	struct gateway *gw = ctx;

	if (m->iface >= gw->n_ifaces)
		return;
	if (m->kind == CTL_RESOLVE)
		resolve(gw, m);
	else if (m->kind == CTL_PUNT)
		punted(gw, m);
}

/* ---- The workers' map ------------------------------------------------------------------------------------------- */

struct fill {
	struct gateway *gw;
	struct neigh_map *map;
	uint32_t n;
	bool full;
};

static int kernel_count(void *ctx, const struct nl_neigh *n)
{
	struct fill *fill = ctx;

	(void)n;
	fill->n++;
	return 0;
}

static void entry_add(struct fill *fill, const struct neigh_entry *e)
{
	if (!neigh_map_add(fill->map, e))
		fill->full = true;
}

static int kernel_fill(void *ctx, const struct nl_neigh *n)
{
	struct fill *fill = ctx;
	uint16_t iface = gw_iface_by_ifindex(fill->gw, (int)n->ifindex);
	struct neigh_entry e = {
		.iface = iface, .family = n->family, .kernel = true,
		.usable = n->lladdr_len == 6 && (n->state & NUD_USABLE), .failed = n->state & NUD_FAILED,
	};

	if (iface == IFACE_NONE || n->proxy || !(e.usable || e.failed))
		return 0;
	memcpy(e.addr, n->addr.bytes, iface_addr_bytes(n->family));
	memcpy(e.mac, n->lladdr, sizeof(e.mac));
	entry_add(fill, &e);
	return 0;
}

static void engine_fill(struct fill *fill)
{
	const struct neigh *n;

	for (uint32_t slot = 0; (n = neigh_next(fill->gw->neighs, slot)); slot = n->slot + 1) {
		struct neigh_entry e = {
			.iface = n->iface, .family = n->family, .failed = n->state == NEIGH_FAILED,
			.usable = n->state != NEIGH_FAILED && n->state != NEIGH_INCOMPLETE && n->state != NEIGH_NONE,
		};

		memcpy(e.addr, n->addr, sizeof(e.addr));
		memcpy(e.mac, n->mac, sizeof(e.mac));
		if (e.usable || e.failed)
			entry_add(fill, &e);
	}
}

static void static_fill(struct fill *fill)
{
	const struct config *cfg = fill->gw->cfg;

	for (unsigned int i = 0; i < cfg->n_neighs; i++) {
		const struct config_neigh *n = &cfg->neighs[i];
		struct neigh_entry e = {
			.iface = gw_iface_by_name(fill->gw, n->iface), .family = (uint8_t)n->ip.family, .usable = true,
		};

		memcpy(e.addr, n->ip.bytes, sizeof(e.addr));
		memcpy(e.mac, n->mac, sizeof(e.mac));
		entry_add(fill, &e);
	}
}

struct neigh_map *gw_neigh_fill(struct gateway *gw, struct fault *f)
{
	struct fill fill = { .gw = gw };

	if (gw->cfg->netlink.enabled)
		mirror_each_neigh(gw->mirror, 0, kernel_count, &fill);
	fill.n += neigh_count(gw->neighs, NEIGH_NONE) + gw->cfg->n_neighs;
	fill.map = neigh_map_create(fill.n < NEIGH_MAP_MAX ? fill.n : NEIGH_MAP_MAX, f);
	if (!fill.map)
		return NULL;
	/* Of two entries for one address the first stays: what a person wrote, then what the kernel knows. */
	static_fill(&fill);
	if (gw->cfg->netlink.enabled)
		mirror_each_neigh(gw->mirror, 0, kernel_fill, &fill);
	engine_fill(&fill);
	if (fill.full)
		log_warn("more than %u neighbours: some are not known to the workers", NEIGH_MAP_MAX);
	return fill.map;
}

/*
 * The kernel sees no traffic of ours and would let its entries go stale, and ours are no better off: once a second,
 * whoever has been sent to is asked for again, as if the owner of the table had sent to it itself.
 */
void gw_neigh_refresh(struct gateway *gw)
{
	struct neigh_map *map = gw->published_neighs;
	uint64_t now_ns = clock_mono_ns();
	bool engine_used = false;

	for (uint32_t i = 0; map && i <= map->mask; i++) {
		struct neigh_entry *e = &map->slots[i];
		const struct nl_neigh *n;
		union nl_ip ip;

		if (!e->family || !atomic_exchange_explicit(&e->used, 0, memory_order_relaxed))
			continue;
		if (!e->kernel) {
			engine_used |= neigh_resolve(gw->neighs, e->iface, e->family, e->addr, now_ns) >= 0;
			continue;
		}
		memcpy(&ip, e->addr, sizeof(ip));
		n = mirror_neigh(gw->mirror, (uint32_t)gw->ifaces[e->iface].ifindex, e->family, &ip);
		if (n && n->state & NUD_STALE)
			mirror_neigh_use(gw->mirror, n->ifindex, e->family, &ip);
	}
	if (engine_used)
		gw_neigh_arm(gw);
}
