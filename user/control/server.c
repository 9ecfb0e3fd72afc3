// SPDX-License-Identifier: MIT
/*
 * A client is in one of three states: asking (its input is read), behind (a reply waits to be sent: no further input is
 * read until it has gone), streaming (only its end is looked for). Input is read into a buffer of one request's size;
 * output is a buffer that grows up to the bound of a reply or of a stream.
 *
 * Replies are sent from the loop only, never from within a handler: a handler's stream may be written to while its
 * reply has not left yet, and no callback can find its client gone in the middle.
 */
#include "user/control/server.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/log.h"
#include "user/control/config_text.h"
#include "user/control/server_socket.h"

static const uint64_t NS_PER_S = 1000000000;

enum { SWEEP_S = 5, OUT_CHUNK = 16 * 1024 };

struct server_stream {		/* a client; the name is what handlers see of it */
	struct server *server;
	int fd;			/* -1 = slot is free */
	uid_t uid;
	pid_t pid;
	uint64_t active_ns;	/* last request or end of a reply */
	bool streaming;
	bool replied;		/* the reply to the stream's request stands in the output: the stream may follow */
	bool ending;		/* close when all output has gone */
	bool eof;		/* the client has no more requests; what it asked is still answered */
	server_closed_fn *closed;
	void *stream_ctx;
	char *in;		/* SERVER_REQUEST_MAX bytes */
	size_t in_len;
	char *out;
	size_t out_at, out_len, out_size;	/* [out_at, out_len) waits */
};

struct server {
	struct loop *loop;
	struct server_socket socket;
	struct loop_timer sweep;
	size_t stream_buffer_bytes;
	unsigned int max_clients;
	unsigned int n_clients;
	unsigned int n_commands;
	struct {
		const struct server_command *cmd;
		void *ctx;
	} commands[SERVER_COMMANDS_MAX];
	struct server_stream clients[SERVER_CLIENTS_MAX];
};

static void on_client(void *ctx, uint32_t events);

/* ---- Clients ----------------------------------------------------------------------------------------------------- */

static void drop_client(struct server_stream *c)
{
	struct server *s = c->server;
	server_closed_fn *closed = c->streaming ? c->closed : NULL;
	void *stream_ctx = c->stream_ctx;

	loop_del_fd(s->loop, c->fd);
	close(c->fd);
	free(c->in);
	free(c->out);
	memset(c, 0, sizeof(*c));
	c->server = s;
	c->fd = -1;
	s->n_clients--;
	if (s->n_clients == 0)
		loop_del_timer(&s->sweep);
	if (closed)
		closed(stream_ctx);
}

/* What is to be watched follows from the state. */
static void watch_client(struct server_stream *c)
{
	uint32_t events = 0;

	if (c->out_len > c->out_at || c->ending)
		events |= EPOLLOUT;
	else if (!c->streaming && !c->eof)
		events |= EPOLLIN;
	if (c->streaming && !c->ending)
		events |= EPOLLRDHUP;
	if (c->eof && !events)
		events |= EPOLLOUT;	/* nothing left to do: come back to close */
	loop_mod_fd(c->server->loop, c->fd, events);
}

/* Append to the output. Return: false when more than @bound would wait, or without memory */
static bool put_out(struct server_stream *c, const void *data, size_t len, size_t bound)
{
	size_t waiting = c->out_len - c->out_at;

	if (len > bound || waiting > bound - len)
		return false;
	if (c->out_at > 0 && c->out_len + len > c->out_size) {
		memmove(c->out, c->out + c->out_at, waiting);
		c->out_at = 0;
		c->out_len = waiting;
	}
	if (c->out_len + len > c->out_size) {
		size_t size = c->out_size ? c->out_size : OUT_CHUNK;
		char *out;

		while (size < c->out_len + len)
			size *= 2;
		out = realloc(c->out, size);
		if (!out)
			return false;
		c->out = out;
		c->out_size = size;
	}
	memcpy(c->out + c->out_len, data, len);
	c->out_len += len;
	return true;
}

