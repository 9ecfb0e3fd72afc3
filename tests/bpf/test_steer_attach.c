// SPDX-License-Identifier: MIT
/* Attaching, pinning, dying, adopting: on veth pairs in a network namespace of each test's own. */
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <linux/if_link.h>
#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/wait.h>
#include <time.h>
#include <xdp/libxdp.h>

#include "tests/bpf/steer_fixture.h"

#define WAIT_MS 5000

static struct steer_params params;

static void run(const char *command)
{
	int rc = system(command);	/* NOLINT(cert-env33-c): words of this file */

	ck_assert_msg(rc == 0, "\"%s\": exit %d", command, rc);
}

static void setup(void)
{
	ck_assert_int_eq(unshare(CLONE_NEWNET), 0);
	run("ip link set lo up && ip link add v0 type veth peer name v1 && "
	    "ip link set v0 address 02:5a:00:00:00:01 up && ip link set v1 up");
	params = (struct steer_params){ .ifname = "v0", .ifindex = (int)if_nametoindex("v0"), .instance = instance,
					.port = "lan" };
	ck_assert_int_gt(params.ifindex, 0);
}

static void teardown(void)
{
	steer_close(steer);
	(void)steer_detach_pinned(NULL, instance, "lan", NULL);
}

static uint32_t prog_on(const char *ifname)
{
	LIBBPF_OPTS(bpf_xdp_query_opts, q);

	ck_assert_int_eq(bpf_xdp_query((int)if_nametoindex(ifname), 0, &q), 0);
	return q.drv_prog_id ? q.drv_prog_id : q.skb_prog_id ? q.skb_prog_id : q.prog_id;
}

static bool wait_gone(const char *ifname)
{
	for (int ms = 0; ms < WAIT_MS; ms++, usleep(1000))
		if (!prog_on(ifname))
			return true;
	return false;
}

static bool pin_exists(const char *name)
{
	char path[256];

	snprintf(path, sizeof(path), "/sys/fs/bpf/sluice/%s/%s", instance, name);
	return access(path, F_OK) == 0;
}

/* A child that does what an engine does, reports, and waits to be killed. */
static pid_t spawn_attached(int (*get)(const struct steer_params *, struct steer **, struct fault *),
			    void (*then)(struct steer *))
{
	int fds[2];
	char ok = 0;
	pid_t pid;

	ck_assert_int_eq(pipe(fds), 0);
	fflush(stdout);
	pid = fork();
	ck_assert_int_ge(pid, 0);
	if (pid == 0) {
		ok = get(&params, &steer, &fault) == 0;
		if (ok && then)
			then(steer);
		if (!ok)
			fprintf(stderr, "%s\n", fault.text);
		(void)!write(fds[1], &ok, 1);
		for (;;)
			pause();
	}
	ck_assert_int_eq(read(fds[0], &ok, 1), 1);
	ck_assert(ok);
	close(fds[0]);
	close(fds[1]);
	return pid;
}

static void kill_child(pid_t pid)
{
	ck_assert_int_eq(kill(pid, SIGKILL), 0);
	ck_assert_int_eq(waitpid(pid, NULL, 0), pid);
}

static bool reason_says(const char *text)
{
	const struct steer_info *i = steer_info(steer);

	for (unsigned int r = 0; r < i->n_reasons; r++)
		if (strstr(i->reasons[r], text))
			return true;
	return false;
}

/* Kernels before 6.3 have no RX metadata: then that is said, and nothing else is missing. */
static bool metadata_here(void)
{
	if (steer_info(steer)->metadata)
		return true;
	ck_assert(reason_says("Linux 6.3 or later"));
	printf("SKIP steer_attach: this kernel has no RX metadata\n");
	return false;
}

START_TEST(attached_native_with_metadata_and_gone_at_close)
{
	const struct steer_info *i;

	params.metadata = true;
	ck_ok(steer_attach(&params, &steer, &fault));
	i = steer_info(steer);
	ck_assert_int_eq(i->mode, STEER_MODE_NATIVE);
	if (metadata_here())
		ck_assert_uint_eq(i->n_reasons, 0);
	ck_assert(i->frags && i->pinned && !i->dispatcher && !i->persistent && !i->adopted);
	ck_assert_uint_ne(i->prog_id, 0);
	ck_assert_uint_eq(prog_on("v0"), i->prog_id);
	ck_assert(pin_exists("lan/counters"));
	steer_close(steer);
	steer = NULL;
	ck_assert(wait_gone("v0"));
	ck_assert(!pin_exists(""));
}
END_TEST

