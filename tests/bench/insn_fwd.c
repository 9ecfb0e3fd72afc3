/* SPDX-License-Identifier: MIT */
/*
 * Forward packets through the whole engine on ports in memory, so that `valgrind --tool=callgrind` can count what a
 * packet costs without system calls: insn_fwd ip4_udp|ip6_tcp PACKETS
 *
 * The driver's part (injecting, completing) is outside of what is counted: run with --toggle-collect=worker_step.
 */
#include <stdio.h>

#include "tests/unit/gateway/rig.h"

int main(int argc, char **argv)
{
	static struct frame f;
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
	frame_eth(&f, MAC_LAN, MAC_H1, v6 ? ETH_P_IPV6 : ETH_P_IP);
	if (v6)
		frame_tcp(&f, "fd01::2", "fd09::7", 0x10, 1000);
	else
		frame_udp(&f, "10.1.0.2", "10.9.0.7", 18);
	while (done < packets) {
		for (unsigned int i = 0; i < 64; i++)
			if (memport_inject(r.q[LAN], f.b, f.len))
				return 1;
		worker_step(r.w);
		done += memport_drain(r.q[WAN]);
	}
	printf("%lu forwarded\n", done);
	return rig_fini(&r) ? 1 : 0;
}
