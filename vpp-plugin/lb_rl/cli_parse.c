/* SPDX-License-Identifier: Apache-2.0 */
#include <lb_rl/cli.h>
#include <ctype.h>
#include <math.h>

bool lbrl_cli_line(unformat_input_t *in, unformat_input_t *line)
{
	return unformat_user(in, unformat_line_input, line);
}

clib_error_t *lbrl_cli_unexpected(unformat_input_t *line, const char *usage)
{
	return clib_error_return(0, "`%U` is not understood here; expected: %s", format_unformat_error, line, usage);
}

clib_error_t *lbrl_cli_result(int rv, const char err[256])
{
	return rv ? clib_error_return(0, "%s", err) : 0;
}

uword unformat_lbrl_name(unformat_input_t *in, va_list *args)
{
	char *name = va_arg(*args, char *);
	u8 *s = 0;

	if (!unformat(in, "%v", &s))
		return 0;
	uword ok = vec_len(s) > 0 && vec_len(s) < MLB_NAME_LEN;
	for (u32 i = 0; ok && i < vec_len(s); i++)
		ok = isalnum(s[i]) || s[i] == '-' || s[i] == '_' || s[i] == '.';
	if (ok) {
		clib_memcpy(name, s, vec_len(s));
		name[vec_len(s)] = 0;
	}
	vec_free(s);
	return ok;
}

/* Address [":" port] ["=" weight]; an IPv6 address with a port stands in brackets. */
static bool lbrl_parse_endpoint(char *s, struct mlb_endpoint *ep, f32 *weight)
{
	char *eq = strchr(s, '='), *port = 0, *addr = s, *end;

	clib_memset(ep, 0, sizeof(*ep));
	*weight = 1;
	if (eq) {
		*eq = 0;
		*weight = strtof(eq + 1, &end);
		if (end == eq + 1 || *end || !isfinite(*weight) || *weight <= 0)
			return false;
	}
	if (*s == '[') {
		addr = s + 1;
		end = strchr(addr, ']');
		if (!end || (end[1] && end[1] != ':'))
			return false;
		*end = 0;
		port = end[1] ? end + 2 : 0;
	} else if ((end = strchr(s, ':')) && !strchr(end + 1, ':')) {
		*end = 0;
		port = end + 1;
	}
	if (port) {
		long p = strtol(port, &end, 10);
		if (end == port || *end || p < 1 || p > 65535)
			return false;
		ep->port = p;
	}
	ip46_address_t a = {};
	unformat_input_t in;
	unformat_init_string(&in, addr, strlen(addr));
	bool is6 = strchr(addr, ':') != 0;
	uword ok = is6 ? unformat(&in, "%U", unformat_ip6_address, &a.ip6) : unformat(&in, "%U", unformat_ip4_address, &a.ip4);
	ok = ok && unformat_check_input(&in) == UNFORMAT_END_OF_INPUT;
	unformat_free(&in);
	if (ok)
		lbrl_addr_from_ip46(&ep->addr, &a, is6);
	return ok;
}

uword unformat_lbrl_endpoint(unformat_input_t *in, va_list *args)
{
	struct mlb_endpoint *ep = va_arg(*args, struct mlb_endpoint *);
	f32 *weight = va_arg(*args, f32 *);
	u8 *s = 0;

	if (!unformat(in, "%v", &s))
		return 0;
	vec_add1(s, 0);
	uword ok = lbrl_parse_endpoint((char *)s, ep, weight);
	vec_free(s);
	return ok;
}

uword unformat_lbrl_fwd(unformat_input_t *in, va_list *args)
{
	lbrl_fwd_t *fwd = va_arg(*args, lbrl_fwd_t *);
	for (u32 i = 0; i < LBRL_FWD_COUNT; i++)
		if (unformat(in, lbrl_fwd_names[i])) {
			*fwd = i;
			return 1;
		}
	return 0;
}

uword unformat_lbrl_mode(unformat_input_t *in, va_list *args)
{
	enum mlb_mode *mode = va_arg(*args, enum mlb_mode *);
	for (u32 i = MLB_MODE_HASH; i < ARRAY_LEN(lbrl_mode_names); i++)
		if (unformat(in, lbrl_mode_names[i])) {
			*mode = i;
			return 1;
		}
	return 0;
}
