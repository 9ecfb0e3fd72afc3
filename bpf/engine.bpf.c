// SPDX-License-Identifier: GPL-2.0-only
/*
 * Maps without a program: the engine's own counters, where `bpftool map dump pinned` finds them by name. The engine
 * maps them into its memory and counts there; the loader sets the number of entries.
 *
 * Entries fill whole cache lines: two workers never write to the same one. Each entry begins as the struct of
 * include/sluice does, from the same table of fields.
 */
#include <linux/bpf.h>

#include <bpf/bpf_helpers.h>

#include <sluice/counters.h>
#include <sluice/drops.h>

#define FIELD(name, text) __u64 name;

struct engine_entry {
	SLUICE_ENGINE_COUNTERS(FIELD)
} __attribute__((aligned(64)));

struct drops_entry {
	__u64 none;
	SLUICE_DROPS(FIELD)
} __attribute__((aligned(64)));

struct port_entry {
	SLUICE_PORT_COUNTERS(FIELD)
} __attribute__((aligned(64)));

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct engine_entry);
} engine SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct drops_entry);
} drops SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct port_entry);
} ports SEC(".maps");

char LICENSE[] SEC("license") = "GPL";
