/* SPDX-License-Identifier: Apache-2.0 */
#include "model.h"
#include <errno.h>
#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PATHS_MAX 16
#define KAPPA_MAX 100.

/* last: size of the last dimension; 0 = any, PER_SERVER = free, for it counts servers. Those before it are free. */
#define PER_SERVER -1
static int want(const struct net *net, bool input, const char *name, int rank, int64_t last, char err[256])
{
	int i = input ? net_input(net, name) : net_output(net, name);
	if (i < 0) {
		snprintf(err, 256, "the model has no %s \"%s\"", input ? "input" : "output", name);
		return -ENOTSUP;
	}
	if (!input)
		return i;
	struct net_shape s = net_input_shape(net, (uint32_t)i);
	int64_t d = s.rank ? s.dim[s.rank - 1] : 0;
	if (s.rank != rank || (last > 0 && d != last)) {
		snprintf(err, 256, "input \"%s\" has rank %d and last dimension %d; expected %d and %d", name, s.rank, (int)d,
			 rank, (int)last);
		return -ENOTSUP;
	}
	for (int k = 0; k < s.rank && k < (last < 0 ? rank : rank - 1); k++)
		if (s.dim[k] >= 0) {
			snprintf(err, 256, "input \"%s\" is for %d %s; any number is expected", name, (int)s.dim[k],
				 k ? "servers" : "load balancers");
			return -ENOTSUP;
		}
	return i;
}

/* An input that a model may do without: -1 then. */
static int optional(const struct net *net, const char *name, int rank, int64_t last, int *at, char err[256])
{
	*at = net_input(net, name) < 0 ? -1 : want(net, true, name, rank, last, err);
	return *at < -1 ? *at : 0;
}

/* A property that is this number and nothing else. */
static int want_number(const struct net *net, const char *key, uint32_t number, char err[256])
{
	const char *text = net_meta(net, key);
	char want_text[16];

	snprintf(want_text, sizeof(want_text), "%u", number);
	if (text && !strcmp(text, want_text))
		return 0;
	snprintf(err, 256, "the model's %s is %.20s; this is %u", key, text ? text : "missing", number);
	return -ENOTSUP;
}

/* A model of an older schema takes the first features. */
static int want_schema(struct sim_model *m, const struct net *net, char err[256])
{
	const char *text = net_meta(net, "observation_schema");
	char *end = NULL;
	unsigned long schema = text ? strtoul(text, &end, 10) : 0;

	if (text && *text && !*end && schema <= UINT32_MAX &&
	    mlb_obs_sizes((uint32_t)schema, &m->server_features, &m->pool_features))
		return 0;
	snprintf(err, 256, "the model's observation_schema is %.20s; expected %u to %u", text ? text : "missing",
		 MLB_OBS_SCHEMA_OLDEST, MLB_OBS_SCHEMA);
	return -ENOTSUP;
}

int sim_model_check(struct sim_model *m, struct net *net, char err[256])
{
	const char *base = net_meta(net, "base");
	memset(m, 0, sizeof(*m));
	m->net = net;
	if (want_schema(m, net, err) || want_number(net, "native_step_ms", MLB_OBS_STEP_US / 1000, err))
		return -ENOTSUP;
	if (!base || (strcmp(base, "kalman") && strcmp(base, "configured"))) {
		snprintf(err, 256, "the model's base is %.20s; expected kalman or configured", base ? base : "missing");
		return -ENOTSUP;
	}
	m->base = strcmp(base, "kalman") ? SIM_BASE_CONFIGURED : SIM_BASE_KALMAN;
	if ((m->in_server = want(net, true, "server", 3, m->server_features, err)) < 0 ||
	    (m->in_pool = want(net, true, "pool", 2, m->pool_features, err)) < 0 ||
	    (m->in_mask = want(net, true, "mask", 2, PER_SERVER, err)) < 0 ||
	    (m->in_state = want(net, true, "state", 3, 0, err)) < 0 ||
	    (m->out_weight = want(net, false, "log_weight", 0, 0, err)) < 0 ||
	    (m->out_bias = want(net, false, "bias", 0, 0, err)) < 0 ||
	    (m->out_state = want(net, false, "state_out", 0, 0, err)) < 0)
		return -ENOTSUP;
	if (optional(net, "stratum", 2, PER_SERVER, &m->in_stratum, err) || optional(net, "shared", 2, 1, &m->in_shared, err))
		return -ENOTSUP;
	const char *kappa = net_meta(net, "kappa");
	if (kappa && strcmp(kappa, "1/M")) {
		char *end;
		m->kappa = strtod(kappa, &end);
		if (end == kappa || *end || !(m->kappa > 0 && m->kappa <= KAPPA_MAX)) {
			snprintf(err, 256, "the model's kappa is \"%.20s\"; expected 1/M or flows, at most %g", kappa, KAPPA_MAX);
			return -ENOTSUP;
		}
	}
	int64_t state = net_input_shape(net, (uint32_t)m->in_state).dim[2];
	if (state < 1 || state > 4096) {
		snprintf(err, 256, "input \"state\" must say its size, 1 to 4096");
		return -ENOTSUP;
	}
	m->state = (uint32_t)state;
	return want_number(net, "state_size", m->state, err);
}