START_TEST(bpftool_prints_named_fields)
{
	static const char *const wants[][2] = {
		{ "counters", "\"rx_frames\": 1" }, { "counters", "\"pass_disabled\": 1" },
		{ "rule_hits", "\"rule_id\": 77" }, { "config", "\"drop_needs_socket\"" },
		{ "addrs4", "\"flags\": 2" },	    { "transit6", "\"prefix_len\": 32" },
		{ "vlans", "\"known\": 1" },
	};
	struct steer_rule r = { .id = 77, .action = SLUICE_ACTION_DROP, .protocol = 253 };
	struct steer_addr a = addr_of("192.0.2.9", SLUICE_VLAN_ANY);
	struct steer_transit t = { prefix_of("2001:db8::/32"), SLUICE_ACTION_ENGINE };
	uint8_t frame[60] = { 0 };
	uint32_t vlan = 5;

	/* Not on the wire, where the kernel's own frames would be counted too. */
	params.mode = STEER_MODE_DETACHED;
	ck_ok(steer_attach(&params, &steer, &fault));
	ck_ok(steer_set_rules(steer, &r, 1, &fault));
	ck_ok(steer_set_engine_addrs(steer, &a, 1, &fault));
	ck_ok(steer_set_transit(steer, &t, 1, &fault));
	ck_ok(steer_set_vlans(steer, &vlan, 1, &fault));
	ck_assert_uint_eq(run_frame_queue(frame, sizeof(frame), 0), XDP_PASS);
	for (size_t i = 0; i < sizeof(wants) / sizeof(wants[0]); i++) {
		char command[256];

		snprintf(command, sizeof(command), "bpftool map dump pinned /sys/fs/bpf/sluice/%s/lan/%s | grep -qF '%s'",
			 instance, wants[i][0], wants[i][1]);
		run(command);
	}
}
END_TEST

START_TEST(killed_engine_leaves_no_verdict)
{
	pid_t pid = spawn_attached(steer_attach, NULL);

	ck_assert_uint_ne(prog_on("v0"), 0);
	kill_child(pid);
	ck_assert(wait_gone("v0"));
	ck_assert(pin_exists("lan/counters"));	/* a dead run's pins ... */
	ck_assert_int_eq(steer_adopt(&params, &steer, &fault), -ENOENT);
	ck_ok(steer_attach(&params, &steer, &fault));	/* ... do not stop the next one, which ends clean */
	ck_assert_uint_eq(counters().rx_frames, counters().pass_disabled);
	steer_close(steer);
	steer = NULL;
	ck_assert(!pin_exists(""));
}
END_TEST

START_TEST(detach_clears_what_a_dead_run_left)
{
	kill_child(spawn_attached(steer_attach, NULL));
	ck_assert(pin_exists("lan"));
	ck_ok(steer_detach_pinned(NULL, instance, "lan", &fault));
	ck_assert(!pin_exists(""));
	ck_assert_int_eq(steer_detach_pinned(NULL, instance, "lan", &fault), -ENOENT);
}
END_TEST

static const struct frame_spec to_engine = { .src = "198.51.100.7", .dst = "192.0.2.10", .proto = 6, .dport = 443 };
static const struct frame_spec to_drop = { .src = "198.51.100.7", .dst = "192.0.2.10", .proto = 6, .dport = 85 };

static uint32_t run_spec(const struct frame_spec *spec)
{
	struct frame_buf f;

	frame_build(&f, spec);
	return run_frame(&f);
}

static void set_address_and_rule(struct steer *s)
{
	struct steer_rule r = { .id = 9, .action = SLUICE_ACTION_DROP, .protocol = 6, .dst_ports = { 85, 85 } };
	struct steer_addr a = addr_of("192.0.2.10", SLUICE_VLAN_ANY);

	ck_ok(steer_set_engine_addrs(s, &a, 1, &fault));
	ck_ok(steer_set_rules(s, &r, 1, &fault));
	steer_set_enabled(s, true);
}

