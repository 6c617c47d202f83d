/* SPDX-License-Identifier: Apache-2.0 */
/* The policy exec:COMMAND. Lines of JSON; virtual time waits for the answer. On start, once a run:
 *   {"hello":{"schema":3,"load_balancers":2,"servers_max":7,"tick_s":0.2,"server_features":[...],"pool_features":[...]}}
 * then for each tick of a load balancer, and when servers join it, a line out and a line back, whose lb and t must be the same:
 *   {"lb":0,"t":0.2,"observation":{"vip":1,"stepped":1,"servers":[1,2,...],"weight_static":[...],"flows":[...],"kalman":[...],
 *    "stratum":[...],"shared":0,"server":[[...],...],"pool":[...]}}
 *   {"lb":0,"t":0.2,"weights":[...],"kappa":0.5,"bias":[...]}          (kappa and bias may be left out: 1/M and 0)
 * A policy that reads or answers nothing for 60 s, ends, or answers what is no such line ends the run with the reason. */
#include "exec_child.h"
#include "json.h"
#include "policies.h"
#include <errno.h>
#include <marllb/observe.h>
#include <math.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#define KAPPA_MAX 1e6

/* Load balancers of one run live on one thread, so they find their child here. */
static _Thread_local struct shared {
	struct exec_child child;
	uint32_t users;
} shared;

struct text {
	char *s;
	size_t len, cap;
};

struct exec_lb {
	struct mlb_obs_state *obs[2];
	struct mlb_obs_out out;
	uint32_t cur, lb;
	bool seen;
	struct text text;
};

static void put(struct text *t, const char *format, ...) __attribute__((format(printf, 2, 3)));
static void put(struct text *t, const char *format, ...)
{
	va_list ap;

	if (t->cap - t->len < 256) {
		char *more = realloc(t->s, t->cap * 2 + 4096);
		if (!more) /* the cut line is refused by whoever reads it */
			return;
		t->s = more;
		t->cap = t->cap * 2 + 4096;
	}
	va_start(ap, format);
	t->len += (size_t)vsnprintf(t->s + t->len, t->cap - t->len, format, ap);
	va_end(ap);
}

static void put_floats(struct text *t, const float *v, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++)
		put(t, i ? ",%.9g" : "%.9g", v[i]); /* every float comes out as it is */
}

static int hello(struct exec_lb *x, const struct sim_lb_info *info, char err[256])
{
	struct text *t = &x->text;

	put(t, "{\"hello\":{\"schema\":%u,\"load_balancers\":%u,\"servers_max\":%u,\"tick_s\":%g,\"server_features\":[",
	    MLB_OBS_SCHEMA, info->lbs, info->servers_max, info->tick_s);
	for (uint32_t i = 0; i < MLB_OBS_SERVER_FEATURES; i++)
		put(t, "%s\"%s\"", i ? "," : "", mlb_obs_server_features[i].name);
	put(t, "],\"pool_features\":[");
	for (uint32_t i = 0; i < MLB_OBS_POOL_FEATURES; i++)
		put(t, "%s\"%s\"", i ? "," : "", mlb_obs_pool_features[i].name);
	put(t, "]}}\n");
	return exec_child_send(&shared.child, t->s, t->len, err);
}

static void destroy(void *state)
{
	struct exec_lb *x = state;

	if (--shared.users == 0)
		exec_child_stop(&shared.child);
	free(x->obs[0]);
	free(x->obs[1]);
	free(x->out.server);
	free(x->out.pool);
	free(x->out.kalman);
	free(x->out.stratum);
	free(x->text.s);
	free(x);
}

static int create(void **state, const struct sim_policy *self, const struct sim_lb_info *info, const char *arg, char err[256])
{
	(void)self;
	struct exec_lb *x;
	uint32_t n = info->servers_max;

	if (!arg || !arg[0]) {
		snprintf(err, 256, "policy exec: expected exec:COMMAND");
		return -EINVAL;
	}
	x = calloc(1, sizeof(*x));
	if (!x)
		return -ENOMEM;
	x->lb = info->lb;
	x->obs[0] = calloc(1, MLB_OBS_STATE_SIZE(n));
	x->obs[1] = calloc(1, MLB_OBS_STATE_SIZE(n));
	x->out.server = calloc((size_t)n * MLB_OBS_SERVER_FEATURES, sizeof(float));
	x->out.pool = calloc(MLB_OBS_POOL_FEATURES, sizeof(float));
	x->out.kalman = calloc(n, sizeof(float));
	x->out.stratum = calloc(n, sizeof(float));
	shared.users++;
	int e = x->obs[0] && x->obs[1] && x->out.server && x->out.pool && x->out.kalman && x->out.stratum ? 0 : -ENOMEM;
	if (!e && shared.users == 1) {
		e = exec_child_start(&shared.child, arg, err);
		e = e ? e : hello(x, info, err);
	}
	if (e) {
		destroy(x);
		return e;
	}
	*state = x;
	return 0;
}

