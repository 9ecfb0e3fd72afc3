/* SPDX-License-Identifier: MIT */
#include "user/packet/l2_groups.h"

#include <linux/if_packet.h>
#include <string.h>
#include <sys/socket.h>

int l2_groups_open(struct fault *f)
{
	/* Protocol 0: no packet is ever queued on it. */
	int fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0);

	return fd < 0 ? fault_errno(f, "packet socket for multicast groups") : fd;
}

int l2_groups_join(int fd, int ifindex, const uint8_t mac[6], struct fault *f)
{
	struct packet_mreq req = { .mr_ifindex = ifindex, .mr_type = PACKET_MR_MULTICAST, .mr_alen = 6 };

	memcpy(req.mr_address, mac, 6);
	if (setsockopt(fd, SOL_PACKET, PACKET_ADD_MEMBERSHIP, &req, sizeof(req)) < 0)
		return fault_errno(f, "multicast group %02x:%02x:%02x:%02x:%02x:%02x", mac[0], mac[1], mac[2], mac[3],
				   mac[4], mac[5]);
	return 0;
}
