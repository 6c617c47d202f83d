/* SPDX-License-Identifier: Apache-2.0 */
#include "per_source.h"

#include <stdlib.h>
#include <string.h>

#include <marllb/endpoint.h>
#include <marllb/rng.h>

#define COUNT_BITS 24u
#define COUNT_MASK ((UINT64_C(1) << COUNT_BITS) - 1)

struct mlbd_per_source *mlbd_per_source_new(uint64_t seed)
{
	struct mlbd_per_source *p = calloc(1, sizeof(*p));

	if (p)
		p->seed = seed;
	return p;
}

static uint64_t hash(const struct mlbd_per_source *p, const struct mlb_addr *a)
{
	uint64_t x[2], h = p->seed;

	memcpy(x, a->b, 16);
	if (!mlb_addr_is_v4(a))
		x[1] = 0; /* a /64 is one subscriber's */
	h ^= x[0];
	h = mlb_splitmix64(&h) ^ x[1];
	return mlb_splitmix64(&h);
}

/* The two candidate buckets. */
static void buckets(struct mlbd_per_source *p, uint64_t h, _Atomic uint64_t *bucket[2])
{
	bucket[0] = p->entry[h & (MLBD_SOURCE_BUCKETS - 1)];
	bucket[1] = p->entry[h >> 13 & (MLBD_SOURCE_BUCKETS - 1)];
}

/* The entry of this address, or NULL; *free_entry: the first free one on the way. */
static _Atomic uint64_t *find(struct mlbd_per_source *p, uint64_t h, _Atomic uint64_t **free_entry)
{
	_Atomic uint64_t *bucket[2];

	buckets(p, h, bucket);
	*free_entry = NULL;
	for (uint32_t i = 0; i < 2 * MLBD_SOURCE_WAYS; i++) {
		_Atomic uint64_t *e = &bucket[i / MLBD_SOURCE_WAYS][i % MLBD_SOURCE_WAYS];
		uint64_t v = atomic_load_explicit(e, memory_order_relaxed);

		if ((v & COUNT_MASK) == 0)
			*free_entry = *free_entry ? *free_entry : e;
		else if ((v ^ h) >> COUNT_BITS == 0)
			return e;
	}
	return NULL;
}

enum mlbd_admission mlbd_per_source_enter(struct mlbd_per_source *p, const struct mlb_addr *a, uint32_t most)
{
	uint64_t h = hash(p, a);

	for (;;) {
		_Atomic uint64_t *free_entry, *e = find(p, h, &free_entry);
		uint64_t v = e ? atomic_load_explicit(e, memory_order_relaxed) : 0, n = v & COUNT_MASK;

		if (e && n && (v ^ h) >> COUNT_BITS == 0) {
			if (n >= most || n == COUNT_MASK)
				return MLBD_OVER;
			if (atomic_compare_exchange_strong(e, &v, v + 1))
				return MLBD_COUNTED;
		} else if (!e && !free_entry) {
			return MLBD_UNCOUNTED;
		} else if (!e) {
			v = atomic_load_explicit(free_entry, memory_order_relaxed);
			if ((v & COUNT_MASK) == 0 && atomic_compare_exchange_strong(free_entry, &v, (h & ~COUNT_MASK) | 1))
				return MLBD_COUNTED;
		}
		/* Another worker changed the entry meanwhile: look again. */
	}
}

void mlbd_per_source_leave(struct mlbd_per_source *p, const struct mlb_addr *a)
{
	uint64_t h = hash(p, a);
	_Atomic uint64_t *free_entry, *e;

	while ((e = find(p, h, &free_entry))) {
		uint64_t v = atomic_load_explicit(e, memory_order_relaxed);

		if ((v & COUNT_MASK) && (v ^ h) >> COUNT_BITS == 0 && atomic_compare_exchange_strong(e, &v, v - 1))
			return;
	}
}
