/* SPDX-License-Identifier: Apache-2.0 */
#include "cli.h"
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int add(struct sim_args *a, const char *text, char err[256])
{
	if (a->strategies == SIM_STRATEGIES_MAX) {
		snprintf(err, 256, "more than %u strategies", SIM_STRATEGIES_MAX);
		return -E2BIG;
	}
	return sim_strategy_parse(&a->strategy[a->strategies++], text, err);
}

static int add_list(struct sim_args *a, const char *list, char err[256])
{
	char copy[4096], *save;
	int e = 0;

	if (snprintf(copy, sizeof(copy), "%s", list) >= (int)sizeof(copy)) {
		snprintf(err, 256, "--strategy is longer than %zu characters", sizeof(copy) - 1);
		return -E2BIG;
	}
	for (char *s = strtok_r(copy, ",", &save); s && !e; s = strtok_r(NULL, ",", &save))
		e = add(a, s, err);
	return e;
}

static int number(const char *flag, const char *text, double lo, double hi, double *out, char err[256])
{
	char *end;

	*out = strtod(text, &end);
	if (end != text && !*end && *out >= lo && *out <= hi)
		return 0;
	snprintf(err, 256, "%s %.60s: expected a number from %.0f to %.0f", flag, text, lo, hi);
	return -EINVAL;
}

static int whole(const char *flag, const char *text, double lo, double hi, double *out, char err[256])
{
	int e = number(flag, text, lo, hi, out, err);

	if (e || *out == floor(*out))
		return e;
	snprintf(err, 256, "%s %.60s: expected a whole number", flag, text);
	return -EINVAL;
}

/* Indices of the strategies that a list names, as they are written in --strategy. */
static int find_named(const struct sim_args *a, const char *flag, const char *list, uint32_t *count, uint32_t *at, char err[256])
{
	char copy[1024], *save;

	if (snprintf(copy, sizeof(copy), "%s", list) >= (int)sizeof(copy)) {
		snprintf(err, 256, "%s is longer than %zu characters", flag, sizeof(copy) - 1);
		return -E2BIG;
	}
	for (char *s = strtok_r(copy, ",", &save); s; s = strtok_r(NULL, ",", &save)) {
		uint32_t before = *count;
		for (uint32_t k = 0; k < a->strategies; k++)
			if (strcmp(a->strategy[k].name, s) == 0 && *count < SIM_STRATEGIES_MAX)
				at[(*count)++] = k;
		if (*count == before) {
			snprintf(err, 256, "%s %.60s: is not among the strategies, as they are written in --strategy", flag, s);
			return -EINVAL;
		}
	}
	return 0;
}

/* What the figures are relative to. The default may be absent, one that was asked for may not. */
static int find_references(struct sim_args *a, const char *asked, char err[256])
{
	char why[256];
	int e = find_named(a, "--reference", asked ? asked : "oracle", &a->references, a->against, asked ? err : why);

	a->reference = a->references ? a->against[0] : SIM_STRATEGIES_MAX;
	return asked ? e : 0;
}

struct given { /* what only makes sense together */
	const char *strategies, *exec, *reference, *best;
	double gossip_ms;
	char trust[64];
};

enum kind { TEXT, NUMBER, WHOLE, TRUST, YES };

/* One row an option: how it is read, where to, what --help says. */
static const struct option {
	const char *flag, *value, *help;
	enum kind kind;
	double lo, hi;
} options[] = {
	{ "--strategy", "A,B,...", "default oracle,SED,kalman+sed; with --policy-exec: none", TEXT, 0, 0 },
	{ "--seed", "S", "default 1; same seed, same result", WHOLE, 0, 9e15 },
	{ "--n", "N", "scenarios of a family (default 2000), seeds of a file or name (default: the file's)", WHOLE, 1, 1e7 },
	{ "--threads", "T", "default: all cores; results do not depend on it", WHOLE, 1, 64 },
	{ "--reference", "A,B,...", "strategies the figures are relative to (a table shows the first); default oracle", TEXT, 0,
	  0 },
	{ "--best", "A,B,...", "a family: the figures too over the best of these in each scenario, in hindsight", TEXT, 0, 0 },
	{ "--gossip", "MS", "all strategies: counts of the other load balancers, published this often", NUMBER, 0, 1e5 },
	{ "--envelope", "trust=C", "all strategies: weights pass the envelope (exact, hint, none or a number)", TRUST, 0, 0 },
	{ "--policy-exec", "CMD", "adds the strategy exec:CMD+sed", TEXT, 0, 0 },
	{ "--tick-ms", "T", "another tick than the scenario's", NUMBER, 1, 1e5 },
	{ "--horizon", "S", "a family's scenarios: arrivals for so long instead", NUMBER, 10, 1e6 },
	{ "--json", "", "one JSON object instead of a table", YES, 0, 0 },
};
#define OPTIONS (sizeof(options) / sizeof(options[0]))

