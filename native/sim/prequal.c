/* SPDX-License-Identifier: Apache-2.0 */
/* Prequal, after Wydrowski, Kleinberg, Rumble, Archer: "Load is not what you should balance: Introducing Prequal", NSDI 2024,
 * asynchronous mode. Each new flow sends 3 probes to servers drawn without replacement; a probe reads, half an RTT later,
 * requests in flight (RIF, of all load balancers) and the median latency of recent requests that arrived at the nearest RIF;
 * after the RTT it enters the load balancer's pool, in place of an older one of its server. A probe is hot when its RIF exceeds
 * the Q_RIF quantile of the RIFs that the load balancer's last probes reported, whichever servers those were of. Choice: the cold
 * probe of least latency, else the hot one of least RIF; a pool under two gives a uniform choice. A used probe's RIF is raised by
 * one, and it may be used b_reuse times. Probes leave after 1 s, and one a flow is removed, the oldest and the worst in turn.
 *
 * Where we read or choose: the pool holds 16, as in the paper, but no more than a quarter of the servers (at least 4), since the
 * formula for b_reuse supposes a pool much smaller than the number of servers and with a larger one the choice herds on stale
 * probes. Error aversion, which the paper has against servers that fail fast (sinkholes) without giving its rule: the load
 * balancer keeps the share of its answers from a server that were errors, with a memory of 8 answers and of 5 s; a server above a
 * tenth ranks behind all others. Q_RIF was chosen on selection seeds of family v1; the paper's .84 gives 1.75/2.06 over the
 * oracle there. The other constants are the paper's base line. */
#include "run.h"
#include <string.h>

#define POOL 16u
#define PROBES 3u
#define REMOVE 1.
#define DELTA 1.
#define Q_RIF .3
#define AGE_S 1.
#define RECENT 64u
#define MEDIAN_OF 9u
#define REPORTS 128u /* probes behind the quantile */
#define ERROR_MEMORY 8.
#define ERROR_S 5.
#define ERROR_SHARE .1

struct probe {
	double ready_s, sent_s, latency_s;
	uint32_t slot, rif, lane;
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
	uint32_t report[REPORTS], sorted[REPORTS], reports, report_at; /* RIFs of the last probes, by time and by size */
};
struct server_past {
	struct recent r[RECENT];
	uint32_t n, at; /* n <= RECENT, at: next to overwrite */
};
struct errors { /* of a load balancer and a slot */
	double share, at_s;
};

struct sim_prequal {
	struct lane_pool *pool;
	struct server_past *past; /* [servers] */
	struct errors *errors;    /* [lanes * slots] */
	uint32_t *rif_of;         /* [flows] RIF when the flow reached its server */
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
	q->errors = calloc((size_t)r->lanes * r->slots, sizeof(*q->errors));
	q->rif_of = calloc(r->w->flows + 1, sizeof(*q->rif_of));
	mlb_rng_seed(&q->rng, sim_mix(r->w->seed, 4000));
	return q->pool && q->past && q->errors && q->rif_of ? 0 : -ENOMEM;
}

