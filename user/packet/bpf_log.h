/* SPDX-License-Identifier: MIT */
/* What libbpf and libxdp have to say goes to the debug log; the kernel's own words are kept for the fault texts. */
#ifndef USER_PACKET_BPF_LOG_H
#define USER_PACKET_BPF_LOG_H

/** bpf_log_init() - Take over the printing of both libraries. May be called again; control thread only. */
void bpf_log_init(void);

/** bpf_log_clear() - Forget the kernel's last words, before a call that may fail. */
void bpf_log_clear(void);

/**
 * bpf_log_kernel_text() - What the kernel said about the last failure (netlink's extended acknowledgement).
 *
 * Return: the text, or "" when it said nothing
 */
const char *bpf_log_kernel_text(void);

#endif
