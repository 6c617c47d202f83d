/* SPDX-License-Identifier: Apache-2.0 */
#include "dp_grace.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

int dp_grace_init(struct dp_grace *g, uint32_t workers)
{
	g->worker = calloc(workers, sizeof(g->worker[0]));
	if (!g->worker)
		return -ENOMEM;
	g->workers = workers;
	atomic_store(&g->epoch, 1);
	return 0;
}

void dp_grace_worker(struct dp_grace *g, uint32_t index, struct mlb_worker *w)
{
	MLB_ASSERT(index < g->workers);
	g->worker[index] = w;
	atomic_store(&w->offline, 1);
}

void dp_grace_end(struct dp_grace *g)
{
	for (uint32_t i = 0; i < g->retired_n; i++)
		g->retired[i].free(g->retired[i].ptr);
	free(g->retired);
	free(g->worker);
	memset(g, 0, sizeof(*g));
}

uint64_t dp_grace_next(struct dp_grace *g)
{
	return atomic_fetch_add_explicit(&g->epoch, 1, memory_order_acq_rel) + 1;
}

uint64_t dp_grace_epoch(const struct dp_grace *g)
{
	return MLB_LD(((struct dp_grace *)g)->epoch);
}

bool dp_grace_over(struct dp_grace *g, uint64_t epoch)
{
	MLB_ASSERT(!dp_after(epoch, dp_grace_epoch(g)));
	for (uint32_t i = 0; i < g->workers; i++) {
		struct mlb_worker *w = g->worker[i];
		if (!dp_after(epoch, atomic_load_explicit(&w->quiescent, memory_order_acquire)))
			continue;
		/* A read-modify-write on both sides: either this sees that the worker is online, or the worker, coming back
		 * later, sees everything stored before this line. */
		if (atomic_fetch_add_explicit(&w->offline, 0, memory_order_acq_rel) == 0)
			return false;
	}
	return true;
}

uint64_t dp_grace_passed_us(struct dp_grace *g)
{
	uint64_t last = 0;
	for (uint32_t i = 0; i < g->workers; i++) {
		struct mlb_worker *w = g->worker[i];
		uint64_t us = MLB_LD(w->passed_us);
		if (!MLB_LD(w->offline) && us > last)
			last = us;
	}
	return last;
}

int dp_grace_reserve(struct dp_grace *g, uint32_t n)
{
	if (g->retired_n + n <= g->retired_cap)
		return 0;
	uint32_t cap = 2 * (g->retired_n + n);
	struct dp_retired *p = realloc(g->retired, cap * sizeof(*p));
	if (!p)
		return -ENOMEM;
	g->retired = p;
	g->retired_cap = cap;
	return 0;
}

void dp_retire(struct dp_grace *g, void (*free_fn)(void *), void *ptr)
{
	MLB_ASSERT(g->retired_n < g->retired_cap);
	g->retired[g->retired_n++] = (struct dp_retired){ .epoch = dp_grace_epoch(g) + 1, .free = free_fn, .ptr = ptr };
}

bool dp_grace_poll(struct dp_grace *g)
{
	uint32_t n = 0;
	while (n < g->retired_n && !dp_after(g->retired[n].epoch, dp_grace_epoch(g)) && dp_grace_over(g, g->retired[n].epoch)) {
		g->retired[n].free(g->retired[n].ptr);
		n++;
	}
	memmove(g->retired, g->retired + n, (g->retired_n - n) * sizeof(*g->retired));
	g->retired_n -= n;
	return g->retired_n != 0;
}

void dp_poison(void *p, size_t n)
{
#if MLB_ASSERTS
	memset(p, 0xd5, n);
#else
	(void)p;
	(void)n;
#endif
}

void dp_poison_free(void *p, size_t n)
{
	if (p)
		dp_poison(p, n);
	free(p);
}
