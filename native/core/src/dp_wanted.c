/* SPDX-License-Identifier: Apache-2.0 */
/* A wanted server list by itself. */
#include "dp_wanted.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "dp_fail.h"

/* Products and sums of a whole pool's weights stay far inside a float. */
#define LEAST_WEIGHT 1e-6f
#define MOST_WEIGHT 1e6f

int dp_weight_check(float w, const struct mlb_endpoint *ep, char *err)
{
	char text[64];
	if (isfinite(w) && w >= LEAST_WEIGHT && w <= MOST_WEIGHT)
		return 0;
	return dp_fail(err, -EINVAL, "server %s: a weight is a number above 0 (%g to %g), not %g", mlb_endpoint_text(ep, text),
		       (double)LEAST_WEIGHT, (double)MOST_WEIGHT, (double)w);
}

struct wanted {
	const struct mlb_endpoint *ep;
	uint32_t index;
};

static int by_address(const void *a, const void *b)
{
	const struct mlb_endpoint *x = ((const struct wanted *)a)->ep, *y = ((const struct wanted *)b)->ep;
	int c = memcmp(&x->addr, &y->addr, sizeof(x->addr));
	return c ? c : (int)x->port - (int)y->port;
}

int dp_wanted_check(struct dp_vip *v, const struct mlb_endpoint *ep, const float *weight, uint32_t n, char *err)
{
	struct wanted w[MLB_MAX_SERVERS_PER_VIP];
	char text[64];
	if (n > v->conf.capacity)
		return dp_fail(err, -E2BIG, "vip %s: %u servers wanted, capacity is %u", v->conf.name, n, v->conf.capacity);
	for (uint32_t i = 0; i < n; i++) {
		int rc = dp_weight_check(weight[i], &ep[i], err);
		if (rc != 0)
			return rc;
		w[i] = (struct wanted){ &ep[i], i };
	}
	qsort(w, n, sizeof(w[0]), by_address);
	for (uint32_t i = 1; i < n; i++)
		if (by_address(&w[i - 1], &w[i]) == 0)
			return dp_fail(err, -EEXIST, "vip %s: server %s is named twice", v->conf.name,
				       mlb_endpoint_text(w[i].ep, text));
	return 0;
}
