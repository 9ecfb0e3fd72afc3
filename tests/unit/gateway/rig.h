/* SPDX-License-Identifier: MIT */
/*
 * An engine on ports in memory: no thread, no system call. The test injects frames, runs steps, and looks at what left.
 *
 *	h1 10.1.0.2, fd01::2 --- lan 10.1.0.1, fd01::1  [engine]  wan 10.2.0.1, fd02::1 --- h2 10.2.0.2, fd02::2
 *	                                                  tun 10.3.0.1, fd03::1 (no link layer; 10.3.0.2 behind it)
 *
 * Addresses .1 of lan and wan are engine-only. 10.9.0.0/16 and fd09::/32 lie behind h2.
 */
#ifndef TESTS_GATEWAY_RIG_H
#define TESTS_GATEWAY_RIG_H

#include <arpa/inet.h>
#include <linux/if_ether.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/csum.h"
#include "tests/unit/gateway/memtun.h"
#include "user/gateway/engine.h"
#include "user/packet/memport.h"
#include "user/packet/wire.h"

enum { LAN, WAN, TUN, RIG_PORTS };

static const uint8_t MAC_LAN[6] = { 2, 0, 0, 0, 1, 1 }, MAC_WAN[6] = { 2, 0, 0, 0, 2, 1 };
static const uint8_t MAC_H1[6] = { 2, 0, 0, 0, 1, 2 }, MAC_H2[6] = { 2, 0, 0, 0, 2, 2 };

struct rig {
	struct engine *e;
	struct worker *w;
	struct fault f;
	struct port port[RIG_PORTS];
	struct port_queue *q[RIG_PORTS];
	struct sluice_port_counters counters[RIG_PORTS];
	struct iface iface[RIG_PORTS + 4];
	uint16_t n_ifaces;
	uint64_t version;
	struct rig_neigh {
		uint16_t iface;
		const char *addr;
		const uint8_t *mac;
	} neighs[8];			/* beside h1 and h2 */
	unsigned int n_neighs;
	bool no_neighbours;		/* publish none */
	bool failed_neighbours;		/* publish h2 as one that did not answer */
};

static inline void rig_fail(struct rig *r, const char *what)
{
	fprintf(stderr, "%s: %s\n", what, r->f.text);
	abort();
}

static inline void rig_addr(struct iface *iface, const char *text, uint8_t len, bool engine)
{
	struct iface_addr *a = &iface->addrs[iface->n_addrs++];

	a->family = strchr(text, ':') ? AF_INET6 : AF_INET;
	a->prefix_len = len;
	a->engine = engine;
	a->state = IFACE_ADDR_PREFERRED;
	inet_pton(a->family, text, a->addr);
}

static inline void rig_route(struct rig *r, const char *prefix, uint8_t len, enum fib_type type, uint16_t iface,
			     const char *via)
{
	struct fib_route route = { .type = (uint8_t)type };
	uint8_t family = strchr(prefix, ':') ? AF_INET6 : AF_INET, bytes[16] = { 0 };

	inet_pton(family, prefix, bytes);
	if (type == FIB_UNICAST) {
		route.n_nexthops = 1;
		route.nexthops[0].iface = iface;
		route.nexthops[0].weight = 1;
		if (via) {
			route.nexthops[0].gw_family = strchr(via, ':') ? AF_INET6 : AF_INET;
			inet_pton(route.nexthops[0].gw_family, via, route.nexthops[0].gw);
		}
	}
	if (fib_set(r->e->fib, family, bytes, len, FIB_ORIGIN_STATIC, 0, &route, &r->f))
		rig_fail(r, "fib_set");
}

static inline void rig_neigh(struct neigh_map *m, uint16_t iface, const char *text, const uint8_t *mac, bool failed)
{
	struct neigh_entry e = { .iface = iface, .family = strchr(text, ':') ? AF_INET6 : AF_INET };

	e.usable = !failed;
	e.failed = failed;
	inet_pton(e.family, text, e.addr);
	memcpy(e.mac, mac, 6);
	if (!neigh_map_add(m, &e))
		abort();
}

