/* SPDX-License-Identifier: Apache-2.0 */
/* Scenario files, as scenario.schema.json describes them. */
#ifndef MARLLB_SIM_SCENARIO_JSON_H
#define MARLLB_SIM_SCENARIO_JSON_H
#include "json.h"
#include "scenario.h"

/* seeds: how many worlds to average over. dir: where a trace's relative path starts. Errors name line and key. */
int sim_scenario_parse(struct sim_scenario *, uint32_t *seeds, const char *text, size_t len, const char *dir, char err[256]);
int sim_scenario_read(struct sim_scenario *, uint32_t *seeds, const char *path, char err[256]);

/* Keys that the reader knows of each object; the test holds the schema against them. */
struct sim_scenario_keys {
	const char *object;      /* "" is the file itself */
	const char *const *keys; /* NULL-terminated */
};
extern const struct sim_scenario_keys sim_scenario_keys[];

/* The scenarios that docs/scenarios.md names: the files of scenarios/, built in. */
struct sim_named {
	const char *name, *text;
};
extern const struct sim_named sim_named[]; /* ends with a NULL name */
#endif
