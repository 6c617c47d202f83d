/* SPDX-License-Identifier: Apache-2.0 */
/* Refusals: a VNET_API_ERROR_* for programs and a sentence for people. */
#ifndef LB_RL_ERROR_H
#define LB_RL_ERROR_H
#include <vnet/api_errno.h>
#include <marllb/types.h>

/* Writes the sentence, returns rv. */
int lb_rl_fail(char err[MLB_ERR_LEN], int rv, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
/* VNET_API_ERROR_* of the core's negative errno; 0 stays 0. */
int lb_rl_rv(int r);
#endif
