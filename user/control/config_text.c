// SPDX-License-Identifier: MIT
#include "user/control/config_text.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct {
	const char *name;
	int16_t number;
} protocols[] = {
	{ "icmp", 1 },	 { "igmp", 2 },	   { "ipip", 4 },   { "tcp", 6 },    { "udp", 17 },	{ "dccp", 33 },
	{ "ipv6", 41 },	 { "rsvp", 46 },   { "gre", 47 },   { "esp", 50 },   { "ah", 51 },	{ "icmpv6", 58 },
	{ "eigrp", 88 }, { "ospf", 89 },   { "pim", 103 },  { "vrrp", 112 }, { "l2tp", 115 },	{ "sctp", 132 },
	{ "udplite", 136 },
};

enum { N_PROTOCOLS = sizeof(protocols) / sizeof(protocols[0]) };

/* ---- Numbers ----------------------------------------------------------------------------------------------------- */

/* Decimal digits from *@at on; moves *@at behind them. Return: false without a digit or beyond 64 bits */
static bool take_digits(const char **at, uint64_t *value)
{
	const char *p = *at;
	uint64_t v = 0;

	if (*p < '0' || *p > '9')
		return false;
	for (; *p >= '0' && *p <= '9'; p++) {
		unsigned int digit = (unsigned int)(*p - '0');

		if (v > (UINT64_MAX - digit) / 10)
			return false;
		v = v * 10 + digit;
	}
	*at = p;
	*value = v;
	return true;
}

int config_parse_uint(const char *text, uint64_t min, uint64_t max, uint64_t *value, struct fault *f)
{
	const char *at = text;
	uint64_t v;

	if (!take_digits(&at, &v) || *at)
		return fault_set(f, EINVAL, "\"%s\" is no number, %" PRIu64 " to %" PRIu64 " is wanted", text, min, max);
	if (v < min || v > max)
		return fault_set(f, EINVAL, "%" PRIu64 " is out of range, %" PRIu64 " to %" PRIu64, v, min, max);
	*value = v;
	return 0;
}

int config_parse_duration(const char *text, uint64_t *ns, struct fault *f)
{
	static const struct {
		const char *name;
		uint64_t ns;
	} units[] = { { "ns", 1 }, { "us", 1000 }, { "ms", 1000000 }, { "s", 1000000000 }, { "min", 60000000000 } };
	const char *at = text;
	uint64_t v;

	if (!take_digits(&at, &v))
		return fault_set(f, EINVAL, "\"%s\" is no duration, such as \"20us\" or \"30s\"", text);
	for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++) {
		if (strcmp(at, units[i].name) != 0)
			continue;
		if (v > UINT64_MAX / units[i].ns)
			return fault_set(f, EINVAL, "\"%s\" is too long a time", text);
		*ns = v * units[i].ns;
		return 0;
	}
	if (!*at)
		return fault_set(f, EINVAL, "\"%s\" has no unit: ns, us, ms, s or min", text);
	return fault_set(f, EINVAL, "\"%s\": unit \"%s\" is not known; ns, us, ms, s or min", text, at);
}

int config_parse_bytes(const char *text, uint64_t *bytes, struct fault *f)
{
	static const char units[] = "KMG";
	const char *at = text, *unit;
	unsigned int shift = 0;
	uint64_t v;

	if (!take_digits(&at, &v))
		return fault_set(f, EINVAL, "\"%s\" is no size, such as \"64K\" or \"4M\"", text);
	if (*at) {
		unit = strchr(units, *at);
		if (!unit || at[1])
			return fault_set(f, EINVAL, "\"%s\": unit \"%s\" is not known; K, M or G", text, at);
		shift = 10 * (unsigned int)(unit - units + 1);
	}
	if (v > UINT64_MAX >> shift)
		return fault_set(f, EINVAL, "\"%s\" is too large a size", text);
	*bytes = v << shift;
	return 0;
}

int config_parse_mode(const char *text, unsigned int *mode, struct fault *f)
{
	unsigned int v = 0;
	size_t len = strlen(text);

	if (len < 3 || len > 4 || strspn(text, "01234567") != len || (len == 4 && text[0] != '0'))
		return fault_set(f, EINVAL, "\"%s\" is no file mode, three octal digits such as \"0660\" are wanted", text);
	for (; *text; text++)
		v = v << 3 | (unsigned int)(*text - '0');
	*mode = v;
	return 0;
}

