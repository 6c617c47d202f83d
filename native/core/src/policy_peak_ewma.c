/* SPDX-License-Identifier: Apache-2.0 */
/* Peak EWMA, as Finagle's balancer and Envoy's contrib extension of that name do it: a server's latency rises at once to a peak
 * and decays from there with a time constant of 10 s. They choose the server of least latency * (outstanding + 1); the same comes
 * of weights of 1 / latency in modes p2c and sed, which compare (outstanding + kappa) / weight with kappa 1. A server that was
 * never heard of counts as one of mean latency, so that it gets flows and is heard of. */
#include "marllb/policy.h"
#include <math.h>

#define DECAY_S 10.0
#define LEAST_S 1e-5f /* what no server is quicker than: keeps weights finite */

static void step(const struct mlb_policy_in *in, float *latency, struct mlb_policy_out *out)
{
	float keep = (float)exp(-in->dt / DECAY_S);
	double sum = 0;
	uint32_t heard = 0;
	for (uint32_t i = 0; i < in->n; i++) {
		float seen = fmaxf(in->latency[i], LEAST_S);
		if (isfinite(in->latency[i]))
			latency[i] = seen > latency[i] ? seen : keep * latency[i] + (1 - keep) * seen;
		sum += latency[i];
		heard += latency[i] > 0;
	}
	float mean = heard ? (float)(sum / heard) : 1;
	for (uint32_t i = 0; i < in->n; i++)
		out->weight[i] = 1 / (latency[i] > 0 ? latency[i] : mean);
}

const struct mlb_policy mlb_policy_peak_ewma = {
	"peak-ewma", "1 / latency to the first byte, which rises at once and decays within 10 s", 1, 1, MLB_POLICY_LATENCY, step
};