static void send_on_v1(const struct frame_spec *spec)
{
	struct sockaddr_ll to = { .sll_family = AF_PACKET, .sll_ifindex = (int)if_nametoindex("v1") };
	int fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0);
	struct frame_buf f;

	frame_build(&f, spec);
	ck_assert_int_eq(sendto(fd, f.b, f.len, 0, (struct sockaddr *)&to, sizeof(to)), (ssize_t)f.len);
	close(fd);
}

static void adopt_as_engine(struct steer *s)
{
	ck_ok(steer_set_xsk(s, 0, xsk_stub(), &fault));
	if (run_spec(&to_engine) != XDP_REDIRECT)
		_exit(1);
}

START_TEST(persistent_program_outlives_adopts_and_detaches)
{
	struct steer_addr k = addr_of("192.0.2.1", SLUICE_VLAN_ANY);
	struct steer_transit none = { prefix_of("10.0.0.0/8"), SLUICE_ACTION_DROP };
	struct sluice_rule_hits hits[SLUICE_STEER_MAX_RULES];
	size_t n = SLUICE_STEER_MAX_RULES;
	struct steer *other = NULL;
	uint32_t id;
	pid_t pid;

	params.persistent = true;
	ck_ok(steer_attach(&params, &steer, &fault));
	set_address_and_rule(steer);
	id = steer_info(steer)->prog_id;
	steer_close(steer);
	steer = NULL;
	ck_assert_uint_eq(prog_on("v0"), id);
	ck_assert_int_eq(steer_attach(&params, &steer, &fault), -EEXIST);

	/* An engine takes it over and is killed: its sockets are gone, the rules are not. */
	pid = spawn_attached(steer_adopt, adopt_as_engine);
	kill_child(pid);
	ck_assert_uint_eq(prog_on("v0"), id);
	ck_ok(steer_adopt(&params, &steer, &fault));
	ck_assert(steer_info(steer)->adopted && steer_info(steer)->mode == STEER_MODE_NATIVE);
	ck_assert(steer_info(steer)->frags && !steer_info(steer)->metadata);
	for (int ms = 0; ms < WAIT_MS && run_spec(&to_engine) != XDP_PASS; ms++)
		usleep(1000);
	ck_assert_uint_eq(run_spec(&to_engine), XDP_PASS);
	ck_assert_uint_gt(counters().pass_no_socket, 0);
	ck_assert_uint_eq(run_spec(&to_drop), XDP_DROP);

	/* The lists that were not set again are known from the maps. */
	ck_ok(steer_set_kernel_addrs(steer, &k, 1, &fault));
	ck_ok(steer_set_transit(steer, &none, 1, &fault));
	ck_ok(steer_set_xsk(steer, 0, xsk_stub(), &fault));
	ck_assert_uint_eq(run_spec(&to_engine), XDP_REDIRECT);
	ck_ok(steer_read_rule_hits(steer, hits, &n, &fault));
	ck_assert_uint_eq(n, 1);
	ck_assert_uint_eq(hits[0].rule_id, 9);
	ck_assert_uint_eq(hits[0].pkts, 1);
	ck_ok(steer_set_engine_addrs(steer, NULL, 0, &fault));
	ck_assert_uint_eq(run_spec(&to_engine), XDP_PASS);

	params.ifindex = 1;
	ck_assert_int_eq(steer_adopt(&params, &other, &fault), -ESTALE);
	params.ifindex = steer_info(steer)->ifindex;

	steer_close(steer);
	steer = NULL;
	ck_assert_uint_eq(prog_on("v0"), id);
	ck_ok(steer_detach_pinned(NULL, instance, "lan", &fault));
	ck_assert(wait_gone("v0"));
	ck_assert(!pin_exists(""));
	ck_assert_int_eq(steer_adopt(&params, &steer, &fault), -ENOENT);
}
END_TEST

static void borrow_and_drop(struct steer *s)
{
	struct steer_rule r = { .id = 9, .action = SLUICE_ACTION_DROP, .protocol = 6, .dst_ports = { 443, 443 } };

	ck_ok(steer_set_rules(s, &r, 1, &fault));
	ck_ok(steer_set_xsk(s, 0, xsk_stub(), &fault));
	if (run_spec(&to_engine) != XDP_DROP)
		_exit(1);
}

