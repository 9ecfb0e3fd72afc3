// SPDX-License-Identifier: MIT
/* Setters and readers of the maps of one port's program. */
#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "user/packet/steer_internal.h"

static unsigned int addr_bits(uint8_t family)
{
	return family == 4 ? 32 : 128;
}

/* ---- Addresses -------------------------------------------------------------------------------------------------- */
static void addr_entry(struct steer_entry *e, const struct steer_addr *a, uint32_t flags)
{
	memset(e, 0, sizeof(*e));
	if (a->family == 4) {
		struct sluice_addr4_key k = { a->addr[0], a->vlan };

		memcpy(e->key, &k, sizeof(k));
	} else {
		struct sluice_addr6_key k = { { 0 }, a->vlan };

		memcpy(k.addr, a->addr, sizeof(k.addr));
		memcpy(e->key, &k, sizeof(k));
	}
	e->value = flags;
}

static size_t addr_entries(struct steer_entry *to, uint8_t family, const struct steer_addr *addrs, size_t n,
			   uint32_t owner)
{
	size_t count = 0;

	for (size_t i = 0; i < n; i++)
		if (addrs[i].family == family)
			addr_entry(&to[count++], &addrs[i], owner | (addrs[i].group ? SLUICE_ADDR_GROUP : 0));
	return count;
}

/* One entry for an address that is there more than once, of both owners perhaps. */
static size_t merge_sorted(struct steer_entry *e, size_t n)
{
	size_t to = 0;

	for (size_t i = 0; i < n; i++) {
		if (to && steer_entry_compare(&e[to - 1], &e[i]) == 0)
			e[to - 1].value |= e[i].value;
		else
			e[to++] = e[i];
	}
	return to;
}

static int write_addrs(struct steer *s, uint8_t family, struct steer_table *t, struct fault *f)
{
	struct steer_entry *e;
	size_t n;

	e = calloc(s->n_kernel_addrs + s->n_engine_addrs + 1, sizeof(*e));
	if (!e)
		return fault_set(f, ENOMEM, "addresses for steering: out of memory");
	n = addr_entries(e, family, s->kernel_addrs, s->n_kernel_addrs, SLUICE_ADDR_KERNEL);
	n += addr_entries(e + n, family, s->engine_addrs, s->n_engine_addrs, SLUICE_ADDR_ENGINE);
	qsort(e, n, sizeof(*e), steer_entry_compare);
	n = merge_sorted(e, n);
	return steer_table_replace(t, e, n, family == 4 ? "IPv4 addresses" : "IPv6 addresses", f);
}

static int check_addrs(const struct steer_addr *addrs, size_t n, const char *whose, struct fault *f)
{
	size_t n4 = 0;

	for (size_t i = 0; i < n; i++) {
		if (addrs[i].family != 4 && addrs[i].family != 6)
			return fault_set(f, EINVAL, "%s address %zu: family %u is neither 4 nor 6", whose, i + 1,
					 addrs[i].family);
		n4 += addrs[i].family == 4;
	}
	if (n4 > SLUICE_STEER_MAX_ADDRS || n - n4 > SLUICE_STEER_MAX_ADDRS)
		return fault_set(f, E2BIG, "%zu IPv4 and %zu IPv6 %s addresses: at most %d of each", n4, n - n4, whose,
				 SLUICE_STEER_MAX_ADDRS);
	return 0;
}

static int set_addrs(struct steer *s, struct steer_addr **set, size_t *n_set, const struct steer_addr *addrs, size_t n,
		     struct fault *f)
{
	struct steer_addr *old = *set, *copy = calloc(n + 1, sizeof(*copy));
	size_t n_old = *n_set;
	bool of_vlan = false;
	int err;

	if (!copy)
		return fault_set(f, ENOMEM, "addresses for steering: out of memory");
	if (n)
		memcpy(copy, addrs, n * sizeof(*copy));
	*set = copy;
	*n_set = n;
	for (size_t i = 0; i < s->n_engine_addrs; i++)
		of_vlan |= s->engine_addrs[i].vlan != SLUICE_VLAN_ANY;
	if (of_vlan)	/* before the first such address is there, and not cleared before the last is gone */
		__atomic_store_n(&s->config->have_vlan_addrs, 1, __ATOMIC_RELEASE);
	err = write_addrs(s, 4, &s->addrs4, f);
	if (!err)
		err = write_addrs(s, 6, &s->addrs6, f);
	steer_forget_decisions(s);
	if (err) {
		*set = old;
		*n_set = n_old;
		free(copy);
		return err;
	}
	__atomic_store_n(&s->config->have_vlan_addrs, of_vlan, __ATOMIC_RELEASE);
	free(old);
	return 0;
}

