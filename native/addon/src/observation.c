/* SPDX-License-Identifier: Apache-2.0 */
#include "observation.h"

#include <errno.h>

#include "marllb/hist.h"
#include "marllb/observe.h"

const uint32_t observation_schema = MLB_OBS_SCHEMA, observation_step_us = MLB_OBS_STEP_US,
	       observation_server_features = MLB_OBS_SERVER_FEATURES, observation_pool_features = MLB_OBS_POOL_FEATURES,
	       observation_max_servers = MLB_MAX_SERVERS_PER_VIP;

static struct observation_feature feature(const struct mlb_obs_feature *f)
{
	return (struct observation_feature){ .name = f->name, .block = f->block, .lo = f->lo, .hi = f->hi };
}

struct observation_feature observation_server_feature(uint32_t i)
{
	return feature(&mlb_obs_server_features[i]);
}

struct observation_feature observation_pool_feature(uint32_t i)
{
	return feature(&mlb_obs_pool_features[i]);
}

size_t observation_state_size(uint32_t n)
{
	return MLB_OBS_STATE_SIZE(n);
}

int observation_make(const void *hdr, size_t hdr_size, const void *records, size_t records_size, const void *prev,
		     size_t prev_size, void *next, struct observation *out)
{
	const struct mlb_frame_hdr *h = hdr;
	const struct mlb_obs_state *p = prev;
	if (hdr_size != sizeof(*h) || h->schema != MLB_FRAME_SCHEMA || h->record_size != sizeof(struct mlb_server_rec) ||
	    records_size != (uint64_t)h->count * sizeof(struct mlb_server_rec))
		return -EINVAL;
	/* A checkpoint comes back from an agent: its length must be that of what it says it holds. */
	if (p && (prev_size < sizeof(*p) || p->n > MLB_MAX_SERVERS_PER_VIP || prev_size != MLB_OBS_STATE_SIZE(p->n)))
		return -EPROTO;
	struct mlb_obs_out o = {
		.server = out->server, .pool = out->pool, .kalman = out->kalman, .stratum = out->stratum, .latency = out->latency
	};
	int rc = mlb_observe(h, records, p, next, &o);
	if (rc != 0)
		return rc;
	out->stepped = o.stepped;
	out->present = o.present;
	out->shared = o.shared;
	out->out_of_range = o.out_of_range;
	out->dt = o.dt;
	return 0;
}

void observation_names(const void *records, uint32_t n, uint32_t *ids, float *weight_static)
{
	const struct mlb_server_rec *r = records;
	for (uint32_t i = 0; i < n; i++) {
		ids[i] = r[i].id;
		weight_static[i] = r[i].weight_static;
	}
}
