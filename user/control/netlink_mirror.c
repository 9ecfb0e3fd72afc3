/* SPDX-License-Identifier: MIT */
#include "user/control/netlink_mirror.h"
#include "common/clock.h"
#include "common/log.h"
#include "user/control/netlink_attr.h"
#include "user/control/netlink_mirror_priv.h"
#include "user/control/netlink_request.h"

#include <errno.h>
#include <linux/ethtool.h>
#include <linux/neighbour.h>
#include <linux/nexthop.h>
#include <linux/rtnetlink.h>
#include <linux/sockios.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/timerfd.h>
#include <unistd.h>

#define INPUT_BYTES 65536		/* the kernel fills at most half of it */
#define READ_DATAGRAMS 64		/* in one mirror_read() */
#define NEIGH_USE_SEQ UINT32_MAX	/* not used by dumps */
#define DUMP_PATIENCE_NS (10 * NS_PER_S)	/* a dump that says nothing for so long is given up */
#define DUMP_GAP_NS (10 * NS_PER_MS)		/* least time between two dumps of the same */
#define DUMP_GAP_FACTOR 4		/* and in times of how long the last one took */
#define DUMP_REFUSED_GAP_NS (200 * NS_PER_MS)

static const struct {
	const char *name;
	uint16_t request;
	uint8_t family;
} dumps[DUMP_COUNT] = {
	[DUMP_LINK] = { "links", RTM_GETLINK, AF_UNSPEC },
	[DUMP_ADDR4] = { "IPv4 addresses", RTM_GETADDR, AF_INET },
	[DUMP_ADDR6] = { "IPv6 addresses", RTM_GETADDR, AF_INET6 },
	[DUMP_NHOBJ] = { "nexthop objects", RTM_GETNEXTHOP, AF_UNSPEC },
	[DUMP_ROUTE4] = { "IPv4 routes", RTM_GETROUTE, AF_INET },
	[DUMP_ROUTE6] = { "IPv6 routes", RTM_GETROUTE, AF_INET6 },
	[DUMP_NEIGH4] = { "IPv4 neighbours", RTM_GETNEIGH, AF_INET },
	[DUMP_NEIGH6] = { "IPv6 neighbours", RTM_GETNEIGH, AF_INET6 },
};

/* ---- Life ---- */

struct mirror *mirror_alloc(const struct mirror_config *config, const struct mirror_ops *ops, void *ctx)
{
	struct mirror *m = calloc(1, sizeof(*m));

	if (!m)
		return NULL;
	if (config)
		m->config = *config;
	m->ops = *ops;
	m->ctx = ctx;
	m->epoll_fd = m->timer_fd = m->nl_fd = -1;
	m->running = DUMP_NONE;
	return m;
}

static int subscribe(int fd, struct fault *f)
{
	static const int groups[] = {
		RTNLGRP_LINK, RTNLGRP_IPV4_IFADDR, RTNLGRP_IPV6_IFADDR, RTNLGRP_IPV4_ROUTE, RTNLGRP_IPV6_ROUTE,
		RTNLGRP_NEIGH, RTNLGRP_NEXTHOP,
	};

	for (size_t i = 0; i < sizeof(groups) / sizeof(groups[0]); i++) {
		if (setsockopt(fd, SOL_NETLINK, NETLINK_ADD_MEMBERSHIP, &groups[i], sizeof(groups[i])) < 0)
			return fault_errno(f, "rtnetlink group %d", groups[i]);
	}
	return 0;
}

/* The larger the buffer, the rarer a dump of everything. What the kernel grants may be less without CAP_NET_ADMIN. */
static void set_rcvbuf(int fd, uint32_t bytes)
{
	int want = bytes > INT32_MAX / 2 ? INT32_MAX / 2 : (int)bytes;

	if (setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &want, sizeof(want)) < 0)
		(void)setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &want, sizeof(want));
}

