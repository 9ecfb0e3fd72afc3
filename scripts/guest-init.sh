#!/bin/sh
# SPDX-License-Identifier: MIT
# The first process of a guest (busybox; its initramfs is made by guest.sh): mount the host's files read-only, run the
# command in them, hand its exit code out. ttyS0 is the kernel's console, ttyS1 the command's output, ttyS2 its exit
# code; with a word there that is no number this script says what it could not do.
export PATH=/bin

fail() {
	echo "$*" >/dev/ttyS2
	reboot -f
}

mount -t proc none /proc
mount -t sysfs none /sys
mount -t devtmpfs none /dev
for tty in ttyS1 ttyS2; do
	stty -F /dev/$tty raw -echo || fail "no /dev/$tty"
done
dirs='' modules=''
# shellcheck disable=SC1091
. /guest.conf	# dirs: of the run; modules: the folder of lib/modules, empty if the kernel has none

while read -r ko; do
	insmod "$ko" || fail "cannot insert $ko"
done </insmod

# Debian's cloud kernels have virtiofs and no 9p; a kernel without modules may have 9p alone. QEMU offers both. What
# must not be written to is mounted read-only on the host's side.
mount -t virtiofs root /host 2>/dev/null ||
	mount -t 9p -o trans=virtio,version=9p2000.L,msize=512000,cache=loose root /host 2>/dev/null ||
	fail "this kernel mounts neither virtiofs nor 9p"

# The folders of the run stay visible when one is under a folder that gets a file system of its own here.
i=0
for dir in $dirs; do
	i=$((i + 1))
	mkdir -p /keep/$i
	mount --bind "/host$dir" /keep/$i || fail "cannot bind $dir"
done
for dir in tmp run var/tmp; do
	mount -t tmpfs -o mode=1777 none /host/$dir || fail "cannot mount /$dir"
done
i=0
for dir in $dirs; do
	i=$((i + 1))
	mkdir -p "/host$dir" 2>/dev/null
	mount --bind /keep/$i "/host$dir" || fail "cannot bind $dir"
done

mount -t proc none /host/proc
mount -t sysfs none /host/sys
mount --rbind /dev /host/dev
mkdir -p /dev/pts /dev/shm
ln -s /proc/self/fd /dev/fd
ln -s /proc/self/fd/0 /dev/stdin
ln -s /proc/self/fd/1 /dev/stdout
ln -s /proc/self/fd/2 /dev/stderr
mount -t devpts none /host/dev/pts
mount -t tmpfs none /host/dev/shm
mount -t bpf none /host/sys/fs/bpf
mount -t debugfs none /host/sys/kernel/debug 2>/dev/null
mount -t tracefs none /host/sys/kernel/tracing 2>/dev/null

if [ -n "$modules" ]; then
	# The kernel asks for modules by itself (rtnl-link-veth, xfrm-type-2-50, sch-netem, ...): kmod of the host's files.
	cat >/bin/load <<-END
		#!/bin/sh
		exec chroot /host /sbin/modprobe -d "$modules" "\$@"
	END
	chmod +x /bin/load
	echo /bin/load >/proc/sys/kernel/modprobe
	[ -d /host/usr/lib/modules ] && mount --bind "/host$modules/lib/modules" /host/usr/lib/modules
	# shellcheck disable=SC2046
	/bin/load -a -q tun $(cat /sys/bus/virtio/devices/*/modalias)
fi
ip link set lo up
hostname guest

cp /command /host/run/command
chroot /host /bin/bash /run/command </dev/null >/dev/ttyS1 2>&1
rc=$?
sync
echo "exit $rc" >/dev/ttyS2
reboot -f
