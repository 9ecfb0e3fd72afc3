// SPDX-License-Identifier: MIT
/*
 * pktgen: frames into a device, as fast as it takes them, by a packet socket.
 *
 *   udp      UDP datagrams of one size, round robin over some flows: a flood
 *   mix      TCP segments, UDP, IPv4 and IPv6 fragments, ICMP, extension headers, tags, random octets: a load for hours
 *   mutate   the same (or the frames of a pcap file) with octets overwritten, cut, lengthened: hostile input
 *
 * Into a device without a link layer (a TUN) go the same packets from behind the Ethernet header on.
 *
 * Frame number n depends on the seed and on n alone, so a failure can be sent again. What a full device refuses is
 * counted and, with --exact, sent again, so that exactly --count frames are on the wire at the end. The last line
 * says what was sent.
 */
#include "packet_socket.h"

#include <arpa/inet.h>
#include <getopt.h>
#include <net/if_arp.h>
#include <netinet/ether.h>
#include <pcap/pcap.h>
#include <poll.h>
#include <signal.h>
#include <sys/ioctl.h>

#define BATCH	  64u
#define FRAME_MAX 9216u
#define SEEDS_MAX 4096u

enum mode { MODE_UDP, MODE_MIX, MODE_MUTATE };

static struct {
	enum mode mode;
	const char *dev;
	uint8_t macs[12];			/* destination, source */
	bool v6;
	uint8_t src4[4], dst4[4], src6[16], dst6[16];
	uint16_t sport, dport;
	unsigned int size, flows, mtu;		/* size: of the frame, without FCS */
	uint64_t count, seed;
	double rate, seconds;
	bool exact, qdisc;
} opt = {
	.src4 = { 10, 1, 0, 2 }, .dst4 = { 10, 2, 0, 2 },
	.src6 = { 0xfd, 1, [15] = 2 }, .dst6 = { 0xfd, 2, [15] = 2 },
	.sport = 1024, .dport = 9, .size = 60, .flows = 1, .mtu = 1500, .seed = 1,
};

static struct {
	uint8_t *data;
	unsigned int len;
} seeds[SEEDS_MAX];
static unsigned int n_seeds;
static volatile sig_atomic_t stopped;

static void on_signal(int sig)
{
	(void)sig;
	stopped = 1;
}

/* ---- Headers ----------------------------------------------------------------------------------------------------- */

static void put16(uint8_t *p, unsigned int v)
{
	p[0] = (uint8_t)(v >> 8);
	p[1] = (uint8_t)v;
}

static uint32_t sum16(const uint8_t *p, size_t n, uint32_t sum)
{
	for (; n > 1; n -= 2, p += 2)
		sum += (uint32_t)p[0] << 8 | p[1];
	return n ? sum + ((uint32_t)p[0] << 8) : sum;
}

static unsigned int fold(uint32_t sum)
{
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return ~sum & 0xffff;
}

static uint8_t *put_eth(uint8_t *f, unsigned int ethertype)
{
	memcpy(f, opt.macs, 12);
	put16(f + 12, ethertype);
	return f + ETH_HLEN;
}

/* @off_flags: the third word's fragment half. */
static uint8_t *put_ip4(uint8_t *p, unsigned int proto, size_t payload, unsigned int id, unsigned int off_flags)
{
	memset(p, 0, 20);
	p[0] = 0x45;
	put16(p + 2, (unsigned int)payload + 20);
	put16(p + 4, id);
	put16(p + 6, off_flags);
	p[8] = 64;
	p[9] = (uint8_t)proto;
	memcpy(p + 12, opt.src4, 4);
	memcpy(p + 16, opt.dst4, 4);
	put16(p + 10, fold(sum16(p, 20, 0)));
	return p + 20;
}

