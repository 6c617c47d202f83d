/* SPDX-License-Identifier: Apache-2.0 */
/* Names that a process took with its pid in them and, killed, did not give back. */
#define _GNU_SOURCE
#include "marllb/leftovers.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* The pid behind `prefix`, 0 if the name is another one. */
static pid_t pid_of(const char *name, const char *prefix)
{
	size_t n = strlen(prefix);
	char *end;
	if (strncmp(name, prefix, n) != 0 || !isdigit((unsigned char)name[n]))
		return 0;
	unsigned long pid = strtoul(name + n, &end, 10);
	return *end == 0 && pid > 1 && pid < 1u << 30 ? (pid_t)pid : 0;
}

/* Whoever lives in another pid namespace looks dead from here: its files, which it locks, are left alone. */
static bool locked(int dir, const char *name)
{
	struct flock l = { .l_type = F_WRLCK, .l_whence = SEEK_SET, .l_len = 1 };
	int fd = openat(dir, name, O_RDWR | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK);
	if (fd < 0)
		return false; /* a socket */
	bool held = fcntl(fd, F_OFD_SETLK, &l) != 0;
	close(fd);
	return held;
}

uint32_t mlb_leftovers_remove(const char *prefix)
{
	const char *slash = strrchr(prefix, '/');
	char folder[512];
	uint32_t removed = 0;
	if (!slash || (size_t)(slash - prefix) + 1 >= sizeof(folder))
		return 0;
	snprintf(folder, sizeof(folder), "%.*s", (int)(slash - prefix) + 1, prefix);
	DIR *d = opendir(folder);
	if (!d)
		return 0;
	for (struct dirent *e = readdir(d); e; e = readdir(d)) {
		struct stat st;
		pid_t pid = pid_of(e->d_name, slash + 1);
		if (pid == 0 || kill(pid, 0) == 0 || errno != ESRCH)
			continue;
		if (fstatat(dirfd(d), e->d_name, &st, AT_SYMLINK_NOFOLLOW) != 0 || st.st_uid != geteuid() ||
		    !(S_ISREG(st.st_mode) || S_ISSOCK(st.st_mode)))
			continue;
		if (S_ISREG(st.st_mode) && locked(dirfd(d), e->d_name))
			continue;
		removed += unlinkat(dirfd(d), e->d_name, 0) == 0;
	}
	closedir(d);
	return removed;
}