START_TEST(borrowed_program_gets_its_rules_back)
{
	struct steer_addr k = addr_of("192.0.2.10", SLUICE_VLAN_ANY);
	struct steer_rule r[2] = {
		{ .id = 1, .action = SLUICE_ACTION_DROP, .protocol = 6, .dst_ports = { 443, 443 } },
		{ .id = 2, .action = SLUICE_ACTION_ENGINE, .protocol = 6, .dst_ports = { 85, 85 } },
	};
	struct steer_transit all = { prefix_of("0.0.0.0/0"), SLUICE_ACTION_DROP };
	struct sluice_rule_hits hits[SLUICE_STEER_MAX_RULES];
	size_t n = SLUICE_STEER_MAX_RULES;
	pid_t pid;

	params.persistent = true;
	ck_ok(steer_attach(&params, &steer, &fault));
	set_address_and_rule(steer);
	steer_close(steer);

	params.put_back = true;
	ck_ok(steer_adopt(&params, &steer, &fault));
	ck_ok(steer_set_engine_addrs(steer, NULL, 0, &fault));
	ck_ok(steer_set_transit(steer, &all, 1, &fault));
	ck_ok(steer_set_rules(steer, r, 2, &fault));
	ck_ok(steer_set_xsk(steer, 0, xsk_stub(), &fault));
	ck_assert_uint_eq(run_spec(&to_engine), XDP_DROP);
	ck_assert_uint_eq(run_spec(&to_drop), XDP_REDIRECT);
	ck_ok(steer_set_kernel_addrs(steer, &k, 1, &fault));
	ck_assert_uint_eq(run_spec(&to_engine), XDP_PASS);
	steer_close(steer);

	params.put_back = false;
	ck_ok(steer_adopt(&params, &steer, &fault));
	ck_assert_uint_eq(run_spec(&to_drop), XDP_DROP);
	ck_ok(steer_set_xsk(steer, 0, xsk_stub(), &fault));
	ck_assert_uint_eq(run_spec(&to_engine), XDP_REDIRECT);
	ck_ok(steer_read_rule_hits(steer, hits, &n, &fault));
	ck_assert_uint_eq(n, 1);
	ck_assert_uint_eq(hits[0].rule_id, 9);
	ck_assert_uint_eq(hits[0].pkts, 1);
	steer_close(steer);

	/* Killed, the borrower decides nothing any more; what was there is lost, and known to be. */
	params.put_back = true;
	pid = spawn_attached(steer_adopt, borrow_and_drop);
	kill_child(pid);
	ck_ok(steer_adopt(&params, &steer, &fault));
	for (int ms = 0; ms < WAIT_MS && run_spec(&to_engine) != XDP_PASS; ms++)
		usleep(1000);
	ck_assert_uint_eq(run_spec(&to_engine), XDP_PASS);
	steer_close(steer);
	params.put_back = false;
	ck_ok(steer_adopt(&params, &steer, &fault));
	ck_assert_uint_eq(run_spec(&to_engine), XDP_PASS);
	set_address_and_rule(steer);
	ck_assert_uint_eq(run_spec(&to_drop), XDP_DROP);
	steer_close(steer);
	steer = NULL;
	ck_ok(steer_detach_pinned(NULL, instance, "lan", &fault));
}
END_TEST

START_TEST(persistent_program_of_a_removed_device_is_stale)
{
	params.persistent = true;
	ck_ok(steer_attach(&params, &steer, &fault));
	steer_close(steer);
	steer = NULL;
	run("ip link del v0 && ip link add v0 type veth peer name v1");
	params.ifindex = (int)if_nametoindex("v0");
	ck_assert_int_eq(steer_adopt(&params, &steer, &fault), -ENOENT);
	ck_ok(steer_attach(&params, &steer, &fault));
	ck_assert_uint_eq(prog_on("v0"), steer_info(steer)->prog_id);
}
END_TEST

START_TEST(foreign_program_is_named_and_left_alone)
{
	struct bpf_insn pass[] = { { .code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = 0, .imm = XDP_PASS },
				   { .code = BPF_JMP | BPF_EXIT } };
	int fd = bpf_prog_load(BPF_PROG_TYPE_XDP, "somebody_else", "GPL", pass, 2, NULL);
	uint32_t id;

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(bpf_xdp_attach(params.ifindex, fd, XDP_FLAGS_DRV_MODE, NULL), 0);
	id = prog_on("v0");
	ck_assert_int_eq(steer_attach(&params, &steer, &fault), -EBUSY);
	ck_assert_ptr_nonnull(strstr(fault.text, "somebody_else"));
	ck_assert_ptr_nonnull(strstr(fault.text, "ip link set dev v0 xdp off"));
	ck_assert_uint_eq(prog_on("v0"), id);
	ck_assert(!pin_exists("lan"));
	close(fd);
}
END_TEST

