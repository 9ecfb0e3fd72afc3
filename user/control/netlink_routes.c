/* SPDX-License-Identifier: MIT */
/*
 * Routes: from the kernel's messages to "each key has one route, here it is".
 *
 * Most keys have one route, and nothing is kept of them here. A key has a stack when there is more to know: several
 * routes of the same prefix, table and metric, in the kernel's order, of which the first counts; or an IPv6 ECMP route,
 * whose siblings the kernel deletes one by one. The first of a stack is what the routes' owner was given. When a key
 * gets its second route, the content of the first is not known here: it is opaque until it is seen again.
 */
#include "user/control/netlink_mirror_priv.h"

#define HASH_NONFATAL_OOM 1
#include <linux/rtnetlink.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <uthash.h>

/* One route of a key; only that much of @r is allocated as nl_route_bytes() says. */
struct alt {
	struct alt *next;
	bool opaque;			/* @r is not there */
	struct nl_route r;
};

struct stack {
	UT_hash_handle hh;
	struct nl_route_key key;
	uint32_t gen;			/* mirror.gen of its dump when it was last told of */
	struct alt *first;
};

#define STACK_DEPTH_MAX 64		/* routes of one key; further ones are counted and forgotten */

static enum dump dump_of(uint8_t family)
{
	return family == AF_INET6 ? DUMP_ROUTE6 : DUMP_ROUTE4;
}

static void give(struct mirror *m, const struct nl_route *r)
{
	if (m->ops.route_set)
		m->ops.route_set(m->ctx, r);
}

static void take(struct mirror *m, const struct nl_route_key *key)
{
	if (m->ops.route_del)
		m->ops.route_del(m->ctx, key);
}

/* ---- Stacks ---- */

static struct alt *alt_new(struct mirror *m, const struct nl_route *r)
{
	size_t bytes = r ? nl_route_bytes(r) : 0;
	struct alt *a = malloc(offsetof(struct alt, r) + bytes);

	if (!a) {
		m->stats.full++;
		return NULL;
	}
	a->next = NULL;
	a->opaque = !r;
	if (r)
		memcpy(&a->r, r, bytes);
	return a;
}

static struct stack *stack_find(const struct mirror *m, const struct nl_route_key *key)
{
	struct stack *s;

	HASH_FIND(hh, m->stacks, key, sizeof(*key), s);
	return s;
}

static void stack_free(struct stack *s)
{
	for (struct alt *a = s->first, *next; a; a = next) {
		next = a->next;
		free(a);
	}
	free(s);
}

static void stack_drop(struct mirror *m, struct stack *s)
{
	if (!s)
		return;
	HASH_DEL(m->stacks, s);
	m->stats.stacks--;
	stack_free(s);
}

/* A stack with one entry: @r, or what the routes' owner has when @r is NULL. */
static struct stack *stack_new(struct mirror *m, const struct nl_route_key *key, const struct nl_route *r)
{
	struct stack *s = m->stats.stacks < MIRROR_STACKS_MAX ? malloc(sizeof(*s)) : NULL;

	if (!s) {
		m->stats.full++;
		return NULL;
	}
	s->first = alt_new(m, r);
	s->key = *key;
	s->gen = m->gen[dump_of(key->family)];
	if (s->first) {
		HASH_ADD(hh, m->stacks, key, sizeof(s->key), s);
		if (s->hh.tbl) {
			m->stats.stacks++;
			return s;
		}
		m->stats.full++;
	}
	free(s->first);
	free(s);
	return NULL;
}

static void stack_append(struct mirror *m, struct stack *s, const struct nl_route *r)
{
	struct alt **at = &s->first;
	unsigned int depth = 0;

	for (; *at; at = &(*at)->next)
		depth++;
	if (depth < STACK_DEPTH_MAX)
		*at = alt_new(m, r);
	else
		m->stats.full++;
}

static void stack_prepend(struct mirror *m, struct stack *s, const struct nl_route *r)
{
	struct alt *a = alt_new(m, r);

	if (a) {
		a->next = s->first;
		s->first = a;
	}
}

/* Put @r where @*at is. Without memory the entry becomes opaque, which is always true of it. */
static void alt_replace(struct mirror *m, struct alt **at, const struct nl_route *r)
{
	struct alt *old = *at, *a;

	if (!old)
		return;
	a = alt_new(m, r);
	if (!a) {
		old->opaque = true;
		return;
	}
	a->next = old->next;
	*at = a;
	free(old);
}

/* ---- Likeness ---- */

static bool same_path(const struct nl_nexthop *a, const struct nl_nexthop *b)
{
	return a->ifindex == b->ifindex && a->gw_family == b->gw_family &&
	       memcmp(a->gw.bytes, b->gw.bytes, sizeof(a->gw.bytes)) == 0;
}

