/* SPDX-License-Identifier: Apache-2.0 */
/* What a policy is to the simulator: once a tick it reads what one load balancer knows and answers weights, biases and kappa.
 * One state per load balancer; nothing is shared, so that runs are re-entrant and threads need no lock. Arrays are indexed by
 * place in the load balancer's list of servers, 0..n-1, in the order of the slots. A slot names a server for good: one that is
 * taken out of the list and comes back as a new one has another. A policy that remembers servers does so by slot (places.h). */
#ifndef MARLLB_SIM_POLICY_H
#define MARLLB_SIM_POLICY_H
#include <marllb/layout.h>
#include <marllb/policy.h>

/* What a policy wants filled; heuristics that ask for nothing stay fast. */
enum {
	SIM_WANTS_FRAME = 1u << 0, /* view.hdr, view.rec: all but the figures of the reservoirs duration and ttfb */
	SIM_WANTS_TRUTH = 1u << 1  /* view.truth: oracles and training targets only */
};

/* Fixed for a run. */
struct sim_lb_info {
	uint32_t lb, lbs;     /* this load balancer, from 0; how many there are, as it is told */
	uint32_t servers_max; /* slots: with all that come later */
	double tick_s;        /* period of ticks; the first is shorter (scenarios.md: load balancer i at 200 (i + 1) / M ms) */
	uint64_t seed;        /* for a policy that draws */
	bool gossip;          /* q of the choice includes the other load balancers' published counts */
};

/* What no load balancer can know. Present with SIM_WANTS_TRUTH. */
struct sim_truth {
	const double *capacity; /* [n] cores x speed x f of this moment, x the share of requests that do not fail; >= .005 cores x
				   speed */
	const double *cores;    /* [n] */
	const uint32_t *jobs;   /* [n] in the server now, of all load balancers, backlog included */
	const uint32_t *others; /* [n] flows in progress as the other load balancers count them */
	const double *busy;     /* [n] mean share of its cores in use since this load balancer's last tick */
};

struct sim_lb_view {
	const struct sim_lb_info *info;
	double now_s, dt_s;      /* virtual time; since this load balancer's last tick, 0 at the first */
	uint32_t n;              /* servers in the list */
	const uint32_t *slot;    /* [n] ascending, below servers_max */
	const float *weight_cfg; /* [n] configured weights, as given */
	const uint32_t *flows;   /* [n] own count of flows in progress */
	const float *peer;       /* [n] the others' counts by gossip; NULL without */
	const double *flow_s;  /* [n] cumulative integral of `flows` (of `waiting` where the VIP's load is that), flow-seconds */
	const uint64_t *ended; /* [n] cumulative flows seen to end, refused ones included (at their timeout) */
	/* As a data plane publishes them and mlb_observe takes them. rec[j].id = j + 1; refused flows end as `unanswered`. */
	const struct mlb_frame_hdr *hdr;
	const struct mlb_server_rec *rec;
	const struct sim_truth *truth;
};

/* Answer. On entry weight, bias and kappa hold what is in effect; servers that are new hold their configured weight. */
struct sim_decision {
	double *weight; /* [n] > 0, any scale */
	double *bias;   /* [n] flows */
	double kappa;
	int failed; /* negative errno ends the run, with a sentence in err */
	char *err;  /* [256] */
};

struct sim_policy {
	const char *name;
	uint32_t wants;                /* SIM_WANTS_* */
	const struct mlb_policy *core; /* one of the core's heuristics, or NULL */
	/* arg: what stands after "NAME:" in the strategy ("model:PATH" -> PATH), or NULL. err: one sentence. Negative errno. */
	int (*create)(void **state, const struct sim_policy *self, const struct sim_lb_info *, const char *arg, char err[256]);
	void (*destroy)(void *state);
	void (*tick)(void *state, const struct sim_lb_view *, struct sim_decision *);
	/* The list, or what share of its weight a server gets, has changed between ticks. NULL: nothing is asked until the next
	 * tick; new servers take their configured weight. */
	void (*join)(void *state, const struct sim_lb_view *, struct sim_decision *);
	double kappa;   /* flows; 0 = 1 / load balancers */
	bool takes_arg; /* NAME:ARG; an argument to any other is an error */
};

/* By name ("kalman", "static", "model", ...): the core's heuristics and those of policy_table.c; NULL if there is none. */
const struct sim_policy *sim_policy_find(const char *name);
#endif
