/* SPDX-License-Identifier: Apache-2.0 */
#ifndef MLBD_SHOW_H
#define MLBD_SHOW_H
#include "host.h"
#include "text.h"

/* The answer to a show command but `show flows`: lines of text, or one line of JSON. */
void mlbd_show_answer(struct mlbd_host *, enum mlbd_show, bool json, struct mlbd_text *);
/* Flows of a VIP (id; 0: of any) that `pick` asks for. */
void mlbd_show_flows(struct mlbd_host *, uint32_t vip, const struct mlbd_flow_pick *, bool json, struct mlbd_text *);
/* The VIPs with the addresses bound, for the ready line. */
void mlbd_show_ready(struct mlbd_host *, struct mlbd_text *);
#endif
