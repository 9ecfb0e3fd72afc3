// SPDX-License-Identifier: MIT
/* Rules of one port's program, their hits, and the counters. */
#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "user/packet/steer_internal.h"

/* ---- Per-CPU values --------------------------------------------------------------------------------------------- */
/* A value of whole u64 fields, summed over CPUs. */
static int read_sum(int fd, uint32_t key, uint64_t *sum, size_t fields, const char *what, struct fault *f)
{
	int cpus = libbpf_num_possible_cpus(), err;
	uint64_t *values;

	if (cpus < 0) {
		errno = -cpus;
		return fault_errno(f, "number of CPUs");
	}
	values = calloc((size_t)cpus * fields, sizeof(*values));
	if (!values)
		return fault_set(f, ENOMEM, "read %s: out of memory", what);
	err = bpf_map_lookup_elem(fd, &key, values);
	if (err < 0) {
		free(values);
		errno = -err;
		return fault_errno(f, "read %s", what);
	}
	memset(sum, 0, fields * sizeof(*sum));
	for (size_t cpu = 0; cpu < (size_t)cpus; cpu++)
		for (size_t i = 0; i < fields; i++)
			sum[i] += values[cpu * fields + i];
	free(values);
	return 0;
}

int steer_read_counters(const struct steer *s, struct sluice_steer_counters *sum, struct fault *f)
{
	return read_sum(s->map_fd[STEER_MAP_COUNTERS], 0, (uint64_t *)sum, sizeof(*sum) / sizeof(uint64_t),
			"the counters of the XDP program", f);
}

/* The identifier stands in every CPU's value, the rest is summed. */
static int read_hits(const struct steer *s, uint32_t slot, struct sluice_rule_hits *hits, struct fault *f)
{
	uint64_t sum[sizeof(*hits) / sizeof(uint64_t)] = { 0 };
	int err;

	err = read_sum(s->map_fd[STEER_MAP_RULE_HITS], slot, sum, sizeof(sum) / sizeof(sum[0]), "the hits of rules", f);
	if (err)
		return err;
	*hits = (struct sluice_rule_hits){ sum[0] / (unsigned int)libbpf_num_possible_cpus(), sum[1], sum[2] };
	return 0;
}

int steer_read_rule_hits(const struct steer *s, struct sluice_rule_hits *hits, size_t *n, struct fault *f)
{
	size_t count = 0;
	int err;

	for (uint32_t slot = 0; slot < SLUICE_STEER_MAX_HIT_SLOTS && count < *n; slot++) {
		if (!s->slot_rule[slot])
			continue;
		err = read_hits(s, slot, &hits[count++], f);
		if (err)
			return err;
	}
	*n = count;
	return 0;
}

int steer_reset_slot(struct steer *s, uint32_t slot, uint32_t rule_id, struct fault *f)
{
	int cpus = libbpf_num_possible_cpus(), err;
	struct sluice_rule_hits *values;

	values = cpus > 0 ? calloc((size_t)cpus, sizeof(*values)) : NULL;
	if (!values)
		return fault_set(f, ENOMEM, "hits of rule %u: out of memory", rule_id);
	for (int cpu = 0; cpu < cpus; cpu++)
		values[cpu].rule_id = rule_id;
	err = bpf_map_update_elem(s->map_fd[STEER_MAP_RULE_HITS], &slot, values, BPF_ANY);
	free(values);
	if (err < 0) {
		errno = -err;
		return fault_errno(f, "hits of rule %u", rule_id);
	}
	s->slot_rule[slot] = rule_id;
	return 0;
}

/* ---- Rules ------------------------------------------------------------------------------------------------------ */
static int check_prefix(const struct steer_rule *r, const struct steer_prefix *p, const char *what, struct fault *f)
{
	if (!p->family)
		return 0;
	if (p->family != 4 && p->family != 6)
		return fault_set(f, EINVAL, "rule %u: %s: family %u is neither 4 nor 6", r->id, what, p->family);
	if (p->len > (p->family == 4 ? 32 : 128))
		return fault_set(f, EINVAL, "rule %u: %s: prefix length %u, at most %d", r->id, what, p->len,
				 p->family == 4 ? 32 : 128);
	if (r->family && r->family != p->family)
		return fault_set(f, EINVAL, "rule %u: %s is IPv%u, the rule is for IPv%u", r->id, what, p->family,
				 r->family);
	return 0;
}

static bool ports_used(struct steer_ports p)
{
	return p.first || p.last;
}

