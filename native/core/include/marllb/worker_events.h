/* SPDX-License-Identifier: Apache-2.0 */
/* Implementation of the mlb_ev_* calls; included by worker.h only.
 *
 * Race with the summing thread: gauges and their integrals belong together, so a change of them is bracketed by `ver` (odd while
 * it lasts). Payload words are release stores and the reader loads them with acquire, then `ver` again: who read a new word also
 * sees the odd `ver` (or a later one) that precedes it. No fence, right on aarch64; plain moves on x86. */
#ifndef MARLLB_WORKER_EVENTS_H
#define MARLLB_WORKER_EVENTS_H

#define MLB_ST_REL(x, v) atomic_store_explicit(&(x), (v), memory_order_release)
#define MLB_LD_ACQ(x) atomic_load_explicit(&(x), memory_order_acquire)

/* A half-open flow weighs on choice for 1 s, and all of a server's together at most max(8, a quarter of its flows). */
#define MLB_HALF_STEP_US 125000u
#define MLB_HALF_FLOOR 8.0f
#define MLB_HALF_FRACTION 0.25f

/* Summing thread: a consistent copy. The writer holds the bracket for a few nanoseconds; where its thread was descheduled within
 * it, this gives the last consistent copy again and returns false. */
static inline bool mlb_wslot_read(struct mlb_wslot *s, struct mlb_wslot_gauges *g)
{
	for (int i = 0; i < 100; i++) {
		uint32_t ver = MLB_LD_ACQ(s->ver);
		if (ver & 1u)
			continue;
		g->flows = MLB_LD_ACQ(s->flows);
		g->half_open = MLB_LD_ACQ(s->half_open);
		g->waiting = MLB_LD_ACQ(s->waiting);
		g->pad = 0;
		g->last_us = MLB_LD_ACQ(s->last_us);
		g->flow_us = MLB_LD_ACQ(s->flow_us);
		g->wait_us = MLB_LD_ACQ(s->wait_us);
		g->start_sum_us = MLB_LD_ACQ(s->start_sum_us);
		if (MLB_LD(s->ver) == ver) {
			s->copied = *g;
			return true;
		}
	}
	*g = s->copied;
	return false;
}

/* Opens the bracket and brings both integrals up to now. */
static inline void mlb_wslot_begin(struct mlb_wslot *s, uint64_t now)
{
	uint64_t last = MLB_LD(s->last_us), dt = now > last ? now - last : 0;
	MLB_ST(s->ver, MLB_LD(s->ver) + 1);
	MLB_ST_REL(s->flow_us, MLB_LD(s->flow_us) + MLB_LD(s->flows) * dt);
	MLB_ST_REL(s->wait_us, MLB_LD(s->wait_us) + MLB_LD(s->waiting) * dt);
	MLB_ST_REL(s->last_us, last + dt);
}
static inline void mlb_wslot_end(struct mlb_wslot *s)
{
	MLB_ST_REL(s->ver, MLB_LD(s->ver) + 1);
}

/* q of a slot from what this worker holds and what it last heard of the others. Recomputed, never added to: in float,
 * MLB_Q_OUT + 1 - MLB_Q_OUT is 0. */
static inline void mlb_wvip_update_q(struct mlb_wvip *v, uint32_t i)
{
	struct mlb_wslot *s = mlb_wslot_at(v->slots, i);
	float q = (float)(MLB_LD(v->load) == MLB_LOAD_WAITING ? MLB_LD(s->waiting) : MLB_LD(s->flows)) + v->others[i];
	uint32_t half = MLB_LD(s->half_young);
	if (__builtin_expect(half != 0, 0)) {
		float cap = MLB_HALF_FRACTION * ((float)MLB_LD(s->flows) + s->others_flows);
		float room = (cap > MLB_HALF_FLOOR ? cap : MLB_HALF_FLOOR) - s->others_half;
		if (room > 0)
			q += (float)half < room ? (float)half : room;
	}
	v->q[i] = q;
}

/* Forgets half-opens that are a second old. half_bin[k & 7] counts those opened in the k-th eighth of a second. */
static inline void mlb_wslot_age_half(struct mlb_wslot *s, uint64_t now)
{
	uint64_t step = now / MLB_HALF_STEP_US;
	uint32_t young = MLB_LD(s->half_young);
	if (step <= s->half_step)
		return;
	uint64_t n = step - s->half_step;
	for (uint64_t k = 1; young && k <= (n < 8 ? n : 8); k++) {
		young -= s->half_bin[(s->half_step + k) & 7];
		s->half_bin[(s->half_step + k) & 7] = 0;
	}
	s->half_step = step;
	MLB_ST(s->half_young, young);
}

