/* SPDX-License-Identifier: Apache-2.0 */
/* The event loop. Four sources of events, each with its own structure, because their rates differ by orders of magnitude:
 * arrivals (a sorted array), departures (a winner tree over servers), what load balancers see an RTT later (a small heap),
 * and control: ticks, changes of capacity, joins, gossip (another small heap). */
#include "draw.h"
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
	if (r->present < sc->n)
		err |= sim_heap_push(&r->control, sc->server[r->present].join_s, EV_JOIN, 0);
	for (uint32_t i = 0; r->gossip_s > 0 && i < r->lanes; i++)
		err |= sim_heap_push(&r->control, r->gossip_s * (i % sc->lbs + 1) / sc->lbs, EV_PUBLISH, i);
	/* Whole seconds after the warm-up; the first only sets the marks. */
	err |= sim_heap_push(&r->control, sc->warm_s, EV_SECOND, 0);
	return err ? -ENOMEM : 0;
}

static int renew_oracle(struct sim_run *r)
{
	struct mlb_table *t;

	for (uint32_t j = 0; j < r->present; j++)
		r->scratch.share[j] = (float)sim_server_capacity(&r->server[j]);
	int err = mlb_table_new(&t, r->present, r->scratch.share, NULL, 1, MLB_MODE_SED, 1, NULL, NULL);
	if (err)
		return err;
	mlb_table_free(r->oracle);
	r->oracle = t;
	return 0;
}

static int run_init(struct sim_run *r)
{
	const struct sim_scenario *sc = r->sc;
	int err;

	r->padded = (sc->n + 15) / 16 * 16;
	r->lanes = sc->lbs * sc->vips;
	for (r->present = 0; r->present < sc->n && sc->server[r->present].join_s <= 0; r->present++)
		;
	mlb_rng_seed(&r->rng, sim_mix(r->w->seed, 3000));
	r->server = calloc(sc->n, sizeof(*r->server));
	r->lane = calloc(r->lanes, sizeof(*r->lane));
	r->at = malloc(r->w->flows * sizeof(*r->at) + 1);
	r->jobs_q = aligned_alloc(64, r->padded * sizeof(float));
	r->jobs_at = calloc(sc->n, sizeof(double));
	r->capacity_at = calloc(sc->n, sizeof(double));
	if (sc->requests > 1)
		r->session = calloc(r->w->flows + 1, sizeof(*r->session));
	if (!r->server || !r->lane || !r->at || !r->jobs_q || !r->jobs_at || !r->capacity_at || (sc->requests > 1 && !r->session))
		return -ENOMEM;
	memset(r->jobs_q, 0, r->padded * sizeof(float));
	err = sim_scratch_init(r);
	err = err ? err : servers_init(r);
	err = err ? err : sim_heap_init(&r->notices);
	err = err ? err : sim_heap_init(&r->control);
	err = err ? err : sim_tree_init(&r->tree, sc->n);
	err = err ? err : control_init(r);
	if (!err && r->st->chooser == SIM_CHOOSE_PREQUAL)
		err = sim_prequal_new(r);
	if (!err && r->st->chooser == SIM_CHOOSE_ORACLE)
		err = renew_oracle(r);
	for (uint32_t i = 0; i < r->lanes && !err; i++)
		err = sim_lane_init(r, &r->lane[i], i);
	for (uint32_t i = 0; i < r->lanes && !err; i++)
		err = sim_lane_tick(r, &r->lane[i]); /* at 0, without history */
	return err;
}

static void run_free(struct sim_run *r)
{
	for (uint32_t i = 0; r->lane && i < r->lanes; i++)
		sim_lane_free(r, &r->lane[i]);
	sim_prequal_free(r->prequal);
	mlb_table_free(r->oracle);
	sim_scratch_free(&r->scratch);
	free(r->lane);
	free(r->server);
	free(r->memory);
	free(r->at);
	free(r->session);
	free(r->jobs_q);
	free(r->jobs_at);
	free(r->capacity_at);
	free(r->notices.e);
	free(r->control.e);
	free(r->tree.win);
	free(r->tree.key);
	free(r->ct);
}

static inline double rtt_of(const struct sim_run *r, uint32_t flow, uint32_t server)
{
	return r->w->rtt_s[server] * r->w->flow[flow].rtt_factor;
}

/* Size of the job that `flow` has in its server. */
static inline double size_of(const struct sim_run *r, uint32_t flow)
{
	return r->session ? r->session[flow].size_s : r->w->flow[flow].size_s;
}

static inline double began(const struct sim_run *r, uint32_t flow)
{
	return r->session ? r->session[flow].request_s : r->w->flow[flow].at_s;
}

