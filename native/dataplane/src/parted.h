/* SPDX-License-Identifier: Apache-2.0 */
/* Listeners of VIPs that were just removed. They stay open for a round trip, so that a VIP that comes at the same address (one
 * that was renamed, say) goes on with the same sockets, and handshakes under way with them. Main thread only. */
#ifndef MLBD_PARTED_H
#define MLBD_PARTED_H
#include <marllb/types.h>

#define MLBD_PARTED_US 300000u /* a round trip to far-off clients */

struct mlbd_parted {
	struct mlb_endpoint ep;
	int *fd; /* NULL: a free entry */
	uint32_t fds;
	uint64_t until_us;
};
struct mlbd_parted_list {
	struct mlbd_parted of[MLB_MAX_VIPS];
};

/* Takes fd over, frees it in the end. Closes at once where there is no entry left. */
void mlbd_parted_add(struct mlbd_parted_list *, const struct mlb_endpoint *, int *fd, uint32_t fds, uint64_t now_us);
/* Listeners of this address, the caller's now; 0 if there are none. Closes those that overlap it, which would be in the way. */
uint32_t mlbd_parted_take(struct mlbd_parted_list *, const struct mlb_endpoint *, int **fd);
/* Closes those whose time is over; all of them with UINT64_MAX. */
void mlbd_parted_end(struct mlbd_parted_list *, uint64_t now_us);
#endif