START_TEST(ladder_ends_generic_with_the_kernels_reason)
{
	params.metadata = true;
	run("ip link del v0 && ip link add v0 numrxqueues 1 numtxqueues 1 type veth peer name v1 numrxqueues 2 "
	    "numtxqueues 2");
	params.ifindex = (int)if_nametoindex("v0");
	ck_ok(steer_attach(&params, &steer, &fault));
	ck_assert_int_eq(steer_info(steer)->mode, STEER_MODE_GENERIC);
	ck_assert(reason_says("no native mode"));
	ck_assert(reason_says("rx queues"));
	ck_assert(reason_says("no RX metadata"));
	steer_close(steer);
	steer = NULL;
	ck_assert(wait_gone("v0"));
	params.mode = STEER_MODE_NATIVE;
	ck_assert_int_lt(steer_attach(&params, &steer, &fault), 0);
	ck_assert_ptr_nonnull(strstr(fault.text, "rx queues"));
	ck_assert_uint_eq(prog_on("v0"), 0);
}
END_TEST

START_TEST(loopback_is_generic)
{
	params.ifname = "lo";
	params.ifindex = 1;
	ck_ok(steer_attach(&params, &steer, &fault));
	ck_assert_int_eq(steer_info(steer)->mode, STEER_MODE_GENERIC);
	ck_assert(reason_says("no native mode"));
}
END_TEST

/* Whether the kernel allows it or not, the way taken is told. */
START_TEST(dispatcher_is_used_or_refused_with_a_reason)
{
	params.dispatcher = STEER_DISPATCHER_YES;
	ck_ok(steer_attach(&params, &steer, &fault));
	ck_assert_uint_ne(prog_on("v0"), 0);
	if (!steer_info(steer)->dispatcher) {
		ck_assert(reason_says("dispatcher"));
		ck_assert_uint_eq(prog_on("v0"), steer_info(steer)->prog_id);
	}
	steer_close(steer);
	steer = NULL;
	ck_assert(wait_gone("v0"));
}
END_TEST

static int dispatched_programs(void)
{
	struct xdp_multiprog *mp = xdp_multiprog__get_from_ifindex(params.ifindex);
	int n;

	if (libxdp_get_error(mp))
		return 0;
	n = xdp_multiprog__is_legacy(mp) ? 0 : xdp_multiprog__program_count(mp);
	xdp_multiprog__close(mp);
	return n;
}

static uint64_t pinned_no_socket(void)
{
	struct sluice_steer_counters c[256];
	struct bpffs_dir d;
	uint32_t zero = 0;
	uint64_t sum = 0;
	int fd;

	ck_ok(bpffs_dir(&d, NULL, instance, "lan", &fault));
	fd = bpffs_open(&d, "counters", &fault);
	ck_assert_int_ge(fd, 0);
	memset(c, 0, sizeof(c));
	ck_assert_int_eq(bpf_map_lookup_elem(fd, &zero, c), 0);
	close(fd);
	for (size_t cpu = 0; cpu < 256; cpu++)
		sum += c[cpu].pass_no_socket;
	return sum;
}

