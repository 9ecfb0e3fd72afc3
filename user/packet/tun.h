/* SPDX-License-Identifier: MIT */
/*
 * Ports on a TUN device: the host's own applications, on the other side of the engine. Superpackets and partial
 * checksums cross in both directions by virtio_net_hdr; each queue is one worker's.
 */
#ifndef USER_PACKET_TUN_H
#define USER_PACKET_TUN_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "common/fault.h"
#include "user/packet/port.h"

struct tun_params {
	uint32_t txqueuelen;		/* packets that wait for us in the kernel; 0: 1000 */
	bool persistent;		/* make the device outlive the process; one that does already is left so */
	bool stay_down;			/* do not set it up */
	bool has_owner;			/* @owner may open queues of the device without privileges */
	uid_t owner;
	/* Switches: each says not to ask for it, nor to send it. */
	bool no_csum;			/* implies the others */
	bool no_tso4;
	bool no_tso6;
	bool no_uso;
};

/**
 * tun_open() - Open one queue; the first one makes the device, or takes a persistent one.
 * @port: name, id and mtu_bytes (0: 1500) are set; device is its name, may be empty or hold a "%d", and is then filled
 *        in, as are ifindex, caps, mode, reasons and queues
 *
 * When the kernel refuses one kind of superpacket again and again while running, update() takes its capability away.
 *
 * Return: 0, or a negative errno with the reason in @f
 */
int tun_open(struct port *port, const struct port_queue_params *queue, const struct tun_params *params,
	     struct port_queue **out, struct fault *f);

#endif