void sim_prequal_free(struct sim_prequal *q)
{
	if (!q)
		return;
	free(q->pool);
	free(q->past);
	free(q->errors);
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
static void send_probe(struct sim_run *r, uint32_t lane, uint32_t slot)
{
	struct sim_prequal *q = r->prequal;
	double rtt = sim_rtt_of(r, r->lane[lane].info.lb, sim_server_of(r, slot));

	if (!q->frees && !grow(q))
		return;
	uint32_t i = q->free_list[--q->frees];
	q->flying[i] = (struct probe){ .sent_s = r->now, .ready_s = r->now + rtt, .slot = slot, .lane = lane };
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

/* Takes a RIF into the last REPORTS, kept sorted. */
static void report(struct lane_pool *p, uint32_t rif)
{
	uint32_t i;

	if (p->reports == REPORTS) {
		for (i = 0; p->sorted[i] != p->report[p->report_at]; i++)
			;
		memmove(&p->sorted[i], &p->sorted[i + 1], (REPORTS - 1 - i) * sizeof(p->sorted[0]));
		p->reports--;
	}
	for (i = p->reports++; i && p->sorted[i - 1] > rif; i--)
		p->sorted[i] = p->sorted[i - 1];
	p->sorted[i] = rif;
	p->report[p->report_at] = rif;
	p->report_at = (p->report_at + 1) % REPORTS;
}

void sim_prequal_probe(struct sim_run *r, uint32_t i)
{
	struct sim_prequal *q = r->prequal;
	struct probe p = q->flying[i];
	struct lane_pool *pool = &q->pool[p.lane];
	uint32_t room = pool_size(r->members), server = sim_server_of(r, p.slot);
	double spare = (1 - (double)room / r->members) * PROBES - REMOVE;

	q->free_list[q->frees++] = i;
	p.rif = sim_server_jobs(&r->server[server]);
	p.latency_s = latency_at(&q->past[server], p.rif);
	p.uses_left = spare > 0 ? fmax(1, (1 + DELTA) / spare) : INFINITY;
	report(pool, p.rif);
	for (uint32_t k = 0; k < pool->n; k++)
		if (pool->p[k].slot == p.slot) {
			drop(pool, k);
			break;
		}
	while (pool->n >= room)
		drop(pool, oldest(pool));
	pool->p[pool->n++] = p;
}

static double error_share(const struct sim_run *r, uint32_t lane, uint32_t slot)
{
	const struct errors *e = &r->prequal->errors[(size_t)lane * r->slots + slot];

	return e->share > 0 ? e->share * exp((e->at_s - r->now) / ERROR_S) : 0;
}

void sim_prequal_seen(struct sim_run *r, uint32_t lane, uint32_t slot, bool error)
{
	struct errors *e = &r->prequal->errors[(size_t)lane * r->slots + slot];

	if (!error && e->share == 0)
		return;
	double share = error_share(r, lane, slot);
	*e = (struct errors){ share + (error - share) / ERROR_MEMORY, r->now };
}

/* As the rule ranks probes: 0 cold, 1 hot, 2 of a server whose answers are errors. */
static uint32_t heat(const struct sim_run *r, const struct probe *p, double hot_above)
{
	return error_share(r, p->lane, p->slot) > ERROR_SHARE ? 2 : p->rif > hot_above;
}

static bool before(const struct probe *a, uint32_t heat_a, const struct probe *b, uint32_t heat_b)
{
	if (heat_a != heat_b)
		return heat_a < heat_b;
	return heat_a ? a->rif < b->rif : a->latency_s < b->latency_s;
}

/* Best (or worst) of the probes at hand. */
static uint32_t pick(const struct sim_run *r, const struct lane_pool *p, bool worst)
{
	double hot_above = p->reports ? p->sorted[(uint32_t)(Q_RIF * (p->reports - 1) + .5)] : 0;
	uint32_t at = MLB_NONE, at_heat = 0;

	for (uint32_t i = 0; i < p->n; i++) {
		if (p->p[i].ready_s > r->now)
			continue;
		uint32_t h = heat(r, &p->p[i], hot_above);
		if (at == MLB_NONE ||
		    (worst ? before(&p->p[at], at_heat, &p->p[i], h) : before(&p->p[i], h, &p->p[at], at_heat))) {
			at = i;
			at_heat = h;
		}
	}
	return at;
}

/* The pool without those that are too old or take no new flow; how many of it have come back. */
static uint32_t fresh(struct sim_run *r, struct lane_pool *p)
{
	uint32_t ready = 0;

	for (uint32_t i = 0; i < p->n;) {
		uint32_t slot = p->p[i].slot;
		if (p->p[i].sent_s + AGE_S < r->now || !r->listed[slot] || r->factor[slot] <= 0) {
			drop(p, i);
			continue;
		}
		ready += p->p[i++].ready_s <= r->now;
	}
	return ready;
}

/* One of those that take new flows, or of all where none does. */
static uint32_t any_server(struct sim_run *r)
{
	uint32_t open = 0;

	for (uint32_t k = 0; k < r->members; k++)
		open += r->scratch.factor[k] > 0;
	if (open == 0 || open == r->members)
		return r->member[mlb_rng_below(&r->prequal->rng, r->members)];
	uint32_t want = mlb_rng_below(&r->prequal->rng, open), k = 0;
	for (;; k++)
		if (r->scratch.factor[k] > 0 && want-- == 0)
			return r->member[k];
}

uint32_t sim_prequal_choose(struct sim_run *r, uint32_t lane)
{
	struct sim_prequal *q = r->prequal;
	struct lane_pool *p = &q->pool[lane];
	uint32_t ready = fresh(r, p), slot, want = r->members < PROBES ? r->members : PROBES, drawn[PROBES];

	if (ready < 2) {
		slot = any_server(r);
	} else {
		uint32_t i = pick(r, p, false);
		slot = p->p[i].slot;
		p->p[i].rif++;
		p->p[i].uses_left -= 1;
		if (p->p[i].uses_left < 1)
			drop(p, i);
		if (ready > 2) {
			i = p->worst_next ? pick(r, p, true) : oldest(p);
			p->worst_next = !p->worst_next;
			if (i != MLB_NONE)
				drop(p, i);
		}
	}
	for (uint32_t k = 0; k < want; k++) {
		bool again;
		do {
			drawn[k] = r->member[mlb_rng_below(&q->rng, r->members)];
			again = false;
			for (uint32_t i = 0; i < k; i++)
				again |= drawn[i] == drawn[k];
		} while (again);
		send_probe(r, lane, drawn[k]);
	}
	return slot;
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
