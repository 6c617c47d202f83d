/* SPDX-License-Identifier: Apache-2.0 */
/* Which VIP a name means. Main thread. */
#ifndef LB_RL_LOOKUP_H
#define LB_RL_LOOKUP_H
#include <lb_rl/lb_rl.h>

lb_rl_vip_t *lb_rl_vip_by_name(const char *name);
/* name empty: the only VIP. NULL with err when there is none of that name, or several and no name. */
lb_rl_vip_t *lb_rl_vip_or_only(const char *name, char err[MLB_ERR_LEN]);
bool lb_rl_vip_any(void); /* is there one? */
#endif
