/* SPDX-License-Identifier: Apache-2.0 */
/* The event loop. Four sources of events, each with its own structure, because their rates differ by orders of magnitude:
 * arrivals (a sorted array), departures (a winner tree over servers), what load balancers see an RTT later (a small heap),
 * and control: ticks, changes of capacity, of the list, faults, gossip (another small heap). */
#include "engine.h"
#include "run.h"
#include <pthread.h>
#include <stdio.h>
#include <string.h>

static int servers_init(struct sim_run *r)
{
	const struct sim_scenario *sc = r->sc;
	size_t jobs = 0, queue = 0, slow = 0;

	for (uint32_t j = 0; j < sc->n; j++) {
		struct sim_server *s = &r->server[j];
		const struct sim_server_conf *c = &sc->server[j];
		s->cores = c->cores;
		s->speed = c->speed;
		s->factor = 1;
		s->slots = sc->fcfs ? (uint32_t)ceil(c->cores) : sc->slots;
		s->backlog = sc->backlog;
		jobs += s->slots;
		slow += s->slots + 1;
		queue += s->backlog;
	}
	char *at = r->memory = malloc(jobs * sizeof(struct sim_job) + slow * sizeof(double) + queue * sizeof(uint32_t) + 1);
	if (!at)
		return -ENOMEM;
	for (uint32_t j = 0; j < sc->n; j++) {
		struct sim_server *s = &r->server[j];
		double *table = (double *)at;
		for (uint32_t k = 0; k <= s->slots; k++)
			table[k] = k > s->cores ? k / s->cores : 1;
		s->slow = table;
		at += (s->slots + 1) * sizeof(double);
		s->job = (struct sim_job *)at;
		at += s->slots * sizeof(struct sim_job);
	}
	for (uint32_t j = 0; j < sc->n; j++) {
		r->server[j].queue = (uint32_t *)at;
		at += r->server[j].backlog * sizeof(uint32_t);
	}
	return 0;
}

static int control_init(struct sim_run *r)
{
	const struct sim_scenario *sc = r->sc;
	int err = 0;

	for (uint32_t i = 0; i < r->lanes && !err; i++)
		err = sim_heap_push(&r->control, sc->tick_s * (i % sc->lbs + 1) / sc->lbs, EV_TICK, i);
	if (r->w->changes)
		err |= sim_heap_push(&r->control, r->w->change[0].at_s, EV_CHANGE, 0);
	if (r->w->turns)
		err |= sim_heap_push(&r->control, r->w->turn[0].at_s, EV_TURN, 0);
	for (uint32_t i = 0; r->gossip_s > 0 && i < r->lanes; i++)
		err |= sim_heap_push(&r->control, r->gossip_s * (i % sc->lbs + 1) / sc->lbs, EV_PUBLISH, i);
	for (uint32_t i = 0; i < r->w->faults; i++) {
		const struct sim_fault *f = &r->w->fault[i];
		err |= sim_heap_push(&r->control, f->at_s, EV_FAULT, 2 * i);
		if (isfinite(f->for_s))
			err |= sim_heap_push(&r->control, f->at_s + f->for_s, EV_FAULT, 2 * i + 1);
	}
	/* Whole seconds after the warm-up; the first only sets the marks. */
	err |= sim_heap_push(&r->control, sc->warm_s, EV_SECOND, 0);
	return err ? -ENOMEM : 0;
}

/* Load balancers that the scenario gives a strategy of their own. */
static int others_init(struct sim_run *r)
{
	const struct sim_scenario *sc = r->sc;

	if (!sc->policy)
		return 0;
	r->other = calloc(sc->lbs, sizeof(*r->other));
	if (!r->other)
		return -ENOMEM;
	for (uint32_t i = 0; i < sc->lbs; i++) {
		int err = sc->policy[i][0] ? sim_strategy_parse(&r->other[i], sc->policy[i], r->err) : 0;
		if (err)
			return err;
	}
	return 0;
}

