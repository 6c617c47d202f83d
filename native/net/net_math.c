/* SPDX-License-Identifier: Apache-2.0 */
#include "net_math.h"
#include <stdint.h>
#include <string.h>

#if defined(__x86_64__) && !defined(__clang__) && !defined(__SANITIZE_THREAD__) && !defined(__SANITIZE_ADDRESS__)
#define CLONES __attribute__((target_clones("avx2", "default"), optimize("O3")))
#else
#define CLONES
#endif

#pragma GCC diagnostic ignored "-Wpsabi" /* vectors stay within this file, inlined */
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

typedef int32_t v8i __attribute__((vector_size(32), aligned(4), may_alias));
#define ALL(x) ((v8){ x, x, x, x, x, x, x, x })

static inline __attribute__((always_inline)) v8 pick(v8i m, v8 a, v8 b)
{
	return (v8)((m & (v8i)a) | (~m & (v8i)b));
}

/* x = n ln 2 + f, |f| <= ln 2 / 2; e^f by its series to f^7, 2^n by the exponent's bits. Vectors by hand: the compiler leaves the
 * clamps as branches. NaN comes out as e^-87. */
static inline __attribute__((always_inline)) v8 exp8(v8 x)
{
	x = pick(x > ALL(88.f), ALL(88.f), x);
	x = pick(x > ALL(-87.f), x, ALL(-87.f));
	v8 n = x * 1.44269504f + 12582912.f - 12582912.f; /* rounds to nearest: 1.5 * 2^23 leaves no fraction bits */
	v8 f = x - n * 0.693145752f - n * 1.42860677e-6f; /* ln 2 in two parts */
	v8 p = f * (1.f / 5040) + 1.f / 720;
	p = p * f + 1.f / 120;
	p = p * f + 1.f / 24;
	p = p * f + 1.f / 6;
	p = p * f + .5f;
	p = p * f + 1.f;
	p = p * f + 1.f;
	v8i bits = (__builtin_convertvector(n, v8i) + 127) << 23;
	return p * (v8)bits;
}

#define ELEMENTWISE(name, expr) \
	CLONES void name(float *o, const float *v, size_t n) \
	{ \
		for (size_t i = 0; i < n; i += 8) { \
			size_t k = n - i < 8 ? n - i : 8; \
			v8 x = { 0 }; \
			if (k == 8) \
				memcpy(&x, v + i, sizeof(x)); \
			else \
				memcpy(&x, v + i, k * sizeof(float)); \
			v8 y = expr; \
			if (k == 8) \
				memcpy(o + i, &y, sizeof(y)); \
			else \
				memcpy(o + i, &y, k * sizeof(float)); \
		} \
	}
ELEMENTWISE(net_exp, exp8(x))
ELEMENTWISE(net_tanh, 1.f - 2.f / (exp8(2.f * x) + 1.f))
ELEMENTWISE(net_sigmoid, 1.f / (exp8(-x) + 1.f))