/* Make the rig's model the workers' tables. */
static inline void rig_publish(struct rig *r)
{
	struct neigh_map *m = neigh_map_create(16, &r->f);
	struct tables *t;

	if (!r->no_neighbours) {
		rig_neigh(m, LAN, "10.1.0.2", MAC_H1, false);
		rig_neigh(m, LAN, "fd01::2", MAC_H1, false);
		rig_neigh(m, WAN, "10.2.0.2", MAC_H2, r->failed_neighbours);
		rig_neigh(m, WAN, "fd02::2", MAC_H2, r->failed_neighbours);
	}
	for (unsigned int i = 0; i < r->n_neighs; i++)
		rig_neigh(m, r->neighs[i].iface, r->neighs[i].addr, r->neighs[i].mac, false);
	if (tables_build(&t, r->iface, r->n_ifaces, m, r->e->fib, ++r->version, &r->f))
		rig_fail(r, "tables_build");
	engine_publish(r->e, t);
}

/* Publish, with one more neighbour from now on. */
static inline void rig_publish_with(struct rig *r, uint16_t iface, const char *addr, const uint8_t *mac)
{
	r->neighs[r->n_neighs++] = (struct rig_neigh){ iface, addr, mac };
	rig_publish(r);
}

static inline void rig_port(struct rig *r, unsigned int i, const char *name, const uint8_t *mac, uint32_t caps,
			    const struct memport_params *params)
{
	static const uint8_t first_worker[PORT_QUEUES_MAX];
	struct port *p = &r->port[i];
	struct port_queue_params qp = {
		.index = (uint16_t)i, .area = r->w->area, .counters = &r->counters[i],
		.drops = (struct sluice_drops *)r->w->drops,
	};

	*p = (struct port){ .id = (uint16_t)i, .kind = PORT_MEM, .has_l2 = mac, .up = true, .mtu_bytes = 1500,
			    .n_queues = 1 };
	snprintf(p->name, sizeof(p->name), "%s", name);
	if (mac)
		memcpy(p->mac, mac, 6);
	if (!mac)
		r->q[i] = memtun_open(p, &qp, caps);
	else if (memport_open(p, &qp, params, &r->q[i], &r->f))
		rig_fail(r, "memport_open");
	p->caps |= caps;
	if (engine_port_attach(r->e, p, first_worker, &r->f))
		rig_fail(r, "engine_port_attach");
	r->iface[i] = (struct iface){ .id = (uint16_t)i, .port = (uint16_t)i, .up = true, .mtu_bytes = 1500 };
	snprintf(r->iface[i].name, sizeof(r->iface[i].name), "%s", name);
	if (mac)
		memcpy(r->iface[i].mac, mac, 6);
	else
		r->iface[i].flags = IFACE_NO_L2;
	iface_set_l2(&r->iface[i]);
}

/* A VLAN on a port, or with @inner a VLAN in a service VLAN. Return: its interface id */
static inline uint16_t rig_vlan(struct rig *r, unsigned int port, uint16_t outer, uint16_t inner)
{
	uint16_t id = r->n_ifaces++;
	struct iface *i = &r->iface[id];

	*i = (struct iface){ .id = id, .port = (uint16_t)port, .up = true, .mtu_bytes = 1500,
			     .n_vlans = inner ? 2 : 1 };
	i->vlan[0] = (struct iface_vlan){ inner ? ETHERTYPE_STAG : ETHERTYPE_CTAG, outer };
	i->vlan[1] = (struct iface_vlan){ ETHERTYPE_CTAG, inner };
	memcpy(i->mac, r->port[port].mac, 6);
	iface_set_l2(i);
	return id;
}

/*
 * @caps: of lan and wan, PORT_CAP_TX_PARTIAL and PORT_CAP_TX_SG
 * @buffer_bytes: what they receive in one buffer, 0: as much as fits
 */
