/* SPDX-License-Identifier: Apache-2.0 */
/* What a policy sees: plain arrays for heuristics; for models the frame that a data plane would have published. */
#include "run.h"
#include <marllb/hist.h>
#include <string.h>

int sim_scratch_init(struct sim_run *r)
{
	struct sim_scratch *s = &r->scratch;
	uint32_t n = r->sc->n;
	bool ok = true;

#define ARRAY(f) ok &= (s->f = calloc(n, sizeof(*s->f))) != NULL
	ARRAY(flow_s);
	ARRAY(capacity);
	ARRAY(cores);
	ARRAY(busy);
	ARRAY(fbias);
	ARRAY(cfg);
	ARRAY(share);
	ARRAY(raw);
	ARRAY(bare);
	ARRAY(flows);
	ARRAY(jobs);
	ARRAY(others);
	ARRAY(ended);
	ARRAY(rec);
#undef ARRAY
	if (!ok)
		return -ENOMEM;
	for (uint32_t j = 0; j < n; j++)
		s->cfg[j] = (float)r->sc->server[j].weight;
	return 0;
}

void sim_scratch_free(struct sim_scratch *s)
{
	free(s->flow_s);
	free(s->capacity);
	free(s->cores);
	free(s->busy);
	free(s->fbias);
	free(s->cfg);
	free(s->share);
	free(s->raw);
	free(s->bare);
	free(s->flows);
	free(s->jobs);
	free(s->others);
	free(s->ended);
	free(s->rec);
}

void sim_sample(struct sim_lane *l, uint32_t server, double duration_s, double ttfb_s, double connect_s, bool ended)
{
	struct sim_samples *s = &l->samples[server];
	float connect = (float)(connect_s * 1e6);

	s->ttfb_hist[mlb_hist_bucket((uint64_t)(ttfb_s * 1e6))]++;
	if (!ended)
		return;
	s->duration_hist[mlb_hist_bucket((uint64_t)(duration_s * 1e6))]++;
	if (!s->connects++ || connect < s->connect_min)
		s->connect_min = connect;
}

static uint64_t us(double s)
{
	return s > 0 ? (uint64_t)(s * 1e6 + .5) : 0;
}

static uint64_t clock_us(double s)
{
	return SIM_EPOCH_US + us(s);
}

static void fill_rec(struct sim_run *r, struct sim_lane *l, uint32_t j, struct mlb_server_rec *out)
{
	const struct sim_count *c = &l->count[j];
	double joined = r->sc->server[j].join_s, wait_s = c->load_i + c->waiting * r->now;

	memset(out, 0, sizeof(*out));
	out->id = j + 1;
	out->slot = (uint16_t)j;
	out->flags = MLB_SRV_MEMBER;
	out->addr = (struct mlb_addr){ { [10] = 0xff, 0xff, 10, 0, (uint8_t)(j >> 8), (uint8_t)j } };
	out->port = 80;
	out->flows = c->flows;
	out->waiting = c->waiting;
	out->weight_static = r->scratch.cfg[j];
	out->weight = l->table && j < l->n ? l->table->weight[j] : 0;
	out->factor = 1;
	out->bias = (float)l->bias[j];
	out->peer = l->info.gossip ? l->peer[j] : 0;
	out->new_flows = c->opened;
	out->completions = c->done;
	out->unanswered = c->timed_out;
	out->answers = c->answers;
	out->flow_us = us(c->flow_i + c->flows * r->now);
	out->wait_us = us(wait_s);
	out->start_sum_us = us(c->start_sum) + c->flows * SIM_EPOCH_US;
	out->last_completion_us = c->last_done_s > 0 ? clock_us(c->last_done_s) : 0;
	out->joined_us = clock_us(joined);
	if (!l->samples)
		return;
	struct sim_samples *s = &l->samples[j];
	if (s->connects) {
		out->connect.samples = s->connects < MLB_RESERVOIR_LEN ? s->connects : MLB_RESERVOIR_LEN;
		out->connect.seen = s->connects;
		out->connect.min = s->connect_min;
		s->connects = 0;
	}
	memcpy(out->ttfb_hist, s->ttfb_hist, sizeof(out->ttfb_hist));
	memcpy(out->duration_hist, s->duration_hist, sizeof(out->duration_hist));
}

