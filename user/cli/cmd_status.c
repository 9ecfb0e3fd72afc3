// SPDX-License-Identifier: MIT
/* sluice status, sluice ports: what runs, how, and why not better. */
#include "user/cli/cli.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "user/cli/client.h"
#include "user/cli/table.h"

static const struct option options[] = { CLI_COMMON_LONG, { NULL, 0, NULL, 0 } };

/* Options of a subcommand that has none of its own. Return: -1 to go on, or the exit code */
static int take_options(const struct cli_command *cmd, struct cli_common *common, int argc, char **argv)
{
	int opt, code;

	while ((opt = getopt_long(argc, argv, CLI_COMMON_SHORT, options, NULL)) != -1) {
		code = cli_common_option(cmd, common, opt);
		if (code >= 0)
			return code;
	}
	return -1;
}

static void print_reasons(struct json_object *port, const char *indent)
{
	struct json_object *reasons = cli_array(port, "reasons");

	for (size_t i = 0; i < cli_length(reasons); i++)
		printf("%s%s\n", indent, json_object_get_string(json_object_array_get_idx(reasons, i)));
}

/* ---- status ------------------------------------------------------------------------------------------------------ */

static void print_workers(struct json_object *workers)
{
	static const char *const heads[] = { ">WORKER", ">CPU", ">FRAMES", ">FREE", ">FILL", ">ENGINE", ">TX",
					     ">NEIGH", ">CROSS", "MEMORY", NULL };
	struct table t;

	table_init(&t, heads);
	for (size_t i = 0; i < cli_length(workers); i++) {
		struct json_object *w = json_object_array_get_idx(workers, i), *frames = cli_object(w, "frames"), *cpu;

		table_add(&t, "%" PRIu64, cli_number(w, "worker"));
		if (json_object_object_get_ex(w, "cpu", &cpu) && cpu)
			table_add(&t, "%" PRIu64, cli_number(w, "cpu"));
		else
			table_add(&t, "any");
		for (const char *const *key = (const char *const[]){ "total", "free", "fill", "engine", "tx", "neigh", "cross",
								     NULL }; *key; key++)
			table_add(&t, "%" PRIu64, cli_number(frames, *key));
		table_add(&t, "%" PRIu64 "-byte chunks%s%s", cli_number(w, "chunk_bytes"),
			  cli_bool(w, "huge_pages") ? ", huge pages" : "", cli_bool(w, "busy_poll") ? ", busy polling" : "");
	}
	if (t.n_cells)
		putchar('\n');
	table_print(&t, stdout);
}

static void print_status(struct json_object *o)
{
	struct json_object *netlink = cli_object(o, "netlink"), *counts = cli_object(o, "counts");
	struct json_object *limits = cli_array(o, "limits"), *ports = cli_array(o, "ports");
	static const char *const heads[] = { "PORT", "DEVICE", "KIND", "STATE", "MODE", NULL };
	char uptime[32];
	struct table t;

	printf("instance %s, %s for %s, process %" PRIu64 ", version %s, kernel %s\n", cli_text(o, "instance", "?"),
	       cli_text(o, "state", "?"), text_duration(cli_number(o, "uptime_ns"), uptime, sizeof(uptime)),
	       cli_number(o, "pid"), cli_text(o, "version", "?"), cli_text(o, "kernel", "?"));
	printf("configuration %s\n", cli_text(o, "config", "of the command line"));
	printf("routes %" PRIu64 " IPv4, %" PRIu64 " IPv6; neighbours %" PRIu64 "; addresses %" PRIu64 "\n",
	       cli_number(counts, "routes_ipv4"), cli_number(counts, "routes_ipv6"), cli_number(counts, "neighbours"),
	       cli_number(counts, "addresses"));
	printf("netlink %s, table %" PRIu64 ", resynchronised %" PRIu64 " times\n", cli_text(netlink, "state", "?"),
	       cli_number(netlink, "table"), cli_number(netlink, "resyncs"));
	for (size_t i = 0; i < cli_length(limits); i++)
		printf("limit: %s\n", json_object_get_string(json_object_array_get_idx(limits, i)));
	print_workers(cli_array(o, "workers"));
	table_init(&t, heads);
	for (size_t i = 0; i < cli_length(ports); i++) {
		struct json_object *p = json_object_array_get_idx(ports, i);

		table_add(&t, "%s", cli_text(p, "name", "?"));
		table_add(&t, "%s", cli_text(p, "device", "?"));
		table_add(&t, "%s", cli_text(p, "kind", "?"));
		table_add(&t, "%s", cli_text(p, "state", "?"));
		table_add(&t, "%s", cli_text(p, "mode", "-"));
	}
	if (t.n_cells)
		putchar('\n');
	table_print(&t, stdout);
	for (size_t i = 0; i < cli_length(ports); i++) {
		struct json_object *p = json_object_array_get_idx(ports, i);
		char indent[64];

		snprintf(indent, sizeof(indent), "  %.40s: ", cli_text(p, "name", "?"));
		print_reasons(p, indent);
	}
}

