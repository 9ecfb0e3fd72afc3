#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Tests that need another kernel: tests/vm/run.sh [PART...], parts being the other scripts here but lib.sh.
#
# A part with a line "# guest: OPTIONS" runs in a guest of scripts/guest.sh with these options, the others here. A part
# prints "ok NAME" or "not ok NAME" for each check. Ends with "vm: N passed, N failed".
set -uo pipefail

cd "$(dirname "$0")/../.." || exit 1
here=tests/vm
B=${B:-build}
export B

parts=("$@")
if [ ${#parts[@]} -eq 0 ]; then
	for file in "$here"/*.sh; do
		file=$(basename "$file" .sh)
		[ "$file" = run ] || [ "$file" = lib ] || parts+=("$file")
	done
fi

passed=0 failed=0
log=$(mktemp)
trap 'rm -f "$log"' EXIT
for part in "${parts[@]}"; do
	[ -f "$here/$part.sh" ] || { echo "run.sh: no such part: '$part'" >&2; exit 2; }
	read -ra options < <(sed -n 's/^# guest: //p' "$here/$part.sh")
	echo "--- $part${options[*]:+ (guest: ${options[*]})}"
	start=$SECONDS
	if [ ${#options[@]} -gt 0 ]; then
		scripts/guest.sh "${options[@]}" -- env B="$B" ${SLUICE:+SLUICE="$SLUICE"} "$here/$part.sh" 2>&1 | tee "$log"
	else
		"$here/$part.sh" 2>&1 | tee "$log"
	fi
	rc=${PIPESTATUS[0]}
	ok=$(grep -c '^ok ' "$log")
	bad=$(grep -c '^not ok ' "$log")
	# A part that died has not said all that it had to.
	if [ "$bad" -eq 0 ] && { [ "$rc" -ne 0 ] || [ "$ok" -eq 0 ]; }; then
		echo "not ok $part ended with exit code $rc after $ok checks"
		bad=1
	fi
	passed=$((passed + ok))
	failed=$((failed + bad))
	echo "--- $part: $ok passed, $bad failed, $((SECONDS - start)) s"
done
echo "vm: $passed passed, $failed failed"
[ "$failed" -eq 0 ]
