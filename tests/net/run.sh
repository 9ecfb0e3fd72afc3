#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Run the namespace tests: tests/net/run.sh [PATTERN...]
#
# Each tests/net/test_*.sh is a file of functions test_NAME; each function runs in a shell of its own with its own
# namespaces (see lib.sh). PATTERN, or ONLY=a,b, picks by a part of "file:function". $B is the build folder, so that an
# ASan build runs through the same tests. One line for each test; the log of a failed one is printed; all logs stand in
# $B/tests/net/. NET_TIMEOUT (120) bounds each test in seconds.
set -uo pipefail
cd "$(dirname "$0")/../.." || exit 1
export B=${B:-build}
logs=$B/tests/net
mkdir -p "$logs"

if [ "$(id -u)" -ne 0 ]; then
	echo "net: namespaces need root" >&2
	exit 1
fi

IFS=', ' read -ra patterns <<<"$* ${ONLY:-}"

wanted() {	# FILE:FUNCTION
	local p
	[ ${#patterns[@]} -eq 0 ] && return 0
	for p in "${patterns[@]}"; do
		[[ $1 == *"$p"* ]] && return 0
	done
	return 1
}

passed=0 failed=0 skipped=0 child=''
# The test's own trap cleans up; the runner waits for it.
trap 'if [ -n "$child" ]; then kill -TERM "$child" 2>/dev/null; wait "$child"; fi; exit 130' INT TERM

for file in tests/net/test_*.sh; do
	[ -f "$file" ] || continue
	name=${file##*/test_}
	name=${name%.sh}
	mapfile -t tests < <(sed -nE 's/^(test_[a-zA-Z0-9_]+)\(\).*/\1/p' "$file")
	for t in "${tests[@]}"; do
		id=$name:${t#test_}
		wanted "$id" || continue
		log=$logs/$name-${t#test_}.log
		start=${EPOCHREALTIME/./}
		timeout --foreground -k 20 "${NET_TIMEOUT:-120}" bash tests/net/lib.sh "$file" "$t" >"$log" 2>&1 </dev/null &
		child=$!
		wait "$child"
		rc=$?
		child=''
		secs=$(awk -v us="$((${EPOCHREALTIME/./} - start))" 'BEGIN { printf "%.1f", us / 1e6 }')
		case $rc in
		0)
			passed=$((passed + 1))
			printf 'pass  %-52s %5s s\n' "$id" "$secs"
			;;
		77)
			skipped=$((skipped + 1))
			printf 'skip  %-52s %s\n' "$id" "$(sed -n 's/^SKIP: //p' "$log" | tail -n 1)"
			;;
		*)
			failed=$((failed + 1))
			[ $rc -eq 124 ] && echo "not done within ${NET_TIMEOUT:-120} s" >>"$log"
			printf 'FAIL  %-52s %5s s, exit %d\n' "$id" "$secs" "$rc"
			sed 's/^/      | /' "$log"
			;;
		esac
	done
done
echo "net: $passed passed, $failed failed, $skipped skipped"
[ "$failed" -eq 0 ]
