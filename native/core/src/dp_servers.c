/* SPDX-License-Identifier: Apache-2.0 */
/* A VIP's server list. A change raises the VIP's generation; a removed server keeps its slot until its last flow has ended and
 * a grace period is over (dp_slots.c). */
#include "dp_servers.h"

#include <stdio.h>
#include <string.h>

#include "dp_eject.h"
#include "dp_fail.h"
#include "dp_state.h"
#include "dp_table.h"
#include "dp_wanted.h"
#include "dp_wvip.h"

#define LEAST_FACTOR 0.01f /* a share is divided by its factor: below this it says nothing */

static struct dp_server *find(struct dp_vip *v, const struct mlb_endpoint *ep, uint32_t *hint)
{
	uint32_t used = dp_used(v);
	for (uint32_t k = 0, i = *hint; k < used; k++, i++) {
		i = i < used ? i : 0;
		const struct mlb_endpoint *e = &v->srv[i].pub.ep;
		if (dp_is_member(&v->srv[i]) && e->port == ep->port && memcmp(&e->addr, &ep->addr, sizeof(ep->addr)) == 0) {
			*hint = i + 1; /* lists mostly come in the order of the slots */
			return &v->srv[i];
		}
	}
	return NULL;
}

static int ask_host(struct mlb_dp *dp, const struct dp_vip *v, const struct mlb_endpoint *ep, char *err)
{
	char unread[256];
	return dp->hooks.server_may ? dp->hooks.server_may(dp->hooks.arg, v->id, ep, err ? err : unread) : 0;
}

/* A server without a composed share takes what the others' shares say of its configured weight. */
static float first_share(struct dp_vip *v, float weight)
{
	float share = 0, stat = 0;
	DP_EACH_SERVER(v, s) {
		if (dp_takes_flows(s) && s->share > 0 && s->factor >= LEAST_FACTOR) {
			share += s->share / s->factor;
			stat += s->pub.weight_static;
		}
	}
	return v->ladder != MLB_LADDER_STATIC_DP && stat > 0 ? weight * share / stat : weight;
}

/* draining: as a list says; NULL: the list says nothing of it, so it is as it was before a restart. */
static int join(struct mlb_dp *dp, struct dp_vip *v, const struct mlb_endpoint *ep, float weight, const bool *draining,
		uint32_t *slot, char *err)
{
	char text[64];
	uint32_t i = 0, flags = MLB_SRV_MEMBER | (draining && *draining ? MLB_SRV_DRAINING : 0);
	struct dp_state_server was;
	while (i < v->conf.capacity && v->srv[i].pub.flags)
		i++;
	if (i == v->conf.capacity || dp->servers == dp_limits(dp)->servers)
		return dp_fail(err, -ENOSPC,
			       "vip %s: no room for server %s: %u of %u slots hold servers, %u of %u of all VIPs (a removed "
			       "server keeps its slot until its last flow and a grace period after it are over)",
			       v->conf.name, mlb_endpoint_text(ep, text), v->members + v->leaving, v->conf.capacity, dp->servers,
			       dp_limits(dp)->servers);
	dp_wvip_expect(dp, v, i + 1);
	struct dp_server *s = &v->srv[i];
	s->pub = (struct mlb_server){ .id = dp->next_id, .slot = i, .flags = flags, .ep = *ep, .weight_static = weight };
	if (dp->hooks.server_up && dp->hooks.server_up(dp->hooks.arg, v->id, &s->pub) != 0) {
		s->pub.flags = 0;
		return dp_fail(err, -EINVAL, "vip %s: the data plane cannot use server %s", v->conf.name,
			       mlb_endpoint_text(ep, text));
	}
	s->share = 0; /* not among those asked */
	s->share = first_share(v, weight);
	s->waits = v->newcomers_wait && v->ladder != MLB_LADDER_STATIC_DP;
	s->factor = s->waits ? 0 : 1;
	s->share *= s->factor;
	s->bias = 0;
	s->closing = false;
	MLB_ST(s->last_resort, false);
	s->joined_us = dp->now_us;
	s->flow_us = s->wait_us = s->gone_epoch = 0;
	memset(s->decay, 0, sizeof(s->decay));
	memset(s->sum, 0, sizeof(s->sum));
	if (dp_state_take(v, ep, &was)) {
		s->share = was.share * (weight / was.weight_static);
		s->factor = was.factor;
		s->waits = false;
		s->bias = was.bias;
		if (!draining)
			s->pub.flags |= was.flags & MLB_SRV_DRAINING;
	}
	dp->next_id++;
	dp->servers++;
	v->members++;
	*slot = i;
	if (i >= dp_used(v))
		MLB_ST_REL(v->used, i + 1);
	return 0;
}

