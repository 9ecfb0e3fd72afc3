/* SPDX-License-Identifier: MIT */
#include "user/packet/port.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

void port_reason(struct port *port, const char *fmt, ...)
{
	char text[sizeof(port->reasons[0])];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	for (unsigned int i = 0; i < port->n_reasons; i++) {
		if (strcmp(port->reasons[i], text) == 0)
			return;
	}
	if (port->n_reasons < PORT_REASONS_MAX)
		memcpy(port->reasons[port->n_reasons++], text, sizeof(text));
}

int port_enter(struct port_queue *q, uint32_t caps, const char *mode, struct fault *f)
{
	struct port *port = q->port;
	bool first = true;

	if (q->qid >= PORT_QUEUES_MAX)
		return fault_set(f, EINVAL, "queue %u: at most %u queues", q->qid, PORT_QUEUES_MAX);
	if (port->queues[q->qid])
		return fault_set(f, EBUSY, "queue %u is open already", q->qid);
	for (unsigned int i = 0; i < PORT_QUEUES_MAX; i++)
		first = first && !port->queues[i];
	if (first) {
		port->caps = caps;
		snprintf(port->mode, sizeof(port->mode), "%s", mode);
	} else {
		if (strcmp(port->mode, mode) != 0)
			port_reason(port, "queue %u is %s", q->qid, mode);
		port->caps &= caps;
	}
	port->queues[q->qid] = q;
	if (port->n_queues <= q->qid)
		port->n_queues = (uint16_t)(q->qid + 1);
	return 0;
}

void port_leave(struct port_queue *q)
{
	struct port *port = q->port;

	port->queues[q->qid] = NULL;
	while (port->n_queues > 0 && !port->queues[port->n_queues - 1])
		port->n_queues--;
}
