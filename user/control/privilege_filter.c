/* SPDX-License-Identifier: MIT */
/*
 * The system calls of a running gateway.
 *
 * The lists were taken from strace(1) over the namespace tests: start, traffic on veth and TUN, devices and addresses that
 * come and go, every command of the control socket, captures, the end; and then went through by hand for what libc,
 * libbpf and libxdp do on other kernels.
 */
#include <errno.h>
#include <pthread.h>
#include <seccomp.h>
#include <stddef.h>
#include <string.h>

#include "common/bytes.h"
#include "user/control/privilege.h"

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANITIZED 1
#else
#define SANITIZED 0
#endif

/* Send, receive, sleep, wake; memory and the end. */
static const int worker_calls[] = {
	SCMP_SYS(read), SCMP_SYS(write), SCMP_SYS(readv), SCMP_SYS(writev), SCMP_SYS(sendto), SCMP_SYS(recvfrom),
	SCMP_SYS(sendmsg), SCMP_SYS(ppoll), SCMP_SYS(poll), SCMP_SYS(futex), SCMP_SYS(clock_gettime),
	SCMP_SYS(nanosleep), SCMP_SYS(clock_nanosleep), SCMP_SYS(restart_syscall), SCMP_SYS(sched_yield),
	SCMP_SYS(sched_setaffinity), SCMP_SYS(mmap), SCMP_SYS(munmap), SCMP_SYS(mremap), SCMP_SYS(mprotect),
	SCMP_SYS(madvise), SCMP_SYS(brk), SCMP_SYS(getrandom), SCMP_SYS(getpid), SCMP_SYS(gettid), SCMP_SYS(tgkill),
	SCMP_SYS(rt_sigprocmask), SCMP_SYS(rt_sigaction), SCMP_SYS(rt_sigreturn), SCMP_SYS(rseq),
	SCMP_SYS(set_robust_list), SCMP_SYS(exit), SCMP_SYS(exit_group),
};

/* The control thread's besides: devices that come back, clients, the kernel's news, what is removed at the end. */
static const int control_calls[] = {
	/* BPF programs and maps, and what libbpf wants to know of the machine */
	SCMP_SYS(bpf), SCMP_SYS(uname), SCMP_SYS(sysinfo), SCMP_SYS(sched_getaffinity), SCMP_SYS(prlimit64),
	SCMP_SYS(getrlimit), SCMP_SYS(memfd_create), SCMP_SYS(perf_event_open), SCMP_SYS(flock),
	/* sockets: AF_XDP, netlink, Unix */
	SCMP_SYS(socket), SCMP_SYS(bind), SCMP_SYS(connect), SCMP_SYS(setsockopt), SCMP_SYS(getsockopt),
	SCMP_SYS(getsockname), SCMP_SYS(getpeername), SCMP_SYS(accept4), SCMP_SYS(recvmsg), SCMP_SYS(sendmmsg),
	SCMP_SYS(recvmmsg), SCMP_SYS(shutdown), SCMP_SYS(ioctl),
	/* files */
	SCMP_SYS(open), SCMP_SYS(openat), SCMP_SYS(close), SCMP_SYS(fstat), SCMP_SYS(stat), SCMP_SYS(lstat),
	SCMP_SYS(newfstatat), SCMP_SYS(statx), SCMP_SYS(statfs), SCMP_SYS(fstatfs), SCMP_SYS(access),
	SCMP_SYS(faccessat), SCMP_SYS(faccessat2), SCMP_SYS(lseek), SCMP_SYS(pread64), SCMP_SYS(pwrite64),
	SCMP_SYS(readlink), SCMP_SYS(readlinkat), SCMP_SYS(getdents64), SCMP_SYS(getcwd), SCMP_SYS(fcntl),
	SCMP_SYS(dup), SCMP_SYS(dup3), SCMP_SYS(ftruncate), SCMP_SYS(mkdir), SCMP_SYS(mkdirat), SCMP_SYS(unlink),
	SCMP_SYS(unlinkat), SCMP_SYS(rmdir),
	/* the event loop */
	SCMP_SYS(epoll_create1), SCMP_SYS(epoll_ctl), SCMP_SYS(epoll_wait), SCMP_SYS(epoll_pwait), SCMP_SYS(epoll_pwait2),
	SCMP_SYS(timerfd_create), SCMP_SYS(timerfd_settime), SCMP_SYS(signalfd4), SCMP_SYS(eventfd2),
	/* who we are, and may be */
	SCMP_SYS(getuid), SCMP_SYS(geteuid), SCMP_SYS(getgid), SCMP_SYS(getegid), SCMP_SYS(capget), SCMP_SYS(capset),
	SCMP_SYS(prctl), SCMP_SYS(kill), SCMP_SYS(membarrier),
};

static int allow(scmp_filter_ctx ctx, const int *calls, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		int err = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, calls[i], 0);

		if (err)
			return err;
	}
	return 0;
}

int privilege_filter(enum privilege_thread kind, struct fault *f)
{
	/* libseccomp keeps state of its own; workers start at the same time. */
	static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
	scmp_filter_ctx ctx;
	int err;

	if (SANITIZED)
		return fault_set(f, EOPNOTSUPP, "seccomp: not in a build with sanitizers");
	pthread_mutex_lock(&lock);
	ctx = seccomp_init(SCMP_ACT_ERRNO(EPERM));
	err = ctx ? allow(ctx, worker_calls, ARRAY_SIZE(worker_calls)) : -ENOMEM;
	if (!err && kind == PRIVILEGE_CONTROL)
		err = allow(ctx, control_calls, ARRAY_SIZE(control_calls));
	if (!err) {
		/* Refused where the kernel is too old: then nothing is logged. */
		(void)seccomp_attr_set(ctx, SCMP_FLTATR_CTL_LOG, 1);
		err = seccomp_load(ctx);
	}
	seccomp_release(ctx);
	pthread_mutex_unlock(&lock);
	return err ? fault_set(f, EOPNOTSUPP, "seccomp: %s", strerror(-err)) : 0;
}
