/* SPDX-License-Identifier: Apache-2.0 */
/* A region made for as much as one may hold: 1024 VIPs, 16384 servers over them, weights for each. */
#include "dp_world.h"
#include "marllb/agent.h"

#define EACH (MLB_MAX_SERVERS / MLB_MAX_VIPS)

static char path[128], err[256];

static struct mlb_dp *full_dp(struct mlb_limits limits)
{
	static int count;
	struct mlb_dp *dp;
	snprintf(path, sizeof(path), "/tmp/marllb_dp_limits.%d.%d", (int)getpid(), count++);
	struct mlb_dp_conf c = { .region = { .path = path,
					     .instance = "test",
					     .dataplane = "test",
					     .dp_epoch = 1234,
					     .frame_us = 100 * MS,
					     .lease_us = 1000 * MS,
					     .limits = limits },
				 .no_miss_ring = true,
				 .seed = 1 };
	CHECK_EQ(mlb_dp_new(&dp, &c, 2, err), 0);
	return dp;
}

static uint32_t add_vip(struct mlb_dp *dp, uint32_t n, uint32_t capacity, int want)
{
	struct mlb_vip_conf c = world_vip_conf(capacity);
	uint32_t id = 0;
	snprintf(c.name, sizeof(c.name), "vip-%u", n);
	CHECK_EQ(mlb_dp_vip_add(dp, &c, &id, err), want);
	return id;
}

static int add_servers(struct mlb_dp *dp, uint32_t vip, uint32_t n)
{
	struct mlb_endpoint ep[MLB_MAX_SERVERS_PER_VIP];
	float weight[MLB_MAX_SERVERS_PER_VIP];
	for (uint32_t i = 0; i < n; i++) {
		ep[i] = world_ep(i + 1);
		weight[i] = 1;
	}
	return mlb_dp_server_set(dp, vip, ep, weight, n, err);
}

/* A frame of all: how many of each the agent was handed. */
static void look(struct mlb_dp *dp, struct mlb_agent *a, struct mlb_agent_frame *f, uint64_t *now, int *vips, uint32_t *servers)
{
	*now += 100 * MS;
	while (mlb_dp_poll(dp, *now, 0) == 0)
		;
	*vips = mlb_agent_frames(a, f);
	*servers = 0;
	for (int i = 0; i < *vips; i++)
		*servers += f[i].count;
}

static int publish(struct mlb_agent *a, const struct mlb_agent_frame *f)
{
	uint32_t ids[EACH];
	float raw[EACH], stat[EACH], bare[EACH], share[EACH];
	const struct mlb_server_rec *rec = f->records;
	uint64_t seq;
	enum mlb_refuse why;
	for (uint32_t i = 0; i < f->count; i++) {
		ids[i] = rec[i].id;
		raw[i] = i == f->vip_id % EACH ? 2 : 1;
		stat[i] = 1;
	}
	struct mlb_agent_vector x = { .vip_id = f->vip_id,
				      .generation = f->generation,
				      .n = f->count,
				      .dp_epoch = f->dp_epoch,
				      .birth = f->birth,
				      .frame_seq = f->seq,
				      .term = 1,
				      .ids = ids,
				      .raw = raw,
				      .stat = stat,
				      .trust = 3,
				      .step_ratio = 10,
				      .dt_s = 1,
				      .ejected_cap = 1,
				      .ladder = MLB_LADDER_MODEL };
	return mlb_agent_publish(a, &x, bare, share, &seq, &why);
}

