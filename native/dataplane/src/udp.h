/* SPDX-License-Identifier: Apache-2.0 */
/* The driver of UDP flows: as flow.c for TCP, it alone chooses servers, ends flows and tells the core what happened (mlb_ev_*).
 *
 * A flow is what has the same client address and port, VIP, and local address. Each has a socket connected to its server, so that
 * answers and ICMP errors name their flow. It ends when nothing passed for `udp-timeout`, after the VIP's number of `responses`,
 * or when its server refuses. Worker thread. */
#ifndef MLBD_UDP_H
#define MLBD_UDP_H
#include "udp_table.h"
#include "worker.h"

struct mlbd_udp;

/* Before the worker's first UDP listener: 0, also where it is done already; -ENOMEM. */
int mlbd_udp_begin(struct mlbd_worker *);
/* Ends all flows and frees what the worker holds for UDP. */
void mlbd_udp_end(struct mlbd_worker *);
/* Datagrams of clients wait at a listener. */
void mlbd_udp_readable(struct mlbd_worker *, struct mlbd_listener *);
/* The server's socket of a flow has an answer or an error. */
void mlbd_udp_answer(struct mlbd_worker *, struct mlbd_udp_flow *);
/* After a batch of events: sends the answers that wait, ends what is due, reuses the dead. */
void mlbd_udp_turn(struct mlbd_worker *);
/* How long the worker should sleep before it looks again, so that more datagrams come in one turn; 0: not at all. */
uint64_t mlbd_udp_coalesce_us(const struct mlbd_worker *);
/* When the next flow is due; UINT64_MAX: none. */
uint64_t mlbd_udp_due_us(const struct mlbd_worker *);
/* Ends the flows of a listener, which goes: their answers have no way back any more. */
void mlbd_udp_drop(struct mlbd_worker *, struct mlbd_listener *);
/* Ends the flows of a server by order: the next datagram of their clients goes to another one. */
void mlbd_udp_close_server(struct mlbd_worker *, uint32_t server_id);
/* Calls fn for every flow of this worker. */
void mlbd_udp_each(struct mlbd_worker *, void (*fn)(void *arg, struct mlbd_udp_flow *), void *arg);
#endif