/* Return: false when the client is gone */
static bool flush_client(struct server_stream *c)
{
	while (c->out_at < c->out_len) {
		ssize_t n = send(c->fd, c->out + c->out_at, c->out_len - c->out_at, MSG_NOSIGNAL | MSG_DONTWAIT);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == EAGAIN)
			return true;
		if (n < 0)
			return false;
		c->out_at += (size_t)n;
	}
	c->out_at = c->out_len = 0;
	c->active_ns = loop_now_ns(c->server->loop);
	if (c->out_size > OUT_CHUNK && !c->streaming) {	/* a long reply's memory is not kept */
		free(c->out);
		c->out = NULL;
		c->out_size = 0;
	}
	return true;
}

/* ---- Answers ----------------------------------------------------------------------------------------------------- */

static void send_object(struct server_stream *c, struct json_object *reply)
{
	static const char too_long[] =
		"{\"ok\":false,\"errno\":90,\"error\":\"the reply is too long, ask for a part of it\"}\n";
	size_t len = 0;
	const char *text = json_object_to_json_string_length(reply, JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE,
							     &len);

	if (text && len + 1 < SERVER_REPLY_MAX && put_out(c, text, len, SERVER_REPLY_MAX) &&
	    put_out(c, "\n", 1, SERVER_REPLY_MAX))
		return;
	c->out_len = c->out_at;
	put_out(c, too_long, sizeof(too_long) - 1, SERVER_REPLY_MAX);
	c->ending = true;
}

static void send_error(struct server_stream *c, int err, const char *text)
{
	struct json_object *reply = json_object_new_object();

	json_object_object_add(reply, "ok", json_object_new_boolean(false));
	json_object_object_add(reply, "errno", json_object_new_int(-err));
	json_object_object_add(reply, "error", json_object_new_string(text));
	send_object(c, reply);
	json_object_put(reply);
}

static int check_args(const struct server_command *cmd, struct json_object *args, struct fault *f)
{
	static const char *const none[] = { NULL };
	const char *const *known = cmd->args ? cmd->args : none;

	json_object_object_foreach(args, key, value) {
		const char *near;
		unsigned int i = 0;

		(void)value;
		if (!strcmp(key, "cmd"))
			continue;
		while (known[i] && strcmp(known[i], key) != 0)
			i++;
		if (known[i])
			continue;
		near = config_nearest(key, known);
		if (near)
			return fault_set(f, EINVAL, "%s takes no \"%s\", did you mean \"%s\"?", cmd->name, key, near);
		return fault_set(f, EINVAL, "%s takes no \"%s\"", cmd->name, key);
	}
	return 0;
}

static int run_command(struct server *s, struct server_request *rq, struct fault *f)
{
	const char *names[SERVER_COMMANDS_MAX + 1] = { NULL }, *near;
	const char *name = json_object_get_string(json_object_object_get(rq->args, "cmd"));

	for (unsigned int i = 0; i < s->n_commands; i++) {
		const struct server_command *cmd = s->commands[i].cmd;
		int err;

		names[i] = cmd->name;
		if (strcmp(cmd->name, name) != 0)
			continue;
		err = check_args(cmd, rq->args, f);
		return err ? err : cmd->fn(s->commands[i].ctx, rq, f);
	}
	near = config_nearest(name, names);
	if (near)
		return fault_set(f, EOPNOTSUPP, "there is no command \"%s\", did you mean \"%s\"?", name, near);
	return fault_set(f, EOPNOTSUPP, "there is no command \"%s\", \"help\" lists them", name);
}

static void answer(struct server_stream *c, const char *line, size_t len)
{
	struct server_request rq = { .uid = c->uid, .pid = c->pid, .stream = c };
	struct json_object *reply;
	struct fault f = { 0 };
	int err;

	c->active_ns = loop_now_ns(c->server->loop);
	err = server_parse_request(line, len, &rq.args, &f);
	if (err) {
		send_error(c, err, f.text);
		return;
	}
	rq.result = json_object_new_object();
	err = run_command(c->server, &rq, &f);
	json_object_put(rq.args);
	if (err) {
		/* A stream that was opened and then failed is none: nobody hears of its end. */
		c->streaming = false;
		json_object_put(rq.result);
		send_error(c, err, f.text[0] ? f.text : strerror(-err));
		return;
	}
	reply = json_object_new_object();
	json_object_object_add(reply, "ok", json_object_new_boolean(true));
	json_object_object_add(reply, "result", rq.result);
	if (rq.streams)
		json_object_object_add(reply, "stream", json_object_new_boolean(true));
	send_object(c, reply);
	c->replied = true;
	json_object_put(reply);
}

