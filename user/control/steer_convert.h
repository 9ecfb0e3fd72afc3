/* SPDX-License-Identifier: MIT */
/* From the words of the configuration to those of the XDP program's loader. */
#ifndef USER_CONTROL_STEER_CONVERT_H
#define USER_CONTROL_STEER_CONVERT_H

#include <stddef.h>

#include "user/control/config.h"
#include "user/packet/steer.h"

enum sluice_steer_action steer_convert_action(enum config_action action);
struct steer_prefix steer_convert_prefix(const struct config_prefix *prefix);

/** steer_convert_vlan() - The key of a VLAN. @tpid: of the outer tag; @inner: 0 = single tagged */
uint32_t steer_convert_vlan(uint16_t tpid, uint16_t id, uint16_t inner);

/**
 * steer_convert_rules() - The rules of one port, with those for every port.
 * @port:  its name, or NULL for a file of rules
 * @rules: room for CONFIG_RULES_MAX
 *
 * A rule's identifier is its place in steer->rules, counted from 1: steer->rules[id - 1] has its name.
 * Return: how many
 */
size_t steer_convert_rules(const struct config_steer *steer, const char *port, struct steer_rule *rules);

/** steer_convert_transit() - @prefixes: room for CONFIG_TRANSIT_MAX. Return: how many */
size_t steer_convert_transit(const struct config_steer *steer, struct steer_transit *prefixes);

#endif
