/* SPDX-License-Identifier: Apache-2.0 */
/* Server lists: edits and their errors, slots and generations, managed pools, reclaiming. */
#include "dp_world.h"

static const struct mlb_server *server(struct world *w, uint32_t slot)
{
	return mlb_dp_server_at(w->dp, w->vip, slot);
}

static uint32_t generation(struct world *w)
{
	return world_table(w)->generation;
}

TEST(edits_and_their_errors)
{
	struct world *w = world_new(1, 2, 3, false);
	struct mlb_endpoint a = world_ep(1), c = world_ep(3), d = world_ep(4), none = world_ep(99);
	uint32_t id;
	CHECK_EQ(mlb_dp_server_add(w->dp, w->vip, &a, 1, &id, w->err), -EEXIST);
	CHECK(strstr(w->err, "10.0.0.1:80") != NULL);
	CHECK_EQ(mlb_dp_server_add(w->dp, w->vip, &c, 0, &id, w->err), -EINVAL);
	CHECK_EQ(mlb_dp_server_add(w->dp, w->vip, &c, NAN, &id, w->err), -EINVAL);
	CHECK_EQ(mlb_dp_server_add(w->dp, 64, &c, 1, &id, w->err), -ENOENT);
	CHECK_EQ(mlb_dp_server_del(w->dp, w->vip, &none, w->err), -ENOENT);
	CHECK_EQ(generation(w), 2);
	CHECK_EQ(mlb_dp_server_add(w->dp, w->vip, &c, 2, &id, w->err), 0);
	CHECK_EQ(id, 3);
	CHECK_EQ(mlb_dp_server_add(w->dp, w->vip, &d, 2, &id, w->err), -ENOSPC);
	CHECK_EQ(generation(w), 3);
	CHECK_NEAR(world_table(w)->weight[2], .5, 1e-6);
	CHECK_EQ(mlb_dp_server_weight(w->dp, w->vip, &c, 6, w->err), 0);
	CHECK_NEAR(world_table(w)->weight[2], .75, 1e-6);
	CHECK_EQ(mlb_dp_server_weight(w->dp, w->vip, &c, 6, w->err), 0);
	CHECK_EQ(generation(w), 4); /* nothing changed the second time */
	CHECK_EQ(mlb_dp_server_drain(w->dp, w->vip, &c, true, w->err), 0);
	CHECK_NEAR(world_table(w)->weight[2], 0, 0);
	CHECK_NEAR(world_table(w)->weight[0], .5, 1e-6);
	CHECK_EQ(mlb_dp_server_drain(w->dp, w->vip, &c, false, w->err), 0);
	CHECK_NEAR(world_table(w)->weight[2], .75, 1e-6);
	world_free(w);
}

TEST(all_draining_means_all_eligible)
{
	struct world *w = world_new(1, 2, 4, false);
	for (uint32_t i = 1; i <= 2; i++) {
		struct mlb_endpoint e = world_ep(i);
		CHECK_EQ(mlb_dp_server_drain(w->dp, w->vip, &e, true, w->err), 0);
	}
	CHECK_EQ(world_table(w)->eligible, 2);
	world_free(w);
}

TEST(set_keeps_adds_and_removes)
{
	struct world *w = world_new(1, 3, 8, false);
	struct mlb_endpoint e[3] = { world_ep(3), world_ep(4), world_ep(1) };
	float weight[3] = { 1, 2, 1 };
	CHECK_EQ(mlb_dp_server_set(w->dp, w->vip, e, weight, 3, w->err), 0);
	CHECK_EQ(generation(w), 4);
	CHECK_EQ(server(w, 0)->id, 1);
	CHECK_EQ(server(w, 1)->flags, MLB_SRV_LEAVING);
	CHECK_EQ(server(w, 2)->id, 3);
	CHECK_EQ(server(w, 3)->id, 4);
	CHECK_NEAR(world_table(w)->weight[1], 0, 0);
	CHECK_NEAR(world_table(w)->weight[3], .5, 1e-6);
	CHECK_EQ(mlb_dp_server_set(w->dp, w->vip, e, weight, 3, w->err), 0);
	CHECK_EQ(generation(w), 4);
	e[0] = e[1];
	CHECK_EQ(mlb_dp_server_set(w->dp, w->vip, e, weight, 3, w->err), -EEXIST);
	world_free(w);
}

