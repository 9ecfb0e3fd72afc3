/* SPDX-License-Identifier: MIT */
#include "user/net/neigh.h"

#include "user/net/arp.h"
#include "user/net/nd.h"
#include "user/net/neigh_table.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>

/* ---- Random, hash ------------------------------------------------------------------------------------------------ */

/* xorshift64* */
uint64_t table_random(struct neigh_table *t, uint64_t n)
{
	t->random ^= t->random >> 12;
	t->random ^= t->random << 25;
	t->random ^= t->random >> 27;
	return t->random * UINT64_C(2685821657736338717) % n;
}

static uint32_t bucket_of(const struct neigh_table *t, uint16_t iface, uint8_t family, const uint8_t *addr)
{
	uint8_t key[20] = { (uint8_t)iface, (uint8_t)(iface >> 8), family };

	memcpy(key + 4, addr, addr_bytes(family));
	return (uint32_t)siphash13(key, sizeof(key), &t->key) & t->bucket_mask;
}

static bool is_entry(const struct neigh *n, uint16_t iface, uint8_t family, const uint8_t *addr)
{
	return n->iface == iface && n->family == family && memcmp(n->addr, addr, addr_bytes(family)) == 0;
}

struct entry *table_find(const struct neigh_table *t, uint16_t iface, uint8_t family, const uint8_t *addr)
{
	uint32_t slot = t->buckets[bucket_of(t, iface, family, addr)];

	while (slot != SLOT_NONE && !is_entry(&t->entries[slot].n, iface, family, addr))
		slot = t->entries[slot].hash_next;
	return slot == SLOT_NONE ? NULL : &t->entries[slot];
}

const struct iface *table_iface(const struct neigh_table *t, uint16_t id)
{
	const struct iface *iface = t->ops->iface(t->ctx, id);

	return iface && iface->up && !(iface->flags & IFACE_NO_L2) ? iface : NULL;
}

/* ---- Deadlines: a binary heap ------------------------------------------------------------------------------------ */

static uint64_t heap_deadline(const struct neigh_table *t, uint32_t at)
{
	return t->entries[t->heap[at]].deadline_ns;
}

static void heap_put(struct neigh_table *t, uint32_t at, uint32_t slot)
{
	t->heap[at] = slot;
	t->entries[slot].heap_at = at;
}

/* Move the slot at @at to where its deadline belongs. */
static void heap_settle(struct neigh_table *t, uint32_t at)
{
	uint32_t slot = t->heap[at];
	uint64_t deadline = t->entries[slot].deadline_ns;

	while (at > 0 && heap_deadline(t, (at - 1) / 2) > deadline) {
		heap_put(t, at, t->heap[(at - 1) / 2]);
		at = (at - 1) / 2;
	}
	for (;;) {
		uint32_t child = 2 * at + 1;

		if (child + 1 < t->heap_n && heap_deadline(t, child + 1) < heap_deadline(t, child))
			child++;
		if (child >= t->heap_n || heap_deadline(t, child) >= deadline)
			break;
		heap_put(t, at, t->heap[child]);
		at = child;
	}
	heap_put(t, at, slot);
}

static void heap_remove(struct neigh_table *t, uint32_t at)
{
	uint32_t last = t->heap[--t->heap_n];

	if (at == t->heap_n)
		return;
	heap_put(t, at, last);
	heap_settle(t, at);
}

static void set_deadline(struct neigh_table *t, struct entry *e, uint64_t deadline_ns)
{
	e->deadline_ns = deadline_ns;
	heap_settle(t, e->heap_at);
}

/* ---- Lists of states --------------------------------------------------------------------------------------------- */

static void list_add(struct neigh_table *t, struct entry *e)
{
	struct state_list *l = &t->lists[e->n.state];

	e->older = l->newest;
	e->newer = SLOT_NONE;
	if (l->newest != SLOT_NONE)
		t->entries[l->newest].newer = e->n.slot;
	else
		l->oldest = e->n.slot;
	l->newest = e->n.slot;
	l->n++;
}

