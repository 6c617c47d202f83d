/* SPDX-License-Identifier: Apache-2.0 */
/* Listening sockets that came from another process: the data plane before (takeover.h) or the supervisor (supervised.h). */
#ifndef MLBD_LISTENERS_H
#define MLBD_LISTENERS_H
#include "plan_types.h"

struct mlbd_listeners {
	struct {
		char vip[MLB_NAME_LEN];
		struct mlb_endpoint ep;
		int *fd;
		uint32_t fds;
	} of[MLB_MAX_VIPS];
	uint32_t n;
};

/* Those of one VIP, the list's on success. `ep`: the address that all of them must have; NULL: that of the first. -EPROTO: one
 * is no listening TCP socket, or UDP socket, of this address; -ENOMEM. */
int mlbd_listeners_add(struct mlbd_listeners *, const char *vip, const struct mlb_endpoint *ep, const int *fd, uint32_t fds,
		       char err[256]);
/* Listeners for this VIP: their number, 0 if none fit; *fd is then the caller's. New clients are let in. */
uint32_t mlbd_listeners_claim(struct mlbd_listeners *, struct mlbd_vip_opts *, int **fd);
/* Closes those that nobody claimed. */
void mlbd_listeners_free(struct mlbd_listeners *);
#endif