int sim_model_lb_new(struct sim_model_lb **out, const struct sim_model *m, uint32_t max, uint32_t mask)
{
	struct sim_model_lb *l = calloc(1, sizeof(*l));
	if (!l)
		return -ENOMEM;
	*l = (struct sim_model_lb){ .m = m, .max = max, .mask = mask };
	l->h = calloc((size_t)max * m->state, sizeof(float));
	l->spare = calloc((size_t)max * m->state, sizeof(float));
	l->ones = malloc(max * sizeof(float));
	l->offset = calloc(max, sizeof(float));
	l->bias = calloc(max, sizeof(float));
	l->narrow = calloc((size_t)max * m->server_features, sizeof(float));
	int rc = net_run_new(&l->run, m->net);
	rc = rc ? rc : sim_places_init(&l->places, max);
	rc = rc ? rc : sim_observer_init(&l->obs, max, SIM_OBSERVES_STRATUM);
	if (rc || !l->h || !l->spare || !l->ones || !l->offset || !l->bias || !l->narrow) {
		sim_model_lb_free(l);
		return -ENOMEM;
	}
	for (uint32_t j = 0; j < max; j++)
		l->ones[j] = 1;
	*out = l;
	return 0;
}

void sim_model_lb_free(struct sim_model_lb *l)
{
	if (!l)
		return;
	net_run_free(l->run);
	sim_observer_free(&l->obs);
	sim_places_free(&l->places);
	free(l->h);
	free(l->spare);
	free(l->ones);
	free(l->offset);
	free(l->bias);
	free(l->narrow);
	free(l);
}

static int run_net(struct sim_model_lb *l, uint32_t n, char err[256])
{
	const struct sim_model *m = l->m;
	struct net_shape s;
	int64_t N = n, F = m->server_features, P = m->pool_features, S = m->state;
	float shared = (float)l->obs.out.shared;
	for (uint32_t j = 0; j < n; j++)
		memcpy(l->narrow + (size_t)j * m->server_features, l->obs.out.server + (size_t)j * MLB_OBS_SERVER_FEATURES,
		       m->server_features * sizeof(float));
	const struct {
		int in;
		const float *from;
		struct net_shape shape;
	} feed[] = { { m->in_server, l->narrow, { 3, { 1, N, F } } },
		     { m->in_pool, l->obs.out.pool, { 2, { 1, P } } },
		     { m->in_mask, l->ones, { 2, { 1, N } } },
		     { m->in_state, l->h, { 3, { 1, N, S } } },
		     { m->in_stratum, l->obs.out.stratum, { 2, { 1, N } } },
		     { m->in_shared, &shared, { 2, { 1, 1 } } } };
	for (size_t i = 0; i < sizeof(feed) / sizeof(feed[0]); i++)
		if (feed[i].in >= 0 && net_feed(l->run, (uint32_t)feed[i].in, feed[i].from, feed[i].shape)) {
			snprintf(err, 256, "input \"%s\" is too large", net_input_name(m->net, (uint32_t)feed[i].in));
			return -EINVAL;
		}
	int rc = net_eval(l->run, err);
	if (rc)
		return rc;
	const struct {
		int out;
		float *to;
		int64_t count;
	} r[3] = { { m->out_weight, l->offset, N }, { m->out_bias, l->bias, N }, { m->out_state, l->h, N * S } };
	for (int i = 0; i < 3; i++) {
		const float *p = net_result(l->run, (uint32_t)r[i].out, &s);
		int64_t count = 1;
		for (int d = 0; d < s.rank; d++)
			count *= s.dim[d];
		if (count != r[i].count) {
			snprintf(err, 256, "output \"%s\" has the wrong size", net_output_name(m->net, (uint32_t)r[i].out));
			return -EINVAL;
		}
		memcpy(r[i].to, p, (size_t)count * sizeof(float));
	}
	return 0;
}

