/* SPDX-License-Identifier: Apache-2.0 */
/* A worker's listeners. Worker thread only. */
#ifndef MLBD_ACCEPT_H
#define MLBD_ACCEPT_H
#include "worker.h"

/* Watches the next n listeners that main has passed (mlbd_worker_listen). */
void mlbd_accept_add(struct mlbd_worker *, uint32_t vip, uint32_t n);
/* Gives up a VIP's listeners, or all (vip 0), after taking those who wait there. */
void mlbd_accept_drop(struct mlbd_worker *, uint32_t vip);
/* Out of descriptors it stops for a while (the kernel keeps the connections waiting). */
void mlbd_accept_some(struct mlbd_worker *, struct mlbd_listener *, uint32_t most);
/* There is no descriptor for the server of a client that was accepted with the last one: pauses all listeners and sets one free
 * that was kept aside. False: none was. */
bool mlbd_accept_lend(struct mlbd_worker *, int error);
void mlbd_accept_keep_spare(struct mlbd_worker *);
/* Tries the paused ones again. */
void mlbd_accept_resume(struct mlbd_worker *);
#endif
