// SPDX-License-Identifier: MIT
/* Reading a configuration: defaults, the file, the order of its sections, and what only all together can show. */
#include "user/control/config.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <linux/rtnetlink.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "user/control/config_reader.h"
#include "user/control/config_text.h"

#define N_KEYS(keys) (sizeof(keys) / sizeof((keys)[0]))

static const char default_instance[] = "sluice";

static void set_default_transit(struct config_steer *steer)
{
	steer->n_transit = 2;
	steer->transit[0] = (struct config_transit){ { { .family = AF_INET }, 0 }, CONFIG_ACTION_ENGINE };
	steer->transit[1] = (struct config_transit){ { { .family = AF_INET6 }, 0 }, CONFIG_ACTION_ENGINE };
}

static void set_defaults(struct config *c)
{
	snprintf(c->instance, sizeof(c->instance), "%s", default_instance);
	c->log_level = LOG_LEVEL_INFO;
	c->seccomp = true;
	c->spin_us = 20;
	c->control.mode = 0660;
	c->control.max_clients = 16;
	c->memory = (struct config_memory){ .frames = 16384, .chunk_bytes = 2048, .huge = CONFIG_AUTO, .reserve = 1024 };
	c->busy_poll = (struct config_busy_poll){ .enabled = false, .usecs = 20, .budget = 64 };
	c->icmp = (struct config_icmp){ .error_rate = 1000, .error_burst = 50, .echo_rate = 10000, .echo_burst = 1000 };
	c->neighbours = (struct config_neighbours){
		.max = 4096, .queue = 16, .reachable_ms = 30000, .retrans_ms = 1000, .probes = 3, .stale_ms = 600000,
		.detect_duplicates = true,
	};
	c->netlink = (struct config_netlink){ .enabled = true, .table = RT_TABLE_MAIN, .receive_buffer_bytes = 4 << 20 };
	c->trace = (struct config_trace){ .records = 4096, .capture_bytes = 4 << 20 };
	set_default_transit(&c->steer);
}

/* ---- The whole --------------------------------------------------------------------------------------------------- */

static const char *const log_words[] = { "error", "warn", "info", "debug", NULL };	/* as enum log_level */

/* In the order in which they are read: ports refer to workers and memory, routes and rules to ports. */
static const struct config_key root_keys[] = {
	{ "instance", CONFIG_KIND_STRING, false, KEY_FIELD(struct config, instance), .check = config_check_name },
	{ "user", CONFIG_KIND_STRING, false, KEY_FIELD(struct config, user), .check = config_check_iface_name },
	{ "seccomp", CONFIG_KIND_BOOL, false, KEY_FIELD(struct config, seccomp) },
	{ "log", CONFIG_KIND_WORD, false, KEY_FIELD(struct config, log_level), .words = log_words },
	{ "spin", CONFIG_KIND_DURATION, false, KEY_FIELD(struct config, spin_us), .max = 10000, .unit = 1000 },
	{ "workers", CONFIG_KIND_CUSTOM, false, KEY_FIELD(struct config, workers), .read = config_read_workers },
	{ "control", CONFIG_KIND_CUSTOM, false, KEY_FIELD(struct config, control), .read = config_read_control },
	{ "memory", CONFIG_KIND_CUSTOM, false, KEY_FIELD(struct config, memory), .read = config_read_memory },
	{ "busy_poll", CONFIG_KIND_CUSTOM, false, KEY_FIELD(struct config, busy_poll), .read = config_read_busy_poll },
	{ "icmp", CONFIG_KIND_CUSTOM, false, KEY_FIELD(struct config, icmp), .read = config_read_icmp },
	{ "netlink", CONFIG_KIND_CUSTOM, false, KEY_FIELD(struct config, netlink), .read = config_read_netlink },
	{ "trace", CONFIG_KIND_CUSTOM, false, KEY_FIELD(struct config, trace), .read = config_read_trace },
	{ "ports", CONFIG_KIND_CUSTOM, true, .read = config_read_ports },
	{ "routes", CONFIG_KIND_CUSTOM, false, .read = config_read_routes },
	{ "neighbours", CONFIG_KIND_CUSTOM, false, KEY_FIELD(struct config, neighbours), .read = config_read_neighbours },
	{ "steer", CONFIG_KIND_CUSTOM, false, KEY_FIELD(struct config, steer), .read = config_read_steer },
};

