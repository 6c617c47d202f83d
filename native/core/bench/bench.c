/* SPDX-License-Identifier: Apache-2.0 */
#include "bench.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static volatile uint64_t sink;

static double now_ns(void)
{
	struct timespec t;
	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t); /* what others take from us on a busy machine is not the code's cost */
	return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

void bench_run(struct bench_item *items, uint32_t n, uint32_t rounds)
{
	for (uint32_t i = 0; i < n; i++) {
		items[i].ns = calloc(rounds, sizeof(double));
		sink += items[i].fn(items[i].ops); /* warm */
	}
	for (uint32_t r = 0; r < rounds; r++)
		for (uint32_t k = 0; k < n; k++) {
			struct bench_item *it = &items[r & 1 ? n - 1 - k : k];
			/* first once untimed, or an item would pay for what the one before it left in the caches */
			sink += it->fn(it->ops / 4);
			double begin = now_ns();
			sink += it->fn(it->ops);
			it->ns[r] = (now_ns() - begin) / it->ops;
		}
}

static int by_value(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;
	return (x > y) - (x < y);
}

static void print(const char *id, const char *unit, const char *note, const double *v, uint32_t n, double scale)
{
	double *s = malloc(n * sizeof(*s)), half = 0.98 * sqrt(n);
	memcpy(s, v, n * sizeof(*s));
	qsort(s, n, sizeof(*s), by_value);
	double lo = n / 2.0 - half, hi = n / 2.0 + half;
	uint32_t low = lo > 0 ? (uint32_t)lo : 0, high = hi < n - 1 ? (uint32_t)ceil(hi) : n - 1;
	printf("{\"id\":\"%s\",\"value\":%.4g,\"unit\":\"%s\",\"n\":%u,\"low\":%.4g,\"high\":%.4g,\"note\":\"%s\"}\n", id,
	       s[n / 2] * scale, unit, n, s[low] * scale, s[high] * scale, note);
	fflush(stdout);
	free(s);
}

void bench_print(const struct bench_item *it, uint32_t rounds)
{
	print(it->id, it->unit, it->note, it->ns, rounds, strcmp(it->unit, "us") == 0 ? 1e-3 : 1);
}

void bench_print_ratio(const struct bench_ratio *r, uint32_t rounds)
{
	double *v = malloc(rounds * sizeof(*v));
	for (uint32_t i = 0; i < rounds; i++)
		v[i] = r->of->ns[i] / r->to->ns[i];
	print(r->id, "ratio", r->note, v, rounds, 1);
	free(v);
}

void bench_print_absent(const char *id, const char *unit, const char *note)
{
	printf("{\"id\":\"%s\",\"value\":null,\"unit\":\"%s\",\"n\":0,\"low\":null,\"high\":null,\"note\":\"%s\"}\n", id, unit,
	       note);
}
