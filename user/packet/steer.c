// SPDX-License-Identifier: MIT
/*
 * Loading and attaching.
 *
 * DOC: The ladder
 *
 * Each rung is tried whole (open, load, attach) and either taken or left with a reason: native with RX metadata,
 * native, generic; and on each the program for multi-buffer frames before the one without. A rung that fails leaves
 * nothing.
 */
#include "user/packet/steer.h"

#include <bpf/bpf.h>
#include <bpf/btf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/ethtool.h>
#include <linux/if_link.h>
#include <linux/sockios.h>
#include <net/if_arp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "user/packet/bpf_log.h"
#include "user/packet/steer_internal.h"

#include "steer.skel.h"

#ifndef BPF_F_XDP_DEV_BOUND_ONLY
#define BPF_F_XDP_DEV_BOUND_ONLY (1U << 6)	/* Linux 6.3 */
#endif

const char *const steer_map_names[STEER_MAP_COUNT] = {
	[STEER_MAP_CONFIG] = "config",	     [STEER_MAP_COUNTERS] = "counters", [STEER_MAP_RULE_HITS] = "rule_hits",
	[STEER_MAP_RULES] = "rules",	     [STEER_MAP_ADDRS4] = "addrs4",	[STEER_MAP_ADDRS6] = "addrs6",
	[STEER_MAP_TRANSIT4] = "transit4",   [STEER_MAP_TRANSIT6] = "transit6", [STEER_MAP_VLANS] = "vlans",
	[STEER_MAP_XSKS] = "xsks",	     [STEER_MAP_TRACE] = "trace",
};

/* One way to have the program on the device. */
struct rung {
	enum steer_mode mode;
	bool metadata;
	bool frags;
	bool dispatcher;
};

/* What the kernel has of the RX metadata functions. */
struct kfuncs {
	bool hash, timestamp, vlan;
};