int config_parse_range(const char *text, struct config_range *range, struct fault *f)
{
	const char *at = text;
	uint64_t first, last;

	if (!take_digits(&at, &first))
		goto bad;
	last = first;
	if (*at == '-') {
		at++;
		if (!take_digits(&at, &last))
			goto bad;
	}
	if (*at)
		goto bad;
	if (first > UINT16_MAX || last > UINT16_MAX)
		return fault_set(f, EINVAL, "\"%s\": ports are 0 to 65535", text);
	if (first > last)
		return fault_set(f, EINVAL, "\"%s\" runs backwards, \"%" PRIu64 "-%" PRIu64 "\" is meant?", text, last, first);
	*range = (struct config_range){ (uint16_t)first, (uint16_t)last };
	return 0;
bad:
	return fault_set(f, EINVAL, "\"%s\" is no port or range of ports, such as \"443\" or \"1024-65535\"", text);
}

int config_parse_protocol(const char *text, int16_t *protocol, struct fault *f)
{
	const char *names[N_PROTOCOLS + 1] = { NULL };
	const char *at = text, *near;
	uint64_t v;

	for (size_t i = 0; i < N_PROTOCOLS; i++) {
		names[i] = protocols[i].name;
		if (!strcmp(text, names[i])) {
			*protocol = protocols[i].number;
			return 0;
		}
	}
	if (take_digits(&at, &v) && !*at && v <= 255) {
		*protocol = (int16_t)v;
		return 0;
	}
	near = config_nearest(text, names);
	if (near)
		return fault_set(f, EINVAL, "\"%s\" is no protocol, did you mean \"%s\"?", text, near);
	return fault_set(f, EINVAL, "\"%s\" is no protocol, a name such as \"tcp\" or 0 to 255 is wanted", text);
}

const char *config_protocol_name(int16_t protocol)
{
	for (size_t i = 0; i < N_PROTOCOLS; i++)
		if (protocols[i].number == protocol)
			return protocols[i].name;
	return NULL;
}

/* ---- Addresses --------------------------------------------------------------------------------------------------- */

int config_parse_ip(const char *text, struct config_ip *ip, struct fault *f)
{
	struct config_ip v = { .family = AF_INET };

	if (inet_pton(AF_INET, text, v.bytes) != 1) {
		v.family = AF_INET6;
		memset(v.bytes, 0, sizeof(v.bytes));
		if (inet_pton(AF_INET6, text, v.bytes) != 1) {
			if (strchr(text, '%'))
				return fault_set(f, EINVAL, "\"%s\": no zone in an address, the interface has its own key",
						 text);
			return fault_set(f, EINVAL, "\"%s\" is no IPv4 or IPv6 address", text);
		}
	}
	*ip = v;
	return 0;
}

/* Set the bits behind @len to 0. Return: whether there were any */
static bool clear_host_bits(struct config_ip *ip, unsigned int len)
{
	unsigned int n_bytes = config_ip_bits(ip) / 8;
	bool any = false;

	for (unsigned int i = 0; i < n_bytes; i++) {
		unsigned int keep = len >= 8 * (i + 1) ? 8 : len <= 8 * i ? 0 : len - 8 * i;
		uint8_t mask = (uint8_t)(0xff00u >> keep);

		any |= ip->bytes[i] & (uint8_t)~mask;
		ip->bytes[i] &= mask;
	}
	return any;
}

/* An address, a slash, a length that fits the family. */
static int parse_addr_len(const char *text, struct config_prefix *prefix, struct fault *f)
{
	const char *slash = strchr(text, '/'), *at;
	struct config_prefix v = { 0 };
	char addr[INET6_ADDRSTRLEN];
	uint64_t len;
	int err;

	if (!slash) {
		err = config_parse_ip(text, &v.ip, f);
		if (err)
			return err;
		return fault_set(f, EINVAL, "\"%s\" has no prefix length, such as \"%s/%s\"", text, text,
				 v.ip.family == AF_INET ? "24" : "64");
	}
	if ((size_t)(slash - text) >= sizeof(addr))
		return fault_set(f, EINVAL, "\"%s\" is no IPv4 or IPv6 prefix", text);
	memcpy(addr, text, (size_t)(slash - text));
	addr[slash - text] = '\0';
	err = config_parse_ip(addr, &v.ip, f);
	if (err)
		return err;
	at = slash + 1;
	if (!take_digits(&at, &len) || *at || len > config_ip_bits(&v.ip))
		return fault_set(f, EINVAL, "\"%s\": the prefix length is 0 to %u", text, config_ip_bits(&v.ip));
	v.len = (uint8_t)len;
	*prefix = v;
	return 0;
}

