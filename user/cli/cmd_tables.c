// SPDX-License-Identifier: MIT
/* sluice routes, sluice neigh: the tables, page by page. */
#include "user/cli/cli.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "user/cli/client.h"
#include "user/cli/table.h"
#include "user/control/api.h"

/*
 * Ask for page after page and collect the member @list of all.
 * @request: without cursor; given away
 */
static int collect(const struct cli_common *common, struct json_object *request, const char *list,
		   struct json_object **all, struct fault *f)
{
	struct json_object *rows = json_object_new_array(), *result;
	struct client c;
	int code = client_open(&c, common, f);

	json_object_object_add(request, "limit", json_object_new_int(API_PAGE_MAX));
	while (code == CLI_OK) {
		const char *next;

		code = client_ask(&c, json_object_get(request), &result, f);
		if (code != CLI_OK)
			break;
		for (size_t i = 0; i < cli_length(cli_array(result, list)); i++)
			json_object_array_add(rows, json_object_get(json_object_array_get_idx(cli_array(result, list), i)));
		next = cli_text(result, "next", NULL);
		if (next)
			json_object_object_add(request, "cursor", json_object_new_string(next));
		json_object_put(result);
		if (!next)
			break;
	}
	client_close(&c);
	json_object_put(request);
	if (code != CLI_OK) {
		json_object_put(rows);
		return code;
	}
	*all = json_object_new_object();
	json_object_object_add(*all, list, rows);
	return CLI_OK;
}

/* ---- routes ------------------------------------------------------------------------------------------------------ */

static void print_routes(struct json_object *routes)
{
	static const char *const heads[] = { "PREFIX", "TYPE", ">METRIC", "ORIGIN", "VIA", "INTERFACE", ">WEIGHT", NULL };
	struct table t;

	table_init(&t, heads);
	for (size_t i = 0; i < cli_length(routes); i++) {
		struct json_object *r = json_object_array_get_idx(routes, i), *hops = cli_array(r, "nexthops");
		size_t n = cli_length(hops);

		for (size_t h = 0; h < (n ? n : 1); h++) {
			struct json_object *hop = n ? json_object_array_get_idx(hops, h) : NULL;
			const char *protocol = cli_text(r, "protocol", NULL);

			/* The other ways of a route with several stand below its first, without its words again. */
			table_add(&t, "%s", h ? "" : cli_text(r, "prefix", "?"));
			table_add(&t, "%s", h ? "" : cli_text(r, "type", "?"));
			if (h)
				table_add(&t, "%s", "");
			else
				table_add(&t, "%" PRIu64, cli_number(r, "metric"));
			table_add(&t, "%s%s%s", h ? "" : cli_text(r, "origin", "?"), !h && protocol ? "/" : "",
				  !h && protocol ? protocol : "");
			table_add(&t, "%s", cli_text(hop, "via", hop ? "on-link" : "-"));
			table_add(&t, "%s", cli_text(hop, "interface", "-"));
			if (n > 1)
				table_add(&t, "%" PRIu64, cli_number(hop, "weight"));
			else
				table_add(&t, "-");
		}
	}
	table_print(&t, stdout);
}

static int run_routes(const struct cli_command *cmd, int argc, char **argv)
{
	enum { OPT_GET = CLI_OPT_OWN };
	static const struct option options[] = {
		CLI_COMMON_LONG,
		{ "get", required_argument, NULL, OPT_GET },
		{ NULL, 0, NULL, 0 },
	};
	struct cli_common common = CLI_COMMON_INIT;
	const char *get = NULL, *family = NULL;
	struct json_object *request, *result;
	struct fault f = { 0 };
	int opt, code;

	while ((opt = getopt_long(argc, argv, "46" CLI_COMMON_SHORT, options, NULL)) != -1) {
		if (opt == '4' || opt == '6') {
			family = opt == '4' ? "ipv4" : "ipv6";
			continue;
		}
		if (opt == OPT_GET) {
			get = optarg;
			continue;
		}
		code = cli_common_option(cmd, &common, opt);
		if (code >= 0)
			return code;
	}
	if (cli_no_operands(cmd, argc, argv) != CLI_OK)
		return CLI_USAGE;
	request = client_request("routes");
	if (family)
		json_object_object_add(request, "family", json_object_new_string(family));
	if (get)
		json_object_object_add(request, "get", json_object_new_string(get));
	code = collect(&common, request, "routes", &result, &f);
	if (code != CLI_OK)
		return cli_fail(code, &f);
	if (common.json)
		cli_print_json(result);
	else
		print_routes(cli_array(result, "routes"));
	json_object_put(result);
	return CLI_OK;
}

