/* SPDX-License-Identifier: Apache-2.0 */
/* How long the kernel waits for a peer that has vanished. */
#ifndef MLBD_KEEPALIVE_H
#define MLBD_KEEPALIVE_H
#include "conn.h"

/* Puts the settings on a connected socket. */
void mlbd_keepalive(int fd, const struct mlbd_settings *);
/* A connection that has lived until its first look at the clock gets its socket options, so that a short one does without these
 * system calls; again when the settings have a new version. */
void mlbd_keepalive_conn(struct mlbd_conn *, const struct mlbd_settings *, uint32_t version);
#endif
