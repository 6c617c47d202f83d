/* SPDX-License-Identifier: Apache-2.0 */
#include "simlib.h"
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "draw.h"
#include "engine.h"
#include "family.h"
#include "model.h"

struct simlib_world {
	struct sim_scenario sc;
	struct sim_world w;
	uint32_t mask;
	double sparsity;
};
struct simlib_model {
	struct net *net;
	struct sim_model m;
};

/* What training adds to a v1 scenario; a generator of its own, so that the scenario beneath stays the family's. */
static void vary(struct simlib_world *s, const struct simlib_family *f, uint64_t seed, uint64_t index)
{
	struct sim_scenario *sc = &s->sc;
	struct mlb_rng r;
	mlb_rng_seed(&r, sim_mix(seed ^ 0x76617279, index));
	double u[5], sparse = draw_lu(&r, .03, .5);
	for (int i = 0; i < 5; i++)
		u[i] = mlb_rng_unit(&r);
	if (mlb_rng_unit(&r) < f->p_sessions && sc->requests == 1) {
		sc->one_way_hi_s = 0;
		sc->requests = 4 + mlb_rng_below(&r, 9);
		sc->think_s = draw_lu(&r, .1, .5);
		sc->load_waiting = true;
		sc->rate /= sc->requests;
	}
	if (u[0] < f->p_rtt) {
		sc->rtt_spread_lo_s = .0002;
		sc->rtt_spread_hi_s = .005;
	}
	double per_tick = sc->rate * sc->tick_s / sc->lbs / sc->n;
	if (u[1] < f->p_sparse && per_tick > sparse) {
		sc->rate *= sparse / per_tick;
		sc->vip[0].sizes.mean_s *= per_tick / sparse;
	}
	static const uint32_t masks[3] = { MLB_OBS_COUNTS, MLB_OBS_COUNTS | MLB_OBS_CONNECT, MLB_OBS_COUNTS | MLB_OBS_LATENCY };
	s->mask = u[2] < f->p_mask ? masks[mlb_rng_below(&r, 3)] : MLB_OBS_ALL;
	static const double ticks[3] = { .05, .5, 1 };
	if (u[3] < f->p_tick)
		sc->tick_s = ticks[mlb_rng_below(&r, 3)];
	if (u[4] < f->p_right)
		for (uint32_t j = 0; j < sc->n; j++)
			sc->server[j].weight = sc->server[j].cores * sc->server[j].speed;
	s->sparsity = sc->rate * sc->tick_s / sc->lbs / sc->n;
}

int simlib_world_new(struct simlib_world **out, const struct simlib_family *f, uint64_t seed, uint64_t index, char *err)
{
	struct simlib_world *s = calloc(1, sizeof(*s));
	if (!s)
		return -ENOMEM;
	struct sim_family fam = f->family == 2 ? sim_family_v2 : sim_family_v1;
	fam.n_lo = f->n_lo;
	fam.n_hi = f->n_hi;
	fam.m_lo = f->m_lo;
	fam.m_hi = f->m_hi;
	int rc = f->family == 1 || f->family == 2 ? fam.draw(&s->sc, &fam, seed, index) : -EINVAL;
	if (!rc) {
		vary(s, f, seed, index);
		rc = sim_world_make(&s->w, &s->sc, sim_mix(seed, index ^ 0x776f726c64));
	}
	if (rc) {
		snprintf(err, 256, "scenario %llu of seed %llu: %s", (unsigned long long)index, (unsigned long long)seed,
			 strerror(-rc));
		simlib_world_free(s);
		return rc;
	}
	*out = s;
	return 0;
}

void simlib_world_free(struct simlib_world *s)
{
	if (!s)
		return;
	sim_world_free(&s->w);
	sim_scenario_free(&s->sc);
	free(s);
}

void simlib_world_info(const struct simlib_world *s, double out[SIMLIB_INFO_COUNT])
{
	out[SIMLIB_N] = s->w.slots;
	out[SIMLIB_M] = s->sc.lbs;
	out[SIMLIB_FLOWS] = s->w.flows;
	out[SIMLIB_TICK_S] = s->sc.tick_s;
	out[SIMLIB_MASK] = s->mask;
	out[SIMLIB_SIZE_S] = s->sc.vip[0].sizes.mean_s;
	out[SIMLIB_SPARSITY] = s->sparsity;
}

int simlib_model_new(struct simlib_model **out, const void *onnx, uint64_t len, char *err)
{
	struct simlib_model *m = calloc(1, sizeof(*m));
	if (!m)
		return -ENOMEM;
	int rc = net_parse(&m->net, onnx, len, err);
	if (!rc)
		rc = sim_model_check(&m->m, m->net, err);
	if (rc) {
		simlib_model_free(m);
		return rc;
	}
	*out = m;
	return 0;
}

void simlib_model_free(struct simlib_model *m)
{
	if (m)
		net_free(m->net);
	free(m);
}

