/* SPDX-License-Identifier: Apache-2.0 */
#include "marllb/hist.h"
#include <math.h>

double mlb_hist_quantile(const uint32_t counts[MLB_HIST_BUCKETS], double p)
{
	uint64_t total = 0;
	for (uint32_t i = 0; i < MLB_HIST_BUCKETS; i++)
		total += counts[i];
	if (total == 0)
		return NAN;
	p = p < 0 ? 0 : p > 1 ? 1 : p;
	double want = p * (double)total, below = 0;
	uint32_t i = 0;
	for (; i < MLB_HIST_BUCKETS - 1; i++) {
		if (counts[i] && below + counts[i] >= want)
			break;
		below += counts[i];
	}
	if (i == MLB_HIST_BUCKETS - 1)
		return INFINITY; /* open-ended: only that it is at least MLB_HIST_END_US is known */
	double lo = (double)mlb_hist_edge(i);
	return lo + ((double)mlb_hist_edge(i + 1) - lo) * (want - below) / counts[i];
}