/* The dispatcher has no link that dies with the engine: what it leaves drops nothing, and the next run removes it. */
START_TEST(killed_behind_the_dispatcher_leaves_no_verdict)
{
	params.dispatcher = STEER_DISPATCHER_YES;
	kill_child(spawn_attached(steer_attach, set_address_and_rule));
	if (!dispatched_programs()) {
		ck_assert(wait_gone("v0"));
		printf("SKIP steer_attach: this kernel does not allow libxdp's dispatcher\n");
		return;
	}
	send_on_v1(&to_drop);
	send_on_v1(&to_engine);
	for (int ms = 0; ms < WAIT_MS && pinned_no_socket() < 2; ms++)
		usleep(1000);
	ck_assert_uint_eq(pinned_no_socket(), 2);
	ck_assert_int_eq(steer_adopt(&params, &steer, &fault), -ENOENT);
	params.dispatcher = STEER_DISPATCHER_AUTO;
	ck_ok(steer_attach(&params, &steer, &fault));
	ck_assert_int_le(dispatched_programs(), 1);
	steer_close(steer);
	steer = NULL;
	ck_assert(wait_gone("v0"));

	/* Attached to stay, it is adopted like any other. */
	params.dispatcher = STEER_DISPATCHER_YES;
	params.persistent = true;
	ck_ok(steer_attach(&params, &steer, &fault));
	steer_close(steer);
	steer = NULL;
	ck_assert_int_eq(dispatched_programs(), 1);
	ck_assert_int_eq(steer_attach(&params, &steer, &fault), -EEXIST);
	ck_ok(steer_adopt(&params, &steer, &fault));
	ck_assert(steer_info(steer)->dispatcher);
	steer_close(steer);
	steer = NULL;
	ck_ok(steer_detach_pinned(NULL, instance, "lan", &fault));
	ck_assert(wait_gone("v0"));
}
END_TEST

START_TEST(names_that_cannot_be_pins_are_refused)
{
	static const char *const bad[] = { "", "a.b", "a/b", "..", "0123456789012345678901234567890123" };

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		params.port = bad[i];
		ck_assert_int_eq(steer_attach(&params, &steer, &fault), -EINVAL);
	}
	ck_assert_uint_eq(prog_on("v0"), 0);
}
END_TEST

START_TEST(no_bpffs_is_a_reason_or_an_error)
{
	params.bpffs_root = "/proc/none";
	ck_ok(steer_attach(&params, &steer, &fault));
	ck_assert(!steer_info(steer)->pinned);
	ck_assert(reason_says("mount -t bpf bpffs /proc/none"));
	steer_close(steer);
	steer = NULL;
	ck_assert(wait_gone("v0"));
	params.persistent = true;
	ck_assert_int_lt(steer_attach(&params, &steer, &fault), 0);
	ck_assert_ptr_nonnull(strstr(fault.text, "mount -t bpf bpffs /proc/none"));
	ck_assert_uint_eq(prog_on("v0"), 0);
}
END_TEST

/* ---- Real frames into a socket ----------------------------------------------------------------------------------- */
/* Egress of v1: let the "device" carry the tag, as a NIC that takes it off on reception does. */
static void push_vlan_on_v1(uint16_t tci)
{
	struct bpf_insn push[] = {
		{ .code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = 2, .imm = htons(0x8100) },
		{ .code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = 3, .imm = tci },
		{ .code = BPF_JMP | BPF_CALL, .imm = BPF_FUNC_skb_vlan_push },
		{ .code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = 0, .imm = 0 },
		{ .code = BPF_JMP | BPF_EXIT },
	};
	LIBBPF_OPTS(bpf_tc_hook, hook, .ifindex = (int)if_nametoindex("v1"), .attach_point = BPF_TC_EGRESS);
	int fd = bpf_prog_load(BPF_PROG_TYPE_SCHED_CLS, "push_vlan", "GPL", push, 5, NULL);
	LIBBPF_OPTS(bpf_tc_opts, opts, .prog_fd = fd);

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(bpf_tc_hook_create(&hook), 0);
	ck_assert_int_eq(bpf_tc_attach(&hook, &opts), 0);
	close(fd);
}

static void steer_to_socket(struct xsk_rx *x)
{
	uint32_t vlan = 5;

	xsk_rx_open(x, params.ifindex);
	set_address_and_rule(steer);
	ck_ok(steer_set_vlans(steer, &vlan, 1, &fault));
	ck_ok(steer_set_xsk(steer, 0, x->fd, &fault));
}

