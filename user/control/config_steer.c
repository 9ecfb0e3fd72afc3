// SPDX-License-Identifier: MIT
/* The section "steer": transit prefixes and rules, in a configuration or in a file of their own. */
#include "user/control/config_reader.h"

#include <errno.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "user/control/config_text.h"

#define N_KEYS(keys) (sizeof(keys) / sizeof((keys)[0]))

static const char *const action_words[] = { "engine", "kernel", "drop", NULL };

/* ---- Transit prefixes -------------------------------------------------------------------------------------------- */

static int read_prefix(struct config_reader *r, const config_setting_t *s, void *to)
{
	const char *text = config_want_string(r, s, "a prefix such as \"192.0.2.0/24\"");

	if (!text)
		return -EINVAL;
	if (config_parse_prefix(text, to, r->f))
		return config_fault_text(r, s);
	return 0;
}

static const struct config_key transit_keys[] = {
	{ "prefix", CONFIG_KIND_CUSTOM, true, KEY_FIELD(struct config_transit, prefix), .read = read_prefix },
	{ "action", CONFIG_KIND_WORD, false, KEY_FIELD(struct config_transit, action), .words = action_words },
};

static int read_transit_entry(struct config_reader *r, const config_setting_t *s, unsigned int index, void *obj)
{
	struct config_steer *steer = obj;
	struct config_transit *t = &steer->transit[index];
	char buf[CONFIG_PREFIX_STRLEN];
	int err;

	t->action = CONFIG_ACTION_ENGINE;
	if (config_is_string(s))
		err = read_prefix(r, s, &t->prefix);
	else
		err = config_read_group(r, s, transit_keys, N_KEYS(transit_keys), NULL, t);
	if (err)
		return err;
	for (unsigned int i = 0; i < index; i++)
		if (steer->transit[i].prefix.len == t->prefix.len &&
		    config_ip_equal(&steer->transit[i].prefix.ip, &t->prefix.ip))
			return config_fault(r, s, "%s is transit[%u] already", config_prefix_text(&t->prefix, buf), i);
	steer->n_transit = index + 1;
	return 0;
}

int config_read_transit(struct config_reader *r, const config_setting_t *s, void *obj)
{
	struct config_steer *steer = obj;

	steer->n_transit = 0;	/* in place of the default; none at all is a way to have rules only */
	return config_read_list(r, s, CONFIG_TRANSIT_MAX, "prefixes", read_transit_entry, steer);
}

/* ---- Rules ------------------------------------------------------------------------------------------------------- */

static int read_family(struct config_reader *r, const config_setting_t *s, void *to)
{
	static const char *const words[] = { "ipv4", "ipv6", NULL };
	int word = config_want_word(r, s, words);

	if (word < 0)
		return word;
	*(uint16_t *)to = word ? AF_INET6 : AF_INET;
	return 0;
}

static int read_protocol(struct config_reader *r, const config_setting_t *s, void *to)
{
	const char *text;
	uint64_t v;
	int err;

	if (config_is_int(s)) {
		err = config_want_uint(r, s, 0, 255, &v);
		if (!err)
			*(int16_t *)to = (int16_t)v;
		return err;
	}
	text = config_want_string(r, s, "a protocol such as \"tcp\"");
	if (!text)
		return -EINVAL;
	if (config_parse_protocol(text, to, r->f))
		return config_fault_text(r, s);
	return 0;
}

static int read_range(struct config_reader *r, const config_setting_t *s, void *to)
{
	struct config_range *range = to;
	const char *text;
	uint64_t v;
	int err;

	if (config_is_int(s)) {
		err = config_want_uint(r, s, 0, UINT16_MAX, &v);
		if (!err)
			*range = (struct config_range){ (uint16_t)v, (uint16_t)v };
		return err;
	}
	text = config_want_string(r, s, "a port, or a range such as \"1024-65535\"");
	if (!text)
		return -EINVAL;
	if (config_parse_range(text, range, r->f))
		return config_fault_text(r, s);
	return 0;
}

static int read_vlan(struct config_reader *r, const config_setting_t *s, void *to)
{
	static const char *const words[] = { "any", "untagged", NULL };
	int16_t *vlan = to;
	uint64_t v;
	int err;

	if (config_is_string(s)) {
		err = config_want_word(r, s, words);
		if (err < 0)
			return err;
		*vlan = err ? 0 : -1;
		return 0;
	}
	err = config_want_uint(r, s, 1, 4094, &v);
	if (!err)
		*vlan = (int16_t)v;
	return err;
}

static int read_vlan_protocol(struct config_reader *r, const config_setting_t *s, void *to)
{
	static const char *const words[] = { "802.1q", "802.1ad", NULL };
	int word = config_want_word(r, s, words);

	if (word < 0)
		return word;
	*(uint16_t *)to = word ? 0x88a8 : 0x8100;
	return 0;
}

