/* SPDX-License-Identifier: MIT */
/*
 * What a person asked for: the configuration, checked and with every default filled in.
 *
 * The text is libconfig's syntax; README.md has the reference of keys. Whatever config_load() returned has passed all
 * checks that need no system: ranges, spelling, duplicates, references between sections. Checks that need the system
 * (does the device exist, how many queues has it) belong to whoever acts on it; @line and config.file are kept for
 * them, so that their errors point at the text as well.
 *
 * "0 = auto" values are left 0 here: only the one that acts can see the device.
 */
#ifndef USER_CONTROL_CONFIG_H
#define USER_CONTROL_CONFIG_H

#include <net/if.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/fault.h"
#include "common/log.h"

enum {
	CONFIG_FILE_MAX = 256,		/* bytes of a path, NUL included */
	CONFIG_NAME_MAX = 32,		/* instance, rule: bytes, NUL included */
	CONFIG_PORT_NAME_MAX = 16,	/* a port's name is a folder below the instance's pins */
	CONFIG_IFACE_NAME_MAX = 28,	/* "PORT.4094.4094" and whatever a person prefers */
	CONFIG_USER_MAX = 33,
	CONFIG_SOCKET_MAX = 108,	/* sun_path */
	CONFIG_TEXT_MAX = 1 << 20,	/* bytes of one configuration file */

	CONFIG_WORKERS_MAX = 64,
	CONFIG_QUEUES_MAX = 64,		/* of one port */
	CONFIG_PORTS_MAX = 32,
	CONFIG_VLANS_MAX = 64,		/* of one port */
	CONFIG_ADDRS_MAX = 16,		/* of one interface */
	CONFIG_ROUTES_MAX = 1024,
	CONFIG_NEXTHOPS_MAX = 8,	/* of one route */
	CONFIG_NEIGHS_MAX = 256,	/* static neighbours */
	CONFIG_TRANSIT_MAX = 4096,
	CONFIG_RULES_MAX = 64,		/* what the XDP program has room for */
};

/** struct config_ip - An address in wire order; an IPv4 address takes the first four bytes, the rest are 0. */
struct config_ip {
	uint16_t family;		/* AF_INET, AF_INET6; AF_UNSPEC when not given */
	uint8_t bytes[16];
};

/** struct config_prefix - An address and a prefix length. Host bits are 0 unless it is an interface's address. */
struct config_prefix {
	struct config_ip ip;
	uint8_t len;			/* bits */
};

/** struct config_range - An inclusive range of port numbers, host order; 0..65535 when not given. */
struct config_range {
	uint16_t first, last;
};

/** enum config_switch - What may be left to the engine: "auto", "on" (or true), "off" (or false). */
enum config_switch {
	CONFIG_AUTO,			/* the best that works, and a line that says what was taken */
	CONFIG_ON,			/* or fail */
	CONFIG_OFF,
};

/** enum config_mode - How frames reach the AF_XDP socket of a port. */
enum config_mode {
	CONFIG_MODE_AUTO,		/* the best that the device has, in the order below; the reason is reported */
	CONFIG_MODE_ZEROCOPY,		/* native XDP, the device writes into our memory */
	CONFIG_MODE_NATIVE,		/* native XDP, the kernel copies */
	CONFIG_MODE_GENERIC,		/* XDP on sk_buffs; any device */
};

enum config_action {
	CONFIG_ACTION_ENGINE,
	CONFIG_ACTION_KERNEL,
	CONFIG_ACTION_DROP,
};

enum config_rp_filter {			/* RFC 3704 */
	CONFIG_RP_OFF,
	CONFIG_RP_LOOSE,		/* the source has some route */
	CONFIG_RP_STRICT,		/* the source has its route by the interface it came in */
};

enum config_route_type {
	CONFIG_ROUTE_UNICAST,
	CONFIG_ROUTE_BLACKHOLE,
	CONFIG_ROUTE_UNREACHABLE,
	CONFIG_ROUTE_PROHIBIT,
};