const struct cli_command cmd_routes = {
	.name = "routes",
	.summary = "the engine's routes; --get ADDRESS for the one that is taken",
	.usage = "routes [-4 | -6] [--get ADDRESS] [OPTION...]\n\n"
		 "  -4, -6               of one family only\n"
		 "      --get ADDRESS    the route by which a packet to this address would leave\n"
		 "  -i, --instance NAME  which gateway, default \"sluice\"\n"
		 "  -s, --socket PATH    its control socket, if it is not the default\n"
		 "      --json           as JSON\n"
		 "  -h, --help           this text\n",
	.run = run_routes,
};

/* ---- neigh ------------------------------------------------------------------------------------------------------- */

static void print_neighbours(struct json_object *neighbours)
{
	static const char *const heads[] = { "ADDRESS", "INTERFACE", "MAC", "OWNER", "STATE", ">QUEUED", ">AGE", NULL };
	struct table t;
	char age[32];

	table_init(&t, heads);
	for (size_t i = 0; i < cli_length(neighbours); i++) {
		struct json_object *n = json_object_array_get_idx(neighbours, i);

		table_add(&t, "%s", cli_text(n, "address", "?"));
		table_add(&t, "%s", cli_text(n, "interface", "?"));
		table_add(&t, "%s", cli_text(n, "mac", "-"));
		table_add(&t, "%s", cli_text(n, "owner", "?"));
		table_add(&t, "%s", cli_text(n, "state", "?"));
		table_add(&t, "%" PRIu64, cli_number(n, "queued"));
		table_add(&t, "%s", text_duration(cli_number(n, "age_ns"), age, sizeof(age)));
	}
	table_print(&t, stdout);
}

static int run_neigh(const struct cli_command *cmd, int argc, char **argv)
{
	static const struct option options[] = { CLI_COMMON_LONG, { NULL, 0, NULL, 0 } };
	struct cli_common common = CLI_COMMON_INIT;
	struct json_object *request, *result;
	struct fault f = { 0 };
	int opt, code;

	while ((opt = getopt_long(argc, argv, CLI_COMMON_SHORT, options, NULL)) != -1) {
		code = cli_common_option(cmd, &common, opt);
		if (code >= 0)
			return code;
	}
	request = client_request("neigh");
	if (optind < argc)
		json_object_object_add(request, "interface", json_object_new_string(argv[optind++]));
	if (cli_no_operands(cmd, argc, argv) != CLI_OK) {
		json_object_put(request);
		return CLI_USAGE;
	}
	code = collect(&common, request, "neighbours", &result, &f);
	if (code != CLI_OK)
		return cli_fail(code, &f);
	if (common.json)
		cli_print_json(result);
	else
		print_neighbours(cli_array(result, "neighbours"));
	json_object_put(result);
	return CLI_OK;
}

const struct cli_command cmd_neigh = {
	.name = "neigh",
	.summary = "neighbours: link-layer addresses and the state of each",
	.usage = "neigh [INTERFACE] [OPTION...]\n\n"
		 "  -i, --instance NAME  which gateway, default \"sluice\"\n"
		 "  -s, --socket PATH    its control socket, if it is not the default\n"
		 "      --json           as JSON\n"
		 "  -h, --help           this text\n",
	.run = run_neigh,
};
