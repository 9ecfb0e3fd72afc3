# SPDX-License-Identifier: MIT
# shellcheck shell=bash
# Network namespaces for demonstrations, benchmarks and tests: sourced, never run.
#
#   . topology/lib.sh
#   topo_begin routed               a prefix of this run, leftovers of dead runs swept, cleanup at exit
#   ns_add h1; ns_add gw            namespaces $TOPO-h1, $TOPO-gw
#   veth_add h1 eth0 gw lan         one veth, --queues and --mtu of topo_options apply
#   addr_add h1 eth0 10.1.0.2/24    address (IPv6: without duplicate address detection)
#   in_ns h1 ping -c1 10.1.0.1      run there and wait
#   spawn h1 iperf.log iperf3 -s    run there in the background; $SPAWNED is the pid
#   wait_for 5 "iperf3 listens" tcp_listens h1 5201
#
# What a run made stands in its state folder ($TOPO_STATE, one object a line), so that the next run can clean up after
# one that was killed with SIGKILL. Nothing here waits for a time: wait_for polls a condition until a deadline.

[ -z "${TOPO_LIB:-}" ] || return 0	# sourced once already
TOPO_LIB=1
TOPO_ROOT=${TOPO_ROOT:-$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)}
TOPO_RUN=/run/sluice-topology
B=${B:-build}
[[ $B == /* ]] || B=$TOPO_ROOT/$B
SLUICE=${SLUICE:-$B/sluice}
TOOLS=${TOOLS:-$B/tests/tools}
export LC_ALL=C

TOPO='' TOPO_STATE='' SPAWNED='' GATEWAY_PID='' GATEWAY_INSTANCE='' GATEWAY_LOG=''
TOPO_QUEUES=1 TOPO_MTU=1500 TOPO_VLAN=0 TOPO_GATEWAY=1 TOPO_CONF='' TOPO_PAUSE=0 TOPO_IN=h1
TOPO_CMD=()

say() { printf '%s\n' "$*" >&2; }

die() {
	say "${TOPO:-topology}: $*"
	exit 1
}

# ---- Names and lifetimes --------------------------------------------------------------------------------------------

# The start time tells a process from a later one with the same pid.
pid_birth() {
	local line field
	{ read -r line <"/proc/$1/stat"; } 2>/dev/null || return 1
	# Counted from the state on: a command name in parentheses may hold spaces. A zombie is dead.
	read -ra field <<<"${line##*) }"
	[ "${field[0]}" != Z ] && printf '%s\n' "${field[19]}"
}

pid_is() {	# PID BIRTH
	[ "$(pid_birth "$1")" = "$2" ]
}

pid_gone() { ! pid_birth "$1" >/dev/null; }

# topo_begin NAME: start a run. Call once, before anything else.
topo_begin() {
	[ "$(id -u)" -eq 0 ] || die "namespaces need root"
	TOPO=sl-$1-$$
	TOPO_STATE=$TOPO_RUN/$TOPO
	topo_sweep
	mkdir -p "$TOPO_STATE"
	printf '%s %s\n' "$$" "$(pid_birth $$)" >"$TOPO_STATE/owner"
	: >"$TOPO_STATE/objects"
	trap 'topo_end $?' EXIT
	trap 'exit 130' INT
	trap 'exit 143' TERM HUP
}

# Clean up after runs whose shell is gone.
topo_sweep() {
	local dir pid birth
	for dir in "$TOPO_RUN"/*/; do
		[ -f "$dir/owner" ] || continue
		read -r pid birth <"$dir/owner" || continue
		pid_is "$pid" "$birth" && continue
		say "sweeping what ${dir%/} left behind"
		topo_remove "${dir%/}"
	done
}

topo_end() {
	trap '' INT TERM HUP
	trap - EXIT
	[ -n "$TOPO_STATE" ] && topo_remove "$TOPO_STATE"
	exit "$1"
}

note() { printf '%s\n' "$*" >>"$TOPO_STATE/objects"; }

# pin_note PATH: a file or folder of this run outside of the state folder (bpffs pin, control socket).
pin_note() { note pin "$1"; }

# Remove all that the state folder $1 lists: processes first, then links, namespaces, pins.
topo_remove() {
	local kind a b ns pid
	local objects=$1/objects
	[ -f "$objects" ] || { rm -rf "$1"; return 0; }
	while read -r kind a b; do
		[ "$kind" = process ] && pid_is "$a" "$b" && kill_wait "$a"
	done < <(tac "$objects")
	while read -r kind a b; do
		case $kind in
		link) ip -n "$a" link del "$b" 2>/dev/null || : ;;
		ns)
			# A command of the user's may still run in there; the namespace is ours, so it ends with it.
			for pid in $(ip netns pids "$a" 2>/dev/null); do kill_wait "$pid"; done
			ns=$a
			ip netns del "$ns" 2>/dev/null || :
			;;
		pin) rm -rf "$a" 2>/dev/null || : ;;
		esac
	done < <(tac "$objects")
	rm -rf "$1"
}

