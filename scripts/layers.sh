#!/usr/bin/env bash
# Calls point down only: reject an #include of a layer above, or of a sibling.
#
#   scripts/layers.sh [--headers]
#
# --headers also compiles each header alone.
set -euo pipefail
cd "$(dirname "$0")/.."

# Rank of each folder; siblings share one and may not include each other. The Makefile links by the same order.
declare -A rank=(
	[include/sluice]=0 [common]=1 [user/packet]=2 [user/net]=3
	[user/tcp]=4 [user/ipsec]=4 [user/nat]=4 [user/offload]=4
	[user/sock]=5 [user/gateway]=6 [user/control]=7 [user/cli]=8
	[user/libsock]=2 [bpf]=1
)
bad=0

complain() {
	echo "$1:$2: $3 must not include $4" >&2
	bad=1
}

check_file() {
	local file=$1 dir=$2 line path target
	while IFS=: read -r line path; do
		path=${path#*\"} path=${path%\"*}
		target=${path%/*}
		[ -n "${rank[$target]:-}" ] || continue
		[ "$target" = "$dir" ] && continue
		# bpf/ and libsock stand apart: they know include/sluice (and libsock common/) alone.
		if [ "$dir" = bpf ] || [ "$target" = bpf ] || [ "$target" = user/libsock ] ||
			{ [ "$dir" = user/libsock ] && [ "$target" != common ]; } ||
			[ "${rank[$target]}" -ge "${rank[$dir]}" ]; then
			complain "$file" "$line" "$dir" "$path"
		fi
	done < <(grep -nE '^[[:space:]]*#[[:space:]]*include[[:space:]]*"' "$file" | sed -E 's/^([0-9]+):[^"]*/\1:/')
	# include/sluice is the ground: no project header stands above it.
	if [ "$dir" = include/sluice ] && grep -nE '^[[:space:]]*#[[:space:]]*include[[:space:]]*"' "$file" >&2; then
		echo "$file: include/sluice must not include project headers" >&2
		bad=1
	fi
}

for dir in "${!rank[@]}"; do
	for file in "$dir"/*.[ch]; do
		[ -e "$file" ] && check_file "$file" "$dir"
	done
done

if [ "${1:-}" = --headers ]; then
	flags=(-std=c17 -D_GNU_SOURCE -Iinclude -I. -Ibuild/bpf -Wall -Wextra -fsyntax-only -x c)
	for h in include/sluice/*.h common/*.h user/*/*.h; do
		[ -e "$h" ] || continue
		# shellcheck disable=SC2046  # pkg-config prints words
		if ! gcc "${flags[@]}" $(pkg-config --cflags json-c) -include "$h" /dev/null; then
			echo "$h: does not compile alone" >&2
			bad=1
		fi
	done
fi
exit $bad
