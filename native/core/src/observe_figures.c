/* SPDX-License-Identifier: Apache-2.0 */
/* From cumulative records to what happened in a step: which evidence speaks of capacity, the time on the wire taken out,
 * durations, decayed figures. */
#include <math.h>
#include <string.h>
#include "marllb/hist.h"
#include "observe_priv.h"

#define SILENT_MAX_S 10.0
#define WORK_LEAST .1  /* of the time that was seen: what the wire may leave of it */
#define KIND_S 10.0    /* over which requests per connection are told */
#define KIND_LEAST 8.0 /* answers before they say anything */
#define MANY 1.5       /* requests per connection from which waits are the evidence, */
#define HEAVY 6.0      /* common up to here: mean square of durations over squared mean; exponential 2 */
#define FEW 1.2        /* and to which they stay it */

/* A cumulative figure falls only where a checkpoint lies about it, or where an end is found quick only a frame later. */
static double grown(uint64_t now, uint64_t before)
{
	return now > before ? (double)(now - before) : 0;
}

static uint64_t without(uint64_t all, uint64_t quick)
{
	return all > quick ? all - quick : 0;
}

static void figures(const struct mlb_server_rec *r, uint64_t f[MLB_OBS_FIGURES])
{
	f[FIG_FLOW_US] = r->flow_us;
	f[FIG_WAIT_US] = r->wait_us;
	f[FIG_CLOSED] = without(r->completions, r->quick_ends) + r->unanswered;
	f[FIG_ANSWERED] = without(r->answers, r->quick_answers) + r->unanswered;
	f[FIG_ENDED] = r->completions;
	f[FIG_ANSWERS] = r->answers;
	f[FIG_UNANSWERED] = r->unanswered;
	f[FIG_ERRORS] = r->refusals + r->resets + r->empty_ends;
	f[FIG_OPENED] = r->new_flows;
	f[FIG_ASKED] = r->answers + r->waiting;
}

void obs_remember(struct mlb_obs_srv *s, const struct mlb_server_rec *r)
{
	figures(r, s->at);
	memcpy(s->ttfb_hist, r->ttfb_hist, sizeof(s->ttfb_hist));
	memcpy(s->duration_hist, r->duration_hist, sizeof(s->duration_hist));
}

static double ago(uint64_t now_us, uint64_t then_us)
{
	return now_us > then_us ? (double)(now_us - then_us) * 1e-6 : 0.0;
}

