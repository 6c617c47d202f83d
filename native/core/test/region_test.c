/* SPDX-License-Identifier: Apache-2.0 */
#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include "marllb/region.h"
#include "mlbtest.h"
#include "released_layouts.h"

static char path[200];
static char err[256];

static const char *fresh_path(void)
{
	static int n;
	const char *dir = access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp";
	snprintf(path, sizeof(path), "%s/marllb_region_test.%d.%d", dir, (int)getpid(), n++);
	unlink(path);
	return path;
}

static struct mlb_region_conf conf(void)
{
	return (struct mlb_region_conf){ .path = path,
					 .instance = "test",
					 .dataplane = "test 1",
					 .dp_epoch = 77,
					 .frame_us = 100000,
					 .lease_us = 1000000,
					 .workers = 2 };
}

static int create(struct mlb_region *r)
{
	struct mlb_region_conf c = conf();
	return mlb_region_create(r, &c, err);
}

TEST(create_attach_close)
{
	struct mlb_region dp, ag;
	struct stat st;
	fresh_path();
	CHECK_EQ(create(&dp), 0);
	CHECK_EQ(stat(path, &st), 0);
	CHECK_EQ(st.st_mode & 0777, 0600);
	CHECK_EQ(mlb_region_attach(&ag, path, err), 0);
	CHECK_STR(ag.hdr->instance, "test");
	CHECK_EQ(ag.hdr->dp_epoch, 77);
	CHECK_EQ(atomic_load(&ag.hdr->agent_epoch), 1);
	CHECK(!mlb_region_replaced(&ag));
	uint64_t v = 5, got = 0;
	CHECK_EQ(mlb_msg_write(dp.blk[MLB_BLK_OUT].msg, dp.blk[MLB_BLK_OUT].base, dp.blk[MLB_BLK_OUT].buf_size, &v, 8), 0);
	CHECK_EQ(mlb_msg_read(ag.blk[MLB_BLK_OUT].msg, ag.blk[MLB_BLK_OUT].base, ag.blk[MLB_BLK_OUT].buf_size, &got, 8, NULL, 3),
		 8);
	CHECK_EQ(got, 5);
	mlb_region_close(&ag, false);
	CHECK_EQ(mlb_region_attach(&ag, path, err), 0);
	CHECK_EQ(atomic_load(&ag.hdr->agent_epoch), 2);
	mlb_region_close(&ag, false);
	mlb_region_close(&dp, true);
	CHECK(access(path, F_OK) != 0);
}

TEST(second_agent_is_refused_with_the_reason)
{
	struct mlb_region dp, a, b;
	fresh_path();
	CHECK_EQ(create(&dp), 0);
	CHECK_EQ(mlb_region_attach(&a, path, err), 0);
	CHECK_EQ(mlb_region_attach(&b, path, err), -EBUSY);
	CHECK(strstr(err, "another agent") != NULL && strstr(err, path) != NULL);
	CHECK_EQ(atomic_load(&a.hdr->agent_epoch), 1);
	mlb_region_close(&a, false);
	mlb_region_close(&dp, true);
}

TEST(second_data_plane_is_refused_unless_it_takes_over)
{
	struct mlb_region a, b;
	fresh_path();
	CHECK_EQ(create(&a), 0);
	CHECK_EQ(create(&b), -EBUSY);
	CHECK(strstr(err, "live data plane") != NULL);
	struct mlb_region_conf c = conf();
	c.takeover = true;
	CHECK_EQ(mlb_region_create(&b, &c, err), 0);
	CHECK(!mlb_region_replaced(&a)); /* until the new one serves */
	CHECK_EQ(mlb_region_name(&b, err), 0);
	CHECK(mlb_region_replaced(&a));
	mlb_region_close(&a, true); /* no longer its own: must stay */
	CHECK(!mlb_region_replaced(&b));
	mlb_region_close(&b, true);
	CHECK(access(path, F_OK) != 0);
}

TEST(failed_takeover_leaves_the_region_alone)
{
	struct mlb_region a, b;
	char tmp[300];
	fresh_path();
	CHECK_EQ(create(&a), 0);
	struct mlb_region_conf c = conf();
	c.takeover = true;
	CHECK_EQ(mlb_region_create(&b, &c, err), 0);
	snprintf(tmp, sizeof(tmp), "%s.tmp.%d", path, (int)getpid());
	CHECK_EQ(access(tmp, F_OK), 0);
	mlb_region_close(&b, true);
	CHECK(access(tmp, F_OK) != 0);
	CHECK(!mlb_region_replaced(&a));
	mlb_region_close(&a, true);
}

