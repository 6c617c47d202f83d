/* SPDX-License-Identifier: Apache-2.0 */
/* Servers whose packets cannot take the route to them. One that leads back to a VIP: a packet would come to our nodes again, and
 * again, with no TTL taken on the way, and the worker would never return. One that passes a router, where packets keep the VIP's
 * address (`same_link` in forward.h): the router would send them back to the VIP. Such a server is refused when it is added;
 * where a route turns later, its packets are dropped and counted. Main thread. */
#ifndef LB_RL_ROUTE_H
#define LB_RL_ROUTE_H
#include <vnet/dpo/dpo.h>
#include <lb_rl/types.h>
#include <stdbool.h>

void lb_rl_route_init(void);
/* Why packets to that server cannot take what forwards by this DPO: one bit of LB_RL_NO_ROUTE; 0: they can. */
u8 lb_rl_route_unfit(const dpo_id_t *dpo, bool same_link, const struct mlb_addr *server);
/* The load-balance that drops and counts what leaves as IPv4 or IPv6, for such a reason. */
const dpo_id_t *lb_rl_route_drop(u8 unfit, bool is6);
/* Its counter, and what the route does, for people: follows "the route to a server". */
u32 lb_rl_route_error(u8 unfit);
const char *lb_rl_route_text(u8 unfit);
#endif
