/* SPDX-License-Identifier: Apache-2.0 */
/* Weight vectors: the agent is not trusted. What is wrong is refused with its reason and counted, and the last good state stays.
 */
#include "dp_in.h"

#include <math.h>
#include <string.h>

#include "dp_lease.h"
#include "dp_state.h"
#include "dp_table.h"

#define MAX_BIAS 1e6f
#define MAX_KAPPA 1e6f

/* A vector in the order of the slots. */
struct vector {
	float weight[MLB_MAX_SERVERS_PER_VIP], factor[MLB_MAX_SERVERS_PER_VIP], bias[MLB_MAX_SERVERS_PER_VIP];
	uint32_t flags[MLB_MAX_SERVERS_PER_VIP]; /* MLB_IN_* */
	bool has[MLB_MAX_SERVERS_PER_VIP];
};

static struct dp_server *by_id(struct dp_vip *v, uint32_t id, uint32_t *hint)
{
	uint32_t used = dp_used(v);
	for (uint32_t k = 0, i = *hint; k < used; k++, i++) {
		i = i < used ? i : 0;
		if (v->srv[i].pub.flags && v->srv[i].pub.id == id) {
			*hint = i + 1; /* vectors come in the order of the frame, which is that of the slots */
			return &v->srv[i];
		}
	}
	return NULL;
}

static enum mlb_refuse check_entry(const struct mlb_in_entry *e)
{
	if (!isfinite(e->weight) || !isfinite(e->factor) || !isfinite(e->bias))
		return MLB_REFUSE_NOT_FINITE;
	if (e->weight < 0 || e->factor < 0)
		return MLB_REFUSE_NEGATIVE;
	if (e->weight > 1.001f || e->factor > 1 || fabsf(e->bias) > MAX_BIAS || (e->flags & ~(MLB_IN_CLOSE | MLB_IN_LAST_RESORT)))
		return MLB_REFUSE_OUT_OF_RANGE;
	return MLB_REFUSE_NONE;
}

/* Every member once; a server on its way out may be named, or one that has left since the frame (ids are never reused). */
static enum mlb_refuse read_entries(const struct mlb_dp *dp, struct dp_vip *v, const struct mlb_in_entry *e, uint32_t n,
				    struct vector *out)
{
	uint32_t hint = 0, members = 0;
	float sum = 0;
	memset(out->has, 0, sizeof(out->has));
	memset(out->flags, 0, sizeof(out->flags));
	for (uint32_t i = 0; i < n; i++) {
		enum mlb_refuse why = check_entry(&e[i]);
		if (why != MLB_REFUSE_NONE)
			return why;
		if (e[i].server_id == 0 || e[i].server_id >= dp->next_id)
			return MLB_REFUSE_SERVER;
		const struct dp_server *s = by_id(v, e[i].server_id, &hint);
		if (!s)
			continue;
		uint32_t slot = s->pub.slot;
		out->flags[slot] = e[i].flags;
		if (!dp_is_member(s))
			continue;
		if (out->has[slot])
			return MLB_REFUSE_SERVER;
		out->has[slot] = true;
		out->weight[slot] = e[i].weight;
		out->factor[slot] = e[i].factor;
		out->bias[slot] = e[i].bias;
		sum += e[i].weight;
		members++;
	}
	if (members != v->members)
		return MLB_REFUSE_LENGTH;
	return sum > 0 || members == 0 ? MLB_REFUSE_NONE : MLB_REFUSE_ALL_ZERO;
}

