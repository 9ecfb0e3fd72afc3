/* SPDX-License-Identifier: MIT */
#include "user/packet/area.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/memfd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define HUGE_PAGE_BYTES (2u << 20)

/* What of a struct pkt is not the packet's but the frame's: set once, and never by who handles packets. */
static void init_frames(struct area *a)
{
	for (uint32_t i = 0; i < a->n_frames; i++) {
		struct pkt *p = &a->pkts[i];

		p->buf = a->base + (size_t)i * a->chunk_bytes;
		p->frame = i;
		p->next = PKT_NONE;
		p->area = a->id;
		p->place = PLACE_FREE;
		/* Low addresses first: a small load then touches few pages. */
		a->free[i] = a->n_frames - 1 - i;
	}
	a->n_free = a->n_frames;
	a->count[PLACE_FREE] = a->n_frames;
}

/* One try; fallocate() and not a first touch, so that a lack of memory is an error and not a SIGBUS. */
static int map_memory(struct area *a, bool huge, struct fault *f)
{
	size_t bytes = (size_t)a->n_frames * a->chunk_bytes;
	size_t page = huge ? HUGE_PAGE_BYTES : (size_t)sysconf(_SC_PAGESIZE);
	char name[32];
	void *base;
	int err, fd;

	bytes = (bytes + page - 1) / page * page;
	snprintf(name, sizeof(name), "sluice-area-%u", a->id);
	fd = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING | (huge ? MFD_HUGETLB | MFD_HUGE_2MB : 0));
	if (fd < 0)
		return fault_errno(f, "packet memory: memfd_create");
	if (ftruncate(fd, (off_t)bytes) < 0 || fallocate(fd, 0, 0, (off_t)bytes) < 0) {
		err = fault_errno(f, "packet memory: %zu MiB%s", bytes >> 20, huge ? " of huge pages" : "");
		goto err_close;
	}
	/* Who is given this file later must not be able to shorten it under us. */
	if (fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) < 0) {
		err = fault_errno(f, "packet memory: seal");
		goto err_close;
	}
	base = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, fd, 0);
	if (base == MAP_FAILED) {
		err = fault_errno(f, "packet memory: map %zu MiB", bytes >> 20);
		goto err_close;
	}
	a->base = base;
	a->map_bytes = bytes;
	a->memfd = fd;
	a->huge = huge;
	return 0;

err_close:
	close(fd);
	return err;
}

static int map_any(struct area *a, const struct area_params *params, struct fault *f)
{
	if (params->huge != AREA_HUGE_NO) {
		int err = map_memory(a, true, f);

		if (err == 0 || params->huge == AREA_HUGE_REQUIRE)
			return err;
	}
	return map_memory(a, false, f);
}

int area_create(struct area **out, const struct area_params *params, struct fault *f)
{
	struct area *a;
	int err;

	if (params->chunk_bytes != 2048 && params->chunk_bytes != 4096)
		return fault_set(f, EINVAL, "packet memory: chunks of %u bytes; 2048 or 4096 wanted",
				 params->chunk_bytes);
	if (params->n_frames == 0 || params->n_frames > UINT32_MAX / params->chunk_bytes)
		return fault_set(f, EINVAL, "packet memory: %u frames; 1 to %u wanted", params->n_frames,
				 UINT32_MAX / params->chunk_bytes);
	if (params->reserve >= params->n_frames)
		return fault_set(f, EINVAL, "packet memory: a reserve of %u out of %u frames leaves none",
				 params->reserve, params->n_frames);

	a = calloc(1, sizeof(*a));
	if (!a)
		return fault_set(f, ENOMEM, "packet memory: out of memory");
	a->id = params->id;
	a->n_frames = params->n_frames;
	a->chunk_bytes = params->chunk_bytes;
	a->reserve = params->reserve;
	a->memfd = -1;
	for (unsigned int i = 0; i < PLACE_N; i++)
		a->quota[i] = UINT32_MAX;
	/* A quarter each of what is not reserved, until somebody sets it better. */
	a->quota[PLACE_NEIGH] = a->quota[PLACE_CROSS] = (a->n_frames - a->reserve + 3) / 4;

	err = map_any(a, params, f);
	if (err)
		goto err_free;
	a->pkts = aligned_alloc(64, a->n_frames * sizeof(*a->pkts));
	a->free = malloc(a->n_frames * sizeof(*a->free));
	if (!a->pkts || !a->free) {
		err = fault_set(f, ENOMEM, "packet memory: out of memory for the metadata of %u frames", a->n_frames);
		goto err_free;
	}
	memset(a->pkts, 0, a->n_frames * sizeof(*a->pkts));
	init_frames(a);
	*out = a;
	return 0;

err_free:
	area_destroy(a);
	return err;
}

void area_destroy(struct area *a)
{
	if (!a)
		return;
	if (a->base)
		munmap(a->base, a->map_bytes);
	if (a->memfd >= 0)
		close(a->memfd);
	free(a->pkts);
	free(a->free);
	free(a);
}