bool dp_newcomers_end(struct dp_vip *v)
{
	bool any = false;
	DP_EACH_SERVER(v, s) {
		if (!s->waits)
			continue;
		s->waits = false;
		s->factor = 1;
		s->share = first_share(v, s->pub.weight_static);
		any = true;
	}
	return any;
}

void dp_server_leave(struct mlb_dp *dp, struct dp_vip *v, struct dp_server *s)
{
	dp_eject_forget(dp, v, s);
	s->pub.flags = MLB_SRV_LEAVING;
	MLB_ST(s->live, DP_LIVE_NO);
	s->gone_epoch = 0; /* known after the swap */
	s->flows_gone = false;
	v->members--;
	v->leaving++;
}

void dp_list_changed(struct mlb_dp *dp, struct dp_vip *v)
{
	uint32_t pool = 0, used = dp_used(v);
	for (uint32_t i = 0; i < used; i++) {
		struct dp_server *s = &v->srv[i];
		pool += dp_takes_flows(s);
		atomic_store_explicit(&s->live,
				      !dp_is_member(s)  ? DP_LIVE_NO :
				      dp_takes_flows(s) ? DP_LIVE_OPEN :
							  DP_LIVE_KEPT,
				      memory_order_release);
	}
	MLB_ST(v->pool, pool);
	v->generation++;
	v->listed = true;
	if (v->ladder == MLB_LADDER_STATIC_DP)
		dp_use_static(v);
	if (dp_table_swap(dp, v) != 0 && !v->table_due) {
		char text[128];
		v->table_due = true;
		snprintf(text, sizeof(text), "vip %s: no memory for its table: new flows go by the old one until there is",
			 v->conf.name);
		dp_notice(dp, text);
	}
	atomic_fetch_add_explicit(&dp->marks, 1, memory_order_release); /* new servers' loads are refreshed at once */
}

/* The VIP, if local edits are allowed. */
static int open_for_edit(struct mlb_dp *dp, uint32_t vip_id, struct dp_vip **out, char *err)
{
	struct dp_vip *v = dp_vip_of(dp, vip_id);
	if (!v || v->deleting)
		return dp_fail(err, -ENOENT, "there is no vip %u", vip_id);
	if (v->conf.owner == MLB_OWNER_MANAGED) {
		v->local_edits_refused++;
		return dp_fail(err, -EPERM, "vip %s: its pool is managed by failover; change it there", v->conf.name);
	}
	*out = v;
	return 0;
}

static int open_server(struct mlb_dp *dp, uint32_t vip_id, const struct mlb_endpoint *ep, struct dp_vip **v, struct dp_server **s,
		       char *err)
{
	char text[64];
	uint32_t hint = 0;
	int rc = open_for_edit(dp, vip_id, v, err);
	if (rc != 0)
		return rc;
	*s = find(*v, ep, &hint);
	return *s ? 0 : dp_fail(err, -ENOENT, "vip %s has no server %s", (*v)->conf.name, mlb_endpoint_text(ep, text));
}

int mlb_dp_server_add(struct mlb_dp *dp, uint32_t vip_id, const struct mlb_endpoint *ep, float weight, uint32_t *id,
		      char err[256])
{
	struct dp_vip *v = NULL;
	char text[64];
	uint32_t hint = 0;
	int rc = open_for_edit(dp, vip_id, &v, err);
	if (rc == 0)
		rc = dp_weight_check(weight, ep, err);
	if (rc != 0)
		return rc;
	if (find(v, ep, &hint))
		return dp_fail(err, -EEXIST, "vip %s has server %s already", v->conf.name, mlb_endpoint_text(ep, text));
	uint32_t slot;
	rc = ask_host(dp, v, ep, err);
	if (rc == 0)
		rc = join(dp, v, ep, weight, NULL, &slot, err);
	if (rc != 0)
		return rc;
	if (id)
		*id = v->srv[slot].pub.id;
	dp_list_changed(dp, v);
	return 0;
}

int mlb_dp_server_del(struct mlb_dp *dp, uint32_t vip_id, const struct mlb_endpoint *ep, char err[256])
{
	struct dp_vip *v = NULL;
	struct dp_server *s = NULL;
	int rc = open_server(dp, vip_id, ep, &v, &s, err);
	if (rc != 0)
		return rc;
	dp_server_leave(dp, v, s);
	dp_list_changed(dp, v);
	return 0;
}

static bool set_draining(struct mlb_dp *dp, struct dp_vip *v, struct dp_server *s, bool drain)
{
	if (!!(s->pub.flags & MLB_SRV_DRAINING) == drain)
		return false;
	if (drain)
		dp_eject_forget(dp, v, s);
	s->pub.flags ^= MLB_SRV_DRAINING;
	return true;
}

