/* SPDX-License-Identifier: Apache-2.0 */
/* A strategy: who sets the weights, how they are used, and under what terms. Written POLICY[:ARG]+MODE[@KEY=VALUE]... or by one
 * of the known names (ECMP, WCMP, AWCMP, LSQ, SED, Prequal, oracle); see sim_strategy_help. */
#ifndef MARLLB_SIM_STRATEGY_H
#define MARLLB_SIM_STRATEGY_H
#include <stdio.h>
#include "policy.h"

enum sim_chooser { SIM_CHOOSE_CORE, SIM_CHOOSE_ORACLE, SIM_CHOOSE_PREQUAL };

struct sim_strategy {
	char name[128]; /* as written */
	const struct sim_policy *policy;
	char arg[256];
	enum mlb_mode mode;
	enum sim_chooser chooser;
	double kappa;      /* NAN: the policy's own */
	bool kappa_per_lb; /* 1 / load balancers, whatever the policy says */
	double trust;      /* envelope's c; NAN: envelope off */
	bool light_off;    /* no choice by weight at light load (light.h), to see what it costs */
	/* Published counts: period (0: none), delay, share of them that is lost; NAN: as the scenario says. */
	double gossip_s, gossip_delay_s, gossip_lost;
};

int sim_strategy_parse(struct sim_strategy *, const char *text, char err[256]);
/* One option, as behind an @: key gossip, trust, kappa or light. */
int sim_strategy_option(struct sim_strategy *, const char *key, const char *value, char err[256]);
/* What a strategy may be, for --help. */
void sim_strategy_help(FILE *);
#endif
