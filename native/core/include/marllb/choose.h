/* SPDX-License-Identifier: Apache-2.0 */
/* Choosing a server for a new flow. A `mlb_table` is an immutable snapshot built off the packet path; workers read it through
 * one pointer. Everything is indexed by slot, 0..nslots-1; nslots is padded to a multiple of 8 with slots never chosen.
 * A worker passes `q`: per slot the load it knows (own live count + the others' sum), MLB_Q_OUT where a slot is ejected. */
#ifndef MARLLB_CHOOSE_H
#define MARLLB_CHOOSE_H
#include "rng.h"
#include "types.h"

#define MLB_Q_OUT 1e30f /* q of a slot that must not be chosen now */

struct mlb_ring; /* weighted consistent hash over membership and static weights only; reference counted (ring.c) */

/* keys[n]: what names a server to every load balancer (hash of address and port); slot[n]; weight[n] > 0: configured weight,
 * not the policy's. Equal input in any order gives an equal ring. NULL on no memory or n == 0. */
struct mlb_ring *mlb_ring_new(uint32_t n, const uint64_t *keys, const uint32_t *slot, const float *weight);
struct mlb_ring *mlb_ring_ref(struct mlb_ring *);
void mlb_ring_unref(struct mlb_ring *);
/* Slot for a flow hash; slots whose q[slot] >= MLB_Q_OUT are walked past; MLB_NONE if all are. q may be NULL. */
uint32_t mlb_ring_lookup(const struct mlb_ring *, uint64_t hash, const float *q);

struct mlb_table {
	uint32_t nslots;     /* padded to a multiple of 8 */
	uint32_t eligible;   /* slots with weight > 0 */
	uint32_t generation; /* of the server list it was built from */
	uint32_t mode;       /* enum mlb_mode */
	float kappa;
	uint32_t pad;
	const float *inv_w;         /* [nslots], 1/weight, at most 1e8; 1 where not eligible (then add is MLB_Q_OUT) */
	const float *add;           /* [nslots], bias + kappa; MLB_Q_OUT where not eligible */
	const float *weight;        /* [nslots], share, sums to 1; 0 where not eligible */
	const uint32_t *alias;      /* [nslots] Vose: other slot */
	const uint32_t *threshold;  /* [nslots] Vose: keep when a 32-bit draw is below it */
	struct mlb_ring *ring;      /* new flows in mode hash: draining servers left */
	struct mlb_ring *miss_ring; /* packets of unknown flows: draining servers stay */
};

/* weight[n] >= 0 finite (0 = takes no new flow), bias[n] finite or NULL. If all weights are 0 the table is built with
 * eligible == 0 and chooses MLB_NONE. Takes references to the rings (may be NULL unless mode is hash).
 * Errors: -EINVAL (not finite, negative, n > MLB_MAX_SERVERS_PER_VIP, unknown mode), -ENOMEM. */
int mlb_table_new(struct mlb_table **out, uint32_t n, const float *weight, const float *bias, float kappa, enum mlb_mode mode,
		  uint32_t generation, struct mlb_ring *ring, struct mlb_ring *miss_ring);
void mlb_table_free(struct mlb_table *);

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
 * the q mark is ignored (never nobody because of ejections). */
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