static const struct config_elsewhere not_in_root[] = {
	{ "port", "unknown key, did you mean the list \"ports\"?" },
	{ "transit", "belongs into the group \"steer\"" },
	{ "rules", "belongs into the group \"steer\"" },
	{ "addresses", "belong to one of the \"ports\" or its \"vlans\"" },
	{ NULL, NULL },
};

/* The fill rings take frames from the workers' memory before the first packet comes. */
static int check_memory(struct config_reader *r, const config_setting_t *root)
{
	const struct config *c = r->config;
	unsigned int workers = c->workers.count ? c->workers.count : 1;
	unsigned int need[CONFIG_WORKERS_MAX] = { 0 };

	for (unsigned int i = 0; i < c->n_ports; i++) {
		const struct config_port *p = &c->ports[i];
		unsigned int queues = p->n_queues ? p->n_queues : 1;

		if (p->kind != CONFIG_PORT_XDP)
			continue;
		if (!c->workers.count)
			queues = 1;	/* as many workers as queues, so one of each port for each worker */
		for (unsigned int q = 0; q < queues; q++)
			need[p->n_queue_workers ? p->queue_worker[q] : q % workers] += p->rings.fill;
	}
	for (unsigned int w = 0; w < workers; w++) {
		const config_setting_t *memory = config_setting_get_member(root, "memory");
		unsigned int wanted = need[w] + c->memory.reserve;

		if (wanted <= c->memory.frames)
			continue;
		if (memory && config_setting_get_member(memory, "frames"))
			memory = config_setting_get_member(memory, "frames");
		if (memory)
			return config_fault(r, memory, "%u frames are too few: worker %u fills rings with %u and keeps a reserve "
					    "of %u; at least %u", c->memory.frames, w, need[w], c->memory.reserve, wanted);
		return config_fault_key(r, root, "memory.frames", "the default of %u is too few: worker %u fills rings with %u "
					"and keeps a reserve of %u; at least %u", c->memory.frames, w, need[w],
					c->memory.reserve, wanted);
	}
	return 0;
}

int config_read_root(struct config_reader *r, const config_setting_t *root)
{
	struct config *c = r->config;
	int err = config_read_group(r, root, root_keys, N_KEYS(root_keys), not_in_root, c);

	if (!err)
		err = check_memory(r, root);
	if (!err && !c->control.socket[0])
		config_default_socket(c->instance, c->control.socket, sizeof(c->control.socket));
	return err;
}

/* What libconfig says of a text that is not of its grammar, with the usual causes. */
static int syntax_fault(const config_t *tree, const char *file, struct fault *f)
{
	const char *text = config_error_text(tree) ? config_error_text(tree) : "cannot be parsed";
	const char *where = config_error_file(tree) ? config_error_file(tree) : file;

	if (!strcmp(text, "syntax error"))
		text = "syntax error; is a string without quotes, or a ';', '}' or ')' missing on this line or before it?";
	return fault_set(f, EINVAL, "%s:%d: %s", where, config_error_line(tree), text);
}

/* Past a string or a comment that starts at @p; @p itself if none does. Lines are counted. */
static const char *skip_quoted(const char *p, unsigned int *line)
{
	if (*p == '"') {
		for (p++; *p && *p != '"'; p++) {
			if (*p == '\\' && p[1])
				p++;
			*line += *p == '\n';
		}
		return *p ? p + 1 : p;
	}
	if (*p == '#' || (p[0] == '/' && p[1] == '/'))
		return p + strcspn(p, "\n");
	if (p[0] == '/' && p[1] == '*') {
		for (p += 2; *p && (p[0] != '*' || p[1] != '/'); p++)
			*line += *p == '\n';
		return *p ? p + 2 : p;
	}
	return p;
}

/*
 * libconfig 1.5 cuts an integer without the suffix L down to 32 bits and says nothing: 4294967297 would be read as 1.
 * The tree does not show it, so such numbers are looked for in the text.
 */
