/* SPDX-License-Identifier: MIT */
/* The part of the mirror that is kept here: links, addresses, neighbours, nexthop objects. */
#include "user/control/netlink_mirror_priv.h"

#define HASH_NONFATAL_OOM 1
#include <linux/rtnetlink.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <uthash.h>

struct object {
	UT_hash_handle hh;
	uint32_t gen;			/* mirror.gen of its dump when it was last told of */
	uint16_t bytes;			/* of @body */
	bool used;			/* nexthop object: some route depends on it */
	_Alignas(uint64_t) uint8_t body[];	/* struct nl_*; its first bytes are the key */
};

static const struct {
	size_t key_bytes;
	uint64_t max;
	size_t count;			/* offset of its counter in mirror_stats */
} tables[TABLE_COUNT] = {
	[TABLE_LINK] = { sizeof(uint32_t), MIRROR_LINKS_MAX, offsetof(struct mirror_stats, links) },
	[TABLE_ADDR] = { offsetof(struct nl_addr, flags), MIRROR_ADDRS_MAX, offsetof(struct mirror_stats, addrs) },
	[TABLE_NEIGH] = { offsetof(struct nl_neigh, state), MIRROR_NEIGHS_MAX, offsetof(struct mirror_stats, neighs) },
	[TABLE_NHOBJ] = { sizeof(uint32_t), MIRROR_NHOBJS_MAX, offsetof(struct mirror_stats, nhobjs) },
};

_Static_assert(offsetof(struct nl_link, ifindex) == 0 && offsetof(struct nl_nhobj, id) == 0, "keys come first");
_Static_assert(offsetof(struct nl_addr, flags) <= TOUCH_KEY_BYTES, "an address's key fits");
_Static_assert(sizeof(struct nl_route_key) <= TOUCH_KEY_BYTES, "a route's key fits");
_Static_assert(sizeof(struct nl_nhobj) <= UINT16_MAX, "struct object.bytes");

/* ---- Changes that cross a dump ---- */

#define TOUCHED_MAX 65536

struct touch {
	UT_hash_handle hh;
	uint8_t key[TOUCH_KEY_BYTES];
	bool deleted;
	bool checked;
};

static struct touch *touch_find(const struct mirror *m, const void *key, size_t bytes, uint8_t *padded)
{
	struct touch *t;

	memset(padded, 0, TOUCH_KEY_BYTES);
	memcpy(padded, key, bytes);
	HASH_FIND(hh, m->touched, padded, TOUCH_KEY_BYTES, t);
	return t;
}

void touch_note(struct mirror *m, enum dump d, const void *key, size_t bytes, bool deleted)
{
	uint8_t padded[TOUCH_KEY_BYTES];
	struct touch *t;

	if (m->running != d)
		return;
	t = touch_find(m, key, bytes, padded);
	if (!t) {
		t = HASH_COUNT(m->touched) < TOUCHED_MAX ? calloc(1, sizeof(*t)) : NULL;
		if (!t) {
			m->crossed = true;	/* no longer all known: another dump must tell */
			return;
		}
		memcpy(t->key, padded, sizeof(padded));
		HASH_ADD(hh, m->touched, key, TOUCH_KEY_BYTES, t);
		if (!t->hh.tbl) {
			free(t);
			m->crossed = true;
			return;
		}
	}
	t->deleted = deleted;
}

enum touch_state touch_check(struct mirror *m, const void *key, size_t bytes)
{
	uint8_t padded[TOUCH_KEY_BYTES];
	struct touch *t = touch_find(m, key, bytes, padded);
	bool again;

	if (!t)
		return TOUCH_NONE;
	again = t->checked;
	t->checked = true;
	if (t->deleted)
		return TOUCH_DELETED;
	return again ? TOUCH_SET_AGAIN : TOUCH_SET;
}

void touch_clear(struct mirror *m)
{
	struct touch *t = m->touched, *next;

	HASH_CLEAR(hh, m->touched);
	for (; t; t = next) {
		next = t->hh.next;
		free(t);
	}
}

/* ---- Tables ---- */

static uint64_t *count_of(struct mirror *m, enum table t)
{
	return (uint64_t *)(void *)((uint8_t *)&m->stats + tables[t].count);
}

static struct object *object_find(const struct mirror *m, enum table t, const void *key)
{
	struct object *o;

	HASH_FIND(hh, m->objects[t], key, tables[t].key_bytes, o);
	return o;
}

static struct object *object_insert(struct mirror *m, enum table t, const void *body, size_t bytes)
{
	struct object *o;

