/* SPDX-License-Identifier: MIT */
/*
 * The BPF file system: where maps are pinned so that bpftool finds them by name.
 *
 * Layout: ROOT/sluice/INSTANCE/ holds the engine's maps, ROOT/sluice/INSTANCE/PORT/ those of a port's XDP program.
 */
#ifndef USER_PACKET_BPFFS_H
#define USER_PACKET_BPFFS_H

#include <limits.h>
#include <stdbool.h>

#include "common/fault.h"

#define BPFFS_ROOT "/sys/fs/bpf"
#define BPFFS_NAME_MAX 32	/* of an instance or a port, with the final 0 */

/* Where pins go. */
struct bpffs_dir {
	char path[192];		/* ROOT/sluice/INSTANCE or ROOT/sluice/INSTANCE/PORT */
};

/**
 * bpffs_name_valid() - Can this be the name of an instance or a port?
 *
 * Letters, digits, "_" and "-", at most BPFFS_NAME_MAX - 1 of them: the kernel refuses dots in names of pins.
 */
bool bpffs_name_valid(const char *name);

/**
 * bpffs_dir() - Build the path of a folder of pins; makes nothing.
 * @root:     the mount point; NULL for BPFFS_ROOT
 * @instance: name of the running engine
 * @port:     name of a port, or NULL for the engine's own maps
 *
 * Return: 0, or -EINVAL when a name is not valid
 */
int bpffs_dir(struct bpffs_dir *d, const char *root, const char *instance, const char *port, struct fault *f);

/**
 * bpffs_create() - Make the folder, and mount a BPF file system where there is none.
 * @root: the same as for bpffs_dir()
 *
 * Return: 0, or a negative errno; the fault names the command that mounts it
 */
int bpffs_create(const struct bpffs_dir *d, const char *root, struct fault *f);

/** bpffs_pin() - Pin a map, program or link under a name of the folder, replacing a pin of that name. */
int bpffs_pin(const struct bpffs_dir *d, const char *name, int fd, struct fault *f);

/** bpffs_open() - Open what is pinned. Return: a file descriptor, or a negative errno (-ENOENT: nothing there) */
int bpffs_open(const struct bpffs_dir *d, const char *name, struct fault *f);

/** bpffs_has() - Is there a pin of this name? */
bool bpffs_has(const struct bpffs_dir *d, const char *name);

/** bpffs_unpin() - Remove one pin; nothing happens when it is not there. */
void bpffs_unpin(const struct bpffs_dir *d, const char *name);

/**
 * bpffs_clear() - Remove the folder's pins, the folder itself and what of its parents is empty then.
 *
 * Folders inside it stay, and so does it then.
 */
void bpffs_clear(const struct bpffs_dir *d);

#endif
