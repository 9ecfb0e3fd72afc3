// SPDX-License-Identifier: MIT
/* The sections of a configuration that stand by themselves: workers, memory, limits. */
#include "user/control/config_reader.h"

#include <errno.h>
#include <inttypes.h>
#include <linux/rtnetlink.h>
#include <string.h>

#include "user/control/config_text.h"
#include "user/gateway/worker.h"
#include "user/net/neigh_map.h"

#define N_KEYS(keys) (sizeof(keys) / sizeof((keys)[0]))

static int read_cpu(struct config_reader *r, const config_setting_t *s, unsigned int index, void *obj)
{
	struct config_workers *w = obj;
	uint64_t v;
	int err = config_want_uint(r, s, 0, 8191, &v);	/* the kernel's NR_CPUS at most */

	if (err)
		return err;
	for (unsigned int i = 0; i < index; i++)
		if (w->cpus[i] == v)
			return config_fault(r, s, "CPU %" PRIu64 " is given twice: two workers would share it", v);
	w->cpus[index] = (uint16_t)v;
	w->n_cpus = index + 1;
	return 0;
}

static int read_cpus(struct config_reader *r, const config_setting_t *s, void *workers)
{
	if (config_setting_is_aggregate(s) && config_setting_length(s) == 0)
		return config_fault(r, s, "no CPU; leave the key out for workers that are not pinned");
	return config_read_list(r, s, CONFIG_WORKERS_MAX, "CPUs", read_cpu, workers);
}

static int read_worker_count(struct config_reader *r, const config_setting_t *s, void *to)
{
	static const char *const words[] = { "auto", NULL };
	uint64_t v;
	int err;

	if (config_is_string(s)) {
		err = config_want_word(r, s, words);
		return err < 0 ? err : 0;
	}
	err = config_want_uint(r, s, 1, CONFIG_WORKERS_MAX, &v);
	if (!err)
		*(unsigned int *)to = (unsigned int)v;
	return err;
}

int config_read_workers(struct config_reader *r, const config_setting_t *s, void *to)
{
	static const struct config_key keys[] = {
		{ "count", CONFIG_KIND_CUSTOM, false, KEY_FIELD(struct config_workers, count), .read = read_worker_count },
		{ "cpus", CONFIG_KIND_CUSTOM, false, .read = read_cpus },
	};
	struct config_workers *w = to;
	int err = config_read_group(r, s, keys, N_KEYS(keys), NULL, w);

	if (err)
		return err;
	if (w->count && w->n_cpus && w->n_cpus != w->count)
		return config_fault(r, config_setting_get_member(s, "cpus"), "%u CPUs for %u workers, one for each is wanted",
				    w->n_cpus, w->count);
	if (w->n_cpus)
		w->count = w->n_cpus;
	return 0;
}

static int check_socket(const char *text, size_t size, struct fault *f)
{
	if (text[0] != '/')
		return fault_set(f, EINVAL, "\"%s\" is no absolute path", text);
	if (strlen(text) >= size)
		return fault_set(f, EINVAL, "\"%s\" is too long for a Unix socket, at most %zu characters", text, size - 1);
	return 0;
}

static int read_mode(struct config_reader *r, const config_setting_t *s, void *to)
{
	const char *text = config_want_string(r, s, "a file mode such as \"0660\"");

	if (!text)
		return -EINVAL;
	if (config_parse_mode(text, to, r->f))
		return config_fault_text(r, s);
	return 0;
}

int config_read_control(struct config_reader *r, const config_setting_t *s, void *to)
{
	static const struct config_key keys[] = {
		{ "socket", CONFIG_KIND_STRING, false, KEY_FIELD(struct config_control, socket), .check = check_socket },
		{ "mode", CONFIG_KIND_CUSTOM, false, KEY_FIELD(struct config_control, mode), .read = read_mode },
		{ "group", CONFIG_KIND_STRING, false, KEY_FIELD(struct config_control, group),
		  .check = config_check_iface_name },
		{ "max_clients", CONFIG_KIND_UINT, false, KEY_FIELD(struct config_control, max_clients), .min = 1, .max = 64 },
	};

	return config_read_group(r, s, keys, N_KEYS(keys), NULL, to);
}

static int read_chunk(struct config_reader *r, const config_setting_t *s, void *to)
{
	uint64_t v;
	int err = config_want_uint(r, s, 2048, 4096, &v);

	if (!err && v != 2048 && v != 4096)
		return config_fault(r, s, "%" PRIu64 " is no chunk size, 2048 or 4096 is wanted", v);
	if (!err)
		*(unsigned int *)to = (unsigned int)v;
	return err;
}

int config_read_memory(struct config_reader *r, const config_setting_t *s, void *to)
{
	static const struct config_key keys[] = {
		{ "frames", CONFIG_KIND_UINT, false, KEY_FIELD(struct config_memory, frames), .min = 256, .max = 1 << 22 },
		{ "chunk", CONFIG_KIND_CUSTOM, false, KEY_FIELD(struct config_memory, chunk_bytes), .read = read_chunk },
		{ "huge", CONFIG_KIND_SWITCH, false, KEY_FIELD(struct config_memory, huge) },
		{ "reserve", CONFIG_KIND_UINT, false, KEY_FIELD(struct config_memory, reserve), .min = 64, .max = 1 << 22 },
	};
	struct config_memory *m = to;
	int err = config_read_group(r, s, keys, N_KEYS(keys), NULL, m);

	if (err)
		return err;
	if (m->reserve >= m->frames) {
		const config_setting_t *reserve = config_setting_get_member(s, "reserve");

		return config_fault(r, reserve ? reserve : config_setting_get_member(s, "frames"),
				    "a reserve of %u leaves nothing of %u frames", m->reserve, m->frames);
	}
	return 0;
}

