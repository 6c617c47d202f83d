/* SPDX-License-Identifier: Apache-2.0 */
/* The cold half of the flow table: memory, insertion, removal, walking; the lookup is inline in flow.h. */
#include "marllb/flow.h"
#include "marllb/rng.h"
#include <stdlib.h>
#include <sys/mman.h>

#define HUGE_PAGE ((size_t)2 << 20)
#define FLOWS_PER_BUCKET \
	6u /* of ten ways, with the table full: one bucket in twenty-five overflows then, one in fifty at 80 % \
	    */

/* With few flows in a large table each bucket would hold one flow, and every packet would touch a cache line of its own. Up to
 * this many flows use only as many buckets as they fill well. The next flow spreads all of them over the whole table, once: a
 * quarter of a millisecond. */
#define SMALL_FLOWS 8192u

static size_t round_up(size_t n, size_t to)
{
	return (n + to - 1) / to * to;
}

static void *map_system(void *arg, size_t size)
{
	(void)arg;
	void *p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	return p == MAP_FAILED ? NULL : p;
}

static void unmap_system(void *arg, void *base, size_t size)
{
	(void)arg;
	munmap(base, size);
}

struct mlb_flow_table *mlb_flow_table_new(uint32_t capacity, uint64_t seed)
{
	static const struct mlb_flow_memory system = { map_system, unmap_system, NULL };
	return mlb_flow_table_new_in(capacity, seed, &system);
}

struct mlb_flow_table *mlb_flow_table_new_in(uint32_t capacity, uint64_t seed, const struct mlb_flow_memory *memory)
{
	if (capacity == 0 || capacity > 1u << 30)
		return NULL;
	struct mlb_flow_table *t = calloc(1, sizeof(*t));
	if (!t)
		return NULL;
	t->capacity = capacity;
	t->entries = (uint32_t)(((uint64_t)capacity * 5 + 3) / 4);
	t->all_buckets = t->entries / FLOWS_PER_BUCKET + 1;
	t->buckets = t->entries > SMALL_FLOWS ? SMALL_FLOWS / FLOWS_PER_BUCKET + 1 : t->all_buckets;
	t->grow_at = t->entries > SMALL_FLOWS ? SMALL_FLOWS : UINT32_MAX;
	for (t->chains = 1; t->chains < t->entries / 64; t->chains *= 2)
		;
	for (int i = 0; i < 3; i++)
		t->seed[i] = mlb_splitmix64(&seed) | (i == 2); /* the last one multiplies */

	size_t entry = round_up((size_t)t->entries * sizeof(*t->entry), 64), bucket = (size_t)t->all_buckets * sizeof(*t->bucket);
	size_t next = round_up((size_t)t->entries * 4, 64), chain = round_up((size_t)t->chains * 4, 64);
	size_t used = round_up((size_t)t->entries, 512) / 8;
	t->mapped = round_up(entry + bucket + next + chain + used, 4096) + HUGE_PAGE;
	t->memory = *memory;
	t->base = memory->map(memory->arg, t->mapped);
	if (!t->base) {
		free(t);
		return NULL;
	}
	char *p = (char *)round_up((size_t)t->base, HUGE_PAGE);
	/* Buckets first: they are touched evenly from the start, entries only as far as flows were ever held. Advice may be
	 * refused. */
	if (t->mapped > 2 * HUGE_PAGE)
		(void)madvise(p, t->mapped - HUGE_PAGE, MADV_HUGEPAGE);
	t->bucket = (struct mlb_flow_bucket *)p;
	t->entry = (struct mlb_flow *)(p + bucket);
	t->next = (uint32_t *)((char *)t->entry + entry);
	t->chain = (uint32_t *)((char *)t->next + next);
	t->used = (uint64_t *)((char *)t->chain + chain);
	return t;
}

void mlb_flow_table_free(struct mlb_flow_table *t)
{
	if (!t)
		return;
	t->memory.unmap(t->memory.arg, t->base, t->mapped);
	free(t);
}

static uint32_t *chain_of(struct mlb_flow_table *t, uint64_t hash)
{
	return &t->chain[hash & (t->chains - 1)];
}

struct mlb_flow *mlb_flow_find_far(struct mlb_flow_table *t, const struct mlb_flow_key *k, uint64_t hash)
{
	const struct mlb_flow_bucket *b = mlb_flow_bucket1(t, hash);
	if (b->in_second) {
		struct mlb_flow *f = mlb_flow_find_in(t, mlb_flow_bucket2(t, hash), mlb_flow_tag(hash), k);
		if (f)
			return f;
	}
	if (b->in_chain)
		for (uint32_t i = *chain_of(t, hash); i; i = t->next[i - 1])
			if (mlb_flow_key_equal(&t->entry[i - 1].key, k))
				return &t->entry[i - 1];
	return NULL;
}

