/* SPDX-License-Identifier: Apache-2.0 */
#include "marllb/guard.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define RECENT_US 2e6       /* time constant of the suspect share */
#define TIMES_US 10e6       /* of the distribution of times */
#define TIMES_LEAST 8.0f    /* samples before a server's times say anything */
#define QUICK_FRACTION .25  /* of the peers' p10 */
#define PATTERN_LEAST 16.0f /* samples of the last 2 s before a pattern is looked for */
#define PATTERN_QUICK .6f   /* of them */
#define ALIKE .85f          /* share of two neighbouring buckets that is too alike, */
#define ALIKE_LEAST 30.0f   /* among as many samples, */
#define VARIED .5f          /* where the peers' is at most this */
#define SUSPECT_LEAST 4.0f  /* recent suspect ends before a share says anything */
#define SHARE_LEAST .2f     /* a server stands out from this share on, */
#define SHARE_RATIO 4.0f    /* if it is this many times the peers' median */
#define HOLD_US 2000000u    /* guarded until it has not stood out for so long */
#define TOKENS_MOST 2.0f    /* a guarded server that was not wanted saves up no more */
#define EARNS .95           /* of its share: what it drew in a frame or two that no debt knows is made good */
#define DEBT_US 10e6        /* a debt is forgotten with this time constant */

enum { ANSWERS, FLOWS };

/* Takes the growth of a histogram in, and counts what lies below quick_us as a whole bucket. Workers need not compare anything.
 */
static uint32_t take_times(struct mlb_guard *g, int k, const uint32_t *now, float keep, float recent)
{
	uint32_t more[MLB_HIST_BUCKETS], whole = 0, quick = 0;
	while (whole + 1 < MLB_HIST_BUCKETS && mlb_hist_edge(whole + 1) <= g->quick_us[k])
		whole++;
#pragma omp simd
	for (uint32_t b = 0; b < MLB_HIST_BUCKETS; b++) {
		more[b] = now[b] - g->hist[k][b]; /* modulo 2^32 */
		g->times[k][b] = g->times[k][b] * keep + (float)more[b];
		g->lately[k][b] = g->lately[k][b] * recent + (float)more[b];
		g->hist[k][b] = now[b];
	}
	for (uint32_t b = 0; b < whole; b++)
		quick += more[b];
	g->quick[k] += quick;
	return quick;
}

/* Suspect ends of flows or answers: kind k grew by `total`, of them `bad`. */
static void decay_recent(struct mlb_guard *g, int k, double total, double bad, double keep)
{
	g->recent[k] = (float)(g->recent[k] * keep + total);
	g->recent_bad[k] = (float)(g->recent_bad[k] * keep + bad);
}

static float share_of(const struct mlb_guard *g, int k)
{
	return g->recent_bad[k] >= SUSPECT_LEAST ? g->recent_bad[k] / g->recent[k] : 0;
}

static void look(struct mlb_guard *g, const struct mlb_server_rec *r, uint64_t dt_us)
{
	const uint64_t total[2] = { r->answers, r->completions + r->resets + r->empty_ends };
	uint64_t bad = r->resets + r->empty_ends;

	double suspect = 0;

	if (g->id != r->id)
		*g = (struct mlb_guard){ .id = r->id };
	if (g->known) {
		double keep = exp(-(double)dt_us / RECENT_US), used = exp(-(double)dt_us / TIMES_US);
		uint32_t quick[2] = { 0, 0 };
		if (total[ANSWERS] != g->total[ANSWERS])
			quick[ANSWERS] = take_times(g, ANSWERS, r->ttfb_hist, (float)used, (float)keep);
		if (total[FLOWS] != g->total[FLOWS])
			quick[FLOWS] = take_times(g, FLOWS, r->duration_hist, (float)used, (float)keep);
		decay_recent(g, ANSWERS, (double)(total[ANSWERS] - g->total[ANSWERS]), quick[ANSWERS], keep);
		suspect = (double)(quick[FLOWS] + bad - g->bad);
		decay_recent(g, FLOWS, (double)(total[FLOWS] - g->total[FLOWS]), suspect, keep);
	} else {
		memcpy(g->hist[ANSWERS], r->ttfb_hist, sizeof(r->ttfb_hist));
		memcpy(g->hist[FLOWS], r->duration_hist, sizeof(r->duration_hist));
		g->known = true;
	}
	g->opened = (float)(r->new_flows > g->new_flows ? r->new_flows - g->new_flows : 0);
	g->new_flows = r->new_flows;
	g->failed = (float)suspect;
	memcpy(g->total, total, sizeof(total));
	g->bad = bad;
	float answers = share_of(g, ANSWERS), flows = share_of(g, FLOWS);
	g->share = answers > flows ? answers : flows;
}

