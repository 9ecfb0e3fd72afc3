// SPDX-License-Identifier: MIT
/*
 * The configuration of a command line: a tree as libconfig would have made it from a file, read by the same code. Each
 * setting's hook is the option that it came from, which takes the place of file and line in errors.
 */
#include "user/control/config_reader.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "user/control/config_text.h"

struct shorthand {
	config_t tree;
	char **options;
	size_t n_options;
};

static char *add_option(struct shorthand *sh, const char *option, const char *value)
{
	char *text;

	if (asprintf(&text, "%s %s", option, value) < 0)
		return NULL;
	sh->options[sh->n_options++] = text;
	return text;
}

static config_setting_t *add_string(config_setting_t *group, const char *key, const char *value)
{
	config_setting_t *s = config_setting_add(group, key, CONFIG_TYPE_STRING);

	if (!s || !config_setting_set_string(s, value))
		return NULL;
	return s;
}

/* "NAME=DEVICE", or one word for both. */
static int add_port(struct shorthand *sh, config_setting_t *ports, const char *option, const char *key, const char *arg,
		    const char *mode)
{
	config_setting_t *g = config_setting_add(ports, NULL, CONFIG_TYPE_GROUP);
	const char *eq = strchr(arg, '=');
	char *name = eq ? strndup(arg, (size_t)(eq - arg)) : strdup(arg);
	char *text = add_option(sh, option, arg);
	int err = -ENOMEM;

	if (g && name && text && add_string(g, "name", name) && add_string(g, key, eq ? eq + 1 : arg) &&
	    (!mode || add_string(g, "mode", mode))) {
		config_setting_set_hook(g, text);
		err = 0;
	}
	free(name);
	return err;
}

static int add_scalar(struct shorthand *sh, config_setting_t *group, const char *key, const char *option,
		      const char *value)
{
	config_setting_t *s = add_string(group, key, value);
	char *text = add_option(sh, option, value);

	if (!s || !text)
		return -ENOMEM;
	config_setting_set_hook(s, text);
	return 0;
}

static int build_tree(struct shorthand *sh, const struct config_shorthand *args)
{
	config_setting_t *root = config_root_setting(&sh->tree);
	config_setting_t *ports = config_setting_add(root, "ports", CONFIG_TYPE_LIST), *group, *list;
	int err = ports ? 0 : -ENOMEM;

	if (!err && args->instance)
		err = add_scalar(sh, root, "instance", "--instance", args->instance);
	for (size_t i = 0; i < args->n_ports && !err; i++)
		err = add_port(sh, ports, "--port", "device", args->ports[i], args->mode);
	for (size_t i = 0; i < args->n_tuns && !err; i++)
		err = add_port(sh, ports, "--tun", "tun", args->tuns[i], NULL);
	if (err || args->n_transit == 0)
		return err;
	group = config_setting_add(root, "steer", CONFIG_TYPE_GROUP);
	list = group ? config_setting_add(group, "transit", CONFIG_TYPE_LIST) : NULL;
	if (!list)
		return -ENOMEM;
	for (size_t i = 0; i < args->n_transit && !err; i++)
		err = add_scalar(sh, list, NULL, "--transit", args->transit[i]);
	return err;
}

int config_from_ports(const struct config_shorthand *args, struct config **out, struct fault *f)
{
	struct config_reader r = { .f = f, .file = "command line" };
	struct shorthand sh = { 0 };
	uint64_t workers = 0;
	int err;

	if (args->n_ports + args->n_tuns == 0)
		return fault_set(f, EINVAL, "no port; --port NAME=DEVICE or a configuration file is wanted");
	if (args->workers && config_parse_uint(args->workers, 1, CONFIG_WORKERS_MAX, &workers, f)) {
		fault_prefix(f, "--workers: ");
		return -EINVAL;
	}
	config_init(&sh.tree);
	sh.options = calloc(args->n_ports + args->n_tuns + args->n_transit + 1, sizeof(*sh.options));
	r.config = config_new("", f);
	if (!sh.options || !r.config || build_tree(&sh, args)) {
		err = fault_set(f, ENOMEM, "configuration: no memory");
	} else {
		r.config->workers.count = (unsigned int)workers;
		err = config_read_root(&r, config_root_setting(&sh.tree));
	}
	for (size_t i = 0; sh.options && i < sh.n_options; i++)
		free(sh.options[i]);
	free(sh.options);
	config_destroy(&sh.tree);
	if (err)
		config_free(r.config);
	else
		*out = r.config;
	return err;
}
