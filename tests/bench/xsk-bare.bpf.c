// SPDX-License-Identifier: GPL-2.0-only
/* Everything into the AF_XDP socket of its queue, but for what lets the kernel's neighbours resolve. */
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ipv6.h>

#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#define QUEUES 64

struct {
	__uint(type, BPF_MAP_TYPE_XSKMAP);
	__uint(max_entries, QUEUES);
	__type(key, __u32);
	__type(value, __u32);
} xsks SEC(".maps");

SEC("xdp")
int xsk_bare(struct xdp_md *ctx)
{
	void *end = (void *)(long)ctx->data_end;
	struct ethhdr *eth = (void *)(long)ctx->data;
	struct ipv6hdr *ip6 = (void *)(eth + 1);
	__u8 *icmp6 = (void *)(ip6 + 1);

	if ((void *)(eth + 1) > end)
		return XDP_PASS;
	/* The group bit: ARP requests, neighbour solicitations, MLD. */
	if ((eth->h_dest[0] & 1) || eth->h_proto == bpf_htons(ETH_P_ARP))
		return XDP_PASS;
	/* Unicast neighbour solicitations and advertisements. */
	if (eth->h_proto == bpf_htons(ETH_P_IPV6) && (void *)(icmp6 + 1) <= end && ip6->nexthdr == IPPROTO_ICMPV6 &&
	    (*icmp6 == 135 || *icmp6 == 136))
		return XDP_PASS;
	return (int)bpf_redirect_map(&xsks, ctx->rx_queue_index, XDP_PASS);
}

char LICENSE[] SEC("license") = "GPL";
