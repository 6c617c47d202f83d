/* SPDX-License-Identifier: Apache-2.0 */
/* A VIP's server list. */
#ifndef MARLLB_DP_SERVERS_H
#define MARLLB_DP_SERVERS_H
#include "dp_types.h"

/* Wanted list of a VIP: weight > 0 finite, addresses distinct. draining may be NULL. */
int dp_servers_set(struct mlb_dp *, struct dp_vip *, const struct mlb_endpoint *, const float *weight, const bool *draining,
		   uint32_t n, char *err);
/* The same for a list that must come true, of a VIP whose slots do not hold both lists: a step towards it. Some that are wanted
 * join, some that are not leave, and never all at once. -ENOSPC: to be called again when a slot is free. -EDQUOT: the region has
 * no room while other VIPs have what they have; nothing was done. */
int dp_servers_toward(struct mlb_dp *, struct dp_vip *, const struct mlb_endpoint *, const float *weight, const bool *draining,
		      uint32_t n, char *err);
/* Servers that wait for a vector to name them wait no longer: no agent will. False: there were none. */
bool dp_newcomers_end(struct dp_vip *);
/* Out of the list; the caller tells dp_list_changed, and the server's flows run on. */
void dp_server_leave(struct mlb_dp *, struct dp_vip *, struct dp_server *);
/* After any change: count, generation, table. Without memory the workers keep the old table until there is some. */
void dp_list_changed(struct mlb_dp *, struct dp_vip *);
#endif