static void list_remove(struct neigh_table *t, const struct entry *e)
{
	struct state_list *l = &t->lists[e->n.state];

	if (e->older != SLOT_NONE)
		t->entries[e->older].newer = e->newer;
	else
		l->oldest = e->newer;
	if (e->newer != SLOT_NONE)
		t->entries[e->newer].older = e->older;
	else
		l->newest = e->older;
	l->n--;
}

/* ---- Entries ----------------------------------------------------------------------------------------------------- */

static struct entry *entry_new(struct neigh_table *t, uint16_t iface, uint8_t family, const uint8_t *addr,
			       uint64_t now_ns)
{
	uint32_t bucket = bucket_of(t, iface, family, addr), slot = t->free;
	struct entry *e = &t->entries[slot];

	t->free = e->hash_next;
	memset(e, 0, sizeof(*e));
	e->n.slot = slot;
	e->n.iface = iface;
	e->n.family = family;
	memcpy(e->n.addr, addr, addr_bytes(family));
	e->n.state = NEIGH_INCOMPLETE;
	e->n.changed_ns = now_ns;
	e->n.used_ns = now_ns;
	e->hash_next = t->buckets[bucket];
	t->buckets[bucket] = slot;
	list_add(t, e);
	e->deadline_ns = NEVER;
	heap_put(t, t->heap_n++, slot);
	return e;
}

static void entry_free(struct neigh_table *t, struct entry *e)
{
	uint32_t *link = &t->buckets[bucket_of(t, e->n.iface, e->n.family, e->n.addr)];

	while (*link != e->n.slot)
		link = &t->entries[*link].hash_next;
	*link = e->hash_next;
	heap_remove(t, e->heap_at);
	list_remove(t, e);
	e->n.state = NEIGH_NONE;
	e->hash_next = t->free;
	t->free = e->n.slot;
}

void entry_forget(struct neigh_table *t, struct entry *e)
{
	t->ops->changed(t->ctx, &e->n, NEIGH_EVENT_GONE);
	entry_free(t, e);
}

static uint64_t state_time_ns(struct neigh_table *t, enum neigh_state state)
{
	switch (state) {
	case NEIGH_INCOMPLETE:
	case NEIGH_PROBE:
		return t->retrans_ns;
	case NEIGH_REACHABLE:
		/* RFC 4861 6.3.2: between 0.5 and 1.5 of the base, so that not all are probed at once */
		return t->reachable_ns / 2 + table_random(t, t->reachable_ns);
	case NEIGH_DELAY:
		return DELAY_NS;
	case NEIGH_FAILED:
		return FAILED_NS;
	default:
		return t->stale_ns;
	}
}

static bool has_mac(enum neigh_state state)
{
	return state >= NEIGH_REACHABLE && state <= NEIGH_PROBE;
}

void entry_update(struct neigh_table *t, struct entry *e, enum neigh_state state, const uint8_t *mac, uint64_t now_ns)
{
	enum neigh_state before = (enum neigh_state)e->n.state;
	bool new_mac = mac && (!has_mac(before) || memcmp(e->n.mac, mac, 6) != 0);

	if (new_mac)
		memcpy(e->n.mac, mac, 6);
	if (state != before) {
		list_remove(t, e);
		e->n.state = (uint8_t)state;
		list_add(t, e);
		e->solicits = 0;
	}
	if (state != before || state == NEIGH_REACHABLE)
		set_deadline(t, e, now_ns + state_time_ns(t, state));
	if (state == before && !new_mac)
		return;
	e->n.changed_ns = now_ns;
	if (state == NEIGH_FAILED)
		t->ops->changed(t->ctx, &e->n, NEIGH_EVENT_FAILED);
	else
		t->ops->changed(t->ctx, &e->n, new_mac ? NEIGH_EVENT_RESOLVED : NEIGH_EVENT_STATE);
}

