// SPDX-License-Identifier: MIT
/* All of tests/vectors/config, and what has no file: the command line's shorthand, texts in memory, small values. */
#include "user/control/config.h"

#include <arpa/inet.h>
#include <check.h>
#include <dirent.h>
#include <errno.h>
#include <json-c/json.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "user/control/config_dump.h"
#include "user/control/config_text.h"
#include "user/control/steer_convert.h"

enum { VECTORS_MIN = 100 };

static char home[4096];

/* The vectors' messages have names as seen from inside of their folder. */
static void enter(const char *folder)
{
	ck_assert_ptr_nonnull(getcwd(home, sizeof(home)));
	ck_assert_msg(chdir("tests/vectors/config") == 0 && chdir(folder) == 0, "run from the top of the repository");
}

static void leave(void)
{
	ck_assert_int_eq(chdir(home), 0);
}

static void read_lines(const char *name, char *first, char *second, size_t size)
{
	FILE *file = fopen(name, "r");

	ck_assert_msg(file, "%s is missing", name);
	ck_assert_msg(fgets(first, (int)size, file) && fgets(second, (int)size, file), "%s: two lines are wanted", name);
	first[strcspn(first, "\n")] = second[strcspn(second, "\n")] = '\0';
	fclose(file);
}

static bool has_suffix(const char *name, const char *suffix)
{
	size_t n = strlen(name), s = strlen(suffix);

	return n > s && !strcmp(name + n - s, suffix);
}

START_TEST(wrong_configurations_are_refused_with_their_message)
{
	struct dirent *entry;
	unsigned int n = 0, wrong = 0;
	DIR *dir;

	enter("bad");
	dir = opendir(".");
	while ((entry = readdir(dir))) {
		char want_name[300], code[1024], text[1024];
		struct config *config;
		struct fault f = { 0 };
		int err;

		if (!has_suffix(entry->d_name, ".conf"))
			continue;
		n++;
		snprintf(want_name, sizeof(want_name), "%.*s.want", (int)strlen(entry->d_name) - 5, entry->d_name);
		read_lines(want_name, code, text, sizeof(text));
		err = config_load(entry->d_name, &config, &f);
		if (err == -EINVAL && !strcmp(f.text, text) && !strcmp(code, "3"))
			continue;
		wrong++;
		if (!err)
			config_free(config);
		fprintf(stderr, "%s: %d\n  is:   %s\n  want: %s\n", entry->d_name, err, err ? f.text : "accepted", text);
	}
	closedir(dir);
	leave();
	ck_assert_uint_ge(n, VECTORS_MIN);
	ck_assert_uint_eq(wrong, 0);
}
END_TEST

/* Every vector cut short at every byte: an error or not, but no crash, and an error has a text. */
START_TEST(truncated_configurations_do_no_harm)
{
	static char text[8192];
	FILE *file;
	size_t len;

	enter("good");
	file = fopen("everything.conf", "r");
	len = fread(text, 1, sizeof(text), file);
	fclose(file);
	leave();
	for (size_t cut = 0; cut < len; cut++) {
		char *copy = malloc(cut ? cut : 1);	/* exact size: ASan sees overruns */
		struct config *config;
		struct fault f = { 0 };

		memcpy(copy, text, cut);
		if (config_parse(copy, cut, "cut", &config, &f) == 0)
			config_free(config);
		else
			ck_assert_msg(!strncmp(f.text, "cut", 3), "%s", f.text);
		free(copy);
	}
}
END_TEST