static int run_status(const struct cli_command *cmd, int argc, char **argv)
{
	struct cli_common common = CLI_COMMON_INIT;
	struct json_object *result;
	struct fault f = { 0 };
	int code = take_options(cmd, &common, argc, argv);

	if (code >= 0)
		return code;
	if (cli_no_operands(cmd, argc, argv) != CLI_OK)
		return CLI_USAGE;
	code = client_query(&common, client_request("status"), &result, &f);
	if (code != CLI_OK)
		return cli_fail(code, &f);
	if (common.json)
		cli_print_json(result);
	else
		print_status(result);
	json_object_put(result);
	return CLI_OK;
}

const struct cli_command cmd_status = {
	.name = "status",
	.summary = "what runs: workers, ports, modes and why not better ones",
	.usage = "status [OPTION...]\n\n"
		 "  -i, --instance NAME  which gateway, default \"sluice\"\n"
		 "  -s, --socket PATH    its control socket, if it is not the default\n"
		 "      --json           as JSON\n"
		 "  -h, --help           this text\n",
	.run = run_status,
};

/* ---- ports ------------------------------------------------------------------------------------------------------- */

static void print_offloads(struct json_object *offloads)
{
	bool any = false;

	if (!offloads)
		return;
	fputs("  offloads:", stdout);
	json_object_object_foreach(offloads, key, value) {
		if (!json_object_get_boolean(value))
			continue;
		printf("%s %s", any ? "," : "", key);
		any = true;
	}
	puts(any ? "" : " none");
}

static void print_queues(struct json_object *queues)
{
	if (!cli_length(queues))
		return;
	fputs("  queues:", stdout);
	for (size_t i = 0; i < cli_length(queues); i++) {
		struct json_object *q = json_object_array_get_idx(queues, i);

		printf("%s %" PRIu64 " by worker %" PRIu64, i ? "," : "", cli_number(q, "queue"), cli_number(q, "worker"));
	}
	putchar('\n');
}

static void print_iface(struct json_object *iface)
{
	struct json_object *vlan = cli_object(iface, "vlan"), *addrs = cli_array(iface, "addresses");

	printf("  interface %s, MTU %" PRIu64, cli_text(iface, "name", "?"), cli_number(iface, "mtu"));
	if (vlan) {
		printf(", VLAN %" PRIu64, cli_number(vlan, "id"));
		if (cli_number(vlan, "inner"))
			printf(".%" PRIu64, cli_number(vlan, "inner"));
		printf(" (%s)", cli_text(vlan, "protocol", "802.1q"));
	}
	putchar('\n');
	for (size_t i = 0; i < cli_length(addrs); i++) {
		struct json_object *a = json_object_array_get_idx(addrs, i);

		printf("    %s, %s's, %s\n", cli_text(a, "address", "?"), cli_text(a, "owner", "?"),
		       cli_text(a, "state", "preferred"));
	}
}

static void print_port(struct json_object *p)
{
	struct json_object *program = cli_object(p, "program"), *ifaces = cli_array(p, "interfaces");

	printf("%s: device %s (index %" PRIu64 "), %s, %s, %s, MTU %" PRIu64 "%s%s\n", cli_text(p, "name", "?"),
	       cli_text(p, "device", "?"), cli_number(p, "ifindex"), cli_text(p, "kind", "?"), cli_text(p, "state", "?"),
	       cli_text(p, "mode", "no mode"), cli_number(p, "mtu"), cli_text(p, "mac", NULL) ? ", MAC " : "",
	       cli_text(p, "mac", ""));
	print_reasons(p, "  not better: ");
	if (program)
		printf("  program: %s%s, attached by %s, pins in %s\n", cli_text(program, "variant", "?"),
		       cli_bool(program, "frags") ? " with frags" : "", cli_text(program, "attached_by", "?"),
		       cli_text(program, "pins", "-"));
	print_offloads(cli_object(p, "offloads"));
	print_queues(cli_array(p, "queues"));
	for (size_t i = 0; i < cli_length(ifaces); i++)
		print_iface(json_object_array_get_idx(ifaces, i));
}

static int run_ports(const struct cli_command *cmd, int argc, char **argv)
{
	struct cli_common common = CLI_COMMON_INIT;
	struct json_object *request, *result, *ports;
	struct fault f = { 0 };
	int code = take_options(cmd, &common, argc, argv);

	if (code >= 0)
		return code;
	request = client_request("ports");
	if (optind < argc)
		json_object_object_add(request, "port", json_object_new_string(argv[optind++]));
	if (cli_no_operands(cmd, argc, argv) != CLI_OK) {
		json_object_put(request);
		return CLI_USAGE;
	}
	code = client_query(&common, request, &result, &f);
	if (code != CLI_OK)
		return cli_fail(code, &f);
	ports = cli_array(result, "ports");
	if (common.json)
		cli_print_json(result);
	else
		for (size_t i = 0; i < cli_length(ports); i++)
			print_port(json_object_array_get_idx(ports, i));
	json_object_put(result);
	return CLI_OK;
}

const struct cli_command cmd_ports = {
	.name = "ports",
	.summary = "ports in detail: mode, program, offloads, queues, interfaces",
	.usage = "ports [PORT] [OPTION...]\n\n"
		 "  -i, --instance NAME  which gateway, default \"sluice\"\n"
		 "  -s, --socket PATH    its control socket, if it is not the default\n"
		 "      --json           as JSON\n"
		 "  -h, --help           this text\n",
	.run = run_ports,
};
