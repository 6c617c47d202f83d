/* SPDX-License-Identifier: Apache-2.0 */
/* VIPs on their way out. Their sockets take no new handshakes, and those under way are still accepted and served for a round
 * trip: a close would reset them. A VIP that comes at the same address meanwhile (one that was renamed, say) goes on with the
 * same sockets. Main thread only. */
#ifndef MLBD_PARTED_H
#define MLBD_PARTED_H
#include "host.h"

/* Whether the VIP has sockets at an address that overlaps this one. */
bool mlbd_vip_holds(const struct mlbd_vip *, const struct mlb_endpoint *);
/* Frees the address `ep` and the name for a VIP that comes: ends those on their way out that hold either, and where the address
 * is the same gives their listeners to the caller. Their number; 0: there are none. */
uint32_t mlbd_parted_take(struct mlbd_host *, const char *name, const struct mlb_endpoint *ep, int **fd);
/* Ends those whose time is over; all of them with UINT64_MAX. */
void mlbd_parted_end(struct mlbd_host *, uint64_t now_us);
#endif
