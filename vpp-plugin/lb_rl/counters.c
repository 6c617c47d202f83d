/* SPDX-License-Identifier: Apache-2.0 */
#include <lb_rl/counters.h>

vlib_error_desc_t lb_rl_error_counters[] = {
#define X(n, s, t) { #n, t, VL_COUNTER_SEVERITY_##s },
	LB_RL_ERRORS(X)
#undef X
};
