// SPDX-License-Identifier: MIT
/* The program `sluice`: finds the subcommand; all else is in cmd_*.c. */
#include "user/cli/cli.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "user/control/config_text.h"

static const struct cli_command *const commands[] = {
	&cmd_run,    &cmd_check, &cmd_status,  &cmd_stats, &cmd_ports,	&cmd_routes,
	&cmd_neigh, &cmd_capture, &cmd_trace, &cmd_attach, &cmd_detach,
};

enum { N_COMMANDS = sizeof(commands) / sizeof(commands[0]) };

static const struct cli_command *find_command(const char *name)
{
	for (size_t i = 0; i < N_COMMANDS; i++)
		if (!strcmp(commands[i]->name, name))
			return commands[i];
	return NULL;
}

static void print_usage(FILE *to)
{
	fputs("usage: sluice [-i INSTANCE | -s SOCKET] COMMAND [OPTION...]\n"
	      "       sluice help [COMMAND]\n"
	      "       sluice version\n\n"
	      "A gateway in user space on AF_XDP.\n\n", to);
	for (size_t i = 0; i < N_COMMANDS; i++)
		fprintf(to, "  %-9s %s\n", commands[i]->name, commands[i]->summary);
	fputs("\nExit codes: 0 fine, 1 failed, 2 wrong usage, 3 wrong configuration, 4 no running instance,\n"
	      "5 not permitted, 6 taken by another process or program.\n", to);
}

static int unknown_command(const char *name)
{
	const char *names[N_COMMANDS + 3] = { NULL }, *near;

	for (size_t i = 0; i < N_COMMANDS; i++)
		names[i] = commands[i]->name;
	names[N_COMMANDS] = "help";
	names[N_COMMANDS + 1] = "version";
	near = config_nearest(name, names);
	if (near)
		fprintf(stderr, "sluice: there is no command \"%s\", did you mean \"%s\"?\n", name, near);
	else
		fprintf(stderr, "sluice: there is no command \"%s\"; `sluice help` lists them\n", name);
	return CLI_USAGE;
}

static int run_help(int argc, char **argv)
{
	const struct cli_command *cmd;

	if (argc < 2) {
		print_usage(stdout);
		return CLI_OK;
	}
	cmd = find_command(argv[1]);
	if (!cmd)
		return unknown_command(argv[1]);
	printf("usage: sluice %s", cmd->usage);
	return CLI_OK;
}

/* A pipe that was closed or a full disk must not look like success. */
static int close_stdout(int code)
{
	if (fflush(stdout) == 0 && !ferror(stdout))
		return code;
	if (errno != EPIPE)
		fprintf(stderr, "sluice: standard output: %s\n", strerror(errno));
	return code == CLI_OK ? CLI_FAILED : code;
}

/*
 * `sluice -i gw2 status` is `sluice status -i gw2`: the options that stand in front of the subcommand change places with
 * it, so that its own getopt_long() takes them.
 */
static void command_first(int argc, char **argv)
{
	static const char *const with_value[] = { "-i", "-s", "--instance", "--socket" };
	char *cmd;
	int at = 1;

	while (at < argc && argv[at][0] == '-') {
		bool value = false;

		for (size_t i = 0; i < sizeof(with_value) / sizeof(with_value[0]); i++)
			value |= !strcmp(argv[at], with_value[i]);
		at += value ? 2 : 1;
	}
	if (at >= argc)
		return;
	cmd = argv[at];
	memmove(&argv[2], &argv[1], (size_t)(at - 1) * sizeof(*argv));
	argv[1] = cmd;
}

int main(int argc, char **argv)
{
	const struct cli_command *cmd;

	if (argc < 2) {
		print_usage(stderr);
		return CLI_USAGE;
	}
	command_first(argc, argv);
	if (!strcmp(argv[1], "help") || !strcmp(argv[1], "--help") || !strcmp(argv[1], "-h"))
		return close_stdout(run_help(argc - 1, argv + 1));
	if (!strcmp(argv[1], "version") || !strcmp(argv[1], "--version")) {
		printf("sluice %s\n", SLUICE_VERSION);
		return close_stdout(CLI_OK);
	}
	cmd = find_command(argv[1]);
	if (!cmd)
		return unknown_command(argv[1]);
	return close_stdout(cmd->run(cmd, argc - 1, argv + 1));
}

/* ---- What cli.h promises ----------------------------------------------------------------------------------------- */

int cli_common_option(const struct cli_command *cmd, struct cli_common *common, int opt)
{
	switch (opt) {
	case CLI_OPT_HELP:
		printf("usage: sluice %s", cmd->usage);
		return CLI_OK;
	case 'i':
		common->instance = optarg;
		return -1;
	case 's':
		common->socket = optarg;
		return -1;
	case CLI_OPT_JSON:
		common->json = true;
		return -1;
	default:	/* getopt has complained */
		fprintf(stderr, "Try `sluice help %s`.\n", cmd->name);
		return CLI_USAGE;
	}
}

int cli_usage_error(const struct cli_command *cmd, const char *fmt, ...)
{
	va_list args;

	fprintf(stderr, "sluice %s: ", cmd->name);
	va_start(args, fmt);
	vfprintf(stderr, fmt, args);
	va_end(args);
	fprintf(stderr, "\nTry `sluice help %s`.\n", cmd->name);
	return CLI_USAGE;
}

int cli_fail(int code, const struct fault *f)
{
	fprintf(stderr, "sluice: %s\n", f->text);
	return code;
}

int cli_exit_for(int err)
{
	switch (-err) {
	case EPERM:
	case EACCES:
		return CLI_NOT_PERMITTED;
	case EADDRINUSE:
	case EBUSY:
	case EEXIST:
		return CLI_TAKEN;
	default:
		return err ? CLI_FAILED : CLI_OK;
	}
}

int cli_no_operands(const struct cli_command *cmd, int argc, char **argv)
{
	return optind < argc ? cli_usage_error(cmd, "\"%s\" is one word too many", argv[optind]) : CLI_OK;
}

int cli_uint(const struct cli_command *cmd, const char *option, const char *text, unsigned long min, unsigned long max,
	     unsigned long *value)
{
	struct fault f;
	uint64_t v;

	if (config_parse_uint(text, min, max, &v, &f))
		return cli_usage_error(cmd, "%s: %s", option, f.text);
	*value = v;
	return CLI_OK;
}

void cli_print_json(struct json_object *o)
{
	puts(json_object_to_json_string_ext(o, JSON_C_TO_STRING_PRETTY | JSON_C_TO_STRING_SPACED |
					    JSON_C_TO_STRING_NOSLASHESCAPE));
}

static struct json_object *member(struct json_object *o, const char *key, enum json_type type)
{
	struct json_object *m;

	if (!json_object_is_type(o, json_type_object) || !json_object_object_get_ex(o, key, &m) ||
	    !json_object_is_type(m, type))
		return NULL;
	return m;
}

const char *cli_text(struct json_object *o, const char *key, const char *or_else)
{
	struct json_object *m = member(o, key, json_type_string);

	return m ? json_object_get_string(m) : or_else;
}

uint64_t cli_number(struct json_object *o, const char *key)
{
	return json_object_get_uint64(member(o, key, json_type_int));
}

bool cli_bool(struct json_object *o, const char *key)
{
	return json_object_get_boolean(member(o, key, json_type_boolean));
}

struct json_object *cli_array(struct json_object *o, const char *key)
{
	return member(o, key, json_type_array);
}

struct json_object *cli_object(struct json_object *o, const char *key)
{
	return member(o, key, json_type_object);
}
