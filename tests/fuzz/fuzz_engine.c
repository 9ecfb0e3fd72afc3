/* SPDX-License-Identifier: MIT */
/*
 * The whole packet path: frames into the ports of an engine in memory, in sequence.
 *
 * The input is a list of events. The first byte of each says which; frames follow with their length in two bytes and,
 * from the TUN, a struct virtio_net_hdr in front. After each input all packets are in the books and all frames home.
 */
#include "tests/unit/gateway/rig_world.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum event { FRAME_LAN, FRAME_WAN, FRAME_TUN, RUN, TIME, WORLD, EVENTS };

static struct rig rig;
static struct frame scratch;

struct cursor {
	const uint8_t *at, *end;
};

static size_t left(const struct cursor *c)
{
	return (size_t)(c->end - c->at);
}

static void frame_event(struct cursor *c, unsigned int port)
{
	struct virtio_net_hdr h = { 0 };
	size_t len;

	if (left(c) < 2)
		return;
	len = be16_at(c->at);
	c->at += 2;
	if (port == TUN) {
		if (left(c) < sizeof(h))
			return;
		memcpy(&h, c->at, sizeof(h));
		c->at += sizeof(h);
	}
	if (len > left(c))
		len = left(c);
	if (len == 0)
		return;
	/* A full ring is the device's loss. */
	if (port == TUN)
		(void)memtun_inject(rig.q[TUN], c->at, (uint32_t)len, &h);
	else
		(void)memport_inject(rig.q[port], c->at, (uint32_t)len);
	c->at += len;
}

/* One byte of what may change: neighbours, link state, MTU. */
static void world_event(uint8_t how)
{
	rig.no_neighbours = how & 1;
	rig.failed_neighbours = how & 2;
	rig.iface[WAN].up = !(how & 4);
	rig.iface[WAN].mtu_bytes = how & 8 ? 68 + 4u * (how >> 4) : 1500;
	rig_publish(&rig);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct cursor c = { data, data + size };

	if (!rig.e)
		rig_world(&rig, PORT_CAP_TX_PARTIAL);
	while (left(&c) > 0) {
		enum event e = (enum event)(*c.at++ % EVENTS);

		switch (e) {
		case FRAME_LAN:
		case FRAME_WAN:
		case FRAME_TUN:
			frame_event(&c, (unsigned int)e);
			break;
		case RUN:
			rig_world_settle(&rig, &scratch);
			break;
		case TIME:
			rig_later(&rig, 500 * NS_PER_MS);
			break;
		default:
			world_event(left(&c) ? *c.at++ : 0);
			break;
		}
	}
	rig_world_settle(&rig, &scratch);
	rig_world_check(&rig);
	world_event(0);
	return 0;
}
