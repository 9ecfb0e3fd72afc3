/* SPDX-License-Identifier: MIT */
#include "user/control/netlink_request.h"
#include "user/control/netlink.h"
#include "user/control/netlink_attr.h"

#include <errno.h>
#include <linux/if_addr.h>
#include <linux/rtnetlink.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#define ANSWER_BYTES 65536

int nl_open(int protocol, int flags, struct fault *f)
{
	const struct timeval patience = { .tv_sec = 5 };
	struct sockaddr_nl any = { .nl_family = AF_NETLINK };
	const int on = 1;
	int err, fd;

	fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | flags, protocol);
	if (fd < 0)
		return fault_errno(f, "netlink socket");
	/* Old kernels know neither option; their answers are only less exact. */
	(void)setsockopt(fd, SOL_NETLINK, NETLINK_EXT_ACK, &on, sizeof(on));
	(void)setsockopt(fd, SOL_NETLINK, NETLINK_GET_STRICT_CHK, &on, sizeof(on));
	if (setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience)) < 0 ||
	    bind(fd, (struct sockaddr *)&any, sizeof(any)) < 0) {
		err = fault_errno(f, "netlink socket");
		close(fd);
		return err;
	}
	return fd;
}

int nl_portid(int fd, uint32_t *portid, struct fault *f)
{
	struct sockaddr_nl self = { .nl_family = AF_NETLINK };
	socklen_t len = sizeof(self);

	if (getsockname(fd, (struct sockaddr *)&self, &len) < 0)
		return fault_errno(f, "address of the netlink socket");
	*portid = self.nl_pid;
	return 0;
}

int nl_error(const struct nlmsghdr *nlh, char *text, size_t room)
{
	const struct nlmsgerr *e = mnl_nlmsg_get_payload(nlh);
	const struct nlattr *tb[NLMSGERR_ATTR_MAX + 1];
	size_t skip = sizeof(*e), body = nlh->nlmsg_len - NL_HDR;

	if (room)
		text[0] = '\0';
	if (nlh->nlmsg_len < NL_HDR + sizeof(*e))
		return -EBADMSG;
	/* The request follows, unless capped; the attributes come after it. */
	if (!(nlh->nlmsg_flags & NLM_F_CAPPED) && e->msg.nlmsg_len > NL_HDR)
		skip += nl_align(e->msg.nlmsg_len - NL_HDR);
	if (room && nlh->nlmsg_flags & NLM_F_ACK_TLVS && skip < body &&
	    nl_attrs((const uint8_t *)e + skip, body - skip, tb, NLMSGERR_ATTR_MAX + 1))
		(void)nl_get_str(tb[NLMSGERR_ATTR_MSG], text, room);
	return e->error > 0 ? -EBADMSG : e->error;
}

/* Return: 1 when the answer is complete, 0 when more must come, -errno */
static int answer_part(const struct nlmsghdr *nlh, int (*reply)(const struct nlmsghdr *nlh, void *ctx), void *ctx,
		       struct fault *f)
{
	char why[256];
	int err;

	switch (nlh->nlmsg_type) {
	case NLMSG_ERROR:
		err = nl_error(nlh, why, sizeof(why));
		if (err)
			return fault_set(f, -err, "%s%s%s", strerror(-err), why[0] ? ": " : "", why);
		return 1;
	case NLMSG_DONE:
		return 1;
	case NLMSG_NOOP:
	case NLMSG_OVERRUN:
		return 0;
	}
	err = reply ? reply(nlh, ctx) : 0;
	return err < 0 ? fault_set(f, -err, "the kernel's answer: %s", strerror(-err)) : 0;
}

int nl_ask(int fd, struct nlmsghdr *req, int (*reply)(const struct nlmsghdr *nlh, void *ctx), void *ctx,
	   struct fault *f)
{
	static _Atomic uint32_t last_seq;
	_Alignas(struct nlmsghdr) static _Thread_local uint8_t buf[ANSWER_BYTES];
	uint32_t seq = atomic_fetch_add_explicit(&last_seq, 1, memory_order_relaxed) + 1;

