/* SPDX-License-Identifier: Apache-2.0 */
/* Managed pools. */
#ifndef MARLLB_DP_POOL_H
#define MARLLB_DP_POOL_H
#include "dp_types.h"

void dp_pool_poll(struct mlb_dp *);
#endif
