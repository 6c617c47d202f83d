/* SPDX-License-Identifier: Apache-2.0 */
/* Out of the data plane: frames every frame_us, effects, the recount once a second. */
#include "dp_publish.h"

#include <string.h>

#include "marllb/rec_sum.h"

#include "dp_frame.h"
#include "dp_guard.h"
#include "dp_table.h"

static void frame_header(struct mlb_dp *dp, struct dp_vip *v, struct mlb_frame_hdr *h)
{
	*h = (struct mlb_frame_hdr){
		.schema = MLB_FRAME_SCHEMA,
		.record_size = sizeof(struct mlb_server_rec),
		.dp_epoch = dp->dp_epoch,
		.seq = ++v->frame_seq,
		.mono_ns = dp->now_us * 1000,
		.real_ns = dp->real_ns,
		.birth = v->birth,
		.vip_id = v->id,
		.generation = v->generation,
		.vip = v->conf.ep,
		.mode = (uint8_t)v->mode,
		.load = v->conf.load,
		.owner = v->conf.owner,
		.ladder = (uint8_t)v->ladder,
		.one_way = v->conf.one_way,
		.applied_agent_epoch = v->agent_epoch,
		.applied_seq = v->seq,
		.applied_frame_seq = v->answered_seq,
		.term = v->term,
		.kappa = dp_kappa(v),
		.load_balancers = v->load_balancers,
		.load_balancer = v->load_balancer,
		.can_close = dp->hooks.server_close != NULL,
		.recount_diff = v->recount_diff,
		.local_edits_refused = v->local_edits_refused,
		.datagrams_lost = v->datagrams_lost,
	};
	memcpy(h->name, v->conf.name, sizeof(h->name));
	memcpy(h->refused, v->refused, sizeof(h->refused));
	h->refused[MLB_REFUSE_VIP] += dp->refused_vip; /* belongs to no VIP: shown in all */
	mlb_frame_sum(h, v->w, dp->nworkers);
}

/* VIPs and servers summed in a poll, about half a millisecond; or one VIP where it alone has more. */
#define SUM_SLICE 512u

static struct mlb_frame_hdr *frames_of(const uint8_t *buf)
{
	return (struct mlb_frame_hdr *)((struct mlb_out_hdr *)(uintptr_t)buf + 1);
}

static void put(struct mlb_dp *dp, const void *from, uint64_t len)
{
	const struct dp_draft *d = &dp->draft;
	if (dp->region.hdr && !d->lost)
		mlb_region_put(&dp->region, MLB_BLK_OUT, &d->msg, (uint64_t)((const uint8_t *)from - d->buf), from, len);
}

static void draft_begin(struct mlb_dp *dp)
{
	struct dp_draft *d = &dp->draft;
	*d = (struct dp_draft){ .on = true, .vip = 1, .births = dp->births, .buf = d->buf };
	*(struct mlb_out_hdr *)d->buf = (struct mlb_out_hdr){ 0 };
	DP_EACH_VIP(dp, v)
		d->room++;
	if (dp->region.hdr)
		mlb_region_begin(&dp->region, MLB_BLK_OUT, &d->msg);
}

/* False: there is no room for its servers, since others moved between VIPs that were summed and those that were not yet. */
static bool sum_vip(struct mlb_dp *dp, struct dp_vip *v)
{
	struct dp_draft *d = &dp->draft;
	struct mlb_out_hdr *out = (struct mlb_out_hdr *)d->buf;
	struct mlb_frame_hdr *frame = frames_of(d->buf) + out->frames;
	struct mlb_server_rec *rec = (struct mlb_server_rec *)(frames_of(d->buf) + d->room) + out->records;
	uint32_t count = 0;
	DP_EACH_SERVER(v, s)
		count++;
	if (count > dp_limits(dp)->servers - out->records)
		return false;
	uint32_t n = 0;
	DP_EACH_SERVER(v, s)
		dp_sum_server(dp, v, s->pub.slot, &rec[n++]);
	frame_header(dp, v, frame);
	frame->first = out->records;
	frame->count = count;
	put(dp, rec, count * sizeof(*rec));
	out->records += count;
	out->frames++;
	return true;
}

/* True when every VIP was summed. */
static bool draft_slice(struct mlb_dp *dp)
{
	struct dp_draft *d = &dp->draft;
	uint32_t done = 0;
	for (uint32_t top = dp_top(dp); d->vip <= top; d->vip++) {
		struct dp_vip *v = dp_vip_of(dp, d->vip);
		if (!v || v->birth > d->births)
			continue;
		uint32_t work = 1 + v->members + v->leaving;
		if (done && done + work > SUM_SLICE)
			return false;
		done += work;
		if (!sum_vip(dp, v)) {
			draft_begin(dp);
			return false;
		}
	}
	return true;
}

