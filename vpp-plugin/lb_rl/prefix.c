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
	u32 id = lb_rl_vip_of_port(p, i, port);
	return id && lb_rl_main.vip[id].n_ports ? id : 0;
}

/* A map of all ports takes over from `few`: workers look there first. */
static void lb_rl_prefix_map(lb_rl_prefix_t *p, u32 i)
{
	u16 *map = 0;

	vec_validate_init_empty(map, 65535, p->any[i]);
	for (u32 k = 0; k < LB_RL_FEW_PORTS; k++)
		if (p->few[i][k])
			map[p->few[i][k] >> 16] = p->few[i][k];
	__atomic_store_n(&p->by_port[i], map, __ATOMIC_RELEASE);
}

/* Entries stand from the front, each written as a whole: a worker that reads meanwhile sees the port there, or not yet, or twice.
 */
static bool lb_rl_prefix_set_few(lb_rl_prefix_t *p, u32 i, u16 port, u16 id)
{
	u32 *e = p->few[i], n = 0, at = ~0;

	for (; n < LB_RL_FEW_PORTS && e[n]; n++)
		if (e[n] >> 16 == port)
			at = n;
	if (!id && at == ~0)
		return true;
	if (!id) {
		__atomic_store_n(&e[at], e[n - 1], __ATOMIC_RELEASE);
		__atomic_store_n(&e[n - 1], 0, __ATOMIC_RELEASE);
		return true;
	}
	if (at == ~0 && n == LB_RL_FEW_PORTS)
		return false;
	__atomic_store_n(&e[at == ~0 ? n : at], (u32)port << 16 | id, __ATOMIC_RELEASE);
	return true;
}

void lb_rl_prefix_set(lb_rl_prefix_t *p, u8 proto, u16 port, u16 id)
{
	u32 i = lb_rl_proto_index(proto);

	if (!port) {
		for (i = 0; i < 2; i++) {
			for (u32 q = 0; p->by_port[i] && q < 65536; q++)
				if (p->by_port[i][q] == p->any[i])
					p->by_port[i][q] = id;
			p->any[i] = id;
		}
		return;
	}
	if (!p->by_port[i] && lb_rl_prefix_set_few(p, i, port, id))
		return;
	if (!p->by_port[i])
		lb_rl_prefix_map(p, i);
	p->by_port[i][port] = id ? id : p->any[i];
}

void lb_rl_prefix_free(lb_rl_prefix_t *p)
{
	vec_free(p->by_port[0]);
	vec_free(p->by_port[1]);
	clib_memset(p, 0, sizeof(*p));
}