# kill_wait PID [SIGNAL [SECONDS]]: signal, wait until it is gone, SIGKILL at the deadline.
kill_wait() {
	local pid=$1 sig=${2:-TERM} limit=${3:-5}
	kill "-$sig" "$pid" 2>/dev/null || return 0
	kill -CONT "$pid" 2>/dev/null || :
	until_deadline "$limit" pid_gone "$pid" || {
		kill -KILL "$pid" 2>/dev/null || :
		until_deadline 5 pid_gone "$pid" || :
	}
	wait "$pid" 2>/dev/null || :
	return 0
}

# ---- Waiting --------------------------------------------------------------------------------------------------------

now_us() { printf '%s\n' "${EPOCHREALTIME/./}"; }

# until_deadline SECONDS CMD...: try CMD until it succeeds. Return: 1 when the deadline passed first. $TOPO_PATIENCE (1)
# multiplies the deadline, for machines that are busy with something else.
until_deadline() {
	local end
	end=$(($(now_us) + $1 * 1000000 * ${TOPO_PATIENCE:-1}))
	shift
	until "$@" >/dev/null 2>&1; do
		[ "$(now_us)" -lt "$end" ] || return 1
		sleep 0.02
	done
}

# wait_for SECONDS WHAT CMD...: the same, and says what did not happen.
wait_for() {
	local limit=$1 what=$2
	shift 2
	until_deadline "$limit" "$@" || {
		say "${TOPO:-topology}: not within $limit s: $what"
		return 1
	}
}

tcp_listens() { in_ns "$1" ss -Hltn "sport = :$2" | grep -q .; }
udp_listens() { in_ns "$1" ss -Hlun "sport = :$2" | grep -q .; }
link_exists() { ip -n "$(ns "$1")" link show dev "$2"; }
link_is_up() { [[ $(ip -n "$(ns "$1")" -o link show dev "$2" 2>/dev/null) == *LOWER_UP* ]]; }
file_has() { grep -qE "$2" "$1"; }

# ---- Namespaces and links -------------------------------------------------------------------------------------------

ns() { printf '%s-%s\n' "$TOPO" "$1"; }

# in_ns HOST CMD...: unlike `ip netns exec` this keeps /sys/fs/bpf in sight.
in_ns() {
	local host=$1
	shift
	nsenter --net="/run/netns/$TOPO-$host" -- "$@"
}

