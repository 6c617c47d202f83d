/* SPDX-License-Identifier: Apache-2.0 */
/* Local ejection. */
#ifndef MARLLB_DP_EJECT_H
#define MARLLB_DP_EJECT_H
#include "dp_types.h"

/* True while a server is out. */
bool dp_eject_poll(struct mlb_dp *);
/* A server that leaves or drains is no longer one of those put out. */
void dp_eject_forget(struct mlb_dp *, struct dp_vip *, struct dp_server *);
#endif