static inline void rig_init_ports(struct rig *r, uint32_t n_frames, uint32_t caps, uint32_t buffer_bytes)
{
	struct engine_params params = {
		.n_workers = 1, .cpus = { -1 },
		.area = { .n_frames = n_frames, .chunk_bytes = 2048, .reserve = 64 },
		.limits = { .icmp_error_rate = 1000, .icmp_error_burst = 1000, .echo_rate = 1000, .echo_burst = 1000,
			    .neigh_queue_pkts = 4 },
		.neigh_quota_frames = 64, .trace_records = 256,
	};
	struct memport_params mp = {
		.tx_metadata = caps & PORT_CAP_TX_PARTIAL, .buffer_bytes = buffer_bytes,
		.tx_frames_max = caps & PORT_CAP_TX_SG ? PKT_FRAMES_MAX : 1,
	};

	memset(r, 0, sizeof(*r));
	if (engine_create(&r->e, &params, &r->f))
		rig_fail(r, "engine_create");
	r->w = r->e->workers[0];
	rig_port(r, LAN, "lan", MAC_LAN, PORT_CAP_RX_PARTIAL, &mp);
	rig_port(r, WAN, "wan", MAC_WAN, PORT_CAP_RX_PARTIAL, &mp);
	rig_port(r, TUN, "tun", NULL, PORT_CAP_TX_PARTIAL | PORT_CAP_TX_TSO4 | PORT_CAP_TX_TSO6 | PORT_CAP_TX_SG |
		 PORT_CAP_RX_GSO, NULL);
	r->n_ifaces = RIG_PORTS;
	rig_addr(&r->iface[LAN], "10.1.0.1", 24, true);
	rig_addr(&r->iface[LAN], "fd01::1", 64, true);
	rig_addr(&r->iface[WAN], "10.2.0.1", 24, true);
	rig_addr(&r->iface[WAN], "fd02::1", 64, true);
	rig_route(r, "10.1.0.0", 24, FIB_UNICAST, LAN, NULL);
	rig_route(r, "10.2.0.0", 24, FIB_UNICAST, WAN, NULL);
	rig_route(r, "10.3.0.0", 24, FIB_UNICAST, TUN, NULL);
	rig_route(r, "fd01::", 64, FIB_UNICAST, LAN, NULL);
	rig_route(r, "fd02::", 64, FIB_UNICAST, WAN, NULL);
	rig_route(r, "fd03::", 64, FIB_UNICAST, TUN, NULL);
	rig_route(r, "10.9.0.0", 16, FIB_UNICAST, WAN, "10.2.0.2");
	rig_route(r, "fd09::", 32, FIB_UNICAST, WAN, "fd02::2");
	rig_route(r, "10.1.0.1", 32, FIB_LOCAL, 0, NULL);
	rig_route(r, "10.2.0.1", 32, FIB_LOCAL, 0, NULL);
	rig_route(r, "fd01::1", 128, FIB_LOCAL, 0, NULL);
	rig_route(r, "fd02::1", 128, FIB_LOCAL, 0, NULL);
	rig_route(r, "10.1.0.255", 32, FIB_BROADCAST, 0, NULL);
	rig_publish(r);
	r->w->tables = atomic_load(&r->e->tables);
}

static inline void rig_init_with(struct rig *r, uint32_t n_frames, uint32_t caps)
{
	rig_init_ports(r, n_frames, caps, 0);
}

static inline void rig_init_buffers(struct rig *r, uint32_t caps, uint32_t buffer_bytes)
{
	rig_init_ports(r, 2048, caps, buffer_bytes);
}

static inline void rig_init(struct rig *r)
{
	rig_init_with(r, 2048, PORT_CAP_TX_PARTIAL);
}