START_TEST(metadata_lies_below_the_frame)
{
	struct sluice_rx_meta m;
	struct frame_buf want;
	const uint8_t *frame;
	struct xsk_rx x;
	uint32_t len;

	params.metadata = true;
	params.mode = STEER_MODE_NATIVE;
	ck_ok(steer_attach(&params, &steer, &fault));
	if (!metadata_here())
		return;
	steer_to_socket(&x);
	send_on_v1(&to_engine);
	frame = xsk_rx_next(&x, &len, WAIT_MS);
	frame_build(&want, &to_engine);
	ck_assert_uint_eq(len, want.len);
	ck_assert_mem_eq(frame, want.b, len);
	memcpy(&m, frame - sizeof(m), sizeof(m));
	ck_assert_uint_eq(m.magic, SLUICE_RX_META_MAGIC);
	ck_assert_uint_eq(m.version, SLUICE_RX_META_VERSION);
	ck_assert_uint_eq(m.valid & SLUICE_RX_META_VLAN, 0);
	ck_assert(m.valid & SLUICE_RX_META_HASH);

	/* A tag beside the frame decides like one in it: VLAN 5 is known ... */
	push_vlan_on_v1(5);
	send_on_v1(&to_engine);
	frame = xsk_rx_next(&x, &len, WAIT_MS);
	ck_assert_uint_eq(len, want.len);
	memcpy(&m, frame - sizeof(m), sizeof(m));
	ck_assert(m.valid & SLUICE_RX_META_VLAN);
	ck_assert_uint_eq(m.vlan_tci, 5);
	ck_assert_uint_eq(m.vlan_proto, htons(0x8100));
	ck_assert_uint_eq(counters().vlan_stripped, 1);
	/* ... and once it is not, the frame is the kernel's. */
	ck_ok(steer_set_vlans(steer, NULL, 0, &fault));
	send_on_v1(&to_engine);
	for (int ms = 0; ms < WAIT_MS && counters().pass_vlan == 0; ms++)
		usleep(1000);
	ck_assert_uint_eq(counters().pass_vlan, 1);
	ck_assert_uint_eq(counters().redirect_address, 2);
}
END_TEST

/* What a driver would compute for each frame is not asked for. */
START_TEST(the_hash_can_be_left_out)
{
	struct sluice_rx_meta m;
	const uint8_t *frame;
	struct xsk_rx x;
	uint32_t len;

	params.metadata = params.no_rx_hash = true;
	params.mode = STEER_MODE_NATIVE;
	ck_ok(steer_attach(&params, &steer, &fault));
	if (!metadata_here())
		return;
	steer_to_socket(&x);
	send_on_v1(&to_engine);
	frame = xsk_rx_next(&x, &len, WAIT_MS);
	memcpy(&m, frame - sizeof(m), sizeof(m));
	ck_assert_uint_eq(m.magic, SLUICE_RX_META_MAGIC);
	ck_assert_uint_eq(m.valid & SLUICE_RX_META_HASH, 0);
}
END_TEST

/* Frames without metadata, but a tag beside one of them is not overlooked: it decides, and goes to the kernel. */
START_TEST(a_tag_for_the_program_alone)
{
	struct frame_buf want;
	struct sluice_rx_meta m;
	const uint8_t *frame;
	struct xsk_rx x;
	uint32_t len;

	params.metadata = params.tag_only = true;
	params.mode = STEER_MODE_NATIVE;
	ck_ok(steer_attach(&params, &steer, &fault));
	ck_assert(!steer_info(steer)->metadata);
	if (!steer_info(steer)->vlan_tag) {
		printf("SKIP steer_attach: this kernel tells no program of a VLAN tag\n");
		return;
	}
	ck_assert(!reason_says("VLAN tags are unseen"));
	steer_to_socket(&x);
	send_on_v1(&to_engine);
	frame = xsk_rx_next(&x, &len, WAIT_MS);
	frame_build(&want, &to_engine);
	ck_assert_uint_eq(len, want.len);
	ck_assert_mem_eq(frame, want.b, len);
	memcpy(&m, frame - sizeof(m), sizeof(m));
	ck_assert_uint_ne(m.magic, SLUICE_RX_META_MAGIC);

	push_vlan_on_v1(5);
	send_on_v1(&to_engine);
	for (int ms = 0; ms < WAIT_MS && counters().pass_no_metadata == 0; ms++)
		usleep(1000);
	ck_assert_uint_eq(counters().pass_no_metadata, 1);
	ck_assert_uint_eq(counters().redirect_address, 1);
	ck_ok(steer_set_vlans(steer, NULL, 0, &fault));
	send_on_v1(&to_engine);
	for (int ms = 0; ms < WAIT_MS && counters().pass_vlan == 0; ms++)
		usleep(1000);
	ck_assert_uint_eq(counters().pass_vlan, 1);
}
END_TEST

