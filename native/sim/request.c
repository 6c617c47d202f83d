/* SPDX-License-Identifier: Apache-2.0 */
/* A request's life: chosen for, offered to its server, answered or failed, seen by its load balancer an RTT later. */
#include "draw.h"
#include "run.h"

/* Generators of one flow or request alone, so that what it draws is the same under every policy. */
enum { OF_REQUESTS = 0x40000000, OF_DELAY, OF_FAULT = 0x50000000 };

static struct mlb_rng own_rng(const struct sim_run *r, uint32_t flow, uint64_t what)
{
	struct mlb_rng rng;

	mlb_rng_seed(&rng, sim_mix(r->w->seed ^ ((uint64_t)flow << 20), what));
	return rng;
}

static double lognormal(struct mlb_rng *rng, double mean, double sigma)
{
	return mean * exp(sigma * draw_normal(rng) - .5 * sigma * sigma);
}

static inline double rtt_of(const struct sim_run *r, uint32_t flow, uint32_t server)
{
	const struct sim_flow *f = &r->w->flow[flow];

	return sim_rtt_of(r, r->lane[f->lane].info.lb, server) * f->rtt_factor;
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

static inline bool measured(const struct sim_run *r, double from)
{
	return from >= r->sc->warm_s && from < r->sc->end_s;
}

/* How late a load balancer sees an end that reaches its client now. */
static double delay_of(const struct sim_run *r, uint32_t flow)
{
	if (r->sc->one_way_hi_s <= 0)
		return 0;
	struct mlb_rng rng = own_rng(r, flow, OF_DELAY);
	return draw_u(&rng, r->sc->one_way_lo_s, r->sc->one_way_hi_s);
}

static bool meets(const struct sim_run *r, uint32_t flow, const struct sim_fault *f)
{
	if (f->share >= 1)
		return true;
	struct mlb_rng rng = own_rng(r, flow, OF_FAULT + (r->session ? r->session[flow].left : 0));
	return mlb_rng_unit(&rng) < f->share;
}

/* A request that its server fails, without work. */
static int fail(struct sim_run *r, uint32_t flow, uint32_t server, const struct sim_fault *f)
{
	static const enum sim_kind how[] = { [SIM_FAULT_ERROR] = EV_ERROR,
					     [SIM_FAULT_RESET] = EV_RESET,
					     [SIM_FAULT_EMPTY] = EV_EMPTY,
					     [SIM_FAULT_HANG] = EV_TIMED_OUT };
	double after = f->kind == SIM_FAULT_HANG ? r->w->timeout_s : f->answer_s + rtt_of(r, flow, server) + delay_of(r, flow);
	int err = 0;

	if (measured(r, r->now))
		err = sim_measure_failure(r, f->kind == SIM_FAULT_HANG ? r->w->timeout_s : r->sc->failure_s);
	return err ? err : sim_heap_push(&r->notices, r->now + after, how[f->kind], flow);
}

static int refuse(struct sim_run *r, uint32_t flow, uint32_t server)
{
	bool at_once = r->sc->refuses_at_once;
	int err = 0;

	if (measured(r, r->now)) {
		r->refused++;
		err = sim_measure_add(r, r->w->timeout_s);
	}
	if (err)
		return err;
	return sim_heap_push(&r->notices, r->now + (at_once ? rtt_of(r, flow, server) : r->w->timeout_s),
			     at_once ? EV_REFUSED : EV_TIMED_OUT, flow);
}

/* A request reaches its server at r->now. */
static int request(struct sim_run *r, uint32_t flow, uint32_t slot)
{
	struct sim_lane *l = &r->lane[r->w->flow[flow].lane];
	struct sim_count *c = &l->count[slot];
	uint32_t server = sim_server_of(r, slot);
	struct sim_server *s = &r->server[server];

	r->requests++;
	c->waiting++;
	if (l->worker && r->sc->one_way_hi_s <= 0)
		mlb_ev_request(&l->worker->vip, slot, sim_clock_us(r->now));
	c->load_i -= r->now;
	if (r->sc->load_waiting)
		l->q[slot] += 1;
	const struct sim_fault *f = r->fault[server] ? &r->w->fault[r->fault[server] - 1] : NULL;
	if (f && meets(r, flow, f))
		return fail(r, flow, server, f);
	sim_server_advance(s, r->now);
	if (!sim_server_offer(s, flow, size_of(r, flow)))
		return refuse(r, flow, server);
	r->jobs_q[server] += 1;
	sim_tree_set(&r->tree, server, sim_server_next(s));
	if (r->prequal)
		sim_prequal_arrived(r, flow, server);
	return 0;
}

static uint32_t requests_of(const struct sim_run *r, uint32_t flow)
{
	if (r->sc->requests_sigma <= 0)
		return r->sc->requests;
	struct mlb_rng rng = own_rng(r, flow, OF_REQUESTS);
	double v = lognormal(&rng, r->sc->requests, r->sc->requests_sigma);
	return v < 1.5 ? 1 : v > 1e6 ? 1000000 : (uint32_t)(v + .5);
}

int sim_arrive(struct sim_run *r, uint32_t flow)
{
	const struct sim_flow *f = &r->w->flow[flow];
	struct sim_lane *l = &r->lane[f->lane];
	uint32_t s;
	uint64_t hash;

	switch (l->st->chooser) {
	case SIM_CHOOSE_ORACLE: s = r->slot_of[mlb_choose(r->oracle, r->jobs_q, &r->rng, f->hash)]; break;
	case SIM_CHOOSE_PREQUAL: s = sim_prequal_choose(r, f->lane); break;
	default:
		hash = (uint64_t)f->hash * UINT64_C(0x9e3779b97f4a7c15);
		s = l->guard ? sim_guard_choose(l, hash) : mlb_choose_light(l->table, l->q, &l->rng, hash, l->light);
	}
	struct sim_count *c = &l->count[s];
	r->opened[sim_server_of(r, s)]++;
	r->at[flow] = (uint16_t)s;
	c->flows++;
	c->flow_i -= r->now;
	if (l->worker)
		mlb_ev_open(&l->worker->vip, s, sim_clock_us(r->now));
	if (!r->sc->load_waiting)
		l->q[s] += 1;
	if (r->session)
		r->session[flow] = (struct sim_session){ r->now, f->size_s, requests_of(r, flow) - 1 };
	return request(r, flow, s);
}

int sim_depart(struct sim_run *r)
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
	if (measured(r, from)) {
		int err = sim_measure_add(r, r->now - from + rtt);
		if (err)
			return err;
	}
	return sim_heap_push(&r->notices, r->now + rtt + delay_of(r, flow), EV_ANSWERED, flow);
}

