// SPDX-License-Identifier: MIT
#include "user/packet/bpffs.h"

#include <bpf/bpf.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <unistd.h>

#define PIN_PATH_MAX (sizeof(((struct bpffs_dir *)0)->path) + 64)

bool bpffs_name_valid(const char *name)
{
	size_t len = strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-");

	return len > 0 && len < BPFFS_NAME_MAX && name[len] == '\0';
}

int bpffs_dir(struct bpffs_dir *d, const char *root, const char *instance, const char *port, struct fault *f)
{
	int n;

	if (!bpffs_name_valid(instance) || (port && !bpffs_name_valid(port)))
		return fault_set(f, EINVAL, "\"%s\" cannot name pins: use 1 to %d letters, digits, \"_\" and \"-\"",
				 bpffs_name_valid(instance) ? port : instance, BPFFS_NAME_MAX - 1);
	n = snprintf(d->path, sizeof(d->path), "%s/sluice/%s%s%s", root ? root : BPFFS_ROOT, instance,
		     port ? "/" : "", port ? port : "");
	if (n < 0 || (size_t)n >= sizeof(d->path))
		return fault_set(f, ENAMETOOLONG, "%s: path too long for pins", root ? root : BPFFS_ROOT);
	return 0;
}

static bool is_bpffs(const char *path)
{
	struct statfs fs;

	return statfs(path, &fs) == 0 && (unsigned long)fs.f_type == (unsigned long)BPF_FS_MAGIC;
}

static int mkdir_parents(const struct bpffs_dir *d, size_t root_len, struct fault *f)
{
	char path[sizeof(d->path)];
	size_t len = strlen(d->path);

	memcpy(path, d->path, len + 1);
	for (size_t i = root_len + 1; i <= len; i++) {
		if (path[i] != '/' && path[i] != '\0')
			continue;
		path[i] = '\0';
		if (mkdir(path, 0700) < 0 && errno != EEXIST)
			return fault_errno(f, "mkdir %s", path);
		path[i] = d->path[i];
	}
	return 0;
}

int bpffs_create(const struct bpffs_dir *d, const char *root, struct fault *f)
{
	if (!root)
		root = BPFFS_ROOT;
	if (!is_bpffs(root)) {
		/* sysfs has /sys/fs/bpf by itself; elsewhere the mount point may have to be made. */
		(void)mkdir(root, 0755);
		if (mount("bpffs", root, "bpf", 0, "mode=0700") < 0)
			return fault_errno(f, "no BPF file system at %s, and \"mount -t bpf bpffs %s\" fails", root,
					   root);
	}
	return mkdir_parents(d, strlen(root), f);
}

static int pin_path(char *path, const struct bpffs_dir *d, const char *name, struct fault *f)
{
	int n = snprintf(path, PIN_PATH_MAX, "%s/%s", d->path, name);

	if (n < 0 || (size_t)n >= PIN_PATH_MAX)
		return fault_set(f, ENAMETOOLONG, "%s/%s: path too long for a pin", d->path, name);
	return 0;
}

int bpffs_pin(const struct bpffs_dir *d, const char *name, int fd, struct fault *f)
{
	char path[PIN_PATH_MAX];
	int err;

	err = pin_path(path, d, name, f);
	if (err)
		return err;
	(void)unlink(path);
	err = bpf_obj_pin(fd, path);
	if (err < 0) {
		errno = -err;
		return fault_errno(f, "pin %s", path);
	}
	return 0;
}

int bpffs_open(const struct bpffs_dir *d, const char *name, struct fault *f)
{
	char path[PIN_PATH_MAX];
	int fd;

	fd = pin_path(path, d, name, f);
	if (fd)
		return fd;
	fd = bpf_obj_get(path);
	if (fd < 0) {
		errno = -fd;
		return fault_errno(f, "open %s", path);
	}
	return fd;
}

bool bpffs_has(const struct bpffs_dir *d, const char *name)
{
	char path[PIN_PATH_MAX];

	/* By what may be done now: access() asks what whoever started us may do. */
	return pin_path(path, d, name, NULL) == 0 && faccessat(AT_FDCWD, path, F_OK, AT_EACCESS) == 0;
}

void bpffs_unpin(const struct bpffs_dir *d, const char *name)
{
	char path[PIN_PATH_MAX];

	if (pin_path(path, d, name, NULL) == 0)
		(void)unlink(path);
}

void bpffs_clear(const struct bpffs_dir *d)
{
	char path[sizeof(d->path)], *slash;
	struct dirent *e;
	DIR *dir = opendir(d->path);

	if (!dir)
		return;
	while ((e = readdir(dir)) != NULL)
		(void)unlinkat(dirfd(dir), e->d_name, 0);	/* refuses folders, which is as wanted */
	closedir(dir);
	/* PORT, INSTANCE and "sluice", each only when empty. */
	memcpy(path, d->path, sizeof(path));
	for (;;) {
		if (rmdir(path) < 0)
			return;
		slash = strrchr(path, '/');
		if (!slash)
			return;
		if (strcmp(slash, "/sluice") == 0)
			return;
		*slash = '\0';
	}
}
