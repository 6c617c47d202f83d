/* SPDX-License-Identifier: Apache-2.0 */
/* Frames to figures: matching servers, folding frames into native steps, the Kalman update, decayed figures. */
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "marllb/hist.h"
#include "marllb/observe.h"
#include "marllb/rng.h"
#include "observe_priv.h"

#define JITTER_US 20000u
#define CONNECT_WINDOW_US 5000000u
#define SILENT_MAX_S 10.0
#define GOLDEN .6180339887498949 /* its multiples stay spread however many of them are taken, and from wherever */
#define ONE_LESS .99999994f      /* greatest float below 1 */
#define KAPPA_LEAST .02          /* flows; a bias may leave nothing or less */

/* Far beyond what steps make: weights of e^+-100 of the pool's, a variance of 10^4. */
#define MAX_LOG_WEIGHT 100.0
#define MAX_VARIANCE 1e4

/* A cumulative figure falls only where a checkpoint lies about it. */
static double grown(uint64_t now, uint64_t before)
{
	return now > before ? (double)(now - before) : 0;
}

/* A server's cumulative figures, whichever load the VIP counts. A refused or reset flow is no completion (a quick refusal would
 * look like a fast server); one that was never answered is, since its whole wait is in the load. */
struct cumulative {
	uint64_t load_us, ended, failed, opened;
};

static struct cumulative figures(const struct mlb_server_rec *r, bool waiting)
{
	struct cumulative c = { .failed = r->refusals + r->resets + r->unanswered };
	if (waiting) {
		c.load_us = r->wait_us;
		c.ended = r->answers + r->unanswered;
		c.opened = r->answers + r->waiting; /* requests so far */
	} else {
		c.load_us = r->flow_us;
		c.ended = r->completions + r->unanswered;
		c.opened = r->new_flows;
	}
	return c;
}

static double log_cfg(const struct mlb_server_rec *r)
{
	return r->weight_static > 0 && isfinite(r->weight_static) ? log((double)r->weight_static) : 0.0;
}

static void remember(struct mlb_obs_srv *s, const struct cumulative *c, const struct mlb_server_rec *r)
{
	s->load_us = c->load_us;
	s->ended = c->ended;
	s->failed = c->failed;
	s->opened = c->opened;
	memcpy(s->ttfb_hist, r->ttfb_hist, sizeof(s->ttfb_hist));
	memcpy(s->duration_hist, r->duration_hist, sizeof(s->duration_hist));
}

/* The server's entry in prev: nearly always at the same or a slightly lower index, so search on from there. */
static const struct mlb_obs_srv *find(const struct mlb_obs_state *prev, uint32_t id, uint32_t *from)
{
	for (uint32_t k = 0; k < prev->n; k++) {
		uint32_t i = *from + k < prev->n ? *from + k : *from + k - prev->n;
		if (prev->srv[i].id == id) {
			*from = i + 1 < prev->n ? i + 1 : 0;
			return &prev->srv[i];
		}
	}
	return NULL;
}

/* Copies known servers over, then lets new ones join. */
static void match(const struct mlb_frame_hdr *h, const struct mlb_server_rec *rec, const struct mlb_obs_state *prev,
		  struct mlb_obs_state *next, bool waiting)
{
	struct mlb_kalman_srv present[MLB_MAX_SERVERS_PER_VIP];
	uint32_t known = 0, from = 0;
	for (uint32_t i = 0; i < h->count; i++) {
		struct mlb_obs_srv *s = &next->srv[i];
		const struct mlb_obs_srv *old = prev ? find(prev, rec[i].id, &from) : NULL;
		if (!old) {
			memset(s, 0, sizeof(*s));
			continue;
		}
		*s = *old;
		double lc = log_cfg(&rec[i]);
		s->kalman.x += lc - s->kalman.log_cfg;
		s->kalman.log_cfg = lc;
		present[known++] = s->kalman;
	}
	for (uint32_t i = 0; i < h->count; i++) {
		struct mlb_obs_srv *s = &next->srv[i];
		if (s->id)
			continue;
		s->id = rec[i].id;
		if (known)
			mlb_kalman_join(&s->kalman, exp(log_cfg(&rec[i])), present, known);
		else
			mlb_kalman_init(&s->kalman, exp(log_cfg(&rec[i])));
		/* Counts from before we looked are no news; those of a server that joined since are. */
		if (!prev || rec[i].joined_us < prev->last_us) {
			struct cumulative c = figures(&rec[i], waiting);
			remember(s, &c, &rec[i]);
		}
	}
}

