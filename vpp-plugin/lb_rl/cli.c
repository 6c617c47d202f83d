/* SPDX-License-Identifier: Apache-2.0 */
/* Commands that turn the plugin on and off and say where it works. All are mp-safe: none takes the barrier itself. */
#include <lb_rl/cli_parse.h>
#include <lb_rl/enable.h>
#include <lb_rl/interface.h>

static clib_error_t *lb_rl_enable_command_fn(vlib_main_t *vm, unformat_input_t *in, vlib_cli_command_t *cmd)
{
	unformat_input_t line;
	lb_rl_enable_args_t a = {};
	clib_error_t *e = 0;
	char err[MLB_ERR_LEN];

	if (lb_rl_cli_line(in, &line)) {
		while (!e && unformat_check_input(&line) != UNFORMAT_END_OF_INPUT)
			if (!unformat(&line, "flows %u", &a.flows) && !unformat(&line, "half-open-timeout %u", &a.half_open_s) &&
			    !unformat(&line, "half-open %u", &a.half_open) && !unformat(&line, "fin-timeout %u", &a.fin_s) &&
			    !unformat(&line, "closing-timeout %u", &a.closing_s) &&
			    !unformat(&line, "established-timeout %u", &a.established_s) &&
			    !unformat(&line, "udp-timeout %u", &a.udp_s) && !unformat(&line, "sticky-timeout %u", &a.sticky_s) &&
			    !unformat(&line, "lease %u", &a.lease_ms) && !unformat(&line, "max-vips %u", &a.max_vips) &&
			    !unformat(&line, "max-servers %u", &a.max_servers))
				e = lb_rl_cli_unexpected(&line, cmd->short_help);
		unformat_free(&line);
	}
	return e ? e : lb_rl_cli_result(lb_rl_enable(&a, err), err);
}
/*?
 * Turns the load balancer on: makes each worker's flow tables and the shared-memory region, and attaches to what the region
 * says is in force. Numbers of flows are of one worker; time-outs are in seconds and are those of the README's table of
 * states; the lease, in milliseconds, is how long weights hold when the agent is silent. max-vips and max-servers (of all VIPs)
 * are what the region is made for: 64 and 4096 where it is not told, 1024 and 16384 at most.
 *
 * @cliexpar
 * @cliexcmd{lb rl enable}
 * @cliexcmd{lb rl enable flows 262144 established-timeout 900}
 ?*/
VLIB_CLI_COMMAND(lb_rl_enable_command, static) = {
	.path = "lb rl enable",
	.short_help = "lb rl enable [flows <n a worker>] [half-open <n a worker>] [half-open-timeout <s>] "
		      "[established-timeout <s>] [fin-timeout <s>] [closing-timeout <s>] [udp-timeout <s>] "
		      "[sticky-timeout <s>] [lease <ms>] [max-vips <n>] [max-servers <n>]",
	.function = lb_rl_enable_command_fn,
	.is_mp_safe = 1,
};

/* Commands without arguments. */
static clib_error_t *lb_rl_plain(unformat_input_t *in, vlib_cli_command_t *cmd, int (*fn)(char err[MLB_ERR_LEN]))
{
	unformat_input_t line;
	char err[MLB_ERR_LEN];

	if (lb_rl_cli_line(in, &line)) {
		clib_error_t *e = lb_rl_cli_unexpected(&line, cmd->short_help);
		unformat_free(&line);
		return e;
	}
	return lb_rl_cli_result(fn(err), err);
}

static clib_error_t *lb_rl_disable_command_fn(vlib_main_t *vm, unformat_input_t *in, vlib_cli_command_t *cmd)
{
	return lb_rl_plain(in, cmd, lb_rl_disable);
}
/*?
 * Gives back all that `lb rl enable` made: VIPs, flows, region. Stops the workers for it.
 *
 * @cliexpar
 * @cliexcmd{lb rl disable}
 ?*/
VLIB_CLI_COMMAND(lb_rl_disable_command, static) = {
	.path = "lb rl disable",
	.short_help = "lb rl disable",
	.function = lb_rl_disable_command_fn,
	.is_mp_safe = 1,
};

static clib_error_t *lb_rl_start_command_fn(vlib_main_t *vm, unformat_input_t *in, vlib_cli_command_t *cmd)
{
	return lb_rl_plain(in, cmd, lb_rl_start);
}
/*?
 * Puts the prefixes of all VIPs into the FIB, after `lb rl stop` had taken them out.
 *
 * @cliexpar
 * @cliexcmd{lb rl start}
 ?*/
