// SPDX-License-Identifier: MIT
#include "user/control/server.h"

#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

enum { STREAM_BUFFER = 64 * 1024, ROUNDS = 2000 };

static char dir[] = "/tmp/sluice-server-XXXXXX";
static char path[64];
static struct loop *loop;
static struct server *server;
static struct server_stream *stream;
static unsigned int closed_calls;

/* ---- Commands of these tests ------------------------------------------------------------------------------------- */

static int run_echo(void *ctx, struct server_request *rq, struct fault *f)
{
	const char *text = "nothing";
	uint64_t n = 7;
	int err = server_arg_string(rq->args, "text", &text, f);

	(void)ctx;
	if (!err)
		err = server_arg_uint(rq->args, "n", 1, 100, &n, f);
	if (err)
		return err;
	json_object_object_add(rq->result, "text", json_object_new_string(text));
	json_object_object_add(rq->result, "n", json_object_new_uint64(n));
	json_object_object_add(rq->result, "uid", json_object_new_int64(rq->uid));
	return 0;
}

static int run_fail(void *ctx, struct server_request *rq, struct fault *f)
{
	(void)ctx;
	(void)rq;
	return fault_set(f, ENODEV, "no port \"wlan\"");
}

static int run_long(void *ctx, struct server_request *rq, struct fault *f)
{
	uint64_t bytes = 0;
	char *text;

	(void)ctx;
	if (server_arg_uint(rq->args, "bytes", 1, 64 << 20, &bytes, f))
		return -EINVAL;
	text = malloc(bytes + 1);
	memset(text, 'x', bytes);
	text[bytes] = '\0';
	json_object_object_add(rq->result, "text", json_object_new_string(text));
	free(text);
	return 0;
}

static void on_closed(void *ctx)
{
	ck_assert_ptr_eq(ctx, &stream);
	closed_calls++;
	stream = NULL;
}

static int run_follow(void *ctx, struct server_request *rq, struct fault *f)
{
	bool fail = false;

	(void)ctx;
	if (server_arg_bool(rq->args, "fail", &fail, f))
		return -EINVAL;
	stream = server_request_stream(rq, on_closed, &stream);
	ck_assert(!server_stream_write(stream, "early", 5));	/* would stand in front of the reply */
	return fail ? fault_set(f, EIO, "changed my mind") : 0;
}

static const char *const echo_args[] = { "text", "n", NULL };
static const char *const long_args[] = { "bytes", NULL };
static const char *const follow_args[] = { "fail", NULL };
static const struct server_command commands[] = {
	{ "echo", "say it again", echo_args, run_echo },
	{ "fail", "go wrong", NULL, run_fail },
	{ "long", "answer at length", long_args, run_long },
	{ "follow", "a stream", follow_args, run_follow },
};

static struct server_params params_for(const char *at)
{
	return (struct server_params){ .path = at, .mode = 0640, .max_clients = 3, .stream_buffer_bytes = STREAM_BUFFER };
}

static void setup(void)
{
	struct server_params params;
	struct fault f = { 0 };

	snprintf(dir, sizeof(dir), "/tmp/sluice-server-XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/sub/s.sock", dir);
	params = params_for(path);
	stream = NULL;
	closed_calls = 0;
	ck_assert_int_eq(loop_create(&loop, &f), 0);
	ck_assert_msg(server_create(&server, loop, &params, &f) == 0, "%s", f.text);
	for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++)
		ck_assert_int_eq(server_add_command(server, &commands[i], NULL), 0);
	ck_assert_int_eq(server_add_command(server, &commands[0], NULL), -EEXIST);
}

static void teardown(void)
{
	char sub[64];

	server_destroy(server);
	loop_destroy(loop);
	snprintf(sub, sizeof(sub), "%s/sub", dir);
	ck_assert_int_ne(access(sub, F_OK), 0);		/* socket, lock and folder are gone */
	ck_assert_int_eq(rmdir(dir), 0);
}

/* ---- A client in the same thread: turns the loop while it waits -------------------------------------------------- */

static int client_connect(void)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);

	snprintf(addr.sun_path, sizeof(addr.sun_path), "%s", path);
	ck_assert_int_eq(connect(fd, (struct sockaddr *)&addr, sizeof(addr)), 0);
	return fd;
}

static void client_send(int fd, const char *text, size_t len)
{
	for (size_t at = 0; at < len;) {
		ssize_t n = send(fd, text + at, len - at, MSG_NOSIGNAL);

		if (n > 0)
			at += (size_t)n;
		else
			ck_assert_msg(errno == EAGAIN, "send: %s", strerror(errno));
		loop_step(loop, 0);
	}
}