static bool put(struct mlb_flow_bucket *b, uint16_t tag, uint32_t entry)
{
	uint32_t free_ways = mlb_flow_match(b, 0);
	if (!free_ways)
		return false;
	uint32_t i = (uint32_t)__builtin_ctz(free_ways);
	b->tag[i] = tag;
	b->entry[i] = entry;
	return true;
}

static bool take(struct mlb_flow_bucket *b, uint16_t tag, uint32_t entry)
{
	for (uint32_t m = mlb_flow_match(b, tag); m; m &= m - 1) {
		uint32_t i = (uint32_t)__builtin_ctz(m);
		if (b->entry[i] == entry) {
			b->tag[i] = 0;
			return true;
		}
	}
	return false;
}

static void place(struct mlb_flow_table *t, uint64_t hash, uint32_t e)
{
	struct mlb_flow_bucket *b = mlb_flow_bucket1(t, hash);
	uint16_t tag = mlb_flow_tag(hash);
	if (put(b, tag, e))
		return;
	if (b->in_second < UINT16_MAX && put(mlb_flow_bucket2(t, hash), tag, e)) {
		b->in_second++;
		return;
	}
	uint32_t *head = chain_of(t, hash);
	t->next[e] = *head;
	*head = e + 1;
	b->in_chain += b->in_chain < UINT16_MAX; /* sticks there: a needless look into the chain, no more */
}

static void grow(struct mlb_flow_table *t)
{
	memset(t->bucket, 0, (size_t)t->buckets * sizeof(*t->bucket));
	memset(t->chain, 0, (size_t)t->chains * sizeof(*t->chain));
	t->buckets = t->all_buckets;
	t->grow_at = UINT32_MAX;
	for (uint32_t e = 0; e < t->fresh; e++)
		if (t->used[e / 64] >> (e % 64) & 1)
			place(t, mlb_flow_hash(t, &t->entry[e].key), e);
}

struct mlb_flow *mlb_flow_insert(struct mlb_flow_table *t, const struct mlb_flow_key *k, uint64_t hash)
{
	uint32_t e;
	if (__builtin_expect(t->count >= t->grow_at, 0))
		grow(t);
	if (t->free_head) {
		e = t->free_head - 1;
		t->free_head = t->next[e];
	} else if (t->fresh < t->entries) {
		e = t->fresh++;
	} else {
		return NULL;
	}
	place(t, hash, e);
	t->used[e / 64] |= UINT64_C(1) << (e % 64);
	t->count++;
	struct mlb_flow *f = &t->entry[e];
	memset(f, 0, sizeof(*f));
	f->key = *k;
	return f;
}

static void take_from_chain(struct mlb_flow_table *t, uint64_t hash, uint32_t e)
{
	uint32_t *p = chain_of(t, hash);
	while (*p != e + 1)
		p = &t->next[*p - 1];
	*p = t->next[e];
}

void mlb_flow_remove(struct mlb_flow_table *t, struct mlb_flow *f)
{
	uint32_t e = (uint32_t)(f - t->entry);
	uint64_t hash = mlb_flow_hash(t, &f->key);
	struct mlb_flow_bucket *b = mlb_flow_bucket1(t, hash);
	uint16_t tag = mlb_flow_tag(hash);
	if (!take(b, tag, e)) {
		if (b->in_second && take(mlb_flow_bucket2(t, hash), tag, e)) {
			b->in_second--;
		} else {
			take_from_chain(t, hash, e);
			b->in_chain -= b->in_chain < UINT16_MAX;
		}
	}
	t->used[e / 64] &= ~(UINT64_C(1) << (e % 64));
	t->next[e] = t->free_head;
	t->free_head = e + 1;
	t->count--;
}

void mlb_flow_walk(struct mlb_flow_table *t, uint32_t *cursor, uint32_t max, void (*fn)(void *arg, struct mlb_flow *), void *arg)
{
	uint32_t i = *cursor, end = t->fresh - i > max && i <= t->fresh ? i + max : t->fresh;
	while (i < end) {
		uint64_t word = t->used[i / 64] >> (i % 64);
		if (!word) {
			i = (i / 64 + 1) * 64;
			continue;
		}
		i += (uint32_t)__builtin_ctzll(word);
		if (i < end)
			fn(arg, &t->entry[i]);
		i++;
	}
	*cursor = end < t->fresh ? end : 0;
}
