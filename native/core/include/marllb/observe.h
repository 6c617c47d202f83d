/* SPDX-License-Identifier: Apache-2.0 */
/* What a policy sees, computed once here for `inference`, simulator and training. Frames (of any period) are folded into native
 * steps of 200 ms. A step is made by the second frame ever seen (as short as that makes it) and then by every frame that brings
 * the data-plane time since the last step to 200 ms, up to half a frame period (at most 20 ms) of jitter; a longer frame is one
 * step. Feature names, order, blocks and trained ranges: observe.c's tables, exported below; the schema version changes with any
 * of it.
 *
 * Read of a frame: hdr schema, record_size, dp_epoch, mono_ns, load, one_way, kappa, load_balancers, load_balancer; rec id,
 * address, port, bias, flows, weight_static,
 * new_flows, completions, refusals, resets, unanswered, flow_us, start_sum_us, last_completion_us, joined_us, peer, connect
 * (samples, min), duration_hist; where load is `waiting`: waiting, wait_us, answers, ttfb_hist instead of the flows' own. */
#ifndef MARLLB_OBSERVE_H
#define MARLLB_OBSERVE_H
#include "kalman.h"
#include "layout.h"
#ifdef __cplusplus
extern "C" {
#endif

#define MLB_OBS_SCHEMA 2u
#define MLB_OBS_SERVER_FEATURES 20u
#define MLB_OBS_POOL_FEATURES 10u
#define MLB_OBS_STEP_US 200000u

/* Blocks of features that a data plane may be unable to see; bits of `present`. Counts are always there. */
enum { MLB_OBS_COUNTS = 1u << 0, MLB_OBS_LATENCY = 1u << 1, MLB_OBS_CONNECT = 1u << 2, MLB_OBS_ALL = 7u };

struct mlb_obs_feature {
	const char *name;
	uint32_t block; /* one of MLB_OBS_*; the value is 0 where its block is absent */
	float lo, hi;   /* trained range; what lies outside is clipped and counted */
};
extern const struct mlb_obs_feature mlb_obs_server_features[MLB_OBS_SERVER_FEATURES];
extern const struct mlb_obs_feature mlb_obs_pool_features[MLB_OBS_POOL_FEATURES];

/* What is remembered of a server between steps. Keyed by server id; plain data, so that it can be checkpointed as bytes. */
struct mlb_obs_srv {
	uint32_t id;
	uint32_t steps; /* native steps seen */
	struct mlb_kalman_srv kalman;
	uint64_t load_us, ended, failed, opened; /* cumulative figures at the last step, see observe.c */
	float ema[10];                           /* decayed figures, meaning in observe.c */
	float connect_min[2];                    /* least connect time of this and the last window of 5 s, us; 0 = none seen */
	uint32_t ttfb_hist[MLB_HIST_BUCKETS], duration_hist[MLB_HIST_BUCKETS]; /* at the last step */
};
struct mlb_obs_state {
	uint32_t schema; /* MLB_OBS_SCHEMA */
	uint32_t n;
	uint64_t dp_epoch;
	uint64_t steps;     /* native steps made */
	uint64_t last_us;   /* data-plane time of the last native step, or of the first frame */
	uint64_t seen_us;   /* of the last frame */
	uint64_t window_us; /* start of the connect-time window */
	struct mlb_kalman_pool pool;
	float ema[6];             /* decayed figures of the pool */
	struct mlb_obs_srv srv[]; /* n of them, order of the last frame */
};
#define MLB_OBS_STATE_SIZE(n) (sizeof(struct mlb_obs_state) + (size_t)(n) * sizeof(struct mlb_obs_srv))

struct mlb_obs_out {
	uint32_t n;       /* servers, order of the frame */
	uint32_t stepped; /* 1: a native step was made; 0: frame folded, server and pool untouched, kalman written */
	uint32_t present; /* MLB_OBS_* blocks that this data plane sees */
	uint32_t shared;  /* 1: the choice counts the other load balancers' flows too (some record has `peer`) */
	float *server;    /* [n * MLB_OBS_SERVER_FEATURES] */
	float *pool;      /* [MLB_OBS_POOL_FEATURES] */
	float *kalman;    /* [n] Kalman weights, mean 1 */
	float *stratum;   /* [n] 0..1, see mlb_obs_strata; may be NULL */
	float *latency;   /* [n] as struct mlb_policy_in, for policies without features; may be NULL, untouched without a step */
	double dt;        /* s that the step took, 0 without a step */
	float out_of_range; /* share of features clipped to the trained range, 0..1; of the last step made */
};

/* Takes a frame (header and hdr->count records) and the state before; writes the state after (room for hdr->count servers; must
 * not overlap prev) and the observation. `prev` may be NULL (nothing known); one of another dp_epoch counts as NULL, since ids
 * mean nothing there. Servers are matched by id; a new one joins (mlb_kalman_join), a missing one is forgotten. A changed
 * configured weight moves the Kalman weight by the same factor. Errors: -EINVAL (schema, record size, or prev's schema), -E2BIG
 * (more than MLB_MAX_SERVERS_PER_VIP). */
int mlb_observe(const struct mlb_frame_hdr *, const struct mlb_server_rec *, const struct mlb_obs_state *prev,
		struct mlb_obs_state *next, struct mlb_obs_out *out);

/* stratum[count]: where in 0..1 this load balancer stands with each server. Counts are whole flows, and so few a load balancer
 * that all of them would send their next one to the same servers; a kappa of its own for each (load balancer, server) rounds
 * differently in each. The numbers are spread evenly both ways, so that the rounding cancels in the sums: over the load balancers
 * of a server by (number - .5) / M, over the servers of a load balancer by the golden ratio times the server's rank by address
 * and port, which all load balancers know alike. Where the number is not told, the data plane's epoch draws it. */
void mlb_obs_strata(const struct mlb_frame_hdr *, const struct mlb_server_rec *, float *stratum);

/* Zeroes the features of the blocks not in `present` and the pool's presence flags with them: for training with blocks masked. */
void mlb_obs_mask(struct mlb_obs_out *, uint32_t present);

#ifdef __cplusplus
}
#endif
#endif
