// SPDX-License-Identifier: MIT
/* The verdicts of the XDP program, frame by frame. */
#include "tests/bpf/steer_fixture.h"
#include "user/packet/steer_internal.h"

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))

#define K4 "192.0.2.1"		/* the kernel's */
#define E4 "192.0.2.10"		/* engine-only */
#define E4V "192.0.2.20"	/* engine-only in VLAN 5 */
#define B4 "192.0.2.30"		/* both: the kernel's */
#define S4 "198.51.100.7"	/* some sender */
#define T4 "10.1.2.3"		/* transit to the engine */
#define X4 "172.16.0.1"		/* nobody said anything about it */
#define A4 "172.16.0.2"		/* a rule for all of its ports */
#define K6 "2001:db8::1"
#define E6 "2001:db8::10"
#define S6 "2001:db8:5::7"
#define T6 "2001:db8:a::1"
#define X6 "2001:db8:ffff::1"

enum { ICMP = 1, TCP = 6, UDP = 17, GRE = 47, ESP = 50, AH = 51, ICMP6 = 58, NONE = 59, OPTS = 60, SCTP = 132 };
enum { HBH = 255, ROUTING = 43, FRAG = 44 };

static const struct steer_rule rules[] = {
	/* Not in order of priority: that is the setter's work. */
	{ .id = 12, .priority = 20, .action = SLUICE_ACTION_DROP, .protocol = TCP, .dst_ports = { 80, 90 } },
	{ .id = 11, .priority = 10, .action = SLUICE_ACTION_KERNEL, .protocol = TCP, .dst_ports = { 80, 80 } },
	{ .id = 13, .priority = 5, .action = SLUICE_ACTION_ENGINE, .family = 4, .protocol = UDP,
	  .src_ports = { 1000, 2000 } },
	{ .id = 14, .priority = 30, .action = SLUICE_ACTION_ENGINE, .protocol = GRE },
	{ .id = 15, .priority = 40, .action = SLUICE_ACTION_DROP, .protocol = STEER_PROTOCOL_ANY,
	  .src = { .family = 4, .len = 24 }, .dst = { .family = 4, .len = 25 } },
	{ .id = 16, .priority = 1, .action = SLUICE_ACTION_DROP, .protocol = STEER_PROTOCOL_ANY,
	  .dst_ports = { 22, 22 } },
	{ .id = 17, .priority = 50, .action = SLUICE_ACTION_DROP, .protocol = ICMP, .match_vlan = true, .vlan = 5 },
	{ .id = 18, .priority = 60, .action = SLUICE_ACTION_DROP, .protocol = STEER_PROTOCOL_ANY,
	  .src = { .family = 6, .len = 45 } },
	{ .id = 19, .priority = 70, .action = SLUICE_ACTION_DROP, .family = 6, .protocol = OPTS },
	{ .id = 20, .priority = 70, .action = SLUICE_ACTION_DROP, .protocol = ESP, .match_vlan = true,
	  .vlan = SLUICE_VLAN_UNTAGGED },
	{ .id = 21, .priority = 80, .action = SLUICE_ACTION_KERNEL, .protocol = SCTP, .src_ports = { 5, 5 },
	  .dst_ports = { 6, 6 } },
	/* All ports is not the same as no ports. */
	{ .id = 22, .priority = 90, .action = SLUICE_ACTION_DROP, .protocol = STEER_PROTOCOL_ANY,
	  .dst_ports = { 0, 65535 }, .dst = { .family = 4, .len = 32 } },
};

static int socket_fd = -1;

static void set_rules(void)
{
	struct steer_rule r[ARRAY_SIZE(rules)];

	memcpy(r, rules, sizeof(rules));
	inet_pton(AF_INET, "198.51.100.99", r[4].src.addr);	/* bits beyond the prefix do not count */
	inet_pton(AF_INET, "203.0.113.0", r[4].dst.addr);
	inet_pton(AF_INET6, "2001:db8:bad8::", r[7].src.addr);
	inet_pton(AF_INET, A4, r[11].dst.addr);
	ck_ok(steer_set_rules(steer, r, ARRAY_SIZE(r), &fault));
}

static void setup(void)
{
	struct steer_addr kernel[] = { addr_of(K4, SLUICE_VLAN_ANY), addr_of(K6, SLUICE_VLAN_ANY),
				       addr_of(B4, SLUICE_VLAN_ANY), addr_of("fe80::1", SLUICE_VLAN_ANY) };
	struct steer_addr engine[] = { addr_of(E4, SLUICE_VLAN_ANY), addr_of(E6, SLUICE_VLAN_ANY),
				       addr_of(B4, SLUICE_VLAN_ANY), addr_of(E4V, 5),
				       addr_of("fe80::10", SLUICE_VLAN_ANY), addr_of("224.0.0.5", SLUICE_VLAN_ANY),
				       addr_of("ff02::5", SLUICE_VLAN_ANY), addr_of("169.254.7.7", SLUICE_VLAN_ANY) };
	struct steer_transit transit[] = {
		{ prefix_of("10.0.0.0/8"), SLUICE_ACTION_ENGINE },   { prefix_of("10.9.0.0/16"), SLUICE_ACTION_KERNEL },
		{ prefix_of("10.9.9.0/24"), SLUICE_ACTION_DROP },    { prefix_of("224.0.0.0/4"), SLUICE_ACTION_ENGINE },
		{ prefix_of("2001:db8:a::/48"), SLUICE_ACTION_ENGINE },
		{ prefix_of("fe80::/10"), SLUICE_ACTION_ENGINE },
		{ prefix_of("2001:db8:a:9::/64"), SLUICE_ACTION_DROP },
	};
	uint32_t vlans[] = { 5, sluice_vlan_key(7 | SLUICE_VLAN_8021AD, 8) };

	engine[5].group = engine[6].group = true;
	steer_load();
	ck_ok(steer_set_kernel_addrs(steer, kernel, ARRAY_SIZE(kernel), &fault));
	ck_ok(steer_set_engine_addrs(steer, engine, ARRAY_SIZE(engine), &fault));
	ck_ok(steer_set_transit(steer, transit, ARRAY_SIZE(transit), &fault));
	ck_ok(steer_set_vlans(steer, vlans, ARRAY_SIZE(vlans), &fault));
	set_rules();
	socket_fd = xsk_stub();
	ck_ok(steer_set_xsk(steer, 0, socket_fd, &fault));
}

static void teardown(void)
{
	close(socket_fd);
	steer_unload();
}

#define V(name) SLUICE_VERDICT_##name

