/* SPDX-License-Identifier: Apache-2.0 */
#include "batch.h"
#include "cli.h"
#include "drawn.h"
#include "report.h"
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* A strategy over the best of others in each scenario, one of them or more: geometric mean and mean of the worst tenth, of means
 * or 99th percentiles. */
struct hindsight {
	struct sim_ratio all;
	double worst_tenth;
};

/* What the figures are made of. */
struct figures {
	const struct sim_args *a;
	const struct sim_batch *b;
	double *own, *best; /* [n] */
};

static double figure(const struct figures *f, uint32_t i, uint32_t k, bool p99)
{
	const struct sim_result *r = &f->b->result[(size_t)i * f->a->strategies + k];

	return p99 ? r->p99_s : r->mean_s;
}

static int descending(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return x > y ? -1 : x < y;
}

static struct hindsight over(const struct figures *f, uint32_t k, const uint32_t *others, uint32_t count, bool p99)
{
	struct hindsight h = { 0 };
	uint32_t n = f->a->n, tenth = n / 10 ? n / 10 : 1;

	for (uint32_t i = 0; i < n; i++) {
		f->own[i] = figure(f, i, k, p99);
		f->best[i] = INFINITY;
		for (uint32_t j = 0; j < count; j++)
			f->best[i] = fmin(f->best[i], figure(f, i, others[j], p99));
	}
	h.all = sim_ratio_of(f->own, f->best, n, 1, 1);
	for (uint32_t i = 0; i < n; i++)
		f->own[i] /= f->best[i];
	qsort(f->own, n, sizeof(*f->own), descending);
	for (uint32_t i = 0; i < tenth; i++)
		h.worst_tenth += f->own[i] / tenth;
	return h;
}

static void print_table(const struct figures *f, const char *family, uint64_t flows)
{
	const struct sim_args *a = f->a;

	printf("%-36s %22s %22s\n", "strategy", "mean", "p99");
	for (uint32_t k = 0; k < a->strategies; k++) {
		struct sim_ratio mean = over(f, k, &a->reference, 1, false).all, p99 = over(f, k, &a->reference, 1, true).all;
		printf("%-36s %10.4f +- %-8.4f %10.4f +- %-8.4f\n", a->strategy[k].name, mean.value, mean.half, p99.value,
		       p99.half);
	}
	printf("geometric means over %u scenarios of family %s, seed %llu, relative to %s; +-: 95 %%\n", a->n, family,
	       (unsigned long long)a->seed, a->strategy[a->reference].name);
	for (uint32_t k = 0; k < a->strategies && a->bests; k++) {
		struct hindsight mean = over(f, k, a->best, a->bests, false), p99 = over(f, k, a->best, a->bests, true);
		printf("%-36s over the best of --best: mean %.4f +- %.4f, worst tenth %.4f; p99 %.4f +- %.4f, worst tenth %.4f\n",
		       a->strategy[k].name, mean.all.value, mean.all.half, mean.worst_tenth, p99.all.value, p99.all.half,
		       p99.worst_tenth);
	}
	printf("%llu flows in %.2f s of CPU, %.0f flows/s a core\n", (unsigned long long)flows, f->b->busy_s,
	       flows / f->b->busy_s);
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

static void print_over(const struct figures *f, uint32_t k, const uint32_t *others, uint32_t count)
{
	struct hindsight mean = over(f, k, others, count, false), p99 = over(f, k, others, count, true);

	printf("{");
	print_ratio("mean", mean.all);
	printf(",\"mean_worst_tenth\":");
	sim_print_number(mean.worst_tenth);
	printf(",");
	print_ratio("p99", p99.all);
	printf(",\"p99_worst_tenth\":");
	sim_print_number(p99.worst_tenth);
	printf("}");
}

static void print_totals(const struct figures *f, uint32_t k)
{
	uint64_t flows = 0, refused = 0, failed = 0;

	for (uint32_t i = 0; i < f->a->n; i++) {
		const struct sim_result *r = &f->b->result[(size_t)i * f->a->strategies + k];
		flows += r->flows;
		refused += r->refused;
		failed += r->failed;
	}
	printf("\"measured\":%llu,\"refused\":%llu,\"failed\":%llu,", (unsigned long long)flows, (unsigned long long)refused,
	       (unsigned long long)failed);
}

/* mean and p99 are over the first reference, "over" holds them over all, "best" over the best of --best in each scenario. */
static void print_json(const struct figures *f, const char *family, uint64_t flows, double wall)
{
	const struct sim_args *a = f->a;

	printf("{\"family\":\"%s\",\"n\":%u,\"seed\":%llu,\"flows\":%llu,\"cpu_s\":%.3f,\"wall_s\":%.3f,\"reference\":\"", family,
	       a->n, (unsigned long long)a->seed, (unsigned long long)flows, f->b->busy_s, wall);
	sim_print_escaped(a->strategy[a->reference].name);
	printf("\",\"strategies\":[");
	for (uint32_t k = 0; k < a->strategies; k++) {
		printf("%s\n{\"strategy\":\"", k ? "," : "");
		sim_print_escaped(a->strategy[k].name);
		printf("\",");
		print_totals(f, k);
		print_ratio("mean", over(f, k, &a->reference, 1, false).all);
		printf(",");
		print_ratio("p99", over(f, k, &a->reference, 1, true).all);
		printf(",\"over\":{");
		for (uint32_t i = 0; i < a->references; i++) {
			printf("%s\"", i ? "," : "");
			sim_print_escaped(a->strategy[a->against[i]].name);
			printf("\":");
			print_over(f, k, &a->against[i], 1);
		}
		printf("}");
		if (a->bests) {
			printf(",\"best\":");
			print_over(f, k, a->best, a->bests);
		}
		printf("}");
	}
	printf("]}\n");
}

int sim_cmd_family(int argc, char **argv, char err[256])
{
	struct sim_args a;
	struct sim_drawn d = { &a, NULL };
	struct timespec t0, t1;
	int e = sim_args_parse(&a, argc, argv, "oracle,SED,kalman+sed", 2000, err);

	e = e ? e : sim_drawn_find(&d, argv[0], err);
	if (e)
		return e;
	if (a.reference == SIM_STRATEGIES_MAX) {
		snprintf(err, 256,
			 "the reference is not among the strategies: add it to --strategy, or name another by --reference");
		return -EINVAL;
	}
	struct sim_batch b = { .scenario = sim_drawn_make,
			       .arg = &d,
			       .scenarios = a.n,
			       .strategies = a.strategies,
			       .threads = a.threads,
			       .strategy = a.strategy };
	struct figures f = { &a, &b, calloc(a.n, sizeof(double)), calloc(a.n, sizeof(double)) };
	b.result = calloc((size_t)a.n * a.strategies, sizeof(*b.result));
	if (!b.result || !f.own || !f.best) {
		e = -ENOMEM;
		goto out;
	}
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
		print_json(&f, d.family->name, flows, wall);
	else
		print_table(&f, d.family->name, flows);
out:
	free(b.result);
	free(f.own);
	free(f.best);
	return e;
}