static int run_init(struct sim_run *r)
{
	const struct sim_scenario *sc = r->sc;
	uint32_t padded = (sc->n + 15) / 16 * 16;
	int err;

	r->slots = r->w->slots;
	r->padded = (r->slots + 15) / 16 * 16;
	r->lanes = sc->lbs * sc->vips;
	mlb_rng_seed(&r->rng, sim_mix(r->w->seed, 3000));
	r->server = calloc(sc->n, sizeof(*r->server));
	r->lane = calloc(r->lanes, sizeof(*r->lane));
	r->at = malloc(r->w->flows * sizeof(*r->at) + 1);
	r->jobs_q = aligned_alloc(64, padded * sizeof(float));
	r->jobs_at = calloc(sc->n, sizeof(double));
	r->capacity_at = calloc(sc->n, sizeof(double));
	r->opened = calloc(sc->n, sizeof(double));
	r->chosen = calloc(sc->n, sizeof(double));
	r->back_s = NAN;
	if (sc->requests > 1)
		r->session = calloc(r->w->flows + 1, sizeof(*r->session));
	if (!r->server || !r->lane || !r->at || !r->jobs_q || !r->jobs_at || !r->capacity_at || !r->opened || !r->chosen ||
	    (sc->requests > 1 && !r->session))
		return -ENOMEM;
	memset(r->jobs_q, 0, padded * sizeof(float));
	err = others_init(r);
	err = err ? err : sim_scratch_init(r);
	err = err ? err : servers_init(r);
	err = err ? err : sim_heap_init(&r->notices);
	err = err ? err : sim_heap_init(&r->control);
	err = err ? err : sim_tree_init(&r->tree, sc->n);
	err = err ? err : sim_members_init(r);
	err = err ? err : control_init(r);
	if (!err && r->st->chooser == SIM_CHOOSE_PREQUAL)
		err = sim_prequal_new(r);
	err = err ? err : sim_oracle_renew(r);
	for (uint32_t i = 0; i < r->lanes && !err; i++)
		err = sim_lane_init(r, &r->lane[i], i);
	for (uint32_t i = 0; i < r->lanes && !err; i++)
		err = sim_lane_tick(r, &r->lane[i]); /* at 0, without history */
	return err;
}

static void run_free(struct sim_run *r)
{
	for (uint32_t i = 0; r->lane && i < r->lanes; i++)
		sim_lane_free(&r->lane[i]);
	sim_prequal_free(r->prequal);
	sim_members_free(r);
	mlb_table_free(r->oracle);
	sim_scratch_free(&r->scratch);
	free(r->other);
	free(r->lane);
	free(r->server);
	free(r->memory);
	free(r->at);
	free(r->session);
	free(r->jobs_q);
	free(r->jobs_at);
	free(r->capacity_at);
	free(r->opened);
	free(r->chosen);
	free(r->notices.e);
	free(r->control.e);
	free(r->tree.win);
	free(r->tree.key);
	free(r->ct);
}

static int change(struct sim_run *r, uint32_t i)
{
	const struct sim_change *c = &r->w->change[i];
	struct sim_server *s = &r->server[c->server];

	sim_server_advance(s, r->now);
	s->factor = c->factor;
	sim_tree_set(&r->tree, c->server, sim_server_next(s));
	if (i + 1 < r->w->changes && sim_heap_push(&r->control, c[1].at_s, EV_CHANGE, i + 1))
		return -ENOMEM;
	return r->listed[r->slot_of[c->server]] ? sim_oracle_renew(r) : 0;
}

/* Where faults overlap on a server, the one that began last acts, and none after its end. */
static int fault(struct sim_run *r, uint32_t i, bool ends)
{
	const struct sim_fault *f = &r->w->fault[i];

	for (uint32_t j = f->first; j <= f->last; j++)
		if (!ends)
			r->fault[j] = (uint8_t)(i + 1);
		else if (r->fault[j] == i + 1)
			r->fault[j] = 0;
	return sim_oracle_renew(r);
}

/* Periodic events end with the arrivals: no choice is left to make. */
static int again(struct sim_run *r, double after_s, uint32_t kind, uint32_t what)
{
	return r->now + after_s <= r->sc->end_s + 1e-9 ? sim_heap_push(&r->control, r->now + after_s, kind, what) : 0;
}

