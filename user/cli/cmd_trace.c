// SPDX-License-Identifier: MIT
/* sluice trace: what the XDP program and the engine's stages do with chosen packets, and why. */
#include "user/cli/cli.h"

#include <errno.h>
#include <inttypes.h>
#include <pcap/pcap.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <sluice/drops.h>
#include <sluice/steer.h>

#include "user/cli/client.h"
#include "user/cli/filter.h"
#include "user/control/config_text.h"

enum { EXPR_MAX = 1024, STORY_LINES = 32, STORIES = 256 };

struct trace_options {
	struct cli_common common;
	const char *port;
	const char *family, *source, *destination;	/* NULL = any */
	int16_t protocol;				/* -1 = any */
	long source_port, destination_port;		/* -1 = any */
	bool either_way, drops;
	unsigned long sample, count;
	char *expr;
};

/* Lines of one packet, held back until it is dropped: --drops. */
struct story {
	uint64_t packet, worker;
	unsigned int n_lines;
	struct json_object *lines[STORY_LINES];
};

struct trace {
	const struct trace_options *o;
	unsigned long shown;		/* packets */
	unsigned int next_story;
	struct story stories[STORIES];
};

/* ---- The filter -------------------------------------------------------------------------------------------------- */

static void append(char *expr, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

static void append(char *expr, const char *fmt, ...)
{
	size_t len = strlen(expr);
	va_list args;

	va_start(args, fmt);
	vsnprintf(expr + len, EXPR_MAX - len, fmt, args);
	va_end(args);
}

static void append_way(char *expr, const struct trace_options *o, bool forth)
{
	const char *src = forth ? "src" : "dst", *dst = forth ? "dst" : "src";

	append(expr, "(");
	append(expr, !o->family ? "(ip or ip6)" : strcmp(o->family, "ipv6") ? "ip" : "ip6");
	if (o->protocol >= 0)
		append(expr, " and (ip proto %d or ip6 proto %d)", o->protocol, o->protocol);
	if (o->source)
		append(expr, " and %s net %s", src, o->source);
	if (o->destination)
		append(expr, " and %s net %s", dst, o->destination);
	if (o->source_port >= 0)
		append(expr, " and %s port %ld", src, o->source_port);
	if (o->destination_port >= 0)
		append(expr, " and %s port %ld", dst, o->destination_port);
	append(expr, ")");
}

static bool has_tuple(const struct trace_options *o)
{
	return o->family || o->protocol >= 0 || o->source || o->destination || o->source_port >= 0 ||
	       o->destination_port >= 0;
}

/* The options and the expression as one expression; "" for everything. */
static void build_expr(const struct trace_options *o, char *expr)
{
	expr[0] = '\0';
	if (has_tuple(o)) {
		append(expr, "(");
		append_way(expr, o, true);
		if (o->either_way) {
			append(expr, " or ");
			append_way(expr, o, false);
		}
		append(expr, ")");
	}
	if (o->expr)
		append(expr, "%s(%s)", expr[0] ? " and " : "", o->expr);
}

static int add_filters(struct json_object *request, const struct trace_options *o, struct fault *f)
{
	char expr[EXPR_MAX], tagged[3 * EXPR_MAX + 64];
	struct json_object *program;
	int code;

	build_expr(o, expr);
	if (!expr[0])
		return CLI_OK;
	if (strlen(expr) + 1 == EXPR_MAX) {
		fault_set(f, EINVAL, "the filter is too long");
		return CLI_USAGE;
	}
	/* "vlan" moves what follows it behind a tag: untagged, or behind one, or behind two. */
	snprintf(tagged, sizeof(tagged), "%s or (vlan and (%s or (vlan and %s)))", expr, expr, expr);
	code = filter_compile(DLT_EN10MB, tagged, &program, f);
	if (code != CLI_OK)
		return code;
	json_object_object_add(request, "filter", program);
	/* An expression about Ethernet means nothing on a TUN port. */
	if (filter_compile(DLT_RAW, expr, &program, NULL) == CLI_OK)
		json_object_object_add(request, "filter_ip", program);
	return CLI_OK;
}

static struct json_object *build_request(const struct trace_options *o)
{
	struct json_object *request = client_request("trace");

	if (o->port)
		json_object_object_add(request, "port", json_object_new_string(o->port));
	if (o->sample > 1)
		json_object_object_add(request, "sample", json_object_new_uint64(o->sample));
	if (o->family)
		json_object_object_add(request, "family", json_object_new_string(o->family));
	if (o->protocol >= 0)
		json_object_object_add(request, "protocol", json_object_new_int(o->protocol));
	if (o->source)
		json_object_object_add(request, "source", json_object_new_string(o->source));
	if (o->destination)
		json_object_object_add(request, "destination", json_object_new_string(o->destination));
	if (o->source_port >= 0)
		json_object_object_add(request, "source_port", json_object_new_int64(o->source_port));
	if (o->destination_port >= 0)
		json_object_object_add(request, "destination_port", json_object_new_int64(o->destination_port));
	if (o->either_way)
		json_object_object_add(request, "either_way", json_object_new_boolean(true));
	return request;
}

/* ---- Lines for a person ------------------------------------------------------------------------------------------ */

static const char *drop_text(const char *name)
{
#define X(drop, text) if (!strcmp(name, #drop)) return text;
	SLUICE_DROPS(X)
#undef X
	return "";
}

static const char *verdict_text(const char *name)
{
#define X(verdict, text) if (!strcmp(name, #verdict)) return text;
	SLUICE_VERDICTS(X)
#undef X
	return "";
}

/* "10.0.0.2:80 > 10.1.0.2:1234 tcp" */
static void print_packet(struct json_object *o)
{
	const char *source = cli_text(o, "source", NULL), *destination = cli_text(o, "destination", NULL), *protocol;
	struct json_object *port;
	bool ip6 = !strcmp(cli_text(o, "family", ""), "ipv6");
	bool ports = json_object_object_get_ex(o, "source_port", &port);

	printf(", %" PRIu64 " bytes", cli_number(o, "bytes"));
	if (!source || !destination) {
		fputs(", not IP", stdout);
		return;
	}
	protocol = config_protocol_name((int16_t)cli_number(o, "protocol"));
	if (ports)
		printf(ip6 ? ", [%s]:%" PRIu64 " > [%s]:%" PRIu64 : ", %s:%" PRIu64 " > %s:%" PRIu64, source,
		       cli_number(o, "source_port"), destination, cli_number(o, "destination_port"));
	else
		printf(", %s > %s", source, destination);
	if (protocol)
		printf(", %s", protocol);
	else
		printf(", protocol %" PRIu64, cli_number(o, "protocol"));
	if (cli_bool(o, "fragment"))
		fputs(", fragment", stdout);
}

static void print_line(struct json_object *o)
{
	const char *kind = cli_text(o, "kind", "?");
	struct json_object *vlans = cli_array(o, "vlan");

	if (!strcmp(kind, "lost")) {
		printf("(%" PRIu64 " records lost: the buffers were full)\n", cli_number(o, "records"));
		return;
	}
	printf("%" PRIu64 ".%09" PRIu64 " ", cli_number(o, "time_ns") / 1000000000, cli_number(o, "time_ns") % 1000000000);
	if (strcmp(kind, "verdict") != 0)
		printf("#%" PRIu64 ".%" PRIu64 " ", cli_number(o, "worker"), cli_number(o, "packet"));
	if (!strcmp(kind, "verdict")) {
		const char *verdict = cli_text(o, "verdict", "?"), *rule = cli_text(o, "rule", NULL);

		printf("xdp %s queue %" PRIu64, cli_text(o, "port", "?"), cli_number(o, "queue"));
		for (size_t i = 0; i < cli_length(vlans); i++)
			printf("%s%d", i ? "." : ", VLAN ", json_object_get_int(json_object_array_get_idx(vlans, i)));
		print_packet(o);
		printf(": %s (%s)", verdict, verdict_text(verdict));
		if (rule)
			printf(", rule %s", rule);
	} else if (!strcmp(kind, "rx")) {
		printf("received on %s", cli_text(o, "interface", cli_text(o, "port", "?")));
		print_packet(o);
	} else if (!strcmp(kind, "stage")) {
		printf("  %s", cli_text(o, "stage", "?"));
		if (cli_text(o, "out", NULL))
			printf(", out by %s", cli_text(o, "out", ""));
	} else if (!strcmp(kind, "drop")) {
		printf("  dropped: %s (%s)", cli_text(o, "drop", "?"), drop_text(cli_text(o, "drop", "")));
	} else {
		printf("%s", kind);
	}
	putchar('\n');
}

/* ---- The stream -------------------------------------------------------------------------------------------------- */

static void show(struct trace *t, struct json_object *o)
{
	if (t->o->common.json)
		puts(json_object_to_json_string_ext(o, JSON_C_TO_STRING_PLAIN));
	else
		print_line(o);
}

static void forget_story(struct story *s)
{
	for (unsigned int i = 0; i < s->n_lines; i++)
		json_object_put(s->lines[i]);
	s->n_lines = 0;
}

static struct story *find_story(struct trace *t, uint64_t worker, uint64_t packet)
{
	for (unsigned int i = 0; i < STORIES; i++)
		if (t->stories[i].n_lines && t->stories[i].packet == packet && t->stories[i].worker == worker)
			return &t->stories[i];
	return NULL;
}

/* Hold a line back; when the packet is dropped, tell its whole story. The oldest story gives way to a new one. */
static void take_for_drops(struct trace *t, struct json_object *o, const char *kind)
{
	uint64_t packet = cli_number(o, "packet"), worker = cli_number(o, "worker");
	struct story *s;

	if (!strcmp(kind, "lost")) {
		show(t, o);
		return;
	}
	if (!strcmp(kind, "verdict")) {
		if (!strncmp(cli_text(o, "verdict", ""), "drop_", strlen("drop_"))) {
			show(t, o);
			t->shown++;
		}
		return;
	}
	s = find_story(t, worker, packet);
	if (!s) {
		s = &t->stories[t->next_story++ % STORIES];
		forget_story(s);
		s->packet = packet;
		s->worker = worker;
	}
	if (s->n_lines < STORY_LINES)
		s->lines[s->n_lines++] = json_object_get(o);
	if (strcmp(kind, "drop") != 0)
		return;
	for (unsigned int i = 0; i < s->n_lines; i++)
		show(t, s->lines[i]);
	forget_story(s);
	t->shown++;
}

static int take_line(struct trace *t, const char *line, struct fault *f)
{
	struct json_object *o = json_tokener_parse(line);
	const char *kind = cli_text(o, "kind", NULL);

	if (!kind) {
		json_object_put(o);
		fault_set(f, EPROTO, "the stream makes no sense: %.80s", line);
		return CLI_FAILED;
	}
	if (t->o->drops) {
		take_for_drops(t, o, kind);
	} else {
		show(t, o);
		/* What the program redirects is received by the engine next, and counts there. */
		t->shown += !strcmp(kind, "rx") || (!strcmp(kind, "verdict") &&
						    strncmp(cli_text(o, "verdict", ""), "redirect_", strlen("redirect_")) != 0);
	}
	json_object_put(o);
	return CLI_OK;
}

static int follow(struct trace *t, struct client *c, struct fault *f)
{
	for (;;) {
		char *line;
		ssize_t n;

		while ((line = client_line(c))) {
			int code = take_line(t, line, f);

			if (code != CLI_OK)
				return code;
			if (t->o->count && t->shown >= t->o->count)
				return CLI_OK;
		}
		if (fflush(stdout))	/* for whoever reads along */
			return CLI_OK;
		n = client_fill(c);
		if (n == 0)
			return CLI_OK;
		if (n < 0 && n != -EINTR) {
			fault_set(f, (int)-n, "control socket: %s", strerror((int)-n));
			return CLI_UNREACHABLE;
		}
	}
}

static int trace(const struct trace_options *o, struct fault *f)
{
	struct trace *t = calloc(1, sizeof(*t));
	struct json_object *request, *result;
	struct client c = { .fd = -1 };
	int code;

	if (!t) {
		fault_set(f, ENOMEM, "no memory");
		return CLI_FAILED;
	}
	t->o = o;
	request = build_request(o);
	code = add_filters(request, o, f);
	if (code == CLI_OK)
		code = client_open(&c, &o->common, f);
	if (code != CLI_OK) {
		json_object_put(request);
	} else {
		code = client_ask(&c, request, &result, f);
		if (code == CLI_OK) {
			json_object_put(result);
			code = follow(t, &c, f);
		}
		client_close(&c);
	}
	for (unsigned int i = 0; i < STORIES; i++)
		forget_story(&t->stories[i]);
	free(t);
	return code;
}

/* ---- The command line -------------------------------------------------------------------------------------------- */

enum { OPT_SOURCE = CLI_OPT_OWN, OPT_DESTINATION, OPT_SOURCE_PORT, OPT_DESTINATION_PORT, OPT_EITHER_WAY, OPT_SAMPLE,
       OPT_DROPS };

/* An address or prefix whose family must go with the others'. */
static int take_prefix(const struct cli_command *cmd, struct trace_options *o, const char *option, const char **to)
{
	struct config_prefix prefix;
	struct config_ip ip;
	const char *family;
	struct fault f;

	if (strchr(optarg, '/') ? config_parse_prefix(optarg, &prefix, &f) : config_parse_ip(optarg, &ip, &f))
		return cli_usage_error(cmd, "%s: %s", option, f.text);
	family = strchr(optarg, ':') ? "ipv6" : "ipv4";
	if (o->family && strcmp(o->family, family) != 0)
		return cli_usage_error(cmd, "%s: %s is of another family than what was said before", option, optarg);
	o->family = family;
	*to = optarg;
	return -1;
}

static int take_port(const struct cli_command *cmd, const char *option, long *to)
{
	unsigned long v;

	if (cli_uint(cmd, option, optarg, 0, 65535, &v) != CLI_OK)
		return CLI_USAGE;
	*to = (long)v;
	return -1;
}

static int take_option(const struct cli_command *cmd, struct trace_options *o, int opt)
{
	struct fault f;

	switch (opt) {
	case 'p':
		o->port = optarg;
		return -1;
	case 'P':
		if (config_parse_protocol(optarg, &o->protocol, &f))
			return cli_usage_error(cmd, "--protocol: %s", f.text);
		return -1;
	case OPT_SOURCE:
		return take_prefix(cmd, o, "--source", &o->source);
	case OPT_DESTINATION:
		return take_prefix(cmd, o, "--destination", &o->destination);
	case OPT_SOURCE_PORT:
		return take_port(cmd, "--source-port", &o->source_port);
	case OPT_DESTINATION_PORT:
		return take_port(cmd, "--destination-port", &o->destination_port);
	case OPT_EITHER_WAY:
		o->either_way = true;
		return -1;
	case OPT_DROPS:
		o->drops = true;
		return -1;
	case OPT_SAMPLE:
		return cli_uint(cmd, "--sample", optarg, 1, UINT32_MAX, &o->sample) == CLI_OK ? -1 : CLI_USAGE;
	case 'c':
		return cli_uint(cmd, "--count", optarg, 1, UINT32_MAX, &o->count) == CLI_OK ? -1 : CLI_USAGE;
	default:
		return cli_common_option(cmd, &o->common, opt);
	}
}

static int run(const struct cli_command *cmd, int argc, char **argv)
{
	static const struct option options[] = {
		CLI_COMMON_LONG,
		{ "port", required_argument, NULL, 'p' },
		{ "protocol", required_argument, NULL, 'P' },
		{ "source", required_argument, NULL, OPT_SOURCE },
		{ "destination", required_argument, NULL, OPT_DESTINATION },
		{ "source-port", required_argument, NULL, OPT_SOURCE_PORT },
		{ "destination-port", required_argument, NULL, OPT_DESTINATION_PORT },
		{ "either-way", no_argument, NULL, OPT_EITHER_WAY },
		{ "drops", no_argument, NULL, OPT_DROPS },
		{ "sample", required_argument, NULL, OPT_SAMPLE },
		{ "count", required_argument, NULL, 'c' },
		{ NULL, 0, NULL, 0 },
	};
	struct trace_options o = {
		.common = CLI_COMMON_INIT, .protocol = -1, .source_port = -1, .destination_port = -1,
	};
	struct fault f = { 0 };
	int opt, code;

	while ((opt = getopt_long(argc, argv, "p:P:c:" CLI_COMMON_SHORT, options, NULL)) != -1) {
		code = take_option(cmd, &o, opt);
		if (code >= 0)
			return code;
	}
	if ((o.source_port >= 0 || o.destination_port >= 0) && o.protocol < 0)
		return cli_usage_error(cmd, "a port needs --protocol, tcp or udp");
	o.expr = filter_join(argc - optind, argv + optind);
	code = trace(&o, &f);
	free(o.expr);
	return code == CLI_OK ? CLI_OK : cli_fail(code, &f);
}

const struct cli_command cmd_trace = {
	.name = "trace",
	.summary = "why packets go where they go: verdicts, stages, drops",
	.usage = "trace [OPTION...] [FILTER...]\n\n"
		 "Follow packets until SIGINT: what the XDP program decided, which stages of the engine they passed, why they were\n"
		 "dropped. The options choose for both; FILTER, an expression as in pcap-filter(7), for the engine only.\n\n"
		 "  -p, --port PORT            received on this port\n"
		 "  -P, --protocol PROTOCOL    a name such as tcp, or a number\n"
		 "      --source PREFIX        an address or a prefix\n"
		 "      --destination PREFIX\n"
		 "      --source-port N\n"
		 "      --destination-port N\n"
		 "      --either-way           replies to such packets, too\n"
		 "      --drops                only packets that are dropped, each with its story\n"
		 "      --sample N             one packet in N\n"
		 "  -c, --count N              end after N packets\n"
		 "  -i, --instance NAME        which gateway, default \"sluice\"\n"
		 "  -s, --socket PATH          its control socket, if it is not the default\n"
		 "      --json                 one line of JSON for each event\n"
		 "  -h, --help                 this text\n",
	.run = run,
};