/* ---- Events ------------------------------------------------------------------------------------------------------ */

/* Answer whole lines, one at a time: the next when the reply to the last has gone. */
static void answer_lines(struct server_stream *c)
{
	while (!c->streaming && !c->ending && c->out_at == c->out_len) {
		char *newline = memchr(c->in, '\n', c->in_len);
		size_t len;

		if (!newline) {
			if (c->in_len == SERVER_REQUEST_MAX) {
				send_error(c, -EMSGSIZE, "request too long");
				c->ending = true;
			}
			return;
		}
		len = (size_t)(newline - c->in);
		answer(c, c->in, len);
		c->in_len -= len + 1;
		memmove(c->in, newline + 1, c->in_len);
	}
}

/* Return: false when the connection broke */
static bool read_client(struct server_stream *c)
{
	ssize_t n;

	if (c->in_len == SERVER_REQUEST_MAX)
		return true;
	n = recv(c->fd, c->in + c->in_len, SERVER_REQUEST_MAX - c->in_len, MSG_DONTWAIT);
	if (n == 0)
		c->eof = true;
	else if (n > 0)
		c->in_len += (size_t)n;
	else if (errno != EAGAIN && errno != EINTR)
		return false;
	return true;
}

static void on_client(void *ctx, uint32_t events)
{
	struct server_stream *c = ctx;

	if ((events & EPOLLERR) || ((events & EPOLLIN) && !read_client(c)) ||
	    (c->streaming && !c->ending && (events & (EPOLLRDHUP | EPOLLHUP)))) {
		drop_client(c);
		return;
	}
	/* Replies mostly fit the socket's buffer: then the next line's turn is now. */
	do {
		answer_lines(c);
		if (!flush_client(c)) {
			drop_client(c);
			return;
		}
	} while (!c->streaming && !c->ending && c->out_at == c->out_len && memchr(c->in, '\n', c->in_len));
	if (c->out_at == c->out_len && (c->ending || (c->eof && !c->streaming))) {
		drop_client(c);
		return;
	}
	watch_client(c);
}

static void on_sweep(void *ctx)
{
	struct server *s = ctx;
	uint64_t now_ns = loop_now_ns(s->loop);

	for (unsigned int i = 0; i < SERVER_CLIENTS_MAX; i++) {
		struct server_stream *c = &s->clients[i];

		if (c->fd >= 0 && (!c->streaming || c->ending) && now_ns - c->active_ns > SERVER_IDLE_S * NS_PER_S)
			drop_client(c);
	}
}

static void refuse_client(int fd)
{
	static const char text[] = "{\"ok\":false,\"errno\":16,\"error\":\"too many clients\"}\n";

	if (send(fd, text, sizeof(text) - 1, MSG_NOSIGNAL | MSG_DONTWAIT) < 0)
		log_debug("control socket: too many clients");
	close(fd);
}

static void on_listener(void *ctx, uint32_t events)
{
	struct server *s = ctx;
	struct server_stream *c = s->clients;
	struct ucred peer = { .uid = (uid_t)-1 };
	socklen_t size = sizeof(peer);
	struct fault f;
	int fd = accept4(s->socket.fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

	(void)events;
	if (fd < 0)
		return;
	if (s->n_clients >= s->max_clients) {
		refuse_client(fd);
		return;
	}
	while (c->fd >= 0)
		c++;
	getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size);
	c->in = malloc(SERVER_REQUEST_MAX);
	if (!c->in || loop_add_fd(s->loop, fd, EPOLLIN, on_client, c, &f)) {
		free(c->in);
		c->in = NULL;
		refuse_client(fd);
		return;
	}
	c->fd = fd;
	c->uid = peer.uid;
	c->pid = peer.pid;
	c->active_ns = loop_now_ns(s->loop);
	if (s->n_clients++ == 0)
		loop_add_timer(s->loop, &s->sweep, SWEEP_S * NS_PER_S, SWEEP_S * NS_PER_S, on_sweep, s);
}

