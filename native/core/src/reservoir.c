/* SPDX-License-Identifier: Apache-2.0 */
#include "marllb/reservoir.h"
#include <math.h>
#include <string.h>

#define DECAY_US 1e6
#define MAX_MERGED 4096u /* samples looked at; 32 workers' full buffers. More workers: the first of each are enough. */

struct sample {
	float v;
	float weight;  /* values it stands for */
	float dweight; /* the same, decayed by age */
};

/* Bits of a float that is not negative order as the float does. */
static uint32_t key(const struct sample *s)
{
	uint32_t bits;
	memcpy(&bits, &s->v, sizeof(bits));
	return bits;
}

/* What a server with few flows has in a frame. So few are moved to their places in less time than their bytes are counted. */
#define FEW 48u

static void sort_few(struct sample *s, uint32_t n)
{
	for (uint32_t i = 1; i < n; i++) {
		struct sample one = s[i];
		uint32_t at = i, own = key(&one);
		for (; at > 0 && key(&s[at - 1]) > own; at--)
			s[at] = s[at - 1];
		s[at] = one;
	}
}

/* By value, a byte of the key a pass (thousands of small arrays a second: qsort's calls cost five times as much). Returns s or
 * other, whichever holds the result. Both ways are stable. */
static struct sample *sort_by_value(struct sample *s, struct sample *other, uint32_t n)
{
	if (n <= FEW) {
		sort_few(s, n);
		return s;
	}
	for (uint32_t shift = 0; shift < 32; shift += 8) {
		uint32_t at[256] = { 0 }, sum = 0;
		for (uint32_t i = 0; i < n; i++)
			at[key(&s[i]) >> shift & 255]++;
		if (at[key(&s[0]) >> shift & 255] == n)
			continue;
		for (uint32_t b = 0; b < 256; b++) {
			uint32_t count = at[b];
			at[b] = sum;
			sum += count;
		}
		for (uint32_t i = 0; i < n; i++)
			other[at[key(&s[i]) >> shift & 255]++] = s[i];
		struct sample *t = s;
		s = other;
		other = t;
	}
	return s;
}

/* Smallest value at which the cumulated weight reaches p of the total. */
static float weighted_quantile(const struct sample *s, uint32_t n, double p, bool decayed)
{
	double total = 0, sum = 0;
	for (uint32_t i = 0; i < n; i++)
		total += decayed ? s[i].dweight : s[i].weight;
	for (uint32_t i = 0; i < n; i++) {
		sum += decayed ? s[i].dweight : s[i].weight;
		if (sum >= p * total * (1 - 1e-9))
			return s[i].v;
	}
	return s[n - 1].v;
}

static uint32_t collect(const struct mlb_reservoir *const *workers, uint32_t n, uint32_t epoch, double frame_us, struct sample *s,
			uint64_t *seen_all)
{
	uint32_t count = 0, per_worker = n ? MAX_MERGED / n : 0;
	if (per_worker > MLB_RESERVOIR_LEN)
		per_worker = MLB_RESERVOIR_LEN;
	for (uint32_t w = 0; w < n; w++) {
		const struct mlb_res_buf *b = &workers[w]->buf[epoch & 1];
		uint32_t seen = atomic_load_explicit(&b->seen, memory_order_relaxed);
		if (atomic_load_explicit(&b->epoch, memory_order_relaxed) != epoch || seen == 0)
			continue;
		/* a reservoir's entries are exchangeable once it is full, so any subset of them is a sample as well */
		uint32_t kept = seen < per_worker ? seen : per_worker;
		*seen_all += seen;
		for (uint32_t i = 0; i < kept; i++) {
			double at = atomic_load_explicit(&b->age[i], memory_order_relaxed);
			double age = frame_us > at ? frame_us - at : 0;
			s[count].v = atomic_load_explicit(&b->v[i], memory_order_relaxed);
			s[count].weight = (float)seen / (float)kept;
			s[count].dweight = s[count].weight * expf((float)(-age / DECAY_US));
			count++;
		}
	}
	return count;
}

void mlb_res_merge(const struct mlb_reservoir *const *workers, uint32_t n, uint32_t epoch, double frame_us,
		   struct mlb_res_decay *decay, struct mlb_res_sum *out)
{
	struct sample merged[MAX_MERGED], other[MAX_MERGED], *s = merged;
	uint64_t seen = 0;
	uint32_t count = collect(workers, n, epoch, frame_us, s, &seen);
	double keep = exp(-frame_us / DECAY_US);

	memset(out, 0, sizeof(*out));
	if (decay->weight > 1e-9) { /* else the ratio stands, and must not fade to 0 / 0 */
		decay->weight *= keep;
		decay->sum *= keep;
	}
	if (count) {
		double weight = 0, sum = 0, dweight = 0, dsum = 0, var = 0;
		s = sort_by_value(merged, other, count);
		for (uint32_t i = 0; i < count; i++) {
			weight += s[i].weight;
			sum += (double)s[i].weight * s[i].v;
			dweight += s[i].dweight;
			dsum += (double)s[i].dweight * s[i].v;
		}
		double mean = sum / weight;
		for (uint32_t i = 0; i < count; i++)
			var += s[i].weight * (s[i].v - mean) * (s[i].v - mean);
		out->samples = count < MLB_RESERVOIR_LEN ? count : MLB_RESERVOIR_LEN;
		out->seen = seen < UINT32_MAX ? (uint32_t)seen : UINT32_MAX;
		out->mean = (float)mean;
		out->std = (float)sqrt(var / weight);
		out->p90 = weighted_quantile(s, count, 0.9, false);
		out->min = s[0].v;
		double p90 = weighted_quantile(s, count, 0.9, true);
		decay->dp90 = (decay->weight * decay->dp90 + dweight * p90) / (decay->weight + dweight);
		decay->weight += dweight;
		decay->sum += dsum;
		decay->known = true;
	}
	if (decay->known) {
		out->dmean = (float)(decay->sum / decay->weight);
		out->dp90 = (float)decay->dp90;
	}
}