	o = *count_of(m, t) < tables[t].max ? malloc(sizeof(*o) + bytes) : NULL;
	if (o) {
		o->used = false;
		o->bytes = (uint16_t)bytes;
		memcpy(o->body, body, bytes);
		HASH_ADD_KEYPTR(hh, m->objects[t], o->body, tables[t].key_bytes, o);
		if (!o->hh.tbl) {
			free(o);
			o = NULL;
		}
	}
	if (!o)
		m->stats.full++;
	else
		++*count_of(m, t);
	return o;
}

static void object_unlink(struct mirror *m, enum table t, struct object *o)
{
	HASH_DEL(m->objects[t], o);
	--*count_of(m, t);
}

/* ---- What a change of one thing means for others ---- */

#define LOWER_UP 0x10000u	/* IFF_LOWER_UP of linux/if.h, which conflicts with net/if.h */

/*
 * IPv4 routes disappear without a message with their device, and nexthops of ECMP routes become unusable, or usable
 * again, without one in both families. Changes to dead are rare, so they are always looked up; a change to alive
 * matters only when something was dead.
 */
static void link_changed(struct mirror *m, const struct nl_link *l, const struct nl_link *before)
{
	const uint32_t up = IFF_UP | IFF_RUNNING | LOWER_UP;
	uint32_t lost = before->flags & ~l->flags & up, gained = l->flags & ~before->flags & up;

	if (lost || l->master != before->master)
		mirror_pend(m, DUMP_BIT(DUMP_NHOBJ) | DUMP_ROUTES);
	for (int v6 = 0; gained && v6 < 2; v6++) {
		enum dump d = v6 ? DUMP_ROUTE6 : DUMP_ROUTE4;

		if (m->dead_seen[v6] || m->running == d)
			mirror_pend(m, DUMP_BIT(DUMP_NHOBJ) | DUMP_BIT(d));
	}
	if (l->mtu != before->mtu)
		mirror_pend(m, DUMP_BIT(DUMP_ROUTE6));	/* the kernel adapts RTAX_MTU of IPv6 routes */
}

static void addr_event(struct mirror *m, enum mirror_event ev, const struct nl_addr *a)
{
	bool v6 = a->family == AF_INET6;

	/* The last address takes the device's IPv4 routes along, and any takes those that prefer it as source. */
	if (ev == MIRROR_REMOVED)
		mirror_pend(m, DUMP_BIT(v6 ? DUMP_ROUTE6 : DUMP_ROUTE4));
	else if (ev == MIRROR_ADDED && !v6 && m->dead_seen[0])
		mirror_pend(m, DUMP_BIT(DUMP_ROUTE4));
	if (m->ops.addr)
		m->ops.addr(m->ctx, ev, a);
}

static void object_event(struct mirror *m, enum table t, enum mirror_event ev, const struct object *o,
			 const struct object *before)
{
	const void *now = o->body;

	switch (t) {
	case TABLE_LINK:
		if (ev == MIRROR_REMOVED)
			mirror_pend(m, DUMP_BIT(DUMP_NHOBJ) | DUMP_ROUTES);
		else if (before)
			link_changed(m, now, (const struct nl_link *)(const void *)before->body);
		if (m->ops.link)
			m->ops.link(m->ctx, ev, now, before ? (const void *)before->body : NULL);
		break;
	case TABLE_ADDR:
		addr_event(m, ev, now);
		break;
	case TABLE_NEIGH:
		if (m->ops.neigh)
			m->ops.neigh(m->ctx, ev, now);
		break;
	case TABLE_NHOBJ:
		/* Deleting one deletes its routes, in IPv4 silently; replacing one may change them silently. */
		if (ev != MIRROR_ADDED && before && before->used)
			mirror_pend(m, DUMP_ROUTES);
		break;
	case TABLE_COUNT:
		break;
	}
}

static void object_remove(struct mirror *m, enum table t, struct object *o);

/* The kernel announces these itself, but when its messages were lost a link may go first. */
static void link_purge(struct mirror *m, uint32_t ifindex)
{
	static const enum table on_link[] = { TABLE_NEIGH, TABLE_ADDR };
	struct object *o, *next;

	for (size_t i = 0; i < 2; i++) {
		for (o = m->objects[on_link[i]]; o; o = next) {
			uint32_t of;

			next = o->hh.next;
			memcpy(&of, o->body, sizeof(of));	/* both keys begin with it */
			if (of == ifindex)
				object_remove(m, on_link[i], o);
		}
	}
}