/* What a distribution of times looks like, and what it is compared by. */
struct shape {
	float count, tenth, half; /* 9 of 10 ends take at least `tenth`, 5 of 10 `half`, us; count < TIMES_LEAST: not known */
	float top;                /* greatest share of two neighbouring buckets: how alike the times are */
	uint32_t top_us;          /* where those two end */
};

static float quantile_of(const float *times, float sum, float part)
{
	float below = 0;
	uint32_t b = 0;
	for (float want = part * sum; b < MLB_HIST_BUCKETS - 1 && below + times[b] < want; b++)
		below += times[b];
	float lo = (float)mlb_hist_edge(b), hi = b + 1 < MLB_HIST_BUCKETS ? (float)mlb_hist_edge(b + 1) : lo;
	return times[b] > 0 ? lo + (hi - lo) * (part * sum - below) / times[b] : lo;
}

static struct shape shape_of(const float *times)
{
	struct shape s = { 0 };
	float count = 0;
#pragma omp simd reduction(+ : count)
	for (uint32_t i = 0; i < MLB_HIST_BUCKETS; i++)
		count += times[i];
	s.count = count;
	if (s.count < TIMES_LEAST)
		return s;
	s.tenth = quantile_of(times, s.count, .1f);
	s.half = quantile_of(times, s.count, .5f);
	for (uint32_t i = 0; i + 2 < MLB_HIST_BUCKETS; i++) {
		float top = times[i] + times[i + 1];
		if (top > s.top) {
			s.top = top;
			s.top_us = (uint32_t)mlb_hist_edge(i + 2);
		}
	}
	s.top /= s.count;
	return s;
}

static int ascending(const void *a, const void *b)
{
	float x = *(const float *)a, y = *(const float *)b;
	return (x > y) - (x < y);
}

/* Median of sorted[n] without one that equals `own`; of an even number the mean of the two in the middle. n >= 2. */
static float median_without(const float *sorted, uint32_t n, float own)
{
	uint32_t skip = 0, end = n - 1, m = n - 1;
	while (skip < end) {
		uint32_t k = skip + (end - skip) / 2;
		if (sorted[k] < own)
			skip = k + 1;
		else
			end = k;
	}
	uint32_t lo = (m - 1) / 2, hi = m / 2;
	return .5f * (sorted[lo + (lo >= skip)] + sorted[hi + (hi >= skip)]);
}

static bool in_pool(const struct mlb_server_rec *r)
{
	return (r->flags & (MLB_SRV_MEMBER | MLB_SRV_DRAINING)) == MLB_SRV_MEMBER;
}

/* The peers' median of a figure; 0 where half of them are not known, or one odd server among few would be the reference. */
static float typical(const float *sorted, uint32_t known, uint32_t members, float own)
{
	uint32_t peers = known - (own > 0);
	if (peers == 0 || 2 * peers < members - 1)
		return 0;
	if (own > 0)
		return median_without(sorted, known, own);
	return .5f * (sorted[(known - 1) / 2] + sorted[known / 2]);
}

/* Ends that are quick without being a quarter of the peers' tenth: most of them below the quickest tenth of the peers' and a
 * sixth of their median; or all alike (within a factor of two) where the peers' differ, and below their median: with the same mix
 * of requests a server that works has times as varied as theirs. Returns the time below which they are suspect; 0: there is no
 * such pattern. */
