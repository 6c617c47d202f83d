/* SPDX-License-Identifier: Apache-2.0 */
#include "marllb/light.h"
#include <math.h>

#define MEAN_S 5.0
#define ALL .3  /* flows a server, all load balancers': up to these every flow is drawn, */
#define NONE .6 /* and none from these on */

float mlb_light_step(struct mlb_light *m, double dt, uint32_t n, double own, double peers, uint32_t load_balancers)
{
	double keep = exp(-dt / MEAN_S);
	if (!n || !(dt > 0))
		return 0;
	m->flow_s = m->flow_s * keep + dt * (peers > 0 ? own + peers : own * fmax(load_balancers, 1));
	m->seconds = m->seconds * keep + dt;
	double load = m->flow_s / m->seconds / n;
	return (float)fmax(0, fmin(1, (NONE - load) / (NONE - ALL)));
}
