/* SPDX-License-Identifier: Apache-2.0 */
/* Addresses for tests and measuring programs. */
#ifndef WORLD_EP_H
#define WORLD_EP_H
#include "marllb/types.h"

/* Port 80 of 10.0.0.0/16, by number. */
static inline struct mlb_endpoint world_ep(uint32_t i)
{
	struct mlb_endpoint e = { .port = 80 };
	e.addr.b[10] = e.addr.b[11] = 0xff;
	e.addr.b[12] = 10;
	e.addr.b[14] = (uint8_t)(i >> 8);
	e.addr.b[15] = (uint8_t)i;
	return e;
}
#endif