/* Up to a newline. Return: bytes without it, -1 at the end of the connection */
static ssize_t client_line(int fd, char *buf, size_t size)
{
	size_t len = 0;

	for (unsigned int idle = 0; idle < ROUNDS;) {
		ssize_t n = recv(fd, buf + len, 1, 0);

		if (n == 0 || (n < 0 && errno == ECONNRESET))
			return -1;
		if (n == 1) {
			idle = 0;
			if (buf[len] == '\n') {
				buf[len] = '\0';
				return (ssize_t)len;
			}
			ck_assert_uint_lt(++len, size);
			continue;
		}
		idle++;
		loop_step(loop, 1000000);
	}
	ck_abort_msg("no reply");
	return -1;
}

static const char *ask(int fd, const char *request)
{
	static char line[4096];

	client_send(fd, request, strlen(request));
	client_send(fd, "\n", 1);
	ck_assert_int_ge(client_line(fd, line, sizeof(line)), 0);
	return line;
}

static void wait_gone(int fd)
{
	char c;

	for (unsigned int i = 0; i < ROUNDS; i++) {
		ssize_t n = recv(fd, &c, 1, 0);

		if (n == 0 || (n < 0 && errno != EAGAIN))
			return;
		loop_step(loop, n > 0 ? 0 : 1000000);
	}
	ck_abort_msg("connection stays open");
}

/* ---- Requests ---------------------------------------------------------------------------------------------------- */

static const struct {
	const char *request, *reply;
} talks[] = {
	{ "{\"cmd\":\"fail\"}", "{\"ok\":false,\"errno\":19,\"error\":\"no port \\\"wlan\\\"\"}" },
	{ "{\"cmd\":\"ehco\"}",
	  "{\"ok\":false,\"errno\":95,\"error\":\"there is no command \\\"ehco\\\", did you mean \\\"echo\\\"?\"}" },
	{ "{\"cmd\":\"zzzzzzz\"}",
	  "{\"ok\":false,\"errno\":95,\"error\":\"there is no command \\\"zzzzzzz\\\", \\\"help\\\" lists them\"}" },
	{ "{\"cmd\":\"echo\",\"txt\":1}",
	  "{\"ok\":false,\"errno\":22,\"error\":\"echo takes no \\\"txt\\\", did you mean \\\"text\\\"?\"}" },
	{ "{\"cmd\":\"fail\",\"x\":1}", "{\"ok\":false,\"errno\":22,\"error\":\"fail takes no \\\"x\\\"\"}" },
	{ "{\"cmd\":\"echo\",\"text\":1}", "{\"ok\":false,\"errno\":22,\"error\":\"\\\"text\\\" is no string\"}" },
	{ "{\"cmd\":\"echo\",\"text\":\"a\\u0000b\"}",
	  "{\"ok\":false,\"errno\":22,\"error\":\"\\\"text\\\" holds a NUL byte\"}" },
	{ "{\"cmd\":\"echo\",\"n\":0}", "{\"ok\":false,\"errno\":22,\"error\":\"\\\"n\\\" is out of range, 1 to 100\"}" },
	{ "{\"cmd\":\"echo\",\"n\":-1}", "{\"ok\":false,\"errno\":22,\"error\":\"\\\"n\\\" is out of range, 1 to 100\"}" },
	{ "{\"cmd\":\"echo\",\"n\":18446744073709551615}",
	  "{\"ok\":false,\"errno\":22,\"error\":\"\\\"n\\\" is out of range, 1 to 100\"}" },
	{ "{\"cmd\":\"echo\",\"n\":1.5}",
	  "{\"ok\":false,\"errno\":22,\"error\":\"\\\"n\\\" is no whole number, 1 to 100 is wanted\"}" },
	{ "", "{\"ok\":false,\"errno\":22,\"error\":\"no JSON object on one line: it ends too early\"}" },
	{ "{\"cmd\":\"echo\"", "{\"ok\":false,\"errno\":22,\"error\":\"no JSON object on one line: it ends too early\"}" },
	{ "[1]", "{\"ok\":false,\"errno\":22,\"error\":\"a JSON object is wanted, such as {\\\"cmd\\\": \\\"status\\\"}\"}" },
	{ "{\"cmd\":7}", "{\"ok\":false,\"errno\":22,\"error\":\"\\\"cmd\\\" is missing or no string\"}" },
	{ "{\"a\":{\"a\":{\"a\":{\"a\":{\"a\":{\"a\":{\"a\":{\"a\":1}}}}}}}}",
	  "{\"ok\":false,\"errno\":22,\"error\":\"no JSON object on one line: nesting too deep\"}" },
};

