/* SPDX-License-Identifier: MIT */
/*
 * The XDP program of one port: load, attach, configure, read. The program and the order of its decisions are described
 * in include/sluice/steer.h.
 *
 * A program attached by steer_attach() ends with the process, however that ends. What was attached with `persistent`
 * stays, with its rules and counters, until steer_detach_pinned(); steer_adopt() takes it over while an engine runs.
 *
 * Control thread only. Each setter takes the complete new contents, changes what differs, and adds before it deletes:
 * a frame that both the old and the new contents decide alike is never decided otherwise in between.
 */
#ifndef USER_PACKET_STEER_H
#define USER_PACKET_STEER_H

#include <net/if.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <sluice/steer.h>

#include "common/fault.h"
#include "user/packet/bpffs.h"

#define STEER_REASONS_MAX 12

enum steer_mode {
	STEER_MODE_AUTO,	/* native, else generic */
	STEER_MODE_NATIVE,
	STEER_MODE_GENERIC,
	STEER_MODE_DETACHED,	/* loaded only: for tests by BPF_PROG_TEST_RUN, and to check that it loads */
};

enum steer_dispatcher {
	STEER_DISPATCHER_AUTO,	/* libxdp's dispatcher if one is on the device already, else alone */
	STEER_DISPATCHER_YES,	/* the dispatcher where the kernel allows it */
	STEER_DISPATCHER_NO,
};

struct steer_params {
	int ifindex;
	const char *ifname;
	const char *instance;
	const char *port;
	const char *bpffs_root;		/* NULL: BPFFS_ROOT */
	enum steer_mode mode;
	enum steer_dispatcher dispatcher;
	bool metadata;			/* RX metadata where kernel and driver have it */
	bool no_rx_hash;		/* of it, not the hash: the driver would compute it for each frame */
	/*
	 * Of it, only the VLAN tag, and for the program alone: frames carry no metadata, and those whose tag the device
	 * has taken off go to the kernel.
	 */
	bool tag_only;
	bool persistent;		/* outlive this process */
	bool put_back;			/* adoption: steer_close() puts back what was there */
};

/** struct steer_info - What was got, and why not better: for `status` */
struct steer_info {
	enum steer_mode mode;		/* NATIVE, GENERIC or DETACHED */
	bool metadata;			/* frames carry struct sluice_rx_meta below their data */
	bool vlan_tag;			/* a tag that the device takes off is known to the program */
	bool frags;			/* multi-buffer frames */
	bool dispatcher;		/* through libxdp's dispatcher; otherwise the only program */
	bool persistent;		/* stays when this process ends */
	bool adopted;
	bool pinned;			/* maps are in @pins */
	uint32_t prog_id;
	int ifindex;
	char ifname[IFNAMSIZ];
	struct bpffs_dir pins;
	char reasons[STEER_REASONS_MAX][200];	/* one line for each step down */
	unsigned int n_reasons;
};

struct steer;

/**
 * steer_attach() - Load the program and attach it to the port's device.
 * @out: receives the handle; freed by steer_close()
 *
 * Steering is off (everything passes) until steer_set_enabled(); tables are empty, the MAC is the device's. Pins of a
 * dead run are replaced. Maps that cannot be pinned are a reason in steer_info(), but an error with @persistent.
 *
 * Return: 0; -EBUSY when a foreign program is on the device; -EEXIST when a persistent one of the same port is; other
 * negative errnos when the last step of the ladder failed, with the fault naming each step
 */
int steer_attach(const struct steer_params *p, struct steer **out, struct fault *f);

/**
 * steer_adopt() - Take over the persistent program of a port.
 *
 * Tables keep their contents until set; with @put_back they have them again after steer_close(), and if it never comes to
 * that, because the process is killed, nothing is dropped without a socket. Modes and the other flags of @p are not
 * looked at: the program is as it is.
 * Return: 0; -ENOENT when there is none; -ESTALE when it was left by another version or is on another device
 */
int steer_adopt(const struct steer_params *p, struct steer **out, struct fault *f);

/**
 * steer_close() - Detach, unpin and free. A persistent program stays, without sockets; see also @put_back.
 * @s: may be NULL
 */
void steer_close(struct steer *s);

/**
 * steer_detach_pinned() - Remove the persistent program of a port, and pins that a dead run has left.
 *
 * Return: 0; -ENOENT when there is nothing to remove
 */
int steer_detach_pinned(const char *bpffs_root, const char *instance, const char *port, struct fault *f);

/** steer_info() - What was got. Valid until steer_close(). */
const struct steer_info *steer_info(const struct steer *s);

