/* SPDX-License-Identifier: Apache-2.0 */
/* Grace periods: the only way to free, or to use for something else, what a worker may hold.
 *
 * Main first makes the thing unreachable, then raises the epoch. A worker is quiescent at the top of its loop, where it holds
 * nothing, and writes down the epoch that it sees there. It is offline while it blocks in a wait, and holds nothing then either.
 * The grace period of an epoch is over once every worker is offline or was quiescent in that epoch or a later one. */
#ifndef MARLLB_DP_GRACE_H
#define MARLLB_DP_GRACE_H
#include "marllb/assert.h"
#include "marllb/worker.h"

struct dp_retired {
	uint64_t epoch;
	void (*free)(void *);
	void *ptr;
};

struct dp_grace {
	_Atomic uint64_t epoch;     /* from 1 */
	struct mlb_worker **worker; /* [workers] */
	uint32_t workers;
	struct dp_retired *retired; /* in order of epochs */
	uint32_t retired_n, retired_cap;
};

/* -ENOMEM. All workers start offline: they do not run yet. */
int dp_grace_init(struct dp_grace *, uint32_t workers);
void dp_grace_worker(struct dp_grace *, uint32_t index, struct mlb_worker *);
/* Frees all that was retired; no worker runs any more. */
void dp_grace_end(struct dp_grace *);

/* Raises the epoch, after the change that workers must no longer see the old state of. Returns it. */
uint64_t dp_grace_next(struct dp_grace *);
uint64_t dp_grace_epoch(const struct dp_grace *);
bool dp_grace_over(struct dp_grace *, uint64_t epoch);
/* Once a grace period is over: when the last worker that is online was quiescent, in that epoch or a later one; 0: none is. */
uint64_t dp_grace_passed_us(struct dp_grace *);

/* Room for n more, so that dp_retire cannot fail. -ENOMEM. */
int dp_grace_reserve(struct dp_grace *, uint32_t n);
/* Calls free_fn(ptr) once the grace period of the next dp_grace_next is over. */
void dp_retire(struct dp_grace *, void (*free_fn)(void *), void *ptr);
/* Frees what may be freed now; true while something waits. */
bool dp_grace_poll(struct dp_grace *);

/* free() after overwriting n bytes where assertions are on, so that a late reader crashes in the tests. */
void dp_poison_free(void *, size_t n);
/* Memory that is used again later, not freed: the same. */
void dp_poison(void *, size_t n);

/* a is after b, in counters that another process may have set to anything, or that wrap. */
static inline bool dp_after(uint64_t a, uint64_t b)
{
	return (int64_t)(a - b) > 0;
}

/* The worker itself, at the top of its loop. */
static inline void dp_grace_quiescent(struct dp_grace *g, struct mlb_worker *w, uint64_t now_us)
{
	/* A worker that forgot to say that it woke is online now; see dp_grace_over. */
	if (__builtin_expect(MLB_LD(w->offline) != 0, 0))
		atomic_exchange_explicit(&w->offline, 0, memory_order_acq_rel);
	uint64_t epoch = atomic_load_explicit(&g->epoch, memory_order_acquire);
	if (MLB_LD(w->quiescent) == epoch)
		return;
	MLB_ST(w->passed_us, now_us);
	atomic_store_explicit(&w->quiescent, epoch, memory_order_release);
}
#endif