/* Draining servers leave the lookup table of new flows and stay in that of misses, which every mode has. */
TEST(rings_follow_the_list)
{
	struct world *w = world_new(1, 4, 8, false);
	struct mlb_endpoint e = world_ep(2);
	CHECK(world_table(w)->ring == NULL);
	CHECK(world_table(w)->miss_ring != NULL);
	CHECK_EQ(mlb_dp_server_drain(w->dp, w->vip, &e, true, w->err), 0);
	CHECK_EQ(mlb_dp_set_mode(w->dp, w->vip, MLB_MODE_HASH, w->err), 0);
	const struct mlb_table *t = world_table(w);
	int fresh = 0, miss = 0;
	for (uint64_t i = 0; i < 1000; i++) {
		uint64_t hash = i * UINT64_C(0x9e3779b97f4a7c15);
		fresh += mlb_ring_lookup(t->ring, hash, NULL) == 1;
		miss += mlb_ring_lookup(t->miss_ring, hash, NULL) == 1;
	}
	CHECK_EQ(fresh, 0);
	CHECK(miss > 100);
	world_free(w);
}

static uint32_t gone_id;

static void gone(void *arg, uint32_t vip, struct mlb_server *s)
{
	(void)arg;
	(void)vip;
	gone_id = s->id;
}

/* The slot of a removed server waits for its last flow and for every worker, then starts from zero under a new id. */
TEST(slot_is_reused_only_after_last_flow_and_all_workers)
{
	struct world *w = world_new(2, 2, 2, false);
	struct mlb_worker *a = mlb_dp_worker(w->dp, 0), *b = mlb_dp_worker(w->dp, 1);
	struct mlb_endpoint first = world_ep(1), next = world_ep(7);
	uint32_t id;
	mlb_dp_set_hooks(w->dp, &(struct mlb_dp_hooks){ .server_gone = gone });
	mlb_dp_worker_idle(a, false);
	mlb_dp_worker_idle(b, false);
	mlb_dp_worker_loop(w->dp, a, w->now);
	mlb_dp_worker_loop(w->dp, b, w->now);
	mlb_ev_open(world_wvip(w, 0), 0, w->now);
	CHECK_EQ(mlb_dp_server_del(w->dp, w->vip, &first, w->err), 0);
	mlb_dp_worker_loop(w->dp, a, w->now);
	mlb_dp_worker_loop(w->dp, b, w->now);
	world_run(w, 5 * MS, false);
	CHECK_EQ(server(w, 0)->flags, MLB_SRV_LEAVING);
	CHECK_EQ(mlb_dp_server_add(w->dp, w->vip, &next, 1, &id, w->err), -ENOSPC);
	mlb_ev_hold(world_wvip(w, 0), 0); /* it ends, and its last packets may still come */
	mlb_ev_close(a, world_wvip(w, 0), 0, w->now - 5 * MS, w->now, MLB_END_COMPLETED);
	for (int i = 0; i < 3; i++) {
		world_run(w, MS, false);
		mlb_dp_worker_loop(w->dp, a, w->now);
		mlb_dp_worker_loop(w->dp, b, w->now);
	}
	CHECK_EQ(server(w, 0)->flags, MLB_SRV_LEAVING);
	mlb_ev_release(world_wvip(w, 0), 0);
	world_run(w, MS, false);
	CHECK_EQ(server(w, 0)->flags, MLB_SRV_LEAVING); /* the worker that ended the last flow may still be in the slot */
	mlb_dp_worker_loop(w->dp, a, w->now);
	mlb_dp_worker_loop(w->dp, b, w->now);
	world_run(w, MS, false);
	CHECK_EQ(server(w, 0)->flags, 0);
	CHECK_EQ(gone_id, 1);
	CHECK_EQ(mlb_dp_server_add(w->dp, w->vip, &next, 1, &id, w->err), 0);
	CHECK_EQ(id, 3);
	/* the same with a worker that does not pass */
	CHECK_EQ(mlb_dp_server_del(w->dp, w->vip, &next, w->err), 0);
	mlb_dp_worker_loop(w->dp, a, w->now);
	world_run(w, 5 * MS, false);
	CHECK_EQ(server(w, 0)->flags, MLB_SRV_LEAVING);
	mlb_dp_worker_idle(b, true); /* a worker that blocks in a wait looks at nothing */
	world_run(w, MS, false);
	mlb_dp_worker_loop(w->dp, a, w->now);
	world_run(w, MS, false);
	CHECK_EQ(server(w, 0)->flags, 0);
	world_free(w);
}