/* The same route in what identifies one: not its nexthops' state. */
static bool same_route(const struct nl_route *a, const struct nl_route *b)
{
	if (a->type != b->type || a->protocol != b->protocol || a->nh_id != b->nh_id || a->scope != b->scope ||
	    memcmp(a->prefsrc.bytes, b->prefsrc.bytes, sizeof(a->prefsrc.bytes)) != 0)
		return false;
	if (a->nh_id)
		return true;
	if (a->n_nexthops != b->n_nexthops)
		return false;
	for (uint32_t i = 0; i < a->n_nexthops; i++) {
		if (!same_path(&a->nexthops[i], &b->nexthops[i]))
			return false;
	}
	return true;
}

static bool has_path(const struct nl_route *r, const struct nl_nexthop *nh)
{
	for (uint32_t i = 0; i < r->n_nexthops; i++) {
		if (same_path(&r->nexthops[i], nh))
			return true;
	}
	return false;
}

/* All of @part's nexthops are among @whole's. */
static bool is_part(const struct nl_route *part, const struct nl_route *whole)
{
	for (uint32_t i = 0; i < part->n_nexthops; i++) {
		if (!has_path(whole, &part->nexthops[i]))
			return false;
	}
	return part->n_nexthops > 0;
}

/* IPv6 makes siblings of routes with gateways only, and not of those with nexthop objects. */
static bool may_have_siblings(const struct nl_route *r)
{
	if (r->key.family != AF_INET6 || r->type != RTN_UNICAST || r->nh_id != 0)
		return false;
	for (uint32_t i = 0; i < r->n_nexthops; i++) {
		if (r->nexthops[i].gw_family == AF_UNSPEC)
			return false;
	}
	return r->n_nexthops > 0;
}

static bool has_siblings(const struct nl_route *r)
{
	return may_have_siblings(r) && r->n_nexthops > 1;
}

static struct alt **find_same(struct stack *s, const struct nl_route *r)
{
	struct alt **at = &s->first;

	while (*at && ((*at)->opaque || !same_route(&(*at)->r, r)))
		at = &(*at)->next;
	return *at ? at : NULL;
}

static struct alt **find_opaque(struct stack *s)
{
	struct alt **at = &s->first;

	while (*at && !(*at)->opaque)
		at = &(*at)->next;
	return *at ? at : NULL;
}

/* The ECMP route that grew into @r, or that @r was a sibling in. */
static struct alt **find_family(struct stack *s, const struct nl_route *r)
{
	struct alt **at = &s->first;

	if (!may_have_siblings(r))
		return NULL;
	while (*at && ((*at)->opaque || !may_have_siblings(&(*at)->r) ||
		       !(is_part(&(*at)->r, r) || is_part(r, &(*at)->r))))
		at = &(*at)->next;
	return *at ? at : NULL;
}

/* One plain entry left: the routes' owner has it, nothing need be kept. */
static void stack_trim(struct mirror *m, struct stack *s)
{
	if (s->first && !s->first->next && (s->first->opaque || !has_siblings(&s->first->r)))
		stack_drop(m, s);
}

/* ---- Notifications ---- */

/* The only route of its key. */
static void set_alone(struct mirror *m, const struct nl_route *r)
{
	stack_drop(m, stack_find(m, &r->key));
	give(m, r);
	if (has_siblings(r))
		stack_new(m, &r->key, r);
}

/* @r takes the place of @*at. */
static void put_at(struct mirror *m, struct stack *s, struct alt **at, const struct nl_route *r)
{
	bool first = at == &s->first;

	alt_replace(m, at, r);
	if (first)
		give(m, r);
	stack_trim(m, s);
}

/* NLM_F_REPLACE, or an update without any flag: of the entry that is like it, else of the first. */
static void replace(struct mirror *m, const struct nl_route *r)
{
	struct stack *s = stack_find(m, &r->key);
	struct alt **at;

	if (!s || !s->first->next) {
		set_alone(m, r);
		return;
	}
	/* Which of several routes it was is a guess that the next dump confirms or mends. */
	mirror_pend(m, DUMP_BIT(dump_of(r->key.family)));
	at = find_same(s, r);
	if (!at)
		at = find_family(s, r);
	put_at(m, s, at ? at : &s->first, r);
}