static int check_numbers(const char *text, const char *file, struct fault *f)
{
	static const char word[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_*-.+";
	unsigned int line = 1;

	for (const char *p = text; *p;) {
		const char *after = skip_quoted(p, &line), *digits;
		size_t len;
		char *end;

		if (after != p) {
			p = after;
			continue;
		}
		len = strspn(p, word);
		if (len == 0) {
			line += *p++ == '\n';
			continue;
		}
		digits = p + (*p == '-' || *p == '+');
		if (*digits >= '0' && *digits <= '9') {
			bool hex = digits[0] == '0' && (digits[1] == 'x' || digits[1] == 'X');
			unsigned long long v;

			errno = 0;
			v = strtoull(digits, &end, hex ? 16 : 10);
			if (end == p + len && (errno || v > (hex ? UINT32_MAX : INT32_MAX)))
				return fault_set(f, EINVAL, "%s:%u: %.*s: a number beyond 32 bits, which is read right with an L "
						 "behind it", file, line, (int)len, p);
		}
		p += len;
	}
	return 0;
}

static int slurp(const char *path, char **out, struct fault *f);

/* The same in every file that was included. */
static int check_included_numbers(const config_t *tree, struct fault *f)
{
	for (unsigned int i = 0; i < tree->num_filenames; i++) {
		char *text = NULL;
		int err = slurp(tree->filenames[i], &text, f);

		if (text)
			err = check_numbers(text, tree->filenames[i], f);
		free(text);
		if (err)
			return err;
	}
	return 0;
}

/* Parse @text (terminated) and have @read make something of it. */
static int read_text(const char *text, const char *file, const char *include_dir, struct config_reader *r,
		     int (*read)(struct config_reader *r, const config_setting_t *root))
{
	config_t tree;
	int err;

	config_init(&tree);
	if (include_dir)
		config_set_include_dir(&tree, include_dir);
	r->file = file;
	if (!config_read_string(&tree, text))
		err = syntax_fault(&tree, file, r->f);
	else
		err = check_numbers(text, file, r->f);
	if (!err)
		err = check_included_numbers(&tree, r->f);
	if (!err)
		err = read(r, config_root_setting(&tree));
	config_destroy(&tree);
	return err;
}

struct config *config_new(const char *file, struct fault *f)
{
	struct config *c = calloc(1, sizeof(*c));

	if (!c) {
		fault_set(f, ENOMEM, "configuration: no memory");
		return NULL;
	}
	set_defaults(c);
	snprintf(c->file, sizeof(c->file), "%s", file);
	return c;
}

void config_free(struct config *c)
{
	free(c);
}

/* The whole file as a string. A pipe is fine, so the size is found out by reading. */
static int slurp(const char *path, char **out, struct fault *f)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC), err;
	size_t len = 0;
	ssize_t n = 0;
	struct stat st;
	char *text;

	if (fd < 0)
		return fault_errno(f, "%s", path);
	if (fstat(fd, &st) == 0 && S_ISDIR(st.st_mode)) {
		close(fd);
		return fault_set(f, EISDIR, "%s: is a directory, a file is wanted", path);
	}
	text = malloc(CONFIG_TEXT_MAX + 1);
	if (!text) {
		close(fd);
		return fault_set(f, ENOMEM, "%s: no memory", path);
	}
	while (len <= CONFIG_TEXT_MAX && (n = read(fd, text + len, CONFIG_TEXT_MAX + 1 - len)) > 0)
		len += (size_t)n;
	if (n < 0)
		err = fault_errno(f, "%s", path);
	else if (len > CONFIG_TEXT_MAX)
		err = fault_set(f, EFBIG, "%s: larger than %d bytes", path, CONFIG_TEXT_MAX);
	else if (memchr(text, '\0', len))
		err = fault_set(f, EINVAL, "%s: holds a NUL byte, a text is wanted", path);
	else
		err = 0;
	close(fd);
	if (err) {
		free(text);
		return err;
	}
	text[len] = '\0';
	*out = text;
	return 0;
}