TEST(counts_start_from_zero_in_a_reused_slot)
{
	struct world *w = world_new(1, 1, 1, false);
	struct mlb_worker *a = mlb_dp_worker(w->dp, 0);
	struct mlb_endpoint first = world_ep(1), next = world_ep(2);
	struct mlb_frame_hdr h;
	struct mlb_server_rec r[2];
	uint32_t id;
	mlb_ev_open(world_wvip(w, 0), 0, w->now);
	world_run(w, 200 * MS, false);
	CHECK_EQ(world_frame(w, &h, r, 2), 1);
	CHECK_EQ(r[0].flows, 1);
	CHECK_EQ(r[0].flow_us, 200 * MS);
	mlb_ev_close(a, world_wvip(w, 0), 0, w->now - 200 * MS, w->now, MLB_END_COMPLETED);
	CHECK_EQ(mlb_dp_server_del(w->dp, w->vip, &first, w->err), 0);
	world_run(w, 2 * MS, false);
	CHECK_EQ(mlb_dp_server_add(w->dp, w->vip, &next, 1, &id, w->err), 0);
	world_run(w, 100 * MS, false);
	CHECK_EQ(world_frame(w, &h, r, 2), 1);
	CHECK_EQ(r[0].id, 2);
	CHECK_EQ(r[0].new_flows, 0);
	CHECK_EQ(r[0].completions, 0);
	CHECK_EQ(r[0].flow_us, 0);
	world_free(w);
}

/* Fifty changes a second for 20 s, with a vector for each frame: a share reaches the server it is meant for, or none. */
TEST(weights_never_reach_a_wrong_server_under_churn)
{
	struct world *w = world_new(1, 8, 32, true);
	struct mlb_rng rng;
	struct mlb_frame_hdr h;
	struct mlb_server_rec r[32];
	uint64_t applied = 0;
	bool in[24] = { 0 };
	mlb_rng_seed(&rng, 5);
	for (uint32_t i = 1; i <= 8; i++)
		in[i] = true;
	for (int step = 0; step < 1000 && !mlbtest_failed; step++) {
		uint32_t k = 1 + mlb_rng_below(&rng, 23);
		struct mlb_endpoint e = world_ep(k);
		if (in[k])
			CHECK_EQ(mlb_dp_server_del(w->dp, w->vip, &e, w->err), 0);
		else
			CHECK_EQ(mlb_dp_server_add(w->dp, w->vip, &e, 1, NULL, w->err), 0);
		in[k] = !in[k];
		world_run(w, 20 * MS, true);
		int n = world_frame(w, &h, r, 32);
		if (n < 1)
			continue;
		struct vector x;
		vector_make(w, &x, (uint32_t)n);
		double sum = 0;
		for (int i = 0; i < n; i++) { /* the share tells the id */
			x.e[i].server_id = r[i].id;
			x.e[i].weight = (float)r[i].id;
			if (r[i].flags & MLB_SRV_MEMBER)
				sum += r[i].id;
		}
		for (int i = 0; i < n; i++)
			x.e[i].weight /= (float)(sum > 0 ? sum * 1.001 : 1e9);
		vector_send(w, &x);
		world_run(w, MS, true);
		struct mlb_effect ef = world_effect(w);
		if (ef.applied == applied)
			continue;
		applied = ef.applied;
		const struct mlb_table *t = world_table(w);
		for (uint32_t s = 0; s < t->nslots && s < 32; s++) {
			if (t->weight[s] <= 0)
				continue;
			const struct mlb_server *srv = server(w, s);
			CHECK(srv->flags & MLB_SRV_MEMBER);
			CHECK_NEAR(t->weight[s], srv->id / sum, 1e-4);
		}
	}
	CHECK(applied > 150);
	CHECK(world_effect(w).refused > 150); /* of generations gone by */
	world_free(w);
}