	req->nlmsg_seq = seq;
	req->nlmsg_flags |= NLM_F_REQUEST | NLM_F_ACK;
	if (send(fd, req, req->nlmsg_len, 0) < 0)
		return fault_errno(f, "netlink request");
	for (;;) {
		struct sockaddr_nl from;
		struct iovec iov = { buf, sizeof(buf) };
		struct msghdr m = { .msg_name = &from, .msg_namelen = sizeof(from), .msg_iov = &iov, .msg_iovlen = 1 };
		ssize_t got = recvmsg(fd, &m, 0);
		struct nl_messages run = { buf, (size_t)got, false };
		const struct nlmsghdr *nlh;

		if (got < 0) {
			if (errno == EINTR)
				continue;
			return fault_errno(f, "netlink answer");
		}
		if (m.msg_flags & MSG_TRUNC)
			return fault_set(f, EMSGSIZE, "netlink answer is longer than %zu bytes", sizeof(buf));
		if (from.nl_pid != 0)
			continue;	/* not the kernel */
		while ((nlh = nl_message_next(&run))) {
			int done;

			if (nlh->nlmsg_seq != seq)
				continue;	/* late answer to a request that was given up */
			done = answer_part(nlh, reply, ctx, f);
			if (done)
				return done < 0 ? done : 0;
		}
	}
}

static int ask_route(struct nlmsghdr *req, struct fault *f)
{
	int err, fd = nl_open(NETLINK_ROUTE, 0, f);

	if (fd < 0)
		return fd;
	err = nl_ask(fd, req, NULL, NULL, f);
	close(fd);
	return err;
}

static struct nlmsghdr *link_request(void *buf, uint32_t ifindex, uint32_t flags, uint32_t change)
{
	struct nlmsghdr *req = mnl_nlmsg_put_header(buf);
	struct ifinfomsg *ifi;

	req->nlmsg_type = RTM_NEWLINK;
	ifi = mnl_nlmsg_put_extra_header(req, sizeof(*ifi));
	ifi->ifi_index = (int)ifindex;
	ifi->ifi_flags = flags;
	ifi->ifi_change = change;
	return req;
}

int nl_link_set_up(uint32_t ifindex, bool up, struct fault *f)
{
	_Alignas(struct nlmsghdr) uint8_t buf[NL_REQUEST_BYTES];
	int err = ask_route(link_request(buf, ifindex, up ? IFF_UP : 0, IFF_UP), f);

	if (err)
		fault_prefix(f, "set link %u %s: ", ifindex, up ? "up" : "down");
	return err;
}

int nl_link_set_mtu(uint32_t ifindex, uint32_t mtu_bytes, struct fault *f)
{
	_Alignas(struct nlmsghdr) uint8_t buf[NL_REQUEST_BYTES];
	struct nlmsghdr *req = link_request(buf, ifindex, 0, 0);
	int err;

	mnl_attr_put_u32(req, IFLA_MTU, mtu_bytes);
	err = ask_route(req, f);
	if (err)
		fault_prefix(f, "set MTU %u on link %u: ", mtu_bytes, ifindex);
	return err;
}

int nl_addr_add(uint32_t ifindex, uint8_t family, const union nl_ip *ip, uint8_t prefix_len, struct fault *f)
{
	_Alignas(struct nlmsghdr) uint8_t buf[NL_REQUEST_BYTES];
	struct nlmsghdr *req = mnl_nlmsg_put_header(buf);
	struct ifaddrmsg *ifa;
	int err;

	req->nlmsg_type = RTM_NEWADDR;
	req->nlmsg_flags = NLM_F_CREATE | NLM_F_REPLACE;
	ifa = mnl_nlmsg_put_extra_header(req, sizeof(*ifa));
	ifa->ifa_family = family;
	ifa->ifa_prefixlen = prefix_len;
	ifa->ifa_index = ifindex;
	ifa->ifa_flags = family == AF_INET6 ? IFA_F_NODAD : 0;
	mnl_attr_put(req, IFA_LOCAL, nl_ip_len(family), ip);
	mnl_attr_put(req, IFA_ADDRESS, nl_ip_len(family), ip);
	err = ask_route(req, f);
	if (err)
		fault_prefix(f, "add address to link %u: ", ifindex);
	return err;
}