static int watch(struct mirror *m, int fd)
{
	struct epoll_event ev = { .events = EPOLLIN, .data.fd = fd };

	return epoll_ctl(m->epoll_fd, EPOLL_CTL_ADD, fd, &ev);
}

int mirror_create(struct mirror **out, const struct mirror_config *config, const struct mirror_ops *ops, void *ctx,
		  struct fault *f)
{
	struct mirror *m = mirror_alloc(config, ops, ctx);
	int err;

	if (!m)
		return fault_set(f, ENOMEM, "mirror of the kernel: out of memory");
	m->buf = malloc(INPUT_BYTES);
	m->nl_fd = nl_open(NETLINK_ROUTE, SOCK_NONBLOCK, f);
	if (!m->buf || m->nl_fd < 0) {
		err = m->buf ? m->nl_fd : fault_set(f, ENOMEM, "mirror of the kernel: out of memory");
		goto err_destroy;
	}
	set_rcvbuf(m->nl_fd, m->config.rcvbuf_bytes ? m->config.rcvbuf_bytes : MIRROR_RCVBUF_BYTES);
	err = nl_portid(m->nl_fd, &m->portid, f);
	if (err)
		goto err_destroy;
	err = subscribe(m->nl_fd, f);
	if (err)
		goto err_destroy;
	m->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	m->timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
	if (m->epoll_fd < 0 || m->timer_fd < 0 || watch(m, m->nl_fd) < 0 || watch(m, m->timer_fd) < 0) {
		err = fault_errno(f, "mirror of the kernel: epoll");
		goto err_destroy;
	}
	mirror_resync(m);
	/* The first mirror_read() starts the first dump; make the descriptor ask for it. */
	if (timerfd_settime(m->timer_fd, 0, &(struct itimerspec){ .it_value.tv_nsec = 1 }, NULL) < 0) {
		err = fault_errno(f, "mirror of the kernel: timer");
		goto err_destroy;
	}
	*out = m;
	return 0;
err_destroy:
	mirror_destroy(m);
	return err;
}

void mirror_destroy(struct mirror *m)
{
	if (!m)
		return;
	objects_free(m);
	routes_free(m);
	if (m->nl_fd >= 0)
		close(m->nl_fd);
	if (m->timer_fd >= 0)
		close(m->timer_fd);
	if (m->epoll_fd >= 0)
		close(m->epoll_fd);
	free(m->buf);
	free(m);
}

int mirror_fd(const struct mirror *m)
{
	return m->epoll_fd;
}

void mirror_resync(struct mirror *m)
{
	m->resyncing = true;
	mirror_pend(m, DUMP_ALL);
}

bool mirror_is_synced(const struct mirror *m)
{
	return m->running == DUMP_NONE && m->pending == 0;
}

void mirror_stats(const struct mirror *m, struct mirror_stats *stats)
{
	*stats = m->stats;
}

/* ---- Dumps ---- */

void mirror_begin_dump(struct mirror *m, enum dump d)
{
	m->pending &= ~DUMP_BIT(d);
	m->running = d;
	m->interrupted = false;
	m->crossed = false;
	m->gen[d]++;
	m->started_ns = m->progress_ns = clock_mono_ns();
	if (DUMP_BIT(d) & DUMP_ROUTES)
		routes_begin_dump(m, d);
}

/* @gap_ns: least time until the same may be dumped again. */
static void end_dump(struct mirror *m, uint64_t gap_ns)
{
	enum dump d = m->running;
	uint64_t now_ns = clock_mono_ns(), spent = DUMP_GAP_FACTOR * (now_ns - m->started_ns);
	bool complete = !m->interrupted;

	if (DUMP_BIT(d) & DUMP_ROUTES)
		routes_end_dump(m, d, complete);
	else if (complete)
		objects_end_dump(m, d);
	touch_clear(m);
	m->running = DUMP_NONE;
	m->not_before_ns[d] = now_ns + (spent > gap_ns ? spent : gap_ns);
	m->stats.dumps++;
	if (m->interrupted) {
		m->stats.dumps_interrupted++;
		mirror_pend(m, DUMP_BIT(d));
	} else if (m->crossed) {
		m->stats.races++;
		mirror_pend(m, DUMP_BIT(d));
	}
	log_debug("netlink: %s dumped in %llu us%s", dumps[d].name,
		  (unsigned long long)((now_ns - m->started_ns) / NS_PER_US), complete ? "" : ", interrupted");
	if (m->pending == 0 && m->resyncing) {
		m->resyncing = false;
		m->stats.resyncs++;
		if (m->ops.synced)
			m->ops.synced(m->ctx);
	}
}

