/* SPDX-License-Identifier: Apache-2.0 */
/* Commands that change a VIP's servers. */
#include <lb_rl/cli_parse.h>
#include <lb_rl/lookup.h>
#include <lb_rl/names.h>
#include <lb_rl/server.h>

static clib_error_t *lb_rl_set_servers_command_fn(vlib_main_t *vm, unformat_input_t *in, vlib_cli_command_t *cmd)
{
	unformat_input_t line;
	struct mlb_endpoint ep, *eps = 0;
	f32 w, *weights = 0;
	char vip[MLB_NAME_LEN] = "", err[MLB_ERR_LEN] = "";
	clib_error_t *e = 0;

	if (!lb_rl_cli_line(in, &line))
		return clib_error_return(0, "expected: %s", cmd->short_help);
	while (!e && unformat_check_input(&line) != UNFORMAT_END_OF_INPUT) {
		if (unformat(&line, "vip %U", unformat_lb_rl_name, vip))
			;
		else if (unformat(&line, "%U", unformat_lb_rl_endpoint, &ep, &w)) {
			vec_add1(eps, ep);
			vec_add1(weights, w);
		} else
			e = lb_rl_cli_unexpected(&line, cmd->short_help);
	}
	if (!e && !vec_len(eps))
		e = clib_error_return(0, "expected: %s", cmd->short_help);
	if (!e) {
		if (vip[0] || lb_rl_vip_any())
			e = lb_rl_cli_result(lb_rl_servers_set(vip, eps, weights, vec_len(eps), err), err);
		else {
			vec_free(lb_rl_main.staged);
			vec_free(lb_rl_main.staged_weight);
			lb_rl_main.staged = eps;
			lb_rl_main.staged_weight = weights;
			eps = 0;
			weights = 0;
			vlib_cli_output(vm, "no VIP yet: %u servers wait for `lb rl set-vip`", vec_len(lb_rl_main.staged));
		}
	}
	vec_free(eps);
	vec_free(weights);
	unformat_free(&line);
	return e;
}
/*?
 * The whole list of a VIP's servers with their weights: adds what is new, keeps what stays, removes what is absent. Before
 * there is a VIP the list waits for `lb rl set-vip`.
 *
 * @cliexpar
 * @cliexcmd{lb rl set-servers vip web 10.0.1.2 10.0.1.3 10.0.1.4=2}
 ?*/
VLIB_CLI_COMMAND(lb_rl_set_servers_command, static) = {
	.path = "lb rl set-servers",
	.short_help = "lb rl set-servers [vip <name>] <ip>[:<port>][=<weight>] ...",
	.function = lb_rl_set_servers_command_fn,
	.is_mp_safe = 1,
};

typedef int lb_rl_one_server_fn_t(const char *vip, const struct mlb_endpoint *ep, f32 w, bool undo, char err[MLB_ERR_LEN]);

static clib_error_t *lb_rl_one_server(unformat_input_t *in, vlib_cli_command_t *cmd, const char *undo_word,
				      lb_rl_one_server_fn_t *fn)
{
	unformat_input_t line;
	struct mlb_endpoint ep;
	f32 w = 1;
	bool have = false, undo = false;
	char vip[MLB_NAME_LEN] = "", err[MLB_ERR_LEN] = "";
	clib_error_t *e = 0;

	if (!lb_rl_cli_line(in, &line))
		return clib_error_return(0, "expected: %s", cmd->short_help);
	while (!e && unformat_check_input(&line) != UNFORMAT_END_OF_INPUT) {
		if (unformat(&line, "vip %U", unformat_lb_rl_name, vip))
			;
		else if (undo_word && unformat(&line, undo_word))
			undo = true;
		else if (!have && unformat(&line, "%U", unformat_lb_rl_endpoint, &ep, &w))
			have = true;
		else
			e = lb_rl_cli_unexpected(&line, cmd->short_help);
	}
	if (!e && !have)
		e = clib_error_return(0, "expected: %s", cmd->short_help);
	if (!e)
		e = lb_rl_cli_result(fn(vip, &ep, w, undo, err), err);
	unformat_free(&line);
	return e;
}