static void show_second(struct sim_run *r)
{
	for (uint32_t i = 0; r->watch && i < r->lanes; i++) {
		struct sim_seen seen = { .now_s = r->now };

		for (uint32_t s = 0; s < r->slots; s++) {
			const struct sim_count *c = &r->lane[i].count[s];
			seen.flow_s += c->flow_i + c->flows * r->now;
			seen.new_flows += c->flows + c->done + c->timed_out;
			seen.ended += c->done;
		}
		r->watch->second(r->watch->arg, i, &seen);
	}
}

static int control(struct sim_run *r)
{
	struct sim_event e = sim_heap_pop(&r->control);
	struct sim_lane *l = &r->lane[e.what < r->lanes ? e.what : 0];
	int err;

	switch (e.kind) {
	case EV_TICK: err = sim_lane_tick(r, l); return err ? err : again(r, r->sc->tick_s, EV_TICK, e.what);
	case EV_CHANGE: return change(r, e.what);
	case EV_FAULT: return fault(r, e.what / 2, e.what & 1);
	case EV_TURN: return sim_members_turn(r, e.what);
	case EV_PUBLISH:
		err = 0;
		if (r->gossip_lost <= 0 || mlb_rng_unit(&r->gossip_rng) >= r->gossip_lost) {
			sim_lane_publish(r, l);
			err = sim_heap_push(&r->control, r->now + r->gossip_delay_s, EV_DELIVER, e.what);
		}
		return err ? err : again(r, r->gossip_s, EV_PUBLISH, e.what);
	case EV_DELIVER: sim_lane_deliver(r, l); return 0;
	default:
		sim_measure_second(r);
		show_second(r);
		return again(r, 1, EV_SECOND, 0);
	}
}

static int loop(struct sim_run *r)
{
	const struct sim_world *w = r->w;
	uint32_t next = 0;
	int err = 0;

	while (!err) {
		double arrival = next < w->flows ? w->flow[next].at_s : INFINITY;
		double departure = sim_tree_min(&r->tree), sight = r->notices.e[0].at_s, ctl = r->control.e[0].at_s;

		if (sight <= departure && sight <= arrival && sight <= ctl) {
			if (isinf(sight))
				break;
			r->now = sight;
			err = sim_notice(r);
		} else if (departure <= arrival && departure <= ctl) {
			r->now = departure;
			err = sim_depart(r);
		} else if (ctl <= arrival) {
			r->now = ctl;
			err = control(r);
		} else {
			r->now = arrival;
			err = sim_arrive(r, next++);
		}
	}
	return err;
}

int sim_run(const struct sim_world *w, const struct sim_strategy *st, struct sim_result *out, char err_text[256])
{
	return sim_run_watched(w, st, NULL, out, err_text);
}

int sim_run_watched(const struct sim_world *w, const struct sim_strategy *st, const struct sim_watch *watch,
		    struct sim_result *out, char err_text[256])
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;
	struct sim_run r = { .w = w, .sc = w->sc, .st = st, .watch = watch, .err = err_text };

	pthread_once(&once, mlb_choose_init);
	err_text[0] = 0;
	r.gossip_s = isnan(st->gossip_s) ? w->sc->gossip_s : st->gossip_s;
	r.gossip_delay_s = isnan(st->gossip_delay_s) ? w->sc->gossip_delay_s : st->gossip_delay_s;
	r.gossip_lost = isnan(st->gossip_lost) ? w->sc->gossip_lost : st->gossip_lost;
	mlb_rng_seed(&r.gossip_rng, sim_mix(w->seed, 5000));
	/* A count on its way would be overwritten by the next. */
	if (r.gossip_s > 0 && r.gossip_s < r.gossip_delay_s) {
		snprintf(err_text, 256, "gossip every %g ms is quicker than its delay of %g ms", r.gossip_s * 1e3,
			 r.gossip_delay_s * 1e3);
		return -EINVAL;
	}
	int err = run_init(&r);
	if (!err)
		err = loop(&r);
	err = err ? err : sim_stranded(&r);
	if (!err)
		sim_measure_result(&r, out);
	else if (!err_text[0])
		snprintf(err_text, 256, "%s: %s", w->sc->name[0] ? w->sc->name : "scenario", strerror(-err));
	run_free(&r);
	return err;
}
