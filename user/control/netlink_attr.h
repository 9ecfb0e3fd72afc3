/* SPDX-License-Identifier: MIT */
/*
 * Attributes, read with their lengths checked. A getter leaves its result alone when the attribute is absent, so
 * defaults are set before; it returns false only when the attribute is there and unsound.
 */
#ifndef CONTROL_NETLINK_ATTR_H
#define CONTROL_NETLINK_ATTR_H

#include "user/control/netlink.h"

#include <libmnl/libmnl.h>
#include <string.h>
#include <sys/socket.h>

/* libmnl's own are of type int. */
#define NL_HDR sizeof(struct nlmsghdr)
#define NL_ATTR_HDR sizeof(struct nlattr)

static inline size_t nl_align(size_t bytes)
{
	return (bytes + 3) & ~(size_t)3;
}

/**
 * nl_attrs() - Index a run of attributes by type
 * @at:  first attribute
 * @len: bytes of the run
 * @tb:  @n pointers, set to NULL or to the last attribute of that type
 * @n:   types from this one on are skipped: a newer kernel's
 *
 * Unlike mnl_attr_for_each(), which ends quietly at the first attribute that does not fit, this says so.
 * Return: false when an attribute is cut off
 */
bool nl_attrs(const void *at, size_t len, const struct nlattr **tb, unsigned int n);

/** nl_attrs_msg() - The same for what follows a family header of @hdr bytes; false when that is cut off, too. */
bool nl_attrs_msg(const struct nlmsghdr *nlh, size_t hdr, const struct nlattr **tb, unsigned int n);

/** nl_attrs_nested() - The same for the inside of @nest; all NULL when @nest is NULL. */
bool nl_attrs_nested(const struct nlattr *nest, const struct nlattr **tb, unsigned int n);

static inline const void *nl_data(const struct nlattr *a)
{
	return (const uint8_t *)a + NL_ATTR_HDR;
}

static inline size_t nl_len(const struct nlattr *a)
{
	return (size_t)a->nla_len - NL_ATTR_HDR;
}

/* A list: attributes of one type, one after the other. */
struct nl_run {
	const uint8_t *at;
	size_t left;
	bool bad;			/* ended at an attribute that is cut off */
};

static inline struct nl_run nl_run_of(const struct nlattr *nest)
{
	return nest ? (struct nl_run){ nl_data(nest), nl_len(nest), false } : (struct nl_run){ NULL, 0, false };
}

/** nl_run_next() - Next attribute, or NULL at the end. */
const struct nlattr *nl_run_next(struct nl_run *run);

/* A datagram: messages one after the other. */
struct nl_messages {
	const uint8_t *at;		/* aligned for struct nlmsghdr */
	size_t left;
	bool bad;			/* ended at a message that is cut off */
};

/**
 * nl_message_next() - Next message, all of which is there, or NULL at the end
 *
 * mnl_nlmsg_ok() takes lengths from 2^31 on for negative, and believes them.
 */
const struct nlmsghdr *nl_message_next(struct nl_messages *m);

static inline bool nl_get(const struct nlattr *a, void *to, size_t bytes)
{
	if (!a)
		return true;
	if (nl_len(a) != bytes)
		return false;
	memcpy(to, nl_data(a), bytes);
	return true;
}

static inline bool nl_get_u8(const struct nlattr *a, uint8_t *v)
{
	return nl_get(a, v, sizeof(*v));
}

static inline bool nl_get_u16(const struct nlattr *a, uint16_t *v)
{
	return nl_get(a, v, sizeof(*v));
}

static inline bool nl_get_u32(const struct nlattr *a, uint32_t *v)
{
	return nl_get(a, v, sizeof(*v));
}

static inline size_t nl_ip_len(uint8_t family)
{
	return family == AF_INET ? 4 : 16;
}

/* The address has exactly the length of @family, AF_INET or AF_INET6. */
static inline bool nl_get_ip(const struct nlattr *a, uint8_t family, union nl_ip *ip)
{
	return nl_get(a, ip, nl_ip_len(family));
}

/* A string that ends within its attribute and fits with its end. */
bool nl_get_str(const struct nlattr *a, char *to, size_t room);

/* A link-layer address. */
bool nl_get_lladdr(const struct nlattr *a, uint8_t *to, uint8_t *len);

#endif
