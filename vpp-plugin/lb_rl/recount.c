/* SPDX-License-Identifier: Apache-2.0 */
#include <lb_rl/flows.h>
#include <lb_rl/recount.h>

#define LB_RL_COMPARED 256u /* slots a call: each is a cache line that is rarely at hand */

void lb_rl_recount_room(u32 vip_id, u32 capacity)
{
	for (u32 i = 0; i < vec_len(lb_rl_main.thread); i++) {
		lb_rl_recount_t *r = &lb_rl_main.thread[i].recount[vip_id];
		vec_validate(r->off, capacity - 1);
		vec_validate(r->found, capacity - 1);
		vec_zero(r->found);
	}
}

void lb_rl_recount_free(lb_rl_thread_t *t)
{
	for (u32 id = 0; id <= MLB_MAX_VIPS; id++) {
		vec_free(t->recount[id].found);
		vec_free(t->recount[id].off);
	}
}

void lb_rl_recount_hook(void *arg, u32 vip_id, u32 *diff, u32 n)
{
	for (u32 i = 0; i < vec_len(lb_rl_main.thread); i++) {
		const lb_rl_recount_t *r = &lb_rl_main.thread[i].recount[vip_id];
		for (u32 s = 0; s < clib_min(n, (u32)vec_len(r->off)); s++)
			diff[s] += atomic_load_explicit(&r->off[s], memory_order_relaxed);
	}
}

void lb_rl_recount_flow(lb_rl_thread_t *t, const struct mlb_flow *f)
{
	if (lb_rl_flow_valid(&lb_rl_main.vip[f->key.vip], f))
		t->recount[f->key.vip].found[f->slot]++;
}

static void lb_rl_recount_slot(lb_rl_thread_t *t, lb_rl_recount_t *r, const struct mlb_wvip *wv, u32 s)
{
	u32 counted = mlb_wvip_flows(wv, s), off = counted > r->found[s] ? counted - r->found[s] : r->found[s] - counted;

	if (off != atomic_load_explicit(&r->off[s], memory_order_relaxed))
		atomic_store_explicit(&r->off[s], off, memory_order_relaxed);
	t->compare_sum += r->found[s];
}

/* The VIP at which the comparison stands, from its slot on. False: more than `left` slots are left. */
static bool lb_rl_recount_vip(lb_rl_thread_t *t, u32 *left)
{
	lb_rl_vip_t *v = &lb_rl_main.vip[t->compare_vip];
	lb_rl_recount_t *r = &t->recount[t->compare_vip];
	const struct mlb_wvip *wv = v->used == LB_RL_VIP_ACTIVE ? lb_rl_wvip(t, t->compare_vip) : 0;
	u32 n = wv ? v->slots : 0;

	for (; t->compare_slot < n; t->compare_slot++, --*left) {
		if (!*left)
			return false;
		lb_rl_recount_slot(t, r, wv, t->compare_slot);
	}
	t->compare_slot = 0;
	return true;
}

bool lb_rl_recount_compare(lb_rl_thread_t *t)
{
	u32 left = LB_RL_COMPARED;

	/* All entries are passed now, so what changes meanwhile keeps `found` right. */
	t->recounted = ~0;
	for (; t->compare_vip <= MLB_MAX_VIPS; t->compare_vip++)
		if (!lb_rl_recount_vip(t, &left))
			return false;
	t->found = t->compare_sum;
	return true;
}

void lb_rl_recount_begin(lb_rl_thread_t *t)
{
	for (u32 id = 1; id <= MLB_MAX_VIPS; id++)
		if (t->recount[id].found)
			clib_memset(t->recount[id].found, 0, lb_rl_main.vip[id].slots * sizeof(u32));
	t->recounted = t->compare_slot = t->compare_sum = 0;
	t->compare_vip = 1;
}
