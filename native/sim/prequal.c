/* SPDX-License-Identifier: Apache-2.0 */
/* A Prequal-like chooser, after Wydrowski, Kleinberg, Rumble, Archer: "Load is not what you should balance: Introducing Prequal",
 * NSDI 2024, asynchronous mode, with the paper's base-line parameters. Our reading: each new flow sends 3 probes to servers drawn
 * without replacement; a probe reads, half an RTT later, requests in flight (RIF, of all load balancers) and the median latency
 * of recent requests that arrived at the nearest RIF; after the RTT it enters the load balancer's pool, in place of an older one
 * of its server. A probe is hot when its RIF exceeds the .84 quantile of the pool's RIFs. Choice: the cold probe of least
 * latency, else the hot one of least RIF; a pool under two gives a uniform choice. A used probe's RIF is raised by one, and it
 * may be used b_reuse times (delta = 1). Probes leave after 1 s, and one a flow is removed, the oldest and the worst in turn. The
 * pool holds 16, as in the paper, but no more than a quarter of the servers (at least 4): the paper's formula for b_reuse
 * supposes a pool much smaller than the number of servers, and with a larger one the choice herds on stale probes. */
#include "run.h"
#include <string.h>

#define POOL 16u
#define PROBES 3u
#define REMOVE 1.
#define DELTA 1.
#define HOT_QUANTILE .84
#define AGE_S 1.
#define RECENT 64u
#define MEDIAN_OF 9u

struct probe {
	double ready_s, sent_s, latency_s;
	uint32_t server, rif, lane;
	double uses_left;
};
struct recent {
	uint32_t rif;
	float sojourn_s;
};
struct lane_pool {
	struct probe p[POOL];
	uint32_t n;
	bool worst_next;
};
struct server_past {
	struct recent r[RECENT];
	uint32_t n, at; /* n <= RECENT, at: next to overwrite */
};

struct sim_prequal {
	struct lane_pool *pool;
	struct server_past *past;
	uint32_t *rif_of; /* [flows] RIF when the flow reached its server */
	struct probe *flying;
	uint32_t *free_list;
	uint32_t frees, cap;
	struct mlb_rng rng;
};

int sim_prequal_new(struct sim_run *r)
{
	struct sim_prequal *q = calloc(1, sizeof(*q));

	if (!q)
		return -ENOMEM;
	r->prequal = q;
	q->pool = calloc(r->lanes, sizeof(*q->pool));
	q->past = calloc(r->sc->n, sizeof(*q->past));
	q->rif_of = calloc(r->w->flows + 1, sizeof(*q->rif_of));
	mlb_rng_seed(&q->rng, sim_mix(r->w->seed, 4000));
	return q->pool && q->past && q->rif_of ? 0 : -ENOMEM;
}

void sim_prequal_free(struct sim_prequal *q)
{
	if (!q)
		return;
	free(q->pool);
	free(q->past);
	free(q->rif_of);
	free(q->flying);
	free(q->free_list);
	free(q);
}

static double latency_at(const struct server_past *p, uint32_t rif)
{
	float v[MEDIAN_OF];
	uint32_t best = UINT32_MAX, n = 0;

	for (uint32_t i = 0; i < p->n; i++) {
		uint32_t d = p->r[i].rif > rif ? p->r[i].rif - rif : rif - p->r[i].rif;
		best = d < best ? d : best;
	}
	for (uint32_t k = 1; k <= p->n && n < MEDIAN_OF; k++) { /* newest first */
		const struct recent *e = &p->r[(p->at + RECENT - k) % RECENT];
		uint32_t d = e->rif > rif ? e->rif - rif : rif - e->rif, i = n;
		if (d != best)
			continue;
		for (n++; i && v[i - 1] > e->sojourn_s; i--)
			v[i] = v[i - 1];
		v[i] = e->sojourn_s;
	}
	return n ? v[n / 2] : 0;
}

static bool grow(struct sim_prequal *q)
{
	uint32_t cap = q->cap ? q->cap * 2 : 64;
	struct probe *f = realloc(q->flying, cap * sizeof(*f));
	if (f)
		q->flying = f;
	uint32_t *l = realloc(q->free_list, cap * sizeof(*l));
	if (l)
		q->free_list = l;
	if (!f || !l)
		return false;
	for (uint32_t i = q->cap; i < cap; i++)
		q->free_list[q->frees++] = i;
	q->cap = cap;
	return true;
}

/* A probe that no memory or event is left for is a lost probe, as on a network. */
static void send_probe(struct sim_run *r, uint32_t lane, uint32_t server)
{
	struct sim_prequal *q = r->prequal;
	double rtt = r->w->rtt_s[server];

	if (!q->frees && !grow(q))
		return;
	uint32_t i = q->free_list[--q->frees];
	q->flying[i] = (struct probe){ .sent_s = r->now, .ready_s = r->now + rtt, .server = server, .lane = lane };
	if (sim_heap_push(&r->notices, r->now + rtt / 2, EV_PROBE, i))
		q->free_list[q->frees++] = i;
}

