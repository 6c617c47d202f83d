/* SPDX-License-Identifier: Apache-2.0 */
/* Choosing a server for a new flow from a table (table.h). A worker passes `q`: per slot the load it knows (own live count + the
 * others' sum), MLB_Q_OUT where a slot is ejected. */
#ifndef MARLLB_CHOOSE_H
#define MARLLB_CHOOSE_H
#include "rng.h"
#include "table.h"

/* One draw by weight, O(1) (Walker 1977, Vose 1991). Slot; table must have eligible > 0. */
static inline uint32_t mlb_alias_draw(const struct mlb_table *t, struct mlb_rng *r)
{
	uint64_t x = mlb_rng_next(r);
	uint32_t i = (uint32_t)(((x >> 32) * (uint64_t)t->nslots) >> 32);
	return (uint32_t)x < t->threshold[i] ? i : t->alias[i];
}

/* argmin over slots of (q + add) * inv_w, ties at random. Set once by mlb_choose_init() to the best for this CPU
 * (AVX2 or portable). q has nslots floats, 32-byte aligned is fastest, not required. Every variant returns the same slot for the
 * same input and generator state. If all are out, one draw by weight. */
typedef uint32_t mlb_sed_fn(const struct mlb_table *, const float *q, struct mlb_rng *);
extern mlb_sed_fn *mlb_sed;
uint32_t mlb_sed_portable(const struct mlb_table *, const float *q, struct mlb_rng *);
#if defined(__x86_64__)
uint32_t mlb_sed_avx2(const struct mlb_table *, const float *q, struct mlb_rng *); /* only where the CPU has AVX2 */
#endif
void mlb_choose_init(void);

/* Weighted two choices: two draws, the second redrawn while it equals the first (at most 3 times); lower score, ties first. */
uint32_t mlb_p2c(const struct mlb_table *, const float *q, struct mlb_rng *);
/* alias that redraws around slots put out by q; falls back to a scan. q may be NULL. */
uint32_t mlb_alias_choose(const struct mlb_table *, const float *q, struct mlb_rng *);

/* The server for a new flow by the table's mode; MLB_NONE when no slot is eligible. If every eligible slot is out by q,
 * the marks are ignored: ejection alone never leaves a VIP without a server. */
static inline uint32_t mlb_choose(const struct mlb_table *t, const float *q, struct mlb_rng *r, uint64_t flow_hash)
{
	if (__builtin_expect(t->eligible == 0, 0))
		return MLB_NONE;
	switch (t->mode) {
	case MLB_MODE_SED: return mlb_sed(t, q, r);
	case MLB_MODE_P2C: return mlb_p2c(t, q, r);
	case MLB_MODE_HASH: {
		uint32_t s = mlb_ring_lookup(t->ring, flow_hash, q);
		return s != MLB_NONE ? s : mlb_ring_lookup(t->ring, flow_hash, NULL);
	}
	default: return mlb_alias_choose(t, q, r);
	}
}
#endif