static const struct {
	const char *name;
	struct frame_spec f;
	enum sluice_verdict want;
	uint32_t rule;		/* that must have counted it */
} cases[] = {
	/* Addresses and prefixes. */
	{ "kernel address", { .src = S4, .dst = K4, .proto = TCP, .dport = 443 }, V(pass_kernel_address), 0 },
	{ "kernel address 6", { .src = S6, .dst = K6, .proto = TCP, .dport = 443 }, V(pass_kernel_address), 0 },
	{ "address of both", { .src = S4, .dst = B4, .proto = TCP, .dport = 443 }, V(pass_kernel_address), 0 },
	{ "engine address", { .src = S4, .dst = E4, .proto = TCP, .dport = 443 }, V(redirect_address), 0 },
	{ "engine address 6", { .src = S6, .dst = E6, .proto = UDP, .dport = 443 }, V(redirect_address), 0 },
	{ "engine address, ICMP", { .src = S4, .dst = E4, .proto = ICMP, .icmp_type = 8 }, V(redirect_address), 0 },
	{ "transit", { .src = S4, .dst = T4, .proto = TCP, .dport = 443 }, V(redirect_prefix), 0 },
	{ "transit 6", { .src = S6, .dst = T6, .proto = TCP, .dport = 443 }, V(redirect_prefix), 0 },
	{ "longer prefix to the kernel", { .src = S4, .dst = "10.9.1.1", .proto = TCP }, V(pass_prefix), 0 },
	{ "longest prefix drops", { .src = S4, .dst = "10.9.9.1", .proto = TCP }, V(drop_prefix), 0 },
	{ "longest prefix drops 6", { .src = S6, .dst = "2001:db8:a:9::1", .proto = TCP }, V(drop_prefix), 0 },
	{ "nothing said", { .src = S4, .dst = X4, .proto = TCP }, V(pass_default), 0 },
	{ "nothing said 6", { .src = S6, .dst = X6, .proto = TCP }, V(pass_default), 0 },
	{ "transit, unknown protocol", { .src = S4, .dst = T4, .proto = 253 }, V(redirect_prefix), 0 },
	{ "transit, nothing in it", { .src = S4, .dst = T4, .proto = UDP, .no_l4 = true }, V(redirect_prefix), 0 },

	/* Link layer. */
	{ "other station", { .to = TO_OTHER, .src = S4, .dst = E4, .proto = TCP }, V(pass_other_host), 0 },
	{ "drop rule, other station", { .to = TO_OTHER, .src = S4, .dst = T4, .proto = TCP, .dport = 22 },
	  V(pass_other_host), 0 },
	{ "broadcast to engine address", { .to = TO_BROADCAST, .src = S4, .dst = E4, .proto = UDP }, V(pass_group), 0 },
	{ "multicast to transit", { .to = TO_MULTICAST, .src = S4, .dst = T4, .proto = UDP }, V(pass_group), 0 },
	{ "limited broadcast", { .to = TO_BROADCAST, .src = S4, .dst = "255.255.255.255", .proto = UDP },
	  V(pass_group), 0 },
	{ "limited broadcast to us", { .src = S4, .dst = "255.255.255.255", .proto = UDP }, V(pass_link_scope), 0 },
	{ "engine group", { .to = TO_MULTICAST, .src = S4, .dst = "224.0.0.5", .proto = 89 }, V(redirect_address), 0 },
	{ "engine group 6", { .to = TO_MULTICAST, .src = S6, .dst = "ff02::5", .proto = 89 }, V(redirect_address), 0 },
	{ "other group", { .to = TO_MULTICAST, .src = S4, .dst = "224.0.0.6", .proto = 89 }, V(pass_group), 0 },
	{ "other group 6", { .to = TO_MULTICAST, .src = S6, .dst = "ff02::6", .proto = 89 }, V(pass_group), 0 },
	{ "multicast in unicast", { .src = S4, .dst = "239.1.1.1", .proto = UDP }, V(pass_link_scope), 0 },
	{ "link-local 6 in a prefix", { .src = "fe80::9", .dst = "fe80::99", .proto = TCP }, V(pass_link_scope), 0 },
	{ "end of link-local 6", { .src = S6, .dst = "febf:ffff::1", .proto = TCP }, V(pass_link_scope), 0 },
	{ "beyond link-local 6", { .src = S6, .dst = "fec0::1", .proto = TCP }, V(pass_default), 0 },
	{ "engine's link-local 6", { .src = "fe80::9", .dst = "fe80::10", .proto = TCP }, V(redirect_address), 0 },
	{ "kernel's link-local 6", { .src = "fe80::9", .dst = "fe80::1", .proto = TCP }, V(pass_kernel_address), 0 },
	{ "link-local 4", { .src = S4, .dst = "169.254.1.1", .proto = TCP }, V(pass_link_scope), 0 },
	{ "engine's link-local 4", { .src = S4, .dst = "169.254.7.7", .proto = TCP }, V(redirect_address), 0 },
	{ "not IP", { .ethertype = 0x88b5 }, V(pass_not_ip), 0 },
	{ "802.3 length", { .ethertype = 46 }, V(pass_not_ip), 0 },

	/* VLANs. */
	{ "known VLAN", { .tag = { TAG(8100, 5) }, .src = S4, .dst = T4, .proto = TCP }, V(redirect_prefix), 0 },
	{ "its priority bits", { .tag = { TAG(8100, 0xf005) }, .src = S4, .dst = T4, .proto = TCP }, V(redirect_prefix),
	  0 },
	{ "VLAN not known", { .tag = { TAG(8100, 6) }, .src = S4, .dst = T4, .proto = TCP }, V(pass_vlan), 0 },
	{ "same number, 802.1ad", { .tag = { TAG(88a8, 5) }, .src = S4, .dst = T4, .proto = TCP }, V(pass_vlan), 0 },
	{ "QinQ", { .tag = { TAG(88a8, 7), TAG(8100, 8) }, .src = S4, .dst = T4, .proto = TCP }, V(redirect_prefix),
	  0 },
	{ "QinQ 6", { .tag = { TAG(88a8, 7), TAG(8100, 8) }, .src = S6, .dst = T6, .proto = UDP }, V(redirect_prefix),
	  0 },
	{ "QinQ, other inner", { .tag = { TAG(88a8, 7), TAG(8100, 9) }, .src = S4, .dst = T4, .proto = TCP },
	  V(pass_vlan), 0 },
	{ "QinQ swapped", { .tag = { TAG(8100, 8), TAG(88a8, 7) }, .src = S4, .dst = T4, .proto = TCP }, V(pass_vlan),
	  0 },
	{ "outer alone", { .tag = { TAG(88a8, 7) }, .src = S4, .dst = T4, .proto = TCP }, V(pass_vlan), 0 },
	{ "three tags", { .tag = { TAG(88a8, 7), TAG(8100, 8), TAG(8100, 5) }, .src = S4, .dst = T4, .proto = TCP },
	  V(pass_not_ip), 0 },
	{ "priority tag", { .tag = { TAG(8100, 0xe000) }, .src = S4, .dst = T4, .proto = TCP }, V(redirect_prefix), 0 },
	{ "priority tag inside", { .tag = { TAG(8100, 5), TAG(8100, 0) }, .src = S4, .dst = T4, .proto = TCP },
	  V(redirect_prefix), 0 },
	{ "address of a VLAN", { .tag = { TAG(8100, 5) }, .src = S4, .dst = E4V, .proto = TCP }, V(redirect_address),
	  0 },
	{ "address of a VLAN, untagged", { .src = S4, .dst = E4V, .proto = TCP }, V(pass_default), 0 },
	{ "kernel address in a VLAN", { .tag = { TAG(8100, 5) }, .src = S4, .dst = K4, .proto = TCP },
	  V(pass_kernel_address), 0 },
	{ "rule of a VLAN", { .tag = { TAG(8100, 5) }, .src = S4, .dst = T4, .proto = ICMP, .icmp_type = 8 },
	  V(drop_rule), 17 },
	{ "rule of a VLAN, untagged", { .src = S4, .dst = T4, .proto = ICMP, .icmp_type = 8 }, V(redirect_prefix), 0 },
	{ "rule of untagged frames", { .src = S4, .dst = T4, .proto = ESP }, V(drop_rule), 20 },
	{ "the same, tagged", { .tag = { TAG(8100, 5) }, .src = S4, .dst = T4, .proto = ESP }, V(redirect_prefix), 0 },

	/* ARP. */
	{ "ARP for engine", { .to = TO_BROADCAST, .arp = 1, .src = S4, .dst = E4 }, V(redirect_arp), 0 },
	{ "ARP for engine, unicast", { .arp = 1, .src = S4, .dst = E4 }, V(redirect_arp), 0 },
	{ "ARP for kernel", { .to = TO_BROADCAST, .arp = 1, .src = S4, .dst = K4 }, V(pass_arp), 0 },
	{ "ARP for both", { .to = TO_BROADCAST, .arp = 1, .src = S4, .dst = B4 }, V(pass_arp), 0 },
	{ "ARP for somebody", { .to = TO_BROADCAST, .arp = 1, .src = S4, .dst = X4 }, V(pass_arp), 0 },
	{ "ARP for transit", { .to = TO_BROADCAST, .arp = 1, .src = S4, .dst = T4 }, V(pass_arp), 0 },
	{ "ARP probe for engine", { .to = TO_BROADCAST, .arp = 1, .src = "0.0.0.0", .dst = E4 }, V(redirect_arp), 0 },
	{ "ARP reply to engine", { .arp = 2, .src = S4, .dst = E4 }, V(redirect_arp), 0 },
	{ "ARP reply to kernel", { .arp = 2, .src = S4, .dst = K4 }, V(pass_arp), 0 },
	{ "engine's address claimed", { .to = TO_BROADCAST, .arp = 2, .src = E4, .dst = X4 }, V(redirect_arp), 0 },
	{ "claimed towards the kernel", { .to = TO_BROADCAST, .arp = 1, .src = E4, .dst = K4 }, V(pass_arp), 0 },
	{ "ARP for other station", { .to = TO_OTHER, .arp = 2, .src = S4, .dst = E4 }, V(pass_other_host), 0 },
	{ "ARP of other hardware", { .to = TO_BROADCAST, .arp = 1, .arp_hw = 6, .src = S4, .dst = E4 },
	  V(pass_malformed), 0 },
	{ "ARP cut", { .to = TO_BROADCAST, .arp = 1, .src = S4, .dst = E4, .cut = 1 }, V(pass_short), 0 },
	{ "ARP in its VLAN", { .to = TO_BROADCAST, .tag = { TAG(8100, 5) }, .arp = 1, .src = S4, .dst = E4V },
	  V(redirect_arp), 0 },
	{ "ARP not in its VLAN", { .to = TO_BROADCAST, .arp = 1, .src = S4, .dst = E4V }, V(pass_arp), 0 },
	{ "ARP in unknown VLAN", { .to = TO_BROADCAST, .tag = { TAG(8100, 6) }, .arp = 1, .src = S4, .dst = E4 },
	  V(pass_vlan), 0 },

	/* Neighbour discovery. */
	{ "NS for engine", { .to = TO_MULTICAST, .src = S6, .dst = "ff02::1:ff00:10", .proto = ICMP6, .icmp_type = 135,
			     .target = E6 }, V(redirect_nd), 0 },
	{ "DAD NS for engine", { .to = TO_MULTICAST, .src = "::", .dst = "ff02::1:ff00:10", .proto = ICMP6,
				 .icmp_type = 135, .target = E6 }, V(redirect_nd), 0 },
	{ "NS for kernel", { .to = TO_MULTICAST, .src = S6, .dst = "ff02::1:ff00:1", .proto = ICMP6, .icmp_type = 135,
			     .target = K6 }, V(pass_group), 0 },
	{ "NS for somebody", { .to = TO_MULTICAST, .src = S6, .dst = "ff02::1:ff00:9", .proto = ICMP6, .icmp_type = 135,
			       .target = T6 }, V(pass_group), 0 },
	{ "unicast NS for engine", { .src = S6, .dst = E6, .proto = ICMP6, .icmp_type = 135, .target = E6 },
	  V(redirect_nd), 0 },
	{ "NS to kernel's address for engine", { .src = S6, .dst = K6, .proto = ICMP6, .icmp_type = 135, .target = E6 },
	  V(pass_kernel_address), 0 },
	{ "NS behind hop-by-hop", { .to = TO_MULTICAST, .src = S6, .dst = "ff02::1:ff00:10", .ext = { HBH },
				    .proto = ICMP6, .icmp_type = 135, .target = E6 }, V(redirect_nd), 0 },
	{ "fragmented NS (RFC 6980)", { .to = TO_MULTICAST, .src = S6, .dst = "ff02::1:ff00:10", .ext = { FRAG },
					.frag = IP6_MORE, .proto = ICMP6, .icmp_type = 135, .target = E6 },
	  V(pass_group), 0 },
	{ "NS without target", { .to = TO_MULTICAST, .src = S6, .dst = "ff02::1:ff00:10", .proto = ICMP6,
				 .icmp_type = 135 }, V(pass_group), 0 },
	{ "NS with its target in the padding", { .to = TO_MULTICAST, .src = S6, .dst = "ff02::1:ff00:10",
						 .proto = ICMP6, .icmp_type = 135, .target = E6, .length_off = -1 },
	  V(pass_group), 0 },
	{ "NA to engine", { .src = S6, .dst = E6, .proto = ICMP6, .icmp_type = 136, .target = S6 }, V(redirect_nd), 0 },
	{ "NA to kernel", { .src = S6, .dst = K6, .proto = ICMP6, .icmp_type = 136, .target = S6 },
	  V(pass_kernel_address), 0 },
	{ "NA claims engine's", { .to = TO_MULTICAST, .src = S6, .dst = "ff02::1", .proto = ICMP6, .icmp_type = 136,
				  .target = E6 }, V(redirect_nd), 0 },
	{ "NA to all nodes", { .to = TO_MULTICAST, .src = S6, .dst = "ff02::1", .proto = ICMP6, .icmp_type = 136,
			       .target = S6 }, V(pass_group), 0 },
	{ "RA to all nodes", { .to = TO_MULTICAST, .src = "fe80::9", .dst = "ff02::1", .proto = ICMP6,
			       .icmp_type = 134 }, V(pass_group), 0 },
	{ "ICMP type 135 in IPv4", { .src = S4, .dst = X4, .proto = ICMP6, .icmp_type = 135, .target = E6 },
	  V(pass_default), 0 },
	{ "NS routed by transit", { .src = S6, .dst = T6, .proto = ICMP6, .icmp_type = 135, .target = T6 },
	  V(redirect_prefix), 0 },

	/* Rules. */
	{ "first by priority", { .src = S4, .dst = T4, .proto = TCP, .dport = 80 }, V(pass_rule), 11 },
	{ "next by priority", { .src = S4, .dst = T4, .proto = TCP, .dport = 85 }, V(drop_rule), 12 },
	{ "end of the range", { .src = S4, .dst = T4, .proto = TCP, .dport = 90 }, V(drop_rule), 12 },
	{ "beyond the range", { .src = S4, .dst = T4, .proto = TCP, .dport = 91 }, V(redirect_prefix), 0 },
	{ "below the range", { .src = S4, .dst = T4, .proto = TCP, .dport = 79 }, V(redirect_prefix), 0 },
	{ "rule beats engine address", { .src = S4, .dst = E4, .proto = TCP, .dport = 81 }, V(drop_rule), 12 },
	{ "both families", { .src = S6, .dst = E6, .proto = TCP, .dport = 81 }, V(drop_rule), 12 },
	{ "source port", { .src = S4, .dst = X4, .proto = UDP, .sport = 1000 }, V(redirect_rule), 13 },
	{ "source port, last", { .src = S4, .dst = X4, .proto = UDP, .sport = 2000 }, V(redirect_rule), 13 },
	{ "source port, beyond", { .src = S4, .dst = X4, .proto = UDP, .sport = 2001 }, V(pass_default), 0 },
	{ "family of the rule", { .src = S6, .dst = X6, .proto = UDP, .sport = 1500 }, V(pass_default), 0 },
	{ "protocol of the rule", { .src = S4, .dst = X4, .proto = TCP, .sport = 1500 }, V(pass_default), 0 },
	{ "rule by protocol", { .src = S4, .dst = X4, .proto = GRE }, V(redirect_rule), 14 },
	{ "rule by protocol 6", { .src = S6, .dst = X6, .proto = GRE }, V(redirect_rule), 14 },
	{ "prefixes", { .src = S4, .dst = "203.0.113.5", .proto = ICMP, .icmp_type = 8 }, V(drop_rule), 15 },
	{ "outside the destination", { .src = S4, .dst = "203.0.113.128", .proto = ICMP, .icmp_type = 8 },
	  V(pass_default), 0 },
	{ "outside the source", { .src = "198.51.101.7", .dst = "203.0.113.5", .proto = ICMP, .icmp_type = 8 },
	  V(pass_default), 0 },
	{ "source prefix 6", { .src = "2001:db8:badf::1", .dst = T6, .proto = UDP }, V(drop_rule), 18 },
	{ "outside the source 6", { .src = "2001:db8:bae0::1", .dst = T6, .proto = UDP }, V(redirect_prefix), 0 },
	{ "kernel address beats drop rule", { .src = S4, .dst = K4, .proto = TCP, .dport = 22 },
	  V(pass_kernel_address), 0 },
	{ "kernel address beats drop rule 6", { .src = S6, .dst = K6, .proto = TCP, .dport = 22 },
	  V(pass_kernel_address), 0 },
	{ "port rule of any protocol", { .src = S6, .dst = X6, .proto = UDP, .dport = 22 }, V(drop_rule), 16 },
	{ "22 in a protocol without ports", { .src = S4, .dst = X4, .proto = 253, .dport = 22 }, V(pass_default), 0 },
	{ "SCTP, both ports", { .src = S4, .dst = T4, .proto = SCTP, .sport = 5, .dport = 6 }, V(pass_rule), 21 },
	{ "SCTP, one port", { .src = S4, .dst = T4, .proto = SCTP, .sport = 5, .dport = 7 }, V(redirect_prefix), 0 },

	{ "all ports", { .src = S4, .dst = A4, .proto = UDP, .dport = 0 }, V(drop_rule), 22 },
	{ "all ports, ICMP", { .src = S4, .dst = A4, .proto = ICMP, .icmp_type = 8 }, V(pass_default), 0 },

	/* Fragments: nothing with ports takes one. */
	{ "first fragment, all ports", { .src = S4, .dst = A4, .proto = UDP, .frag = IP4_MORE }, V(pass_default), 0 },
	{ "later fragment, all ports", { .src = S4, .dst = A4, .proto = UDP, .frag = 100 }, V(pass_default), 0 },
	{ "first fragment", { .src = S4, .dst = T4, .proto = TCP, .dport = 85, .frag = IP4_MORE }, V(redirect_prefix),
	  0 },
	{ "later fragment", { .src = S4, .dst = T4, .proto = TCP, .dport = 85, .frag = IP4_MORE | 100 },
	  V(redirect_prefix), 0 },
	{ "last fragment", { .src = S4, .dst = T4, .proto = TCP, .dport = 85, .frag = 100 }, V(redirect_prefix), 0 },
	{ "do not fragment", { .src = S4, .dst = T4, .proto = TCP, .dport = 85, .frag = 0x4000 }, V(drop_rule), 12 },
	{ "first fragment, any protocol", { .src = S4, .dst = X4, .proto = UDP, .dport = 22, .frag = IP4_MORE },
	  V(pass_default), 0 },
	{ "first fragment, protocol rule", { .src = S4, .dst = X4, .proto = GRE, .frag = IP4_MORE }, V(redirect_rule),
	  14 },
	{ "later fragment, protocol rule", { .src = S4, .dst = X4, .proto = GRE, .frag = 100 }, V(redirect_rule), 14 },
	{ "first fragment, prefix rule", { .src = S4, .dst = "203.0.113.5", .proto = UDP, .frag = IP4_MORE },
	  V(drop_rule), 15 },
	{ "later fragment, prefix rule", { .src = S4, .dst = "203.0.113.5", .proto = UDP, .frag = 7 }, V(drop_rule),
	  15 },
	{ "fragment to the kernel", { .src = S4, .dst = K4, .proto = UDP, .frag = 7 }, V(pass_kernel_address), 0 },
	{ "fragment to the engine", { .src = S4, .dst = E4, .proto = UDP, .frag = 7 }, V(redirect_address), 0 },
	{ "first fragment 6", { .src = S6, .dst = T6, .ext = { FRAG }, .proto = TCP, .dport = 85, .frag = IP6_MORE },
	  V(redirect_prefix), 0 },
	{ "later fragment 6", { .src = S6, .dst = T6, .ext = { FRAG }, .proto = TCP, .dport = 85, .frag = 0x0100 },
	  V(redirect_prefix), 0 },
	{ "atomic fragment 6", { .src = S6, .dst = T6, .ext = { FRAG }, .proto = TCP, .dport = 85 }, V(drop_rule), 12 },
	{ "first fragment 6, protocol", { .src = S6, .dst = X6, .ext = { FRAG }, .proto = GRE, .frag = IP6_MORE },
	  V(redirect_rule), 14 },
	{ "later fragment 6, protocol", { .src = S6, .dst = X6, .ext = { FRAG }, .proto = GRE, .frag = 0x0100 },
	  V(redirect_rule), 14 },
	/* Both show Destination Options as the next header: the chain of the first one is not walked on. */
	{ "first fragment 6 with options", { .src = S6, .dst = T6, .ext = { FRAG, OPTS }, .proto = GRE,
					     .frag = IP6_MORE }, V(drop_rule), 19 },
	{ "later fragment 6 with options", { .src = S6, .dst = T6, .ext = { FRAG, OPTS }, .proto = GRE,
					     .frag = 0x0100 }, V(drop_rule), 19 },
	{ "fragment behind hop-by-hop", { .src = S6, .dst = T6, .ext = { HBH, FRAG }, .proto = TCP, .dport = 85,
					  .frag = IP6_MORE }, V(redirect_prefix), 0 },

	/* IPv4 headers. */
	{ "options", { .src = S4, .dst = T4, .proto = TCP, .dport = 85, .ihl = 6 }, V(drop_rule), 12 },
	{ "all options", { .src = S4, .dst = T4, .proto = TCP, .dport = 85, .ihl = 15 }, V(drop_rule), 12 },
	{ "options cut", { .src = S4, .dst = T4, .proto = TCP, .ihl = 15, .cut = 5 }, V(pass_short), 0 },
	{ "IHL 4", { .src = S4, .dst = E4, .proto = TCP, .ihl = 4 }, V(pass_malformed), 0 },
	{ "IHL 1", { .src = S4, .dst = E4, .proto = TCP, .ihl = 1 }, V(pass_malformed), 0 },
	{ "version 6 as IPv4", { .src = S4, .dst = E4, .proto = TCP, .version = 6 }, V(pass_malformed), 0 },
	{ "version 4 as IPv6", { .src = S6, .dst = E6, .proto = TCP, .version = 4 }, V(pass_malformed), 0 },
	{ "total length in the header", { .src = S4, .dst = E4, .proto = TCP, .length_off = -5 }, V(pass_malformed),
	  0 },
	{ "total length 1 beyond", { .src = S4, .dst = E4, .proto = TCP, .length_off = 1 }, V(pass_short), 0 },
	{ "Ethernet padding", { .src = S4, .dst = T4, .proto = TCP, .dport = 85, .padding = 20 }, V(drop_rule), 12 },
	{ "ports only in the padding", { .src = S4, .dst = T4, .proto = TCP, .dport = 85, .length_off = -4 },
	  V(redirect_prefix), 0 },
	{ "half a port pair", { .src = S4, .dst = T4, .proto = TCP, .dport = 85, .length_off = -1 }, V(redirect_prefix),
	  0 },

	/* IPv6 headers. */
	{ "hop-by-hop", { .src = S6, .dst = T6, .ext = { HBH }, .proto = TCP, .dport = 85 }, V(drop_rule), 12 },
	{ "long hop-by-hop", { .src = S6, .dst = T6, .ext = { HBH }, .ext_len = 100, .proto = TCP, .dport = 85 },
	  V(drop_rule), 12 },
	{ "routing, options", { .src = S6, .dst = T6, .ext = { HBH, OPTS, ROUTING, OPTS }, .proto = TCP, .dport = 85 },
	  V(drop_rule), 12 },
	{ "authentication header", { .src = S6, .dst = T6, .ext = { AH }, .ext_len = 4, .proto = TCP, .dport = 85 },
	  V(drop_rule), 12 },
	{ "ESP ends the walk", { .src = S6, .dst = T6, .ext = { OPTS }, .proto = ESP, .dport = 85 }, V(drop_rule), 20 },
	{ "no next header", { .src = S6, .dst = T6, .proto = NONE }, V(redirect_prefix), 0 },
	{ "eight headers", { .src = S6, .dst = T6, .ext = { HBH, OPTS, OPTS, OPTS, OPTS, OPTS, OPTS, OPTS },
			     .proto = TCP, .dport = 85 }, V(drop_rule), 12 },
	{ "nine headers", { .src = S6, .dst = T6, .ext = { HBH, OPTS, OPTS, OPTS, OPTS, OPTS, OPTS, OPTS, OPTS },
			    .proto = TCP, .dport = 85 }, V(pass_ext_headers), 0 },
	{ "header beyond the packet", { .src = S6, .dst = T6, .ext = { OPTS }, .proto = TCP, .payload = 8,
					.length_off = -17 }, V(pass_malformed), 0 },
	{ "header cut off", { .src = S6, .dst = T6, .ext = { OPTS }, .ext_len = 4, .no_l4 = true, .cut = 1 },
	  V(pass_short), 0 },
	{ "fragment header cut", { .src = S6, .dst = T6, .ext = { FRAG }, .frag = IP6_MORE, .no_l4 = true, .cut = 1 },
	  V(pass_short), 0 },
	{ "payload length beyond", { .src = S6, .dst = T6, .proto = TCP, .length_off = 1 }, V(pass_short), 0 },
	{ "payload length 0", { .src = S6, .dst = T6, .proto = TCP, .dport = 85, .length_off = -4 }, V(redirect_prefix),
	  0 },
	{ "jumbogram", { .src = S6, .dst = T6, .ext = { HBH }, .proto = TCP, .length_off = -12 }, V(pass_jumbogram),
	  0 },
	{ "routed ICMPv6", { .src = S6, .dst = T6, .proto = ICMP6, .icmp_type = 128 }, V(redirect_prefix), 0 },
};

