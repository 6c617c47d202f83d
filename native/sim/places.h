/* SPDX-License-Identifier: Apache-2.0 */
/* For policies that remember servers in the order of the list: where each place of today's list stood in the list of before. */
#ifndef MARLLB_SIM_PLACES_H
#define MARLLB_SIM_PLACES_H
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "policy.h"

struct sim_places {
	uint32_t n;
	uint32_t *slot; /* [n] of the list that was noted last */
	uint32_t *from; /* [view.n] place in that list, MLB_NONE: a new server */
};

static inline int sim_places_init(struct sim_places *p, uint32_t servers_max)
{
	p->n = 0;
	p->slot = calloc(servers_max + 1, sizeof(*p->slot));
	p->from = calloc(servers_max + 1, sizeof(*p->from));
	return p->slot && p->from ? 0 : -ENOMEM;
}

static inline void sim_places_free(struct sim_places *p)
{
	free(p->slot);
	free(p->from);
}

/* Fills from. True: the list is another than the one that was noted. */
static inline bool sim_places_compare(struct sim_places *p, const struct sim_lb_view *v)
{
	uint32_t i = 0;
	bool other = p->n != v->n;

	for (uint32_t k = 0; k < v->n; k++) {
		while (i < p->n && p->slot[i] < v->slot[k])
			i++;
		p->from[k] = i < p->n && p->slot[i] == v->slot[k] ? i : MLB_NONE;
		other |= p->from[k] != k;
	}
	return other;
}

static inline void sim_places_note(struct sim_places *p, const struct sim_lb_view *v)
{
	p->n = v->n;
	memcpy(p->slot, v->slot, v->n * sizeof(*p->slot));
}

/* Moves memory of `size` bytes a server from the noted list's order to today's; what is new is 0. `spare`: as large. */
static inline void sim_places_move(const struct sim_places *p, const struct sim_lb_view *v, void *memory, size_t size,
				   void *spare)
{
	char *to = memory, *old = spare;

	memcpy(old, to, p->n * size);
	for (uint32_t k = 0; k < v->n; k++)
		if (p->from[k] == MLB_NONE)
			memset(to + k * size, 0, size);
		else
			memcpy(to + k * size, old + p->from[k] * size, size);
}
#endif
