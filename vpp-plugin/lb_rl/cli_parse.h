/* SPDX-License-Identifier: Apache-2.0 */
/* Parsing that the commands share. */
#ifndef LB_RL_CLI_PARSE_H
#define LB_RL_CLI_PARSE_H
#include <lb_rl/forward.h>
#include <marllb/endpoint.h>

/* unformat functions */
uword unformat_lb_rl_name(unformat_input_t *in, va_list *args);     /* char[MLB_NAME_LEN] */
uword unformat_lb_rl_endpoint(unformat_input_t *in, va_list *args); /* struct mlb_endpoint *, f32 *weight: ip[:port][=weight] */
uword unformat_lb_rl_fwd(unformat_input_t *in, va_list *args);      /* lb_rl_fwd_t * */
uword unformat_lb_rl_mode(unformat_input_t *in, va_list *args);     /* enum mlb_mode * */

/* "`x` is not understood here; expected: usage" */
clib_error_t *lb_rl_cli_unexpected(unformat_input_t *line, const char *usage);
clib_error_t *lb_rl_cli_result(int rv, const char err[MLB_ERR_LEN]);
/* Line input, or an empty one where the command stands alone. */
bool lb_rl_cli_line(unformat_input_t *in, unformat_input_t *line);
#endif