static void fill_frame(struct sim_run *r, struct sim_lane *l, struct sim_lb_view *v)
{
	struct mlb_frame_hdr *h = &r->scratch.hdr;

	l->frame_seq++;
	memset(h, 0, sizeof(*h));
	h->schema = MLB_FRAME_SCHEMA;
	h->record_size = sizeof(struct mlb_server_rec);
	h->dp_epoch = 1;
	h->seq = l->frame_seq;
	h->mono_ns = clock_us(r->now) * 1000;
	h->real_ns = h->mono_ns;
	h->vip_id = 1 + (uint32_t)(l - r->lane) / r->sc->lbs;
	h->generation = r->present == r->sc->n ? 2 : 1;
	h->count = r->present;
	memcpy(h->name, "sim", 4);
	h->mode = (uint8_t)r->st->mode;
	h->load = r->sc->load_waiting ? MLB_LOAD_WAITING : MLB_LOAD_FLOWS;
	h->kappa = l->table ? l->table->kappa : (float)l->kappa;
	h->load_balancers = r->sc->lbs;
	h->load_balancer = l->info.lb + 1;
	for (uint32_t j = 0; j < r->present; j++)
		fill_rec(r, l, j, &r->scratch.rec[j]);
	v->hdr = h;
	v->rec = r->scratch.rec;
}

static void fill_truth(struct sim_run *r, struct sim_lane *l, struct sim_lb_view *v, struct sim_truth *t)
{
	struct sim_scratch *s = &r->scratch;
	uint32_t first = (uint32_t)(l - r->lane) / r->sc->lbs * r->sc->lbs;
	double dt = r->now - l->last_tick_s;

	for (uint32_t j = 0; j < r->present; j++) {
		struct sim_server *srv = &r->server[j];
		sim_server_advance(srv, r->now);
		s->capacity[j] = sim_server_capacity(srv);
		s->cores[j] = srv->cores;
		s->jobs[j] = sim_server_jobs(srv);
		s->busy[j] = dt > 0 ? (srv->busy_s - l->busy_mark[j]) / (dt * srv->cores) : 0;
		s->others[j] = 0;
		for (uint32_t k = first; k < first + r->sc->lbs; k++)
			s->others[j] += &r->lane[k] == l ? 0 : r->lane[k].count[j].flows;
	}
	*t = (struct sim_truth){ s->capacity, s->cores, s->jobs, s->others, s->busy };
	v->truth = t;
}

void sim_view_fill(struct sim_run *r, struct sim_lane *l, struct sim_lb_view *v, struct sim_truth *t)
{
	struct sim_scratch *s = &r->scratch;
	uint32_t wants = r->st->policy->wants;

	memset(v, 0, sizeof(*v));
	for (uint32_t j = 0; j < r->present; j++) {
		const struct sim_count *c = &l->count[j];
		s->flows[j] = c->flows;
		s->flow_s[j] = r->sc->load_waiting ? c->load_i + c->waiting * r->now : c->flow_i + c->flows * r->now;
		s->ended[j] = (r->sc->load_waiting ? c->answers : c->done) + c->timed_out;
	}
	v->info = &l->info;
	v->now_s = r->now;
	v->n = r->present;
	v->weight_cfg = s->cfg;
	v->flows = s->flows;
	v->peer = l->info.gossip ? l->peer : NULL;
	v->flow_s = s->flow_s;
	v->ended = s->ended;
	if (wants & SIM_WANTS_TRUTH)
		fill_truth(r, l, v, t);
	if (wants & (SIM_WANTS_FRAME | SIM_WANTS_SAMPLES))
		fill_frame(r, l, v);
}