/*
 * The kernel announces the removal of an address, or of a nexthop object, before it removes the routes that go with it,
 * and newer kernels dump routes without waiting for that. All of it happens under the rtnl lock, which this request
 * takes: when it returns, what was announced has been done.
 */
static void wait_for_rtnl(const struct mirror *m)
{
	struct ethtool_value v = { .cmd = ETHTOOL_GLINK };
	struct ifreq ifr = { .ifr_name = "lo", .ifr_data = (void *)&v };

	(void)ioctl(m->nl_fd, SIOCETHTOOL, &ifr);
}

static int send_dump_request(struct mirror *m, enum dump d)
{
	_Alignas(struct nlmsghdr) uint8_t buf[NL_REQUEST_BYTES];
	struct nlmsghdr *req = mnl_nlmsg_put_header(buf);
	uint8_t *family;

	req->nlmsg_type = dumps[d].request;
	req->nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
	req->nlmsg_seq = ++m->seq;
	switch (d) {
	case DUMP_LINK:
		family = mnl_nlmsg_put_extra_header(req, sizeof(struct ifinfomsg));
		mnl_attr_put_u32(req, IFLA_EXT_MASK, RTEXT_FILTER_SKIP_STATS);
		break;
	case DUMP_ADDR4:
	case DUMP_ADDR6:
		family = mnl_nlmsg_put_extra_header(req, sizeof(struct ifaddrmsg));
		break;
	case DUMP_NHOBJ:
		family = mnl_nlmsg_put_extra_header(req, sizeof(struct nhmsg));
		break;
	case DUMP_ROUTE4:
	case DUMP_ROUTE6:
		wait_for_rtnl(m);
		family = mnl_nlmsg_put_extra_header(req, sizeof(struct rtmsg));
		break;
	default:
		family = mnl_nlmsg_put_extra_header(req, sizeof(struct ndmsg));
		break;
	}
	*family = dumps[d].family;	/* the first byte of each of these headers */
	return send(m->nl_fd, req, req->nlmsg_len, MSG_DONTWAIT) < 0 ? -errno : 0;
}

/* Start the next dump that is due. Return: when to look again, 0 when there is nothing to wait for */
static uint64_t start_dump(struct mirror *m)
{
	uint64_t now_ns = clock_mono_ns(), wake_ns = UINT64_MAX;

	for (enum dump d = 0; d < DUMP_COUNT; d++) {
		if (!(m->pending & DUMP_BIT(d)))
			continue;
		/* Routes need their nexthop objects first. */
		if (m->not_before_ns[d] > now_ns ||
		    (DUMP_BIT(d) & DUMP_ROUTES && m->pending & DUMP_BIT(DUMP_NHOBJ))) {
			wake_ns = m->not_before_ns[d] < wake_ns ? m->not_before_ns[d] : wake_ns;
			continue;
		}
		if (send_dump_request(m, d) < 0) {
			m->stats.dumps_failed++;
			m->not_before_ns[d] = now_ns + DUMP_REFUSED_GAP_NS;
			wake_ns = m->not_before_ns[d] < wake_ns ? m->not_before_ns[d] : wake_ns;
			continue;
		}
		mirror_begin_dump(m, d);
		return m->progress_ns + DUMP_PATIENCE_NS;
	}
	return wake_ns == UINT64_MAX ? 0 : wake_ns;
}

