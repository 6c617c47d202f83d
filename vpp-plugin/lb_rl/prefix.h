/* SPDX-License-Identifier: Apache-2.0 */
/* Which VIP a prefix has for a port. The main thread changes it, workers read it. */
#ifndef LB_RL_PREFIX_H
#define LB_RL_PREFIX_H
#include <lb_rl/types.h>

lb_rl_prefix_t *lb_rl_prefix_find(u32 fib_index, const fib_prefix_t *pfx); /* that prefix, else a free one, else NULL */
u32 lb_rl_prefix_taken(const lb_rl_prefix_t *p, u8 proto, u16 port); /* VIP id for exactly that port (0: all ports), 0 = none */
void lb_rl_prefix_set(lb_rl_prefix_t *p, u8 proto, u16 port, u16 id);
void lb_rl_prefix_free(lb_rl_prefix_t *p);

/* Worker: the VIP of a port, 0 = none. */
static_always_inline u16 lb_rl_vip_of_port(const lb_rl_prefix_t *p, bool udp, u16 port)
{
	const u16 *map = p->by_port[udp];

	if (PREDICT_FALSE(map != 0))
		return map[port];
	for (u32 i = 0; i < LB_RL_FEW_PORTS; i++) {
		u32 e = p->few[udp][i];
		if (!e)
			break;
		if (e >> 16 == port)
			return e;
	}
	return p->any[udp];
}
#endif
