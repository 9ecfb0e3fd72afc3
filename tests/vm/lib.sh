# SPDX-License-Identifier: MIT
# shellcheck shell=bash
# Checks for the parts that run in guests: sourced after topology/lib.sh.

CHECKS_FAILED=0

# check NAME CMD...: one line of the result; what CMD printed follows when it failed. CMD runs in this shell: it may set
# variables, as gateway_start does.
check() {
	local name=$1 out=$TOPO_STATE/check.log
	shift
	if "$@" >"$out" 2>&1; then
		echo "ok $name"
	else
		echo "not ok $name"
		sed 's/^/    /' "$out"
		CHECKS_FAILED=$((CHECKS_FAILED + 1))
	fi
}

checks_end() { exit $((CHECKS_FAILED > 0)); }

no() { ! "$@"; }

kernel_is_at_least() { printf '%s\n' "$1" "$(uname -r)" | sort -CV; }

# reaches HOST ADDRESS: three echo requests and no loss. An emulated processor answers late: seconds of patience.
reaches() { in_ns "$1" ping -c 3 -i 0.2 -W 10 -w 20 "$2" | grep ' 0% packet loss'; }

# sends HOST PEER ADDRESS: 2 MB over TCP arrive as they were sent.
sends() {
	local in=$TOPO_STATE/sent out=$TOPO_STATE/received listen=TCP4-LISTEN to=TCP4:$3 receiver
	if [[ $3 == *:* ]]; then
		listen=TCP6-LISTEN to="TCP6:[$3]"
	fi
	head -c 2000000 /dev/urandom >"$in"
	rm -f "$out"
	spawn "$2" receiver.log socat -u "$listen:5001,reuseaddr" "CREATE:$out"
	receiver=$SPAWNED
	wait_for 10 "$2 listens" tcp_listens "$2" 5001 || return 1
	in_ns "$1" timeout 60 socat -u "OPEN:$in" "$to:5001" || return 1
	join "$receiver" 20 || return 1
	cmp "$in" "$out"
}

status() { "$SLUICE" -i "$GATEWAY_INSTANCE" status --json; }

# status_says REGEX: somewhere in the status; prints it if not.
status_says() {
	local text
	text=$(status) || return 1
	grep -qiE "$1" <<<"$text" && return 0
	echo "nothing about '$1' in:"
	printf '%s\n' "$text"
	return 1
}

# forwarded: how many packets the engine has routed, all workers.
forwarded() {
	"$SLUICE" -i "$GATEWAY_INSTANCE" stats --json | grep -oE '"forwarded_pkts": *[0-9]+' |
		awk -F ': *' '{ n += $2 } END { print n + 0 }'
}

# by_engine MINIMUM CMD...: CMD succeeds, and the engine, not the kernel, forwarded that many packets meanwhile.
by_engine() {
	local minimum=$1 before after
	shift
	before=$(forwarded) || return 1
	"$@" || return 1
	after=$(forwarded) || return 1
	[ $((after - before)) -ge "$minimum" ] && return 0
	echo "the engine forwarded $((after - before)) packets, not $minimum"
	return 1
}

# xdp_program HOST DEV NAME: a program of that name runs there, alone or behind libxdp's dispatcher.
xdp_program() { in_ns "$1" xdp-loader status "$2" | grep -E " $3"; }

has_no_xdp() { ! ip -n "$(ns "$1")" -d link show dev "$2" | grep 'prog/xdp'; }

has_no_pins() {
	[ -e "/sys/fs/bpf/sluice/$GATEWAY_INSTANCE" ] || return 0
	find "/sys/fs/bpf/sluice/$GATEWAY_INSTANCE"
	return 1
}
