// SPDX-License-Identifier: MIT
/*
 * A virtio_net_hdr, a number of bytes in further frames, and an IP packet. What is accepted must lie within the packet,
 * and must be what is written for it again.
 */
#include "user/packet/vnet.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void want(bool holds)
{
	if (!holds)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct virtio_net_hdr in, out;
	struct pkt p = { .next = PKT_NONE, .n_frames = 1 };
	uint16_t more;
	uint8_t *packet;

	if (size < sizeof(in) + sizeof(more) || size - sizeof(in) - sizeof(more) > 2048)
		return 0;
	memcpy(&in, data, sizeof(in));
	memcpy(&more, data + sizeof(in), sizeof(more));
	size -= sizeof(in) + sizeof(more);
	packet = malloc(size ? size : 1);	/* exact size: ASan sees overruns */
	memcpy(packet, data + sizeof(in) + sizeof(more), size);
	p.buf = packet;
	p.len = (uint16_t)size;
	p.total_bytes = (uint32_t)size + more;

	if (vnet_read(&p, &in) == DROP_NONE) {
		want(p.csum != PKT_CSUM_PARTIAL || (uint32_t)p.csum_start + p.csum_offset + 2 <= p.len);
		want(p.gso == PKT_GSO_NONE || p.csum == PKT_CSUM_PARTIAL);
		want(p.gso == PKT_GSO_NONE || (p.gso_size > 0 && p.gso_segs > 1));
		want(vnet_write(&p, p.off, &out) == DROP_NONE);
		want((out.flags & VIRTIO_NET_HDR_F_NEEDS_CSUM) == (in.flags & VIRTIO_NET_HDR_F_NEEDS_CSUM));
		if (out.flags & VIRTIO_NET_HDR_F_NEEDS_CSUM)
			want(out.csum_start == in.csum_start && out.csum_offset == in.csum_offset);
		if (p.gso != PKT_GSO_NONE) {
			uint32_t payload = p.total_bytes - out.hdr_len;

			want(out.gso_type == in.gso_type && out.gso_size == in.gso_size);
			want(out.hdr_len <= p.len && out.hdr_len > out.csum_start);
			want((uint32_t)p.gso_segs * p.gso_size >= payload);
			want((uint32_t)(p.gso_segs - 1) * p.gso_size < payload);
		}
	}
	free(packet);
	return 0;
}
