/* SPDX-License-Identifier: MIT */
/*
 * Small values as people write them. Each function takes a whole terminated string, writes its result only on success,
 * and otherwise leaves in the fault what is wrong with the text and what would be right; the place is the caller's to
 * add. Used for configuration files, the command line and control requests alike.
 */
#ifndef USER_CONTROL_CONFIG_TEXT_H
#define USER_CONTROL_CONFIG_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

#include "common/fault.h"
#include "user/control/config.h"

enum { CONFIG_PREFIX_STRLEN = 50 };	/* "ffff:...:255.255.255.255/128" and NUL */

/** config_parse_ip() - "192.0.2.1" or "2001:db8::1"; no zone. Return: 0 or -EINVAL, as all of these */
int config_parse_ip(const char *text, struct config_ip *ip, struct fault *f);

/** config_parse_prefix() - "192.0.2.0/24"; host bits are an error. */
int config_parse_prefix(const char *text, struct config_prefix *prefix, struct fault *f);

/**
 * config_parse_iface_addr() - "192.0.2.1/24": an address that an interface may have, with its subnet.
 *
 * Refused are unspecified, loopback, multicast, IPv4-mapped addresses, and the network and broadcast address of an IPv4
 * subnet that has them (RFC 3021: /31 and /32 have none).
 */
int config_parse_iface_addr(const char *text, struct config_prefix *addr, struct fault *f);

/** config_parse_mac() - "02:00:5e:10:00:01", a unicast address that is not all zeros. */
int config_parse_mac(const char *text, uint8_t mac[6], struct fault *f);

/** config_parse_range() - "80" or "1024-65535". */
int config_parse_range(const char *text, struct config_range *range, struct fault *f);

/** config_parse_protocol() - "tcp", "esp", ... or "0" to "255". */
int config_parse_protocol(const char *text, int16_t *protocol, struct fault *f);

/** config_parse_duration() - "20us", "1500ms": whole numbers; units ns, us, ms, s, min. */
int config_parse_duration(const char *text, uint64_t *ns, struct fault *f);

/** config_parse_bytes() - "4096", "64K", "4M", "1G" (powers of two). */
int config_parse_bytes(const char *text, uint64_t *bytes, struct fault *f);

/** config_parse_uint() - Decimal digits only. */
int config_parse_uint(const char *text, uint64_t min, uint64_t max, uint64_t *value, struct fault *f);

/** config_parse_mode() - Permission bits in octal, "0660". */
int config_parse_mode(const char *text, unsigned int *mode, struct fault *f);

/**
 * config_check_name() - Is this a name for an instance, a port, a rule?
 * @size: of the array that will hold it, NUL included
 *
 * Letters, digits, '-' and '_': a name becomes a folder on a BPF file system, which refuses dots.
 */
int config_check_name(const char *text, size_t size, struct fault *f);

/** config_check_iface_name() - The same for an interface, which may have dots inside. */
int config_check_iface_name(const char *text, size_t size, struct fault *f);

/** config_check_device() - Would the kernel accept it as the name of a network device? */
int config_check_device(const char *text, struct fault *f);

/**
 * config_nearest() - The word that was probably meant.
 * @words: ends with NULL
 * Return: one of @words, or NULL when none is near
 */
const char *config_nearest(const char *text, const char *const *words);

/** config_ip_text() - Return: @buf, as inet_ntop() writes it; "" for AF_UNSPEC */
const char *config_ip_text(const struct config_ip *ip, char buf[static CONFIG_PREFIX_STRLEN]);
const char *config_prefix_text(const struct config_prefix *prefix, char buf[static CONFIG_PREFIX_STRLEN]);

/** config_protocol_name() - Return: a name of config_parse_protocol(), or NULL */
const char *config_protocol_name(int16_t protocol);

bool config_ip_equal(const struct config_ip *a, const struct config_ip *b);

/** config_prefix_contains() - Is @ip inside the subnet of @prefix (whose host bits do not matter)? */
bool config_prefix_contains(const struct config_prefix *prefix, const struct config_ip *ip);

static inline unsigned int config_ip_bits(const struct config_ip *ip)
{
	return ip->family == AF_INET ? 32 : 128;
}

#endif