/* The worker's own refresh of what the rest of the data plane and other load balancers hold of a server, at least every
 * millisecond. load: their flows or waiting flows, by the VIP's kind of load; flows: their flows; half_young: their young
 * half-opens; out: the slot is ejected. */
static inline void mlb_wvip_refresh(struct mlb_wvip *v, uint32_t i, float load, float flows, float half_young, bool out,
				    uint64_t now)
{
	struct mlb_wslot *s = mlb_wslot_at(v->slots, i);
	if (__builtin_expect(MLB_LD(s->half_young) != 0, 0))
		mlb_wslot_age_half(s, now);
	float cap = MLB_HALF_FRACTION * ((float)MLB_LD(s->flows) + flows);
	cap = cap > MLB_HALF_FLOOR ? cap : MLB_HALF_FLOOR;
	s->others_flows = flows;
	s->others_half = half_young < cap ? half_young : cap;
	v->others[i] = load + s->others_half + (out ? MLB_Q_OUT : 0.0f);
	mlb_wvip_update_q(v, i);
}

static inline void mlb_ev_sample(struct mlb_worker *w, struct mlb_reservoir *r, uint64_t us, uint64_t now)
{
	uint64_t at = now > w->frame_start_us ? now - w->frame_start_us : 0;
	mlb_res_add(r, MLB_LD(w->frame_epoch), (float)us, (float)at, &w->rng);
}

static inline void mlb_ev_open(struct mlb_wvip *v, uint32_t i, uint64_t now)
{
	struct mlb_wslot *s = mlb_wslot_at(v->slots, i);
	mlb_wslot_begin(s, now);
	MLB_ST_REL(s->flows, MLB_LD(s->flows) + 1);
	MLB_ST_REL(s->start_sum_us, MLB_LD(s->start_sum_us) + now);
	mlb_wslot_end(s);
	MLB_ADD(s->new_flows, 1);
	mlb_wvip_update_q(v, i);
}

static inline void mlb_ev_half_open(struct mlb_wvip *v, uint32_t i, uint64_t now)
{
	struct mlb_wslot *s = mlb_wslot_at(v->slots, i);
	mlb_wslot_age_half(s, now);
	s->half_bin[s->half_step & 7]++;
	MLB_ADD(s->half_young, 1);
	MLB_ADD(s->half_open, 1);
	mlb_wvip_update_q(v, i);
}

static inline void mlb_ev_half_established(struct mlb_wvip *v, uint32_t i, uint64_t opened, uint64_t now)
{
	struct mlb_wslot *s = mlb_wslot_at(v->slots, i);
	uint64_t step = opened / MLB_HALF_STEP_US;
	mlb_wslot_age_half(s, now);
	MLB_ST(s->half_open, MLB_LD(s->half_open) - 1);
	if (step + 8 > s->half_step && s->half_bin[step & 7]) {
		s->half_bin[step & 7]--;
		MLB_ST(s->half_young, MLB_LD(s->half_young) - 1);
	}
	mlb_wvip_update_q(v, i);
}

static inline void mlb_ev_half_close(struct mlb_wvip *v, uint32_t i, uint64_t opened, uint64_t now, enum mlb_end how)
{
	mlb_ev_half_established(v, i, opened, now);
	MLB_ADD(mlb_wslot_at(v->slots, i)->ended[how], 1);
}

static inline void mlb_ev_connected(struct mlb_worker *w, struct mlb_wvip *v, uint32_t i, uint64_t connect_start, uint64_t now)
{
	mlb_ev_sample(w, &mlb_wslot_at(v->slots, i)->connect, now - connect_start, now);
}

static inline void mlb_ev_waiting(struct mlb_wvip *v, uint32_t i, uint32_t delta, uint64_t now)
{
	struct mlb_wslot *s = mlb_wslot_at(v->slots, i);
	mlb_wslot_begin(s, now);
	MLB_ST_REL(s->waiting, MLB_LD(s->waiting) + delta);
	mlb_wslot_end(s);
	if (MLB_LD(v->load) == MLB_LOAD_WAITING)
		mlb_wvip_update_q(v, i);
}

static inline void mlb_ev_request(struct mlb_wvip *v, uint32_t i, uint64_t now)
{
	mlb_ev_waiting(v, i, 1, now);
}

static inline void mlb_ev_unwait(struct mlb_wvip *v, uint32_t i, uint64_t now)
{
	mlb_ev_waiting(v, i, (uint32_t)-1, now);
}

static inline void mlb_ev_answer(struct mlb_worker *w, struct mlb_wvip *v, uint32_t i, uint64_t request_at, uint64_t now)
{
	struct mlb_wslot *s = mlb_wslot_at(v->slots, i);
	uint64_t us = now - request_at;
	mlb_ev_waiting(v, i, (uint32_t)-1, now);
	MLB_ADD(s->answers, 1);
	MLB_ADD(s->ttfb_sum_us, us);
	MLB_ADD(v->answers, 1);
	MLB_ADD(v->ttfb_sum_us, us);
	MLB_ADD(s->ttfb_hist[mlb_hist_bucket(us)], 1);
	mlb_ev_sample(w, &s->ttfb, us, now);
}

