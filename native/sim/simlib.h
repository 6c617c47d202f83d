/* SPDX-License-Identifier: Apache-2.0 */
/* The simulator as a shared library for training (ctypes): plain C types, handles, no callbacks. A handle is used by one thread
 * at a time; different handles are independent. Functions return 0 or negative errno and a sentence in err[256]. */
#ifndef MARLLB_SIM_SIMLIB_H
#define MARLLB_SIM_SIMLIB_H
#include <stdint.h>

struct simlib_world;
struct simlib_model;

/* Family v1 or v2 with what training varies on top; all probabilities 0 and the ranges of the family give the family itself. */
struct simlib_family {
	uint32_t family, pad; /* 1, 2 */
	double n_lo, n_hi;    /* N = floor LU(lo, hi); v1: 2, 65 */
	uint32_t m_lo, m_hi;  /* load balancers; v1: 1, 6 */
	double p_rtt;         /* an RTT per server, LU(.2, 5) ms */
	double p_sparse;      /* sizes so large that a load balancer, server and tick sees LU(.03, .5) flows */
	double p_mask;        /* a block of features masked */
	double p_tick;        /* ticks of 50, 500 or 1000 ms instead of 200 */
	double p_right;       /* configured weights set to the true capacities, on top of v1's .40 */
	double p_sessions;    /* connections of 4..12 requests with pauses of LU(.1, .5) s, load `waiting` */
};

int simlib_world_new(struct simlib_world **, const struct simlib_family *, uint64_t seed, uint64_t index, char *err);
void simlib_world_free(struct simlib_world *);
/* SIMLIB_N: slots, with those of servers that come back under new ids. */
enum { SIMLIB_N, SIMLIB_M, SIMLIB_FLOWS, SIMLIB_TICK_S, SIMLIB_MASK, SIMLIB_SIZE_S, SIMLIB_SPARSITY, SIMLIB_INFO_COUNT };
void simlib_world_info(const struct simlib_world *, double out[SIMLIB_INFO_COUNT]);

/* An ONNX model from bytes; its parameters ("w.*") can be replaced as often as one likes. */
int simlib_model_new(struct simlib_model **, const void *onnx, uint64_t len, char *err);
void simlib_model_free(struct simlib_model *);
uint64_t simlib_model_params(const struct simlib_model *);
void simlib_model_get(const struct simlib_model *, float *);
void simlib_model_set(struct simlib_model *, const float *);

/* One run of a strategy (strategy.h); "model+sed" runs `model`, which may be NULL otherwise. */
enum {
	SIMLIB_MEAN,
	SIMLIB_P99,
	SIMLIB_CVAR95,
	SIMLIB_MEAN_LOG,
	SIMLIB_MEASURED,
	SIMLIB_REFUSED,
	SIMLIB_JOBS,
	SIMLIB_FAILED,
	SIMLIB_RESULT_COUNT
};
int simlib_run(const struct simlib_world *, const char *strategy, const struct simlib_model *model,
	       double out[SIMLIB_RESULT_COUNT], char *err);

/* A run with everything written down, for gradients: arrays of [M][steps][N]... in the caller's memory, zeroed by it; `steps`
 * native steps a load balancer at most. NULL arrays are skipped. noise_kind 1: input "noise" is standard normal; 2: it is 1000 at
 * one random place of its last axis with probability noise_level, else 0. oracle: choices are the oracle's, the model only
 * watches. */
struct simlib_trace {
	uint32_t steps, noise_kind;
	double noise_level;
	uint64_t noise_seed;
	uint32_t oracle, pad;
	float *server;   /* [M][steps][N][MLB_OBS_SERVER_FEATURES] */
	float *pool;     /* [M][steps][MLB_OBS_POOL_FEATURES] */
	float *present;  /* [M][steps] servers in the list, 0 = step not made */
	float *listed;   /* [M][steps][N] 1: this slot is in the list. The arrays are by slot; what is not in the list stays 0 */
	float *base;     /* [M][steps][N] log of the base weight */
	float *capacity; /* [M][steps][N] true, now: what of it answers requests, at least .005 of the whole */
	float *busy;     /* [M][steps][N] share of the cores in use since the last step */
	float *others;   /* [M][steps][N] the other load balancers' flows */
	float *jobs;     /* [M][steps][N] all jobs in the server */
	float *action;   /* [M][steps][N] output "action", where the model has one */
};
int simlib_trace(const struct simlib_world *, const struct simlib_model *, const struct simlib_trace *,
		 double out[SIMLIB_RESULT_COUNT], char *err);

/* Evaluates a graph alone, to check the evaluator: inputs in order, each with its shape; results are copied to `out` (room for
 * cap floats an output), their element counts to out_len. */
int simlib_eval(const void *onnx, uint64_t len, uint32_t inputs, const float *const *in, const int32_t *rank, const int64_t *dims,
		uint32_t outputs, float *const *out, uint64_t cap, uint64_t *out_len, char *err);

uint32_t simlib_server_features(void);
uint32_t simlib_pool_features(void);
uint32_t simlib_schema(void);
/* Name, block and trained range of a feature; kind 0 server, 1 pool. */
int simlib_feature(uint32_t kind, uint32_t index, char name[64], uint32_t *block, float *lo, float *hi);
#endif
