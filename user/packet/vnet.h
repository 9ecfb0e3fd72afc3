/* SPDX-License-Identifier: MIT */
/* Offload state in a virtio_net_hdr, as TUN devices and packet sockets carry it, and the same in struct pkt. */
#ifndef USER_PACKET_VNET_H
#define USER_PACKET_VNET_H

#include <linux/virtio_net.h>

#include "user/packet/pkt.h"

/**
 * vnet_read() - Take over what a header says of an IP packet.
 * @p: starts with its IP header; off, len, total_bytes are set. csum, gso and what belongs to them are written, in
 *     offsets from the frame's first byte
 * @h: as received; nothing in it is trusted. hdr_len is not even read: senders fill in what they like, so the length of
 *     the headers is computed
 *
 * A superpacket that fits in one segment is none.
 * Return: DROP_NONE; DROP_csum_bad, DROP_gso_bad or DROP_gso_unsupported when packet and header do not agree
 */
enum drop vnet_read(struct pkt *p, const struct virtio_net_hdr *h);

/**
 * vnet_write() - Say the same to the kernel.
 * @p:     a packet whose csum and gso state is right, all headers in its first frame
 * @start: offset in the frame of the first byte that is given to the kernel
 *
 * Return: DROP_NONE; DROP_gso_bad when a superpacket's checksum is not partial: the kernel could not segment it;
 * DROP_csum_bad when the checksum does not lie behind @start, in the first frame
 */
enum drop vnet_write(const struct pkt *p, uint16_t start, struct virtio_net_hdr *h);

#endif
