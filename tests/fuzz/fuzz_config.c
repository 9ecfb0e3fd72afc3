// SPDX-License-Identifier: MIT
/*
 * Configurations from memory. Whatever is accepted must be within its bounds, refer only to what exists, and survive
 * being written out; whatever is refused must have a text of one line.
 */
#include "user/control/config.h"

#include <json-c/json.h>
#include <stdlib.h>
#include <string.h>

#include "user/control/config_dump.h"
#include "user/control/steer_convert.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
const char *__lsan_default_suppressions(void);

/* libconfig 1.5 loses the buffer of a string that a syntax error cuts short. */
const char *__lsan_default_suppressions(void)
{
	return "leak:libconfig";
}

static void want(bool holds)
{
	if (!holds)
		abort();
}

static void check_port(const struct config *c, const struct config_port *p)
{
	want(p->name[0] && p->device[0] && !strchr(p->name, '/') && !strchr(p->name, '.'));
	want(p->n_queues <= CONFIG_QUEUES_MAX && (!p->n_queue_ids || p->n_queue_ids == p->n_queues));
	want(!p->n_queue_workers || p->n_queue_workers == p->n_queues);
	for (unsigned int i = 0; i < p->n_queue_workers; i++)
		want(p->queue_worker[i] < c->workers.count);
	want(p->n_vlans <= CONFIG_VLANS_MAX && p->iface.n_addrs <= CONFIG_ADDRS_MAX);
	for (unsigned int i = 0; i < p->n_vlans; i++)
		want(p->vlans[i].id >= 1 && p->vlans[i].id <= 4094 && p->vlans[i].iface.name[0]);
}

static void check_config(const struct config *c)
{
	struct steer_transit *transit = calloc(CONFIG_TRANSIT_MAX, sizeof(*transit));
	struct steer_rule rules[CONFIG_RULES_MAX];
	struct json_object *dump = config_dump(c);

	want(json_object_to_json_string(dump) != NULL);
	json_object_put(dump);
	want(c->n_ports >= 1 && c->n_ports <= CONFIG_PORTS_MAX && c->n_routes <= CONFIG_ROUTES_MAX);
	want(c->instance[0] && !strchr(c->instance, '/') && c->control.socket[0] == '/');
	want(c->memory.reserve < c->memory.frames);
	for (unsigned int i = 0; i < c->n_ports; i++)
		check_port(c, &c->ports[i]);
	for (unsigned int i = 0; i < c->n_routes; i++)
		for (unsigned int h = 0; h < c->routes[i].n_nexthops; h++)
			want(config_find_iface(c, c->routes[i].nexthops[h].iface, NULL, NULL));
	for (unsigned int i = 0; i < c->n_neighs; i++)
		want(config_find_iface(c, c->neighs[i].iface, NULL, NULL));
	for (unsigned int i = 1; i < c->steer.n_rules; i++)
		want(c->steer.rules[i - 1].priority < c->steer.rules[i].priority);
	want(steer_convert_rules(&c->steer, NULL, rules) == c->steer.n_rules);
	want(transit && steer_convert_transit(&c->steer, transit) == c->steer.n_transit);
	free(transit);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct config *config;
	struct fault f = { 0 };

	if (config_parse((const char *)data, size, "fuzz", &config, &f) == 0) {
		check_config(config);
		config_free(config);
	} else {
		want(!strncmp(f.text, "fuzz", 4) && !strpbrk(f.text, "\n\r\033"));
	}
	return 0;
}
