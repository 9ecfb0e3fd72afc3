/* SPDX-License-Identifier: MIT */
/*
 * Forward packets through the whole engine on ports in memory, so that `valgrind --tool=callgrind` can count what a
 * packet costs without system calls: insn_fwd ip4_udp|ip6_tcp PACKETS
 *
 * Each packet of a batch goes to another destination; all of these lie behind one gateway.
 *
 * The driver's part (injecting, completing) is outside of what is counted: run with --toggle-collect=worker_step.
 */
#include <stdio.h>

#include "tests/unit/gateway/rig.h"

#define FLOWS 64	/* packets of one batch */

int main(int argc, char **argv)
{
	static struct frame f[FLOWS];
	unsigned long packets, done = 0;
	struct rig r;
	bool v6;

	if (argc != 3 || (strcmp(argv[1], "ip4_udp") && strcmp(argv[1], "ip6_tcp"))) {
		fprintf(stderr, "usage: insn_fwd ip4_udp|ip6_tcp PACKETS\n");
		return 2;
	}
	v6 = strcmp(argv[1], "ip6_tcp") == 0;
	packets = strtoul(argv[2], NULL, 10);
	rig_init(&r);
	for (unsigned int i = 0; i < FLOWS; i++) {
		char dst[INET6_ADDRSTRLEN];

		snprintf(dst, sizeof(dst), v6 ? "fd09:0:%x::7" : "10.9.%u.7", i);
		frame_eth(&f[i], MAC_LAN, MAC_H1, v6 ? ETH_P_IPV6 : ETH_P_IP);
		if (v6)
			frame_tcp(&f[i], "fd01::2", dst, 0x10, 1000);
		else
			frame_udp(&f[i], "10.1.0.2", dst, 18);
	}
	while (done < packets) {
		for (unsigned int i = 0; i < FLOWS; i++)
			if (memport_inject(r.q[LAN], f[i].b, f[i].len))
				return 1;
		worker_step(r.w);
		done += memport_drain(r.q[WAN]);
	}
	printf("%lu forwarded\n", done);
	return rig_fini(&r) ? 1 : 0;
}