static uint64_t hits_of(uint32_t rule, uint64_t *bytes)
{
	struct sluice_rule_hits hits[SLUICE_STEER_MAX_RULES];
	size_t n = ARRAY_SIZE(hits);

	ck_ok(steer_read_rule_hits(steer, hits, &n, &fault));
	ck_assert_uint_eq(n, ARRAY_SIZE(rules));
	for (size_t i = 0; i < n; i++) {
		if (hits[i].rule_id == rule) {
			*bytes = hits[i].bytes;
			return hits[i].pkts;
		}
	}
	*bytes = 0;
	return 0;
}

static uint64_t all_hits(void)
{
	struct sluice_rule_hits hits[SLUICE_STEER_MAX_RULES];
	size_t n = ARRAY_SIZE(hits);
	uint64_t sum = 0;

	ck_ok(steer_read_rule_hits(steer, hits, &n, &fault));
	for (size_t i = 0; i < n; i++)
		sum += hits[i].pkts;
	return sum;
}

/* What one frame added to the counters: its verdict and nothing else. */
static bool counted_once(size_t i, const struct sluice_steer_counters *was, const struct sluice_steer_counters *is,
			 size_t len)
{
	enum sluice_verdict want = cases[i].want;
	uint32_t action = xdp_action_of(want);
	bool ok = true;

	for (uint32_t v = 0; v < SLUICE_VERDICT_COUNT; v++) {
		if (verdict_count(is, v) - verdict_count(was, v) == (v == want))
			continue;
		printf("%s: wanted %s, %s counted\n", cases[i].name, steer_verdict_name(want), steer_verdict_name(v));
		ok = false;
	}
	if (is->rx_frames - was->rx_frames != 1 || is->rx_bytes - was->rx_bytes != len ||
	    is->redirect_bytes - was->redirect_bytes != (action == XDP_REDIRECT ? len : 0) ||
	    is->drop_bytes - was->drop_bytes != (action == XDP_DROP ? len : 0)) {
		printf("%s: frames or bytes wrong\n", cases[i].name);
		ok = false;
	}
	return ok;
}