enum config_port_kind {
	CONFIG_PORT_XDP,		/* a network device by AF_XDP */
	CONFIG_PORT_TUN,
};

enum {
	CONFIG_MSS_OFF = 0,		/* values of config_iface.mss_clamp besides a number of bytes */
	CONFIG_MSS_PMTU = 1,		/* the smaller of both interfaces' MTU, less the headers */
};

/** struct config_iface - The layer 3 side of a port or of a VLAN on it. */
struct config_iface {
	char name[CONFIG_IFACE_NAME_MAX];	/* a port's own: the port's name; a VLAN's default: PORT.ID[.INNER] */
	struct config_prefix addrs[CONFIG_ADDRS_MAX];	/* engine-only addresses, host bits kept */
	unsigned int n_addrs;
	unsigned int mtu;		/* bytes of layer 3; 0 = the device's */
	unsigned int mss_clamp;		/* bytes, CONFIG_MSS_OFF or CONFIG_MSS_PMTU; what goes out of and comes in here */
	enum config_rp_filter rp_filter;
};

/** struct config_vlan - An interface behind one tag, or two (QinQ). */
struct config_vlan {
	struct config_iface iface;
	uint16_t tpid;			/* of the outer tag, host order: 0x8100 or 0x88a8 */
	uint16_t id;			/* outer, 1..4094 */
	uint16_t inner;			/* 0 = single tagged; the inner tag's TPID is 0x8100 */
};

struct config_rings {
	unsigned int rx, tx, fill;	/* descriptors, powers of two; the completion ring is as long as tx */
};

/** enum config_tun_offload - What a TUN port takes from and gives to the kernel unfinished. */
enum config_tun_offload {
	CONFIG_TUN_CSUM = 1u << 0,
	CONFIG_TUN_TSO4 = 1u << 1,
	CONFIG_TUN_TSO6 = 1u << 2,
	CONFIG_TUN_USO = 1u << 3,
	CONFIG_TUN_ALL = CONFIG_TUN_CSUM | CONFIG_TUN_TSO4 | CONFIG_TUN_TSO6 | CONFIG_TUN_USO,
};

/** struct config_port - A device that the engine takes part in. */
struct config_port {
	unsigned int line;		/* in config.file; 0 = from the command line */
	char name[CONFIG_PORT_NAME_MAX];
	enum config_port_kind kind;
	char device[IF_NAMESIZE];	/* the network device; of a TUN port the TUN device's name */

	/*
	 * Queue i of the port is device queue queue_ids[i], or i when n_queue_ids is 0, and belongs to worker
	 * queue_worker[i], or i modulo the number of workers when n_queue_workers is 0.
	 */
	unsigned int n_queues;		/* 0 = as many as the device has, at most the number of workers */
	unsigned int n_queue_ids;	/* 0 or n_queues */
	uint16_t queue_ids[CONFIG_QUEUES_MAX];
	unsigned int n_queue_workers;	/* 0 or n_queues */
	uint8_t queue_worker[CONFIG_QUEUES_MAX];

	struct config_iface iface;	/* untagged frames */
	unsigned int n_vlans;
	struct config_vlan vlans[CONFIG_VLANS_MAX];

	/* CONFIG_PORT_XDP only */
	enum config_mode mode;
	struct config_rings rings;
	enum config_switch metadata;		/* RX hash, timestamp, VLAN tag by kfuncs */
	enum config_switch dispatcher;		/* share the device with other XDP programs through libxdp */
	enum config_switch partial_checksums;	/* take "field equals pseudo-header sum" as a partial checksum */
	enum config_switch checksum_offload;	/* by TX metadata */
	enum config_switch multibuffer;		/* XDP_USE_SG */

	/* CONFIG_PORT_TUN only */
	bool tun_persistent;		/* the device stays when the engine ends */
	unsigned int tun_offloads;	/* enum config_tun_offload, or-ed: what may be used where the kernel has it */
	char tun_owner[CONFIG_USER_MAX];	/* "" = nobody but root attaches to it */
};

