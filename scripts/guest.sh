#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Run a command in a QEMU guest with another kernel and this host's files: no image to keep, nothing to install in it.
#
#   scripts/guest.sh [OPTION...] -- COMMAND [ARGUMENT...]
#
#   --kernel K        6.1, new or a suite of Debian's (scripts/guest-kernel.sh gets it), or the FILE of a kernel that
#                     needs no modules (virtio-pci, a serial console, and virtiofs or 9p built in); default new
#   --net tap=IF[,PROPERTY=VALUE...]
#                     a virtio-net device on the tap IF of the caller's network namespace; repeatable, eth0, eth1, ...
#                     queues=N makes the device multi-queue, other properties go to QEMU's virtio-net-pci
#   --rw DIR          the command may write to DIR (all else but /tmp, /run and /var/tmp is read-only); repeatable
#   --smp N           processors, default 1
#   --mem M           MiB of memory, default 1024; /tmp, /run and /var/tmp are taken from it
#   --append WORDS    more words for the kernel's command line
#   --timeout S       seconds until the guest counts as hanging, default 120
#   --console FILE    keep the kernel's console in FILE
#
# The command runs as root in the caller's working directory, with /sys/fs/bpf mounted and the modules at hand; its
# output arrives here as it is written, standard input is empty. QEMU emulates the processors (TCG), all of them in one
# thread: expect a tenth of a core's speed. Exit code: the command's; 124 when the guest hangs, 125 when it panics or
# could not be started.
set -euo pipefail

die() { echo "guest.sh: $*" >&2; exit 125; }
usage() { sed -n '3,/^set/s/^# \{0,1\}//p' "$0"; }

root=$(cd "$(dirname "$0")/.." && pwd)
kernel=new smp=1 mem=1024 append='' timeout=120 console='' nets=() rw=()
args=("$@")
while [ $# -gt 0 ]; do
	case $1 in
	--) shift; break ;;
	-h | --help) usage; exit 0 ;;
	--kernel | --net | --rw | --smp | --mem | --append | --timeout | --console)
		[ $# -ge 2 ] || die "$1 needs a value"
		case $1 in
		--kernel) kernel=$2 ;;
		--net) nets+=("$2") ;;
		--rw) rw+=("$(realpath -e "$2")") || die "no such folder: $2" ;;
		--smp) smp=$2 ;;
		--mem) mem=$2 ;;
		--append) append=$2 ;;
		--timeout) timeout=$2 ;;
		--console) console=$2 ;;
		esac
		shift 2 ;;
	*) die "no such option: '$1' (scripts/guest.sh --help)" ;;
	esac
