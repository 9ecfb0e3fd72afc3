#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Get a Debian cloud kernel for the guests, without installing it: guest-kernel.sh SUITE|6.1|new
#
#   6.1    bookworm's, the oldest kernel that is supported
#   new    sid's, the newest that Debian has: BTF, RX metadata kfuncs, TX metadata
#   SUITE  any other of Debian's suites: trixie, trixie-backports, ...
#
# Prints the folder that has vmlinuz, config, release (its version) and lib/modules. The first call downloads it (some
# 40 MB), from the mirror that this host's apt uses but with lists of its own: apt's configuration, lists and cache are
# left as they are. Later calls, with or without a network, find it under ${SLUICE_CACHE:-build}/guest; remove the
# folder there to get a later version.
set -euo pipefail

die() { echo "guest-kernel.sh: $*" >&2; exit 125; }

[ $# -eq 1 ] || die "usage: guest-kernel.sh 6.1|new|SUITE"
case $1 in
6.1) suite=bookworm ;;
new) suite=sid ;;
[a-z]*) suite=$1 ;;
*) die "no such kernel: '$1' (6.1, new, or a suite of Debian's)" ;;
esac
[[ $suite =~ ^[a-z][a-z-]*$ ]] || die "not the name of a suite: '$suite'"
arch=$(dpkg --print-architecture)
[ "$arch" = amd64 ] || die "the guests are x86-64, and this host is $arch"

root=$(cd "$(dirname "$0")/.." && pwd)
cache=${SLUICE_CACHE:-$root/build}/guest
mkdir -p "$cache"
cache=$(cd "$cache" && pwd)

# One at a time: the second caller finds what the first one got.
exec 9>"$cache/.lock"
flock 9
if [ -e "$cache/$suite/vmlinuz" ]; then
	echo "$cache/$suite"
	exit 0
fi

work=$(mktemp -d "$cache/.$suite.XXXXXX")
trap 'rm -rf "$work"' EXIT
mkdir -p "$work"/lists/partial "$work"/cache/archives/partial "$work"/deb "$work"/x

# The repository that serves this host's own release; the host may use a mirror, so its name is asked for each time.
host_suite=$(. /etc/os-release && echo "${VERSION_CODENAME:-}")
# shellcheck disable=SC2016	# the fields are apt's
mirror=$(apt-get indextargets --format '$(RELEASE) $(REPO_URI)' 'Created-By: Packages' |
	awk -v s="$host_suite" '$1 == s { print $2; exit }')
[ -n "$mirror" ] || die "apt has no source for this host's release '$host_suite'"
keys=/usr/share/keyrings/debian-archive-keyring.gpg
[ -r "$keys" ] || die "$keys is missing: install debian-archive-keyring"
echo "deb [arch=$arch signed-by=$keys] $mirror $suite main" >"$work/sources"

apt=(-q -o Dir::Etc::sourcelist="$work/sources" -o Dir::Etc::sourceparts=- -o Dir::Etc::preferencesparts=-
	-o Dir::State::lists="$work/lists" -o Dir::State::status=/dev/null -o Dir::Cache="$work/cache"
	-o Acquire::Languages=none -o APT::Sandbox::User=root)
echo "guest-kernel.sh: getting $suite's kernel" >&2
apt-get "${apt[@]}" update >"$work/log" 2>&1 || { tail -n 5 "$work/log" >&2; die "cannot read the lists of $suite"; }

depends() { apt-cache "${apt[@]}" depends "$1" 2>/dev/null | awk '$1 == "Depends:" { print $2 }'; }
image=$(depends "linux-image-cloud-$arch" | grep -m 1 '^linux-image-[0-9]') ||
	die "$suite has no linux-image-cloud-$arch"
release=${image#linux-image-}
# Debian 14 and its backports split the image: then vmlinuz, modules and configuration have a package each.
mapfile -t parts < <(depends "$image" | grep -E "^linux-(base|binary|modules)-${release//+/\\+}\$")
(cd "$work/deb" && apt-get "${apt[@]}" download "$image" "${parts[@]}") >"$work/log" 2>&1 ||
	{ tail -n 5 "$work/log" >&2; die "cannot download $image"; }
for deb in "$work"/deb/*.deb; do
	dpkg-deb -x "$deb" "$work/x"
done

out=$work/out
first() { local f; for f in "$@"; do [ -e "$f" ] && echo "$f" && return; done; die "$image: no $(basename "$1")"; }
modules=$(first "$work/x/lib/modules/$release" "$work/x/usr/lib/modules/$release")
mkdir -p "$out/lib/modules"
mv "$(first "$work/x/boot/vmlinuz-$release" "$modules/vmlinuz")" "$out/vmlinuz"
mv "$(first "$work/x/boot/config-$release" "$modules/config")" "$out/config"
mv "$modules" "$out/lib/modules/"
echo "$release" >"$out/release"
depmod -b "$out" "$release"
rm -rf "${cache:?}/$suite"
mv "$out" "$cache/$suite"
echo "$cache/$suite"
