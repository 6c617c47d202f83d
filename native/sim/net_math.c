/* SPDX-License-Identifier: Apache-2.0 */
#include "net_math.h"
#include <stdint.h>
#include <string.h>

#if defined(__x86_64__) && !defined(__SANITIZE_THREAD__) && !defined(__SANITIZE_ADDRESS__)
#define CLONES __attribute__((target_clones("avx2", "default"), optimize("O3")))
#else
#define CLONES
#endif

typedef float v8 __attribute__((vector_size(32), aligned(4), may_alias));

/* 16 columns of four rows at once: eight sums in registers, each row of b loaded once. */
static inline __attribute__((always_inline)) void block(float *o, const float *a, const float *b, size_t k, size_t m, size_t rows)
{
	v8 s[4][2] = { 0 };
	for (size_t i = 0; i < k; i++) {
		v8 b0, b1;
		memcpy(&b0, b + i * m, sizeof(b0));
		memcpy(&b1, b + i * m + 8, sizeof(b1));
		for (size_t r = 0; r < rows; r++) {
			float x = a[r * k + i];
			s[r][0] += x * b0;
			s[r][1] += x * b1;
		}
	}
	for (size_t r = 0; r < rows; r++)
		memcpy(o + r * m, s[r], sizeof(s[r]));
}

CLONES void net_matmul(float *o, const float *a, const float *b, size_t rows, size_t k, size_t m)
{
	size_t r = 0, wide = m & ~(size_t)15;
	for (; r + 4 <= rows; r += 4)
		for (size_t j = 0; j < wide; j += 16)
			block(o + r * m + j, a + r * k, b + j, k, m, 4);
	for (; r < rows; r++)
		for (size_t j = 0; j < wide; j += 16)
			block(o + r * m + j, a + r * k, b + j, k, m, 1);
	if (wide == m)
		return;
	for (r = 0; r < rows; r++)
		for (size_t j = wide; j < m; j++) {
			float s = 0;
			for (size_t i = 0; i < k; i++)
				s += a[r * k + i] * b[i * m + j];
			o[r * m + j] = s;
		}
}

CLONES void net_matmul_nt(float *o, const float *a, const float *b, size_t rows, size_t k, size_t m)
{
	for (size_t r = 0; r < rows; r++)
		for (size_t j = 0; j < m; j++) {
			float s = 0;
			for (size_t i = 0; i < k; i++)
				s += a[r * k + i] * b[j * k + i];
			o[r * m + j] = s;
		}
}

/* x = n ln 2 + f, |f| <= ln 2 / 2; e^f by its series to f^7, 2^n by the exponent's bits. */
static inline __attribute__((always_inline)) float exp1(float x)
{
	x = x > 88.f ? 88.f : x;
	x = x < -87.f ? -87.f : x;
	float n = x * 1.44269504f + 12582912.f - 12582912.f; /* rounds to nearest: 1.5 * 2^23 leaves no fraction bits */
	float f = x - n * 0.693145752f - n * 1.42860677e-6f;  /* ln 2 in two parts */
	float p = 1.f / 5040;
	p = p * f + 1.f / 720;
	p = p * f + 1.f / 120;
	p = p * f + 1.f / 24;
	p = p * f + 1.f / 6;
	p = p * f + .5f;
	p = p * f + 1.f;
	p = p * f + 1.f;
	int32_t bits = ((int32_t)n + 127) << 23;
	float scale;
	memcpy(&scale, &bits, 4);
	return p * scale;
}

CLONES void net_exp(float *o, const float *x, size_t n)
{
	for (size_t i = 0; i < n; i++)
		o[i] = exp1(x[i]);
}

CLONES void net_tanh(float *o, const float *x, size_t n)
{
	for (size_t i = 0; i < n; i++)
		o[i] = 1.f - 2.f / (exp1(2.f * x[i]) + 1.f);
}

CLONES void net_sigmoid(float *o, const float *x, size_t n)
{
	for (size_t i = 0; i < n; i++)
		o[i] = 1.f / (exp1(-x[i]) + 1.f);
}