uint64_t simlib_model_params(const struct simlib_model *m)
{
	return net_params(m->net);
}
void simlib_model_get(const struct simlib_model *m, float *p)
{
	net_get_params(m->net, p);
}
void simlib_model_set(struct simlib_model *m, const float *p)
{
	net_set_params(m->net, p);
}

static void result(const struct sim_result *r, double out[SIMLIB_RESULT_COUNT])
{
	out[SIMLIB_MEAN] = r->mean_s;
	out[SIMLIB_P99] = r->p99_s;
	out[SIMLIB_CVAR95] = r->cvar95_s;
	out[SIMLIB_MEAN_LOG] = r->mean_log_s;
	out[SIMLIB_MEASURED] = (double)r->flows;
	out[SIMLIB_REFUSED] = (double)r->refused;
	out[SIMLIB_JOBS] = r->jobs;
	out[SIMLIB_FAILED] = (double)r->failed;
}

int simlib_run(const struct simlib_world *s, const char *strategy, const struct simlib_model *model,
	       double out[SIMLIB_RESULT_COUNT], char *err)
{
	struct sim_strategy st;
	struct sim_result r;
	int rc = sim_strategy_parse(&st, strategy, err);
	if (rc)
		return rc;
	sim_model_use(model ? &model->m : NULL, s->mask);
	rc = sim_run(&s->w, &st, &r, err);
	sim_model_use(NULL, MLB_OBS_ALL);
	if (!rc)
		result(&r, out);
	return rc;
}

/* The policy behind simlib_trace: a model that writes down what it saw and what was true. */
static _Thread_local struct {
	const struct simlib_world *world;
	const struct simlib_model *model;
	const struct simlib_trace *t;
} tracing;

struct tracer {
	struct sim_model_lb *lb;
	uint32_t index, step;
	struct mlb_rng rng;
	float *noise;
	int64_t noise_width;
	int in_noise, out_action;
};

static void tracer_free(void *state)
{
	struct tracer *t = state;
	if (!t)
		return;
	sim_model_lb_free(t->lb);
	free(t->noise);
	free(t);
}

static int tracer_new(void **state, const struct sim_policy *self, const struct sim_lb_info *info, const char *arg, char err[256])
{
	(void)self;
	(void)arg;
	const struct sim_model *m = &tracing.model->m;
	struct tracer *t = calloc(1, sizeof(*t));
	if (!t)
		return -ENOMEM;
	t->index = info->lb;
	mlb_rng_seed(&t->rng, sim_mix(tracing.t->noise_seed, info->lb));
	t->in_noise = net_input(m->net, "noise");
	t->out_action = net_output(m->net, "action");
	int rc = sim_model_lb_new(&t->lb, m, info->servers_max, tracing.world->mask);
	if (!rc && t->in_noise >= 0) {
		struct net_shape s = net_input_shape(m->net, (uint32_t)t->in_noise);
		t->noise_width = s.rank == 3 ? s.dim[2] : 0;
		if (t->noise_width < 1)
			rc = -ENOTSUP;
		else if (!(t->noise = calloc((size_t)t->noise_width * info->servers_max, sizeof(float))))
			rc = -ENOMEM;
	}
	if (rc) {
		snprintf(err, 256, "trace: %s", strerror(-rc));
		tracer_free(t);
		return rc;
	}
	*state = t;
	return 0;
}

static int make_noise(struct tracer *t, uint32_t n)
{
	size_t w = (size_t)t->noise_width;
	for (uint32_t j = 0; j < n; j++) {
		float *o = t->noise + j * w;
		for (size_t k = 0; k < w; k++)
			o[k] = tracing.t->noise_kind == 1 ? (float)draw_normal(&t->rng) : 0;
		if (tracing.t->noise_kind == 2 && mlb_rng_unit(&t->rng) < tracing.t->noise_level)
			o[mlb_rng_below(&t->rng, (uint32_t)w)] = 1000;
	}
	return net_feed(t->lb->run, (uint32_t)t->in_noise, t->noise, (struct net_shape){ 3, { 1, n, t->noise_width } });
}

static void write_server(const struct tracer *t, const struct sim_lb_view *v, uint32_t j, size_t k, const float *act)
{
	const struct simlib_trace *o = tracing.t;
	const struct mlb_obs_out *obs = &t->lb->obs.out;

	if (o->server)
		memcpy(o->server + k * MLB_OBS_SERVER_FEATURES, obs->server + (size_t)j * MLB_OBS_SERVER_FEATURES,
		       MLB_OBS_SERVER_FEATURES * sizeof(float));
	if (o->listed)
		o->listed[k] = 1;
	if (o->base)
		o->base[k] = logf(t->lb->m->base == SIM_BASE_KALMAN ? obs->kalman[j] : v->weight_cfg[j]);
	if (o->capacity)
		o->capacity[k] = (float)v->truth->capacity[j];
	if (o->busy)
		o->busy[k] = (float)v->truth->busy[j];
	if (o->others)
		o->others[k] = (float)v->truth->others[j];
	if (o->jobs)
		o->jobs[k] = (float)v->truth->jobs[j];
	if (o->action && act)
		o->action[k] = act[j];
}