static bool protocol_has_ports(int protocol)
{
	return protocol == STEER_PROTOCOL_ANY || protocol == IPPROTO_TCP || protocol == IPPROTO_UDP ||
	       protocol == IPPROTO_SCTP || protocol == IPPROTO_UDPLITE || protocol == IPPROTO_DCCP;
}

static int check_rule(const struct steer_rule *r, size_t i, struct fault *f)
{
	int err;

	if (!r->id)
		return fault_set(f, EINVAL, "rule %zu of the list: its identifier must not be 0", i + 1);
	if (r->action != SLUICE_ACTION_KERNEL && r->action != SLUICE_ACTION_ENGINE && r->action != SLUICE_ACTION_DROP)
		return fault_set(f, EINVAL, "rule %u: no such action", r->id);
	if (r->family != 0 && r->family != 4 && r->family != 6)
		return fault_set(f, EINVAL, "rule %u: family %u is neither 4 nor 6", r->id, r->family);
	if (r->protocol < STEER_PROTOCOL_ANY || r->protocol > 255)
		return fault_set(f, EINVAL, "rule %u: protocol %d is not in 0 to 255", r->id, r->protocol);
	if (r->src_ports.first > r->src_ports.last || r->dst_ports.first > r->dst_ports.last)
		return fault_set(f, EINVAL, "rule %u: the first port of a range is above its last", r->id);
	if ((ports_used(r->src_ports) || ports_used(r->dst_ports)) && !protocol_has_ports(r->protocol))
		return fault_set(f, EINVAL, "rule %u: protocol %d has no ports", r->id, r->protocol);
	err = check_prefix(r, &r->src, "source", f);
	if (!err)
		err = check_prefix(r, &r->dst, "destination", f);
	if (!err && r->src.family && r->dst.family && r->src.family != r->dst.family)
		err = fault_set(f, EINVAL, "rule %u: source and destination are of different families", r->id);
	return err;
}

static void set_prefix(const struct steer_prefix *p, __be32 addr[4], __be32 mask[4])
{
	steer_mask(mask, p->len);
	for (int i = 0; i < 4; i++)
		addr[i] = p->addr[i] & mask[i];
}

static void compile(struct sluice_steer_rule *to, const struct steer_rule *r, uint32_t slot)
{
	*to = (struct sluice_steer_rule){
		.id = r->id,
		.priority = r->priority,
		.slot = slot,
		.vlan = r->vlan,
		.action = (uint8_t)r->action,
		.family = r->src.family ? r->src.family : r->dst.family ? r->dst.family : r->family,
		.src_port_min = r->src_ports.first,
		.src_port_max = r->src_ports.last,
		.dst_port_min = r->dst_ports.first,
		.dst_port_max = r->dst_ports.last,
	};
	if (r->protocol != STEER_PROTOCOL_ANY) {
		to->protocol = (uint8_t)r->protocol;
		to->match |= SLUICE_RULE_PROTOCOL;
	}
	if (ports_used(r->src_ports))
		to->match |= SLUICE_RULE_SRC_PORT;
	if (ports_used(r->dst_ports))
		to->match |= SLUICE_RULE_DST_PORT;
	if (r->match_vlan)
		to->match |= SLUICE_RULE_VLAN;
	if (r->src.family) {
		to->match |= SLUICE_RULE_SRC;
		set_prefix(&r->src, to->src, to->src_mask);
	}
	if (r->dst.family) {
		to->match |= SLUICE_RULE_DST;
		set_prefix(&r->dst, to->dst, to->dst_mask);
	}
}

static bool has_rule(const struct steer_rule *rules, size_t n, uint32_t id)
{
	for (size_t i = 0; i < n; i++)
		if (rules[i].id == id)
			return true;
	return false;
}

static uint32_t find_slot(const struct steer *s, uint32_t id)
{
	uint32_t slot = 0;

	while (slot < SLUICE_STEER_MAX_HIT_SLOTS && s->slot_rule[slot] != id)
		slot++;
	return slot;
}

/* By insertion: stable, and there are few. */
static void insert_sorted(struct sluice_rule_set *set, const struct sluice_steer_rule *r)
{
	uint32_t at = set->count++;

	while (at && set->rules[at - 1].priority > r->priority) {
		set->rules[at] = set->rules[at - 1];
		at--;
	}
	set->rules[at] = *r;
}

/*
 * A map like the one that is installed. Kernels before 6.2 compare what BTF says of both, so the new one gets the same
 * types; and bpftool can name its fields.
 */
