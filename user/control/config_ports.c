// SPDX-License-Identifier: MIT
/* The section "ports": devices, TUN devices, their VLANs and engine-only addresses. */
#include "user/control/config_reader.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "user/control/config_text.h"
#include "user/packet/xsk.h"

#define N_KEYS(keys) (sizeof(keys) / sizeof((keys)[0]))

enum {
	IPV6_MTU_MIN = 1280,		/* RFC 8200 5 */
	RING_MIN = 64,
	RING_MAX = 32768,
	TPID_8021Q = 0x8100,
	TPID_8021AD = 0x88a8,
};

static const char *const mode_words[] = { "auto", "zerocopy", "native", "generic", NULL };
static const char *const rp_filter_words[] = { "off", "loose", "strict", NULL };
static const char *const offload_words[] = { "csum", "tso4", "tso6", "uso", NULL };

/* ---- Interfaces -------------------------------------------------------------------------------------------------- */

static int read_addr(struct config_reader *r, const config_setting_t *s, unsigned int index, void *obj)
{
	struct config_iface *iface = obj;
	const char *text = config_want_string(r, s, "an address such as \"192.0.2.1/24\"");
	char buf[CONFIG_PREFIX_STRLEN];
	struct config_prefix addr;

	if (!text)
		return -EINVAL;
	if (config_parse_iface_addr(text, &addr, r->f))
		return config_fault_text(r, s);
	for (unsigned int i = 0; i < index; i++)
		if (config_ip_equal(&iface->addrs[i].ip, &addr.ip))
			return config_fault(r, s, "%s is given twice", config_ip_text(&addr.ip, buf));
	iface->addrs[iface->n_addrs++] = addr;
	return 0;
}

static int read_addrs(struct config_reader *r, const config_setting_t *s, void *iface)
{
	return config_read_list(r, s, CONFIG_ADDRS_MAX, "addresses", read_addr, iface);
}

static int read_mss_clamp(struct config_reader *r, const config_setting_t *s, void *to)
{
	static const char *const words[] = { "off", "pmtu", NULL };
	unsigned int *mss = to;
	uint64_t v;
	int word, err;

	if (config_is_string(s)) {
		word = config_want_word(r, s, words);
		if (word < 0)
			return word;
		*mss = word ? CONFIG_MSS_PMTU : CONFIG_MSS_OFF;
		return 0;
	}
	err = config_want_uint(r, s, 536, 65495, &v);
	if (err)
		return err;
	*mss = (unsigned int)v;
	return 0;
}

/* What a port and a VLAN have in common; "addresses" reads into the interface itself, so its offset is 0. */
#define IFACE_KEYS(base)                                                                                               \
	{ "mtu", CONFIG_KIND_UINT, false, (base) + offsetof(struct config_iface, mtu), .min = 68, .max = 65535 },       \
	{ "mss_clamp", CONFIG_KIND_CUSTOM, false, (base) + offsetof(struct config_iface, mss_clamp),                    \
	  .read = read_mss_clamp },                                                                                     \
	{ "rp_filter", CONFIG_KIND_WORD, false, (base) + offsetof(struct config_iface, rp_filter),                      \
	  .words = rp_filter_words },                                                                                   \
	{ "addresses", CONFIG_KIND_CUSTOM, false, (base), .read = read_addrs }

static int check_iface(struct config_reader *r, const config_setting_t *g, const struct config_iface *iface)
{
	for (unsigned int i = 0; i < iface->n_addrs; i++)
		if (iface->mtu && iface->mtu < IPV6_MTU_MIN && iface->addrs[i].ip.family == AF_INET6)
			return config_fault(r, config_setting_get_member(g, "mtu"),
					    "%u is too small for the interface's IPv6 addresses, at least %d", iface->mtu,
					    IPV6_MTU_MIN);
	return 0;
}

/* ---- VLANs ------------------------------------------------------------------------------------------------------- */

static int read_tpid(struct config_reader *r, const config_setting_t *s, void *to)
{
	static const char *const words[] = { "802.1q", "802.1ad", NULL };
	int word = config_want_word(r, s, words);

	if (word < 0)
		return word;
	*(uint16_t *)to = word ? TPID_8021AD : TPID_8021Q;
	return 0;
}

