/* SPDX-License-Identifier: Apache-2.0 */
/* A plan as data; plan.h says what it is. */
#ifndef MLBD_PLAN_TYPES_H
#define MLBD_PLAN_TYPES_H
#include "cmd.h"

struct mlbd_plan_vip {
	struct mlbd_vip_opts opts;
	struct mlbd_server_conf *server;
	uint32_t servers;
};
struct mlbd_plan {
	struct mlbd_settings settings;
	struct mlbd_plan_vip vip[MLB_MAX_VIPS];
	uint32_t vips;
};
#endif
