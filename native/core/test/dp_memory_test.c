/* SPDX-License-Identifier: Apache-2.0 */
/* Without memory a change of the list is in force as soon as there is some; no order is half done for ever. */
#include "dp_world.h"

#include "fault.h"

static void loop(struct world *w)
{
	for (uint32_t i = 0; i < w->workers; i++) {
		mlb_dp_worker_loop(w->dp, mlb_dp_worker(w->dp, i), w->now);
		mlb_dp_worker_idle(mlb_dp_worker(w->dp, i), true);
	}
}

static int chosen(struct world *w, uint32_t slot)
{
	int n = 0;
	for (int i = 0; i < 200; i++)
		n += mlb_dp_choose(w->dp, mlb_dp_worker(w->dp, 0), w->vip, (uint64_t)i << 40, w->now) == slot;
	return n;
}

static char noticed[256];

static void notice(void *arg, const char *text)
{
	(void)arg;
	snprintf(noticed, sizeof(noticed), "%s", text);
}

/* All memory is gone while `order` is given and for 50 ms; then there is some again. */
static void starve(struct world *w, int (*order)(struct world *))
{
	mlb_dp_set_hooks(w->dp, &(struct mlb_dp_hooks){ .notice = notice });
	noticed[0] = 0;
	loop(w);
	fault_arm(fault_mine, 1, true);
	CHECK_EQ(order(w), 0);
	world_run(w, 50 * MS, false);
	loop(w);
	CHECK(chosen(w, 1) > 20); /* by the old list */
	CHECK(fault_disarm(fault_mine));
	CHECK(strstr(noticed, "vip web: no memory for its table") != NULL);
	world_run(w, 2 * MS, false);
	loop(w);
	CHECK_EQ(chosen(w, 1), 0);
}

static int take_out(struct world *w)
{
	struct mlb_endpoint e = world_ep(2);
	return mlb_dp_server_del(w->dp, w->vip, &e, w->err);
}

static int drain(struct world *w)
{
	struct mlb_endpoint e = world_ep(2);
	return mlb_dp_server_drain(w->dp, w->vip, &e, true, w->err);
}

static int other_list(struct world *w)
{
	struct mlb_endpoint e[2] = { world_ep(1), world_ep(3) };
	float weight[2] = { 1, 1 };
	return mlb_dp_server_set(w->dp, w->vip, e, weight, 2, w->err);
}

static int remove_vip(struct world *w)
{
	return mlb_dp_vip_del(w->dp, w->vip, w->err);
}

TEST(a_list_that_changed_without_memory_is_in_force_when_there_is_some)
{
	int (*const orders[])(struct world *) = { take_out, drain, other_list };
	fault_mine = fault_new();
	for (size_t i = 0; i < sizeof(orders) / sizeof(orders[0]); i++) {
		struct world *w = world_new(2, 4, 4, false);
		starve(w, orders[i]);
		struct mlb_endpoint e = world_ep(9);
		for (int k = 0; k < 5; k++) {
			world_run(w, MS, false);
			loop(w);
		}
		CHECK_EQ(mlb_dp_server_add(w->dp, w->vip, &e, 1, NULL, w->err), orders[i] == drain ? -ENOSPC : 0); /* its slot */
		world_free(w);
	}
}

TEST(a_vip_that_was_removed_without_memory_goes_when_there_is_some)
{
	struct world *w = world_new(2, 4, 4, false);
	struct mlb_vip_conf c = world_vip_conf(4);
	uint32_t id = 0;
	starve(w, remove_vip);
	for (int k = 0; k < 10; k++) {
		world_run(w, MS, false);
		loop(w);
	}
	CHECK_EQ(mlb_dp_vip_add(w->dp, &c, &id, w->err), 0);
	CHECK_EQ(id, w->vip); /* nothing of it is left */
	world_free(w);
}

/* Whatever call fails, a VIP is there with all that it needs, or not at all. */
TEST(each_call_of_a_new_vip)
{
	struct world *w = world_new(2, 1, 4, false);
	bool hit = true;
	for (long n = 1; hit && n < 100; n++) {
		struct mlb_vip_conf c = world_vip_conf(16);
		uint32_t id = 0;
		snprintf(c.name, sizeof(c.name), "other");
		fault_arm(fault_mine, n, false);
		int rc = mlb_dp_vip_add(w->dp, &c, &id, w->err);
		hit = fault_disarm(fault_mine);
		CHECK_EQ(rc, hit ? -ENOMEM : 0);
		if (rc == 0) {
			struct mlb_endpoint e = world_ep(7);
			CHECK_EQ(mlb_dp_server_add(w->dp, id, &e, 1, NULL, w->err), 0);
		} else {
			CHECK(strstr(w->err, "no memory") != NULL);
		}
	}
	CHECK(!hit);
	world_free(w);
}

MLB_TEST_MAIN(CASE(a_list_that_changed_without_memory_is_in_force_when_there_is_some),
	      CASE(a_vip_that_was_removed_without_memory_goes_when_there_is_some), CASE(each_call_of_a_new_vip))