/* Close everything; whatever a test did, all frames are home. */
static inline uint32_t rig_fini(struct rig *r)
{
	engine_stop(r->e);
	for (unsigned int i = 0; i < RIG_PORTS; i++) {
		engine_port_detach(r->e, &r->port[i]);
		r->q[i]->ops->close(r->q[i]);
	}
	if (area_check(r->w->area, &r->f))
		rig_fail(r, "area_check");
	return engine_destroy(r->e);
}

/* One round of the worker, as its thread would do it, at a time of the test's choice. */
static inline void rig_step(struct rig *r)
{
	r->w->tables = atomic_load(&r->e->tables);
	worker_round(r->w);
	for (unsigned int i = 0; i < RIG_PORTS; i++)
		r->q[i]->ops->flush(r->q[i]);
}

static inline void rig_later(struct rig *r, uint64_t ns)
{
	r->w->now_ns += ns;
}

static inline uint64_t rig_drops(const struct rig *r, enum drop why)
{
	return r->w->drops[why];
}

/* rx + dropped by ports + created = tx + consumed + drops: counters.h. Holds when nothing is held. */
static inline bool rig_balanced(const struct rig *r)
{
	const struct sluice_engine_counters *c = r->w->count;
	uint64_t drops = 0, in = c->rx_pkts;

	for (unsigned int i = 1; i < DROP_N; i++)
		drops += r->w->drops[i];
	for (unsigned int i = 0; i < RIG_PORTS; i++)
		in += r->counters[i].rx_drops;
	return in + c->created_pkts == c->tx_pkts + c->consumed_pkts + drops;
}

/* ---- Frames ------------------------------------------------------------------------------------------------------ */

struct frame {
	uint32_t len;
	uint16_t l3, l4;
	uint8_t b[70000];
};

static inline void frame_eth(struct frame *f, const uint8_t *dst, const uint8_t *src, uint16_t type)
{
	f->len = 0;
	if (dst) {
		memcpy(f->b, dst, 6);
		memcpy(f->b + 6, src, 6);
		put_be16(f->b + 12, type);
		f->len = 14;
	}
	f->l3 = (uint16_t)f->len;
}

/* An IP header in front of @payload bytes of transport; the transport is written by the next calls. */
static inline void frame_ip(struct frame *f, const char *src, const char *dst, uint8_t proto, uint32_t payload)
{
	uint8_t *ip = f->b + f->l3;

	if (strchr(src, ':')) {
		memset(ip, 0, 40);
		ip[0] = 0x60;
		put_be16(ip + 4, (uint16_t)payload);
		ip[6] = proto;
		ip[7] = 64;
		inet_pton(AF_INET6, src, ip + 8);
		inet_pton(AF_INET6, dst, ip + 24);
		f->l4 = (uint16_t)(f->l3 + 40);
	} else {
		memset(ip, 0, 20);
		ip[0] = 0x45;
		put_be16(ip + 2, (uint16_t)(20 + payload));
		put_be16(ip + 4, 0x1234);
		ip[8] = 64;
		ip[9] = proto;
		inet_pton(AF_INET, src, ip + 12);
		inet_pton(AF_INET, dst, ip + 16);
		put_wire16(ip + 10, csum_fold(csum_ipv4_header(ip, 5)));
		f->l4 = (uint16_t)(f->l3 + 20);
	}
	f->len = f->l4 + payload;
	for (uint32_t i = 0; i < payload; i++)
		f->b[f->l4 + i] = (uint8_t)(i * 7);
}

static inline void frame_ip4_fix(struct frame *f)
{
	uint8_t *ip = f->b + f->l3;

	put_be16(ip + 10, 0);
	put_wire16(ip + 10, csum_fold(csum_ipv4_header(ip, ip[0] & 15)));
}

static inline uint32_t frame_pseudo(const struct frame *f, uint8_t proto)
{
	const uint8_t *ip = f->b + f->l3;
	uint32_t len = f->len - f->l4;

	if (ip[0] >> 4 == 6)
		return csum_ipv6_pseudo(ip + 8, ip + 24, len, proto);
	return csum_ipv4_pseudo(wire32_at(ip + 12), wire32_at(ip + 16), len, proto);
}

