#!/usr/bin/env bash
# Run Check binaries one after the other: run-tests.sh LABEL BINARY...
# Ends with one line "LABEL: N passed, N failed" and exits non-zero when a check failed or a binary crashed.
set -uo pipefail
label=$1
shift
# Check gives a case 4 seconds where the test names no time; sanitizers and busy machines need more.
export CK_DEFAULT_TIMEOUT=${CK_DEFAULT_TIMEOUT:-60} CK_TIMEOUT_MULTIPLIER=${CK_TIMEOUT_MULTIPLIER:-5}
passed=0 failed=0
for t in "$@"; do
	out=$("$t" 2>&1)
	rc=$?
	line=$(grep -E '^[0-9]+%: Checks: ' <<<"$out" | tail -n 1)
	if [[ $line =~ Checks:\ ([0-9]+),\ Failures:\ ([0-9]+),\ Errors:\ ([0-9]+) ]]; then
		bad=$((BASH_REMATCH[2] + BASH_REMATCH[3]))
		passed=$((passed + BASH_REMATCH[1] - bad))
		failed=$((failed + bad))
	fi
	if [ $rc -ne 0 ]; then
		[ -n "$line" ] || failed=$((failed + 1))
		printf '%s\n' "--- ${t##*/tests/} (exit $rc)" "$out"
	else
		printf '%-44s %s\n' "${t##*/tests/}" "$line"
		grep -E '^SKIP' <<<"$out"
	fi
done
echo "$label: $passed passed, $failed failed"
[ "$failed" -eq 0 ]
