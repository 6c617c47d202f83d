/* SPDX-License-Identifier: Apache-2.0 */
#include "strategy.h"
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

static const char help_after_policies[] =
	"            model:FILE.onnx (a network); exec:COMMAND (an outside policy over a pipe);\n"
	"            hlb (after Yao 2022), knapsack (KnapsackLB's controller), strata (Kalman and the strata of a model without "
	"its network),\n"
	"            true (true capacities), avail (configured weight x polled idle share),\n"
	"            adversary:reverse|chase|flip|herd (what an envelope leaves a policy that does harm)\n"
	"  modes     hash alias sed p2c\n"
	"  names     ECMP = uniform+hash  WCMP = static+alias  AWCMP = avail+alias  LSQ = uniform+sed  SED = static+sed\n"
	"            Prequal (probes, hot-cold rule)  oracle (true jobs and capacities, no delay)\n"
	"  @kappa=X  X flows, or 1/M; @trust=C the envelope with this c (exact .1, hint 1.5, none 3)\n"
	"  @light=off no choice by weight at light load\n"
	"  @gossip=MS[:DELAY_MS[:LOST]]  counts of the other load balancers, published this often, so late, a share of them "
	"lost\n";

void sim_strategy_help(FILE *to)
{
	fprintf(to, "A strategy is POLICY[:ARG]+MODE[@KEY=VALUE]... or a known name, several separated by commas.\n");
	for (size_t i = 0; mlb_policies[i]; i++)
		fprintf(to, "  %-9s %s (%s)\n", i ? "" : "policies", mlb_policies[i]->name, mlb_policies[i]->help);
	fputs(help_after_policies, to);
}

/* The core's heuristics, one after another, for an error's text. */
static const char *heuristic_names(char text[160])
{
	size_t at = 0;

	for (size_t i = 0; mlb_policies[i] && at < 160; i++)
		at += (size_t)snprintf(text + at, 160 - at, "%s%s", i ? ", " : "", mlb_policies[i]->name);
	return text;
}

static const struct known {
	const char *name, *means;
	enum sim_chooser chooser;
} known[] = {
	{ "ECMP", "uniform+hash", SIM_CHOOSE_CORE },      { "WCMP", "static+alias", SIM_CHOOSE_CORE },
	{ "AWCMP", "avail+alias", SIM_CHOOSE_CORE },      { "LSQ", "uniform+sed", SIM_CHOOSE_CORE },
	{ "SED", "static+sed", SIM_CHOOSE_CORE },         { "oracle", "uniform+sed", SIM_CHOOSE_ORACLE },
	{ "Prequal", "uniform+sed", SIM_CHOOSE_PREQUAL },
};

static int number(const char *text, double lo, double hi, double *out)
{
	char *end;

	*out = strtod(text, &end);
	return end == text || *end || !(*out >= lo && *out <= hi) ? -EINVAL : 0;
}

/* MS[:DELAY_MS[:LOST]] */
static int gossip(struct sim_strategy *st, const char *text)
{
	char copy[64], *save, *part;
	static const double most[3] = { 1e5, 1e5, .99 }, scale[3] = { 1e-3, 1e-3, 1 };
	double *const to[3] = { &st->gossip_s, &st->gossip_delay_s, &st->gossip_lost }, v;
	int n = 0;

	if (snprintf(copy, sizeof(copy), "%s", text) >= (int)sizeof(copy))
		return -EINVAL;
	for (part = strtok_r(copy, ":", &save); part; part = strtok_r(NULL, ":", &save), n++) {
		if (n == 3 || number(part, 0, most[n], &v))
			return -EINVAL;
		*to[n] = v * scale[n];
	}
	return n ? 0 : -EINVAL;
}

