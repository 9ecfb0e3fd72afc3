/* SPDX-License-Identifier: MIT */
/* What the tools share: a packet socket on a device, decisions that a seed repeats, numbers of the command line. */
#ifndef TOOLS_PACKET_SOCKET_H
#define TOOLS_PACKET_SOCKET_H

#include <errno.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <netinet/in.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

static inline void __attribute__((format(printf, 1, 2), noreturn)) die(const char *fmt, ...)
{
	int err = errno;
	va_list ap;

	fprintf(stderr, "%s: ", program_invocation_short_name);
	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fprintf(stderr, ": %s\n", strerror(err));
	exit(1);
}

static inline uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

/* A decision by seed and ordinal alone: two runs that see as many frames decide alike, whatever their timing. */
static inline uint64_t mix64(uint64_t seed, uint64_t n)
{
	uint64_t z = seed + (n + 1) * 0x9e3779b97f4a7c15u;

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
	return z ^ (z >> 31);
}

/* Option @name has the value @text: a number within limits, or exit code 2. */
static inline double option_number(const char *name, const char *text, double min, double max)
{
	char *end;
	double v = strtod(text, &end);

	if (end == text || *end || !(v >= min && v <= max)) {
		fprintf(stderr, "%s: --%s %s: want a number from %g to %g\n", program_invocation_short_name, name, text, min,
			max);
		exit(2);
	}
	return v;
}

/*
 * A raw socket of device @dev that hears every frame (promiscuous) but its own, or with @protocol 0 none.
 * @vnet_hdr: each frame has a virtio_net_hdr in front, in both directions.
 */
static inline int packet_socket(const char *dev, uint16_t protocol, bool vnet_hdr)
{
	struct sockaddr_ll sa = { .sll_family = AF_PACKET, .sll_protocol = htons(protocol) };
	struct packet_mreq mreq = { .mr_type = PACKET_MR_PROMISC };
	int one = 1, big = 32 << 20, fd;

	sa.sll_ifindex = (int)if_nametoindex(dev);
	mreq.mr_ifindex = sa.sll_ifindex;
	if (!sa.sll_ifindex)
		die("device %s", dev);
	fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0);	/* hears nothing before it is bound */
	if (fd < 0)
		die("packet socket");
	if (vnet_hdr && setsockopt(fd, SOL_PACKET, PACKET_VNET_HDR, &one, sizeof(one)) < 0)
		die("PACKET_VNET_HDR on %s", dev);
	if (protocol && (setsockopt(fd, SOL_PACKET, PACKET_ADD_MEMBERSHIP, &mreq, sizeof(mreq)) < 0 ||
			 setsockopt(fd, SOL_PACKET, PACKET_IGNORE_OUTGOING, &one, sizeof(one)) < 0))
		die("listen on %s", dev);
	setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &big, sizeof(big));
	setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &big, sizeof(big));
	if (bind(fd, (struct sockaddr *)&sa, sizeof(sa)) < 0)
		die("bind to %s", dev);
	return fd;
}

#endif
