/* SPDX-License-Identifier: Apache-2.0 */
/* Frames to observations: folding frames into native steps, the Kalman update, the state that goes from step to step. */
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "marllb/observe.h"
#include "marllb/rng.h"
#include "observe_priv.h"

#define JITTER_US 20000u
#define CONNECT_WINDOW_US 5000000u
#define GOLDEN .6180339887498949 /* its multiples stay spread however many of them are taken, and from wherever */
#define ONE_LESS .99999994f      /* greatest float below 1 */
#define KAPPA_LEAST .02          /* flows; a bias may leave nothing or less */

/* Far beyond what steps make: weights of e^+-100 of the pool's, a variance of 10^4. */
#define MAX_LOG_WEIGHT 100.0
#define MAX_VARIANCE 1e4

static void connect_times(struct mlb_obs_srv *s, const struct mlb_server_rec *r, bool new_window)
{
	if (new_window) {
		s->connect_min[1] = s->connect_min[0];
		s->connect_min[0] = 0;
	}
	if (r->connect.samples && (s->connect_min[0] == 0 || r->connect.min < s->connect_min[0]))
		s->connect_min[0] = r->connect.min;
}

void mlb_obs_strip(struct mlb_server_rec *r, uint32_t count)
{
	for (uint32_t i = 0; i < count; i++) {
		r[i].duration = r[i].ttfb = (struct mlb_res_sum){ 0 };
		r[i].connect = (struct mlb_res_sum){ .samples = r[i].connect.samples, .min = r[i].connect.min };
		r[i].packets_in = r[i].packets_out = r[i].bytes_in = r[i].bytes_out = 0;
		r[i].ejections = r[i].guards = 0;
		r[i].weight = 0;
	}
}

struct place {
	uint8_t key[sizeof(struct mlb_addr) + 2]; /* address, port: memcmp's order is that of the numbers */
	uint16_t counts;
	uint32_t at;
};

static int by_key(const void *a, const void *b)
{
	return memcmp(a, b, sizeof(((struct place *)0)->key));
}

void mlb_obs_strata(const struct mlb_frame_hdr *h, const struct mlb_server_rec *rec, float *stratum)
{
	static _Thread_local struct place p[MLB_MAX_SERVERS_PER_VIP];
	bool sorted = true, told = h->load_balancer && h->load_balancer <= h->load_balancers;
	uint64_t x = h->dp_epoch;
	double start = told ? (h->load_balancer - .5) / h->load_balancers : (double)(mlb_splitmix64(&x) >> 11) * 0x1p-53;
	for (uint32_t i = 0; i < h->count; i++) {
		memcpy(p[i].key, &rec[i].addr, sizeof(rec[i].addr));
		p[i].key[sizeof(rec[i].addr)] = (uint8_t)(rec[i].port >> 8);
		p[i].key[sizeof(rec[i].addr) + 1] = (uint8_t)rec[i].port;
		p[i].counts = !(rec[i].flags & MLB_SRV_LEAVING);
		p[i].at = i;
		sorted &= i == 0 || by_key(&p[i - 1], &p[i]) <= 0;
	}
	if (!sorted)
		qsort(p, h->count, sizeof(p[0]), by_key);
	uint32_t rank = 0;
	for (uint32_t i = 0; i < h->count; i++) {
		double u = start + GOLDEN * rank;
		stratum[p[i].at] = fminf((float)(u - floor(u)), ONE_LESS);
		rank += p[i].counts; /* one that leaves may be gone from the others' frames already */
	}
}

static void decay_pool(struct mlb_obs_state *st, double dt)
{
	double k5 = exp(-dt / 5);
	for (uint32_t b = OBS_PA; b <= OBS_PLSS; b++)
		st->ema[b] = (float)(st->ema[b] * k5);
	st->ema[OBS_PT] += (float)dt;
	for (uint32_t b = OBS_PTN; b <= OBS_PTSS; b++)
		st->ema[b] = (float)(st->ema[b] * exp(-dt / 60));
}

/* One native step over all servers: figures, Kalman, decays, features. */
static void make_step(const struct mlb_frame_hdr *h, const struct mlb_server_rec *rec, struct mlb_obs_state *st, uint64_t now_us,
		      struct mlb_obs_out *out)
{
	static _Thread_local struct obs_step u[MLB_MAX_SERVERS_PER_VIP];
	static _Thread_local struct mlb_kalman_srv k[MLB_MAX_SERVERS_PER_VIP];
	static _Thread_local struct mlb_kalman_seen seen[MLB_MAX_SERVERS_PER_VIP];
	bool rtts = false;
	uint32_t n = h->count, in_pool = 0;
	double dt = (double)(now_us - st->last_us) * 1e-6;
	struct obs_pool_step p = { .dt = dt, .load_balancers = h->load_balancers ? h->load_balancers : 1 };
	p.kappa = h->kappa > 0 ? (double)h->kappa : 1.0 / p.load_balancers;
	decay_pool(st, dt);
	st->by_waits = obs_by_waits(h, st, rec, dt);
	for (uint32_t i = 0; i < n; i++) {
		struct mlb_obs_srv *s = &st->srv[i];
		const struct mlb_server_rec *r = &rec[i];
		struct obs_durations l;
		if (out->latency)
			out->latency[i] = h->one_way ? NAN : obs_latency(r, s);
		obs_figures(s, h, r, st->by_waits, dt, &u[i], &l);
		u[i].kappa = fmax(p.kappa + (isfinite(r->bias) ? (double)r->bias : 0), KAPPA_LEAST);
		rtts |= u[i].rtt > 0;
		in_pool += u[i].counts;
		s->steps++;
		p.opened += u[i].opened;
		st->ema[OBS_PLN] += (float)l.count;
		st->ema[OBS_PLS] += (float)l.logs;
		st->ema[OBS_PLSS] += (float)l.log_squares;
		st->ema[OBS_PTN] += (float)l.count;
		st->ema[OBS_PTS] += (float)l.sum;
		st->ema[OBS_PTSS] += (float)l.squares;
		/* The queue's evidence is about the balance that the choice keeps, with its bias. */
		seen[i] = (struct mlb_kalman_seen){ .q = u[i].q,
						    .d = u[i].d,
						    .load = u[i].load + u[i].peer + u[i].kappa - p.kappa };
		k[i] = s->kalman;
	}
	st->ema[OBS_PA] += (float)p.opened;
	mlb_kalman_step(k, &st->pool, n, seen, obs_noise(st), dt, p.kappa);
	for (uint32_t i = 0; i < n; i++) {
		st->srv[i].kalman = k[i];
		if (!in_pool)
			u[i].counts = true;
	}
	obs_ask_again(st, u, &p);
	/* One direction: ends are inferred from the client's side, too late to call them durations. */
	p.present = MLB_OBS_COUNTS | (h->one_way ? 0 : MLB_OBS_LATENCY) | (rtts ? MLB_OBS_CONNECT : 0);
	st->last_us = now_us;
	st->steps++;
	obs_features(st, u, &p, out);
	out->present = p.present;
	out->dt = dt;
}