# spawn HOST LOG CMD...: in the background, output to LOG in the state folder (or an absolute path); sets $SPAWNED.
spawn() {
	local host=$1 log=$2 birth=''
	shift 2
	[[ $log == /* ]] || log=$TOPO_STATE/$log
	# exec: the pid is the program's own, not a shell's around it.
	(exec nsenter --net="/run/netns/$TOPO-$host" -- "$@") >"$log" 2>&1 </dev/null &
	SPAWNED=$!
	birth=$(pid_birth "$SPAWNED") || birth=gone
	note process "$SPAWNED" "$birth"
}

# stop PID [SIGNAL]: end a spawned process and wait for it.
stop() { kill_wait "$@"; }

# join PID SECONDS: wait for a spawned process to end by itself. Return: its exit code, 124 after the deadline
join() {
	local rc=0
	until_deadline "$2" pid_gone "$1" || {
		stop "$1"
		return 124
	}
	wait "$1" || rc=$?
	return "$rc"
}

ns_add() {
	local name
	name=$(ns "$1")
	note ns "$name"
	ip netns add "$name"
	# Static addresses are usable at once, and no host speaks before it is told to: tests count frames.
	in_ns "$1" sysctl -qw net.ipv6.conf.all.disable_ipv6=0 net.ipv6.conf.default.disable_ipv6=0 \
		net.ipv6.conf.default.accept_dad=0 net.ipv6.conf.default.router_solicitations=0 \
		net.ipv6.conf.default.accept_ra=0
	ip -n "$name" link set dev lo up
}

# veth_add HOST1 DEV1 HOST2 DEV2 [QUEUES [MTU]]: both ends up, as many RX as TX queues on each side: native XDP wants
# at least as many RX queues as the peer has TX queues.
veth_add() {
	local a b q=${5:-$TOPO_QUEUES} mtu=${6:-$TOPO_MTU}
	a=$(ns "$1") b=$(ns "$3")
	ip -n "$a" link add "$2" mtu "$mtu" numtxqueues "$q" numrxqueues "$q" type veth \
		peer name "$4" mtu "$mtu" numtxqueues "$q" numrxqueues "$q" netns "$b"
	note link "$a" "$2"
	ip -n "$a" link set dev "$2" up
	ip -n "$b" link set dev "$4" up
	wait_for 5 "$1/$2 has a carrier" link_is_up "$1" "$2"
	wait_for 5 "$3/$4 has a carrier" link_is_up "$3" "$4"
}

has_local6() { [ -n "$(ip -n "$1" -6 route show table local "$2")" ]; }

# addr_add HOST DEV ADDRESS/LENGTH...
addr_add() {
	local host=$1 name a dev=$2
	name=$(ns "$1")
	shift 2
	for a; do
		if [[ $a == *:* ]]; then
			ip -n "$name" -6 addr add "$a" dev "$dev" nodad
			# Without the route that a work queue of the kernel adds later, what comes for it is lost.
			link_is_up "$host" "$dev" || continue
			wait_for 20 "$host has ${a%/*}" has_local6 "$name" "${a%/*}"
		else
			ip -n "$name" addr add "$a" dev "$dev"
		fi
	done
}

# route_add HOST PREFIX via GATEWAY, or dev DEVICE...
route_add() {
	local name=$1
	shift
	if [[ $1 == *:* || ${3:-} == *:* ]]; then
		ip -n "$(ns "$name")" -6 route add "$@"
	else
		ip -n "$(ns "$name")" route add "$@"
	fi
}

# vlan_host_up HOST DEV TAGS [OPTIONS OF vlanhost...]: DEV is a TAP whose frames travel on eth0 under TAGS: "10", or
# "100.20" for VLAN 20 inside of a service tag 100. Hosts of a kernel without 802.1Q devices are tagged this way.
vlan_host_up() {
	local host=$1 dev=$2 tags=$3 mtu=$TOPO_MTU

	shift 3
	# A packet socket leaves room for a tag of 802.1Q beyond the MTU, and for none of 802.1ad.
	if [[ $tags == *.* ]]; then
		mtu=$((mtu - 8))
	fi
	[ -x "$TOOLS/vlanhost" ] || die "$TOOLS/vlanhost is not built: make bins"
	spawn "$host" "vlanhost-$host.log" "$TOOLS/vlanhost" --device eth0 --tap "$dev" --tags "$tags" --mtu "$mtu" "$@"
	wait_for 5 "$host/$dev is up" link_is_up "$host" "$dev"
}

# forward_on HOST: the kernel of this namespace forwards, in the engine's place when that is gone.
forward_on() { in_ns "$1" sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1; }

mac_of() { ip -n "$(ns "$1")" -br link show dev "$2" | awk '{ print $3 }'; }

# ---- CPU time -------------------------------------------------------------------------------------------------------

# cpu_mark: "busy total" of the whole machine in clock ticks, by /proc/stat.
cpu_mark() {
	local cpu user nice system idle iowait irq softirq steal rest
	# shellcheck disable=SC2034  # the names of the columns that are not used document the ones that are
	read -r cpu user nice system idle iowait irq softirq steal rest </proc/stat
	printf '%s %s\n' $((user + nice + system + irq + softirq + steal)) \
		$((user + nice + system + idle + iowait + irq + softirq + steal))
}

# cpu_seconds MARK1 MARK2: busy seconds between two marks.
cpu_seconds() {
	local a b
	read -r a _ <<<"$1"
	read -r b _ <<<"$2"
	awk -v t="$((b - a))" -v hz="$(getconf CLK_TCK)" 'BEGIN { printf "%.2f\n", t / hz }'
}

# cpu_share MARK1 MARK2: the busy share of all cores, in per cent.
cpu_share() {
	local a ta b tb
	read -r a ta <<<"$1"
	read -r b tb <<<"$2"
	awk -v busy="$((b - a))" -v all="$((tb - ta))" 'BEGIN { printf "%.0f\n", all ? 100 * busy / all : 0 }'
}

# pid_cpu PID: its CPU seconds so far, all threads, kernel time included.
pid_cpu() {
	local line field
	{ read -r line <"/proc/$1/stat"; } 2>/dev/null || return 1
	read -ra field <<<"${line##*) }"
	awk -v t="$((field[11] + field[12]))" -v hz="$(getconf CLK_TCK)" 'BEGIN { printf "%.2f\n", t / hz }'
}

# ---- The gateway ----------------------------------------------------------------------------------------------------

bpffs_mounted() { [ "$(stat -f -c %T /sys/fs/bpf 2>/dev/null)" = bpf_fs ]; }

gateway_answers() { "$SLUICE" -i "$GATEWAY_INSTANCE" status --json; }

gateway_ready() { pid_gone "$GATEWAY_PID" || gateway_answers; }

# The instance that arguments of `sluice run` make: --instance NAME, the configuration's, or the default.
gateway_instance() {
	local name=sluice
	while [ $# -gt 1 ]; do
		case $1 in
		--instance) name=$2 ;;
		-c) name=$(sed -nE 's/^instance *= *"([^"]*)".*/\1/p' "$2") ;;
		esac
		shift
	done
	printf '%s\n' "${name:-sluice}"
}

# gateway_start HOST ARGUMENTS...: `sluice run` in the background; returns when it answers on its control socket.
# With $GATEWAY_CPU set it is pinned to that core. Sets $GATEWAY_PID, $GATEWAY_INSTANCE (what the arguments or their
# configuration name, for `sluice -i`) and $GATEWAY_LOG.
gateway_start() {
	local host=$1 pin=()
	shift
	[ -x "$SLUICE" ] || { say "$SLUICE is not built"; return 1; }
	GATEWAY_INSTANCE=$(gateway_instance "$@")
	GATEWAY_LOG=${GATEWAY_LOG:-$TOPO_STATE/gateway.log}
	[ -n "${GATEWAY_CPU:-}" ] && pin=(taskset -c "$GATEWAY_CPU")
	pin_note "/sys/fs/bpf/sluice/$GATEWAY_INSTANCE"
	spawn "$host" "$GATEWAY_LOG" "${pin[@]}" "$SLUICE" run "$@"
	GATEWAY_PID=$SPAWNED
	wait_for "${GATEWAY_TIMEOUT:-20}" "the gateway answers" gateway_ready || { tail -n 20 "$GATEWAY_LOG" >&2; return 1; }
	pid_gone "$GATEWAY_PID" || return 0
	say "the gateway ended at start:"
	tail -n 20 "$GATEWAY_LOG" >&2
	return 1
}

# gateway_stop [SIGNAL]: end it and wait. Return: its exit code
gateway_stop() {
	local pid=$GATEWAY_PID rc=0
	[ -n "$pid" ] || return 0
	GATEWAY_PID=''
	kill "-${1:-TERM}" "$pid" 2>/dev/null || :
	until_deadline 10 pid_gone "$pid" || {
		say "the gateway did not end within 10 s"
		kill -KILL "$pid" 2>/dev/null || :
	}
	wait "$pid" 2>/dev/null || rc=$?
	return "$rc"
}

# ---- Options of the topology scripts --------------------------------------------------------------------------------

topo_usage() {
	cat <<-END
	usage: ${0##*/} [OPTIONS] [-- CMD...]
	  --queues N     receive and transmit queues on each side of each link (1)
	  --mtu N        MTU of all links (1500)
	  --vlan         tagged hosts: h1 in VLAN 10, h2 in VLAN 20 inside of 100 (engine-only interfaces at the gateway)
	  --conf FILE    the gateway's configuration, in place of the one that fits the topology
	  --no-gateway   namespaces only; the kernel forwards
	  --pause        leave it up, print how to enter each host, end with Ctrl-C or Enter
	  --in HOST      where CMD runs (h1)
	  -- CMD         run CMD in the topology, end with its exit code
	END
}

# shellcheck disable=SC2034  # the scripts that source this file read what is set here
topo_options() {
	while [ $# -gt 0 ]; do
		case $1 in
		--queues) TOPO_QUEUES=${2:?--queues needs a number}; shift ;;
		--mtu) TOPO_MTU=${2:?--mtu needs a number}; shift ;;
		--conf) TOPO_CONF=$(realpath -e "${2:?--conf needs a file}") || exit 2; shift ;;
		--in) TOPO_IN=${2:?--in needs a host}; shift ;;
		--vlan) TOPO_VLAN=1 ;;
		--no-gateway) TOPO_GATEWAY=0 ;;
		--pause) TOPO_PAUSE=1 ;;
		--) shift; TOPO_CMD=("$@"); break ;;
		-h | --help) topo_usage; exit 0 ;;
		*) say "${0##*/}: unknown option $1"; topo_usage >&2; exit 2 ;;
		esac
		shift
	done
	[[ $TOPO_QUEUES =~ ^[1-9][0-9]*$ ]] || { say "--queues: $TOPO_QUEUES is not a number of queues"; exit 2; }
	[[ $TOPO_MTU =~ ^[0-9]+$ && $TOPO_MTU -ge 1280 && $TOPO_MTU -le 65535 ]] || {
		say "--mtu: $TOPO_MTU is not in 1280..65535 (IPv6 needs 1280)"
		exit 2
	}
}

# topo_serve HOST...: what a script does once its topology is up: CMD, --pause, or nothing.
topo_serve() {
	local h rc=0
	if [ ${#TOPO_CMD[@]} -gt 0 ]; then
		in_ns "$TOPO_IN" "${TOPO_CMD[@]}" || rc=$?
	fi
	if [ "$TOPO_PAUSE" = 1 ]; then
		for h; do
			printf '%-4s nsenter --net=/run/netns/%s -- bash\n' "$h" "$(ns "$h")"
		done
		if [ -n "$GATEWAY_PID" ]; then
			printf '%-4s %s -i %s status\n' cli "$SLUICE" "$GATEWAY_INSTANCE"
			printf '%-4s %s\n' log "$GATEWAY_LOG"
		fi
		if [ -t 0 ]; then
			read -r -p 'up; Enter ends it ' || :
		else
			say 'up; SIGTERM ends it'
			# A signal interrupts wait at once; it would have to wait for a foreground sleep.
			sleep infinity &
			note process $! "$(pid_birth $!)"
			wait $! || :
		fi
	fi
	return "$rc"
}
