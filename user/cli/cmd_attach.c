// SPDX-License-Identifier: MIT
/*
 * sluice attach, sluice detach: the XDP program without an engine. It stays on the device, with its rules and counters
 * pinned, until `detach`; `run` takes it over and gives it back.
 */
#include "user/cli/cli.h"

#include <errno.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "user/cli/client.h"
#include "user/control/config.h"
#include "user/control/config_text.h"
#include "user/control/steer_convert.h"
#include "user/packet/steer.h"

struct attach_options {
	struct cli_common common;
	const char *device;
	const char *name;		/* of the port; the device's unless given */
	const char *rules;		/* NULL = the default: everything is the engine's, which there is not */
	enum steer_mode mode;
	enum steer_dispatcher dispatcher;
};

/* A running engine that has the port would lose it, or its rules. Return: CLI_OK when there is none */
static int check_unused(const struct attach_options *o, struct fault *f)
{
	struct json_object *request = client_request("ports"), *result;
	struct fault unused;
	int code;

	json_object_object_add(request, "port", json_object_new_string(o->name));
	code = client_query(&o->common, request, &result, &unused);
	if (code != CLI_OK)
		return CLI_OK;
	json_object_put(result);
	fault_set(f, EBUSY, "port \"%s\" belongs to the running instance \"%s\"", o->name, o->common.instance);
	return CLI_TAKEN;
}

/* ---- Tables ------------------------------------------------------------------------------------------------------ */

struct addr_list {
	struct steer_addr *addrs;
	size_t n;
};

static void add_addr(struct addr_list *l, const struct sockaddr *sa)
{
	struct steer_addr *a = &l->addrs[l->n];

	if (!sa || l->n == SLUICE_STEER_MAX_ADDRS || (sa->sa_family != AF_INET && sa->sa_family != AF_INET6))
		return;
	*a = (struct steer_addr){ .family = sa->sa_family == AF_INET ? 4 : 6, .vlan = SLUICE_VLAN_ANY };
	if (sa->sa_family == AF_INET)
		memcpy(a->addr, &((const struct sockaddr_in *)(const void *)sa)->sin_addr, 4);
	else
		memcpy(a->addr, &((const struct sockaddr_in6 *)(const void *)sa)->sin6_addr, 16);
	l->n++;
}

/* All addresses of the machine, so that no rule cuts anybody off from it. */
static int set_kernel_addrs(struct steer *s, struct fault *f)
{
	struct addr_list l = { .addrs = calloc(SLUICE_STEER_MAX_ADDRS, sizeof(*l.addrs)) };
	struct ifaddrs *all;
	int err;

	if (!l.addrs)
		return fault_set(f, ENOMEM, "no memory");
	if (getifaddrs(&all) < 0) {
		err = fault_errno(f, "addresses of this machine");
		free(l.addrs);
		return err;
	}
	for (struct ifaddrs *a = all; a; a = a->ifa_next) {
		add_addr(&l, a->ifa_addr);
		if (a->ifa_flags & IFF_BROADCAST)
			add_addr(&l, a->ifa_broadaddr);
	}
	freeifaddrs(all);
	err = steer_set_kernel_addrs(s, l.addrs, l.n, f);
	free(l.addrs);
	return err;
}

/* VLANs that rules name; other tagged frames pass. */
static size_t vlans_of(const struct steer_rule *rules, size_t n_rules, uint32_t *vlans)
{
	size_t n = 0;

	for (size_t i = 0; i < n_rules; i++) {
		size_t known = 0;

		if (!rules[i].match_vlan || rules[i].vlan == SLUICE_VLAN_UNTAGGED)
			continue;
		while (known < n && vlans[known] != rules[i].vlan)
			known++;
		if (known == n)
			vlans[n++] = rules[i].vlan;
	}
	return n;
}

static int fill_tables(struct steer *s, const struct config_steer *steer, struct fault *f)
{
	struct steer_transit *transit = calloc(CONFIG_TRANSIT_MAX, sizeof(*transit));
	struct steer_rule rules[CONFIG_RULES_MAX];
	uint32_t vlans[CONFIG_RULES_MAX];
	size_t n_rules = steer_convert_rules(steer, NULL, rules);
	int err;

	if (!transit)
		return fault_set(f, ENOMEM, "no memory");
	err = set_kernel_addrs(s, f);
	if (!err)
		err = steer_set_vlans(s, vlans, vlans_of(rules, n_rules, vlans), f);
	if (!err)
		err = steer_set_rules(s, rules, n_rules, f);
	if (!err)
		err = steer_set_transit(s, transit, steer_convert_transit(steer, transit), f);
	if (!err)
		steer_set_enabled(s, true);
	free(transit);
	return err;
}

/* ---- attach ------------------------------------------------------------------------------------------------------ */

