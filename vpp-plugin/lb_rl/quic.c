/* SPDX-License-Identifier: Apache-2.0 */
#include <lb_rl/quic.h>

/* First byte of a packet (RFC 9000, section 17): long header; of a long one the type, in QUIC version 1. */
#define QUIC_LONG 0x80
#define QUIC_FIXED 0x40
#define QUIC_TYPE(first) (((first) >> 4) & 3)
enum { QUIC_INITIAL = 0, QUIC_0RTT = 1 };
#define QUIC_VERSION_1 1u
#define QUIC_LONG_ID 6u /* where the ID stands behind version and length */
/* First byte of a connection ID: whose first three bits are ones is not to be routed by. */
#define QUIC_LB_UNROUTABLE 7u

/* IDs of all VIPs: { the ID's bytes, the VIP and their number } -> slot. */
static void lb_rl_quic_key(const lb_rl_vip_t *v, u32 bytes, const u8 *id, u64 key[2])
{
	key[0] = 0;
	clib_memcpy(key, id, bytes);
	key[1] = (u64)v->id << 8 | bytes;
}

static const u8 *lb_rl_quic_id(const struct mlb_addr *server, u32 bytes)
{
	return server->b + sizeof(server->b) - bytes;
}

bool lb_rl_quic_same(u32 bytes, const struct mlb_addr *a, const struct mlb_addr *b)
{
	return memcmp(lb_rl_quic_id(a, bytes), lb_rl_quic_id(b, bytes), bytes) == 0;
}

bool lb_rl_quic_may(const lb_rl_vip_t *v, u32 bytes, const struct mlb_addr *server)
{
	/* One that leaves gives its ID to who comes. */
	for (u32 slot = 0; bytes && slot < v->capacity; slot++)
		if (v->server[slot].id && &v->server[slot].addr != server &&
		    mlb_dp_server_at(lb_rl_main.dp, v->id, slot)->flags & MLB_SRV_MEMBER &&
		    lb_rl_quic_same(bytes, &v->server[slot].addr, server))
			return false;
	return true;
}

void lb_rl_quic_set(const lb_rl_vip_t *v, u32 slot, bool add)
{
	clib_bihash_kv_16_8_t kv = {};

	if (!v->quic)
		return;
	lb_rl_quic_key(v, v->quic, lb_rl_quic_id(&v->server[slot].addr, v->quic), kv.key);
	if (!add && (clib_bihash_search_inline_16_8(&lb_rl_main.by_quic, &kv) || kv.value != slot))
		return; /* another one's by now */
	kv.value = slot;
	clib_bihash_add_del_16_8(&lb_rl_main.by_quic, &kv, add);
}

u32 lb_rl_quic_slot(const lb_rl_vip_t *v, const u8 *payload, u32 have)
{
	u32 at = 1, len = v->quic + 1;
	clib_bihash_kv_16_8_t kv;

	if (have < at + len || !(payload[0] & QUIC_FIXED))
		return MLB_NONE;
	if (payload[0] & QUIC_LONG) {
		/* A client's first packets carry an ID that it made up. */
		u32 version = clib_net_to_host_u32(*(const u32u *)(payload + 1)), type = QUIC_TYPE(payload[0]);
		if (version != QUIC_VERSION_1 || type == QUIC_INITIAL || type == QUIC_0RTT || payload[QUIC_LONG_ID - 1] < len)
			return MLB_NONE;
		at = QUIC_LONG_ID;
	}
	if (have < at + len || payload[at] >> 5 == QUIC_LB_UNROUTABLE)
		return MLB_NONE;
	lb_rl_quic_key(v, v->quic, payload + at + 1, kv.key);
	if (clib_bihash_search_inline_16_8(&lb_rl_main.by_quic, &kv))
		return MLB_NONE;
	return v->server[kv.value].id ? kv.value : MLB_NONE;
}
