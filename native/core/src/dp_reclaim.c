/* SPDX-License-Identifier: Apache-2.0 */
/* What a worker may still look at is freed, and a slot given away again, only when every worker has passed the top of its loop
 * since (or blocks in a wait, where it looks at nothing). */
#include "dp_priv.h"

uint64_t dp_tag_next(struct mlb_dp *dp)
{
	return atomic_fetch_add_explicit(&dp->tag, 1, memory_order_acq_rel) + 1;
}

bool dp_all_passed(struct mlb_dp *dp, uint64_t tag)
{
	for (uint32_t i = 0; i < dp->nworkers; i++) {
		struct mlb_worker *w = &dp->worker[i].w;
		if (!dp_after(tag, atomic_load_explicit(&w->passed, memory_order_acquire)))
			continue;
		/* A read-modify-write on both sides: either this sees that the worker is awake, or the worker, waking later, sees
		 * everything stored before this line. */
		if (atomic_fetch_add_explicit(&w->idle, 0, memory_order_acq_rel) == 0)
			return false;
	}
	return true;
}

int dp_retire_reserve(struct mlb_dp *dp, uint32_t n)
{
	if (dp->retired_n + n <= dp->retired_cap)
		return 0;
	uint32_t cap = 2 * (dp->retired_n + n);
	struct dp_retired *p = realloc(dp->retired, cap * sizeof(*p));
	if (!p)
		return -ENOMEM;
	dp->retired = p;
	dp->retired_cap = cap;
	return 0;
}

void dp_retire(struct mlb_dp *dp, void (*free_fn)(void *), void *ptr)
{
	uint64_t tag = atomic_load_explicit(&dp->tag, memory_order_relaxed) + 1;
	dp->retired[dp->retired_n++] = (struct dp_retired){ .tag = tag, .free = free_fn, .ptr = ptr };
}

static void free_retired(struct mlb_dp *dp)
{
	uint32_t n = 0;
	while (n < dp->retired_n && dp_all_passed(dp, dp->retired[n].tag)) {
		dp->retired[n].free(dp->retired[n].ptr);
		n++;
	}
	memmove(dp->retired, dp->retired + n, (dp->retired_n - n) * sizeof(*dp->retired));
	dp->retired_n -= n;
}

static bool has_flows(const struct mlb_dp *dp, const struct dp_vip *v, uint32_t slot)
{
	for (uint32_t i = 0; i < dp->nworkers; i++) {
		struct mlb_wslot *w = mlb_wslot_at(v->w[i]->slots, slot);
		if (MLB_LD(w->flows) || MLB_LD(w->half_open))
			return true;
	}
	return false;
}

/* No worker reads or writes the slot now: the next server starts from zero. */
static void empty_slot(struct mlb_dp *dp, struct dp_vip *v, uint32_t slot)
{
	for (uint32_t i = 0; i < dp->nworkers; i++) {
		struct mlb_wslot *w = mlb_wslot_at(v->w[i]->slots, slot);
		memset(w, 0, sizeof(*w));
	}
	struct dp_server *s = &v->srv[slot];
	atomic_store_explicit(&s->eject.ejections, 0, memory_order_relaxed);
	atomic_store_explicit(&s->peer, 0, memory_order_relaxed);
	atomic_store_explicit(&s->peer_flows, 0, memory_order_relaxed);
	s->pub.flags = 0;
	v->leaving--;
	dp->servers--;
}

static void free_slots(struct mlb_dp *dp, struct dp_vip *v)
{
	uint32_t used = atomic_load_explicit(&v->used, memory_order_relaxed);
	for (uint32_t i = 0; i < used; i++) {
		struct dp_server *s = &v->srv[i];
		if (!(s->pub.flags & MLB_SRV_LEAVING) || s->gone_tag == 0 || !dp_all_passed(dp, s->gone_tag))
			continue;
		if (has_flows(dp, v, i)) {
			s->flows_gone = false;
			continue;
		}
		/* The worker that ended the last flow may still write the slot's counters and read its server; a flow that
		 * turns from half-open to open is in neither count for a moment. Both are over one grace period later. */
		if (!s->flows_gone) {
			s->flows_gone = true;
			s->gone_tag = dp_tag_next(dp);
			if (!dp_all_passed(dp, s->gone_tag))
				continue;
			if (has_flows(dp, v, i)) {
				s->flows_gone = false;
				continue;
			}
		}
		if (dp->hooks.server_gone)
			dp->hooks.server_gone(dp->hooks.arg, v->id, &s->pub);
		empty_slot(dp, v, i);
		if (dp->pool_again) {
			dp->pool_again = false;
			dp->pool_seq = 0; /* the list that found no room may find it now */
		}
	}
}

/* True while somebody waits for a worker to pass. */
bool dp_reclaim_poll(struct mlb_dp *dp)
{
	free_retired(dp);
	for (uint32_t id = 1; id <= MLB_MAX_VIPS; id++) {
		struct dp_vip *v = dp_vip_of(dp, id);
		if (!v)
			continue;
		if (v->effect_tag && dp_all_passed(dp, v->effect_tag)) {
			v->effect.all_ns = dp_clock_ns(dp);
			v->effect_tag = 0;
			dp->effect_dirty = true;
		}
		if (v->leaving)
			free_slots(dp, v);
		if (v->deleting && v->members + v->leaving == 0 && dp_all_passed(dp, v->gone_tag))
			dp_vip_gone(dp, v);
	}
	return dp->retired_n != 0;
}

void dp_effect_publish(struct mlb_dp *dp)
{
	struct {
		struct mlb_effect_hdr h;
		struct mlb_effect e[MLB_MAX_VIPS];
	} out;
	if (!dp->effect_dirty || !dp->region.hdr)
		return;
	dp->effect_dirty = false;
	out.h = (struct mlb_effect_hdr){ .dp_epoch = dp->dp_epoch };
	for (uint32_t id = 1; id <= MLB_MAX_VIPS; id++) {
		struct dp_vip *v = dp_vip_of(dp, id);
		if (!v)
			continue;
		v->effect.birth = v->birth;
		v->effect.vip_id = id;
		v->effect.pool_revision = v->pool_revision;
		v->effect.pool_refused = v->pool_refused;
		out.e[out.h.vips++] = v->effect;
	}
	mlb_msg_write(dp->region.blk[MLB_BLK_EFFECT].msg, dp->region.blk[MLB_BLK_EFFECT].base,
		      dp->region.blk[MLB_BLK_EFFECT].buf_size, &out, sizeof(out.h) + out.h.vips * sizeof(out.e[0]));
	mlb_futex_wake(&dp->region.hdr->out_futex);
}
