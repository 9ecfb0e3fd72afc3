#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Lines that ran, by file and by layer: coverage.sh BUILD_FOLDER, after its programs have run. Lines of inline functions
# in headers count for the header, once each however many files include it.
set -euo pipefail
cd "$(dirname "$0")/.."
build=$(realpath "$1")
mapfile -t notes < <(find "$build/common" "$build/user" -name '*.gcno' | sort)
[ ${#notes[@]} -gt 0 ] || { echo "coverage.sh: nothing was built in $1" >&2; exit 1; }

for note in "${notes[@]}"; do
	gcov-12 --stdout --json-format "$note" 2>/dev/null
done | jq -r '.files[] | select(.file | startswith("/") | not) | .file as $f | .lines[] | "\($f) \(.line_number) \(.count)"' |
	awk '
		{ k = $1 ":" $2; if (!(k in ran)) { file[k] = $1; ran[k] = 0 } if ($3 > 0) ran[k] = 1 }
		END { for (k in file) { all[file[k]]++; hit[file[k]] += ran[k] } for (f in all) print f, hit[f], all[f] }' |
	grep -E '^(common|user|include)/' | sort |
	awk '
		function line(name, h, a) { printf "%-44s %6d of %6d lines  %5.1f %%\n", name, h, a, 100 * h / a }
		{ line($1, $2, $3)
		  layer = $1; sub("/[^/]*$", "", layer)
		  if (!(layer in a)) order[++n] = layer
		  h[layer] += $2; a[layer] += $3; H += $2; A += $3 }
		END { print ""; for (i = 1; i <= n; i++) line(order[i], h[order[i]], a[order[i]]); print ""; line("all", H, A) }'
