/* SPDX-License-Identifier: Apache-2.0 */
/* Figures to features. Server features are centred on the pool where that has a meaning, scaled to about one standard deviation
 * in training and clipped to the trained range. Any change here raises MLB_OBS_SCHEMA. */
#include <math.h>
#include <string.h>
#include "observe_priv.h"

enum {
	SF_OFFSET,
	SF_CONFIGURED,
	SF_VARIANCE,
	SF_RATE,
	SF_SURPRISE,
	SF_RATE_1S,
	SF_RATE_5S,
	SF_BALANCE,
	SF_BALANCE_NOW,
	SF_EXPECTED,
	SF_DURATION_1S,
	SF_DURATION_5S,
	SF_SAMPLES,
	SF_AGE,
	SF_SILENCE,
	SF_ARRIVALS,
	SF_TREND,
	SF_FAILURES,
	SF_RTT,
	SF_NEW, /* the last of schema 2 */
	SF_ERRORS,
	SF_QUICK,
	SF_WAITING
};
const struct mlb_obs_feature mlb_obs_server_features[MLB_OBS_SERVER_FEATURES] = {
	[SF_OFFSET] = { "kalman_offset", MLB_OBS_COUNTS, -4, 4 },  /* log Kalman over configured weight */
	[SF_CONFIGURED] = { "configured", MLB_OBS_COUNTS, -4, 4 }, /* log configured weight */
	[SF_VARIANCE] = { "kalman_variance", MLB_OBS_COUNTS, -3, 3 },
	[SF_RATE] = { "rate", MLB_OBS_COUNTS, -3, 3 },         /* log completions over expected, this step */
	[SF_SURPRISE] = { "surprise", MLB_OBS_COUNTS, -3, 3 }, /* their difference in standard deviations */
	[SF_RATE_1S] = { "rate_1s", MLB_OBS_COUNTS, -3, 3 },
	[SF_RATE_5S] = { "rate_5s", MLB_OBS_COUNTS, -3, 3 },
	[SF_BALANCE] = { "balance", MLB_OBS_COUNTS, -4, 4 },          /* log mean load over Kalman weight, this step */
	[SF_BALANCE_NOW] = { "balance_now", MLB_OBS_COUNTS, -4, 4 },  /* the same at this moment */
	[SF_EXPECTED] = { "expected", MLB_OBS_COUNTS, -2.5f, 3 },     /* log expected completions: confidence */
	[SF_DURATION_1S] = { "duration_1s", MLB_OBS_LATENCY, -3, 3 }, /* mean log duration */
	[SF_DURATION_5S] = { "duration_5s", MLB_OBS_LATENCY, -3, 3 },
	[SF_SAMPLES] = { "samples", MLB_OBS_LATENCY, -2, 3 },  /* log durations seen in 1 s */
	[SF_AGE] = { "age", MLB_OBS_COUNTS, -3, 3 },           /* log mean age of the flows in progress */
	[SF_SILENCE] = { "silence", MLB_OBS_COUNTS, 0, 4 },    /* log completions missed since the last one */
	[SF_ARRIVALS] = { "arrivals", MLB_OBS_COUNTS, -3, 3 }, /* log new flows in 1 s over the weight's share */
	[SF_TREND] = { "trend", MLB_OBS_COUNTS, -3, 3 },       /* log flows now over their mean in 1 s */
	[SF_FAILURES] = { "failures", MLB_OBS_COUNTS, 0, 4 },
	[SF_RTT] = { "rtt", MLB_OBS_CONNECT, -3, 3 },         /* over the mean duration */
	[SF_NEW] = { "new", MLB_OBS_COUNTS, 0, 1 },           /* 1 at joining, fading over some 25 steps */
	[SF_ERRORS] = { "errors", MLB_OBS_COUNTS, 0, 4 },     /* refusals, resets, ends without a byte */
	[SF_QUICK] = { "quick", MLB_OBS_COUNTS, 0, 1 },       /* share of the ends too quick to be work */
	[SF_WAITING] = { "waiting", MLB_OBS_LATENCY, -3, 3 }, /* log share of the flows that wait for an answer */
};

