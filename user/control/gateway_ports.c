/* SPDX-License-Identifier: MIT */
/*
 * The gateway's ports: open, follow their devices, give them back.
 *
 * A device that vanishes closes its port; one of the same name that comes back opens it again. A port that cannot be
 * opened is tried again with growing delay, so that the gateway may be started before its devices.
 */
#include "user/control/gateway.h"

#include <errno.h>
#include <linux/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/bytes.h"
#include "common/clock.h"
#include "common/log.h"
#include "user/control/devinfo.h"
#include "user/net/ipv6.h"
#include "user/packet/l2_groups.h"
#include "user/packet/tun.h"
#include "user/packet/xsk.h"

#define RETRY_NS NS_PER_S

struct gw_port *gw_port_by_ifindex(struct gateway *gw, int ifindex)
{
	for (unsigned int i = 0; i < gw->n_ports; i++)
		if (ifindex && gw->ports[i].port.ifindex == ifindex)
			return &gw->ports[i];
	return NULL;
}

struct gw_port *gw_port_by_name(struct gateway *gw, const char *name)
{
	for (unsigned int i = 0; i < gw->n_ports; i++)
		if (strcmp(gw->ports[i].cfg->name, name) == 0)
			return &gw->ports[i];
	for (unsigned int i = 0; i < gw->n_ports; i++)
		if (strcmp(gw->ports[i].cfg->device, name) == 0)
			return &gw->ports[i];
	return NULL;
}

void gw_iface_settings(struct iface *iface, const struct config_iface *cfg)
{
	iface->rp_filter = (uint8_t)cfg->rp_filter;
	if (iface->rp_filter != IFACE_RP_OFF)
		iface->flags |= IFACE_CHECK_SOURCE;
	iface->mss_clamp = (uint16_t)cfg->mss_clamp;
	if (cfg->mss_clamp != CONFIG_MSS_OFF)
		iface->flags |= IFACE_CLAMP_MSS;
}

static uint16_t iface_add(struct gateway *gw, struct gw_port *gp, const struct config_iface *cfg,
			  const struct config_vlan *vlan)
{
	uint16_t id = gw->n_ifaces++;
	struct iface *iface = &gw->ifaces[id];

	*iface = (struct iface){
		.id = id, .port = gp->port.id, .flags = IFACE_ROUTER | (gp->port.has_l2 ? 0 : IFACE_NO_L2),
	};
	snprintf(iface->name, sizeof(iface->name), "%s", cfg->name);
	gw_iface_settings(iface, cfg);
	if (vlan) {
		iface->n_vlans = vlan->inner ? 2 : 1;
		iface->vlan[0] = (struct iface_vlan){ vlan->tpid, vlan->id };
		iface->vlan[1] = (struct iface_vlan){ ETHERTYPE_CTAG, vlan->inner };
	}
	gw->iface_cfg[id] = cfg;
	return id;
}

int gw_ports_init(struct gateway *gw, struct fault *f)
{
	uint16_t next_queue = 0;

	gw->n_ports = gw->cfg->n_ports;
	for (unsigned int i = 0; i < gw->n_ports; i++) {
		const struct config_port *cfg = &gw->cfg->ports[i];
		struct gw_port *gp = &gw->ports[i];

		gp->gw = gw;
		gp->cfg = cfg;
		gp->groups_fd = -1;
		gp->port.id = (uint16_t)i;
		gp->port.kind = cfg->kind == CONFIG_PORT_TUN ? PORT_TUN : PORT_XSK;
		gp->port.has_l2 = cfg->kind != CONFIG_PORT_TUN;
		snprintf(gp->port.name, sizeof(gp->port.name), "%s", cfg->name);
		snprintf(gp->port.device, sizeof(gp->port.device), "%s", cfg->device);
		snprintf(gp->why_closed, sizeof(gp->why_closed), "not opened yet");
		gp->max_queues = (uint16_t)(cfg->n_queues ? cfg->n_queues : gw->n_workers);
		if (cfg->tun_owner[0]) {
			struct privilege_user owner;
			int err = privilege_find_user(cfg->tun_owner, &owner, f);

			if (err) {
				fault_prefix(f, "port %s: owner: ", cfg->name);
				return err;
			}
			gp->has_owner = true;
			gp->owner = owner.uid;
		}
		gp->first_queue = next_queue;
		next_queue = (uint16_t)(next_queue + gp->max_queues);
		if (gw->n_ifaces + 1u + cfg->n_vlans > TABLES_IFACES_MAX)
			return fault_set(f, E2BIG, "port %s: more than %d interfaces", cfg->name, TABLES_IFACES_MAX);
		gp->iface = iface_add(gw, gp, &cfg->iface, NULL);
		gp->port.ifindex = (int)if_nametoindex(cfg->device);
		gw->ifaces[gp->iface].ifindex = gp->port.ifindex;
		for (unsigned int v = 0; v < cfg->n_vlans; v++)
			iface_add(gw, gp, &cfg->vlans[v].iface, &cfg->vlans[v]);
	}
	return 0;
}

