/* SPDX-License-Identifier: Apache-2.0 */
/* Weighted consistent hashing by a table of buckets. Each bucket belongs to the server with the least T(server, bucket), an
 * exponential variable of rate `weight` (rendezvous hashing: Thaler, Ravishankar 1998; weights by exponential variables:
 * Schindelhauer, Schomaker 2005; a table of the winners: GitHub's GLB director).
 *
 * T is not drawn for every pair. Each server throws DARTS darts at random buckets and random moments in every DARTS / weight
 * units of time. The first dart in a bucket is then exponential with rate weight / buckets (to within 1 / buckets), and the table
 * costs buckets x ln(buckets) darts for any number of servers.
 *
 * A server's darts depend on its key and weight alone: a server that joins, leaves or changes its weight moves only the buckets
 * that it wins or loses. The arithmetic is multiplications in a fixed order, so load balancers that share a pool agree. */
#include "marllb/ring.h"
#include "marllb/rng.h"
#include <errno.h>
#include <math.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

/* Buckets, for pools of any size: were there more for a larger pool, the server that brings the next step would move every flow.
 * A server's share is off by about 1 / sqrt(its buckets): 4 % of 64 servers, 18 % of 1024. */
#define BITS 15u
#define SIZE (1u << BITS)
#define PROBES 32u
#define DARTS 256u

struct mlb_ring {
	_Atomic uint32_t refs;
	uint32_t n;
	uint64_t *key;    /* [n] */
	uint32_t *slot;   /* [n] */
	uint16_t *bucket; /* [SIZE], index into key and slot */
};

struct server {
	uint64_t key;
	uint32_t slot;
	float weight;
};

struct thrower {
	uint64_t rng;
	double period; /* 1 / weight */
	double begin;  /* of the darts to be thrown next, in units of the period */
};

/* A dart in a bucket: its time's bits above the thrower's index, so that the least word is the earliest dart, and of two at once
 * that of the lower key (servers stand in order of keys). Positive floats order as their bits do. */
static uint64_t dart(float t, uint32_t thrower)
{
	uint32_t bits;
	memcpy(&bits, &t, sizeof(bits));
	return (uint64_t)bits << 32 | thrower;
}

/* All darts up to time `until` and some after it; returns buckets not yet hit by then, whose winner is not known. */
static uint32_t throw_darts(const struct mlb_ring *ring, struct thrower *thrower, uint64_t *best, double until)
{
	uint32_t open = 0;
	for (uint32_t i = 0; i < ring->n; i++) {
		struct thrower *th = &thrower[i];
		for (; th->begin * th->period <= until; th->begin += DARTS) {
			double scale = th->period * DARTS * 0x1p-32, offset = th->begin * th->period;
			for (uint32_t k = 0; k < DARTS; k++) {
				uint64_t x = mlb_splitmix64(&th->rng), *b = &best[x & (SIZE - 1)];
				uint64_t d = dart((float)(offset + (double)(x >> 32) * scale), i);
				*b = d < *b ? d : *b;
			}
		}
	}
	uint64_t last = dart((float)until, 0);
	for (uint32_t b = 0; b < SIZE; b++)
		open += best[b] >= last;
	return open;
}

static int fill(struct mlb_ring *ring, const struct server *server)
{
	uint32_t n = ring->n;
	struct thrower *thrower = malloc(n * sizeof(*thrower));
	uint64_t *best = malloc(SIZE * sizeof(*best));
	double total = 0, unit;
	if (!thrower || !best) {
		free(thrower);
		free(best);
		return -ENOMEM;
	}
	memset(best, 0xff, SIZE * sizeof(*best));
	for (uint32_t i = 0; i < n; i++)
		total += (double)server[i].weight;
	unit = exp2(
		ilogb(total)); /* a power of two: times stay within float whatever the weights' scale, and their order exact */
	for (uint32_t i = 0; i < n; i++)
		thrower[i] = (struct thrower){ .rng = server[i].key, .period = unit / (double)server[i].weight };
	/* after SIZE * (ln SIZE + 2) darts e^-2 buckets are open on average; go on until none is */
	for (double until = SIZE * (log(SIZE) + 2) * unit / total; throw_darts(ring, thrower, best, until);
	     until += SIZE * unit / total)
		;
	for (uint32_t b = 0; b < SIZE; b++)
		ring->bucket[b] = (uint16_t)best[b];
	free(thrower);
	free(best);
	return 0;
}

static int by_key(const void *a, const void *b)
{
	uint64_t x = ((const struct server *)a)->key, y = ((const struct server *)b)->key;
	return (x > y) - (x < y);
}

