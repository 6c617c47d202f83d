/* SPDX-License-Identifier: Apache-2.0 */
/* Dense arithmetic of the network evaluator, compiled for AVX2 and for any CPU and picked at load. Rows are short (16..128), so
 * the kernels keep four rows' sums in registers. exp is within 2e-7 relative of the true one, tanh and sigmoid within 3e-7. */
#ifndef MARLLB_NET_MATH_H
#define MARLLB_NET_MATH_H
#include <stddef.h>

/* o[rows][m] = a[rows][k] * b[k][m]; nt: b is [m][k]. */
void net_matmul(float *o, const float *a, const float *b, size_t rows, size_t k, size_t m);
void net_matmul_nt(float *o, const float *a, const float *b, size_t rows, size_t k, size_t m);
/* Elementwise; o may be x. */
void net_exp(float *o, const float *x, size_t n);
void net_tanh(float *o, const float *x, size_t n);
void net_sigmoid(float *o, const float *x, size_t n);
#endif
