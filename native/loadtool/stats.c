/* SPDX-License-Identifier: Apache-2.0 */
#include <math.h>
#include "load.h"

/* 0..1023 exact microseconds, then 32 buckets an octave. */
static uint32_t bucket(uint64_t us)
{
	if (us < 1024)
		return (uint32_t)us;
	uint32_t top = 63u - (uint32_t)__builtin_clzll(us);
	uint32_t i = 1024u + (top - 10u) * 32u + (uint32_t)((us >> (top - 5u)) & 31u);
	return i < LOAD_LAT_BUCKETS ? i : LOAD_LAT_BUCKETS - 1;
}

static double middle(uint32_t i)
{
	if (i < 1024)
		return i + 0.5;
	uint32_t top = 10 + (i - 1024) / 32, sub = (i - 1024) % 32;
	return ldexp(1.0 + (sub + 0.5) / 32.0, (int)top);
}

void load_stats_add(struct load_stats *s, uint64_t us)
{
	s->count[bucket(us)]++;
	s->n++;
	s->sum += (double)us;
	if (us > s->max)
		s->max = us;
}

double load_stats_quantile(const struct load_stats *s, double p)
{
	if (!s->n)
		return NAN;
	uint64_t want = (uint64_t)(p * (double)(s->n - 1)), seen = 0;
	for (uint32_t i = 0; i < LOAD_LAT_BUCKETS; i++) {
		seen += s->count[i];
		if (seen > want)
			return middle(i);
	}
	return (double)s->max;
}
