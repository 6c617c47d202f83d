/* SPDX-License-Identifier: Apache-2.0 */
#include "batch.h"
#include "cli.h"
#include "report.h"
#include <errno.h>
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
	int e = sim_family_draw(sc, d->family, d->a->seed, i);

	if (e) {
		snprintf(err, 256, "scenario %u: %s", i, strerror(-e));
		return e;
	}
	snprintf(sc->name, sizeof(sc->name), "v1 seed %llu index %u", (unsigned long long)d->a->seed, i);
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

static void print_table(const struct sim_args *a, const struct sim_batch *b, uint64_t flows)
{
	printf("%-36s %22s %22s\n", "strategy", "mean", "p99");
	for (uint32_t k = 0; k < a->strategies; k++) {
		struct sim_ratio mean = pair(a, b, k, a->reference, 0), p99 = pair(a, b, k, a->reference, 1);
		printf("%-36s %10.4f +- %-8.4f %10.4f +- %-8.4f\n", a->strategy[k].name, mean.value, mean.half, p99.value,
		       p99.half);
	}
	printf("geometric means over %u scenarios of family v1, seed %llu, relative to %s; +-: 95 %%\n", a->n,
	       (unsigned long long)a->seed, a->strategy[a->reference].name);
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

/* mean and p99 are over the first reference, "over" holds them over all. */
static void print_json(const struct sim_args *a, const struct sim_batch *b, uint64_t flows, double wall)
{
	printf("{\"family\":\"v1\",\"n\":%u,\"seed\":%llu,\"flows\":%llu,\"cpu_s\":%.3f,\"wall_s\":%.3f,\"reference\":\"", a->n,
	       (unsigned long long)a->seed, (unsigned long long)flows, b->busy_s, wall);
	sim_print_escaped(a->strategy[a->reference].name);
	printf("\",\"strategies\":[");
	for (uint32_t k = 0; k < a->strategies; k++) {
		printf("%s\n{\"strategy\":\"", k ? "," : "");
		sim_print_escaped(a->strategy[k].name);
		printf("\",");
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
		printf("}}");
	}
	printf("]}\n");
}

int sim_cmd_family(int argc, char **argv, char err[256])
{
	struct sim_args a;
	struct draw d = { &a, &sim_family_v1 };
	struct timespec t0, t1;
	int e = sim_args_parse(&a, argc, argv, "oracle,SED,kalman+sed", 2000, err);

	if (e)
		return e;
	if (strcmp(argv[0], "v1") != 0) {
		snprintf(err, 256, "family \"%.60s\": expected v1", argv[0]);
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
		print_json(&a, &b, flows, wall);
	else
		print_table(&a, &b, flows);
out:
	free(b.result);
	return e;
}