static double ago(uint64_t now_us, uint64_t then_us)
{
	return now_us > then_us ? (double)(now_us - then_us) * 1e-6 : 0.0;
}

/* Log durations of the flows that ended in the step: count, sum, sum of squares; seconds, the RTT taken off. */
static void durations(const uint32_t *now, const uint32_t *before, double rtt, double out[3])
{
	out[0] = out[1] = out[2] = 0;
	for (uint32_t b = 0; b < MLB_HIST_BUCKETS; b++) {
		uint32_t c = now[b] - before[b]; /* modulo 2^32 */
		if (!c)
			continue;
		double lo = b ? (double)mlb_hist_edge(b) : 32.0;
		double hi = b + 1 < MLB_HIST_BUCKETS ? (double)mlb_hist_edge(b + 1) : 1.5 * lo;
		double mid = sqrt(lo * hi) * 1e-6;
		double l = log(fmax(mid - rtt, .25 * mid));
		out[0] += c;
		out[1] += c * l;
		out[2] += c * l * l;
	}
}

static double bucket_low(uint32_t b)
{
	return b ? (double)mlb_hist_edge(b) : 0;
}

/* Mean of what came into a histogram since the last step, s; NaN: nothing. */
static float mean_of(const uint32_t *now, const uint32_t *before)
{
	double sum = 0, count = 0;
	for (uint32_t b = 0; b < MLB_HIST_BUCKETS; b++) {
		uint32_t c = now[b] - before[b]; /* modulo 2^32 */
		double lo = bucket_low(b), hi = b + 1 < MLB_HIST_BUCKETS ? bucket_low(b + 1) : 2 * lo;
		count += c;
		sum += c * (lo + hi) / 2;
	}
	return count > 0 ? (float)(sum / count * 1e-6) : NAN;
}

static float latency_of(const struct mlb_server_rec *r, const struct mlb_obs_srv *s)
{
	for (uint32_t b = 0; b < MLB_HIST_BUCKETS; b++)
		if (r->ttfb_hist[b])
			return mean_of(r->ttfb_hist, s->ttfb_hist);
	return mean_of(r->duration_hist, s->duration_hist);
}

static void decay(struct mlb_obs_srv *s, const struct obs_step *u, const double l[3], double k1, double k5)
{
	float *e = s->ema;
	e[OBS_D1] = (float)(e[OBS_D1] * k1 + u->d);
	e[OBS_Q1] = (float)(e[OBS_Q1] * k1 + u->q);
	e[OBS_A1] = (float)(e[OBS_A1] * k1 + u->opened);
	e[OBS_F1] = (float)(e[OBS_F1] * k1 + u->failed);
	e[OBS_LN1] = (float)(e[OBS_LN1] * k1 + l[0]);
	e[OBS_LS1] = (float)(e[OBS_LS1] * k1 + l[1]);
	e[OBS_D5] = (float)(e[OBS_D5] * k5 + u->d);
	e[OBS_Q5] = (float)(e[OBS_Q5] * k5 + u->q);
	e[OBS_LN5] = (float)(e[OBS_LN5] * k5 + l[0]);
	e[OBS_LS5] = (float)(e[OBS_LS5] * k5 + l[1]);
}

