/* SPDX-License-Identifier: Apache-2.0 */
#include <lb_rl/lb_rl.h>
#include <lb_rl/prefix.h>

lb_rl_prefix_t *lb_rl_prefix_find(u32 fib_index, const fib_prefix_t *pfx)
{
	lb_rl_prefix_t *free = 0;

	for (u32 i = 0; i < LB_RL_MAX_PREFIXES; i++) {
		lb_rl_prefix_t *p = &lb_rl_main.prefix[i];
		if (p->vips && p->fib_index == fib_index && fib_prefix_cmp(&p->pfx, pfx) == 0)
			return p;
		if (!p->vips && !free)
			free = p;
	}
	return free;
}

static u32 lb_rl_proto_index(u8 proto)
{
	return proto == IP_PROTOCOL_UDP;
}

u32 lb_rl_prefix_taken(const lb_rl_prefix_t *p, u8 proto, u16 port)
{
	u32 i = lb_rl_proto_index(proto);

	if (!port)
		return p->any[0] ? p->any[0] : p->any[1];
	if (!p->by_port[i])
		return 0;
	u32 id = p->by_port[i][port];
	return id && lb_rl_main.vip[id].n_ports ? id : 0;
}

void lb_rl_prefix_set(lb_rl_prefix_t *p, u8 proto, u16 port, u8 id)
{
	if (!port) {
		for (u32 i = 0; i < 2; i++) {
			for (u32 q = 0; p->by_port[i] && q < 65536; q++)
				if (p->by_port[i][q] == p->any[i])
					p->by_port[i][q] = id;
			p->any[i] = id;
		}
		return;
	}
	u32 i = lb_rl_proto_index(proto);
	if (!p->by_port[i]) {
		u8 *map = 0;
		vec_validate_init_empty(map, 65535, p->any[i]);
		__atomic_store_n(&p->by_port[i], map, __ATOMIC_RELEASE);
	}
	p->by_port[i][port] = id ? id : p->any[i];
}