/* Which worker has which queue: as configured, else in turn. */
static void queues_assign(struct gw_port *gp)
{
	const struct config_port *cfg = gp->cfg;

	for (unsigned int i = 0; i < gp->n_queues; i++)
		gp->queue_worker[i] = (uint8_t)(cfg->n_queue_workers ? cfg->queue_worker[i] : i % gp->gw->n_workers);
}

/* A device of the kernel's own: no descriptors that bring a hash, no interrupts in whose place to poll. */
static bool is_software(const struct devinfo *dev)
{
	static const char *const drivers[] = { "veth", "netkit", "tun" };

	for (size_t i = 0; i < ARRAY_SIZE(drivers); i++)
		if (strcmp(dev->driver, drivers[i]) == 0)
			return true;
	return false;
}

static struct steer_params steer_params_of(const struct gw_port *gp, const struct devinfo *dev)
{
	static const enum steer_mode mode[] = {
		[CONFIG_MODE_AUTO] = STEER_MODE_AUTO, [CONFIG_MODE_ZEROCOPY] = STEER_MODE_NATIVE,
		[CONFIG_MODE_NATIVE] = STEER_MODE_NATIVE, [CONFIG_MODE_GENERIC] = STEER_MODE_GENERIC,
	};
	static const enum steer_dispatcher dispatcher[] = {
		[CONFIG_AUTO] = STEER_DISPATCHER_AUTO, [CONFIG_ON] = STEER_DISPATCHER_YES,
		[CONFIG_OFF] = STEER_DISPATCHER_NO,
	};
	bool frugal = gp->cfg->metadata == CONFIG_AUTO && is_software(dev);

	return (struct steer_params){
		.ifindex = gp->port.ifindex, .ifname = gp->port.device,
		.instance = gp->gw->cfg->instance, .port = gp->cfg->name,
		.mode = mode[gp->cfg->mode], .dispatcher = dispatcher[gp->cfg->dispatcher],
		.metadata = gp->cfg->metadata != CONFIG_OFF, .put_back = true,
		/* A software device has no timestamp, and computes its hash: a twentieth of what a packet costs. */
		.no_rx_hash = frugal, .tag_only = frugal && gp->cfg->n_vlans == 0,
	};
}

static int steer_open(struct gw_port *gp, const struct devinfo *dev, struct fault *f)
{
	struct steer_params params = steer_params_of(gp, dev);
	int err = steer_adopt(&params, &gp->steer, f);

	if (err == -ENOENT)
		err = steer_attach(&params, &gp->steer, f);
	if (err)
		return err;
	for (unsigned int i = 0; i < steer_info(gp->steer)->n_reasons; i++)
		port_reason(&gp->port, "%s", steer_info(gp->steer)->reasons[i]);
	return 0;
}

static struct port_queue_params queue_params(const struct gw_port *gp, unsigned int i)
{
	struct worker *w = gp->gw->engine->workers[gp->queue_worker[i]];
	uint16_t index = (uint16_t)(gp->first_queue + i);

	return (struct port_queue_params){
		.qid = (uint16_t)(gp->cfg->n_queue_ids ? gp->cfg->queue_ids[i] : i),
		.index = index, .area = w->area,
		.counters = counter_maps_port(&gp->gw->counters, index),
		.drops = (struct sluice_drops *)w->drops,
	};
}

