/* SPDX-License-Identifier: Apache-2.0 */
/* Weight vectors. */
#ifndef MARLLB_DP_IN_H
#define MARLLB_DP_IN_H
#include "dp_types.h"

void dp_in_poll(struct mlb_dp *);
#endif
