/* SPDX-License-Identifier: Apache-2.0 */
/* The record of a connection through the data plane, and a worker's store of them. flow.c alone changes its state. */
#ifndef MLBD_CONN_H
#define MLBD_CONN_H
#include <sys/epoll.h>
#include "relay.h"
#include "worker.h"

enum mlbd_conn_state { MLBD_CONN_FREE, MLBD_CONN_GREETING, MLBD_CONN_CONNECTING, MLBD_CONN_OPEN, MLBD_CONN_DEAD };

struct mlbd_conn {
	struct mlbd_link link; /* in the wheel, or free, or dead; first member */
	struct mlbd_side side[2];
	struct mlbd_vip *vip;
	struct mlb_wvip *wv; /* NULL while GREETING: not let in yet */
	uint64_t start_us;   /* of the flow on this server, as told to the core; GREETING: when it was accepted */
	uint64_t connect_us; /* when this connect began */
	uint64_t wait_us;    /* when the client spoke and was not answered yet; 0: not waiting */
	uint64_t last_us;    /* when bytes, or an end, were passed on last */
	uint64_t look_us;    /* when the wheel looks at it */
	uint64_t hash;       /* of the client's address and port */
	struct mlb_addr client;
	uint16_t client_port;
	uint16_t local_port; /* proxied: with `local` the address that the client connected to */
	struct mlb_addr local;
	uint16_t slot;
	uint32_t server_id;
	uint8_t state;     /* enum mlbd_conn_state */
	uint8_t tries;     /* servers tried, the current one included */
	bool client_first; /* the client ended its direction before the server did */
	bool again;        /* in the worker's list of those with more to do */
	bool counted;      /* in the VIP's count per source */
	bool proxied;      /* client and local are those of a PROXY header */
	uint32_t tuned;    /* version of the settings that its sockets have; 0: none yet */
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

/* May a time-out close it with a FIN, which looks to both sides like an end in order? Nothing may be on its way, and nobody may
 * wait: the server has ended; or neither has, and the server spoke last, as on a connection that is kept for the next request. A
 * client that has ended its direction waits for the server's end, which must not be made up. */
bool mlbd_conn_in_order(const struct mlbd_conn *);

/* A zeroed record, in no list; NULL: no memory. */
struct mlbd_conn *mlbd_conn_get(struct mlbd_worker *);
/* Out of the wheel; its memory is used again only after mlbd_conn_reap, since the batch in hand may still name it. */
void mlbd_conn_put(struct mlbd_worker *, struct mlbd_conn *);
/* After a batch of events, when no event can name the dead any more. */
void mlbd_conn_reap(struct mlbd_worker *);
/* Puts it in the list of those with more to do, once; false: no memory. */
bool mlbd_conn_again(struct mlbd_worker *, struct mlbd_conn *);
/* Calls fn for every connection of this worker. */
void mlbd_conn_each(struct mlbd_worker *, void (*fn)(void *arg, struct mlbd_conn *), void *arg);
/* All must be dead. */
void mlbd_conn_free_all(struct mlbd_worker *);
#endif
