#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""A control socket that says what it is told to: fake_instance.py SOCKET

Stands in for a gateway where only the client's side is under test. Requests are printed, one a line. A capture and a trace
send their records and then stay open, as a real one does.
"""
import json
import os
import socket
import struct
import sys
import threading

PORTS = {"ports": [
    {"name": "lan", "device": "eth1", "kind": "xdp", "ifindex": 3, "state": "up", "mac": "02:00:00:00:00:01",
     "mtu": 1500, "mode": "copy native", "reasons": ["zero-copy: veth has no such thing"],
     "program": {"variant": "metadata", "frags": True, "attached_by": "link", "pins": "/sys/fs/bpf/sluice/fake/lan"},
     "offloads": {"tx_checksum": True, "multibuffer": False, "uso": True},
     "queues": [{"queue": 0, "worker": 0}, {"queue": 1, "worker": 1}],
     "interfaces": [{"name": "lan", "vlan": None, "mtu": 1500, "addresses": [
         {"address": "192.0.2.1/24", "owner": "engine", "state": "preferred"}]},
                    {"name": "lan.7", "vlan": {"id": 7, "inner": 9, "protocol": "802.1ad"}, "mtu": 1400,
                     "addresses": []}]},
    {"name": "app", "device": "tun0", "kind": "tun", "ifindex": 4, "state": "down", "mtu": 65535, "mode": "tun",
     "reasons": [], "program": None, "offloads": {}, "queues": [], "interfaces": []}]}

ROUTES = [{"prefix": "10.%d.0.0/16" % i, "type": "unicast", "metric": i, "origin": "static", "protocol": None,
           "nexthops": [{"via": "192.0.2.254", "interface": "lan", "weight": 1},
                        {"via": None, "interface": "app", "weight": 2}]} for i in range(25)]

calls = {"stats": 0}


def stats():
    calls["stats"] += 1
    n = calls["stats"]
    return {"time_ns": n * 10**9,
            "engine": {"rx_pkts": 1000 * n, "tx_pkts": 0}, "drops": {"none": 0, "ttl": 5 * n}, "workers": [],
            "ports": [{"name": "lan", "counters": {"rx_pkts": 7 * n}, "queues": [],
                       "steer": {"rx_frames": n, "pass_default": n},
                       "rules": [{"name": "ssh", "id": 1, "pkts": n, "bytes": 60 * n}]}]}


def answer(request):
    cmd = request["cmd"]
    if cmd == "status":
        return {"instance": "fake", "version": "v0", "pid": 1, "uptime_ns": 3723 * 10**9, "state": "running",
                "config": None, "kernel": "6.1.0", "limits": ["no TX metadata: the kernel is older than 6.8"],
                "workers": [{"worker": 0, "cpu": None, "chunk_bytes": 2048, "frames": {"total": 100, "free": 60,
                             "fill": 40, "engine": 0, "tx": 0, "neigh": 0, "cross": 0}}],
                "ports": PORTS["ports"], "netlink": {"state": "synchronised", "table": 254, "resyncs": 2},
                "counts": {"routes_ipv4": 25, "routes_ipv6": 0, "neighbours": 1, "addresses": 1}}
    if cmd == "ports":
        found = [p for p in PORTS["ports"] if request.get("port", p["name"]) == p["name"]]
        if not found:
            raise OSError(19, 'there is no port "%s"' % request["port"])
        return {"ports": found}
    if cmd == "stats":
        return stats()
    if cmd == "routes":
        at = int(request.get("cursor", "0"))
        return {"routes": ROUTES[at:at + 10], "next": str(at + 10) if at + 10 < len(ROUTES) else None}
    if cmd == "neigh":
        return {"neighbours": [{"address": "192.0.2.7", "interface": "lan", "mac": "02:00:00:00:00:07",
                                "owner": "engine", "state": "reachable", "queued": 0, "age_ns": 1500000000}],
                "next": None}
    if cmd == "capture" or cmd == "trace":
        return {}
    raise OSError(95, "there is no command \"%s\"" % cmd)


def records(request):
    if request["cmd"] == "capture":
        for i in range(5):
            packet = bytes([i] * 60)
            yield struct.pack("=QIIIHBB", 1700000000123456789 + i, len(packet), 1500, 3 if i == 4 else 0, 0, 1, 0) + packet
    else:
        flow = {"family": "ipv4", "protocol": 17, "source": "10.0.0.2", "destination": "10.1.0.2", "source_port": 5,
                "destination_port": 6}
        for line in ({"kind": "verdict", "time_ns": 5 * 10**9 + 7, "port": "lan", "queue": 0, "bytes": 98, "vlan": [7],
                      "verdict": "redirect_prefix", **flow},
                     {"kind": "rx", "packet": 1, "worker": 0, "time_ns": 1, "port": "lan", "bytes": 98, **flow},
                     {"kind": "rx", "packet": 2, "worker": 0, "time_ns": 2, "port": "lan", "bytes": 99, **flow},
                     {"kind": "stage", "packet": 2, "worker": 0, "time_ns": 3, "stage": "ip4-input", "out": "wan"},
                     {"kind": "drop", "packet": 2, "worker": 0, "time_ns": 4, "drop": "ttl"},
                     {"kind": "lost", "records": 12}):
            yield (json.dumps(line) + "\n").encode()


def serve(conn):
    with conn, conn.makefile("rb") as lines:
        for line in lines:
            request = json.loads(line)
            print(json.dumps(request, sort_keys=True), flush=True)
            try:
                reply = {"ok": True, "result": answer(request)}
            except OSError as e:
                reply = {"ok": False, "errno": e.errno, "error": e.strerror}
            conn.sendall((json.dumps(reply) + "\n").encode())
            if reply["ok"] and request["cmd"] in ("capture", "trace"):
                for record in records(request):
                    conn.sendall(record)


def main():
    path = sys.argv[1]
    server = socket.socket(socket.AF_UNIX)
    server.bind(path)
    os.chmod(path, 0o600)
    server.listen(8)
    while True:
        conn, _ = server.accept()
        threading.Thread(target=serve, args=(conn,), daemon=True).start()


if __name__ == "__main__":
    main()
