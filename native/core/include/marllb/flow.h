/* SPDX-License-Identifier: Apache-2.0 */
/* Flow table of one worker. A bucket is one cache line: ten 16-bit tags and ten entry numbers; an entry is another line and holds
 * the full key. A flow's bucket is the first of two by hash, the second where the first is full, a chain where both are, so that
 * the table never refuses below its last entry, and a lookup of a known flow touches two lines (three for about one flow in
 * fifty). Entries never move: pointers stay valid until removal. Half-open flows live in a small table of the same type of
 * their own, so that a SYN flood evicts no established flow. Single writer, its worker; the recount walks it from that worker. */
#ifndef MARLLB_FLOW_H
#define MARLLB_FLOW_H
#include <string.h>
#if defined(__SSE2__)
#include <emmintrin.h>
#endif
#include "types.h"

struct mlb_flow_key { /* 24 bytes, compared as three words: zero what is not used */
	struct mlb_addr client;
	uint16_t cport, vport; /* host order */
	uint16_t vip;          /* VIP id */
	uint8_t proto;
	uint8_t dir; /* 0; hosts may use it to separate namespaces of keys */
};

/* One cache line: the packet of a known flow writes in no other line of the table. */
struct mlb_flow {
	struct mlb_flow_key key;
	uint16_t slot; /* server slot */
	uint8_t tcp;   /* enum mlb_tcp_state */
	uint8_t flags; /* MLB_FLOW_* */
	uint32_t server_id;
	uint64_t start_us;
	uint64_t wait_us; /* when the client spoke last; 0 = not waiting */
	uint32_t last_ms; /* last packet, milliseconds modulo 2^32 */
	uint32_t host;    /* the host's own (NAT port, adjacency) */
	uint64_t host2;
} __attribute__((aligned(MLB_CACHE_LINE)));
_Static_assert(sizeof(struct mlb_flow) == 64, "one cache line");
enum { MLB_FLOW_HALF = 1, MLB_FLOW_WAITING = 2, MLB_FLOW_COUNTED = 4, MLB_FLOW_ONE_WAY = 8 };

#define MLB_FLOW_WAYS 10u
#define MLB_FLOW_BATCH 256u

struct mlb_flow_bucket {
	uint16_t tag[MLB_FLOW_WAYS]; /* 0 = free */
	uint16_t in_second;          /* flows whose first bucket is this one that live in their second */
	uint16_t in_chain;           /* the same, in a chain */
	uint32_t entry[MLB_FLOW_WAYS];
} __attribute__((aligned(MLB_CACHE_LINE)));
_Static_assert(sizeof(struct mlb_flow_bucket) == 64, "one cache line");

/* Whose memory a table is in. map: `size` bytes of zeros at a page's start, NULL where there is no room. */
struct mlb_flow_memory {
	void *(*map)(void *arg, size_t size);
	void (*unmap)(void *arg, void *base, size_t size);
	void *arg;
};

/* Open for the inline lookup below; hosts touch nothing in it. */
struct mlb_flow_table {
	struct mlb_flow_bucket *bucket;
	struct mlb_flow *entry;
	uint64_t seed[3];
	uint32_t buckets, entries;     /* buckets: in use now */
	uint32_t all_buckets, grow_at; /* flows at which all come into use; see flow.c */
	uint32_t *chain;               /* [chains], entry number + 1 of the first */
	uint32_t *next;                /* [entries], entry number + 1; of a chain, or of the free list */
	uint64_t *used;                /* bitmap of entries */
	uint32_t chains;               /* a power of two */
	uint32_t count, capacity;
	uint32_t fresh;     /* entries from here on were never used */
	uint32_t free_head; /* entry number + 1 */
	size_t mapped;
	void *base;
	struct mlb_flow_memory memory;
};

/* capacity: flows it must hold (rounded up so that this is at most 80 % load; 1 .. 2^30). Huge pages are advised, memory is
 * touched as flows come. NULL: no memory or bad capacity. */
