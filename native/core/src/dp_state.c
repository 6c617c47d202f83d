/* SPDX-License-Identifier: Apache-2.0 */
#include "dp_state.h"

#include <math.h>
#include <string.h>

#include "dp_fail.h"

bool dp_state_good_vip(const struct dp_state_vip *v)
{
	return v->name[0] && memchr(v->name, 0, sizeof(v->name)) && isfinite(v->kappa) && v->kappa >= 0 && v->kappa <= 1e6f &&
	       v->load_balancers <= 1000000 && v->load_balancer <= v->load_balancers && v->mode <= MLB_MODE_P2C &&
	       v->ladder <= MLB_LADDER_STATIC_DP && v->owner <= MLB_OWNER_MANAGED && v->exact <= 1 && v->newcomers_wait <= 1 &&
	       v->count <= MLB_MAX_SERVERS_PER_VIP;
}

bool dp_state_good_server(const struct dp_state_server *s)
{
	return s->flags && !(s->flags & ~(MLB_SRV_MEMBER | MLB_SRV_DRAINING)) && isfinite(s->weight_static) &&
	       s->weight_static >= 1e-6f && s->weight_static <= 1e6f && isfinite(s->share) && s->share >= 0 &&
	       s->share <= 1.001e6f && isfinite(s->factor) && s->factor >= 0 && s->factor <= 1 && isfinite(s->bias) &&
	       fabsf(s->bias) <= 1e6f;
}

static struct dp_state_vip vip_state(const struct dp_vip *v)
{
	struct dp_state_vip e = { .term = v->term,
				  .mode_term = v->mode_term,
				  .pool_revision = v->pool_revision,
				  .kappa = v->kappa,
				  .load_balancers = v->load_balancers,
				  .load_balancer = v->load_balancer,
				  .mode = (uint8_t)(v->mode != v->own_mode ? v->mode : MLB_MODE_KEEP),
				  .ladder = (uint8_t)v->ladder,
				  .owner = v->conf.owner,
				  .exact = v->exact,
				  .newcomers_wait = v->newcomers_wait };
	memcpy(e.name, v->conf.name, sizeof(e.name));
	return e;
}

static struct dp_state_server server_state(const struct dp_server *s)
{
	return (struct dp_state_server){ .addr = s->pub.ep.addr,
					 .port = s->pub.ep.port,
					 .flags = (uint16_t)(s->pub.flags & (MLB_SRV_MEMBER | MLB_SRV_DRAINING)),
					 .weight_static = s->pub.weight_static,
					 .share = s->share,
					 .factor = s->factor,
					 .bias = s->bias };
}

int64_t mlb_dp_export(const struct mlb_dp *dp, void *buf, uint64_t cap)
{
	struct dp_state_hdr h = { .magic = DP_STATE_MAGIC };
	DP_EACH_VIP(dp, v) {
		h.vips += !v->deleting;
		h.servers += v->deleting ? 0 : v->members;
	}
	uint64_t size = dp_state_size(h.vips, h.servers);
	if (!buf)
		return (int64_t)size;
	if (size > cap)
		return -EMSGSIZE;
	memcpy(buf, &h, sizeof(h));
	struct dp_state_vip *e = dp_state_vips(buf);
	struct dp_state_server *out = dp_state_servers(buf);
	uint32_t n = 0;
	DP_EACH_VIP(dp, v) {
		if (v->deleting)
			continue;
		*e = vip_state(v);
		e->first = n;
		DP_EACH_SERVER(v, s)
			if (dp_is_member(s))
				out[n++] = server_state(s);
		e->count = n - e->first;
		e++;
	}
	MLB_ASSERT(n == h.servers);
	return (int64_t)size;
}

