#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Run parts of the tests one after the other and add up what they say: test.sh PART...
#
# A part is a target of the Makefile, or SAN:TARGET for a sanitizer's build of it (asan:unit). All parts run, also after
# one that failed. A part ends with its own line "LABEL: N passed, N failed[, N skipped]"; one that prints none counts as one
# test, a build as none. Logs: build/test/PART.log. Ends with the time of each part and the sums, non-zero when anything failed.
set -uo pipefail
cd "$(dirname "$0")/.." || exit 1
make=${MAKE:-make} logs=build/test
mkdir -p "$logs"

passed=0 failed=0 skipped=0 table=''
for part; do
	log=$logs/${part/:/-}.log start=$SECONDS
	printf '\n=== %s\n' "$part"
	case $part in
	*:*) args=("SAN=${part%%:*}" "${part#*:}") ;;
	*) args=("$part") ;;
	esac
	"$make" --no-print-directory "${args[@]}" 2>&1 </dev/null | tee "$log"
	rc=${PIPESTATUS[0]}
	read -r p f s < <(sed -nE 's/^([a-z-]+: )?([0-9]+) passed, ([0-9]+) failed(, ([0-9]+) skipped)?$/\2 \3 \5/p' "$log" |
		awk '{ p += $1; f += $2; s += $3 } END { print p + 0, f + 0, s + 0 }')
	if [ "$rc" -ne 0 ] && [ "$f" -eq 0 ]; then
		echo "$part: make ended with exit code $rc"
		f=1
	elif [ $((p + f + s)) -eq 0 ] && [[ $part != *bins ]]; then
		p=1
	fi
	passed=$((passed + p)) failed=$((failed + f)) skipped=$((skipped + s))
	table+=$(printf '%-16s %6d passed %4d failed %4d skipped %5d s' "$part" "$p" "$f" "$s" $((SECONDS - start)))$'\n'
done
printf '\n%s' "$table"
echo "test: $passed passed, $failed failed, $skipped skipped"
[ "$failed" -eq 0 ]
