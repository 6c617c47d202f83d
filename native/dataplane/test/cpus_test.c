/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE
#include "mlbtest.h"

#include <sched.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cpus.h"

static char root[] = "/tmp/marllb-cpus-XXXXXX";

static void put(const char *file, const char *text)
{
	char path[512];
	FILE *f;

	snprintf(path, sizeof(path), "%s/%s", root, file);
	for (char *p = path + strlen(root) + 1; (p = strchr(p, '/')); *p++ = '/') {
		*p = 0;
		mkdir(path, 0700);
	}
	f = fopen(path, "w");
	CHECK(f != NULL);
	if (f) {
		fputs(text, f);
		fclose(f);
	}
}

TEST(quota_of_control_groups_v2)
{
	CHECK(mkdtemp(root) != NULL);
	CHECK_EQ((int)mlbd_cpus_quota(root), 0);
	put("proc/self/mountinfo", "30 20 0:26 / /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw,nsdelegate\n");
	put("proc/self/cgroup", "0::/system.slice/marllb.service\n");
	CHECK_EQ((int)mlbd_cpus_quota(root), 0);
	put("sys/fs/cgroup/system.slice/marllb.service/cpu.max", "max 100000\n");
	CHECK_EQ((int)mlbd_cpus_quota(root), 0);
	put("sys/fs/cgroup/system.slice/cpu.max", "350000 100000\n");
	CHECK_NEAR(mlbd_cpus_quota(root), 3.5, 1e-9);
	put("sys/fs/cgroup/system.slice/marllb.service/cpu.max", "50000 100000\n");
	CHECK_NEAR(mlbd_cpus_quota(root), 0.5, 1e-9);
}

TEST(quota_of_control_groups_v1_seen_from_a_container)
{
	put("proc/self/mountinfo", "32 31 0:29 /docker/abc /sys/fs/cgroup/cpu,cpuacct ro - cgroup cgroup rw,cpu,cpuacct\n"
				   "33 31 0:30 /docker/abc /sys/fs/cgroup/memory ro - cgroup cgroup rw,memory\n");
	put("proc/self/cgroup", "9:memory:/docker/abc\n4:cpu,cpuacct:/docker/abc\n");
	put("sys/fs/cgroup/cpu,cpuacct/cpu.cfs_quota_us", "-1\n");
	put("sys/fs/cgroup/cpu,cpuacct/cpu.cfs_period_us", "100000\n");
	CHECK_EQ((int)mlbd_cpus_quota(root), 0);
	put("sys/fs/cgroup/cpu,cpuacct/cpu.cfs_quota_us", "250000\n");
	CHECK_NEAR(mlbd_cpus_quota(root), 2.5, 1e-9);
}

TEST(affinity_counts)
{
	cpu_set_t all, one;
	int cpu = 0;

	CHECK_EQ(sched_getaffinity(0, sizeof(all), &all), 0);
	while (!CPU_ISSET(cpu, &all))
		cpu++;
	CHECK(mlbd_cpus() >= 1 && mlbd_cpus() <= (uint32_t)CPU_COUNT(&all));
	CPU_ZERO(&one);
	CPU_SET(cpu, &one);
	CHECK_EQ(sched_setaffinity(0, sizeof(one), &one), 0);
	CHECK_EQ(mlbd_cpus(), 1);
	CHECK_EQ(sched_setaffinity(0, sizeof(all), &all), 0);
}

MLB_TEST_MAIN(CASE(quota_of_control_groups_v2), CASE(quota_of_control_groups_v1_seen_from_a_container), CASE(affinity_counts))