static int xsk_queues_open(struct gw_port *gp, const struct devinfo *dev, struct fault *f)
{
	const struct config *cfg = gp->gw->cfg;
	const struct config_port *pc = gp->cfg;
	const struct steer_info *info = steer_info(gp->steer);
	struct xsk_params params = {
		.rx_entries = pc->rings.rx, .tx_entries = pc->rings.tx, .fill_entries = pc->rings.fill,
		.generic = info->mode == STEER_MODE_GENERIC,
		.rx_meta = info->metadata,
		.zc_max_segs = dev->zerocopy_max_segs, .zc_tx_checksum = dev->xsk & DEV_XSK_TX_CHECKSUM,
		.no_zero_copy = pc->mode == CONFIG_MODE_NATIVE || pc->mode == CONFIG_MODE_GENERIC,
		.no_sg = pc->multibuffer == CONFIG_OFF || !info->frags,
		.no_tx_metadata = pc->checksum_offload == CONFIG_OFF,
		.busy_poll = cfg->busy_poll.enabled && !is_software(dev),
		.busy_poll_us = cfg->busy_poll.usecs, .busy_poll_budget = cfg->busy_poll.budget,
	};

	for (unsigned int i = 0; i < gp->n_queues; i++) {
		struct port_queue_params qp = queue_params(gp, i);
		struct port_queue *q;
		int err = xsk_open(&gp->port, &qp, &params, &q, f);

		if (!err)
			err = steer_set_xsk(gp->steer, qp.qid, q->fd, f);
		if (err)
			return err;
	}
	if (pc->mode == CONFIG_MODE_ZEROCOPY && strncmp(gp->port.mode, "zero-copy", 9) != 0)
		return fault_set(f, EOPNOTSUPP, "mode zerocopy is not possible: %s",
				 gp->port.n_reasons ? gp->port.reasons[gp->port.n_reasons - 1] : gp->port.mode);
	return 0;
}

/*
 * Drivers behind which the sender may be this very machine, or its hypervisor's: what they deliver may bear a partial
 * checksum that AF_XDP has no flag for. Never a physical device: there it would launder a bad packet.
 */
static bool delivers_partial(const struct gw_port *gp, const struct devinfo *dev)
{
	static const char *const drivers[] = { "veth", "virtio_net", "tun", "netkit" };

	if (gp->cfg->partial_checksums != CONFIG_AUTO)
		return gp->cfg->partial_checksums == CONFIG_ON;
	for (size_t i = 0; i < ARRAY_SIZE(drivers); i++)
		if (strcmp(dev->driver, drivers[i]) == 0)
			return true;
	return false;
}

/* The line of the ladder that says why not. */
static const char *reason_about(const struct port *port, const char *what)
{
	for (unsigned int i = 0; i < port->n_reasons; i++)
		if (strstr(port->reasons[i], what))
			return port->reasons[i];
	return "it is not to be had here";
}

/* "on" is a demand: that, or an error. */
static int demands_check(const struct gw_port *gp, struct fault *f)
{
	const struct config_port *pc = gp->cfg;
	const struct steer_info *info = steer_info(gp->steer);
	const struct {
		const char *key, *about;
		enum config_switch wanted;
		bool got;
	} demands[] = {
		{ "metadata", "RX metadata", pc->metadata, info->metadata },
		{ "dispatcher", "dispatcher", pc->dispatcher, info->dispatcher },
		{ "checksum_offload", "checksums in software", pc->checksum_offload,
		  gp->port.caps & PORT_CAP_TX_PARTIAL },
		{ "multibuffer", "multi-buffer", pc->multibuffer, gp->port.caps & PORT_CAP_TX_SG },
	};

	for (size_t i = 0; i < ARRAY_SIZE(demands); i++)
		if (demands[i].wanted == CONFIG_ON && !demands[i].got)
			return fault_set(f, EOPNOTSUPP, "%s is not possible: %s", demands[i].key,
					 reason_about(&gp->port, demands[i].about));
	return 0;
}

/*
 * Solicitations for engine-only addresses come to groups that only we know of (RFC 4861 7.2.1), and where the kernel has no
 * IPv6 at all, nobody has joined all-nodes either.
 */