static const struct config_key vlan_keys[] = {
	{ "id", CONFIG_KIND_U16, true, KEY_FIELD(struct config_vlan, id), .min = 1, .max = 4094 },
	{ "inner", CONFIG_KIND_U16, false, KEY_FIELD(struct config_vlan, inner), .min = 1, .max = 4094 },
	{ "protocol", CONFIG_KIND_CUSTOM, false, KEY_FIELD(struct config_vlan, tpid), .read = read_tpid },
	{ "name", CONFIG_KIND_STRING, false, KEY_FIELD(struct config_vlan, iface.name),
	  .check = config_check_iface_name },
	IFACE_KEYS(offsetof(struct config_vlan, iface)),
};

static int read_vlan(struct config_reader *r, const config_setting_t *s, unsigned int index, void *obj)
{
	struct config_port *p = obj;
	struct config_vlan *v = &p->vlans[index];
	int err;

	v->iface.mss_clamp = p->iface.mss_clamp;
	v->iface.rp_filter = p->iface.rp_filter;
	err = config_read_group(r, s, vlan_keys, N_KEYS(vlan_keys), NULL, v);
	if (err)
		return err;
	if (!v->tpid)
		v->tpid = v->inner ? TPID_8021AD : TPID_8021Q;
	for (unsigned int i = 0; i < index; i++) {
		const struct config_vlan *o = &p->vlans[i];

		if (o->id == v->id && o->inner == v->inner && o->tpid == v->tpid)
			return config_fault(r, s, "the same tags as vlans[%u]", i);
	}
	if (!v->iface.name[0]) {
		if (v->inner)
			snprintf(v->iface.name, sizeof(v->iface.name), "%s.%u.%u", p->name, v->id, v->inner);
		else
			snprintf(v->iface.name, sizeof(v->iface.name), "%s.%u", p->name, v->id);
	}
	if (v->iface.mtu && p->iface.mtu && v->iface.mtu > p->iface.mtu)
		return config_fault(r, config_setting_get_member(s, "mtu"), "%u is more than the port's, %u",
				    v->iface.mtu, p->iface.mtu);
	p->n_vlans = index + 1;
	return check_iface(r, s, &v->iface);
}

static int read_vlans(struct config_reader *r, const config_setting_t *s, void *port)
{
	return config_read_list(r, s, CONFIG_VLANS_MAX, "VLANs", read_vlan, port);
}

/* ---- Queues, workers, rings -------------------------------------------------------------------------------------- */

static int read_queue_id(struct config_reader *r, const config_setting_t *s, unsigned int index, void *obj)
{
	struct config_port *p = obj;
	uint64_t v;
	int err = config_want_uint(r, s, 0, UINT16_MAX, &v);

	if (err)
		return err;
	for (unsigned int i = 0; i < index; i++)
		if (p->queue_ids[i] == v)
			return config_fault(r, s, "queue %" PRIu64 " is given twice", v);
	p->queue_ids[index] = (uint16_t)v;
	p->n_queues = p->n_queue_ids = index + 1;
	return 0;
}

/* "auto", a number of queues, or a list of the device's queues. */
static int read_queues(struct config_reader *r, const config_setting_t *s, void *obj)
{
	static const char *const words[] = { "auto", NULL };
	struct config_port *p = obj;
	uint64_t v;
	int err;

	if (config_is_string(s)) {
		err = config_want_word(r, s, words);
		return err < 0 ? err : 0;
	}
	if (config_is_int(s)) {
		err = config_want_uint(r, s, 1, CONFIG_QUEUES_MAX, &v);
		if (!err)
			p->n_queues = (unsigned int)v;
		return err;
	}
	if (!config_setting_is_aggregate(s))
		return config_fault(r, s, "a number of queues, a list of them or \"auto\" is wanted");
	if (config_setting_length(s) == 0)
		return config_fault(r, s, "no queue; leave the key out for as many as the device has");
	return config_read_list(r, s, CONFIG_QUEUES_MAX, "queues", read_queue_id, p);
}