/* Buckets that each server must have: its part, by largest remainders. */
static void quotas(const struct server *server, uint32_t n, uint32_t *quota)
{
	double total = 0, rest[MLB_MAX_SERVERS_PER_VIP];
	uint32_t left = SIZE;
	for (uint32_t i = 0; i < n; i++)
		total += (double)server[i].weight;
	for (uint32_t i = 0; i < n; i++) {
		double part = (double)server[i].weight / total * SIZE;
		quota[i] = (uint32_t)part;
		rest[i] = part - quota[i];
		left -= quota[i];
	}
	for (; left > 0; left--) {
		uint32_t most = 0;
		for (uint32_t i = 1; i < n; i++)
			most = rest[i] > rest[most] ? i : most;
		quota[most]++;
		rest[most] = -1;
	}
}

/* Reassigns buckets, in the table's order, from servers with more than their quota to those with less. */
static void balance(struct mlb_ring *ring, const struct server *server)
{
	uint32_t want[MLB_MAX_SERVERS_PER_VIP], have[MLB_MAX_SERVERS_PER_VIP] = { 0 }, next = 0;
	quotas(server, ring->n, want);
	for (uint32_t b = 0; b < SIZE; b++)
		have[ring->bucket[b]]++;
	for (uint32_t b = 0; b < SIZE; b++) {
		uint16_t *owner = &ring->bucket[b];
		if (have[*owner] <= want[*owner])
			continue;
		while (have[next] >= want[next])
			next++; /* ends: the quotas sum to SIZE, so a surplus implies a deficit */
		have[*owner]--;
		have[next]++;
		*owner = (uint16_t)next;
	}
}

struct mlb_ring *mlb_ring_new(uint32_t n, const uint64_t *keys, const uint32_t *slot, const float *weight, bool exact)
{
	if (n == 0 || n > MLB_MAX_SERVERS_PER_VIP)
		return NULL;
	for (uint32_t i = 0; i < n; i++)
		if (!isfinite(weight[i]) || weight[i] <= 0)
			return NULL;
	struct mlb_ring *r = malloc(sizeof(*r) + n * (sizeof(*r->key) + sizeof(*r->slot)) + SIZE * sizeof(*r->bucket));
	struct server *server = malloc(n * sizeof(*server));
	if (!r || !server)
		goto fail;
	for (uint32_t i = 0; i < n; i++)
		server[i] = (struct server){ .key = keys[i], .slot = slot[i], .weight = weight[i] };
	qsort(server, n, sizeof(*server), by_key);
	r->refs = 1;
	r->n = n;
	r->key = (uint64_t *)(r + 1);
	r->slot = (uint32_t *)(r->key + n);
	r->bucket = (uint16_t *)(r->slot + n);
	for (uint32_t i = 0; i < n; i++) {
		r->key[i] = server[i].key;
		r->slot[i] = server[i].slot;
	}
	if (fill(r, server))
		goto fail;
	if (exact)
		balance(r, server);
	free(server);
	return r;
fail:
	free(server);
	free(r);
	return NULL;
}

struct mlb_ring *mlb_ring_ref(struct mlb_ring *r)
{
	atomic_fetch_add_explicit(&r->refs, 1, memory_order_relaxed);
	return r;
}

void mlb_ring_unref(struct mlb_ring *r)
{
	if (r && atomic_fetch_sub_explicit(&r->refs, 1, memory_order_acq_rel) == 1)
		free(r);
}

/* Few buckets are left to servers that are in: the one whose key and the flow's hash score best (rendezvous, unweighted). */
static uint32_t scan(const struct mlb_ring *r, uint64_t hash, const float *q)
{
	uint32_t found = MLB_NONE;
	uint64_t top = 0;
	for (uint32_t i = 0; i < r->n; i++) {
		uint64_t x = r->key[i] ^ hash, score = mlb_splitmix64(&x);
		if (q[r->slot[i]] < MLB_Q_OUT && (found == MLB_NONE || score > top)) {
			found = r->slot[i];
			top = score;
		}
	}
	return found;
}

uint32_t mlb_ring_lookup(const struct mlb_ring *r, uint64_t hash, const float *q)
{
	uint32_t b = (uint32_t)(hash >> (64 - BITS)), slot = r->slot[r->bucket[b]];
	if (!q || __builtin_expect(q[slot] < MLB_Q_OUT, 1))
		return slot;
	uint32_t step = (uint32_t)hash | 1u; /* odd: would visit every bucket */
	for (uint32_t i = 0; i < PROBES; i++) {
		b = (b + step) & (SIZE - 1);
		slot = r->slot[r->bucket[b]];
		if (q[slot] < MLB_Q_OUT)
			return slot;
	}
	return scan(r, hash, q);
}
