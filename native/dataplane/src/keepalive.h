/* SPDX-License-Identifier: Apache-2.0 */
/* How long the kernel waits for a peer that has vanished. */
#ifndef MLBD_KEEPALIVE_H
#define MLBD_KEEPALIVE_H
#include "settings.h"

/* Puts the settings on a connected socket. */
void mlbd_keepalive(int fd, const struct mlbd_settings *);
#endif