static int read_queue_worker(struct config_reader *r, const config_setting_t *s, unsigned int index, void *obj)
{
	struct config_port *p = obj;
	unsigned int count = r->config->workers.count;
	uint64_t v;
	int err = config_want_uint(r, s, 0, CONFIG_WORKERS_MAX - 1, &v);

	if (err)
		return err;
	if (v >= count)
		return config_fault(r, s, "worker %" PRIu64 " does not exist: workers.count is %u, the first is 0", v, count);
	p->queue_worker[index] = (uint8_t)v;
	p->n_queue_workers = index + 1;
	return 0;
}

static int read_queue_workers(struct config_reader *r, const config_setting_t *s, void *obj)
{
	struct config_port *p = obj;
	int err;

	if (!p->n_queues)
		return config_fault(r, s, "needs \"queues\" as a number or a list, to have a worker for each");
	if (!r->config->workers.count)
		return config_fault(r, s, "needs workers.count, to know which workers there are");
	err = config_read_list(r, s, CONFIG_QUEUES_MAX, "workers", read_queue_worker, p);
	if (err)
		return err;
	if (p->n_queue_workers != p->n_queues)
		return config_fault(r, s, "%u workers for %u queues, one for each is wanted", p->n_queue_workers,
				    p->n_queues);
	return 0;
}

static const struct config_key ring_keys[] = {
	{ "rx", CONFIG_KIND_POW2, false, KEY_FIELD(struct config_rings, rx), RING_MIN, RING_MAX },
	{ "tx", CONFIG_KIND_POW2, false, KEY_FIELD(struct config_rings, tx), RING_MIN, RING_MAX },
	{ "fill", CONFIG_KIND_POW2, false, KEY_FIELD(struct config_rings, fill), RING_MIN, RING_MAX },
};

static int read_rings(struct config_reader *r, const config_setting_t *s, void *rings)
{
	return config_read_group(r, s, ring_keys, N_KEYS(ring_keys), NULL, rings);
}

/* ---- The port itself --------------------------------------------------------------------------------------------- */

static int check_device(const char *text, size_t size, struct fault *f)
{
	(void)size;
	return config_check_device(text, f);
}

static int read_tun_offload(struct config_reader *r, const config_setting_t *s, unsigned int index, void *obj)
{
	unsigned int *offloads = obj;
	int word = config_want_word(r, s, offload_words);

	(void)index;
	if (word < 0)
		return word;
	*offloads |= 1u << word;
	return 0;
}

/* "auto", "off" or a list of names. */
static int read_tun_offloads(struct config_reader *r, const config_setting_t *s, void *obj)
{
	static const char *const words[] = { "auto", "off", NULL };
	unsigned int *offloads = obj;
	int err;

	if (config_is_string(s)) {
		err = config_want_word(r, s, words);
		if (err < 0)
			return err;
		*offloads = err ? 0 : CONFIG_TUN_ALL;
		return 0;
	}
	*offloads = 0;
	err = config_read_list(r, s, 4, "offloads", read_tun_offload, offloads);
	if (err)
		return err;
	/* The kernel's TUN refuses segmentation without checksums (TUNSETOFFLOAD: EINVAL). */
	if (*offloads && !(*offloads & CONFIG_TUN_CSUM))
		return config_fault(r, s, "segmentation needs \"csum\" as well");
	return 0;
}

#define PORT_NAME_KEY                                                                                                  \
	{ "name", CONFIG_KIND_STRING, true, KEY_FIELD(struct config_port, name), .check = config_check_name }

static const struct config_key xdp_keys[] = {
	PORT_NAME_KEY,
	{ "device", CONFIG_KIND_STRING, true, KEY_FIELD(struct config_port, device), .check = check_device },
	{ "mode", CONFIG_KIND_WORD, false, KEY_FIELD(struct config_port, mode), .words = mode_words },
	{ "queues", CONFIG_KIND_CUSTOM, false, .read = read_queues },
	{ "workers", CONFIG_KIND_CUSTOM, false, .read = read_queue_workers },
	{ "rings", CONFIG_KIND_CUSTOM, false, KEY_FIELD(struct config_port, rings), .read = read_rings },
	{ "metadata", CONFIG_KIND_SWITCH, false, KEY_FIELD(struct config_port, metadata) },
	{ "dispatcher", CONFIG_KIND_SWITCH, false, KEY_FIELD(struct config_port, dispatcher) },
	{ "partial_checksums", CONFIG_KIND_SWITCH, false, KEY_FIELD(struct config_port, partial_checksums) },
	{ "checksum_offload", CONFIG_KIND_SWITCH, false, KEY_FIELD(struct config_port, checksum_offload) },
	{ "multibuffer", CONFIG_KIND_SWITCH, false, KEY_FIELD(struct config_port, multibuffer) },
	IFACE_KEYS(offsetof(struct config_port, iface)),
	{ "vlans", CONFIG_KIND_CUSTOM, false, .read = read_vlans },
};

