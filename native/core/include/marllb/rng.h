/* SPDX-License-Identifier: Apache-2.0 */
/* xoroshiro128+ (Blackman, Vigna 2018), seeded by splitmix64. One generator per worker; not for secrets. */
#ifndef MARLLB_RNG_H
#define MARLLB_RNG_H
#include "types.h"

struct mlb_rng {
	uint64_t s[2];
};

static inline uint64_t mlb_splitmix64(uint64_t *x)
{
	uint64_t z = (*x += UINT64_C(0x9e3779b97f4a7c15));
	z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
	return z ^ (z >> 31);
}

static inline void mlb_rng_seed(struct mlb_rng *r, uint64_t seed)
{
	r->s[0] = mlb_splitmix64(&seed);
	r->s[1] = mlb_splitmix64(&seed);
}

static inline uint64_t mlb_rng_next(struct mlb_rng *r)
{
	uint64_t a = r->s[0], b = r->s[1], x = a + b;
	b ^= a;
	r->s[0] = ((a << 24) | (a >> 40)) ^ b ^ (b << 16);
	r->s[1] = (b << 37) | (b >> 27);
	return x;
}

/* Uniform in [0, n), n >= 1, by multiplication (Lemire 2019; the bias is below n / 2^32). */
static inline uint32_t mlb_rng_below(struct mlb_rng *r, uint32_t n)
{
	return (uint32_t)(((mlb_rng_next(r) >> 32) * (uint64_t)n) >> 32);
}

/* Uniform in [0, 1). */
static inline double mlb_rng_unit(struct mlb_rng *r)
{
	return (double)(mlb_rng_next(r) >> 11) * 0x1.0p-53;
}
#endif