static void kalman_out(const struct mlb_obs_state *st, float *w)
{
	double top = -HUGE_VAL, sum = 0;
	for (uint32_t i = 0; i < st->n; i++)
		top = fmax(top, st->srv[i].kalman.x);
	for (uint32_t i = 0; i < st->n; i++)
		sum += exp(st->srv[i].kalman.x - top);
	for (uint32_t i = 0; i < st->n; i++)
		w[i] = (float)(exp(st->srv[i].kalman.x - top) * st->n / sum);
}

static bool finite_all(const float *x, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++)
		if (!isfinite(x[i]))
			return false;
	return true;
}

/* A state may come back as a checkpoint from outside. One NaN in it would stay in every later state: only what steps make is
 * taken. */
static bool sane_state(const struct mlb_obs_state *st)
{
	if (st->schema != MLB_OBS_SCHEMA || st->n > MLB_MAX_SERVERS_PER_VIP || st->last_us > st->seen_us ||
	    st->window_us > st->seen_us || !isfinite(st->pool.sum_d) || !isfinite(st->pool.sum_q) ||
	    !finite_all(st->ema, sizeof(st->ema) / sizeof(st->ema[0])))
		return false;
	for (uint32_t i = 0; i < st->n; i++) {
		const struct mlb_obs_srv *s = &st->srv[i];
		const struct mlb_kalman_srv *k = &s->kalman;
		if (!finite_all(&s->missed, 3) || !(fabs(k->x) <= MAX_LOG_WEIGHT) || !(fabs(k->log_cfg) <= MAX_LOG_WEIGHT) ||
		    !(k->p >= 0 && k->p <= MAX_VARIANCE) || !finite_all(s->ema, sizeof(s->ema) / sizeof(s->ema[0])) ||
		    !finite_all(s->connect_min, 2))
			return false;
	}
	for (uint32_t i = 0; i < MLB_OBS_LEFT; i++)
		if (!(fabs(st->left[i].offset) <= 2 * MAX_LOG_WEIGHT) || !finite_all(&st->left[i].usual, 2) ||
		    !(st->left[i].p >= 0 && st->left[i].p <= MAX_VARIANCE))
			return false;
	return true;
}

int mlb_observe(const struct mlb_frame_hdr *h, const struct mlb_server_rec *rec, const struct mlb_obs_state *prev,
		struct mlb_obs_state *next, struct mlb_obs_out *out)
{
	if (h->schema != MLB_FRAME_SCHEMA || h->record_size != sizeof(struct mlb_server_rec))
		return -EINVAL;
	if (h->count > MLB_MAX_SERVERS_PER_VIP)
		return -E2BIG;
	if (prev && !sane_state(prev))
		return -EINVAL;
	uint64_t now_us = h->mono_ns / 1000;
	if (prev && (prev->dp_epoch != h->dp_epoch || now_us < prev->seen_us))
		prev = NULL;

	if (prev) {
		memcpy(next, prev, sizeof(*next));
	} else {
		memset(next, 0, sizeof(*next));
		next->schema = MLB_OBS_SCHEMA;
		next->dp_epoch = h->dp_epoch;
		next->last_us = next->seen_us = next->window_us = now_us;
	}
	next->n = h->count;
	obs_match(h, rec, prev, next);

	bool new_window = now_us - next->window_us >= CONNECT_WINDOW_US;
	if (new_window)
		next->window_us = now_us;
	for (uint32_t i = 0; i < h->count; i++)
		connect_times(&next->srv[i], &rec[i], new_window);

	uint64_t period = now_us - next->seen_us, slack = period / 2 < JITTER_US ? period / 2 : JITTER_US;
	uint64_t elapsed = now_us - next->last_us;
	next->seen_us = now_us;
	out->n = h->count;
	out->shared = 0;
	out->dt = 0;
	for (uint32_t i = 0; i < h->count; i++)
		out->shared |= rec[i].peer > 0;
	if (out->stratum)
		mlb_obs_strata(h, rec, out->stratum);
	out->stepped = prev && elapsed > 0 && (next->steps == 0 || elapsed + slack >= MLB_OBS_STEP_US);
	if (out->stepped)
		make_step(h, rec, next, now_us, out);
	kalman_out(next, out->kalman);
	return 0;
}
