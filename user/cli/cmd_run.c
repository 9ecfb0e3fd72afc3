// SPDX-License-Identifier: MIT
/* sluice run: the gateway itself. */
#include "user/cli/cli.h"

#include <stdio.h>
#include <stdlib.h>

#include "common/log.h"
#include "user/control/config.h"
#include "user/control/gateway_run.h"

enum { OPT_PORT = CLI_OPT_OWN, OPT_TUN, OPT_TRANSIT, OPT_MODE, OPT_WORKERS, OPT_LOG };

static const struct option options[] = {
	{ "help", no_argument, NULL, CLI_OPT_HELP },
	{ "config", required_argument, NULL, 'c' },
	{ "instance", required_argument, NULL, 'i' },
	{ "port", required_argument, NULL, OPT_PORT },
	{ "tun", required_argument, NULL, OPT_TUN },
	{ "transit", required_argument, NULL, OPT_TRANSIT },
	{ "mode", required_argument, NULL, OPT_MODE },
	{ "workers", required_argument, NULL, OPT_WORKERS },
	{ "log", required_argument, NULL, OPT_LOG },
	{ NULL, 0, NULL, 0 },
};

struct run_options {
	const char *file;
	const char *log;
	struct config_shorthand shorthand;
	/* No option can be given more often than there are words. */
	const char **ports, **tuns, **transit;
};

/* Return: -1, or the exit code with which to end */
static int take_option(const struct cli_command *cmd, struct run_options *o, int opt)
{
	struct cli_common unused = CLI_COMMON_INIT;

	switch (opt) {
	case 'c':
		o->file = optarg;
		return -1;
	case 'i':
		o->shorthand.instance = optarg;
		return -1;
	case OPT_PORT:
		o->ports[o->shorthand.n_ports++] = optarg;
		return -1;
	case OPT_TUN:
		o->tuns[o->shorthand.n_tuns++] = optarg;
		return -1;
	case OPT_TRANSIT:
		o->transit[o->shorthand.n_transit++] = optarg;
		return -1;
	case OPT_MODE:
		o->shorthand.mode = optarg;
		return -1;
	case OPT_WORKERS:
		o->shorthand.workers = optarg;
		return -1;
	case OPT_LOG:
		o->log = optarg;
		return -1;
	default:
		return cli_common_option(cmd, &unused, opt);
	}
}

static int start(const struct cli_command *cmd, const struct run_options *o)
{
	const struct config_shorthand *sh = &o->shorthand;
	struct config *config;
	struct fault f = { 0 };
	int err;

	if (o->file && (sh->n_ports || sh->n_tuns || sh->n_transit || sh->mode || sh->workers || sh->instance))
		return cli_usage_error(cmd, "what -c FILE says stands in the file: no --port, --tun, --transit, --mode, "
				       "--workers or --instance beside it");
	if (!o->file && sh->n_ports + sh->n_tuns == 0)
		return cli_usage_error(cmd, "-c FILE or --port NAME=DEVICE is wanted");
	err = o->file ? config_load(o->file, &config, &f) : config_from_ports(sh, &config, &f);
	if (err)
		return cli_fail(CLI_CONFIG, &f);
	if (o->log && !log_level_parse(o->log, &config->log_level)) {
		config_free(config);
		return cli_usage_error(cmd, "--log: \"%s\" is not known; error, warn, info or debug", o->log);
	}
	log_set_level(config->log_level);
	err = gateway_run(config, &f);
	config_free(config);
	return err ? cli_fail(cli_exit_for(err), &f) : CLI_OK;
}

static int run(const struct cli_command *cmd, int argc, char **argv)
{
	struct run_options o = { 0 };
	int opt, code = -1;

	o.ports = calloc((size_t)argc, sizeof(*o.ports));
	o.tuns = calloc((size_t)argc, sizeof(*o.tuns));
	o.transit = calloc((size_t)argc, sizeof(*o.transit));
	if (!o.ports || !o.tuns || !o.transit) {
		fputs("sluice: no memory\n", stderr);
		code = CLI_FAILED;
	}
	o.shorthand.ports = o.ports;
	o.shorthand.tuns = o.tuns;
	o.shorthand.transit = o.transit;
	while (code < 0 && (opt = getopt_long(argc, argv, "hc:i:", options, NULL)) != -1)
		code = take_option(cmd, &o, opt);
	if (code < 0)
		code = cli_no_operands(cmd, argc, argv) == CLI_OK ? start(cmd, &o) : CLI_USAGE;
	free(o.ports);
	free(o.tuns);
	free(o.transit);
	return code;
}

const struct cli_command cmd_run = {
	.name = "run",
	.summary = "run the gateway, in the foreground, until SIGTERM",
	.usage = "run -c FILE [--log LEVEL]\n"
		 "       sluice run --port [NAME=]DEVICE... [--tun [NAME=]DEVICE...] [OPTION...]\n\n"
		 "Attach to the ports, forward, and give everything back on SIGTERM or SIGINT.\n\n"
		 "  -c, --config FILE        the configuration; the other options but --log take its place\n"
		 "      --port [NAME=]DEVICE a network device as a port\n"
		 "      --tun [NAME=]DEVICE  a TUN device as a port; made if it is not there\n"
		 "      --transit PREFIX     destinations that the engine forwards; all unless given\n"
		 "      --mode MODE          of all ports: auto, zerocopy, native, generic\n"
		 "      --workers N          threads on the packet path\n"
		 "  -i, --instance NAME      name of this gateway, default \"sluice\"\n"
		 "      --log LEVEL          error, warn, info, debug\n"
		 "  -h, --help               this text\n",
	.run = run,
};
