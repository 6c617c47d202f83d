/* SPDX-License-Identifier: Apache-2.0 */
/* What a VIP's workers choose from: an immutable snapshot built off the packet path, which workers read through one pointer.
 * Everything is indexed by slot, 0..nslots-1; nslots is padded to a multiple of 8 with slots never chosen. */
#ifndef MARLLB_TABLE_H
#define MARLLB_TABLE_H
#include "ring.h"

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
#endif
