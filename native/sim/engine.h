/* SPDX-License-Identifier: Apache-2.0 */
/* One run: a world, a strategy, a result. Re-entrant; a run owns all of its memory. */
#ifndef MARLLB_SIM_ENGINE_H
#define MARLLB_SIM_ENGINE_H
#include "result.h"
#include "scenario.h"
#include "strategy.h"

/* 0 or negative errno with a sentence in err. */
int sim_run(const struct sim_world *, const struct sim_strategy *, struct sim_result *, char err[256]);
#endif
