/* SPDX-License-Identifier: Apache-2.0 */
/* Who is in the load balancers' list when, and at what share of its weight: joins, absences, slow starts. Nothing here is drawn.
 */
#include "world_parts.h"
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#define SLOW_START_STEPS 10u /* as failover's */
#define TURNS_MAX 1000000u

struct move { /* of a server */
	double at_s;
	uint32_t server, seq;
	bool comes, new_id;
};

struct list {
	struct move *e;
	uint32_t n, cap;
	bool failed;
};

static void add(struct list *l, double at, uint32_t server, bool comes, bool new_id)
{
	if (l->n == l->cap && !l->failed) {
		l->cap = l->cap ? l->cap * 2 : 64;
		struct move *more = l->cap <= TURNS_MAX ? realloc(l->e, l->cap * sizeof(*more)) : NULL;
		l->failed = !more;
		if (more)
			l->e = more;
	}
	if (l->failed)
		return;
	l->e[l->n] = (struct move){ at, server, l->n, comes, new_id };
	l->n++;
}

static int by_time(const void *a, const void *b)
{
	const struct move *x = a, *y = b;

	if (x->at_s != y->at_s)
		return x->at_s < y->at_s ? -1 : 1;
	return x->seq < y->seq ? -1 : x->seq > y->seq;
}

static void collect(struct list *l, const struct sim_scenario *sc)
{
	for (uint32_t j = 0; j < sc->n; j++)
		if (sc->server[j].join_s > 0)
			add(l, sc->server[j].join_s, j, true, false);
	for (uint32_t i = 0; i < sc->absences; i++) {
		const struct sim_absence *a = &sc->absence[i];
		for (uint32_t j = a->first; j <= a->last; j++)
			for (uint32_t k = 0;; k++) {
				double at = sim_occurrence(a->at_s, a->stagger_s, a->every_s, j - a->first, k);
				if (at >= sc->end_s || l->failed)
					break;
				add(l, at, j, false, a->new_id);
				if (isfinite(a->for_s))
					add(l, at + a->for_s, j, true, a->new_id);
			}
	}
	if (l->n && !l->failed)
		qsort(l->e, l->n, sizeof(*l->e), by_time);
}

static void turn(struct sim_world *w, double at, uint32_t slot, double factor, bool listed)
{
	w->turn[w->turns++] = (struct sim_turn){ at, slot, (float)factor, listed };
}

/* A server comes: its share in steps, as failover gives it, until it leaves again. */
static void come(struct sim_world *w, const struct list *l, uint32_t i, uint32_t slot)
{
	const struct move *m = &l->e[i];
	double until = INFINITY, step = w->sc->slow_start_s / SLOW_START_STEPS;

	if (step <= 0) {
		turn(w, m->at_s, slot, 1, true);
		return;
	}
	for (uint32_t k = i + 1; k < l->n && isinf(until); k++)
		if (l->e[k].server == m->server && !l->e[k].comes)
			until = l->e[k].at_s;
	for (uint32_t k = 0; k < SLOW_START_STEPS && m->at_s + k * step < until; k++)
		turn(w, m->at_s + k * step, slot, (k + 1.) / SLOW_START_STEPS, true);
}

static int by_turn(const void *a, const void *b)
{
	double x = ((const struct sim_turn *)a)->at_s, y = ((const struct sim_turn *)b)->at_s;

	return x < y ? -1 : x > y;
}

/* At each moment at least one server is in the list. */
static int check(const struct sim_world *w, char *err)
{
	bool *listed = calloc(w->slots, sizeof(*listed));
	uint32_t count = 0;
	int rc = listed ? 0 : -ENOMEM;

	for (uint32_t j = 0; listed && j < w->sc->n; j++)
		count += listed[j] = w->sc->server[j].join_s <= 0;
	for (uint32_t i = 0; i < w->turns && !rc; i++) {
		const struct sim_turn *t = &w->turn[i];
		count += (uint32_t)t->listed - (uint32_t)listed[t->slot];
		listed[t->slot] = t->listed;
		if (!count && (i + 1 == w->turns || w->turn[i + 1].at_s > t->at_s)) {
			snprintf(err, 256, "no server is left in the list at %g s", t->at_s);
			rc = -EINVAL;
		}
	}
	free(listed);
	return rc;
}

/* cur[j]: the slot of server j; gone[j]: it is away. */
static int walk(struct sim_world *w, const struct list *l, uint32_t *cur, bool *gone, char *err)
{
	for (uint32_t i = 0; i < l->n; i++) {
		const struct move *m = &l->e[i];
		if (gone[m->server] != m->comes) {
			snprintf(err, 256, "server %u: its absences overlap, or it leaves before it joins, at %g s", m->server,
				 m->at_s);
			return -EINVAL;
		}
		gone[m->server] = !m->comes;
		if (!m->comes) {
			turn(w, m->at_s, cur[m->server], 0, !m->new_id);
			continue;
		}
		if (m->new_id) {
			if (w->slots == MLB_MAX_SERVERS_PER_VIP) {
				snprintf(err, 256, "more than %u servers with those that come back under new ids",
					 MLB_MAX_SERVERS_PER_VIP);
				return -EINVAL;
			}
			cur[m->server] = w->slots;
			w->server_of[w->slots++] = m->server;
		}
		come(w, l, i, cur[m->server]);
	}
	return 0;
}

int sim_turns_make(struct sim_world *w, char *err)
{
	const struct sim_scenario *sc = w->sc;
	struct list l = { 0 };
	uint32_t *cur = calloc(sc->n, sizeof(*cur));
	bool *gone = calloc(sc->n, sizeof(*gone));
	int rc = -ENOMEM;

	collect(&l, sc);
	w->turn = malloc((size_t)l.n * SLOW_START_STEPS * sizeof(*w->turn) + 1);
	w->server_of = malloc(MLB_MAX_SERVERS_PER_VIP * sizeof(*w->server_of));
	if (cur && gone && w->turn && w->server_of && !l.failed) {
		for (uint32_t j = 0; j < sc->n; j++) {
			cur[j] = w->server_of[j] = j;
			gone[j] = sc->server[j].join_s > 0;
		}
		w->slots = sc->n;
		rc = walk(w, &l, cur, gone, err);
		if (!rc && w->turns)
			qsort(w->turn, w->turns, sizeof(*w->turn), by_turn);
		rc = rc ? rc : check(w, err);
	}
	free(l.e);
	free(cur);
	free(gone);
	return rc;
}