static void add_reason(struct steer *s, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static void add_reason(struct steer *s, const char *fmt, ...)
{
	va_list ap;

	if (s->info.n_reasons == STEER_REASONS_MAX)
		return;
	va_start(ap, fmt);
	vsnprintf(s->info.reasons[s->info.n_reasons++], sizeof(s->info.reasons[0]), fmt, ap);
	va_end(ap);
}

/* ---- What is there ---------------------------------------------------------------------------------------------- */
static struct kfuncs find_kfuncs(void)
{
	struct btf *btf = btf__load_vmlinux_btf();
	struct kfuncs k = { false, false, false };

	if (!btf)
		return k;
	k.hash = btf__find_by_name_kind(btf, "bpf_xdp_metadata_rx_hash", BTF_KIND_FUNC) > 0;
	k.timestamp = btf__find_by_name_kind(btf, "bpf_xdp_metadata_rx_timestamp", BTF_KIND_FUNC) > 0;
	k.vlan = btf__find_by_name_kind(btf, "bpf_xdp_metadata_rx_vlan_tag", BTF_KIND_FUNC) > 0;
	btf__free(btf);
	return k;
}

static int device_mac(const char *ifname, uint8_t mac[6], struct fault *f)
{
	struct ifreq ifr = { 0 };
	int err = 0, fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return fault_errno(f, "socket");
	snprintf(ifr.ifr_name, sizeof(ifr.ifr_name), "%s", ifname);
	if (ioctl(fd, SIOCGIFHWADDR, &ifr) < 0)
		err = fault_errno(f, "%s: read its station address", ifname);
	else if (ifr.ifr_hwaddr.sa_family != ARPHRD_ETHER && ifr.ifr_hwaddr.sa_family != ARPHRD_LOOPBACK)
		err = fault_set(f, EMEDIUMTYPE, "%s is not an Ethernet device", ifname);
	else
		memcpy(mac, ifr.ifr_hwaddr.sa_data, 6);
	close(fd);
	return err;
}

/* Does the device take VLAN tags out of the frames it delivers? */
static bool strips_vlan(const char *ifname)
{
	struct ethtool_value value = { .cmd = ETHTOOL_GFLAGS };
	struct ifreq ifr = { .ifr_data = (void *)&value };
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	bool strips;

	if (fd < 0)
		return false;
	snprintf(ifr.ifr_name, sizeof(ifr.ifr_name), "%s", ifname);
	strips = ioctl(fd, SIOCETHTOOL, &ifr) == 0 && (value.data & ETH_FLAG_RXVLAN);
	close(fd);
	return strips;
}

static void prog_name(uint32_t id, char name[BPF_OBJ_NAME_LEN])
{
	struct bpf_prog_info info = { 0 };
	uint32_t len = sizeof(info);
	int fd = bpf_prog_get_fd_by_id(id);

	snprintf(name, BPF_OBJ_NAME_LEN, "?");
	if (fd < 0)
		return;
	if (bpf_obj_get_info_by_fd(fd, &info, &len) == 0)
		memcpy(name, info.name, BPF_OBJ_NAME_LEN);
	close(fd);
}

static uint32_t fd_prog_id(int fd)
{
	struct bpf_prog_info info = { 0 };
	uint32_t len = sizeof(info);

	return bpf_obj_get_info_by_fd(fd, &info, &len) == 0 ? info.id : 0;
}

/* The program on the device: native before generic before the one in its hardware. Return: its id, 0 for none. */
static uint32_t foreign_prog(int ifindex)
{
	struct bpf_xdp_query_opts q = { .sz = sizeof(q) };

	if (bpf_xdp_query(ifindex, 0, &q) < 0)
		return 0;
	return q.drv_prog_id ? q.drv_prog_id : q.skb_prog_id ? q.skb_prog_id : q.hw_prog_id ? q.hw_prog_id : q.prog_id;
}

/* ---- One rung --------------------------------------------------------------------------------------------------- */
static uint32_t mode_flag(enum steer_mode mode)
{
	return mode == STEER_MODE_GENERIC ? XDP_FLAGS_SKB_MODE : XDP_FLAGS_DRV_MODE;
}

static struct bpf_program *rung_prog(struct steer_bpf *skel, const struct rung *r)
{
	return r->metadata ? skel->progs.steer_meta : skel->progs.steer;
}

static struct steer_bpf *open_object(const struct rung *r, const struct kfuncs *k, const struct steer_params *p,
				     struct fault *f)
{
	struct steer_bpf *skel = steer_bpf__open();
	struct bpf_program *prog;

	if (!skel) {
		fault_errno(f, "open the XDP object");
		return NULL;
	}
	prog = rung_prog(skel, r);
	skel->rodata->have_frags = r->frags;
	skel->rodata->deliver_metadata = !p->tag_only;
	skel->rodata->have_rx_hash = r->metadata && k->hash && !p->no_rx_hash;
	skel->rodata->have_rx_timestamp = r->metadata && k->timestamp;
	skel->rodata->have_rx_vlan = r->metadata && k->vlan;
	bpf_program__set_autoload(skel->progs.steer, !r->metadata);
	bpf_program__set_autoload(skel->progs.steer_meta, r->metadata);
	bpf_program__set_flags(prog, (r->frags ? BPF_F_XDP_HAS_FRAGS : 0) |
					     (r->metadata ? BPF_F_XDP_DEV_BOUND_ONLY : 0));
	if (r->metadata)
		bpf_program__set_ifindex(prog, (uint32_t)p->ifindex);
	return skel;
}

static int dup_fd(int fd, const char *what, struct fault *f)
{
	int copy = fcntl(fd, F_DUPFD_CLOEXEC, 3);

	return copy < 0 ? fault_errno(f, "dup of %s", what) : copy;
}

static int take_maps(struct steer *s, const struct steer_bpf *skel, struct fault *f)
{
	const struct bpf_map *const maps[STEER_MAP_COUNT] = {
		[STEER_MAP_CONFIG] = skel->maps.data_config,
		[STEER_MAP_COUNTERS] = skel->maps.counters,
		[STEER_MAP_RULE_HITS] = skel->maps.rule_hits,
		[STEER_MAP_RULES] = skel->maps.rules,
		[STEER_MAP_ADDRS4] = skel->maps.addrs4,
		[STEER_MAP_ADDRS6] = skel->maps.addrs6,
		[STEER_MAP_TRANSIT4] = skel->maps.transit4,
		[STEER_MAP_TRANSIT6] = skel->maps.transit6,
		[STEER_MAP_VLANS] = skel->maps.vlans,
		[STEER_MAP_XSKS] = skel->maps.xsks,
		[STEER_MAP_TRACE] = skel->maps.trace,
	};

	for (int i = 0; i < STEER_MAP_COUNT; i++) {
		s->map_fd[i] = dup_fd(bpf_map__fd(maps[i]), steer_map_names[i], f);
		if (s->map_fd[i] < 0)
			return s->map_fd[i];
	}
	s->set_key_type = bpf_map__btf_key_type_id(skel->maps.no_rules);
	s->set_value_type = bpf_map__btf_value_type_id(skel->maps.no_rules);
	if (bpf_object__btf_fd(skel->obj) >= 0 && s->set_value_type) {
		s->set_btf_fd = dup_fd(bpf_object__btf_fd(skel->obj), "the types", f);
		if (s->set_btf_fd < 0)
			return s->set_btf_fd;
	}
	return 0;
}

static void drop_rung(struct steer *s)
{
	for (int i = 0; i < STEER_MAP_COUNT; i++) {
		if (s->map_fd[i] >= 0)
			close(s->map_fd[i]);
		s->map_fd[i] = -1;
	}
	if (s->config)
		munmap(s->config, sizeof(*s->config));
	s->config = NULL;
	if (s->link_fd >= 0)
		close(s->link_fd);
	if (s->prog_fd >= 0)
		close(s->prog_fd);
	if (s->set_btf_fd >= 0)
		close(s->set_btf_fd);
	s->link_fd = s->prog_fd = s->set_btf_fd = -1;
}

static int map_config(struct steer *s, struct fault *f)
{
	void *at = mmap(NULL, sizeof(*s->config), PROT_READ | PROT_WRITE, MAP_SHARED, s->map_fd[STEER_MAP_CONFIG], 0);

	if (at == MAP_FAILED)
		return fault_errno(f, "mmap of the map config");
	s->config = at;
	return 0;
}

static int fill_config(struct steer *s, const struct rung *r, const struct steer_params *p, struct fault *f)
{
	struct sluice_steer_config *c = s->config;

	c->abi = SLUICE_STEER_ABI;
	c->generation = 1;
	c->variant = (s->info.metadata ? SLUICE_STEER_VARIANT_METADATA : 0) |
		     (s->info.vlan_tag ? SLUICE_STEER_VARIANT_VLAN_TAG : 0) |
		     (r->frags ? SLUICE_STEER_VARIANT_FRAGS : 0) |
		     (r->mode == STEER_MODE_GENERIC ? SLUICE_STEER_VARIANT_GENERIC : 0) |
		     (r->dispatcher ? SLUICE_STEER_VARIANT_DISPATCHER : 0) |
		     (p->persistent ? SLUICE_STEER_VARIANT_PERSISTENT : 0);
	c->ifindex = (uint32_t)p->ifindex;
	/* The dispatcher keeps our program when we are killed: then it must decide nothing. */
	c->drop_needs_socket = r->dispatcher && !p->persistent;
	return p->ifindex > 0 ? device_mac(p->ifname, c->mac, f) : 0;
}

/*
 * A bpf_link says no by number only; netlink has words for it ("Peer MTU is too large ..."). Ask again that way. A yes
 * that comes out of it is taken back.
 */
static int link_refused(const struct steer *s, const struct rung *r, const struct steer_params *p, int err,
			struct fault *f)
{
	uint32_t flags = mode_flag(r->mode) | XDP_FLAGS_UPDATE_IF_NOEXIST;
	const char *text;

	bpf_log_clear();
	if (bpf_xdp_attach(p->ifindex, s->prog_fd, flags, NULL) == 0)
		(void)bpf_xdp_detach(p->ifindex, mode_flag(r->mode), NULL);
	text = bpf_log_kernel_text();
	return fault_set(f, -err, "attach to %s in %s mode: %s%s%s", p->ifname, steer_mode_name(r->mode),
			 strerror(-err), *text ? ": " : "", text);
}

static int attach_alone(struct steer *s, const struct rung *r, const struct steer_params *p, struct fault *f)
{
	struct bpf_link_create_opts opts = { .sz = sizeof(opts), .flags = mode_flag(r->mode) };
	int fd = bpf_link_create(s->prog_fd, p->ifindex, BPF_XDP, &opts);

	if (fd < 0)
		return link_refused(s, r, p, fd, f);
	s->link_fd = fd;
	return 0;
}

static int load_alone(struct steer *s, struct steer_bpf *skel, const struct rung *r, const struct steer_params *p,
		      struct fault *f)
{
	int err = steer_bpf__load(skel);

	if (err) {
		errno = -err;
		return fault_errno(f, "load the XDP program");
	}
	s->prog_fd = dup_fd(bpf_program__fd(rung_prog(skel, r)), "the program", f);
	if (s->prog_fd < 0)
		return s->prog_fd;
	err = take_maps(s, skel, f);
	if (!err)
		err = map_config(s, f);
	if (!err)
		err = fill_config(s, r, p, f);
	if (!err && r->mode != STEER_MODE_DETACHED)
		err = attach_alone(s, r, p, f);
	return err;
}

/* Here libxdp loads and attaches in one step; with steering switched off nothing happens before fill_config(). */
static int load_behind_dispatcher(struct steer *s, struct steer_bpf *skel, const struct rung *r,
				  const struct steer_params *p, struct fault *f)
{
	int err;

	err = steer_dispatcher_attach(skel->obj, bpf_program__name(rung_prog(skel, r)), r->frags, p->ifindex, r->mode,
				      &s->prog_fd, f);
	if (err)
		return err;
	err = take_maps(s, skel, f);
	if (!err)
		err = map_config(s, f);
	if (!err)
		err = fill_config(s, r, p, f);
	if (err)
		(void)steer_dispatcher_detach(p->ifindex, fd_prog_id(s->prog_fd), NULL);
	return err;
}

static int try_rung(struct steer *s, const struct rung *r, const struct kfuncs *k, const struct steer_params *p,
		    struct fault *f)
{
	struct steer_bpf *skel = open_object(r, k, p, f);
	int err;

	if (!skel)
		return -EINVAL;
	s->info.metadata = r->metadata && !p->tag_only;
	s->info.vlan_tag = r->metadata && k->vlan;
	err = r->dispatcher ? load_behind_dispatcher(s, skel, r, p, f) : load_alone(s, skel, r, p, f);
	steer_bpf__destroy(skel);
	if (err) {
		drop_rung(s);
		return err;
	}
	s->info.mode = r->mode;
	s->info.frags = r->frags;
	s->info.dispatcher = r->dispatcher;
	s->info.prog_id = fd_prog_id(s->prog_fd);
	return 0;
}

/* The same rung with and without multi-buffer frames. */
static int try_frags(struct steer *s, struct rung r, const struct kfuncs *k, const struct steer_params *p,
		     struct fault *f)
{
	struct fault why;
	int err;

	r.frags = true;
	err = try_rung(s, &r, k, p, f);
	if (!err || r.metadata)		/* the kernels with metadata functions are later than those with frags */
		return err;
	why = *f;
	r.frags = false;
	if (try_rung(s, &r, k, p, f) == 0) {
		add_reason(s, "no multi-buffer frames: %.160s", why.text);
		return 0;
	}
	*f = why;
	return err;
}

static int try_mode(struct steer *s, enum steer_mode mode, bool dispatcher, const struct steer_params *p,
		    struct fault *f)
{
	struct kfuncs k = { false, false, false };
	struct rung r = { .mode = mode, .dispatcher = dispatcher };
	int err;

	if (p->metadata && mode != STEER_MODE_DETACHED) {
		k = find_kfuncs();
		if (mode == STEER_MODE_GENERIC)
			add_reason(s, "no RX metadata: generic mode has none");
		else if (dispatcher)
			add_reason(s, "no RX metadata: not behind libxdp's dispatcher");
		else if (p->tag_only ? !k.vlan : !k.hash && !k.timestamp && !k.vlan)
			add_reason(s, "no RX metadata: the kernel has no functions for it (Linux 6.3 or later)");
		else
			r.metadata = true;
	}
	if (r.metadata) {
		err = try_frags(s, r, &k, p, f);
		if (!err)
			return 0;
		r.metadata = false;
		if (try_frags(s, r, &k, p, f) == 0) {
			add_reason(s, "no RX metadata: %s", err == -EOPNOTSUPP ? "the driver offers none" : f->text);
			return 0;
		}
		return err;
	}
	return try_frags(s, r, &k, p, f);
}

/* Native, else generic, as far as @p->mode allows. */
static int climb(struct steer *s, bool dispatcher, const struct steer_params *p, struct fault *f)
{
	struct fault native;
	int err;

	if (p->mode != STEER_MODE_AUTO)
		return try_mode(s, p->mode, dispatcher, p, f);
	err = try_mode(s, STEER_MODE_NATIVE, dispatcher, p, f);
	if (!err)
		return 0;
	native = *f;
	add_reason(s, "no native mode: %.180s", native.text);
	err = try_mode(s, STEER_MODE_GENERIC, dispatcher, p, f);
	if (err) {
		struct fault generic = *f;

		fault_set(f, -err, "%.240s; %.240s", native.text, generic.text);
	}
	return err;
}

/* ---- Pins ------------------------------------------------------------------------------------------------------- */
/* What @pins has of a program: the configuration it was left with. Return: false when there is none of this version. */
static bool pinned_config(const struct bpffs_dir *pins, struct sluice_steer_config *c)
{
	uint32_t zero = 0;
	int err, fd = bpffs_open(pins, steer_map_names[STEER_MAP_CONFIG], NULL);
	struct bpf_map_info info = { 0 };
	uint32_t len = sizeof(info);

	if (fd < 0)
		return false;
	err = bpf_obj_get_info_by_fd(fd, &info, &len);
	if (!err && info.value_size == sizeof(*c))
		err = bpf_map_lookup_elem(fd, &zero, c);
	else
		err = -ESTALE;
	close(fd);
	return err == 0 && c->abi == SLUICE_STEER_ABI;
}

static bool link_alive(const struct bpffs_dir *pins)
{
	struct bpf_link_info info = { 0 };
	uint32_t len = sizeof(info);
	int err, fd = bpffs_open(pins, STEER_PIN_LINK, NULL);

	if (fd < 0)
		return false;
	err = bpf_obj_get_info_by_fd(fd, &info, &len);
	close(fd);
	return err == 0 && info.xdp.ifindex != 0;	/* 0: the device is gone */
}

/* Is there a program that was attached to stay, and is it still on its device? */
static bool persistent_alive(const struct bpffs_dir *pins, const struct sluice_steer_config *c)
{
	bool alive;
	int fd;

	if (!(c->variant & SLUICE_STEER_VARIANT_PERSISTENT))
		return false;
	if (!(c->variant & SLUICE_STEER_VARIANT_DISPATCHER))
		return link_alive(pins);
	fd = bpffs_open(pins, STEER_PIN_PROG, NULL);
	if (fd < 0)
		return false;
	alive = steer_dispatcher_has((int)c->ifindex, fd_prog_id(fd));
	close(fd);
	return alive;
}

/* A program that a killed run left in libxdp's dispatcher, where no bpf_link takes it away. */
static void remove_dead_from_dispatcher(const struct bpffs_dir *pins, int ifindex)
{
	int fd = bpffs_open(pins, STEER_PIN_PROG, NULL);

	if (fd < 0)
		return;
	(void)steer_dispatcher_detach(ifindex, fd_prog_id(fd), NULL);
	close(fd);
}

static int pin_all(struct steer *s, const struct steer_params *p, struct fault *f)
{
	int err;

	bpffs_clear(&s->info.pins);
	err = bpffs_create(&s->info.pins, p->bpffs_root, f);
	for (int i = 0; i < STEER_MAP_COUNT && !err; i++)
		err = bpffs_pin(&s->info.pins, steer_map_names[i], s->map_fd[i], f);
	if (!err && (p->persistent || s->info.dispatcher))
		err = bpffs_pin(&s->info.pins, STEER_PIN_PROG, s->prog_fd, f);
	if (!err && p->persistent && s->link_fd >= 0)
		err = bpffs_pin(&s->info.pins, STEER_PIN_LINK, s->link_fd, f);
	if (err)
		bpffs_clear(&s->info.pins);
	return err;
}

/* ---- Life cycle -------------------------------------------------------------------------------------------------- */
static struct steer *new_handle(const struct steer_params *p, struct fault *f)
{
	struct steer *s = calloc(1, sizeof(*s));

	if (!s) {
		fault_set(f, ENOMEM, "steering of %s: out of memory", p->ifname);
		return NULL;
	}
	for (int i = 0; i < STEER_MAP_COUNT; i++)
		s->map_fd[i] = -1;
	s->prog_fd = s->link_fd = s->set_btf_fd = -1;
	s->info.ifindex = p->ifindex;
	snprintf(s->info.ifname, sizeof(s->info.ifname), "%s", p->ifname ? p->ifname : "");
	return s;
}

static void free_handle(struct steer *s)
{
	steer_saved_free(s);
	steer_tables_close(s);
	drop_rung(s);
	free(s);
}

/* Alone or behind the dispatcher, by what is on the device and what is wanted. */
static int choose_way(struct steer *s, const struct steer_params *p, struct fault *f)
{
	char name[BPF_OBJ_NAME_LEN];
	struct fault why;
	uint32_t foreign;
	int err;

	if (p->mode == STEER_MODE_DETACHED)
		return climb(s, false, p, f);
	foreign = foreign_prog(p->ifindex);
	if (p->dispatcher == STEER_DISPATCHER_YES ||
	    (p->dispatcher == STEER_DISPATCHER_AUTO && foreign && steer_dispatcher_present(p->ifindex))) {
		unsigned int n_reasons = s->info.n_reasons;

		err = climb(s, true, p, f);
		if (!err || foreign)
			return err;
		why = *f;
		s->info.n_reasons = n_reasons;	/* why the dispatcher's modes failed is said once */
		add_reason(s, "not behind libxdp's dispatcher: %.150s", why.text);
	} else if (foreign) {
		prog_name(foreign, name);
		return fault_set(f, EBUSY,
				 "%s has an XDP program already: %s (id %u)%s; "
				 "\"ip link set dev %s xdp off\" removes it",
				 p->ifname, name, foreign,
				 p->dispatcher == STEER_DISPATCHER_AUTO ? ", not attached by libxdp's dispatcher" : "",
				 p->ifname);
	}
	return climb(s, false, p, f);
}

int steer_attach(const struct steer_params *p, struct steer **out, struct fault *f)
{
	struct sluice_steer_config old;
	struct fault why = { "" };
	struct steer *s;
	int err;

	bpf_log_init();
	s = new_handle(p, f);
	if (!s)
		return -ENOMEM;
	err = bpffs_dir(&s->info.pins, p->bpffs_root, p->instance, p->port, f);
	if (err)
		goto err_free;
	if (pinned_config(&s->info.pins, &old) && persistent_alive(&s->info.pins, &old)) {
		err = fault_set(f, EEXIST, "port %s has a program that was attached to stay: adopt it or detach it",
				p->port);
		goto err_free;
	}
	if (p->mode != STEER_MODE_DETACHED)
		remove_dead_from_dispatcher(&s->info.pins, p->ifindex);
	err = choose_way(s, p, f);
	if (err)
		goto err_free;
	err = steer_tables_open(s, f);
	if (err)
		goto err_close;
	err = pin_all(s, p, &why);
	s->info.pinned = !err;
	if (err && p->persistent) {
		if (f)
			*f = why;
		goto err_close;
	}
	if (err)
		add_reason(s, "maps are not pinned, bpftool must find them by id: %.140s", why.text);
	if (p->mode != STEER_MODE_DETACHED && !s->info.vlan_tag && strips_vlan(p->ifname))
		add_reason(s, "VLAN tags are unseen where the device takes them off (ethtool -K %s rxvlan off)",
			   p->ifname);
	s->info.persistent = p->persistent;
	*out = s;
	return 0;
err_close:
	if (s->info.dispatcher)
		(void)steer_dispatcher_detach(p->ifindex, s->info.prog_id, NULL);
err_free:
	free_handle(s);
	return err;
}

static int check_adopted(struct steer *s, const struct steer_params *p, struct fault *f)
{
	const struct sluice_steer_config *c = s->config;

	if (c->ifindex != (uint32_t)p->ifindex)
		return fault_set(f, ESTALE, "the program of port %s is on interface %u, not on %s (%d): detach it",
				 p->port, c->ifindex, p->ifname, p->ifindex);
	s->info.mode = c->variant & SLUICE_STEER_VARIANT_GENERIC ? STEER_MODE_GENERIC : STEER_MODE_NATIVE;
	s->info.metadata = c->variant & SLUICE_STEER_VARIANT_METADATA;
	s->info.vlan_tag = c->variant & SLUICE_STEER_VARIANT_VLAN_TAG;
	s->info.frags = c->variant & SLUICE_STEER_VARIANT_FRAGS;
	s->info.dispatcher = c->variant & SLUICE_STEER_VARIANT_DISPATCHER;
	s->info.prog_id = fd_prog_id(s->prog_fd);
	s->info.persistent = s->info.adopted = s->info.pinned = true;
	return 0;
}

int steer_adopt(const struct steer_params *p, struct steer **out, struct fault *f)
{
	struct sluice_steer_config old;
	struct bpffs_dir pins;
	struct steer *s;
	int err, set_fd = -1;

	bpf_log_init();
	err = bpffs_dir(&pins, p->bpffs_root, p->instance, p->port, f);
	if (err)
		return err;
	if (!bpffs_has(&pins, STEER_PIN_PROG))
		return fault_set(f, ENOENT, "port %s has no program that was attached to stay", p->port);
	if (!pinned_config(&pins, &old))
		return fault_set(f, ESTALE, "the program of port %s is of another version: detach it", p->port);
	if (!persistent_alive(&pins, &old))
		return fault_set(f, ENOENT, "port %s has pins, but no program that was attached to stay", p->port);
	s = new_handle(p, f);
	if (!s)
		return -ENOMEM;
	s->info.pins = pins;
	for (int i = 0; i < STEER_MAP_COUNT && !err; i++) {
		s->map_fd[i] = bpffs_open(&pins, steer_map_names[i], f);
		err = s->map_fd[i] < 0 ? s->map_fd[i] : 0;
	}
	if (!err) {
		s->prog_fd = bpffs_open(&pins, STEER_PIN_PROG, f);
		err = s->prog_fd < 0 ? s->prog_fd : 0;
	}
	if (!err)
		err = map_config(s, f);
	if (!err)
		err = check_adopted(s, p, f);
	if (!err) {
		set_fd = steer_rules_find_types(s, f);
		err = set_fd < 0 ? set_fd : 0;
	}
	if (!err)
		err = steer_tables_open(s, f);
	if (!err && p->put_back) {
		err = steer_save(s, set_fd, f);
		set_fd = -1;
	} else if (!err) {
		/* Set by an engine that was killed: who attaches now means what he says. */
		s->config->drop_needs_socket = 0;
	}
	if (set_fd >= 0)
		close(set_fd);
	if (err) {
		free_handle(s);
		return err;
	}
	*out = s;
	return 0;
}

void steer_close(struct steer *s)
{
	if (!s)
		return;
	if (s->info.persistent) {
		for (uint32_t queue = 0; queue < SLUICE_STEER_MAX_QUEUES; queue++)
			steer_clear_xsk(s, queue);
		steer_put_back(s);
	} else {
		if (s->info.dispatcher)
			(void)steer_dispatcher_detach(s->info.ifindex, s->info.prog_id, NULL);
		if (s->info.pinned)
			bpffs_clear(&s->info.pins);
	}
	free_handle(s);
}

int steer_detach_pinned(const char *bpffs_root, const char *instance, const char *port, struct fault *f)
{
	struct sluice_steer_config old;
	struct bpffs_dir pins;
	int err;

	bpf_log_init();
	err = bpffs_dir(&pins, bpffs_root, instance, port, f);
	if (err)
		return err;
	if (access(pins.path, F_OK) < 0)
		return fault_errno(f, "%s", pins.path);
	if (pinned_config(&pins, &old) && (old.variant & SLUICE_STEER_VARIANT_DISPATCHER))
		remove_dead_from_dispatcher(&pins, (int)old.ifindex);
	bpffs_clear(&pins);	/* the link's last reference: the kernel takes the program off the device */
	return 0;
}

/* ---- Telling ----------------------------------------------------------------------------------------------------- */
const struct steer_info *steer_info(const struct steer *s)
{
	return &s->info;
}

int steer_prog_fd(const struct steer *s)
{
	return s->prog_fd;
}

int steer_trace_fd(const struct steer *s)
{
	return s->map_fd[STEER_MAP_TRACE];
}

#define VERDICT_NAME(name, text) #name,
#define VERDICT_TEXT(name, text) text,

const char *steer_verdict_name(uint32_t verdict)
{
	static const char *const names[] = { SLUICE_VERDICTS(VERDICT_NAME) };

	return verdict < SLUICE_VERDICT_COUNT ? names[verdict] : "?";
}

const char *steer_verdict_text(uint32_t verdict)
{
	static const char *const texts[] = { SLUICE_VERDICTS(VERDICT_TEXT) };

	return verdict < SLUICE_VERDICT_COUNT ? texts[verdict] : "?";
}

const char *steer_mode_name(enum steer_mode mode)
{
	static const char *const names[] = {
		[STEER_MODE_AUTO] = "auto",
		[STEER_MODE_NATIVE] = "native",
		[STEER_MODE_GENERIC] = "generic",
		[STEER_MODE_DETACHED] = "detached",
	};

	return (size_t)mode < sizeof(names) / sizeof(names[0]) ? names[mode] : "?";
}
