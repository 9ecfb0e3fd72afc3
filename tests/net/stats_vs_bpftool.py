#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Do `sluice stats --json` and `bpftool map dump pinned` say the same? For a gateway at rest.

stats_vs_bpftool.py SLUICE INSTANCE: prints each difference; exits with 1 when there is one, or nothing to compare.
"""
import json
import subprocess
import sys


def output(*command):
    return json.loads(subprocess.check_output(command))


def dump(path):
    return [e["formatted"] for e in output("bpftool", "-j", "map", "dump", "pinned", path)]


def main(sluice, instance):
    pins = f"/sys/fs/bpf/sluice/{instance}"
    stats = output(sluice, "-i", instance, "stats", "--json")
    compared, bad = 0, 0

    def same(what, pinned, told):
        nonlocal compared, bad
        for name, value in told.items():
            # A worker that looks around goes to sleep again.
            if name == "sleeps":
                continue
            compared += 1
            if pinned.get(name) != value:
                bad += 1
                print(f"{what}: {name}: bpftool {pinned.get(name)}, stats {value}")

    for kind in "engine", "drops":
        for i, entry in enumerate(dump(f"{pins}/{kind}")):
            same(f"{kind} of worker {i}", entry["value"].get("counters", entry["value"]), stats["workers"][i][kind])
    queues = dump(f"{pins}/ports")
    for port in stats["ports"]:
        for q in port["queues"]:
            value = queues[q["index"]]["value"]
            same(f"{port['name']} queue {q['queue']}", value.get("counters", value), q["counters"])
        if not port["steer"]:
            continue
        total = {}
        for cpu in dump(f"{pins}/{port['name']}/counters")[0]["values"]:
            for name, value in cpu["value"].items():
                total[name] = total.get(name, 0) + value
        same(f"{port['name']} XDP program", total, port["steer"])
        for rule in port["rules"]:
            slots = [[cpu["value"] for cpu in slot["values"]] for slot in dump(f"{pins}/{port['name']}/rule_hits")]
            hits = [slot for slot in slots if slot[0]["rule_id"] == rule["id"]]
            same(f"{port['name']} rule {rule['name']}",
                 {name: sum(cpu[name] for slot in hits for cpu in slot) for name in ("pkts", "bytes")},
                 {name: rule[name] for name in ("pkts", "bytes")})
    return 1 if bad or not compared else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