static int check(void *state, uint64_t len, char *err)
{
	struct dp_state_hdr *h = state;
	if (len < sizeof(*h) || h->magic != DP_STATE_MAGIC)
		return dp_fail(err, -EPROTO, "the state of the data plane before: of another release, or none at all");
	if (h->vips > MLB_MAX_VIPS || h->servers > MLB_MAX_SERVERS || len < dp_state_size(h->vips, h->servers))
		return dp_fail(err, -EPROTO, "the state of the data plane before: %llu bytes for %u VIPs and %u servers",
			       (unsigned long long)len, h->vips, h->servers);
	for (uint32_t i = 0; i < h->vips; i++) {
		struct dp_state_vip *e = &dp_state_vips(state)[i];
		if (!dp_state_good_vip(e) || e->first > h->servers || e->count > h->servers - e->first)
			return dp_fail(err, -EPROTO, "the state of the data plane before: VIP %u of it makes no sense", i);
	}
	for (uint32_t i = 0; i < h->servers; i++)
		if (!dp_state_good_server(&dp_state_servers(state)[i]))
			return dp_fail(err, -EPROTO, "the state of the data plane before: server %u of it makes no sense", i);
	return 0;
}

int mlb_dp_inherit(struct mlb_dp *dp, const void *state, uint64_t len, char err[256])
{
	if (dp_vip_from(dp, 1))
		return dp_fail(err, -EBUSY, "a data plane inherits before it has VIPs");
	void *copy = malloc(len ? len : 1);
	if (!copy)
		return dp_fail(err, -ENOMEM, "no memory for the state of the data plane before");
	memcpy(copy, state, len);
	int rc = check(copy, len, err);
	if (rc != 0) {
		free(copy);
		return rc;
	}
	free(dp->state);
	dp->state = copy;
	return 0;
}

uint32_t mlb_dp_inherited(const struct mlb_dp *dp)
{
	return dp->state ? ((struct dp_state_hdr *)dp->state)->vips : 0;
}

void dp_state_begin(struct mlb_dp *dp, struct dp_vip *v)
{
	for (uint32_t i = 0; i < mlb_dp_inherited(dp); i++) {
		struct dp_state_vip *e = &dp_state_vips(dp->state)[i];
		if (strcmp(e->name, v->conf.name) != 0)
			continue;
		v->inherited = e;
		v->inherited_servers = dp_state_servers(dp->state) + e->first;
		v->term = e->term;
		v->kappa = e->kappa;
		v->load_balancers = e->load_balancers ? e->load_balancers : v->load_balancers;
		v->load_balancer = e->load_balancer;
		v->ladder = e->ladder;
		v->exact = e->exact;
		v->newcomers_wait = e->newcomers_wait;
		v->pool_revision = e->pool_revision;
		if (e->mode != MLB_MODE_KEEP) {
			v->mode = e->mode;
			v->mode_term = e->mode_term;
		}
		if (e->ladder != MLB_LADDER_STATIC_DP) { /* weights of an agent: its lease begins now */
			dp->agent_alive = true;
			dp->heartbeat_us = dp->now_us;
		}
	}
}

bool dp_state_take(const struct dp_vip *v, const struct mlb_endpoint *ep, struct dp_state_server *out)
{
	for (uint32_t i = 0; v->inherited && i < v->inherited->count; i++) {
		struct dp_state_server *s = &v->inherited_servers[i];
		if (!s->flags || s->port != ep->port || memcmp(&s->addr, &ep->addr, sizeof(s->addr)) != 0)
			continue;
		*out = *s;
		s->flags = 0;
		return true;
	}
	return false;
}

uint32_t dp_state_list(const struct dp_vip *v, struct mlb_endpoint *ep, float *weight, bool *draining)
{
	uint32_t n = 0;
	if (!v->inherited || v->inherited->owner != MLB_OWNER_MANAGED)
		return 0;
	for (uint32_t i = 0; i < v->inherited->count; i++) {
		const struct dp_state_server *s = &v->inherited_servers[i];
		ep[n] = (struct mlb_endpoint){ .addr = s->addr, .port = s->port };
		weight[n] = s->weight_static;
		draining[n++] = s->flags & MLB_SRV_DRAINING;
	}
	return n;
}

void dp_state_end(struct dp_vip *v)
{
	if (v->inherited)
		v->inherited->name[0] = 0;
	v->inherited = NULL;
}
