/* SPDX-License-Identifier: Apache-2.0 */
/* What a policy sees, computed once here for `inference`, simulator and training. Frames (of any period) are folded into native
 * steps of 200 ms; a step is complete when at least that much data-plane time has passed since the last.
 * Feature names, order and presence mask: observe.c's table, exported below; the schema version changes with any of it. */
#ifndef MARLLB_OBSERVE_H
#define MARLLB_OBSERVE_H
#include "kalman.h"
#include "layout.h"

#define MLB_OBS_SCHEMA 1u
#define MLB_OBS_SERVER_FEATURES 15u
#define MLB_OBS_POOL_FEATURES 6u
#define MLB_OBS_STEP_US 200000u

extern const char *const mlb_obs_server_names[MLB_OBS_SERVER_FEATURES];
extern const char *const mlb_obs_pool_names[MLB_OBS_POOL_FEATURES];

/* What is remembered of a server between steps. Keyed by server id; plain data, so that it can be checkpointed as bytes. */
struct mlb_obs_srv {
	uint32_t id;
	uint32_t steps; /* native steps seen */
	struct mlb_kalman_srv kalman;
	uint64_t flow_us, wait_us, completions, refusals, resets, unanswered, new_flows, answers; /* at the last step */
	uint64_t at_us; /* data-plane time of the last step */
	float ema[8];   /* decayed figures, meaning in observe.c */
	float connect_min_us; /* least connect time of the last 10 s */
	uint32_t pad;
};
struct mlb_obs_state {
	uint32_t schema; /* MLB_OBS_SCHEMA */
	uint32_t n;
	uint64_t last_us; /* data-plane time of the last native step, 0 = none */
	struct mlb_kalman_pool pool;
	struct mlb_obs_srv srv[]; /* n of them, order of the last frame */
};
#define MLB_OBS_STATE_SIZE(n) (sizeof(struct mlb_obs_state) + (size_t)(n) * sizeof(struct mlb_obs_srv))

struct mlb_obs_out {
	uint32_t n;        /* servers, order of the frame */
	uint32_t stepped;  /* 1: a native step was made; 0: frame folded, features as before */
	float *server;     /* [n * MLB_OBS_SERVER_FEATURES] */
	float *pool;       /* [MLB_OBS_POOL_FEATURES] */
	float *kalman;     /* [n] Kalman weights, mean 1 */
	float out_of_range; /* share of features clipped to the trained range, 0..1 */
};

/* Takes a frame (header and count records) and the state before; writes the state after (room for hdr->count servers) and the
 * observation. `prev` may be NULL (nothing known). Servers are matched by id; new ones join; a new dp_epoch forgets counts but
 * keeps nothing else. kappa: as in effect, flows. Errors: -EINVAL (schema or record size), -E2BIG. */
int mlb_observe(const struct mlb_frame_hdr *, const struct mlb_server_rec *, const struct mlb_obs_state *prev,
		struct mlb_obs_state *next, struct mlb_obs_out *out);
#endif
