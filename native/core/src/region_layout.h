/* SPDX-License-Identifier: Apache-2.0 */
/* Where a region's blocks lie. */
#ifndef MARLLB_REGION_LAYOUT_H
#define MARLLB_REGION_LAYOUT_H
#include "marllb/layout.h"

/* Where every block lies of a region of these limits; the same in every process, so nobody believes the region about
 * it. Returns the region's size. */
uint64_t region_blocks(const struct mlb_limits *, struct mlb_block_ref ref[MLB_BLK_COUNT]);
bool region_limits_good(const struct mlb_limits *);
#endif
