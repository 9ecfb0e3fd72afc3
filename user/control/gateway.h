/* SPDX-License-Identifier: MIT */
/*
 * The running gateway, private to user/control/gateway_*.c: what the control thread knows and does.
 *
 * Data flows one way: the configuration and the kernel's mirror change the model (interfaces, neighbours, routes,
 * steering), the model is marked dirty, and once per round of the loop what is dirty is made into a new snapshot for
 * the workers and new contents for the XDP programs' maps.
 */
#ifndef USER_CONTROL_GATEWAY_H
#define USER_CONTROL_GATEWAY_H

#include <stdbool.h>
#include <stdint.h>

#include "common/fault.h"
#include "user/control/config.h"
#include "user/control/loop.h"
#include "user/control/netlink_mirror.h"
#include "user/control/privilege.h"
#include "user/control/server.h"
#include "user/gateway/engine.h"
#include "user/net/iface.h"
#include "user/net/neigh.h"
#include "user/packet/counter_maps.h"
#include "user/packet/port.h"
#include "user/packet/steer.h"

enum gw_dirty {
	GW_DIRTY_TABLES = 1 << 0,	/* interfaces or neighbours */
	GW_DIRTY_STEER = 1 << 1,	/* addresses, prefixes, VLANs, rules of the XDP programs */
	GW_DIRTY_PORTS = 1 << 2,	/* a device came, went or changed */
};

struct gateway;

struct gw_port {
	struct gateway *gw;
	const struct config_port *cfg;
	struct port port;			/* as the workers see it */
	struct steer *steer;			/* XDP ports while open */
	int groups_fd;				/* memberships in link-layer groups; -1 while closed */
	uint16_t iface;				/* id of its untagged interface */
	bool has_owner;				/* TUN: who may open its queues without privileges */
	uid_t owner;
	uint16_t first_queue;			/* index of its first queue over all ports */
	uint16_t max_queues;			/* queues it may ever have */
	uint16_t n_queues;			/* queues it is to have now */
	uint8_t queue_worker[PORT_QUEUES_MAX];
	bool open;				/* attached to the engine */
	bool device_gone;			/* the kernel said so; the mirror's silence means nothing yet */
	char why_closed[sizeof(((struct fault *)0)->text)];	/* while it is not */
	struct loop_timer retry;		/* next try to open it */
};

struct gw_watch;

struct gateway {
	const struct config *cfg;
	struct loop *loop;
	struct engine *engine;
	struct counter_maps counters;
	struct mirror *mirror;			/* links always; the rest unless netlink is switched off */
	struct server *server;
	struct neigh_table *neighs;		/* of engine-only addresses */
	struct gw_watch *watch;			/* captures and the trace that run */
	unsigned int n_workers;
	struct privilege privilege;

	unsigned int n_ports;
	struct gw_port ports[CONFIG_PORTS_MAX];

	uint16_t n_ifaces;
	struct iface ifaces[TABLES_IFACES_MAX];	/* the model; id = index, never reused */
	const struct config_iface *iface_cfg[TABLES_IFACES_MAX];	/* NULL: the kernel's VLAN device */

	unsigned int dirty;			/* enum gw_dirty */
	uint64_t version;			/* of the last snapshot */
	struct neigh_map *published_neighs;	/* of the last snapshot: marks of use are read from it */

	struct loop_timer second;		/* housekeeping */
	struct loop_timer neigh_timer;
	uint64_t started_ns;
	uint64_t publishes;
	bool steer_stale;			/* a route has changed what transit prefixes follow from */
	bool foreign_routes;			/* some route leaves by a device that is no port */
	bool stopping, failed;
};

/* gateway_ports.c */

/** gw_ports_init() - Make the ports and interfaces of the configuration known; opens nothing. */
int gw_ports_init(struct gateway *gw, struct fault *f);

/** gw_port_open() - Attach to the device and hand the port to the workers. */
int gw_port_open(struct gw_port *gp, struct fault *f);

/** gw_port_close() - Give the device back. @why: for `status` */
void gw_port_close(struct gw_port *gp, const char *why);

/** gw_iface_settings() - What the configuration says about an interface beyond its name, MTU and addresses. */
void gw_iface_settings(struct iface *iface, const struct config_iface *cfg);

/** gw_ports_update() - Follow the devices: state, MTU, address; open what has come back, close what has gone. */
void gw_ports_update(struct gateway *gw);

/** gw_port_by_ifindex() - Return: the port on that device, or NULL */
struct gw_port *gw_port_by_ifindex(struct gateway *gw, int ifindex);

/** gw_port_by_name() - By the configured name, or the device's. */
struct gw_port *gw_port_by_name(struct gateway *gw, const char *name);

/* gateway_tables.c */

/** gw_iface_by_ifindex() - Return: the interface's id, or IFACE_NONE */
uint16_t gw_iface_by_ifindex(const struct gateway *gw, int ifindex);

/** gw_iface_by_name() - By the configured name. Return: id or IFACE_NONE */
uint16_t gw_iface_by_name(const struct gateway *gw, const char *name);

/** gw_vlan_link() - The kernel has a VLAN device on one of the ports: an interface of the same identity. */
void gw_vlan_link(struct gateway *gw, const struct nl_link *link, bool removed);

/** gw_addrs_update() - Take an interface's addresses from the mirror and the configuration. */
void gw_addrs_update(struct gateway *gw, struct iface *iface);

/** gw_static_routes() - Put the configuration's routes and what follows from engine-only addresses into the table. */
int gw_static_routes(struct gateway *gw, struct fault *f);

/** gw_publish() - Make the model a snapshot for the workers. */
int gw_publish(struct gateway *gw, struct fault *f);

/** gw_mirror_ops - What the mirror calls. */
extern const struct mirror_ops gw_mirror_ops;

/* gateway_steer.c */

/** gw_steer_update() - New contents for the maps of every open port. */
void gw_steer_update(struct gateway *gw);

/* gateway_neigh.c: ARP and neighbour discovery */

int gw_neigh_init(struct gateway *gw, struct fault *f);
void gw_neigh_fini(struct gateway *gw);

/** gw_neigh_arm() - Set the timer to the table's next deadline. */
void gw_neigh_arm(struct gateway *gw);

/** gw_neigh_iface_up() - An interface has come up (@restart: again, or with another MAC): take its addresses into use. */
void gw_neigh_iface_up(struct gateway *gw, const struct iface *iface, bool restart);

/** gw_ctl_message() - What a worker has to say. */
void gw_ctl_message(void *ctx, const struct ctl_msg *m);

/** gw_neigh_refresh() - Keep the kernel's entries of neighbours in use alive; once a second. */
void gw_neigh_refresh(struct gateway *gw);

/** gw_neigh_fill() - Every neighbour, the kernel's and ours, into a new map. */
struct neigh_map *gw_neigh_fill(struct gateway *gw, struct fault *f);

/* gateway_api*.c: status, stats, ports, routes, neigh */

/** gw_api_init() - Open the control socket. The server is gw->server and ends by server_destroy(). */
int gw_api_init(struct gateway *gw, struct fault *f);

/* gateway_watch.c: captures and the trace */

/** gw_watch_init() - After gw_api_init(). */
int gw_watch_init(struct gateway *gw, struct fault *f);

/** gw_watch_fini() - After server_destroy(), which ends what its clients have started; that needs the engine. */
void gw_watch_fini(struct gateway *gw);

#endif