static const struct config_key tun_keys[] = {
	PORT_NAME_KEY,
	{ "tun", CONFIG_KIND_STRING, true, KEY_FIELD(struct config_port, device), .check = check_device },
	{ "queues", CONFIG_KIND_CUSTOM, false, .read = read_queues },
	{ "workers", CONFIG_KIND_CUSTOM, false, .read = read_queue_workers },
	{ "persistent", CONFIG_KIND_BOOL, false, KEY_FIELD(struct config_port, tun_persistent) },
	{ "offloads", CONFIG_KIND_CUSTOM, false, KEY_FIELD(struct config_port, tun_offloads), .read = read_tun_offloads },
	{ "owner", CONFIG_KIND_STRING, false, KEY_FIELD(struct config_port, tun_owner), .check = config_check_iface_name },
	IFACE_KEYS(offsetof(struct config_port, iface)),
};

static const char not_for_tun[] = "is for network devices, this is a TUN port";
static const char only_for_tun[] = "is for TUN ports, this is a network device";

static const struct config_elsewhere not_in_tun[] = {
	{ "device", "a port has either \"device\" or \"tun\"" },
	{ "mode", not_for_tun }, { "rings", not_for_tun }, { "metadata", not_for_tun }, { "dispatcher", not_for_tun },
	{ "partial_checksums", not_for_tun }, { "checksum_offload", "a TUN port has \"offloads\"" },
	{ "multibuffer", not_for_tun },
	{ "vlans", "a TUN device carries IP packets, which have no VLAN tags" }, { NULL, NULL },
};

static const struct config_elsewhere not_in_xdp[] = {
	{ "tun", "a port has either \"device\" or \"tun\"" }, { "persistent", only_for_tun }, { "offloads", only_for_tun },
	{ "owner", only_for_tun }, { NULL, NULL },
};

static int check_xdp(struct config_reader *r, const config_setting_t *g, const struct config_port *p)
{
	unsigned int room = xsk_single_mtu(r->config->memory.chunk_bytes);

	if (p->metadata == CONFIG_ON && p->mode == CONFIG_MODE_GENERIC)
		return config_fault(r, config_setting_get_member(g, "metadata"),
				    "generic mode has no metadata; \"auto\" or another mode");
	if (p->multibuffer == CONFIG_OFF && p->iface.mtu > room)
		return config_fault(r, config_setting_get_member(g, "mtu"),
				    "%u does not fit one chunk of %u bytes without multibuffer, at most %u", p->iface.mtu,
				    r->config->memory.chunk_bytes, room);
	return 0;
}

static int check_port_unique(struct config_reader *r, const config_setting_t *g, unsigned int index)
{
	const struct config_port *p = &r->config->ports[index];

	for (unsigned int i = 0; i < index; i++) {
		const struct config_port *o = &r->config->ports[i];

		if (!strcmp(o->name, p->name))
			return config_fault(r, config_setting_get_member(g, "name"), "\"%s\" is the name of ports[%u] already",
					    p->name, i);
		if (!strcmp(o->device, p->device))
			return config_fault(r, config_setting_get_member(g, p->kind == CONFIG_PORT_TUN ? "tun" : "device"),
					    "\"%s\" belongs to ports[%u], \"%s\", already", p->device, i, o->name);
	}
	return 0;
}

