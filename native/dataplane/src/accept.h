/* SPDX-License-Identifier: Apache-2.0 */
/* A worker's listeners. Worker thread only. */
#ifndef MLBD_ACCEPT_H
#define MLBD_ACCEPT_H
#include "worker.h"

/* Watches the next listener that main has passed (mlbd_worker_listen). */
void mlbd_accept_add(struct mlbd_worker *, uint32_t vip);
/* Gives up a VIP's listeners, or all (vip 0), after taking those who wait there. */
void mlbd_accept_drop(struct mlbd_worker *, uint32_t vip);
void mlbd_accept_some(struct mlbd_worker *, struct mlbd_listener *, uint32_t most);
/* Out of descriptors: stop accepting for a while (the kernel keeps the connections waiting). */
void mlbd_accept_pause(struct mlbd_worker *, struct mlbd_listener *, int error);
/* Tries the paused ones again. */
void mlbd_accept_resume(struct mlbd_worker *);
#endif
