/* SPDX-License-Identifier: Apache-2.0 */
/* What the log says of what frames tell: servers that are put out and come back, weights from another source (a silent agent
 * among the reasons), full flow tables. Main thread. */
#ifndef LB_RL_NEWS_H
#define LB_RL_NEWS_H
#include <lb_rl/types.h>
#include <marllb/layout.h>

/* A VIP that was just made: nothing is known of it. */
void lb_rl_news_begin(const lb_rl_vip_t *v);
/* A frame's word on one of its servers, and on the VIP. */
void lb_rl_news_server(const lb_rl_vip_t *v, const struct mlb_server_rec *r);
void lb_rl_news_vip(const lb_rl_vip_t *v, const struct mlb_frame_hdr *h);
#endif
