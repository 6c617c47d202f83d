/* SPDX-License-Identifier: Apache-2.0 */
/* A small harness: every item runs in many short rounds, all items alternately (forwards, then backwards: ABBA), and its figure
 * is the median round with the 95 % interval of a median by order statistics. A round is short against a scheduler's time slice,
 * so that on a busy machine the disturbed rounds are few and in the tail. */
#ifndef MARLLB_CORE_BENCH_H
#define MARLLB_CORE_BENCH_H
#include <stdint.h>

/* Does `ops` operations and returns something that depends on all of them, or the compiler would drop the work. */
typedef uint64_t bench_fn(uint32_t ops);

struct bench_item {
	const char *id;   /* NULL: only the other side of a ratio */
	const char *unit; /* "ns" or "us" for one operation */
	const char *note;
	bench_fn *fn;
	uint32_t ops; /* a round */
	double *ns;   /* one figure a round, filled by bench_run */
};

/* A ratio of two items, round by round. */
struct bench_ratio {
	const char *id, *note;
	const struct bench_item *of, *to;
};

void bench_run(struct bench_item *items, uint32_t n, uint32_t rounds);
/* One JSON object and a newline each. */
void bench_print(const struct bench_item *, uint32_t rounds);
void bench_print_ratio(const struct bench_ratio *, uint32_t rounds);
void bench_print_absent(const char *id, const char *unit, const char *note);
#endif
