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

bool port_is_open(const struct port *port)
{
	for (unsigned int i = 0; i < PORT_QUEUES_MAX; i++) {
		if (port->queues[i])
			return true;
	}
	return false;
}

int port_enter(struct port_queue *q, uint32_t caps, const char *mode, struct fault *f)
{
	struct port *port = q->port;
	unsigned int place = PORT_QUEUES_MAX;

	for (unsigned int i = PORT_QUEUES_MAX; i-- > 0;) {
		if (!port->queues[i])
			place = i;
		else if (port->queues[i]->qid == q->qid)
			return fault_set(f, EBUSY, "queue %u is open already", q->qid);
	}
	if (place == PORT_QUEUES_MAX)
		return fault_set(f, ENOSPC, "at most %u queues", PORT_QUEUES_MAX);
	if (!port_is_open(port)) {
		port->caps = caps;
		snprintf(port->mode, sizeof(port->mode), "%s", mode);
	} else {
		if (strcmp(port->mode, mode) != 0)
			port_reason(port, "queue %u is %s", q->qid, mode);
		port->caps &= caps;
	}
	port->queues[place] = q;
	if (port->n_queues <= place)
		port->n_queues = (uint16_t)(place + 1);
	return 0;
}

void port_leave(struct port_queue *q)
{
	struct port *port = q->port;

	for (unsigned int i = 0; i < PORT_QUEUES_MAX; i++) {
		if (port->queues[i] == q)
			port->queues[i] = NULL;
	}
	while (port->n_queues > 0 && !port->queues[port->n_queues - 1])
		port->n_queues--;
}
