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

int mlbd_check_names(const struct mlbd_settings *s, char err[256])
{
	char path[216];
	const char *control = mlbd_control_path(s, path);
	bool region = strcmp(s->region, "off") != 0;
	int rc;

	if (region && (rc = check_path("region", s->region, S_IFREG, "a region", err)))
		return rc;
	if (region && s->region_group[0] && !getgrnam(s->region_group)) {
		snprintf(err, 256, "region-group '%.80s': expected a group of this machine", s->region_group);
		return -EINVAL;
	}
	return control ? check_path("control", control, S_IFSOCK, "a control socket", err) : 0;
}