START_TEST(good_configurations_are_accepted_and_dumped)
{
	struct dirent *entry;
	unsigned int n = 0;
	DIR *dir;

	enter("good");
	dir = opendir(".");
	while ((entry = readdir(dir))) {
		struct config *config;
		struct json_object *is, *want;
		struct fault f = { 0 };
		char json_name[300];

		if (!has_suffix(entry->d_name, ".conf"))
			continue;
		n++;
		ck_assert_msg(config_load(entry->d_name, &config, &f) == 0, "%s", f.text);
		is = config_dump(config);
		snprintf(json_name, sizeof(json_name), "%.*s.json", (int)strlen(entry->d_name) - 5, entry->d_name);
		want = json_object_from_file(json_name);
		ck_assert_msg(!want || json_object_equal(is, want), "%s: %s", json_name,
			      json_object_to_json_string_ext(is, JSON_C_TO_STRING_PRETTY));
		json_object_put(want);
		json_object_put(is);
		config_free(config);
	}
	closedir(dir);
	leave();
	ck_assert_uint_ge(n, 7);
}
END_TEST

START_TEST(fields_are_what_the_text_says)
{
	const struct config_port *port;
	const struct config_vlan *vlan;
	const struct config_iface *iface;
	struct config *c;
	struct fault f = { 0 };

	enter("good");
	ck_assert_msg(config_load("everything.conf", &c, &f) == 0, "%s", f.text);
	leave();
	ck_assert_str_eq(c->file, "everything.conf");
	ck_assert_uint_eq(c->spin_us, 0);
	ck_assert_int_eq(c->log_level, LOG_LEVEL_DEBUG);
	ck_assert_uint_eq(c->control.mode, 0600);
	ck_assert_uint_eq(c->netlink.receive_buffer_bytes, 8 << 20);
	ck_assert_uint_eq(c->neighbours.stale_ms, 300000);
	port = config_find_port(c, "lan");
	ck_assert_ptr_eq(port, &c->ports[0]);
	ck_assert_uint_eq(port->line, 14);
	ck_assert_int_eq(port->mode, CONFIG_MODE_NATIVE);
	ck_assert_int_eq(port->checksum_offload, CONFIG_ON);
	ck_assert_uint_eq(port->n_queues, 2);
	ck_assert_uint_eq(port->queue_ids[1], 3);
	ck_assert_uint_eq(port->queue_worker[0], 1);
	ck_assert_uint_eq(port->iface.mss_clamp, CONFIG_MSS_PMTU);
	ck_assert_uint_eq(port->iface.addrs[0].ip.bytes[3], 1);		/* host bits are kept */
	ck_assert_str_eq(port->vlans[0].iface.name, "lan.100");
	ck_assert_int_eq(port->vlans[0].iface.rp_filter, CONFIG_RP_STRICT);	/* the port's */
	ck_assert_uint_eq(port->vlans[1].tpid, 0x88a8);
	iface = config_find_iface(c, "guests", &port, &vlan);
	ck_assert_ptr_eq(iface, &c->ports[0].vlans[1].iface);
	ck_assert_uint_eq(vlan->inner, 200);
	ck_assert_ptr_null(config_find_iface(c, "nobody", NULL, NULL));
	ck_assert_ptr_null(config_find_port(c, "guests"));
	ck_assert_uint_eq(c->ports[2].kind, CONFIG_PORT_TUN);
	ck_assert_uint_eq(c->ports[2].tun_offloads, CONFIG_TUN_CSUM | CONFIG_TUN_TSO4 | CONFIG_TUN_USO);
	ck_assert_str_eq(c->routes[0].nexthops[0].iface, "wan");		/* found by its subnet, a /31 */
	ck_assert_uint_eq(c->routes[0].metric, UINT32_MAX);
	ck_assert_uint_eq(c->routes[2].nexthops[0].weight, 2);
	ck_assert_uint_eq(c->steer.n_rules, 5);
	ck_assert_str_eq(c->steer.rules[0].name, "ssh");			/* sorted by priority */
	ck_assert_str_eq(c->steer.rules[4].name, "later");
	ck_assert_int_eq(c->steer.rules[4].vlan, 0);
	ck_assert_int_eq(c->steer.rules[3].family, AF_INET6);			/* from the protocol */
	config_free(c);
}
END_TEST

