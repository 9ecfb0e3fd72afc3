// SPDX-License-Identifier: MIT
/* Maps that hold a sorted set of entries: only what differs is written. */
#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "user/packet/steer_internal.h"

void steer_mask(__be32 mask[4], unsigned int len)
{
	for (int i = 0; i < 4; i++) {
		unsigned int bits = len < 32 ? len : 32;

		mask[i] = bits ? htonl(0xffffffffu << (32 - bits)) : 0;
		len -= bits;
	}
}

int steer_entry_compare(const void *a, const void *b)
{
	/* Unused octets of the key are 0 in every entry. */
	return memcmp(a, b, STEER_KEY_MAX);
}

/* Read what the map holds: after an adoption, and after a write that failed half-way. */
static int load(struct steer_table *t, struct fault *f)
{
	struct steer_entry *entries = NULL, *grown, e = { 0 };
	size_t n = 0, room = 0;
	void *prev = NULL;

	while (bpf_map_get_next_key(t->fd, prev, e.key) == 0) {
		if (bpf_map_lookup_elem(t->fd, e.key, &e.value) == 0) {
			if (n == room) {
				room = room ? 2 * room : 64;
				grown = reallocarray(entries, room, sizeof(*entries));
				if (!grown) {
					free(entries);
					return fault_set(f, ENOMEM, "steering tables: out of memory");
				}
				entries = grown;
			}
			entries[n++] = e;
		}
		prev = e.key;
	}
	if (n)
		qsort(entries, n, sizeof(*entries), steer_entry_compare);
	free(t->entries);
	t->entries = entries;
	t->n = n;
	return 0;
}

int steer_table_init(struct steer_table *t, int fd, uint32_t key_bytes, struct fault *f)
{
	*t = (struct steer_table){ .fd = fd, .key_bytes = key_bytes };
	return load(t, f);
}

void steer_table_fini(struct steer_table *t)
{
	free(t->entries);
	t->entries = NULL;
	t->n = 0;
}

static int write_entry(struct steer_table *t, const struct steer_entry *e, const char *what, struct fault *f)
{
	int err = bpf_map_update_elem(t->fd, e->key, &e->value, BPF_ANY);

	if (err < 0) {
		errno = -err;
		return fault_errno(f, "write %s", what);
	}
	return 0;
}

int steer_table_replace(struct steer_table *t, struct steer_entry *wanted, size_t n, const char *what,
			struct fault *f)
{
	size_t have_i, want_i;
	int err = 0;

	if (n)
		qsort(wanted, n, sizeof(*wanted), steer_entry_compare);
	for (have_i = want_i = 0; want_i < n && !err; want_i++) {
		const struct steer_entry *e = &wanted[want_i];
		int order = 1;

		while (have_i < t->n && (order = steer_entry_compare(&t->entries[have_i], e)) < 0)
			have_i++;
		if (have_i == t->n || order != 0 || t->entries[have_i].value != e->value)
			err = write_entry(t, e, what, f);
	}
	for (have_i = want_i = 0; have_i < t->n && !err; have_i++) {
		const struct steer_entry *e = &t->entries[have_i];
		int order = 1;

		while (want_i < n && (order = steer_entry_compare(&wanted[want_i], e)) < 0)
			want_i++;
		if (want_i == n || order != 0)
			(void)bpf_map_delete_elem(t->fd, e->key);
	}
	if (err) {
		free(wanted);
		(void)load(t, NULL);
		return err;
	}
	free(t->entries);
	t->entries = wanted;
	t->n = n;
	return 0;
}
