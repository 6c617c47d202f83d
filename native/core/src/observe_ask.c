/* SPDX-License-Identifier: Apache-2.0 */
/* A server that once was slow gets a weight so small that the choice never takes it: then nothing tells that it is well again. It
 * is asked again: while it goes without flows its weight rises with every flow that it would have had as usual, until it gets
 * one. What it does with that one decides: done as quickly as elsewhere, it is what it usually was; else it falls back, and
 * waits for as many flows again. What a server usually is, is a slow mean of what the filter believed while there was evidence,
 * so a server that is small, whatever its configured weight says, is not asked for more than it ever did. */
#include <math.h>
#include "observe_priv.h"

#define USUAL_STEPS 300.0 /* of evidence: 60 s */
#define LOW .7            /* so far below usual (log) is a server held for slow */
#define MISSED 8.0        /* flows after which it counts as left out */
#define RISE .2           /* of log weight a flow more */
#define EVIDENCE .3       /* expected completions at which a step says half of what it can */
#define AS_QUICK .5       /* of the pool's completions a flow-second: quick enough */
#define FRESH_P .3        /* variance of one that joins */

static double mean_offset(const struct mlb_obs_state *st, const struct obs_step *u)
{
	double sum = 0, n = 0;
	for (uint32_t i = 0; i < st->n; i++)
		if (u[i].counts) {
			sum += st->srv[i].kalman.x - st->srv[i].kalman.log_cfg;
			n++;
		}
	return n > 0 ? sum / n : 0;
}

static void learn_usual(struct mlb_obs_srv *s, double offset, double e)
{
	double c = e / (e + EVIDENCE);
	/* A slow phase is no habit yet: the longer a server is known, the less of it counts. */
	if (offset < (double)s->usual - LOW)
		c *= 1 - .95 * (double)s->usual_steps / USUAL_STEPS;
	s->usual_steps = (float)fmin(USUAL_STEPS, s->usual_steps + c);
	if (s->usual_steps > 0)
		s->usual += (float)(c / fmax(s->usual_steps, 1) * (offset - (double)s->usual));
}

/* It has had a flow since it was left out: is it well? */
static void judge(struct mlb_obs_srv *s, double want, double rate)
{
	double d = s->ema[OBS_D1], e = s->ema[OBS_Q1] * rate;
	if (d < .5)
		return; /* not done yet; meanwhile the filter counts what it does not do */
	if (d >= AS_QUICK * e && s->kalman.x < want) {
		s->kalman.x = want;
		s->kalman.p = fmax(s->kalman.p, FRESH_P);
	}
	s->missed = 0;
}

void obs_ask_again(struct mlb_obs_state *st, const struct obs_step *u, const struct obs_pool_step *p)
{
	double mean = mean_offset(st, u), top = -HUGE_VAL, sum = 0;
	double rate = (st->pool.sum_d + .001) / (st->pool.sum_q + 1e-6);
	for (uint32_t i = 0; i < st->n; i++)
		top = fmax(top, st->srv[i].kalman.log_cfg + (double)st->srv[i].usual);
	for (uint32_t i = 0; i < st->n; i++)
		sum += u[i].counts ? exp(st->srv[i].kalman.log_cfg + (double)st->srv[i].usual - top) : 0;
	for (uint32_t i = 0; i < st->n; i++) {
		struct mlb_obs_srv *s = &st->srv[i];
		double want = s->kalman.log_cfg + (double)s->usual + mean;
		double share = sum > 0 ? exp(s->kalman.log_cfg + (double)s->usual - top) / sum : 0;
		bool idle = u[i].flows == 0 && u[i].load == 0 && u[i].opened <= 0;
		if (!u[i].counts)
			continue;
		if (!idle) {
			if (s->missed > MISSED)
				judge(s, want, rate);
			else
				s->missed = 0;
			learn_usual(s, s->kalman.x - s->kalman.log_cfg - mean, u[i].q * rate);
			continue;
		}
		if (s->kalman.x > want - LOW && s->missed <= MISSED) {
			s->missed = 0;
			continue;
		}
		double more = p->opened * share;
		s->missed += (float)more;
		if (s->missed > MISSED && s->kalman.x < want)
			s->kalman.x = fmin(want, s->kalman.x + RISE * more);
	}
}
