/* SPDX-License-Identifier: Apache-2.0 */
#include "check.h"

#include <errno.h>
#include <grp.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

/* The folder of `path` can take a file, and what stands at `path` is of the kind `mode`, or nothing. */
static int check_path(const char *what, const char *path, mode_t mode, const char *kind, char err[256])
{
	char folder[256];
	struct stat st;
	const char *slash = strrchr(path, '/');
	int length = slash == path ? 1 : (int)(slash - path);

	snprintf(folder, sizeof(folder), "%.*s", length, path);
	if (stat(folder, &st) < 0 || !S_ISDIR(st.st_mode)) {
		snprintf(err, 256, "%s %.100s: expected a folder %.100s", what, path, folder);
		return -ENOENT;
	}
	if (access(folder, W_OK | X_OK) < 0) {
		snprintf(err, 256, "%s %.100s: cannot write to the folder %.100s: %s", what, path, folder, strerror(errno));
		return -EACCES;
	}
	if (lstat(path, &st) == 0 && (st.st_mode & S_IFMT) != mode) {
		snprintf(err, 256, "%s %.150s: expected %s there, or nothing", what, path, kind);
		return -EEXIST;
	}
	return 0;
}

static int check_group(const char *group, char err[256])
{
	if (!group[0] || getgrnam(group))
		return 0;
	snprintf(err, 256, "region-group '%.80s': expected a group of this machine", group);
	return -EINVAL;
}

int mlbd_check_names(const struct mlbd_settings *s, struct mlbd_text *all, char err[512])
{
	char path[216], why[3][256];
	const char *control = mlbd_control_path(s, path);
	bool region = strcmp(s->region, "off") != 0;
	int rc[3] = { region ? check_path("region", s->region, S_IFREG, "a region", why[0]) : 0,
		      region ? check_group(s->region_group, why[1]) : 0,
		      control ? check_path("control", control, S_IFSOCK, "a control socket", why[2]) : 0 };
	int first = 0;

	for (int i = 0; i < 3; i++) {
		if (rc[i] == 0)
			continue;
		if (all)
			mlbd_text_add(all, "%s\n", why[i]);
		if (!first)
			strcpy(err, why[i]);
		first = first ? first : rc[i];
	}
	return first;
}