START_TEST(rules_become_the_programs)
{
	struct steer_rule rules[CONFIG_RULES_MAX];
	struct steer_transit *transit = calloc(CONFIG_TRANSIT_MAX, sizeof(*transit));
	struct config *c;
	struct fault f = { 0 };

	enter("good");
	ck_assert_msg(config_load("everything.conf", &c, &f) == 0, "%s", f.text);
	leave();
	ck_assert_uint_eq(steer_convert_rules(&c->steer, "wan", rules), 4);	/* one is of "lan" only */
	ck_assert_uint_eq(rules[0].id, 2);
	ck_assert_uint_eq(steer_convert_rules(&c->steer, "lan", rules), 5);
	ck_assert_uint_eq(rules[0].id, 1);
	ck_assert_int_eq(rules[0].protocol, 6);
	ck_assert_uint_eq(rules[0].dst_ports.first, 22);
	ck_assert_uint_eq(rules[0].dst_ports.last, 22);
	ck_assert_int_eq(rules[0].action, SLUICE_ACTION_KERNEL);
	ck_assert_uint_eq(rules[1].family, 6);
	ck_assert_uint_eq(rules[1].vlan, sluice_vlan_key(100, 0));
	ck_assert_uint_eq(rules[2].vlan, sluice_vlan_key(100 | SLUICE_VLAN_8021AD, 200));
	ck_assert(!rules[3].match_vlan);
	ck_assert(rules[4].match_vlan && rules[4].vlan == SLUICE_VLAN_UNTAGGED);
	ck_assert_uint_eq(rules[4].src.len, 8);
	ck_assert_uint_eq(rules[4].src.addr[0], htonl(0x0a000000));
	ck_assert_uint_eq(steer_convert_transit(&c->steer, transit), 3);
	ck_assert_int_eq(transit[1].action, SLUICE_ACTION_DROP);
	ck_assert_int_eq(transit[2].prefix.family, 6);
	free(transit);
	config_free(c);
}
END_TEST

/* ---- The command line -------------------------------------------------------------------------------------------- */

START_TEST(shorthand_is_a_configuration)
{
	const char *ports[] = { "lan=eth1", "eth2" }, *tuns[] = { "app=tun7" }, *transit[] = { "10.0.0.0/8", "2001:db8::/32" };
	const struct config_shorthand args = {
		.instance = "short", .ports = ports, .n_ports = 2, .tuns = tuns, .n_tuns = 1, .transit = transit,
		.n_transit = 2, .mode = "generic", .workers = "2",
	};
	struct config *c;
	struct fault f = { 0 };

	ck_assert_msg(config_from_ports(&args, &c, &f) == 0, "%s", f.text);
	ck_assert_str_eq(c->file, "");
	ck_assert_str_eq(c->control.socket, "/run/sluice/short.sock");
	ck_assert_uint_eq(c->n_ports, 3);
	ck_assert_str_eq(c->ports[0].name, "lan");
	ck_assert_str_eq(c->ports[1].name, "eth2");
	ck_assert_str_eq(c->ports[1].device, "eth2");
	ck_assert_int_eq(c->ports[1].mode, CONFIG_MODE_GENERIC);
	ck_assert_int_eq(c->ports[2].kind, CONFIG_PORT_TUN);
	ck_assert_uint_eq(c->workers.count, 2);
	ck_assert_uint_eq(c->steer.n_transit, 2);
	ck_assert_uint_eq(c->steer.transit[1].prefix.len, 32);
	config_free(c);
}
END_TEST