VLIB_CLI_COMMAND(lb_rl_start_command, static) = {
	.path = "lb rl start",
	.short_help = "lb rl start",
	.function = lb_rl_start_command_fn,
	.is_mp_safe = 1,
};

static clib_error_t *lb_rl_stop_command_fn(vlib_main_t *vm, unformat_input_t *in, vlib_cli_command_t *cmd)
{
	return lb_rl_plain(in, cmd, lb_rl_stop);
}
/*?
 * Takes the prefixes of all VIPs out of the FIB: their traffic goes where other routes lead. Flows and servers stay.
 *
 * @cliexpar
 * @cliexcmd{lb rl stop}
 ?*/
VLIB_CLI_COMMAND(lb_rl_stop_command, static) = {
	.path = "lb rl stop",
	.short_help = "lb rl stop",
	.function = lb_rl_stop_command_fn,
	.is_mp_safe = 1,
};

static clib_error_t *lb_rl_set_shm_command_fn(vlib_main_t *vm, unformat_input_t *in, vlib_cli_command_t *cmd)
{
	unformat_input_t line;
	clib_error_t *e = 0;
	u8 *path = 0, *group = 0;
	char err[MLB_ERR_LEN];

	if (!lb_rl_cli_line(in, &line))
		return clib_error_return(0, "expected: %s", cmd->short_help);
	if (!unformat(&line, "%v", &path) || (unformat(&line, "group") && !unformat(&line, "%v", &group)) ||
	    unformat_check_input(&line) != UNFORMAT_END_OF_INPUT)
		e = lb_rl_cli_unexpected(&line, cmd->short_help);
	else {
		vec_add1(path, 0);
		vec_add1(group, 0);
		e = lb_rl_cli_result(lb_rl_set_shm((char *)path, (char *)group, err), err);
	}
	vec_free(path);
	vec_free(group);
	unformat_free(&line);
	return e;
}
/*?
 * Where the region is that shm-agent reads and writes, before `lb rl enable`. With a group of the system its members may open
 * the region too; otherwise VPP's user alone.
 *
 * @cliexpar
 * @cliexcmd{lb rl set-shm /run/marllb/lb_rl_shm group marllb}
 ?*/
VLIB_CLI_COMMAND(lb_rl_set_shm_command, static) = {
	.path = "lb rl set-shm",
	.short_help = "lb rl set-shm <absolute path> [group <name>]",
	.function = lb_rl_set_shm_command_fn,
	.is_mp_safe = 1,
};

static clib_error_t *lb_rl_nat_command_fn(vlib_main_t *vm, unformat_input_t *in, vlib_cli_command_t *cmd)
{
	unformat_input_t line;
	u32 sw_if_index = ~0;
	bool add = true;
	char err[MLB_ERR_LEN] = "";
	clib_error_t *e = 0;

	if (!lb_rl_cli_line(in, &line))
		return clib_error_return(0, "expected: %s", cmd->short_help);
	while (!e && unformat_check_input(&line) != UNFORMAT_END_OF_INPUT)
		if (unformat(&line, "del"))
			add = false;
		else if (!unformat(&line, "%U", unformat_vnet_sw_interface, vnet_get_main(), &sw_if_index))
			e = lb_rl_cli_unexpected(&line, cmd->short_help);
	if (!e && sw_if_index == ~0)
		e = clib_error_return(0, "expected: %s", cmd->short_help);
	if (!e)
		e = lb_rl_cli_result(lb_rl_nat_interface(sw_if_index, add, err), err);
	unformat_free(&line);
	return e;
}
/*?
 * Makes an interface one of the servers' side: replies that come in by it to flows of NAT VIPs get the VIP's address back.
 *
 * @cliexpar
 * @cliexcmd{lb rl nat interface GigabitEthernet0/8/0}
 * @cliexcmd{lb rl nat interface GigabitEthernet0/8/0 del}
 ?*/
VLIB_CLI_COMMAND(lb_rl_nat_command, static) = {
	.path = "lb rl nat interface",
	.short_help = "lb rl nat interface <interface> [del]",
	.function = lb_rl_nat_command_fn,
	.is_mp_safe = 1,
};