int config_parse_prefix(const char *text, struct config_prefix *prefix, struct fault *f)
{
	char buf[CONFIG_PREFIX_STRLEN];
	struct config_prefix v = { 0 };
	int err = parse_addr_len(text, &v, f);

	if (err)
		return err;
	if (clear_host_bits(&v.ip, v.len))
		return fault_set(f, EINVAL, "\"%s\" has host bits set, \"%s\" is meant?", text,
				 config_prefix_text(&v, buf));
	*prefix = v;
	return 0;
}

static const char *why_no_iface_ip(const struct config_ip *ip)
{
	static const struct config_ip zero;
	static const uint8_t loopback6[16] = { [15] = 1 }, mapped[12] = { [10] = 0xff, [11] = 0xff };

	if (!memcmp(ip->bytes, zero.bytes, sizeof(zero.bytes)))
		return "the unspecified address";
	if (ip->family == AF_INET) {
		if (ip->bytes[0] == 127)
			return "a loopback address";
		if (ip->bytes[0] == 0)
			return "in 0.0.0.0/8, \"this network\"";
		if (ip->bytes[0] >= 224 && ip->bytes[0] < 240)
			return "a multicast address";
		if (ip->bytes[0] >= 240)
			return "in 240.0.0.0/4, reserved";
		return NULL;
	}
	if (!memcmp(ip->bytes, loopback6, sizeof(loopback6)))
		return "the loopback address";
	if (ip->bytes[0] == 0xff)
		return "a multicast address";
	if (!memcmp(ip->bytes, mapped, sizeof(mapped)))
		return "an IPv4-mapped address";
	return NULL;
}

int config_parse_iface_addr(const char *text, struct config_prefix *addr, struct fault *f)
{
	struct config_prefix v = { 0 }, net;
	const char *why;
	int err = parse_addr_len(text, &v, f);

	if (err)
		return err;
	why = why_no_iface_ip(&v.ip);
	if (why)
		return fault_set(f, EINVAL, "\"%s\" is %s, no interface can have it", text, why);
	if (v.len == 0)
		return fault_set(f, EINVAL, "\"%s\": the prefix length of an interface is 1 to %u", text,
				 config_ip_bits(&v.ip));
	net = v;
	if (v.ip.family == AF_INET && v.len <= 30) {
		bool host_bits_0 = !clear_host_bits(&net.ip, net.len), host_bits_1 = true;

		for (unsigned int bit = v.len; bit < 32; bit++)
			host_bits_1 &= v.ip.bytes[bit / 8] >> (7 - bit % 8) & 1;
		if (host_bits_0 || host_bits_1)
			return fault_set(f, EINVAL, "\"%s\" is the %s address of its subnet, a host's is wanted", text,
					 host_bits_0 ? "network" : "broadcast");
	}
	*addr = v;
	return 0;
}

int config_parse_mac(const char *text, uint8_t mac[6], struct fault *f)
{
	static const uint8_t zero[6];
	uint8_t v[6];

	for (unsigned int i = 0; i < 6; i++) {
		const char *at = text + (size_t)i * 3;
		char digits[3] = { 0 };

		/* In this order: each test makes sure that the next may look one byte further. */
		if (!isxdigit((unsigned char)at[0]) || !isxdigit((unsigned char)at[1]) || at[2] != (i < 5 ? ':' : '\0'))
			return fault_set(f, EINVAL, "\"%s\" is no MAC address, such as \"02:00:5e:10:00:01\"", text);
		digits[0] = at[0];
		digits[1] = at[1];
		v[i] = (uint8_t)strtoul(digits, NULL, 16);
	}
	if (v[0] & 1)
		return fault_set(f, EINVAL, "\"%s\" is a group address, a station's is wanted", text);
	if (!memcmp(v, zero, sizeof(v)))
		return fault_set(f, EINVAL, "\"%s\" is nobody's address", text);
	memcpy(mac, v, sizeof(v));
	return 0;
}

const char *config_ip_text(const struct config_ip *ip, char buf[static CONFIG_PREFIX_STRLEN])
{
	if (ip->family == AF_UNSPEC || !inet_ntop(ip->family, ip->bytes, buf, CONFIG_PREFIX_STRLEN))
		buf[0] = '\0';
	return buf;
}