struct config_nexthop {
	struct config_ip via;		/* AF_UNSPEC = on-link */
	char iface[CONFIG_IFACE_NAME_MAX];	/* never empty in a checked configuration */
	unsigned int weight;		/* 1..256 */
	bool onlink;			/* via needs no address of ours in its subnet */
};

/** struct config_route - A static route, held by the engine alone. */
struct config_route {
	unsigned int line;
	struct config_prefix prefix;
	enum config_route_type type;
	uint32_t metric;
	unsigned int n_nexthops;	/* 0 unless CONFIG_ROUTE_UNICAST */
	struct config_nexthop nexthops[CONFIG_NEXTHOPS_MAX];
};

/** struct config_neigh - A neighbour that is never asked for. */
struct config_neigh {
	unsigned int line;
	struct config_ip ip;
	uint8_t mac[6];
	char iface[CONFIG_IFACE_NAME_MAX];
};

/** struct config_transit - Traffic to these destinations is whose? */
struct config_transit {
	struct config_prefix prefix;
	enum config_action action;
};

/** struct config_rule - A match with priority, looked at before the transit prefixes; what is not given matches all. */
struct config_rule {
	unsigned int line;
	char name[CONFIG_NAME_MAX];
	uint16_t priority;		/* unique; the lowest that matches wins */
	enum config_action action;
	uint16_t family;		/* AF_INET, AF_INET6, AF_UNSPEC = both */
	int16_t protocol;		/* IP protocol number, -1 = any */
	bool has_source, has_destination, has_source_ports, has_destination_ports;
	struct config_prefix source, destination;
	struct config_range source_ports, destination_ports;
	char port[CONFIG_PORT_NAME_MAX];	/* "" = every port */
	int16_t vlan;			/* outer tag: 1..4094; 0 = untagged only; -1 = any */
	uint16_t inner;			/* inner tag, 0 = none; as in struct config_vlan, like the next */
	uint16_t tpid;
};

/** struct config_steer - What the XDP program hands to the engine; used by `run` and by `attach`. */
struct config_steer {
	unsigned int n_transit;
	struct config_transit transit[CONFIG_TRANSIT_MAX];
	unsigned int n_rules;		/* sorted by priority */
	struct config_rule rules[CONFIG_RULES_MAX];
};

struct config_workers {
	unsigned int count;		/* 0 = as many as the port with the most queues has, at most the CPUs */
	unsigned int n_cpus;		/* 0 = not pinned; else = count */
	uint16_t cpus[CONFIG_WORKERS_MAX];
};

struct config_control {
	char socket[CONFIG_SOCKET_MAX];
	unsigned int mode;		/* permission bits */
	char group[CONFIG_USER_MAX];	/* "" = the process's own */
	unsigned int max_clients;
};

struct config_memory {
	unsigned int frames;		/* of each worker */
	unsigned int chunk_bytes;	/* 2048, 4096 */
	enum config_switch huge;	/* huge pages; ON = fail without them */
	unsigned int reserve;		/* frames kept for reception; below it holders copy out or drop */
};

struct config_busy_poll {
	bool enabled;
	unsigned int usecs;		/* SO_BUSY_POLL */
	unsigned int budget;		/* SO_BUSY_POLL_BUDGET, packets */
};

struct config_icmp {
	unsigned int error_rate;	/* errors per second, whole engine */
	unsigned int error_burst;
	unsigned int echo_rate;		/* echo replies per second, whole engine; 0 = never answer */
	unsigned int echo_burst;
};

struct config_neighbours {
	unsigned int max;		/* entries of engine-only addresses' links */
	unsigned int queue;		/* packets held for one unresolved neighbour */
	unsigned int reachable_ms;	/* RFC 4861 10: REACHABLE_TIME, before its random factor */
	unsigned int retrans_ms;	/* RETRANS_TIMER */
	unsigned int probes;		/* MAX_MULTICAST_SOLICIT and MAX_UNICAST_SOLICIT */
	unsigned int stale_ms;		/* unused entries are forgotten after it */
	bool detect_duplicates;		/* before an address is used: RFC 4862 5.4, RFC 5227 */
};

