/* SPDX-License-Identifier: MIT */
/* What the commands of the control socket share, private to user/control/gateway_*.c. The formats are in api.h. */
#ifndef USER_CONTROL_GATEWAY_API_H
#define USER_CONTROL_GATEWAY_API_H

#include <inttypes.h>
#include <json-c/json.h>
#include <stdio.h>

#include "user/control/gateway.h"

/* ---- Members of objects ------------------------------------------------------------------------------------------ */

/** api_put_text() - @text may be NULL for null. */
static inline void api_put_text(struct json_object *o, const char *key, const char *text)
{
	json_object_object_add(o, key, text ? json_object_new_string(text) : NULL);
}

static inline void api_put_number(struct json_object *o, const char *key, uint64_t value)
{
	json_object_object_add(o, key, json_object_new_uint64(value));
}

static inline void api_put_bool(struct json_object *o, const char *key, bool value)
{
	json_object_object_add(o, key, json_object_new_boolean(value));
}

/** api_put_object() - Add an empty object. Return: it, still owned by @o */
static inline struct json_object *api_put_object(struct json_object *o, const char *key)
{
	struct json_object *to = json_object_new_object();

	json_object_object_add(o, key, to);
	return to;
}

static inline struct json_object *api_put_array(struct json_object *o, const char *key)
{
	struct json_object *to = json_object_new_array();

	json_object_object_add(o, key, to);
	return to;
}

/** api_add_object() - Append an empty object to an array. Return: it, still owned by @array */
static inline struct json_object *api_add_object(struct json_object *array)
{
	struct json_object *to = json_object_new_object();

	json_object_array_add(array, to);
	return to;
}

/** api_put_ip() - @bytes: 4 or 16 by @family (AF_INET, AF_INET6) */
void api_put_ip(struct json_object *o, const char *key, uint8_t family, const void *bytes);

/** api_put_prefix() - "10.0.0.0/8" */
void api_put_prefix(struct json_object *o, const char *key, uint8_t family, const void *bytes, uint8_t len);

/** api_put_mac() */
void api_put_mac(struct json_object *o, const char *key, const uint8_t mac[6]);

/** api_arg_port() - The port that the argument "port" names; *@gp stays as it is without one. Return: 0 or -ENOENT */
int api_arg_port(struct gateway *gw, struct json_object *args, struct gw_port **gp, struct fault *f);

/* ---- Commands ---------------------------------------------------------------------------------------------------- */

/* gateway_api_ports.c */
extern const struct server_command api_command_ports, api_command_stats;

/** api_port_state() - "up", "down" or "gone" */
const char *api_port_state(const struct gw_port *gp);

/** api_put_reasons() - Why it is not better, or not open at all. */
void api_put_reasons(struct json_object *o, const struct gw_port *gp);

/** api_port_kind() - "xdp" or "tun" */
static inline const char *api_port_kind(const struct gw_port *gp)
{
	return gp->cfg->kind == CONFIG_PORT_TUN ? "tun" : "xdp";
}

/* gateway_api_tables.c */
extern const struct server_command api_command_routes, api_command_neigh;

/** api_count_neighs() - As many as `neigh` lists, but for those that packets have begun to wait for. */
size_t api_count_neighs(struct gateway *gw);

#endif