enum {
	PF_N,
	PF_M,
	PF_LOAD,
	PF_COMPLETIONS,
	PF_SPREAD,
	PF_BURST,
	PF_IMBALANCE,
	PF_DT,
	PF_LATENCY,
	PF_CONNECT,
	PF_REQUESTS,
	PF_IDLE,
	PF_WAITS,
	PF_QUICK
};
const struct mlb_obs_feature mlb_obs_pool_features[MLB_OBS_POOL_FEATURES] = {
	[PF_N] = { "servers", MLB_OBS_COUNTS, -1.81f, 1.66f },       /* log N, 2..64 */
	[PF_M] = { "load_balancers", MLB_OBS_COUNTS, -1, 1.7726f },  /* log M, 1..16 */
	[PF_LOAD] = { "load", MLB_OBS_COUNTS, -3, 4 },               /* log own flows per server */
	[PF_COMPLETIONS] = { "completions", MLB_OBS_COUNTS, -3, 4 }, /* log own completions per server and step */
	[PF_SPREAD] = { "spread", MLB_OBS_LATENCY, -2, 2.5f },       /* standard deviation of log duration */
	[PF_BURST] = { "burst", MLB_OBS_COUNTS, -3, 3 },             /* log arrival rate of the step over that of 5 s */
	[PF_IMBALANCE] = { "imbalance", MLB_OBS_COUNTS, -1, 4 },     /* standard deviation of `balance` before scaling */
	[PF_DT] = { "step", MLB_OBS_COUNTS, -2, 1.7f },              /* log length of the step over 200 ms */
	[PF_LATENCY] = { "latency_seen", MLB_OBS_COUNTS, 0, 1 },
	[PF_CONNECT] = { "connect_seen", MLB_OBS_COUNTS, 0, 1 },
	[PF_REQUESTS] = { "requests", MLB_OBS_LATENCY, -3, 4 }, /* log answers a closed flow */
	[PF_IDLE] = { "idle", MLB_OBS_LATENCY, 0, 1 },          /* share of the flow-seconds that waited for no answer */
	[PF_WAITS] = { "by_waits", MLB_OBS_COUNTS, 0, 1 },      /* 1: capacity is told by waits and answers */
	[PF_QUICK] = { "quick_ends", MLB_OBS_COUNTS, 0, 1 },    /* share of the ends too quick to be work, of 1 s */
};

struct pool {
	double l, x, off, cfg, now, rtt; /* means */
	double r0, r1, r5;               /* completions per flow-second, of the step and decayed */
	double age;                      /* mean age of a flow in progress */
	double mu1, mu5;                 /* mean log duration */
	double a1, w;                    /* sums: arrivals in 1 s, Kalman weights */
	double d1, k1, waiting;          /* sums: completions and quick ends of 1 s; mean log share of waiting flows */
	double q, d;                     /* sums: flow-seconds, completions of the step */
	uint32_t n;
};

static double load_log(const struct obs_step *u)
{
	return log(u->load + u->peer + u->kappa);
}

/* Of its flows that wait for an answer, over some seconds. */
static double log_waiting(const struct mlb_obs_srv *v)
{
	double seen = 1 - exp(-(v->steps * .2)); /* of the second that the figure is over */
	return log(fmin(1, v->ema[OBS_W1] / seen) + .01);
}

static struct pool sum_up(const struct mlb_obs_state *st, const struct obs_step *u)
{
	struct pool s = { 0 };
	double d1 = 0, q1 = 0, d5 = 0, q5 = 0, n1 = 0, l1 = 0, n5 = 0, l5 = 0, ages = 0, flows = 0;
	for (uint32_t i = 0; i < st->n; i++) {
		const struct mlb_obs_srv *v = &st->srv[i];
		if (!u[i].counts)
			continue;
		s.n++;
		s.l += load_log(&u[i]);
		s.x += v->kalman.x;
		s.off += v->kalman.x - v->kalman.log_cfg;
		s.cfg += v->kalman.log_cfg;
		s.now += log(u[i].flows + u[i].peer + u[i].kappa);
		s.rtt += u[i].rtt;
		s.a1 += v->ema[OBS_A1];
		s.q += u[i].q;
		s.d += u[i].d;
		s.k1 += v->ema[OBS_K1];
		s.waiting += log_waiting(v);
		d1 += v->ema[OBS_D1], q1 += v->ema[OBS_Q1];
		d5 += v->ema[OBS_D5], q5 += v->ema[OBS_Q5];
		n1 += v->ema[OBS_LN1], l1 += v->ema[OBS_LS1];
		n5 += v->ema[OBS_LN5], l5 += v->ema[OBS_LS5];
		ages += fmax(u[i].age, 0);
		flows += u[i].flows;
	}
	if (!s.n)
		return s;
	s.d1 = d1;
	s.waiting /= s.n;
	s.l /= s.n, s.x /= s.n, s.off /= s.n, s.cfg /= s.n, s.now /= s.n, s.rtt /= s.n;
	for (uint32_t i = 0; i < st->n; i++)
		if (u[i].counts)
			s.w += exp(st->srv[i].kalman.x - s.x);
	s.r1 = (d1 + .001) / (q1 + 1e-6);
	s.r5 = (d5 + .001) / (q5 + 1e-6);
	s.r0 = s.r1;
	s.mu5 = n5 > 0 ? l5 / n5 : 0;
	s.mu1 = n1 > 0 ? l1 / n1 : s.mu5;
	s.age = flows > 0 ? ages / flows : 0;
	return s;
}