/* ---- Streams ----------------------------------------------------------------------------------------------------- */

struct server_stream *server_request_stream(struct server_request *rq, server_closed_fn *closed, void *stream_ctx)
{
	rq->streams = true;
	rq->stream->replied = false;
	rq->stream->streaming = true;
	rq->stream->closed = closed;
	rq->stream->stream_ctx = stream_ctx;
	return rq->stream;
}

size_t server_stream_room(const struct server_stream *st)
{
	size_t waiting = st->out_len - st->out_at;

	return waiting < st->server->stream_buffer_bytes ? st->server->stream_buffer_bytes - waiting : 0;
}

bool server_stream_write(struct server_stream *st, const void *data, size_t len)
{
	bool was_empty = st->out_at == st->out_len;

	if (!st->replied || !put_out(st, data, len, st->server->stream_buffer_bytes))
		return false;
	if (was_empty)
		watch_client(st);
	return true;
}

void server_stream_end(struct server_stream *st)
{
	st->closed = NULL;
	st->ending = true;
	watch_client(st);
}

/* ---- The server -------------------------------------------------------------------------------------------------- */

static int run_help(void *ctx, struct server_request *rq, struct fault *f)
{
	struct server *s = ctx;
	struct json_object *list = json_object_new_array();

	(void)f;
	for (unsigned int i = 0; i < s->n_commands; i++) {
		const struct server_command *cmd = s->commands[i].cmd;
		struct json_object *o = json_object_new_object(), *args = json_object_new_array();

		json_object_object_add(o, "cmd", json_object_new_string(cmd->name));
		json_object_object_add(o, "help", json_object_new_string(cmd->help));
		for (const char *const *a = cmd->args; a && *a; a++)
			json_object_array_add(args, json_object_new_string(*a));
		json_object_object_add(o, "args", args);
		json_object_array_add(list, o);
	}
	json_object_object_add(rq->result, "commands", list);
	return 0;
}

static const struct server_command help_command = { "help", "list the commands", NULL, run_help };

int server_add_command(struct server *s, const struct server_command *cmd, void *ctx)
{
	for (unsigned int i = 0; i < s->n_commands; i++)
		if (!strcmp(s->commands[i].cmd->name, cmd->name))
			return -EEXIST;
	if (s->n_commands == SERVER_COMMANDS_MAX)
		return -ENOSPC;
	s->commands[s->n_commands].cmd = cmd;
	s->commands[s->n_commands++].ctx = ctx;
	return 0;
}

int server_create(struct server **out, struct loop *l, const struct server_params *params, struct fault *f)
{
	struct server *s = calloc(1, sizeof(*s));
	int err;

	if (!s)
		return fault_set(f, ENOMEM, "control socket: no memory");
	s->loop = l;
	s->stream_buffer_bytes = params->stream_buffer_bytes;
	s->max_clients = params->max_clients < SERVER_CLIENTS_MAX ? params->max_clients : SERVER_CLIENTS_MAX;
	for (unsigned int i = 0; i < SERVER_CLIENTS_MAX; i++) {
		s->clients[i].server = s;
		s->clients[i].fd = -1;
	}
	server_add_command(s, &help_command, s);
	err = server_socket_open(&s->socket, params, f);
	if (err)
		goto err_free;
	err = loop_add_fd(l, s->socket.fd, EPOLLIN, on_listener, s, f);
	if (err)
		goto err_close;
	*out = s;
	return 0;
err_close:
	server_socket_close(&s->socket);
err_free:
	free(s);
	return err;
}

void server_destroy(struct server *s)
{
	if (!s)
		return;
	for (unsigned int i = 0; i < SERVER_CLIENTS_MAX; i++)
		if (s->clients[i].fd >= 0)
			drop_client(&s->clients[i]);
	loop_del_fd(s->loop, s->socket.fd);
	server_socket_close(&s->socket);
	free(s);
}
