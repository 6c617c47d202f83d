/* SPDX-License-Identifier: Apache-2.0 */
/* The stat segment, and the frames behind it and behind what commands and API show. Main thread. */
#ifndef LB_RL_STATS_H
#define LB_RL_STATS_H
#include <lb_rl/lb_rl.h>

/* Whether the stat segment has room for another VIP of this capacity: VPP ends where its memory does. */
bool lb_rl_stats_fit(u32 capacity, char err[MLB_ERR_LEN]);
/* Makes the entries of a VIP that was just added. */
void lb_rl_stats_vip(lb_rl_vip_t *v);
/* A server came into a slot; NULL: it left. */
void lb_rl_stats_server(const lb_rl_vip_t *v, u32 slot, const struct mlb_endpoint *ep);
/* From the first VIP on, some servers a step; true: all are copied. */
void lb_rl_stats_begin(void);
bool lb_rl_stats_step(void);
void lb_rl_stats_all(void);
/* The VIP's newest frame: its header and servers, of which it returns the number, negative before the first frame. *recs holds
 * until the next call. */
int lb_rl_frame(const lb_rl_vip_t *v, struct mlb_frame_hdr *h, struct mlb_server_rec **recs);
#endif
