/* SPDX-License-Identifier: Apache-2.0 */
/* Connections that end from outside: those of a VIP that goes, of a server by order, of a worker that stops. */
#include "flow.h"

static void end_greeting(void *arg, struct mlbd_conn *c)
{
	struct mlbd_worker *w = ((void **)arg)[0];

	if (c->state == MLBD_CONN_GREETING && c->vip->id == *(uint32_t *)((void **)arg)[1])
		mlbd_flow_end(w, c, MLB_END_ABORT);
}

void mlbd_flow_end_greetings(struct mlbd_worker *w, uint32_t vip_id)
{
	mlbd_conn_each(w, end_greeting, (void *[]){ w, &vip_id });
}

static void close_flow(void *arg, struct mlbd_conn *c)
{
	struct mlbd_worker *w = ((void **)arg)[0];

	if (c->server_id != *(uint32_t *)((void **)arg)[1])
		return;
	if (c->state == MLBD_CONN_CONNECTING)
		mlbd_flow_move(w, c, MLB_END_CLOSED);
	else
		mlbd_flow_end(w, c, MLB_END_CLOSED);
}

void mlbd_flow_close_server(struct mlbd_worker *w, uint32_t server_id)
{
	mlbd_conn_each(w, close_flow, (void *[]){ w, &server_id });
}

static void end_one(void *worker, struct mlbd_conn *c)
{
	mlbd_flow_end(worker, c, MLB_END_ABORT);
}

void mlbd_flow_end_all(struct mlbd_worker *w)
{
	mlbd_conn_each(w, end_one, w);
}
