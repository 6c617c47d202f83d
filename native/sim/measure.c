/* SPDX-License-Identifier: Apache-2.0 */
#include "run.h"
#include <marllb/fairness.h>
#include <marllb/envelope.h>
#include <string.h>

int sim_measure_failure(struct sim_run *r, double ct_s)
{
	r->failed++;
	return ct_s > 0 ? sim_measure_add(r, ct_s) : 0;
}

int sim_measure_add(struct sim_run *r, double ct_s)
{
	if (r->cts == r->ct_cap) {
		size_t cap = r->ct_cap ? r->ct_cap * 2 : r->w->flows + 16;
		float *more = realloc(r->ct, cap * sizeof(*more));
		if (!more)
			return -ENOMEM;
		r->ct = more;
		r->ct_cap = cap;
	}
	if (ct_s > r->w->timeout_s)
		ct_s = r->w->timeout_s;
	r->ct[r->cts++] = (float)ct_s;
	r->ct_sum += ct_s;
	return 0;
}

/* Closes the second's counts of new flows. */
static void count_chosen(struct sim_run *r, bool counts)
{
	const struct sim_slowdown *slow = r->sc->slowdowns ? &r->sc->slowdown[0] : NULL;
	double all = 0, weight = 0;

	for (uint32_t j = 0; j < r->sc->n; j++) {
		all += r->opened[j];
		weight += r->w->weight[j];
		r->chosen[j] += counts ? r->opened[j] : 0;
	}
	if (slow && isnan(r->back_s) && r->now >= slow->at_s + slow->for_s + 1 - 1e-9 &&
	    r->opened[slow->first] >= .5 * all * r->w->weight[slow->first] / weight)
		r->back_s = r->now - slow->at_s - slow->for_s;
	memset(r->opened, 0, r->sc->n * sizeof(*r->opened));
}

/* Closes one second of Jain's index over mean jobs / mean capacity of that second, of the servers that take new flows. */
void sim_measure_second(struct sim_run *r)
{
	bool counts = r->now > r->sc->warm_s + 1e-9;
	double load[MLB_MAX_SERVERS_PER_VIP];
	uint32_t n = 0;

	for (uint32_t k = 0; k < r->members; k++) {
		uint32_t j = sim_server_of(r, r->member[k]);
		struct sim_server *s = &r->server[j];
		sim_server_advance(s, r->now);
		double cap = s->capacity_s - r->capacity_at[j];
		if (r->scratch.factor[k] > 0)
			load[n++] = cap > 0 ? (s->jobs_s - r->jobs_at[j]) / cap : 0;
		r->jobs_mark += counts ? s->jobs_s - r->jobs_at[j] : 0;
		r->jobs_at[j] = s->jobs_s;
		r->capacity_at[j] = s->capacity_s;
	}
	count_chosen(r, counts);
	if (counts && n) {
		r->jain_sum += mlb_jain(load, n);
		r->jain_n++;
	}
}

/* The k-th smallest (from 0), by selection with three parts; reorders v. */
static float select_kth(float *v, size_t n, size_t k)
{
	size_t lo = 0, hi = n - 1;

	while (lo < hi) {
		float a = v[lo], b = v[lo + (hi - lo) / 2], c = v[hi];
		float pivot = a < b ? (b < c ? b : a < c ? c : a) : (a < c ? a : b < c ? c : b);
		size_t lt = lo, gt = hi, i = lo;
		while (i <= gt) {
			float x = v[i];
			if (x < pivot) {
				v[i++] = v[lt];
				v[lt++] = x;
			} else if (x > pivot) {
				v[i] = v[gt];
				v[gt--] = x;
			} else {
				i++;
			}
		}
		if (k < lt)
			hi = lt - 1;
		else if (k > gt)
			lo = gt + 1;
		else
			break;
	}
	return v[k];
}

/* Mean log by products of 16: one logarithm for all of them, far from over- and underflow. */
static double mean_log(const float *v, size_t n)
{
	double sum = 0;

	for (size_t i = 0; i < n;) {
		double product = 1;
		for (uint32_t k = 0; k < 16 && i < n; k++, i++)
			product *= v[i] > 1e-12f ? v[i] : 1e-12;
		sum += log(product);
	}
	return sum / n;
}

void sim_measure_result(struct sim_run *r, struct sim_result *out)
{
	memset(out, 0, sizeof(*out));
	out->flows = r->cts;
	out->events = r->requests;
	out->refused = r->refused;
	out->failed = r->failed;
	if (r->jain_n) {
		out->jain = r->jain_sum / r->jain_n;
		out->jobs = r->jobs_mark / r->jain_n;
	}
	double by_weight[MLB_MAX_SERVERS_PER_VIP], all = 0;
	for (uint32_t j = 0; j < r->sc->n; j++) {
		by_weight[j] = r->chosen[j] / r->w->weight[j];
		all += r->chosen[j];
	}
	out->flows_jain = all > 0 ? mlb_jain(by_weight, r->sc->n) : NAN;
	const struct sim_slowdown *slow = r->sc->slowdowns ? &r->sc->slowdown[0] : NULL;
	double left = slow ? r->sc->end_s - slow->at_s - slow->for_s : NAN;
	out->back_s = isnan(r->back_s) && left > 0 ? left : r->back_s;
	if (!r->cts)
		return;
	out->mean_s = r->ct_sum / r->cts;
	/* Each selection leaves what is greater behind it, so that the next one has less to look at. */
	size_t n = r->cts, k50 = (size_t)(.50 * n), k90 = (size_t)(.90 * n), k95 = (size_t)(.95 * n), k99 = (size_t)(.99 * n);
	double tail = 0;
	out->p90_s = select_kth(r->ct, n, k90);
	out->p50_s = k90 ? select_kth(r->ct, k90, k50) : out->p90_s;
	select_kth(r->ct + k90, n - k90, k95 - k90);
	out->p99_s = select_kth(r->ct + k95, n - k95, k99 - k95);
	for (size_t i = k95; i < n; i++)
		tail += r->ct[i];
	out->cvar95_s = tail / (n - k95);
	out->mean_log_s = mean_log(r->ct, r->cts);
}