static uint8_t *put_ip6(uint8_t *p, unsigned int next, size_t payload)
{
	memset(p, 0, 8);
	p[0] = 0x60;
	put16(p + 4, (unsigned int)payload);
	p[6] = (uint8_t)next;
	p[7] = 64;
	memcpy(p + 8, opt.src6, 16);
	memcpy(p + 24, opt.dst6, 16);
	return p + 40;
}

/* The checksum at @at of a transport of @len octets; ICMP over IPv4 has no pseudo header. */
static void put_csum(uint8_t *l4, size_t len, size_t at, unsigned int proto, bool v6)
{
	uint32_t sum = 0;
	unsigned int c;

	if (v6)
		sum = sum16(opt.dst6, 16, sum16(opt.src6, 16, 0));
	else if (proto != IPPROTO_ICMP)
		sum = sum16(opt.dst4, 4, sum16(opt.src4, 4, 0));
	if (v6 || proto != IPPROTO_ICMP)
		sum += proto + (uint32_t)len;
	put16(l4 + at, 0);
	c = fold(sum16(l4, len, sum));
	put16(l4 + at, c == 0 && proto == IPPROTO_UDP ? 0xffff : c);
}

static void put_udp(uint8_t *l4, size_t len, unsigned int flow, bool v6)
{
	put16(l4, opt.sport + flow);
	put16(l4 + 2, opt.dport);
	put16(l4 + 4, (unsigned int)len);
	put_csum(l4, len, 6, IPPROTO_UDP, v6);
}

/* ---- Frames: each fills @f and returns its length ---------------------------------------------------------------- */

static unsigned int frame_udp(uint8_t *f, unsigned int flow)
{
	size_t l3 = opt.v6 ? 40 : 20, len = opt.size - ETH_HLEN - l3;
	uint8_t *p = put_eth(f, opt.v6 ? ETH_P_IPV6 : ETH_P_IP);

	memset(f + ETH_HLEN, 0, opt.size - ETH_HLEN);
	p = opt.v6 ? put_ip6(p, IPPROTO_UDP, len) : put_ip4(p, IPPROTO_UDP, len, 0, 0x4000);
	put_udp(p, len, flow, opt.v6);
	return opt.size;
}

static void fill(uint8_t *p, size_t n, uint64_t r)
{
	for (size_t i = 0; i < n; i += 8) {
		uint64_t v = mix64(r, i);

		memcpy(p + i, &v, n - i < 8 ? n - i : 8);
	}
}

/* A datagram of @total octets as the fragment at @off, in multiples of 8. */
static unsigned int frame_fragment(uint8_t *f, uint64_t r, bool v6)
{
	unsigned int id = (unsigned int)(r >> 8) & 0xffff, at = (unsigned int)(r >> 24) % 3;
	unsigned int len = 8 + (unsigned int)(r >> 32) % 64 * 8;
	bool more = at < 2;
	uint8_t *p = put_eth(f, v6 ? ETH_P_IPV6 : ETH_P_IP);

	/* At 0 the first, at 1 a middle, at 2 a last; overlaps and gaps come by themselves, the lengths differ. */
	if (v6) {
		p = put_ip6(p, IPPROTO_FRAGMENT, len + 8);
		memset(p, 0, 8);
		p[0] = IPPROTO_UDP;
		put16(p + 2, at * 256 | (more ? 1u : 0));
		put16(p + 6, id);
		p += 8;
	} else {
		p = put_ip4(p, IPPROTO_UDP, len, id, at * 32 | (more ? 0x2000u : 0));
	}
	fill(p, len, r);
	return (unsigned int)(p + len - f);
}

static unsigned int frame_tcp(uint8_t *f, uint64_t r, bool v6)
{
	size_t mss = opt.mtu - (v6 ? 60u : 40u), len = 20 + (r >> 20 & 3 ? (size_t)(r >> 24) % mss : mss);
	uint8_t *p = put_eth(f, v6 ? ETH_P_IPV6 : ETH_P_IP);

	p = v6 ? put_ip6(p, IPPROTO_TCP, len) : put_ip4(p, IPPROTO_TCP, len, (unsigned int)r & 0xffff, 0x4000);
	fill(p, len, r);		/* sequence numbers, flags and window at random */
	put16(p, 1024 + (unsigned int)(r >> 40) % 256);
	put16(p + 2, 80);
	p[12] = 0x50;
	put_csum(p, len, 16, IPPROTO_TCP, v6);
	return (unsigned int)(p + len - f);
}

