/* SPDX-License-Identifier: Apache-2.0 */
/* Choice by score: argmin with random ties, two choices, weighted draws around slots that are out. Tables are built in table.c.
 */
#include "marllb/choose.h"
#if defined(__x86_64__)
#include <immintrin.h>
#endif

#define MAX_SLOTS MLB_MAX_SERVERS_PER_VIP
#define OUT_SCORE (MLB_Q_OUT / 2) /* shares are <= 1, so the score of a slot that is out is at least MLB_Q_OUT */

/* Two plain loops that any compiler vectorises: the minimum, then how often it occurs and the sum of the slots where it does,
 * which is the slot itself when there is one. */
uint32_t mlb_sed_portable(const struct mlb_table *t, const float *q, struct mlb_rng *r)
{
	float score[MAX_SLOTS], min = MLB_Q_OUT;
	uint32_t n = t->nslots & ~7u, ties = 0, sum = 0;
	const float *add = t->add, *inv_w = t->inv_w;

#pragma omp simd reduction(min : min)
	for (uint32_t i = 0; i < n; i++) {
		float s = (q[i] + add[i]) * inv_w[i];
		score[i] = s;
		min = s < min ? s : min;
	}
	if (__builtin_expect(min >= OUT_SCORE, 0))
		return mlb_alias_draw(t, r);
#pragma omp simd reduction(+ : ties, sum)
	for (uint32_t i = 0; i < n; i++) {
		uint32_t equal = score[i] == min ? UINT32_MAX : 0;
		ties -= equal;
		sum += equal & i;
	}
	if (ties == 1)
		return sum;
	uint32_t k = mlb_rng_below(r, ties);
	for (uint32_t i = 0; i < n; i++)
		if (score[i] == min && k-- == 0)
			return i;
	return mlb_alias_draw(t, r);
}

#if defined(__x86_64__)
/* One of the bits set, each equally likely, as an index over all words; the generator is drawn from only when there are several.
 * MLB_NONE if none is. */
static uint32_t pick(const uint64_t *mask, uint32_t words, struct mlb_rng *r)
{
	uint32_t ties = 0;
	for (uint32_t i = 0; i < words; i++)
		ties += (uint32_t)__builtin_popcountll(mask[i]);
	uint32_t k = ties > 1 ? mlb_rng_below(r, ties) : 0;
	for (uint32_t i = 0; i < words; i++) {
		uint64_t m = mask[i];
		uint32_t n = (uint32_t)__builtin_popcountll(m);
		if (k >= n) {
			k -= n;
			continue;
		}
		while (k--)
			m &= m - 1;
		return i * 64 + (uint32_t)__builtin_ctzll(m);
	}
	return MLB_NONE;
}

__attribute__((target("avx2"))) static inline __m256 score8(const struct mlb_table *t, const float *q, uint32_t i)
{
	return _mm256_mul_ps(_mm256_add_ps(_mm256_loadu_ps(q + i), _mm256_load_ps(t->add + i)), _mm256_load_ps(t->inv_w + i));
}

__attribute__((target("avx2,popcnt,bmi"))) uint32_t mlb_sed_avx2(const struct mlb_table *t, const float *q, struct mlb_rng *r)
{
	float score[MAX_SLOTS] __attribute__((aligned(32)));
	uint64_t mask[MAX_SLOTS / 64];
	uint32_t n = t->nslots, words = (n + 63) / 64, i = 0;
	__m256 a = _mm256_set1_ps(MLB_Q_OUT), b = a;

	for (; i + 16 <= n; i += 16) {
		__m256 x = score8(t, q, i), y = score8(t, q, i + 8);
		_mm256_store_ps(score + i, x);
		_mm256_store_ps(score + i + 8, y);
		a = _mm256_min_ps(x, a); /* in this order a score that is not a number loses */
		b = _mm256_min_ps(y, b);
	}
	if (i < n) {
		__m256 x = score8(t, q, i);
		_mm256_store_ps(score + i, x);
		a = _mm256_min_ps(x, a);
	}
	a = _mm256_min_ps(a, b);
	a = _mm256_min_ps(a, _mm256_permute2f128_ps(a, a, 1));
	a = _mm256_min_ps(a, _mm256_permute_ps(a, 0x4e));
	a = _mm256_min_ps(a, _mm256_permute_ps(a, 0xb1)); /* the minimum in every lane */
	if (__builtin_expect(_mm256_cvtss_f32(a) >= OUT_SCORE, 0))
		return mlb_alias_draw(t, r);
	for (uint32_t w = 0; w < words; w++) {
		uint32_t left = n - w * 64 < 64 ? n - w * 64 : 64;
		uint64_t m = 0;
		for (uint32_t k = 0; k < left; k += 8) {
			__m256 eq = _mm256_cmp_ps(_mm256_load_ps(score + w * 64 + k), a, _CMP_EQ_OQ);
			m |= (uint64_t)(uint32_t)_mm256_movemask_ps(eq) << k;
		}
		mask[w] = m;
	}
	if (words == 1 && (mask[0] & (mask[0] - 1)) == 0)
		return (uint32_t)__builtin_ctzll(mask[0]);
	uint32_t slot = pick(mask, words, r);
	return slot != MLB_NONE ? slot : mlb_alias_draw(t, r);
}
#endif

mlb_sed_fn *mlb_sed = mlb_sed_portable;

void mlb_choose_init(void)
{
#if defined(__x86_64__)
	__builtin_cpu_init();
	if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("popcnt") && __builtin_cpu_supports("bmi"))
		mlb_sed = mlb_sed_avx2;
#endif
}

uint32_t mlb_p2c(const struct mlb_table *t, const float *q, struct mlb_rng *r)
{
	uint32_t a = mlb_alias_draw(t, r), b = mlb_alias_draw(t, r);
	for (int i = 0; i < 3 && a == b; i++)
		b = mlb_alias_draw(t, r);
	float sa = (q[a] + t->add[a]) * t->inv_w[a], sb = (q[b] + t->add[b]) * t->inv_w[b];
	uint32_t s = sb < sa ? b : a;
	if (__builtin_expect(q[s] >= OUT_SCORE, 0))
		return mlb_sed(t, q, r); /* both drawn are out: the best of all that are not */
	return s;
}

/* By weight among the slots that are not out; MLB_NONE if all are. */
static uint32_t scan_by_weight(const struct mlb_table *t, const float *q, struct mlb_rng *r)
{
	double total = 0;
	uint32_t last = MLB_NONE;
	for (uint32_t i = 0; i < t->nslots; i++)
		if (q[i] < OUT_SCORE)
			total += (double)t->weight[i];
	double x = mlb_rng_unit(r) * total;
	for (uint32_t i = 0; i < t->nslots; i++) {
		if (q[i] >= OUT_SCORE || t->weight[i] <= 0)
			continue;
		last = i;
		x -= (double)t->weight[i];
		if (x < 0)
			break;
	}
	return last;
}

uint32_t mlb_alias_choose(const struct mlb_table *t, const float *q, struct mlb_rng *r)
{
	uint32_t s = mlb_alias_draw(t, r);
	if (!q || __builtin_expect(q[s] < OUT_SCORE, 1))
		return s;
	for (int i = 0; i < 4; i++) {
		uint32_t again = mlb_alias_draw(t, r);
		if (q[again] < OUT_SCORE)
			return again;
	}
	uint32_t other = scan_by_weight(t, q, r);
	return other != MLB_NONE ? other : s;
}
