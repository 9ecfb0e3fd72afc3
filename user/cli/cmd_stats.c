// SPDX-License-Identifier: MIT
/* sluice stats: counters, once or again and again with rates. */
#include "user/cli/cli.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <sluice/counters.h>
#include <sluice/drops.h>
#include <sluice/steer.h>

#include "user/cli/client.h"
#include "user/cli/table.h"
#include "user/control/config_text.h"

struct counter_text {
	const char *name, *text;
};

#define X(name, text) { #name, text },
static const struct counter_text engine_texts[] = { SLUICE_ENGINE_COUNTERS(X) { NULL, NULL } };
static const struct counter_text drop_texts[] = { SLUICE_DROPS(X) { NULL, NULL } };
static const struct counter_text port_texts[] = { SLUICE_PORT_COUNTERS(X) { NULL, NULL } };
static const struct counter_text steer_texts[] = {
	{ "rx_frames", "frames that the program saw" },
	{ "rx_bytes", "their bytes" },
	{ "redirect_bytes", "bytes for the engine" },
	{ "drop_bytes", "bytes dropped by the program" },
	SLUICE_VERDICTS(X)
	{ "fragments", "IPv4 and IPv6 fragments, first ones included" },
	{ "vlan_stripped", "frames whose outer tag the device had taken off" },
	{ "traced", "frames traced" },
	{ "trace_lost", "trace events lost for want of room" },
	{ NULL, NULL },
};
#undef X

struct stats_options {
	bool watch, all;
	uint64_t interval_ns;
	unsigned long count;	/* 0 = without end */
};

/* What is printed, and what it is compared with. */
struct view {
	const struct stats_options *o;
	double seconds;		/* since the last time; 0 = there was none */
};

static const char *text_of(const struct counter_text *texts, const char *name)
{
	for (; texts->name; texts++)
		if (!strcmp(texts->name, name))
			return texts->text;
	return "";
}

static void add_rate(struct table *t, const struct view *v, uint64_t now, uint64_t before)
{
	char buf[32];

	if (v->seconds > 0)
		table_add(t, "%s", text_count(now >= before ? (double)(now - before) / v->seconds : 0, buf, sizeof(buf)));
}

/* Counters of one object; those at 0 only when all are asked for. */
static void print_counters(const struct view *v, const char *title, struct json_object *now, struct json_object *before,
			   const struct counter_text *texts)
{
	static const char *const once[] = { "COUNTER", ">VALUE", "MEANING", NULL };
	static const char *const again[] = { "COUNTER", ">VALUE", ">PER SECOND", "MEANING", NULL };
	struct table t;

	if (!now)
		return;
	table_init(&t, v->seconds > 0 ? again : once);
	json_object_object_foreach(now, key, value) {
		uint64_t n = json_object_get_uint64(value);

		if (n == 0 && !v->o->all)
			continue;
		table_add(&t, "%s", key);
		table_add(&t, "%" PRIu64, n);
		add_rate(&t, v, n, cli_number(before, key));
		table_add(&t, "%s", text_of(texts, key));
	}
	printf("%s%s\n", title, t.n_cells ? "" : ": all 0");
	table_print(&t, stdout);
	putchar('\n');
}

static void print_rules(const struct view *v, const char *title, struct json_object *now, struct json_object *before)
{
	static const char *const once[] = { "RULE", ">PACKETS", ">BYTES", NULL };
	static const char *const again[] = { "RULE", ">PACKETS", ">PER SECOND", ">BYTES", ">PER SECOND", NULL };
	struct table t;

	if (!cli_length(now))
		return;
	table_init(&t, v->seconds > 0 ? again : once);
	for (size_t i = 0; i < json_object_array_length(now); i++) {
		struct json_object *rule = json_object_array_get_idx(now, i);
		struct json_object *old = i < cli_length(before) ? json_object_array_get_idx(before, i) : NULL;

		table_add(&t, "%s", cli_text(rule, "name", "?"));
		table_add(&t, "%" PRIu64, cli_number(rule, "pkts"));
		add_rate(&t, v, cli_number(rule, "pkts"), cli_number(old, "pkts"));
		table_add(&t, "%" PRIu64, cli_number(rule, "bytes"));
		add_rate(&t, v, cli_number(rule, "bytes"), cli_number(old, "bytes"));
	}
	puts(title);
	table_print(&t, stdout);
	putchar('\n');
}

static struct json_object *find_port(struct json_object *stats, const char *name)
{
	struct json_object *ports = cli_array(stats, "ports");

	for (size_t i = 0; i < cli_length(ports); i++) {
		struct json_object *p = json_object_array_get_idx(ports, i);

		if (!strcmp(cli_text(p, "name", ""), name))
			return p;
	}
	return NULL;
}

