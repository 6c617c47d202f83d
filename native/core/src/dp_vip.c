/* SPDX-License-Identifier: Apache-2.0 */
/* VIPs and their life. */
#include "dp_vip.h"

#include <math.h>
#include <string.h>

#include "dp_fail.h"
#include "dp_servers.h"
#include "dp_state.h"
#include "dp_table.h"
#include "dp_wvip.h"

/* What may change of a VIP, and what it is compared with; one_way is the VIP's or the data plane's. */
static int check_words(const struct mlb_vip_conf *c, char *err)
{
	if (c->mode > MLB_MODE_P2C || c->load > MLB_LOAD_WAITING || c->owner > MLB_OWNER_MANAGED)
		return dp_fail(err, -EINVAL, "vip %s: unknown mode, load or owner", c->name);
	if (!isfinite(c->kappa) || c->kappa < 0)
		return dp_fail(err, -EINVAL, "vip %s: kappa must be a number of flows, 0 or more", c->name);
	if (c->load == MLB_LOAD_WAITING && c->one_way)
		return dp_fail(err, -EINVAL,
			       "vip %s: load `waiting` needs both directions, and this VIP's answers pass the data plane by",
			       c->name);
	return 0;
}

static int check_conf(const struct mlb_dp *dp, const struct mlb_vip_conf *c, char *err)
{
	if (!memchr(c->name, 0, sizeof(c->name)) || !c->name[0])
		return dp_fail(err, -EINVAL, "a VIP's name has 1 to %u characters", MLB_NAME_LEN - 1);
	if (c->capacity < 1 || c->capacity > MLB_MAX_SERVERS_PER_VIP)
		return dp_fail(err, -EINVAL, "vip %s: capacity must be 1 to %u servers, not %u", c->name, MLB_MAX_SERVERS_PER_VIP,
			       c->capacity);
	struct mlb_vip_conf whole = *c;
	whole.one_way = c->one_way || dp->conf.one_way;
	int rc = check_words(&whole, err);
	if (rc != 0)
		return rc;
	DP_EACH_VIP(dp, v)
		if (!v->deleting && strcmp(v->conf.name, c->name) == 0)
			return dp_fail(err, -EEXIST, "there is a vip %s already", c->name);
	return 0;
}

int mlb_dp_vip_add(struct mlb_dp *dp, const struct mlb_vip_conf *c, uint32_t *vip_id, char err[256])
{
	uint32_t id = 1;
	int rc = check_conf(dp, c, err);
	if (rc != 0)
		return rc;
	/* A worker that looked up a removed VIP before it vanished must not find the next one under its id in the same loop. */
	while (id <= dp_limits(dp)->vips && (dp_vip_of(dp, id) || !dp_grace_over(&dp->grace, dp->vip_gone_epoch[id - 1])))
		id++;
	if (id > dp_limits(dp)->vips)
		return dp_fail(err, -ENOSPC, "vip %s: there are %u VIPs already, as many as the region was made for", c->name,
			       dp_limits(dp)->vips);

	struct dp_vip *v = calloc(1, sizeof(*v));
	if (!v)
		return dp_fail(err, -ENOMEM, "vip %s: no memory", c->name);
	v->conf = *c;
	v->conf.one_way = c->one_way || dp->conf.one_way;
	v->id = id;
	MLB_ST(v->ejects, c->eject);
	v->birth = ++dp->births;
	v->generation = dp->generation[id - 1];
	v->mode = v->own_mode = c->mode ? c->mode : MLB_MODE_SED;
	v->load_balancers = c->load_balancers ? c->load_balancers : 1;
	v->ladder = MLB_LADDER_STATIC_DP;
	dp_state_begin(dp, v);
	v->srv = calloc(c->capacity, sizeof(*v->srv));
	v->w = calloc(dp->nworkers, sizeof(*v->w));
	v->guard = calloc(c->capacity, sizeof(*v->guard));
	for (uint32_t i = 0; v->w && i < dp->nworkers; i++)
		if (!(v->w[i] = dp_wvip_new(c)))
			break;
	if (!v->srv || !v->w || !v->guard || !v->w[dp->nworkers - 1] || dp_table_swap(dp, v) != 0) {
		dp_vip_free(dp, v);
		return dp_fail(err, -ENOMEM, "vip %s: no memory for %u servers and %u workers", c->name, c->capacity,
			       dp->nworkers);
	}
	MLB_ST_REL(dp->vip[id - 1], v);
	if (id > dp_top(dp))
		MLB_ST_REL(dp->top, id);
	for (uint32_t i = 0; i < dp->nworkers; i++)
		MLB_ST_REL(dp->worker[i].w.vip[id - 1], v->w[i]);
	*vip_id = id;
	return 0;
}

