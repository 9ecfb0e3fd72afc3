/* SPDX-License-Identifier: MIT */
/* Generic netlink: families by name. */
#ifndef CONTROL_NETLINK_GENL_H
#define CONTROL_NETLINK_GENL_H

#include "common/fault.h"

#include <libmnl/libmnl.h>
#include <linux/genetlink.h>
#include <stdint.h>

struct genl_family {
	const char *group_name;		/* multicast group to look for, or NULL */
	uint16_t id;
	uint32_t group;			/* 0 when it has no such group */
};

/**
 * genl_resolve() - Number of a family, and of its group @family->group_name
 *
 * Return: 0, -ENOENT when the kernel does not have it, or another -errno
 */
int genl_resolve(int fd, const char *name, struct genl_family *family, struct fault *f);

/** genl_request() - Header of a request in @buf of NL_REQUEST_BYTES; attributes may follow. */
struct nlmsghdr *genl_request(void *buf, uint16_t family, uint8_t command);

/** genl_header() - Generic header of @nlh, NULL when the message is too short. */
const struct genlmsghdr *genl_header(const struct nlmsghdr *nlh);

#endif
