/* SPDX-License-Identifier: Apache-2.0 */
/* What load balancers count while a strategy rules, for whoever watches them (the guardrail of services/common/trial). A line a
 * second and load balancer: scenario, load balancer, seconds, flows in progress over time in seconds, new flows, flows that
 * ended; all since the start. With several threads the lines of the scenarios mix. */
#include "batch.h"
#include "drawn.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

struct job {
	struct sim_drawn drawn; /* first: what makes the scenarios takes a job for it */
	uint32_t *number;       /* [n] each scenario's own, which its watch is given */
};

static void second(void *arg, uint32_t lane, const struct sim_seen *seen)
{
	printf("%u %u %.3f %.6f %llu %llu\n", *(const uint32_t *)arg, lane, seen->now_s, seen->flow_s,
	       (unsigned long long)seen->new_flows, (unsigned long long)seen->ended);
}

static struct sim_watch watch(void *arg, uint32_t i)
{
	struct job *j = arg;

	return (struct sim_watch){ second, &j->number[i] };
}

int sim_cmd_counts(int argc, char **argv, char err[256])
{
	struct sim_args a;
	struct job j = { .drawn = { &a, NULL } };
	int e = sim_args_parse(&a, argc, argv, "kalman+sed", 1, err);

	e = e ? e : sim_drawn_find(&j.drawn, argv[0], err);
	if (e)
		return e;
	if (a.strategies != 1) {
		snprintf(err, 256, "counts: expected one strategy, found %u", a.strategies);
		return -EINVAL;
	}
	struct sim_batch b = { .scenario = sim_drawn_make,
			       .arg = &j,
			       .watch = watch,
			       .scenarios = a.n,
			       .strategies = 1,
			       .threads = a.threads,
			       .strategy = a.strategy,
			       .result = calloc(a.n, sizeof(*b.result)) };
	j.number = calloc(a.n, sizeof(*j.number));
	e = b.result && j.number ? 0 : -ENOMEM;
	for (uint32_t i = 0; i < a.n && !e; i++)
		j.number[i] = i;
	e = e ? e : sim_batch_run(&b, err);
	free(b.result);
	free(j.number);
	return e;
}