const char *config_prefix_text(const struct config_prefix *prefix, char buf[static CONFIG_PREFIX_STRLEN])
{
	size_t len = strlen(config_ip_text(&prefix->ip, buf));

	snprintf(buf + len, CONFIG_PREFIX_STRLEN - len, "/%u", prefix->len);
	return buf;
}

bool config_ip_equal(const struct config_ip *a, const struct config_ip *b)
{
	return a->family == b->family && !memcmp(a->bytes, b->bytes, sizeof(a->bytes));
}

bool config_prefix_contains(const struct config_prefix *prefix, const struct config_ip *ip)
{
	struct config_ip net = prefix->ip, other = *ip;

	if (net.family != other.family)
		return false;
	clear_host_bits(&net, prefix->len);
	clear_host_bits(&other, prefix->len);
	return config_ip_equal(&net, &other);
}

/* ---- Names ------------------------------------------------------------------------------------------------------- */

static int check_name(const char *text, size_t size, bool dots, struct fault *f)
{
	size_t len = strlen(text);

	if (len == 0)
		return fault_set(f, EINVAL, "an empty name");
	if (len >= size)
		return fault_set(f, EINVAL, "\"%s\" is too long, at most %zu characters", text, size - 1);
	for (const char *p = text; *p; p++)
		if (!isalnum((unsigned char)*p) && *p != '-' && *p != '_' && !(dots && *p == '.' && p > text))
			return fault_set(f, EINVAL, "\"%s\" is no name: letters, digits, '-' and '_'%s only", text,
					 dots ? ", and '.' inside," : "");
	if (text[0] == '-')
		return fault_set(f, EINVAL, "\"%s\" is no name: it starts with '-'", text);
	return 0;
}

int config_check_name(const char *text, size_t size, struct fault *f)
{
	return check_name(text, size, false, f);
}

int config_check_iface_name(const char *text, size_t size, struct fault *f)
{
	return check_name(text, size, true, f);
}

int config_check_device(const char *text, struct fault *f)
{
	size_t len = strlen(text);

	if (len == 0)
		return fault_set(f, EINVAL, "an empty device name");
	if (len >= IF_NAMESIZE)
		return fault_set(f, EINVAL, "\"%s\" is too long for a device, at most %d characters", text,
				 IF_NAMESIZE - 1);
	if (!strcmp(text, ".") || !strcmp(text, ".."))
		return fault_set(f, EINVAL, "\"%s\" is no device name", text);
	for (const char *p = text; *p; p++)
		if (!isgraph((unsigned char)*p) || *p == '/' || *p == ':' || *p == '%')
			return fault_set(f, EINVAL, "\"%s\" is no device name: no spaces, '/', ':' or '%%'", text);
	return 0;
}

/* Edit distance (insert, delete, replace, swap neighbours), for words of at most 31 bytes; else far. */
static unsigned int word_distance(const char *a, const char *b)
{
	enum { MAX = 32, FAR = 1000 };
	size_t la = strlen(a), lb = strlen(b);
	unsigned int d[MAX][MAX];

	if (la >= MAX || lb >= MAX)
		return FAR;
	for (unsigned int i = 0; i <= la; i++) {
		for (unsigned int j = 0; j <= lb; j++) {
			unsigned int best;

			if (i == 0 || j == 0) {
				d[i][j] = i + j;
				continue;
			}
			best = d[i - 1][j - 1] + (tolower((unsigned char)a[i - 1]) != tolower((unsigned char)b[j - 1]));
			if (d[i - 1][j] + 1 < best)
				best = d[i - 1][j] + 1;
			if (d[i][j - 1] + 1 < best)
				best = d[i][j - 1] + 1;
			if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] && d[i - 2][j - 2] + 1 < best)
				best = d[i - 2][j - 2] + 1;
			d[i][j] = best;
		}
	}
	return d[la][lb];
}

const char *config_nearest(const char *text, const char *const *words)
{
	unsigned int best = (unsigned int)strlen(text) / 3 + 1;	/* one slip in three letters, and one more */
	const char *found = NULL;

	for (; *words; words++) {
		unsigned int distance = word_distance(text, *words);

		if (distance < best || (distance == best && !found && best < strlen(*words))) {
			best = distance;
			found = *words;
		}
	}
	return found;
}
