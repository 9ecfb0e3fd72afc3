#!/usr/bin/env bash
# Everything that reads the code without running it. Called by `make lint` after a build.
# shellcheck disable=SC2317,SC2016  # functions are called through step and xargs
set -uo pipefail
cd "$(dirname "$0")/.." || exit
failed=()
step() {
	local name=$1
	shift
	printf 'lint: %s\n' "$name"
	"$@" || failed+=("$name")
}

c_sources() { git ls-files '*.c' ':!bpf/*.c' ':!*.bpf.c'; }

# One file a call: with several, clang-tidy 14 sees ghosts in va_list. What was read unchanged last time is not read again.
tidy_one() {
	local file=$1 stamp flags pkg
	flags=(-std=c17 -D_GNU_SOURCE '-DSLUICE_VERSION="lint"' -Iinclude -I. -Ibuild/bpf)
	read -ra pkg <<<"$(pkg-config --cflags json-c)"
	stamp=build/lint/$(gcc "${flags[@]}" "${pkg[@]}" -E "$file" 2>/dev/null | cat - .clang-tidy | sha1sum | cut -d' ' -f1)
	[ -e "$stamp" ] && return 0
	if clang-tidy-14 --quiet "$file" -- "${flags[@]}" "${pkg[@]}" >"$stamp.log" 2>/dev/null &&
		! grep -qE '(error|warning):' "$stamp.log"; then
		mv "$stamp.log" "$stamp"
	else
		grep -E '(error|warning):' "$stamp.log" || echo "$file: clang-tidy failed"
		rm -f "$stamp.log"
		return 1
	fi
}
export -f tidy_one

tidy() {
	mkdir -p build/lint
	# A header's finding shows in each file that includes it. Tests are left to the compiler and the sanitizers.
	local out
	out=$(c_sources | grep -v ^tests/ | xargs -P "$(nproc)" -n 1 bash -c 'tidy_one "$1"' _ | sort -u)
	[ -z "$out" ] || { printf '%s\n' "$out"; return 1; }
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

# A table of cases may be longer than a page of logic.
long_files() {
	git ls-files '*.c' '*.h' | xargs wc -l | awk '{ most = $2 ~ /^tests\// ? 1000 : 900 }
		$2 != "total" && $1 > most { print $2 ": " $1 " lines, more than " most; bad = 1 }
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