static int ask(struct exec_lb *x, const struct sim_lb_view *v, char err[256])
{
	struct text *t = &x->text;

	t->len = 0;
	put(t, "{\"lb\":%u,\"t\":%.6f,\"observation\":{\"vip\":%u,\"stepped\":%u,\"servers\":[", x->lb, v->now_s, v->hdr->vip_id,
	    x->out.stepped);
	for (uint32_t j = 0; j < v->n; j++)
		put(t, j ? ",%u" : "%u", v->rec[j].id);
	put(t, "],\"weight_static\":[");
	put_floats(t, v->weight_cfg, v->n);
	put(t, "],\"flows\":[");
	for (uint32_t j = 0; j < v->n; j++)
		put(t, j ? ",%u" : "%u", v->flows[j]);
	put(t, "],\"kalman\":[");
	put_floats(t, x->out.kalman, v->n);
	put(t, "],\"stratum\":[");
	put_floats(t, x->out.stratum, v->n);
	put(t, "],\"shared\":%u,\"server\":[", x->out.shared);
	for (uint32_t j = 0; j < v->n; j++) {
		put(t, j ? ",[" : "[");
		put_floats(t, x->out.server + (size_t)j * MLB_OBS_SERVER_FEATURES, MLB_OBS_SERVER_FEATURES);
		put(t, "]");
	}
	put(t, "],\"pool\":[");
	put_floats(t, x->out.pool, MLB_OBS_POOL_FEATURES);
	put(t, "]}}\n");
	return exec_child_send(&shared.child, t->s, t->len, err);
}

static int numbers(const struct json *o, const char *key, uint32_t n, double lo, double *out, char err[256])
{
	const struct json *a = json_get(o, key), *k = a ? a->child : NULL;

	if (!a || a->kind != JSON_ARRAY || a->count != n) {
		snprintf(err, 256, "exec: the answer's %s: expected an array of %u numbers", key, n);
		return -EINVAL;
	}
	for (uint32_t j = 0; j < n; j++, k = k->next) {
		if (k->kind != JSON_NUMBER || !(k->number > lo) || !isfinite(k->number)) {
			snprintf(err, 256, "exec: the answer's %s[%u]: expected a number greater than %g", key, j, lo);
			return -EINVAL;
		}
		out[j] = k->number;
	}
	return 0;
}

static int take(const struct exec_lb *x, const struct sim_lb_view *v, const struct json *o, struct sim_decision *d, char err[256])
{
	const struct json *lb = json_get(o, "lb"), *t = json_get(o, "t"), *kappa = json_get(o, "kappa");

	if (!lb || lb->kind != JSON_NUMBER || lb->number != x->lb || !t || t->kind != JSON_NUMBER ||
	    fabs(t->number - v->now_s) > 1e-5) {
		snprintf(err, 256, "exec: an answer to another question: expected lb %u, t %.6f", x->lb, v->now_s);
		return -EPROTO;
	}
	d->kappa = 1. / v->info->lbs;
	if (kappa && (kappa->kind != JSON_NUMBER || !(kappa->number >= 0 && kappa->number <= KAPPA_MAX))) {
		snprintf(err, 256, "exec: the answer's kappa: expected a number from 0 to %g", KAPPA_MAX);
		return -EINVAL;
	}
	if (kappa)
		d->kappa = kappa->number;
	int e = numbers(o, "weights", v->n, 0, d->weight, err);
	for (uint32_t j = 0; j < v->n; j++)
		d->bias[j] = 0;
	return !e && json_get(o, "bias") ? numbers(o, "bias", v->n, -1e9, d->bias, err) : e;
}

static void tick(void *state, const struct sim_lb_view *v, struct sim_decision *d)
{
	struct exec_lb *x = state;
	const char *line;
	char why[256];
	int e = mlb_observe(v->hdr, v->rec, x->seen ? x->obs[x->cur] : NULL, x->obs[!x->cur], &x->out);

	if (e)
		snprintf(d->err, 256, "exec: the observation failed: %s", strerror(-e));
	x->cur = !x->cur;
	x->seen = true;
	e = e ? e : ask(x, v, d->err);
	e = e ? e : exec_child_receive(&shared.child, &line, d->err);
	if (!e) {
		struct json *o = json_parse(line, strlen(line), why);
		e = o ? take(x, v, o, d, d->err) : -EPROTO;
		if (!o)
			snprintf(d->err, 256, "exec: the answer \"%.60s\" is no JSON: %.120s", line, why);
		json_free(o);
	}
	d->failed = e;
}

const struct sim_policy sim_policy_exec = {
	.name = "exec",
	.wants = SIM_WANTS_FRAME,
	.create = create,
	.destroy = destroy,
	.tick = tick,
	.takes_arg = true,
	.join = tick, /* its scale is its own, so what a configured weight is beside its weights only it can say */
};