/* The message is whole: it takes the place of the one before. */
static void draft_end(struct mlb_dp *dp)
{
	struct dp_draft *d = &dp->draft;
	struct mlb_out_hdr *out = (struct mlb_out_hdr *)d->buf;
	struct mlb_server_rec *rec = (struct mlb_server_rec *)(frames_of(d->buf) + out->frames);
	uint64_t len = (uint64_t)((uint8_t *)(rec + out->records) - d->buf);
	if (out->frames < d->room) { /* VIPs have gone since it was begun */
		memmove(rec, frames_of(d->buf) + d->room, out->records * sizeof(*rec));
		put(dp, rec, out->records * sizeof(*rec));
	}
	out->published_ns = dp_clock_ns(dp);
	put(dp, out, (uint64_t)((uint8_t *)rec - d->buf));
	if (dp->region.hdr && d->lost)
		mlb_region_write(&dp->region, MLB_BLK_OUT, d->buf, len);
	else if (dp->region.hdr)
		mlb_region_end(&dp->region, MLB_BLK_OUT, &d->msg, len);
	if (dp->region.hdr)
		mlb_futex_wake(&dp->region.hdr->out_futex);
	uint8_t *old = dp->out_buf;
	dp->out_buf = d->buf;
	d->buf = old;
	d->on = false;
}

/* A frame is closed by turning the workers to the other buffer of their reservoirs. */
bool dp_frame_poll(struct mlb_dp *dp)
{
	if (!dp->merging && !dp->draft.on) {
		if (dp->now_us < dp->next_frame_us)
			return true;
		dp->merging = true;
		dp->merge_vip = 1;
		dp->merge_slot = 0;
		dp->merge_frame_us = dp->now_us - dp->frame_at_us;
		dp->frame_at_us = dp->now_us;
		dp->epoch++;
		for (uint32_t i = 0; i < dp->nworkers; i++)
			MLB_ST(dp->worker[i].w.frame_epoch, dp->epoch);
	}
	if (dp->merging) {
		if (!dp_merge_slice(dp))
			return false;
		dp->merging = false;
		draft_begin(dp);
	}
	if (!draft_slice(dp))
		return false;
	draft_end(dp);
	dp_guard_begin(dp);
	/* Next frame at a multiple of the period; after a stall, restart the period now. */
	dp->next_frame_us += dp->frame_us;
	if (dp->next_frame_us <= dp->now_us)
		dp->next_frame_us = dp->now_us + dp->frame_us;
	return true;
}

int mlb_dp_frame_at(const struct mlb_dp *dp, uint32_t vip_id, const struct mlb_frame_hdr **h, const struct mlb_server_rec **r)
{
	const struct mlb_out_hdr *out = (const struct mlb_out_hdr *)dp->out_buf;
	const struct mlb_frame_hdr *frame = frames_of(dp->out_buf);
	uint32_t i = 0, end = out->frames;
	while (i < end) { /* they are in order of ids */
		uint32_t k = i + (end - i) / 2;
		if (frame[k].vip_id < vip_id)
			i = k + 1;
		else
			end = k;
	}
	if (!dp_vip_of(dp, vip_id) || i == out->frames || frame[i].vip_id != vip_id)
		return -ENOENT;
	*h = &frame[i];
	*r = (const struct mlb_server_rec *)(frame + out->frames) + frame[i].first;
	return (int)frame[i].count;
}

int mlb_dp_frame(const struct mlb_dp *dp, uint32_t vip_id, struct mlb_frame_hdr *h, struct mlb_server_rec *r, uint32_t cap)
{
	const struct mlb_frame_hdr *frame;
	const struct mlb_server_rec *rec;
	int n = mlb_dp_frame_at(dp, vip_id, &frame, &rec);
	if (n < 0)
		return n;
	n = (uint32_t)n < cap ? n : (int)cap;
	*h = *frame;
	memcpy(r, rec, (size_t)n * sizeof(*r));
	return n;
}

void dp_recount_poll(struct mlb_dp *dp)
{
	if (!dp->hooks.recount || dp->now_us < dp->next_recount_us)
		return;
	dp->next_recount_us = dp->now_us + DP_RECOUNT_US;
	DP_EACH_VIP(dp, v) {
		uint32_t diff[MLB_MAX_SERVERS_PER_VIP] = { 0 };
		dp->hooks.recount(dp->hooks.arg, v->id, diff, v->conf.capacity);
		v->recount_diff = 0;
		for (uint32_t s = 0; s < v->conf.capacity; s++)
			v->recount_diff += diff[s];
	}
}

void dp_effect_poll(struct mlb_dp *dp)
{
	DP_EACH_VIP(dp, v) {
		if (v->effect_epoch == 0 || !dp_grace_over(&dp->grace, v->effect_epoch))
			continue;
		/* When the last worker passed, not when it was seen. Those that are idle hold nothing. */
		uint64_t passed = dp_grace_passed_us(&dp->grace) * 1000;
		v->effect.all_ns = passed > v->effect.swap_ns ? passed : v->effect.swap_ns;
		v->effect_epoch = 0;
		dp->effect_dirty = true;
	}
	if (!dp->effect_dirty || !dp->region.hdr)
		return;
	dp->effect_dirty = false;
	struct mlb_effect_hdr *h = (struct mlb_effect_hdr *)dp->effect_buf;
	struct mlb_effect *e = (struct mlb_effect *)(h + 1);
	*h = (struct mlb_effect_hdr){ .dp_epoch = dp->dp_epoch };
	DP_EACH_VIP(dp, v) {
		v->effect.birth = v->birth;
		v->effect.vip_id = v->id;
		v->effect.pool_revision = v->pool_revision;
		v->effect.pool_refused = v->pool_refused;
		e[h->vips++] = v->effect;
	}
	mlb_region_write(&dp->region, MLB_BLK_EFFECT, h, sizeof(*h) + h->vips * sizeof(*e));
	mlb_futex_wake(&dp->region.hdr->out_futex);
}