/* Ask: everybody, or in PROBE only itself. Return: 0 or why not */
static int solicit(struct neigh_table *t, struct entry *e)
{
	const struct iface *out = table_iface(t, e->n.iface);
	const uint8_t *src, *mac = e->n.state == NEIGH_PROBE ? e->n.mac : NULL;
	uint8_t frame[ND_FRAME_BYTES_MAX];
	uint32_t bytes;

	if (!out)
		return -ENODEV;
	src = own_addr_source(t, e->n.iface, e->n.family, e->n.addr);
	if (!src)
		return -EADDRNOTAVAIL;
	if (e->n.family == AF_INET6) {
		bytes = nd_build_ns(frame, out, src, e->n.addr, mac);
	} else {
		bytes = arp_build_request(frame, out, src, e->n.addr);
		if (mac)
			memcpy(frame + ETH_DST, mac, 6);
	}
	e->solicits++;
	t->ops->send(t->ctx, out, frame, bytes);
	return 0;
}

static_assert(ND_FRAME_BYTES_MAX >= ARP_FRAME_BYTES_MAX, "one buffer for both");

static void entry_used(struct neigh_table *t, struct entry *e, uint64_t now_ns)
{
	e->n.used_ns = now_ns;
	if (e->n.state == NEIGH_STALE)
		entry_update(t, e, NEIGH_DELAY, NULL, now_ns);
}

/* A free slot, if need be by forgetting somebody. */
static bool make_room(struct neigh_table *t)
{
	uint32_t victim;

	if (t->lists[NEIGH_INCOMPLETE].n >= t->max_entries / 2)
		return false;
	if (t->free != SLOT_NONE)
		return true;
	victim = t->lists[NEIGH_FAILED].oldest;
	if (victim == SLOT_NONE)
		victim = t->lists[NEIGH_STALE].oldest;
	if (victim == SLOT_NONE)
		return false;
	entry_forget(t, &t->entries[victim]);
	return true;
}

int neigh_resolve(struct neigh_table *t, uint16_t iface, uint8_t family, const uint8_t *addr, uint64_t now_ns)
{
	struct entry *e = table_find(t, iface, family, addr);
	int err;

	if (e) {
		entry_used(t, e, now_ns);
		return e->n.state;
	}
	if (!make_room(t))
		return -ENOBUFS;
	e = entry_new(t, iface, family, addr, now_ns);
	err = solicit(t, e);
	if (err) {
		entry_free(t, e);
		return err;
	}
	set_deadline(t, e, now_ns + t->retrans_ns);
	return NEIGH_INCOMPLETE;
}

void neigh_used(struct neigh_table *t, uint32_t slot, uint64_t now_ns)
{
	if (slot < t->max_entries && t->entries[slot].n.state != NEIGH_NONE)
		entry_used(t, &t->entries[slot], now_ns);
}

void neigh_confirm(struct neigh_table *t, uint16_t iface, uint8_t family, const uint8_t *addr, uint64_t now_ns)
{
	struct entry *e = table_find(t, iface, family, addr);

	if (e && has_mac((enum neigh_state)e->n.state))
		entry_update(t, e, NEIGH_REACHABLE, NULL, now_ns);
}

const struct neigh *neigh_find(const struct neigh_table *t, uint16_t iface, uint8_t family, const uint8_t *addr)
{
	const struct entry *e = table_find(t, iface, family, addr);

	return e ? &e->n : NULL;
}

const struct neigh *neigh_next(const struct neigh_table *t, uint32_t slot)
{
	for (; slot < t->max_entries; slot++) {
		if (t->entries[slot].n.state != NEIGH_NONE)
			return &t->entries[slot].n;
	}
	return NULL;
}

uint32_t neigh_count(const struct neigh_table *t, enum neigh_state state)
{
	return state == NEIGH_NONE ? t->heap_n : t->lists[state].n;
}

void neigh_flush(struct neigh_table *t, uint16_t iface, uint64_t now_ns)
{
	for (uint32_t slot = 0; slot < t->max_entries; slot++) {
		struct entry *e = &t->entries[slot];

		if (e->n.state == NEIGH_NONE || e->n.iface != iface)
			continue;
		/* Who waits must be told that waiting is over. */
		if (e->n.state == NEIGH_INCOMPLETE)
			entry_update(t, e, NEIGH_FAILED, NULL, now_ns);
		entry_forget(t, e);
	}
}

/* ---- Time -------------------------------------------------------------------------------------------------------- */