START_TEST(frame_gets_its_verdict_and_is_counted_once)
{
	uint64_t hits = 0, rule_hits = 0, rule_bytes = 0, bytes = 0;
	struct sluice_steer_counters was = counters(), is;
	unsigned int wrong = 0;

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++, was = is) {
		struct frame_buf f;
		uint32_t ret;

		frame_build(&f, &cases[i].f);
		if (cases[i].rule)
			rule_hits = hits_of(cases[i].rule, &rule_bytes);
		ret = run_frame(&f);
		is = counters();
		if (!counted_once(i, &was, &is, f.len))
			wrong++;
		if (ret != xdp_action_of(cases[i].want)) {
			printf("%s: XDP action %u\n", cases[i].name, ret);
			wrong++;
		}
		hits += cases[i].rule != 0;
		if (cases[i].rule && (hits_of(cases[i].rule, &bytes) != rule_hits + 1 || bytes != rule_bytes + f.len)) {
			printf("%s: not counted by rule %u\n", cases[i].name, cases[i].rule);
			wrong++;
		}
	}
	ck_assert_uint_eq(all_hits(), hits);
	ck_assert_msg(wrong == 0, "%u of %zu frames wrong", wrong, ARRAY_SIZE(cases));
}
END_TEST

/* Whatever is cut off, the kernel gets it or nothing but what is known is decided; never a drop of what would pass. */
START_TEST(truncated_frames_are_counted_at_every_length)
{
	struct sluice_steer_counters c;
	struct frame_buf f;
	uint64_t sent = 0;

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		frame_build(&f, &cases[i].f);
		for (size_t len = 14; len < f.len; len++, sent++) {
			uint8_t exact[FRAME_MAX];
			uint32_t ret;

			memcpy(exact, f.b, len);
			ret = run_frame_queue(exact, len, 0);
			/* An IP packet that is not whole is never the engine's; padding and ARP trailers may be cut. */
			if (cases[i].f.dst && !cases[i].f.arp && !cases[i].f.padding && !cases[i].f.length_off)
				ck_assert_msg(ret == XDP_PASS, "%s cut to %zu: XDP action %u", cases[i].name, len, ret);
		}
	}
	c = counters();
	ck_assert_uint_eq(c.rx_frames, sent);
	ck_assert_uint_eq(verdict_sum(&c), sent);
}
END_TEST

