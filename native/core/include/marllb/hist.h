/* SPDX-License-Identifier: Apache-2.0 */
/* Log-linear histogram of 54 buckets over microseconds: bucket 0 is [0, 64 us), then 2 buckets an octave (64, 96, 128, 192, ...);
 * the last, 53, is open-ended: what lies beyond MLB_HIST_END_US (4295 s, more than the longest time-out) has no upper bound here.
 * All percentiles shown or exported come from these. */
#ifndef MARLLB_HIST_H
#define MARLLB_HIST_H
#include "layout.h"
#ifdef __cplusplus
extern "C" {
#endif

#define MLB_HIST_END_US (UINT64_C(64) << 26) /* lower edge of the last bucket */

static inline uint32_t mlb_hist_bucket(uint64_t us)
{
	if (us < 64)
		return 0;
	uint32_t top = 63u - (uint32_t)__builtin_clzll(us); /* >= 6 */
	uint32_t i = 1u + (top - 6u) * 2u + (uint32_t)((us >> (top - 1)) & 1u);
	return i < MLB_HIST_BUCKETS ? i : MLB_HIST_BUCKETS - 1;
}
/* Lower edge of bucket i in microseconds. */
static inline uint64_t mlb_hist_edge(uint32_t i)
{
	return i == 0 ? 0 : (i & 1u) ? UINT64_C(64) << ((i - 1) / 2) : UINT64_C(96) << ((i - 2) / 2);
}
/* Quantile p (0..1) in microseconds, linear within a bucket; NaN when empty, INFINITY when it lies in the last bucket. */
double mlb_hist_quantile(const uint32_t counts[MLB_HIST_BUCKETS], double p);

#ifdef __cplusplus
}
#endif
#endif
