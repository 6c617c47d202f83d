/* SPDX-License-Identifier: Apache-2.0 */
/* Between observe.c (frames to steps), observe_figures.c (records to figures of a step), observe_match.c (who is who) and
 * observe_features.c (figures to features). */
#ifndef MARLLB_OBSERVE_PRIV_H
#define MARLLB_OBSERVE_PRIV_H
#include "marllb/observe_types.h"

/* Cumulative figures of a server, as far as steps read them. An end that was too quick to be work (guard.h) is no completion: an
 * error in a millisecond says nothing of capacity. Nor is a refused, reset or empty flow one; one that was never answered is,
 * since its whole wait is in the load. */
enum {
	FIG_FLOW_US,
	FIG_WAIT_US,
	FIG_CLOSED,     /* flows ended by the server or never answered, without the quick ones */
	FIG_ANSWERED,   /* the same of requests */
	FIG_ENDED,      /* flows closed well, the quick ones too */
	FIG_ANSWERS,    /* answers begun, the quick ones too */
	FIG_UNANSWERED, /* connects without an answer */
	FIG_ERRORS,     /* refusals, resets, ends without a byte */
	FIG_OPENED,     /* flows */
	FIG_ASKED       /* requests */
};
_Static_assert(FIG_ASKED + 1 == MLB_OBS_FIGURES, "observe_types.h");

/* Decayed figures of a server: completions, flow-seconds at work, new flows, log durations (count, sum), failures, load-seconds,
 * quick ends, flow-seconds and waiting ones; time constant in seconds at the end of the name. */
enum { OBS_D1, OBS_Q1, OBS_D5, OBS_Q5, OBS_A1, OBS_LN1, OBS_LS1, OBS_LN5, OBS_LS5, OBS_F1, OBS_L1, OBS_E1, OBS_K1, OBS_W1 };
/* Of the pool, over 5 s: new flows, seconds, log durations (count, sum, sum of squares); over 10 s: answers, flows closed,
 * flow-seconds, waiting ones; over 60 s: durations (count, sum, sum of squares). */
enum { OBS_PA, OBS_PT, OBS_PLN, OBS_PLS, OBS_PLSS, OBS_PANSWERS, OBS_PENDED, OBS_PFLOW, OBS_PWAIT, OBS_PTN, OBS_PTS, OBS_PTSS };

/* What happened to one server during the step. */
struct obs_step {
	double q;              /* flow-seconds at work: as struct mlb_kalman_seen */
	double d;              /* completions, likewise */
	double load;           /* mean own load that the choice saw, flows; those on the wire too */
	double failed;         /* connects without an answer */
	double errors;         /* refusals, resets, ends without a byte */
	double quick;          /* ends too quick to be work */
	double flow_s, wait_s; /* flow-seconds, waiting ones among them */
	double opened;         /* new flows */
	double flows;          /* in progress now */
	double peer;           /* other load balancers' load, as last told; 0 = nobody tells */
	double age;            /* sum of the ages of those, seconds; negative = not known */
	double silent;         /* seconds since the last completion, at most 10; negative = not known */
	double kappa;          /* what the choice adds to this server's load: kappa and its bias, flows */
	double rtt;            /* seconds, 0 = not known */
	double since;          /* native steps since it joined */
	bool counts;           /* takes part in the pool's means: neither draining nor leaving */
};

/* Of the flows (or answers) that ended in the step, seconds, the RTT taken off. */
struct obs_durations {
	double count;
	double logs, log_squares; /* sums of their logarithms and of the squares of these */
	double sum, squares;      /* of themselves */
};

struct obs_pool_step {
	double dt;     /* seconds */
	double kappa;  /* flows */
	double opened; /* new flows of the pool in the step */
	uint32_t load_balancers;
	uint32_t present;
};

/* observe_figures.c */
void obs_remember(struct mlb_obs_srv *, const struct mlb_server_rec *);
/* Takes the record's growth since the last step into u, the server's decayed figures and l. */
void obs_figures(struct mlb_obs_srv *, const struct mlb_frame_hdr *, const struct mlb_server_rec *, bool by_waits, double dt,
		 struct obs_step *u, struct obs_durations *l);
float obs_latency(const struct mlb_server_rec *, const struct mlb_obs_srv *);
/* How many times noisier counts are than those of common sizes, >= 1: a few very long flows stand in the load and never end. */
double obs_noise(const struct mlb_obs_state *);
/* Which evidence the next step goes by: see observe.h. */
bool obs_by_waits(const struct mlb_frame_hdr *, struct mlb_obs_state *, const struct mlb_server_rec *, double dt);
/* observe_match.c */
void obs_match(const struct mlb_frame_hdr *, const struct mlb_server_rec *, const struct mlb_obs_state *prev,
	       struct mlb_obs_state *next);
/* observe_ask.c: raises the weights of servers that go without flows because they once were slow. */
void obs_ask_again(struct mlb_obs_state *, const struct obs_step *, const struct obs_pool_step *);
/* observe_features.c */
void obs_features(const struct mlb_obs_state *, const struct obs_step *, const struct obs_pool_step *, struct mlb_obs_out *);
#endif