static void entry_due(struct neigh_table *t, struct entry *e, uint64_t now_ns)
{
	switch (e->n.state) {
	case NEIGH_INCOMPLETE:
		if (e->solicits >= t->probes || solicit(t, e) != 0)
			entry_update(t, e, NEIGH_FAILED, NULL, now_ns);
		else
			set_deadline(t, e, now_ns + t->retrans_ns);
		break;
	case NEIGH_REACHABLE:
		entry_update(t, e, NEIGH_STALE, NULL, now_ns);
		break;
	case NEIGH_DELAY:
		entry_update(t, e, NEIGH_PROBE, NULL, now_ns);
		if (solicit(t, e) != 0)
			entry_forget(t, e);
		break;
	case NEIGH_PROBE:
		if (e->solicits >= t->probes || solicit(t, e) != 0)
			entry_forget(t, e);
		else
			set_deadline(t, e, now_ns + t->retrans_ns);
		break;
	default:			/* STALE and not used for long, FAILED for long enough */
		entry_forget(t, e);
		break;
	}
}

uint64_t neigh_deadline(const struct neigh_table *t)
{
	uint64_t own = own_addr_deadline(t);

	return t->heap_n > 0 ? min_u64(heap_deadline(t, 0), own) : own;
}

uint64_t neigh_tick(struct neigh_table *t, uint64_t now_ns)
{
	/* Each entry that is due gets a later deadline or goes, so this ends. */
	while (t->heap_n > 0 && heap_deadline(t, 0) <= now_ns)
		entry_due(t, &t->entries[t->heap[0]], now_ns);
	own_addr_tick(t, now_ns);
	return neigh_deadline(t);
}

bool table_may_reply(struct neigh_table *t, uint64_t now_ns)
{
	if (!t->replies_ready) {
		ratelimit_init(&t->replies, REPLIES_PER_S, REPLIES_BURST, now_ns);
		t->replies_ready = true;
	}
	return ratelimit_try_take(&t->replies, 1, now_ns);
}

/* ---- The table --------------------------------------------------------------------------------------------------- */

int neigh_create(struct neigh_table **out, const struct neigh_params *params, struct fault *f)
{
	uint32_t n = params->max_entries, n_buckets = round_up_pow2(n);
	struct neigh_table *t;

	if (n < 2 || n > 65536)
		return fault_set(f, EINVAL, "neighbour table of %u entries; 2 to 65536 wanted", n);
	t = calloc(1, sizeof(*t));
	if (!t)
		return fault_set(f, ENOMEM, "neighbour table: out of memory");
	t->ops = params->ops;
	t->ctx = params->ctx;
	t->key = (struct siphash_key){ params->seed[0], params->seed[1] };
	t->random = (params->seed[0] ^ params->seed[1]) | 1;	/* 0 would stay 0 */
	t->reachable_ns = params->reachable_ns ? params->reachable_ns : REACHABLE_NS;
	t->retrans_ns = params->retrans_ns ? params->retrans_ns : RETRANS_NS;
	t->stale_ns = params->stale_ns ? params->stale_ns : STALE_NS;
	t->probes = params->probes ? params->probes : SOLICITS;
	t->max_entries = n;
	t->bucket_mask = n_buckets - 1;
	t->entries = calloc(n, sizeof(*t->entries));
	t->buckets = calloc(n_buckets, sizeof(*t->buckets));
	t->heap = calloc(n, sizeof(*t->heap));
	if (!t->entries || !t->buckets || !t->heap) {
		neigh_destroy(t);
		return fault_set(f, ENOMEM, "neighbour table: out of memory for %u entries", n);
	}
	for (uint32_t i = 0; i < n; i++) {
		t->entries[i].n.slot = i;
		t->entries[i].hash_next = i + 1 < n ? i + 1 : SLOT_NONE;
	}
	memset(t->buckets, 0xff, n_buckets * sizeof(*t->buckets));
	for (unsigned int i = 0; i < NEIGH_STATE_N; i++)
		t->lists[i] = (struct state_list){ SLOT_NONE, SLOT_NONE, 0 };
	*out = t;
	return 0;
}

void neigh_destroy(struct neigh_table *t)
{
	if (!t)
		return;
	free(t->entries);
	free(t->buckets);
	free(t->heap);
	free(t);
}