static int create_set_map(const struct steer *s, struct fault *f)
{
	struct bpf_map_create_opts opts = { .sz = sizeof(opts) };
	int fd;

	if (s->set_btf_fd >= 0) {
		opts.btf_fd = (uint32_t)s->set_btf_fd;
		opts.btf_key_type_id = s->set_key_type;
		opts.btf_value_type_id = s->set_value_type;
	}
	fd = bpf_map_create(BPF_MAP_TYPE_ARRAY, "rule_set", sizeof(uint32_t), sizeof(struct sluice_rule_set), 1, &opts);
	return fd < 0 ? fault_errno(f, "create the map of rules") : fd;
}

int steer_rules_find_types(struct steer *s, struct fault *f)
{
	struct bpf_map_info info = { 0 };
	uint32_t len = sizeof(info), zero = 0, id;
	int err, fd;

	err = bpf_map_lookup_elem(s->map_fd[STEER_MAP_RULES], &zero, &id);
	fd = err < 0 ? err : bpf_map_get_fd_by_id(id);
	if (fd < 0) {
		errno = -fd;
		return fault_errno(f, "find the rules that are in force");
	}
	if (bpf_obj_get_info_by_fd(fd, &info, &len) == 0 && info.btf_id) {
		s->set_btf_fd = bpf_btf_get_fd_by_id(info.btf_id);
		s->set_key_type = info.btf_key_type_id;
		s->set_value_type = info.btf_value_type_id;
	}
	return fd;
}

/*
 * A new inner map takes the old one's place: the kernel returns only when no program uses the old one any more, so that
 * slots of rules that are gone can be given to others.
 */
static int install(struct steer *s, const struct sluice_rule_set *set, struct fault *f)
{
	uint32_t zero = 0;
	int err, fd = create_set_map(s, f);

	if (fd < 0)
		return fd;
	err = bpf_map_update_elem(fd, &zero, set, BPF_ANY);
	if (!err) {
		if (!set->count)
			__atomic_store_n(&s->config->have_rules, 0, __ATOMIC_RELEASE);
		err = bpf_map_update_elem(s->map_fd[STEER_MAP_RULES], &zero, &fd, BPF_ANY);
	}
	close(fd);
	if (err < 0) {
		errno = -err;
		return fault_errno(f, "install the rules");
	}
	if (set->count)
		__atomic_store_n(&s->config->have_rules, 1, __ATOMIC_RELEASE);
	return 0;
}

int steer_set_rules(struct steer *s, const struct steer_rule *rules, size_t n, struct fault *f)
{
	bool fresh[SLUICE_STEER_MAX_HIT_SLOTS] = { false };
	struct sluice_rule_set *set;
	int err = 0;

	if (n > SLUICE_STEER_MAX_RULES)
		return fault_set(f, E2BIG, "%zu rules: at most %d", n, SLUICE_STEER_MAX_RULES);
	for (size_t i = 0; i < n; i++) {
		err = check_rule(&rules[i], i, f);
		if (err)
			return err;
		if (has_rule(rules, i, rules[i].id))
			return fault_set(f, EEXIST, "rule %u is there twice", rules[i].id);
	}
	set = calloc(1, sizeof(*set));
	if (!set)
		return fault_set(f, ENOMEM, "rules: out of memory");
	for (size_t i = 0; i < n && !err; i++) {
		struct sluice_steer_rule r;
		uint32_t slot = find_slot(s, rules[i].id);

		if (slot == SLUICE_STEER_MAX_HIT_SLOTS) {	/* new: there are twice as many slots as rules */
			slot = find_slot(s, 0);
			err = steer_reset_slot(s, slot, rules[i].id, f);
			fresh[slot] = true;
		}
		if (!err) {
			compile(&r, &rules[i], slot);
			insert_sorted(set, &r);
		}
	}
	if (!err)
		err = install(s, set, f);
	free(set);
	/* Give back the slots of rules that are gone, or that did not come. */
	for (uint32_t i = 0; i < SLUICE_STEER_MAX_HIT_SLOTS; i++)
		if (s->slot_rule[i] && (err ? fresh[i] : !has_rule(rules, n, s->slot_rule[i])))
			(void)steer_reset_slot(s, i, 0, NULL);
	return err;
}

int steer_rules_open(struct steer *s, struct fault *f)
{
	struct sluice_rule_hits hits;
	int err;

	for (uint32_t slot = 0; slot < SLUICE_STEER_MAX_HIT_SLOTS; slot++) {
		err = read_hits(s, slot, &hits, f);
		if (err)
			return err;
		s->slot_rule[slot] = (uint32_t)hits.rule_id;
	}
	return 0;
}