int steer_set_kernel_addrs(struct steer *s, const struct steer_addr *addrs, size_t n, struct fault *f)
{
	int err = check_addrs(addrs, n, "kernel", f);

	if (err)
		return err;
	/* An address of the kernel is local on every interface of the machine. */
	for (size_t i = 0; i < n; i++)
		if (addrs[i].vlan != SLUICE_VLAN_ANY || addrs[i].group)
			return fault_set(f, EINVAL, "kernel address %zu: neither for one VLAN nor a group", i + 1);
	return set_addrs(s, &s->kernel_addrs, &s->n_kernel_addrs, addrs, n, f);
}

int steer_set_engine_addrs(struct steer *s, const struct steer_addr *addrs, size_t n, struct fault *f)
{
	int err = check_addrs(addrs, n, "engine", f);

	return err ? err : set_addrs(s, &s->engine_addrs, &s->n_engine_addrs, addrs, n, f);
}

/* What an adopted map holds, as the two lists from which it is written. */
static int read_addrs(struct steer *s, struct fault *f)
{
	size_t room = s->addrs4.n + s->addrs6.n + 1;

	s->kernel_addrs = calloc(room, sizeof(*s->kernel_addrs));
	s->engine_addrs = calloc(room, sizeof(*s->engine_addrs));
	if (!s->kernel_addrs || !s->engine_addrs)
		return fault_set(f, ENOMEM, "addresses for steering: out of memory");
	for (size_t i = 0; i < s->addrs4.n + s->addrs6.n; i++) {
		const struct steer_entry *e =
			i < s->addrs4.n ? &s->addrs4.entries[i] : &s->addrs6.entries[i - s->addrs4.n];
		struct steer_addr a = { .family = i < s->addrs4.n ? 4 : 6 };

		if (a.family == 4) {
			memcpy(&a.addr[0], e->key, 4);
			memcpy(&a.vlan, e->key + 4, 4);
		} else {
			memcpy(a.addr, e->key, 16);
			memcpy(&a.vlan, e->key + 16, 4);
		}
		if (e->value & SLUICE_ADDR_KERNEL)
			s->kernel_addrs[s->n_kernel_addrs++] = a;
		a.group = e->value & SLUICE_ADDR_GROUP;
		if (e->value & SLUICE_ADDR_ENGINE)
			s->engine_addrs[s->n_engine_addrs++] = a;
	}
	return 0;
}

/* ---- Transit prefixes, VLANs ------------------------------------------------------------------------------------ */
static bool action_valid(enum sluice_steer_action action)
{
	return action == SLUICE_ACTION_KERNEL || action == SLUICE_ACTION_ENGINE || action == SLUICE_ACTION_DROP;
}

static void transit_entry(struct steer_entry *e, const struct steer_transit *t)
{
	__be32 mask[4];

	memset(e, 0, sizeof(*e));
	steer_mask(mask, t->prefix.len);
	if (t->prefix.family == 4) {
		struct sluice_transit4_key k = { t->prefix.len, t->prefix.addr[0] & mask[0] };

		memcpy(e->key, &k, sizeof(k));
	} else {
		struct sluice_transit6_key k = { .prefix_len = t->prefix.len };

		for (int i = 0; i < 4; i++)
			k.addr[i] = t->prefix.addr[i] & mask[i];
		memcpy(e->key, &k, sizeof(k));
	}
	e->value = t->action;
}

static int check_transit(const struct steer_transit *t, size_t i, struct fault *f)
{
	if (t->prefix.family != 4 && t->prefix.family != 6)
		return fault_set(f, EINVAL, "transit prefix %zu: family %u is neither 4 nor 6", i, t->prefix.family);
	if (t->prefix.len > addr_bits(t->prefix.family))
		return fault_set(f, EINVAL, "transit prefix %zu: length %u, at most %u", i, t->prefix.len,
				 addr_bits(t->prefix.family));
	if (!action_valid(t->action))
		return fault_set(f, EINVAL, "transit prefix %zu: no such action", i);
	return 0;
}

static int set_transit(struct steer_table *table, uint8_t family, const struct steer_transit *prefixes, size_t n,
		       struct fault *f)
{
	struct steer_entry *e = calloc(n + 1, sizeof(*e));
	size_t count = 0;

	if (!e)
		return fault_set(f, ENOMEM, "transit prefixes: out of memory");
	for (size_t i = 0; i < n; i++)
		if (prefixes[i].prefix.family == family)
			transit_entry(&e[count++], &prefixes[i]);
	if (count > SLUICE_STEER_MAX_PREFIXES) {
		free(e);
		return fault_set(f, E2BIG, "%zu IPv%u transit prefixes: at most %d", count, family,
				 SLUICE_STEER_MAX_PREFIXES);
	}
	qsort(e, count, sizeof(*e), steer_entry_compare);
	for (size_t i = 1; i < count; i++) {
		if (steer_entry_compare(&e[i - 1], &e[i]) == 0) {
			char text[INET6_ADDRSTRLEN];
			uint32_t len;

			memcpy(&len, e[i].key, sizeof(len));
			inet_ntop(family == 4 ? AF_INET : AF_INET6, e[i].key + 4, text, sizeof(text));
			free(e);
			return fault_set(f, EEXIST, "transit prefix %s/%u is there twice", text, len);
		}
	}
	return steer_table_replace(table, e, count, family == 4 ? "IPv4 transit prefixes" : "IPv6 transit prefixes", f);
}