/* One list in msg_pool. */
static void send_pool(struct world *w, uint64_t revision, enum mlb_owner owner, const uint32_t *host, const float *weight,
		      uint32_t n, uint32_t draining)
{
	struct {
		struct mlb_pool_hdr h;
		struct mlb_pool_vip v;
		struct mlb_pool_entry e[8];
	} m = { .h = { .vips = 1, .entries = n, .agent_epoch = w->agent_epoch },
		.v = { .birth = 1, .vip_id = w->vip, .owner = owner, .revision = revision, .count = n } };
	for (uint32_t i = 0; i < n; i++) {
		struct mlb_endpoint e = world_ep(host[i]);
		m.e[i] = (struct mlb_pool_entry){ .addr = e.addr,
						  .port = e.port,
						  .weight = weight ? weight[i] : 1,
						  .flags = host[i] == draining ? MLB_SRV_DRAINING : 0 };
	}
	mlb_region_write(&w->agent, MLB_BLK_POOL, &m, sizeof(m));
	world_run(w, MS, true);
}

TEST(managed_pool)
{
	struct world *w = world_new(1, 2, 4, true);
	struct mlb_endpoint e = world_ep(9);
	struct mlb_frame_hdr h;
	struct mlb_server_rec r[4];
	send_pool(w, 5, MLB_OWNER_MANAGED, (uint32_t[]){ 2, 3 }, NULL, 2, 3);
	CHECK_EQ(world_effect(w).pool_revision, 5);
	CHECK_EQ(server(w, 0)->flags, 0); /* its worker is idle, it had no flows */
	CHECK_EQ(server(w, 1)->flags, MLB_SRV_MEMBER);
	CHECK_EQ(server(w, 2)->flags, MLB_SRV_MEMBER | MLB_SRV_DRAINING);
	CHECK_EQ(mlb_dp_server_add(w->dp, w->vip, &e, 1, NULL, w->err), -EPERM);
	CHECK(strstr(w->err, "managed by failover") != NULL);
	/* an older revision is passed over, a bad list refused, the last good one stays */
	send_pool(w, 4, MLB_OWNER_MANAGED, (uint32_t[]){ 7 }, NULL, 1, 0);
	CHECK_EQ(world_effect(w).pool_revision, 5);
	CHECK_EQ(world_effect(w).pool_refused, 0);
	send_pool(w, 6, MLB_OWNER_MANAGED, (uint32_t[]){ 7, 7 }, NULL, 2, 0);
	CHECK_EQ(world_effect(w).pool_refused, 1);
	send_pool(w, 7, MLB_OWNER_MANAGED, (uint32_t[]){ 7 }, (float[]){ NAN }, 1, 0);
	CHECK_EQ(world_effect(w).pool_refused, 2);
	CHECK_EQ(world_effect(w).pool_revision, 5);
	CHECK_EQ(server(w, 1)->flags, MLB_SRV_MEMBER);
	world_run(w, 100 * MS, true);
	world_frame(w, &h, r, 4);
	CHECK_EQ(h.owner, MLB_OWNER_MANAGED);
	CHECK_EQ(h.local_edits_refused, 1);
	send_pool(w, 8, MLB_OWNER_LOCAL, NULL, NULL, 0, 0);
	CHECK_EQ(mlb_dp_server_add(w->dp, w->vip, &e, 1, NULL, w->err), 0);
	world_free(w);
}

