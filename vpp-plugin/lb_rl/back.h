/* SPDX-License-Identifier: Apache-2.0 */
/* Servers whose route leads back to a VIP. A packet to one would come to our nodes again, and again, with no TTL taken on the
 * way: the worker would never return. Such a server is refused when it is added; where a route turns later, its packets are
 * dropped and counted. Main thread. */
#ifndef LB_RL_BACK_H
#define LB_RL_BACK_H
#include <vnet/dpo/dpo.h>
#include <stdbool.h>

void lb_rl_back_init(void);
/* Does what is forwarded by this DPO come to a VIP? */
bool lb_rl_back_comes(const dpo_id_t *dpo);
/* The load-balance that drops and counts, of packets that leave as IPv4 or IPv6. */
const dpo_id_t *lb_rl_back_drop(bool is6);
#endif