static enum mlb_refuse check_header(const struct mlb_dp *dp, const struct dp_vip *v, const struct mlb_in_vip *in)
{
	if (in->dp_epoch != dp->dp_epoch)
		return MLB_REFUSE_EPOCH;
	if (v->deleting || in->birth != v->birth)
		return MLB_REFUSE_VIP;
	if (!dp_after(in->agent_epoch, v->agent_epoch) && !(in->agent_epoch == v->agent_epoch && dp_after(in->seq, v->seq)))
		return MLB_REFUSE_STALE;
	if (in->generation != v->generation)
		return MLB_REFUSE_GENERATION;
	/* Nobody has more to name, and each name that is not found is looked for among all slots: main would stand still. */
	if (in->count > MLB_MAX_SERVERS_PER_VIP)
		return MLB_REFUSE_LENGTH;
	if (in->mode > MLB_MODE_P2C)
		return MLB_REFUSE_MODE;
	if (!isfinite(in->kappa))
		return MLB_REFUSE_NOT_FINITE;
	if (in->kappa < 0)
		return MLB_REFUSE_NEGATIVE;
	if (in->kappa > MAX_KAPPA || in->ladder > MLB_LADDER_STATIC || in->state > MLB_VIP_PANIC ||
	    in->load_balancers > 1000000 || in->exact > 1 || in->newcomers_wait > 1)
		return MLB_REFUSE_OUT_OF_RANGE;
	return MLB_REFUSE_NONE;
}

/* A vector that was composed without a directive (term 0: failover is away, and the agent was restarted) does not loosen the
 * masks of the directive in force: the lower factor stays, in the share too. */
static void keep_masks(const struct dp_server *s, float *share, float *factor)
{
	if (*factor <= s->factor)
		return;
	*share *= s->factor / *factor;
	*factor = s->factor;
}

static void take(struct dp_vip *v, const struct mlb_in_vip *in, struct vector *x)
{
	bool ordered = in->term != 0 || v->term == 0;
	DP_EACH_SERVER(v, s) {
		uint32_t i = s->pub.slot;
		if (!x->has[i])
			continue;
		if (!ordered)
			keep_masks(s, &x->weight[i], &x->factor[i]);
		s->share = x->weight[i];
		s->factor = x->factor[i];
		s->bias = x->bias[i];
		s->waits = false;
		bool last_resort = ordered ? x->flags[i] & MLB_IN_LAST_RESORT : MLB_LD(s->last_resort);
		MLB_ST(s->last_resort, last_resort && s->factor <= 0);
	}
	v->kappa = in->kappa;
	if (ordered && in->load_balancers)
		v->load_balancers = in->load_balancers;
	if (ordered)
		v->load_balancer = in->load_balancer <= v->load_balancers ? in->load_balancer : 0;
	/* An agent that was restarted has not heard its directive yet: under an older term the mode stays as it is. */
	if (in->mode != MLB_MODE_KEEP) {
		v->mode = in->mode;
		v->mode_term = in->term;
	} else if (v->mode != v->own_mode && dp_after(in->term, v->mode_term)) {
		v->mode = v->own_mode;
	}
	v->ladder = in->ladder;
	v->exact = in->exact;
	v->newcomers_wait = in->newcomers_wait;
	if (ordered)
		v->term = in->term;
	if (in->term != 0)
		dp_state_end(v);
	v->agent_epoch = in->agent_epoch;
	v->seq = in->seq;
	v->answered_seq = in->frame_seq;
}

/* After the new table is in force: no worker that hears of it chooses the server by the old one any more. */
static void close_flows(struct mlb_dp *dp, struct dp_vip *v, const struct vector *x)
{
	DP_EACH_SERVER(v, s) {
		bool closes = x->flags[s->pub.slot] & MLB_IN_CLOSE;
		bool begins = closes && !s->closing;
		s->closing = closes;
		if (begins && dp->hooks.server_close)
			s->closing = dp->hooks.server_close(dp->hooks.arg, v->id, &s->pub) == 0;
	}
}

static enum mlb_refuse refuse(struct mlb_dp *dp, struct dp_vip *v, enum mlb_refuse why)
{
	v->refused[why]++;
	v->effect.refused++;
	v->effect.last_refusal = why;
	dp->effect_dirty = true;
	return why;
}