static uint32_t pattern(const struct mlb_guard *g, int k, float tenth, float half, float top)
{
	struct shape own = shape_of(g->lately[k]);
	float mid = tenth < half / 6 ? tenth : half / 6, below = 0;
	if (own.count < PATTERN_LEAST || tenth <= 0)
		return 0;
	for (uint32_t b = 0; b + 1 < MLB_HIST_BUCKETS && (float)mlb_hist_edge(b + 1) <= mid; b++)
		below += g->lately[k][b];
	if (below >= PATTERN_QUICK * own.count)
		return (uint32_t)mid;
	return own.count >= ALIKE_LEAST && own.top >= ALIKE && top <= VARIED && (float)own.top_us <= half ? own.top_us : 0;
}

/* From the peers' times, what is suspiciously quick of each server. */
static void set_quick(struct mlb_guard *g, const struct mlb_server_rec *rec, uint32_t n, uint32_t members, int k)
{
	float value[3][MLB_MAX_SERVERS_PER_VIP], sorted[3][MLB_MAX_SERVERS_PER_VIP];
	uint32_t known = 0;

	for (uint32_t i = 0; i < n; i++) {
		const struct mlb_guard *of = &g[rec[i].slot];
		struct shape s = in_pool(&rec[i]) && of->total[k] ? shape_of(of->times[k]) : (struct shape){ 0 };
		value[0][i] = s.tenth;
		value[1][i] = s.half;
		value[2][i] = s.top;
		for (int j = 0; j < 3 && s.tenth > 0; j++)
			sorted[j][known] = value[j][i];
		known += s.tenth > 0;
	}
	for (int j = 0; j < 3; j++)
		qsort(sorted[j], known, sizeof(*sorted[j]), ascending);
	for (uint32_t i = 0; i < n; i++) {
		struct mlb_guard *s = &g[rec[i].slot];
		float t[3];
		for (int j = 0; j < 3; j++)
			t[j] = typical(sorted[j], known, members, value[j][i]);
		uint32_t plain = (uint32_t)(QUICK_FRACTION * (double)t[0]), more = pattern(s, k, t[0], t[1], t[2]);
		if (more > plain && s->quick_us[k] <= plain && k == FLOWS) /* what came before it was found out */
			for (uint32_t b = 0; b + 1 < MLB_HIST_BUCKETS && mlb_hist_edge(b + 1) <= more; b++)
				s->beyond += s->times[k][b];
		s->quick_us[k] = more > plain ? more : plain;
	}
}

/* A server's part of the flows by static weights and the directive's factors. */
static double fair_weight(const struct mlb_server_rec *r)
{
	return (double)r->weight_static * (double)r->factor;
}

static double pool_weight(const struct mlb_server_rec *rec, uint32_t n)
{
	double total = 0;
	for (uint32_t i = 0; i < n; i++)
		total += in_pool(&rec[i]) ? fair_weight(&rec[i]) : 0;
	return total;
}

/* What each server failed beyond its static share of the pool's new flows, as long as it goes on failing more than that. */
static void reckon(struct mlb_guard *g, const struct mlb_server_rec *rec, uint32_t n, uint64_t dt_us)
{
	double opened = 0, weight = pool_weight(rec, n), keep = exp(-(double)dt_us / DEBT_US);
	for (uint32_t i = 0; i < n; i++)
		opened += (double)g[rec[i].slot].opened;
	for (uint32_t i = 0; i < n; i++) {
		struct mlb_guard *s = &g[rec[i].slot];
		double share = weight > 0 ? fair_weight(&rec[i]) / weight : 0;
		s->beyond = (float)fmax(0, s->beyond * keep + (double)s->failed - share * opened);
	}
}

uint32_t mlb_guard_step(struct mlb_guard *g, const struct mlb_server_rec *rec, uint32_t n, uint64_t now_us, uint64_t dt_us)
{
	float sorted[MLB_MAX_SERVERS_PER_VIP];
	uint32_t members = 0, guarded = 0;

	for (uint32_t i = 0; i < n; i++) {
		look(&g[rec[i].slot], &rec[i], dt_us);
		if (in_pool(&rec[i]))
			sorted[members++] = g[rec[i].slot].share;
	}
	reckon(g, rec, n, dt_us);
	qsort(sorted, members, sizeof(*sorted), ascending);
	for (uint32_t i = 0; i < n; i++) {
		struct mlb_guard *s = &g[rec[i].slot];
		if (!in_pool(&rec[i]) || members < 2) {
			s->guarded = false;
			continue;
		}
		float bar = SHARE_RATIO * median_without(sorted, members, s->share);
		bar = bar > SHARE_LEAST ? bar : SHARE_LEAST;
		if (s->share >= (s->guarded ? .5f * bar : bar))
			s->suspect_us = now_us;
		s->guarded = s->suspect_us && now_us - s->suspect_us < HOLD_US;
		guarded += s->guarded;
	}
	set_quick(g, rec, n, members, ANSWERS);
	set_quick(g, rec, n, members, FLOWS);
	return guarded;
}