static int never_66(void *arg, uint32_t vip_id, const struct mlb_endpoint *ep, char err[256])
{
	(void)arg;
	(void)vip_id;
	if (ep->addr.b[15] != 66)
		return 0;
	snprintf(err, 256, "66 is not a server");
	return -ELOOP;
}

static char noticed[320];

static void note(void *arg, const char *text)
{
	(void)arg;
	snprintf(noticed, sizeof(noticed), "%s", text);
}

/* One server that the host refuses takes the whole list with it, wherever the list comes from. */
TEST(a_host_may_refuse_a_server)
{
	struct world *w = world_new(1, 2, 8, true);
	struct mlb_endpoint list[3] = { world_ep(3), world_ep(66), world_ep(5) };
	float weight[3] = { 5, 5, 5 };

	mlb_dp_set_hooks(w->dp, &(struct mlb_dp_hooks){ .server_may = never_66, .notice = note });
	CHECK_EQ(mlb_dp_server_add(w->dp, w->vip, &list[1], 1, NULL, w->err), -ELOOP);
	CHECK_STR(w->err, "66 is not a server");
	CHECK_EQ(mlb_dp_server_set(w->dp, w->vip, list, weight, 3, w->err), -ELOOP);
	CHECK_STR(w->err, "66 is not a server");
	CHECK_EQ(server(w, 0)->flags, MLB_SRV_MEMBER);
	CHECK_EQ(server(w, 1)->flags, MLB_SRV_MEMBER);
	CHECK_EQ(server(w, 2)->flags, 0);
	send_pool(w, 1, MLB_OWNER_MANAGED, (uint32_t[]){ 7, 66 }, NULL, 2, 0);
	CHECK_EQ(world_effect(w).pool_refused, 1);
	CHECK_STR(noticed, "vip web: pool refused: 66 is not a server");
	CHECK_EQ(server(w, 2)->flags, 0);
	world_free(w);
}

static uint32_t members(struct world *w, uint32_t first_host, uint32_t n, uint32_t capacity)
{
	uint32_t found = 0;
	for (uint32_t s = 0; s < capacity; s++)
		for (uint32_t h = first_host; h < first_host + n && server(w, s)->flags & MLB_SRV_MEMBER; h++) {
			struct mlb_endpoint ep = world_ep(h);
			found += memcmp(&server(w, s)->ep.addr, &ep.addr, sizeof(ep.addr)) == 0;
		}
	return found;
}

/* Six of six slots are taken, and all six servers are to be others: the VIP is never without servers, and comes to the new list.
 */
TEST(a_managed_pool_is_replaced_whole_though_its_slots_do_not_hold_both_lists)
{
	struct world *w = world_new(1, 6, 6, true);
	struct mlb_worker *a = mlb_dp_worker(w->dp, 0);
	uint32_t fewest = 6;
	mlb_ev_open(world_wvip(w, 0), 0, w->now); /* whose slot is not free before its flow is over */
	send_pool(w, 1, MLB_OWNER_MANAGED, (uint32_t[]){ 21, 22, 23, 24, 25, 26 }, NULL, 6, 0);
	for (int i = 0; i < 40; i++) {
		uint32_t all = members(w, 1, 6, 6) + members(w, 21, 6, 6);
		fewest = all < fewest ? all : fewest;
		world_run(w, MS, true);
	}
	CHECK_EQ(members(w, 21, 6, 6), 5);
	CHECK_EQ(world_effect(w).pool_revision, 0);
	mlb_ev_close(a, world_wvip(w, 0), 0, w->now, w->now, MLB_END_COMPLETED);
	world_run(w, 5 * MS, true);
	CHECK_EQ(members(w, 21, 6, 6), 6);
	CHECK_EQ(world_effect(w).pool_revision, 1);
	CHECK_EQ(world_effect(w).pool_refused, 0);
	CHECK(fewest >= 2);
	world_free(w);
}

