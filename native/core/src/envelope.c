/* SPDX-License-Identifier: Apache-2.0 */
#include "marllb/envelope.h"

#include <math.h>

#define RATE_PERIOD_S 0.2 /* step_ratio is said for this much time */

static enum mlb_refuse check_numbers(uint32_t n, const float *v, float max)
{
	for (uint32_t i = 0; i < n; i++) {
		if (!isfinite(v[i]))
			return MLB_REFUSE_NOT_FINITE;
		if (v[i] < 0)
			return MLB_REFUSE_NEGATIVE;
		if (v[i] > max)
			return MLB_REFUSE_OUT_OF_RANGE;
	}
	return MLB_REFUSE_NONE;
}

static enum mlb_refuse check(const struct mlb_envelope_conf *c, uint32_t n, const float *raw, const float *stat,
			     const float *factor)
{
	if (n == 0 || n > MLB_MAX_SERVERS_PER_VIP)
		return MLB_REFUSE_LENGTH;
	if (!isfinite(c->trust) || c->trust < 0 || !isfinite(c->step_ratio) || c->step_ratio < 0 || !isfinite(c->dt_s) ||
	    !isfinite(c->ejected_cap) || c->ejected_cap < 0)
		return MLB_REFUSE_OUT_OF_RANGE;
	enum mlb_refuse r = check_numbers(n, raw, INFINITY);
	if (r == MLB_REFUSE_NONE)
		r = check_numbers(n, stat, INFINITY);
	if (r == MLB_REFUSE_NONE && factor)
		r = check_numbers(n, factor, 1.0f);
	for (uint32_t i = 0; i < n && r == MLB_REFUSE_NONE; i++)
		if (stat[i] == 0)
			r = MLB_REFUSE_OUT_OF_RANGE;
	return r;
}

static double clamp(double x, double lo, double hi)
{
	return x < lo ? lo : x > hi ? hi : x;
}

/* The scale at which the clamped shares sum to 1: clamping and normalising one after the other would break the bounds again. The
 * sum grows with the scale, in straight pieces: Newton's step, kept inside a bracket. */
static double scale_to_one(uint32_t n, const double *share, const double *lo, const double *hi, const bool *in)
{
	double low = 0, high = INFINITY, scale = 1;
	for (int it = 0; it < 100; it++) {
		double sum = 0, slope = 0;
		for (uint32_t i = 0; i < n; i++) {
			if (!in[i])
				continue;
			double x = scale * share[i];
			sum += clamp(x, lo[i], hi[i]);
			if (x > lo[i] && x < hi[i])
				slope += share[i];
		}
		if (fabs(sum - 1) < 1e-9)
			break;
		if (sum < 1)
			low = scale;
		else
			high = scale;
		double next = slope > 0 ? scale + (1 - sum) / slope : -1;
		if (!(next > low && next < high))
			next = isinf(high) ? scale * 64 : low > 0 ? sqrt(low * high) : high / 64;
		if (next == scale || next > 1e100)
			break; /* every share at its bound: nothing left to scale */
		scale = next;
	}
	return scale;
}

/* Bounds of each eligible share: the trust's range around the static share, within it what the rate allows from the last one. A
 * last share outside the trust's range (the trust was changed, or the server is back) moves into it at once. */
static void bounds(const struct mlb_envelope_conf *c, uint32_t n, const double *stat, const float *prev, const bool *in,
		   double *lo, double *hi)
{
	double range = exp(c->trust);
	double step = c->step_ratio > 0 ? pow(fmax(c->step_ratio, 1), fmax(c->dt_s, 0) / RATE_PERIOD_S) : INFINITY;
	double prev_sum = 0, stat_sum = 0;

	for (uint32_t i = 0; prev && i < n; i++) {
		if (in[i] && isfinite(prev[i]) && prev[i] > 0) {
			prev_sum += prev[i];
			stat_sum += stat[i];
		}
	}
	for (uint32_t i = 0; i < n; i++) {
		lo[i] = stat[i] / range;
		hi[i] = fmin(stat[i] * range, 1);
		if (!in[i] || !prev || isinf(step) || !isfinite(prev[i]) || prev[i] <= 0)
			continue;
		/* The set of eligible servers may have changed: the last shares, scaled to the place they share now. */
		double p = clamp(prev[i] / prev_sum * stat_sum, lo[i], hi[i]);
		lo[i] = fmax(lo[i], p / step);
		hi[i] = fmin(hi[i], p * step);
	}
}

