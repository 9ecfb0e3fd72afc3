// SPDX-License-Identifier: MIT
#include "user/cli/client.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "user/control/config.h"
#include "user/control/server.h"

enum { BUF_MIN = 64 * 1024 };

static int connect_fault(const char *instance, const char *path, int err, struct fault *f)
{
	if (err == EACCES || err == EPERM) {
		fault_set(f, err, "control socket %s: not permitted; its mode and group say who may", path);
		return CLI_NOT_PERMITTED;
	}
	if (err == ENOENT || err == ECONNREFUSED)
		fault_set(f, err, "no instance \"%s\" is running (%s: %s)", instance, path, strerror(err));
	else
		fault_set(f, err, "control socket %s: %s", path, strerror(err));
	return CLI_UNREACHABLE;
}

int client_open(struct client *c, const struct cli_common *common, struct fault *f)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	char path[sizeof(addr.sun_path)];
	int err;

	memset(c, 0, sizeof(*c));
	c->fd = -1;
	if (common->socket && strlen(common->socket) >= sizeof(path)) {
		fault_set(f, EINVAL, "--socket: the path is too long, at most %zu characters", sizeof(path) - 1);
		return CLI_USAGE;
	}
	if (common->socket) {
		snprintf(path, sizeof(path), "%s", common->socket);
	} else if (!config_default_socket(common->instance, path, sizeof(path))) {
		fault_set(f, EINVAL, "\"%s\" is no name of an instance: letters, digits, '-' and '_' only",
			  common->instance);
		return CLI_USAGE;
	}
	memcpy(addr.sun_path, path, sizeof(path));
	c->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (c->fd < 0) {
		fault_errno(f, "control socket");
		return CLI_FAILED;
	}
	if (connect(c->fd, (struct sockaddr *)&addr, sizeof(addr)) == 0)
		return CLI_OK;
	err = errno;
	client_close(c);
	return connect_fault(common->instance, path, err, f);
}

void client_close(struct client *c)
{
	if (c->fd >= 0)
		close(c->fd);
	free(c->buf);
	memset(c, 0, sizeof(*c));
	c->fd = -1;
}

ssize_t client_fill(struct client *c)
{
	ssize_t n;

	if (c->at > 0) {
		memmove(c->buf, c->buf + c->at, c->len - c->at);
		c->len -= c->at;
		c->at = 0;
	}
	if (c->size - c->len < BUF_MIN) {
		size_t size = c->size ? 2 * c->size : (size_t)BUF_MIN * 2;
		char *buf;

		if (size > 4 * (size_t)SERVER_REPLY_MAX)
			return -EMSGSIZE;
		buf = realloc(c->buf, size);
		if (!buf)
			return -ENOMEM;
		c->buf = buf;
		c->size = size;
	}
	n = read(c->fd, c->buf + c->len, c->size - c->len);
	if (n < 0)
		return -errno;
	c->len += (size_t)n;
	return n;
}

char *client_line(struct client *c)
{
	char *line = c->buf + c->at, *newline;

	if (c->at == c->len)
		return NULL;
	newline = memchr(line, '\n', c->len - c->at);
	if (!newline)
		return NULL;
	*newline = '\0';
	c->at += (size_t)(newline - line) + 1;
	return line;
}

static int send_all(struct client *c, const char *text, size_t len, struct fault *f)
{
	for (size_t at = 0; at < len;) {
		ssize_t n = send(c->fd, text + at, len - at, MSG_NOSIGNAL);

		if (n < 0 && errno == EINTR)
			continue;
		/* A server with too many clients says so and closes: its words wait to be read. */
		if (n < 0 && (errno == EPIPE || errno == ECONNRESET))
			return 0;
		if (n < 0)
			return fault_errno(f, "control socket: send");
		at += (size_t)n;
	}
	return 0;
}

static int reply_fault(struct json_object *reply, struct fault *f)
{
	int err = (int)cli_number(reply, "errno");

	fault_set(f, err, "%s", cli_text(reply, "error", "the instance's reply makes no sense"));
	return err == EINVAL || err == EOPNOTSUPP ? CLI_USAGE : err ? cli_exit_for(-err) : CLI_FAILED;
}

struct json_object *client_request(const char *cmd)
{
	struct json_object *request = json_object_new_object();

	json_object_object_add(request, "cmd", json_object_new_string(cmd));
	return request;
}

int client_ask(struct client *c, struct json_object *request, struct json_object **result, struct fault *f)
{
	struct json_object *reply, *found;
	const char *text = json_object_to_json_string_ext(request, JSON_C_TO_STRING_PLAIN);
	char *answer;
	int err;

	err = send_all(c, text, strlen(text), f);
	if (!err)
		err = send_all(c, "\n", 1, f);
	json_object_put(request);
	if (err)
		return CLI_UNREACHABLE;
	while (!(answer = client_line(c))) {
		ssize_t n = client_fill(c);

		if (n > 0 || n == -EINTR)
			continue;
		if (n == 0)
			fault_set(f, ECONNRESET, "the instance has closed the connection");
		else
			fault_set(f, (int)-n, "control socket: %s", strerror((int)-n));
		return CLI_UNREACHABLE;
	}
	reply = json_tokener_parse(answer);
	if (!cli_bool(reply, "ok")) {
		err = reply_fault(reply, f);
		json_object_put(reply);
		return err;
	}
	found = cli_object(reply, "result");
	*result = found ? json_object_get(found) : json_object_new_object();
	json_object_put(reply);
	return CLI_OK;
}

int client_query(const struct cli_common *common, struct json_object *request, struct json_object **result,
		 struct fault *f)
{
	struct client c;
	int code = client_open(&c, common, f);

	if (code != CLI_OK) {
		json_object_put(request);
		return code;
	}
	code = client_ask(&c, request, result, f);
	client_close(&c);
	return code;
}
