/* SPDX-License-Identifier: MIT */
#include "user/control/privilege.h"

#include <cap-ng.h>
#include <errno.h>
#include <pwd.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "common/bytes.h"
#include "common/log.h"

/* Numbers of the kernel's that older libcap-ng headers lack. */
static const unsigned int kept[] = { CAP_NET_ADMIN, CAP_NET_RAW, CAP_IPC_LOCK, CAP_BPF, CAP_PERFMON };
static const unsigned int of_files[] = { CAP_DAC_OVERRIDE, CAP_FOWNER };

int privilege_find_user(const char *name, struct privilege_user *user, struct fault *f)
{
	struct passwd pw, *found = NULL;
	char buf[16384];
	int err = getpwnam_r(name, &pw, buf, sizeof(buf), &found);

	if (!found)
		return fault_set(f, err ? err : ENOENT, "there is no user \"%s\"%s%s", name, err ? ": " : "",
				 err ? strerror(err) : "");
	*user = (struct privilege_user){ pw.pw_uid, pw.pw_gid };
	return 0;
}

/* What is to be had from now on, as far as it is there. */
static void choose(const bool *has, bool sys_admin)
{
	const capng_type_t both = CAPNG_EFFECTIVE | CAPNG_PERMITTED;

	capng_clear(CAPNG_SELECT_BOTH);
	for (size_t i = 0; i < ARRAY_SIZE(kept); i++)
		if (has[kept[i]])
			capng_update(CAPNG_ADD, both, kept[i]);
	for (size_t i = 0; i < ARRAY_SIZE(of_files); i++)
		if (has[of_files[i]])
			capng_update(CAPNG_ADD, CAPNG_PERMITTED, of_files[i]);
	if (sys_admin && has[CAP_SYS_ADMIN])
		capng_update(CAPNG_ADD, both, CAP_SYS_ADMIN);
}

int privilege_drop(struct privilege *p, const struct privilege_user *user, bool sys_admin, struct fault *f)
{
	bool has[CAP_LAST_CAP + 1], others;
	int err;

	if (capng_get_caps_process() < 0)
		return fault_errno(f, "privileges: read the capabilities");
	for (unsigned int i = 0; i <= CAP_LAST_CAP; i++)
		has[i] = capng_have_capability(CAPNG_EFFECTIVE, i);
	others = user && (user->uid != getuid() || user->gid != getgid());
	if (others && !(has[CAP_SETUID] && has[CAP_SETGID]))
		return fault_set(f, EPERM, "user: to become another one needs CAP_SETUID and CAP_SETGID");
	choose(has, sys_admin);
	if (others)
		err = capng_change_id((int)user->uid, (int)user->gid,
				      CAPNG_DROP_SUPP_GRP | (has[CAP_SETPCAP] ? CAPNG_CLEAR_BOUNDING : 0));
	else
		err = capng_apply(has[CAP_SETPCAP] ? CAPNG_SELECT_BOTH : CAPNG_SELECT_CAPS);
	if (err)
		return fault_set(f, EPERM, "privileges: they cannot be given up (step %d)", -err);
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return fault_errno(f, "privileges: PR_SET_NO_NEW_PRIVS");
	p->dropped = true;
	return 0;
}

void privilege_files(const struct privilege *p, bool on)
{
	if (!p->dropped || capng_get_caps_process() < 0)
		return;
	for (size_t i = 0; i < ARRAY_SIZE(of_files); i++)
		if (capng_have_capability(CAPNG_PERMITTED, of_files[i]))
			capng_update(on ? CAPNG_ADD : CAPNG_DROP, CAPNG_EFFECTIVE, of_files[i]);
	if (capng_apply(CAPNG_SELECT_CAPS))
		log_debug("privileges: files of others: %s", strerror(errno));
}

void privilege_drop_worker(const struct privilege *p)
{
	if (!p->dropped || capng_get_caps_process() < 0)
		return;
	capng_clear(CAPNG_SELECT_CAPS);
	if (capng_apply(CAPNG_SELECT_CAPS))
		log_warn("privileges: a worker keeps its capabilities: %s", strerror(errno));
}
