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

/* What the figures are relative to. The default may be absent, one that was asked for may not. */
static int find_references(struct sim_args *a, const char *asked, char err[256])
{
	char copy[1024], *save;

	if (snprintf(copy, sizeof(copy), "%s", asked ? asked : "oracle") >= (int)sizeof(copy)) {
		snprintf(err, 256, "--reference is longer than %zu characters", sizeof(copy) - 1);
		return -E2BIG;
	}
	for (char *s = strtok_r(copy, ",", &save); s; s = strtok_r(NULL, ",", &save)) {
		uint32_t before = a->references;
		for (uint32_t k = 0; k < a->strategies; k++)
			if (strcmp(a->strategy[k].name, s) == 0 && a->references < SIM_STRATEGIES_MAX)
				a->against[a->references++] = k;
		if (asked && a->references == before) {
			snprintf(err, 256, "--reference %.60s: is not among the strategies, as they are written in --strategy",
				 s);
			return -EINVAL;
		}
	}
	a->reference = a->references ? a->against[0] : SIM_STRATEGIES_MAX;
	return 0;
}

int sim_args_parse(struct sim_args *a, int argc, char **argv, const char *defaults, uint32_t n_default, char err[256])
{
	const char *list = NULL, *exec = NULL, *reference = NULL;
	double v, gossip_ms = NAN;
	char trust[64] = "";
	int e = 0;

	memset(a, 0, sizeof(*a));
	a->seed = 1;
	a->n = n_default;
	a->threads = (uint32_t)sysconf(_SC_NPROCESSORS_ONLN);
	for (int i = 1; i < argc && !e; i++) {
		const char *f = argv[i], *val = i + 1 < argc ? argv[i + 1] : NULL;
		if (strcmp(f, "--json") == 0) {
			a->json = true;
			continue;
		}
		if (!val) {
			snprintf(err, 256, "%.60s: unknown option, or its value is missing (see marllb-sim --help)", f);
			return -EINVAL;
		}
		i++;
		if (strcmp(f, "--strategy") == 0) {
			list = val;
		} else if (strcmp(f, "--reference") == 0) {
			reference = val;
		} else if (strcmp(f, "--policy-exec") == 0) {
			exec = val;
		} else if (strcmp(f, "--seed") == 0) {
			e = whole(f, val, 0, 9e15, &v, err);
			a->seed = (uint64_t)v;
		} else if (strcmp(f, "--n") == 0) {
			e = whole(f, val, 1, 1e7, &v, err);
			a->n = (uint32_t)v;
		} else if (strcmp(f, "--threads") == 0) {
			e = whole(f, val, 1, 64, &v, err);
			a->threads = (uint32_t)v;
		} else if (strcmp(f, "--gossip") == 0) {
			e = number(f, val, 0, 1e5, &gossip_ms, err);
		} else if (strcmp(f, "--tick-ms") == 0) {
			e = number(f, val, 1, 1e5, &v, err);
			a->tick_s = v * 1e-3;
		} else if (strcmp(f, "--envelope") == 0 && strncmp(val, "trust=", 6) == 0) {
			snprintf(trust, sizeof(trust), "%s", val + 6);
		} else {
			snprintf(err, 256, "%.60s %.60s: unknown option (see marllb-sim --help)", f, val);
			return -EINVAL;
		}
	}
	if (!e && (list || !exec))
		e = add_list(a, list ? list : defaults, err);
	if (!e && exec) {
		char text[512];
		if (strlen(exec) > 180) {
			snprintf(err, 256, "--policy-exec: the command is longer than 180 characters; put it into a script");
			return -EINVAL;
		}
		snprintf(text, sizeof(text), "exec:%s+sed", exec);
		e = add(a, text, err);
	}
	for (uint32_t k = 0; k < a->strategies && !e; k++) {
		struct sim_strategy *s = &a->strategy[k];
		if (s->chooser == SIM_CHOOSE_ORACLE)
			continue;
		if (!isnan(gossip_ms) && isnan(s->gossip_s))
			s->gossip_s = gossip_ms * 1e-3;
		if (trust[0] && isnan(s->trust))
			e = sim_strategy_option(s, "trust", trust, err);
	}
	if (!e && !a->strategies) {
		snprintf(err, 256, "--strategy: expected at least one");
		return -EINVAL;
	}
	return e ? e : find_references(a, reference, err);
}
