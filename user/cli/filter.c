// SPDX-License-Identifier: MIT
#include "user/cli/filter.h"

#include <errno.h>
#include <pcap/pcap.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "user/cli/cli.h"
#include "user/control/api.h"

int filter_compile(int linktype, const char *expr, struct json_object **program, struct fault *f)
{
	pcap_t *dead = pcap_open_dead(linktype, API_SNAPLEN_MAX);
	struct bpf_program prog;
	int code = CLI_OK;

	if (!dead) {
		fault_set(f, ENOMEM, "libpcap: no memory");
		return CLI_FAILED;
	}
	if (pcap_compile(dead, &prog, expr, 1, PCAP_NETMASK_UNKNOWN) < 0) {
		fault_set(f, EINVAL, "filter \"%s\": %s", expr, pcap_geterr(dead));
		pcap_close(dead);
		return CLI_USAGE;
	}
	if (prog.bf_len > API_FILTER_MAX) {
		fault_set(f, EINVAL, "filter \"%s\": %u instructions are too many, at most %d", expr, prog.bf_len,
			  API_FILTER_MAX);
		code = CLI_USAGE;
	} else {
		*program = json_object_new_array();
		for (unsigned int i = 0; i < prog.bf_len; i++) {
			const struct bpf_insn *insn = &prog.bf_insns[i];
			struct json_object *row = json_object_new_array();

			json_object_array_add(row, json_object_new_int(insn->code));
			json_object_array_add(row, json_object_new_int(insn->jt));
			json_object_array_add(row, json_object_new_int(insn->jf));
			json_object_array_add(row, json_object_new_int64(insn->k));
			json_object_array_add(*program, row);
		}
	}
	pcap_freecode(&prog);
	pcap_close(dead);
	return code;
}

char *filter_join(int n, char **words)
{
	size_t len = 1, at = 0;
	char *text;

	if (n <= 0)
		return NULL;
	for (int i = 0; i < n; i++)
		len += strlen(words[i]) + 1;
	text = malloc(len);
	if (!text)
		return NULL;
	for (int i = 0; i < n; i++)
		at += (size_t)snprintf(text + at, len - at, "%s%s", i ? " " : "", words[i]);
	return text;
}
