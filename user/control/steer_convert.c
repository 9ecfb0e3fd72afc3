// SPDX-License-Identifier: MIT
#include "user/control/steer_convert.h"

#include <assert.h>
#include <string.h>
#include <sys/socket.h>

static_assert(CONFIG_RULES_MAX <= SLUICE_STEER_MAX_RULES, "what is accepted fits the program");
static_assert(CONFIG_TRANSIT_MAX <= SLUICE_STEER_MAX_PREFIXES, "even if all are of one family");

enum sluice_steer_action steer_convert_action(enum config_action action)
{
	switch (action) {
	case CONFIG_ACTION_ENGINE:
		return SLUICE_ACTION_ENGINE;
	case CONFIG_ACTION_DROP:
		return SLUICE_ACTION_DROP;
	case CONFIG_ACTION_KERNEL:
		break;
	}
	return SLUICE_ACTION_KERNEL;
}

struct steer_prefix steer_convert_prefix(const struct config_prefix *prefix)
{
	struct steer_prefix to = { .family = prefix->ip.family == AF_INET ? 4 : 6, .len = prefix->len };

	memcpy(to.addr, prefix->ip.bytes, sizeof(to.addr));
	return to;
}

uint32_t steer_convert_vlan(uint16_t tpid, uint16_t id, uint16_t inner)
{
	return sluice_vlan_key(id | (tpid == 0x88a8 ? SLUICE_VLAN_8021AD : 0), inner);
}

static struct steer_ports convert_ports(const struct config_range *range)
{
	return (struct steer_ports){ range->first, range->last };
}

size_t steer_convert_rules(const struct config_steer *steer, const char *port, struct steer_rule *rules)
{
	size_t n = 0;

	for (unsigned int i = 0; i < steer->n_rules; i++) {
		const struct config_rule *from = &steer->rules[i];
		struct steer_rule *to = &rules[n];

		if (port && from->port[0] && strcmp(from->port, port) != 0)
			continue;
		*to = (struct steer_rule){
			.id = i + 1,
			.priority = from->priority,
			.action = steer_convert_action(from->action),
			.family = from->family == AF_INET ? 4 : from->family == AF_INET6 ? 6 : 0,
			.protocol = from->protocol < 0 ? STEER_PROTOCOL_ANY : from->protocol,
			.match_vlan = from->vlan >= 0,
			.vlan = from->vlan > 0 ? steer_convert_vlan(from->tpid, (uint16_t)from->vlan, from->inner) :
						 SLUICE_VLAN_UNTAGGED,
		};
		if (from->has_source)
			to->src = steer_convert_prefix(&from->source);
		if (from->has_destination)
			to->dst = steer_convert_prefix(&from->destination);
		if (from->has_source_ports)
			to->src_ports = convert_ports(&from->source_ports);
		if (from->has_destination_ports)
			to->dst_ports = convert_ports(&from->destination_ports);
		n++;
	}
	return n;
}

size_t steer_convert_transit(const struct config_steer *steer, struct steer_transit *prefixes)
{
	for (unsigned int i = 0; i < steer->n_transit; i++)
		prefixes[i] = (struct steer_transit){
			.prefix = steer_convert_prefix(&steer->transit[i].prefix),
			.action = steer_convert_action(steer->transit[i].action),
		};
	return steer->n_transit;
}
