/* SPDX-License-Identifier: Apache-2.0 */
#include <lb_rl/log.h>

VLIB_REGISTER_LOG_CLASS(lb_rl_log_class, static) = { .class_name = "lb-rl" };

/* vlib_log takes a format and its arguments; here they come as a list. */
#define LB_RL_LOG(level, fmt) \
	do { \
		va_list args; \
		va_start(args, fmt); \
		u8 *text = va_format(0, fmt, &args); \
		va_end(args); \
		vlib_log(level, lb_rl_log_class.class, "%v", text); \
		vec_free(text); \
	} while (0)

void lb_rl_log_warn(const char *fmt, ...)
{
	LB_RL_LOG(VLIB_LOG_LEVEL_WARNING, fmt);
}

void lb_rl_log_notice(const char *fmt, ...)
{
	LB_RL_LOG(VLIB_LOG_LEVEL_NOTICE, fmt);
}