/* A list that needs slots of servers on their way out waits for them; it is not refused. */
TEST(managed_pool_waits_for_slots)
{
	struct world *w = world_new(1, 2, 2, true);
	struct mlb_worker *a = mlb_dp_worker(w->dp, 0);
	mlb_ev_open(world_wvip(w, 0), 0, w->now);
	send_pool(w, 1, MLB_OWNER_MANAGED, (uint32_t[]){ 2 }, NULL, 1, 0);
	send_pool(w, 2, MLB_OWNER_MANAGED, (uint32_t[]){ 2, 3 }, NULL, 2, 0);
	CHECK_EQ(world_effect(w).pool_revision, 1);
	mlb_ev_close(a, world_wvip(w, 0), 0, w->now, w->now, MLB_END_COMPLETED);
	world_run(w, 3 * MS, true);
	CHECK_EQ(world_effect(w).pool_revision, 2);
	CHECK_EQ(world_effect(w).pool_refused, 0);
	CHECK_EQ(server(w, 0)->flags, MLB_SRV_MEMBER);
	world_free(w);
}

/* A vector and a list meant for the VIP that had the id before are refused; generations go on rising, births never repeat. */
TEST(a_new_vip_in_a_freed_id_is_another_vip)
{
	struct world *w = world_new(1, 2, 4, true);
	struct mlb_vip_conf c = world_vip_conf(4);
	struct mlb_frame_hdr before, after;
	struct mlb_server_rec r[4];
	struct vector x;
	uint32_t id = 0;
	world_run(w, 100 * MS, true);
	world_frame(w, &before, r, 4);
	vector_make(w, &x, 2);
	CHECK_EQ(mlb_dp_vip_del(w->dp, w->vip, w->err), 0);
	world_run(w, 2 * MS, true);
	CHECK_EQ(mlb_dp_vip_add(w->dp, &c, &id, w->err), 0);
	CHECK_EQ(id, w->vip);
	for (uint32_t i = 1; i <= 2; i++) {
		struct mlb_endpoint e = world_ep(i);
		CHECK_EQ(mlb_dp_server_add(w->dp, id, &e, 1, NULL, w->err), 0);
	}
	world_run(w, 100 * MS, true);
	world_frame(w, &after, r, 4);
	CHECK(after.birth > before.birth);
	CHECK(after.generation > before.generation);
	x.v.generation = after.generation;
	CHECK_EQ(mlb_dp_apply(w->dp, &x.v, x.e), MLB_REFUSE_VIP);
	send_pool(w, 5, MLB_OWNER_MANAGED, (uint32_t[]){ 7 }, NULL, 1, 0);
	CHECK_EQ(world_effect(w).pool_revision, 0);
	CHECK_EQ(server(w, 0)->flags, MLB_SRV_MEMBER);
	vector_make(w, &x, 2);
	x.e[0].server_id = r[0].id;
	x.e[1].server_id = r[1].id;
	CHECK_EQ(mlb_dp_apply(w->dp, &x.v, x.e), MLB_REFUSE_NONE);
	world_free(w);
}

MLB_TEST_MAIN(CASE(edits_and_their_errors), CASE(all_draining_means_all_eligible), CASE(a_new_vip_in_a_freed_id_is_another_vip),
	      CASE(set_keeps_adds_and_removes), CASE(rings_follow_the_list),
	      CASE(slot_is_reused_only_after_last_flow_and_all_workers), CASE(counts_start_from_zero_in_a_reused_slot),
	      CASE(weights_never_reach_a_wrong_server_under_churn), CASE(managed_pool), CASE(a_host_may_refuse_a_server),
	      CASE(managed_pool_waits_for_slots), CASE(a_managed_pool_is_replaced_whole_though_its_slots_do_not_hold_both_lists))
