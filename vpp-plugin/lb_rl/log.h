/* SPDX-License-Identifier: Apache-2.0 */
/* The plugin's class of VPP's log (`show logging`). Main thread. */
#ifndef LB_RL_LOG_H
#define LB_RL_LOG_H
#include <vlib/vlib.h>

/* One sentence of what went wrong, and of what changed on its own. */
void lb_rl_log_warn(const char *fmt, ...);
void lb_rl_log_notice(const char *fmt, ...);
#endif