done
[ $# -gt 0 ] || die "no command after --"
for n in "$smp" "$mem" "$timeout"; do
	[[ $n =~ ^[1-9][0-9]*$ ]] || die "not a positive number: '$n'"
done
[ "$(id -u)" -eq 0 ] || die "not root: the guest's read-only view of this host's files is made of mounts"

# The mounts below are seen by this script and QEMU alone, and go with them.
if [ "${SLUICE_GUEST_MOUNTS:-}" != private ]; then
	SLUICE_GUEST_MOUNTS=private exec unshare --mount --propagation private "$0" "${args[@]}"
fi

for tool in qemu-system-x86_64 busybox cpio modprobe; do
	command -v "$tool" >/dev/null || die "$tool is missing: scripts/deps.sh guest"
done
virtiofsd=''
for file in /usr/libexec/virtiofsd /usr/lib/qemu/virtiofsd; do	# Debian 13 and later; 12
	[ -n "$virtiofsd" ] || [ ! -x "$file" ] || virtiofsd=$file
done
[ -n "$virtiofsd" ] || die "virtiofsd is missing: scripts/deps.sh guest"

modules=''
if [ -f "$kernel" ]; then
	vmlinuz=$(realpath "$kernel")
else
	[[ $kernel == */* ]] && die "no such kernel: $kernel"
	modules=$("$root/scripts/guest-kernel.sh" "$kernel") || exit
	vmlinuz=$modules/vmlinuz
fi

work=$(mktemp -d "${TMPDIR:-/tmp}/sluice-guest.XXXXXX")
mkdir "$work/root" "$work/tmp"
pids=()
# shellcheck disable=SC2317	# called by the trap
cleanup() {
	[ ${#pids[@]} -eq 0 ] || kill "${pids[@]}" 2>/dev/null || true
	rm -rf "$work/tmp"
	# Never rm -r over the binds: rmdir removes the mount point or, still mounted, nothing.
	umount -R "$work/root" 2>/dev/null || true
	rmdir "$work/root" "$work" 2>/dev/null || true
}
trap cleanup EXIT
trap 'exit 130' INT TERM
console=${console:-$work/tmp/console}

# ---- The guest's view of the files ----------------------------------------------------------------------------------
# The bind of / leaves out what is mounted below it (proc, sysfs, other disks): folders of the run are bound one by one.
mkdir -p "$work/tmp/initramfs"/{bin,dev,proc,sys,host,keep,ko}
mount --bind / "$work/root"
mount -o remount,bind,ro "$work/root"
dirs=()
bind() {	# bind ro|rw DIR
	local word dir=$2
	[ "$dir" != / ] || return 0
	[[ $dir =~ ^[[:alnum:]_./+@:-]+$ ]] || die "a folder's name must do without blanks: '$dir'"
	[ -d "$work/root$dir" ] || die "cannot show the guest $dir: it is on a file system of its own"
	mount --bind "$dir" "$work/root$dir"
	mount -o "remount,bind,$1" "$work/root$dir"
	for word in "${dirs[@]}"; do
		[ "$word" = "$dir" ] && return
	done
	dirs+=("$dir")
}
bind ro "$root"
[ -n "$modules" ] && bind ro "$modules"
bind ro "$PWD"
for dir in "${rw[@]}"; do
	bind rw "$dir"
done

# ---- The initramfs: busybox, the modules that reach the files, the command ------------------------------------------
fs=$work/tmp/initramfs
cp "$(command -v busybox)" "$fs/bin/busybox"
for applet in $(busybox --list); do
	[ "$applet" = busybox ] || ln -s busybox "$fs/bin/$applet"
done
cp "$root/scripts/guest-init.sh" "$fs/init"
: >"$fs/insmod"
if [ -n "$modules" ]; then
	release=$(cat "$modules/release")
	while read -r verb ko _; do
		[ "$verb" = insmod ] || continue
		name=$(basename "$ko" .xz)
		[ -e "$fs/ko/$name" ] && continue
		case $ko in
		*.xz) xz -dc "$ko" >"$fs/ko/$name" ;;
		*) cp "$ko" "$fs/ko/$name" ;;
		esac
		echo "/ko/$name" >>"$fs/insmod"
	done < <(modprobe -d "$modules" -S "$release" -a --show-depends virtio_pci virtiofs)
fi
cat >"$fs/guest.conf" <<END
dirs='${dirs[*]}'
modules='$modules'
END
{
	echo 'export HOME=/tmp PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin LC_ALL=C.UTF-8'
	printf 'cd %q || exit 125\n' "$PWD"
	printf '%q ' "$@"
	echo
} >"$fs/command"
(cd "$fs" && find . | cpio -o -H newc --quiet) >"$work/tmp/initrd"

# ---- QEMU -----------------------------------------------------------------------------------------------------------
# One host thread for all processors (thread=single): with a thread each, QEMU 7.2 now and then runs an instruction that
# another processor has patched since, and a kernel that switches a static branch dies of an int3 nobody put there.
# shellcheck disable=SC2054	# the commas are QEMU's
qemu=(qemu-system-x86_64 -nodefaults -no-user-config -display none -no-reboot -accel tcg,thread=single -cpu max
	-smp "$smp" -m "$mem" -object "memory-backend-memfd,id=mem,size=${mem}M,share=on" -machine memory-backend=mem
	-kernel "$vmlinuz" -initrd "$work/tmp/initrd"
	-append "console=ttyS0 loglevel=5 panic=-1 oops=panic mitigations=off $append"
	-serial "file:$console" -serial stdio -serial "file:$work/tmp/status"
	-chardev "socket,id=fs,path=$work/tmp/virtiofsd" -device vhost-user-fs-pci,chardev=fs,tag=root
	-fsdev "local,id=root,path=$work/root,security_model=none,multidevs=remap"
	-device virtio-9p-pci,fsdev=root,mount_tag=root)
i=0
for net in "${nets[@]}"; do
	IFS=, read -r tap props <<<"$net"
	[[ $tap == tap=?* ]] || die "--net: '$net' is not tap=IF[,PROPERTY=VALUE...]"
	tap=${tap#tap=}
	# QEMU would make it, and nobody would be on its other side.
	ip link show dev "$tap" >/dev/null 2>&1 || die "--net: no such device here: $tap"
	netdev="tap,id=net$i,ifname=$tap,script=no,downscript=no"
	device="virtio-net-pci,netdev=net$i,mac=$(printf '52:54:00:5c:00:%02x' "$i")"
	IFS=, read -ra props <<<"$props"
	for prop in "${props[@]}"; do
		case $prop in
		queues=*) netdev+=,$prop device+=",mq=on,vectors=$((2 * ${prop#queues=} + 2))" ;;
		?*=?*) device+=,$prop ;;
		*) die "--net: '$prop' is not PROPERTY=VALUE" ;;
		esac
	done
	qemu+=(-netdev "$netdev" -device "$device")
	i=$((i + 1))
done

"$virtiofsd" --socket-path="$work/tmp/virtiofsd" -o source="$work/root" -o cache=always \
	>"$work/tmp/virtiofsd.log" 2>&1 &
pids+=($!)
for _ in $(seq 100); do
	[ -S "$work/tmp/virtiofsd" ] && break
	kill -0 "${pids[0]}" 2>/dev/null || break
	sleep 0.05
done
[ -S "$work/tmp/virtiofsd" ] || { cat "$work/tmp/virtiofsd.log" >&2; die "virtiofsd did not start"; }

# QEMU sets its standard output non-blocking, which is for the other writers of this one to suffer: a pipe between.
rc=0
timeout --foreground -k 5 "$timeout" "${qemu[@]}" </dev/null 2>"$work/tmp/qemu.log" | cat || rc=${PIPESTATUS[0]}

status=$(tail -n 1 "$work/tmp/status" 2>/dev/null || true)
case $status in
"exit "[0-9]*) exit "${status#exit }" ;;
?*) die "$status" ;;
esac
tail -n 20 "$console" >&2 2>/dev/null || true
grep -v '^$' "$work/tmp/qemu.log" >&2 || true
if why=$(grep -aom 1 'Kernel panic - .*' "$console" 2>/dev/null); then
	die "the guest stopped: ${why//[$'\r']/}"
fi
if [ "$rc" -eq 124 ] || [ "$rc" -eq 137 ]; then
	echo "guest.sh: the guest was still running after $timeout s: it hangs, or --timeout is too short" >&2
	exit 124
fi
die "the guest ended without an exit code (QEMU: $rc)"
