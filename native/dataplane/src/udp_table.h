/* SPDX-License-Identifier: Apache-2.0 */
/* A worker's UDP flows: found by the client's and the local address, ordered by their last datagram. Worker thread; no system
 * calls. */
#ifndef MLBD_UDP_TABLE_H
#define MLBD_UDP_TABLE_H
#include <marllb/types.h>
#include "wheel.h"

struct mlb_wvip;
struct mlbd_listener;
struct mlbd_vip;

/* What makes two datagrams of one flow. */
struct mlbd_udp_key {
	struct mlb_addr client, local; /* local: the address that the client sent to, which its answers must come from */
	uint32_t vip;
	uint16_t client_port, pad;
};

struct mlbd_udp_flow {
	struct mlbd_link link;      /* in one of the table's lists, or free, or dead; first member */
	struct mlbd_udp_flow *next; /* in its bucket */
	struct mlbd_udp_key key;
	struct mlbd_listener *listener;
	struct mlbd_vip *vip;
	struct mlb_wvip *wv;
	uint64_t start_us; /* of the flow on this server, as told to the core */
	uint64_t wait_us;  /* when the client spoke and was not answered yet; 0: not waiting */
	uint64_t last_us;  /* of the last datagram either way */
	uint64_t answers;  /* datagrams of the server */
	uint32_t server_id;
	int fd; /* connected to the server; -1: the flow is over */
	uint16_t slot;
	uint8_t expect; /* answers that the next look at its socket may find, less one */
	bool counted;   /* it holds one of its address's places (admit.h) */
};

struct mlbd_udp_table {
	struct mlbd_udp_flow **bucket; /* [buckets], a power of two */
	uint32_t buckets, count;
	uint32_t gone; /* flows deleted so far, modulo 2^32: what was found before may be gone where it has changed */
	uint64_t seed; /* of the hash: a stranger cannot choose addresses that meet in one bucket */
	/* Oldest datagram first. A flow that was never answered may be a made-up source: those go first where room is short. */
	struct mlbd_link unanswered, answered;
	struct mlbd_link dead, free;
	void *slabs;
};

/* 0 or -ENOMEM. */
int mlbd_udp_table_init(struct mlbd_udp_table *, uint64_t seed);
void mlbd_udp_table_free(struct mlbd_udp_table *);
/* NULL: no such flow. */
struct mlbd_udp_flow *mlbd_udp_table_find(const struct mlbd_udp_table *, const struct mlbd_udp_key *);
/* A record under this key, which must not be there, zeroed but for key and fd (-1), the newest of the unanswered. NULL: no
 * memory. */
struct mlbd_udp_flow *mlbd_udp_table_add(struct mlbd_udp_table *, const struct mlbd_udp_key *);
/* A datagram passed: the flow is the newest of its list, `answered` if f->answers is not 0. */
void mlbd_udp_table_touch(struct mlbd_udp_table *, struct mlbd_udp_flow *);
/* Out of the table. Its memory is used again only after mlbd_udp_table_reap, since the batch in hand may still name it. */
void mlbd_udp_table_del(struct mlbd_udp_table *, struct mlbd_udp_flow *);
void mlbd_udp_table_reap(struct mlbd_udp_table *);
/* The flow whose last datagram is the oldest; NULL: there is none. */
struct mlbd_udp_flow *mlbd_udp_table_oldest(const struct mlbd_udp_table *);
/* The same among those that were never answered, without `but` (NULL: all count). */
struct mlbd_udp_flow *mlbd_udp_table_oldest_unanswered(const struct mlbd_udp_table *, const struct mlbd_udp_flow *but);
/* Calls fn for every flow; fn may delete the one that it is given. */
void mlbd_udp_table_each(struct mlbd_udp_table *, void (*fn)(void *arg, struct mlbd_udp_flow *), void *arg);
#endif
