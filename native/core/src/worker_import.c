/* SPDX-License-Identifier: Apache-2.0 */
#include "marllb/worker_import.h"

#include <errno.h>

/* Sum of the start times of `flows` flows, when `of` flows had the sum `sum`: those that ended are taken as of average age, for
 * nobody says which they were. In double: the sum times a count passes 64 bits. */
static uint64_t remaining_starts(uint64_t sum, uint64_t flows, uint64_t of)
{
	return of ? (uint64_t)((double)sum * ((double)flows / (double)of)) : 0;
}

int mlb_ev_import(struct mlb_wvip *v, uint32_t i, const struct mlb_counts *c, uint64_t now)
{
	struct mlb_wslot *s = mlb_wslot_at(v->slots, i);
	uint64_t before = MLB_LD(s->flows), of = before + c->new_flows, ended = 0;
	for (uint32_t k = 0; k < MLB_END_COUNT; k++)
		ended += c->ended[k];
	/* Refused and unanswered connects end flows that were never open: fewer may be gone than ended. */
	if (c->flows > of || of - c->flows > ended || c->waiting > c->flows)
		return -EINVAL;
	mlb_wslot_begin(s, now);
	MLB_ST_REL(s->start_sum_us, remaining_starts(MLB_LD(s->start_sum_us) + c->new_flows * now, c->flows, of));
	MLB_ST_REL(s->flows, c->flows);
	MLB_ST_REL(s->waiting, c->waiting);
	mlb_wslot_end(s);
	MLB_ADD(s->new_flows, c->new_flows);
	MLB_ADD(s->answers, c->answers);
	MLB_ADD(s->bytes_in, c->bytes_in);
	MLB_ADD(s->bytes_out, c->bytes_out);
	for (uint32_t k = 0; k < MLB_END_COUNT; k++)
		MLB_ADD(s->ended[k], c->ended[k]);
	if (c->ended[MLB_END_COMPLETED])
		MLB_ST(s->last_completion_us, now);
	mlb_wvip_update_q(v, i);
	return 0;
}
