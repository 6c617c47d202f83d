/* SPDX-License-Identifier: Apache-2.0 */
/* The observation as data: features, what is remembered of a server between steps, the result of a step. Made by observe.h. */
#ifndef MARLLB_OBSERVE_TYPES_H
#define MARLLB_OBSERVE_TYPES_H
#include "kalman.h"
#include "layout.h"
#ifdef __cplusplus
extern "C" {
#endif

#define MLB_OBS_SCHEMA 3u
#define MLB_OBS_SERVER_FEATURES 23u
#define MLB_OBS_POOL_FEATURES 14u
/* A schema's features are the first of the next one's, so that a model that was trained with an older one goes on working. */
#define MLB_OBS_SCHEMA_OLDEST 2u
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

#define MLB_OBS_FIGURES 10
#define MLB_OBS_LEFT 32u /* servers that left and are remembered */

/* What is remembered of a server between steps. Keyed by server id; plain data, so that it can be checkpointed as bytes. */
struct mlb_obs_srv {
	uint32_t id;
	uint32_t steps; /* native steps seen */
	struct mlb_addr addr;
	uint32_t port;
	float missed;      /* flows that it would have had as usual since it last had one, where it is held for slow */
	float usual;       /* slow mean of the logarithm of Kalman over configured weight, over the pool's mean of that */
	float usual_steps; /* of evidence behind it */
	struct mlb_kalman_srv kalman;
	uint64_t at[MLB_OBS_FIGURES]; /* cumulative figures at the last step, see observe_priv.h */
	float ema[14];                /* decayed figures, likewise */
	float connect_min[2];         /* least connect time of this and the last window of 5 s, us; 0 = none seen */
	uint32_t ttfb_hist[MLB_HIST_BUCKETS], duration_hist[MLB_HIST_BUCKETS]; /* at the last step */
};
/* A server that left. It may come back under another id: known by its address it is taken for what it was. */
struct mlb_obs_left {
	struct mlb_addr addr;
	uint32_t port, pad; /* port 0: no entry */
	uint64_t left_us;
	double offset;            /* log of Kalman over configured weight, over the pool's mean of that */
	double p;                 /* its variance when it left */
	float usual, usual_steps; /* as of struct mlb_obs_srv */
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
	uint32_t by_waits; /* 1: the evidence of capacity are waits and answers, 0: flows and their ends */
	float ema[12];     /* decayed figures of the pool */
	struct mlb_obs_left left[MLB_OBS_LEFT];
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

#ifdef __cplusplus
}
#endif
#endif
