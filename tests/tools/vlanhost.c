// SPDX-License-Identifier: MIT
/*
 * vlanhost: a tagged host on a kernel without 802.1Q devices.
 *
 *   kernel of the namespace <-> TAP (untagged) <-> vlanhost <-> packet socket <-> veth (tagged)
 *
 * Frames from the TAP get the tags on their way out; of what comes in, only frames with exactly these tags reach the
 * TAP. A partial checksum of the other side stays partial (virtio_net_hdr on both), so that the tagged host accepts
 * what an untagged one does. With --partial its own checksums leave partial too, as those of a local sender do.
 */
#include "packet_socket.h"

#include <fcntl.h>
#include <getopt.h>
#include <linux/if_tun.h>
#include <linux/virtio_net.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/uio.h>

#define FRAME_MAX (65536u + 64u)
#define VNET_LEN  sizeof(struct virtio_net_hdr)

struct tags {
	unsigned int n;
	struct {
		uint16_t tpid, vid;
	} at[2];		/* outer first */
};

static struct tags parse_tags(const char *text)
{
	struct tags t = { 0 };
	char *end;
	unsigned long outer = strtoul(text, &end, 10), inner = 0;
	bool two = *end == '.';

	if (two)
		inner = strtoul(end + 1, &end, 10);
	if (end == text || *end || outer < 1 || outer > 4094 || inner > 4094 || (two && !inner)) {
		fprintf(stderr, "vlanhost: --tags %s: want VLAN or OUTER.INNER, each from 1 to 4094\n", text);
		exit(2);
	}
	if (two) {
		t.at[t.n].tpid = ETH_P_8021AD;
		t.at[t.n++].vid = (uint16_t)outer;
	}
	t.at[t.n].tpid = ETH_P_8021Q;
	t.at[t.n++].vid = (uint16_t)(two ? inner : outer);
	return t;
}

/* The TAP has the veth's MAC address: the host answers for one address, tagged or not. */
static int tap_open(const char *name, const char *dev, int mtu, bool partial)
{
	struct ifreq ifr = { .ifr_flags = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR }, mac = { 0 };
	int fd = open("/dev/net/tun", O_RDWR | O_CLOEXEC | O_NONBLOCK), ctl = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	if (fd < 0 || ctl < 0)
		die("open /dev/net/tun");
	snprintf(ifr.ifr_name, sizeof(ifr.ifr_name), "%s", name);
	snprintf(mac.ifr_name, sizeof(mac.ifr_name), "%s", dev);
	if (ioctl(fd, TUNSETIFF, &ifr) < 0 || ioctl(fd, TUNSETOFFLOAD, partial ? TUN_F_CSUM : 0) < 0)
		die("tap %s", name);
	if (ioctl(ctl, SIOCGIFHWADDR, &mac) < 0)
		die("address of %s", dev);
	snprintf(mac.ifr_name, sizeof(mac.ifr_name), "%s", name);
	if (ioctl(ctl, SIOCSIFHWADDR, &mac) < 0)
		die("address of %s", name);
	ifr.ifr_mtu = mtu;
	if (ioctl(ctl, SIOCSIFMTU, &ifr) < 0)
		die("MTU of %s", name);
	ifr.ifr_flags = IFF_UP;
	if (ioctl(ctl, SIOCSIFFLAGS, &ifr) < 0)
		die("%s up", name);
	close(ctl);
	return fd;
}

/* virtio_net_hdr counts from the start of the frame: @by octets of tags came in between, or are gone. */
static void vnet_shift(struct virtio_net_hdr *h, int by)
{
	if (h->flags & VIRTIO_NET_HDR_F_NEEDS_CSUM)
		h->csum_start = (uint16_t)(h->csum_start + by);
	if (h->gso_type != VIRTIO_NET_HDR_GSO_NONE)
		h->hdr_len = (uint16_t)(h->hdr_len + by);
}

/* TAP -> wire. Return: false when there is nothing more to read */
static bool tag_out(int tap, int wire, const struct tags *t, uint8_t *buf)
{
	ssize_t n = read(tap, buf, FRAME_MAX);
	struct virtio_net_hdr *h = (struct virtio_net_hdr *)buf;
	uint8_t tag[8], *eth = buf + VNET_LEN;

	if (n < 0 && errno == EAGAIN)
		return false;
	if (n < (ssize_t)(VNET_LEN + ETH_HLEN))
		die("read from the tap");
	for (unsigned int i = 0; i < t->n; i++) {
		uint16_t v[2] = { htons(t->at[i].tpid), htons(t->at[i].vid) };

		memcpy(tag + (size_t)i * 4, v, 4);
	}
	struct iovec iov[] = {
		{ h, VNET_LEN }, { eth, 12 }, { tag, (size_t)t->n * 4 }, { eth + 12, (size_t)n - VNET_LEN - 12 },
	};
	vnet_shift(h, (int)t->n * 4);
	/* A full device drops the frame, as a wire does. */
	if (writev(wire, iov, 4) < 0 && errno != ENOBUFS && errno != ENETDOWN && errno != EMSGSIZE && errno != EAGAIN)
		die("send a tagged frame");
	return true;
}