struct config_netlink {
	bool enabled;			/* mirror the kernel's addresses, routes and neighbours */
	uint32_t table;			/* routing table; RT_TABLE_MAIN (254) by default */
	unsigned int receive_buffer_bytes;
};

struct config_trace {
	unsigned int records;		/* ring per worker; power of two */
	unsigned int capture_bytes;	/* ring per running capture */
};

/** struct config - Everything. Some megabytes: it lives on the heap. */
struct config {
	char file[CONFIG_FILE_MAX];	/* "" = from the command line */
	char instance[CONFIG_NAME_MAX];
	char user[CONFIG_USER_MAX];	/* to become after start; "" = stay */
	bool seccomp;			/* allow only the system calls of a running gateway */
	enum log_level log_level;
	unsigned int spin_us;		/* how long a worker looks again before it sleeps */
	struct config_workers workers;
	struct config_control control;
	struct config_memory memory;
	struct config_busy_poll busy_poll;
	struct config_icmp icmp;
	struct config_neighbours neighbours;
	struct config_netlink netlink;
	struct config_trace trace;
	unsigned int n_ports;
	struct config_port ports[CONFIG_PORTS_MAX];
	unsigned int n_routes;
	struct config_route routes[CONFIG_ROUTES_MAX];
	unsigned int n_neighs;
	struct config_neigh neighs[CONFIG_NEIGHS_MAX];
	struct config_steer steer;
};

/**
 * config_load() - Read and check a file.
 * @path: the file; relative @include lines are looked for beside it
 * @out:  receives the configuration on success, to be freed by config_free()
 * @f:    on failure "FILE:LINE: KEY: what is wrong, what would be right"
 *
 * Return: 0, -EINVAL for a wrong text, or -errno when the file cannot be read
 */
int config_load(const char *path, struct config **out, struct fault *f);

/**
 * config_parse() - The same for a text in memory.
 * @text: @len bytes, no terminator needed; @include is refused
 * @name: stands for the file in errors
 */
int config_parse(const char *text, size_t len, const char *name, struct config **out, struct fault *f);

/** struct config_shorthand - What `sluice run` takes in place of a file; arrays of the caller's. */
struct config_shorthand {
	const char *instance;		/* NULL = default */
	const char *const *ports;	/* "NAME=DEVICE", or "DEVICE" for both */
	size_t n_ports;
	const char *const *tuns;	/* "NAME=DEVICE", or "DEVICE" for both */
	size_t n_tuns;
	const char *const *transit;	/* prefixes; none = everything */
	size_t n_transit;
	const char *mode;		/* NULL = auto; of every port */
	const char *workers;		/* NULL = auto; a number */
};

/**
 * config_from_ports() - The configuration of a command line, checked like a file.
 *
 * Errors name the option: "--port lan: ...".
 * Return: 0 or -EINVAL
 */
int config_from_ports(const struct config_shorthand *args, struct config **out, struct fault *f);

/**
 * config_load_steer() - Read a file of rules alone, for `sluice attach`.
 *
 * The file is the inside of the "steer" group: transit and rules. Rules may not name a port: the device is given.
 * Return: as config_load(); *@out is freed by free()
 */
int config_load_steer(const char *path, struct config_steer **out, struct fault *f);

/** config_free() - NULL is fine. */
void config_free(struct config *c);

/** config_find_port() - Return: the port of that name, or NULL */
const struct config_port *config_find_port(const struct config *c, const char *name);

/**
 * config_find_iface() - A port's or a VLAN's interface by name.
 * @port: receives its port; may be NULL
 * @vlan: receives its VLAN, or NULL for a port's own; may be NULL
 */
const struct config_iface *config_find_iface(const struct config *c, const char *name, const struct config_port **port,
					     const struct config_vlan **vlan);

/**
 * config_default_socket() - Where the control socket of an instance is unless told otherwise.
 *
 * Return: false when @instance is no valid name
 */
bool config_default_socket(const char *instance, char *path, size_t size);

#endif
