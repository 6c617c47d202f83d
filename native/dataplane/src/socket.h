/* SPDX-License-Identifier: Apache-2.0 */
/* What flow.c does to the socket of a side, beside moving bytes. */
#ifndef MLBD_SOCKET_H
#define MLBD_SOCKET_H
#include "relay.h"

/* Closes with a reset. */
void mlbd_socket_reset(int fd);
/* The errno that waits at the socket; 0: none. */
int mlbd_socket_error(int fd);
/* The side sent urgent data: it is forwarded in line, the urgent pointer is dropped (RFC 6093). A client's socket inherits the
 * option from its listener. */
void mlbd_socket_urgent(struct mlbd_side *);
#endif
