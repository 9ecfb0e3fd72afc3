/* SPDX-License-Identifier: MIT */
/*
 * The control socket: a Unix stream socket on which clients ask, one line of JSON for each request.
 *
 *	{"cmd": "stats", "port": "lan"}                     request: an object, its members beside "cmd" are arguments
 *	{"ok": true, "result": {...}}                       reply: one line
 *	{"ok": false, "errno": 2, "error": "no port lan"}   the same when it failed
 *
 * A reply with "stream": true is followed by what the command sends, lines or records, until one side closes. The
 * formats of all commands are in user/control/api.h.
 *
 * Everything is bounded: clients, bytes of a request, nesting, bytes that wait for a client that does not read, time
 * that a silent client keeps its place. Who may connect is the file mode's and the group's business.
 *
 * All of it runs in the thread of its loop.
 */
#ifndef USER_CONTROL_SERVER_H
#define USER_CONTROL_SERVER_H

#include <json-c/json.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "common/fault.h"
#include "user/control/loop.h"

enum {
	SERVER_REQUEST_MAX = 64 * 1024,		/* bytes of one request line */
	SERVER_REPLY_MAX = 32 * 1024 * 1024,	/* bytes of one reply line: longer answers are paged */
	SERVER_JSON_DEPTH = 8,			/* nesting of a request */
	SERVER_COMMANDS_MAX = 32,
	SERVER_CLIENTS_MAX = 64,
	SERVER_IDLE_S = 60,			/* a client that neither asks nor listens to a stream is sent away */
};

struct server;
struct server_stream;

/** struct server_request - What a handler is given. */
struct server_request {
	struct json_object *args;	/* the request, "cmd" included; borrowed */
	struct json_object *result;	/* an empty object to be filled in */
	uid_t uid;			/* of the client's process */
	pid_t pid;
	struct server_stream *stream;	/* private */
	bool streams;			/* private */
};

/**
 * server_fn - Answer one request.
 *
 * Return: 0 with rq->result filled in, or -errno with the reason in @f
 */
typedef int server_fn(void *ctx, struct server_request *rq, struct fault *f);

/** server_closed_fn - The client of a stream has gone; the stream must not be used any more. */
typedef void server_closed_fn(void *stream_ctx);

struct server_command {
	const char *name;
	const char *help;		/* one line, for {"cmd": "help"} */
	const char *const *args;	/* names it takes, ends with NULL; NULL = none. Others are refused */
	server_fn *fn;
};

struct server_params {
	const char *path;		/* absolute */
	unsigned int mode;		/* permission bits of the socket */
	const char *group;		/* NULL or "" = the process's */
	unsigned int max_clients;	/* 1..SERVER_CLIENTS_MAX */
	size_t stream_buffer_bytes;	/* most that waits for one client of a stream */
};

/**
 * server_create() - Listen.
 *
 * A folder that is missing is made. The path is owned by a lock beside it (PATH.lock), so that the socket a dead
 * process left is replaced, and a living one's is not, even if that one is too busy to answer.
 *
 * Return: 0, -EADDRINUSE when an instance has the path, or -errno
 */
int server_create(struct server **out, struct loop *l, const struct server_params *params, struct fault *f);

/** server_destroy() - Send clients away (the closed functions of streams are called), remove the socket. NULL is fine. */
void server_destroy(struct server *s);

/** server_add_command() - @cmd must outlive the server. Return: 0, -EEXIST, or -ENOSPC */
int server_add_command(struct server *s, const struct server_command *cmd, void *ctx);

/**
 * server_request_stream() - In a handler: what follows the reply is a stream.
 * @closed: called once when the client goes, or at server_destroy(); not after server_stream_end()
 */
struct server_stream *server_request_stream(struct server_request *rq, server_closed_fn *closed, void *stream_ctx);

/**
 * server_stream_write() - Send bytes on a stream, all or none; after the handler that opened it has returned.
 *
 * Return: false when they do not fit what may wait for this client: the caller counts the loss and goes on
 */
bool server_stream_write(struct server_stream *st, const void *data, size_t len);

/** server_stream_room() - How many bytes server_stream_write() would take now. */
size_t server_stream_room(const struct server_stream *st);

/** server_stream_end() - Close when all has been sent; the stream must not be used any more. */
void server_stream_end(struct server_stream *st);

/* ---- Requests: used by the server and by its handlers ------------------------------------------------------------ */

/**
 * server_parse_request() - A line to an object with a string "cmd".
 * @line: @len bytes without the newline
 * Return: 0 with *@out to be put, or -EINVAL
 */
int server_parse_request(const char *line, size_t len, struct json_object **out, struct fault *f);

/**
 * server_arg_uint() - A number among the arguments. *@value stays as it is when there is none.
 * Return: 0, or -EINVAL when it is no whole number of @min to @max
 */
int server_arg_uint(struct json_object *args, const char *name, uint64_t min, uint64_t max, uint64_t *value,
		    struct fault *f);

/** server_arg_string() - *@value points into @args; it stays as it is when there is none. */
int server_arg_string(struct json_object *args, const char *name, const char **value, struct fault *f);
int server_arg_bool(struct json_object *args, const char *name, bool *value, struct fault *f);

/** server_arg_word() - A string that must be one of @words (ends with NULL); *@index is its place. */
int server_arg_word(struct json_object *args, const char *name, const char *const *words, unsigned int *index,
		    struct fault *f);

#endif
