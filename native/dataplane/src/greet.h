/* SPDX-License-Identifier: Apache-2.0 */
/* PROXY headers of a connection: the one that a client's network must send first, and the one that a server is sent first. */
#ifndef MLBD_GREET_H
#define MLBD_GREET_H
#include "conn.h"
#include "proxy_header.h"

/* A connection from this address begins with a header. */
bool mlbd_greet_expected(const struct mlbd_vip *, const struct mlb_addr *peer);

enum mlbd_greeting {
	MLBD_GREET_DONE, /* taken from the socket; what follows is the client's own */
	MLBD_GREET_MORE, /* the beginning of one, or nothing yet: wait until it is readable */
	MLBD_GREET_BAD,  /* no header */
	MLBD_GREET_GONE  /* the peer ended the connection, or it failed, before it said anything */
};
/* Looks at what the client's socket has; an incomplete header stays there. DONE: who the client is, and c->local if the header
 * says more than its socket. */
enum mlbd_greeting mlbd_greet_read(struct mlbd_conn *, struct mlb_endpoint *client);
/* Counts and logs that a header was expected; `what` was found instead. */
void mlbd_greet_refused(struct mlbd_worker *, struct mlbd_conn *, const char *what);
/* What the server in hand (c->slot) is to be sent first; returns the length, 0: nothing. */
uint32_t mlbd_greet_write(const struct mlbd_conn *, uint8_t head[MLBD_PROXY_WRITE_MOST]);
#endif
