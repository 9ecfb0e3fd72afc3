#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# The XDP program and its loader on the oldest kernel that is supported.
# guest: --kernel 6.1 --timeout 400
set -uo pipefail
cd "$(dirname "$0")/../.." || exit 1

failed=0
for t in steer steer_attach counter_maps; do
	if out=$(CK_DEFAULT_TIMEOUT=100 "${B:-build}/tests/bpf/test_$t" 2>&1); then
		echo "ok $t"
		grep '^SKIP' <<<"$out" | sort -u
	else
		echo "not ok $t"
		printf '%s\n' "$out"
		failed=1
	fi
done
exit $failed
