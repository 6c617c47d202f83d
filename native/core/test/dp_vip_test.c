/* SPDX-License-Identifier: Apache-2.0 */
/* VIPs: added, changed while they serve, refused. */
#include "dp_world.h"

TEST(vips_and_their_errors)
{
	struct world *w = world_new(1, 1, 4, false);
	struct mlb_vip_conf c = world_vip_conf(4);
	uint32_t id;
	CHECK_EQ(mlb_dp_vip_add(w->dp, &c, &id, w->err), -EEXIST);
	snprintf(c.name, sizeof(c.name), "other");
	c.load = MLB_LOAD_WAITING;
	c.one_way = true;
	CHECK_EQ(mlb_dp_vip_add(w->dp, &c, &id, w->err), -EINVAL);
	CHECK(strstr(w->err, "both directions") != NULL);
	c.one_way = false;
	c.capacity = MLB_MAX_SERVERS_PER_VIP + 1;
	CHECK_EQ(mlb_dp_vip_add(w->dp, &c, &id, w->err), -EINVAL);
	c.capacity = 8;
	CHECK_EQ(mlb_dp_vip_add(w->dp, &c, &id, w->err), 0);
	CHECK_EQ(id, 2);
	CHECK_EQ(mlb_dp_vip_del(w->dp, 2, w->err), 0);
	CHECK(mlb_dp_vip(w->dp, 2) == NULL);
	mlb_dp_poll(w->dp, w->now += MS, 0);
	mlb_dp_poll(w->dp, w->now += MS, 0);
	CHECK(atomic_load(&mlb_dp_worker(w->dp, 0)->vip[1]) == NULL);
	CHECK_EQ(mlb_dp_vip_add(w->dp, &c, &id, w->err), 0);
	CHECK_EQ(id, 2);
	world_free(w);
}

TEST(a_vip_changes_while_it_serves)
{
	struct world *w = world_new(2, 2, 4, false);
	struct mlb_worker *me = mlb_dp_worker(w->dp, 0);
	struct mlb_wvip *wv = world_wvip(w, 0);
	struct mlb_vip_conf c = world_vip_conf(4);
	struct mlb_frame_hdr h;
	struct mlb_server_rec r[4];
	for (uint32_t i = 0; i < 3; i++)
		mlb_ev_open(wv, 0, w->now);
	mlb_ev_request(wv, 0, w->now);
	CHECK_NEAR(wv->q[0], 3, 0);
	c.load = MLB_LOAD_WAITING;
	c.mode = MLB_MODE_ALIAS;
	c.eject = false;
	c.ep.port = 443;
	CHECK_EQ(mlb_dp_vip_edit(w->dp, w->vip, &c, w->err), 0);
	mlb_dp_worker_loop(w->dp, me, ++w->now);
	CHECK_NEAR(wv->q[0], 1, 0); /* of the three flows one waits */
	for (uint32_t i = 0; i < 5; i++, w->now += 20 * MS)
		mlb_dp_connect_result(w->dp, me, w->vip, 1, MLB_CONNECT_REFUSED, w->now, w->now);
	world_run(w, 200 * MS, false);
	world_frame(w, &h, r, 4);
	CHECK_EQ(r[1].flags, MLB_SRV_MEMBER); /* it may not be ejected any more */
	CHECK_EQ(h.mode, MLB_MODE_ALIAS);
	CHECK_EQ(h.load, MLB_LOAD_WAITING);
	CHECK_EQ(h.vip.port, 443);
	c.mode = MLB_MODE_KEEP;
	c.load = MLB_LOAD_FLOWS;
	c.eject = true;
	CHECK_EQ(mlb_dp_vip_edit(w->dp, w->vip, &c, w->err), 0);
	mlb_dp_worker_loop(w->dp, me, ++w->now);
	CHECK_NEAR(wv->q[0], 3, 0);
	for (uint32_t i = 0; i < 5; i++, w->now += 20 * MS)
		mlb_dp_connect_result(w->dp, me, w->vip, 1, MLB_CONNECT_REFUSED, w->now, w->now);
	world_run(w, 200 * MS, false);
	world_frame(w, &h, r, 4);
	CHECK(r[1].flags & MLB_SRV_EJECTED);
	CHECK_EQ(h.mode, MLB_MODE_ALIAS); /* left out: it stays */
	world_free(w);
}

TEST(what_a_vip_is_does_not_change)
{
	struct world *w = world_new(1, 1, 4, false);
	struct mlb_vip_conf c = world_vip_conf(4);
	CHECK_EQ(mlb_dp_vip_edit(w->dp, 9, &c, w->err), -ENOENT);
	CHECK_EQ(mlb_dp_vip_edit(w->dp, w->vip, &c, w->err), 0);
	for (uint32_t what = 0; what < 6; what++) {
		struct mlb_vip_conf d = c;
		d.mode = MLB_MODE_HASH;
		switch (what) {
		case 0: snprintf(d.name, sizeof(d.name), "other"); break;
		case 1: d.ep.addr.b[15] ^= 1; break;
		case 2: d.prefix_len = 120; break;
		case 3: d.capacity = 5; break;
		case 4: d.one_way = true; break;
		default: d.owner = MLB_OWNER_MANAGED; break;
		}
		CHECK_EQ(mlb_dp_vip_edit(w->dp, w->vip, &d, w->err), -EINVAL);
		CHECK(strstr(w->err, "do not change") != NULL);
	}
	c.load = 9;
	CHECK_EQ(mlb_dp_vip_edit(w->dp, w->vip, &c, w->err), -EINVAL);
	CHECK_EQ(world_table(w)->mode, MLB_MODE_SED);
	world_free(w);
}

MLB_TEST_MAIN(CASE(vips_and_their_errors), CASE(a_vip_changes_while_it_serves), CASE(what_a_vip_is_does_not_change))