/*
 * Wire -> TAP. The kernel has taken the outermost tag off and tells it beside the frame.
 * Return: false when there is nothing more to read
 */
static bool tag_in(int wire, int tap, const struct tags *t, uint8_t *buf)
{
	union {
		struct cmsghdr align;
		uint8_t room[CMSG_SPACE(sizeof(struct tpacket_auxdata))];
	} control;
	struct iovec in = { buf, FRAME_MAX };
	struct msghdr msg = { .msg_iov = &in, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof(control) };
	ssize_t n = recvmsg(wire, &msg, MSG_DONTWAIT);
	struct tpacket_auxdata aux = { 0 };
	uint8_t *eth = buf + VNET_LEN;
	uint16_t v[2];

	if (n < 0 && (errno == EAGAIN || errno == ENETDOWN))
		return false;
	if (n < 0)
		die("receive");
	for (struct cmsghdr *c = CMSG_FIRSTHDR(&msg); c; c = CMSG_NXTHDR(&msg, c))
		if (c->cmsg_level == SOL_PACKET && c->cmsg_type == PACKET_AUXDATA)
			memcpy(&aux, CMSG_DATA(c), sizeof(aux));
	if (n < (ssize_t)(VNET_LEN + ETH_HLEN) || !(aux.tp_status & TP_STATUS_VLAN_VALID) ||
	    aux.tp_vlan_tpid != t->at[0].tpid || (aux.tp_vlan_tci & 0xfff) != t->at[0].vid)
		return true;
	memcpy(v, eth + 12, 4);
	if (t->n == 1) {
		/* A frame with more tags is another network's. */
		if (v[0] == htons(ETH_P_8021Q) || v[0] == htons(ETH_P_8021AD))
			return true;
		if (write(tap, buf, (size_t)n) < 0 && errno != EIO && errno != EINVAL)
			die("write to the tap");
		return true;
	}
	if (v[0] != htons(t->at[1].tpid) || (ntohs(v[1]) & 0xfff) != t->at[1].vid || n < (ssize_t)(VNET_LEN + ETH_HLEN + 4))
		return true;
	struct iovec out[] = { { buf, VNET_LEN + 12 }, { eth + 16, (size_t)n - VNET_LEN - 16 } };

	vnet_shift((struct virtio_net_hdr *)buf, -4);
	if (writev(tap, out, 2) < 0 && errno != EIO && errno != EINVAL)
		die("write to the tap");
	return true;
}

int main(int argc, char **argv)
{
	static const struct option longs[] = {
		{ "device", 1, 0, 'd' }, { "tap", 1, 0, 't' }, { "tags", 1, 0, 'v' }, { "mtu", 1, 0, 'm' },
		{ "partial", 0, 0, 'p' }, { 0 },
	};
	const char *dev = NULL, *tap_name = NULL, *tags = NULL;
	int c, one = 1, mtu = 1500;
	bool partial = false;
	static uint8_t buf[FRAME_MAX] __attribute__((aligned(8)));

	while ((c = getopt_long(argc, argv, "", longs, NULL)) != -1) {
		switch (c) {
		case 'd': dev = optarg; break;
		case 't': tap_name = optarg; break;
		case 'v': tags = optarg; break;
		case 'm': mtu = (int)option_number("mtu", optarg, 68, 65521); break;
		case 'p': partial = true; break;
		default: dev = NULL; optind = argc; break;
		}
	}
	if (!dev || !tap_name || !tags || optind != argc) {
		fputs("usage: vlanhost --device DEV --tap NAME --tags VLAN|OUTER.INNER [--mtu N] [--partial]\n", stderr);
		return 2;
	}
	struct tags t = parse_tags(tags);
	int wire = packet_socket(dev, ETH_P_ALL, true), tap;

	if (setsockopt(wire, SOL_PACKET, PACKET_AUXDATA, &one, sizeof(one)) < 0)
		die("PACKET_AUXDATA");
	tap = tap_open(tap_name, dev, mtu, partial);
	for (;;) {
		struct pollfd fds[] = { { .fd = wire, .events = POLLIN }, { .fd = tap, .events = POLLIN } };

		if (poll(fds, 2, -1) < 0 && errno != EINTR)
			die("poll");
		for (int i = 0; i < 64 && tag_in(wire, tap, &t, buf); i++)
			;
		for (int i = 0; i < 64 && tag_out(tap, wire, &t, buf); i++)
			;
	}
}