static int read_port_name(struct config_reader *r, const config_setting_t *s, void *to)
{
	const char *names[CONFIG_PORTS_MAX + 1] = { NULL }, *text = config_want_string(r, s, "the name of a port"), *near;
	const struct config_port *p;

	if (!text)
		return -EINVAL;
	if (!r->config)
		return config_fault(r, s, "a file of rules is for one device, which the command names");
	p = config_find_port(r->config, text);
	if (!p) {
		for (unsigned int i = 0; i < r->config->n_ports; i++)
			names[i] = r->config->ports[i].name;
		near = config_nearest(text, names);
		if (near)
			return config_fault(r, s, "there is no port \"%s\", did you mean \"%s\"?", text, near);
		return config_fault(r, s, "there is no port \"%s\"", text);
	}
	if (p->kind == CONFIG_PORT_TUN)
		return config_fault(r, s, "\"%s\" is a TUN port: all that it delivers is the engine's", text);
	snprintf(to, CONFIG_PORT_NAME_MAX, "%s", text);
	return 0;
}

static const struct config_key rule_keys[] = {
	{ "name", CONFIG_KIND_STRING, true, KEY_FIELD(struct config_rule, name), .check = config_check_name },
	{ "priority", CONFIG_KIND_U16, true, KEY_FIELD(struct config_rule, priority), .max = UINT16_MAX },
	{ "action", CONFIG_KIND_WORD, true, KEY_FIELD(struct config_rule, action), .words = action_words },
	{ "family", CONFIG_KIND_CUSTOM, false, KEY_FIELD(struct config_rule, family), .read = read_family },
	{ "protocol", CONFIG_KIND_CUSTOM, false, KEY_FIELD(struct config_rule, protocol), .read = read_protocol },
	{ "source", CONFIG_KIND_CUSTOM, false, KEY_FIELD(struct config_rule, source), .read = read_prefix },
	{ "destination", CONFIG_KIND_CUSTOM, false, KEY_FIELD(struct config_rule, destination), .read = read_prefix },
	{ "source_ports", CONFIG_KIND_CUSTOM, false, KEY_FIELD(struct config_rule, source_ports), .read = read_range },
	{ "destination_ports", CONFIG_KIND_CUSTOM, false, KEY_FIELD(struct config_rule, destination_ports),
	  .read = read_range },
	{ "port", CONFIG_KIND_CUSTOM, false, KEY_FIELD(struct config_rule, port), .read = read_port_name },
	{ "vlan", CONFIG_KIND_CUSTOM, false, KEY_FIELD(struct config_rule, vlan), .read = read_vlan },
	{ "inner", CONFIG_KIND_U16, false, KEY_FIELD(struct config_rule, inner), .min = 1, .max = 4094 },
	{ "vlan_protocol", CONFIG_KIND_CUSTOM, false, KEY_FIELD(struct config_rule, tpid), .read = read_vlan_protocol },
};

static bool has_ports(int16_t protocol)
{
	return protocol == IPPROTO_TCP || protocol == IPPROTO_UDP || protocol == IPPROTO_SCTP ||
	       protocol == IPPROTO_DCCP || protocol == IPPROTO_UDPLITE;
}

static int check_ports(struct config_reader *r, const config_setting_t *s, const struct config_rule *rule)
{
	static const char *const keys[] = { "source_ports", "destination_ports" };

	for (unsigned int i = 0; i < 2; i++) {
		const config_setting_t *key = config_setting_get_member(s, keys[i]);
		const char *name;

		if (!key || has_ports(rule->protocol))
			continue;
		if (rule->protocol < 0)
			return config_fault(r, key, "needs \"protocol\", \"tcp\" or \"udp\"");
		name = config_protocol_name(rule->protocol);
		if (name)
			return config_fault(r, key, "protocol %s has no ports", name);
		return config_fault(r, key, "protocol %d has no ports", rule->protocol);
	}
	return 0;
}