int steer_set_transit(struct steer *s, const struct steer_transit *prefixes, size_t n, struct fault *f)
{
	int err = 0;

	for (size_t i = 0; i < n && !err; i++)
		err = check_transit(&prefixes[i], i + 1, f);
	if (!err)
		err = set_transit(&s->transit4, 4, prefixes, n, f);
	if (!err)
		err = set_transit(&s->transit6, 6, prefixes, n, f);
	steer_forget_decisions(s);
	return err;
}

int steer_set_vlans(struct steer *s, const uint32_t *vlans, size_t n, struct fault *f)
{
	struct steer_entry *e;

	if (n > SLUICE_STEER_MAX_VLANS)
		return fault_set(f, E2BIG, "%zu VLANs: at most %d", n, SLUICE_STEER_MAX_VLANS);
	e = calloc(n + 1, sizeof(*e));
	if (!e)
		return fault_set(f, ENOMEM, "VLANs for steering: out of memory");
	for (size_t i = 0; i < n; i++) {
		memcpy(e[i].key, &vlans[i], sizeof(vlans[i]));
		e[i].value = 1;
	}
	qsort(e, n, sizeof(*e), steer_entry_compare);
	return steer_table_replace(&s->vlans, e, merge_sorted(e, n), "VLANs", f);
}

/* ---- Switches --------------------------------------------------------------------------------------------------- */
void steer_set_enabled(struct steer *s, bool enabled)
{
	__atomic_store_n(&s->config->enabled, enabled, __ATOMIC_RELEASE);
}

void steer_set_mac(struct steer *s, const uint8_t mac[6])
{
	memcpy(s->config->mac, mac, 6);
}

void steer_set_trace(struct steer *s, const struct sluice_trace_filter *filter)
{
	struct sluice_trace_filter *t = &s->config->trace;

	__atomic_store_n(&t->enabled, 0, __ATOMIC_RELEASE);
	if (!filter)
		return;
	memcpy((uint8_t *)t + sizeof(t->enabled), (const uint8_t *)filter + sizeof(t->enabled),
	       sizeof(*t) - sizeof(t->enabled));
	for (int i = 0; i < 4; i++) {		/* the program compares masked addresses */
		t->src[i] &= t->src_mask[i];
		t->dst[i] &= t->dst_mask[i];
	}
	__atomic_store_n(&t->enabled, 1, __ATOMIC_RELEASE);
}

int steer_set_xsk(struct steer *s, uint32_t queue, int xsk_fd, struct fault *f)
{
	int err;

	if (queue >= SLUICE_STEER_MAX_QUEUES)
		return fault_set(f, EINVAL, "%s queue %u: at most %d queues", s->info.ifname, queue,
				 SLUICE_STEER_MAX_QUEUES);
	err = bpf_map_update_elem(s->map_fd[STEER_MAP_XSKS], &queue, &xsk_fd, BPF_ANY);
	if (err < 0) {
		errno = -err;
		return fault_errno(f, "%s queue %u: steer to its AF_XDP socket", s->info.ifname, queue);
	}
	return 0;
}

void steer_clear_xsk(struct steer *s, uint32_t queue)
{
	(void)bpf_map_delete_elem(s->map_fd[STEER_MAP_XSKS], &queue);
}

/* ---- Life cycle of the tables ------------------------------------------------------------------------------------ */
int steer_tables_open(struct steer *s, struct fault *f)
{
	const int *fd = s->map_fd;
	int err;

	err = steer_table_init(&s->addrs4, fd[STEER_MAP_ADDRS4], sizeof(struct sluice_addr4_key), f);
	if (!err)
		err = steer_table_init(&s->addrs6, fd[STEER_MAP_ADDRS6], sizeof(struct sluice_addr6_key), f);
	if (!err)
		err = steer_table_init(&s->transit4, fd[STEER_MAP_TRANSIT4], sizeof(struct sluice_transit4_key), f);
	if (!err)
		err = steer_table_init(&s->transit6, fd[STEER_MAP_TRANSIT6], sizeof(struct sluice_transit6_key), f);
	if (!err)
		err = steer_table_init(&s->vlans, fd[STEER_MAP_VLANS], sizeof(uint32_t), f);
	if (!err)
		err = read_addrs(s, f);
	if (!err)
		err = steer_rules_open(s, f);
	return err;
}

void steer_tables_close(struct steer *s)
{
	steer_table_fini(&s->addrs4);
	steer_table_fini(&s->addrs6);
	steer_table_fini(&s->transit4);
	steer_table_fini(&s->transit6);
	steer_table_fini(&s->vlans);
	free(s->kernel_addrs);
	free(s->engine_addrs);
}
