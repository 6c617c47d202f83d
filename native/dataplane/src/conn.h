/* SPDX-License-Identifier: Apache-2.0 */
/* A connection through the data plane: a client's socket and a server's, and what is on its way between them. */
#ifndef MLBD_CONN_H
#define MLBD_CONN_H
#include <sys/epoll.h>
#include <sys/socket.h>
#include "worker.h"

enum { MLBD_CLIENT = 0, MLBD_SERVER = 1 };
enum mlbd_conn_state { MLBD_CONN_FREE, MLBD_CONN_CONNECTING, MLBD_CONN_OPEN, MLBD_CONN_DEAD };

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
	bool watched : 1;
};

struct mlbd_conn {
	struct mlbd_link link; /* in the wheel, or free, or dead; first member */
	struct mlbd_side side[2];
	struct mlbd_vip *vip;
	struct mlb_wvip *wv;
	uint64_t start_us;   /* of the flow on this server, as told to the core */
	uint64_t connect_us; /* when this connect began */
	uint64_t wait_us;    /* when the client spoke and was not answered yet; 0: not waiting */
	uint64_t last_us;    /* when bytes moved last */
	uint64_t hash;       /* of the client's address and port */
	struct mlb_addr client;
	uint16_t client_port;
	uint16_t slot;
	uint32_t server_id;
	uint8_t state; /* enum mlbd_conn_state */
	uint8_t tries; /* servers tried, the current one included */
	bool again;    /* in the worker's list of those with more to do */
	bool nodelay;  /* set on the server's socket */
	bool moved;    /* a byte went to the server: no retry any more */
	uint16_t tried[MLBD_MAX_RETRIES + 1];
};

_Static_assert(MLBD_MAX_RETRIES + 1 < 16, "tries fit the tag");

struct mlbd_slab {
	struct mlbd_slab *next;
	struct mlbd_conn conn[];
};
#define MLBD_SLAB_CONNS 128u

/* What a side is registered for, besides EPOLLOUT where it is wanted. */
#define MLBD_EVENTS (EPOLLIN | EPOLLPRI | EPOLLRDHUP | EPOLLET)

/* What epoll is given for a side. */
static inline uint64_t mlbd_conn_tag(const struct mlbd_conn *c, unsigned s)
{
	return s == MLBD_SERVER ? MLBD_TAG_SERVER | (uint64_t)c->tries << MLBD_TAG_TRY_SHIFT : MLBD_TAG_CLIENT;
}

/* A client's socket that was accepted; owns fd. */
void mlbd_conn_accepted(struct mlbd_worker *, struct mlbd_listener *, int fd, const struct sockaddr_storage *peer);
void mlbd_conn_event(struct mlbd_worker *, struct mlbd_conn *, unsigned side, uint32_t events);
/* Connect or idle time-out may be due. */
void mlbd_conn_timer(void *worker, struct mlbd_link *);
/* Ends it: both sockets closed, counted as `how`. reset: the peer that is still there gets an RST. */
void mlbd_conn_end(struct mlbd_worker *, struct mlbd_conn *, enum mlb_end how, bool reset);
/* After a batch of events, when no event can name the dead any more. */
void mlbd_conn_reap(struct mlbd_worker *);
/* Calls fn for every connection of this worker. */
void mlbd_conn_each(struct mlbd_worker *, void (*fn)(void *arg, struct mlbd_conn *), void *arg);
void mlbd_conn_free_all(struct mlbd_worker *);

/* connect.c: from accept to an open flow. */
/* Tries servers until a connect is under way; false: none left, the connection is dead. */
bool mlbd_connect_start(struct mlbd_worker *, struct mlbd_conn *);
/* The connect under way failed with errno `error`: counts it and tries the next server. */
void mlbd_connect_failed(struct mlbd_worker *, struct mlbd_conn *, int error);
void mlbd_connect_done(struct mlbd_worker *, struct mlbd_conn *);
/* Gives the slot's place back. */
void mlbd_connect_release(struct mlbd_conn *);

/* relay.c: moves what it can from side `s` to the other. Returns 0, or -errno of a connect that failed at the first byte; the
 * connection may be dead afterwards. */
int mlbd_relay(struct mlbd_worker *, struct mlbd_conn *, unsigned s);
#endif
