#!/usr/bin/env bash
# Everything that reads the code without running it. Called by `make lint` after a build.
set -uo pipefail
cd "$(dirname "$0")/.."
failed=()
step() {
	local name=$1
	shift
	printf 'lint: %s\n' "$name"
	"$@" || failed+=("$name")
}

c_sources() { git ls-files '*.c' ':!bpf/*.c' ':!*.bpf.c'; }

tidy() {
	local flags=(-std=c17 -D_GNU_SOURCE -Iinclude -I. -Ibuild/bpf)
	local pkg
	read -ra pkg <<<"$(pkg-config --cflags json-c)"
	c_sources | xargs -P "$(nproc)" -n 8 clang-tidy-14 --quiet --warnings-as-errors='*' 2>/dev/null -- \
		"${flags[@]}" "${pkg[@]}" 2>&1 | grep -E 'error:|warning:' && return 1
	return 0
}

# The checks that are off: unusedFunction does not see callers in tests; missingInclude does not know system headers.
cpp_check() {
	c_sources | grep -v ^tests/ | xargs cppcheck --quiet --std=c11 --error-exitcode=1 --inline-suppr \
		--enable=warning,portability --suppress=missingInclude --suppress=missingIncludeSystem \
		-Iinclude -I. -j "$(nproc)"
}

shell() { git ls-files '*.sh' .ci/run | xargs shellcheck -x -P SCRIPTDIR; }

# No file may name the machine that it was written on, or lead out of the tree.
paths() { ! git grep -nE '/work/|\.\./shared' -- . ':!scripts/lint.sh'; }

long_files() {
	git ls-files '*.c' '*.h' | xargs wc -l | awk '$2 != "total" && $1 > 900 { print $2 ": " $1 " lines, more than 900"; bad = 1 }
		END { exit bad }'
}

step layers scripts/layers.sh --headers
step shellcheck shell
step paths paths
step 'file length' long_files
step cppcheck cpp_check
step clang-tidy tidy

if [ ${#failed[@]} -gt 0 ]; then
	echo "lint: failed: ${failed[*]}" >&2
	exit 1
fi
echo "lint: clean"
