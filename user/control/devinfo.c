/* SPDX-License-Identifier: MIT */
#include "user/control/devinfo.h"
#include "common/bytes.h"
#include "user/control/netlink_attr.h"
#include "user/control/netlink_genl.h"
#include "user/control/netlink_request.h"

#include <errno.h>
#include <linux/ethtool_netlink.h>
#include <linux/sockios.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <unistd.h>

/* linux/netdev.h */
#define NETDEV_FAMILY "netdev"
enum { NETDEV_DEV_GET = 1, NETDEV_DEV_ADD_NTF, NETDEV_DEV_DEL_NTF, NETDEV_DEV_CHANGE_NTF };
enum {
	NETDEV_IFINDEX = 1, NETDEV_PAD, NETDEV_XDP_FEATURES, NETDEV_XDP_ZC_MAX_SEGS, NETDEV_XDP_RX_METADATA,
	NETDEV_XSK_FEATURES, NETDEV_ATTRS
};

/* Each ethtool message begins with a header of this type. */
#define ETHTOOL_HEADER 1
_Static_assert(ETHTOOL_A_CHANNELS_HEADER == ETHTOOL_HEADER && ETHTOOL_A_RINGS_HEADER == ETHTOOL_HEADER &&
	       ETHTOOL_A_FEATURES_HEADER == ETHTOOL_HEADER, "ETHTOOL_HEADER");
_Static_assert(DEV_FEATURE_COUNT <= 32, "devinfo.active");

static const char *const feature_names[] = {
#define X(id, name) [DEV_FEATURE_##id] = (name),
	DEV_FEATURES(X)
#undef X
};

const char *dev_feature_name(enum dev_feature f)
{
	return feature_names[f];
}

/* ---- netdev ---- */

static bool get_u64(const struct nlattr *a, uint64_t *v)
{
	return nl_get(a, v, sizeof(*v));
}

static int netdev_reply(const struct nlmsghdr *nlh, void *ctx)
{
	const struct nlattr *tb[NETDEV_ATTRS];
	struct devinfo *d = ctx;

	if (!nl_attrs_msg(nlh, sizeof(struct genlmsghdr), tb, NETDEV_ATTRS) ||
	    !get_u64(tb[NETDEV_XDP_FEATURES], &d->xdp) || !get_u64(tb[NETDEV_XDP_RX_METADATA], &d->rx_metadata) ||
	    !get_u64(tb[NETDEV_XSK_FEATURES], &d->xsk) ||
	    !nl_get_u32(tb[NETDEV_XDP_ZC_MAX_SEGS], &d->zerocopy_max_segs))
		return -EBADMSG;
	d->has_xdp = true;
	return 0;
}

static void ask_netdev(int fd, struct devinfo *d)
{
	_Alignas(struct nlmsghdr) uint8_t buf[NL_REQUEST_BYTES];
	struct genl_family family = { .group_name = NULL };
	struct nlmsghdr *req;
	struct fault why;
	int err = genl_resolve(fd, NETDEV_FAMILY, &family, &why);

	if (err) {
		snprintf(d->xdp_why, sizeof(d->xdp_why), "%.100s",
			 err == -ENOENT ? "the kernel has no netdev netlink family (Linux 6.3)"
					: why.text);
		return;
	}
	req = genl_request(buf, family.id, NETDEV_DEV_GET);
	mnl_attr_put_u32(req, NETDEV_IFINDEX, d->ifindex);
	if (nl_ask(fd, req, netdev_reply, d, &why) < 0)
		snprintf(d->xdp_why, sizeof(d->xdp_why), "%.100s", why.text);
}

/* ---- ethtool ---- */

static int channels_reply(const struct nlmsghdr *nlh, void *ctx)
{
	const struct nlattr *tb[ETHTOOL_A_CHANNELS_MAX + 1];
	struct devinfo *d = ctx;

	if (!nl_attrs_msg(nlh, sizeof(struct genlmsghdr), tb, ETHTOOL_A_CHANNELS_MAX + 1) ||
	    !nl_get_u32(tb[ETHTOOL_A_CHANNELS_RX_MAX], &d->rx_channels.max) ||
	    !nl_get_u32(tb[ETHTOOL_A_CHANNELS_TX_MAX], &d->tx_channels.max) ||
	    !nl_get_u32(tb[ETHTOOL_A_CHANNELS_COMBINED_MAX], &d->combined.max) ||
	    !nl_get_u32(tb[ETHTOOL_A_CHANNELS_RX_COUNT], &d->rx_channels.now) ||
	    !nl_get_u32(tb[ETHTOOL_A_CHANNELS_TX_COUNT], &d->tx_channels.now) ||
	    !nl_get_u32(tb[ETHTOOL_A_CHANNELS_COMBINED_COUNT], &d->combined.now))
		return -EBADMSG;
	d->has_channels = true;
	d->rx_queues = d->rx_channels.now + d->combined.now;
	d->tx_queues = d->tx_channels.now + d->combined.now;
	return 0;
}