START_TEST(wrong_requests_are_answered_with_the_reason)
{
	int fd = client_connect();
	char want[256];

	ck_assert_str_eq(ask(fd, talks[_i].request), talks[_i].reply);
	/* and the connection goes on */
	snprintf(want, sizeof(want), "{\"ok\":true,\"result\":{\"text\":\"hi\",\"n\":7,\"uid\":%u}}", getuid());
	ck_assert_str_eq(ask(fd, "{\"cmd\":\"echo\",\"text\":\"hi\"}"), want);
	close(fd);
}
END_TEST

START_TEST(text_behind_the_object_is_refused)
{
	struct json_object *o;
	struct fault f;

	ck_assert_int_eq(server_parse_request("{\"cmd\":\"a\"} x", 13, &o, &f), -EINVAL);
	ck_assert_int_eq(server_parse_request("{\"cmd\":\"a\"}{}", 13, &o, &f), -EINVAL);
	ck_assert_int_eq(server_parse_request("{\"cmd\":\"\xff\"}", 11, &o, &f), -EINVAL);
	ck_assert_int_eq(server_parse_request("{\"cmd\":\"a\"\0}", 12, &o, &f), -EINVAL);
	ck_assert_int_eq(server_parse_request("{\"cmd\":\"a\"} \r", 13, &o, &f), 0);
	json_object_put(o);
}
END_TEST

START_TEST(pipelined_requests_are_answered_in_order)
{
	static const char two[] = "{\"cmd\":\"echo\",\"n\":1}\n{\"cmd\":\"echo\",\"n\":2}\n{\"cmd\":\"ec";
	int fd = client_connect();
	char line[256];

	client_send(fd, two, sizeof(two) - 1);
	ck_assert_int_gt(client_line(fd, line, sizeof(line)), 0);
	ck_assert_ptr_nonnull(strstr(line, "\"n\":1"));
	ck_assert_int_gt(client_line(fd, line, sizeof(line)), 0);
	ck_assert_ptr_nonnull(strstr(line, "\"n\":2"));
	ck_assert_ptr_nonnull(strstr(ask(fd, "ho\",\"n\":3}"), "\"n\":3"));
	close(fd);
}
END_TEST

START_TEST(what_was_asked_before_a_half_close_is_answered)
{
	int fd = client_connect();
	char line[256];

	client_send(fd, "{\"cmd\":\"echo\",\"n\":4}\n", 21);
	shutdown(fd, SHUT_WR);
	ck_assert_int_gt(client_line(fd, line, sizeof(line)), 0);
	ck_assert_ptr_nonnull(strstr(line, "\"n\":4"));
	ck_assert_int_eq(client_line(fd, line, sizeof(line)), -1);
	close(fd);
}
END_TEST

START_TEST(endless_request_is_cut_off)
{
	int fd = client_connect();
	char chunk[4096], line[256];

	memset(chunk, 'a', sizeof(chunk));
	for (size_t sent = 0; sent < SERVER_REQUEST_MAX; sent += sizeof(chunk))
		client_send(fd, chunk, sizeof(chunk));
	ck_assert_int_gt(client_line(fd, line, sizeof(line)), 0);
	ck_assert_ptr_nonnull(strstr(line, "request too long"));
	wait_gone(fd);
	close(fd);
}
END_TEST

START_TEST(long_reply_arrives_whole_and_a_longer_one_is_an_error)
{
	enum { BYTES = 8 << 20 };
	char *line = malloc(BYTES + 256);
	int fd = client_connect();
	ssize_t n;

	client_send(fd, "{\"cmd\":\"long\",\"bytes\":300000}\n", 30);
	n = client_line(fd, line, BYTES + 256);
	ck_assert_int_eq(n, 300000 + (ssize_t)strlen("{\"ok\":true,\"result\":{\"text\":\"\"}}"));
	client_send(fd, "{\"cmd\":\"long\",\"bytes\":40000000}\n", 32);
	ck_assert_int_gt(client_line(fd, line, BYTES + 256), 0);
	ck_assert_ptr_nonnull(strstr(line, "too long"));
	close(fd);
	free(line);
}
END_TEST