/* Another route beside one that is there. */
static void add_beside(struct mirror *m, const struct nl_route *r, uint16_t flags)
{
	struct stack *s = stack_find(m, &r->key);
	bool v6 = r->key.family == AF_INET6;

	if (m->running == dump_of(r->key.family))
		m->crossed = true;	/* what it is beside may not have been told yet */
	if (v6 && has_siblings(r)) {
		/* The message has all siblings: those that were there, too. */
		struct alt **at;

		if (!s) {
			set_alone(m, r);
			return;
		}
		at = find_family(s, r);
		if (!at)
			at = find_opaque(s);
		if (at) {
			put_at(m, s, at, r);
			return;
		}
	}
	if (!s)
		s = stack_new(m, &r->key, NULL);
	if (!s) {
		/* No room to know better: one of them is given out, and a later dump corrects what it can. */
		if (!v6 && !(flags & NLM_F_APPEND))
			give(m, r);
		return;
	}
	s->gen = m->gen[dump_of(r->key.family)];
	if (v6 || flags & NLM_F_APPEND) {
		stack_append(m, s, r);
		return;
	}
	stack_prepend(m, s, r);
	give(m, r);
}

static void route_new(struct mirror *m, const struct nl_route *r, uint16_t flags)
{
	struct stack *s = stack_find(m, &r->key);

	touch_note(m, dump_of(r->key.family), &r->key, sizeof(r->key), false);
	if (s)
		s->gen = m->gen[dump_of(r->key.family)];
	if (flags & NLM_F_EXCL)
		set_alone(m, r);
	else if (flags & NLM_F_REPLACE || !(flags & (NLM_F_CREATE | NLM_F_APPEND)))
		replace(m, r);
	else
		add_beside(m, r, flags);
}

/* IPv6: the siblings of @gone are deleted from the ECMP route at @at. */
static void siblings_del(struct mirror *m, struct stack *s, struct alt **at, const struct nl_route *gone)
{
	static _Thread_local struct nl_route rest;
	const struct nl_route *r = &(*at)->r;

	memcpy(&rest, r, offsetof(struct nl_route, nexthops));
	rest.n_nexthops = 0;
	for (uint32_t i = 0; i < r->n_nexthops; i++) {
		if (!has_path(gone, &r->nexthops[i]))
			rest.nexthops[rest.n_nexthops++] = r->nexthops[i];
	}
	put_at(m, s, at, &rest);
}

static void alt_del(struct mirror *m, struct stack *s, struct alt **at)
{
	struct alt *gone = *at;
	bool first = at == &s->first;

	*at = gone->next;
	free(gone);
	if (!s->first) {
		take(m, &s->key);
		stack_drop(m, s);
		return;
	}
	if (first && s->first->opaque) {
		/* Another route counts now, which only a dump can tell; until then better none than a deleted one. */
		take(m, &s->key);
		mirror_pend(m, DUMP_BIT(dump_of(s->key.family)));
	} else if (first) {
		give(m, &s->first->r);
	}
	stack_trim(m, s);
}

static void route_del(struct mirror *m, const struct nl_route *r)
{
	struct stack *s = stack_find(m, &r->key);
	struct alt **at;

	touch_note(m, dump_of(r->key.family), &r->key, sizeof(r->key), true);
	if (!s) {
		take(m, &r->key);
		return;
	}
	s->gen = m->gen[dump_of(r->key.family)];
	at = find_same(s, r);
	if (at) {
		alt_del(m, s, at);
		return;
	}
	at = find_family(s, r);
	if (at && is_part(r, &(*at)->r) && r->n_nexthops < (*at)->r.n_nexthops) {
		siblings_del(m, s, at, r);
		return;
	}
	if (!at)
		at = find_opaque(s);
	if (at)
		alt_del(m, s, at);
	else
		mirror_pend(m, DUMP_BIT(dump_of(r->key.family)));	/* deleted what was never announced */
}

/* ---- Dumps ---- */

static void route_dumped(struct mirror *m, const struct nl_route *r)
{
	struct stack *s = stack_find(m, &r->key);
	struct nl_route *prev = &m->dumped;

	switch (touch_check(m, &r->key, sizeof(r->key))) {
	case TOUCH_NONE:
		break;
	case TOUCH_SET_AGAIN:	/* several routes of a key of which one changed meanwhile */
	case TOUCH_DELETED:	/* an older state, or another route of the same key */
		m->crossed = true;
		/* fall through */
	case TOUCH_SET:
		if (s)
			s->gen = m->gen[m->running];
		return;
	}
	if (prev->key.family && nl_route_key_same(&prev->key, &r->key)) {
		/* The kernel dumps routes of one key in a row, in its order. */
		if (same_route(prev, r))
			return;
		if (!s)
			s = stack_new(m, &r->key, prev);
		if (s)
			stack_append(m, s, r);
	} else {
		set_alone(m, r);
	}
	memcpy(prev, r, nl_route_bytes(r));
}

void routes_begin_dump(struct mirror *m, enum dump d)
{
	bool v6 = d == DUMP_ROUTE6;

	m->dumped.key.family = 0;
	m->dead_seen[v6] = false;
	m->unresolved[v6] = false;
	if (m->ops.route_begin_resync)
		m->ops.route_begin_resync(m->ctx, v6 ? AF_INET6 : AF_INET);
}