START_TEST(mutated_frames_are_counted_once)
{
	struct sluice_steer_counters c;
	uint64_t by_action[5] = { 0 }, want[5] = { 0 };
	unsigned int seed = 20;
	uint64_t sent = 0;

	for (int round = 0; round < 100; round++) {
		for (size_t i = 0; i < ARRAY_SIZE(cases); i++, sent++) {
			struct frame_buf f;
			uint32_t ret;

			frame_build(&f, &cases[i].f);
			for (int n = rand_r(&seed) % 4 + 1; n; n--)
				f.b[(size_t)rand_r(&seed) % f.len] = (uint8_t)rand_r(&seed);
			ret = run_frame(&f);
			ck_assert(ret == XDP_PASS || ret == XDP_DROP || ret == XDP_REDIRECT);
			by_action[ret]++;
		}
	}
	c = counters();
	ck_assert_uint_eq(c.rx_frames, sent);
	ck_assert_uint_eq(verdict_sum(&c), sent);
	for (uint32_t v = 0; v < SLUICE_VERDICT_COUNT; v++)
		want[xdp_action_of(v)] += verdict_count(&c, v);
	for (int a = 0; a < 5; a++)
		ck_assert_uint_eq(by_action[a], want[a]);
}
END_TEST

static const struct frame_spec to_engine = { .src = S4, .dst = E4, .proto = TCP, .dport = 443 };
static const struct frame_spec to_drop = { .src = S4, .dst = T4, .proto = TCP, .dport = 85 };