/* A request reaches its server at r->now. */
static int request(struct sim_run *r, uint32_t flow, uint32_t server)
{
	struct sim_lane *l = &r->lane[r->w->flow[flow].lane];
	struct sim_count *c = &l->count[server];
	struct sim_server *s = &r->server[server];

	r->requests++;
	c->waiting++;
	if (l->worker)
		mlb_ev_request(&l->worker->vip, server, sim_clock_us(r->now));
	c->load_i -= r->now;
	if (r->sc->load_waiting)
		l->q[server] += 1;
	sim_server_advance(s, r->now);
	if (!sim_server_offer(s, flow, size_of(r, flow))) {
		if (r->now >= r->sc->warm_s && r->now < r->sc->end_s) {
			r->refused++;
			int err = sim_measure_add(r, r->w->timeout_s);
			if (err)
				return err;
		}
		return sim_heap_push(&r->notices, r->now + r->w->timeout_s, EV_TIMED_OUT, flow);
	}
	r->jobs_q[server] += 1;
	sim_tree_set(&r->tree, server, sim_server_next(s));
	if (r->prequal)
		sim_prequal_arrived(r, flow, server);
	return 0;
}

static int arrive(struct sim_run *r, uint32_t flow)
{
	const struct sim_flow *f = &r->w->flow[flow];
	struct sim_lane *l = &r->lane[f->lane];
	uint32_t s;

	switch (r->st->chooser) {
	case SIM_CHOOSE_ORACLE: s = mlb_choose(r->oracle, r->jobs_q, &r->rng, f->hash); break;
	case SIM_CHOOSE_PREQUAL: s = sim_prequal_choose(r, f->lane); break;
	default: s = mlb_choose(l->table, l->q, &l->rng, (uint64_t)f->hash * UINT64_C(0x9e3779b97f4a7c15));
	}
	struct sim_count *c = &l->count[s];
	r->at[flow] = (uint16_t)s;
	c->flows++;
	c->flow_i -= r->now;
	if (l->worker)
		mlb_ev_open(&l->worker->vip, s, sim_clock_us(r->now));
	if (!r->sc->load_waiting)
		l->q[s] += 1;
	if (r->session)
		r->session[flow] = (struct sim_session){ r->now, f->size_s, r->sc->requests - 1 };
	return request(r, flow, s);
}

static int depart(struct sim_run *r)
{
	uint32_t server = r->tree.win[1];
	struct sim_server *s = &r->server[server];

	sim_server_advance(s, r->now);
	uint32_t flow = sim_server_finish(s);
	r->jobs_q[server] -= 1;
	if (s->queued) {
		uint32_t next = sim_server_dequeue(s);
		sim_server_run(s, next, size_of(r, next));
	}
	sim_tree_set(&r->tree, server, sim_server_next(s));

	double from = began(r, flow), rtt = rtt_of(r, flow, server);
	if (r->prequal)
		sim_prequal_finished(r, flow, server, r->now - from);
	if (from >= r->sc->warm_s && from < r->sc->end_s) {
		int err = sim_measure_add(r, r->now - from + rtt);
		if (err)
			return err;
	}
	return sim_heap_push(&r->notices, r->now + rtt, EV_SEEN, flow);
}

/* The same in the events of a data plane, for frames. */
static void count_end(const struct sim_run *r, struct sim_worker *w, uint32_t flow, bool timed_out, bool over)
{
	uint32_t server = r->at[flow];
	uint64_t now = sim_clock_us(r->now);

	if (timed_out)
		mlb_ev_unwait(&w->vip, server, now);
	else
		mlb_ev_answer(&w->worker, &w->vip, server, sim_clock_us(began(r, flow)), now);
	if (over && !timed_out)
		mlb_ev_connected(&w->worker, &w->vip, server, now - (uint64_t)(rtt_of(r, flow, server) * 1e6 + .5), now);
	if (over)
		mlb_ev_close(&w->worker, &w->vip, server, sim_clock_us(r->w->flow[flow].at_s), now,
			     timed_out ? MLB_END_UNANSWERED : MLB_END_COMPLETED);
}

