/* SPDX-License-Identifier: MIT */
/*
 * What a device can do, asked of the kernel: the netdev family for XDP (Linux 6.3 and later), ethtool's for queues,
 * rings and offloads. Nothing is sent on the wire and nothing is changed. Offloads change at run time, by hand or by
 * themselves (native XDP at one end of a veth takes TSO from the other): devwatch_open() tells when to ask again.
 */
#ifndef CONTROL_DEVINFO_H
#define CONTROL_DEVINFO_H

#include "common/fault.h"

#include <net/if.h>
#include <stdbool.h>
#include <stdint.h>

/* devinfo.xdp: enum netdev_xdp_act of linux/netdev.h, which Linux 6.1's headers lack */
enum {
	DEV_XDP_BASIC = 1 << 0,
	DEV_XDP_REDIRECT = 1 << 1,
	DEV_XDP_NDO_XMIT = 1 << 2,	/* can be redirected to */
	DEV_XDP_ZEROCOPY = 1 << 3,
	DEV_XDP_HW_OFFLOAD = 1 << 4,
	DEV_XDP_RX_SG = 1 << 5,		/* multi-buffer */
	DEV_XDP_NDO_XMIT_SG = 1 << 6,
};

/* devinfo.rx_metadata: kfuncs that have something to say */
enum { DEV_RX_TIMESTAMP = 1 << 0, DEV_RX_HASH = 1 << 1, DEV_RX_VLAN_TAG = 1 << 2 };

/* devinfo.xsk: TX metadata */
enum { DEV_XSK_TX_TIMESTAMP = 1 << 0, DEV_XSK_TX_CHECKSUM = 1 << 1, DEV_XSK_TX_LAUNCH_TIME = 1 << 2 };

/* Offloads, and the names that ethtool -k gives them. */
#define DEV_FEATURES(X) \
	X(TX_CSUM_IP4,		"tx-checksum-ipv4") \
	X(TX_CSUM_IP6,		"tx-checksum-ipv6") \
	X(TX_CSUM_GENERIC,	"tx-checksum-ip-generic") \
	X(TX_CSUM_SCTP,		"tx-checksum-sctp") \
	X(RX_CSUM,		"rx-checksum") \
	X(SG,			"tx-scatter-gather") \
	X(TSO4,			"tx-tcp-segmentation") \
	X(TSO6,			"tx-tcp6-segmentation") \
	X(TSO_ECN,		"tx-tcp-ecn-segmentation") \
	X(USO,			"tx-udp-segmentation") \
	X(GSO,			"tx-generic-segmentation") \
	X(GSO_PARTIAL,		"tx-gso-partial") \
	X(GRO,			"rx-gro") \
	X(GRO_HW,		"rx-gro-hw") \
	X(GRO_LIST,		"rx-gro-list") \
	X(LRO,			"rx-lro") \
	X(UDP_GRO_FORWARDING,	"rx-udp-gro-forwarding") \
	X(RX_HASH,		"rx-hashing") \
	X(NTUPLE,		"rx-ntuple-filter") \
	X(RX_VLAN,		"rx-vlan-hw-parse") \
	X(TX_VLAN,		"tx-vlan-hw-insert") \
	X(RX_VLAN_STAG,		"rx-vlan-stag-hw-parse") \
	X(TX_VLAN_STAG,		"tx-vlan-stag-hw-insert") \
	X(HIGHDMA,		"highdma")

enum dev_feature {
#define X(id, name) DEV_FEATURE_##id,
	DEV_FEATURES(X)
#undef X
	DEV_FEATURE_COUNT
};

struct dev_range {
	uint32_t now, max;		/* 0: none, or not told */
};

struct devinfo {
	uint32_t ifindex;
	char name[IF_NAMESIZE];
	char driver[32];		/* "" when not told */
	char bus[32];			/* PCI address and the like */

	bool has_xdp;			/* the next four are known; else @xdp_why says why not */
	char xdp_why[128];
	uint64_t xdp;			/* DEV_XDP_*; ZEROCOPY is what the driver offers for all its queues */
	uint64_t rx_metadata;		/* DEV_RX_* */
	uint64_t xsk;			/* DEV_XSK_* */
	uint32_t zerocopy_max_segs;	/* frames of one packet in zero-copy mode; 1: no multi-buffer */

	bool has_channels;
	struct dev_range rx_channels, tx_channels, combined;
	uint32_t rx_queues, tx_queues;	/* in use: the dedicated channels and the combined ones; 0 when not told */

	bool has_rings;
	struct dev_range rx_ring, tx_ring;	/* descriptors */

	bool has_features;
	uint32_t active;		/* bit n: enum dev_feature n is on */
	uint32_t changeable;		/* bit n: can be switched (ethtool -K); not "[fixed]" */
};

/** devinfo_has() - Is the offload on now? */
static inline bool devinfo_has(const struct devinfo *d, enum dev_feature f)
{
	return d->active & (1u << f);
}

/** dev_feature_name() - As ethtool -k names it. */
const char *dev_feature_name(enum dev_feature f);

/**
 * devinfo_get() - Ask the kernel about a device of the calling thread's namespace
 * @ifindex: device
 * @d:       result; what kernel or driver do not tell is marked by has_* and is no error
 * @f:       told why not
 *
 * Return: 0, -ENODEV when there is no such device, or another -errno
 */
int devinfo_get(uint32_t ifindex, struct devinfo *d, struct fault *f);

struct devwatch;

/**
 * devwatch_open() - Subscribe to changes of what devinfo_get() tells
 * @out:     result; devwatch_close() it
 * @changed: called in devwatch_read(); @ifindex 0 means any device, when notifications were lost
 * @ctx:     for @changed
 * @f:       told why not
 *
 * A kernel that lacks one of the two families is watched by the other.
 * Return: 0 or -errno
 */
int devwatch_open(struct devwatch **out, void (*changed)(void *ctx, uint32_t ifindex), void *ctx, struct fault *f);

/** devwatch_close() - NULL is fine. */
void devwatch_close(struct devwatch *w);

/** devwatch_fd() - To be polled for reading; devwatch_read() when it is ready. */
int devwatch_fd(const struct devwatch *w);

/** devwatch_read() - Take what has come, without blocking. Return: 0 or -errno with @f filled */
int devwatch_read(struct devwatch *w, struct fault *f);

#endif
