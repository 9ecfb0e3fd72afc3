/* SPDX-License-Identifier: MIT */
/* Private to the control socket: the path in the file system, its lock and its remains. */
#ifndef USER_CONTROL_SERVER_SOCKET_H
#define USER_CONTROL_SERVER_SOCKET_H

#include <stdbool.h>

#include "common/fault.h"
#include "user/control/server.h"

struct server_socket {
	char path[108];
	char lock_path[113];
	int fd;			/* listening */
	int lock_fd;
	bool made_dir;
};

/** server_socket_open() - Lock, bind, set mode and group, listen. Return: 0 or -errno, -EADDRINUSE when taken */
int server_socket_open(struct server_socket *ss, const struct server_params *params, struct fault *f);

/** server_socket_close() - Remove the socket, its lock, and the folder if it was made here and is empty. */
void server_socket_close(struct server_socket *ss);

#endif