uint32_t area_leaks(const struct area *a)
{
	return a->n_frames - a->n_free;
}

static const char *place_name(unsigned int place)
{
	static const char *const names[PLACE_N] = {
		[PLACE_FREE] = "free", [PLACE_FILL] = "fill", [PLACE_ENGINE] = "engine",
		[PLACE_TX] = "tx", [PLACE_NEIGH] = "neigh", [PLACE_CROSS] = "cross",
	};

	return place < PLACE_N ? names[place] : "nowhere";
}

static int check_frame(const struct area *a, uint32_t i, struct fault *f)
{
	const struct pkt *p = &a->pkts[i];

	if (p->frame != i || p->buf != a->base + (size_t)i * a->chunk_bytes || p->area != a->id)
		return fault_set(f, EINVAL, "area %u: frame %u has lost its identity", a->id, i);
	if (p->place >= PLACE_N)
		return fault_set(f, EINVAL, "area %u: frame %u is in place %u", a->id, i, p->place);
	/* Nobody clears the chain of a frame that he gives away. */
	if (p->place != PLACE_FREE && p->place != PLACE_FILL && p->next != PKT_NONE && p->next >= a->n_frames)
		return fault_set(f, EINVAL, "area %u: frame %u is chained to frame %u", a->id, i, p->next);
	return 0;
}

int area_check(const struct area *a, struct fault *f)
{
	uint32_t count[PLACE_N] = { 0 };
	uint8_t *seen;
	int err = 0;

	for (uint32_t i = 0; i < a->n_frames; i++) {
		err = check_frame(a, i, f);
		if (err)
			return err;
		count[a->pkts[i].place]++;
	}
	for (unsigned int i = 0; i < PLACE_N; i++) {
		if (count[i] != a->count[i])
			return fault_set(f, EINVAL, "area %u: %u frames in place %s, the ledger says %u", a->id,
					 count[i], place_name(i), a->count[i]);
	}
	if (a->n_free != count[PLACE_FREE])
		return fault_set(f, EINVAL, "area %u: %u frames on the free stack, %u are free", a->id, a->n_free,
				 count[PLACE_FREE]);

	seen = calloc(a->n_frames, 1);
	if (!seen)
		return fault_set(f, ENOMEM, "area %u: out of memory for the check", a->id);
	for (uint32_t i = 0; i < a->n_free && !err; i++) {
		uint32_t frame = a->free[i];

		if (frame >= a->n_frames || a->pkts[frame].place != PLACE_FREE)
			err = fault_set(f, EINVAL, "area %u: frame %u is on the free stack and not free", a->id, frame);
		else if (seen[frame]++)
			err = fault_set(f, EINVAL, "area %u: frame %u is on the free stack twice", a->id, frame);
	}
	free(seen);
	return err;
}

struct pkt *area_alloc(struct area *a)
{
	struct pkt *p;

	if (a->n_free <= a->reserve)
		return NULL;
	p = area_take(a);
	pkt_reset(p);
	p->off = PKT_HEADROOM_BYTES;
	p->n_frames = 1;
	return p;
}

static void move_all(struct area *a, struct pkt *p, enum place from, enum place to)
{
	for (; p; p = area_next(a, p))
		area_move(a, p, from, to);
}

bool pkt_hold(struct area *a, struct pkt *p, enum place where)
{
	uint32_t held = a->count[where];

	if (a->n_free < a->reserve || held > a->quota[where] || p->n_frames > a->quota[where] - held)
		return false;
	move_all(a, p, PLACE_ENGINE, where);
	return true;
}

void pkt_unhold(struct area *a, struct pkt *p)
{
	move_all(a, p, (enum place)p->place, PLACE_ENGINE);
}

uint32_t pkt_copy_out(const struct area *a, const struct pkt *p, uint32_t from, void *to, uint32_t n)
{
	uint8_t *at = to;
	uint32_t left = n;

	for (; p && left > 0; p = area_next(a, p)) {
		uint32_t here;

		if (from >= p->len) {
			from -= p->len;
			continue;
		}
		here = p->len - from;
		if (here > left)
			here = left;
		memcpy(at, pkt_data(p) + from, here);
		at += here;
		left -= here;
		from = 0;
	}
	return n - left;
}

void pkt_trim(struct area *a, struct pkt *p, uint32_t total)
{
	struct pkt *at = p, *gone;
	uint32_t left = total;

	if (total > p->total_bytes)
		return;
	p->total_bytes = total;
	p->n_frames = 1;
	/* The frame in which the new end lies; an end on a border belongs to the frame before it. */
	while (left > at->len) {
		left -= at->len;
		at = &a->pkts[at->next];
		p->n_frames++;
	}
	at->len = (uint16_t)left;
	gone = area_next(a, at);
	at->next = PKT_NONE;
	while (gone) {
		struct pkt *next = area_next(a, gone);

		area_give(a, gone);
		gone = next;
	}
}