/* The running dump was refused with -@err. */
static void dump_refused(struct mirror *m, int err, const char *why)
{
	enum dump d = m->running;

	/* A kernel without IPv6, or without nexthop objects (before 5.3), has none of them. */
	if (err == EOPNOTSUPP || err == EAFNOSUPPORT || err == EPROTONOSUPPORT) {
		end_dump(m, DUMP_GAP_NS);
		return;
	}
	if (m->stats.dumps_failed++ == 0)
		log_warn("netlink: dump of %s: %s%s%s; trying again", dumps[d].name, strerror(err), *why ? ": " : "",
			 why);
	m->interrupted = true;
	end_dump(m, DUMP_REFUSED_GAP_NS);
}

/* ---- Input ---- */

static void overrun(struct mirror *m)
{
	if (m->stats.overruns++ == 0)
		log_warn("netlink: the kernel dropped notifications; reading everything again");
	else
		log_debug("netlink: notifications dropped, %llu times now", (unsigned long long)m->stats.overruns);
	mirror_resync(m);
}

static void error_message(struct mirror *m, const struct nlmsghdr *nlh)
{
	char why[256];
	int err = nl_error(nlh, why, sizeof(why));

	if (err == 0)
		return;
	if (nlh->nlmsg_seq == NEIGH_USE_SEQ)
		m->stats.neigh_use_errors++;
	else if (m->running != DUMP_NONE && nlh->nlmsg_seq == m->seq && err != -ENOBUFS)
		dump_refused(m, -err, why);
	/* ENOBUFS: no room for the first part now; the dump has begun all the same and goes on as we read. */
}

/* The end of a dump carries its error, when it had one. */
static int done_error(const struct nlmsghdr *nlh)
{
	int32_t err = 0;

	if (nlh->nlmsg_len >= NL_HDR + sizeof(err))
		memcpy(&err, mnl_nlmsg_get_payload(nlh), sizeof(err));
	return err < 0 && err > -4096 ? -err : 0;
}

static void message(struct mirror *m, const struct nlmsghdr *nlh)
{
	bool dumped = m->running != DUMP_NONE && nlh->nlmsg_seq == m->seq && nlh->nlmsg_pid == m->portid &&
		      nlh->nlmsg_flags & NLM_F_MULTI;

	m->stats.messages++;
	if (!dumped && nlh->nlmsg_pid == m->portid && nlh->nlmsg_flags & NLM_F_MULTI && m->portid)
		return;		/* rest of a dump that was given up */
	if (dumped) {
		m->progress_ns = clock_mono_ns();
		if (nlh->nlmsg_flags & NLM_F_DUMP_INTR)
			m->interrupted = true;
	}
	switch (nlh->nlmsg_type) {
	case NLMSG_ERROR:
		error_message(m, nlh);
		break;
	case NLMSG_DONE:
		if (!dumped)
			break;
		if (done_error(nlh))
			dump_refused(m, done_error(nlh), "");
		else
			end_dump(m, DUMP_GAP_NS);
		break;
	case NLMSG_OVERRUN:
		overrun(m);
		break;
	case RTM_NEWROUTE:
	case RTM_DELROUTE:
		routes_message(m, nlh, dumped);
		break;
	default:
		objects_message(m, nlh, dumped);
		break;
	}
}

void mirror_input(struct mirror *m, const void *buf, size_t len)
{
	struct nl_messages run = { buf, len, false };
	uint64_t malformed = m->stats.malformed;
	const struct nlmsghdr *nlh;

	while ((nlh = nl_message_next(&run)))
		message(m, nlh);
	if (run.bad)
		m->stats.malformed++;
	if (malformed == 0 && m->stats.malformed > 0)
		log_warn("netlink: a message from the kernel is malformed; it is left out and counted");
}