static void write_down(struct tracer *t, const struct sim_lb_view *v)
{
	const struct simlib_trace *o = tracing.t;
	uint32_t N = v->info->servers_max;
	size_t at = (size_t)t->index * o->steps + t->step;
	if (t->step++ >= o->steps)
		return;
	if (o->pool)
		memcpy(o->pool + at * MLB_OBS_POOL_FEATURES, t->lb->obs.out.pool, MLB_OBS_POOL_FEATURES * sizeof(float));
	if (o->present)
		o->present[at] = (float)v->n;
	struct net_shape s = { 0 };
	size_t acts = 0;
	const float *act = t->out_action >= 0 ? net_result(t->lb->run, (uint32_t)t->out_action, &s) : NULL;
	if (net_shape_size(&s, &acts) || acts < v->n)
		act = NULL;
	for (uint32_t j = 0; j < v->n; j++)
		write_server(t, v, j, at * N + v->slot[j], act);
}

static void tracer_tick(void *state, const struct sim_lb_view *v, struct sim_decision *d)
{
	struct tracer *t = state;
	char err[256] = "the noise is too large";
	int rc = t->in_noise >= 0 ? make_noise(t, v->n) : 0;
	if (!rc)
		rc = sim_model_lb_step(t->lb, v, err);
	if (rc < 0) {
		fprintf(stderr, "trace: %s\n", err);
		for (uint32_t j = 0; j < v->n; j++)
			d->weight[j] = NAN;
		return;
	}
	if (rc)
		write_down(t, v);
	sim_model_lb_decide(t->lb, v, d);
}

static const struct sim_policy tracer_policy = {
	.name = "trace",
	.wants = SIM_WANTS_FRAME | SIM_WANTS_TRUTH,
	.create = tracer_new,
	.destroy = tracer_free,
	.tick = tracer_tick,
	.join = tracer_tick,
};

int simlib_trace(const struct simlib_world *s, const struct simlib_model *model, const struct simlib_trace *t,
		 double out[SIMLIB_RESULT_COUNT], char *err)
{
	struct sim_strategy st;
	struct sim_result r;
	int rc = sim_strategy_parse(&st, t->oracle ? "oracle" : "static+sed", err);
	if (rc)
		return rc;
	st.policy = &tracer_policy;
	tracing.world = s;
	tracing.model = model;
	tracing.t = t;
	rc = sim_run(&s->w, &st, &r, err);
	memset(&tracing, 0, sizeof(tracing));
	if (!rc)
		result(&r, out);
	return rc;
}

int simlib_eval(const void *onnx, uint64_t len, uint32_t inputs, const float *const *in, const int32_t *rank, const int64_t *dims,
		uint32_t outputs, float *const *out, uint64_t cap, uint64_t *out_len, char *err)
{
	struct net *net;
	struct net_run *run = NULL;
	int rc = net_parse(&net, onnx, len, err);
	if (rc)
		return rc;
	rc = net_inputs(net) != inputs || net_outputs(net) != outputs ? -EINVAL : net_run_new(&run, net);
	if (rc) {
		snprintf(err, 256, "the graph has %u inputs and %u outputs", net_inputs(net), net_outputs(net));
		goto out;
	}
	for (uint32_t i = 0; i < inputs; i++) {
		struct net_shape s = { .rank = rank[i] };
		for (int d = 0; d < rank[i] && d < NET_RANK; d++)
			s.dim[d] = *dims++;
		if ((rc = net_feed(run, i, in[i], s))) {
			snprintf(err, 256, "input %u: the shape is not handled", i);
			goto out;
		}
	}
	rc = net_eval(run, err);
	for (uint32_t i = 0; i < outputs && !rc; i++) {
		struct net_shape s;
		const float *p = net_result(run, i, &s);
		out_len[i] = 1;
		for (int d = 0; d < s.rank; d++)
			out_len[i] *= (uint64_t)s.dim[d];
		if (out_len[i] > cap)
			rc = -E2BIG;
		else
			memcpy(out[i], p, out_len[i] * sizeof(float));
	}
out:
	net_run_free(run);
	net_free(net);
	return rc;
}

uint32_t simlib_server_features(void)
{
	return MLB_OBS_SERVER_FEATURES;
}
uint32_t simlib_pool_features(void)
{
	return MLB_OBS_POOL_FEATURES;
}
uint32_t simlib_schema(void)
{
	return MLB_OBS_SCHEMA;
}

int simlib_feature(uint32_t kind, uint32_t index, char name[64], uint32_t *block, float *lo, float *hi)
{
	if (kind > 1 || index >= (kind ? MLB_OBS_POOL_FEATURES : MLB_OBS_SERVER_FEATURES))
		return -EINVAL;
	const struct mlb_obs_feature *f = kind ? &mlb_obs_pool_features[index] : &mlb_obs_server_features[index];
	snprintf(name, 64, "%s", f->name);
	*block = f->block;
	*lo = f->lo;
	*hi = f->hi;
	return 0;
}