/* The same in the events of a data plane, for frames. One that sees the client's side only knows of no request and no answer. */
static void count_end(const struct sim_run *r, struct sim_worker *w, uint32_t flow, enum sim_kind how, bool over)
{
	static const enum mlb_end end[] = {
		[EV_ANSWERED] = MLB_END_COMPLETED, [EV_ERROR] = MLB_END_COMPLETED, [EV_TIMED_OUT] = MLB_END_UNANSWERED,
		[EV_REFUSED] = MLB_END_REFUSED,    [EV_RESET] = MLB_END_RESET,     [EV_EMPTY] = MLB_END_EMPTY
	};
	uint32_t slot = r->at[flow];
	uint64_t now = sim_clock_us(r->now);
	bool both = r->sc->one_way_hi_s <= 0, connected = how != EV_TIMED_OUT && how != EV_REFUSED;

	if (both && (how == EV_ANSWERED || how == EV_ERROR))
		mlb_ev_answer(&w->worker, &w->vip, slot, sim_clock_us(began(r, flow)), now);
	else if (both)
		mlb_ev_unwait(&w->vip, slot, now);
	if (over && both && connected)
		mlb_ev_connected(&w->worker, &w->vip, slot, now - (uint64_t)(rtt_of(r, flow, sim_server_of(r, slot)) * 1e6 + .5),
				 now);
	if (over)
		mlb_ev_close(&w->worker, &w->vip, slot, sim_clock_us(r->w->flow[flow].at_s), now, end[how]);
}

/* The load balancer sees a request end. One that is not answered ends its connection. */
static int seen(struct sim_run *r, uint32_t flow, enum sim_kind how)
{
	const struct sim_flow *f = &r->w->flow[flow];
	struct sim_lane *l = &r->lane[f->lane];
	uint32_t slot = r->at[flow];
	struct sim_count *c = &l->count[slot];
	struct sim_session *ss = r->session ? &r->session[flow] : NULL;
	bool answered = how == EV_ANSWERED || how == EV_ERROR, over = !answered || !ss || ss->left == 0;

	c->waiting--;
	c->load_i += r->now;
	c->answers += answered;
	if (r->sc->load_waiting || over)
		l->q[slot] -= 1;
	if (l->worker)
		count_end(r, l->worker, flow, how, over);
	if (r->prequal)
		sim_prequal_seen(r, f->lane, slot, how != EV_ANSWERED);
	if (!over) {
		struct mlb_rng rng = own_rng(r, flow, ss->left);
		ss->left--;
		ss->size_s = (float)sim_draw_size(&r->sc->vip[f->lane / r->sc->lbs].sizes, &rng);
		double think = r->sc->think_sigma > 0 ? lognormal(&rng, r->sc->think_s, r->sc->think_sigma) :
							draw_e(&rng) * r->sc->think_s;
		return sim_heap_push(&r->notices, r->now + think, EV_REQUEST, flow);
	}
	c->flows--;
	c->flow_i += r->now;
	c->timed_out += how == EV_TIMED_OUT;
	c->done += answered;
	return 0;
}

/* What is left in servers that stand still for good never ends: its time is the time-out. */
int sim_stranded(struct sim_run *r)
{
	int err = 0;

	for (uint32_t j = 0; j < r->sc->n; j++) {
		struct sim_server *s = &r->server[j];
		for (uint32_t i = 0; i < s->running + s->queued && !err; i++) {
			uint32_t flow = i < s->running ? s->job[i].flow : s->queue[(s->head + i - s->running) % s->backlog];
			if (measured(r, began(r, flow)))
				err = sim_measure_add(r, r->w->timeout_s);
		}
	}
	return err;
}

int sim_notice(struct sim_run *r)
{
	struct sim_event e = sim_heap_pop(&r->notices);

	switch (e.kind) {
	case EV_REQUEST: r->session[e.what].request_s = r->now; return request(r, e.what, r->at[e.what]);
	case EV_PROBE: sim_prequal_probe(r, e.what); return 0;
	default: return seen(r, e.what, (enum sim_kind)e.kind);
	}
}