static void object_remove(struct mirror *m, enum table t, struct object *o)
{
	if (t == TABLE_LINK)
		link_purge(m, ((const struct nl_link *)(const void *)o->body)->ifindex);
	object_unlink(m, t, o);
	object_event(m, t, MIRROR_REMOVED, o, o);
	free(o);
}

static void object_set(struct mirror *m, enum table t, enum dump d, const void *body, size_t bytes, bool dumped)
{
	struct object *o = object_find(m, t, body), *old;

	if (dumped && touch_check(m, body, tables[t].key_bytes) != TOUCH_NONE)
		return;
	if (!dumped)
		touch_note(m, d, body, tables[t].key_bytes, false);
	if (o && o->bytes == bytes && memcmp(o->body, body, bytes) == 0) {
		o->gen = m->gen[d];
		return;
	}
	old = o;
	if (old)
		object_unlink(m, t, old);
	o = object_insert(m, t, body, bytes);
	if (o) {
		o->gen = m->gen[d];
		o->used = old && old->used;
		object_event(m, t, old ? MIRROR_CHANGED : MIRROR_ADDED, o, old);
	} else if (old) {
		object_event(m, t, MIRROR_REMOVED, old, old);
	}
	free(old);
}

static void object_del(struct mirror *m, enum table t, enum dump d, const void *key)
{
	struct object *o = object_find(m, t, key);

	touch_note(m, d, key, tables[t].key_bytes, true);
	if (o)
		object_remove(m, t, o);
}

/* Return: whether the message is sound and of interest; it is counted when it is not */
static bool sound(struct mirror *m, enum nl_verdict v)
{
	if (v == NL_MALFORMED)
		m->stats.malformed++;
	else if (v == NL_NOT_OURS)
		m->stats.not_ours++;
	return v == NL_OK;
}

static void link_message(struct mirror *m, const struct nlmsghdr *nlh, bool dumped)
{
	uint32_t ifindex = nl_link_index(nlh);
	struct nl_link l;

	if (!sound(m, nl_link_parse(nlh, mirror_link(m, ifindex), &l)))
		return;
	if (nlh->nlmsg_type == RTM_NEWLINK)
		object_set(m, TABLE_LINK, DUMP_LINK, &l, sizeof(l), dumped);
	else
		object_del(m, TABLE_LINK, DUMP_LINK, &l);
}

static void addr_message(struct mirror *m, const struct nlmsghdr *nlh, bool dumped)
{
	struct nl_addr a;
	enum dump d;

	if (!sound(m, nl_addr_parse(nlh, &a)))
		return;
	d = a.family == AF_INET6 ? DUMP_ADDR6 : DUMP_ADDR4;
	if (nlh->nlmsg_type == RTM_NEWADDR)
		object_set(m, TABLE_ADDR, d, &a, sizeof(a), dumped);
	else
		object_del(m, TABLE_ADDR, d, &a);
}

static void neigh_message(struct mirror *m, const struct nlmsghdr *nlh, bool dumped)
{
	struct nl_neigh n;
	enum dump d;

	if (!sound(m, nl_neigh_parse(nlh, &n)))
		return;
	d = n.family == AF_INET6 ? DUMP_NEIGH6 : DUMP_NEIGH4;
	if (nlh->nlmsg_type == RTM_NEWNEIGH)
		object_set(m, TABLE_NEIGH, d, &n, sizeof(n), dumped);
	else
		object_del(m, TABLE_NEIGH, d, &n);
}

static void nhobj_message(struct mirror *m, const struct nlmsghdr *nlh, bool dumped)
{
	struct nl_nhobj *nh = &m->nhobj;
	size_t bytes;

	if (!sound(m, nl_nhobj_parse(nlh, nh)))
		return;
	bytes = offsetof(struct nl_nhobj, members) + nh->n_members * sizeof(nh->members[0]);
	if (nlh->nlmsg_type == RTM_NEWNEXTHOP)
		object_set(m, TABLE_NHOBJ, DUMP_NHOBJ, nh, bytes, dumped);
	else
		object_del(m, TABLE_NHOBJ, DUMP_NHOBJ, nh);
}

void objects_message(struct mirror *m, const struct nlmsghdr *nlh, bool dumped)
{
	switch (nlh->nlmsg_type) {
	case RTM_NEWLINK:
	case RTM_DELLINK:
		link_message(m, nlh, dumped);
		break;
	case RTM_NEWADDR:
	case RTM_DELADDR:
		addr_message(m, nlh, dumped);
		break;
	case RTM_NEWNEIGH:
	case RTM_DELNEIGH:
		neigh_message(m, nlh, dumped);
		break;
	case RTM_NEWNEXTHOP:
	case RTM_DELNEXTHOP:
		nhobj_message(m, nlh, dumped);
		break;
	}
}

