// SPDX-License-Identifier: MIT
/*
 * An adopted program is borrowed: what its tables held is kept while an engine runs, and put back when that ends.
 *
 * In between the program must not outlive the engine's verdicts: an engine that is killed takes its sockets with it, and
 * drops then need one (struct sluice_steer_config). What was kept is lost with such an engine; whoever adopts next sees
 * by the same flag that the tables are a dead engine's, and switches the program off at the end.
 */
#include <bpf/bpf.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/log.h"
#include "user/packet/steer_internal.h"

struct steer_saved {
	bool enabled, have_rules, have_vlan_addrs;
	struct steer_entry *entries[STEER_TABLES];
	size_t n[STEER_TABLES];
	uint32_t slot_rule[SLUICE_STEER_MAX_HIT_SLOTS];
	int set_fd;
};

static void tables_of(struct steer *s, struct steer_table *tables[STEER_TABLES])
{
	struct steer_table *all[STEER_TABLES] = { &s->addrs4, &s->addrs6, &s->transit4, &s->transit6, &s->vlans };

	memcpy(tables, all, sizeof(all));
}

void steer_saved_free(struct steer *s)
{
	struct steer_saved *saved = s->saved;

	if (!saved)
		return;
	for (unsigned int i = 0; i < STEER_TABLES; i++)
		free(saved->entries[i]);
	if (saved->set_fd >= 0)
		close(saved->set_fd);
	free(saved);
	s->saved = NULL;
}

int steer_save(struct steer *s, int set_fd, struct fault *f)
{
	struct steer_table *tables[STEER_TABLES];
	struct steer_saved *saved = calloc(1, sizeof(*saved));

	if (!saved) {
		close(set_fd);
		return fault_set(f, ENOMEM, "adoption: out of memory");
	}
	s->saved = saved;
	saved->set_fd = set_fd;
	saved->have_rules = s->config->have_rules;
	saved->have_vlan_addrs = s->config->have_vlan_addrs;
	/* Set by an engine that did not come to put anything back. */
	saved->enabled = s->config->enabled && !s->config->drop_needs_socket;
	memcpy(saved->slot_rule, s->slot_rule, sizeof(saved->slot_rule));
	tables_of(s, tables);
	for (unsigned int i = 0; i < STEER_TABLES; i++) {
		saved->n[i] = tables[i]->n;
		saved->entries[i] = calloc(tables[i]->n + 1, sizeof(*saved->entries[i]));
		if (!saved->entries[i])
			return fault_set(f, ENOMEM, "adoption: out of memory");
		if (tables[i]->n)
			memcpy(saved->entries[i], tables[i]->entries, tables[i]->n * sizeof(*saved->entries[i]));
	}
	__atomic_store_n(&s->config->drop_needs_socket, 1, __ATOMIC_RELEASE);
	return 0;
}

static int put_back(struct steer *s, struct steer_saved *saved, struct fault *f)
{
	struct steer_table *tables[STEER_TABLES];
	uint32_t zero = 0;
	int err = 0;

	tables_of(s, tables);
	for (unsigned int i = 0; i < STEER_TABLES && !err; i++) {
		err = steer_table_replace(tables[i], saved->entries[i], saved->n[i], "what was attached", f);
		saved->entries[i] = NULL;	/* taken over */
	}
	for (uint32_t slot = 0; slot < SLUICE_STEER_MAX_HIT_SLOTS && !err; slot++)
		if (s->slot_rule[slot] != saved->slot_rule[slot])
			err = steer_reset_slot(s, slot, saved->slot_rule[slot], f);
	if (err)
		return err;
	err = bpf_map_update_elem(s->map_fd[STEER_MAP_RULES], &zero, &saved->set_fd, BPF_ANY);
	if (err < 0) {
		errno = -err;
		return fault_errno(f, "install the rules that were attached");
	}
	return 0;
}

void steer_put_back(struct steer *s)
{
	struct steer_saved *saved = s->saved;
	struct fault f;

	if (!saved)
		return;
	/* No frame is decided by a mixture. */
	steer_set_enabled(s, false);
	if (put_back(s, saved, &f)) {
		log_warn("%s: its program passes everything now: %s", s->info.ifname, f.text);
		return;
	}
	__atomic_store_n(&s->config->have_rules, saved->have_rules, __ATOMIC_RELEASE);
	__atomic_store_n(&s->config->have_vlan_addrs, saved->have_vlan_addrs, __ATOMIC_RELEASE);
	steer_forget_decisions(s);
	__atomic_store_n(&s->config->drop_needs_socket, 0, __ATOMIC_RELEASE);
	steer_set_enabled(s, saved->enabled);
}