static unsigned int frame_echo(uint8_t *f, uint64_t r, bool v6)
{
	size_t len = 8 + (size_t)(r >> 24) % 512;
	uint8_t *p = put_eth(f, v6 ? ETH_P_IPV6 : ETH_P_IP);

	p = v6 ? put_ip6(p, IPPROTO_ICMPV6, len) : put_ip4(p, IPPROTO_ICMP, len, (unsigned int)r & 0xffff, 0);
	fill(p, len, r);
	p[0] = v6 ? 128 : 8;
	p[1] = 0;
	put_csum(p, len, 2, v6 ? IPPROTO_ICMPV6 : IPPROTO_ICMP, v6);
	return (unsigned int)(p + len - f);
}

static unsigned int frame_plain_udp(uint8_t *f, uint64_t r, bool v6)
{
	size_t len = 8 + (size_t)(r >> 24) % (opt.mtu - 48);
	uint8_t *p = put_eth(f, v6 ? ETH_P_IPV6 : ETH_P_IP);

	p = v6 ? put_ip6(p, IPPROTO_UDP, len) : put_ip4(p, IPPROTO_UDP, len, (unsigned int)r & 0xffff, 0);
	fill(p, len, r);
	put_udp(p, len, (unsigned int)(r >> 48) % 256, v6);
	return (unsigned int)(p + len - f);
}

/* Hop-by-hop and destination options with a PadN, then UDP. */
static unsigned int frame_extensions(uint8_t *f, uint64_t r)
{
	size_t len = 8 + (size_t)(r >> 24) % 256;
	uint8_t *p = put_ip6(put_eth(f, ETH_P_IPV6), IPPROTO_HOPOPTS, len + 16);

	for (unsigned int i = 0; i < 2; i++, p += 8) {
		memset(p, 0, 8);
		p[0] = i ? IPPROTO_UDP : IPPROTO_DSTOPTS;
		p[2] = 1;
		p[3] = 4;
	}
	fill(p, len, r);
	put_udp(p, len, 0, true);
	return (unsigned int)(p + len - f);
}

static unsigned int frame_tagged(uint8_t *f, uint64_t r)
{
	unsigned int tags = 1 + (r >> 16 & 1), tag_len = tags * 4, len = frame_echo(f, r, r >> 17 & 1);
	uint8_t *tag = f + 12;

	memmove(f + 12 + tag_len, f + 12, len - 12);
	for (unsigned int i = 0; i < tags; i++, tag += 4) {
		put16(tag, i + 1 < tags ? ETH_P_8021AD : ETH_P_8021Q);
		put16(tag + 2, 10 * (i + 1));
	}
	return len + tag_len;
}

static unsigned int frame_random(uint8_t *f, uint64_t r)
{
	static const uint16_t types[] = { ETH_P_IP, ETH_P_IPV6, ETH_P_ARP, ETH_P_8021Q, ETH_P_8021AD, 0x88b5 };
	unsigned int len = 14 + (unsigned int)(r >> 24) % opt.mtu;

	put_eth(f, types[(r >> 16) % 6]);
	fill(f + ETH_HLEN, len - ETH_HLEN, r);
	return len;
}

static unsigned int frame_mix(uint8_t *f, uint64_t r)
{
	bool v6 = r >> 63;

	switch ((r >> 4) % 16) {
	case 0 ... 6: return frame_tcp(f, r, v6);
	case 7 ... 9: return frame_plain_udp(f, r, v6);
	case 10:
	case 11: return frame_fragment(f, r, v6);
	case 12: return frame_echo(f, r, v6);
	case 13: return frame_extensions(f, r);
	case 14: return frame_tagged(f, r);
	default: return frame_random(f, r);
	}
}

