/* SPDX-License-Identifier: Apache-2.0 */
/* A message of frames is made over many steps: whoever reads has the one before until it is whole, and what changes meanwhile
 * makes none that contradicts itself. */
#include "dp_world.h"
#include "marllb/agent.h"

enum { VIPS = 256, EACH = MLB_MAX_SERVERS / VIPS };

static struct mlb_dp *dp;
static struct mlb_agent *agent;
static struct mlb_agent_frame frame[MLB_MAX_VIPS];
static uint32_t vip[VIPS];
static uint64_t now;
static char path[128], err[256];

static uint32_t add_vip(uint32_t n, uint32_t servers)
{
	struct mlb_endpoint ep[EACH];
	float weight[EACH];
	struct mlb_vip_conf c = world_vip_conf(2 * EACH);
	uint32_t id = 0;
	snprintf(c.name, sizeof(c.name), "vip-%u", n);
	CHECK_EQ(mlb_dp_vip_add(dp, &c, &id, err), 0);
	for (uint32_t i = 0; i < servers; i++) {
		ep[i] = world_ep(i + 1);
		weight[i] = 1;
	}
	CHECK_EQ(mlb_dp_server_set(dp, id, ep, weight, servers, err), 0);
	return id;
}

static void begin(uint32_t last)
{
	static int count;
	snprintf(path, sizeof(path), "/tmp/marllb_dp_draft.%d.%d", (int)getpid(), count++);
	struct mlb_dp_conf c = { .region = { .path = path,
					     .instance = "test",
					     .dataplane = "test",
					     .dp_epoch = 1234,
					     .frame_us = 100 * MS,
					     .lease_us = 10000 * MS,
					     .limits = { MLB_MAX_VIPS, MLB_MAX_SERVERS } },
				 .no_miss_ring = true,
				 .seed = 1 };
	CHECK_EQ(mlb_dp_new(&dp, &c, 2, err), 0);
	for (uint32_t n = 0; n < VIPS; n++)
		vip[n] = add_vip(n, n + 1 < VIPS ? EACH : last);
	CHECK_EQ(mlb_agent_attach(&agent, path, err), 0);
	now = 1000 * MS;
	mlb_dp_poll(dp, now, 0);
}

static void end(void)
{
	mlb_agent_close(agent);
	mlb_dp_free(dp);
}

/* One step, half a millisecond later; true: the message is out. */
static bool step(void)
{
	uint64_t before = mlb_agent_message(agent);
	now += MS / 2;
	mlb_dp_poll(dp, now, 0);
	mlb_agent_frames(agent, frame);
	return mlb_agent_message(agent) != before;
}

/* Steps until `n` VIPs have their figures of this frame; no message is out by then. */
static void half(void)
{
	now += 100 * MS;
	for (int k = 0; k < 32 + 8; k++) /* merged, and a quarter of them summed */
		CHECK(!step());
}

static int whole(void)
{
	for (int k = 0; k < 100; k++) {
		uint64_t before = mlb_agent_message(agent);
		now += MS / 2;
		mlb_dp_poll(dp, now, 0);
		int n = mlb_agent_frames(agent, frame);
		if (mlb_agent_message(agent) != before)
			return n;
	}
	CHECK(!"a message in 100 steps");
	return 0;
}

/* Every frame's records are those of its VIP: their slots, in order, with ids that no other frame has. */
static void consistent(int n)
{
	static bool seen[2 * MLB_MAX_SERVERS];
	memset(seen, 0, sizeof(seen));
	for (int i = 0; i < n; i++) {
		CHECK(i == 0 || frame[i].vip_id > frame[i - 1].vip_id);
		for (uint32_t s = 0; s < frame[i].count; s++) {
			const struct mlb_server_rec *r = (const struct mlb_server_rec *)frame[i].records + s;
			CHECK(r->id > 0 && r->id < 2 * MLB_MAX_SERVERS && !seen[r->id]);
			CHECK(s == 0 || r->slot > r[-1].slot);
			seen[r->id] = true;
		}
	}
}

