/* SPDX-License-Identifier: Apache-2.0 */
#include "deadline.h"

static bool nothing_said(const struct mlbd_conn *c)
{
	const struct mlbd_side *a = &c->side[MLBD_CLIENT], *b = &c->side[MLBD_SERVER];

	return !a->passed && !b->passed && !a->queue && !b->queue && !c->wait_us;
}

uint64_t mlbd_deadline(const struct mlbd_conn *c, const struct mlbd_settings *s, enum mlbd_overdue *why)
{
	uint64_t ms = s->idle_ms;

	if (c->state == MLBD_CONN_GREETING) {
		*why = MLBD_DUE_GREETING;
		return c->start_us + s->proxy_header_ms * 1000;
	}
	if (c->state == MLBD_CONN_CONNECTING) {
		*why = MLBD_DUE_CONNECT;
		return c->connect_us + s->connect_ms * 1000;
	}
	*why = MLBD_DUE_IDLE;
	if (s->first_byte_ms && s->first_byte_ms < ms && nothing_said(c)) {
		*why = MLBD_DUE_FIRST_BYTE;
		ms = s->first_byte_ms;
	}
	if (s->half_closed_ms && s->half_closed_ms < ms && (c->side[MLBD_CLIENT].fin_sent || c->side[MLBD_SERVER].fin_sent)) {
		*why = MLBD_DUE_HALF_CLOSED;
		ms = s->half_closed_ms;
	}
	return c->last_us + ms * 1000;
}

void mlbd_deadline_hasten(struct mlbd_worker *w, struct mlbd_conn *c)
{
	enum mlbd_overdue why;
	uint64_t deadline = mlbd_deadline(c, &w->settings, &why);

	if (deadline + MLBD_WHEEL_TICK_US >= c->look_us)
		return;
	mlbd_link_del(&c->link);
	c->look_us = mlbd_wheel_add(&w->wheel, &c->link, deadline);
}

static void hasten_one(void *worker, struct mlbd_conn *c)
{
	mlbd_deadline_hasten(worker, c);
}

void mlbd_deadline_hasten_all(struct mlbd_worker *w)
{
	mlbd_conn_each(w, hasten_one, w);
}
