// SPDX-License-Identifier: MIT
/* sluice check: read a configuration, say what is wrong with it, touch nothing. */
#include "user/cli/cli.h"

#include <stdio.h>

#include "user/control/config.h"
#include "user/control/config_dump.h"

static const struct option options[] = {
	{ "config", required_argument, NULL, 'c' },
	{ "json", no_argument, NULL, CLI_OPT_JSON },
	{ "help", no_argument, NULL, CLI_OPT_HELP },
	{ NULL, 0, NULL, 0 },
};

static void print_summary(const struct config *c, const char *file)
{
	unsigned int vlans = 0, addrs = 0;

	for (unsigned int i = 0; i < c->n_ports; i++) {
		vlans += c->ports[i].n_vlans;
		addrs += c->ports[i].iface.n_addrs;
		for (unsigned int v = 0; v < c->ports[i].n_vlans; v++)
			addrs += c->ports[i].vlans[v].iface.n_addrs;
	}
	printf("%s: fine: instance \"%s\", ports: %u, VLANs: %u, engine-only addresses: %u, static routes: %u, "
	       "transit prefixes: %u, rules: %u\n", file, c->instance, c->n_ports, vlans, addrs, c->n_routes,
	       c->steer.n_transit, c->steer.n_rules);
}

static int run(const struct cli_command *cmd, int argc, char **argv)
{
	struct cli_common common = CLI_COMMON_INIT;
	const char *file = NULL;
	struct config *config;
	struct json_object *o;
	struct fault f = { 0 };
	int opt, code;

	while ((opt = getopt_long(argc, argv, "hc:", options, NULL)) != -1) {
		if (opt == 'c') {
			file = optarg;
			continue;
		}
		code = cli_common_option(cmd, &common, opt);
		if (code >= 0)
			return code;
	}
	if (cli_no_operands(cmd, argc, argv) != CLI_OK)
		return CLI_USAGE;
	if (!file)
		return cli_usage_error(cmd, "-c FILE is wanted");
	if (config_load(file, &config, &f))
		return cli_fail(CLI_CONFIG, &f);
	if (common.json) {
		o = config_dump(config);
		cli_print_json(o);
		json_object_put(o);
	} else {
		print_summary(config, file);
	}
	config_free(config);
	return CLI_OK;
}

const struct cli_command cmd_check = {
	.name = "check",
	.summary = "check a configuration without acting on it",
	.usage = "check -c FILE [--json]\n\n"
		 "Read the configuration and check all that can be checked without looking at the system.\n\n"
		 "  -c, --config FILE  the configuration\n"
		 "      --json         print it with every default written out\n"
		 "  -h, --help         this text\n",
	.run = run,
};