static uint32_t run_spec(const struct frame_spec *s)
{
	struct frame_buf f;

	frame_build(&f, s);
	return run_frame(&f);
}

START_TEST(without_a_socket_everything_for_the_engine_passes)
{
	struct sluice_steer_counters c;

	steer_clear_xsk(steer, 0);
	ck_assert_uint_eq(run_spec(&to_engine), XDP_PASS);
	ck_assert_uint_eq(run_spec(&to_drop), XDP_DROP);
	c = counters();
	ck_assert_uint_eq(c.pass_no_socket, 1);
	ck_assert_uint_eq(c.drop_rule, 1);
	ck_assert_uint_eq(c.redirect_bytes, 0);
	ck_assert_uint_eq(verdict_sum(&c), 2);

	/* Closing the socket is enough: so it goes when the engine is killed. */
	ck_ok(steer_set_xsk(steer, 0, socket_fd, &fault));
	ck_assert_uint_eq(run_spec(&to_engine), XDP_REDIRECT);
	close(socket_fd);
	for (int i = 0; i < 1000 && run_spec(&to_engine) != XDP_PASS; i++)
		usleep(1000);
	ck_assert_uint_eq(run_spec(&to_engine), XDP_PASS);
	socket_fd = -1;
}
END_TEST

START_TEST(switched_off_passes_all)
{
	struct sluice_steer_counters c;

	steer_set_enabled(steer, false);
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
		ck_assert_uint_eq(run_spec(&cases[i].f), XDP_PASS);
	c = counters();
	ck_assert_uint_eq(c.pass_disabled, ARRAY_SIZE(cases));
	ck_assert_uint_eq(c.rx_frames, ARRAY_SIZE(cases));
}
END_TEST

START_TEST(no_rules_no_drops)
{
	ck_ok(steer_set_rules(steer, NULL, 0, &fault));
	ck_assert_uint_eq(run_spec(&to_drop), XDP_REDIRECT);
	set_rules();
	ck_assert_uint_eq(run_spec(&to_drop), XDP_DROP);
}
END_TEST

START_TEST(hits_stay_while_the_rule_does)
{
	struct steer_rule r[SLUICE_STEER_MAX_RULES];
	struct sluice_rule_hits hits[SLUICE_STEER_MAX_RULES];
	size_t n = ARRAY_SIZE(hits);
	uint64_t bytes;

	ck_assert_uint_eq(run_spec(&to_drop), XDP_DROP);
	ck_assert_uint_eq(hits_of(12, &bytes), 1);
	/* Sets of the greatest size, none of their rules in common but one: slots must suffice. */
	for (int round = 0; round < 5; round++) {
		for (uint32_t i = 0; i < SLUICE_STEER_MAX_RULES; i++)
			r[i] = (struct steer_rule){ .id = 100 + i + 100 * (uint32_t)round, .priority = i,
						    .action = SLUICE_ACTION_KERNEL, .protocol = 200 };
		r[63] = rules[0];
		ck_ok(steer_set_rules(steer, r, SLUICE_STEER_MAX_RULES, &fault));
		ck_assert_uint_eq(run_spec(&to_drop), XDP_DROP);
		n = ARRAY_SIZE(hits);
		ck_ok(steer_read_rule_hits(steer, hits, &n, &fault));
		ck_assert_uint_eq(n, SLUICE_STEER_MAX_RULES);
		for (size_t i = 0; i < n; i++)
			ck_assert_uint_eq(hits[i].pkts, hits[i].rule_id == 12 ? 2 + (unsigned int)round : 0);
	}
}
END_TEST

