/* SPDX-License-Identifier: Apache-2.0 */
/* Interfaces on the servers' side, where replies under NAT come in. Main thread. Returns as vip.h does. */
#ifndef LB_RL_INTERFACE_H
#define LB_RL_INTERFACE_H
#include <vppinfra/clib.h>
#include <marllb/types.h>

int lb_rl_nat_interface(u32 sw_if_index, bool add, char err[MLB_ERR_LEN]);
#endif
