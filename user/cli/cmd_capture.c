// SPDX-License-Identifier: MIT
/*
 * sluice capture: packets of a port into a pcap file with nanoseconds.
 *
 * SIGINT and SIGTERM come through a signalfd that is polled beside the socket: whatever they interrupt, the file is
 * closed whole.
 */
#include "user/cli/cli.h"

#include <errno.h>
#include <inttypes.h>
#include <pcap/pcap.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "user/cli/client.h"
#include "user/cli/filter.h"
#include "user/control/api.h"

struct capture_options {
	struct cli_common common;
	const char *port;
	const char *file;
	const char *direction;
	char *expr;		/* NULL = everything */
	unsigned long snaplen;
	unsigned long count;	/* 0 = without end */
};

struct capture {
	struct client client;
	pcap_t *dead;
	pcap_dumper_t *dumper;
	bool flush_each;	/* somebody reads along */
	uint64_t pkts, lost;
};

/* What lies on the port says what filters and the file are about. */
static int ask_linktype(struct capture *cap, const char *port, int *linktype, struct fault *f)
{
	struct json_object *request = client_request("ports"), *result, *ports;
	int code;

	json_object_object_add(request, "port", json_object_new_string(port));
	code = client_ask(&cap->client, request, &result, f);
	if (code != CLI_OK)
		return code;
	ports = cli_array(result, "ports");
	if (cli_length(ports) == 1)
		*linktype = strcmp(cli_text(json_object_array_get_idx(ports, 0), "kind", ""), "tun") ? DLT_EN10MB : DLT_RAW;
	else
		code = CLI_FAILED;
	json_object_put(result);
	if (code != CLI_OK)
		fault_set(f, ENODEV, "there is no port \"%s\"", port);
	return code;
}

static int start(struct capture *cap, const struct capture_options *o, int linktype, struct fault *f)
{
	struct json_object *request = client_request("capture"), *program, *result;
	int code;

	json_object_object_add(request, "port", json_object_new_string(o->port));
	json_object_object_add(request, "direction", json_object_new_string(o->direction));
	json_object_object_add(request, "snaplen", json_object_new_uint64(o->snaplen));
	if (o->count)
		json_object_object_add(request, "count", json_object_new_uint64(o->count));
	if (o->expr) {
		code = filter_compile(linktype, o->expr, &program, f);
		if (code != CLI_OK) {
			json_object_put(request);
			return code;
		}
		json_object_object_add(request, "filter", program);
	}
	code = client_ask(&cap->client, request, &result, f);
	if (code == CLI_OK)
		json_object_put(result);
	return code;
}

static int open_file(struct capture *cap, const struct capture_options *o, int linktype, struct fault *f)
{
	cap->dead = pcap_open_dead_with_tstamp_precision(linktype, (int)o->snaplen, PCAP_TSTAMP_PRECISION_NANO);
	if (!cap->dead) {
		fault_set(f, ENOMEM, "libpcap: no memory");
		return CLI_FAILED;
	}
	cap->dumper = pcap_dump_open(cap->dead, o->file);
	if (!cap->dumper) {
		fault_set(f, EIO, "%s", pcap_geterr(cap->dead));
		return CLI_FAILED;
	}
	cap->flush_each = !strcmp(o->file, "-");
	return CLI_OK;
}

/* Write the whole records of the buffer. Return: CLI_OK, or CLI_FAILED */
static int take_records(struct capture *cap, const struct capture_options *o, struct fault *f)
{
	struct client *c = &cap->client;
	struct api_capture_record r;

	while (client_buffered(c) >= sizeof(r) && (!o->count || cap->pkts < o->count)) {
		struct pcap_pkthdr h;

		memcpy(&r, c->buf + c->at, sizeof(r));
		if (r.caplen > API_SNAPLEN_MAX) {
			fault_set(f, EPROTO, "the stream makes no sense: a record of %u bytes", r.caplen);
			return CLI_FAILED;
		}
		if (client_buffered(c) < sizeof(r) + r.caplen)
			break;
		h.ts.tv_sec = (time_t)(r.time_ns / 1000000000);
		h.ts.tv_usec = (suseconds_t)(r.time_ns % 1000000000);	/* nanoseconds, by the file's precision */
		h.caplen = r.caplen;
		h.len = r.len;
		pcap_dump((u_char *)cap->dumper, &h, (u_char *)c->buf + c->at + sizeof(r));
		c->at += sizeof(r) + r.caplen;
		cap->pkts++;
		cap->lost += r.lost;
	}
	if ((cap->flush_each && pcap_dump_flush(cap->dumper)) || ferror(pcap_dump_file(cap->dumper))) {
		fault_set(f, EIO, "%s: cannot be written", o->file);
		return CLI_FAILED;
	}
	return CLI_OK;
}

/* Until a signal, the count or the instance ends it. */
static int follow(struct capture *cap, const struct capture_options *o, int signal_fd, struct fault *f)
{
	int code = take_records(cap, o, f);

	while (code == CLI_OK && (!o->count || cap->pkts < o->count)) {
		struct pollfd fds[] = { { cap->client.fd, POLLIN, 0 }, { signal_fd, POLLIN, 0 } };
		ssize_t n;

		if (poll(fds, 2, -1) < 0 && errno != EINTR) {
			fault_errno(f, "poll");
			return CLI_FAILED;
		}
		if (fds[1].revents)
			break;
		if (!fds[0].revents)
			continue;
		n = client_fill(&cap->client);
		if (n == 0)
			break;
		if (n < 0 && n != -EINTR) {
			fault_set(f, (int)-n, "control socket: %s", strerror((int)-n));
			return CLI_UNREACHABLE;
		}
		code = take_records(cap, o, f);
	}
	return code;
}

