/* SPDX-License-Identifier: Apache-2.0 */
/* What the parts of a run share: engine.c (events), request.c (a request's life), members.c (the list of servers), lane.c (a load
 * balancer's counts, ticks, tables), frame.c (frames), prequal.c (probes), measure.c (figures). Private to the engine.
 *
 * A server is meant by its number, 0..n-1, or by its slot in the load balancers' list: one that comes back under a new id is the
 * same server in another slot. What a load balancer counts is by slot. */
#ifndef MARLLB_SIM_RUN_H
#define MARLLB_SIM_RUN_H
#include "heap.h"
#include "result.h"
#include "scenario.h"
#include "server.h"
#include "strategy.h"
#include <marllb/guard.h>
#include <marllb/light.h>
#include <marllb/hist.h>
#include <marllb/rng.h>
#include <marllb/worker.h>

struct sim_watch; /* engine.h */

enum sim_kind {
	/* what: flow; its load balancer sees a request end, in one of these ways */
	EV_ANSWERED,
	EV_ERROR,     /* answered, with an error: a load balancer of layer 4 sees no difference */
	EV_TIMED_OUT, /* nothing came, until the time-out */
	EV_REFUSED,
	EV_RESET,
	EV_EMPTY,   /* closed without a byte */
	EV_REQUEST, /* what: flow; a connection's next request */
	EV_PROBE,   /* what: probe number; it reaches its server */
	EV_CHANGE,
	EV_FAULT, /* what: 2 x fault, + 1 at its end */
	EV_TICK,
	EV_TURN,
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
	const struct sim_strategy *st; /* the run's, or its own */
	void *policy;
	float *q;                /* [padded] what the choice reads: own load + peers' */
	struct sim_count *count; /* [slots], as all that follow */
	struct mlb_table *table;
	struct mlb_ring *ring;
	struct mlb_rng rng;
	double *weight, *bias, kappa;
	float *bare; /* envelope's memory; 0: none of this server */
	bool has_bare;
	double last_tick_s;
	struct mlb_guard *guard; /* [slots] where servers fail, else NULL: nothing would stand out */
	double guard_s;
	struct mlb_light lightness;
	float light; /* as the core's data plane tells its workers */
	uint64_t frame_seq;
	bool *known;               /* servers that its table was built with */
	uint32_t *published;       /* counts under way to the others */
	uint32_t *delivered;       /* counts the others have */
	float *peer;               /* sum of the others' delivered */
	double *busy_mark;         /* servers' busy integrals at the last tick */
	struct sim_worker *worker; /* NULL where no frames are wanted */
};

struct sim_scratch { /* arrays behind a view and a table, one set a run; by place in the list, [slots] */
	double *flow_s, *capacity, *cores, *busy, *weight, *bias;
	float *cfg, *factor, *share, *raw, *prev, *bare;
	float *by_slot, *bias_by_slot, *peer;
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
	uint32_t lanes, slots, padded; /* padded: slots, to a multiple of 16 */
	uint32_t members;              /* servers in the list */
	uint32_t *member;              /* [members] their slots, ascending */
	uint32_t generation;           /* of the list */
	bool *listed;                  /* [slots] */
	float *factor;                 /* [slots] share of its weight that a listed server gets */
	double *joined_s;              /* [slots] */
	uint32_t *slot_of;             /* [n] slot by which a server is or was last listed */
	uint8_t *fault;                /* [n] 1 + the fault that acts, or 0 */
	struct sim_strategy *other;    /* [lbs] strategies of load balancers that have their own, or NULL */
	double now, gossip_s, gossip_delay_s, gossip_lost;
	struct mlb_rng gossip_rng;
	struct sim_lane *lane;
	struct sim_server *server;
	void *memory; /* behind the servers' heaps, rings and tables */
	struct sim_tree tree;
	struct sim_heap notices, control;
	uint16_t *at;                /* [flows] slot */
	struct sim_session *session; /* [flows] where a connection has several requests, else NULL */
	struct mlb_table *oracle;
	float *jobs_q; /* [n, padded] true jobs, for the oracle */
	struct mlb_rng rng;
	struct sim_scratch scratch;
	struct sim_prequal *prequal;
	/* measure */
	float *ct;
	size_t cts, ct_cap;
	double ct_sum;
	uint64_t refused, failed, requests;
	const struct sim_watch *watch;
	double jain_sum, jobs_mark;
	double *jobs_at, *capacity_at; /* [n] integrals at the last second */
	double *opened, *chosen;       /* [n] flows that servers got: in this second; while measured */
	double back_s;
	uint32_t jain_n;
	char *err;
};

struct sim_session {
	double request_s; /* when its current request began */
	float size_s;
	uint32_t left; /* requests after this one */
};

static inline uint32_t sim_server_of(const struct sim_run *r, uint32_t slot)
{
	return r->w->server_of[slot];
}

static inline double sim_rtt_of(const struct sim_run *r, uint32_t lb, uint32_t server)
{
	return r->w->rtt_s[(size_t)lb * r->sc->n + server];
}

/* What of a server's capacity answers requests, as the oracle takes it. */
static inline double sim_useful_capacity(const struct sim_run *r, uint32_t server)
{
	const struct sim_server *s = &r->server[server];
	double good = r->fault[server] ? 1 - r->w->fault[r->fault[server] - 1].share : 1;

	return fmax(sim_server_capacity(s) * good, s->cores * s->speed * SIM_LEAST_FACTOR);
}

/* lane.c */
int sim_lane_init(struct sim_run *, struct sim_lane *, uint32_t index);
void sim_lane_free(struct sim_lane *);
int sim_lane_tick(struct sim_run *, struct sim_lane *);
int sim_lane_turn(struct sim_run *, struct sim_lane *); /* the list has changed, or a factor in it */
void sim_lane_publish(struct sim_run *, struct sim_lane *);
void sim_lane_deliver(struct sim_run *, struct sim_lane *);
/* members.c */
int sim_members_init(struct sim_run *);
void sim_members_free(struct sim_run *);
int sim_members_turn(struct sim_run *, uint32_t turn);
int sim_oracle_renew(struct sim_run *); /* where there is one */
/* request.c */
int sim_arrive(struct sim_run *, uint32_t flow);
int sim_depart(struct sim_run *);
int sim_notice(struct sim_run *);
int sim_stranded(struct sim_run *); /* at the end of a run */
/* frame.c */
int sim_scratch_init(struct sim_run *);
void sim_scratch_free(struct sim_scratch *);
/* The guard of the core's data plane (guard.h), at a tick, for worlds in which servers fail. */
int sim_guard_new(struct sim_run *, struct sim_lane *);
void sim_guard_look(struct sim_run *, struct sim_lane *);
uint32_t sim_guard_choose(struct sim_lane *, uint64_t flow_hash);
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
void sim_prequal_seen(struct sim_run *, uint32_t lane, uint32_t slot, bool error); /* a load balancer has its answer */
/* measure.c */
int sim_measure_add(struct sim_run *, double ct_s);
/* A request of this moment's start has failed; ct_s > 0: it counts as that long. */
int sim_measure_failure(struct sim_run *, double ct_s);
void sim_measure_second(struct sim_run *);
void sim_measure_result(struct sim_run *, struct sim_result *);
#endif
