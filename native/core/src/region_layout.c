/* SPDX-License-Identifier: Apache-2.0 */
#include "region_layout.h"

/* Bytes of a block's header, and of what it holds for each VIP and each server. */
static const struct {
	uint64_t header, vip, server;
} messages[MLB_BLK_COUNT] = {
	[MLB_BLK_OUT] = { sizeof(struct mlb_out_hdr), sizeof(struct mlb_frame_hdr), sizeof(struct mlb_server_rec) },
	[MLB_BLK_IN] = { sizeof(struct mlb_in_hdr), sizeof(struct mlb_in_vip), sizeof(struct mlb_in_entry) },
	[MLB_BLK_POOL] = { sizeof(struct mlb_pool_hdr), sizeof(struct mlb_pool_vip), sizeof(struct mlb_pool_entry) },
	[MLB_BLK_EFFECT] = { sizeof(struct mlb_effect_hdr), sizeof(struct mlb_effect), 0 },
	[MLB_BLK_LIVE] = { sizeof(struct mlb_live_hdr), 0, sizeof(struct mlb_live) },
	[MLB_BLK_PEER] = { sizeof(struct mlb_peer_hdr), 0, sizeof(struct mlb_peer) },
};

uint64_t region_blocks(const struct mlb_limits *l, struct mlb_block_ref ref[MLB_BLK_COUNT])
{
	uint64_t off = sizeof(struct mlb_region_hdr);
	for (int i = 0; i < MLB_BLK_COUNT; i++) {
		uint64_t size = messages[i].header + l->vips * messages[i].vip + l->servers * messages[i].server;
		off = (off + 4095) & ~UINT64_C(4095);
		ref[i] = (struct mlb_block_ref){ .off = off, .buf_size = size };
		off += sizeof(struct mlb_msg) + 2 * size;
	}
	return (off + 4095) & ~UINT64_C(4095);
}

bool region_limits_good(const struct mlb_limits *l)
{
	return l->vips >= 1 && l->vips <= MLB_MAX_VIPS && l->servers >= 1 && l->servers <= MLB_MAX_SERVERS;
}
