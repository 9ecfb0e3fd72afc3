/* SPDX-License-Identifier: MIT */
/*
 * The commands `routes` and `neigh`.
 *
 * Both answer in pages. The cursor is the last entry's key, in words: a page goes on behind it whatever has come and
 * gone meanwhile.
 */
#include "user/control/gateway_api.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/neighbour.h>
#include <stdlib.h>
#include <string.h>

#include "common/bytes.h"
#include "common/clock.h"
#include "user/control/api.h"
#include "user/control/config_text.h"

static int arg_limit(struct json_object *args, size_t *limit, struct fault *f)
{
	uint64_t n = API_PAGE_DEFAULT;
	int err = server_arg_uint(args, "limit", 1, API_PAGE_MAX, &n, f);

	*limit = (size_t)n;
	return err;
}

static int bad_cursor(struct fault *f, const char *cursor)
{
	return fault_set(f, EINVAL, "\"%.100s\" is no cursor of a reply before", cursor);
}

/* ---- routes ------------------------------------------------------------------------------------------------------ */

struct route_page {
	const struct gateway *gw;
	struct json_object *list;
	size_t limit, n;
	bool only4, only6;
	bool behind;			/* only what comes behind @last */
	bool more;
	uint8_t family, len;		/* of the last one */
	uint8_t last[16];
};

static void put_nexthop(struct json_object *o, const struct gateway *gw, const struct fib_nexthop *nh)
{
	if (nh->gw_family)
		api_put_ip(o, "via", nh->gw_family, nh->gw);
	else
		json_object_object_add(o, "via", NULL);
	api_put_text(o, "interface", nh->iface < gw->n_ifaces ? gw->ifaces[nh->iface].name : NULL);
	api_put_number(o, "weight", nh->weight);
}

static void put_route(struct json_object *o, const struct gateway *gw, uint8_t family, const uint8_t *prefix,
		      uint8_t len, const struct fib_route *r)
{
	static const char *const types[FIB_TYPES] = {
		[FIB_UNICAST] = "unicast", [FIB_LOCAL] = "local", [FIB_KERNEL] = "local", [FIB_BROADCAST] = "broadcast",
		[FIB_BLACKHOLE] = "blackhole", [FIB_UNREACHABLE] = "unreachable", [FIB_PROHIBIT] = "prohibit",
		[FIB_THROW] = "throw",
	};
	static const char *const origins[FIB_ORIGINS] = {
		[FIB_ORIGIN_ENGINE] = "connected", [FIB_ORIGIN_STATIC] = "static", [FIB_ORIGIN_KERNEL] = "kernel",
	};
	struct json_object *list;

	api_put_prefix(o, "prefix", family, prefix, len);
	api_put_text(o, "type", types[r->type]);
	api_put_number(o, "metric", r->metric);
	api_put_text(o, "origin", origins[r->origin]);
	if (r->mtu)
		api_put_number(o, "mtu", r->mtu);
	list = api_put_array(o, "nexthops");
	for (unsigned int i = 0; i < r->n_nexthops; i++)
		put_nexthop(api_add_object(list), gw, &r->nexthops[i]);
}

/* Is this prefix behind the cursor, in the order of the walk: family, address, length? */
static bool is_behind(const struct route_page *p, uint8_t family, const uint8_t *prefix, uint8_t len)
{
	int diff;

	if (family != p->family)
		return family == AF_INET6;
	diff = memcmp(prefix, p->last, iface_addr_bytes(family));
	return diff > 0 || (diff == 0 && len > p->len);
}

static bool page_route(void *ctx, uint8_t family, const uint8_t *prefix, uint8_t len, const struct fib_route *r)
{
	struct route_page *p = ctx;

	if (p->only4 && family == AF_INET6)
		return false;
	if ((p->only6 && family == AF_INET) || (p->behind && !is_behind(p, family, prefix, len)))
		return true;
	if (p->n == p->limit) {
		p->more = true;
		return false;
	}
	put_route(api_add_object(p->list), p->gw, family, prefix, len, r);
	p->n++;
	p->behind = false;		/* and so is everything that follows */
	p->family = family;
	p->len = len;
	memcpy(p->last, prefix, iface_addr_bytes(family));
	return true;
}

