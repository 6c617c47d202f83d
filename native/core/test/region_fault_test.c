/* SPDX-License-Identifier: Apache-2.0 */
/* What others do to a region's file: own it, truncate it, remove it, leave it behind. */
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include "dp_world.h"
#include "marllb/agent.h"
#include "marllb/leftovers.h"

static char notices[4][256];
static int noticed;

static void notice(void *arg, const char *text)
{
	(void)arg;
	snprintf(notices[noticed++ & 3], sizeof(notices[0]), "%s", text);
}

static struct world *world_that_says(void)
{
	struct world *w = world_make(1, 2, 4, true, false);
	noticed = 0;
	mlb_dp_set_hooks(w->dp, &(struct mlb_dp_hooks){ .notice = notice });
	world_run(w, 100 * MS, true);
	return w;
}

/* An agent attaches anew, and its vector takes effect. */
static void check_served(struct world *w)
{
	struct vector x;
	CHECK(mlb_region_replaced(&w->agent));
	mlb_region_close(&w->agent, false);
	CHECK_EQ(mlb_region_attach(&w->agent, w->path, w->err), 0);
	w->agent_epoch = atomic_load(&w->agent.hdr->agent_epoch);
	world_run(w, 200 * MS, true);
	vector_make(w, &x, 2);
	x.e[0].weight = .9f;
	x.e[1].weight = .1f;
	vector_send(w, &x);
	mlb_dp_poll(w->dp, ++w->now, 0);
	CHECK_EQ(world_effect(w).last_refusal, MLB_REFUSE_NONE);
	CHECK_NEAR(world_table(w)->weight[0], .9, 1e-5);
}

static void one_vector(struct world *w)
{
	struct vector x;
	vector_make(w, &x, 2);
	vector_send(w, &x);
	mlb_dp_poll(w->dp, ++w->now, 0);
	CHECK_EQ(world_effect(w).applied, 1);
}

TEST(a_removed_region_is_made_again)
{
	struct world *w = world_that_says();
	one_vector(w);
	CHECK_EQ(unlink(w->path), 0);
	world_run(w, 1100 * MS, true);
	CHECK_EQ(noticed, 1);
	CHECK(strstr(notices[0], "made again") != NULL);
	check_served(w);
	world_free(w);
}

TEST(a_foreign_file_in_its_place_is_left_alone)
{
	struct world *w = world_that_says();
	CHECK_EQ(unlink(w->path), 0);
	int fd = open(w->path, O_WRONLY | O_CREAT, 0600);
	CHECK(write(fd, "notes", 5) == 5);
	close(fd);
	world_run(w, 3500 * MS, true);
	CHECK_EQ(noticed, 1);
	CHECK(strstr(notices[0], "no region of marllb") != NULL);
	struct stat st;
	CHECK(stat(w->path, &st) == 0 && st.st_size == 5);
	unlink(w->path);
	world_run(w, 1100 * MS, true);
	check_served(w);
	world_free(w);
}

TEST(a_successors_region_is_left_to_it)
{
	struct world *w = world_that_says();
	struct mlb_region next;
	struct mlb_region_conf c = {
		.path = w->path, .instance = "next", .frame_us = 100000, .lease_us = 1000000, .takeover = true
	};
	CHECK_EQ(mlb_region_create(&next, &c, w->err), 0);
	CHECK_EQ(mlb_region_name(&next, w->err), 0);
	world_run(w, 2500 * MS, true);
	CHECK_EQ(noticed, 1);
	CHECK(strstr(notices[0], "another data plane") != NULL);
	CHECK(!mlb_region_replaced(&next));
	mlb_region_close(&next, true);
	world_run(w, 2500 * MS, true);
	CHECK(access(w->path, F_OK) != 0); /* not made again by the one before, even when the successor has gone */
	world_free(w);
}

TEST(truncation_detaches_the_agent_and_ends_nobody)
{
	struct world *w = world_that_says();
	one_vector(w);
	CHECK_EQ(truncate(w->path, 0), 0);
	uint8_t buf[64];
	uint64_t seq = 1;
	mlb_region_read(&w->agent, MLB_BLK_OUT, buf, sizeof(buf), &seq);
	CHECK(mlb_region_replaced(&w->agent));
	world_run(w, 1200 * MS, false);
	CHECK_EQ(noticed, 1);
	check_served(w);
	world_free(w);
}

TEST(a_region_of_another_user_is_refused)
{
	struct world *w = world_new(1, 2, 4, true);
	struct mlb_region r;
	if (geteuid() != 0) {
		world_free(w);
		SKIP("giving a file to another user needs root");
	}
	mlb_region_close(&w->agent, false);
	CHECK_EQ(chown(w->path, 65534, (gid_t)-1), 0);
	CHECK_EQ(mlb_region_attach(&r, w->path, w->err), -EPERM);
	CHECK(strstr(w->err, "another user") != NULL);
	CHECK_EQ(mlb_region_open_ro(&r, w->path, w->err), -EPERM);
	world_free(w);
}

static void touch(const char *name)
{
	int fd = open(name, O_WRONLY | O_CREAT, 0600);
	CHECK(fd >= 0);
	close(fd);
}

TEST(what_dead_processes_left_is_removed)
{
	struct world *w = world_new(1, 2, 4, true);
	char dead[240], live[240], other[240], prefix[200];
	pid_t pid = fork();
	if (pid == 0)
		_exit(0);
	CHECK_EQ(waitpid(pid, NULL, 0), pid);
	snprintf(prefix, sizeof(prefix), "%s.tmp.", w->path);
	snprintf(dead, sizeof(dead), "%s%d", prefix, (int)pid);
	snprintf(live, sizeof(live), "%s%d", prefix, (int)getppid());
	snprintf(other, sizeof(other), "%sx", prefix);
	touch(dead);
	touch(live);
	touch(other);
	struct mlb_region r;
	struct mlb_region_conf c = { .path = w->path, .frame_us = 100000, .lease_us = 1000000 };
	CHECK_EQ(mlb_region_create(&r, &c, w->err), -EBUSY);
	CHECK(access(dead, F_OK) != 0);
	CHECK(access(live, F_OK) == 0);
	CHECK(access(other, F_OK) == 0);
	CHECK_EQ(mlb_leftovers_remove(prefix), 0);
	unlink(live);
	unlink(other);
	world_free(w);
}

MLB_TEST_MAIN(CASE(a_removed_region_is_made_again), CASE(a_foreign_file_in_its_place_is_left_alone),
	      CASE(a_successors_region_is_left_to_it), CASE(truncation_detaches_the_agent_and_ends_nobody),
	      CASE(a_region_of_another_user_is_refused), CASE(what_dead_processes_left_is_removed))