static unsigned int frame_mutated(uint8_t *f, uint64_t r)
{
	static const uint8_t edge[] = { 0, 1, 0x7f, 0x80, 0xff, 0x44, 0x4f, 0x60 };
	unsigned int len, edits = 1 + (r >> 56) % 8;

	if (n_seeds) {
		len = seeds[r % n_seeds].len;
		memcpy(f, seeds[r % n_seeds].data, len);
		memcpy(f, opt.macs, 12);
	} else {
		len = frame_mix(f, r);
	}
	for (unsigned int i = 0; i < edits; i++) {
		uint64_t e = mix64(r, 0x10000 + i);
		/* Headers are where it matters: most edits hit the first 80 octets, few the MAC addresses. */
		unsigned int from = e % 32 ? ETH_HLEN - 2 : 0, span = (e >> 8) % 4 && len > 80 ? 80 : len;
		unsigned int at = from + (unsigned int)(e >> 16) % (span - from);

		if (e >> 60 < 8)
			f[at] ^= (uint8_t)(1u << (e >> 56 & 7));
		else if (e >> 60 < 12)
			f[at] = edge[(e >> 48) % sizeof(edge)];
		else
			f[at] = (uint8_t)(e >> 40);
	}
	switch (mix64(r, 0x20000) % 8) {
	case 0:			/* cut short */
		len = ETH_HLEN + (unsigned int)(mix64(r, 0x20001) % (len - ETH_HLEN + 1));
		break;
	case 1: {		/* with a tail */
		unsigned int add = (unsigned int)(mix64(r, 0x20002) % 64);

		add = len + add > opt.mtu + ETH_HLEN ? 0 : add;
		fill(f + len, add, r);
		len += add;
		break;
	}
	default:
		break;
	}
	return len;
}

static unsigned int frame_make(uint8_t *f, uint64_t n)
{
	uint64_t r = mix64(opt.seed, n);

	return opt.mode == MODE_MIX ? frame_mix(f, r) : frame_mutated(f, r);
}

static void seeds_load(const char *path)
{
	char err[PCAP_ERRBUF_SIZE];
	pcap_t *p = pcap_open_offline(path, err);
	struct pcap_pkthdr *h;
	const u_char *data;

	if (!p || pcap_datalink(p) != DLT_EN10MB) {
		fprintf(stderr, "pktgen: %s: %s\n", path, p ? "not Ethernet" : err);
		exit(1);
	}
	while (n_seeds < SEEDS_MAX && pcap_next_ex(p, &h, &data) == 1) {
		if (h->caplen < ETH_HLEN || h->caplen > opt.mtu + ETH_HLEN)
			continue;
		seeds[n_seeds].len = h->caplen;
		seeds[n_seeds].data = malloc(h->caplen);
		memcpy(seeds[n_seeds++].data, data, h->caplen);
	}
	pcap_close(p);
}

/* ---- Sending ----------------------------------------------------------------------------------------------------- */

static uint64_t sent, octets, refused;

/* Return: how many of the @n messages the device took */
static unsigned int send_batch(int fd, struct mmsghdr *m, unsigned int n)
{
	unsigned int done = 0, taken = 0;

	while (done < n && !stopped) {
		int got = sendmmsg(fd, m + done, n - done, 0);

		for (int i = 0; i < got; i++)
			octets += m[done + (unsigned int)i].msg_hdr.msg_iov->iov_len;
		if (got > 0) {
			done += (unsigned int)got;
			taken += (unsigned int)got;
			continue;
		}
		if (errno != ENOBUFS && errno != EAGAIN && errno != ENETDOWN && errno != EINTR)
			die("send on %s", opt.dev);
		refused++;
		if (!opt.exact)
			done++;
		else
			poll(NULL, 0, 1);		/* let the other side of the link drain */
	}
	sent += taken;
	return taken;
}

