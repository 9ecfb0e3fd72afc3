// SPDX-License-Identifier: MIT
/* A request line of the control socket: parsed or refused with a text, and arguments of every kind taken from it. */
#include "user/control/server.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void want(bool holds)
{
	if (!holds)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char *const words[] = { "both", "in", "out", NULL };
	struct json_object *request;
	struct fault f = { 0 };

	if (server_parse_request((const char *)data, size, &request, &f)) {
		want(f.text[0] && !strchr(f.text, '\n'));
		return 0;
	}
	want(json_object_is_type(json_object_object_get(request, "cmd"), json_type_string));
	json_object_object_foreach(request, key, value) {
		const char *text = "untouched";
		unsigned int word = 99;
		uint64_t n = 5;
		bool flag = true;

		(void)value;
		want(server_arg_uint(request, key, 3, 1000, &n, &f) == 0 || n == 5);
		want(n >= 3 && n <= 1000);
		want(server_arg_string(request, key, &text, &f) == 0 || !strcmp(text, "untouched"));
		want(server_arg_word(request, key, words, &word, &f) == 0 ? word < 3 : word == 99);
		want(server_arg_bool(request, key, &flag, &f) == 0 || flag);
	}
	json_object_put(request);
	return 0;
}
