/* SPDX-License-Identifier: Apache-2.0 */
/* What the agent publishes: vectors through the envelope, and wanted pools. */
#include "agent_priv.h"
#include "marllb/agent.h"

enum mlb_refuse mlb_agent_compose(const struct mlb_agent_vector *x, float *bare, float *share)
{
	struct mlb_envelope_conf c = {
		.trust = x->trust, .step_ratio = x->step_ratio, .dt_s = x->dt_s, .ejected_cap = x->ejected_cap, .exact = x->exact
	};
	return mlb_envelope(&c, x->n, x->raw, x->stat, x->factor, x->prev, x->ejected, bare, share);
}

#define LONG 65536u /* bytes: written in some 10 us */

bool mlb_agent_due(const struct mlb_agent *a)
{
	return a->due;
}

/* The message holds every VIP's last vector: the data plane reads the newest message only. */
int mlb_agent_flush(struct mlb_agent *a)
{
	if (!a->due)
		return 0;
	a->due = false;
	struct mlb_in_hdr *h = (struct mlb_in_hdr *)a->in;
	struct mlb_in_vip *vip = (struct mlb_in_vip *)(h + 1);
	*h = (struct mlb_in_hdr){ .agent_epoch = a->agent_epoch };
	for (uint32_t i = 0; i < a->limits.vips; i++)
		if (a->vip[i].in.count)
			vip[h->vips++] = a->vip[i].in;
	struct mlb_in_entry *entry = (struct mlb_in_entry *)(vip + h->vips);
	for (uint32_t k = 0; k < h->vips; k++) {
		vip[k].first = h->entries;
		memcpy(entry + h->entries, a->vip[vip[k].vip_id - 1].entry, vip[k].count * sizeof(*entry));
		h->entries += vip[k].count;
	}
	uint64_t len = sizeof(*h) + h->vips * sizeof(*vip) + h->entries * sizeof(*entry);
	int rc = mlb_region_write(&a->region, MLB_BLK_IN, a->in, len);
	mlb_futex_wake(&a->region.hdr->in_futex);
	return rc;
}

/* Vectors of VIPs that the data plane no longer has make room. */
static void forget_absent(struct mlb_agent *a, uint32_t keep)
{
	for (uint32_t i = 0; i < a->limits.vips; i++)
		if (!a->vip[i].present && i != keep)
			a->vip[i].in.count = 0;
}

/* Entries of the message with n of this VIP. */
static uint32_t entries_with(const struct mlb_agent *a, uint32_t vip, uint32_t n)
{
	for (uint32_t i = 0; i < a->limits.vips; i++)
		n += i != vip ? a->vip[i].in.count : 0;
	return n;
}

int mlb_agent_publish(struct mlb_agent *a, const struct mlb_agent_vector *x, float *bare, float *share, uint64_t *seq,
		      enum mlb_refuse *why)
{
	*why = x->vip_id < 1 || x->vip_id > a->limits.vips ? MLB_REFUSE_VIP : mlb_agent_compose(x, bare, share);
	if (*why != MLB_REFUSE_NONE)
		return -EINVAL;
	uint32_t slot = x->vip_id - 1;
	struct agent_vip *v = &a->vip[slot];
	forget_absent(a, slot);
	uint32_t entries = entries_with(a, slot, x->n);
	if (entries > a->limits.servers) {
		*why = MLB_REFUSE_LENGTH;
		return -EINVAL;
	}
	struct mlb_in_entry *e = realloc(v->entry, x->n * sizeof(*e));
	if (!e)
		return -ENOMEM;
	v->entry = e;
	for (uint32_t i = 0; i < x->n; i++) {
		float bias = x->bias ? x->bias[i] : 0;
		if (x->load)
			mlb_envelope_bias(x->trust, 1, &x->load[i], x->kappa, &bias);
		e[i] = (struct mlb_in_entry){
			.server_id = x->ids[i],
			.weight = share[i],
			.factor = x->factor ? x->factor[i] : 1,
			.bias = bias,
			.flags = x->flags ? x->flags[i] : 0,
		};
	}
	v->in = (struct mlb_in_vip){ .dp_epoch = x->dp_epoch,
				     .agent_epoch = a->agent_epoch,
				     .seq = ++a->seq,
				     .frame_seq = x->frame_seq,
				     .term = x->term,
				     .mono_ns = x->mono_ns,
				     .birth = x->birth,
				     .vip_id = x->vip_id,
				     .generation = x->generation,
				     .count = x->n,
				     .kappa = x->kappa,
				     .load_balancers = x->load_balancers,
				     .load_balancer = x->load_balancer,
				     .mode = (uint8_t)x->mode,
				     .exact = x->exact,
				     .newcomers_wait = x->newcomers_wait,
				     .ladder = (uint8_t)x->ladder,
				     .state = (uint8_t)x->state };
	*seq = a->seq;
	a->due = true;
	return entries * sizeof(*e) <= LONG ? mlb_agent_flush(a) : 0;
}

int mlb_agent_pools(struct mlb_agent *a, const struct mlb_agent_pool *pool, uint32_t n)
{
	struct mlb_pool_hdr *h = (struct mlb_pool_hdr *)a->in;
	struct mlb_pool_vip *vip = (struct mlb_pool_vip *)(h + 1);
	if (n > a->limits.vips)
		return -E2BIG;
	struct mlb_pool_entry *entry = (struct mlb_pool_entry *)(vip + n);
	*h = (struct mlb_pool_hdr){ .vips = n, .agent_epoch = a->agent_epoch };
	for (uint32_t i = 0; i < n; i++) {
		if (pool[i].count > MLB_MAX_SERVERS_PER_VIP || h->entries + pool[i].count > a->limits.servers)
			return -E2BIG;
		vip[i] = (struct mlb_pool_vip){ .birth = pool[i].birth,
						.vip_id = pool[i].vip_id,
						.owner = pool[i].managed ? MLB_OWNER_MANAGED : MLB_OWNER_LOCAL,
						.revision = pool[i].revision,
						.first = h->entries,
						.count = pool[i].count };
		for (uint32_t k = 0; k < pool[i].count; k++) {
			const struct mlb_agent_member *m = &pool[i].members[k];
			entry[h->entries++] = (struct mlb_pool_entry){
				.addr = m->addr, .port = m->port, .weight = m->weight, .flags = m->drain ? MLB_SRV_DRAINING : 0
			};
		}
	}
	uint64_t len = sizeof(*h) + n * sizeof(*vip) + h->entries * sizeof(*entry);
	int rc = mlb_region_write(&a->region, MLB_BLK_POOL, a->in, len);
	mlb_futex_wake(&a->region.hdr->in_futex);
	return rc;
}