static int capture(const struct capture_options *o, struct fault *f)
{
	struct capture cap = { 0 };
	int linktype = DLT_EN10MB, signal_fd, code;
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGTERM);
	sigprocmask(SIG_BLOCK, &set, NULL);
	signal_fd = signalfd(-1, &set, SFD_CLOEXEC);
	if (signal_fd < 0) {
		fault_errno(f, "signalfd");
		return CLI_FAILED;
	}
	code = client_open(&cap.client, &o->common, f);
	if (code == CLI_OK)
		code = ask_linktype(&cap, o->port, &linktype, f);
	if (code == CLI_OK)
		code = start(&cap, o, linktype, f);
	if (code == CLI_OK)
		code = open_file(&cap, o, linktype, f);
	if (code == CLI_OK)
		code = follow(&cap, o, signal_fd, f);
	if (cap.dumper) {
		if (code == CLI_OK && pcap_dump_flush(cap.dumper)) {
			fault_set(f, EIO, "%s: cannot be written", o->file);
			code = CLI_FAILED;
		}
		pcap_dump_close(cap.dumper);
		if (o->common.json && !cap.flush_each)
			printf("{\"packets\": %" PRIu64 ", \"lost\": %" PRIu64 "}\n", cap.pkts, cap.lost);
		else
			fprintf(stderr, "%" PRIu64 " packets captured, %" PRIu64 " lost for want of room\n", cap.pkts,
				cap.lost);
	}
	if (cap.dead)
		pcap_close(cap.dead);
	client_close(&cap.client);
	close(signal_fd);
	return code;
}

static int run(const struct cli_command *cmd, int argc, char **argv)
{
	static const struct option options[] = {
		CLI_COMMON_LONG,
		{ "write", required_argument, NULL, 'w' },
		{ "count", required_argument, NULL, 'c' },
		{ "snaplen", required_argument, NULL, 'n' },
		{ "direction", required_argument, NULL, 'd' },
		{ NULL, 0, NULL, 0 },
	};
	struct capture_options o = { .common = CLI_COMMON_INIT, .direction = "both", .snaplen = API_SNAPLEN_MAX };
	struct fault f = { 0 };
	int opt, code;

	while ((opt = getopt_long(argc, argv, "w:c:n:d:" CLI_COMMON_SHORT, options, NULL)) != -1) {
		switch (opt) {
		case 'w':
			o.file = optarg;
			break;
		case 'c':
			if (cli_uint(cmd, "--count", optarg, 1, UINT32_MAX, &o.count) != CLI_OK)
				return CLI_USAGE;
			break;
		case 'n':
			if (cli_uint(cmd, "--snaplen", optarg, API_SNAPLEN_MIN, API_SNAPLEN_MAX, &o.snaplen) != CLI_OK)
				return CLI_USAGE;
			break;
		case 'd':
			o.direction = optarg;
			if (strcmp(optarg, "in") != 0 && strcmp(optarg, "out") != 0 && strcmp(optarg, "both") != 0)
				return cli_usage_error(cmd, "--direction: \"%s\" is not known; in, out or both", optarg);
			break;
		default:
			code = cli_common_option(cmd, &o.common, opt);
			if (code >= 0)
				return code;
		}
	}
	if (optind >= argc)
		return cli_usage_error(cmd, "which port? `sluice ports` lists them");
	if (!o.file)
		return cli_usage_error(cmd, "-w FILE is wanted; \"-\" for standard output");
	if (!strcmp(o.file, "-") && isatty(STDOUT_FILENO))
		return cli_usage_error(cmd, "standard output is a terminal, which a pcap file is not for");
	o.port = argv[optind++];
	o.expr = filter_join(argc - optind, argv + optind);
	code = capture(&o, &f);
	free(o.expr);
	return code == CLI_OK ? CLI_OK : cli_fail(code, &f);
}

const struct cli_command cmd_capture = {
	.name = "capture",
	.summary = "write packets of a port into a pcap file",
	.usage = "capture PORT -w FILE [OPTION...] [FILTER...]\n\n"
		 "Packets as they are on the port, with nanoseconds, until SIGINT. FILTER is an expression as in pcap-filter(7);\n"
		 "it sees frames with their VLAN tags, and IP packets on a TUN port.\n\n"
		 "  -w, --write FILE      the file; \"-\" for standard output\n"
		 "  -c, --count N         end after N packets\n"
		 "  -n, --snaplen BYTES   of each packet at most; 16 to 65535, default all\n"
		 "  -d, --direction DIR   in (received), out (sent), both; default both\n"
		 "  -i, --instance NAME   which gateway, default \"sluice\"\n"
		 "  -s, --socket PATH     its control socket, if it is not the default\n"
		 "      --json            the summary as JSON, unless the file is standard output\n"
		 "  -h, --help            this text\n",
	.run = run,
};
