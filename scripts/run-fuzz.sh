#!/usr/bin/env bash
# Run fuzz targets one after the other: run-fuzz.sh BINARY...
# Each target fuzz_NAME first takes its seeds in tests/vectors/fuzz/NAME/, then fuzzes from there for FUZZ_SECONDS (0:
# seeds only). What it found new is kept in build/fuzz/corpus/NAME and used by the next run. Exits non-zero when a
# target crashed, leaked or hung; the input is left in build/fuzz/crash/NAME-*.
set -uo pipefail
seconds=${FUZZ_SECONDS:-10}
passed=0 failed=0
mkdir -p build/fuzz/crash
for t in "$@"; do
	name=${t##*/fuzz_}
	seeds=tests/vectors/fuzz/$name
	corpus=build/fuzz/corpus/$name
	mkdir -p "$corpus"
	dirs=("$corpus")
	[ -d "$seeds" ] && dirs+=("$seeds")
	args=(-timeout=10 -rss_limit_mb=2048 -print_final_stats=1 "-artifact_prefix=build/fuzz/crash/$name-")
	log=build/fuzz/$name.log
	if [ "$seconds" -gt 0 ]; then
		args+=("-max_total_time=$seconds")
	else
		args+=(-runs=0)
	fi
	if "$t" "${args[@]}" "${dirs[@]}" >"$log" 2>&1; then
		passed=$((passed + 1))
		runs=$(sed -n 's/^stat::number_of_executed_units: *//p' "$log")
		n_seeds=$(find "$seeds" -type f 2>/dev/null | wc -l)
		printf '%-16s %9s runs, %s seeds, no fault\n' "$name" "${runs:-?}" "$n_seeds"
	else
		failed=$((failed + 1))
		printf '%s\n' "--- $name failed; the end of $log:"
		tail -n 40 "$log"
	fi
done
echo "fuzz: $passed passed, $failed failed"
[ "$failed" -eq 0 ]
