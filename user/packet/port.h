/* SPDX-License-Identifier: MIT */
/*
 * A port: a device that the engine receives from and sends to, as the stages see it.
 *
 * A port has queues; each queue belongs to one worker and only that worker calls its operations. Ports see finished
 * batches: coalescing, segmentation and software checksums are done by stages in front of them, which look at `caps`.
 */
#ifndef USER_PACKET_PORT_H
#define USER_PACKET_PORT_H

#include <net/if.h>
#include <stdbool.h>
#include <stdint.h>

#include <sluice/counters.h>

#include "user/packet/area.h"
#include "user/packet/pkt.h"

#define PORT_QUEUES_MAX 64
#define PORT_NAME_MAX 32
#define PORT_REASONS_MAX 16

enum port_kind { PORT_XSK, PORT_TUN, PORT_MEM };

enum port_cap {
	PORT_CAP_TX_PARTIAL = 1 << 0,	/* takes packets whose checksum is partial */
	PORT_CAP_TX_TSO4 = 1 << 1,
	PORT_CAP_TX_TSO6 = 1 << 2,
	PORT_CAP_TX_USO = 1 << 3,
	PORT_CAP_TX_SG = 1 << 4,	/* takes packets of several frames */
	PORT_CAP_RX_PARTIAL = 1 << 5,	/* may deliver partial checksums without saying so: look */
	PORT_CAP_RX_GSO = 1 << 6,	/* may deliver superpackets */
};

#define PORT_CAPS_SUPERPACKETS (PORT_CAP_TX_TSO4 | PORT_CAP_TX_TSO6 | PORT_CAP_TX_USO)

struct port_queue;

struct port_ops {
	/**
	 * rx - Receive.
	 *
	 * Packets are in PLACE_ENGINE with off, len, total_bytes, n_frames, next, port_in set, the rest of the metadata
	 * zeroed, and what the port knows filled in (rx_hash, rx_time_ns, csum, gso). Refills the fill ring.
	 * Return: how many, at most @max
	 */
	unsigned int (*rx)(struct port_queue *q, struct pkt **pkts, unsigned int max, uint64_t now_ns);

	/**
	 * tx - Queue packets for sending, in order.
	 *
	 * Takes the first n of them and owns these from then on. Takes only what `caps` allows; a packet that the port
	 * cannot send at all is taken, freed and counted through q->drop.
	 * Return: n, less than @count when the ring is full
	 */
	unsigned int (*tx)(struct port_queue *q, struct pkt **pkts, unsigned int count);

	/** flush - Make the kernel send what was queued, and collect what has been sent. Once per batch. */
	void (*flush)(struct port_queue *q);

	/** pending - Must flush() or rx() be called again soon although nothing new is queued and nothing arrives? */
	bool (*pending)(const struct port_queue *q);

	/** update - Refresh counters that only the kernel knows (XDP_STATISTICS). Control thread. */
	void (*update)(struct port_queue *q);

	/** close - Close the socket and bring every frame home. Worker paused or ended. */
	void (*close)(struct port_queue *q);
};

struct port_queue {
	const struct port_ops *ops;
	struct port *port;
	struct area *area;			/* the worker's */
	struct sluice_port_counters *counters;	/* never NULL */
	struct sluice_drops *drops;		/* the worker's; never NULL */
	uint16_t qid;				/* the device's queue */
	uint16_t index;				/* over all ports: what pkt->queue says */
	int fd;					/* to poll for reception; -1 when there is none */
};

/* What every kind of port needs to open one queue. */
struct port_queue_params {
	uint16_t qid;				/* the device's queue */
	uint16_t index;				/* over all ports of the engine */
	struct area *area;
	struct sluice_port_counters *counters;
	struct sluice_drops *drops;
};

struct port {
	uint16_t id;
	enum port_kind kind;
	char name[PORT_NAME_MAX];
	char device[IFNAMSIZ];
	int ifindex;
	uint8_t mac[6];
	bool has_l2;				/* frames carry an Ethernet header */
	bool up;				/* usable: administratively up, with carrier */
	uint32_t mtu_bytes;			/* largest IP packet */
	uint32_t caps;				/* enum port_cap */
	uint16_t n_queues;
	struct port_queue *queues[PORT_QUEUES_MAX];	/* in order of opening; each takes itself out when closed */
	/* Which way was taken and why not a better one, for `sluice ports`. */
	char mode[32];				/* "zero-copy native", "copy native", "copy generic", "tun" */
	char reasons[PORT_REASONS_MAX][160];
	unsigned int n_reasons;
};

/** port_reason() - Add a line to port->reasons, unless it is there already (each queue has the same to say). */
void port_reason(struct port *port, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/** port_is_open() - Is any queue of it open? */
bool port_is_open(const struct port *port);

/**
 * port_enter() - Make an open queue known to its port: it takes the first free place in port->queues.
 * @caps: what this queue can do; the port can do what all its queues can
 * @mode: the way taken
 *
 * Return: 0; -EBUSY when the device's queue is open already, -ENOSPC when there are too many
 */
int port_enter(struct port_queue *q, uint32_t caps, const char *mode, struct fault *f);

/** port_leave() - Undo port_enter(). */
void port_leave(struct port_queue *q);

/*
 * Count one packet that a port dropped, and free it. What a port takes by tx() and drops is not in its tx_pkts, and
 * what it drops on reception is in its rx_drops and not in its rx_pkts.
 */
static inline void port_drop(struct port_queue *q, struct pkt *p, enum drop why)
{
	((uint64_t *)q->drops)[why]++;
	pkt_put(q->area, p);
}

#endif
