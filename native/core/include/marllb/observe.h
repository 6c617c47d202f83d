/* SPDX-License-Identifier: Apache-2.0 */
/* What a policy sees, computed once here for `inference`, simulator and training. Frames (of any period) are folded into native
 * steps of 200 ms. A step is made by the second frame ever seen (as short as that makes it) and then by every frame that brings
 * the data-plane time since the last step to 200 ms, up to half a frame period (at most 20 ms) of jitter; a longer frame is one
 * step. Feature names, order, blocks and trained ranges: observe.c's tables, exported below; the schema version changes with any
 * of it.
 *
 * What speaks of capacity, the same for every policy: flow-seconds and the flows that ended; where connections carry many
 * requests (or the VIP's load is `waiting`) and the data plane sees answers, waiting time and answers instead, whatever the
 * choice counts. Time on the wire is taken out: a round trip (least connect time of 5 to 10 s) for each end. An end too quick to
 * be work, a refusal, a reset or an empty end is no completion. The balance is judged by what the choice counts.
 *
 * Read of a frame: hdr schema, record_size, dp_epoch, mono_ns, load, one_way, kappa, load_balancers, load_balancer; rec id,
 * address, port, bias, flows, waiting, weight_static, new_flows, answers, completions, refusals, resets, unanswered, empty_ends,
 * quick_ends, quick_answers, flow_us, wait_us, start_sum_us, last_completion_us, joined_us, peer, connect (samples, min),
 * duration_hist, ttfb_hist. */
#ifndef MARLLB_OBSERVE_H
#define MARLLB_OBSERVE_H
#include "observe_types.h"
#ifdef __cplusplus
extern "C" {
#endif

/* Takes a frame (header and hdr->count records) and the state before; writes the state after (room for hdr->count servers; must
 * not overlap prev) and the observation. `prev` may be NULL (nothing known); one of another dp_epoch counts as NULL, since ids
 * mean nothing there. Servers are matched by id. A new id at an address that left less than 10 minutes ago goes on from what it
 * was; any other joins (mlb_kalman_join). A changed configured weight moves the Kalman weight by the same factor. Errors: -EINVAL
 * (schema, record size; a prev that steps do not make: another schema, values that are not finite or out of all range), -E2BIG
 * (more than MLB_MAX_SERVERS_PER_VIP). */
int mlb_observe(const struct mlb_frame_hdr *, const struct mlb_server_rec *, const struct mlb_obs_state *prev,
		struct mlb_obs_state *next, struct mlb_obs_out *out);

/* Zeroes what changes from frame to frame and mlb_observe does not read (summaries, traffic, the share in effect): who keeps
 * frames to observe them again would keep mostly these. */
void mlb_obs_strip(struct mlb_server_rec *, uint32_t count);

/* stratum[count]: where in 0..1 this load balancer stands with each server. Counts are whole flows, and so few a load balancer
 * that all of them would send their next one to the same servers; a kappa of its own for each (load balancer, server) rounds
 * differently in each. The numbers are spread evenly both ways, so that the rounding cancels in the sums: over the load balancers
 * of a server by (number - .5) / M, over the servers of a load balancer by the golden ratio times the server's rank by address
 * and port, which all load balancers know alike. Where the number is not told, the data plane's epoch draws it. */
void mlb_obs_strata(const struct mlb_frame_hdr *, const struct mlb_server_rec *, float *stratum);

/* How many features a schema has; the first ones of the present schema's. False: the schema is not known here. */
bool mlb_obs_sizes(uint32_t schema, uint32_t *server, uint32_t *pool);

/* Zeroes the features of the blocks not in `present` and the pool's presence flags with them: for training with blocks masked. */
void mlb_obs_mask(struct mlb_obs_out *, uint32_t present);

#ifdef __cplusplus
}
#endif
#endif
