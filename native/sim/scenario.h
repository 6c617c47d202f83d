/* SPDX-License-Identifier: Apache-2.0 */
/* A scenario as drawn from a family or read from a file. Times in seconds, sizes in seconds of one core of speed 1. */
#ifndef MARLLB_SIM_SCENARIO_H
#define MARLLB_SIM_SCENARIO_H
#include <marllb/types.h>

#define SIM_VIPS_MAX 4u
#define SIM_LBS_MAX 64u

enum sim_size_kind { SIM_SIZE_EXP, SIM_SIZE_BIMODAL, SIM_SIZE_PARETO, SIM_SIZE_LOGNORMAL, SIM_SIZE_CONSTANT };

struct sim_sizes {
	enum sim_size_kind kind;
	double mean_s;
	double heavy_share; /* bimodal: of flows; heavy lognormal (sigma .5) with 20 times the light mean, light exponential */
	double alpha;       /* pareto, bounded, max / min = 1000 */
	double sigma;       /* lognormal */
};

struct sim_server_conf {
	double cores, speed, weight;
	double rtt_s;  /* of this server; 0 = the scenario's */
	double join_s; /* 0 = from the start */
};

struct sim_vip_conf {
	double share; /* of all flows */
	struct sim_sizes sizes;
};

struct sim_scenario {
	char name[64];
	uint32_t lbs, n, vips;
	struct sim_server_conf *server; /* [n], those that join later last */
	struct sim_vip_conf vip[SIM_VIPS_MAX];
	double end_s, warm_s, tick_s;             /* arrivals on [0, end); measured from warm */
	double rate;                              /* flows per second, before modulation */
	double sine_a, sine_period_s, sine_phase; /* phase in periods; NAN = drawn */
	double burst;                             /* b: rate x (1 + b) for E x 1 s, x (1 - .2 b) for E x 5 s */
	double daily;    /* Wikipedia-like day squeezed into [0, end): least over greatest rate; 0 = none */
	double *trace_s; /* [traced] arrival times read from a file instead of all this, or NULL */
	double *trace_size_s;
	uint32_t traced;
	double rtt_s;                            /* scenario's mean; each flow x U(.7, 1.3) */
	double rtt_spread_lo_s, rtt_spread_hi_s; /* > 0: each server draws its own, log-uniform */
	uint32_t slots, backlog;                 /* 32, 128 */
	bool fcfs;                               /* as many slots as cores */
	double timeout_s;
	double noisy_phi, noisy_d_s;                 /* share of time degraded, scale of durations; 0 = none */
	double hang_from_s, hang_for_s, hang_factor; /* for_s 0 = none */
	uint32_t hang_server;                        /* MLB_NONE = drawn */
	uint32_t requests;                           /* a connection; 1 = a flow is one request */
	double think_s;                              /* mean pause between the requests of a connection */
	double gossip_s, gossip_delay_s;             /* period of published counts, 0 = none */
	bool load_waiting;                           /* the VIP's load counts flows waiting for an answer */
};

void sim_scenario_init(struct sim_scenario *); /* the defaults of the named scenarios */
void sim_scenario_free(struct sim_scenario *);
/* Sum of cores x speed of the servers that are there from the start (all = false) or ever. */
double sim_scenario_capacity(const struct sim_scenario *, bool all);
double sim_scenario_mean_size(const struct sim_scenario *); /* of a request, over the VIPs */
/* Scenario `index` of family v1 under `seed`. n_lo..n_hi, m_lo..m_hi: ranges of N and M (v1: 2..64, 1..6). */
struct sim_family {
	double n_lo, n_hi; /* N = floor LU(lo, hi) */
	uint32_t m_lo, m_hi;
};
extern const struct sim_family sim_family_v1;
int sim_family_draw(struct sim_scenario *, const struct sim_family *, uint64_t seed, uint64_t index);
uint64_t sim_mix(uint64_t a, uint64_t b); /* two numbers to one seed */

struct mlb_rng;
double sim_draw_size(const struct sim_sizes *, struct mlb_rng *);

/* Arrivals and disturbances, equal for every policy. */
struct sim_flow {
	double at_s;
	float size_s;     /* of its first request; later ones are drawn from (seed, flow, request) */
	float rtt_factor; /* on its server's RTT */
	uint32_t hash;    /* of the flow, for mode hash */
	uint16_t lane;    /* vip * lbs + load balancer */
	uint16_t pad;
};
struct sim_change {
	double at_s, factor;
	uint32_t server;
};
struct sim_world {
	const struct sim_scenario *sc;
	uint32_t flows, changes;
	struct sim_flow *flow;
	struct sim_change *change; /* by time */
	double *rtt_s;             /* [n] of each server */
	double timeout_s;
	uint64_t seed;
};
int sim_world_make(struct sim_world *, const struct sim_scenario *, uint64_t seed);
void sim_world_free(struct sim_world *);
#endif