TEST(dead_data_planes_region_is_replaced)
{
	struct mlb_region ag, dp;
	fresh_path();
	pid_t pid = fork();
	if (pid == 0) {
		struct mlb_region r;
		_exit(create(&r) == 0 ? 0 : 1); /* dies without closing */
	}
	int st;
	waitpid(pid, &st, 0);
	CHECK_EQ(st, 0);
	CHECK_EQ(mlb_region_attach(&ag, path, err), 0);
	CHECK_EQ(create(&dp), 0);
	CHECK(mlb_region_replaced(&ag));
	mlb_region_close(&ag, false);
	CHECK_EQ(mlb_region_attach(&ag, path, err), 0);
	mlb_region_close(&ag, false);
	mlb_region_close(&dp, true);
}

TEST(foreign_files_and_links_are_left_alone)
{
	struct mlb_region dp;
	fresh_path();
	int fd = open(path, O_CREAT | O_WRONLY, 0600);
	CHECK_EQ(write(fd, "precious words of a user", 24), 24);
	close(fd);
	CHECK_EQ(create(&dp), -EEXIST);
	CHECK_EQ(access(path, F_OK), 0);
	unlink(path);
	CHECK_EQ(symlink("/nowhere/at/all", path), 0);
	CHECK(create(&dp) < 0);
	CHECK(mlb_region_attach(&dp, path, err) < 0);
	unlink(path);
}

/* What was done to a good region's header, and a word that the reason must hold. */
TEST(garbage_older_and_newer_are_refused)
{
	struct change {
		size_t off;
		uint64_t value;
		size_t len;
		const char *word;
	};
	static const struct change t[] = {
		{ offsetof(struct mlb_region_hdr, magic), 0, 8, "magic" },
		{ offsetof(struct mlb_region_hdr, magic), 0x1122334455667788, 8, "magic" },
		{ offsetof(struct mlb_region_hdr, layout_version), 0, 4, "older" },
		{ offsetof(struct mlb_region_hdr, layout_version), MLB_LAYOUT_VERSION + 1, 4, "newer" },
		{ offsetof(struct mlb_region_hdr, header_size), 8, 4, "sizes" },
		{ offsetof(struct mlb_region_hdr, frame_hdr_size), 0, 4, "sizes" },
		{ offsetof(struct mlb_region_hdr, server_rec_size), 4096, 4, "sizes" },
		{ offsetof(struct mlb_region_hdr, region_size), 1, 8, "bytes" },
		{ offsetof(struct mlb_region_hdr, limits.vips), 0, 4, "0 VIPs and 4096 servers" },
		{ offsetof(struct mlb_region_hdr, limits.vips), MLB_MAX_VIPS + 1, 4, "1025 VIPs" },
		{ offsetof(struct mlb_region_hdr, limits.servers), UINT32_MAX, 4, "1 to 16384" },
		{ offsetof(struct mlb_region_hdr, limits.servers), 4095, 4, "bytes" },
		{ offsetof(struct mlb_region_hdr, block[1].off), UINT64_MAX, 8, "offsets" },
		{ offsetof(struct mlb_region_hdr, block[0].buf_size), 8, 8, "offsets" },
	};
	for (size_t i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
		struct mlb_region dp, ag;
		fresh_path();
		CHECK_EQ(create(&dp), 0);
		memcpy((uint8_t *)dp.hdr + t[i].off, &t[i].value, t[i].len);
		CHECK_EQ(mlb_region_attach(&ag, path, err), -EPROTO);
		if (!strstr(err, t[i].word))
			printf("# %s\n", err);
		CHECK(strstr(err, t[i].word) != NULL);
		mlb_region_close(&dp, true);
	}
}