START_TEST(clients_are_bounded)
{
	int fd[4];
	char line[256];

	for (int i = 0; i < 3; i++) {
		fd[i] = client_connect();
		ck_assert_ptr_nonnull(strstr(ask(fd[i], "{\"cmd\":\"echo\"}"), "\"ok\":true"));
	}
	fd[3] = client_connect();
	ck_assert_int_gt(client_line(fd[3], line, sizeof(line)), 0);
	ck_assert_ptr_nonnull(strstr(line, "too many clients"));
	wait_gone(fd[3]);
	close(fd[0]);
	close(fd[3]);
	loop_step(loop, 1000000);
	fd[0] = client_connect();
	ck_assert_ptr_nonnull(strstr(ask(fd[0], "{\"cmd\":\"echo\"}"), "\"ok\":true"));
	for (int i = 0; i < 3; i++)
		close(fd[i]);
}
END_TEST

START_TEST(help_lists_commands)
{
	int fd = client_connect();

	ck_assert_ptr_nonnull(strstr(ask(fd, "{\"cmd\":\"help\"}"),
				     "{\"cmd\":\"echo\",\"help\":\"say it again\",\"args\":[\"text\",\"n\"]}"));
	close(fd);
}
END_TEST

/* ---- Streams ----------------------------------------------------------------------------------------------------- */

START_TEST(stream_follows_its_reply_and_ends)
{
	int fd = client_connect();
	char line[64];

	ck_assert_str_eq(ask(fd, "{\"cmd\":\"follow\"}"), "{\"ok\":true,\"result\":{},\"stream\":true}");
	ck_assert(server_stream_write(stream, "one\n", 4));
	ck_assert(server_stream_write(stream, "two\n", 4));
	server_stream_end(stream);
	ck_assert_int_eq(client_line(fd, line, sizeof(line)), 3);
	ck_assert_str_eq(line, "one");
	ck_assert_int_eq(client_line(fd, line, sizeof(line)), 3);
	ck_assert_int_eq(client_line(fd, line, sizeof(line)), -1);
	ck_assert_uint_eq(closed_calls, 0);
	close(fd);
}
END_TEST

START_TEST(stream_that_nobody_reads_is_bounded)
{
	static char block[1000];
	int fd = client_connect();
	size_t taken = 0;

	ask(fd, "{\"cmd\":\"follow\"}");
	while (server_stream_write(stream, block, sizeof(block))) {
		taken += sizeof(block);
		loop_step(loop, 0);
		ck_assert_uint_lt(taken, 64 << 20);
	}
	ck_assert_uint_lt(server_stream_room(stream), sizeof(block));
	/* When the client reads on, there is room again, and what was taken is whole. */
	while (taken > 0) {
		char buf[65536];
		ssize_t n = recv(fd, buf, sizeof(buf), 0);

		if (n > 0)
			taken -= (size_t)n;
		else
			ck_assert_int_eq(errno, EAGAIN);
		loop_step(loop, 1000000);
	}
	ck_assert_uint_eq(server_stream_room(stream), STREAM_BUFFER);
	close(fd);
	for (int i = 0; stream && i < ROUNDS; i++)
		loop_step(loop, 1000000);
	ck_assert_uint_eq(closed_calls, 1);
}
END_TEST

START_TEST(stream_hears_of_the_end)
{
	int fd = client_connect();

	ask(fd, "{\"cmd\":\"follow\"}");
	server_destroy(server);
	ck_assert_uint_eq(closed_calls, 1);
	close(fd);
	server = NULL;
}
END_TEST

START_TEST(failed_stream_is_none)
{
	int fd = client_connect();

	ck_assert_str_eq(ask(fd, "{\"cmd\":\"follow\",\"fail\":true}"),
			 "{\"ok\":false,\"errno\":5,\"error\":\"changed my mind\"}");
	ck_assert_ptr_nonnull(strstr(ask(fd, "{\"cmd\":\"echo\"}"), "\"ok\":true"));
	close(fd);
	loop_step(loop, 1000000);
	ck_assert_uint_eq(closed_calls, 0);
}
END_TEST

/* ---- The path ---------------------------------------------------------------------------------------------------- */

START_TEST(socket_has_its_mode)
{
	struct stat st;

	ck_assert_int_eq(stat(path, &st), 0);
	ck_assert_uint_eq(st.st_mode & 07777, 0640);
}
END_TEST

START_TEST(living_instance_keeps_its_socket)
{
	struct server_params params = params_for(path);
	struct server *second;
	char want[32];
	struct fault f = { 0 };

	ck_assert_int_eq(server_create(&second, loop, &params, &f), -EADDRINUSE);
	snprintf(want, sizeof(want), "process %d", (int)getpid());
	ck_assert_msg(strstr(f.text, "running already") && strstr(f.text, want), "%s", f.text);
	ck_assert_int_eq(access(path, F_OK), 0);
}
END_TEST