static void print_info(const struct attach_options *o, const struct steer_info *info, bool renewed)
{
	struct json_object *out, *reasons;

	if (!o->common.json) {
		printf("%s: %s in %s mode%s%s, pins in %s\n", o->device, renewed ? "rules replaced; attached" : "attached",
		       steer_mode_name(info->mode), info->frags ? ", with frags" : "",
		       info->dispatcher ? ", through the dispatcher" : "", info->pins.path);
		for (unsigned int i = 0; i < info->n_reasons; i++)
			printf("  not better: %s\n", info->reasons[i]);
		return;
	}
	out = json_object_new_object();
	reasons = json_object_new_array();
	json_object_object_add(out, "device", json_object_new_string(o->device));
	json_object_object_add(out, "port", json_object_new_string(o->name));
	json_object_object_add(out, "renewed", json_object_new_boolean(renewed));
	json_object_object_add(out, "mode", json_object_new_string(steer_mode_name(info->mode)));
	json_object_object_add(out, "frags", json_object_new_boolean(info->frags));
	json_object_object_add(out, "dispatcher", json_object_new_boolean(info->dispatcher));
	json_object_object_add(out, "program_id", json_object_new_uint64(info->prog_id));
	json_object_object_add(out, "pins", json_object_new_string(info->pins.path));
	for (unsigned int i = 0; i < info->n_reasons; i++)
		json_object_array_add(reasons, json_object_new_string(info->reasons[i]));
	json_object_object_add(out, "reasons", reasons);
	cli_print_json(out);
	json_object_put(out);
}

static int attach(const struct attach_options *o, const struct config_steer *steer, struct fault *f)
{
	struct steer_params params = {
		.ifindex = (int)if_nametoindex(o->device),
		.ifname = o->device,
		.instance = o->common.instance,
		.port = o->name,
		.mode = o->mode,
		.dispatcher = o->dispatcher,
		.persistent = true,
	};
	bool renewed = false;
	struct steer *s;
	int err;

	if (!params.ifindex) {
		fault_set(f, ENODEV, "there is no device \"%s\"", o->device);
		return CLI_FAILED;
	}
	err = steer_attach(&params, &s, f);
	if (err == -EEXIST) {
		renewed = true;
		err = steer_adopt(&params, &s, f);
	}
	if (err)
		return cli_exit_for(err);
	err = fill_tables(s, steer, f);
	if (!err)
		print_info(o, steer_info(s), renewed);
	steer_close(s);
	/* What was attached now must not stay half filled; what was there before keeps its rules. */
	if (err && !renewed)
		steer_detach_pinned(NULL, o->common.instance, o->name, NULL);
	return cli_exit_for(err);
}

/* The one operand, and names that can be paths. Return: CLI_OK or CLI_USAGE */
static int take_device(const struct cli_command *cmd, struct attach_options *o, int argc, char **argv)
{
	struct fault f;

	if (optind >= argc)
		return cli_usage_error(cmd, "which device?");
	o->device = argv[optind++];
	if (cli_no_operands(cmd, argc, argv) != CLI_OK)
		return CLI_USAGE;
	if (config_check_device(o->device, &f))
		return cli_usage_error(cmd, "%s", f.text);
	if (config_check_name(o->common.instance, CONFIG_NAME_MAX, &f))
		return cli_usage_error(cmd, "--instance: %s", f.text);
	if (config_check_name(o->name ? o->name : o->device, CONFIG_PORT_NAME_MAX, &f))
		return cli_usage_error(cmd, "%s%s", f.text, o->name ? "" : "; --name NAME gives the port another");
	if (!o->name)
		o->name = o->device;
	return CLI_OK;
}

static int take_word(const struct cli_command *cmd, const char *option, const char *const *words, unsigned int *index)
{
	for (unsigned int i = 0; words[i]; i++) {
		if (strcmp(words[i], optarg) != 0)
			continue;
		*index = i;
		return -1;
	}
	return cli_usage_error(cmd, "%s: \"%s\" is not known; %s, %s or %s", option, optarg, words[0], words[1], words[2]);
}

