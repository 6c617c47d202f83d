/* SPDX-License-Identifier: Apache-2.0 */
#include "batch.h"
#include "cli.h"
#include "family.h"
#include "report.h"
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

struct draw {
	const struct sim_args *a;
	const struct sim_family *family;
};

static int make(void *arg, uint32_t i, struct sim_scenario *sc, uint64_t *seed, char err[256])
{
	const struct draw *d = arg;
	int e = d->family->draw(sc, d->family, d->a->seed, i);

	if (e) {
		snprintf(err, 256, "scenario %u: %s", i, strerror(-e));
		return e;
	}
	snprintf(sc->name, sizeof(sc->name), "%s seed %llu index %u", d->family->name, (unsigned long long)d->a->seed, i);
	if (d->a->tick_s > 0)
		sc->tick_s = d->a->tick_s;
	*seed = sim_mix(~d->a->seed, i);
	return 0;
}

/* Strategy k over strategy ref: 0 of the means, 1 of the 99th percentiles. */
static struct sim_ratio pair(const struct sim_args *a, const struct sim_batch *b, uint32_t k, uint32_t ref, int p99)
{
	uint32_t stride = a->strategies * (sizeof(struct sim_result) / sizeof(double));
	const struct sim_result *x = &b->result[k], *y = &b->result[ref];

	return p99 ? sim_ratio_of(&x->p99_s, &y->p99_s, a->n, stride, stride) :
		     sim_ratio_of(&x->mean_s, &y->mean_s, a->n, stride, stride);
}

/* A strategy over the best of --best in each scenario: means or 99th percentiles, geometric mean and mean of the worst tenth. */
struct hindsight {
	struct sim_ratio all;
	double worst_tenth;
};

static double figure(const struct sim_args *a, const struct sim_batch *b, uint32_t i, uint32_t k, int p99)
{
	const struct sim_result *r = &b->result[(size_t)i * a->strategies + k];

	return p99 ? r->p99_s : r->mean_s;
}

static int descending(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return x > y ? -1 : x < y;
}

/* scratch: room for n ratios and as many ones. */
static struct hindsight hindsight(const struct sim_args *a, const struct sim_batch *b, uint32_t k, int p99, double *scratch)
{
	struct hindsight h = { 0 };
	double *ratio = scratch, *ones = scratch + a->n;
	uint32_t tenth = a->n / 10 ? a->n / 10 : 1;

	for (uint32_t i = 0; i < a->n; i++) {
		double best = INFINITY;
		for (uint32_t j = 0; j < a->bests; j++)
			best = fmin(best, figure(a, b, i, a->best[j], p99));
		ratio[i] = figure(a, b, i, k, p99) / best;
		ones[i] = 1;
	}
	h.all = sim_ratio_of(ratio, ones, a->n, 1, 1);
	qsort(ratio, a->n, sizeof(*ratio), descending);
	for (uint32_t i = 0; i < tenth; i++)
		h.worst_tenth += ratio[i] / tenth;
	return h;
}

static void print_table(const struct sim_args *a, const struct sim_batch *b, const char *family, uint64_t flows)
{
	printf("%-36s %22s %22s\n", "strategy", "mean", "p99");
	for (uint32_t k = 0; k < a->strategies; k++) {
		struct sim_ratio mean = pair(a, b, k, a->reference, 0), p99 = pair(a, b, k, a->reference, 1);
		printf("%-36s %10.4f +- %-8.4f %10.4f +- %-8.4f\n", a->strategy[k].name, mean.value, mean.half, p99.value,
		       p99.half);
	}
	printf("geometric means over %u scenarios of family %s, seed %llu, relative to %s; +-: 95 %%\n", a->n, family,
	       (unsigned long long)a->seed, a->strategy[a->reference].name);
	double *scratch = a->bests ? malloc(2 * a->n * sizeof(*scratch)) : NULL;
	for (uint32_t k = 0; k < a->strategies && scratch; k++) {
		struct hindsight mean = hindsight(a, b, k, 0, scratch), p99 = hindsight(a, b, k, 1, scratch);
		printf("%-36s over the best of --best: mean %.4f +- %.4f, worst tenth %.4f; p99 %.4f +- %.4f, worst tenth %.4f\n",
		       a->strategy[k].name, mean.all.value, mean.all.half, mean.worst_tenth, p99.all.value, p99.all.half,
		       p99.worst_tenth);
	}
	free(scratch);
	printf("%llu flows in %.2f s of CPU, %.0f flows/s a core\n", (unsigned long long)flows, b->busy_s, flows / b->busy_s);
}

static void print_ratio(const char *name, struct sim_ratio r)
{
	const struct {
		const char *key;
		double v;
	} part[4] = { { "value", r.value }, { "low", r.low }, { "high", r.high }, { "half", r.half } };

	printf("\"%s\":{", name);
	for (int i = 0; i < 4; i++) {
		printf("%s\"%s\":", i ? "," : "", part[i].key);
		sim_print_number(part[i].v);
	}
	printf("}");
}

