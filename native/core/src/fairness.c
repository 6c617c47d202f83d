/* SPDX-License-Identifier: Apache-2.0 */
#include "marllb/fairness.h"

double mlb_jain(const double *x, uint32_t n)
{
	double sum = 0, squares = 0;
	for (uint32_t i = 0; i < n; i++) {
		sum += x[i];
		squares += x[i] * x[i];
	}
	return squares > 0 ? sum * sum / (n * squares) : 1;
}
