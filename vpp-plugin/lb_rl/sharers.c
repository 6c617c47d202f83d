/* SPDX-License-Identifier: Apache-2.0 */
#include <lb_rl/sharers.h>

void lb_rl_sharers_init(void)
{
	clib_bihash_init_16_8(&lb_rl_main.by_server, "lb-rl servers", 16384, 32 << 20);
}

/* `old` with or without the VIP; ~0: no memory. */
static lb_rl_sharers_t lb_rl_sharers_changed(lb_rl_sharers_t old, u16 vip, bool add)
{
	u32 n = 0, i = 0;
	u16 id, only = add ? vip : 0;

	while ((id = lb_rl_sharer_next(old, &i)))
		if (id != vip) {
			n++;
			only = id;
		}
	n += add;
	if (n <= 1)
		return only;
	u16 *ids = clib_mem_alloc_or_null((n + 1) * sizeof(u16));
	if (!ids)
		return ~0;
	n = i = 0;
	while ((id = lb_rl_sharer_next(old, &i)))
		if (id != vip)
			ids[n++] = id;
	if (add)
		ids[n++] = vip;
	ids[n] = 0;
	return pointer_to_uword(ids);
}

static void lb_rl_sharers_release(void *p)
{
	clib_mem_free(p);
}

int lb_rl_sharers_set(const lb_rl_vip_t *v, const struct mlb_addr *server, bool add)
{
	clib_bihash_kv_16_8_t kv;
	lb_rl_sharers_t old = lb_rl_sharers(server);
	u32 i = 0;
	u16 id;
	bool has = false;

	while ((id = lb_rl_sharer_next(old, &i)))
		has |= id == v->id;
	if (has == add)
		return 0;
	if (old > MLB_MAX_VIPS && mlb_dp_retire_reserve(lb_rl_main.dp) != 0)
		return -ENOMEM;
	kv.value = lb_rl_sharers_changed(old, v->id, add);
	if (kv.value == ~0)
		return -ENOMEM;
	for (i = 0; kv.value > MLB_MAX_VIPS && (id = lb_rl_sharer_next(kv.value, &i));)
		lb_rl_main.vip[id].shares = 1;
	clib_memcpy(kv.key, server->b, 16);
	clib_bihash_add_del_16_8(&lb_rl_main.by_server, &kv, kv.value != 0);
	if (old > MLB_MAX_VIPS)
		mlb_dp_retire(lb_rl_main.dp, lb_rl_sharers_release, uword_to_pointer(old, void *));
	return 0;
}

static int lb_rl_sharers_free_one(clib_bihash_kv_16_8_t *kv, void *arg)
{
	if (kv->value > MLB_MAX_VIPS)
		clib_mem_free(uword_to_pointer(kv->value, void *));
	return BIHASH_WALK_CONTINUE;
}

void lb_rl_sharers_free(void)
{
	clib_bihash_foreach_key_value_pair_16_8(&lb_rl_main.by_server, lb_rl_sharers_free_one, 0);
	clib_bihash_free_16_8(&lb_rl_main.by_server);
}