struct mlb_flow_table *mlb_flow_table_new(uint32_t capacity, uint64_t seed);
/* The same in memory of the host's. */
struct mlb_flow_table *mlb_flow_table_new_in(uint32_t capacity, uint64_t seed, const struct mlb_flow_memory *);
void mlb_flow_table_free(struct mlb_flow_table *);
static inline uint32_t mlb_flow_count(const struct mlb_flow_table *t)
{
	return t->count;
}
/* Flows at which it refuses: capacity / 0.8 or a little more. */
static inline uint32_t mlb_flow_capacity(const struct mlb_flow_table *t)
{
	return t->entries;
}
/* The new flow, zeroed but for its key; NULL when full. The key must not be present. Pointers stay valid until removal. */
struct mlb_flow *mlb_flow_insert(struct mlb_flow_table *, const struct mlb_flow_key *, uint64_t hash);
void mlb_flow_remove(struct mlb_flow_table *, struct mlb_flow *);
/* Walks up to `max` entries from *cursor (0 to begin; 0 again at the end), calls fn for each flow; fn may remove that flow. */
void mlb_flow_walk(struct mlb_flow_table *, uint32_t *cursor, uint32_t max, void (*fn)(void *arg, struct mlb_flow *), void *arg);
/* Where a walk comes by the flow: its cursor is less until then. */
static inline uint32_t mlb_flow_place(const struct mlb_flow_table *t, const struct mlb_flow *f)
{
	return (uint32_t)(f - t->entry);
}
/* Slow lookup, where the first bucket does not hold the key: the second bucket, then the overflow chain. */
struct mlb_flow *mlb_flow_find_far(struct mlb_flow_table *, const struct mlb_flow_key *, uint64_t hash);

static inline uint64_t mlb_flow_mix(uint64_t a, uint64_t b)
{
	__uint128_t m = (__uint128_t)a * b;
	return (uint64_t)m ^ (uint64_t)(m >> 64);
}

/* Word i of a key, 0..2. */
static inline uint64_t mlb_flow_word(const struct mlb_flow_key *k, unsigned i)
{
	uint64_t w;
	memcpy(&w, (const char *)k + 8 * i, 8);
	return w;
}

/* Multiply and fold, as in wyhash (Wang Yi 2019), keyed by the table's seed; of a key's three words. */
static inline uint64_t mlb_flow_hash_words(const struct mlb_flow_table *t, uint64_t w0, uint64_t w1, uint64_t w2)
{
	return mlb_flow_mix(mlb_flow_mix(w0 ^ t->seed[0], w1 ^ t->seed[1]) ^ w2, t->seed[2]);
}
static inline uint64_t mlb_flow_hash(const struct mlb_flow_table *t, const struct mlb_flow_key *k)
{
	return mlb_flow_hash_words(t, mlb_flow_word(k, 0), mlb_flow_word(k, 1), mlb_flow_word(k, 2));
}

static inline uint16_t mlb_flow_tag(uint64_t hash)
{
	uint16_t tag = (uint16_t)(hash >> 32);
	return tag ? tag : 1;
}
static inline struct mlb_flow_bucket *mlb_flow_bucket1(const struct mlb_flow_table *t, uint64_t hash)
{
	return &t->bucket[((hash >> 32) * t->buckets) >> 32];
}
static inline struct mlb_flow_bucket *mlb_flow_bucket2(const struct mlb_flow_table *t, uint64_t hash)
{
	return &t->bucket[((hash & UINT32_MAX) * t->buckets) >> 32];
}
static inline bool mlb_flow_key_equal(const struct mlb_flow_key *a, const struct mlb_flow_key *b)
{
	return ((mlb_flow_word(a, 0) ^ mlb_flow_word(b, 0)) | (mlb_flow_word(a, 1) ^ mlb_flow_word(b, 1)) |
		(mlb_flow_word(a, 2) ^ mlb_flow_word(b, 2))) == 0;
}

/* Bit i set where tag[i] == tag. */
static inline uint32_t mlb_flow_match(const struct mlb_flow_bucket *b, uint16_t tag)
{
#if defined(__SSE2__)
	__m128i want = _mm_set1_epi16((short)tag);
	__m128i lo = _mm_cmpeq_epi16(_mm_load_si128((const __m128i *)b), want);
	__m128i hi = _mm_cmpeq_epi16(_mm_load_si128((const __m128i *)b + 1), want); /* tags 8, 9 and what follows them */
	return (uint32_t)_mm_movemask_epi8(_mm_packs_epi16(lo, hi)) & ((1u << MLB_FLOW_WAYS) - 1);
#else
	uint32_t mask = 0;
	for (uint32_t i = 0; i < MLB_FLOW_WAYS; i++)
		mask |= (uint32_t)(b->tag[i] == tag) << i;
	return mask;
#endif
}

