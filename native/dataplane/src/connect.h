/* SPDX-License-Identifier: Apache-2.0 */
/* Which server, and how to connect to it: outcomes only. */
#ifndef MLBD_CONNECT_H
#define MLBD_CONNECT_H
#include "conn.h"

/* A server that was not tried yet and has room; its place is taken. MLB_NONE: there is none; *full tells whether a limit is why.
 */
uint32_t mlbd_connect_pick(struct mlbd_worker *, struct mlbd_conn *, bool *full);
/* Gives the place of the connection's server back. */
void mlbd_connect_release(struct mlbd_conn *);
/* Begins a connect to the server. 0: under way, the socket is the connection's; -errno. */
int mlbd_connect_attempt(struct mlbd_worker *, struct mlbd_conn *, const struct mlb_server *);
/* The error (an errno) says that this machine lacks something; it says nothing about the server. */
bool mlbd_connect_error_is_local(int error);
#endif