int mlb_dp_server_drain(struct mlb_dp *dp, uint32_t vip_id, const struct mlb_endpoint *ep, bool drain, char err[256])
{
	struct dp_vip *v = NULL;
	struct dp_server *s = NULL;
	int rc = open_server(dp, vip_id, ep, &v, &s, err);
	if (rc != 0)
		return rc;
	if (set_draining(dp, v, s, drain))
		dp_list_changed(dp, v);
	return 0;
}

static bool set_weight(struct dp_server *s, float weight)
{
	if (s->pub.weight_static == weight)
		return false;
	s->share *= weight / s->pub.weight_static;
	s->pub.weight_static = weight;
	return true;
}

int mlb_dp_server_weight(struct mlb_dp *dp, uint32_t vip_id, const struct mlb_endpoint *ep, float weight, char err[256])
{
	struct dp_vip *v = NULL;
	struct dp_server *s = NULL;
	int rc = open_server(dp, vip_id, ep, &v, &s, err);
	if (rc == 0)
		rc = dp_weight_check(weight, ep, err);
	if (rc != 0)
		return rc;
	if (set_weight(s, weight))
		dp_list_changed(dp, v);
	return 0;
}

/* A wanted list beside the one that there is. */
struct listing {
	struct dp_server *have[MLB_MAX_SERVERS_PER_VIP]; /* of each wanted server; NULL: it is to join */
	bool keep[MLB_MAX_SERVERS_PER_VIP];              /* by slot: wanted */
	uint32_t fresh;                                  /* how many are to join */
};

static int compare(struct mlb_dp *dp, struct dp_vip *v, const struct mlb_endpoint *ep, const float *weight, uint32_t n,
		   struct listing *l, char *err)
{
	uint32_t hint = 0;
	int rc = dp_wanted_check(v, ep, weight, n, err);
	memset(l->keep, 0, sizeof(l->keep));
	l->fresh = 0;
	for (uint32_t i = 0; i < n && rc == 0; i++) {
		l->have[i] = find(v, &ep[i], &hint);
		if (l->have[i])
			l->keep[l->have[i]->pub.slot] = true;
		else if ((rc = ask_host(dp, v, &ep[i], err)) == 0)
			l->fresh++;
	}
	return rc;
}

/* Wanted servers as the list has them; of those that are not there the first `room` join. */
static int take_wanted(struct mlb_dp *dp, struct dp_vip *v, const struct mlb_endpoint *ep, const float *weight,
		       const bool *draining, uint32_t n, struct listing *l, uint32_t room, bool *dirty, char *err)
{
	int rc = 0;
	for (uint32_t i = 0; i < n && rc == 0; i++) {
		struct dp_server *s = l->have[i];
		uint32_t slot;
		if (s) {
			*dirty |= set_weight(s, weight[i]);
			if (draining)
				*dirty |= set_draining(dp, v, s, draining[i]);
		} else if (room > 0) {
			room--;
			rc = join(dp, v, &ep[i], weight[i], draining ? &draining[i] : NULL, &slot, err);
			if (rc == 0)
				l->keep[slot] = *dirty = true;
		}
	}
	return rc;
}

/* At most `most` that are not wanted. */
static uint32_t leave_unwanted(struct mlb_dp *dp, struct dp_vip *v, const struct listing *l, uint32_t most)
{
	uint32_t used = dp_used(v), gone = 0;
	for (uint32_t s = 0; s < used && gone < most; s++) {
		if (dp_is_member(&v->srv[s]) && !l->keep[s]) {
			dp_server_leave(dp, v, &v->srv[s]);
			gone++;
		}
	}
	return gone;
}

int dp_servers_set(struct mlb_dp *dp, struct dp_vip *v, const struct mlb_endpoint *ep, const float *weight, const bool *draining,
		   uint32_t n, char *err)
{
	struct listing l;
	int rc = compare(dp, v, ep, weight, n, &l, err);
	if (rc != 0)
		return rc;
	/* All or nothing: slots of servers on their way out are not free yet. */
	if (v->members + v->leaving + l.fresh > v->conf.capacity || dp->servers + l.fresh > dp_limits(dp)->servers)
		return dp_fail(
			err, -ENOSPC,
			"vip %s: no room for %u more servers: %u of %u slots hold servers, %u of %u of all VIPs (a removed "
			"server keeps its slot until its last flow and a grace period after it are over)",
			v->conf.name, l.fresh, v->members + v->leaving, v->conf.capacity, dp->servers, dp_limits(dp)->servers);
	dp_wvip_expect(dp, v, v->members + v->leaving + l.fresh);
	bool dirty = false;
	rc = take_wanted(dp, v, ep, weight, draining, n, &l, l.fresh, &dirty, err);
	uint32_t gone = rc != 0 ? 0 : leave_unwanted(dp, v, &l, UINT32_MAX);
	if (dirty || gone > 0)
		dp_list_changed(dp, v);
	return rc;
}

