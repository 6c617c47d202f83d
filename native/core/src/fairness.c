/* SPDX-License-Identifier: Apache-2.0 */
#include "marllb/envelope.h"

/* Jain, Chiu, Hawe: "A quantitative measure of fairness and discrimination", DEC-TR-301, 1984. */
double mlb_jain(const double *x, uint32_t n)
{
	double sum = 0, squares = 0;
	for (uint32_t i = 0; i < n; i++) {
		sum += x[i];
		squares += x[i] * x[i];
	}
	return squares > 0 ? sum * sum / (n * squares) : 1;
}

double mlb_product_fairness(const double *x, uint32_t n)
{
	double max = 0, product = 1;
	for (uint32_t i = 0; i < n; i++)
		max = x[i] > max ? x[i] : max;
	for (uint32_t i = 0; i < n && max > 0; i++)
		product *= x[i] / max;
	return product;
}
