#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# What scripts/guest.sh promises: the command's exit code and bytes come back, hangs and panics have codes of their own.
set -uo pipefail
cd "$(dirname "$0")/../.." || exit 1

failed=0
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT

# gives CODE REGEX NAME GUEST-ARGUMENTS...: exit code, and what the output has to say.
gives() {
	local want=$1 regex=$2 name=$3 rc=0 out
	shift 3
	out=$(scripts/guest.sh --kernel 6.1 --mem 512 "$@" 2>&1) || rc=$?
	if [ "$rc" -eq "$want" ] && grep -qE "$regex" <<<"$out"; then
		echo "ok $name"
	else
		echo "not ok $name: exit code $rc, not $want, or no '$regex' in:"
		# shellcheck disable=SC2001
		sed 's/^/    /' <<<"$out"
		failed=1
	fi
}

gives 7 '^6\.1\.' 'exit code and output of the command' -- sh -c 'uname -r; exit 7'
gives 124 'still running after 8 s' 'a hang ends at the timeout' --timeout 8 -- sleep 1000
gives 125 'Kernel panic - not syncing: sysrq' 'a panic is told' -- sh -c 'echo c >/proc/sysrq-trigger; sleep 1000'
gives 125 'no such kernel' 'a kernel that is not there' --kernel ./nosuch -- true
gives 125 'no such device' 'a tap that is not there' --net tap=nosuch0 -- true
# shellcheck disable=SC2016	# the guest's shell expands it
gives 0 . 'writes reach --rw alone' --rw "$dir" -- \
	bash -c '! touch "$PWD/x" && ! touch /etc/x && touch /tmp/x && printf "a\r\n\0\377" >"$0/bytes"' "$dir"
if printf 'a\r\n\0\377' | cmp - "$dir/bytes"; then
	echo 'ok bytes written in the guest are bytes here'
else
	echo 'not ok bytes written in the guest are bytes here'
	failed=1
fi
exit "$failed"