static int lb_rl_do_add(const char *vip, const struct mlb_endpoint *ep, f32 w, bool undo, char err[MLB_ERR_LEN])
{
	return lb_rl_server_add(vip, ep, w, err);
}
static int lb_rl_do_del(const char *vip, const struct mlb_endpoint *ep, f32 w, bool undo, char err[MLB_ERR_LEN])
{
	return lb_rl_server_del(vip, ep, err);
}
static int lb_rl_do_drain(const char *vip, const struct mlb_endpoint *ep, f32 w, bool undo, char err[MLB_ERR_LEN])
{
	return lb_rl_server_drain(vip, ep, !undo, err);
}

static clib_error_t *lb_rl_add_server_command_fn(vlib_main_t *vm, unformat_input_t *in, vlib_cli_command_t *cmd)
{
	return lb_rl_one_server(in, cmd, 0, lb_rl_do_add);
}
/*?
 * Adds a server, or gives the one there is another weight.
 *
 * @cliexpar
 * @cliexcmd{lb rl add-server vip web 10.0.1.5=2}
 ?*/
VLIB_CLI_COMMAND(lb_rl_add_server_command, static) = {
	.path = "lb rl add-server",
	.short_help = "lb rl add-server [vip <name>] <ip>[:<port>][=<weight>]",
	.function = lb_rl_add_server_command_fn,
	.is_mp_safe = 1,
};

static clib_error_t *lb_rl_del_server_command_fn(vlib_main_t *vm, unformat_input_t *in, vlib_cli_command_t *cmd)
{
	return lb_rl_one_server(in, cmd, 0, lb_rl_do_del);
}
/*?
 * Removes a server: it gets no new flows, those that it has run on.
 *
 * @cliexpar
 * @cliexcmd{lb rl del-server vip web 10.0.1.5}
 ?*/
VLIB_CLI_COMMAND(lb_rl_del_server_command, static) = {
	.path = "lb rl del-server",
	.short_help = "lb rl del-server [vip <name>] <ip>[:<port>]",
	.function = lb_rl_del_server_command_fn,
	.is_mp_safe = 1,
};

static clib_error_t *lb_rl_drain_command_fn(vlib_main_t *vm, unformat_input_t *in, vlib_cli_command_t *cmd)
{
	return lb_rl_one_server(in, cmd, "off", lb_rl_do_drain);
}
/*?
 * A server that drains gets no new flows and stays on the list; `off` ends that.
 *
 * @cliexpar
 * @cliexcmd{lb rl drain vip web 10.0.1.5}
 * @cliexcmd{lb rl drain vip web 10.0.1.5 off}
 ?*/
VLIB_CLI_COMMAND(lb_rl_drain_command, static) = {
	.path = "lb rl drain",
	.short_help = "lb rl drain [vip <name>] <ip>[:<port>] [off]",
	.function = lb_rl_drain_command_fn,
	.is_mp_safe = 1,
};

static clib_error_t *lb_rl_flush_command_fn(vlib_main_t *vm, unformat_input_t *in, vlib_cli_command_t *cmd)
{
	unformat_input_t line;
	struct mlb_endpoint ep;
	f32 w;
	bool one = false;
	char vip[MLB_NAME_LEN] = "", err[MLB_ERR_LEN] = "";
	clib_error_t *e = 0;

	if (lb_rl_cli_line(in, &line)) {
		while (!e && unformat_check_input(&line) != UNFORMAT_END_OF_INPUT)
			if (unformat(&line, "vip %U", unformat_lb_rl_name, vip))
				;
			else if (!one && unformat(&line, "%U", unformat_lb_rl_endpoint, &ep, &w))
				one = true;
			else
				e = lb_rl_cli_unexpected(&line, cmd->short_help);
		unformat_free(&line);
	}
	return e ? e : lb_rl_cli_result(lb_rl_flush(vip, one ? &ep : 0, err), err);
}
/*?
 * Ends the flows of a VIP, or of one of its servers, also of one that was removed, within a second: their next packets are
 * placed anew.
 *
 * @cliexpar
 * @cliexcmd{lb rl flush vip web 10.0.1.5}
 ?*/
VLIB_CLI_COMMAND(lb_rl_flush_command, static) = {
	.path = "lb rl flush",
	.short_help = "lb rl flush [vip <name>] [<ip>[:<port>]]",
	.function = lb_rl_flush_command_fn,
	.is_mp_safe = 1,
};
