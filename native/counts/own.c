/* SPDX-License-Identifier: Apache-2.0 */
#include <netinet/in.h>
#include <string.h>

#include "marllb/endpoint.h"
#include "state.h"

static uint32_t bucket(const struct mlb_endpoint *ep)
{
	return (uint32_t)(mlb_endpoint_key(ep) + (ep->proto == IPPROTO_UDP)) % OWN_HASH;
}

static bool same(const struct mlb_endpoint *a, const struct mlb_endpoint *b)
{
	return mlb_endpoint_eq(a, b) && a->proto == b->proto;
}

/* Where it is in the hash, or would be. */
static uint32_t place(const struct own *o, const struct mlb_endpoint *ep)
{
	uint32_t i = bucket(ep);
	while (o->hash[i] && !same(&o->key[o->hash[i] - 1].ep, ep))
		i = (i + 1) % OWN_HASH;
	return i;
}

uint32_t own_find(const struct own *o, const struct mlb_endpoint *ep)
{
	uint32_t i = place(o, ep);
	return o->hash[i] ? o->hash[i] - 1u : MLB_NONE;
}

static uint32_t add(struct own *o, const struct mlb_endpoint *ep)
{
	uint32_t i = place(o, ep);
	if (o->hash[i])
		return o->hash[i] - 1u;
	o->key[o->keys] = (struct wire_entry){ .ep = *ep };
	o->hash[i] = (uint16_t)(o->keys + 1);
	return o->keys++;
}

/* A VIP that takes any protocol counts as TCP. */
static struct mlb_endpoint key_of(const struct mlb_live *l)
{
	struct mlb_endpoint ep = l->ep;
	ep.proto = ep.proto == IPPROTO_UDP ? IPPROTO_UDP : IPPROTO_TCP;
	ep.pad = 0;
	return ep;
}

static bool same_list(const struct own *o, const struct mlb_live *l, uint32_t n)
{
	if (o->n != n)
		return false;
	for (uint32_t i = 0; i < n; i++) {
		const struct mlb_live *a = &o->live[i], *b = &l[i];
		if (a->vip_id != b->vip_id || a->server_id != b->server_id || a->slot != b->slot || !same(&a->ep, &b->ep))
			return false;
	}
	return true;
}

bool own_set(struct own *o, const struct mlb_live *l, uint32_t n)
{
	n = n < MLB_MAX_SERVERS ? n : MLB_MAX_SERVERS;
	bool changed = !same_list(o, l, n);
	memcpy(o->live, l, n * sizeof(*l));
	o->n = n;
	if (changed) {
		memset(o->hash, 0, sizeof(o->hash));
		o->keys = 0;
		o->version++;
		for (uint32_t i = 0; i < n; i++) {
			struct mlb_endpoint ep = key_of(&l[i]);
			o->key_of[i] = add(o, &ep);
		}
	}
	for (uint32_t k = 0; k < o->keys; k++)
		o->key[k].flows = o->key[k].waiting = 0;
	for (uint32_t i = 0; i < n; i++) {
		o->key[o->key_of[i]].flows += l[i].flows;
		o->key[o->key_of[i]].waiting += l[i].waiting;
	}
	return changed;
}
