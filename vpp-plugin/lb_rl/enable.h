/* SPDX-License-Identifier: Apache-2.0 */
/* The plugin as a whole, on and off. Main thread. Returns as vip.h does. */
#ifndef LB_RL_ENABLE_H
#define LB_RL_ENABLE_H
#include <vppinfra/clib.h>
#include <marllb/types.h>

/* 0 = the default */
typedef struct {
	u32 flows, half_open, established_s, udp_s, sticky_s, lease_ms;
	u32 half_open_s, fin_s, closing_s;
	u32 max_vips, max_servers; /* of the region */
} lb_rl_enable_args_t;

int lb_rl_enable(const lb_rl_enable_args_t *a, char err[MLB_ERR_LEN]);
int lb_rl_disable(char err[MLB_ERR_LEN]);
int lb_rl_start(char err[MLB_ERR_LEN]);
int lb_rl_stop(char err[MLB_ERR_LEN]);
/* group: of the system, that may open the region; "" = its owner alone. */
int lb_rl_set_shm(const char *path, const char *group, char err[MLB_ERR_LEN]);
#endif
