/* SPDX-License-Identifier: Apache-2.0 */
/* The list of servers that the load balancers have, and the oracle's table of it. */
#include "run.h"
#include <string.h>

static void renew_members(struct sim_run *r)
{
	r->members = 0;
	for (uint32_t s = 0; s < r->slots; s++)
		if (r->listed[s])
			r->member[r->members++] = s;
	for (uint32_t k = 0; k < r->members; k++) {
		r->scratch.cfg[k] = (float)r->w->weight[sim_server_of(r, r->member[k])];
		r->scratch.factor[k] = r->factor[r->member[k]];
	}
	r->generation++;
}

int sim_members_init(struct sim_run *r)
{
	uint32_t n = r->sc->n;

	r->member = calloc(r->slots, sizeof(*r->member));
	r->listed = calloc(r->slots, sizeof(*r->listed));
	r->factor = calloc(r->slots, sizeof(*r->factor));
	r->joined_s = calloc(r->slots, sizeof(*r->joined_s));
	r->slot_of = calloc(n, sizeof(*r->slot_of));
	r->fault = calloc(n, sizeof(*r->fault));
	if (!r->member || !r->listed || !r->factor || !r->joined_s || !r->slot_of || !r->fault)
		return -ENOMEM;
	for (uint32_t j = 0; j < n; j++) {
		r->slot_of[j] = j;
		r->listed[j] = r->sc->server[j].join_s <= 0;
		r->factor[j] = r->listed[j];
	}
	renew_members(r);
	return 0;
}

void sim_members_free(struct sim_run *r)
{
	free(r->member);
	free(r->listed);
	free(r->factor);
	free(r->joined_s);
	free(r->slot_of);
	free(r->fault);
}

/* By server: those in the list that are given new flows; all in the list where none is. */
int sim_oracle_renew(struct sim_run *r)
{
	float *share = r->scratch.by_slot;
	struct mlb_table *t;
	uint32_t n = 0;
	bool any = false;

	if (r->st->chooser != SIM_CHOOSE_ORACLE)
		return 0;
	for (uint32_t k = 0; k < r->members; k++)
		any |= r->factor[r->member[k]] > 0;
	memset(share, 0, r->slots * sizeof(*share));
	for (uint32_t k = 0; k < r->members; k++) {
		uint32_t j = sim_server_of(r, r->member[k]);
		if (any && r->factor[r->member[k]] <= 0)
			continue;
		share[j] = (float)sim_useful_capacity(r, j);
		n = j >= n ? j + 1 : n;
	}
	int err = mlb_table_new(&t, n, share, NULL, 1, MLB_MODE_SED, 1, NULL, NULL);
	if (err)
		return err;
	mlb_table_free(r->oracle);
	r->oracle = t;
	return 0;
}

/* A server enters the list: its measures begin anew. */
static void enter(struct sim_run *r, uint32_t slot)
{
	uint32_t j = sim_server_of(r, slot);
	struct sim_server *s = &r->server[j];

	sim_server_advance(s, r->now);
	r->jobs_at[j] = s->jobs_s;
	r->capacity_at[j] = s->capacity_s;
	r->slot_of[j] = slot;
	r->joined_s[slot] = r->now;
}

/* Turn i and all others of its moment. */
int sim_members_turn(struct sim_run *r, uint32_t i)
{
	int err;

	for (; i < r->w->turns && r->w->turn[i].at_s <= r->now; i++) {
		const struct sim_turn *t = &r->w->turn[i];
		if (t->listed && !r->listed[t->slot])
			enter(r, t->slot);
		r->listed[t->slot] = t->listed;
		r->factor[t->slot] = t->factor;
	}
	renew_members(r);
	err = sim_oracle_renew(r);
	for (uint32_t k = 0; k < r->lanes && !err; k++)
		err = sim_lane_turn(r, &r->lane[k]);
	if (!err && i < r->w->turns)
		err = sim_heap_push(&r->control, r->w->turn[i].at_s, EV_TURN, i);
	return err;
}
