/* SPDX-License-Identifier: MIT */
/* What the files steer*.c share. Private to them. */
#ifndef USER_PACKET_STEER_INTERNAL_H
#define USER_PACKET_STEER_INTERNAL_H

#include "user/packet/steer.h"

struct bpf_object;

/* The maps, by the names of their pins. */
enum steer_map {
	STEER_MAP_CONFIG,
	STEER_MAP_COUNTERS,
	STEER_MAP_RULE_HITS,
	STEER_MAP_RULES,
	STEER_MAP_ADDRS4,
	STEER_MAP_ADDRS6,
	STEER_MAP_TRANSIT4,
	STEER_MAP_TRANSIT6,
	STEER_MAP_VLANS,
	STEER_MAP_XSKS,
	STEER_MAP_TRACE,
	STEER_MAP_COUNT,
};

extern const char *const steer_map_names[STEER_MAP_COUNT];

#define STEER_PIN_LINK "link"
#define STEER_PIN_PROG "prog"

#define STEER_KEY_MAX 20
#define STEER_TABLES 5		/* addrs4, addrs6, transit4, transit6, vlans */

/* Keys of a map and their one-word values, sorted by key. */
struct steer_entry {
	uint8_t key[STEER_KEY_MAX];
	uint32_t value;
};

struct steer_table {
	int fd;
	uint32_t key_bytes;
	struct steer_entry *entries;	/* what the map holds */
	size_t n;
};

struct steer_saved;

struct steer {
	struct steer_info info;
	int map_fd[STEER_MAP_COUNT];
	int prog_fd;
	int link_fd;			/* -1 with the dispatcher and when detached */
	struct sluice_steer_config *config;	/* the map's memory */
	/* Types of a set of rules; the file descriptor is -1 without BTF. */
	int set_btf_fd;
	uint32_t set_key_type, set_value_type;
	struct steer_table addrs4, addrs6, transit4, transit6, vlans;
	struct steer_addr *kernel_addrs, *engine_addrs;	/* as last set */
	size_t n_kernel_addrs, n_engine_addrs;
	uint32_t slot_rule[SLUICE_STEER_MAX_HIT_SLOTS];	/* rule identifier; 0: free */
	struct steer_saved *saved;	/* of a program that is borrowed; else NULL */
};

/* steer_table.c */

/* The mask of a prefix length, at most 128; IPv4 in the first word. */
void steer_mask(__be32 mask[4], unsigned int len);
int steer_table_init(struct steer_table *t, int fd, uint32_t key_bytes, struct fault *f);
void steer_table_fini(struct steer_table *t);

/* Replace the contents; @wanted is sorted here and must hold each key once. Takes over @wanted (from malloc). */
int steer_table_replace(struct steer_table *t, struct steer_entry *wanted, size_t n, const char *what,
			struct fault *f);
int steer_entry_compare(const void *a, const void *b);

/* After a change of addresses or prefixes: the program decides everything anew. */
static inline void steer_forget_decisions(struct steer *s)
{
	uint32_t next = s->config->generation + 1;

	__atomic_store_n(&s->config->generation, next ? next : 1, __ATOMIC_RELEASE);
}

/* steer_rules.c: which slots are in use. */
int steer_rules_open(struct steer *s, struct fault *f);
int steer_reset_slot(struct steer *s, uint32_t slot, uint32_t rule_id, struct fault *f);

/*
 * What types an adopted program's rules have. By numbers, which the kernel tells those with CAP_SYS_ADMIN only: the
 * running gateway may not have it any more, so it is asked once. Return: the map of rules that is in force, or an error
 */
int steer_rules_find_types(struct steer *s, struct fault *f);

/* steer_restore.c: keep what the tables hold (takes over @set_fd), put it back. */
int steer_save(struct steer *s, int set_fd, struct fault *f);
void steer_put_back(struct steer *s);
void steer_saved_free(struct steer *s);

/* steer_set.c: what adoption and loading have in common once the maps are open. */
int steer_tables_open(struct steer *s, struct fault *f);
void steer_tables_close(struct steer *s);

/* steer_dispatcher.c */

/* Is libxdp's dispatcher on the device? */
bool steer_dispatcher_present(int ifindex);

/*
 * Load @obj's program and attach it behind the dispatcher. @obj is not loaded yet and cannot be used after a failure.
 * On success @prog_fd is a new descriptor.
 */
int steer_dispatcher_attach(struct bpf_object *obj, const char *prog_name, bool frags, int ifindex,
			    enum steer_mode mode, int *prog_fd, struct fault *f);

/* Is a program in it? */
bool steer_dispatcher_has(int ifindex, uint32_t prog_id);

/* Take a program out of the dispatcher. Return: 0, -ENOENT when it is not in it */
int steer_dispatcher_detach(int ifindex, uint32_t prog_id, struct fault *f);

#endif