/* Return: 1 when there may be more, 0 when not, -errno */
static int receive(struct mirror *m, struct fault *f)
{
	struct sockaddr_nl from = { .nl_family = AF_NETLINK };
	struct iovec iov = { m->buf, INPUT_BYTES };
	struct msghdr msg = { .msg_name = &from, .msg_namelen = sizeof(from), .msg_iov = &iov, .msg_iovlen = 1 };
	ssize_t got = recvmsg(m->nl_fd, &msg, MSG_DONTWAIT);

	if (got < 0) {
		if (errno == EAGAIN)
			return 0;
		if (errno == EINTR)
			return 1;
		if (errno != ENOBUFS)
			return fault_errno(f, "rtnetlink socket");
		overrun(m);
		return 1;
	}
	if (from.nl_pid != 0)
		return 1;	/* not the kernel: anyone may send to a netlink socket */
	if (msg.msg_flags & MSG_TRUNC)
		overrun(m);	/* as good as dropped */
	else
		mirror_input(m, m->buf, (size_t)got);
	return 1;
}

static void arm(const struct mirror *m, uint64_t at_ns)
{
	struct itimerspec when = { .it_value = { (time_t)(at_ns / NS_PER_S), (long)(at_ns % NS_PER_S) } };

	(void)timerfd_settime(m->timer_fd, TFD_TIMER_ABSTIME, &when, NULL);
}

int mirror_read(struct mirror *m, struct fault *f)
{
	uint64_t expired, wake_ns;

	(void)!read(m->timer_fd, &expired, sizeof(expired));
	for (int i = 0; i < READ_DATAGRAMS; i++) {
		int more = receive(m, f);

		if (more < 0)
			return more;
		if (more == 0)
			break;
		if (m->running == DUMP_NONE && m->pending)
			(void)start_dump(m);
	}
	if (m->running != DUMP_NONE && clock_mono_ns() - m->progress_ns > DUMP_PATIENCE_NS)
		dump_refused(m, ETIMEDOUT, "");
	wake_ns = m->running != DUMP_NONE ? m->progress_ns + DUMP_PATIENCE_NS : start_dump(m);
	arm(m, wake_ns);
	return 0;
}

int mirror_sync(struct mirror *m, int timeout_ms, struct fault *f)
{
	uint64_t until_ns = clock_mono_ns() + (uint64_t)timeout_ms * NS_PER_MS;

	for (;;) {
		struct pollfd p = { .fd = m->epoll_fd, .events = POLLIN };
		int err = mirror_read(m, f), ready;
		uint64_t now_ns = clock_mono_ns();

		if (err)
			return err;
		ready = poll(&p, 1, 0);
		if (ready == 0 && mirror_is_synced(m))
			return 0;
		if (now_ns >= until_ns)
			return fault_set(f, ETIMEDOUT, "the kernel's links and routes: not all read within %d ms",
					 timeout_ms);
		if (ready == 0)
			(void)poll(&p, 1, (int)((until_ns - now_ns) / NS_PER_MS) + 1);
	}
}

int mirror_neigh_use(struct mirror *m, uint32_t ifindex, uint8_t family, const union nl_ip *ip)
{
	_Alignas(struct nlmsghdr) uint8_t buf[NL_REQUEST_BYTES];
	struct nlmsghdr *req = mnl_nlmsg_put_header(buf);
	struct ndmsg *ndm;

	req->nlmsg_type = RTM_NEWNEIGH;
	req->nlmsg_flags = NLM_F_REQUEST | NLM_F_CREATE;
	req->nlmsg_seq = NEIGH_USE_SEQ;
	ndm = mnl_nlmsg_put_extra_header(req, sizeof(*ndm));
	ndm->ndm_family = family;
	ndm->ndm_ifindex = (int)ifindex;
	ndm->ndm_flags = NTF_USE;
	mnl_attr_put(req, NDA_DST, nl_ip_len(family), ip);
	if (send(m->nl_fd, req, req->nlmsg_len, MSG_DONTWAIT) < 0)
		return -errno;
	m->stats.neigh_uses++;
	return 0;
}
