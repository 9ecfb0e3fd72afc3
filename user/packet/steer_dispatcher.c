// SPDX-License-Identifier: MIT
/*
 * Several XDP programs on one device, by libxdp's dispatcher: it replaces slots of a dispatching program with programs
 * of type EXT, which not every kernel allows. Links and dispatcher are pinned by libxdp and outlive this process.
 */
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <xdp/libxdp.h>

#include "user/packet/bpf_log.h"
#include "user/packet/steer_internal.h"

/* libxdp's default is 50: programs that filter for the whole host go before the one that takes frames away. */
#define RUN_PRIORITY 60

static int xdp_fault(struct fault *f, long err, const char *what)
{
	char text[128];

	libxdp_strerror((int)err, text, sizeof(text));
	return fault_set(f, err < 0 ? (int)-err : (int)err, "%s: %s", what, text);
}

bool steer_dispatcher_present(int ifindex)
{
	struct xdp_multiprog *mp = xdp_multiprog__get_from_ifindex(ifindex);
	bool present;

	if (libxdp_get_error(mp))
		return false;
	present = !xdp_multiprog__is_legacy(mp);
	xdp_multiprog__close(mp);
	return present;
}

static enum xdp_attach_mode xdp_mode(enum steer_mode mode)
{
	return mode == STEER_MODE_GENERIC ? XDP_MODE_SKB : XDP_MODE_NATIVE;
}

int steer_dispatcher_attach(struct bpf_object *obj, const char *prog_name, bool frags, int ifindex,
			    enum steer_mode mode, int *prog_fd, struct fault *f)
{
	struct xdp_program_opts opts = { .sz = sizeof(opts), .obj = obj, .prog_name = prog_name };
	struct xdp_program *prog;
	long err;

	prog = xdp_program__create(&opts);
	err = libxdp_get_error(prog);
	if (err)
		return xdp_fault(f, err, "libxdp: open the program");
	err = xdp_program__set_run_prio(prog, RUN_PRIORITY);
	if (!err)
		err = xdp_program__set_chain_call_enabled(prog, XDP_PASS, true);
	if (!err)
		err = xdp_program__set_xdp_frags_support(prog, frags);
	if (!err)
		err = xdp_program__attach(prog, ifindex, xdp_mode(mode), 0);
	if (err) {
		xdp_program__close(prog);
		return xdp_fault(f, err, "libxdp: attach behind the dispatcher");
	}
	/* Where the kernel cannot do it, libxdp attaches the program alone; we do that ourselves, by a link. */
	if (!steer_dispatcher_present(ifindex)) {
		(void)xdp_program__detach(prog, ifindex, xdp_mode(mode), 0);
		xdp_program__close(prog);
		return fault_set(f, EOPNOTSUPP, "this kernel does not allow libxdp's dispatcher");
	}
	*prog_fd = fcntl(xdp_program__fd(prog), F_DUPFD_CLOEXEC, 3);
	if (*prog_fd < 0) {
		int e = fault_errno(f, "dup of the program");

		(void)xdp_program__detach(prog, ifindex, xdp_mode(mode), 0);
		xdp_program__close(prog);
		return e;
	}
	xdp_program__close(prog);
	return 0;
}

bool steer_dispatcher_has(int ifindex, uint32_t prog_id)
{
	struct xdp_multiprog *mp = xdp_multiprog__get_from_ifindex(ifindex);
	struct xdp_program *prog = NULL;

	if (libxdp_get_error(mp))
		return false;
	while (!xdp_multiprog__is_legacy(mp) && (prog = xdp_multiprog__next_prog(prog, mp)) != NULL)
		if (xdp_program__id(prog) == prog_id)
			break;
	xdp_multiprog__close(mp);
	return prog != NULL;
}

int steer_dispatcher_detach(int ifindex, uint32_t prog_id, struct fault *f)
{
	struct xdp_multiprog *mp = xdp_multiprog__get_from_ifindex(ifindex);
	struct xdp_program *prog = NULL;
	int err = -ENOENT;

	if (libxdp_get_error(mp))
		return fault_set(f, ENOENT, "no XDP program on interface %d", ifindex);
	while (!xdp_multiprog__is_legacy(mp) && (prog = xdp_multiprog__next_prog(prog, mp)) != NULL) {
		if (xdp_program__id(prog) != prog_id)
			continue;
		err = xdp_program__detach(prog, ifindex, xdp_multiprog__attach_mode(mp), 0);
		if (err)
			xdp_fault(f, err, "libxdp: detach from the dispatcher");
		break;
	}
	xdp_multiprog__close(mp);
	return err;
}