TEST(a_thousand_vips_get_their_weights)
{
	struct mlb_dp *dp = full_dp((struct mlb_limits){ MLB_MAX_VIPS, MLB_MAX_SERVERS });
	struct mlb_agent *a;
	static struct mlb_agent_frame f[MLB_MAX_VIPS];
	static struct mlb_effect e[MLB_MAX_VIPS];
	uint64_t now = 1000 * MS;
	int vips;
	uint32_t servers;
	for (uint32_t n = 1; n <= MLB_MAX_VIPS; n++) {
		CHECK_EQ(add_vip(dp, n, 2 * EACH, 0), n);
		CHECK_EQ(add_servers(dp, n, EACH), 0);
	}
	add_vip(dp, 0, 1, -ENOSPC);
	CHECK(strstr(err, "there are 1024 VIPs already"));
	CHECK_EQ(add_servers(dp, 7, EACH + 1), -ENOSPC);
	CHECK(strstr(err, "16384 of 16384 of all VIPs"));
	CHECK_EQ(mlb_agent_attach(&a, path, err), 0);
	mlb_dp_poll(dp, now, 0);
	look(dp, a, f, &now, &vips, &servers);
	CHECK_EQ(vips, MLB_MAX_VIPS);
	CHECK_EQ(servers, MLB_MAX_SERVERS);
	for (int i = 0; i < vips; i++)
		CHECK_EQ(publish(a, &f[i]), 0);
	CHECK(mlb_agent_due(a)); /* half a megabyte is not written a thousand times */
	CHECK_EQ(mlb_agent_flush(a), 0);
	CHECK(!mlb_agent_due(a));
	look(dp, a, f, &now, &vips, &servers);
	CHECK_EQ(mlb_agent_effects(a, e), MLB_MAX_VIPS);
	for (uint32_t i = 0; i < MLB_MAX_VIPS; i++)
		CHECK(e[i].vip_id == i + 1 && e[i].applied == 1 && e[i].refused == 0);
	struct mlb_frame_hdr h;
	struct mlb_server_rec rec[EACH];
	CHECK_EQ(mlb_dp_frame(dp, 1000, &h, rec, EACH), EACH);
	CHECK_EQ(h.vip_id, 1000);
	CHECK_EQ(h.ladder, MLB_LADDER_MODEL);
	CHECK(rec[1000 % EACH].weight > rec[(1000 + 1) % EACH].weight);
	mlb_agent_close(a);
	mlb_dp_free(dp);
}

/* What was in force is known to the next data plane, of a region of another size too. */
TEST(a_restart_with_other_limits_keeps_what_was_in_force)
{
	struct mlb_dp *dp = full_dp((struct mlb_limits){ MLB_MAX_VIPS, MLB_MAX_SERVERS }), *next;
	uint64_t now = 1000 * MS;
	for (uint32_t n = 1; n <= 100; n++) {
		add_vip(dp, n, EACH, 0);
		CHECK_EQ(add_servers(dp, n, EACH), 0);
	}
	mlb_dp_poll(dp, now, 0);
	for (now += 100 * MS; mlb_dp_poll(dp, now, 0) == 0;)
		;
	struct mlb_dp_conf c = { .region = { .path = path,
					     .instance = "test",
					     .dataplane = "test",
					     .dp_epoch = 1235,
					     .frame_us = 100 * MS,
					     .lease_us = 1000 * MS,
					     .takeover = true } };
	CHECK_EQ(mlb_dp_new(&next, &c, 1, err), 0);
	CHECK_EQ(mlb_dp_inherited(next), 100);
	mlb_dp_free(next);
	mlb_dp_free(dp);
}

TEST(the_default_is_a_small_region)
{
	struct mlb_dp *dp = full_dp((struct mlb_limits){ 0, 0 });
	for (uint32_t n = 1; n <= 64; n++)
		CHECK_EQ(add_vip(dp, n, MLB_MAX_SERVERS_PER_VIP, 0), n);
	add_vip(dp, 65, 1, -ENOSPC);
	for (uint32_t n = 1; n <= 4; n++)
		CHECK_EQ(add_servers(dp, n, MLB_MAX_SERVERS_PER_VIP), 0);
	CHECK_EQ(add_servers(dp, 5, 1), -ENOSPC);
	mlb_dp_free(dp);
}

MLB_TEST_MAIN(CASE(a_thousand_vips_get_their_weights), CASE(a_restart_with_other_limits_keeps_what_was_in_force),
	      CASE(the_default_is_a_small_region))