static float put(const struct mlb_obs_feature *f, double v, uint32_t present, uint32_t *clipped)
{
	if (!(f->block & present))
		return 0;
	if (!(v >= f->lo)) { /* NaN too */
		*clipped += v < f->lo - 1e-6 || isnan(v);
		return isnan(v) ? 0 : f->lo;
	}
	if (v > f->hi) {
		*clipped += v > f->hi + 1e-6;
		return f->hi;
	}
	return (float)v;
}

static void server_features(const struct mlb_obs_srv *v, const struct obs_step *u, const struct pool *s,
			    double f[MLB_OBS_SERVER_FEATURES])
{
	const float *m = v->ema;
	double x = v->kalman.x - s->x, e0 = u->q * s->r0, e1 = m[OBS_Q1] * s->r1, e5 = m[OBS_Q5] * s->r5;
	double share = exp(x) / s->w;
	f[SF_OFFSET] = 1.5 * (v->kalman.x - v->kalman.log_cfg - s->off);
	f[SF_CONFIGURED] = 1.5 * (v->kalman.log_cfg - s->cfg);
	f[SF_VARIANCE] = log(v->kalman.p / .03);
	f[SF_RATE] = log((u->d + .5) / (e0 + .5)) / .6;
	f[SF_SURPRISE] = (u->d - e0) / sqrt(e0 + .5);
	f[SF_RATE_1S] = log((m[OBS_D1] + .5) / (e1 + .5)) / .4;
	f[SF_RATE_5S] = log((m[OBS_D5] + .5) / (e5 + .5)) / .25;
	f[SF_BALANCE] = (load_log(u) - s->l - x) / .4;
	f[SF_BALANCE_NOW] = (log(u->flows + u->peer + u->kappa) - s->now - x) / .5;
	f[SF_EXPECTED] = .5 * log(e0 + .05);
	f[SF_DURATION_1S] = (m[OBS_LS1] - m[OBS_LN1] * s->mu1) / (m[OBS_LN1] + 1.0) / .4;
	f[SF_DURATION_5S] = (m[OBS_LS5] - m[OBS_LN5] * s->mu5) / (m[OBS_LN5] + 1.0) / .25;
	f[SF_SAMPLES] = .5 * log(m[OBS_LN1] + .1);
	f[SF_AGE] = u->age < 0 || s->age <= 0 ? 0 : log((u->age + s->age) / (u->flows * s->age + s->age)) / .5;
	f[SF_SILENCE] = u->silent < 0 ? 0 : log1p(s->r1 * u->flows * u->silent) / .8;
	f[SF_ARRIVALS] = log((m[OBS_A1] + .5) / (s->a1 * share + .5)) / .4;
	f[SF_TREND] = log((u->flows + .5) / (m[OBS_L1] / (1 - exp(-(v->steps * .2))) + .5)) / .4;
	f[SF_FAILURES] = log1p(4.0 * m[OBS_F1]);
	f[SF_RTT] = (u->rtt - s->rtt) * s->r1 * 4;
	f[SF_NEW] = 1 / (1 + .2 * u->since);
	f[SF_ERRORS] = log1p(4.0 * m[OBS_E1]);
	f[SF_QUICK] = m[OBS_K1] / (m[OBS_K1] + m[OBS_D1] + 1);
	f[SF_WAITING] = log_waiting(v) - s->waiting;
}

