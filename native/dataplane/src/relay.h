/* SPDX-License-Identifier: Apache-2.0 */
/* Moving bytes between the two sockets of a connection. It returns what it found and decides nothing: it ends no connection,
 * counts nothing, registers nothing.
 *
 * Small pieces go through one buffer of the worker (two system calls, no allocation). A direction that has moved much in a row
 * goes through a pipe (splice, no copy). What the receiver does not take waits in one buffer or pipe and nothing more is read
 * meanwhile, which bounds memory and applies back-pressure. */
#ifndef MLBD_RELAY_H
#define MLBD_RELAY_H
#include <stdbool.h>
#include <stdint.h>
#include "buffers.h"

enum { MLBD_CLIENT = 0, MLBD_SERVER = 1 };

/* One side's socket and the direction that begins there. */
struct mlbd_side {
	struct mlbd_queue *queue; /* read here, not yet taken by the other side; NULL: nothing */
	int fd;
	uint32_t streak;   /* bytes moved in a row in large pieces, for the choice of splice */
	bool readable : 1; /* an edge said so and no read has found it empty since */
	bool fin_near : 1; /* the peer's FIN has arrived: a short read is the end */
	bool eof : 1;      /* end read */
	bool fin_sent : 1; /* end passed on to the other side */
	bool want_out : 1; /* registered for EPOLLOUT */
	bool urgent : 1;   /* sent urgent data: reads stop short at its mark, splice does not get past it */
	bool watched : 1;  /* registered with epoll */
	bool passed : 1;   /* a byte read here was taken by the other side */
	bool nodelay : 1;  /* TCP_NODELAY is set */
	bool led : 1;      /* a lead was put ahead of what is read here */
	bool lead_now : 1; /* it goes alone if nothing follows it yet */
	uint8_t lead;      /* bytes at the front of the queue that are ours: not counted as read, moved or passed */
};

enum mlbd_relayed {
	MLBD_IDLE,  /* nothing left to read */
	MLBD_AGAIN, /* more to move, but others get their turn: call again, no event will come */
	MLBD_FULL,  /* the receiver takes no more: wait until it is writable */
	MLBD_ENDED, /* the sender's end was read and all before it passed on */
	MLBD_LOST   /* a socket failed */
};

/* Fits two registers. */
struct mlbd_outcome {
	uint32_t read, moved; /* bytes read from this side, bytes that the other side took */
	uint16_t error;       /* LOST: the errno */
	uint8_t what;         /* enum mlbd_relayed */
	uint8_t lost : 1;     /* LOST: the side whose socket failed */
	uint8_t at_write : 1; /* LOST: a write found it; what that side said before it failed may still be unread */
};

/* Puts `len` bytes of ours (at most MLBD_BUF_LEAD) ahead of what side `from` says, before any of it was passed on. They go with
 * its first bytes, in one segment, or with its end. -ENOMEM. */
int mlbd_relay_lead(struct mlbd_buffers *, struct mlbd_side *from, const uint8_t *data, uint32_t len);
/* The receiver is there, and may be the one to speak first: the lead is not held back any longer, though bytes that have come
 * meanwhile still go with it. */
void mlbd_relay_lead_now(struct mlbd_side *from);
/* Takes back what has not gone: the receiver is given up. */
void mlbd_relay_unlead(struct mlbd_buffers *, struct mlbd_side *from);
/* Moves what it can from side `s` to the other. */
struct mlbd_outcome mlbd_relay(struct mlbd_buffers *, struct mlbd_side side[2], unsigned s);
/* The socket of side `s` was found failed at a write: moves what it said before. MLBD_IDLE, whatever happens. */
struct mlbd_outcome mlbd_relay_rest(struct mlbd_buffers *, struct mlbd_side side[2], unsigned s);
#endif