static struct obs_durations durations(const uint32_t *now, const uint32_t *before, double rtt)
{
	struct obs_durations out = { 0 };
	for (uint32_t b = 0; b < MLB_HIST_BUCKETS; b++) {
		uint32_t c = now[b] - before[b]; /* modulo 2^32 */
		if (!c)
			continue;
		double lo = b ? (double)mlb_hist_edge(b) : 32.0;
		double hi = b + 1 < MLB_HIST_BUCKETS ? (double)mlb_hist_edge(b + 1) : 1.5 * lo;
		double mid = sqrt(lo * hi) * 1e-6;
		double t = fmax(mid - rtt, .25 * mid), l = log(t);
		out.count += c;
		out.logs += c * l;
		out.log_squares += c * l * l;
		out.sum += c * t;
		out.squares += c * t * t;
	}
	return out;
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

float obs_latency(const struct mlb_server_rec *r, const struct mlb_obs_srv *s)
{
	for (uint32_t b = 0; b < MLB_HIST_BUCKETS; b++)
		if (r->ttfb_hist[b])
			return mean_of(r->ttfb_hist, s->ttfb_hist);
	return mean_of(r->duration_hist, s->duration_hist);
}

static double rtt_of(const struct mlb_obs_srv *s)
{
	float a = s->connect_min[0], b = s->connect_min[1];
	return (a == 0 ? b : b == 0 || a < b ? a : b) * 1e-6;
}

/* Each step of a kept figure: what is left of it after dt, and what came. */
static void add(float *figure, double keep, double came)
{
	*figure = (float)(*figure * keep + came);
}

static void decay(struct mlb_obs_srv *s, const struct obs_step *u, const struct obs_durations *l, double dt)
{
	double k1 = exp(-dt), k5 = exp(-dt / 5);
	float *e = s->ema;
	add(&e[OBS_D1], k1, u->d);
	add(&e[OBS_Q1], k1, u->q);
	add(&e[OBS_A1], k1, u->opened);
	add(&e[OBS_F1], k1, u->failed);
	add(&e[OBS_E1], k1, u->errors);
	add(&e[OBS_K1], k1, u->quick);
	add(&e[OBS_L1], k1, u->load * dt);
	add(&e[OBS_W1], k1, u->flow_s > 0 ? dt * u->wait_s / u->flow_s : 0);
	add(&e[OBS_LN1], k1, l->count);
	add(&e[OBS_LS1], k1, l->logs);
	add(&e[OBS_D5], k5, u->d);
	add(&e[OBS_Q5], k5, u->q);
	add(&e[OBS_LN5], k5, l->count);
	add(&e[OBS_LS5], k5, l->logs);
}

void obs_figures(struct mlb_obs_srv *s, const struct mlb_frame_hdr *h, const struct mlb_server_rec *r, bool by_waits, double dt,
		 struct obs_step *u, struct obs_durations *l)
{
	bool waiting = h->load == MLB_LOAD_WAITING;
	uint64_t now_us = h->mono_ns / 1000, f[MLB_OBS_FIGURES];
	figures(r, f);
#define GREW(i) grown(f[i], s->at[i])
	double ends = by_waits ? GREW(FIG_ANSWERS) : GREW(FIG_ENDED), good = GREW(by_waits ? FIG_ANSWERED : FIG_CLOSED);
	double work = GREW(by_waits ? FIG_WAIT_US : FIG_FLOW_US) * 1e-6;
	uint32_t opened = waiting ? FIG_ASKED : FIG_OPENED;
	*u = (struct obs_step){
		.d = good,
		.load = GREW(waiting ? FIG_WAIT_US : FIG_FLOW_US) * 1e-6 / dt,
		.failed = GREW(FIG_UNANSWERED),
		.errors = GREW(FIG_ERRORS),
		.flow_s = GREW(FIG_FLOW_US) * 1e-6,
		.wait_s = GREW(FIG_WAIT_US) * 1e-6,
		.opened = (double)(int64_t)(f[opened] - s->at[opened]),
		.flows = waiting ? r->waiting : r->flows,
		.peer = isfinite(r->peer) && r->peer > 0 ? (double)r->peer : 0,
		.age = by_waits ? -1 : fmax(0, ((double)r->flows * (double)now_us - (double)r->start_sum_us) * 1e-6),
		.silent = by_waits ?
				  -1 :
				  fmin(SILENT_MAX_S, ago(now_us, r->last_completion_us ? r->last_completion_us : r->joined_us)),
		.rtt = rtt_of(s),
		.since = s->steps,
		.counts = !(r->flags & (MLB_SRV_DRAINING | MLB_SRV_LEAVING)),
	};
	u->quick = fmax(0, ends + u->failed - u->d);
	/* A flow was on the wire for a round trip; the server had nothing of it then. */
	u->q = fmax(work - ends * u->rtt, WORK_LEAST * work);
	*l = durations(by_waits ? r->ttfb_hist : r->duration_hist, by_waits ? s->ttfb_hist : s->duration_hist, u->rtt);
	decay(s, u, l, dt);
	/* Where an end is found quick after it was counted, the next ones pay for it. */
	if (f[FIG_CLOSED] < s->at[FIG_CLOSED])
		f[FIG_CLOSED] = s->at[FIG_CLOSED];
	if (f[FIG_ANSWERED] < s->at[FIG_ANSWERED])
		f[FIG_ANSWERED] = s->at[FIG_ANSWERED];
	memcpy(s->at, f, sizeof(s->at));
	memcpy(s->ttfb_hist, r->ttfb_hist, sizeof(s->ttfb_hist));
	memcpy(s->duration_hist, r->duration_hist, sizeof(s->duration_hist));
#undef GREW
}

double obs_noise(const struct mlb_obs_state *st)
{
	double n = st->ema[OBS_PTN], sum = st->ema[OBS_PTS], squares = st->ema[OBS_PTSS];
	double over = sum > 0 ? fmax(1, n * squares / (sum * sum) / HEAVY) : 1;
	/* Counts vary more by so much, and for longer: what stands in the load at this step does so at the next ones. */
	return over * over;
}

bool obs_by_waits(const struct mlb_frame_hdr *h, struct mlb_obs_state *st, const struct mlb_server_rec *rec, double dt)
{
	double keep = exp(-dt / KIND_S), answers = 0, ended = 0, flow = 0, wait = 0;
	for (uint32_t i = 0; i < st->n; i++) {
		const uint64_t *at = st->srv[i].at;
		answers += grown(rec[i].answers, at[FIG_ANSWERS]);
		ended += grown(rec[i].completions, at[FIG_ENDED]);
		flow += grown(rec[i].flow_us, at[FIG_FLOW_US]) * 1e-6;
		wait += grown(rec[i].wait_us, at[FIG_WAIT_US]) * 1e-6;
	}
	add(&st->ema[OBS_PANSWERS], keep, answers);
	add(&st->ema[OBS_PENDED], keep, ended);
	add(&st->ema[OBS_PFLOW], keep, flow);
	add(&st->ema[OBS_PWAIT], keep, wait);
	if (h->one_way)
		return false; /* nothing is known of answers */
	if (h->load == MLB_LOAD_WAITING)
		return true;
	if (st->ema[OBS_PANSWERS] < KIND_LEAST)
		return st->by_waits;
	return st->ema[OBS_PANSWERS] > (st->by_waits ? FEW : MANY) * (st->ema[OBS_PENDED] + 1);
}
