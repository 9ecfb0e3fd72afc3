/* SPDX-License-Identifier: (GPL-2.0-only OR MIT) */
/*
 * Kernel interfaces that are newer than the headers of Linux 6.1: the program is built against old headers and asks the
 * running kernel at run time. Each group names the kernel that brought it. For user space only.
 */
#ifndef SLUICE_COMPAT_H
#define SLUICE_COMPAT_H

#include <linux/if_tun.h>
#include <linux/if_xdp.h>
#include <linux/types.h>
#include <linux/virtio_net.h>
#include <sys/socket.h>

#ifndef AF_XDP
#define AF_XDP 44
#endif
#ifndef SOL_XDP
#define SOL_XDP 283
#endif

/* Linux 5.11 */
#ifndef SO_PREFER_BUSY_POLL
#define SO_PREFER_BUSY_POLL 69
#endif
#ifndef SO_BUSY_POLL_BUDGET
#define SO_BUSY_POLL_BUDGET 70
#endif

/* Linux 6.2: UDP segmentation by a TUN device */
#ifndef TUN_F_USO4
#define TUN_F_USO4 0x20
#endif
#ifndef TUN_F_USO6
#define TUN_F_USO6 0x40
#endif
#ifndef VIRTIO_NET_HDR_GSO_UDP_L4
#define VIRTIO_NET_HDR_GSO_UDP_L4 5
#endif

/* Linux 6.3: BPF programs bound to one device, which may call its RX metadata kfuncs */
#ifndef BPF_F_XDP_DEV_BOUND_ONLY
#define BPF_F_XDP_DEV_BOUND_ONLY (1U << 6)
#endif

/* Linux 6.6: packets of several buffers */
#ifndef XDP_USE_SG
#define XDP_USE_SG (1 << 4)
#endif
#ifndef XDP_PKT_CONTD
#define XDP_PKT_CONTD (1 << 0)
#endif

/* Linux 6.8: transmit metadata */
#ifndef XDP_TX_METADATA
#define XDP_TX_METADATA (1 << 1)
#endif
#ifndef XDP_UMEM_TX_SW_CSUM
#define XDP_UMEM_TX_SW_CSUM (1 << 1)
#endif
#ifndef XDP_TXMD_FLAGS_CHECKSUM
#define XDP_TXMD_FLAGS_TIMESTAMP (1 << 0)
#define XDP_TXMD_FLAGS_CHECKSUM	 (1 << 1)
#endif

/* Linux 6.11: tx_metadata_len counts only with this flag */
#ifndef XDP_UMEM_TX_METADATA_LEN
#define XDP_UMEM_TX_METADATA_LEN (1 << 2)
#endif

/* Linux 6.17: how many descriptors one sendto() moves in copy mode */
#ifndef XDP_MAX_TX_SKB_BUDGET
#define XDP_MAX_TX_SKB_BUDGET 9
#endif

/*
 * struct xdp_umem_reg of Linux 6.8. The last field lies where older kernels have padding, which they copy and do not
 * look at: that a registration succeeds says nothing about metadata.
 */
struct sluice_umem_reg {
	__u64 addr;
	__u64 len;
	__u32 chunk_size;
	__u32 headroom;
	__u32 flags;
	__u32 tx_metadata_len;
};

/* struct xsk_tx_metadata of Linux 6.14; of older ones the first 16 bytes. */
struct sluice_tx_metadata {
	__u64 flags;
	union {
		struct {
			__u16 csum_start;	/* from the descriptor's address */
			__u16 csum_offset;	/* from csum_start */
			__u64 launch_time_ns;
		} request;
		struct {
			__u64 tx_timestamp_ns;
		} completion;
	};
};

#endif
