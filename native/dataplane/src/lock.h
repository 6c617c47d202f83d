/* SPDX-License-Identifier: Apache-2.0 */
/* Who starts, or takes over, at a control path does so alone: two at once would both find the same data plane, or none. */
#ifndef MLBD_LOCK_H
#define MLBD_LOCK_H
#include <stdint.h>

struct mlbd_lock {
	int fd; /* -1: not held */
	char path[216 + 8];
};

/* Takes PATH.lock, and waits at most wait_ms for whoever holds it. -EBUSY: it is still held; err names it. */
int mlbd_lock_take(struct mlbd_lock *, const char *path, uint32_t wait_ms, char err[256]);
/* Removes the file too. Does nothing when not held. */
void mlbd_lock_drop(struct mlbd_lock *);
#endif