static int option(struct sim_strategy *st, const char *text, char err[256])
{
	if (strncmp(text, "kappa=", 6) == 0) {
		if (strcmp(text + 6, "1/M") == 0) {
			st->kappa_per_lb = true;
			return 0;
		}
		if (number(text + 6, 0, 1e6, &st->kappa) == 0)
			return 0;
	} else if (strncmp(text, "trust=", 6) == 0) {
		const struct mlb_word *word = mlb_word_find(mlb_trust_words, text + 6);
		if (word)
			st->trust = word->value;
		if (word || number(text + 6, 0, 20, &st->trust) == 0)
			return 0;
	} else if (strncmp(text, "gossip=", 7) == 0) {
		if (gossip(st, text + 7) == 0)
			return 0;
	}
	if (strcmp(text, "light=off") == 0) {
		st->light_off = true;
		return 0;
	}
	snprintf(err, 256,
		 "strategy option \"%.60s\": expected kappa=NUMBER, kappa=1/M, trust=NUMBER|exact|hint|none, "
		 "gossip=MS[:DELAY_MS[:LOST]] or "
		 "light=off",
		 text);
	return -EINVAL;
}

/* Where the options begin, NULL without any: at the first @ behind the mode, for paths and commands may hold one. */
static const char *options_of(const char *text)
{
	for (const char *p = text + strlen(text); p-- > text;)
		for (const struct mlb_word *w = mlb_mode_words + 1; *p == '+' && w->word; w++) {
			size_t len = strlen(w->word);
			if (strncmp(p + 1, w->word, len) == 0 && (!p[1 + len] || p[1 + len] == '@'))
				return p[1 + len] ? p + 1 + len : NULL;
		}
	return strchr(text, '@'); /* a known name, or an error that is told later */
}

static int policy_and_mode(struct sim_strategy *st, char *text, char err[256])
{
	char *plus = strrchr(text, '+'), *colon = strchr(text, ':');

	if (!plus) {
		snprintf(
			err, 256,
			"strategy \"%.60s\": expected POLICY+MODE or a known name (ECMP, WCMP, AWCMP, LSQ, SED, Prequal, oracle)",
			text);
		return -EINVAL;
	}
	*plus = 0;
	int mode = mlb_mode_parse(plus + 1);
	if (mode <= MLB_MODE_KEEP) {
		char list[80];
		snprintf(err, 256, "mode \"%.60s\": expected %s", plus + 1,
			 mlb_words_list(mlb_mode_words + 1, list, sizeof(list)));
		return -EINVAL;
	}
	st->mode = (enum mlb_mode)mode;
	if (colon && colon < plus) {
		*colon = 0;
		snprintf(st->arg, sizeof(st->arg), "%s", colon + 1);
	}
	st->policy = sim_policy_find(text);
	if (!st->policy) {
		char names[160];
		snprintf(err, 256,
			 "policy \"%.40s\": expected %.80s, hlb, knapsack, strata, true, avail, model:FILE, exec:COMMAND or "
			 "adversary:KIND",
			 text, heuristic_names(names));
		return -EINVAL;
	}
	if (st->arg[0] && !st->policy->takes_arg) {
		snprintf(err, 256, "policy \"%.60s\": takes no argument, found \"%.60s\"", text, st->arg);
		return -EINVAL;
	}
	return 0;
}

int sim_strategy_option(struct sim_strategy *st, const char *key, const char *value, char err[256])
{
	char text[128];

	snprintf(text, sizeof(text), "%s=%s", key, value);
	return option(st, text, err);
}

int sim_strategy_parse(struct sim_strategy *st, const char *text, char err[256])
{
	char copy[384], options[384], *save;
	const char *at = options_of(text);

	memset(st, 0, sizeof(*st));
	st->kappa = st->trust = st->gossip_s = st->gossip_delay_s = st->gossip_lost = NAN;
	if (strlen(text) >= sizeof(st->arg) - 64) {
		snprintf(err, 256, "strategy \"%.40s...\" is longer than 190 characters", text);
		return -EINVAL;
	}
	snprintf(st->name, sizeof(st->name), "%.127s", text);
	snprintf(copy, sizeof(copy), "%.*s", at ? (int)(at - text) : (int)strlen(text), text);
	snprintf(options, sizeof(options), "%s", at ? at + 1 : "");
	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
		if (strcasecmp(copy, known[i].name) == 0) {
			snprintf(copy, sizeof(copy), "%s", known[i].means);
			st->chooser = known[i].chooser;
			break;
		}
	int e = policy_and_mode(st, copy, err);
	for (char *o = strtok_r(options, "@", &save); o && !e; o = strtok_r(NULL, "@", &save))
		e = option(st, o, err);
	return e;
}