void objects_end_dump(struct mirror *m, enum dump d)
{
	static const struct { size_t family; enum table table; uint8_t is; } of[DUMP_COUNT] = {
		[DUMP_LINK] = { 0, TABLE_LINK, 0 },
		[DUMP_ADDR4] = { offsetof(struct nl_addr, family), TABLE_ADDR, AF_INET },
		[DUMP_ADDR6] = { offsetof(struct nl_addr, family), TABLE_ADDR, AF_INET6 },
		[DUMP_NEIGH4] = { offsetof(struct nl_neigh, family), TABLE_NEIGH, AF_INET },
		[DUMP_NEIGH6] = { offsetof(struct nl_neigh, family), TABLE_NEIGH, AF_INET6 },
		[DUMP_NHOBJ] = { 0, TABLE_NHOBJ, 0 },
	};
	struct object *o, *next;

	for (o = m->objects[of[d].table]; o; o = next) {
		next = o->hh.next;
		if (o->gen == m->gen[d] || (of[d].is && o->body[of[d].family] != of[d].is))
			continue;
		/* Proxy entries are not part of the dump. */
		if (of[d].table == TABLE_NEIGH && ((const struct nl_neigh *)(const void *)o->body)->proxy)
			continue;
		object_remove(m, of[d].table, o);
	}
}

void objects_free(struct mirror *m)
{
	for (enum table t = 0; t < TABLE_COUNT; t++) {
		struct object *o = m->objects[t], *next;

		HASH_CLEAR(hh, m->objects[t]);
		for (; o; o = next) {
			next = o->hh.next;
			free(o);
		}
	}
	touch_clear(m);
}

const struct nl_nhobj *nhobj_use(struct mirror *m, uint32_t id)
{
	struct object *o = object_find(m, TABLE_NHOBJ, &id);

	if (!o)
		return NULL;
	o->used = true;
	return (const struct nl_nhobj *)(const void *)o->body;
}

/* ---- Lookup ---- */

const struct nl_link *mirror_link(const struct mirror *m, uint32_t ifindex)
{
	const struct object *o = object_find(m, TABLE_LINK, &ifindex);

	return o ? (const struct nl_link *)(const void *)o->body : NULL;
}

/* Not hashed: rarely asked, and names swap between links in ways that a second index would have to follow. */
const struct nl_link *mirror_link_by_name(const struct mirror *m, const char *name)
{
	for (const struct object *o = m->objects[TABLE_LINK]; o; o = o->hh.next) {
		const struct nl_link *l = (const struct nl_link *)(const void *)o->body;

		if (strcmp(l->name, name) == 0)
			return l;
	}
	return NULL;
}

const struct nl_neigh *mirror_neigh(const struct mirror *m, uint32_t ifindex, uint8_t family, const union nl_ip *ip)
{
	struct nl_neigh key;
	const struct object *o;

	memset(&key, 0, sizeof(key));
	key.ifindex = ifindex;
	key.family = family;
	memcpy(&key.addr, ip, family == AF_INET ? 4 : 16);
	o = object_find(m, TABLE_NEIGH, &key);
	return o ? (const struct nl_neigh *)(const void *)o->body : NULL;
}

int mirror_each_link(const struct mirror *m, int (*fn)(void *ctx, const struct nl_link *link), void *ctx)
{
	for (const struct object *o = m->objects[TABLE_LINK]; o; o = o->hh.next) {
		int err = fn(ctx, (const struct nl_link *)(const void *)o->body);

		if (err)
			return err;
	}
	return 0;
}

int mirror_each_addr(const struct mirror *m, uint32_t ifindex, int (*fn)(void *ctx, const struct nl_addr *addr),
		     void *ctx)
{
	for (const struct object *o = m->objects[TABLE_ADDR]; o; o = o->hh.next) {
		const struct nl_addr *a = (const struct nl_addr *)(const void *)o->body;
		int err = ifindex && a->ifindex != ifindex ? 0 : fn(ctx, a);

		if (err)
			return err;
	}
	return 0;
}

int mirror_each_neigh(const struct mirror *m, uint32_t ifindex, int (*fn)(void *ctx, const struct nl_neigh *neigh),
		      void *ctx)
{
	for (const struct object *o = m->objects[TABLE_NEIGH]; o; o = o->hh.next) {
		const struct nl_neigh *n = (const struct nl_neigh *)(const void *)o->body;
		int err = ifindex && n->ifindex != ifindex ? 0 : fn(ctx, n);

		if (err)
			return err;
	}
	return 0;
}
