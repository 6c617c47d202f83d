/* SPDX-License-Identifier: Apache-2.0 */
/* The reference Kalman filter; every constant is that of docs/scenarios.md. */
#include <marllb/kalman.h>
#include <math.h>

#define INIT_P .3
#define PROCESS .0028 /* variance gained a native step */
#define EVENT .474    /* half an event, keeps the log of zero finite */
#define PULL .29      /* weight of the queue's own evidence */
#define NOISE 3.56    /* observation variance of one event */
#define NOISE_FLOOR .05
#define JUMP_Z2 4. /* beyond this the server has changed, not the noise */
#define JUMP_GAIN .005
#define CLIP_SIGMA 19.6
#define REVERT .00029 /* towards the configured weight, a native step */
#define DOUBT .3      /* expected completions at which the queue's evidence has half its weight */
#define RANGE 3.56    /* of log weight around the configured one */
#define DECAY_S 1.
#define STEP_S (MLB_KALMAN_STEP_US * 1e-6)

void mlb_kalman_init(struct mlb_kalman_srv *s, double weight_cfg)
{
	s->log_cfg = log(weight_cfg);
	s->x = s->log_cfg;
	s->p = INIT_P;
}

void mlb_kalman_join(struct mlb_kalman_srv *joined, double weight_cfg, const struct mlb_kalman_srv *present, uint32_t n)
{
	double sum = 0;

	mlb_kalman_init(joined, weight_cfg);
	for (uint32_t i = 0; i < n; i++)
		sum += present[i].x - present[i].log_cfg;
	if (n)
		joined->x += sum / n;
}

static double clamp(double v, double lo, double hi)
{
	return v < lo ? lo : v > hi ? hi : v;
}

/* E log(d + EVENT) lies below log(e + EVENT) where d is a count of mean e, by at most a quarter (e = 1), by nothing where e is
 * small or large: unheeded, it draws busy servers down and idle ones up. A rational fit, within .01. */
static double counting_bias(double e)
{
	return e / (1.03 + 1.5 * e + 1.55 * e * e);
}

void mlb_kalman_step(struct mlb_kalman_srv *s, struct mlb_kalman_pool *pool, uint32_t n, const struct mlb_kalman_seen *seen,
		     double noise, double dt, double kappa)
{
	/* Steps longer than the native one gain as much variance and pull as the steps they stand for; a shorter one, which
	 * only a first frame is, counts as one. */
	double steps = dt > STEP_S ? dt / STEP_S : 1;
	double keep = exp(-dt / DECAY_S), mean_l = 0, mean_x = 0, offset = 0;

	if (n == 0 || !(dt > 0))
		return;
	pool->sum_d *= keep;
	pool->sum_q *= keep;
	/* A weight means something beside the others' only: what all have in common must not drift to the bound of the range. */
	for (uint32_t i = 0; i < n; i++)
		offset += (s[i].x - s[i].log_cfg) / n;
	for (uint32_t i = 0; i < n; i++)
		s[i].x -= offset;
	for (uint32_t i = 0; i < n; i++) {
		pool->sum_d += seen[i].d;
		pool->sum_q += seen[i].q;
		mean_l += log(seen[i].load + kappa);
		mean_x += s[i].x;
	}
	mean_l /= n;
	mean_x /= n;

	double rate = (pool->sum_d + .001) / (pool->sum_q + 1e-6);
	for (uint32_t i = 0; i < n; i++) {
		struct mlb_kalman_srv *k = &s[i];
		double d = seen[i].d, e = seen[i].q * rate, l = log(seen[i].load + kappa);
		/* An empty queue says nothing of the weight: below kappa the logarithm is flat, and would pull all weights
		 * together. */
		double v = log((d + EVENT) / (e + EVENT)) + counting_bias(e) +
			   PULL * e / (e + DOUBT) * ((l - mean_l) - (k->x - mean_x));
		double r = noise * NOISE / (e + NOISE_FLOOR);

		k->p += PROCESS * steps;
		double z2 = v * v / (k->p + r);
		if (z2 > JUMP_Z2)
			k->p += JUMP_GAIN * (z2 - JUMP_Z2) * r / (1 + r);
		double lim = CLIP_SIGMA * sqrt(k->p + r), g = k->p / (k->p + r);
		k->x += g * clamp(v, -lim, lim);
		k->p *= 1 - g;
		k->x += clamp(REVERT * steps, 0, 1) * (k->log_cfg - k->x);
		k->x = clamp(k->x, k->log_cfg - RANGE, k->log_cfg + RANGE);
	}
}

void mlb_kalman_weights(const struct mlb_kalman_srv *s, uint32_t n, double *weight)
{
	double top = -INFINITY;

	for (uint32_t i = 0; i < n; i++)
		top = s[i].x > top ? s[i].x : top;
	for (uint32_t i = 0; i < n; i++)
		weight[i] = exp(s[i].x - top);
}
