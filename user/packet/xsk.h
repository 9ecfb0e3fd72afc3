/* SPDX-License-Identifier: MIT */
/* Ports on AF_XDP sockets: one for each queue of a device, on rings and a UMEM registration of our own. */
#ifndef USER_PACKET_XSK_H
#define USER_PACKET_XSK_H

#include <stdbool.h>
#include <stdint.h>

#include "common/fault.h"
#include "user/packet/port.h"

struct xsk_params {
	/* Powers of two; 0: 2048, and a completion ring as long as the transmit ring. */
	uint32_t rx_entries, tx_entries, fill_entries;
	uint32_t headroom_bytes;	/* to be left free beyond XDP's 256 */
	bool generic;			/* the XDP program is attached in generic mode */
	bool rx_meta;			/* the XDP program writes struct sluice_rx_meta */
	/* What the kernel's netdev family says of the driver; all 0 when it was not asked. */
	uint32_t zc_max_segs;		/* NETDEV_A_DEV_XDP_ZC_MAX_SEGS */
	bool zc_tx_checksum;		/* NETDEV_XSK_FLAGS_TX_CHECKSUM */
	/* Switches: each says not to try. */
	bool no_zero_copy;
	bool no_sg;
	bool no_tx_metadata;
	bool no_need_wakeup;
	/* Busy polling: the kernel's driver runs in the worker's system calls. */
	bool busy_poll;
	uint32_t busy_poll_us;		/* 0: 20 */
	uint32_t busy_poll_budget;	/* 0: 64 */
};

/** xsk_single_mtu() - The largest MTU whose frames, two VLAN tags included, fit one frame of memory. */
uint32_t xsk_single_mtu(uint32_t chunk_bytes);

/**
 * xsk_open() - Open one queue of a device.
 * @port:   name, device, ifindex, mtu_bytes and id are set; caps, mode, reasons and queues are filled in
 * @out:    its fd goes into the XDP program's map of sockets
 *
 * Each socket registers the worker's whole area as its own UMEM: sockets that share one also share the mode and flags
 * of whichever was bound first. Tries zero-copy before copy mode, and multi-buffer before single-buffer in each; why a
 * better way was not taken is in port->reasons. A queue that is just being released is waited for, one second.
 *
 * The fill ring takes its length in frames at once, and the transmit ring up to its own: an area must hold those of all
 * queues of its worker, and what the engine itself has in hand. Whether the device may deliver partial checksums
 * (PORT_CAP_RX_PARTIAL) is for the caller to say, who knows its driver. When the kernel refuses metadata while running,
 * update() takes PORT_CAP_TX_PARTIAL away.
 *
 * Return: 0, or a negative errno with the reason in @f
 */
int xsk_open(struct port *port, const struct port_queue_params *queue, const struct xsk_params *params,
	     struct port_queue **out, struct fault *f);

#endif
