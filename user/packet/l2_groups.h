/* SPDX-License-Identifier: MIT */
/*
 * Link-layer multicast groups of a device: a network card's filter passes only groups that somebody has joined, and for
 * engine-only IPv6 addresses the kernel does not know that anybody listens.
 */
#ifndef USER_PACKET_L2_GROUPS_H
#define USER_PACKET_L2_GROUPS_H

#include <stdint.h>

#include "common/fault.h"

/**
 * l2_groups_open() - A socket that holds memberships; closing it ends them. It receives nothing.
 * Return: file descriptor, or -errno
 */
int l2_groups_open(struct fault *f);

/** l2_groups_join() - Join @mac on a device; joining twice is one more membership. Return: 0 or -errno */
int l2_groups_join(int fd, int ifindex, const uint8_t mac[6], struct fault *f);

#endif
