/* SPDX-License-Identifier: MIT */
/* One question to the kernel, and its answer, on a blocking netlink socket. */
#ifndef CONTROL_NETLINK_REQUEST_H
#define CONTROL_NETLINK_REQUEST_H

#include "common/fault.h"

#include <libmnl/libmnl.h>

#define NL_REQUEST_BYTES 1024	/* room for any request of ours */

/**
 * nl_open() - Netlink socket that reports errors with the kernel's own words and checks dump requests strictly
 * @protocol: NETLINK_ROUTE or NETLINK_GENERIC
 * @flags:    SOCK_NONBLOCK or 0; a blocking socket gives up on an answer after five seconds
 * @f:        told why not
 *
 * Return: file descriptor or -errno
 */
int nl_open(int protocol, int flags, struct fault *f);

/** nl_portid() - The address the kernel gave to the socket. Return: 0 or -errno */
int nl_portid(int fd, uint32_t *portid, struct fault *f);

/** nl_error() - What an NLMSG_ERROR says: 0 (acknowledgement) or -errno; @text gets the kernel's reason or "". */
int nl_error(const struct nlmsghdr *nlh, char *text, size_t room);

/**
 * nl_ask() - Send @req and wait until it is answered
 * @fd:    from nl_open()
 * @req:   request; NLM_F_REQUEST, NLM_F_ACK and the sequence number are set here
 * @reply: called for each message of the answer, NULL when only success matters; a negative result ends the wait
 * @ctx:   for @reply
 * @f:     told why not, with the kernel's reason when it gives one
 *
 * Return: 0 or -errno
 */
int nl_ask(int fd, struct nlmsghdr *req, int (*reply)(const struct nlmsghdr *nlh, void *ctx), void *ctx,
	   struct fault *f);

#endif
