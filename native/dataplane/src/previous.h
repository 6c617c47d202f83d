/* SPDX-License-Identifier: Apache-2.0 */
/* After a takeover the previous data plane drains. Its connections count against the limits of this one: it is asked for them
 * over the connection of the takeover until it ends. They can only become fewer, so an old answer never lets a limit be passed.
 */
#ifndef MLBD_PREVIOUS_H
#define MLBD_PREVIOUS_H
#include "host.h"
#include "text.h"

/* The order, and its answer: "vip NAME CONNECTIONS", each followed by "server ADDRESS:PORT CONNECTIONS" of its servers with any.
 */
#define MLBD_PREVIOUS_ORDER "connections\n"
void mlbd_previous_print(struct mlbd_host *, struct mlbd_text *);

struct mlbd_previous {
	int fd; /* -1: there is none, or it has ended */
	bool asked;
	struct mlbd_text in;
};

/* Takes the connection over and waits, a second at most, for the first answer: before this one serves. */
void mlbd_previous_begin(struct mlbd_previous *, struct mlbd_host *, int fd);
/* Reads what has come and asks again; never waits. */
void mlbd_previous_poll(struct mlbd_previous *, struct mlbd_host *);
void mlbd_previous_end(struct mlbd_previous *, struct mlbd_host *);
#endif
