/* SPDX-License-Identifier: Apache-2.0 */
#include "udp_table.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <marllb/rng.h>

#define FIRST_BUCKETS 256u
#define SLAB_FLOWS 64u

struct slab {
	struct slab *next;
	struct mlbd_udp_flow flow[SLAB_FLOWS];
};

int mlbd_udp_table_init(struct mlbd_udp_table *t, uint64_t seed)
{
	memset(t, 0, sizeof(*t));
	t->seed = seed;
	t->buckets = FIRST_BUCKETS;
	t->bucket = calloc(t->buckets, sizeof(*t->bucket));
	mlbd_link_init(&t->unanswered);
	mlbd_link_init(&t->answered);
	mlbd_link_init(&t->dead);
	mlbd_link_init(&t->free);
	return t->bucket ? 0 : -ENOMEM;
}

void mlbd_udp_table_free(struct mlbd_udp_table *t)
{
	for (struct slab *s = t->slabs, *next; s; s = next) {
		next = s->next;
		free(s);
	}
	free(t->bucket);
}

static uint64_t key_hash(const struct mlbd_udp_table *t, const struct mlbd_udp_key *k)
{
	uint64_t word[sizeof(*k) / 8], h = t->seed;

	_Static_assert(sizeof(*k) == 40, "whole words, no padding but `pad`");
	memcpy(word, k, sizeof(word));
	for (unsigned i = 0; i < sizeof(word) / sizeof(word[0]); i++) {
		uint64_t x = h ^ word[i];

		h = mlb_splitmix64(&x);
	}
	return h;
}

static struct mlbd_udp_flow **place(const struct mlbd_udp_table *t, const struct mlbd_udp_key *k)
{
	return &t->bucket[key_hash(t, k) & (t->buckets - 1)];
}

struct mlbd_udp_flow *mlbd_udp_table_find(const struct mlbd_udp_table *t, const struct mlbd_udp_key *k)
{
	struct mlbd_udp_flow *f = *place(t, k);

	while (f && memcmp(&f->key, k, sizeof(*k)) != 0)
		f = f->next;
	return f;
}

/* Twice as many buckets, one flow in each on average. Without memory for them the chains grow longer. */
static void grow(struct mlbd_udp_table *t)
{
	struct mlbd_udp_flow **old = t->bucket;
	uint32_t n = t->buckets;
	struct mlbd_udp_flow **more = calloc(2 * (size_t)n, sizeof(*more));

	if (!more)
		return;
	t->bucket = more;
	t->buckets = 2 * n;
	for (uint32_t i = 0; i < n; i++)
		for (struct mlbd_udp_flow *f = old[i], *next; f; f = next) {
			struct mlbd_udp_flow **p = place(t, &f->key);

			next = f->next;
			f->next = *p;
			*p = f;
		}
	free(old);
}

static struct mlbd_udp_flow *record(struct mlbd_udp_table *t)
{
	if (mlbd_link_empty(&t->free)) {
		struct slab *s = calloc(1, sizeof(*s));

		if (!s)
			return NULL;
		s->next = t->slabs;
		t->slabs = s;
		for (uint32_t i = 0; i < SLAB_FLOWS; i++)
			mlbd_link_add(&t->free, &s->flow[i].link);
	}
	struct mlbd_udp_flow *f = (struct mlbd_udp_flow *)t->free.next;

	mlbd_link_del(&f->link);
	return f;
}

struct mlbd_udp_flow *mlbd_udp_table_add(struct mlbd_udp_table *t, const struct mlbd_udp_key *k)
{
	struct mlbd_udp_flow *f = record(t);

	if (!f)
		return NULL;
	if (t->count >= t->buckets)
		grow(t);
	struct mlbd_udp_flow **p = place(t, k);

	*f = (struct mlbd_udp_flow){ .key = *k, .fd = -1, .next = *p };
	*p = f;
	mlbd_link_add(&t->unanswered, &f->link);
	t->count++;
	return f;
}

void mlbd_udp_table_touch(struct mlbd_udp_table *t, struct mlbd_udp_flow *f)
{
	mlbd_link_del(&f->link);
	mlbd_link_add(f->answers ? &t->answered : &t->unanswered, &f->link);
}

void mlbd_udp_table_del(struct mlbd_udp_table *t, struct mlbd_udp_flow *f)
{
	struct mlbd_udp_flow **p = place(t, &f->key);

	while (*p != f)
		p = &(*p)->next;
	*p = f->next;
	mlbd_link_del(&f->link);
	mlbd_link_add(&t->dead, &f->link);
	t->count--;
	t->gone++;
}

void mlbd_udp_table_reap(struct mlbd_udp_table *t)
{
	while (!mlbd_link_empty(&t->dead)) {
		struct mlbd_link *l = t->dead.next;

		mlbd_link_del(l);
		mlbd_link_add(t->free.next, l); /* at the front: what was used last is still in the cache */
	}
}

/* The first of a list that is not `but`. */
static struct mlbd_udp_flow *first(const struct mlbd_link *list, const struct mlbd_udp_flow *but)
{
	const struct mlbd_link *l = list->next;

	if (but && l == &but->link)
		l = l->next;
	return l == list ? NULL : (struct mlbd_udp_flow *)l;
}

struct mlbd_udp_flow *mlbd_udp_table_oldest_unanswered(const struct mlbd_udp_table *t, const struct mlbd_udp_flow *but)
{
	return first(&t->unanswered, but);
}

struct mlbd_udp_flow *mlbd_udp_table_oldest(const struct mlbd_udp_table *t)
{
	struct mlbd_udp_flow *a = first(&t->unanswered, NULL), *b = first(&t->answered, NULL);

	return !a || (b && b->last_us < a->last_us) ? b : a;
}

static void each_of(struct mlbd_link *list, void (*fn)(void *arg, struct mlbd_udp_flow *), void *arg)
{
	for (struct mlbd_link *l = list->next, *next; l != list; l = next) {
		next = l->next;
		fn(arg, (struct mlbd_udp_flow *)l);
	}
}

void mlbd_udp_table_each(struct mlbd_udp_table *t, void (*fn)(void *arg, struct mlbd_udp_flow *), void *arg)
{
	each_of(&t->unanswered, fn, arg);
	each_of(&t->answered, fn, arg);
}
