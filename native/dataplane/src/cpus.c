/* SPDX-License-Identifier: Apache-2.0 */
#include "cpus.h"

#include <sched.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define PATH_LEN 1024

static double least(double a, double b)
{
	return a == 0 || (b > 0 && b < a) ? b : a;
}

static bool read_line(const char *dir, const char *file, char *line, int size)
{
	char path[PATH_LEN + 64];
	FILE *f;
	bool ok;

	snprintf(path, sizeof(path), "%s/%s", dir, file);
	f = fopen(path, "re");
	if (!f)
		return false;
	ok = fgets(line, size, f) != NULL;
	fclose(f);
	return ok;
}

/* "max 100000" or "50000 100000". */
static double quota_v2(const char *dir)
{
	char line[128];
	double quota, period;

	return read_line(dir, "cpu.max", line, sizeof(line)) && sscanf(line, "%lf %lf", &quota, &period) == 2 && period > 0 ?
		       quota / period :
		       0;
}

static double quota_v1(const char *dir)
{
	char quota[64], period[64];

	if (!read_line(dir, "cpu.cfs_quota_us", quota, sizeof(quota)) ||
	    !read_line(dir, "cpu.cfs_period_us", period, sizeof(period)) || atof(quota) <= 0 || atof(period) <= 0)
		return 0;
	return atof(quota) / atof(period);
}

/* The tightest of a group and its parents, up to the mount. A path that the mount does not show (a container sees its own group
 * as the root) has no files, and its parents are what counts. */
static double walk(const char *mount, const char *group, double (*quota)(const char *))
{
	char dir[PATH_LEN];
	size_t root = strlen(mount);
	double q = 0;

	if (snprintf(dir, sizeof(dir), "%s%s", mount, group) >= (int)sizeof(dir))
		return 0;
	for (;;) {
		char *slash;

		q = least(q, quota(dir));
		slash = strrchr(dir, '/');
		if (strlen(dir) <= root || !slash)
			return q;
		*slash = 0;
	}
}

/* Mount point of the hierarchy: for v1 the one whose options name the controller cpu. */
static bool mount_of(const char *root, bool v2, char mount[PATH_LEN])
{
	char path[PATH_LEN], line[4096];
	FILE *f;
	bool found = false;

	snprintf(path, sizeof(path), "%s/proc/self/mountinfo", root);
	f = fopen(path, "re");
	while (f && !found && fgets(line, sizeof(line), f)) {
		char at[PATH_LEN / 2], type[64], super[1024], *rest = strstr(line, " - ");

		if (!rest || sscanf(line, "%*s %*s %*s %*s %511s", at) != 1 ||
		    sscanf(rest, " - %63s %*s %1023s", type, super) != 2 || strcmp(type, v2 ? "cgroup2" : "cgroup"))
			continue;
		for (char *save, *o = strtok_r(super, ",\n", &save); o && !found; o = strtok_r(NULL, ",\n", &save))
			found = v2 || strcmp(o, "cpu") == 0;
		if (found)
			snprintf(mount, PATH_LEN, "%s%s", root, at);
	}
	if (f)
		fclose(f);
	return found;
}

double mlbd_cpus_quota(const char *root)
{
	char path[PATH_LEN], line[2048], mount[PATH_LEN];
	double q = 0;
	FILE *f;

	snprintf(path, sizeof(path), "%s/proc/self/cgroup", root);
	f = fopen(path, "re");
	while (f && fgets(line, sizeof(line), f)) { /* number:controllers:path */
		char *controllers = strchr(line, ':'), *group = controllers ? strchr(controllers + 1, ':') : NULL;
		bool v2 = group == controllers + 1, cpu = false;

		if (!group)
			continue;
		*group++ = 0;
		group[strcspn(group, "\n")] = 0;
		for (char *save, *c = strtok_r(controllers + 1, ",", &save); c; c = strtok_r(NULL, ",", &save))
			cpu |= strcmp(c, "cpu") == 0;
		if ((v2 || cpu) && mount_of(root, v2, mount))
			q = least(q, walk(mount, strcmp(group, "/") ? group : "", v2 ? quota_v2 : quota_v1));
	}
	if (f)
		fclose(f);
	return q;
}

uint32_t mlbd_cpus(void)
{
	double q = mlbd_cpus_quota("");
	long n = sysconf(_SC_NPROCESSORS_ONLN);
	cpu_set_t set;

	/* Fails on a machine of more than 1024 processors: then there are enough. */
	if (sched_getaffinity(0, sizeof(set), &set) == 0)
		n = CPU_COUNT(&set);
	if (q > 0 && q < (double)n)
		n = (long)q;
	return n < 1 ? 1 : (uint32_t)n;
}