/* Main alone writes it, relaxed: a worker may act on it a flow late. Where a guard begins the debt comes first, then the count
 * that names it. */
static void tell_slot(struct mlb_wvip *const *v, uint32_t workers, uint32_t slot, float fair_share, float debt)
{
	for (uint32_t i = 0; i < workers; i++) {
		struct mlb_wslot *s = mlb_wslot_at(v[i]->slots, slot);
		if (fair_share > 0 && MLB_LD(s->fair_share) <= 0) {
			MLB_ST(s->guard_debt, debt / (float)workers);
			MLB_ST_REL(s->guard_times, MLB_LD(s->guard_times) + 1);
		}
		if (MLB_LD(s->fair_share) != fair_share)
			MLB_ST(s->fair_share, fair_share);
	}
}

void mlb_guard_tell(struct mlb_guard *g, const struct mlb_server_rec *rec, uint32_t n, struct mlb_wvip *const *v,
		    uint32_t workers)
{
	uint32_t list[MLB_GUARDS_MAX], guards = 0;
	double total = pool_weight(rec, n);
	for (uint32_t i = 0; i < n; i++) {
		struct mlb_guard *s = &g[rec[i].slot];
		s->guarded &= guards < MLB_GUARDS_MAX && total > 0;
		if (s->guarded)
			list[guards++] = rec[i].slot;
		float share = s->guarded ? (float)(EARNS * (fair_weight(&rec[i]) / total)) : 0;
		tell_slot(v, workers, rec[i].slot, share, s->beyond + s->failed);
	}
	for (uint32_t i = 0; i < workers; i++) {
		for (uint32_t k = 0; k < guards; k++)
			MLB_ST(v[i]->guard[k], list[k]);
		if (MLB_LD(v[i]->guards) != guards)
			MLB_ST_REL(v[i]->guards, guards);
	}
}

uint32_t mlb_guard_choose(const struct mlb_table *t, struct mlb_wvip *v, struct mlb_rng *rng, uint64_t flow_hash)
{
	uint32_t slot[MLB_GUARDS_MAX], n = MLB_LD(v->guards), used = 0;
	float q[MLB_GUARDS_MAX];

	if (t->mode == MLB_MODE_HASH)
		return mlb_choose(t, v->q, rng, flow_hash);
	for (uint32_t k = 0; k < n && k < MLB_GUARDS_MAX; k++) {
		uint32_t i = MLB_LD(v->guard[k]);
		struct mlb_wslot *s = mlb_wslot_at(v->slots, i);
		float share = MLB_LD(s->fair_share);
		if (share <= 0)
			continue; /* let go, or another server's slot by now */
		uint32_t times = MLB_LD_ACQ(s->guard_times);
		if (times != s->guard_seen) { /* it pays back what it drew before it was found out */
			s->guard_seen = times;
			s->tokens = -MLB_LD(s->guard_debt);
		}
		slot[used] = i;
		q[used++] = v->q[i];
		s->tokens += share;
		s->tokens = s->tokens < TOKENS_MOST ? s->tokens : TOKENS_MOST;
		if (s->tokens < 1)
			v->q[i] = MLB_Q_OUT;
	}
	uint32_t chosen = mlb_choose_light(t, v->q, rng, flow_hash, MLB_LD(v->light));
	for (uint32_t k = used; k-- > 0;) { /* in reverse, should a slot be listed twice while main rewrites the list */
		v->q[slot[k]] = q[k];
		if (slot[k] == chosen)
			mlb_wslot_at(v->slots, chosen)->tokens -= 1;
	}
	return chosen;
}
