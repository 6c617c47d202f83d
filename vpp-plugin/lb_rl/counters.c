/* SPDX-License-Identifier: Apache-2.0 */
#include <lb_rl/counters.h>

vlib_error_desc_t lbrl_error_counters[] = {
#define X(n, s, t) { #n, t, VL_COUNTER_SEVERITY_##s },
	LBRL_ERRORS(X)
#undef X
};