static int run_attach(const struct cli_command *cmd, int argc, char **argv)
{
	enum { OPT_MODE = CLI_OPT_OWN, OPT_DISPATCHER };
	static const char *const modes[] = { "auto", "native", "generic", NULL };	/* as enum steer_mode */
	static const char *const dispatchers[] = { "auto", "on", "off", NULL };		/* as enum steer_dispatcher */
	static const struct option options[] = {
		CLI_COMMON_LONG,
		{ "rules", required_argument, NULL, 'r' },
		{ "name", required_argument, NULL, 'n' },
		{ "mode", required_argument, NULL, OPT_MODE },
		{ "dispatcher", required_argument, NULL, OPT_DISPATCHER },
		{ NULL, 0, NULL, 0 },
	};
	struct attach_options o = { .common = CLI_COMMON_INIT };
	struct config_steer *steer;
	struct fault f = { 0 };
	unsigned int word = 0;
	int opt, code;

	while ((opt = getopt_long(argc, argv, "r:n:" CLI_COMMON_SHORT, options, NULL)) != -1) {
		code = -1;
		if (opt == 'r') {
			o.rules = optarg;
		} else if (opt == 'n') {
			o.name = optarg;
		} else if (opt == OPT_MODE) {
			code = take_word(cmd, "--mode", modes, &word);
			o.mode = code < 0 ? (enum steer_mode)word : o.mode;
		} else if (opt == OPT_DISPATCHER) {
			code = take_word(cmd, "--dispatcher", dispatchers, &word);
			o.dispatcher = code < 0 ? (enum steer_dispatcher)word : o.dispatcher;
		} else {
			code = cli_common_option(cmd, &o.common, opt);
		}
		if (code >= 0)
			return code;
	}
	if (take_device(cmd, &o, argc, argv) != CLI_OK)
		return CLI_USAGE;
	if (!o.rules)
		return cli_usage_error(cmd, "--rules FILE is wanted");
	if (config_load_steer(o.rules, &steer, &f))
		return cli_fail(CLI_CONFIG, &f);
	code = check_unused(&o, &f);
	if (code == CLI_OK)
		code = attach(&o, steer, &f);
	free(steer);
	return code == CLI_OK ? CLI_OK : cli_fail(code, &f);
}

const struct cli_command cmd_attach = {
	.name = "attach",
	.summary = "the XDP program alone, with rules and counters, pinned",
	.usage = "attach DEVICE --rules FILE [OPTION...]\n\n"
		 "Attach the XDP program with rules, without an engine; it stays until `sluice detach`. FILE is what stands inside\n"
		 "of the configuration's \"steer\" group. What is for the engine passes to the kernel until `sluice run` takes the\n"
		 "program over. Once more: replaces rules and prefixes without a gap, and reads the machine's addresses again.\n\n"
		 "  -r, --rules FILE      rules and transit prefixes\n"
		 "  -n, --name PORT       the port's name in `run` and in the pins' path; default the device's\n"
		 "      --mode MODE       auto, native, generic; default auto\n"
		 "      --dispatcher WAY  beside other XDP programs through libxdp's dispatcher: auto, on, off\n"
		 "  -i, --instance NAME   which gateway it is for, default \"sluice\"\n"
		 "  -s, --socket PATH     that gateway's control socket, if it is not the default\n"
		 "      --json            as JSON\n"
		 "  -h, --help            this text\n",
	.run = run_attach,
};

/* ---- detach ------------------------------------------------------------------------------------------------------ */

static int run_detach(const struct cli_command *cmd, int argc, char **argv)
{
	static const struct option options[] = {
		CLI_COMMON_LONG,
		{ "name", required_argument, NULL, 'n' },
		{ NULL, 0, NULL, 0 },
	};
	struct attach_options o = { .common = CLI_COMMON_INIT };
	struct fault f = { 0 };
	int opt, code, err;

	while ((opt = getopt_long(argc, argv, "n:" CLI_COMMON_SHORT, options, NULL)) != -1) {
		code = -1;
		if (opt == 'n')
			o.name = optarg;
		else
			code = cli_common_option(cmd, &o.common, opt);
		if (code >= 0)
			return code;
	}
	if (take_device(cmd, &o, argc, argv) != CLI_OK)
		return CLI_USAGE;
	code = check_unused(&o, &f);
	if (code != CLI_OK)
		return cli_fail(code, &f);
	err = steer_detach_pinned(NULL, o.common.instance, o.name, &f);
	if (err == -ENOENT)
		fault_set(&f, ENOENT, "nothing is attached or left behind for port \"%s\" of instance \"%s\"", o.name,
			  o.common.instance);
	if (err)
		return cli_fail(cli_exit_for(err), &f);
	if (o.common.json)
		printf("{\"detached\": \"%s\"}\n", o.name);
	else
		printf("%s: detached\n", o.device);
	return CLI_OK;
}

const struct cli_command cmd_detach = {
	.name = "detach",
	.summary = "remove what attach put there, or a dead run left behind",
	.usage = "detach DEVICE [OPTION...]\n\n"
		 "  -n, --name PORT      the port's name, if it was not the device's\n"
		 "  -i, --instance NAME  which gateway it was for, default \"sluice\"\n"
		 "  -s, --socket PATH    that gateway's control socket, if it is not the default\n"
		 "      --json           as JSON\n"
		 "  -h, --help           this text\n",
	.run = run_detach,
};