void routes_end_dump(struct mirror *m, enum dump d, bool complete)
{
	bool v6 = d == DUMP_ROUTE6;
	uint8_t family = v6 ? AF_INET6 : AF_INET;
	struct stack *s, *next;

	if (complete) {
		for (s = m->stacks; s; s = next) {
			next = s->hh.next;
			if (s->key.family == family && s->gen != m->gen[d])
				stack_drop(m, s);
		}
	}
	/* A route of an unknown nexthop object asks for both to be dumped again, but not for ever. */
	m->unresolved_rounds[v6] = m->unresolved[v6] ? m->unresolved_rounds[v6] + 1 : 0;
	if (m->ops.route_end_resync)
		m->ops.route_end_resync(m->ctx, family, complete);
}

void routes_free(struct mirror *m)
{
	struct stack *s = m->stacks, *next;

	HASH_CLEAR(hh, m->stacks);
	for (; s; s = next) {
		next = s->hh.next;
		stack_free(s);
	}
}

/* ---- Messages ---- */

static bool table_wanted(const struct mirror *m, uint32_t table)
{
	if (table == RT_TABLE_MAIN || table == RT_TABLE_LOCAL)
		return true;
	for (int i = 0; i < MIRROR_TABLES_MAX && m->config.tables[i]; i++) {
		if (m->config.tables[i] == table)
			return true;
	}
	return false;
}

static void add_nexthop(struct nl_route *r, const struct nl_nexthop *nh, uint32_t weight)
{
	if (r->n_nexthops == NL_NEXTHOPS_MAX) {
		r->nexthops_cut = true;
		return;
	}
	r->nexthops[r->n_nexthops] = *nh;
	r->nexthops[r->n_nexthops++].weight = weight;
}

#define UNRESOLVED_ROUNDS_MAX 3

static void unresolved(struct mirror *m, const struct nl_route *r)
{
	bool v6 = r->key.family == AF_INET6;

	m->stats.nexthops_unresolved++;
	m->unresolved[v6] = true;
	if (m->unresolved_rounds[v6] < UNRESOLVED_ROUNDS_MAX)
		mirror_pend(m, DUMP_BIT(DUMP_NHOBJ) | DUMP_BIT(dump_of(r->key.family)));
}

/* Note that the route depends on its nexthop object, and fill in what the message leaves to it. */
static void resolve(struct mirror *m, struct nl_route *r)
{
	const struct nl_nhobj *nh = nhobj_use(m, r->nh_id);
	bool fill = r->n_nexthops == 0 && r->type == RTN_UNICAST;

	if (!nh) {
		unresolved(m, r);
		return;
	}
	if (nh->n_members == 0) {
		if (fill && nh->blackhole)
			r->type = RTN_BLACKHOLE;
		else if (fill)
			add_nexthop(r, &nh->nh, 1);
		return;
	}
	r->nexthops_cut |= fill && nh->cut;
	for (uint32_t i = 0; i < nh->n_members; i++) {
		const struct nl_nhobj *member = nhobj_use(m, nh->members[i].id);

		if (!member)
			unresolved(m, r);
		else if (fill && member->blackhole)
			r->type = RTN_BLACKHOLE;
		else if (fill)
			add_nexthop(r, &member->nh, nh->members[i].weight);
	}
	if (fill && r->n_nexthops == 1)
		r->nexthops[0].weight = 1;	/* as the kernel shows a group of one */
}

static bool has_dead(const struct nl_route *r)
{
	for (uint32_t i = 0; i < r->n_nexthops; i++) {
		if (r->nexthops[i].flags & (RTNH_F_DEAD | RTNH_F_LINKDOWN))
			return true;
	}
	return false;
}

void routes_message(struct mirror *m, const struct nlmsghdr *nlh, bool dumped)
{
	struct nl_route *r = &m->route;

	switch (nl_route_parse(nlh, r)) {
	case NL_OK:
		break;
	case NL_NOT_OURS:
		m->stats.not_ours++;
		return;
	case NL_MALFORMED:
		m->stats.malformed++;
		return;
	}
	/* Without handlers for a family the kernel answers with all of them. */
	if (!table_wanted(m, r->key.table) || (dumped && m->running != dump_of(r->key.family))) {
		m->stats.not_ours++;
		return;
	}
	if (nlh->nlmsg_type == RTM_DELROUTE) {
		route_del(m, r);
		return;
	}
	if (r->nh_id)
		resolve(m, r);
	if (r->nexthops_cut)
		m->stats.nexthops_cut++;
	if (has_dead(r))
		m->dead_seen[r->key.family == AF_INET6] = true;
	if (dumped)
		route_dumped(m, r);
	else
		route_new(m, r, nlh->nlmsg_flags);
}