static void frames_reach_the_socket(enum steer_mode mode)
{
	struct frame_buf want;
	const uint8_t *frame;
	struct xsk_rx x;
	uint32_t len;

	params.mode = mode;
	ck_ok(steer_attach(&params, &steer, &fault));
	ck_assert_int_eq(steer_info(steer)->mode, mode);
	ck_assert(!steer_info(steer)->metadata);
	steer_to_socket(&x);
	send_on_v1(&to_drop);
	send_on_v1(&to_engine);
	frame = xsk_rx_next(&x, &len, WAIT_MS);
	frame_build(&want, &to_engine);
	ck_assert_uint_eq(len, want.len);
	ck_assert_mem_eq(frame, want.b, len);
	ck_assert_uint_eq(counters().drop_rule, 1);
	ck_assert_uint_eq(counters().redirect_address, 1);
	ck_assert_uint_eq(counters().drop_bytes, len);
}

START_TEST(native_frames_reach_the_socket)
{
	frames_reach_the_socket(STEER_MODE_NATIVE);
}
END_TEST

START_TEST(generic_frames_reach_the_socket)
{
	frames_reach_the_socket(STEER_MODE_GENERIC);
}
END_TEST

/* Behind the dispatcher the program may outlive the engine: then it must drop nothing. Seen here by its switch. */
START_TEST(without_its_engine_a_drop_is_a_pass)
{
	struct sluice_steer_config c;
	struct bpffs_dir d;
	uint32_t zero = 0;
	int fd, xsk;

	params.mode = STEER_MODE_DETACHED;
	ck_ok(steer_attach(&params, &steer, &fault));
	set_address_and_rule(steer);
	ck_ok(bpffs_dir(&d, NULL, instance, "lan", &fault));
	fd = bpffs_open(&d, "config", &fault);
	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(bpf_map_lookup_elem(fd, &zero, &c), 0);
	c.drop_needs_socket = 1;
	ck_assert_int_eq(bpf_map_update_elem(fd, &zero, &c, 0), 0);
	close(fd);
	ck_assert_uint_eq(run_spec(&to_drop), XDP_PASS);
	ck_assert_uint_eq(counters().pass_no_socket, 1);
	xsk = xsk_stub();
	ck_ok(steer_set_xsk(steer, 0, xsk, &fault));
	ck_assert_uint_eq(run_spec(&to_drop), XDP_DROP);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("steer_attach");
	TCase *tc = tcase_create("life");
	SRunner *sr;
	int failed;

	if (geteuid() != 0) {
		printf("SKIP steer_attach: needs root\n");
		return 77;
	}
	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_set_timeout(tc, 60);
	tcase_add_test(tc, attached_native_with_metadata_and_gone_at_close);
	tcase_add_test(tc, bpftool_prints_named_fields);
	tcase_add_test(tc, killed_engine_leaves_no_verdict);
	tcase_add_test(tc, detach_clears_what_a_dead_run_left);
	tcase_add_test(tc, persistent_program_outlives_adopts_and_detaches);
	tcase_add_test(tc, borrowed_program_gets_its_rules_back);
	tcase_add_test(tc, persistent_program_of_a_removed_device_is_stale);
	tcase_add_test(tc, foreign_program_is_named_and_left_alone);
	tcase_add_test(tc, ladder_ends_generic_with_the_kernels_reason);
	tcase_add_test(tc, loopback_is_generic);
	tcase_add_test(tc, dispatcher_is_used_or_refused_with_a_reason);
	tcase_add_test(tc, killed_behind_the_dispatcher_leaves_no_verdict);
	tcase_add_test(tc, names_that_cannot_be_pins_are_refused);
	tcase_add_test(tc, no_bpffs_is_a_reason_or_an_error);
	tcase_add_test(tc, metadata_lies_below_the_frame);
	tcase_add_test(tc, the_hash_can_be_left_out);
	tcase_add_test(tc, a_tag_for_the_program_alone);
	tcase_add_test(tc, native_frames_reach_the_socket);
	tcase_add_test(tc, generic_frames_reach_the_socket);
	tcase_add_test(tc, without_its_engine_a_drop_is_a_pass);
	suite_add_tcase(s, tc);
	sr = srunner_create(s);
	instance_init();
	srunner_run_all(sr, CK_NORMAL);
	instance_fini("lan");
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