static uint32_t pool_size(uint32_t servers)
{
	uint32_t m = servers / 4;
	return m < 4 ? 4 : m > POOL ? POOL : m;
}

static void drop(struct lane_pool *p, uint32_t i)
{
	p->p[i] = p->p[--p->n];
}

static uint32_t oldest(const struct lane_pool *p)
{
	uint32_t o = 0;
	for (uint32_t i = 1; i < p->n; i++)
		if (p->p[i].sent_s < p->p[o].sent_s)
			o = i;
	return o;
}

void sim_prequal_probe(struct sim_run *r, uint32_t i)
{
	struct sim_prequal *q = r->prequal;
	struct probe p = q->flying[i];
	struct lane_pool *pool = &q->pool[p.lane];
	uint32_t room = pool_size(r->present);
	double spare = (1 - (double)room / r->present) * PROBES - REMOVE;

	q->free_list[q->frees++] = i;
	p.rif = sim_server_jobs(&r->server[p.server]);
	p.latency_s = latency_at(&q->past[p.server], p.rif);
	p.uses_left = spare > 0 ? fmax(1, (1 + DELTA) / spare) : INFINITY;
	for (uint32_t k = 0; k < pool->n; k++)
		if (pool->p[k].server == p.server) {
			drop(pool, k);
			break;
		}
	while (pool->n >= room)
		drop(pool, oldest(pool));
	pool->p[pool->n++] = p;
}

static uint32_t hot_above(const struct lane_pool *p, double now)
{
	uint32_t v[POOL], n = 0;

	for (uint32_t k = 0; k < p->n; k++) {
		if (p->p[k].ready_s > now)
			continue;
		uint32_t i = n++;
		for (; i && v[i - 1] > p->p[k].rif; i--)
			v[i] = v[i - 1];
		v[i] = p->p[k].rif;
	}
	return n ? v[(uint32_t)(HOT_QUANTILE * (n - 1) + .5)] : 0;
}

/* Best (or, reversed, worst) of the probes at hand: cold before hot, cold by latency, hot by RIF. */
static uint32_t pick(const struct lane_pool *p, double now, uint32_t hot, bool worst)
{
	uint32_t at = MLB_NONE;

	for (uint32_t i = 0; i < p->n; i++) {
		const struct probe *a = &p->p[i], *b = at == MLB_NONE ? NULL : &p->p[at];
		if (a->ready_s > now)
			continue;
		bool ahot = a->rif > hot, bhot = b && b->rif > hot;
		bool better = !b || (ahot != bhot ? !ahot : ahot ? a->rif < b->rif : a->latency_s < b->latency_s);
		if (!b || better != worst)
			at = i;
	}
	return at;
}

uint32_t sim_prequal_choose(struct sim_run *r, uint32_t lane)
{
	struct sim_prequal *q = r->prequal;
	struct lane_pool *p = &q->pool[lane];
	uint32_t ready = 0, server, want = r->present < PROBES ? r->present : PROBES, drawn[PROBES];

	for (uint32_t i = 0; i < p->n;) {
		if (p->p[i].sent_s + AGE_S < r->now) {
			drop(p, i);
			continue;
		}
		ready += p->p[i++].ready_s <= r->now;
	}
	if (ready < 2) {
		server = mlb_rng_below(&q->rng, r->present);
	} else {
		uint32_t hot = hot_above(p, r->now), i = pick(p, r->now, hot, false);
		server = p->p[i].server;
		p->p[i].rif++;
		p->p[i].uses_left -= 1;
		if (p->p[i].uses_left < 1)
			drop(p, i);
		if (ready > 2) {
			i = p->worst_next ? pick(p, r->now, hot, true) : oldest(p);
			p->worst_next = !p->worst_next;
			if (i != MLB_NONE)
				drop(p, i);
		}
	}
	for (uint32_t k = 0; k < want; k++) {
		bool again;
		do {
			drawn[k] = mlb_rng_below(&q->rng, r->present);
			again = false;
			for (uint32_t i = 0; i < k; i++)
				again |= drawn[i] == drawn[k];
		} while (again);
		send_probe(r, lane, drawn[k]);
	}
	return server;
}

void sim_prequal_arrived(struct sim_run *r, uint32_t flow, uint32_t server)
{
	r->prequal->rif_of[flow] = sim_server_jobs(&r->server[server]) - 1;
}

void sim_prequal_finished(struct sim_run *r, uint32_t flow, uint32_t server, double sojourn_s)
{
	struct server_past *p = &r->prequal->past[server];

	p->r[p->at] = (struct recent){ r->prequal->rif_of[flow], (float)sojourn_s };
	p->at = (p->at + 1) % RECENT;
	p->n += p->n < RECENT;
}
