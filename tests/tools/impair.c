// SPDX-License-Identifier: MIT
/*
 * impair: a bad link between two devices, for kernels without sch_netem.
 *
 *   peer <-> device a <-> impair <-> device b <-> peer
 *
 * Loss, duplication, corruption, reordering (chosen frames take longer), delay, jitter, a rate with a queue. What
 * happens to frame number n of a direction depends on the seed, the direction and n alone, not on time: two runs with
 * one seed lose the same ordinals.
 *
 * It works on frames as they are on a wire. The hosts' segmentation offload must be off (ethtool -K DEV tso off gso
 * off, or a native XDP program at this end of a veth): superpackets are counted as oversize and dropped. Partial
 * checksums stay partial (virtio_net_hdr). The two devices need no addresses; IPv6 is best disabled on them.
 */
#include "packet_socket.h"

#include <getopt.h>
#include <linux/virtio_net.h>
#include <poll.h>
#include <signal.h>

#define VNET_LEN sizeof(struct virtio_net_hdr)
#define BATCH	 64

struct frame {
	uint64_t due_ns;
	uint64_t order;			/* equal times leave in order of arrival */
	uint32_t len;			/* with the virtio_net_hdr */
	uint8_t data[];
};

struct direction {
	const char *from, *to;
	int in, out;
	uint64_t seed, n;		/* n: frames seen */
	uint64_t free_ns;		/* when the link at --rate is free again */
	struct frame **heap;		/* by due_ns */
	unsigned int held;
	uint64_t passed, lost, duplicated, corrupted, reordered, overflow, oversize, refused;
};

static struct {
	double loss, dup, corrupt, reorder;	/* probabilities */
	uint64_t delay_ns, jitter_ns, shift_ns;
	double rate_bps;
	unsigned int limit, frame_max;
	uint64_t seed;
	unsigned int ways;		/* 1: a to b, 2: b to a, 3: both are impaired */
} opt = { .shift_ns = 1000000, .limit = 10000, .frame_max = 2048, .seed = 1, .ways = 3 };

static struct frame **pool;
static unsigned int pooled;
static uint64_t order;
static volatile sig_atomic_t stopped;

static void on_signal(int sig)
{
	(void)sig;
	stopped = 1;
}

/* ---- Held frames: a binary heap, soonest first ------------------------------------------------------------------- */

static bool sooner(const struct frame *a, const struct frame *b)
{
	return a->due_ns != b->due_ns ? a->due_ns < b->due_ns : a->order < b->order;
}

static void hold(struct direction *d, struct frame *f)
{
	unsigned int i = d->held++;

	f->order = order++;
	for (; i && sooner(f, d->heap[(i - 1) / 2]); i = (i - 1) / 2)
		d->heap[i] = d->heap[(i - 1) / 2];
	d->heap[i] = f;
}

static struct frame *take(struct direction *d)
{
	struct frame *top = d->heap[0], *last = d->heap[--d->held];
	unsigned int i = 0, c;

	for (; (c = 2 * i + 1) < d->held; i = c) {
		if (c + 1 < d->held && sooner(d->heap[c + 1], d->heap[c]))
			c++;
		if (!sooner(d->heap[c], last))
			break;
		d->heap[i] = d->heap[c];
	}
	d->heap[i] = last;
	return top;
}

/* ---- One direction ----------------------------------------------------------------------------------------------- */

/* The @what-th decision about frame @n. */
static bool chance(const struct direction *d, uint64_t n, unsigned int what, double p)
{
	return p > 0 && (double)(mix64(d->seed + what, n) >> 11) * 0x1p-53 < p;
}

