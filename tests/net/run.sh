#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Run the namespace tests: tests/net/run.sh [PATTERN...]
#
# Each tests/net/test_*.sh is a file of functions test_NAME; each function runs in a shell of its own with its own
# namespaces (see lib.sh). PATTERN, or ONLY=a,b, picks by a part of "file:function". $B is the build folder, so that an
# ASan build runs through the same tests. One line for each test; the log of a failed one is printed; all logs stand in
# $B/tests/net/. NET_TIMEOUT (300) bounds each test in seconds; NET_JOBS (2) run at once: they mostly wait.
# What wants the machine for itself has a line "# alone: WHY" above it.
set -uo pipefail
cd "$(dirname "$0")/../.." || exit 1
export B=${B:-build}
# A sanitizer's build needs both cores for itself.
case $B in */?san) NET_JOBS=${NET_JOBS:-1} ;; esac
# No deadline is what a test is about: what has to be quick is measured.
export TOPO_PATIENCE=${TOPO_PATIENCE:-4}
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

passed=0 failed=0 skipped=0 alone=0
declare -A running=() started=()	# by pid: the test's id, its start in microseconds

# The tests' own traps clean up; the runner waits for them.
interrupted() {
	trap '' INT TERM
	kill -TERM "${!running[@]}" 2>/dev/null
	wait
	exit 130
}
trap interrupted INT TERM

log_of() { printf '%s/%s.log\n' "$logs" "${1/:/-}"; }

# Wait for one of those that run, and report it.
reap() {
	local pid rc=0 id log secs
	wait -n -p pid || rc=$?
	id=${running[$pid]}
	log=$(log_of "$id")
	secs=$(awk -v us="$((${EPOCHREALTIME/./} - ${started[$pid]}))" 'BEGIN { printf "%.1f", us / 1e6 }')
	unset "running[$pid]" "started[$pid]"
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
		# 124 by the time limit itself, not by something in the test.
		[ $rc -eq 124 ] && echo "exit 124 after $secs s; the limit is ${NET_TIMEOUT:-300} s" >>"$log"
		printf 'FAIL  %-52s %5s s, exit %d\n' "$id" "$secs" "$rc"
		sed 's/^/      | /' "$log"
		;;
	esac
}

for file in tests/net/test_*.sh; do
	[ -f "$file" ] || continue
	name=${file##*/test_}
	name=${name%.sh}
	mapfile -t tests < <(awk '/^# alone:/ { alone = 1 }
		/^test_[a-zA-Z0-9_]+\(\)/ { print substr($1, 1, index($1, "(") - 1), alone ? 1 : jobs; alone = 0 }' \
		jobs="${NET_JOBS:-2}" "$file")
	for t in "${tests[@]}"; do
		jobs=${t#* } t=${t% *}
		id=$name:${t#test_}
		wanted "$id" || continue
		while [ ${#running[@]} -gt 0 ] && { [ ${#running[@]} -ge "$jobs" ] || [ "$alone" = 1 ]; }; do
			reap
		done
		alone=$((jobs == 1))
		timeout --foreground -k 20 "${NET_TIMEOUT:-300}" bash tests/net/lib.sh "$file" "$t" >"$(log_of "$id")" 2>&1 </dev/null &
		running[$!]=$id
		started[$!]=${EPOCHREALTIME/./}
	done
done
while [ ${#running[@]} -gt 0 ]; do
	reap
done
echo "net: $passed passed, $failed failed, $skipped skipped"
[ "$failed" -eq 0 ]
