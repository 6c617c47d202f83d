/* SPDX-License-Identifier: Apache-2.0 */
#include "observer.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int sim_observer_init(struct sim_observer *o, uint32_t servers_max, int extra)
{
	bool latency = extra & SIM_OBSERVES_LATENCY, stratum = extra & SIM_OBSERVES_STRATUM;

	*o = (struct sim_observer){ 0 };
	o->state[0] = calloc(1, MLB_OBS_STATE_SIZE(servers_max));
	o->state[1] = calloc(1, MLB_OBS_STATE_SIZE(servers_max));
	o->out.server = calloc(servers_max, MLB_OBS_SERVER_FEATURES * sizeof(float));
	o->out.pool = calloc(MLB_OBS_POOL_FEATURES, sizeof(float));
	o->out.kalman = calloc(servers_max, sizeof(float));
	o->out.latency = latency ? calloc(servers_max, sizeof(float)) : NULL;
	o->out.stratum = stratum ? calloc(servers_max, sizeof(float)) : NULL;
	bool ok = o->state[0] && o->state[1] && o->out.server && o->out.pool && o->out.kalman;
	return ok && (o->out.latency || !latency) && (o->out.stratum || !stratum) ? 0 : -ENOMEM;
}

void sim_observer_free(struct sim_observer *o)
{
	free(o->state[0]);
	free(o->state[1]);
	free(o->out.server);
	free(o->out.pool);
	free(o->out.kalman);
	free(o->out.latency);
	free(o->out.stratum);
}

int sim_observe(struct sim_observer *o, const struct sim_lb_view *v, char err[256])
{
	int rc = mlb_observe(v->hdr, v->rec, o->seen ? o->state[o->cur] : NULL, o->state[!o->cur], &o->out);

	if (rc) {
		snprintf(err, 256, "observation: %s", strerror(-rc));
		return rc;
	}
	o->cur = !o->cur;
	o->seen = true;
	return 0;
}