static int groups_join(struct gw_port *gp, struct fault *f)
{
	static const uint8_t all_nodes[6] = { 0x33, 0x33, 0, 0, 0, 1 };
	struct gateway *gw = gp->gw;
	int err = 0;

	gp->groups_fd = l2_groups_open(f);
	if (gp->groups_fd < 0)
		return gp->groups_fd;
	for (uint16_t i = 0; i < gw->n_ifaces && !err; i++) {
		const struct config_iface *cfg = gw->ifaces[i].port == gp->port.id ? gw->iface_cfg[i] : NULL;

		for (unsigned int k = 0; cfg && k < cfg->n_addrs && !err; k++) {
			uint8_t group[16], mac[6];

			if (cfg->addrs[k].ip.family != AF_INET6)
				continue;
			ipv6_solicited_node(cfg->addrs[k].ip.bytes, group);
			ipv6_multicast_mac(group, mac);
			err = l2_groups_join(gp->groups_fd, gp->port.ifindex, mac, f);
			if (!err)
				err = l2_groups_join(gp->groups_fd, gp->port.ifindex, all_nodes, f);
		}
	}
	return err;
}

static void groups_leave(struct gw_port *gp)
{
	if (gp->groups_fd >= 0)
		close(gp->groups_fd);
	gp->groups_fd = -1;
}

static int xdp_port_open(struct gw_port *gp, struct fault *f)
{
	struct devinfo dev;
	int err = devinfo_get((uint32_t)gp->port.ifindex, &dev, f);

	if (err)
		return err;
	if (!dev.has_xdp)
		port_reason(&gp->port, "driver's XDP features unknown: %s", dev.xdp_why);
	err = steer_open(gp, &dev, f);
	if (!err)
		err = xsk_queues_open(gp, &dev, f);
	if (!err)
		err = groups_join(gp, f);
	if (!err && delivers_partial(gp, &dev))
		gp->port.caps |= PORT_CAP_RX_PARTIAL;
	return err ? err : demands_check(gp, f);
}

static int tun_port_open(struct gw_port *gp, struct fault *f)
{
	const struct config_port *pc = gp->cfg;
	struct tun_params params = {
		.persistent = pc->tun_persistent, .has_owner = gp->has_owner, .owner = gp->owner,
		.no_csum = !(pc->tun_offloads & CONFIG_TUN_CSUM),
		.no_tso4 = !(pc->tun_offloads & CONFIG_TUN_TSO4),
		.no_tso6 = !(pc->tun_offloads & CONFIG_TUN_TSO6),
		.no_uso = !(pc->tun_offloads & CONFIG_TUN_USO),
	};

	gp->port.mtu_bytes = pc->iface.mtu;
	for (unsigned int i = 0; i < gp->n_queues; i++) {
		struct port_queue_params qp = queue_params(gp, i);
		struct port_queue *q;
		int err = tun_open(&gp->port, &qp, &params, &q, f);

		/* Somebody else's, made with one queue; how many it has was left to us. */
		if (err == -EINVAL && i > 0 && !pc->n_queues)
			break;
		if (err)
			return err;
	}
	return 0;
}

static void queues_close(struct gw_port *gp)
{
	for (unsigned int i = 0; i < PORT_QUEUES_MAX; i++)
		if (gp->port.queues[i])
			gp->port.queues[i]->ops->close(gp->port.queues[i]);
}

/* How many queues the port uses: as configured, else one for each worker as far as the device has them. */
static int queue_count(struct gw_port *gp, uint16_t *n, struct fault *f)
{
	struct devinfo info;
	int err;

	if (gp->cfg->n_queues) {
		*n = (uint16_t)gp->cfg->n_queues;
		return 0;
	}
	*n = (uint16_t)gp->gw->n_workers;
	if (gp->port.kind == PORT_TUN)
		return 0;
	err = devinfo_get((uint32_t)gp->port.ifindex, &info, f);
	if (err)
		return err;
	if (info.rx_queues && info.rx_queues < *n)
		*n = (uint16_t)info.rx_queues;
	if (info.rx_queues > *n)
		port_reason(&gp->port, "%u reception queues, %u used: the others' packets go to the kernel; set "
			    "workers.count, or ethtool -L", info.rx_queues, *n);
	return 0;
}

/* What is known of the device before it is opened. */
static int device_find(struct gw_port *gp, struct fault *f)
{
	const struct nl_link *link;

	if (gp->port.kind == PORT_TUN)
		return 0;	/* made by opening it */
	link = mirror_link_by_name(gp->gw->mirror, gp->cfg->device);
	if (!link)
		return fault_set(f, ENODEV, "no device %s", gp->cfg->device);
	gp->port.ifindex = (int)link->ifindex;
	gp->port.mtu_bytes = link->mtu;
	memcpy(gp->port.mac, link->lladdr, sizeof(gp->port.mac));
	return 0;
}

