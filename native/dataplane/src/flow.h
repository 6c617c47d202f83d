/* SPDX-License-Identifier: Apache-2.0 */
/* The driver of a connection's life, from accept to the end. It alone changes a connection's state, ends it, tries another
 * server, and tells the core what happened (mlb_ev_*); connect.c and relay.c only return outcomes. Worker thread. */
#ifndef MLBD_FLOW_H
#define MLBD_FLOW_H
#include <sys/socket.h>
#include "conn.h"

/* A client's socket that was accepted for this VIP; owns fd. */
void mlbd_flow_accepted(struct mlbd_worker *, uint32_t vip_id, int fd, const struct sockaddr_storage *peer);
/* What epoll reported of one side. */
void mlbd_flow_event(struct mlbd_worker *, struct mlbd_conn *, unsigned side, uint32_t events);
/* Called by the wheel: a time-out may be due. */
void mlbd_flow_timer(void *worker, struct mlbd_link *);
/* Goes on with those that had more to move than one turn allows. */
void mlbd_flow_again(struct mlbd_worker *);
/* Resets one connection: its flow is counted as `how`. */
void mlbd_flow_end(struct mlbd_worker *, struct mlbd_conn *, enum mlb_end how);
/* A connect under way is given up, counted as `how`, and another server is tried. */
void mlbd_flow_move(struct mlbd_worker *, struct mlbd_conn *, enum mlb_end how);

/* flow_ends.c. Resets those that wait for a PROXY header of this VIP: it goes, and nothing counts them there yet. */
void mlbd_flow_end_greetings(struct mlbd_worker *, uint32_t vip_id);
/* Ends the flows of a server by order: connections are reset, and those whose connect is under way try another one. */
void mlbd_flow_close_server(struct mlbd_worker *, uint32_t server_id);
/* Resets every connection. */
void mlbd_flow_end_all(struct mlbd_worker *);
#endif
