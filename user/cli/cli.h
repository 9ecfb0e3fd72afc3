/* SPDX-License-Identifier: MIT */
/* What the subcommands of `sluice` share: exit codes, common options, messages. */
#ifndef USER_CLI_CLI_H
#define USER_CLI_CLI_H

#include <getopt.h>
#include <json-c/json.h>
#include <stdbool.h>

#include "common/fault.h"

/** enum cli_exit - Documented in README.md; scripts rely on them. */
enum cli_exit {
	CLI_OK = 0,
	CLI_FAILED = 1,		/* something went wrong while running */
	CLI_USAGE = 2,		/* the command line is wrong */
	CLI_CONFIG = 3,		/* the configuration or the file of rules is wrong */
	CLI_UNREACHABLE = 4,	/* no running instance answers */
	CLI_NOT_PERMITTED = 5,	/* privileges are missing */
	CLI_TAKEN = 6,		/* instance, device or pin belongs to another process or program */
};

struct cli_command {
	const char *name;
	const char *summary;	/* one line for `sluice help` */
	const char *usage;	/* the whole text of `sluice help NAME`, first line the synopsis without "usage: " */
	int (*run)(const struct cli_command *cmd, int argc, char **argv);	/* argv[0] is the subcommand's name */
};

extern const struct cli_command cmd_run, cmd_check, cmd_status, cmd_stats, cmd_ports, cmd_routes, cmd_neigh, cmd_capture,
	cmd_trace, cmd_attach, cmd_detach;

/** struct cli_common - Options of every subcommand that talks to a running instance. */
struct cli_common {
	const char *instance;
	const char *socket;	/* NULL = the instance's default */
	bool json;
};

/* For the arrays of getopt_long(); a subcommand's own long options without a letter start at CLI_OPT_OWN. */
enum { CLI_OPT_HELP = 'h', CLI_OPT_JSON = 256, CLI_OPT_OWN };
#define CLI_COMMON_SHORT "hi:s:"
#define CLI_COMMON_LONG                                                                                                \
	{ "help", no_argument, NULL, CLI_OPT_HELP }, { "instance", required_argument, NULL, 'i' },                      \
	{ "socket", required_argument, NULL, 's' }, { "json", no_argument, NULL, CLI_OPT_JSON }

/** struct cli_common's defaults. */
#define CLI_COMMON_INIT { .instance = "sluice" }

/**
 * cli_common_option() - Take one of the common options.
 *
 * Return: -1 when taken; otherwise the exit code with which to end (help was printed, or the option is unknown)
 */
int cli_common_option(const struct cli_command *cmd, struct cli_common *common, int opt);

/** cli_usage_error() - Complain and point at the help. Return: CLI_USAGE */
int cli_usage_error(const struct cli_command *cmd, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/** cli_fail() - Print a fault. Return: @code */
int cli_fail(int code, const struct fault *f);

/** cli_exit_for() - The exit code that fits a -errno. */
int cli_exit_for(int err);

/** cli_no_operands() - Return: CLI_OK, or CLI_USAGE after a complaint about argv[optind] */
int cli_no_operands(const struct cli_command *cmd, int argc, char **argv);

/** cli_uint() - An option's number. Return: CLI_OK, or CLI_USAGE after a complaint */
int cli_uint(const struct cli_command *cmd, const char *option, const char *text, unsigned long min, unsigned long max,
	     unsigned long *value);

/** cli_print_json() - Indented, to standard output. */
void cli_print_json(struct json_object *o);

/* Members of objects that came over the socket, where nothing is sure. */

/** cli_text() - A string, or @or_else */
const char *cli_text(struct json_object *o, const char *key, const char *or_else);
uint64_t cli_number(struct json_object *o, const char *key);
bool cli_bool(struct json_object *o, const char *key);

/** cli_array() - An array, or NULL, of which json_object_array_length() must not be asked: see cli_length(). */
struct json_object *cli_array(struct json_object *o, const char *key);
struct json_object *cli_object(struct json_object *o, const char *key);

static inline size_t cli_length(struct json_object *array)
{
	return array ? json_object_array_length(array) : 0;
}

#endif
