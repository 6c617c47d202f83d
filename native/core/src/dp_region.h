/* SPDX-License-Identifier: Apache-2.0 */
/* The data plane's look at its own region. */
#ifndef MARLLB_DP_REGION_H
#define MARLLB_DP_REGION_H
#include "dp_types.h"

void dp_region_poll(struct mlb_dp *);
#endif
