/* SPDX-License-Identifier: Apache-2.0 */
/* From a VIP's servers to the table that workers choose from, and the swap. */
#include "dp_table.h"

#include <string.h>

float dp_kappa(const struct dp_vip *v)
{
	if (v->kappa > 0)
		return v->kappa;
	return v->conf.kappa > 0 ? v->conf.kappa : 1.0f / (float)v->load_balancers;
}

void dp_use_static(struct dp_vip *v)
{
	DP_EACH_SERVER(v, s) {
		s->share = dp_is_member(s) ? s->pub.weight_static * s->factor : 0;
		s->bias = 0;
	}
	v->kappa = 0;
	v->exact = false;
	v->ladder = MLB_LADDER_STATIC_DP;
}

/* Fallbacks when drains leave no server with a share, the first that leaves one: neither masked nor draining, not draining, all.
 */
static bool in_reach(const struct dp_server *s, int fallback)
{
	switch (fallback) {
	case 0: return dp_takes_flows(s) && s->factor > 0;
	case 1: return dp_takes_flows(s);
	default: return dp_is_member(s);
	}
}

/* weight[n] by slot; some server is always eligible. */
static void fill_weights(const struct dp_vip *v, uint32_t n, float *weight)
{
	float sum = 0;
	for (uint32_t i = 0; i < n; i++) {
		const struct dp_server *s = &v->srv[i];
		weight[i] = dp_takes_flows(s) ? s->share : 0;
		sum += weight[i];
	}
	for (int fallback = 0; sum <= 0 && fallback < 3; fallback++) {
		for (uint32_t i = 0; i < n; i++) {
			weight[i] = in_reach(&v->srv[i], fallback) ? v->srv[i].pub.weight_static : 0;
			sum += weight[i];
		}
	}
}

static void table_release(void *p)
{
	mlb_table_free(p);
}

/* weight: NULL = all members; else those of weight > 0, in these parts where the vector is exact. */
static int ring_build(const struct dp_vip *v, const float *weight, struct mlb_ring **out)
{
	uint64_t key[MLB_MAX_SERVERS_PER_VIP];
	uint32_t slot[MLB_MAX_SERVERS_PER_VIP], n = 0;
	float stat[MLB_MAX_SERVERS_PER_VIP];
	uint32_t used = dp_used(v);
	for (uint32_t i = 0; i < used; i++) {
		const struct dp_server *s = &v->srv[i];
		if (weight ? weight[i] <= 0 : !dp_is_member(s))
			continue;
		key[n] = mlb_endpoint_key(&s->pub.ep);
		slot[n] = i;
		stat[n++] = weight && v->exact ? weight[i] : s->pub.weight_static;
	}
	*out = n ? mlb_ring_new(n, key, slot, stat, weight && v->exact) : NULL;
	return n && !*out ? -ENOMEM : 0;
}

/* For packets of unknown flows: all members, whether they take new flows or not. */
static int miss_ring_refresh(struct dp_vip *v, bool wanted)
{
	struct mlb_ring *ring = NULL;
	if (wanted && v->miss_generation == v->generation)
		return 0;
	int rc = wanted ? ring_build(v, NULL, &ring) : 0;
	if (rc != 0)
		return rc;
	mlb_ring_unref(v->miss_ring);
	v->miss_ring = ring;
	v->miss_generation = wanted ? v->generation : 0;
	return 0;
}

/* FNV-1a (Fowler, Noll, Vo) of the weights' bits; never 0. */
static uint64_t digest(const float *weight, uint32_t n)
{
	uint64_t h = 0xcbf29ce484222325u;
	for (uint32_t i = 0; i < n; i++) {
		uint32_t bits;
		memcpy(&bits, &weight[i], sizeof(bits));
		h = (h ^ bits) * 0x100000001b3u;
	}
	return h | 1;
}

/* For new flows in mode hash: the servers that the other modes would give flows to, by static weight, or by the weights of an
 * operator's order. Built (about a millisecond) when that set, the list or the order changed, not when a policy's weights or
 * factors between 0 and 1 move. */
