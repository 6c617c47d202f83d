/* SPDX-License-Identifier: Apache-2.0 */
/* run, named, trace: single scenarios over several seeds. */
#include "batch.h"
#include "cli.h"
#include "report.h"
#include "scenario_json.h"
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The scenario is parsed once; each world gets its own shallow copy, whose arrays nobody frees twice. */
struct source {
	const char *path; /* or a built-in text */
	const struct sim_named *named;
	double tick_s;
	uint64_t seed;
};

static int load(const struct source *s, struct sim_scenario *sc, uint32_t *seeds, char err[256])
{
	int e = s->named ? sim_scenario_parse(sc, seeds, s->named->text, strlen(s->named->text), "", err) :
			   sim_scenario_read(sc, seeds, s->path, err);

	if (!e && s->tick_s > 0)
		sc->tick_s = s->tick_s;
	return e;
}

static int make(void *arg, uint32_t i, struct sim_scenario *sc, uint64_t *seed, char err[256])
{
	const struct source *s = arg;
	uint32_t seeds;

	*seed = sim_mix(s->seed, i);
	return load(s, sc, &seeds, err);
}

static int run_one(const struct source *s, const struct sim_args *a, bool first, char err[256])
{
	struct sim_scenario sc;
	uint32_t seeds;
	int e = load(s, &sc, &seeds, err);

	if (e)
		return e;
	struct sim_batch b = { .scenario = make,
			       .arg = (void *)s,
			       .scenarios = a->n ? a->n : seeds,
			       .strategies = a->strategies,
			       .threads = a->threads,
			       .strategy = a->strategy };
	b.result = calloc((size_t)b.scenarios * b.strategies, sizeof(*b.result));
	e = b.result ? sim_batch_run(&b, err) : -ENOMEM;
	if (!e)
		sim_report(a, &b, sc.name, first);
	free(b.result);
	sim_scenario_free(&sc);
	return e;
}

int sim_cmd_run(int argc, char **argv, char err[256])
{
	struct sim_args a;
	int e = sim_args_parse(&a, argc, argv, "oracle,SED,kalman+sed", 0, err);

	if (e)
		return e;
	struct source s = { .path = argv[0], .tick_s = a.tick_s, .seed = a.seed };
	e = run_one(&s, &a, true, err);
	if (a.json && !e)
		printf("]}\n");
	return e;
}

static int list_named(void)
{
	struct sim_scenario sc;
	uint32_t seeds;
	char err[256];

	for (const struct sim_named *n = sim_named; n->name; n++) {
		if (sim_scenario_parse(&sc, &seeds, n->text, strlen(n->text), "", err))
			return -EINVAL;
		printf("%-18s %4u servers, %2u load balancers, %3.0f s, %2u seeds\n", n->name, sc.n, sc.lbs, sc.end_s, seeds);
		sim_scenario_free(&sc);
	}
	return 0;
}

int sim_cmd_named(int argc, char **argv, char err[256])
{
	struct sim_args a;
	bool any = false;

	if (argc < 1)
		return list_named();
	int e = sim_args_parse(&a, argc, argv, "oracle,SED,kalman+sed", 0, err);
	if (e)
		return e;
	for (const struct sim_named *n = sim_named; n->name && !e; n++) {
		if (strcmp(argv[0], "all") != 0 && strcmp(argv[0], n->name) != 0)
			continue;
		struct source s = { .named = n, .tick_s = a.tick_s, .seed = a.seed };
		e = run_one(&s, &a, !any, err);
		any = true;
	}
	if (a.json && any && !e)
		printf("]}\n");
	if (!any) {
		snprintf(err, 256, "no scenario is named \"%.60s\"; marllb-sim named lists them", argv[0]);
		return -EINVAL;
	}
	return e;
}

/* The arrivals that a file's scenario draws, as a trace another file can name. */
int sim_cmd_trace(int argc, char **argv, char err[256])
{
	struct sim_args a;
	struct sim_scenario sc;
	struct sim_world w;
	uint32_t seeds;
	int e = sim_args_parse(&a, argc, argv, "oracle", 0, err);

	if (e)
		return e;
	struct source s = { .path = argv[0], .seed = a.seed };
	for (const struct sim_named *n = sim_named; n->name; n++)
		if (strcmp(argv[0], n->name) == 0)
			s.named = n;
	e = load(&s, &sc, &seeds, err);
	if (e)
		return e;
	e = sim_world_make(&w, &sc, sim_mix(a.seed, 0));
	if (!e) {
		printf("# %s, seed %llu: seconds, size in ms of one core\n", sc.name, (unsigned long long)a.seed);
		for (uint32_t i = 0; i < w.flows; i++)
			printf("%.6f %.4f\n", w.flow[i].at_s, fmax(w.flow[i].size_s * 1e3, 1e-4));
		sim_world_free(&w);
	}
	sim_scenario_free(&sc);
	return e;
}
