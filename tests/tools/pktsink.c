// SPDX-License-Identifier: MIT
/*
 * pktsink: how many arrive, exactly, at the least cost.
 *
 *   --udp PORT     datagrams that reach a UDP socket: a filter refuses each after all of the kernel's UDP input, so
 *                  that none wakes the program or waits in a buffer. The socket counts what it refused.
 *   --device DEV   frames on a device, with --filter EXPRESSION those that match (libpcap syntax): a packet socket
 *                  that is never read counts its drops as well.
 *
 * Prints "ready", then every --interval ms a line "NANOSECONDS TOTAL" (monotonic clock), and one more at SIGTERM.
 */
#include "packet_socket.h"

#include <getopt.h>
#include <linux/filter.h>
#include <linux/sock_diag.h>
#include <pcap/pcap.h>
#include <poll.h>
#include <signal.h>

#ifndef SO_MEMINFO
#define SO_MEMINFO 55
#endif

static volatile sig_atomic_t stopped;

static void on_signal(int sig)
{
	(void)sig;
	stopped = 1;
}

static int udp_open(uint16_t port)
{
	struct sockaddr_in6 sa = { .sin6_family = AF_INET6, .sin6_port = htons(port) };
	struct sock_filter refuse = BPF_STMT(BPF_RET | BPF_K, 0);
	struct sock_fprog prog = { 1, &refuse };
	int fd = socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0);	/* IPv4 too */

	if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &prog, sizeof(prog)) < 0 ||
	    bind(fd, (struct sockaddr *)&sa, sizeof(sa)) < 0)
		die("UDP port %u", port);
	return fd;
}

/* 32 bits in the kernel: taken often enough, differences do not wrap. */
static uint64_t udp_count(int fd)
{
	static uint64_t total;
	static uint32_t last;
	uint32_t info[SK_MEMINFO_VARS] = { 0 };
	socklen_t len = sizeof(info);

	if (getsockopt(fd, SOL_SOCKET, SO_MEMINFO, info, &len) < 0)
		die("SO_MEMINFO");
	total += info[SK_MEMINFO_DROPS] - last;
	last = info[SK_MEMINFO_DROPS];
	return total;
}

static int device_open(const char *dev, const char *filter)
{
	int fd = packet_socket(dev, ETH_P_ALL, false), small = 1;
	struct bpf_program compiled;
	char err[PCAP_ERRBUF_SIZE] = "";
	/* Compiled for this device: the kernel keeps VLAN tags beside the frame, and libpcap knows where. */
	pcap_t *p = pcap_open_live(dev, 1, 0, 1, err);

	if (!p) {
		fprintf(stderr, "pktsink: %s: %s\n", dev, err);
		exit(1);
	}
	if (pcap_compile(p, &compiled, filter, 1, PCAP_NETMASK_UNKNOWN) < 0) {
		fprintf(stderr, "pktsink: --filter %s: %s\n", filter, pcap_geterr(p));
		exit(2);
	}
	pcap_close(p);
	struct sock_fprog prog = { (unsigned short)compiled.bf_len, (struct sock_filter *)compiled.bf_insns };
	struct tpacket_stats st;
	socklen_t len = sizeof(st);

	if (setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &small, sizeof(small)) < 0 ||
	    setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &prog, sizeof(prog)) < 0 ||
	    getsockopt(fd, SOL_PACKET, PACKET_STATISTICS, &st, &len) < 0)	/* what came before the filter: forgotten */
		die("filter on %s", dev);
	return fd;
}

static uint64_t device_count(int fd)
{
	static uint64_t total;
	struct tpacket_stats st;
	socklen_t len = sizeof(st);

	if (getsockopt(fd, SOL_PACKET, PACKET_STATISTICS, &st, &len) < 0)
		die("PACKET_STATISTICS");
	return total += st.tp_packets;		/* drops are counted in it; reading resets */
}

int main(int argc, char **argv)
{
	static const struct option longs[] = {
		{ "udp", 1, 0, 'u' }, { "device", 1, 0, 'd' }, { "filter", 1, 0, 'f' }, { "interval", 1, 0, 'i' }, { 0 },
	};
	struct sigaction sa = { .sa_handler = on_signal };
	const char *dev = NULL, *filter = "";
	int c, fd, port = -1, interval_ms = 100;

	while ((c = getopt_long(argc, argv, "", longs, NULL)) != -1) {
		switch (c) {
		case 'u': port = (int)option_number("udp", optarg, 1, 65535); break;
		case 'd': dev = optarg; break;
		case 'f': filter = optarg; break;
		case 'i': interval_ms = (int)option_number("interval", optarg, 1, 1e6); break;
		default: optind = argc + 1; break;
		}
	}
	if (optind != argc || (port < 0) == !dev) {
		fputs("usage: pktsink --udp PORT | --device DEV [--filter EXPRESSION] [--interval MS]\n", stderr);
		return 2;
	}
	sigaction(SIGTERM, &sa, NULL);
	sigaction(SIGINT, &sa, NULL);
	fd = dev ? device_open(dev, filter) : udp_open((uint16_t)port);
	puts("ready");
	do {
		printf("%lu %lu\n", now_ns(), dev ? device_count(fd) : udp_count(fd));
		fflush(stdout);
	} while (!stopped && (poll(NULL, 0, interval_ms) == 0 || errno == EINTR));
	printf("%lu %lu\n", now_ns(), dev ? device_count(fd) : udp_count(fd));
	return 0;
}
