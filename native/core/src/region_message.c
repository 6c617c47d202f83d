/* SPDX-License-Identifier: Apache-2.0 */
/* The messages that go through a region. */
#include "marllb/region.h"

int64_t mlb_region_read(const struct mlb_region *r, enum mlb_block b, void *buf, uint64_t cap, uint64_t *seq)
{
	const struct mlb_msg *m = r->blk[b].msg;
	uint64_t newest = mlb_msg_seq(m);
	if (newest == *seq)
		return 0;
	int64_t len = mlb_msg_read(m, r->blk[b].base, r->blk[b].buf_size, buf, cap, &newest, 8);
	if (len != -EAGAIN)
		*seq = newest;
	return len;
}

int mlb_region_write(struct mlb_region *r, enum mlb_block b, const void *msg, uint64_t len)
{
	return mlb_msg_write(r->blk[b].msg, r->blk[b].base, r->blk[b].buf_size, msg, len);
}

void mlb_region_begin(struct mlb_region *r, enum mlb_block b, struct mlb_msg_draft *d)
{
	mlb_msg_begin(r->blk[b].msg, d);
}

int mlb_region_put(struct mlb_region *r, enum mlb_block b, const struct mlb_msg_draft *d, uint64_t off, const void *part,
		   uint64_t len)
{
	return mlb_msg_put(r->blk[b].base, r->blk[b].buf_size, d, off, part, len);
}

int mlb_region_end(struct mlb_region *r, enum mlb_block b, const struct mlb_msg_draft *d, uint64_t len)
{
	return mlb_msg_end(r->blk[b].msg, r->blk[b].buf_size, d, len);
}
