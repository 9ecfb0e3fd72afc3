// SPDX-License-Identifier: MIT
#include "user/control/server_socket.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

enum { BACKLOG = 16, LOCK_TRIES = 8 };

static int make_dir(struct server_socket *ss, struct fault *f)
{
	char copy[sizeof(ss->path)];
	const char *dir;

	memcpy(copy, ss->path, sizeof(copy));
	dir = dirname(copy);
	if (mkdir(dir, 0755) == 0)
		ss->made_dir = true;
	else if (errno != EEXIST)
		return fault_errno(f, "control socket: mkdir %s", dir);
	return 0;
}

static void remove_dir(const struct server_socket *ss)
{
	char copy[sizeof(ss->path)];

	memcpy(copy, ss->path, sizeof(copy));
	if (ss->made_dir)
		rmdir(dirname(copy));	/* not empty: another instance lives there */
}

/* Who has the lock says so in it. */
static int lock_taken(struct server_socket *ss, struct fault *f)
{
	char pid[16] = "";
	ssize_t n = pread(ss->lock_fd, pid, sizeof(pid) - 1, 0);

	pid[n > 0 ? n : 0] = '\0';
	pid[strspn(pid, "0123456789")] = '\0';
	return fault_set(f, EADDRINUSE, "control socket %s: an instance is running already%s%s", ss->path,
			 pid[0] ? ", process " : "", pid);
}

/*
 * The lock file is removed at the end, so the file that was locked may not be the one in the folder any more: then
 * somebody else was quicker, and it is tried again.
 */
static int take_lock(struct server_socket *ss, struct fault *f)
{
	for (int tries = 0; tries < LOCK_TRIES; tries++) {
		struct stat ours, there;
		int err;

		ss->lock_fd = open(ss->lock_path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0644);
		if (ss->lock_fd < 0 && errno == ENOENT) {
			err = make_dir(ss, f);
			if (err)
				return err;
			continue;
		}
		if (ss->lock_fd < 0)
			return fault_errno(f, "control socket: open %s", ss->lock_path);
		if (flock(ss->lock_fd, LOCK_EX | LOCK_NB) < 0) {
			err = errno == EWOULDBLOCK ? lock_taken(ss, f) : fault_errno(f, "flock %s", ss->lock_path);
			close(ss->lock_fd);
			return err;
		}
		if (fstat(ss->lock_fd, &ours) == 0 && stat(ss->lock_path, &there) == 0 && ours.st_ino == there.st_ino &&
		    ours.st_dev == there.st_dev) {
			if (ftruncate(ss->lock_fd, 0) == 0)
				dprintf(ss->lock_fd, "%d\n", (int)getpid());
			return 0;
		}
		close(ss->lock_fd);
	}
	return fault_set(f, EAGAIN, "control socket: %s comes and goes", ss->lock_path);
}

/* Under the lock: what is at the path is of a dead process, or of something that is none of ours. */
static int clear_path(const struct server_socket *ss, const struct sockaddr_un *addr, struct fault *f)
{
	struct stat st;
	int fd, err;

	if (lstat(ss->path, &st) < 0)
		return errno == ENOENT ? 0 : fault_errno(f, "control socket %s", ss->path);
	if (!S_ISSOCK(st.st_mode))
		return fault_set(f, EEXIST, "control socket %s: there is a file of that name, which is no socket", ss->path);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return fault_errno(f, "control socket");
	err = connect(fd, (const struct sockaddr *)addr, sizeof(*addr)) < 0 ? errno : 0;
	close(fd);
	if (err == 0 || err == EAGAIN || err == EPROTOTYPE)
		return fault_set(f, EADDRINUSE, "control socket %s: another program listens there", ss->path);
	if (unlink(ss->path) < 0 && errno != ENOENT)
		return fault_errno(f, "control socket: remove the old %s", ss->path);
	return 0;
}

static int set_access(const struct server_socket *ss, const struct server_params *params, struct fault *f)
{
	struct group gr, *found = NULL;
	char buf[16384];
	int err;

	if (params->group && params->group[0]) {
		err = getgrnam_r(params->group, &gr, buf, sizeof(buf), &found);
		if (!found)
			return fault_set(f, err ? err : ENOENT, "control socket: there is no group \"%s\"", params->group);
		if (chown(ss->path, (uid_t)-1, gr.gr_gid) < 0)
			return fault_errno(f, "control socket %s: group %s", ss->path, params->group);
	}
	if (chmod(ss->path, params->mode) < 0)
		return fault_errno(f, "control socket %s: mode %04o", ss->path, params->mode);
	return 0;
}

int server_socket_open(struct server_socket *ss, const struct server_params *params, struct fault *f)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	int err;

	memset(ss, 0, sizeof(*ss));
	if (params->path[0] != '/' || strlen(params->path) >= sizeof(ss->path))
		return fault_set(f, EINVAL, "control socket %s: an absolute path of at most %zu characters is wanted",
				 params->path, sizeof(ss->path) - 1);
	snprintf(ss->path, sizeof(ss->path), "%s", params->path);
	snprintf(ss->lock_path, sizeof(ss->lock_path), "%s.lock", params->path);
	memcpy(addr.sun_path, ss->path, sizeof(ss->path));

	err = take_lock(ss, f);
	if (err)
		goto err_dir;
	err = clear_path(ss, &addr, f);
	if (err)
		goto err_unlock;
	ss->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (ss->fd < 0) {
		err = fault_errno(f, "control socket");
		goto err_unlock;
	}
	if (bind(ss->fd, (struct sockaddr *)&addr, sizeof(addr)) < 0) {
		err = fault_errno(f, "control socket: bind %s", ss->path);
		goto err_close;
	}
	/* Until listen() nobody can connect, so there is no moment with a wrong mode. */
	err = set_access(ss, params, f);
	if (err)
		goto err_unlink;
	if (listen(ss->fd, BACKLOG) < 0) {
		err = fault_errno(f, "control socket: listen %s", ss->path);
		goto err_unlink;
	}
	return 0;
err_unlink:
	unlink(ss->path);
err_close:
	close(ss->fd);
err_unlock:
	unlink(ss->lock_path);
	close(ss->lock_fd);
err_dir:
	remove_dir(ss);
	return err;
}

void server_socket_close(struct server_socket *ss)
{
	unlink(ss->path);
	close(ss->fd);
	unlink(ss->lock_path);	/* before the lock goes */
	close(ss->lock_fd);
	remove_dir(ss);
}