/* Like read_text() with the text in a file, and @include beside it. */
static int read_file(const char *path, struct config_reader *r, int (*read)(struct config_reader *r, const config_setting_t *root))
{
	char *text = NULL, *copy;
	int err = slurp(path, &text, r->f);

	if (!text)
		return err;
	copy = strdup(path);
	if (copy)
		err = read_text(text, path, dirname(copy), r, read);
	else
		err = fault_set(r->f, ENOMEM, "%s: no memory", path);
	free(copy);
	free(text);
	return err;
}

int config_load(const char *path, struct config **out, struct fault *f)
{
	struct config_reader r = { .f = f };
	int err;

	if (strlen(path) >= CONFIG_FILE_MAX)
		return fault_set(f, ENAMETOOLONG, "%s: the path is too long, at most %d characters", path,
				 CONFIG_FILE_MAX - 1);
	r.config = config_new(path, f);
	if (!r.config)
		return -ENOMEM;
	err = read_file(path, &r, config_read_root);
	if (err)
		config_free(r.config);
	else
		*out = r.config;
	return err;
}

/* libconfig opens what a line that starts so names. */
static bool includes_files(const char *text)
{
	for (const char *line = text; line; line = strchr(line, '\n')) {
		line += strspn(line, "\n");
		if (!strncmp(line + strspn(line, " \t\r\f\v"), "@include", strlen("@include")))
			return true;
	}
	return false;
}

int config_parse(const char *text, size_t len, const char *name, struct config **out, struct fault *f)
{
	struct config_reader r = { .f = f };
	char *copy;
	int err;

	if (len > CONFIG_TEXT_MAX)
		return fault_set(f, EINVAL, "%s: larger than %d bytes", name, CONFIG_TEXT_MAX);
	if (memchr(text, '\0', len))
		return fault_set(f, EINVAL, "%s: holds a NUL byte, a text is wanted", name);
	copy = strndup(text, len);
	if (!copy)
		return fault_set(f, ENOMEM, "%s: no memory", name);
	r.config = config_new(name, f);
	if (!r.config)
		err = -ENOMEM;
	else if (includes_files(copy))
		err = fault_set(f, EINVAL, "%s: @include needs a configuration that is a file", name);
	else
		err = read_text(copy, name, NULL, &r, config_read_root);
	free(copy);
	if (err)
		config_free(r.config);
	else
		*out = r.config;
	return err;
}

static int read_steer_root(struct config_reader *r, const config_setting_t *root)
{
	return config_read_steer(r, root, r->steer);
}

int config_load_steer(const char *path, struct config_steer **out, struct fault *f)
{
	struct config_reader r = { .f = f };
	int err;

	r.steer = calloc(1, sizeof(*r.steer));
	if (!r.steer)
		return fault_set(f, ENOMEM, "%s: no memory", path);
	set_default_transit(r.steer);
	err = read_file(path, &r, read_steer_root);
	if (err)
		free(r.steer);
	else
		*out = r.steer;
	return err;
}

/* ---- Looking things up ------------------------------------------------------------------------------------------- */

const struct config_port *config_find_port(const struct config *c, const char *name)
{
	for (unsigned int i = 0; i < c->n_ports; i++)
		if (!strcmp(c->ports[i].name, name))
			return &c->ports[i];
	return NULL;
}

const struct config_iface *config_find_iface(const struct config *c, const char *name, const struct config_port **port,
					     const struct config_vlan **vlan)
{
	for (unsigned int i = 0; i < c->n_ports; i++) {
		const struct config_port *p = &c->ports[i];

		for (unsigned int v = 0; v <= p->n_vlans; v++) {
			const struct config_iface *iface = v ? &p->vlans[v - 1].iface : &p->iface;

			if (strcmp(iface->name, name) != 0)
				continue;
			if (port)
				*port = p;
			if (vlan)
				*vlan = v ? &p->vlans[v - 1] : NULL;
			return iface;
		}
	}
	return NULL;
}

bool config_default_socket(const char *instance, char *path, size_t size)
{
	if (config_check_name(instance, CONFIG_NAME_MAX, NULL))
		return false;
	return (size_t)snprintf(path, size, "/run/sluice/%s.sock", instance) < size;
}
