/* SPDX-License-Identifier: Apache-2.0 */
/* Weighted consistent hash as a table of buckets, each won by weighted rendezvous: its winner is the server whose clock of rate
 * `weight` rings first there (rendezvous: Thaler, Ravishankar 1998; a table of its winners: GitHub's GLB director; weights by
 * exponential clocks: Schindelhauer, Schomaker 2005). Instead of one clock a bucket and server, each server throws darts at the whole
 * table: DARTS of them, at random buckets and random moments, in every DARTS / weight units of time. For one bucket that is a clock of
 * rate weight / buckets (exponential up to 1 / buckets), and the whole costs buckets x ln(buckets) darts however many servers there
 * are. A server's darts depend on its key and weight alone, so a server that comes, goes or changes its weight moves only the buckets
 * that it wins or loses. Nothing but multiplications of exactly known order: load balancers that share a pool agree. */
#include "marllb/choose.h"
#include <math.h>
#include <stdatomic.h>
#include <stdlib.h>

#define BUCKETS_PER_SERVER 256u /* a server's share is off by about 1/sqrt of that */
#define MIN_BITS 13u
#define MAX_BITS 16u
#define PROBES 32u
#define DARTS 256u

struct mlb_ring {
	_Atomic uint32_t refs;
	uint32_t n, bits;
	uint64_t *key;    /* [n] */
	uint32_t *slot;   /* [n] */
	uint16_t *bucket; /* [1 << bits], index into key and slot */
};

struct thrower {
	uint64_t rng;
	double period; /* 1 / weight */
	double begin;  /* of the darts to be thrown next, in units of the period */
};

static uint32_t bits_for(uint32_t n)
{
	uint32_t bits = MIN_BITS;
	while (bits < MAX_BITS && (1u << bits) < n * BUCKETS_PER_SERVER)
		bits++;
	return bits;
}

/* All darts up to time `until` and some after it; returns buckets not yet hit by then, whose winner is not known. */
static uint32_t throw_darts(struct mlb_ring *ring, struct thrower *thrower, float *best, double until)
{
	uint32_t open = 0, size = 1u << ring->bits;
	for (uint32_t i = 0; i < ring->n; i++) {
		struct thrower *th = &thrower[i];
		for (; th->begin * th->period <= until; th->begin += DARTS) {
			double scale = th->period * DARTS * 0x1p-32, offset = th->begin * th->period;
			for (uint32_t k = 0; k < DARTS; k++) {
				uint64_t x = mlb_splitmix64(&th->rng), b = x & (size - 1);
				float t = (float)(offset + (double)(x >> 32) * scale);
				if (t > best[b] || (t == best[b] && ring->key[i] > ring->key[ring->bucket[b]]))
					continue;
				best[b] = t;
				ring->bucket[b] = (uint16_t)i;
			}
		}
	}
	for (uint32_t b = 0; b < size; b++)
		open += (double)best[b] > until;
	return open;
}

static int fill(struct mlb_ring *ring, const float *weight)
{
	uint32_t n = ring->n, size = 1u << ring->bits;
	struct thrower *thrower = malloc(n * sizeof(*thrower));
	float *best = malloc(size * sizeof(*best));
	double total = 0;
	int rc = -1;
	if (!thrower || !best)
		goto out;
	for (uint32_t b = 0; b < size; b++) {
		best[b] = INFINITY;
		ring->bucket[b] = 0;
	}
	for (uint32_t i = 0; i < n; i++)
		total += (double)weight[i];
	for (uint32_t i = 0; i < n; i++) /* weights by the total's power of two: times stay within float, ratios exact */
		thrower[i] = (struct thrower){ .rng = ring->key[i], .period = exp2(ilogb(total)) / (double)weight[i] };
	total /= exp2(ilogb(total));
	/* after size * (ln size + 2) darts e^-2 buckets are open on average; go on until none is */
	for (double until = size * (log(size) + 2) / total; throw_darts(ring, thrower, best, until); until += size / total)
		;
	rc = 0;
out:
	free(thrower);
	free(best);
	return rc;
}

struct mlb_ring *mlb_ring_new(uint32_t n, const uint64_t *keys, const uint32_t *slot, const float *weight)
{
	if (n == 0 || n > MLB_MAX_SERVERS_PER_VIP)
		return NULL;
	for (uint32_t i = 0; i < n; i++)
		if (!isfinite(weight[i]) || weight[i] <= 0)
			return NULL;
	uint32_t bits = bits_for(n);
	struct mlb_ring *r = malloc(sizeof(*r) + n * (sizeof(*r->key) + sizeof(*r->slot)) + ((size_t)2 << bits));
	if (!r)
		return NULL;
	r->refs = 1;
	r->n = n;
	r->bits = bits;
	r->key = (uint64_t *)(r + 1);
	r->slot = (uint32_t *)(r->key + n);
	r->bucket = (uint16_t *)(r->slot + n);
	for (uint32_t i = 0; i < n; i++) {
		r->key[i] = keys[i];
		r->slot[i] = slot[i];
	}
	if (fill(r, weight)) {
		free(r);
		return NULL;
	}
	return r;
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
	uint32_t b = (uint32_t)(hash >> (64 - r->bits)), slot = r->slot[r->bucket[b]];
	if (!q || __builtin_expect(q[slot] < MLB_Q_OUT, 1))
		return slot;
	uint32_t step = (uint32_t)hash | 1u, mask = (1u << r->bits) - 1; /* odd: would visit every bucket */
	for (uint32_t i = 0; i < PROBES; i++) {
		b = (b + step) & mask;
		slot = r->slot[r->bucket[b]];
		if (q[slot] < MLB_Q_OUT)
			return slot;
	}
	return scan(r, hash, q);
}