static int flow_ring_refresh(struct dp_vip *v, const float *weight, bool wanted)
{
	uint64_t open[MLB_MAX_SERVERS_PER_VIP / 64] = { 0 };
	uint32_t used = dp_used(v), n = 0;
	struct mlb_ring *ring = NULL;
	for (uint32_t i = 0; i < used; i++) {
		open[i / 64] |= (uint64_t)(weight[i] > 0) << i % 64;
		n += weight[i] > 0;
	}
	uint64_t weights = v->exact ? digest(weight, used) : 0;
	if (wanted && v->ring_generation == v->generation && v->ring_weights == weights &&
	    memcmp(open, v->ring_slots, sizeof(open)) == 0)
		return 0;
	int rc = 0;
	if (wanted && !v->exact && n == v->members && v->miss_ring && v->miss_generation == v->generation)
		ring = mlb_ring_ref(v->miss_ring);
	else if (wanted)
		rc = ring_build(v, weight, &ring);
	if (rc != 0)
		return rc;
	mlb_ring_unref(v->ring);
	v->ring = ring;
	v->ring_generation = wanted ? v->generation : 0;
	v->ring_weights = weights;
	memcpy(v->ring_slots, open, sizeof(open));
	return 0;
}

/* What an outside load balancer is told: shares, whatever the scale of the weights. */
static void tell_weights(const struct mlb_dp *dp, const struct dp_vip *v, const float *weight, uint32_t n)
{
	float share[MLB_MAX_SERVERS_PER_VIP], sum = 0;
	for (uint32_t i = 0; i < n; i++)
		sum += weight[i];
	for (uint32_t i = 0; i < n; i++)
		share[i] = sum > 0 ? weight[i] / sum : 0;
	dp->hooks.weights(dp->hooks.arg, v->id, share, n);
}

/* How workers choose. An operator's order is a share of the new flows: it is drawn, for shortest expected delay and two choices
 * give idle servers more than their weight. */
static enum mlb_mode choice(const struct dp_vip *v)
{
	if (v->mode == MLB_MODE_HASH)
		return v->ring ? MLB_MODE_HASH : MLB_MODE_ALIAS; /* without servers any mode chooses nobody */
	return v->exact ? MLB_MODE_ALIAS : (enum mlb_mode)v->mode;
}

int dp_table_swap(struct mlb_dp *dp, struct dp_vip *v)
{
	float weight[MLB_MAX_SERVERS_PER_VIP], bias[MLB_MAX_SERVERS_PER_VIP];
	struct mlb_table *t;
	uint32_t n = dp_used(v);
	int rc = dp_grace_reserve(&dp->grace, 1);
	fill_weights(v, n, weight);
	if (rc == 0)
		rc = miss_ring_refresh(v, !dp->conf.no_miss_ring);
	if (rc == 0)
		rc = flow_ring_refresh(v, weight, v->mode == MLB_MODE_HASH);
	if (rc != 0)
		return rc;
	for (uint32_t i = 0; i < n; i++)
		bias[i] = v->srv[i].bias;
	rc = mlb_table_new(&t, n, weight, bias, dp_kappa(v), choice(v), v->generation, v->ring, v->miss_ring);
	if (rc != 0)
		return rc;
	if (v->table)
		dp_retire(&dp->grace, table_release, (void *)v->table);
	v->table = t;
	for (uint32_t i = 0; i < dp->nworkers; i++)
		MLB_ST_REL(v->w[i]->table, t);
	v->table_due = false;
	v->gone_epoch = dp_grace_next(&dp->grace);
	for (uint32_t i = 0; i < n; i++)
		if ((v->srv[i].pub.flags & MLB_SRV_LEAVING) && v->srv[i].gone_epoch == 0)
			v->srv[i].gone_epoch = v->gone_epoch;
	if (dp->hooks.weights)
		tell_weights(dp, v, weight, n);
	return 0;
}