static int get_route(struct gateway *gw, struct json_object *list, const char *get, struct fault *f)
{
	const struct fib_route *r;
	struct config_ip ip;
	uint8_t len = 0;
	int err = config_parse_ip(get, &ip, f);

	if (err)
		return err;
	r = fib_match(gw->engine->fib, (uint8_t)ip.family, ip.bytes, &len);
	if (r->type == FIB_NO_ROUTE)
		return fault_set(f, ENETUNREACH, "no route to %s", get);
	for (unsigned int bit = len; bit < config_ip_bits(&ip); bit++)
		ip.bytes[bit / 8] &= (uint8_t)~(0x80u >> bit % 8);
	put_route(api_add_object(list), gw, (uint8_t)ip.family, ip.bytes, len, r);
	return 0;
}

static int run_routes(void *ctx, struct server_request *rq, struct fault *f)
{
	static const char *const families[] = { "any", "ipv4", "ipv6", NULL };
	struct route_page page = { .gw = ctx };
	const char *get = NULL, *cursor = NULL;
	struct config_prefix last;
	char text[CONFIG_PREFIX_STRLEN];
	unsigned int family = 0;
	int err;

	err = server_arg_word(rq->args, "family", families, &family, f);
	if (!err)
		err = server_arg_string(rq->args, "get", &get, f);
	if (!err)
		err = server_arg_string(rq->args, "cursor", &cursor, f);
	if (!err)
		err = arg_limit(rq->args, &page.limit, f);
	if (err)
		return err;
	page.list = api_put_array(rq->result, "routes");
	if (get)
		return get_route(ctx, page.list, get, f);
	if (cursor) {
		if (config_parse_prefix(cursor, &last, NULL))
			return bad_cursor(f, cursor);
		page.behind = true;
		page.family = (uint8_t)last.ip.family;
		page.len = last.len;
		memcpy(page.last, last.ip.bytes, sizeof(page.last));
	}
	page.only4 = family == 1;
	page.only6 = family == 2;
	fib_each(page.gw->engine->fib, page_route, &page);
	if (page.more) {
		last = (struct config_prefix){ .ip.family = page.family, .len = page.len };
		memcpy(last.ip.bytes, page.last, iface_addr_bytes(page.family));
	}
	api_put_text(rq->result, "next", page.more ? config_prefix_text(&last, text) : NULL);
	return 0;
}

static const char *const routes_args[] = { "family", "get", "cursor", "limit", NULL };
const struct server_command api_command_routes = { "routes", "the forwarding table", routes_args, run_routes };

/* ---- neigh ------------------------------------------------------------------------------------------------------- */

enum owner { OWNER_STATIC, OWNER_KERNEL, OWNER_ENGINE, OWNERS };
static const char *const owner_names[] = { "static", "kernel", "engine", NULL };

/* A neighbour. The first fields are its key, in the order of the reply. */
struct row {
	uint16_t iface;
	uint8_t family;
	uint8_t addr[16];
	uint8_t owner;			/* enum owner */
	bool has_mac, has_age;
	uint8_t mac[6];
	const char *state;
	uint64_t age_ns;
	unsigned int queued;
};

struct rows {
	struct gateway *gw;
	struct row *row;
	size_t n, room;
	uint16_t iface;			/* of the walk */
	bool failed;			/* no memory */
};

static struct row *row_add(struct rows *rows, uint16_t iface, uint8_t family, const uint8_t *addr, enum owner owner,
			   const char *state)
{
	struct row *row;

	if (rows->n == rows->room) {
		size_t room = rows->room ? 2 * rows->room : 256;
		struct row *more = reallocarray(rows->row, room, sizeof(*more));

		if (!more) {
			rows->failed = true;
			return NULL;
		}
		rows->row = more;
		rows->room = room;
	}
	row = &rows->row[rows->n++];
	*row = (struct row){ .iface = iface, .family = family, .owner = (uint8_t)owner, .state = state };
	memcpy(row->addr, addr, iface_addr_bytes(family));
	return row;
}

static void row_mac(struct row *row, const uint8_t *mac)
{
	if (!row)
		return;
	row->has_mac = true;
	memcpy(row->mac, mac, 6);
}

static int compare_rows(const void *a, const void *b)
{
	const struct row *x = a, *y = b;
	int diff;

	if (x->iface != y->iface)
		return x->iface < y->iface ? -1 : 1;
	if (x->family != y->family)
		return x->family == AF_INET ? -1 : 1;
	diff = memcmp(x->addr, y->addr, sizeof(x->addr));
	return diff ? diff : (int)x->owner - (int)y->owner;
}

static const char *nud_name(uint16_t state)
{
	switch (state) {
	case NUD_INCOMPLETE:
		return "incomplete";
	case NUD_REACHABLE:
		return "reachable";
	case NUD_STALE:
		return "stale";
	case NUD_DELAY:
		return "delay";
	case NUD_PROBE:
		return "probe";
	case NUD_FAILED:
		return "failed";
	case NUD_PERMANENT:
		return "permanent";
	default:
		return NULL;	/* NUD_NOARP: groups and such, which nobody is asked for */
	}
}