static const struct {
	const char *instance, *port, *tun, *transit, *mode, *workers, *want;
} wrong_shorthand[] = {
	{ NULL, NULL, NULL, NULL, NULL, NULL, "no port; --port NAME=DEVICE or a configuration file is wanted" },
	{ NULL, "lan=eth 1", NULL, NULL, NULL, NULL,
	  "--port lan=eth 1: device: \"eth 1\" is no device name: no spaces, '/', ':' or '%'" },
	{ NULL, "eth1.5", NULL, NULL, NULL, NULL,
	  "--port eth1.5: name: \"eth1.5\" is no name: letters, digits, '-' and '_' only" },
	{ NULL, "=eth1", NULL, NULL, NULL, NULL, "--port =eth1: name: an empty name" },
	{ NULL, "lan=", NULL, NULL, NULL, NULL, "--port lan=: device: an empty device name" },
	{ NULL, "lan=eth1", "lan=tun0", NULL, NULL, NULL,
	  "--tun lan=tun0: name: \"lan\" is the name of ports[0] already" },
	{ NULL, "lan=eth1", NULL, "10.0.0.1/8", NULL, NULL,
	  "--transit 10.0.0.1/8: \"10.0.0.1/8\" has host bits set, \"10.0.0.0/8\" is meant?" },
	{ NULL, "lan=eth1", NULL, NULL, "fast", NULL,
	  "--port lan=eth1: mode: \"fast\" is not known; auto, zerocopy, native or generic" },
	{ NULL, "lan=eth1", NULL, NULL, NULL, "0", "--workers: 0 is out of range, 1 to 64" },
	{ NULL, "lan=eth1", NULL, NULL, NULL, "two", "--workers: \"two\" is no number, 1 to 64 is wanted" },
	{ "a/b", "lan=eth1", NULL, NULL, NULL, NULL,
	  "--instance a/b: \"a/b\" is no name: letters, digits, '-' and '_' only" },
};

START_TEST(wrong_shorthand_names_the_option)
{
	const struct config_shorthand args = {
		.instance = wrong_shorthand[_i].instance,
		.ports = &wrong_shorthand[_i].port, .n_ports = wrong_shorthand[_i].port != NULL,
		.tuns = &wrong_shorthand[_i].tun, .n_tuns = wrong_shorthand[_i].tun != NULL,
		.transit = &wrong_shorthand[_i].transit, .n_transit = wrong_shorthand[_i].transit != NULL,
		.mode = wrong_shorthand[_i].mode, .workers = wrong_shorthand[_i].workers,
	};
	struct config *c;
	struct fault f = { 0 };

	ck_assert_int_eq(config_from_ports(&args, &c, &f), -EINVAL);
	ck_assert_str_eq(f.text, wrong_shorthand[_i].want);
}
END_TEST

/* ---- Files and texts --------------------------------------------------------------------------------------------- */

START_TEST(what_is_no_text_is_refused)
{
	static const char include[] = "  @include \"/etc/hostname\"\n", nul[] = "a\0b";
	static char large[CONFIG_TEXT_MAX + 1];
	struct config *c;
	struct fault f = { 0 };

	ck_assert_int_eq(config_load("/nonexistent/sluice.conf", &c, &f), -ENOENT);
	ck_assert_str_eq(f.text, "/nonexistent/sluice.conf: No such file or directory");
	ck_assert_int_eq(config_load("/tmp", &c, &f), -EISDIR);
	ck_assert_int_eq(config_parse(nul, 3, "mem", &c, &f), -EINVAL);
	ck_assert_str_eq(f.text, "mem: holds a NUL byte, a text is wanted");
	ck_assert_int_eq(config_parse(include, strlen(include), "mem", &c, &f), -EINVAL);
	ck_assert_str_eq(f.text, "mem: @include needs a configuration that is a file");
	ck_assert_int_eq(config_parse(large, sizeof(large), "mem", &c, &f), -EINVAL);
	ck_assert_int_eq(config_parse("", 0, "mem", &c, NULL), -EINVAL);	/* nobody listens: no crash */
}
END_TEST