enum mlb_refuse mlb_dp_apply(struct mlb_dp *dp, const struct mlb_in_vip *in, const struct mlb_in_entry *e)
{
	struct vector x;
	struct dp_vip *v = dp_vip_of(dp, in->vip_id);
	if (!v) {
		dp->refused_vip++;
		return MLB_REFUSE_VIP;
	}
	/* A message keeps the other VIPs' vectors, so each is met many times. */
	if (in->agent_epoch == v->seen_epoch && in->seq == v->seen_seq)
		return MLB_REFUSE_NONE;
	v->seen_epoch = in->agent_epoch;
	v->seen_seq = in->seq;

	enum mlb_refuse why = check_header(dp, v, in);
	if (why == MLB_REFUSE_NONE)
		why = read_entries(dp, v, e, in->count, &x);
	if (why != MLB_REFUSE_NONE)
		return refuse(dp, v, why);

	uint32_t old_mode = v->mode;
	take(v, in, &x);
	if (dp_table_swap(dp, v) !=
	    0) { /* no memory: the table in use stays, what it was built from is known again with the next vector */
		v->mode = old_mode;
		return MLB_REFUSE_NONE;
	}
	close_flows(dp, v, &x);
	dp_agent_seen(dp);
	v->effect.applied++;
	v->effect.generation = v->generation;
	v->effect.agent_epoch = in->agent_epoch;
	v->effect.seq = in->seq;
	v->effect.frame_seq = in->frame_seq;
	v->effect.swap_ns = dp_clock_ns(dp);
	v->effect.all_ns = 0;
	v->effect_epoch = dp_grace_epoch(&dp->grace);
	dp->effect_dirty = true;
	return MLB_REFUSE_NONE;
}

/* A message that contradicts itself is refused for every VIP that it names rightly. */
static void read_message(struct mlb_dp *dp, const uint8_t *buf, uint64_t len)
{
	struct mlb_in_hdr h;
	if (len < sizeof(h)) {
		dp->refused_vip++;
		return;
	}
	memcpy(&h, buf, sizeof(h));
	uint64_t need =
		sizeof(h) + (uint64_t)h.vips * sizeof(struct mlb_in_vip) + (uint64_t)h.entries * sizeof(struct mlb_in_entry);
	if (h.vips > dp_limits(dp)->vips || h.entries > dp_limits(dp)->servers || need > len) {
		dp->refused_vip++;
		return;
	}
	const struct mlb_in_vip *vip = (const struct mlb_in_vip *)(buf + sizeof(h));
	const struct mlb_in_entry *entry = (const struct mlb_in_entry *)(vip + h.vips);
	uint64_t agent = MLB_LD_ACQ(dp->region.hdr->agent_epoch);
	for (uint32_t i = 0; i < h.vips; i++) {
		struct dp_vip *v = dp_vip_of(dp, vip[i].vip_id);
		bool seen = v && vip[i].agent_epoch == v->seen_epoch && vip[i].seq == v->seen_seq;
		if (v && !seen && vip[i].agent_epoch != agent) {
			v->seen_epoch = vip[i].agent_epoch;
			v->seen_seq = vip[i].seq;
			refuse(dp, v, MLB_REFUSE_EPOCH);
		} else if (v && !seen && (vip[i].first > h.entries || vip[i].count > h.entries - vip[i].first)) {
			v->seen_epoch = vip[i].agent_epoch;
			v->seen_seq = vip[i].seq;
			refuse(dp, v, MLB_REFUSE_LENGTH);
		} else if (!seen) {
			mlb_dp_apply(dp, &vip[i], entry + vip[i].first);
		}
	}
}

void dp_in_poll(struct mlb_dp *dp)
{
	int64_t len = mlb_region_read(&dp->region, MLB_BLK_IN, dp->in_buf, dp->region.blk[MLB_BLK_IN].buf_size, &dp->in_seq);
	if (len > 0)
		read_message(dp, dp->in_buf, (uint64_t)len);
	else if (len < 0 && len != -EAGAIN)
		DP_EACH_VIP(dp, v)
			refuse(dp, v, MLB_REFUSE_TORN);
}
