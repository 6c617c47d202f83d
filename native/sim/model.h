/* SPDX-License-Identifier: Apache-2.0 */
/* A trained model as a policy: the observation code that `inference` runs, the network, and how its output becomes weights
 * (models/FORMAT.md). What belongs to the model is read from the file's metadata. */
#ifndef MARLLB_SIM_MODEL_H
#define MARLLB_SIM_MODEL_H
#include "net.h"
#include "observer.h"
#include "places.h"

enum sim_model_base { SIM_BASE_KALMAN, SIM_BASE_CONFIGURED };

struct sim_model {
	struct net *net;
	enum sim_model_base base;
	uint32_t state;                          /* floats of recurrent state a server */
	uint32_t server_features, pool_features; /* of its observation schema, the first ones of the present one's */
	double kappa;                            /* flows; 0 = 1 / load balancers */
	int in_server, in_pool, in_mask, in_state, in_stratum, in_shared, out_weight, out_bias, out_state;
};

/* -ENOTSUP with the reason when the observation schema or a shape does not fit. The net must outlive the model. */
int sim_model_check(struct sim_model *, struct net *, char err[256]);

/* One load balancer's side of a model. */
struct sim_model_lb {
	const struct sim_model *m;
	struct net_run *run;
	struct sim_observer obs;
	uint32_t max;                            /* servers at most */
	struct sim_places places;                /* servers with state: those of the last native step */
	float *h, *spare, *ones, *offset, *bias; /* by those places */
	float *narrow;                           /* server features of the model's schema */
	uint32_t mask;                           /* MLB_OBS_* blocks it may see */
};
int sim_model_lb_new(struct sim_model_lb **, const struct sim_model *, uint32_t servers_max, uint32_t mask);
void sim_model_lb_free(struct sim_model_lb *);
/* Folds the view's frame in; 1: a native step was made and the network ran, 0: folded, else negative errno. */
int sim_model_lb_step(struct sim_model_lb *, const struct sim_lb_view *, char err[256]);
void sim_model_lb_decide(struct sim_model_lb *, const struct sim_lb_view *, struct sim_decision *);

/* The policy "model:PATH". Files are read once a process. Without a path: what sim_model_use set on this thread. */
extern const struct sim_policy sim_policy_model;
void sim_model_use(const struct sim_model *, uint32_t mask);
#endif