void obs_features(const struct mlb_obs_state *st, const struct obs_step *u, const struct obs_pool_step *p,
		  struct mlb_obs_out *out)
{
	struct pool s = sum_up(st, u);
	uint32_t clipped = 0;
	double imbalance = 0;
	if (!s.n) { /* an empty pool */
		memset(out->pool, 0, MLB_OBS_POOL_FEATURES * sizeof(float));
		out->out_of_range = 0;
		return;
	}
	for (uint32_t i = 0; i < st->n; i++) {
		double f[MLB_OBS_SERVER_FEATURES];
		float *o = out->server + (size_t)i * MLB_OBS_SERVER_FEATURES;
		server_features(&st->srv[i], &u[i], &s, f);
		if (u[i].counts)
			imbalance += f[SF_BALANCE] * f[SF_BALANCE];
		for (uint32_t k = 0; k < MLB_OBS_SERVER_FEATURES; k++)
			o[k] = put(&mlb_obs_server_features[k], f[k], p->present, &clipped);
	}

	const float *m = st->ema;
	double mean = m[OBS_PLN] > 0 ? m[OBS_PLS] / m[OBS_PLN] : 0;
	double var = m[OBS_PLN] > 0 ? fmax(0, m[OBS_PLSS] / m[OBS_PLN] - mean * mean) : 1.44;
	double f[MLB_OBS_POOL_FEATURES];
	f[PF_N] = log(s.n < 2 ? 2 : s.n > 64 ? 64 : s.n) - 2.5; /* clamped, not counted: larger pools are common */
	f[PF_M] = log(p->load_balancers > 16 ? 16 : p->load_balancers) - 1;
	f[PF_LOAD] = .8 * log(s.q / (p->dt * s.n) + .05);
	f[PF_COMPLETIONS] = .7 * log(s.d / s.n + .05);
	f[PF_SPREAD] = 2 * (sqrt(var) - 1.2);
	f[PF_BURST] = log((p->opened + 1) / (m[OBS_PA] * p->dt / m[OBS_PT] + 1)) / .3;
	f[PF_IMBALANCE] = sqrt(imbalance / s.n) - 1;
	f[PF_DT] = log(p->dt / .2);
	f[PF_LATENCY] = (p->present & MLB_OBS_LATENCY) != 0;
	f[PF_CONNECT] = (p->present & MLB_OBS_CONNECT) != 0;
	f[PF_REQUESTS] = log((m[OBS_PANSWERS] + 1) / (m[OBS_PENDED] + 1));
	f[PF_IDLE] = m[OBS_PFLOW] > 0 ? fmax(0, 1 - m[OBS_PWAIT] / m[OBS_PFLOW]) : 0;
	f[PF_WAITS] = st->by_waits;
	f[PF_QUICK] = s.k1 / (s.k1 + s.d1 + 1);
	for (uint32_t k = 0; k < MLB_OBS_POOL_FEATURES; k++)
		out->pool[k] = put(&mlb_obs_pool_features[k], f[k], p->present, &clipped);
	out->out_of_range = (float)clipped / (float)(st->n * MLB_OBS_SERVER_FEATURES + MLB_OBS_POOL_FEATURES);
}

bool mlb_obs_sizes(uint32_t schema, uint32_t *server, uint32_t *pool)
{
	if (schema < MLB_OBS_SCHEMA_OLDEST || schema > MLB_OBS_SCHEMA)
		return false;
	*server = schema < 3 ? SF_NEW + 1 : MLB_OBS_SERVER_FEATURES;
	*pool = schema < 3 ? PF_CONNECT + 1 : MLB_OBS_POOL_FEATURES;
	return true;
}

void mlb_obs_mask(struct mlb_obs_out *out, uint32_t present)
{
	present |= MLB_OBS_COUNTS;
	for (uint32_t k = 0; k < MLB_OBS_SERVER_FEATURES; k++) {
		if (mlb_obs_server_features[k].block & present)
			continue;
		for (uint32_t i = 0; i < out->n; i++)
			out->server[(size_t)i * MLB_OBS_SERVER_FEATURES + k] = 0;
	}
	for (uint32_t k = 0; k < MLB_OBS_POOL_FEATURES; k++)
		if (!(mlb_obs_pool_features[k].block & present))
			out->pool[k] = 0;
	if (!(present & MLB_OBS_LATENCY))
		out->pool[PF_LATENCY] = 0;
	if (!(present & MLB_OBS_CONNECT))
		out->pool[PF_CONNECT] = 0;
	out->present &= present;
}