static int rings_reply(const struct nlmsghdr *nlh, void *ctx)
{
	const struct nlattr *tb[ETHTOOL_A_RINGS_MAX + 1];
	struct devinfo *d = ctx;

	if (!nl_attrs_msg(nlh, sizeof(struct genlmsghdr), tb, ETHTOOL_A_RINGS_MAX + 1) ||
	    !nl_get_u32(tb[ETHTOOL_A_RINGS_RX_MAX], &d->rx_ring.max) ||
	    !nl_get_u32(tb[ETHTOOL_A_RINGS_TX_MAX], &d->tx_ring.max) ||
	    !nl_get_u32(tb[ETHTOOL_A_RINGS_RX], &d->rx_ring.now) ||
	    !nl_get_u32(tb[ETHTOOL_A_RINGS_TX], &d->tx_ring.now))
		return -EBADMSG;
	d->has_rings = true;
	return 0;
}

/* Names, not numbers: these differ between kernels. */
static bool bitset_parse(const struct nlattr *nest, uint32_t *set)
{
	const struct nlattr *tb[ETHTOOL_A_BITSET_MAX + 1], *bit, *b[ETHTOOL_A_BITSET_BIT_MAX + 1];
	struct nl_run run;
	char name[64];

	if (!nl_attrs_nested(nest, tb, ETHTOOL_A_BITSET_MAX + 1))
		return false;
	run = nl_run_of(tb[ETHTOOL_A_BITSET_BITS]);
	while ((bit = nl_run_next(&run))) {
		name[0] = '\0';
		if (!nl_attrs_nested(bit, b, ETHTOOL_A_BITSET_BIT_MAX + 1) ||
		    !nl_get_str(b[ETHTOOL_A_BITSET_BIT_NAME], name, sizeof(name)))
			return false;
		/* A list without mask names the set ones; one with mask names all it is about. */
		if (!tb[ETHTOOL_A_BITSET_NOMASK] && !b[ETHTOOL_A_BITSET_BIT_VALUE])
			continue;
		for (unsigned int i = 0; i < DEV_FEATURE_COUNT; i++) {
			if (strcmp(name, feature_names[i]) == 0)
				*set |= 1u << i;
		}
	}
	return !run.bad;
}

static int features_reply(const struct nlmsghdr *nlh, void *ctx)
{
	const struct nlattr *tb[ETHTOOL_A_FEATURES_MAX + 1];
	struct devinfo *d = ctx;
	uint32_t nochange = 0;

	if (!nl_attrs_msg(nlh, sizeof(struct genlmsghdr), tb, ETHTOOL_A_FEATURES_MAX + 1) ||
	    !bitset_parse(tb[ETHTOOL_A_FEATURES_ACTIVE], &d->active) ||
	    !bitset_parse(tb[ETHTOOL_A_FEATURES_HW], &d->changeable) ||
	    !bitset_parse(tb[ETHTOOL_A_FEATURES_NOCHANGE], &nochange))
		return -EBADMSG;
	d->changeable &= ~nochange;
	d->has_features = true;
	return 0;
}

static void ask_ethtool(int fd, struct devinfo *d)
{
	static const struct {
		uint8_t command;
		int (*reply)(const struct nlmsghdr *nlh, void *ctx);
	} questions[] = {
		{ ETHTOOL_MSG_CHANNELS_GET, channels_reply },
		{ ETHTOOL_MSG_RINGS_GET, rings_reply },
		{ ETHTOOL_MSG_FEATURES_GET, features_reply },
	};
	struct genl_family family = { .group_name = NULL };

	if (genl_resolve(fd, ETHTOOL_GENL_NAME, &family, NULL) < 0)
		return;
	for (size_t i = 0; i < ARRAY_SIZE(questions); i++) {
		_Alignas(struct nlmsghdr) uint8_t buf[NL_REQUEST_BYTES];
		struct nlmsghdr *req = genl_request(buf, family.id, questions[i].command);
		struct nlattr *nest = mnl_attr_nest_start(req, ETHTOOL_HEADER);

		mnl_attr_put_u32(req, ETHTOOL_A_HEADER_DEV_INDEX, d->ifindex);
		mnl_attr_nest_end(req, nest);
		/* A driver without rings or channels refuses; has_* stays false. */
		(void)nl_ask(fd, req, questions[i].reply, d, NULL);
	}
}

/* ethtool's netlink family does not name the driver. */
static void ask_driver(int fd, struct devinfo *d)
{
	struct ethtool_drvinfo drv = { .cmd = ETHTOOL_GDRVINFO };
	struct ifreq ifr = { .ifr_data = (void *)&drv };

	memcpy(ifr.ifr_name, d->name, sizeof(ifr.ifr_name));
	if (ioctl(fd, SIOCETHTOOL, &ifr) < 0)
		return;
	snprintf(d->driver, sizeof(d->driver), "%.*s", (int)sizeof(drv.driver) - 1, drv.driver);
	snprintf(d->bus, sizeof(d->bus), "%.*s", (int)sizeof(drv.bus_info) - 1, drv.bus_info);
}