static int read_port(struct config_reader *r, const config_setting_t *s, unsigned int index, void *obj)
{
	struct config *c = obj;
	struct config_port *p = &c->ports[index];
	int err;

	*p = (struct config_port){
		.line = config_line(s),
		.rings = { 2048, 2048, 2048 },
		.tun_offloads = CONFIG_TUN_ALL,
		.iface.mss_clamp = CONFIG_MSS_OFF,
	};
	if (config_setting_is_group(s) && config_setting_get_member(s, "tun") &&
	    !config_setting_get_member(s, "device"))
		p->kind = CONFIG_PORT_TUN;
	if (p->kind == CONFIG_PORT_TUN)
		err = config_read_group(r, s, tun_keys, N_KEYS(tun_keys), not_in_tun, p);
	else
		err = config_read_group(r, s, xdp_keys, N_KEYS(xdp_keys), not_in_xdp, p);
	if (err)
		return err;
	memcpy(p->iface.name, p->name, sizeof(p->name));
	err = check_port_unique(r, s, index);
	if (!err)
		err = check_iface(r, s, &p->iface);
	if (!err && p->kind == CONFIG_PORT_TUN && p->n_queue_ids)
		err = config_fault(r, config_setting_get_member(s, "queues"),
				   "queues of a TUN port are made by it, a number is wanted");
	if (!err && p->kind == CONFIG_PORT_XDP)
		err = check_xdp(r, s, p);
	c->n_ports = index + 1;
	return err;
}

/* ---- Over all ports ---------------------------------------------------------------------------------------------- */

struct iface_at {
	const struct config_iface *iface;
	const config_setting_t *s;	/* the group that it was read from */
};

static int check_ifaces_differ(struct config_reader *r, const struct iface_at *a, const struct iface_at *b)
{
	char buf[CONFIG_PREFIX_STRLEN], path[80];

	if (!strcmp(a->iface->name, b->iface->name))
		return config_fault(r, b->s, "\"%s\" is the name of interface %s already", b->iface->name,
				    config_path(a->s, path, sizeof(path)));
	for (unsigned int i = 0; i < a->iface->n_addrs; i++) {
		for (unsigned int k = 0; k < b->iface->n_addrs; k++) {
			const struct config_ip *ip = &b->iface->addrs[k].ip;
			const config_setting_t *list = config_setting_get_member(b->s, "addresses");

			/* Link-local addresses are one to a link (RFC 4291 2.5.6). */
			if (!config_ip_equal(&a->iface->addrs[i].ip, ip) ||
			    (ip->family == AF_INET6 && ip->bytes[0] == 0xfe && (ip->bytes[1] & 0xc0) == 0x80))
				continue;
			return config_fault(r, config_setting_get_elem(list, k), "%s belongs to interface \"%s\" already",
					    config_ip_text(ip, buf), a->iface->name);
		}
	}
	return 0;
}

int config_read_ports(struct config_reader *r, const config_setting_t *s, void *config)
{
	enum { IFACES_MAX = CONFIG_PORTS_MAX * (CONFIG_VLANS_MAX + 1) };
	static const char hint[] = "no port; one such as { name = \"lan\"; device = \"eth1\"; } is wanted";
	struct config *c = config;
	struct iface_at *all;
	unsigned int n = 0;
	int err;

	err = config_read_list(r, s, CONFIG_PORTS_MAX, "ports", read_port, c);
	if (err)
		return err;
	if (c->n_ports == 0)
		return config_fault(r, s, hint);
	all = calloc(IFACES_MAX, sizeof(*all));
	if (!all)
		return fault_set(r->f, ENOMEM, "no memory");
	for (unsigned int i = 0; i < c->n_ports && !err; i++) {
		const config_setting_t *port = config_setting_get_elem(s, i);
		const struct config_port *p = &c->ports[i];

		for (unsigned int v = 0; v <= p->n_vlans && !err; v++) {
			if (v == 0)
				all[n] = (struct iface_at){ &p->iface, port };
			else
				all[n] = (struct iface_at){ &p->vlans[v - 1].iface,
					config_setting_get_elem(config_setting_get_member(port, "vlans"), v - 1) };
			for (unsigned int o = 0; o < n && !err; o++)
				err = check_ifaces_differ(r, &all[o], &all[n]);
			n++;
		}
	}
	free(all);
	return err;
}
