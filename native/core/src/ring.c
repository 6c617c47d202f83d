/* SPDX-License-Identifier: Apache-2.0 */
/* Weighted consistent hash as a table of buckets, each won by weighted rendezvous: the winner of a bucket is the server whose
 * exponential clock of rate `weight` rings first there (rendezvous: Thaler, Ravishankar 1998; a table of its winners: GitHub's GLB
 * director; weights: Schindelhauer, Schomaker 2005). Instead of n clocks a bucket, each server's rings over the whole table are one
 * Poisson process drawn from its key: the k-th ring comes at (sum of k exponentials) / weight at a random bucket, which is the same
 * law and costs buckets x ln(buckets) however many servers there are. A server's rings depend on its key and weight alone, so a
 * server that comes, goes or changes its weight moves only the buckets that it wins or loses. */
#include "marllb/choose.h"
#include <math.h>
#include <stdatomic.h>
#include <stdlib.h>

#define BUCKETS_PER_SERVER 256u /* a server's share is off by about 1/sqrt of that */
#define MIN_BITS 13u
#define MAX_BITS 16u
#define PROBES 32u

struct mlb_ring {
	_Atomic uint32_t refs;
	uint32_t n, bits;
	uint64_t *key;    /* [n] */
	uint32_t *slot;   /* [n] */
	uint16_t *bucket; /* [1 << bits], index into key and slot */
};

struct clock {
	uint64_t rng;
	double t; /* of the last ring, in units of 1/weight */
};

/* -ln(u) of u = (x >> 12 + .5) 2^-52, by atanh's series on [sqrt(1/2), sqrt(2)): the same bits on every machine, which libm does not
 * promise and load balancers that share a pool need. Absolute error below 1e-8. */
static double exponential(uint64_t x)
{
	union {
		double d;
		uint64_t u;
	} v = { .d = ((double)(x >> 12) + 0.5) * 0x1p-52 };
	int e = (int)(v.u >> 52) - 1022;
	v.u = (v.u & UINT64_C(0x000fffffffffffff)) | UINT64_C(0x3fe0000000000000); /* [0.5, 1) */
	if (v.d < 0.70710678118654752) {
		v.d *= 2;
		e--;
	}
	double z = (v.d - 1) / (v.d + 1), s = z * z;
	double p = 1 + s * (1.0 / 3 + s * (1.0 / 5 + s * (1.0 / 7 + s * (1.0 / 9 + s * (1.0 / 11)))));
	return -(2 * z * p + e * 0.69314718055994531);
}

static uint32_t bits_for(uint32_t n)
{
	uint32_t bits = MIN_BITS;
	while (bits < MAX_BITS && (1u << bits) < n * BUCKETS_PER_SERVER)
		bits++;
	return bits;
}

/* Rings of all servers up to time `until` (in units in which all weights sum to 1); returns buckets that nobody has won yet. */
static uint32_t run_clocks(struct mlb_ring *ring, struct clock *clock, const double *period, double *best, double until)
{
	uint32_t empty = 0, size = 1u << ring->bits;
	for (uint32_t i = 0; i < ring->n; i++) {
		struct clock c = clock[i];
		for (double t = c.t * period[i]; t <= until; t = c.t * period[i]) {
			uint64_t x = mlb_splitmix64(&c.rng), b = x & (size - 1);
			if (t < best[b] || (t == best[b] && ring->key[i] < ring->key[ring->bucket[b]])) {
				best[b] = t;
				ring->bucket[b] = (uint16_t)i;
			}
			c.t += exponential(mlb_splitmix64(&c.rng));
		}
		clock[i] = c;
	}
	for (uint32_t b = 0; b < size; b++)
		empty += isinf(best[b]) != 0;
	return empty;
}

static int fill(struct mlb_ring *ring, const float *weight)
{
	uint32_t n = ring->n, size = 1u << ring->bits;
	struct clock *clock = malloc(n * sizeof(*clock));
	double *period = malloc(n * sizeof(*period)), *best = malloc(size * sizeof(*best)), total = 0;
	int rc = -1;
	if (!clock || !period || !best)
		goto out;
	for (uint32_t b = 0; b < size; b++)
		best[b] = INFINITY;
	for (uint32_t i = 0; i < n; i++)
		total += (double)weight[i];
	for (uint32_t i = 0; i < n; i++) {
		clock[i].rng = ring->key[i];
		clock[i].t = exponential(mlb_splitmix64(&clock[i].rng));
		period[i] = 1.0 / (double)weight[i];
	}
	/* after size * (ln size + 2) rings e^-2 buckets are empty on average; go on until none is */
	for (double until = size * (log(size) + 2) / total; run_clocks(ring, clock, period, best, until); until += size / total)
		;
	rc = 0;
out:
	free(clock);
	free(period);
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