/* The family follows from an address or from the protocol; all that say something must say the same. */
static int settle_family(struct config_reader *r, const config_setting_t *s, struct config_rule *rule)
{
	static const char *const names[] = { "IPv4", "IPv6" };
	const struct {
		const char *key;
		uint16_t family;
	} says[] = {
		{ "source", rule->source.ip.family },
		{ "destination", rule->destination.ip.family },
		{ "protocol", rule->protocol == IPPROTO_ICMP   ? AF_INET :
			      rule->protocol == IPPROTO_ICMPV6 ? AF_INET6 :
								 AF_UNSPEC },
	};
	const char *who = "family";

	for (unsigned int i = 0; i < sizeof(says) / sizeof(says[0]); i++) {
		if (!says[i].family)
			continue;
		if (rule->family && rule->family != says[i].family)
			return config_fault(r, config_setting_get_member(s, says[i].key), "is of %s, but \"%s\" is of %s%s",
					    names[says[i].family == AF_INET6], who, names[rule->family == AF_INET6],
					    strcmp(says[i].key, "protocol") ? "" :
					    rule->protocol == IPPROTO_ICMP  ? "; \"icmpv6\" is meant?" :
									      "; \"icmp\" is meant?");
		if (!rule->family)
			who = says[i].key;
		rule->family = says[i].family;
	}
	return 0;
}

static bool port_has_vlan(const struct config_port *p, const struct config_rule *rule)
{
	for (unsigned int i = 0; i < p->n_vlans; i++)
		if (p->vlans[i].id == rule->vlan && p->vlans[i].inner == rule->inner && p->vlans[i].tpid == rule->tpid)
			return true;
	return false;
}

static int check_vlan(struct config_reader *r, const config_setting_t *s, struct config_rule *rule)
{
	static const char *const keys[] = { "inner", "vlan_protocol" };
	const struct config *c = r->config;

	for (unsigned int i = 0; i < 2; i++)
		if (rule->vlan <= 0 && config_setting_get_member(s, keys[i]))
			return config_fault(r, config_setting_get_member(s, keys[i]), "needs \"vlan\", the outer tag");
	if (rule->vlan <= 0)
		return 0;
	if (!rule->tpid)
		rule->tpid = rule->inner ? 0x88a8 : 0x8100;
	if (!c)
		return 0;
	for (unsigned int i = 0; i < c->n_ports; i++)
		if ((!rule->port[0] || !strcmp(rule->port, c->ports[i].name)) && port_has_vlan(&c->ports[i], rule))
			return 0;
	if (rule->port[0])
		return config_fault(r, config_setting_get_member(s, "vlan"),
				    "port \"%s\" has no such VLAN: its \"vlans\" must name it", rule->port);
	return config_fault(r, config_setting_get_member(s, "vlan"),
			    "no port has this VLAN: the \"vlans\" of one must name it");
}

static int read_rule(struct config_reader *r, const config_setting_t *s, unsigned int index, void *obj)
{
	struct config_steer *steer = obj;
	struct config_rule *rule = &steer->rules[index];
	int err;

	*rule = (struct config_rule){
		.line = config_line(s), .protocol = -1, .vlan = -1,
		.source_ports = { 0, UINT16_MAX }, .destination_ports = { 0, UINT16_MAX },
	};
	err = config_read_group(r, s, rule_keys, N_KEYS(rule_keys), NULL, rule);
	if (err)
		return err;
	rule->has_source = config_setting_get_member(s, "source");
	rule->has_destination = config_setting_get_member(s, "destination");
	rule->has_source_ports = config_setting_get_member(s, "source_ports");
	rule->has_destination_ports = config_setting_get_member(s, "destination_ports");
	for (unsigned int i = 0; i < index; i++) {
		const struct config_rule *o = &steer->rules[i];

		if (!strcmp(o->name, rule->name))
			return config_fault(r, config_setting_get_member(s, "name"), "\"%s\" is the name of rules[%u] already",
					    rule->name, i);
		if (o->priority == rule->priority)
			return config_fault(r, config_setting_get_member(s, "priority"),
					    "%u is the priority of \"%s\" already; which of the two is to win?",
					    rule->priority, o->name);
	}
	err = check_ports(r, s, rule);
	if (!err)
		err = settle_family(r, s, rule);
	if (!err)
		err = check_vlan(r, s, rule);
	steer->n_rules = index + 1;
	return err;
}

static int by_priority(const void *a, const void *b)
{
	const struct config_rule *x = a, *y = b;

	return (x->priority > y->priority) - (x->priority < y->priority);
}

int config_read_rules(struct config_reader *r, const config_setting_t *s, void *obj)
{
	struct config_steer *steer = obj;
	int err = config_read_list(r, s, CONFIG_RULES_MAX, "rules", read_rule, steer);

	if (!err)
		qsort(steer->rules, steer->n_rules, sizeof(steer->rules[0]), by_priority);
	return err;
}

static const struct config_key steer_keys[] = {
	{ "transit", CONFIG_KIND_CUSTOM, false, .read = config_read_transit },
	{ "rules", CONFIG_KIND_CUSTOM, false, .read = config_read_rules },
};

int config_read_steer(struct config_reader *r, const config_setting_t *s, void *steer)
{
	return config_read_group(r, s, steer_keys, N_KEYS(steer_keys), NULL, steer);
}
