/* SPDX-License-Identifier: MIT */
/*
 * Where the fields of the wire formats stand: byte offsets, sizes and numbers, for headers at any alignment.
 *
 * Packets are read by offset and not through structs, for a header behind 14 bytes of Ethernet is never aligned.
 */
#ifndef USER_PACKET_WIRE_H
#define USER_PACKET_WIRE_H

#include <stdint.h>
#include <string.h>

#include <linux/types.h>

enum ethertype {
	ETHERTYPE_IP4 = 0x0800,
	ETHERTYPE_ARP4 = 0x0806,
	ETHERTYPE_CTAG = 0x8100,	/* IEEE 802.1Q */
	ETHERTYPE_IP6 = 0x86dd,
	ETHERTYPE_STAG = 0x88a8,	/* IEEE 802.1ad */
};

enum {
	ETH_HLEN_BYTES = 14,
	ETH_DST = 0,
	ETH_SRC = 6,
	ETH_TYPE = 12,
	VLAN_HLEN_BYTES = 4,

	/* RFC 791 3.1 */
	IP4_HLEN_MIN = 20,
	IP4_HLEN_MAX = 60,
	IP4_TOS = 1,
	IP4_TOTAL = 2,
	IP4_ID = 4,
	IP4_FRAG = 6,
	IP4_TTL = 8,
	IP4_PROTO = 9,
	IP4_CSUM = 10,
	IP4_SRC = 12,
	IP4_DST = 16,

	IP4_FRAG_DF = 0x4000,
	IP4_FRAG_MF = 0x2000,
	IP4_FRAG_OFFSET = 0x1fff,	/* in units of 8 bytes */

	IP4_OPT_END = 0,
	IP4_OPT_NOP = 1,
	IP4_OPT_RECORD_ROUTE = 7,
	IP4_OPT_TIMESTAMP = 68,
	IP4_OPT_LSRR = 131,
	IP4_OPT_SSRR = 137,
	IP4_OPT_ROUTER_ALERT = 148,
	IP4_OPT_COPY = 0x80,		/* the option goes into every fragment */

	/* RFC 8200 3 */
	IP6_HLEN = 40,
	IP6_PLEN = 4,
	IP6_NEXT = 6,
	IP6_HOPS = 7,
	IP6_SRC = 8,
	IP6_DST = 24,
	IP6_FRAG_HLEN = 8,
	IP6_FRAG_OFFSET = 2,
	IP6_OPT_PAD1 = 0,
	IP6_OPT_JUMBO = 0xc2,		/* RFC 2675 */

	TCP_HLEN_MIN = 20,
	TCP_SEQ = 4,
	TCP_ACK = 8,
	TCP_DOFF = 12,			/* in its upper four bits, in units of 4 bytes */
	TCP_FLAGS = 13,
	TCP_WINDOW = 14,
	TCP_CSUM = 16,
	TCP_URGENT = 18,
	UDP_HLEN_BYTES = 8,
	UDP_LEN = 4,
	UDP_CSUM = 6,
	ICMP_HLEN_BYTES = 8,
	ICMP_CODE = 1,
	ICMP_CSUM = 2,
};

enum tcp_flag {
	TCP_FIN = 0x01,
	TCP_SYN = 0x02,
	TCP_RST = 0x04,
	TCP_PSH = 0x08,
	TCP_ACKED = 0x10,
	TCP_URG = 0x20,
	TCP_ECE = 0x40,
	TCP_CWR = 0x80,
};

#endif
