/* SPDX-License-Identifier: Apache-2.0 */
/* The data plane's guard against servers that fail fast, as the core has it: it looks at a lane's frames and holds back what its
 * choices may give. */
#include "run.h"

int sim_guard_new(struct sim_run *r, struct sim_lane *l)
{
	l->guard = calloc(r->slots, sizeof(*l->guard));
	return l->guard ? 0 : -ENOMEM;
}

void sim_guard_look(struct sim_run *r, struct sim_lane *l)
{
	struct mlb_wvip *v = &l->worker->vip;
	uint64_t now = sim_clock_us(r->now);

	mlb_guard_step(l->guard, r->scratch.rec, r->members, now, now - sim_clock_us(l->guard_s));
	mlb_guard_tell(l->guard, r->scratch.rec, r->members, &v, 1);
	l->guard_s = r->now;
}

uint32_t sim_guard_choose(struct sim_lane *l, uint64_t flow_hash)
{
	struct mlb_wvip *v = &l->worker->vip;
	float *own = v->q;

	/* The lane's loads hold what the others told, too. */
	v->q = l->q;
	MLB_ST(v->light, l->light);
	uint32_t slot = mlb_guard_choose(l->table, v, &l->rng, flow_hash);
	v->q = own;
	return slot;
}