static void admit(struct direction *d, struct frame *f, bool impaired, uint64_t now)
{
	uint64_t n = d->n++;

	f->due_ns = now;
	if (!impaired) {
		hold(d, f);
		return;
	}
	if (chance(d, n, 1, opt.loss)) {
		d->lost++;
		pool[pooled++] = f;
		return;
	}
	if (chance(d, n, 2, opt.corrupt)) {
		uint64_t r = mix64(d->seed + 6, n);
		uint32_t at = (uint32_t)VNET_LEN + ETH_HLEN, span = f->len > at ? f->len - at : 0;

		if (span)
			f->data[at + r % span] ^= (uint8_t)(1u << (r >> 60 & 7));
		d->corrupted++;
	}
	if (opt.rate_bps > 0) {
		uint64_t start = d->free_ns > now ? d->free_ns : now;

		d->free_ns = start + (uint64_t)((double)(f->len - VNET_LEN) * 8e9 / opt.rate_bps);
		f->due_ns = d->free_ns;
	}
	f->due_ns += opt.delay_ns;
	if (opt.jitter_ns)
		f->due_ns += mix64(d->seed + 5, n) % opt.jitter_ns;
	if (chance(d, n, 3, opt.reorder)) {
		f->due_ns += opt.shift_ns;
		d->reordered++;
	}
	if (chance(d, n, 4, opt.dup) && pooled && d->held + 1 < opt.limit) {
		struct frame *twin = pool[--pooled];

		twin->len = f->len;
		twin->due_ns = f->due_ns;
		memcpy(twin->data, f->data, f->len);
		hold(d, twin);
		d->duplicated++;
	}
	hold(d, f);
}

static void receive(struct direction *d, bool impaired)
{
	for (unsigned int i = 0; i < BATCH; i++) {
		struct frame *f = pool[pooled - 1];	/* one is always there: both heaps together hold fewer */
		ssize_t n = recv(d->in, f->data, opt.frame_max, MSG_DONTWAIT | MSG_TRUNC);

		if (n < 0 && (errno == EAGAIN || errno == ENETDOWN || errno == EINTR))
			return;
		if (n < 0)
			die("receive on %s", d->from);
		if (n > opt.frame_max) {
			d->oversize++;
			continue;
		}
		if (d->held == opt.limit) {
			d->n++;
			d->overflow++;
			continue;
		}
		pooled--;
		f->len = (uint32_t)n;
		admit(d, f, impaired, now_ns());
	}
}

/* Return: nanoseconds until the next frame is due, UINT64_MAX when none is held */
static uint64_t release(struct direction *d)
{
	uint64_t now = now_ns();

	while (d->held && d->heap[0]->due_ns <= now) {
		struct frame *f = take(d);

		if (send(d->out, f->data, f->len, 0) >= 0)
			d->passed++;
		else if (errno == ENOBUFS || errno == EAGAIN || errno == ENETDOWN || errno == EMSGSIZE || errno == EINVAL)
			d->refused++;
		else
			die("send on %s", d->to);
		pool[pooled++] = f;
	}
	return !d->held ? UINT64_MAX : d->heap[0]->due_ns > now ? d->heap[0]->due_ns - now : 0;
}

static void report(const struct direction *d, bool last)
{
	printf("  \"%s\": {\"to\": \"%s\", \"seen\": %lu, \"passed\": %lu, \"lost\": %lu, \"duplicated\": %lu, "
	       "\"corrupted\": %lu, \"reordered\": %lu, \"overflow\": %lu, \"oversize\": %lu, "
	       "\"refused\": %lu, \"held\": %u}%s\n",
	       d->from, d->to, d->n, d->passed, d->lost, d->duplicated, d->corrupted, d->reordered, d->overflow, d->oversize,
	       d->refused, d->held, last ? "" : ",");
}

static const char usage[] =
	"usage: impair --a DEV --b DEV [--loss P] [--dup P] [--corrupt P] [--reorder P [--reorder-shift MS]] [--delay MS]\n"
	"              [--jitter MS] [--rate MBIT] [--limit FRAMES] [--frame-max OCTETS] [--seed N] [--only ab|ba]\n"
	"P is a probability from 0 to 1. Prints \"ready\", and what it did as JSON at SIGTERM.\n";