START_TEST(last_of_64_rules_matches)
{
	struct steer_rule r[SLUICE_STEER_MAX_RULES + 1];

	for (uint32_t i = 0; i <= SLUICE_STEER_MAX_RULES; i++)
		r[i] = (struct steer_rule){ .id = 100 + i, .priority = i, .action = SLUICE_ACTION_KERNEL,
					    .protocol = 200 };
	r[63] = rules[0];
	r[63].priority = 1000;
	ck_ok(steer_set_rules(steer, r, SLUICE_STEER_MAX_RULES, &fault));
	ck_assert_uint_eq(run_spec(&to_drop), XDP_DROP);
	ck_assert_int_eq(steer_set_rules(steer, r, SLUICE_STEER_MAX_RULES + 1, &fault), -E2BIG);
	ck_assert_uint_eq(run_spec(&to_drop), XDP_DROP);
}
END_TEST

START_TEST(wrong_rules_are_refused)
{
	static const struct {
		struct steer_rule r;
		const char *says;
	} bad[] = {
		{ { .id = 0, .action = SLUICE_ACTION_DROP }, "identifier" },
		{ { .id = 1 }, "action" },
		{ { .id = 1, .action = 9 }, "action" },
		{ { .id = 1, .action = SLUICE_ACTION_DROP, .family = 5 }, "family" },
		{ { .id = 1, .action = SLUICE_ACTION_DROP, .protocol = 256 }, "protocol" },
		{ { .id = 1, .action = SLUICE_ACTION_DROP, .protocol = TCP, .dst_ports = { 2, 1 } }, "range" },
		{ { .id = 1, .action = SLUICE_ACTION_DROP, .protocol = GRE, .dst_ports = { 1, 2 } }, "no ports" },
		{ { .id = 1, .action = SLUICE_ACTION_DROP, .src = { .family = 4, .len = 33 } }, "length" },
		{ { .id = 1, .action = SLUICE_ACTION_DROP, .family = 6, .dst = { .family = 4, .len = 8 } }, "IPv4" },
		{ { .id = 1, .action = SLUICE_ACTION_DROP, .src = { .family = 4 }, .dst = { .family = 6 } },
		  "families" },
	};
	struct steer_rule twice[2] = { rules[0], rules[0] };

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		ck_assert_int_eq(steer_set_rules(steer, &bad[i].r, 1, &fault), -EINVAL);
		ck_assert_msg(strstr(fault.text, bad[i].says) != NULL, "%s: \"%s\"", bad[i].says, fault.text);
	}
	ck_assert_int_eq(steer_set_rules(steer, twice, 2, &fault), -EEXIST);
	ck_assert_uint_eq(run_spec(&to_drop), XDP_DROP);	/* the old ones are in force */
}
END_TEST

START_TEST(tables_hold_their_limit_and_are_replaced_whole)
{
	enum { N = SLUICE_STEER_MAX_ADDRS + 1 };
	struct steer_transit *t = calloc(N, sizeof(*t));
	struct steer_addr *a = calloc(N, sizeof(*a));
	struct frame_spec f = { .src = S4, .dst = "100.64.0.9", .proto = TCP };

	for (uint32_t round = 0; round < 2; round++) {
		for (uint32_t i = 0; i < N; i++) {
			a[i] = addr_of("100.64.0.0", SLUICE_VLAN_ANY);
			a[i].addr[0] = htonl(ntohl(a[i].addr[0]) + i + round * 0x10000);
			t[i] = (struct steer_transit){ { 4, 32, { a[i].addr[0] } }, SLUICE_ACTION_DROP };
			t[i].prefix.addr[0] ^= htonl(0x01000000);
		}
		ck_assert_int_eq(steer_set_engine_addrs(steer, a, N, &fault), -E2BIG);
		ck_ok(steer_set_engine_addrs(steer, a, N - 1, &fault));
		ck_assert_int_eq(steer_set_transit(steer, t, N, &fault), -E2BIG);
		ck_ok(steer_set_transit(steer, t, N - 1, &fault));
	}
	ck_assert_uint_eq(run_spec(&f), XDP_PASS);		/* of the first round: gone */
	f.dst = "100.65.0.9";
	ck_assert_uint_eq(run_spec(&f), XDP_REDIRECT);
	f.dst = "101.65.0.9";
	ck_assert_uint_eq(run_spec(&f), XDP_DROP);
	f.dst = K4;						/* the other owner's list is untouched */
	ck_assert_uint_eq(run_spec(&f), XDP_PASS);
	t[1] = t[0];
	ck_assert_int_eq(steer_set_transit(steer, t, 2, &fault), -EEXIST);
	ck_ok(steer_set_engine_addrs(steer, NULL, 0, &fault));
	ck_ok(steer_set_transit(steer, NULL, 0, &fault));
	f.dst = "100.65.0.9";
	ck_assert_uint_eq(run_spec(&f), XDP_PASS);
	free(a);
	free(t);
}
END_TEST

START_TEST(address_moves_from_engine_to_kernel_and_back)
{
	struct steer_addr a = addr_of(E4, SLUICE_VLAN_ANY);

	ck_assert_uint_eq(run_spec(&to_engine), XDP_REDIRECT);
	ck_ok(steer_set_kernel_addrs(steer, &a, 1, &fault));
	ck_assert_uint_eq(run_spec(&to_engine), XDP_PASS);
	ck_ok(steer_set_kernel_addrs(steer, NULL, 0, &fault));
	ck_assert_uint_eq(run_spec(&to_engine), XDP_REDIRECT);
}
END_TEST

/* The verdict that one frame of the table is counted under. */
static uint32_t verdict_of_case(size_t i)
{
	struct sluice_steer_counters was = counters(), is;
	struct frame_buf f;
	uint32_t v;

	frame_build(&f, &cases[i].f);
	run_frame(&f);
	is = counters();
	for (v = 0; v < SLUICE_VERDICT_COUNT; v++)
		if (verdict_count(&is, v) != verdict_count(&was, v))
			break;
	return v;
}

/* Frames of every kind, many to the same destinations: each is decided as if nothing were remembered. */
START_TEST(what_is_remembered_changes_no_verdict)
{
	uint32_t anew[ARRAY_SIZE(cases)];
	unsigned int wrong = 0;

	ck_ok(steer_set_rules(steer, NULL, 0, &fault));
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		steer_forget_decisions(steer);
		anew[i] = verdict_of_case(i);
	}
	for (unsigned int pass = 0; pass < 3; pass++)
		for (size_t k = 0; k < ARRAY_SIZE(cases); k++) {
			size_t i = pass == 1 ? ARRAY_SIZE(cases) - 1 - k : k;
			uint32_t v = verdict_of_case(i);

			if (v == anew[i])
				continue;
			printf("%s: %s, and %s when it is remembered\n", cases[i].name, steer_verdict_name(anew[i]),
			       steer_verdict_name(v));
			wrong++;
		}
	ck_assert_uint_eq(wrong, 0);
}
END_TEST

