/* SPDX-License-Identifier: MIT */
/*
 * What the control socket says, command by command. user/control/server.h has the framing; here are arguments, results
 * and the records of streams. The same texts are what `sluice COMMAND --json` prints.
 *
 * Conventions: times are nanoseconds (_ns, CLOCK_MONOTONIC unless said otherwise), sizes are bytes; numbers that are
 * counters carry the name of the field in the pinned maps (<sluice/counters.h>, <sluice/drops.h>, <sluice/steer.h>), so
 * that `bpftool map dump pinned` and `stats` can be compared word by word. What does not apply is null or left out, never
 * a number with a meaning of its own. Consumers ignore members that they do not know.
 *
 * DOC: status                                                                   arguments: none
 *
 *	{
 *	  "instance": "sluice", "version": "v1.0-3-gabcdef", "pid": 123, "uptime_ns": 1, "state": "running" | "draining",
 *	  "config": "/etc/sluice.conf" | null, "kernel": "6.18.5", "uid": 0, "seccomp": true,
 *	  "limits": ["no TX metadata: the kernel is older than 6.8", ...],	what this kernel lacks, for a person
 *	  "workers": [{
 *	    "worker": 0, "cpu": 2 | null, "busy_poll": false, "chunk_bytes": 2048, "huge_pages": false,
 *	    "frames": {"total": 16384, "free": 1, "fill": 1, "engine": 0, "tx": 0, "neigh": 0, "cross": 0}
 *	  }],
 *	  "ports": [{"name": "lan", "device": "eth1", "kind": "xdp" | "tun", "state": "up" | "down" | "gone",
 *	             "mode": "copy native", "reasons": ["zero-copy: the driver has no ..."]}],
 *	  "netlink": {"state": "synchronised" | "resynchronising" | "off", "table": 254, "resyncs": 0},
 *	  "counts": {"routes_ipv4": 5, "routes_ipv6": 3, "neighbours": 2, "addresses": 4}
 *	}
 *
 * DOC: ports                                                                    arguments: port (one of them)
 *
 *	{"ports": [{
 *	  "name": "lan", "device": "eth1", "kind": "xdp", "ifindex": 3, "state": "up", "mac": "02:...", "mtu": 1500,
 *	  "mode": "copy native", "reasons": [...],			each step down the ladder and why
 *	  "program": {"id": 12, "variant": "metadata" | "tag" | "plain", "frags": true,
 *	              "attached_by": "link" | "dispatcher" | "adopted", "pins": "/sys/fs/bpf/sluice/sluice/lan"} | null,
 *	  "offloads": {"tx_checksum": true, "multibuffer": true, "superpackets": false, "tso4": false, "tso6": false,
 *	               "uso": false, "partial_checksums": true},	what is in use; left out when gone
 *	  "queues": [{"queue": 0, "worker": 0}],
 *	  "interfaces": [{
 *	    "name": "lan.100", "vlan": {"id": 100, "inner": 0, "protocol": "802.1q"} | null, "mtu": 1500,
 *	    "addresses": [{"address": "192.0.2.1/24", "owner": "kernel" | "engine",
 *	                   "state": "preferred" | "tentative" | "duplicate"}]
 *	  }]
 *	}]}
 *
 * DOC: stats                                                                    arguments: none
 *
 *	{
 *	  "time_ns": 1,
 *	  "engine": {struct sluice_engine_counters, summed}, "drops": {struct sluice_drops, summed},
 *	  "workers": [{"worker": 0, "engine": {...}, "drops": {...}}],
 *	  "ports": [{
 *	    "name": "lan", "counters": {struct sluice_port_counters, summed},
 *	    "queues": [{"queue": 0, "index": 0, "worker": 0, "counters": {...}}],	index: the key in the map "ports"
 *	    "steer": {struct sluice_steer_counters, over all CPUs} | null,
 *	    "rules": [{"name": "ssh", "id": 1, "pkts": 0, "bytes": 0}]
 *	  }]
 *	}
 *
 * DOC: routes                  arguments: family ("ipv4", "ipv6"), get (an address), cursor, limit (1 to 10000)
 *
 *	{"routes": [{
 *	   "prefix": "10.0.0.0/8", "type": "unicast" | "blackhole" | "unreachable" | "prohibit" | "local" | "broadcast" |
 *	   "throw", "metric": 0, "origin": "kernel" | "static" | "connected", "mtu": 1400,
 *	   "nexthops": [{"via": "192.0.2.254" | null, "interface": "lan" | null, "weight": 1}]
 *	 }], "next": "cursor" | null}
 *
 * The best route of each prefix, IPv4 first, in order of address. "origin" is "connected" for engine-only addresses and
 * their subnets; "interface" is null where the way leads through a device that is no port; "mtu" is there when the route
 * has its own. With "get": the one route by which a packet to this address would leave, or the error ENETUNREACH.
 *
 * "next" goes into the following request's "cursor"; a table that changes meanwhile may show a route twice or not at all.
 *
 * DOC: neigh                                                                    arguments: interface, cursor, limit
 *
 *	{"neighbours": [{
 *	   "address": "192.0.2.7", "interface": "lan", "mac": "02:..." | null, "owner": "kernel" | "engine" | "static",
 *	   "state": "incomplete" | "reachable" | "stale" | "delay" | "probe" | "failed" | "permanent",
 *	   "queued": 0, "age_ns": 1
 *	 }], "next": "cursor" | null}
 *
 * "queued" packets wait for it; "age_ns" is the time since its state changed, for the engine's own.
 *
 * DOC: capture      arguments: port, direction ("both", "in", "out"), snaplen (16 to 65535), count, filter
 *
 * "filter" is a classic BPF program, [[code, jt, jf, k], ...], run over the packet as it is on the port: with its
 * Ethernet header and tags, or as an IP packet on a TUN port. The result says which:
 *
 *	{"port": "lan", "linktype": "ethernet" | "raw", "snaplen": 65535}	then a stream of struct api_capture_record
 *
 * The stream ends after "count" packets. Programs must end by themselves: one that jumps back (libpcap's "protochain")
 * is refused. Four captures run at a time, the next one gets EBUSY.
 *
 * DOC: trace        arguments: port, sample (one packet in so many), and which packets, twice:
 *                   for the XDP program family ("ipv4", "ipv6"), protocol (a number), source, destination (prefixes),
 *                   source_port, destination_port, either_way (bool); for the engine filter (a classic BPF program, over
 *                   frames with their Ethernet header) and filter_ip (the same over IP packets: TUN ports)
 *
 *	{}						then a stream of lines, in the order in which they were read:
 *
 *	{"kind": "verdict", "time_ns": 1, "port": "lan", "queue": 0, "bytes": 98, "vlan": [100], "family": "ipv4",
 *	 "protocol": 1, "source": "10.0.0.2", "destination": "10.1.0.2", "source_port": 1, "destination_port": 2,
 *	 "fragment": false, "verdict": "redirect_prefix", "rule": "ssh"}		the XDP program has decided
 *	{"kind": "rx", "packet": 7, "time_ns": 1, "worker": 0, "port": "lan", "interface": "lan.100", "bytes": 98,
 *	 "family": "ipv4", "protocol": 1, "source": ..., "destination": ..., "source_port": 1, "destination_port": 2}
 *	{"kind": "stage", "packet": 7, "time_ns": 1, "worker": 0, "stage": "ip4-input", "out": "wan"}
 *	{"kind": "drop", "packet": 7, "time_ns": 1, "worker": 0, "drop": "ttl"}
 *	{"kind": "lost", "records": 12}			so many found the buffers full since the last such line
 *
 * "packet" is the same in all lines of one packet of one worker. "out", an interface, is there once the way out is known.
 * Addresses, ports, rule and VLAN are left out where there are none. What is not IP has its "ethertype", a number, in
 * place of family and protocol; a verdict on ARP has the addresses of asker and asked as well.
 *
 * The XDP program and the engine choose their samples each on its own. With a program for one kind of port only, the
 * engine follows no packet of the other kind. One trace runs at a time, the next gets EBUSY.
 *
 * DOC: help                                                                     arguments: none
 *
 *	{"commands": [{"cmd": "stats", "help": "...", "args": [...]}]}
 */
#ifndef USER_CONTROL_API_H
#define USER_CONTROL_API_H

#include <assert.h>
#include <stdint.h>

enum {
	API_PAGE_MAX = 10000,		/* entries of one reply of routes and neigh */
	API_PAGE_DEFAULT = 1000,
	API_SNAPLEN_MIN = 16,
	API_SNAPLEN_MAX = 65535,
	API_FILTER_MAX = 512,		/* instructions of a capture's filter */
};

enum api_direction { API_DIRECTION_IN = 1, API_DIRECTION_OUT = 2 };

/**
 * struct api_capture_record - In front of each packet of a capture's stream
 * @time_ns:   CLOCK_REALTIME
 * @caplen:    bytes that follow
 * @len:       bytes that the packet had
 * @lost:      packets that matched and did not fit the buffers since the last record
 * @direction: enum api_direction
 *
 * Byte order of the machine: the socket does not leave it.
 */
struct api_capture_record {
	uint64_t time_ns;
	uint32_t caplen;
	uint32_t len;
	uint32_t lost;
	uint16_t queue;
	uint8_t direction;
	uint8_t pad;
};

static_assert(sizeof(struct api_capture_record) == 24, "no padding that differs");

#endif