static int kernel_row(void *ctx, const struct nl_neigh *n)
{
	struct rows *rows = ctx;
	const char *state = nud_name(n->state);
	struct row *row;

	if (n->proxy || !state)
		return 0;
	row = row_add(rows, rows->iface, n->family, n->addr.bytes, OWNER_KERNEL, state);
	if (n->lladdr_len == 6)
		row_mac(row, n->lladdr);
	return row ? 0 : 1;
}

static void static_rows(struct rows *rows)
{
	const struct config *cfg = rows->gw->cfg;

	for (unsigned int i = 0; i < cfg->n_neighs; i++) {
		const struct config_neigh *n = &cfg->neighs[i];
		uint16_t iface = gw_iface_by_name(rows->gw, n->iface);

		if (iface != IFACE_NONE)
			row_mac(row_add(rows, iface, (uint8_t)n->ip.family, n->ip.bytes, OWNER_STATIC, "permanent"),
				n->mac);
	}
}

static void engine_rows(struct rows *rows)
{
	static const char *const states[NEIGH_STATE_N] = {
		[NEIGH_INCOMPLETE] = "incomplete", [NEIGH_REACHABLE] = "reachable", [NEIGH_STALE] = "stale",
		[NEIGH_DELAY] = "delay", [NEIGH_PROBE] = "probe", [NEIGH_FAILED] = "failed",
	};
	uint64_t now_ns = clock_mono_ns();
	const struct neigh *n;

	if (!rows->gw->neighs)
		return;
	for (uint32_t slot = 0; (n = neigh_next(rows->gw->neighs, slot)); slot = n->slot + 1) {
		struct row *row = row_add(rows, n->iface, n->family, n->addr, OWNER_ENGINE, states[n->state]);

		if (!row)
			return;
		if (n->state != NEIGH_INCOMPLETE && n->state != NEIGH_FAILED)
			row_mac(row, n->mac);
		row->has_age = true;
		row->age_ns = now_ns > n->changed_ns ? now_ns - n->changed_ns : 0;
	}
}

/* Packets wait in the workers; a pause of some ten microseconds for all of them. */
static void queued_rows(struct rows *rows)
{
	struct gateway *gw = rows->gw;
	struct rows waits = { .gw = gw };

	engine_pause(gw->engine);
	for (unsigned int i = 0; i < gw->n_workers; i++) {
		const struct worker *w = gw->engine->workers[i];

		for (unsigned int k = 0; w->n_waits && k < NEIGH_WAITS_MAX; k++) {
			const struct neigh_wait *nw = &w->waits[k];
			struct row *row = nw->family ? row_add(&waits, nw->iface, nw->family, nw->addr, OWNER_KERNEL,
							       "incomplete") : NULL;

			if (row)
				row->queued = nw->n;
		}
	}
	engine_resume(gw->engine);
	for (size_t i = 0; i < waits.n; i++) {
		struct row *wait = &waits.row[i], *row = NULL;

		for (size_t k = 0; k < rows->n && !row; k++)
			if (rows->row[k].iface == wait->iface && rows->row[k].family == wait->family &&
			    memcmp(rows->row[k].addr, wait->addr, sizeof(wait->addr)) == 0)
				row = &rows->row[k];
		/* The kernel does not announce what it has just begun to ask for. */
		if (!row && wait->iface < gw->n_ifaces)
			row = row_add(rows, wait->iface, wait->family, wait->addr,
				      gw->ifaces[wait->iface].ifindex ? OWNER_KERNEL : OWNER_ENGINE, "incomplete");
		if (row)
			row->queued += wait->queued;
	}
	rows->failed |= waits.failed;
	free(waits.row);
}

static void put_row(struct json_object *o, const struct gateway *gw, const struct row *row)
{
	api_put_ip(o, "address", row->family, row->addr);
	api_put_text(o, "interface", gw->ifaces[row->iface].name);
	if (row->has_mac)
		api_put_mac(o, "mac", row->mac);
	else
		json_object_object_add(o, "mac", NULL);
	api_put_text(o, "owner", owner_names[row->owner]);
	api_put_text(o, "state", row->state);
	api_put_number(o, "queued", row->queued);
	if (row->has_age)
		api_put_number(o, "age_ns", row->age_ns);
}

