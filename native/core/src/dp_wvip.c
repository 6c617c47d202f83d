/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE
#include "dp_wvip.h"

#include <string.h>
#include <sys/mman.h>

static uint32_t padded(uint32_t n)
{
	return (n + 7) & ~7u;
}

/* Above this size what is used of a worker's slots exceeds the TLB with pages of 4 KiB: use huge pages. Not before: one server's
 * slot would take 2 MiB. */
#define HUGE_WSLOTS ((size_t)4 << 20)

/* Mapped, not allocated: untouched slots (6 KB each) cost no memory. */
static size_t wslots_size(uint32_t capacity)
{
	return (size_t)padded(capacity) * sizeof(struct mlb_wslot);
}

void dp_wvip_free(struct mlb_wvip *w)
{
	if (!w)
		return;
	if (w->slots)
		munmap(w->slots, wslots_size(w->capacity));
	free(w->q);
	free(w->others);
	dp_poison_free(w, sizeof(*w));
}

struct mlb_wvip *dp_wvip_new(const struct mlb_vip_conf *c)
{
	size_t column = ((size_t)padded(c->capacity) * sizeof(float) + 63) & ~(size_t)63;
	struct mlb_wvip *w = aligned_alloc(MLB_CACHE_LINE, (sizeof(*w) + 63) & ~(size_t)63);
	if (!w)
		return NULL;
	memset(w, 0, sizeof(*w));
	w->capacity = c->capacity;
	MLB_ST(w->load, c->load);
	w->slots = mmap(NULL, wslots_size(c->capacity), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (w->slots == MAP_FAILED)
		w->slots = NULL;
	w->q = aligned_alloc(64, column);
	w->others = aligned_alloc(64, column);
	if (!w->slots || !w->q || !w->others) {
		dp_wvip_free(w);
		return NULL;
	}
	memset(w->q, 0, column);
	memset(w->others, 0, column);
	return w;
}

void dp_wvip_expect(struct mlb_dp *dp, struct dp_vip *v, uint32_t slots)
{
	if (v->huge || wslots_size(slots) <= HUGE_WSLOTS)
		return;
	v->huge = true;
	for (uint32_t i = 0; i < dp->nworkers; i++)
		(void)madvise(v->w[i]->slots, wslots_size(v->conf.capacity), MADV_HUGEPAGE); /* advice may be refused */
}
