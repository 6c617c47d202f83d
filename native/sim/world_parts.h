/* SPDX-License-Identifier: Apache-2.0 */
/* The parts of a world, private to world.c, arrivals.c, changes.c and turns.c. Each concern draws from a generator of its own, so
 * that changing one leaves the others' draws alone. */
#ifndef MARLLB_SIM_WORLD_PARTS_H
#define MARLLB_SIM_WORLD_PARTS_H
#include <math.h>
#include "scenario.h"

enum {
	STREAM_ARRIVAL = 1,
	STREAM_SIZE,
	STREAM_FLOW,
	STREAM_CHANGE,
	STREAM_RTT,
	STREAM_STALL,
	STREAM_FAULT,
	STREAM_TOLD,
	STREAM_BURST = STREAM_ARRIVAL + 100
};

/* When occurrence k of something of server j of first.. begins: at_s, each stagger_s after the one before, again every every_s.
 * INFINITY where there is no such occurrence. */
static inline double sim_occurrence(double at_s, double stagger_s, double every_s, uint32_t j, uint32_t k)
{
	return k && every_s <= 0 ? INFINITY : at_s + j * stagger_s + k * every_s;
}

int sim_flows_make(struct sim_world *);
int sim_changes_make(struct sim_world *);
/* Fills turn, turns, slots and server_of. -EINVAL with a sentence in err (256 bytes) where absences overlap, where more servers
 * come than a list holds, or where none is left. */
int sim_turns_make(struct sim_world *, char *err);
#endif