START_TEST(file_of_rules_stands_alone)
{
	char path[] = "/tmp/sluice-rules-XXXXXX";
	static const char rules[] = "rules = ( { name = \"x\"; priority = 1; action = \"drop\"; vlan = 7; } );\n";
	static const char port[] = "rules = ( { name = \"x\"; priority = 1; action = \"drop\"; port = \"lan\"; } );\n";
	struct config_steer *steer;
	struct fault f = { 0 };
	int fd = mkstemp(path);

	ck_assert_int_eq(write(fd, rules, strlen(rules)), (ssize_t)strlen(rules));
	ck_assert_msg(config_load_steer(path, &steer, &f) == 0, "%s", f.text);
	ck_assert_uint_eq(steer->n_rules, 1);
	ck_assert_uint_eq(steer->n_transit, 2);		/* the default */
	free(steer);
	ck_assert_int_eq(pwrite(fd, port, strlen(port), 0), (ssize_t)strlen(port));
	ck_assert_int_eq(config_load_steer(path, &steer, &f), -EINVAL);
	ck_assert_msg(strstr(f.text, ":1: rules[0].port: a file of rules is for one device"), "%s", f.text);
	close(fd);
	unlink(path);
}
END_TEST

/* ---- Small values ------------------------------------------------------------------------------------------------ */

static const struct {
	const char *text;
	uint64_t want;		/* 0 = refused */
} durations[] = {
	{ "20us", 20000 }, { "1ns", 1 }, { "3ms", 3000000 }, { "2s", 2000000000 }, { "1min", 60000000000 },
	{ "", 0 }, { "us", 0 }, { "20", 0 }, { "-1s", 0 }, { "1.5s", 0 }, { "1 s", 0 }, { "1h", 0 }, { "1sx", 0 },
	{ "18446744073709551615ns", UINT64_MAX }, { "18446744073709551616ns", 0 }, { "18446744074s", 0 },
};

START_TEST(durations_have_units)
{
	uint64_t ns = 0;

	ck_assert_int_eq(config_parse_duration(durations[_i].text, &ns, NULL), durations[_i].want ? 0 : -EINVAL);
	ck_assert_uint_eq(ns, durations[_i].want);
}
END_TEST

static const struct {
	const char *text;
	uint64_t want;		/* 0 = refused */
} sizes[] = {
	{ "1", 1 }, { "64K", 65536 }, { "4M", 4 << 20 }, { "1G", 1 << 30 }, { "", 0 }, { "K", 0 }, { "4MB", 0 }, { "4k", 0 },
	{ "17179869183G", UINT64_MAX & ~((UINT64_C(1) << 30) - 1) }, { "17179869184G", 0 }, { "1T", 0 },
};

START_TEST(sizes_have_units)
{
	uint64_t bytes = 0;

	ck_assert_int_eq(config_parse_bytes(sizes[_i].text, &bytes, NULL), sizes[_i].want ? 0 : -EINVAL);
	ck_assert_uint_eq(bytes, sizes[_i].want);
}
END_TEST

static const struct {
	const char *text;
	int err;
	uint8_t mac[6];
} macs[] = {
	{ "02:00:5e:10:00:01", 0, { 2, 0, 0x5e, 0x10, 0, 1 } }, { "FE:ff:FF:ff:Ff:ff", 0, { 0xfe, 255, 255, 255, 255, 255 } },
	{ "", -EINVAL, { 0 } }, { "0", -EINVAL, { 0 } }, { "02:00:5e:10:00:1", -EINVAL, { 0 } },
	{ "02:00:5e:10:00:01:", -EINVAL, { 0 } }, { "02-00-5e-10-00-01", -EINVAL, { 0 } }, { "02:00:5e:10:00:0g", -EINVAL, { 0 } },
	{ "00:00:00:00:00:00", -EINVAL, { 0 } }, { "ff:ff:ff:ff:ff:ff", -EINVAL, { 0 } }, { "02:", -EINVAL, { 0 } },
};

START_TEST(macs_are_of_stations)
{
	char *copy = strdup(macs[_i].text);	/* exact size: ASan sees overruns */
	uint8_t mac[6] = { 0 };

	ck_assert_int_eq(config_parse_mac(copy, mac, NULL), macs[_i].err);
	ck_assert_mem_eq(mac, macs[_i].mac, 6);
	free(copy);
}
END_TEST

