/* SPDX-License-Identifier: Apache-2.0 */
#include "lock.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define LOOK_MS 10u

/* The holder removes the file before it lets go: a lock on a file that has lost its name guards nothing. */
static int try(const char *path)
{
	struct stat held, named;
	int fd = open(path, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);

	if (fd < 0)
		return -errno;
	if (flock(fd, LOCK_EX | LOCK_NB) == 0 && fstat(fd, &held) == 0 && lstat(path, &named) == 0 &&
	    held.st_dev == named.st_dev && held.st_ino == named.st_ino)
		return fd;
	close(fd);
	return -EBUSY;
}

int mlbd_lock_take(struct mlbd_lock *l, const char *path, uint32_t wait_ms, char err[256])
{
	const struct timespec pause = { .tv_nsec = LOOK_MS * 1000000 };

	snprintf(l->path, sizeof(l->path), "%s.lock", path);
	for (uint32_t waited = 0;; waited += LOOK_MS) {
		l->fd = try(l->path);
		if (l->fd >= 0)
			return 0;
		if (l->fd != -EBUSY || waited >= wait_ms)
			break;
		nanosleep(&pause, NULL);
	}
	int rc = l->fd;

	l->fd = -1;
	if (rc == -EBUSY)
		snprintf(err, 256, "control %.150s: another marllb-dp has been starting or taking over for %u ms", path, wait_ms);
	else
		snprintf(err, 256, "control %.150s: cannot make a file beside it that keeps others from starting: %s", path,
			 strerror(-rc));
	return rc;
}

void mlbd_lock_drop(struct mlbd_lock *l)
{
	if (l->fd < 0)
		return;
	unlink(l->path);
	close(l->fd);
	l->fd = -1;
}