/* Each setter is felt by the very next frame. */
START_TEST(nothing_is_remembered_beyond_a_change)
{
	struct frame_spec to_t4 = { .src = S4, .dst = T4, .proto = UDP };
	struct frame_spec to_x4 = { .src = S4, .dst = X4, .proto = UDP };
	struct steer_transit drop = { prefix_of(T4 "/32"), SLUICE_ACTION_DROP };
	struct steer_addr kernel = addr_of(T4, SLUICE_VLAN_ANY), engine = addr_of(X4, SLUICE_VLAN_ANY);

	ck_ok(steer_set_rules(steer, NULL, 0, &fault));
	ck_assert_uint_eq(run_spec(&to_t4), XDP_REDIRECT);
	ck_ok(steer_set_transit(steer, &drop, 1, &fault));
	ck_assert_uint_eq(run_spec(&to_t4), XDP_DROP);
	ck_ok(steer_set_transit(steer, NULL, 0, &fault));
	ck_assert_uint_eq(run_spec(&to_t4), XDP_PASS);
	ck_ok(steer_set_transit(steer, &drop, 1, &fault));
	ck_assert_uint_eq(run_spec(&to_t4), XDP_DROP);
	ck_ok(steer_set_kernel_addrs(steer, &kernel, 1, &fault));
	ck_assert_uint_eq(run_spec(&to_t4), XDP_PASS);
	ck_ok(steer_set_kernel_addrs(steer, NULL, 0, &fault));
	ck_assert_uint_eq(run_spec(&to_t4), XDP_DROP);
	ck_assert_uint_eq(run_spec(&to_x4), XDP_PASS);
	ck_ok(steer_set_engine_addrs(steer, &engine, 1, &fault));
	ck_assert_uint_eq(run_spec(&to_x4), XDP_REDIRECT);
	ck_ok(steer_set_engine_addrs(steer, NULL, 0, &fault));
	ck_assert_uint_eq(run_spec(&to_x4), XDP_PASS);
	/* Rules stand before what is remembered, and come and go beside it. */
	set_rules();
	ck_assert_uint_eq(run_spec(&to_drop), XDP_DROP);
	ck_ok(steer_set_rules(steer, NULL, 0, &fault));
	ck_assert_uint_eq(run_spec(&to_t4), XDP_DROP);
}
END_TEST

static int count_events(void *ctx, void *data, size_t len)
{
	struct sluice_trace_event *to = ctx;

	ck_assert_uint_ge(len, sizeof(*to));
	memcpy(to, data, sizeof(*to));
	return 0;
}

START_TEST(trace_shows_what_the_filter_wants)
{
	struct sluice_trace_filter want = { .match = SLUICE_TRACE_PROTOCOL | SLUICE_TRACE_DST_PORT, .family = 4,
					    .protocol = TCP, .dst_port = 85 };
	struct frame_spec back = { .src = T4, .dst = S4, .proto = TCP, .sport = 85 };
	struct sluice_trace_event e = { 0 };
	struct ring_buffer *rb = ring_buffer__new(steer_trace_fd(steer), count_events, &e, NULL);

	ck_assert_ptr_nonnull(rb);
	run_spec(&to_drop);
	ck_assert_int_eq(ring_buffer__consume(rb), 0);		/* off */
	steer_set_trace(steer, &want);
	run_spec(&to_engine);
	run_spec(&back);
	ck_assert_int_eq(ring_buffer__consume(rb), 0);
	run_spec(&to_drop);
	ck_assert_int_eq(ring_buffer__consume(rb), 1);
	ck_assert_uint_eq(e.verdict, SLUICE_VERDICT_drop_rule);
	ck_assert_uint_eq(e.rule_id, 12);
	ck_assert_uint_eq(e.flags, SLUICE_TRACE_HAS_PORTS | SLUICE_TRACE_HAS_RULE);
	ck_assert_uint_eq(e.dst_port, 85);
	ck_assert_uint_eq(e.dst[0], inet_addr(T4));
	ck_assert_uint_eq(e.ethertype, 0x0800);
	ck_assert_uint_ne(e.time_ns, 0);
	want.match |= SLUICE_TRACE_EITHER_WAY;
	steer_set_trace(steer, &want);
	run_spec(&back);
	ck_assert_int_eq(ring_buffer__consume(rb), 1);
	ck_assert_uint_eq(e.src_port, 85);

	/* A sample: some, not all; chance is wide enough for 1,000 frames at 1 in 10. */
	want = (struct sluice_trace_filter){ .one_in = 10, .src = { inet_addr("198.51.100.0") },
					     .src_mask = { inet_addr("255.255.255.0") } };
	steer_set_trace(steer, &want);
	for (int i = 0; i < 1000; i++)
		run_spec(&to_engine);
	ck_assert_int_gt(ring_buffer__consume(rb), 30);
	ck_assert_uint_lt(counters().traced, 300);
	steer_set_trace(steer, NULL);
	run_spec(&to_engine);
	ck_assert_int_eq(ring_buffer__consume(rb), 0);

	/* A full ring loses events, not frames. */
	want = (struct sluice_trace_filter){ 0 };
	steer_set_trace(steer, &want);
	for (int i = 0; i < 4000; i++)
		ck_assert_uint_eq(run_spec(&to_engine), XDP_REDIRECT);
	ck_assert_uint_gt(counters().trace_lost, 0);
	ring_buffer__free(rb);
}
END_TEST

START_TEST(a_frame_without_ports_is_not_traced_by_port)
{
	struct sluice_trace_filter want = { .match = SLUICE_TRACE_DST_PORT, .dst_port = 0 };

	steer_set_trace(steer, &want);
	run_spec(&(struct frame_spec){ .src = S4, .dst = T4, .proto = ICMP, .icmp_type = 8 });
	ck_assert_uint_eq(counters().traced, 0);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("steer");
	TCase *tc = tcase_create("verdicts");
	SRunner *sr;
	int failed;

	if (geteuid() != 0) {
		printf("SKIP steer: needs root\n");
		return 77;
	}
	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_set_timeout(tc, 60);
	tcase_add_test(tc, frame_gets_its_verdict_and_is_counted_once);
	tcase_add_test(tc, truncated_frames_are_counted_at_every_length);
	tcase_add_test(tc, mutated_frames_are_counted_once);
	tcase_add_test(tc, without_a_socket_everything_for_the_engine_passes);
	tcase_add_test(tc, switched_off_passes_all);
	tcase_add_test(tc, no_rules_no_drops);
	tcase_add_test(tc, hits_stay_while_the_rule_does);
	tcase_add_test(tc, last_of_64_rules_matches);
	tcase_add_test(tc, wrong_rules_are_refused);
	tcase_add_test(tc, tables_hold_their_limit_and_are_replaced_whole);
	tcase_add_test(tc, address_moves_from_engine_to_kernel_and_back);
	tcase_add_test(tc, what_is_remembered_changes_no_verdict);
	tcase_add_test(tc, nothing_is_remembered_beyond_a_change);
	tcase_add_test(tc, trace_shows_what_the_filter_wants);
	tcase_add_test(tc, a_frame_without_ports_is_not_traced_by_port);
	suite_add_tcase(s, tc);
	sr = srunner_create(s);
	instance_init();
	srunner_run_all(sr, CK_NORMAL);
	instance_fini("t");
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