int gw_port_open(struct gw_port *gp, struct fault *f)
{
	struct gateway *gw = gp->gw;
	int err;

	gp->device_gone = false;
	gp->port.n_reasons = 0;
	gp->port.n_queues = 0;		/* each queue enters itself when it is open */
	gp->port.caps = 0;
	gp->port.mode[0] = 0;
	err = device_find(gp, f);
	if (!err)
		err = queue_count(gp, &gp->n_queues, f);
	if (err)
		goto err_prefix;
	queues_assign(gp);
	/* Rings take frames from the workers' areas. */
	engine_pause(gw->engine);
	privilege_files(&gw->privilege, true);
	err = gp->port.kind == PORT_TUN ? tun_port_open(gp, f) : xdp_port_open(gp, f);
	if (!err)
		err = engine_port_attach(gw->engine, &gp->port, gp->queue_worker, f);
	if (err) {
		queues_close(gp);
		groups_leave(gp);
		steer_close(gp->steer);
		gp->steer = NULL;
	} else {
		gp->open = true;
		/* Routes of a TUN device follow its creation at once: they must find the interface. */
		gw->ifaces[gp->iface].ifindex = gp->port.ifindex;
	}
	privilege_files(&gw->privilege, false);
	engine_resume(gw->engine);
	if (err)
		goto err_prefix;
	gp->why_closed[0] = 0;
	log_info("port %s: %s, %s, %u queue%s", gp->cfg->name, gp->cfg->device, gp->port.mode, gp->port.n_queues,
		 gp->port.n_queues == 1 ? "" : "s");
	for (unsigned int i = 0; i < gp->port.n_reasons; i++)
		log_info("port %s: %s", gp->cfg->name, gp->port.reasons[i]);
	gw->dirty |= GW_DIRTY_PORTS | GW_DIRTY_TABLES | GW_DIRTY_STEER;
	return 0;

err_prefix:
	/* Who opens sockets and TUN queues has said so already. */
	if (f && strncmp(f->text, "port ", 5) != 0)
		fault_prefix(f, "port %s: ", gp->cfg->name);
	if (f)
		snprintf(gp->why_closed, sizeof(gp->why_closed), "%s", f->text);
	gp->port.ifindex = 0;
	return err;
}

void gw_port_close(struct gw_port *gp, const char *why)
{
	struct gateway *gw = gp->gw;

	snprintf(gp->why_closed, sizeof(gp->why_closed), "%s", why);
	if (!gp->open)
		return;
	/* First nothing new comes in, then nothing is on its way, then the sockets go. */
	if (gp->steer)
		steer_set_enabled(gp->steer, false);
	engine_pause(gw->engine);
	engine_port_detach(gw->engine, &gp->port);
	queues_close(gp);
	groups_leave(gp);
	engine_resume(gw->engine);
	privilege_files(&gw->privilege, true);
	steer_close(gp->steer);
	privilege_files(&gw->privilege, false);
	gp->steer = NULL;
	gp->open = false;
	gp->port.up = false;
	gp->port.ifindex = 0;
	gw->dirty |= GW_DIRTY_PORTS | GW_DIRTY_TABLES;
}

static void retry_open(void *ctx)
{
	struct gw_port *gp = ctx;
	struct fault f;

	if (gp->open || (gp->port.kind == PORT_XSK && !mirror_link_by_name(gp->gw->mirror, gp->cfg->device)))
		return;		/* a link event will tell */
	if (gw_port_open(gp, &f)) {
		log_warn("%s; trying again", f.text);
		loop_add_timer(gp->gw->loop, &gp->retry, RETRY_NS, 0, retry_open, gp);
		return;
	}
	mirror_resync(gp->gw->mirror);	/* routes may have named the device before it was a port */
}

/* Does a frame of such an MTU fit one frame of memory, as it must without multi-buffer? */
static bool fits_one_frame(const struct gw_port *gp, uint32_t mtu_bytes)
{
	return mtu_bytes <= xsk_single_mtu(gp->gw->cfg->memory.chunk_bytes);
}

/* What is configured cannot be more than the device carries. */
static uint32_t mtu_limit(const struct iface *iface, const struct config_iface *cfg, uint32_t device_bytes)
{
	if (!cfg || !cfg->mtu)
		return device_bytes;
	if (device_bytes && cfg->mtu > device_bytes && iface->mtu_bytes != device_bytes)
		log_warn("interface %s: mtu %u is more than the device's: %u it is", iface->name, cfg->mtu, device_bytes);
	return device_bytes && device_bytes < cfg->mtu ? device_bytes : cfg->mtu;
}

