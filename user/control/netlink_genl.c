/* SPDX-License-Identifier: MIT */
#include "user/control/netlink_genl.h"
#include "user/control/netlink_attr.h"
#include "user/control/netlink_request.h"

#include <errno.h>

struct nlmsghdr *genl_request(void *buf, uint16_t family, uint8_t command)
{
	struct nlmsghdr *req = mnl_nlmsg_put_header(buf);
	struct genlmsghdr *genl;

	req->nlmsg_type = family;
	genl = mnl_nlmsg_put_extra_header(req, sizeof(*genl));
	genl->cmd = command;
	genl->version = 1;
	return req;
}

const struct genlmsghdr *genl_header(const struct nlmsghdr *nlh)
{
	return nlh->nlmsg_len < NL_HDR + sizeof(struct genlmsghdr) ? NULL : mnl_nlmsg_get_payload(nlh);
}

static int groups_parse(const struct nlattr *nest, struct genl_family *family)
{
	const struct nlattr *group, *tb[CTRL_ATTR_MCAST_GRP_ID + 1];
	struct nl_run run = nl_run_of(nest);
	char name[GENL_NAMSIZ];

	while ((group = nl_run_next(&run))) {
		name[0] = '\0';
		if (!nl_attrs_nested(group, tb, CTRL_ATTR_MCAST_GRP_ID + 1) ||
		    !nl_get_str(tb[CTRL_ATTR_MCAST_GRP_NAME], name, sizeof(name)))
			return -EBADMSG;
		if (family->group_name && strcmp(name, family->group_name) == 0 &&
		    !nl_get_u32(tb[CTRL_ATTR_MCAST_GRP_ID], &family->group))
			return -EBADMSG;
	}
	return run.bad ? -EBADMSG : 0;
}

static int family_reply(const struct nlmsghdr *nlh, void *ctx)
{
	const struct nlattr *tb[CTRL_ATTR_MCAST_GROUPS + 1];
	struct genl_family *family = ctx;

	if (!nl_attrs_msg(nlh, sizeof(struct genlmsghdr), tb, CTRL_ATTR_MCAST_GROUPS + 1) ||
	    !nl_get_u16(tb[CTRL_ATTR_FAMILY_ID], &family->id))
		return -EBADMSG;
	return groups_parse(tb[CTRL_ATTR_MCAST_GROUPS], family);
}

int genl_resolve(int fd, const char *name, struct genl_family *family, struct fault *f)
{
	_Alignas(struct nlmsghdr) uint8_t buf[NL_REQUEST_BYTES];
	struct nlmsghdr *req = genl_request(buf, GENL_ID_CTRL, CTRL_CMD_GETFAMILY);
	int err;

	mnl_attr_put_strz(req, CTRL_ATTR_FAMILY_NAME, name);
	family->id = 0;
	family->group = 0;
	err = nl_ask(fd, req, family_reply, family, f);
	if (!err && family->id == 0)
		err = fault_set(f, ENOENT, "the answer has no number");
	if (err)
		fault_prefix(f, "netlink family %s: ", name);
	return err;
}