int devinfo_get(uint32_t ifindex, struct devinfo *d, struct fault *f)
{
	int fd;

	memset(d, 0, sizeof(*d));
	d->ifindex = ifindex;
	if (!if_indextoname(ifindex, d->name))
		return fault_set(f, ENODEV, "no device has index %u", ifindex);
	fd = nl_open(NETLINK_GENERIC, 0, f);
	if (fd < 0)
		return fd;
	ask_netdev(fd, d);
	ask_ethtool(fd, d);
	ask_driver(fd, d);
	close(fd);
	return 0;
}

/* ---- Changes ---- */

struct devwatch {
	int fd;
	uint16_t ethtool, netdev;	/* family numbers, 0 for none */
	void (*changed)(void *ctx, uint32_t ifindex);
	void *ctx;
	_Alignas(struct nlmsghdr) uint8_t buf[32768];
};

static int join(int fd, const char *name, const char *group, uint16_t *id, struct fault *f)
{
	struct genl_family family = { .group_name = group };
	int err = genl_resolve(fd, name, &family, f);

	if (err)
		return err == -ENOENT ? 0 : err;
	if (family.group == 0)
		return 0;
	if (setsockopt(fd, SOL_NETLINK, NETLINK_ADD_MEMBERSHIP, &family.group, sizeof(family.group)) < 0)
		return fault_errno(f, "netlink group %s of %s", group, name);
	*id = family.id;
	return 0;
}

int devwatch_open(struct devwatch **out, void (*changed)(void *ctx, uint32_t ifindex), void *ctx, struct fault *f)
{
	struct devwatch *w = calloc(1, sizeof(*w));
	int err;

	if (!w)
		return fault_set(f, ENOMEM, "device changes: out of memory");
	w->changed = changed;
	w->ctx = ctx;
	w->fd = nl_open(NETLINK_GENERIC, 0, f);	/* read with MSG_DONTWAIT; the questions before that may wait */
	err = w->fd < 0 ? w->fd : join(w->fd, ETHTOOL_GENL_NAME, ETHTOOL_MCGRP_MONITOR_NAME, &w->ethtool, f);
	if (!err)
		err = join(w->fd, NETDEV_FAMILY, "mgmt", &w->netdev, f);
	if (err) {
		devwatch_close(w);
		return err;
	}
	*out = w;
	return 0;
}

void devwatch_close(struct devwatch *w)
{
	if (!w)
		return;
	if (w->fd >= 0)
		close(w->fd);
	free(w);
}

int devwatch_fd(const struct devwatch *w)
{
	return w->fd;
}

/* Return: the device that the notification is about, 0 when it is of no interest or malformed */
static uint32_t notified(const struct devwatch *w, const struct nlmsghdr *nlh)
{
	const struct nlattr *tb[ETHTOOL_HEADER + 1], *header[ETHTOOL_A_HEADER_MAX + 1];
	const struct genlmsghdr *genl = genl_header(nlh);
	uint32_t ifindex = 0;

	if (!genl || !nl_attrs_msg(nlh, sizeof(*genl), tb, ETHTOOL_HEADER + 1))
		return 0;
	if (nlh->nlmsg_type == w->netdev && w->netdev) {
		if (genl->cmd >= NETDEV_DEV_ADD_NTF && genl->cmd <= NETDEV_DEV_CHANGE_NTF)
			(void)nl_get_u32(tb[NETDEV_IFINDEX], &ifindex);
	} else if (nlh->nlmsg_type == w->ethtool && w->ethtool) {
		if (genl->cmd != ETHTOOL_MSG_FEATURES_NTF && genl->cmd != ETHTOOL_MSG_CHANNELS_NTF &&
		    genl->cmd != ETHTOOL_MSG_RINGS_NTF)
			return 0;
		if (nl_attrs_nested(tb[ETHTOOL_HEADER], header, ETHTOOL_A_HEADER_MAX + 1))
			(void)nl_get_u32(header[ETHTOOL_A_HEADER_DEV_INDEX], &ifindex);
	}
	return ifindex;
}

int devwatch_read(struct devwatch *w, struct fault *f)
{
	for (;;) {
		ssize_t got = recv(w->fd, w->buf, sizeof(w->buf), MSG_DONTWAIT);
		struct nl_messages run = { w->buf, (size_t)got, false };
		const struct nlmsghdr *nlh;

		if (got < 0 && errno == EAGAIN)
			return 0;
		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0 && errno != ENOBUFS)
			return fault_errno(f, "device changes");
		if (got < 0) {	/* notifications were lost */
			w->changed(w->ctx, 0);
			continue;
		}
		while ((nlh = nl_message_next(&run))) {
			uint32_t ifindex = notified(w, nlh);

			if (ifindex)
				w->changed(w->ctx, ifindex);
		}
	}
}