int main(int argc, char **argv)
{
	static const struct option longs[] = {
		{ "a", 1, 0, 'a' }, { "b", 1, 0, 'b' }, { "loss", 1, 0, 'l' }, { "dup", 1, 0, 'd' }, { "corrupt", 1, 0, 'c' },
		{ "reorder", 1, 0, 'r' }, { "reorder-shift", 1, 0, 'R' }, { "delay", 1, 0, 'D' }, { "jitter", 1, 0, 'j' },
		{ "rate", 1, 0, 'b' + 256 }, { "limit", 1, 0, 'L' }, { "frame-max", 1, 0, 'F' }, { "seed", 1, 0, 's' },
		{ "only", 1, 0, 'o' }, { 0 },
	};
	struct sigaction sa = { .sa_handler = on_signal };
	const char *a = NULL, *b = NULL;
	int c;

	while ((c = getopt_long(argc, argv, "", longs, NULL)) != -1) {
		switch (c) {
		case 'a': a = optarg; break;
		case 'b': b = optarg; break;
		case 'l': opt.loss = option_number("loss", optarg, 0, 1); break;
		case 'd': opt.dup = option_number("dup", optarg, 0, 1); break;
		case 'c': opt.corrupt = option_number("corrupt", optarg, 0, 1); break;
		case 'r': opt.reorder = option_number("reorder", optarg, 0, 1); break;
		case 'R': opt.shift_ns = (uint64_t)(option_number("reorder-shift", optarg, 0, 1e4) * 1e6); break;
		case 'D': opt.delay_ns = (uint64_t)(option_number("delay", optarg, 0, 1e5) * 1e6); break;
		case 'j': opt.jitter_ns = (uint64_t)(option_number("jitter", optarg, 0, 1e5) * 1e6); break;
		case 'b' + 256: opt.rate_bps = option_number("rate", optarg, 0.001, 1e6) * 1e6; break;
		case 'L': opt.limit = (unsigned int)option_number("limit", optarg, 1, 1e6); break;
		case 'F': opt.frame_max = (unsigned int)option_number("frame-max", optarg, 128, 65600); break;
		case 's': opt.seed = (uint64_t)option_number("seed", optarg, 0, 9e15); break;
		case 'o':
			opt.ways = !strcmp(optarg, "ab") ? 1 : !strcmp(optarg, "ba") ? 2 : 0;
			break;
		default: a = NULL; optind = argc; break;
		}
	}
	if (!a || !b || !opt.ways || optind != argc) {
		fputs(usage, stderr);
		return 2;
	}
	pooled = 2 * opt.limit + 2;
	pool = calloc(pooled, sizeof(void *));
	for (unsigned int i = 0; pool && i < pooled; i++)
		if (!(pool[i] = malloc(sizeof(struct frame) + opt.frame_max)))
			pool = NULL;
	if (!pool)
		die("memory for %u frames", pooled);

	int fd[2] = { packet_socket(a, ETH_P_ALL, true), packet_socket(b, ETH_P_ALL, true) };
	struct direction d[2] = {
		{ .from = a, .to = b, .in = fd[0], .out = fd[1], .seed = mix64(opt.seed, 0) },
		{ .from = b, .to = a, .in = fd[1], .out = fd[0], .seed = mix64(opt.seed, 1) },
	};
	for (int i = 0; i < 2; i++)
		if (!(d[i].heap = calloc(opt.limit + 1, sizeof(void *))))
			die("memory for %u frames", opt.limit);
	sigset_t ours, none;

	/* Delivered inside of ppoll() only: none is missed between the test and the sleep. */
	sigemptyset(&none);
	sigemptyset(&ours);
	sigaddset(&ours, SIGTERM);
	sigaddset(&ours, SIGINT);
	sigprocmask(SIG_BLOCK, &ours, NULL);
	sigaction(SIGTERM, &sa, NULL);
	sigaction(SIGINT, &sa, NULL);
	puts("ready");
	fflush(stdout);
	while (!stopped) {
		struct pollfd p[2] = { { .fd = fd[0], .events = POLLIN }, { .fd = fd[1], .events = POLLIN } };
		uint64_t ab = release(&d[0]), ba = release(&d[1]), wait = ab < ba ? ab : ba;
		struct timespec ts = { (time_t)(wait / 1000000000), (long)(wait % 1000000000) };

		if (ppoll(p, 2, wait == UINT64_MAX ? NULL : &ts, &none) < 0 && errno != EINTR)
			die("poll");
		receive(&d[0], opt.ways & 1);
		receive(&d[1], opt.ways & 2);
	}
	puts("{");
	report(&d[0], false);
	report(&d[1], true);
	puts("}");
	for (int i = 0; i < 2; i++) {
		while (d[i].held)
			pool[pooled++] = d[i].heap[--d[i].held];
		free(d[i].heap);
	}
	while (pooled)
		free(pool[--pooled]);
	free(pool);
	return 0;
}