/** steer_prog_fd() - The program, for BPF_PROG_TEST_RUN. */
int steer_prog_fd(const struct steer *s);

/** steer_trace_fd() - The ring buffer of struct sluice_trace_event. */
int steer_trace_fd(const struct steer *s);

/* ---- Configuration ---------------------------------------------------------------------------------------------- */
struct steer_prefix {
	uint8_t family;			/* 4, 6; 0: not used */
	uint8_t len;
	__be32 addr[4];			/* IPv4 in the first word; bits beyond @len are ignored */
};

struct steer_addr {
	uint8_t family;			/* 4 or 6 */
	bool group;			/* engine-only: also where the frame is link-layer multicast or broadcast */
	uint32_t vlan;			/* sluice_vlan_key() or SLUICE_VLAN_ANY; the kernel's: always any */
	__be32 addr[4];
};

struct steer_transit {
	struct steer_prefix prefix;
	enum sluice_steer_action action;
};

#define STEER_PROTOCOL_ANY (-1)

struct steer_ports {
	uint16_t first, last;		/* both included; 0 and 0: any */
};

struct steer_rule {
	uint32_t id;			/* not 0, unique; its hits are kept while the identifier stays */
	uint32_t priority;		/* lower numbers first, equal ones in the order given */
	enum sluice_steer_action action;
	int protocol;			/* or STEER_PROTOCOL_ANY */
	uint32_t vlan;			/* with @match_vlan: sluice_vlan_key(), SLUICE_VLAN_UNTAGGED included */
	struct steer_ports src_ports, dst_ports;
	struct steer_prefix src, dst;
	uint8_t family;			/* 4, 6, 0 for both */
	bool match_vlan;
};

/** steer_set_enabled() - Decide frames, or pass all of them. Takes effect at once. */
void steer_set_enabled(struct steer *s, bool enabled);

/** steer_set_mac() - The station address that unicast frames must be sent to. */
void steer_set_mac(struct steer *s, const uint8_t mac[6]);

/** steer_set_kernel_addrs() - The kernel's own addresses, which nothing takes away from it. */
int steer_set_kernel_addrs(struct steer *s, const struct steer_addr *addrs, size_t n, struct fault *f);

/** steer_set_engine_addrs() - Addresses that are the engine's only. */
int steer_set_engine_addrs(struct steer *s, const struct steer_addr *addrs, size_t n, struct fault *f);

/** steer_set_transit() - Prefixes that are routed by the engine, by the kernel, or not at all. */
int steer_set_transit(struct steer *s, const struct steer_transit *prefixes, size_t n, struct fault *f);

/** steer_set_vlans() - VLANs (sluice_vlan_key()) whose frames may be taken. */
int steer_set_vlans(struct steer *s, const uint32_t *vlans, size_t n, struct fault *f);

/**
 * steer_set_rules() - Replace the rules: a frame sees the old ones or the new ones.
 *
 * Waits until no frame is decided by the old ones. The fault names the rule that is wrong.
 */
int steer_set_rules(struct steer *s, const struct steer_rule *rules, size_t n, struct fault *f);

/** steer_set_xsk() - The socket that takes a queue's frames; it must have its memory and its rings. */
int steer_set_xsk(struct steer *s, uint32_t queue, int xsk_fd, struct fault *f);

/** steer_clear_xsk() - No socket for a queue: its frames pass. Closing the socket does the same. */
void steer_clear_xsk(struct steer *s, uint32_t queue);

/**
 * steer_set_trace() - Record frames in the trace ring.
 * @filter: @enabled is not looked at; NULL to stop
 */
void steer_set_trace(struct steer *s, const struct sluice_trace_filter *filter);

/* ---- Reading ---------------------------------------------------------------------------------------------------- */
/** steer_read_counters() - The sum over all CPUs. */
int steer_read_counters(const struct steer *s, struct sluice_steer_counters *sum, struct fault *f);

/**
 * steer_read_rule_hits() - Hits of the rules that are set, summed over all CPUs.
 * @n: in: room in @hits (SLUICE_STEER_MAX_RULES is always enough); out: how many there are
 */
int steer_read_rule_hits(const struct steer *s, struct sluice_rule_hits *hits, size_t *n, struct fault *f);

/** steer_verdict_name() - The verdict's counter, such as "pass_default"; "?" for numbers beyond. */
const char *steer_verdict_name(uint32_t verdict);

/** steer_verdict_text() - The same for a person. */
const char *steer_verdict_text(uint32_t verdict);

/** steer_mode_name() - "auto", "native", "generic", "detached". */
const char *steer_mode_name(enum steer_mode mode);

#endif
