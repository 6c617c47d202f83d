/* SPDX-License-Identifier: Apache-2.0 */
#include "report.h"
#include <math.h>
#include <stdio.h>

/* Ratio of sums over seeds, its interval by leaving one seed out at a time. pick: 0 mean, 1 p99. */
static struct sim_ratio ratio(const struct sim_batch *b, uint32_t k, uint32_t ref, int pick)
{
	double a = 0, r = 0, sum = 0, sq = 0;
	uint32_t n = b->scenarios;

#define V(i, s) (pick ? b->result[(size_t)(i)*b->strategies + (s)].p99_s : b->result[(size_t)(i)*b->strategies + (s)].mean_s)
	for (uint32_t i = 0; i < n; i++) {
		a += V(i, k);
		r += V(i, ref);
	}
	for (uint32_t i = 0; i < n && n > 1; i++) {
		double l = log((a - V(i, k)) / (r - V(i, ref)));
		sum += l;
		sq += l * l;
	}
#undef V
	double var = n > 1 ? (n - 1.) / n * fmax(sq - sum * sum / n, 0) : 0, h = 1.96 * sqrt(var), v = a / r;
	return (struct sim_ratio){ v, v * exp(-h), v * exp(h), v * (exp(h) - 1) };
}

static struct sim_result average(const struct sim_batch *b, uint32_t k)
{
	struct sim_result m = { 0 };

	for (uint32_t i = 0; i < b->scenarios; i++) {
		const struct sim_result *r = &b->result[(size_t)i * b->strategies + k];
		m.flows += r->flows;
		m.refused += r->refused;
		m.failed += r->failed;
		m.mean_s += r->mean_s / b->scenarios;
		m.p50_s += r->p50_s / b->scenarios;
		m.p90_s += r->p90_s / b->scenarios;
		m.p99_s += r->p99_s / b->scenarios;
		m.jain += r->jain / b->scenarios;
		m.jobs += r->jobs / b->scenarios;
		m.flows_jain += r->flows_jain / b->scenarios;
		m.back_s += r->back_s / b->scenarios;
	}
	return m;
}

/* Where nothing was measured there is no ratio, and JSON has no word for NaN. */
void sim_print_number(double v)
{
	if (isfinite(v))
		printf("%.6g", v);
	else
		printf("null");
}

static void ratio_json(const char *key, const struct sim_ratio *r)
{
	printf(",\"%s\":{\"value\":", key);
	sim_print_number(r->value);
	printf(",\"low\":");
	sim_print_number(r->low);
	printf(",\"high\":");
	sim_print_number(r->high);
	printf("}");
}

static void as_json(const struct sim_args *a, const struct sim_batch *b, const char *name)
{
	printf("\n{\"scenario\":\"");
	sim_print_escaped(name);
	printf("\",\"seeds\":%u,\"seed\":%llu,\"strategies\":[", b->scenarios, (unsigned long long)a->seed);
	for (uint32_t k = 0; k < a->strategies; k++) {
		struct sim_result m = average(b, k);
		printf("%s\n{\"strategy\":\"", k ? "," : "");
		sim_print_escaped(a->strategy[k].name);
		printf("\",\"flows\":%llu,\"refused\":%llu,\"failed\":%llu,\"mean_ms\":%.6g,\"p50_ms\":%.6g,\"p90_ms\":%.6g,"
		       "\"p99_ms\":%.6g,"
		       "\"jain\":%.6g,\"jobs\":%.6g",
		       (unsigned long long)m.flows, (unsigned long long)m.refused, (unsigned long long)m.failed, m.mean_s * 1e3,
		       m.p50_s * 1e3, m.p90_s * 1e3, m.p99_s * 1e3, m.jain, m.jobs);
		printf(",\"flows_jain\":");
		sim_print_number(m.flows_jain);
		printf(",\"back_s\":");
		sim_print_number(m.back_s);
		if (a->reference < a->strategies) {
			struct sim_ratio mean = ratio(b, k, a->reference, 0), p99 = ratio(b, k, a->reference, 1);
			ratio_json("mean_ratio", &mean);
			ratio_json("p99_ratio", &p99);
		}
		printf("}");
	}
	printf("]}");
}

static void as_table(const struct sim_args *a, const struct sim_batch *b, const char *name)
{
	bool ref = a->reference < a->strategies;

	printf("%s: %u seeds\n  %-30s %10s %10s %7s %9s %9s", name, b->scenarios, "strategy", "mean ms", "p99 ms", "Jain",
	       "refused", "failed");
	printf(ref ? "  relative to %s\n" : "\n", ref ? a->strategy[a->reference].name : "");
	for (uint32_t k = 0; k < a->strategies; k++) {
		struct sim_result m = average(b, k);
		printf("  %-30s %10.2f %10.2f %7.4f %9llu %9llu", a->strategy[k].name, m.mean_s * 1e3, m.p99_s * 1e3, m.jain,
		       (unsigned long long)m.refused, (unsigned long long)m.failed);
		if (ref) {
			struct sim_ratio mean = ratio(b, k, a->reference, 0), p99 = ratio(b, k, a->reference, 1);
			printf("  mean %.3f +- %.3f  p99 %.3f +- %.3f", mean.value, mean.half, p99.value, p99.half);
		}
		printf("\n");
	}
}

void sim_print_escaped(const char *s)
{
	for (; *s; s++)
		if (*s == '"' || *s == '\\')
			printf("\\%c", *s);
		else
			printf((unsigned char)*s < 0x20 ? "\\u%04x" : "%c", (unsigned char)*s);
}

void sim_report(const struct sim_args *a, const struct sim_batch *b, const char *scenario, bool first)
{
	if (a->json) {
		printf(first ? "{\"scenarios\":[" : ",");
		as_json(a, b, scenario);
	} else {
		as_table(a, b, scenario);
	}
}
