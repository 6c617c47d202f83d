/* SPDX-License-Identifier: Apache-2.0 */
/* Datagrams that wait for this process, and those that find no room. Main thread, but where it says so. */
#ifndef MLBD_UDP_ROOM_H
#define MLBD_UDP_ROOM_H
#include "host.h"

/* The listeners of a VIP get the receive buffer of the settings; what the kernel does not give is told, once a VIP. Nothing for
 * TCP. */
void mlbd_udp_room_give(struct mlbd_host *, struct mlbd_vip *);
/* Again for all, where the setting has changed. */
void mlbd_udp_room_give_all(struct mlbd_host *);
/* What the kernel dropped since the last look goes to the core. */
void mlbd_udp_room_count(struct mlbd_host *);
/* Any thread: a flow's socket, which brought so many answers, is about to be closed. */
void mlbd_udp_room_flow(struct mlbd_vip *, int fd, uint32_t answers);
#endif