START_TEST(prefixes_contain_what_they_cover)
{
	static const struct {
		const char *prefix, *ip;
		bool inside;
	} all[] = {
		{ "10.0.0.0/8", "10.255.0.1", true }, { "10.0.0.0/8", "11.0.0.0", false }, { "0.0.0.0/0", "1.2.3.4", true },
		{ "0.0.0.0/0", "::1", false }, { "192.0.2.128/25", "192.0.2.127", false }, { "192.0.2.1/32", "192.0.2.1", true },
		{ "2001:db8::/33", "2001:db8:7fff::1", true }, { "2001:db8::/33", "2001:db8:8000::1", false },
		{ "::/0", "ff02::1", true }, { "::1/128", "::1", true },
	};
	char buf[CONFIG_PREFIX_STRLEN];

	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
		struct config_prefix prefix;
		struct config_ip ip;

		ck_assert_int_eq(config_parse_prefix(all[i].prefix, &prefix, NULL), 0);
		ck_assert_int_eq(config_parse_ip(all[i].ip, &ip, NULL), 0);
		ck_assert_msg(config_prefix_contains(&prefix, &ip) == all[i].inside, "%s %s", all[i].prefix, all[i].ip);
		ck_assert_str_eq(config_prefix_text(&prefix, buf), all[i].prefix);
	}
}
END_TEST

START_TEST(nearest_word_is_near)
{
	static const char *const words[] = { "queues", "mode", "rings", "tun", "metadata", NULL };

	ck_assert_str_eq(config_nearest("quues", words), "queues");
	ck_assert_str_eq(config_nearest("Mode", words), "mode");
	ck_assert_str_eq(config_nearest("meatdata", words), "metadata");
	ck_assert_ptr_null(config_nearest("x", words));
	ck_assert_ptr_null(config_nearest("", words));
	ck_assert_ptr_null(config_nearest("completely-different-thing-with-a-long-name", words));
}
END_TEST

START_TEST(default_socket_needs_a_name)
{
	char path[CONFIG_SOCKET_MAX];

	ck_assert(config_default_socket("sluice", path, sizeof(path)));
	ck_assert_str_eq(path, "/run/sluice/sluice.sock");
	ck_assert(!config_default_socket("../x", path, sizeof(path)));
	ck_assert(!config_default_socket("sluice", path, 10));
}
END_TEST

int main(void)
{
	Suite *s = suite_create("control/config");
	TCase *tc = tcase_create("config");
	SRunner *sr;
	int failed;

	tcase_set_timeout(tc, 60);
	tcase_add_test(tc, wrong_configurations_are_refused_with_their_message);
	tcase_add_test(tc, truncated_configurations_do_no_harm);
	tcase_add_test(tc, good_configurations_are_accepted_and_dumped);
	tcase_add_test(tc, fields_are_what_the_text_says);
	tcase_add_test(tc, rules_become_the_programs);
	tcase_add_test(tc, shorthand_is_a_configuration);
	tcase_add_loop_test(tc, wrong_shorthand_names_the_option, 0, sizeof(wrong_shorthand) / sizeof(wrong_shorthand[0]));
	tcase_add_test(tc, what_is_no_text_is_refused);
	tcase_add_test(tc, file_of_rules_stands_alone);
	tcase_add_loop_test(tc, durations_have_units, 0, sizeof(durations) / sizeof(durations[0]));
	tcase_add_loop_test(tc, sizes_have_units, 0, sizeof(sizes) / sizeof(sizes[0]));
	tcase_add_loop_test(tc, macs_are_of_stations, 0, sizeof(macs) / sizeof(macs[0]));
	tcase_add_test(tc, prefixes_contain_what_they_cover);
	tcase_add_test(tc, nearest_word_is_near);
	tcase_add_test(tc, default_socket_needs_a_name);
	suite_add_tcase(s, tc);
	sr = srunner_create(s);
	srunner_run_all(sr, CK_NORMAL);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
