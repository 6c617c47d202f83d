/* SPDX-License-Identifier: Apache-2.0 */
/* Who of a frame is known: by id; a new id by its address, as what it was when it left; else as one that joins. */
#include <math.h>
#include <string.h>
#include "observe_priv.h"

#define LEFT_US UINT64_C(600000000) /* so long is a server that left remembered */
#define FORGETS .014                /* variance gained a second by what is not looked at; at most that of one that joins */

static double log_cfg(const struct mlb_server_rec *r)
{
	return r->weight_static > 0 && isfinite(r->weight_static) ? log((double)r->weight_static) : 0.0;
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

static bool was_at(const struct mlb_obs_left *l, const struct mlb_addr *addr, uint32_t port)
{
	return l->port && l->port == port && memcmp(&l->addr, addr, sizeof(*addr)) == 0;
}

static double mean_offset(const struct mlb_obs_srv *s, uint32_t n)
{
	double sum = 0;
	for (uint32_t i = 0; i < n; i++)
		sum += s[i].kalman.x - s[i].kalman.log_cfg;
	return n ? sum / n : 0;
}

/* Who is not in the frame any more goes to the list of those that left; the oldest makes room. */
static void leave(struct mlb_obs_state *next, const struct mlb_obs_srv *s, double mean, uint64_t now_us)
{
	uint32_t at = 0;
	if (!s->port)
		return;
	for (uint32_t k = 0; k < MLB_OBS_LEFT; k++) {
		struct mlb_obs_left *l = &next->left[k];
		if (!l->port || was_at(l, &s->addr, s->port)) {
			at = k;
			break;
		}
		if (l->left_us < next->left[at].left_us)
			at = k;
	}
	next->left[at] = (struct mlb_obs_left){ .addr = s->addr,
						.port = s->port,
						.left_us = now_us,
						.offset = s->kalman.x - s->kalman.log_cfg - mean,
						.p = s->kalman.p,
						.usual = s->usual,
						.usual_steps = s->usual_steps };
}

/* What is remembered of one that left; its entry is given up. False: nothing is, or it is too old. */
static bool back(struct mlb_obs_state *next, const struct mlb_server_rec *r, uint64_t now_us, struct mlb_obs_left *was)
{
	for (uint32_t k = 0; k < MLB_OBS_LEFT; k++) {
		struct mlb_obs_left *l = &next->left[k];
		if (!was_at(l, &r->addr, r->port))
			continue;
		*was = *l;
		l->port = 0;
		return now_us >= was->left_us && now_us - was->left_us <= LEFT_US;
	}
	return false;
}

static void join(struct mlb_obs_state *next, struct mlb_obs_srv *s, const struct mlb_server_rec *r,
		 const struct mlb_kalman_srv *present, uint32_t known, uint64_t now_us)
{
	struct mlb_obs_left was;
	if (known)
		mlb_kalman_join(&s->kalman, exp(log_cfg(r)), present, known);
	else
		mlb_kalman_init(&s->kalman, exp(log_cfg(r)));
	if (!back(next, r, now_us, &was))
		return;
	double away_s = (double)(now_us - was.left_us) * 1e-6;
	s->kalman.x += was.offset;
	s->kalman.p = fmin(s->kalman.p, was.p + FORGETS * away_s);
	s->usual = was.usual;
	s->usual_steps = was.usual_steps;
}

void obs_match(const struct mlb_frame_hdr *h, const struct mlb_server_rec *rec, const struct mlb_obs_state *prev,
	       struct mlb_obs_state *next)
{
	static _Thread_local bool stays[MLB_MAX_SERVERS_PER_VIP];
	struct mlb_kalman_srv present[MLB_MAX_SERVERS_PER_VIP];
	uint32_t known = 0, from = 0;
	uint64_t now_us = h->mono_ns / 1000;
	double mean = prev ? mean_offset(prev->srv, prev->n) : 0;
	memset(stays, 0, sizeof(stays));
	for (uint32_t i = 0; i < h->count; i++) {
		struct mlb_obs_srv *s = &next->srv[i];
		const struct mlb_obs_srv *old = prev ? find(prev, rec[i].id, &from) : NULL;
		if (!old) {
			memset(s, 0, sizeof(*s));
			continue;
		}
		*s = *old;
		stays[old - prev->srv] = true;
		double lc = log_cfg(&rec[i]);
		s->kalman.x += lc - s->kalman.log_cfg;
		s->kalman.log_cfg = lc;
		present[known++] = s->kalman;
	}
	for (uint32_t i = 0; prev && i < prev->n; i++)
		if (!stays[i])
			leave(next, &prev->srv[i], mean, now_us);
	for (uint32_t i = 0; i < h->count; i++) {
		struct mlb_obs_srv *s = &next->srv[i];
		if (s->id)
			continue;
		s->id = rec[i].id;
		s->addr = rec[i].addr;
		s->port = rec[i].port;
		join(next, s, &rec[i], present, known, now_us);
		/* Counts from before we looked are no news; those of a server that joined since are. */
		if (!prev || rec[i].joined_us < prev->last_us)
			obs_remember(s, &rec[i]);
	}
}
