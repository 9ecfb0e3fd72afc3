# SPDX-License-Identifier: MIT
# shellcheck shell=bash
# What the running gateway may do, and that it is enough: for devices that come back and for leaving nothing behind.

# status_of THREAD FIELD: of /proc/PID/task/TID/status, or the process's
status_of() { sed -nE "s/^$2:[[:space:]]*(.*)/\1/p" "/proc/$GATEWAY_PID/task/$1/status"; }

# caps NAME...: as the kernel prints a set of them
caps() {
	local name n=0
	for name; do
		case $name in
		dac_override) n=$((n | 1 << 1)) ;;
		fowner) n=$((n | 1 << 3)) ;;
		net_admin) n=$((n | 1 << 12)) ;;
		net_raw) n=$((n | 1 << 13)) ;;
		ipc_lock) n=$((n | 1 << 14)) ;;
		perfmon) n=$((n | 1 << 38)) ;;
		bpf) n=$((n | 1 << 39)) ;;
		esac
	done
	printf '%016x\n' "$n"
}

port_in_state() { port_is "$1" ".state == \"$2\""; }

rx_pkts() { "$SLUICE" -i "$TOPO" stats --json | jq '[.ports[] | .counters.rx_pkts // 0] | add'; }

# forwards WHAT ADDRESS: the engine does, not the kernel in its place.
forwards() {
	local before
	before=$(rx_pkts)
	check "$1" ping_ok h1 "$2"
	[ "$(rx_pkts)" -ge $((before + 20)) ] || fail "$1, but by the kernel: $(cat "$GATEWAY_LOG")"
}

# holds_little FILTERED UIDS: the control thread has what it needs, the workers nothing, and no way back.
holds_little() {
	local kept=(net_admin net_raw ipc_lock perfmon bpf) task
	for task in "/proc/$GATEWAY_PID/task"/*; do
		task=${task##*/}
		equal "uids of $task" "$(status_of "$task" Uid | tr '\t' ' ')" "$2 $2 $2 $2"
		equal "NoNewPrivs of $task" "$(status_of "$task" NoNewPrivs)" 1
		equal "Seccomp of $task" "$(status_of "$task" Seccomp)" "$1"
		equal "CapInh of $task" "$(status_of "$task" CapInh)" "$(caps)"
		equal "CapBnd of $task" "$(status_of "$task" CapBnd)" "$(caps)"
		equal "CapAmb of $task" "$(status_of "$task" CapAmb)" "$(caps)"
		if [ "$task" = "$GATEWAY_PID" ]; then
			equal "CapEff of $task" "$(status_of "$task" CapEff)" "$(caps "${kept[@]}")"
			equal "CapPrm of $task" "$(status_of "$task" CapPrm)" "$(caps "${kept[@]}" dac_override fowner)"
		else
			equal "CapEff of $task" "$(status_of "$task" CapEff)" "$(caps)"
			equal "CapPrm of $task" "$(status_of "$task" CapPrm)" "$(caps)"
		fi
	done
}

sanitized() { [[ $B == */asan || $B == */tsan ]]; }

left_behind() {
	local path
	for path in "/sys/fs/bpf/sluice/$TOPO" "/run/sluice/$TOPO.sock" "/run/sluice/$TOPO.sock.lock"; do
		refuse "$path is left behind" test -e "$path"
	done
	refuse "an XDP program is left behind" grep -q 'xdp' <<<"$(ip -n "$(ns gw)" -d link)"
}

# live_with UID EXTRA: a gateway with this configuration lives through all that needs privileges.
live_with() {
	local filtered=2
	sanitized && filtered=0
	[[ $2 == *"seccomp = false"* ]] && filtered=0
	routed_up
	cat >"$TOPO_STATE/gateway.conf" <<-END
	instance = "$TOPO";
	$2
	workers = { count = 2; };
	ports = ( { name = "lan"; device = "lan"; }, { name = "wan"; device = "wan"; },
	          { name = "app"; tun = "app0"; owner = "nobody"; } );
	END
	gateway_start gw -c "$TOPO_STATE/gateway.conf"
	holds_little "$filtered" "$1"
	forwards "forwards" 10.2.0.2
	check "the TUN's owner" grep -q 'user nobody' <<<"$(ip -n "$(ns gw)" -d link show app0)"
	# A device goes and comes back: its program is loaded anew, memory is registered, maps are pinned.
	ip -n "$(ns gw)" link del wan
	wait_for 5 "the port is gone" port_in_state wan gone
	veth_add h2 eth0 gw wan
	addr_add h2 eth0 10.2.0.2/24 fd02::2/64
	addr_add gw wan 10.2.0.1/24 fd02::1/64
	route_add h2 default via 10.2.0.1
	route_add h2 default via fd02::1
	wait_for 10 "the port is back" port_in_state wan up
	check "counters are pinned again" test -e "/sys/fs/bpf/sluice/$TOPO/wan/counters"
	forwards "forwards again" 10.2.0.2
	forwards "forwards IPv6 again" fd02::2
	ip -n "$(ns gw)" link set dev lan mtu 1400
	ip -n "$(ns gw)" link del app0
	wait_for 10 "the TUN is back" port_in_state app up
	for command in status stats ports routes neigh; do
		check "$command" "$SLUICE" -i "$TOPO" "$command" --json >"$TOPO_STATE/$command"
	done
	spawn h1 ping.log ping -q -i 0.05 10.2.0.2
	check "captures" timeout 10 "$SLUICE" -i "$TOPO" capture lan -w "$TOPO_STATE/lan.pcap" --count 4
	stop "$SPAWNED"
	holds_little "$filtered" "$1"
	check "ends well" gateway_stop
	left_behind
}

test_as_user() { live_with 65534 'user = "nobody";'; }
test_as_root() { live_with 0 ''; }
test_without_filter() { live_with 65534 'user = "nobody"; seccomp = false;'; }

test_unknown_user() {
	ns_add gw
	cat >"$TOPO_STATE/gateway.conf" <<-END
	instance = "$TOPO"; user = "no-such-user";
	ports = ( { name = "lan"; device = "lan"; } );
	END
	refuse "starts" in_ns gw "$SLUICE" run -c "$TOPO_STATE/gateway.conf" 2>"$TOPO_STATE/err"
	check "says so" grep -q 'no user "no-such-user"' "$TOPO_STATE/err"
	left_behind
}