static inline void frame_csum(struct frame *f, uint8_t proto, uint16_t field)
{
	uint32_t sum = frame_pseudo(f, proto);

	put_be16(f->b + f->l4 + field, 0);
	put_wire16(f->b + f->l4 + field, csum_fold(csum_partial(f->b + f->l4, f->len - f->l4, sum)));
}

static inline bool frame_csum_ok(const struct frame *f, uint8_t proto)
{
	return csum_fold(csum_partial(f->b + f->l4, f->len - f->l4, frame_pseudo(f, proto))) == 0;
}

static inline void frame_udp(struct frame *f, const char *src, const char *dst, uint32_t payload)
{
	frame_ip(f, src, dst, IPPROTO_UDP, 8 + payload);
	put_be16(f->b + f->l4, 1000);
	put_be16(f->b + f->l4 + 2, 2000);
	put_be16(f->b + f->l4 + 4, (uint16_t)(8 + payload));
	frame_csum(f, IPPROTO_UDP, 6);
}

static inline void frame_tcp(struct frame *f, const char *src, const char *dst, uint8_t flags, uint32_t payload)
{
	frame_ip(f, src, dst, IPPROTO_TCP, 20 + payload);
	put_be16(f->b + f->l4, 1000);
	put_be16(f->b + f->l4 + 2, 2000);
	f->b[f->l4 + 12] = 0x50;
	f->b[f->l4 + 13] = flags;
	put_be16(f->b + f->l4 + 14, 1000);
	frame_csum(f, IPPROTO_TCP, 16);
}

static inline void frame_echo(struct frame *f, const char *src, const char *dst, uint32_t payload)
{
	bool v6 = strchr(src, ':');

	frame_ip(f, src, dst, v6 ? IPPROTO_ICMPV6 : IPPROTO_ICMP, 8 + payload);
	f->b[f->l4] = v6 ? 128 : 8;
	f->b[f->l4 + 1] = 0;
	put_be16(f->b + f->l4 + 2, 0);
	if (v6)
		frame_csum(f, IPPROTO_ICMPV6, 2);
	else
		put_wire16(f->b + f->l4 + 2, csum_fold(csum_partial(f->b + f->l4, 8 + payload, 0)));
}

/* The port receives a frame. */
static inline void rig_inject(struct rig *r, unsigned int port, const struct frame *f)
{
	bool done = port == TUN ? memtun_inject(r->q[port], f->b, f->len, NULL) :
				  memport_inject(r->q[port], f->b, f->len) == 0;

	if (!done)
		rig_fail(r, "inject");
}

/* It receives one frame, the engine does its work. */
static inline void rig_in(struct rig *r, unsigned int port, const struct frame *f)
{
	rig_inject(r, port, f);
	rig_step(r);
}

/* What left by a port; offsets as of a packet without VLAN tags or IPv4 options. */
static inline bool rig_sent(struct rig *r, unsigned int port, struct frame *f, struct memport_sent *sent)
{
	struct memport_sent s = { 0 };

	if (port == TUN) {
		struct virtio_net_hdr h;

		s.bytes = memtun_capture(r->q[port], f->b, sizeof(f->b), &h, &s.n_frames);
		if (s.bytes == 0)
			return false;
		s.partial = h.flags & VIRTIO_NET_HDR_F_NEEDS_CSUM;
		s.csum_start = h.csum_start;
		s.csum_offset = h.csum_offset;
	} else if (!memport_capture(r->q[port], f->b, sizeof(f->b), &s)) {
		return false;
	}
	f->len = s.bytes;
	f->l3 = r->port[port].has_l2 ? 14 : 0;
	f->l4 = (uint16_t)(f->l3 + (f->b[f->l3] >> 4 == 6 ? 40 : 20));
	if (sent)
		*sent = s;
	return true;
}

#endif
