/* SPDX-License-Identifier: Apache-2.0 */
/* What one of the others says. Each part of its list is replaced by itself, so that a lost datagram costs its own servers one
 * period and no more. */
#include <stdlib.h>
#include <string.h>

#include "state.h"

#define EXPIRY_PERIODS 5u
#define EXPIRY_LEAST_US 100000u

static void drop_parts(struct peer *p, uint32_t from)
{
	for (uint32_t i = from; i < p->parts; i++) {
		free(p->part[i]);
		p->part[i] = NULL;
	}
	p->parts = from < p->parts ? from : p->parts;
}

void peer_clear(struct peer *p)
{
	drop_parts(p, 0);
	p->period_us = 0;
}

uint64_t peer_expiry_us(const struct peer *p, uint32_t own_period_us)
{
	uint64_t period = p && p->period_us > own_period_us ? p->period_us : own_period_us;
	return period * EXPIRY_PERIODS > EXPIRY_LEAST_US ? period * EXPIRY_PERIODS : EXPIRY_LEAST_US;
}

bool peer_alive(const struct peer *p, uint32_t own_period_us, uint64_t now_us)
{
	return p->proven && now_us - p->heard_us <= peer_expiry_us(p, own_period_us);
}

bool peer_take(struct peer *p, const struct wire_message *m, const struct own *o, uint64_t now_us)
{
	const struct wire_head *h = &m->head;
	if (h->list != p->list || h->parts < p->parts)
		drop_parts(p, h->list != p->list ? 0 : h->parts);
	p->list = h->list;
	p->period_us = h->period_us;
	p->heard_us = now_us;
	p->parts = h->parts;
	struct part *part = p->part[h->part];
	uint32_t had = part ? part->n : 0;
	if (!part || had < m->entries) {
		part = realloc(part, sizeof(*part) + m->entries * sizeof(part->entry[0]));
		if (!part)
			return false;
		p->part[h->part] = part;
	}
	part->at_us = now_us;
	for (uint32_t i = 0; i < m->entries; i++) {
		bool known = i < had && memcmp(&part->entry[i].e.ep, &m->entry[i].ep, sizeof(m->entry[i].ep)) == 0;
		part->entry[i].e = m->entry[i];
		if (!known)
			part->entry[i].key = own_find(o, &m->entry[i].ep);
	}
	part->n = m->entries;
	return true;
}

void peer_rekey(struct peer *p, const struct own *o)
{
	for (uint32_t i = 0; i < p->parts; i++)
		for (uint32_t k = 0; p->part[i] && k < p->part[i]->n; k++)
			p->part[i]->entry[k].key = own_find(o, &p->part[i]->entry[k].e.ep);
}
