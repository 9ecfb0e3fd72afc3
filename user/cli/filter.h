/* SPDX-License-Identifier: MIT */
/* Filter expressions: compiled here by libpcap, sent as a classic BPF program. */
#ifndef USER_CLI_FILTER_H
#define USER_CLI_FILTER_H

#include <json-c/json.h>

#include "common/fault.h"

/**
 * filter_compile() - An expression as the array that capture and trace take.
 * @linktype: DLT_EN10MB or DLT_RAW
 * @expr:     pcap-filter(7)
 * Return: CLI_OK with *@program ([[code, jt, jf, k], ...]), CLI_USAGE with the reason in @f, or CLI_FAILED
 */
int filter_compile(int linktype, const char *expr, struct json_object **program, struct fault *f);

/** filter_join() - The words of a command line as one expression. Return: to be freed; NULL for none */
char *filter_join(int n, char **words);

#endif
