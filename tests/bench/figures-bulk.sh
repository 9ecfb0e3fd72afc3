# SPDX-License-Identifier: MIT
# shellcheck shell=bash
# shellcheck disable=SC2034  # MODE, CC and the like are read by lib.sh
# The figures of the bulk path: coalescing, segmentation, checksums.

# ---- Instructions ---------------------------------------------------------------------------------------------------

# Instructions of the coalescer for one segment of 1,448 bytes, FLOWS interleaved in batches of 64.
coalesce_instructions() {
	local segments=12800 sum
	sum=$(instructions coalesce_batch "$B/tests/bench/insn_coalesce" "$1" $segments) || return 1
	awk -v d="$sum" -v n=$segments 'BEGIN { printf "%.1f\n", d / n }'
}

coalesce_conditions() {
	MODE="in memory, IPv4 TCP with timestamps, partial checksums, batches of 64, callgrind"
	CC=none POLLING=none PINNING=none SECONDS_OF_ONE=0
	[ -x "$B/tests/bench/insn_coalesce" ] || record_missing "$1" "$2" "$3" "insn_coalesce is not built"
	command -v valgrind >/dev/null || record_missing "$1" "$2" "$3" "valgrind is not installed"
}

figure_insn_coalesce_1() {
	coalesce_conditions insn_coalesce_1 instructions/segment "<= 150"
	record_value insn_coalesce_1 instructions/segment "$(coalesce_instructions 1)" "<= 150"
}

figure_insn_coalesce_16() {
	local one sixteen
	coalesce_conditions insn_coalesce_16 "16 flows / 1 flow" "<= 1.3"
	one=$(coalesce_instructions 1)
	sixteen=$(coalesce_instructions 16)
	record_value insn_coalesce_16 "16 flows / 1 flow" \
		"$(awk -v a="$sixteen" -v b="$one" 'BEGIN { printf "%.3f", a / b }')" "<= 1.3"
}
