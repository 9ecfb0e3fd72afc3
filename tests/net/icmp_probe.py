#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""ICMP errors as a host sees them: icmp_probe.py quote|forbidden|local GATEWAY_MAC

Runs in h1 of topology/routed.sh. What is said about a packet is compared octet by octet; for what must not be said anything
about, packets go out first and one with a known answer last, so that nothing is waited for in vain.
"""
import logging
import sys

logging.getLogger("scapy.runtime").setLevel(logging.ERROR)

from scapy.all import (ICMP, IP, UDP, AsyncSniffer, Ether, ICMPv6DestUnreach, ICMPv6ND_Redirect, ICMPv6ParamProblem,  # noqa: E402
                       ICMPv6TimeExceeded, IPv6, IPv6ExtHdrFragment, Raw, raw, sendp)

what, mac = sys.argv[1:]
EACH4, EACH6 = dict(src="10.1.0.2", dst="10.2.0.2"), dict(src="fd01::2", dst="fd02::2")


def errors(packets, n):
    """The first n ICMP errors that come after the packets, without their Ethernet headers."""
    def is_error(p):
        return p[Ether].src == mac and ((ICMP in p and p[ICMP].type in (3, 4, 5, 11, 12)) or
                                        (IPv6 in p and p[IPv6].nh == 58 and raw(p[IPv6].payload)[0] < 128))

    sniffer = AsyncSniffer(iface="eth0", lfilter=is_error, count=n, timeout=5,
                           started_callback=lambda: sendp([Ether(dst=p.dst_mac if hasattr(p, "dst_mac") else mac) / p
                                                           for p in packets], iface="eth0", verbose=False))
    sniffer.start()
    sniffer.join()
    got = [p[Ether].payload for p in sniffer.results]
    assert len(got) == n, "%d errors instead of %d" % (len(got), n)
    return got


def check(condition, text, packet):
    if not condition:
        packet.show()
        sys.exit(text)


def check_quote(error, sent, most):
    """The error quotes what was sent, as it was sent, and is not longer than allowed."""
    octets = raw(error)
    check(len(octets) <= most, "longer than %d octets: %d" % (most, len(octets)), error)
    quoted = octets[28:] if error.version == 4 else octets[48:]
    check(raw(sent).startswith(quoted) and len(quoted) >= min(len(raw(sent)), 128), "not the packet that was sent", error)
    fresh = error.__class__(octets)
    l4 = fresh.payload
    stated = l4.chksum if error.version == 4 else l4.cksum
    if error.version == 4:
        del l4.chksum, fresh.chksum
    else:
        del l4.cksum
    fresh = error.__class__(raw(fresh))
    check(stated == (fresh.payload.chksum if error.version == 4 else fresh.payload.cksum), "wrong ICMP checksum", error)


if what == "quote":
    long = Raw(bytes(range(256)) * 5)
    sent = [IP(ttl=1, id=77, **EACH4) / UDP(sport=5, dport=7) / long, IPv6(hlim=1, **EACH6) / UDP(sport=5, dport=7) / long,
            IP(src="10.1.0.2", dst="10.99.0.1") / UDP(sport=5, dport=7), IPv6(src="fd01::2", dst="fd99::1") / UDP(sport=5, dport=7)]
    sent = [p.__class__(raw(p)) for p in sent]
    for e in errors(sent, 4):
        if e.version == 4:
            check(e.src == "10.1.0.1" and e.dst == "10.1.0.2", "wrong addresses", e)
            of = sent[0] if e[ICMP].type == 11 else sent[2]
            check((e[ICMP].type, e[ICMP].code) in ((11, 0), (3, 0)), "wrong type", e)
            check_quote(e, of, 576)
        else:
            check(e.src == "fd01::1" and e.dst == "fd01::2", "wrong addresses", e)
            of = sent[1] if ICMPv6TimeExceeded in e else sent[3]
            check(ICMPv6TimeExceeded in e or (ICMPv6DestUnreach in e and e[ICMPv6DestUnreach].code == 0), "wrong type", e)
            check_quote(e, of, 1280)

elif what == "forbidden":
    # RFC 1122 3.2.2, RFC 1812 4.3.2.7, RFC 4443 2.4 (e): all would be told that their time is exceeded.
    probes = [
        IP(ttl=1, **EACH4) / ICMP(type=3, code=1) / IP(src="10.2.0.2", dst="10.1.0.2") / UDP(),
        IP(ttl=1, **EACH4) / ICMP(type=11) / IP(src="10.2.0.2", dst="10.1.0.2") / UDP(),
        IP(ttl=1, frag=10, **EACH4) / Raw(bytes(64)),
        IP(ttl=1, src="0.0.0.0", dst="10.2.0.2") / UDP(),
        IP(ttl=1, src="127.0.0.1", dst="10.2.0.2") / UDP(),
        IP(ttl=1, src="224.0.0.1", dst="10.2.0.2") / UDP(),
        IP(ttl=1, src="255.255.255.255", dst="10.2.0.2") / UDP(),
        IP(ttl=1, src="240.0.0.1", dst="10.2.0.2") / UDP(),
        IP(ttl=1, src="10.1.0.255", dst="10.2.0.2") / UDP(),
        IP(ttl=1, src="10.1.0.2", dst="224.1.2.3") / UDP(),
        IP(ttl=1, src="10.1.0.2", dst="10.2.0.255") / UDP(),
        IPv6(hlim=1, **EACH6) / ICMPv6DestUnreach() / IPv6(src="fd02::2", dst="fd01::2") / UDP(),
        IPv6(hlim=1, **EACH6) / ICMPv6ParamProblem() / IPv6(src="fd02::2", dst="fd01::2") / UDP(),
        IPv6(hlim=1, **EACH6) / ICMPv6ND_Redirect(),
        IPv6(hlim=1, src="::", dst="fd02::2") / UDP(),
        IPv6(hlim=1, src="ff02::1", dst="fd02::2") / UDP(),
        IPv6(hlim=1, src="fd01::2", dst="ff0e::1") / UDP(),
        # A first fragment may be answered, a later one of IPv6 as well: RFC 4443 forbids only what stands in 2.4 (e).
    ]
    last = [IP(ttl=1, id=4242, **EACH4) / UDP(), IPv6(hlim=1, fl=0x4242, **EACH6) / UDP()]
    got = errors(probes + last, 2)
    for e in got:
        known = e.version == 4 and raw(e)[28 + 4:28 + 6] == b"\x10\x92" or e.version == 6 and raw(e)[49 + 48 - 48:52] == b"\x00\x42\x42"
        check(known, "an error that is forbidden", e)

elif what == "local":
    # 10.1.0.1 and fd01::1 are the engine's own: no such port, no such protocol, and how it is said.
    sent = [IP(src="10.1.0.2", dst="10.1.0.1") / UDP(sport=5, dport=33434), IP(src="10.1.0.2", dst="10.1.0.1", proto=253) / Raw(b"x" * 20),
            IPv6(src="fd01::2", dst="fd01::1") / UDP(sport=5, dport=33434), IPv6(src="fd01::2", dst="fd01::1", nh=253) / Raw(b"x" * 20)]
    got = errors(sent, 4)
    kinds = sorted((e.version, raw(e)[20 if e.version == 4 else 40], raw(e)[21 if e.version == 4 else 41]) for e in got)
    check(kinds == [(4, 3, 2), (4, 3, 3), (6, 1, 4), (6, 4, 1)], "types and codes: %r" % kinds, got[0])
    for e in got:
        check(e.src in ("10.1.0.1", "fd01::1"), "wrong source", e)
