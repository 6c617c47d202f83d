/* SPDX-License-Identifier: Apache-2.0 */
/* Which VIPs have a server of an address, so that its replies are theirs (lb_rl_main.by_server). A set never changes: another one
 * takes its place, and it is freed after a grace period. One VIP is its id itself, more are a pointer to ids that end in 0. */
#ifndef LB_RL_SHARERS_H
#define LB_RL_SHARERS_H
#include <lb_rl/lb_rl.h>

typedef u64 lb_rl_sharers_t; /* 0 = nobody */

static_always_inline lb_rl_sharers_t lb_rl_sharers(const struct mlb_addr *server)
{
	clib_bihash_kv_16_8_t kv;
	clib_memcpy_fast(kv.key, server->b, 16);
	return clib_bihash_search_inline_16_8(&lb_rl_main.by_server, &kv) ? 0 : kv.value;
}

static_always_inline u16 lb_rl_sharer_first(lb_rl_sharers_t set)
{
	return PREDICT_TRUE(set <= MLB_MAX_VIPS) ? set : *(const u16 *)(uword)set;
}

/* The VIP at *i, which goes on to the next; 0 after the last. */
static inline u16 lb_rl_sharer_next(lb_rl_sharers_t set, u32 *i)
{
	u32 at = (*i)++;

	if (set <= MLB_MAX_VIPS)
		return at ? 0 : set;
	return ((const u16 *)(uword)set)[at];
}

/* Main thread. No VIP shares any more once it is free of all; -ENOMEM changes nothing. */
void lb_rl_sharers_init(void);
int lb_rl_sharers_set(const lb_rl_vip_t *v, const struct mlb_addr *server, bool add);
/* No worker reads any more. */
void lb_rl_sharers_free(void);
#endif