/* What of a frame does not go on the wire of this device. */
static size_t header_to_skip(int fd)
{
	struct ifreq ifr = { 0 };

	snprintf(ifr.ifr_name, sizeof(ifr.ifr_name), "%s", opt.dev);
	if (ioctl(fd, SIOCGIFHWADDR, &ifr) < 0)
		die("SIOCGIFHWADDR of %s", opt.dev);
	return ifr.ifr_hwaddr.sa_family == ARPHRD_NONE ? ETH_HLEN : 0;
}

/* From the octets of a frame to those that are sent; a packet of none is refused by the kernel. */
static void to_wire(struct iovec *v, size_t len, size_t skip)
{
	v->iov_base = (uint8_t *)v->iov_base + skip;
	v->iov_len = len > skip ? len - skip : 1;
}

static void run(int fd)
{
	static uint8_t frames[BATCH][FRAME_MAX];
	static struct iovec iov[BATCH];
	static struct mmsghdr m[BATCH];
	uint64_t start = now_ns(), end = opt.seconds > 0 ? start + (uint64_t)(opt.seconds * 1e9) : UINT64_MAX, n = 0;
	size_t skip = header_to_skip(fd);

	for (unsigned int i = 0; i < BATCH; i++) {
		iov[i].iov_base = frames[i];
		m[i].msg_hdr.msg_iov = &iov[i];
		m[i].msg_hdr.msg_iovlen = 1;
		to_wire(&iov[i], opt.mode == MODE_UDP ? frame_udp(frames[i], i % opt.flows) : 0, skip);
	}
	while (!stopped && n < opt.count) {
		unsigned int want = opt.count - n < BATCH ? (unsigned int)(opt.count - n) : BATCH;
		uint64_t now = now_ns();

		if (now >= end)
			break;
		if (opt.rate > 0) {
			double due = (double)(now - start) * 1e-9 * opt.rate - (double)n;

			if (due < 1) {
				poll(NULL, 0, 1);
				continue;
			}
			want = due < want ? (unsigned int)due : want;
		}
		/* Round robin goes on where the last, perhaps short, batch ended. */
		for (unsigned int i = 0; opt.mode == MODE_UDP && opt.flows > 1 && i < want; i++)
			iov[i].iov_base = frames[(n + i) % opt.flows] + skip;
		for (unsigned int i = 0; opt.mode != MODE_UDP && i < want; i++) {
			iov[i].iov_base = frames[i];
			to_wire(&iov[i], frame_make(frames[i], n + i), skip);
		}
		send_batch(fd, m, want);
		n += want;
	}
	printf("{\"sent\": %lu, \"bytes\": %lu, \"refused\": %lu, \"seconds\": %.6f}\n", sent, octets, refused,
	       (double)(now_ns() - start) * 1e-9);
}

/* ---- Options ----------------------------------------------------------------------------------------------------- */

static void addresses(const char *name, const char *text, uint8_t *a4, uint8_t *a6)
{
	if (inet_pton(AF_INET, text, a4) == 1)
		return;
	if (inet_pton(AF_INET6, text, a6) == 1) {
		opt.v6 = true;
		return;
	}
	fprintf(stderr, "pktgen: --%s %s: want an IPv4 or IPv6 address\n", name, text);
	exit(2);
}

static void mac(const char *name, const char *text, uint8_t *to)
{
	struct ether_addr *a = ether_aton(text);

	if (!a) {
		fprintf(stderr, "pktgen: --%s %s: want a MAC address\n", name, text);
		exit(2);
	}
	memcpy(to, a, 6);
}

