/* SPDX-License-Identifier: Apache-2.0 */
/* Whether a client is let in: the VIP's limit of connections, and that of one client address. */
#ifndef MLBD_ADMIT_H
#define MLBD_ADMIT_H
#include "conn.h"

/* Takes its places; false: over a limit. *counted: it holds one of its address's. */
bool mlbd_admit(struct mlbd_vip *, const struct mlb_addr *client, bool *counted);
/* Gives them back. */
void mlbd_admit_leave(struct mlbd_vip *, const struct mlb_addr *client, bool counted);
#endif
