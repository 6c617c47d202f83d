/* SPDX-License-Identifier: Apache-2.0 */
/* Reservoir of 128 samples over one frame (Vitter 1985, algorithm R), single writer, double-buffered by frame: the worker fills
 * buffer `epoch & 1` while the summing thread reads the other. */
#ifndef MARLLB_RESERVOIR_H
#define MARLLB_RESERVOIR_H
#include "layout.h"
#include "rng.h"

/* Relaxed atomics: a worker that read the frame's number just before it changed may still write one sample to the buffer being
 * read; that sample may count in either frame, nothing else can go wrong. */
struct mlb_res_buf {
	_Atomic uint32_t epoch; /* frame it belongs to; a worker that finds another one empties the buffer first */
	_Atomic uint32_t seen;
	_Atomic float v[MLB_RESERVOIR_LEN];   /* microseconds */
	_Atomic float age[MLB_RESERVOIR_LEN]; /* microseconds since the frame's start, for the decayed figures */
};
struct mlb_reservoir {
	struct mlb_res_buf buf[2];
};

static inline void mlb_res_add(struct mlb_reservoir *r, uint32_t epoch, float value_us, float at_us, struct mlb_rng *rng)
{
	struct mlb_res_buf *b = &r->buf[epoch & 1];
	uint32_t seen = atomic_load_explicit(&b->seen, memory_order_relaxed);
	if (atomic_load_explicit(&b->epoch, memory_order_relaxed) != epoch) {
		atomic_store_explicit(&b->epoch, epoch, memory_order_relaxed);
		seen = 0;
	}
	uint32_t i = seen++;
	atomic_store_explicit(&b->seen, seen, memory_order_relaxed);
	if (i >= MLB_RESERVOIR_LEN) {
		i = mlb_rng_below(rng, seen);
		if (i >= MLB_RESERVOIR_LEN)
			return;
	}
	atomic_store_explicit(&b->v[i], value_us, memory_order_relaxed);
	atomic_store_explicit(&b->age[i], at_us, memory_order_relaxed);
}

/* Decayed figures that outlive a frame: every sample weighs exp(-age / 1 s). dp90 is the mean, by those weights, of the frames'
 * 90th percentiles (each of samples weighted by age). Zeroed = nothing seen yet. */
struct mlb_res_decay {
	double weight, sum; /* decayed count and sum */
	double dp90;
	bool known;
};

/* Merges the buffers of frame `epoch` of `n` workers, each sample weighted by seen/kept of its buffer, and folds them into the
 * decayed state. frame_us: length of the frame. A frame without samples leaves mean, std, p90 and min 0 (unknown); dmean and dp90
 * keep what earlier frames left, 0 while nothing was ever seen. */
void mlb_res_merge(const struct mlb_reservoir *const *workers, uint32_t n, uint32_t epoch, double frame_us,
		   struct mlb_res_decay *decay, struct mlb_res_sum *out);
#endif
