/* SPDX-License-Identifier: Apache-2.0 */
/* Counts that somebody else made: for a data plane that forwards nothing itself and only steers an outside load balancer (weights
 * out by mlb_dp_hooks.weights, counts in by this). Such a data plane reports no event of a flow. */
#ifndef MARLLB_WORKER_IMPORT_H
#define MARLLB_WORKER_IMPORT_H
#include "worker.h"

#ifdef __cplusplus
extern "C" {
#endif

/* What an outside load balancer knows of one server. It counts up from zero at its own starts: the adapter subtracts. */
struct mlb_counts {
	uint32_t flows, waiting; /* now */
	/* Since the last import of this slot. */
	uint64_t new_flows, answers, bytes_in, bytes_out;
	uint64_t ended[MLB_END_COUNT]; /* by enum mlb_end */
};

/* The worker's, as every mlb_ev_*: one worker imports a slot, `now` never goes back. Integrals over time go by the gauges of the
 * import before, so they are as fine as the period of imports. -EINVAL where the counts contradict each other: more flows, or
 * more ends, than there can be. Then nothing is taken. */
int mlb_ev_import(struct mlb_wvip *, uint32_t s, const struct mlb_counts *, uint64_t now);

#ifdef __cplusplus
}
#endif
#endif
