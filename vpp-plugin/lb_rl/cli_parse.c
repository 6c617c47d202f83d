/* SPDX-License-Identifier: Apache-2.0 */
#include <lb_rl/cli_parse.h>
#include <lb_rl/names.h>
#include <math.h>

bool lb_rl_cli_line(unformat_input_t *in, unformat_input_t *line)
{
	return unformat_user(in, unformat_line_input, line);
}

clib_error_t *lb_rl_cli_unexpected(unformat_input_t *line, const char *usage)
{
	return clib_error_return(0, "`%U` is not understood here; expected: %s", format_unformat_error, line, usage);
}

clib_error_t *lb_rl_cli_result(int rv, const char err[MLB_ERR_LEN])
{
	return rv ? clib_error_return(0, "%s", err) : 0;
}

uword unformat_lb_rl_name(unformat_input_t *in, va_list *args)
{
	char *name = va_arg(*args, char *);
	u8 *s = 0;

	if (!unformat(in, "%v", &s))
		return 0;
	vec_add1(s, 0);
	uword ok = lb_rl_name_ok((char *)s);
	if (ok)
		clib_memcpy(name, s, vec_len(s));
	vec_free(s);
	return ok;
}

/* Address [":" port] ["=" weight]; an IPv6 address with a port stands in brackets. */
static bool lb_rl_parse_endpoint(char *s, struct mlb_endpoint *ep, f32 *weight)
{
	char *eq = strchr(s, '='), *end;

	*weight = 1;
	if (eq) {
		*eq = 0;
		*weight = strtof(eq + 1, &end);
		if (end == eq + 1 || *end || !isfinite(*weight) || *weight <= 0)
			return false;
	}
	clib_memset(ep, 0, sizeof(*ep));
	if (mlb_addr_parse(s, &ep->addr) != 0 && mlb_endpoint_parse(s, false, ep, 0) != 0)
		return false;
	ep->proto = 0; /* the VIP's */
	return true;
}

/* The next word as a C string, to be freed with vec_free; NULL at the line's end. */
static char *lb_rl_word(unformat_input_t *in)
{
	u8 *s = 0;

	if (!unformat(in, "%v", &s))
		return 0;
	vec_add1(s, 0);
	return (char *)s;
}

uword unformat_lb_rl_endpoint(unformat_input_t *in, va_list *args)
{
	struct mlb_endpoint *ep = va_arg(*args, struct mlb_endpoint *);
	f32 *weight = va_arg(*args, f32 *);
	char *s = lb_rl_word(in);
	uword ok = s && lb_rl_parse_endpoint(s, ep, weight);

	vec_free(s);
	return ok;
}

uword unformat_lb_rl_fwd(unformat_input_t *in, va_list *args)
{
	lb_rl_fwd_t *fwd = va_arg(*args, lb_rl_fwd_t *);
	char *s = lb_rl_word(in);
	lb_rl_fwd_t found = s ? lb_rl_fwd_parse(s) : LB_RL_FWD_COUNT;

	vec_free(s);
	if (found == LB_RL_FWD_COUNT)
		return 0;
	*fwd = found;
	return 1;
}

uword unformat_lb_rl_mode(unformat_input_t *in, va_list *args)
{
	enum mlb_mode *mode = va_arg(*args, enum mlb_mode *);
	char *s = lb_rl_word(in);
	int found = s ? mlb_mode_parse(s) : -1;

	vec_free(s);
	if (found < 0 || found == MLB_MODE_KEEP)
		return 0;
	*mode = found;
	return 1;
}
