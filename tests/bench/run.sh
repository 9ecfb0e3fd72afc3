#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# The figures: tests/bench/run.sh [NAME...]   or ONLY=a,b; BENCH_SECONDS is the length of one measurement (5).
#
# Each figure is a function figure_NAME in tests/bench/figures-*.sh, in a shell and namespaces of its own. It measures
# and calls one of record_ratio, record_value, record_missing (lib.sh), which write one object each. All objects
# together become build/bench/results.json and the table at the end; figures of an earlier run that were not asked for
# stay in the file. A missed bound, a missing peer or a figure that ends without a result makes the exit code 1 and is
# named.
set -uo pipefail
cd "$(dirname "$0")/../.." || exit 1
export B=${B:-build}
export BENCH_SECONDS=${BENCH_SECONDS:-5} BENCH_REPS=${BENCH_REPS:-3}
out=$B/bench
mkdir -p "$out"

if [ "$(id -u)" -ne 0 ]; then
	echo "bench: namespaces need root" >&2
	exit 1
fi
if [ "$BENCH_REPS" -lt 3 ]; then
	echo "bench: BENCH_REPS $BENCH_REPS: a ratio takes at least three pairs" >&2
	exit 2
fi

names=("$@")
if [ -n "${ONLY:-}" ]; then
	IFS=', ' read -ra more <<<"$ONLY"
	names+=("${more[@]}")
fi
mapfile -t known < <(sed -nE 's/^figure_([a-z0-9_]+)\(\).*/\1/p' tests/bench/figures-*.sh)
[ ${#names[@]} -gt 0 ] || names=("${known[@]}")

child=''
trap 'if [ -n "$child" ]; then kill -TERM "$child" 2>/dev/null; wait "$child"; fi; exit 130' INT TERM

failed=()
[ -s "$out/results.json" ] || echo '[]' >"$out/results.json"
for name in "${names[@]}"; do
	file=$(grep -lE "^figure_$name\(\)" tests/bench/figures-*.sh | head -n 1)
	if [ -z "$file" ]; then
		echo "bench: there is no figure $name; there are: ${known[*]}" >&2
		exit 2
	fi
	printf '%s ...\n' "$name" >&2
	rm -f "$out/$name.json"
	# A session of its own: see comes_first.
	setsid bash tests/bench/lib.sh "$file" "$name" "$out/$name.json" >"$out/$name.log" 2>&1 </dev/null &
	child=$!
	wait "$child"
	rc=$?
	child=''
	if [ ! -s "$out/$name.json" ]; then
		sed 's/^/      | /' "$out/$name.log" >&2
		jq -n --arg name "$name" --arg why "the measurement ended with exit code $rc, see $out/$name.log" \
			'{ name: $name, unit: "", value: null, peer: "", peer_value: null, ratio: null, wants: "", met: false,
			   missing: $why, conditions: {} }' >"$out/$name.json"
	fi
	jq --slurpfile new "$out/$name.json" '[.[] | select(.name != $new[0].name)] + $new' "$out/results.json" \
		>"$out/results.tmp" && mv "$out/results.tmp" "$out/results.json"
	jq -e .met "$out/$name.json" >/dev/null || failed+=("$name")
done

list=$(IFS=,; echo "${names[*]}")
echo
jq -r --arg names "$list" '
	def num: if . == null then "-" elif (. | fabs) >= 1000 then (. | round | tostring)
		else (. * 1000 | round / 1000 | tostring) end;
	def cpu: if . == null then "-" else to_entries | map("\(.key) \(.value * 10 | round / 10)") | join(" ") end;
	["figure", "value", "unit", "peer", "peer value", "ratio", "(min..max)", "wants", "", "CPU s ours", "CPU s peer"],
	(.[] | select(.name as $n | $names | split(",") | index($n)) |
		[.name, (.value | num), .unit, (if .peer == "" then "-" else .peer end), (.peer_value | num), (.ratio | num),
		 (if .ratio_min == null then "-" else "\(.ratio_min | num)..\(.ratio_max | num)" end),
		 (if .wants == "" then "reported" else .wants end),
		 (if .missing then "MISSING" elif .met then "ok" else "MISSED" end),
		 (.conditions.cpu_seconds.ours | cpu), (.conditions.cpu_seconds.peer | cpu)])
	| join("|")' "$out/results.json" | column -t -s '|'
jq -r --arg name "${names[-1]}" '.[] | select(.name == $name) | .conditions | select(.kernel) |
	"kernel \(.kernel), \(.cores) cores; CPU seconds of one run, medians"' "$out/results.json"
for name in "${failed[@]}"; do
	jq -r '"bench: \(.name): " + (.missing // "\(.ratio // .value) does not meet \(.wants)")' "$out/$name.json" >&2
done
[ ${#failed[@]} -eq 0 ]
