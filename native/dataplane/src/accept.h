/* SPDX-License-Identifier: Apache-2.0 */
/* A worker's listeners. Worker thread. */
#ifndef MLBD_ACCEPT_H
#define MLBD_ACCEPT_H
#include "worker.h"

/* Watches the listeners that main has passed with this message (mlbd_workers_listen), which it takes. */
void mlbd_accept_add(struct mlbd_worker *, struct mlbd_mail *);
/* Tries again those that found no descriptor or no memory. */
void mlbd_accept_late(struct mlbd_worker *);
/* Gives up a VIP's listeners, or all (vip 0), after accepting those who wait there. */
void mlbd_accept_drop(struct mlbd_worker *, uint32_t vip);
/* Accepts up to `most`; out of descriptors the listener pauses. */
void mlbd_accept_some(struct mlbd_worker *, struct mlbd_listener *, uint32_t most);
#endif
