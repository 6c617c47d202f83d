/* SPDX-License-Identifier: Apache-2.0 */
/* Frames made by hand and what is observed of them. */
#ifndef MARLLB_OBSERVE_BED_H
#define MARLLB_OBSERVE_BED_H
#include "mlbtest.h"
#include "marllb/hist.h"
#include "marllb/observe.h"

#define MAXN 8
#define SF MLB_OBS_SERVER_FEATURES

struct bed {
	struct mlb_frame_hdr h;
	struct mlb_server_rec r[MAXN];
	_Alignas(8) unsigned char st[2][sizeof(struct mlb_obs_state) + MAXN * sizeof(struct mlb_obs_srv)];
	int cur, has;
	float server[MAXN * SF], pool[MLB_OBS_POOL_FEATURES], kalman[MAXN], stratum[MAXN];
	struct mlb_obs_out out;
};

static struct mlb_obs_state *state(struct bed *b)
{
	return (struct mlb_obs_state *)b->st[b->cur];
}

static void begin(struct bed *b, uint32_t n, const float *weight)
{
	memset(b, 0, sizeof(*b));
	b->h.schema = MLB_FRAME_SCHEMA;
	b->h.record_size = sizeof(struct mlb_server_rec);
	b->h.dp_epoch = 7;
	b->h.count = n;
	b->h.load_balancers = 2;
	b->h.kappa = .5f;
	b->out.server = b->server;
	b->out.pool = b->pool;
	b->out.kalman = b->kalman;
	b->out.stratum = b->stratum;
	for (uint32_t i = 0; i < n; i++) {
		b->r[i].id = i + 1;
		b->r[i].flags = MLB_SRV_MEMBER;
		b->r[i].weight_static = weight ? weight[i] : 1;
	}
}

static int look(struct bed *b, double at_s)
{
	b->h.mono_ns = (uint64_t)(at_s * 1e9 + .5);
	int rc = mlb_observe(&b->h, b->r, b->has ? state(b) : NULL, (struct mlb_obs_state *)b->st[!b->cur], &b->out);
	if (rc == 0) {
		b->cur = !b->cur;
		b->has = 1;
	}
	return rc;
}

/* Server i: q flows in progress for dt seconds, d of them done and replaced. */
static void work(struct bed *b, uint32_t i, double dt, uint32_t q, uint32_t d)
{
	struct mlb_server_rec *r = &b->r[i];
	r->flows = q;
	r->flow_us += (uint64_t)(q * dt * 1e6 + .5);
	r->completions += d;
	r->new_flows = r->completions + q;
}

static int feature(const char *name)
{
	for (int i = 0; i < (int)SF; i++)
		if (!strcmp(mlb_obs_server_features[i].name, name))
			return i;
	return -1;
}

static float get(const struct bed *b, uint32_t srv, const char *name)
{
	return b->server[srv * SF + (uint32_t)feature(name)];
}

static inline float get_pool(const struct bed *b, const char *name)
{
	for (uint32_t i = 0; i < MLB_OBS_POOL_FEATURES; i++)
		if (!strcmp(mlb_obs_pool_features[i].name, name))
			return b->pool[i];
	return NAN;
}
#endif
