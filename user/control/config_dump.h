/* SPDX-License-Identifier: MIT */
/* A checked configuration as JSON, every default written out: `sluice check --json`. */
#ifndef USER_CONTROL_CONFIG_DUMP_H
#define USER_CONTROL_CONFIG_DUMP_H

#include <json-c/json.h>

#include "user/control/config.h"

/**
 * config_dump() - The configuration with the keys of the text.
 *
 * Durations are numbers with their unit in the key (spin_us); what is left to the engine is "auto".
 * Return: an object that the caller puts
 */
struct json_object *config_dump(const struct config *c);

/** config_dump_steer() - The section "steer" alone. */
struct json_object *config_dump_steer(const struct config_steer *steer);

#endif
