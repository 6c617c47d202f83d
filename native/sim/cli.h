/* SPDX-License-Identifier: Apache-2.0 */
#ifndef MARLLB_SIM_CLI_H
#define MARLLB_SIM_CLI_H
#include <stdio.h>
#include "strategy.h"

#define SIM_STRATEGIES_MAX 32u

struct sim_args {
	struct sim_strategy strategy[SIM_STRATEGIES_MAX];
	uint32_t strategies, reference;                   /* index of the first reference; SIM_STRATEGIES_MAX: none */
	uint32_t references, against[SIM_STRATEGIES_MAX]; /* all of them */
	uint32_t bests, best[SIM_STRATEGIES_MAX]; /* a family: those whose best, scenario by scenario, all are held against */
	uint32_t n, threads;
	uint64_t seed;
	double tick_s;    /* 0: the scenario's */
	double horizon_s; /* 0: the scenario's */
	bool json;
};

/* Options behind argv[0]; n_default 0 leaves n at 0 when not given. defaults: strategies when none is given. */
int sim_args_parse(struct sim_args *, int argc, char **argv, const char *defaults, uint32_t n_default, char err[256]);
int sim_cmd_family(int argc, char **argv, char err[256]);
int sim_cmd_run(int argc, char **argv, char err[256]);
int sim_cmd_named(int argc, char **argv, char err[256]);
int sim_cmd_counts(int argc, char **argv, char err[256]);
int sim_cmd_trace(int argc, char **argv, char err[256]);
/* The options, for --help. */
void sim_args_help(FILE *);
#endif
