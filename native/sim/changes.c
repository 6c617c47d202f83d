/* SPDX-License-Identifier: Apache-2.0 */
/* Changes of capacity. Each cause is a layer of its own: a factor for each server, 1 where the cause does not act; what a server
 * has at a moment is the product over the layers. */
#include "draw.h"
#include "world_parts.h"
#include <errno.h>
#include <stdlib.h>

struct layered {
	double at_s, factor;
	uint32_t server, layer, seq;
};

struct list {
	struct layered *e;
	size_t n, cap;
	bool failed;
};

static void add(struct list *l, double at, uint32_t server, uint32_t layer, double factor)
{
	if (l->n == l->cap && !l->failed) {
		l->cap = l->cap ? l->cap * 2 : 64;
		struct layered *more = realloc(l->e, l->cap * sizeof(*more));
		l->failed = !more;
		if (more)
			l->e = more;
	}
	if (l->failed)
		return;
	l->e[l->n] = (struct layered){ at, factor, server, layer, (uint32_t)l->n };
	l->n++;
}

static int by_time(const void *a, const void *b)
{
	const struct layered *x = a, *y = b;

	if (x->at_s != y->at_s)
		return x->at_s < y->at_s ? -1 : 1;
	return x->seq < y->seq ? -1 : x->seq > y->seq;
}

static void noisy(struct list *l, const struct sim_scenario *sc, struct mlb_rng *r, uint32_t layer)
{
	double d = sc->noisy_d_s, normal = d * (1 / sc->noisy_phi - 1);

	for (uint32_t j = 0; j < sc->n && !l->failed; j++) {
		double t = normal * draw_e(r);
		while (t < sc->end_s && !l->failed) {
			add(l, t, j, layer, draw_u(r, .3, .5));
			t += d * (.25 + .75 * draw_e(r));
			add(l, t, j, layer, 1);
			t += normal * (.02 + draw_e(r));
		}
	}
}

/* The first pause is drawn as all others: nobody stalls at once. */
static void stalls(struct list *l, const struct sim_scenario *sc, uint64_t seed, uint32_t layer)
{
	const struct sim_stalls *s = &sc->stalls;
	struct mlb_rng r;

	mlb_rng_seed(&r, sim_mix(seed, STREAM_STALL));
	for (uint32_t j = 0; j < (s->common ? 1 : sc->n) && !l->failed; j++) {
		double t = draw_u(&r, s->every_least_s, s->every_most_s);
		while (t < sc->end_s && !l->failed) {
			double until = t + draw_u(&r, s->least_s, s->most_s);
			for (uint32_t k = j; k < (s->common ? sc->n : j + 1); k++) {
				add(l, t, k, layer, s->factor);
				add(l, until, k, layer, 1);
			}
			t = until + draw_u(&r, s->every_least_s, s->every_most_s);
		}
	}
}

static void slowdown(struct list *l, const struct sim_scenario *sc, const struct sim_slowdown *s, uint32_t layer)
{
	for (uint32_t j = s->first; j <= s->last; j++)
		for (uint32_t k = 0;; k++) {
			double at = sim_occurrence(s->at_s, s->stagger_s, s->every_s, j - s->first, k);
			if (at >= sc->end_s || l->failed)
				break;
			add(l, at, j, layer, s->factor);
			if (isfinite(s->for_s))
				add(l, at + s->for_s, j, layer, 1);
		}
}

/* Cold after a start. */
static void cold(struct list *l, const struct sim_scenario *sc, const struct sim_absence *a, uint32_t layer)
{
	for (uint32_t j = a->first; a->cold_s > 0 && j <= a->last; j++)
		for (uint32_t k = 0;; k++) {
			double at = sim_occurrence(a->at_s, a->stagger_s, a->every_s, j - a->first, k);
			if (at >= sc->end_s || isinf(a->for_s) || l->failed)
				break;
			add(l, at + a->for_s, j, layer, a->cold_factor);
			add(l, at + a->for_s + a->cold_s, j, layer, 1);
		}
}

/* From layers to what each server has after each change. */
static int flatten(struct sim_world *w, const struct list *l, uint32_t layers)
{
	uint32_t n = w->sc->n;
	double *state = malloc((size_t)n * layers * sizeof(*state));

	w->change = malloc(l->n * sizeof(*w->change) + 1);
	if (!state || !w->change) {
		free(state);
		return -ENOMEM;
	}
	for (size_t i = 0; i < (size_t)n * layers; i++)
		state[i] = 1;
	for (size_t i = 0; i < l->n; i++) {
		const struct layered *e = &l->e[i];
		double product = 1;
		state[(size_t)e->server * layers + e->layer] = e->factor;
		for (uint32_t k = 0; k < layers; k++)
			product *= state[(size_t)e->server * layers + k];
		w->change[w->changes++] = (struct sim_change){ e->at_s, product, e->server };
	}
	free(state);
	return 0;
}

int sim_changes_make(struct sim_world *w)
{
	const struct sim_scenario *sc = w->sc;
	struct list l = { 0 };
	struct mlb_rng r;
	uint32_t layers = 0;

	mlb_rng_seed(&r, sim_mix(w->seed, STREAM_CHANGE));
	if (sc->noisy_phi > 0)
		noisy(&l, sc, &r, layers++);
	if (sc->hang_for_s > 0) {
		uint32_t j = sc->hang_server < sc->n ? sc->hang_server : mlb_rng_below(&r, sc->n);
		add(&l, sc->hang_from_s, j, layers, sc->hang_factor);
		add(&l, sc->hang_from_s + sc->hang_for_s, j, layers++, 1);
	}
	if (sc->stalls.most_s > 0)
		stalls(&l, sc, w->seed, layers++);
	for (uint32_t i = 0; i < sc->slowdowns; i++)
		slowdown(&l, sc, &sc->slowdown[i], layers++);
	for (uint32_t i = 0; i < sc->absences; i++)
		cold(&l, sc, &sc->absence[i], layers++);
	if (l.n && !l.failed)
		qsort(l.e, l.n, sizeof(*l.e), by_time);
	int err = l.failed ? -ENOMEM : l.n ? flatten(w, &l, layers) : 0;
	free(l.e);
	return err;
}