/* "INTERFACE ADDRESS OWNER" */
static int parse_cursor(const struct gateway *gw, const char *cursor, struct row *key, struct fault *f)
{
	char iface[IFACE_NAME_MAX], addr[INET6_ADDRSTRLEN], owner[8];
	const char *first = strchr(cursor, ' '), *second = first ? strchr(first + 1, ' ') : NULL;
	struct config_ip ip;

	if (!second || (size_t)(first - cursor) >= sizeof(iface) || (size_t)(second - first) > sizeof(addr) ||
	    strlen(second + 1) >= sizeof(owner))
		return bad_cursor(f, cursor);
	snprintf(iface, sizeof(iface), "%.*s", (int)(first - cursor), cursor);
	snprintf(addr, sizeof(addr), "%.*s", (int)(second - first - 1), first + 1);
	snprintf(owner, sizeof(owner), "%s", second + 1);
	*key = (struct row){ .iface = gw_iface_by_name(gw, iface) };
	while (key->owner < OWNERS && strcmp(owner, owner_names[key->owner]) != 0)
		key->owner++;
	if (key->iface == IFACE_NONE || key->owner == OWNERS || config_parse_ip(addr, &ip, NULL))
		return bad_cursor(f, cursor);
	key->family = (uint8_t)ip.family;
	memcpy(key->addr, ip.bytes, sizeof(key->addr));
	return 0;
}

static void known_rows(struct rows *rows)
{
	const struct gateway *gw = rows->gw;

	static_rows(rows);
	for (uint16_t i = 0; gw->mirror && gw->cfg->netlink.enabled && i < gw->n_ifaces; i++) {
		rows->iface = i;
		if (gw->ifaces[i].ifindex)
			mirror_each_neigh(gw->mirror, (uint32_t)gw->ifaces[i].ifindex, kernel_row, rows);
	}
	engine_rows(rows);
}

size_t api_count_neighs(struct gateway *gw)
{
	struct rows rows = { .gw = gw };

	known_rows(&rows);
	free(rows.row);
	return rows.n;
}

static int gather(struct rows *rows, struct fault *f)
{
	known_rows(rows);
	queued_rows(rows);
	if (rows->failed)
		return fault_set(f, ENOMEM, "no memory for %zu neighbours", rows->n);
	if (rows->n)
		qsort(rows->row, rows->n, sizeof(*rows->row), compare_rows);
	return 0;
}

/* The first @limit rows behind @key, of one interface or of all. */
static void put_page(struct json_object *o, const struct rows *rows, uint16_t only, const struct row *key, size_t limit)
{
	struct json_object *list = api_put_array(o, "neighbours");
	const struct row *last = NULL;
	char addr[INET6_ADDRSTRLEN] = "", next[IFACE_NAME_MAX + INET6_ADDRSTRLEN + 16];
	size_t n = 0;

	for (size_t i = 0; i < rows->n; i++) {
		const struct row *row = &rows->row[i];

		if ((only != IFACE_NONE && row->iface != only) || (key && compare_rows(row, key) <= 0))
			continue;
		if (last && n == limit) {
			inet_ntop(last->family, last->addr, addr, sizeof(addr));
			snprintf(next, sizeof(next), "%s %s %s", rows->gw->ifaces[last->iface].name, addr,
				 owner_names[last->owner]);
			api_put_text(o, "next", next);
			return;
		}
		put_row(api_add_object(list), rows->gw, row);
		last = row;
		n++;
	}
	api_put_text(o, "next", NULL);
}

static int run_neigh(void *ctx, struct server_request *rq, struct fault *f)
{
	struct gateway *gw = ctx;
	struct rows rows = { .gw = gw };
	const char *name = NULL, *cursor = NULL;
	uint16_t only = IFACE_NONE;
	struct row key = { 0 };
	size_t limit;
	int err;

	err = server_arg_string(rq->args, "interface", &name, f);
	if (!err)
		err = server_arg_string(rq->args, "cursor", &cursor, f);
	if (!err)
		err = arg_limit(rq->args, &limit, f);
	if (!err && name) {
		only = gw_iface_by_name(gw, name);
		if (only == IFACE_NONE)
			err = fault_set(f, ENOENT, "there is no interface \"%.64s\"", name);
	}
	if (!err && cursor)
		err = parse_cursor(gw, cursor, &key, f);
	if (!err)
		err = gather(&rows, f);
	if (err)
		goto out;
	put_page(rq->result, &rows, only, cursor ? &key : NULL, limit);
out:
	free(rows.row);
	return err;
}

static const char *const neigh_args[] = { "interface", "cursor", "limit", NULL };
const struct server_command api_command_neigh = { "neigh", "neighbours", neigh_args, run_neigh };