static const char usage[] =
	"usage: pktgen udp|mix|mutate --device DEV --dmac MAC [--smac MAC] [--src IP] [--dst IP] [--sport N] [--dport N]\n"
	"              [--size OCTETS] [--flows N] [--mtu N] [--count N] [--seconds S] [--rate PPS] [--seed N]\n"
	"              [--seeds FILE.pcap] [--exact] [--qdisc]\n"
	"--src, --dst may be given twice, for IPv4 and IPv6; --size is without FCS: 60 is a 64-byte frame\n";

int main(int argc, char **argv)
{
	static const struct option longs[] = {
		{ "device", 1, 0, 'i' }, { "dmac", 1, 0, 'd' }, { "smac", 1, 0, 's' }, { "src", 1, 0, 'S' },
		{ "dst", 1, 0, 'D' }, { "sport", 1, 0, 'p' }, { "dport", 1, 0, 'P' }, { "size", 1, 0, 'z' },
		{ "flows", 1, 0, 'f' }, { "mtu", 1, 0, 'm' }, { "count", 1, 0, 'n' }, { "seconds", 1, 0, 't' },
		{ "rate", 1, 0, 'r' }, { "seed", 1, 0, 'x' }, { "seeds", 1, 0, 'X' }, { "exact", 0, 0, 'e' },
		{ "qdisc", 0, 0, 'q' }, { 0 },
	};
	static const char *const modes[] = { "udp", "mix", "mutate" };
	const char *dmac = NULL, *seeds_path = NULL;
	struct sigaction sa = { .sa_handler = on_signal };
	int c, fd, one = 1, mode = -1;

	for (int i = 0; argc > 1 && i < 3; i++)
		if (!strcmp(argv[1], modes[i]))
			mode = i;
	opt.macs[6] = 2;		/* locally administered */
	opt.count = UINT64_MAX;
	optind = 2;
	while (mode >= 0 && (c = getopt_long(argc, argv, "", longs, NULL)) != -1) {
		switch (c) {
		case 'i': opt.dev = optarg; break;
		case 'd': dmac = optarg; mac("dmac", optarg, opt.macs); break;
		case 's': mac("smac", optarg, opt.macs + 6); break;
		case 'S': addresses("src", optarg, opt.src4, opt.src6); break;
		case 'D': addresses("dst", optarg, opt.dst4, opt.dst6); break;
		case 'p': opt.sport = (uint16_t)option_number("sport", optarg, 0, 65535); break;
		case 'P': opt.dport = (uint16_t)option_number("dport", optarg, 0, 65535); break;
		case 'z': opt.size = (unsigned int)option_number("size", optarg, 42, FRAME_MAX); break;
		case 'f': opt.flows = (unsigned int)option_number("flows", optarg, 1, BATCH); break;
		case 'm': opt.mtu = (unsigned int)option_number("mtu", optarg, 576, FRAME_MAX - 128); break;
		case 'n': opt.count = (uint64_t)option_number("count", optarg, 0, 1e15); break;
		case 't': opt.seconds = option_number("seconds", optarg, 0, 1e6); break;
		case 'r': opt.rate = option_number("rate", optarg, 1, 1e9); break;
		case 'x': opt.seed = (uint64_t)option_number("seed", optarg, 0, 9e15); break;
		case 'X': seeds_path = optarg; break;
		case 'e': opt.exact = true; break;
		case 'q': opt.qdisc = true; break;
		default: mode = -1; break;
		}
	}
	if (mode < 0 || !opt.dev || !dmac || optind != argc || (mode == MODE_UDP && opt.v6 && opt.size < 62)) {
		fputs(usage, stderr);
		return 2;
	}
	opt.mode = (enum mode)mode;
	if (seeds_path)
		seeds_load(seeds_path);
	sigaction(SIGINT, &sa, NULL);
	sigaction(SIGTERM, &sa, NULL);
	fd = packet_socket(opt.dev, 0, false);
	if (!opt.qdisc && setsockopt(fd, SOL_PACKET, PACKET_QDISC_BYPASS, &one, sizeof(one)) < 0)
		die("PACKET_QDISC_BYPASS");
	run(fd);
	return 0;
}