static void print_hindsight(const struct sim_args *a, const struct sim_batch *b, uint32_t k, double *scratch)
{
	struct hindsight mean = hindsight(a, b, k, 0, scratch), p99 = hindsight(a, b, k, 1, scratch);

	printf(",\"best\":{");
	print_ratio("mean", mean.all);
	printf(",\"mean_worst_tenth\":");
	sim_print_number(mean.worst_tenth);
	printf(",");
	print_ratio("p99", p99.all);
	printf(",\"p99_worst_tenth\":");
	sim_print_number(p99.worst_tenth);
	printf("}");
}

static void print_totals(const struct sim_args *a, const struct sim_batch *b, uint32_t k)
{
	uint64_t flows = 0, refused = 0, failed = 0;

	for (uint32_t i = 0; i < a->n; i++) {
		const struct sim_result *r = &b->result[(size_t)i * a->strategies + k];
		flows += r->flows;
		refused += r->refused;
		failed += r->failed;
	}
	printf("\"measured\":%llu,\"refused\":%llu,\"failed\":%llu,", (unsigned long long)flows, (unsigned long long)refused,
	       (unsigned long long)failed);
}

/* mean and p99 are over the first reference, "over" holds them over all, "best" over the best of --best in each scenario. */
static void print_json(const struct sim_args *a, const struct sim_batch *b, const char *family, uint64_t flows, double wall)
{
	double *scratch = a->bests ? malloc(2 * a->n * sizeof(*scratch)) : NULL;

	printf("{\"family\":\"%s\",\"n\":%u,\"seed\":%llu,\"flows\":%llu,\"cpu_s\":%.3f,\"wall_s\":%.3f,\"reference\":\"", family,
	       a->n, (unsigned long long)a->seed, (unsigned long long)flows, b->busy_s, wall);
	sim_print_escaped(a->strategy[a->reference].name);
	printf("\",\"strategies\":[");
	for (uint32_t k = 0; k < a->strategies; k++) {
		printf("%s\n{\"strategy\":\"", k ? "," : "");
		sim_print_escaped(a->strategy[k].name);
		printf("\",");
		print_totals(a, b, k);
		print_ratio("mean", pair(a, b, k, a->reference, 0));
		printf(",");
		print_ratio("p99", pair(a, b, k, a->reference, 1));
		printf(",\"over\":{");
		for (uint32_t i = 0; i < a->references; i++) {
			printf("%s\"", i ? "," : "");
			sim_print_escaped(a->strategy[a->against[i]].name);
			printf("\":{");
			print_ratio("mean", pair(a, b, k, a->against[i], 0));
			printf(",");
			print_ratio("p99", pair(a, b, k, a->against[i], 1));
			printf("}");
		}
		printf("}");
		if (scratch)
			print_hindsight(a, b, k, scratch);
		printf("}");
	}
	printf("]}\n");
	free(scratch);
}

int sim_cmd_family(int argc, char **argv, char err[256])
{
	struct sim_args a;
	struct draw d = { &a, sim_family_find(argv[0]) };
	struct timespec t0, t1;
	int e = sim_args_parse(&a, argc, argv, "oracle,SED,kalman+sed", 2000, err);

	if (e)
		return e;
	if (!d.family) {
		snprintf(err, 256, "family \"%.60s\": expected v1 or v2", argv[0]);
		return -EINVAL;
	}
	if (a.reference == SIM_STRATEGIES_MAX) {
		snprintf(err, 256,
			 "the reference is not among the strategies: add it to --strategy, or name another by --reference");
		return -EINVAL;
	}
	struct sim_batch b = { .scenario = make,
			       .arg = &d,
			       .scenarios = a.n,
			       .strategies = a.strategies,
			       .threads = a.threads,
			       .strategy = a.strategy };
	b.result = calloc((size_t)a.n * a.strategies, sizeof(*b.result));
	if (!b.result)
		return -ENOMEM;
	clock_gettime(CLOCK_MONOTONIC, &t0);
	e = sim_batch_run(&b, err);
	clock_gettime(CLOCK_MONOTONIC, &t1);
	if (e)
		goto out;

	uint64_t flows = 0;
	for (size_t i = 0; i < (size_t)a.n * a.strategies; i++)
		flows += b.result[i].events;
	double wall = (double)(t1.tv_sec - t0.tv_sec) + (t1.tv_nsec - t0.tv_nsec) * 1e-9;
	if (a.json)
		print_json(&a, &b, d.family->name, flows, wall);
	else
		print_table(&a, &b, d.family->name, flows);
out:
	free(b.result);
	return e;
}