/* Main does a bounded piece of the frame in a step, and whatever else is due comes in between. */
TEST(weights_take_effect_between_two_parts_of_a_frame)
{
	struct mlb_frame_hdr h;
	static struct mlb_server_rec rec[EACH];
	begin(EACH);
	now += 100 * MS;
	CHECK_EQ(whole(), VIPS);
	uint64_t seq = frame[0].seq;
	half();
	CHECK_EQ(mlb_dp_frame(dp, vip[0], &h, rec, EACH), EACH);
	CHECK_EQ(h.seq, seq); /* the message before, until the next one is whole */
	CHECK_EQ(mlb_dp_set_mode(dp, vip[0], MLB_MODE_P2C, err), 0);
	CHECK(!step());
	uint64_t parts = 0;
	while (!step())
		parts++;
	CHECK(parts >= 20);
	CHECK_EQ(mlb_dp_frame(dp, vip[0], &h, rec, EACH), EACH);
	CHECK_EQ(h.seq, seq + 1);
	CHECK_EQ(h.mode, MLB_MODE_SED); /* summed before the change: a frame is of one moment, */
	CHECK_EQ(mlb_dp_frame(dp, vip[VIPS - 1], &h, rec, EACH), EACH);
	CHECK(h.mono_ns > frame[0].mono_ns); /* which is each VIP's own */
	consistent(VIPS);
	end();
}

TEST(vips_that_come_and_go_meanwhile)
{
	begin(EACH);
	half();
	CHECK_EQ(mlb_dp_vip_del(dp, vip[0], err), 0);   /* summed already */
	CHECK_EQ(mlb_dp_vip_del(dp, vip[200], err), 0); /* not yet */
	for (int k = 0; k < 8; k++)
		CHECK(!step());
	uint32_t id = add_vip(VIPS, EACH);
	CHECK_EQ(whole(), VIPS - 1);
	consistent(VIPS - 1);
	for (int i = 0; i < VIPS - 1; i++)
		CHECK(frame[i].vip_id != id || frame[i].birth == 1); /* the new one has an id that was freed, or a new one */
	now += 100 * MS;
	CHECK_EQ(whole(), VIPS - 1);
	consistent(VIPS - 1);
	end();
}

/* Servers go from a VIP that was summed to one that was not: the two would not fit into one message. */
TEST(servers_that_move_meanwhile)
{
	static struct mlb_endpoint ep[2 * EACH];
	static float weight[2 * EACH];
	begin(EACH);
	half();
	for (uint32_t i = 0; i < 2 * EACH; i++) {
		ep[i] = world_ep(i + 1);
		weight[i] = 1;
	}
	CHECK_EQ(mlb_dp_server_set(dp, vip[0], ep, weight, 0, err), 0);
	for (int k = 0; k < 6; k++) /* their slots are free after two grace periods */
		CHECK(!step());
	CHECK_EQ(mlb_dp_server_set(dp, vip[VIPS - 1], ep, weight, 2 * EACH, err), 0);
	CHECK_EQ(whole(), VIPS);
	consistent(VIPS);
	CHECK_EQ(frame[0].count, 0);
	CHECK_EQ(frame[VIPS - 1].count, 2 * EACH);
	end();
}

TEST(a_region_made_again_meanwhile_gets_the_whole_message)
{
	begin(EACH);
	half();
	CHECK_EQ(unlink(path), 0);
	now += 1000 * MS;
	mlb_dp_poll(dp, now, 0);
	mlb_dp_poll(dp, now += MS / 2, 0);
	mlb_dp_poll(dp, now += MS / 2, 0);
	mlb_agent_close(agent);
	CHECK_EQ(mlb_agent_attach(&agent, path, err), 0);
	CHECK_EQ(whole(), VIPS);
	consistent(VIPS);
	end();
}

MLB_TEST_MAIN(CASE(weights_take_effect_between_two_parts_of_a_frame), CASE(vips_that_come_and_go_meanwhile),
	      CASE(servers_that_move_meanwhile), CASE(a_region_made_again_meanwhile_gets_the_whole_message))