/* The load balancer sees a request end: answered, or timed out. A timed-out connection is over. */
static int seen(struct sim_run *r, uint32_t flow, bool timed_out)
{
	const struct sim_flow *f = &r->w->flow[flow];
	struct sim_lane *l = &r->lane[f->lane];
	uint32_t server = r->at[flow];
	struct sim_count *c = &l->count[server];
	struct sim_session *ss = r->session ? &r->session[flow] : NULL;
	bool over = timed_out || !ss || ss->left == 0;

	c->waiting--;
	c->load_i += r->now;
	c->answers += !timed_out;
	if (r->sc->load_waiting || over)
		l->q[server] -= 1;
	if (l->worker)
		count_end(r, l->worker, flow, timed_out, over);
	if (!over) {
		struct mlb_rng rng; /* of this request alone, so that it is the same under every policy */
		mlb_rng_seed(&rng, sim_mix(r->w->seed ^ ((uint64_t)flow << 20), ss->left));
		ss->left--;
		ss->size_s = (float)sim_draw_size(&r->sc->vip[f->lane / r->sc->lbs].sizes, &rng);
		double think = draw_e(&rng) * r->sc->think_s;
		return sim_heap_push(&r->notices, r->now + think, EV_REQUEST, flow);
	}
	c->flows--;
	c->flow_i += r->now;
	c->timed_out += timed_out;
	c->done += !timed_out;
	return 0;
}

static int notice(struct sim_run *r)
{
	struct sim_event e = sim_heap_pop(&r->notices);

	switch (e.kind) {
	case EV_SEEN: return seen(r, e.what, false);
	case EV_TIMED_OUT: return seen(r, e.what, true);
	case EV_REQUEST: r->session[e.what].request_s = r->now; return request(r, e.what, r->at[e.what]);
	default: sim_prequal_probe(r, e.what); return 0;
	}
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
	return r->oracle && c->server < r->present ? renew_oracle(r) : 0;
}

static int join(struct sim_run *r)
{
	while (r->present < r->sc->n && r->sc->server[r->present].join_s <= r->now) {
		sim_server_advance(&r->server[r->present], r->now);
		r->jobs_at[r->present] = r->server[r->present].jobs_s;
		r->capacity_at[r->present] = r->server[r->present].capacity_s;
		r->present++;
	}
	int err = r->oracle ? renew_oracle(r) : 0;
	for (uint32_t i = 0; i < r->lanes && !err; i++)
		err = sim_lane_join(r, &r->lane[i]);
	if (!err && r->present < r->sc->n)
		err = sim_heap_push(&r->control, r->sc->server[r->present].join_s, EV_JOIN, 0);
	return err;
}

/* Periodic events end with the arrivals: no choice is left to make. */
static int again(struct sim_run *r, double after_s, uint32_t kind, uint32_t what)
{
	return r->now + after_s <= r->sc->end_s + 1e-9 ? sim_heap_push(&r->control, r->now + after_s, kind, what) : 0;
}

static int control(struct sim_run *r)
{
	struct sim_event e = sim_heap_pop(&r->control);
	struct sim_lane *l = &r->lane[e.what < r->lanes ? e.what : 0];
	int err;

	switch (e.kind) {
	case EV_TICK: err = sim_lane_tick(r, l); return err ? err : again(r, r->sc->tick_s, EV_TICK, e.what);
	case EV_CHANGE: return change(r, e.what);
	case EV_JOIN: return join(r);
	case EV_PUBLISH:
		sim_lane_publish(r, l);
		err = sim_heap_push(&r->control, r->now + r->sc->gossip_delay_s, EV_DELIVER, e.what);
		return err ? err : again(r, r->gossip_s, EV_PUBLISH, e.what);
	case EV_DELIVER: sim_lane_deliver(r, l); return 0;
	default: sim_measure_second(r); return again(r, 1, EV_SECOND, 0);
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
			err = notice(r);
		} else if (departure <= arrival && departure <= ctl) {
			r->now = departure;
			err = depart(r);
		} else if (ctl <= arrival) {
			r->now = ctl;
			err = control(r);
		} else {
			r->now = arrival;
			err = arrive(r, next++);
		}
	}
	return err;
}

int sim_run(const struct sim_world *w, const struct sim_strategy *st, struct sim_result *out, char err_text[256])
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;
	struct sim_run r = { .w = w, .sc = w->sc, .st = st, .err = err_text };

	pthread_once(&once, mlb_choose_init);
	err_text[0] = 0;
	r.gossip_s = isnan(st->gossip_s) ? w->sc->gossip_s : st->gossip_s;
	/* A count on its way would be overwritten by the next. */
	if (r.gossip_s > 0 && r.gossip_s < w->sc->gossip_delay_s) {
		snprintf(err_text, 256, "gossip every %g ms is quicker than its delay of %g ms", r.gossip_s * 1e3,
			 w->sc->gossip_delay_s * 1e3);
		return -EINVAL;
	}
	int err = run_init(&r);
	if (!err)
		err = loop(&r);
	if (!err)
		sim_measure_result(&r, out);
	else if (!err_text[0])
		snprintf(err_text, 256, "%s: %s", w->sc->name[0] ? w->sc->name : "scenario", strerror(-err));
	run_free(&r);
	return err;
}
