#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""One TCP connection that is never to notice anything: tcp_probe.py serve ADDRESS PORT | ask ADDRESS PORT

`ask` sends a number every 5 ms and waits for its echo; at SIGTERM it prints the number of echoes and the longest wait in
milliseconds, and ends with 0. A connection that breaks ends it with 1.
"""
import signal
import socket
import sys
import time

what, address, port = sys.argv[1:]
family = socket.AF_INET6 if ":" in address else socket.AF_INET
stop = False


def on_term(*_):
    global stop
    stop = True


if what == "serve":
    server = socket.create_server((address, int(port)), family=family)
    while True:
        peer, _ = server.accept()
        peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        while data := peer.recv(4096):
            peer.sendall(data)

signal.signal(signal.SIGTERM, on_term)
s = socket.create_connection((address, int(port)), timeout=5)
s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
count, worst = 0, 0.0
print("connected", flush=True)
while not stop:
    start = time.monotonic()
    s.sendall(b"%08d" % count)
    got = b""
    while len(got) < 8:
        more = s.recv(8 - len(got))
        if not more:
            sys.exit("closed after %d echoes" % count)
        got += more
    if got != b"%08d" % count:
        sys.exit("%r instead of %d" % (got, count))
    count += 1
    worst = max(worst, time.monotonic() - start)
    time.sleep(0.005)
print(count, int(worst * 1000), flush=True)
