/* SPDX-License-Identifier: Apache-2.0 */
/* What the parts of a run share: engine.c (events), lane.c (a load balancer's counts, ticks, tables), frame.c (frames),
 * prequal.c (probes), measure.c (figures). Private to the engine. */
#ifndef MARLLB_SIM_RUN_H
#define MARLLB_SIM_RUN_H
#include "heap.h"
#include "result.h"
#include "scenario.h"
#include "server.h"
#include "strategy.h"
#include <marllb/choose.h>
#include <marllb/hist.h>
#include <marllb/rng.h>
#include <marllb/worker.h>

enum sim_kind {
	EV_SEEN,      /* what: flow; its load balancer sees the end of a request */
	EV_TIMED_OUT, /* what: flow; a refused request's load balancer sees its time-out */
	EV_REQUEST,   /* what: flow; a connection's next request */
	EV_PROBE,     /* what: probe number; it reaches its server */
	EV_CHANGE,
	EV_TICK,
	EV_JOIN,
	EV_PUBLISH,
	EV_DELIVER,
	EV_SECOND
};

/* One server as one load balancer counts it. */
struct sim_count {
	double flow_i, load_i; /* integral = flow_i + flows x now; of flows, and of what the load counts */
	uint32_t flows, waiting;
	uint64_t done, timed_out, answers;
};

/* A load balancer as a data plane's worker, only where a policy wants frames: it counts through mlb_ev_*, as every data plane
 * does. That makes a run a quarter longer, so the policies that need counts only read struct sim_count. */
struct sim_worker {
	struct mlb_worker worker;
	struct mlb_wvip vip;
	struct mlb_res_decay *decay; /* [servers] of connect times */
};

struct sim_lane { /* a load balancer's share of one VIP */
	struct sim_lb_info info;
	void *policy;
	float *q; /* [padded] what the choice reads: own load + peers' */
	struct sim_count *count;
	struct mlb_table *table;
	struct mlb_ring *ring;
	struct mlb_rng rng;
	double *weight, *bias, kappa;
	float *bare; /* envelope's memory */
	bool has_bare;
	double last_tick_s;
	uint64_t frame_seq;
	uint32_t n;                /* servers that its table knows */
	uint32_t *published;       /* [n] counts under way to the others */
	uint32_t *delivered;       /* [n] counts the others have */
	float *peer;               /* [n] sum of the others' delivered */
	double *busy_mark;         /* [n] servers' busy integrals at the last tick */
	struct sim_worker *worker; /* NULL where no frames are wanted */
};

struct sim_scratch { /* arrays behind a view and a table, one set a run */
	double *flow_s, *capacity, *cores, *busy;
	float *fbias, *cfg, *share, *raw, *bare;
	uint32_t *flows, *jobs, *others;
	uint64_t *ended;
	struct mlb_frame_hdr hdr;
	struct mlb_server_rec *rec;
};

struct sim_prequal;

struct sim_run {
	const struct sim_world *w;
	const struct sim_scenario *sc;
	const struct sim_strategy *st;
	uint32_t lanes, present, padded;
	double now, gossip_s;
	struct sim_lane *lane;
	struct sim_server *server;
	void *memory; /* behind the servers' heaps, rings and tables */
	struct sim_tree tree;
	struct sim_heap notices, control;
	uint16_t *at;                /* [flows] server */
	struct sim_session *session; /* [flows] where a connection has several requests, else NULL */
	struct mlb_table *oracle;
	float *jobs_q; /* [padded] true jobs, for the oracle */
	struct mlb_rng rng;
	struct sim_scratch scratch;
	struct sim_prequal *prequal;
	/* measure */
	float *ct;
	size_t cts, ct_cap;
	double ct_sum;
	uint64_t refused, requests;
	double jain_sum, jobs_mark;
	double *jobs_at, *capacity_at; /* [n] integrals at the last second */
	uint32_t jain_n;
	char *err;
};

struct sim_session {
	double request_s; /* when its current request began */
	float size_s;
	uint32_t left; /* requests after this one */
};

/* lane.c */
int sim_lane_init(struct sim_run *, struct sim_lane *, uint32_t index);
void sim_lane_free(struct sim_run *, struct sim_lane *);
int sim_lane_tick(struct sim_run *, struct sim_lane *);
int sim_lane_join(struct sim_run *, struct sim_lane *);
void sim_lane_publish(struct sim_run *, struct sim_lane *);
void sim_lane_deliver(struct sim_run *, struct sim_lane *);
/* frame.c */
int sim_scratch_init(struct sim_run *);
void sim_scratch_free(struct sim_scratch *);
void sim_view_fill(struct sim_run *, struct sim_lane *, struct sim_lb_view *, struct sim_truth *);
uint64_t sim_clock_us(double s);
int sim_worker_new(struct sim_worker **, uint32_t servers, uint32_t padded, uint8_t load, uint64_t seed);
void sim_worker_free(struct sim_worker *);
/* prequal.c */
int sim_prequal_new(struct sim_run *);
void sim_prequal_free(struct sim_prequal *);
uint32_t sim_prequal_choose(struct sim_run *, uint32_t lane);
void sim_prequal_probe(struct sim_run *, uint32_t probe);
void sim_prequal_arrived(struct sim_run *, uint32_t flow, uint32_t server);
void sim_prequal_finished(struct sim_run *, uint32_t flow, uint32_t server, double sojourn_s);
/* measure.c */
int sim_measure_add(struct sim_run *, double ct_s);
void sim_measure_second(struct sim_run *);
void sim_measure_result(struct sim_run *, struct sim_result *);
#endif
