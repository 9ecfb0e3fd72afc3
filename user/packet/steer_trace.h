/* SPDX-License-Identifier: MIT */
/* The events that an XDP program records for a trace. */
#ifndef USER_PACKET_STEER_TRACE_H
#define USER_PACKET_STEER_TRACE_H

#include <sluice/steer.h>

#include "common/fault.h"
#include "user/packet/steer.h"

struct steer_trace;

/** steer_trace_fn - The event is valid during the call. */
typedef void steer_trace_fn(void *ctx, const struct sluice_trace_event *e);

/**
 * steer_trace_open() - Let the program record, and read what it does. One at a time for each program.
 * @filter: as for steer_set_trace()
 *
 * What an earlier trace has left in the ring is thrown away.
 * Return: 0 or -errno
 */
int steer_trace_open(struct steer_trace **out, struct steer *s, const struct sluice_trace_filter *filter,
		     struct fault *f);

/** steer_trace_read() - Hand out at most @max events, oldest first, without blocking. Return: how many */
unsigned int steer_trace_read(struct steer_trace *t, unsigned int max, steer_trace_fn *fn, void *ctx);

/**
 * steer_trace_close() - End the reading; steer_set_trace() ends the recording. NULL is fine.
 *
 * The program may have been closed before.
 */
void steer_trace_close(struct steer_trace *t);

#endif
