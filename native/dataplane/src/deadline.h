/* SPDX-License-Identifier: Apache-2.0 */
/* The time-outs of a connection: a function of its record and the settings; and the place in the wheel that follows from them. */
#ifndef MLBD_DEADLINE_H
#define MLBD_DEADLINE_H
#include "conn.h"

enum mlbd_overdue {
	MLBD_DUE_GREETING,    /* the PROXY header has not come */
	MLBD_DUE_CONNECT,     /* the server has not answered */
	MLBD_DUE_FIRST_BYTE,  /* neither side has said anything */
	MLBD_DUE_HALF_CLOSED, /* one side has ended and the other is silent */
	MLBD_DUE_IDLE
};

/* When the connection is over unless something moves, and why it is then. */
uint64_t mlbd_deadline(const struct mlbd_conn *, const struct mlbd_settings *, enum mlbd_overdue *why);
/* Its deadline may be nearer than when the wheel was to look at it: then the entry moves. */
void mlbd_deadline_hasten(struct mlbd_worker *, struct mlbd_conn *);
/* The same for every connection of the worker: time-outs may have become shorter. */
void mlbd_deadline_hasten_all(struct mlbd_worker *);
#endif
