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
	uint64_t given;  /* settings that this text has named, by their place in mlbd_setting_list */
	bool vip_failed; /* a line that names a vip was wrong: lines of its servers would only say so again */
};
#endif