int dp_servers_toward(struct mlb_dp *dp, struct dp_vip *v, const struct mlb_endpoint *ep, const float *weight,
		      const bool *draining, uint32_t n, char *err)
{
	struct listing l;
	int rc = compare(dp, v, ep, weight, n, &l, err);
	if (rc != 0)
		return rc;
	uint32_t own = v->members + v->leaving, limit = dp_limits(dp)->servers;
	if (dp->servers - own + n > limit)
		return dp_fail(err, -EDQUOT,
			       "%u servers are wanted, the region has room for %u, and other VIPs have %u (max-servers)", n,
			       limit, dp->servers - own);
	uint32_t room = v->conf.capacity - own;
	if (room > limit - dp->servers)
		room = limit - dp->servers;
	if (l.fresh <= room)
		return dp_servers_set(dp, v, ep, weight, draining, n, err);
	dp_wvip_expect(dp, v, own + room);
	bool dirty = false;
	rc = take_wanted(dp, v, ep, weight, draining, n, &l, room, &dirty, err);
	/* Slots that are on their way to be free count; half of the members serve on until there are others. */
	uint32_t lacking = l.fresh - room, half = v->members > 1 ? v->members / 2 : v->leaving == 0;
	uint32_t most = lacking > v->leaving ? lacking - v->leaving : 0;
	uint32_t gone = rc != 0 ? 0 : leave_unwanted(dp, v, &l, most < half ? most : half);
	if (dirty || gone > 0)
		dp_list_changed(dp, v);
	return rc != 0 ? rc : -ENOSPC;
}

/* Failover's list that was in force before a restart stands for the host's; false: there is none, or it does not fit. */
static bool set_inherited_list(struct mlb_dp *dp, struct dp_vip *v)
{
	struct mlb_endpoint ep[MLB_MAX_SERVERS_PER_VIP];
	float weight[MLB_MAX_SERVERS_PER_VIP];
	bool draining[MLB_MAX_SERVERS_PER_VIP];
	uint32_t n = dp_state_list(v, ep, weight, draining);
	return n && dp_servers_set(dp, v, ep, weight, draining, n, NULL) == 0;
}

int mlb_dp_server_set(struct mlb_dp *dp, uint32_t vip_id, const struct mlb_endpoint *ep, const float *weight, uint32_t n,
		      char err[256])
{
	struct dp_vip *v = dp_vip_of(dp, vip_id);
	/* A managed pool begins with the host's list: failover may be away when the data plane starts. Its first list replaces
	 * it. */
	bool start = v && !v->deleting && v->conf.owner == MLB_OWNER_MANAGED && v->pool_seen == 0 && !v->listed;
	int rc = start ? 0 : open_for_edit(dp, vip_id, &v, err);
	if (rc != 0 || (start && set_inherited_list(dp, v)))
		return rc;
	return dp_servers_set(dp, v, ep, weight, NULL, n, err);
}

void mlb_dp_datagrams_lost(struct mlb_dp *dp, uint32_t vip_id, uint64_t n)
{
	struct dp_vip *v = dp_vip_of(dp, vip_id);

	if (v)
		v->datagrams_lost += n;
}

int mlb_dp_set_mode(struct mlb_dp *dp, uint32_t vip_id, enum mlb_mode mode, char err[256])
{
	struct dp_vip *v = dp_vip_of(dp, vip_id);
	if (!v || v->deleting)
		return dp_fail(err, -ENOENT, "there is no vip %u", vip_id);
	if (mode < MLB_MODE_HASH || mode > MLB_MODE_P2C)
		return dp_fail(err, -EINVAL, "vip %s: the modes are hash, alias, sed and p2c", v->conf.name);
	uint32_t old = v->mode;
	v->mode = mode;
	int rc = mode == old ? 0 : dp_table_swap(dp, v);
	if (rc == 0)
		v->own_mode = mode;
	else
		v->mode = old;
	return rc == 0 ? 0 : dp_fail(err, rc, "vip %s: no memory for its tables", v->conf.name);
}

const struct mlb_server *mlb_dp_server_at(const struct mlb_dp *dp, uint32_t vip_id, uint32_t slot)
{
	const struct dp_vip *v = dp_vip_of(dp, vip_id);
	return v && slot < v->conf.capacity ? &v->srv[slot].pub : NULL;
}
