/* SPDX-License-Identifier: Apache-2.0 */
/* A scenario as drawn from a family or read from a file. Times in seconds, sizes in seconds of one core of speed 1. */
#ifndef MARLLB_SIM_SCENARIO_H
#define MARLLB_SIM_SCENARIO_H
#include <marllb/types.h>

#define SIM_VIPS_MAX 4u
#define SIM_LBS_MAX 64u
#define SIM_POLICY_LEN 192u
#define SIM_EVENTS_MAX 32u    /* entries of each list of a scenario: steps, slowdowns, absences, faults */
#define SIM_LEAST_FACTOR .005 /* of its capacity: what the oracle and truth take a server for that stands still */

enum sim_size_kind { SIM_SIZE_EXP, SIM_SIZE_BIMODAL, SIM_SIZE_PARETO, SIM_SIZE_LOGNORMAL, SIM_SIZE_CONSTANT };

struct sim_sizes {
	enum sim_size_kind kind;
	double mean_s;
	double heavy_share; /* bimodal: of flows; heavy lognormal (sigma .5), light exponential */
	double heavy_ratio; /* bimodal: heavy mean over light mean */
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

/* Arrivals at a multiple of the rate from at_s for for_s (INFINITY: for good), again every every_s (0: once). */
struct sim_step {
	double at_s, for_s, every_s, factor;
};

/* Servers first..last at a factor of their capacity, each stagger_s after the one before. */
struct sim_slowdown {
	uint32_t first, last;
	double at_s, for_s, every_s, stagger_s, factor;
};

/* Each server (or all at once) at a factor of its capacity for U(least, most), then well for U(every_least, every_most). */
struct sim_stalls {
	double factor, least_s, most_s, every_least_s, every_most_s;
	bool common;
};

/* Servers first..last take no new flow from at_s for for_s (INFINITY: for good), each stagger_s after the one before, again every
 * every_s. new_id: they are taken out of the list and come back as servers nobody knows; else they stay in it, masked. They come
 * back at cold_factor of their capacity for cold_s. */
struct sim_absence {
	uint32_t first, last;
	double at_s, for_s, every_s, stagger_s, cold_s, cold_factor;
	bool new_id;
};

/* Servers first..last (first MLB_NONE: one, drawn) fail a share of their requests: answered with an error after answer_s (ERROR),
 * reset (RESET) or closed without a byte (EMPTY) then, without work, or never answered (HANG). */
enum sim_fault_kind { SIM_FAULT_ERROR, SIM_FAULT_RESET, SIM_FAULT_EMPTY, SIM_FAULT_HANG };
struct sim_fault {
	enum sim_fault_kind kind;
	uint32_t first, last;
	double at_s, for_s, answer_s, share;
};

/* Which weights load balancers are told instead of the servers' own. */
enum sim_told_weights { SIM_TOLD_CONFIGURED, SIM_TOLD_EQUAL, SIM_TOLD_REVERSED, SIM_TOLD_NOISY };

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
	struct sim_step step[SIM_EVENTS_MAX];
	uint32_t steps;
	double lb_share[SIM_LBS_MAX];            /* of the arrivals, [0] > 0: as given; else alike */
	double rtt_s;                            /* scenario's mean; each flow x U(.7, 1.3) */
	double rtt_spread_lo_s, rtt_spread_hi_s; /* > 0: each server draws its own, log-uniform */
	bool rtt_of_pair;                        /* each load balancer and server draw theirs */
	double *pair_rtt_s;                      /* [n * lbs] as written, 0 = not; or NULL */
	double one_way_lo_s, one_way_hi_s;       /* hi > 0: the answers pass the load balancers by; ends are seen this late */
	uint32_t slots, backlog;                 /* 32, 128 */
	bool fcfs;                               /* as many slots as cores */
	bool refuses_at_once;                    /* a refusal is a reset, not silence until the time-out */
	double timeout_s;
	double failure_s;            /* what a failed request counts as in the completion times; 0 = it is left out of them */
	double noisy_phi, noisy_d_s; /* share of time degraded, scale of durations; 0 = none */
	double hang_from_s, hang_for_s, hang_factor; /* for_s 0 = none */
	uint32_t hang_server;                        /* MLB_NONE = drawn */
	struct sim_slowdown slowdown[SIM_EVENTS_MAX];
	struct sim_absence absence[SIM_EVENTS_MAX];
	struct sim_fault fault[SIM_EVENTS_MAX];
	uint32_t slowdowns, absences, faults;
	struct sim_stalls stalls;           /* most_s 0 = none */
	double slow_start_s;                /* failover's: a server that comes gets its share in ten steps; 0 = at once */
	uint32_t requests;                  /* a connection; 1 = a flow is one request */
	double requests_sigma, think_sigma; /* > 0: lognormal about the mean, think times exponential else */
	double think_s;                     /* mean pause between the requests of a connection */
	double gossip_s, gossip_delay_s, gossip_lost; /* period of published counts, 0 = none */
	bool load_waiting;                            /* the VIP's load counts flows waiting for an answer */
	uint32_t told_lbs;                            /* number of load balancers that they are told; 0 = the true one */
	bool number_not_told;                         /* which of them they are */
	enum sim_told_weights told_weights;
	double told_sigma;              /* NOISY: of the log */
	char (*policy)[SIM_POLICY_LEN]; /* [lbs] strategies of load balancers that do not run the one under test; "" or NULL */
};

void sim_scenario_init(struct sim_scenario *); /* the defaults of the named scenarios */
void sim_scenario_free(struct sim_scenario *);
/* Sum of cores x speed of the servers that are there from the start (all = false) or ever. */
double sim_scenario_capacity(const struct sim_scenario *, bool all);
double sim_scenario_mean_size(const struct sim_scenario *); /* of a request, over the VIPs */
uint64_t sim_mix(uint64_t a, uint64_t b);                   /* two numbers to one seed */

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
/* A slot of the load balancers' list takes another share of its weight, enters or leaves the list. */
struct sim_turn {
	double at_s;
	uint32_t slot;
	float factor; /* of the weight, 0..1 */
	bool listed;
};
struct sim_world {
	const struct sim_scenario *sc;
	uint32_t flows, changes, turns;
	struct sim_flow *flow;
	struct sim_change *change; /* by time */
	struct sim_turn *turn;     /* by time; at 0 the n first slots are listed whose servers do not join later */
	/* What load balancers know as a server is a slot; a server that comes back under a new id gets a new one, behind the n
	 * first, which are the servers themselves. */
	uint32_t slots;
	uint32_t *server_of; /* [slots] */
	double *weight;      /* [n] as told to the load balancers */
	double *rtt_s;       /* [lbs * n] of a load balancer and a server */
	struct sim_fault fault[SIM_EVENTS_MAX];
	uint32_t faults; /* with their servers drawn */
	double timeout_s;
	uint64_t seed;
};
int sim_world_make(struct sim_world *, const struct sim_scenario *, uint64_t seed);
void sim_world_free(struct sim_world *);
#endif
