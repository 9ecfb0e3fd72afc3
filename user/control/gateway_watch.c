/* SPDX-License-Identifier: MIT */
/* Watching packets from the control socket: what captures and the trace share. */
#include "user/control/gateway_watch.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>

#include "common/bytes.h"
#include "user/gateway/trace.h"

static_assert(API_FILTER_MAX <= TAP_FILTER_MAX, "what is accepted fits");
static_assert(API_FILTER_MAX <= TRACE_FILTER_MAX, "what is accepted fits");

/* One field of an instruction; false when it is no number of its range. */
static bool insn_field(struct json_object *insn, size_t i, uint32_t max, uint32_t *value)
{
	struct json_object *o = json_object_array_get_idx(insn, i);
	int64_t v;

	if (!json_object_is_type(o, json_type_int))
		return false;
	v = json_object_get_int64(o);
	if (v < 0 || v > max)
		return false;
	*value = (uint32_t)v;
	return true;
}

static bool insn_parse(struct json_object *o, struct bpf_insn *insn)
{
	uint32_t code, jt, jf, k;

	if (!json_object_is_type(o, json_type_array) || json_object_array_length(o) != 4)
		return false;
	if (!insn_field(o, 0, UINT16_MAX, &code) || !insn_field(o, 1, UINT8_MAX, &jt) ||
	    !insn_field(o, 2, UINT8_MAX, &jf) || !insn_field(o, 3, UINT32_MAX, &k))
		return false;
	*insn = (struct bpf_insn){ .code = (u_short)code, .jt = (u_char)jt, .jf = (u_char)jf, .k = k };
	return true;
}

int watch_arg_filter(struct json_object *args, const char *name, struct watch_filter *filter, struct fault *f)
{
	struct json_object *list;
	unsigned int n;

	filter->n = 0;
	if (!json_object_object_get_ex(args, name, &list))
		return 0;
	if (!json_object_is_type(list, json_type_array) || json_object_array_length(list) == 0)
		return fault_set(f, EINVAL, "\"%s\" is no program: [[code, jt, jf, k], ...] is wanted", name);
	if (json_object_array_length(list) > API_FILTER_MAX)
		return fault_set(f, EINVAL, "\"%s\" has %zu instructions, at most %d are possible", name,
				 json_object_array_length(list), API_FILTER_MAX);
	n = (unsigned int)json_object_array_length(list);
	for (unsigned int i = 0; i < n; i++) {
		struct bpf_insn *insn = &filter->insns[i];

		if (!insn_parse(json_object_array_get_idx(list, i), insn))
			return fault_set(f, EINVAL, "\"%s\": instruction %u is not [code, jt, jf, k]", name, i);
		if (insn->code == (BPF_JMP | BPF_JA) && insn->k >= n - i - 1)
			return fault_set(f, EINVAL, "\"%s\": instruction %u jumps back or out of the program: loops, as "
					 "of \"protochain\", are not taken", name, i);
	}
	if (!bpf_validate(filter->insns, (int)n))
		return fault_set(f, EINVAL, "\"%s\" is no valid program", name);
	filter->n = n;
	return 0;
}

int gw_watch_init(struct gateway *gw, struct fault *f)
{
	int err;

	gw->watch = calloc(1, sizeof(*gw->watch));
	if (!gw->watch)
		return fault_set(f, ENOMEM, "no memory for captures");
	err = server_add_command(gw->server, &watch_command_capture, gw);
	if (!err)
		err = server_add_command(gw->server, &watch_command_trace, gw);
	return err;
}

void gw_watch_fini(struct gateway *gw)
{
	/* The server has gone before, and with each client what it had started. */
	free(gw->watch);
	gw->watch = NULL;
}