int config_read_busy_poll(struct config_reader *r, const config_setting_t *s, void *to)
{
	static const struct config_key keys[] = {
		{ "enabled", CONFIG_KIND_BOOL, false, KEY_FIELD(struct config_busy_poll, enabled) },
		{ "time", CONFIG_KIND_DURATION, false, KEY_FIELD(struct config_busy_poll, usecs), .min = 1, .max = 10000,
		  .unit = 1000 },
		{ "budget", CONFIG_KIND_UINT, false, KEY_FIELD(struct config_busy_poll, budget), .min = 1, .max = 65535 },
	};

	return config_read_group(r, s, keys, N_KEYS(keys), NULL, to);
}

int config_read_icmp(struct config_reader *r, const config_setting_t *s, void *to)
{
	static const struct config_key keys[] = {
		{ "error_rate", CONFIG_KIND_UINT, false, KEY_FIELD(struct config_icmp, error_rate), .min = 1, .max = 1000000 },
		{ "error_burst", CONFIG_KIND_UINT, false, KEY_FIELD(struct config_icmp, error_burst), .min = 1,
		  .max = 1000000 },
		{ "echo_rate", CONFIG_KIND_UINT, false, KEY_FIELD(struct config_icmp, echo_rate), .min = 0, .max = 10000000 },
		{ "echo_burst", CONFIG_KIND_UINT, false, KEY_FIELD(struct config_icmp, echo_burst), .min = 1,
		  .max = 1000000 },
	};

	return config_read_group(r, s, keys, N_KEYS(keys), NULL, to);
}

static int read_static(struct config_reader *r, const config_setting_t *s, void *unused)
{
	(void)unused;
	return config_read_static_neighbours(r, s, r->config);
}

int config_read_neighbours(struct config_reader *r, const config_setting_t *s, void *to)
{
	static const struct config_key keys[] = {
		{ "max", CONFIG_KIND_UINT, false, KEY_FIELD(struct config_neighbours, max), .min = 16, .max = NEIGH_MAP_MAX },
		{ "queue", CONFIG_KIND_UINT, false, KEY_FIELD(struct config_neighbours, queue), .min = 1,
		  .max = NEIGH_WAIT_PKTS_MAX },
		{ "reachable", CONFIG_KIND_DURATION, false, KEY_FIELD(struct config_neighbours, reachable_ms), .min = 100,
		  .max = 3600000, .unit = 1000000 },
		{ "retransmit", CONFIG_KIND_DURATION, false, KEY_FIELD(struct config_neighbours, retrans_ms), .min = 10,
		  .max = 60000, .unit = 1000000 },
		{ "probes", CONFIG_KIND_UINT, false, KEY_FIELD(struct config_neighbours, probes), .min = 1, .max = 20 },
		{ "stale", CONFIG_KIND_DURATION, false, KEY_FIELD(struct config_neighbours, stale_ms), .min = 1000,
		  .max = 86400000, .unit = 1000000 },
		{ "detect_duplicates", CONFIG_KIND_BOOL, false, KEY_FIELD(struct config_neighbours, detect_duplicates) },
		{ "static", CONFIG_KIND_CUSTOM, false, .read = read_static },
	};
	struct config_neighbours *n = to;
	int err = config_read_group(r, s, keys, N_KEYS(keys), NULL, n);

	if (!err && r->config->n_neighs > n->max)
		return config_fault(r, config_setting_get_member(s, "static"), "%u neighbours do not fit a table of %u",
				    r->config->n_neighs, n->max);
	return err;
}

static int read_table(struct config_reader *r, const config_setting_t *s, void *to)
{
	static const char *const words[] = { "main", "default", NULL };
	uint64_t v;
	int err;

	if (config_is_string(s)) {
		err = config_want_word(r, s, words);
		if (err < 0)
			return err;
		*(uint32_t *)to = err ? RT_TABLE_DEFAULT : RT_TABLE_MAIN;
		return 0;
	}
	err = config_want_uint(r, s, 1, UINT32_MAX, &v);
	if (err)
		return err;
	if (v == RT_TABLE_LOCAL)
		return config_fault(r, s, "255 is the kernel's table of local addresses, which is read anyway");
	*(uint32_t *)to = (uint32_t)v;
	return 0;
}

int config_read_netlink(struct config_reader *r, const config_setting_t *s, void *to)
{
	static const struct config_key keys[] = {
		{ "enabled", CONFIG_KIND_BOOL, false, KEY_FIELD(struct config_netlink, enabled) },
		{ "table", CONFIG_KIND_CUSTOM, false, KEY_FIELD(struct config_netlink, table), .read = read_table },
		{ "receive_buffer", CONFIG_KIND_BYTES, false, KEY_FIELD(struct config_netlink, receive_buffer_bytes),
		  .min = 65536, .max = 1 << 30 },
	};

	return config_read_group(r, s, keys, N_KEYS(keys), NULL, to);
}

int config_read_trace(struct config_reader *r, const config_setting_t *s, void *to)
{
	static const struct config_key keys[] = {
		{ "records", CONFIG_KIND_POW2, false, KEY_FIELD(struct config_trace, records), .min = 64, .max = 1 << 20 },
		{ "capture_buffer", CONFIG_KIND_BYTES, false, KEY_FIELD(struct config_trace, capture_bytes), .min = 65536,
		  .max = 1 << 30 },
	};

	return config_read_group(r, s, keys, N_KEYS(keys), NULL, to);
}