void sim_args_help(FILE *to)
{
	for (size_t i = 0; i < OPTIONS; i++)
		fprintf(to, "  %s %-*s%s\n", options[i].flag, (int)(20 - strlen(options[i].flag)), options[i].value,
			options[i].help);
}

static void set_text(struct given *g, const char *flag, const char *value)
{
	if (!strcmp(flag, "--strategy"))
		g->strategies = value;
	else if (!strcmp(flag, "--reference"))
		g->reference = value;
	else if (!strcmp(flag, "--best"))
		g->best = value;
	else
		g->exec = value;
}

static void set_number(struct sim_args *a, struct given *g, const char *flag, double v)
{
	if (!strcmp(flag, "--seed"))
		a->seed = (uint64_t)v;
	else if (!strcmp(flag, "--n"))
		a->n = (uint32_t)v;
	else if (!strcmp(flag, "--threads"))
		a->threads = (uint32_t)v;
	else if (!strcmp(flag, "--gossip"))
		g->gossip_ms = v;
	else if (!strcmp(flag, "--horizon"))
		a->horizon_s = v;
	else
		a->tick_s = v * 1e-3;
}

/* One option and its value. */
static int set(struct sim_args *a, struct given *g, const char *flag, const char *value, char err[256])
{
	const struct option *o = options;
	double v;
	int e;

	while (o < options + OPTIONS && strcmp(o->flag, flag))
		o++;
	if (o == options + OPTIONS || (o->kind == TRUST && strncmp(value, "trust=", 6))) {
		snprintf(err, 256, "%.60s %.60s: unknown option (see marllb-sim --help)", flag, value);
		return -EINVAL;
	}
	switch (o->kind) {
	case TEXT: set_text(g, flag, value); return 0;
	case TRUST: snprintf(g->trust, sizeof(g->trust), "%s", value + 6); return 0;
	default:
		e = (o->kind == WHOLE ? whole : number)(flag, value, o->lo, o->hi, &v, err);
		if (!e)
			set_number(a, g, flag, v);
		return e;
	}
}

/* The strategies asked for, and what holds for all of them. */
static int find_strategies(struct sim_args *a, const struct given *g, const char *defaults, char err[256])
{
	int e = g->strategies || !g->exec ? add_list(a, g->strategies ? g->strategies : defaults, err) : 0;

	if (!e && g->exec) {
		char text[512];
		if (strlen(g->exec) > 180) {
			snprintf(err, 256, "--policy-exec: the command is longer than 180 characters; put it into a script");
			return -EINVAL;
		}
		snprintf(text, sizeof(text), "exec:%s+sed", g->exec);
		e = add(a, text, err);
	}
	for (uint32_t k = 0; k < a->strategies && !e; k++) {
		struct sim_strategy *s = &a->strategy[k];
		if (s->chooser == SIM_CHOOSE_ORACLE)
			continue;
		if (!isnan(g->gossip_ms) && isnan(s->gossip_s))
			s->gossip_s = g->gossip_ms * 1e-3;
		if (g->trust[0] && isnan(s->trust))
			e = sim_strategy_option(s, "trust", g->trust, err);
	}
	if (!e && !a->strategies) {
		snprintf(err, 256, "--strategy: expected at least one");
		return -EINVAL;
	}
	return e;
}

int sim_args_parse(struct sim_args *a, int argc, char **argv, const char *defaults, uint32_t n_default, char err[256])
{
	struct given g = { .gossip_ms = NAN };
	int e = 0;

	memset(a, 0, sizeof(*a));
	a->seed = 1;
	a->n = n_default;
	a->threads = (uint32_t)sysconf(_SC_NPROCESSORS_ONLN);
	for (int i = 1; i < argc && !e; i++) {
		if (strcmp(argv[i], "--json") == 0) {
			a->json = true;
		} else if (i + 1 < argc) {
			e = set(a, &g, argv[i], argv[i + 1], err);
			i++;
		} else {
			snprintf(err, 256, "%.60s: unknown option, or its value is missing (see marllb-sim --help)", argv[i]);
			e = -EINVAL;
		}
	}
	if (!e)
		e = find_strategies(a, &g, defaults, err);
	if (!e && g.best)
		e = find_named(a, "--best", g.best, &a->bests, a->best, err);
	return e ? e : find_references(a, g.reference, err);
}