/* A small region stays small, a large one is what was asked for, and more than that is refused. */
TEST(the_limits_make_its_size)
{
	static const struct {
		struct mlb_limits ask, get;
		uint64_t size;
	} t[] = {
		{ { 0, 0 }, { 64, 4096 }, 0x74a000 },
		{ { 1, 1 }, { 1, 1 }, 0x7000 },
		{ { 1024, 0 }, { 1024, 4096 }, 0x86b000 },
		{ { 1024, 16384 }, { 1024, 16384 }, 0x1dfb000 },
	};
	for (size_t i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
		struct mlb_region dp, ag;
		fresh_path();
		struct mlb_region_conf c = conf();
		c.limits = t[i].ask;
		CHECK_EQ(mlb_region_create(&dp, &c, err), 0);
		CHECK_EQ(mlb_region_attach(&ag, path, err), 0);
		CHECK_EQ(ag.limits.vips, t[i].get.vips);
		CHECK_EQ(ag.limits.servers, t[i].get.servers);
		CHECK_EQ(ag.size, t[i].size);
		mlb_region_close(&ag, false);
		mlb_region_close(&dp, true);
	}
	struct mlb_region dp;
	struct mlb_region_conf c = conf();
	c.limits = (struct mlb_limits){ MLB_MAX_VIPS + 1, 1 };
	CHECK_EQ(mlb_region_create(&dp, &c, err), -EINVAL);
	CHECK(strstr(err, "1024 VIPs and 16384 servers, not 1025 and 1"));
	CHECK(access(path, F_OK) != 0);
}

TEST(short_and_empty_files_are_refused)
{
	struct mlb_region ag;
	static const off_t sizes[] = { 0, 1, 255, 256, 4096, 1 << 20 };
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		fresh_path();
		int fd = open(path, O_CREAT | O_WRONLY, 0600);
		CHECK_EQ(ftruncate(fd, sizes[i]), 0);
		close(fd);
		CHECK_EQ(mlb_region_attach(&ag, path, err), -EPROTO);
		unlink(path);
	}
	CHECK_EQ(mlb_region_attach(&ag, fresh_path(), err), -ENOENT);
	CHECK_EQ(mlb_region_attach(&ag, "/dev/null", err), -EPROTO);
}

/* A region that a data plane of an earlier release made. */
TEST(released_layouts_are_refused_by_name)
{
	for (size_t i = 0; i < sizeof(released_layouts) / sizeof(released_layouts[0]); i++) {
		struct mlb_region ag;
		fresh_path();
		int fd = open(path, O_CREAT | O_RDWR, 0600);
		CHECK_EQ(write(fd, released_layouts[i].header, 256), 256);
		CHECK_EQ(ftruncate(fd, (off_t)released_layouts[i].region_size), 0);
		close(fd);
		CHECK_EQ(mlb_region_attach(&ag, path, err), -EPROTO);
		CHECK(strstr(err, released_layouts[i].name) && strstr(err, "older") && strstr(err, "must be of one release"));
		if (mlbtest_failed)
			printf("# %s: %s\n", released_layouts[i].name, err);
		unlink(path);
	}
}

TEST(futex_wakes_another_process)
{
	struct mlb_region dp;
	fresh_path();
	CHECK_EQ(create(&dp), 0);
	pid_t pid = fork();
	if (pid == 0) {
		struct mlb_region r;
		if (mlb_region_open_ro(&r, path, err) != 0)
			_exit(1);
		for (int i = 0; i < 100 && atomic_load(&r.hdr->out_futex) == 0; i++)
			mlb_futex_wait(&r.hdr->out_futex, 0, 100000);
		_exit(atomic_load(&r.hdr->out_futex) == 0 ? 2 : 0);
	}
	usleep(20000);
	mlb_futex_wake(&dp.hdr->out_futex);
	int st = -1;
	waitpid(pid, &st, 0);
	CHECK_EQ(st, 0);
	CHECK_EQ(mlb_futex_wait(&dp.hdr->out_futex, 1, 1000), -ETIMEDOUT);
	mlb_region_close(&dp, true);
}

MLB_TEST_MAIN(CASE(create_attach_close), CASE(second_agent_is_refused_with_the_reason),
	      CASE(second_data_plane_is_refused_unless_it_takes_over), CASE(failed_takeover_leaves_the_region_alone),
	      CASE(dead_data_planes_region_is_replaced), CASE(foreign_files_and_links_are_left_alone),
	      CASE(garbage_older_and_newer_are_refused), CASE(the_limits_make_its_size), CASE(short_and_empty_files_are_refused),
	      CASE(released_layouts_are_refused_by_name), CASE(futex_wakes_another_process))