static inline struct mlb_flow *mlb_flow_find_in(const struct mlb_flow_table *t, const struct mlb_flow_bucket *b, uint16_t tag,
						const struct mlb_flow_key *k)
{
	for (uint32_t m = mlb_flow_match(b, tag); m; m &= m - 1) {
		struct mlb_flow *f = &t->entry[b->entry[__builtin_ctz(m)]];
		if (__builtin_expect(mlb_flow_key_equal(&f->key, k), 1))
			return f;
	}
	return NULL;
}

/* The flow of a key; NULL where unknown. hash: mlb_flow_hash of it. */
static inline struct mlb_flow *mlb_flow_find(struct mlb_flow_table *t, const struct mlb_flow_key *k, uint64_t hash)
{
	struct mlb_flow_bucket *b = mlb_flow_bucket1(t, hash);
	struct mlb_flow *f = mlb_flow_find_in(t, b, mlb_flow_tag(hash), k);
	if (f || __builtin_expect((b->in_second | b->in_chain) == 0, 1))
		return f;
	return mlb_flow_find_far(t, k, hash);
}

/* A flow of another thread's table. Read beside its only writer, without a lock: an entry that is being made or removed may be
 * missed or seen wrongly, and chains, whose links change, are not walked. So the answer is a hint: whoever follows it asks the
 * table's own worker. Entries and buckets are never unmapped while the table lives. */
#if defined(__SANITIZE_THREAD__)
__attribute__((no_sanitize_thread))
#endif
static inline const struct mlb_flow *
mlb_flow_peek(const struct mlb_flow_table *t, const struct mlb_flow_key *k)
{
	uint64_t hash = mlb_flow_hash(t, k);
	const struct mlb_flow_bucket *first = mlb_flow_bucket1(t, hash);
	const struct mlb_flow *f = mlb_flow_find_in(t, first, mlb_flow_tag(hash), k);
	return f || !first->in_second ? f : mlb_flow_find_in(t, mlb_flow_bucket2(t, hash), mlb_flow_tag(hash), k);
}

/* For hosts that compute hashes long before they look up, and go through their packets in small chunks (a first-level cache's
 * worth): they ask for the buckets of a chunk, then guess all of its flows, then compare keys. The bucket to look in first. */
static inline const struct mlb_flow_bucket *mlb_flow_prefetch(const struct mlb_flow_table *t, uint64_t hash)
{
	const struct mlb_flow_bucket *b = mlb_flow_bucket1(t, hash);
	__builtin_prefetch(b);
	return b;
}

/* First guess at a flow by its tag, its line on its way (for writing: a packet changes its flow). b: its first bucket. */
static inline struct mlb_flow *mlb_flow_guess(struct mlb_flow_table *t, const struct mlb_flow_bucket *b, uint64_t hash)
{
	uint32_t m = mlb_flow_match(b, mlb_flow_tag(hash));
	if (__builtin_expect(m != 0, 1)) {
		struct mlb_flow *f = &t->entry[b->entry[__builtin_ctz(m)]];
		__builtin_prefetch(f, 1);
		return f;
	}
	if (b->in_second)
		__builtin_prefetch(mlb_flow_bucket2(t, hash));
	return NULL;
}

/* n <= MLB_FLOW_BATCH keys at once; out[i] NULL where unknown. The misses of neighbouring keys overlap: while key i's entry is
 * asked for, the bucket of a key MLB_FLOW_AHEAD later is on its way and the entry of one that much earlier has come. */
#define MLB_FLOW_AHEAD 16u
static inline void mlb_flow_find_batch(struct mlb_flow_table *t, const struct mlb_flow_key *k, const uint64_t *hash, uint32_t n,
				       struct mlb_flow **out)
{
	uint32_t ahead = n < MLB_FLOW_AHEAD ? n : MLB_FLOW_AHEAD;
	for (uint32_t i = 0; i < ahead; i++)
		mlb_flow_prefetch(t, hash[i]);
	for (uint32_t i = 0; i < n + ahead; i++) {
		if (i + ahead < n)
			mlb_flow_prefetch(t, hash[i + ahead]);
		if (i < n)
			out[i] = mlb_flow_guess(t, mlb_flow_bucket1(t, hash[i]), hash[i]);
		if (i < ahead)
			continue;
		uint32_t j = i - ahead;
		if (!out[j] || __builtin_expect(!mlb_flow_key_equal(&out[j]->key, &k[j]), 0))
			out[j] = mlb_flow_find(t, &k[j], hash[j]);
	}
}
#endif