int sim_model_lb_step(struct sim_model_lb *l, const struct sim_lb_view *v, char err[256])
{
	int rc = sim_observe(&l->obs, v, err);
	if (rc)
		return rc;
	if (!l->obs.out.stepped)
		return 0;
	/* Servers that are new start from an empty state. */
	if (sim_places_compare(&l->places, v)) {
		sim_places_move(&l->places, v, l->h, l->m->state * sizeof(float), l->spare);
		sim_places_note(&l->places, v);
	}
	mlb_obs_mask(&l->obs.out, l->mask);
	rc = run_net(l, v->n, err);
	return rc ? rc : 1;
}

void sim_model_lb_decide(struct sim_model_lb *l, const struct sim_lb_view *v, struct sim_decision *d)
{
	sim_places_compare(&l->places, v);
	for (uint32_t j = 0; j < v->n; j++) {
		uint32_t k = l->places.from[j]; /* MLB_NONE: no step since it came */
		double base = l->m->base == SIM_BASE_KALMAN ? (double)l->obs.out.kalman[j] : (double)v->weight_cfg[j];
		d->weight[j] = base * exp(k != MLB_NONE ? (double)l->offset[k] : 0.);
		d->bias[j] = k != MLB_NONE ? (double)l->bias[k] : 0.;
	}
	d->kappa = l->m->kappa > 0 ? l->m->kappa : 1. / v->info->lbs;
}

static _Thread_local struct {
	const struct sim_model *model;
	uint32_t mask;
} used = { NULL, MLB_OBS_ALL };

void sim_model_use(const struct sim_model *m, uint32_t mask)
{
	used.model = m;
	used.mask = mask;
}

/* What only running it shows: inputs that nobody feeds, sizes that do not fit within the graph, numbers that are none. One step
 * for an idle pool of two, as `inference` makes one when it loads a model. */
static int try_out(const struct sim_model *m, char err[256])
{
	struct sim_model_lb *l;
	int rc = sim_model_lb_new(&l, m, 2, MLB_OBS_ALL);

	if (rc)
		return rc;
	rc = run_net(l, 2, err);
	for (uint32_t j = 0; !rc && j < 2; j++)
		if (!isfinite(exp((double)l->offset[j])) || !isfinite(l->bias[j])) {
			snprintf(err, 256, "its weights for an idle pool are not finite");
			rc = -EINVAL;
		}
	sim_model_lb_free(l);
	return rc;
}

/* Reads a file once; models live as long as the process. */
static int by_path(const struct sim_model **out, const char *path, char err[256])
{
	static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
	static struct {
		char path[256];
		struct sim_model m;
	} cache[PATHS_MAX];
	static int count;
	int rc = 0;
	pthread_mutex_lock(&lock);
	for (int i = 0; i < count; i++)
		if (!strcmp(cache[i].path, path)) {
			*out = &cache[i].m;
			goto out;
		}
	if (count == PATHS_MAX || strlen(path) >= sizeof(cache[0].path)) {
		snprintf(err, 256, "too many models in one process, or too long a path");
		rc = -E2BIG;
		goto out;
	}
	struct net *net;
	rc = net_load(&net, path, err);
	if (rc)
		goto out;
	char why[256] = "no memory for it";
	rc = sim_model_check(&cache[count].m, net, why);
	rc = rc ? rc : try_out(&cache[count].m, why);
	if (rc) {
		snprintf(err, 256, "%.120s: %.130s", path, why);
		net_free(net);
		goto out;
	}
	strcpy(cache[count].path, path);
	*out = &cache[count++].m;
out:
	pthread_mutex_unlock(&lock);
	return rc;
}

static int create(void **state, const struct sim_policy *self, const struct sim_lb_info *info, const char *arg, char err[256])
{
	(void)self;
	const struct sim_model *m = used.model;
	if (arg) {
		int rc = by_path(&m, arg, err);
		if (rc)
			return rc;
	} else if (!m) {
		snprintf(err, 256, "which model? Write model:PATH");
		return -EINVAL;
	}
	struct sim_model_lb *l;
	int rc = sim_model_lb_new(&l, m, info->servers_max, arg ? MLB_OBS_ALL : used.mask);
	if (!rc)
		*state = l;
	return rc;
}

static void destroy(void *state)
{
	sim_model_lb_free(state);
}

static void tick(void *state, const struct sim_lb_view *v, struct sim_decision *d)
{
	int rc = sim_model_lb_step(state, v, d->err);

	if (rc < 0)
		d->failed = rc;
	else
		sim_model_lb_decide(state, v, d);
}

const struct sim_policy sim_policy_model = {
	.name = "model",
	.wants = SIM_WANTS_FRAME,
	.create = create,
	.destroy = destroy,
	.tick = tick,
	.join = tick,
	.takes_arg = true,
};