static void print_stats(const struct stats_options *o, struct json_object *now, struct json_object *before)
{
	struct json_object *ports = cli_array(now, "ports");
	struct view v = { .o = o };

	if (before)
		v.seconds = (double)(cli_number(now, "time_ns") - cli_number(before, "time_ns")) / 1e9;
	print_counters(&v, "engine", cli_object(now, "engine"), cli_object(before, "engine"), engine_texts);
	print_counters(&v, "drops", cli_object(now, "drops"), cli_object(before, "drops"), drop_texts);
	for (size_t i = 0; i < cli_length(ports); i++) {
		struct json_object *p = json_object_array_get_idx(ports, i);
		const char *name = cli_text(p, "name", "?");
		struct json_object *old = find_port(before, name);
		char title[80];

		snprintf(title, sizeof(title), "port %.40s", name);
		print_counters(&v, title, cli_object(p, "counters"), cli_object(old, "counters"), port_texts);
		snprintf(title, sizeof(title), "port %.40s, XDP program", name);
		print_counters(&v, title, cli_object(p, "steer"), cli_object(old, "steer"), steer_texts);
		snprintf(title, sizeof(title), "port %.40s, rules", name);
		print_rules(&v, title, cli_array(p, "rules"), cli_array(old, "rules"));
	}
}

/* Sleep to the next full interval, so that the time of asking does not add up. */
static void wait_interval(struct timespec *next, uint64_t interval_ns)
{
	uint64_t ns = (uint64_t)next->tv_nsec + interval_ns;

	next->tv_sec += (time_t)(ns / 1000000000);
	next->tv_nsec = (long)(ns % 1000000000);
	while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, next, NULL) == EINTR)
		;
}

static int show(const struct cli_common *common, const struct stats_options *o, struct client *c, struct fault *f)
{
	struct json_object *before = NULL, *now;
	struct timespec next;
	int code = CLI_OK;

	clock_gettime(CLOCK_MONOTONIC, &next);
	for (unsigned long n = 0; !o->watch || !o->count || n < o->count; n++) {
		if (n > 0)
			wait_interval(&next, o->interval_ns);
		code = client_ask(c, client_request("stats"), &now, f);
		if (code != CLI_OK)
			break;
		if (common->json && o->watch) {
			puts(json_object_to_json_string_ext(now, JSON_C_TO_STRING_PLAIN));
		} else if (common->json) {
			cli_print_json(now);
		} else {
			if (o->watch && isatty(STDOUT_FILENO))
				fputs("\033[H\033[2J", stdout);
			print_stats(o, now, before);
		}
		json_object_put(before);
		before = now;
		if (fflush(stdout) || !o->watch)
			break;
	}
	json_object_put(before);
	return code;
}

static int run(const struct cli_command *cmd, int argc, char **argv)
{
	enum { OPT_INTERVAL = CLI_OPT_OWN };
	static const struct option options[] = {
		CLI_COMMON_LONG,
		{ "watch", no_argument, NULL, 'w' },
		{ "interval", required_argument, NULL, OPT_INTERVAL },
		{ "count", required_argument, NULL, 'c' },
		{ "all", no_argument, NULL, 'a' },
		{ NULL, 0, NULL, 0 },
	};
	struct stats_options o = { .interval_ns = 1000000000 };
	struct cli_common common = CLI_COMMON_INIT;
	struct client client;
	struct fault f = { 0 };
	int opt, code;

	while ((opt = getopt_long(argc, argv, "wac:" CLI_COMMON_SHORT, options, NULL)) != -1) {
		switch (opt) {
		case 'w':
			o.watch = true;
			break;
		case 'a':
			o.all = true;
			break;
		case 'c':
			if (cli_uint(cmd, "--count", optarg, 1, 1000000000, &o.count) != CLI_OK)
				return CLI_USAGE;
			o.watch = true;
			break;
		case OPT_INTERVAL:
			if (config_parse_duration(optarg, &o.interval_ns, &f))
				return cli_usage_error(cmd, "--interval: %s", f.text);
			if (o.interval_ns < 10000000)
				return cli_usage_error(cmd, "--interval: at least 10ms");
			o.watch = true;
			break;
		default:
			code = cli_common_option(cmd, &common, opt);
			if (code >= 0)
				return code;
		}
	}
	if (cli_no_operands(cmd, argc, argv) != CLI_OK)
		return CLI_USAGE;
	code = client_open(&client, &common, &f);
	if (code == CLI_OK)
		code = show(&common, &o, &client, &f);
	client_close(&client);
	return code == CLI_OK ? CLI_OK : cli_fail(code, &f);
}

const struct cli_command cmd_stats = {
	.name = "stats",
	.summary = "counters of engine, ports and XDP programs; --watch for rates",
	.usage = "stats [--watch] [OPTION...]\n\n"
		 "Counters that are 0 are left out unless --all is given; JSON has all of them, also of each worker and queue.\n\n"
		 "  -w, --watch              again and again, with rates\n"
		 "      --interval DURATION  of --watch, such as 500ms; default 1s\n"
		 "  -c, --count N            so many times\n"
		 "  -a, --all                counters that are 0, too\n"
		 "  -i, --instance NAME      which gateway, default \"sluice\"\n"
		 "  -s, --socket PATH        its control socket, if it is not the default\n"
		 "      --json               as JSON; with --watch one line each time\n"
		 "  -h, --help               this text\n",
	.run = run,
};