/* A child makes the instance's files and is killed: they stay, and are in nobody's way. */
START_TEST(socket_of_a_dead_process_is_replaced)
{
	char other[64];
	struct server_params params = params_for(other);
	struct server *second;
	struct fault f = { 0 };
	int status, pipe_fd[2];
	char c;
	pid_t pid;

	snprintf(other, sizeof(other), "%s/sub/dead.sock", dir);
	ck_assert_int_eq(pipe(pipe_fd), 0);
	pid = fork();
	if (pid == 0) {
		if (server_create(&second, loop, &params, NULL) == 0 && write(pipe_fd[1], "x", 1) == 1)
			for (;;)
				pause();
		_exit(1);
	}
	close(pipe_fd[1]);
	ck_assert_int_eq(read(pipe_fd[0], &c, 1), 1);
	ck_assert_int_eq(server_create(&second, loop, &params, &f), -EADDRINUSE);
	kill(pid, SIGKILL);
	waitpid(pid, &status, 0);
	ck_assert_int_eq(access(other, F_OK), 0);
	ck_assert_msg(server_create(&second, loop, &params, &f) == 0, "%s", f.text);
	server_destroy(second);
	ck_assert_int_ne(access(other, F_OK), 0);
	close(pipe_fd[0]);
}
END_TEST

START_TEST(other_programs_files_are_left_alone)
{
	char other[64];
	struct server_params params = params_for(other);
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	struct server *second;
	struct fault f = { 0 };
	int fd;

	snprintf(other, sizeof(other), "%s/sub/file", dir);
	close(open(other, O_CREAT | O_WRONLY, 0600));
	ck_assert_int_eq(server_create(&second, loop, &params, &f), -EEXIST);
	ck_assert_int_eq(unlink(other), 0);

	fd = socket(AF_UNIX, SOCK_STREAM, 0);
	snprintf(addr.sun_path, sizeof(addr.sun_path), "%s", other);
	ck_assert_int_eq(bind(fd, (struct sockaddr *)&addr, sizeof(addr)), 0);
	ck_assert_int_eq(listen(fd, 1), 0);
	ck_assert_int_eq(server_create(&second, loop, &params, &f), -EADDRINUSE);
	ck_assert_msg(strstr(f.text, "another program"), "%s", f.text);
	close(fd);
	ck_assert_int_eq(unlink(other), 0);
}
END_TEST

START_TEST(unknown_group_is_an_error_and_leaves_nothing)
{
	char other[64];
	struct server_params params = params_for(other);
	struct server *second;
	struct fault f = { 0 };

	snprintf(other, sizeof(other), "%s/sub2/x.sock", dir);
	params.group = "no-such-group-here";
	ck_assert_int_lt(server_create(&second, loop, &params, &f), 0);
	ck_assert_msg(strstr(f.text, "no-such-group-here"), "%s", f.text);
	snprintf(other, sizeof(other), "%s/sub2", dir);
	ck_assert_int_ne(access(other, F_OK), 0);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("control/server");
	TCase *tc = tcase_create("server");
	SRunner *sr;
	int failed;

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_set_timeout(tc, 30);
	tcase_add_loop_test(tc, wrong_requests_are_answered_with_the_reason, 0, sizeof(talks) / sizeof(talks[0]));
	tcase_add_test(tc, text_behind_the_object_is_refused);
	tcase_add_test(tc, pipelined_requests_are_answered_in_order);
	tcase_add_test(tc, what_was_asked_before_a_half_close_is_answered);
	tcase_add_test(tc, endless_request_is_cut_off);
	tcase_add_test(tc, long_reply_arrives_whole_and_a_longer_one_is_an_error);
	tcase_add_test(tc, clients_are_bounded);
	tcase_add_test(tc, help_lists_commands);
	tcase_add_test(tc, stream_follows_its_reply_and_ends);
	tcase_add_test(tc, stream_that_nobody_reads_is_bounded);
	tcase_add_test(tc, stream_hears_of_the_end);
	tcase_add_test(tc, failed_stream_is_none);
	tcase_add_test(tc, socket_has_its_mode);
	tcase_add_test(tc, living_instance_keeps_its_socket);
	tcase_add_test(tc, socket_of_a_dead_process_is_replaced);
	tcase_add_test(tc, other_programs_files_are_left_alone);
	tcase_add_test(tc, unknown_group_is_an_error_and_leaves_nothing);
	suite_add_tcase(s, tc);
	sr = srunner_create(s);
	srunner_run_all(sr, CK_NORMAL);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
