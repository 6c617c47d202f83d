/* SPDX-License-Identifier: Apache-2.0 */
/* Building the immutable table that workers choose from: shares, score factors and the alias table (Walker 1977; linear-time
 * build by Vose 1991). One allocation. */
#include "marllb/table.h"
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define MIN_SHARE 1e-8 /* keeps 1/w finite in float; a share this small gets no flow anyway */

/* p[i]: share times nslots, sums to nslots. Splits the columns into those below and above 1 and tops every one below up from one
 * above. What rounding leaves over is within an ulp of 1 and stands alone, unless its weight is 0: such a slot must never be
 * drawn. */
static void build_alias(uint32_t n, double *p, uint32_t heaviest, uint32_t *alias, uint32_t *threshold)
{
	uint16_t stack[MLB_MAX_SERVERS_PER_VIP]; /* small ones grow from the left, large ones from the right */
	uint32_t small = 0, large = n;

	for (uint32_t i = 0; i < n; i++) {
		bool is_small = p[i] < 1.0;
		stack[is_small ? small : large - 1] = (uint16_t)i;
		small += is_small;
		large -= !is_small;
	}
	while (small > 0 && large < n) {
		uint32_t l = stack[--small], g = stack[large];
		threshold[l] = (uint32_t)(p[l] * 0x1p32);
		alias[l] = g;
		p[g] -= 1.0 - p[l];
		if (p[g] < 1.0) {
			large++;
			stack[small++] = (uint16_t)g;
		}
	}
	while (large < n) {
		uint32_t g = stack[large++];
		threshold[g] = UINT32_MAX;
		alias[g] = g;
	}
	while (small > 0) {
		uint32_t l = stack[--small];
		threshold[l] = p[l] > 0.5 ? UINT32_MAX : 0;
		alias[l] = p[l] > 0.5 ? l : heaviest;
	}
}

static int check(uint32_t n, const float *weight, const float *bias, float kappa, enum mlb_mode mode)
{
	if (n > MLB_MAX_SERVERS_PER_VIP || mode < MLB_MODE_HASH || mode > MLB_MODE_P2C || !isfinite(kappa))
		return -EINVAL;
	for (uint32_t i = 0; i < n; i++)
		if (!isfinite(weight[i]) || weight[i] < 0 || (bias && !isfinite(bias[i])))
			return -EINVAL;
	return 0;
}

int mlb_table_new(struct mlb_table **out, uint32_t n, const float *weight, const float *bias, float kappa, enum mlb_mode mode,
		  uint32_t generation, struct mlb_ring *ring, struct mlb_ring *miss_ring)
{
	double p[MLB_MAX_SERVERS_PER_VIP], total = 0;
	uint32_t nslots = n ? (n + 7) & ~7u : 8, eligible = 0, heaviest = 0;
	int rc = check(n, weight, bias, kappa, mode);
	if (rc)
		return rc;
	if (mode == MLB_MODE_HASH && !ring && n)
		return -EINVAL;

	size_t head = (sizeof(struct mlb_table) + 63) & ~(size_t)63, column = ((size_t)nslots * 4 + 63) & ~(size_t)63;
	struct mlb_table *t = aligned_alloc(64, head + 5 * column);
	if (!t)
		return -ENOMEM;
	float *inv_w = (float *)((char *)t + head), *add = (float *)((char *)inv_w + column),
	      *share = (float *)((char *)add + column);
	uint32_t *alias = (uint32_t *)((char *)share + column), *threshold = (uint32_t *)((char *)alias + column);

	for (uint32_t i = 0; i < n; i++) {
		total += (double)weight[i];
		eligible += weight[i] > 0;
		if (weight[i] > weight[heaviest])
			heaviest = i;
	}
	double scale = total > 0 ? 1.0 / total : 0;
	for (uint32_t i = 0; i < nslots; i++) {
		double s = i < n ? (double)weight[i] * scale : 0;
		p[i] = s * nslots;
		share[i] = (float)s;
		inv_w[i] = s > 0 ? (float)(1.0 / (s > MIN_SHARE ? s : MIN_SHARE)) : 1.0f;
		add[i] = s > 0 ? (bias ? bias[i] : 0.0f) + kappa : MLB_Q_OUT;
	}
	if (eligible) {
		build_alias(nslots, p, heaviest, alias, threshold);
	} else {
		memset(alias, 0, column);
		memset(threshold, 0, column);
	}
	*t = (struct mlb_table){ .nslots = nslots,
				 .eligible = eligible,
				 .generation = generation,
				 .mode = mode,
				 .kappa = kappa,
				 .inv_w = inv_w,
				 .add = add,
				 .weight = share,
				 .alias = alias,
				 .threshold = threshold,
				 .ring = ring ? mlb_ring_ref(ring) : NULL,
				 .miss_ring = miss_ring ? mlb_ring_ref(miss_ring) : NULL };
	*out = t;
	return 0;
}

void mlb_table_free(struct mlb_table *t)
{
	if (!t)
		return;
	mlb_ring_unref(t->ring);
	mlb_ring_unref(t->miss_ring);
	free(t);
}