/* A server that closes without a byte has not completed anything, unless the client had asked nothing and went first (a port
 * scan, a TCP check from upstream). */
static inline enum mlb_end mlb_end_of(enum mlb_end how, bool client_spoke, bool server_spoke, bool client_first)
{
	if (how == MLB_END_RESET)
		return server_spoke ? MLB_END_CUT : MLB_END_RESET;
	if (how != MLB_END_COMPLETED || server_spoke)
		return how;
	return client_first && !client_spoke ? MLB_END_ABORT : MLB_END_EMPTY;
}

/* Durations are those of completed flows only: an aged-out one would show the time-out, a reset one nothing of the server's work.
 */
static inline void mlb_ev_close(struct mlb_worker *w, struct mlb_wvip *v, uint32_t i, uint64_t start, uint64_t now,
				enum mlb_end how)
{
	struct mlb_wslot *s = mlb_wslot_at(v->slots, i);
	mlb_wslot_begin(s, now);
	MLB_ST_REL(s->flows, MLB_LD(s->flows) - 1);
	MLB_ST_REL(s->start_sum_us, MLB_LD(s->start_sum_us) - start);
	mlb_wslot_end(s);
	MLB_ADD(s->ended[how], 1);
	if (how == MLB_END_COMPLETED || how == MLB_END_IDLE)
		MLB_ST(s->last_completion_us, now);
	if (how == MLB_END_COMPLETED) {
		uint64_t us = now - start;
		MLB_ADD(v->duration_sum_us, us);
		MLB_ADD(s->duration_hist[mlb_hist_bucket(us)], 1);
		mlb_ev_sample(w, &s->duration, us, now);
	}
	mlb_wvip_update_q(v, i);
}

static inline void mlb_ev_hold(struct mlb_wvip *v, uint32_t i)
{
	MLB_ADD(mlb_wslot_at(v->slots, i)->held, 1);
}

static inline void mlb_ev_release(struct mlb_wvip *v, uint32_t i)
{
	MLB_ADD(mlb_wslot_at(v->slots, i)->held, (uint32_t)-1);
}

static inline void mlb_ev_bytes_at(struct mlb_wslots *slots, uint32_t i, bool from_client, uint64_t packets, uint64_t bytes)
{
	struct mlb_wslot *s = mlb_wslot_at(slots, i);
	if (from_client) {
		MLB_ADD(s->packets_in, packets);
		MLB_ADD(s->bytes_in, bytes);
	} else {
		MLB_ADD(s->packets_out, packets);
		MLB_ADD(s->bytes_out, bytes);
	}
}

static inline void mlb_ev_bytes(struct mlb_wvip *v, uint32_t i, bool from_client, uint64_t packets, uint64_t bytes)
{
	mlb_ev_bytes_at(v->slots, i, from_client, packets, bytes);
}

static inline void mlb_ev_no_server(struct mlb_wvip *v)
{
	MLB_ADD(v->no_server, 1);
}

static inline void mlb_ev_failed(struct mlb_wvip *v)
{
	MLB_ADD(v->failed, 1);
}

static inline void mlb_ev_untracked(struct mlb_wvip *v)
{
	MLB_ADD(v->untracked, 1);
}

static inline void mlb_ev_limited(struct mlb_wvip *v)
{
	MLB_ADD(v->limited, 1);
}

static inline void mlb_ev_retry(struct mlb_wvip *v)
{
	MLB_ADD(v->retries, 1);
}

static inline void mlb_ev_client(struct mlb_wvip *v)
{
	MLB_ADD(v->connections, 1);
}

static inline void mlb_ev_client_gone(struct mlb_wvip *v)
{
	MLB_ADD(v->connections, -1);
}

static inline void mlb_ev_accept_error(struct mlb_wvip *v)
{
	MLB_ADD(v->accept_errors, 1);
}

static inline void mlb_ev_miss(struct mlb_wvip *v)
{
	MLB_ADD(v->misses, 1);
}

static inline uint32_t mlb_wvip_flows(const struct mlb_wvip *v, uint32_t i)
{
	return MLB_LD(mlb_wslot_at(v->slots, i)->flows);
}

static inline void mlb_wvip_prefetch(const struct mlb_wvip *v, uint32_t i)
{
	const char *line = (const char *)mlb_wslot_at(v->slots, i);
	__builtin_prefetch(line, 1);
	__builtin_prefetch(line + MLB_CACHE_LINE, 1);
	__builtin_prefetch(&v->others[i]);
}
#endif
