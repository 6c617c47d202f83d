/* SPDX-License-Identifier: Apache-2.0 */
/* Reservoir of 128 samples over one frame (Vitter 1985, algorithm R), single writer, double-buffered by frame: the worker fills
 * buffer `epoch & 1` while the summing thread reads the other. */
#ifndef MARLLB_RESERVOIR_H
#define MARLLB_RESERVOIR_H
#include "layout.h"
#include "rng.h"

struct mlb_res_buf {
	uint32_t epoch; /* frame it belongs to; a worker that finds another one empties the buffer first */
	uint32_t seen;
	float v[MLB_RESERVOIR_LEN];  /* microseconds */
	float age[MLB_RESERVOIR_LEN]; /* microseconds since the frame's start, for the decayed figures */
};
struct mlb_reservoir {
	struct mlb_res_buf buf[2];
};

static inline void mlb_res_add(struct mlb_reservoir *r, uint32_t epoch, float value_us, float at_us, struct mlb_rng *rng)
{
	struct mlb_res_buf *b = &r->buf[epoch & 1];
	if (b->epoch != epoch) {
		b->epoch = epoch;
		b->seen = 0;
	}
	uint32_t i = b->seen++;
	if (i >= MLB_RESERVOIR_LEN) {
		i = mlb_rng_below(rng, b->seen);
		if (i >= MLB_RESERVOIR_LEN)
			return;
	}
	b->v[i] = value_us;
	b->age[i] = at_us;
}

/* Decayed figures that outlive a frame: exponentially weighted with time constant 1 s. */
struct mlb_res_decay {
	double weight, sum; /* decayed count and sum */
	double dp90;
	bool known;
};

/* Merges the buffers of frame `epoch` of `n` workers, each sample weighted by seen/kept of its buffer, and folds them into the decayed
 * state. frame_us: length of the frame. */
void mlb_res_merge(const struct mlb_reservoir *const *workers, uint32_t n, uint32_t epoch, double frame_us,
		   struct mlb_res_decay *decay, struct mlb_res_sum *out);
#endif