/* The link's state of one open port; true when something changed. */
static bool link_follow(struct gw_port *gp, const struct nl_link *link)
{
	struct gateway *gw = gp->gw;
	bool up = (link->flags & IFF_UP) && (link->flags & IFF_LOWER_UP);
	bool reopen = gp->port.kind == PORT_XSK && !(gp->port.caps & PORT_CAP_TX_SG) &&
		      fits_one_frame(gp, link->mtu) != fits_one_frame(gp, gp->port.mtu_bytes);
	bool changed = up != gp->port.up || link->mtu != gp->port.mtu_bytes ||
		       (gp->port.has_l2 && memcmp(link->lladdr, gp->port.mac, 6) != 0);

	if (!changed)
		return false;
	if (up != gp->port.up)
		log_info("port %s: link %s", gp->cfg->name, up ? "up" : "down");
	if (gp->port.mtu_bytes && link->mtu != gp->port.mtu_bytes)
		log_info("port %s: MTU %u", gp->cfg->name, link->mtu);
	if (reopen) {
		/* Another way may be the best now; which, and what it cannot, is told when it is opened again. */
		gw_port_close(gp, "the MTU has changed");
		return true;
	}
	engine_pause(gw->engine);
	gp->port.up = up;
	gp->port.mtu_bytes = link->mtu;
	if (gp->port.has_l2)
		memcpy(gp->port.mac, link->lladdr, 6);
	engine_port_caps_changed(gw->engine);
	engine_resume(gw->engine);
	if (gp->steer)
		steer_set_mac(gp->steer, gp->port.mac);
	return true;
}

/* What an interface takes over from its port and from the kernel's device of the same identity. */
static void iface_follow(struct gateway *gw, struct iface *iface)
{
	const struct gw_port *gp = &gw->ports[iface->port];
	const struct config_iface *cfg = gw->iface_cfg[iface->id];
	const struct nl_link *link;

	bool was_up = iface->up, restart;
	uint32_t mtu_bytes = gp->port.mtu_bytes;
	uint8_t old_mac[6];

	memcpy(old_mac, iface->mac, 6);
	memcpy(iface->mac, gp->port.mac, 6);
	iface->up = gp->open && gp->port.up;
	if (iface->n_vlans == 0)
		iface->ifindex = gp->port.ifindex;
	else if (iface->ifindex) {
		link = mirror_link(gw->mirror, (uint32_t)iface->ifindex);
		if (link) {
			memcpy(iface->mac, link->lladdr, 6);
			mtu_bytes = link->mtu;
			iface->up &= (link->flags & IFF_UP) != 0;
		}
	}
	if (gp->open)
		iface->mtu_bytes = mtu_limit(iface, cfg, mtu_bytes);
	iface_set_l2(iface);
	gw_addrs_update(gw, iface);
	restart = memcmp(old_mac, iface->mac, 6) != 0 || !was_up;
	if (iface->up && restart)
		gw_neigh_iface_up(gw, iface, restart);
}

void gw_ports_update(struct gateway *gw)
{
	for (unsigned int i = 0; i < gw->n_ports; i++) {
		struct gw_port *gp = &gw->ports[i];
		const struct nl_link *link = NULL;

		if (gp->open) {
			link = mirror_link(gw->mirror, (uint32_t)gp->port.ifindex);
			if (gp->device_gone || (link && strcmp(link->name, gp->port.device) != 0)) {
				log_warn("port %s: device %s is gone", gp->cfg->name, gp->port.device);
				gw_port_close(gp, "device is gone");
			} else if (link) {
				link_follow(gp, link);
			}
		}
		if (!gp->open && !loop_timer_armed(&gp->retry) &&
		    (gp->port.kind == PORT_TUN || mirror_link_by_name(gw->mirror, gp->cfg->device)))
			loop_add_timer(gw->loop, &gp->retry, 0, 0, retry_open, gp);
	}
	for (uint16_t i = 0; i < gw->n_ifaces; i++)
		iface_follow(gw, &gw->ifaces[i]);
	gw->dirty |= GW_DIRTY_TABLES | GW_DIRTY_STEER;
}
