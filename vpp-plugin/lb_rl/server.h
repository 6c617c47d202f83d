/* SPDX-License-Identifier: Apache-2.0 */
/* A VIP's servers. Main thread. Changes return as those of vip.h; an empty vip means the only one. */
#ifndef LB_RL_SERVER_H
#define LB_RL_SERVER_H
#include <lb_rl/lb_rl.h>
#include <marllb/endpoint.h>

int lb_rl_servers_set(const char *vip, const struct mlb_endpoint *ep, const f32 *w, u32 n, char err[MLB_ERR_LEN]);
int lb_rl_server_add(const char *vip, const struct mlb_endpoint *ep, f32 w, char err[MLB_ERR_LEN]);
int lb_rl_server_del(const char *vip, const struct mlb_endpoint *ep, char err[MLB_ERR_LEN]);
int lb_rl_server_drain(const char *vip, const struct mlb_endpoint *ep, bool drain, char err[MLB_ERR_LEN]);

/* Ends the flows of the VIP, or of one of its servers (ep), that are there now, within about a second: their next packets are
 * placed as those of unknown flows. Also of a server that was removed and still has flows. */
int lb_rl_flush(const char *vip, const struct mlb_endpoint *ep, char err[MLB_ERR_LEN]);

/* The core's word on a server that comes and goes (mlb_dp_hooks), and all of a VIP's at once. */
int lb_rl_hook_may(void *arg, u32 vip_id, const struct mlb_endpoint *ep, char err[MLB_ERR_LEN]);
void lb_rl_hook_notice(void *arg, const char *text);
int lb_rl_hook_up(void *arg, u32 vip_id, struct mlb_server *s);
void lb_rl_hook_gone(void *arg, u32 vip_id, struct mlb_server *s);
void lb_rl_servers_untrack(lb_rl_vip_t *v);
#endif
