/* SPDX-License-Identifier: Apache-2.0 */
/* The parts of reading a scenario file, private to scenario_json.c (the whole), scenario_servers.c, scenario_arrivals.c and
 * scenario_events.c. Each reads its keys of the object `o` into c->sc. */
#ifndef MARLLB_SIM_SCENARIO_READ_H
#define MARLLB_SIM_SCENARIO_READ_H
#include "json_read.h"
#include "scenario.h"

#define ARRIVALS_MAX 3e8
#define TIME_MAX 1e6 /* s */

extern const char *const sim_servers_keys[], *const sim_rtt_keys[];
void sim_read_servers(struct read_ctx *, const struct json *o);
void sim_read_rtt(struct read_ctx *, const struct json *o);

extern const char *const sim_arrivals_keys[], *const sim_sine_keys[], *const sim_steps_keys[];
void sim_read_arrivals(struct read_ctx *, const struct json *o);

extern const char *const sim_noisy_keys[],
	*const sim_hang_keys[], *const sim_stalls_keys[], *const sim_slowdowns_keys[], *const sim_absences_keys[],
											       *const sim_faults_keys[];
void sim_read_events(struct read_ctx *, const struct json *o);

/* Reads each of the objects of o's array `key`, at most `most`; NULL where it is absent. For a loop over ->next. */
const struct json *sim_read_list(struct read_ctx *, const struct json *o, const char *key, uint32_t most);
/* How long and how often: "at_s" (needed), "for_s" (absent: INFINITY), "every_s" (absent: 0). */
void sim_read_times(struct read_ctx *, const struct json *k, const char *what, double *at_s, double *for_s, double *every_s);
#endif