static void connect_times(struct mlb_obs_srv *s, const struct mlb_server_rec *r, bool new_window)
{
	if (new_window) {
		s->connect_min[1] = s->connect_min[0];
		s->connect_min[0] = 0;
	}
	if (r->connect.samples && (s->connect_min[0] == 0 || r->connect.min < s->connect_min[0]))
		s->connect_min[0] = r->connect.min;
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

static double rtt_of(const struct mlb_obs_srv *s)
{
	float a = s->connect_min[0], b = s->connect_min[1];
	return (a == 0 ? b : b == 0 || a < b ? a : b) * 1e-6;
}

/* One native step over all servers: figures, Kalman, decays, features. */
static void make_step(const struct mlb_frame_hdr *h, const struct mlb_server_rec *rec, struct mlb_obs_state *st, uint64_t now_us,
		      struct mlb_obs_out *out)
{
	static _Thread_local struct obs_step u[MLB_MAX_SERVERS_PER_VIP];
	static _Thread_local struct mlb_kalman_srv k[MLB_MAX_SERVERS_PER_VIP];
	static _Thread_local double q[MLB_MAX_SERVERS_PER_VIP], d[MLB_MAX_SERVERS_PER_VIP], others[MLB_MAX_SERVERS_PER_VIP];
	bool waiting = h->load == MLB_LOAD_WAITING, rtts = false;
	uint32_t n = h->count, in_pool = 0;
	double dt = (double)(now_us - st->last_us) * 1e-6, k1 = exp(-dt), k5 = exp(-dt / 5);
	struct obs_pool_step p = { .dt = dt, .load_balancers = h->load_balancers ? h->load_balancers : 1 };
	p.kappa = h->kappa > 0 ? (double)h->kappa : 1.0 / p.load_balancers;
	for (uint32_t b = 0; b < 5; b++)
		st->ema[b] = (float)(st->ema[b] * k5);
	for (uint32_t i = 0; i < n; i++) {
		struct mlb_obs_srv *s = &st->srv[i];
		const struct mlb_server_rec *r = &rec[i];
		struct cumulative c = figures(r, waiting);
		double l[3];
		u[i] = (struct obs_step){
			.q = grown(c.load_us, s->load_us) * 1e-6,
			.d = grown(c.ended, s->ended),
			.failed = grown(c.failed, s->failed),
			.opened = (double)(int64_t)(c.opened - s->opened),
			.flows = waiting ? r->waiting : r->flows,
			.peer = isfinite(r->peer) && r->peer > 0 ? (double)r->peer : 0,
			.age = waiting ? -1 : fmax(0, ((double)r->flows * (double)now_us - (double)r->start_sum_us) * 1e-6),
			.silent = waiting ? -1 :
					    fmin(SILENT_MAX_S,
						 ago(now_us, r->last_completion_us ? r->last_completion_us : r->joined_us)),
			.rtt = rtt_of(s),
			.since = s->steps,
			.counts = !(r->flags & (MLB_SRV_DRAINING | MLB_SRV_LEAVING)),
		};
		u[i].kappa = fmax(p.kappa + (isfinite(r->bias) ? (double)r->bias : 0), KAPPA_LEAST);
		rtts |= u[i].rtt > 0;
		in_pool += u[i].counts;
		durations(waiting ? r->ttfb_hist : r->duration_hist, waiting ? s->ttfb_hist : s->duration_hist, u[i].rtt, l);
		if (out->latency)
			out->latency[i] = h->one_way ? NAN : latency_of(r, s);
		decay(s, &u[i], l, k1, k5);
		remember(s, &c, r);
		s->steps++;
		p.opened += u[i].opened;
		st->ema[OBS_PLN] += (float)l[0];
		st->ema[OBS_PLS] += (float)l[1];
		st->ema[OBS_PLSS] += (float)l[2];
		q[i] = u[i].q;
		d[i] = u[i].d;
		/* The queue's evidence is about the balance that the choice keeps, with its bias. */
		others[i] = u[i].peer + u[i].kappa - p.kappa;
		k[i] = s->kalman;
	}
	st->ema[OBS_PA] += (float)p.opened;
	st->ema[OBS_PT] += (float)dt;
	mlb_kalman_step(k, &st->pool, n, q, d, others, dt, p.kappa);
	for (uint32_t i = 0; i < n; i++) {
		st->srv[i].kalman = k[i];
		if (!in_pool)
			u[i].counts = true;
	}
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
		if (!(fabs(k->x) <= MAX_LOG_WEIGHT) || !(fabs(k->log_cfg) <= MAX_LOG_WEIGHT) ||
		    !(k->p >= 0 && k->p <= MAX_VARIANCE) || !finite_all(s->ema, sizeof(s->ema) / sizeof(s->ema[0])) ||
		    !finite_all(s->connect_min, 2))
			return false;
	}
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
	match(h, rec, prev, next, h->load == MLB_LOAD_WAITING);

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
