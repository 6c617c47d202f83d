/* SPDX-License-Identifier: Apache-2.0 */
#ifndef MARLLB_SIM_REPORT_H
#define MARLLB_SIM_REPORT_H
#include "batch.h"
#include "cli.h"

/* One scenario over its seeds: means over seeds, and ratios of sums over seeds to the reference with a 95 % interval over seeds
 * (jackknife). first: opens the JSON object, which the caller closes once all went well. */
void sim_report(const struct sim_args *, const struct sim_batch *, const char *scenario, bool first);
/* To stdout, as the inside of a JSON string. */
void sim_print_escaped(const char *);
void sim_print_number(double); /* null where it is none */
#endif
