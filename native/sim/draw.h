/* SPDX-License-Identifier: Apache-2.0 */
/* The distributions docs/scenarios.md names. */
#ifndef MARLLB_SIM_DRAW_H
#define MARLLB_SIM_DRAW_H
#include <marllb/rng.h>
#include <math.h>

static inline double draw_u(struct mlb_rng *r, double a, double b)
{
	return a + (b - a) * mlb_rng_unit(r);
}
static inline double draw_lu(struct mlb_rng *r, double a, double b)
{
	return a * exp(mlb_rng_unit(r) * log(b / a));
}
static inline double draw_e(struct mlb_rng *r)
{
	return -log(1 - mlb_rng_unit(r)); /* 1 - u is exact and never 0 */
}
static inline double draw_normal(struct mlb_rng *r)
{
	double radius = sqrt(2 * draw_e(r));
	return radius * cos(2 * M_PI * mlb_rng_unit(r));
}
#endif
