#!/usr/bin/env bash
# Install what Sluice needs to build, test and show itself on Debian 12.
#
#   scripts/deps.sh          everything that `make all test demo` uses
#   scripts/deps.sh guest    the same and what the QEMU guests use
#
# Idempotent: with nothing missing it asks dpkg once and ends.
set -euo pipefail

build=(
	git gcc make pkg-config clang-14 llvm-14 libclang-rt-14-dev	# clang: BPF target, fuzzers, sanitizers
	libbpf-dev libxdp-dev libelf-dev zlib1g-dev bpftool linux-libc-dev
	libmnl-dev libconfig-dev libjson-c-dev libpcap-dev libcap-ng-dev libseccomp-dev
	uthash-dev check
)
test=(
	iproute2 iputils-ping iputils-arping ethtool iperf3 curl tcpdump nftables
	python3-scapy python3-minimal procps jq bsdextrautils socat openssh-client
	valgrind clang-tidy-14 cppcheck shellcheck
)
guest=(qemu-system-x86 qemu-system-common busybox-static cpio xz-utils kmod debian-archive-keyring xdp-tools)

want=("${build[@]}" "${test[@]}")
[ "${1:-}" = guest ] && want+=("${guest[@]}")

missing=()
for p in "${want[@]}"; do
	state=$(dpkg-query -W -f '${db:Status-Status}' "$p" 2>/dev/null || true)
	[ "$state" = installed ] || missing+=("$p")
done
[ ${#missing[@]} -eq 0 ] && exit 0

if [ "$(id -u)" -ne 0 ]; then
	echo "deps.sh: not root, and these packages are missing: ${missing[*]}" >&2
	exit 1
fi
echo "deps.sh: installing ${missing[*]}"
export DEBIAN_FRONTEND=noninteractive
log=$(mktemp)
trap 'rm -f "$log"' EXIT
install() { apt-get install -y -q --no-install-recommends "${missing[@]}" >"$log" 2>&1; }
# The package lists may be old or absent: refresh them only when the first try fails.
if ! install; then
	apt-get update -q >"$log" 2>&1 || true
	if ! install; then
		tail -n 20 "$log" >&2
		echo "deps.sh: apt-get could not install: ${missing[*]}" >&2
		exit 1
	fi
fi
