/* SPDX-License-Identifier: MIT */
/* The client's side of the control socket. */
#ifndef USER_CLI_CLIENT_H
#define USER_CLI_CLIENT_H

#include <json-c/json.h>
#include <stddef.h>
#include <sys/types.h>

#include "common/fault.h"
#include "user/cli/cli.h"

struct client {
	int fd;
	char *buf;		/* what was read and not yet used: [at, len) */
	size_t at, len, size;
};

/**
 * client_open() - Connect to the instance that the options name.
 *
 * Return: CLI_OK, or the exit code with the reason in @f
 */
int client_open(struct client *c, const struct cli_common *common, struct fault *f);
void client_close(struct client *c);

/**
 * client_ask() - Send a request, wait for its reply.
 * @request: given away
 * @result:  the reply's "result", to be put by the caller; the request's error is a failure
 *
 * Return: CLI_OK, or the exit code with the reason in @f
 */
int client_ask(struct client *c, struct json_object *request, struct json_object **result, struct fault *f);

/** client_request() - A request object for a command, to add arguments to. */
struct json_object *client_request(const char *cmd);

/** client_query() - Connect, ask, close: for commands that ask once. @request: given away */
int client_query(const struct cli_common *common, struct json_object *request, struct json_object **result,
		 struct fault *f);

/**
 * client_fill() - Read more of a stream into the buffer, whatever comes.
 *
 * Return: bytes, 0 at its end, -errno
 */
ssize_t client_fill(struct client *c);

/** client_buffered() - What is in the buffer. */
static inline size_t client_buffered(const struct client *c)
{
	return c->len - c->at;
}

/** client_line() - The next line of the buffer, its newline cut off. Return: NULL until there is a whole one */
char *client_line(struct client *c);

#endif