static void cap_ejected(uint32_t n, const uint8_t *ejected, double cap, double *x)
{
	double out = 0, all = 0;
	for (uint32_t i = 0; i < n; i++) {
		all += x[i];
		out += ejected[i] ? x[i] : 0;
	}
	if (out <= cap * all || out >= all)
		return; /* within the cap, or nobody else to give it to */
	for (uint32_t i = 0; i < n; i++)
		x[i] *= ejected[i] ? cap * all / out : (1 - cap) * all / (all - out);
}

/* Of a weight vector, the sum of those in. */
static double sum_in(uint32_t n, const float *v, const bool *in)
{
	double sum = 0;
	for (uint32_t i = 0; i < n; i++)
		sum += in[i] ? (double)v[i] : 0;
	return sum;
}

/* Who is eligible: those whose factor is above 0, or all. Returns the factors that count then. */
static const float *eligible(uint32_t n, const float *factor, bool *in)
{
	bool any = false;
	for (uint32_t i = 0; factor && i < n; i++)
		any |= factor[i] > 0;
	for (uint32_t i = 0; i < n; i++)
		in[i] = !any || factor[i] > 0;
	return any ? factor : NULL;
}

/* What is asked, as shares of the eligible servers. Weights that masks leave empty are no reason to publish nothing: the order
 * that masked them would then not act either. The eligible servers share by their static weights. */
static enum mlb_refuse asked(const struct mlb_envelope_conf *c, uint32_t n, const float *raw, const float *stat, const bool *in,
			     double *x)
{
	double sum = sum_in(n, raw, in);
	bool any = false;
	for (uint32_t i = 0; i < n; i++)
		any |= raw[i] > 0;
	if (!any && !c->exact)
		return MLB_REFUSE_ALL_ZERO;
	if (sum <= 0) {
		raw = stat;
		sum = sum_in(n, stat, in);
	}
	for (uint32_t i = 0; i < n; i++)
		x[i] = in[i] ? raw[i] / sum : 0;
	return MLB_REFUSE_NONE;
}

static void bound(const struct mlb_envelope_conf *c, uint32_t n, const float *stat, const float *prev, const bool *in, double *x)
{
	double s[MLB_MAX_SERVERS_PER_VIP], lo[MLB_MAX_SERVERS_PER_VIP], hi[MLB_MAX_SERVERS_PER_VIP];
	double stat_sum = sum_in(n, stat, in);
	for (uint32_t i = 0; i < n; i++)
		s[i] = in[i] ? stat[i] / stat_sum : 0;
	bounds(c, n, s, prev, in, lo, hi);
	double scale = scale_to_one(n, x, lo, hi, in), sum = 0;
	for (uint32_t i = 0; i < n; i++) {
		x[i] = in[i] ? clamp(scale * x[i], lo[i], hi[i]) : 0;
		sum += x[i];
	}
	for (uint32_t i = 0; i < n; i++)
		x[i] /= sum;
}

enum mlb_refuse mlb_envelope(const struct mlb_envelope_conf *c, uint32_t n, const float *raw, const float *stat,
			     const float *factor, const float *prev, const uint8_t *ejected, float *bare, float *share)
{
	bool in[MLB_MAX_SERVERS_PER_VIP];
	double x[MLB_MAX_SERVERS_PER_VIP], total = 0;
	enum mlb_refuse why = check(c, n, raw, stat, factor);
	if (why != MLB_REFUSE_NONE)
		return why;
	factor = eligible(n, factor, in);
	why = asked(c, n, raw, stat, in, x);
	if (why != MLB_REFUSE_NONE)
		return why;
	if (!c->exact)
		bound(c, n, stat, prev, in, x);
	for (uint32_t i = 0; i < n; i++) {
		if (bare)
			bare[i] = (float)x[i];
		x[i] *= factor ? (double)factor[i] : 1;
		total += x[i];
	}
	for (uint32_t i = 0; i < n; i++)
		x[i] /= total;
	if (ejected && !c->exact)
		cap_ejected(n, ejected, c->ejected_cap, x);
	for (uint32_t i = 0; i < n; i++)
		share[i] = (float)x[i];
	return MLB_REFUSE_NONE;
}

void mlb_envelope_bias(float trust, uint32_t n, const float *load, float kappa, float *bias)
{
	float down = expf(-trust) - 1, down_idle = expf(-2 * trust) - 1, up = expf(trust) - 1;
	float k = kappa > 0 ? kappa : 1;
	for (uint32_t i = 0; i < n; i++) {
		float least = down * load[i] + down_idle * k, most = up * (load[i] + k);
		if (!isfinite(bias[i]))
			bias[i] = 0;
		else if (bias[i] < least)
			bias[i] = least;
		else if (bias[i] > most)
			bias[i] = most;
	}
}
