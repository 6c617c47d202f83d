/* SPDX-License-Identifier: Apache-2.0 */
/* Which server, and how to connect to it: outcomes only. */
#ifndef MLBD_CONNECT_H
#define MLBD_CONNECT_H
#include "worker.h"

/* What places a client in mode hash. */
uint64_t mlbd_connect_hash(const struct mlb_endpoint *client, const struct mlb_endpoint *vip);
/* A server that is not among `tried` and has room; its place is taken. MLB_NONE: there is none; *full tells whether a limit is
 * why. A flow whose connect failed (tries > 0) has nothing to lose: when nobody else is left it gets one that is masked by what
 * was found of it. */
uint32_t mlbd_connect_pick(struct mlbd_worker *, struct mlbd_vip *, struct mlb_wvip *, uint64_t hash, const uint16_t *tried,
			   uint32_t tries, bool *full);
/* Gives a server's place back. */
void mlbd_connect_release(struct mlbd_vip *, uint32_t slot);
/* A socket (SOCK_STREAM or SOCK_DGRAM) that connects to the server, from the client's address where the setting `transparent`
 * says so, else from one of the sources. 0: under way or done; -errno. *fd is the caller's to close, also then, if it is not -1.
 */
int mlbd_connect_socket(struct mlbd_worker *, int type, const struct mlbd_vip *, const struct mlb_server *,
			const struct mlb_addr *client, int *fd);
/* The error (an errno) says that this machine lacks something; it says nothing about the server. */
bool mlbd_connect_error_is_local(int error);
#endif