/* What stands for the life of a VIP: its flows, slots and frames depend on it. */
static bool same_vip(const struct mlb_vip_conf *a, const struct mlb_vip_conf *b)
{
	return strcmp(a->name, b->name) == 0 && mlb_addr_eq(&a->ep.addr, &b->ep.addr) && a->prefix_len == b->prefix_len &&
	       a->owner == b->owner && a->kappa == b->kappa && a->capacity == b->capacity && a->one_way == b->one_way;
}

int mlb_dp_vip_edit(struct mlb_dp *dp, uint32_t vip_id, const struct mlb_vip_conf *c, char err[256])
{
	struct dp_vip *v = dp_vip_of(dp, vip_id);
	if (!v || v->deleting)
		return dp_fail(err, -ENOENT, "there is no vip %u", vip_id);
	struct mlb_vip_conf want = *c;
	want.one_way = c->one_way || dp->conf.one_way;
	int rc = check_words(&want, err);
	if (rc != 0)
		return rc;
	if (!same_vip(&v->conf, &want))
		return dp_fail(err, -EINVAL,
			       "vip %s: its name, address, prefix, direction, owner, kappa and room for servers do not change",
			       v->conf.name);
	if (want.mode && (rc = mlb_dp_set_mode(dp, vip_id, want.mode, err)) != 0)
		return rc;
	want.mode = want.mode ? want.mode : v->conf.mode;
	v->conf = want;
	MLB_ST(v->ejects, want.eject);
	for (uint32_t i = 0; i < dp->nworkers; i++)
		MLB_ST(v->w[i]->load, want.load);
	/* Each worker's view of the load is made again at its next loop. */
	atomic_fetch_add_explicit(&dp->marks, 1, memory_order_acq_rel);
	return 0;
}

int mlb_dp_vip_del(struct mlb_dp *dp, uint32_t vip_id, char err[256])
{
	struct dp_vip *v = dp_vip_of(dp, vip_id);
	if (!v || v->deleting)
		return dp_fail(err, -ENOENT, "there is no vip %u", vip_id);
	v->deleting = true;
	dp_state_end(v);
	for (uint32_t s = 0; s < v->conf.capacity; s++)
		if (dp_is_member(&v->srv[s]))
			dp_server_leave(dp, v, &v->srv[s]);
	dp_list_changed(dp, v);
	return 0;
}

const struct mlb_vip_conf *mlb_dp_vip(const struct mlb_dp *dp, uint32_t vip_id)
{
	const struct dp_vip *v = dp_vip_of(dp, vip_id);
	return v && !v->deleting ? &v->conf : NULL;
}

static void vip_release(void *p)
{
	struct dp_vip *v = p;
	free(v->guard);
	dp_poison_free(v->srv, v->conf.capacity * sizeof(*v->srv));
	dp_poison_free(v, sizeof(*v));
}
static void wvip_release(void *p)
{
	dp_wvip_free(p);
}
static void table_release(void *p)
{
	mlb_table_free(p);
}

void dp_vip_poll(struct mlb_dp *dp, struct dp_vip *v)
{
	if (!v->deleting || v->table_due || v->members + v->leaving != 0 || !dp_grace_over(&dp->grace, v->gone_epoch))
		return;
	if (dp_grace_reserve(&dp->grace, dp->nworkers + 3) != 0)
		return; /* no memory: the next poll tries again */
	for (uint32_t i = 0; i < dp->nworkers; i++)
		MLB_ST_REL(dp->worker[i].w.vip[v->id - 1], NULL);
	MLB_ST_REL(dp->vip[v->id - 1], NULL);
	for (uint32_t i = 0; i < dp->nworkers; i++)
		dp_retire(&dp->grace, wvip_release, v->w[i]);
	dp_retire(&dp->grace, table_release, (void *)v->table);
	mlb_ring_unref(v->ring);
	mlb_ring_unref(v->miss_ring);
	dp_retire(&dp->grace, free, v->w);
	dp->generation[v->id - 1] = v->generation + 1;
	dp->vip_gone_epoch[v->id - 1] = dp_grace_epoch(&dp->grace) + 1;
	dp_retire(&dp->grace, vip_release, v);
	dp_grace_next(&dp->grace);
}

void dp_vip_free(struct mlb_dp *dp, struct dp_vip *v)
{
	for (uint32_t i = 0; v->w && i < dp->nworkers; i++)
		dp_wvip_free(v->w[i]);
	mlb_table_free((struct mlb_table *)v->table);
	mlb_ring_unref(v->ring);
	mlb_ring_unref(v->miss_ring);
	free(v->w);
	free(v->guard);
	free(v->srv);
	free(v);
}
