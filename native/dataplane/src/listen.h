/* SPDX-License-Identifier: Apache-2.0 */
/* Listening sockets: opened, closed to new clients, opened again. */
#ifndef MLBD_LISTEN_H
#define MLBD_LISTEN_H
#include <marllb/types.h>

/* One socket a thread, of the protocol in ep; port 0: the kernel chooses and ep gets it. */
int mlbd_listen(struct mlb_endpoint *ep, uint32_t n, int backlog, bool freebind, int *fd, char err[256]);
/* Whether the address is free now; nobody is let in meanwhile. 0, or -errno and err. */
int mlbd_listen_try(const struct mlb_endpoint *, bool freebind, char err[256]);
/* From now on SYNs are dropped; handshakes that have begun still end. -errno: they are answered as before. */
int mlbd_listen_refuse_new(const int *fd, uint32_t n);
/* Takes that back. */
int mlbd_listen_let_in(const int *fd, uint32_t n);
#endif
