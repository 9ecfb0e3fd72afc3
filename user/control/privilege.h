/* SPDX-License-Identifier: MIT */
/*
 * What the running gateway may still do, once everything is open.
 *
 * The control thread keeps what a device that comes back needs: to load and attach its XDP program (CAP_BPF, CAP_PERFMON,
 * CAP_NET_ADMIN), to open AF_XDP sockets (CAP_NET_RAW) on memory beyond RLIMIT_MEMLOCK (CAP_IPC_LOCK), and CAP_SYS_ADMIN
 * where libxdp's dispatcher is in use, which finds programs by number. Pins and sockets lie in folders of root: the two
 * capabilities to change them (CAP_DAC_OVERRIDE, CAP_FOWNER) are permitted, but in effect only between privilege_files()
 * calls. Workers, who read what strangers send, keep none.
 */
#ifndef USER_CONTROL_PRIVILEGE_H
#define USER_CONTROL_PRIVILEGE_H

#include <stdbool.h>
#include <sys/types.h>

#include "common/fault.h"

struct privilege_user {
	uid_t uid;
	gid_t gid;
};

/** struct privilege - What was given up; zeroed before. */
struct privilege {
	bool dropped;
	bool filtered;			/* system calls are */
};

/** privilege_find_user() - A user by name. Return: 0, or -ENOENT with the reason in @f */
int privilege_find_user(const char *name, struct privilege_user *user, struct fault *f);

/**
 * privilege_drop() - Become @user and give up all capabilities but the above; from then on exec() gains nothing either.
 * @user:      NULL: stay who we are
 * @sys_admin: keep CAP_SYS_ADMIN
 *
 * Before any thread is started: they inherit it. What is not there now is not missed.
 * Return: 0, or a negative errno with the reason in @f
 */
int privilege_drop(struct privilege *p, const struct privilege_user *user, bool sys_admin, struct fault *f);

/** privilege_files() - May the control thread change files of others now? Does nothing before privilege_drop(). */
void privilege_files(const struct privilege *p, bool on);

/** privilege_drop_worker() - Give up every capability of the calling thread. After privilege_drop(). */
void privilege_drop_worker(const struct privilege *p);

enum privilege_thread { PRIVILEGE_CONTROL, PRIVILEGE_WORKER };

/**
 * privilege_filter() - From now on the calling thread has the system calls of its kind only.
 *
 * Others fail with EPERM and are logged where the kernel logs such things; nothing is killed, so that a library's new
 * way of doing something costs this something and not the traffic. After privilege_drop(). Not in builds with sanitizers,
 * whose runtime calls what it likes.
 * Return: 0, -EOPNOTSUPP in such builds or on such kernels, with the reason in @f
 */
int privilege_filter(enum privilege_thread kind, struct fault *f);

#endif
