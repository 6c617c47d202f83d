/* SPDX-License-Identifier: Apache-2.0 */
/* Commands that change VIPs. */
#include <lb_rl/cli_parse.h>
#include <lb_rl/names.h>
#include <lb_rl/vip.h>
#include <vnet/ip/format.h>

static char lb_rl_vip_help[] =
	"lb rl set-vip <name> <address>[/<length>] [tcp <port>[,<port>]...] [udp <port>[,<port>]...] [<forwarding>] "
	"[dscp <0..63>] [src <outer address>] [outer-port <port>] [mss <256..9000>] [quic-lb <bytes>] [mode hash|alias|sed|p2c] "
	"[load "
	"flows|waiting] "
	"[max-servers <n>] [table <id>] [sticky] [no-eject] [no-guard], or lb rl set-vip <name> del; forwarding:" LB_RL_FWD_WORDS;

/* PORT[,PORT]... after tcp or udp. */
static clib_error_t *lb_rl_parse_ports(unformat_input_t *line, u8 proto, lb_rl_vip_args_t *a)
{
	u32 port;

	if (!unformat(line, "%u", &port))
		port = 0;
	do {
		if (port < 1 || port > 65535)
			return clib_error_return(0, "a port 1..65535 expected after %s, several as 80,443",
						 lb_rl_proto_name(proto));
		if (a->n_ports == LB_RL_MAX_PORTS)
			return clib_error_return(0, "at most %u ports of one VIP", LB_RL_MAX_PORTS);
		a->ports[a->n_ports++] = (lb_rl_port_t){ port, proto };
	} while (unformat(line, ",%u", &port));
	return 0;
}

/* ADDRESS[/LENGTH] */
static clib_error_t *lb_rl_parse_prefix(unformat_input_t *line, lb_rl_vip_args_t *a)
{
	u32 plen;

	if (unformat(line, "%U", unformat_ip4_address, &a->addr.ip4))
		a->plen = 32;
	else if (unformat(line, "%U", unformat_ip6_address, &a->addr.ip6)) {
		a->plen = 128;
		a->is_ip6 = 1;
	} else
		return lb_rl_cli_unexpected(line, lb_rl_vip_help);
	if (unformat(line, "/%u", &plen)) {
		if (plen > a->plen)
			return clib_error_return(0, "prefix length 0..%u expected, not %u", a->plen, plen);
		a->plen = plen;
	}
	return 0;
}

/* One option that holds a number within a range: 0 where the line has another word, else 1, with *e where it is out of range. */
static bool lb_rl_parse_number(unformat_input_t *line, const char *word, u32 least, u32 most, u16 *to, clib_error_t **e)
{
	u32 x;

	if (!unformat(line, word))
		return false;
	if (unformat(line, "%u", &x) && x >= least && x <= most)
		*to = x;
	else
		*e = clib_error_return(0, "%s %u..%u expected", word, least, most);
	return true;
}

static clib_error_t *lb_rl_parse_vip_option(unformat_input_t *line, lb_rl_vip_args_t *a)
{
	clib_error_t *e = 0;
	enum mlb_mode mode;
	u16 dscp = 0;
	u8 proto = unformat(line, "tcp") ? IP_PROTOCOL_TCP : unformat(line, "udp") ? IP_PROTOCOL_UDP : 0;

	if (proto)
		return lb_rl_parse_ports(line, proto, a);
	if (lb_rl_parse_number(line, "dscp", 0, 63, &dscp, &e))
		a->dscp = dscp;
	else if (lb_rl_parse_number(line, "max-servers", 1, MLB_MAX_SERVERS_PER_VIP, &a->capacity, &e) ||
		 lb_rl_parse_number(line, "outer-port", 1, 65535, &a->outer_port, &e) ||
		 lb_rl_parse_number(line, "quic-lb", 1, LB_RL_MOST_QUIC, &a->quic, &e) ||
		 lb_rl_parse_number(line, "mss", LB_RL_LEAST_MSS, LB_RL_MOST_MSS, &a->mss, &e))
		;
	else if (unformat(line, "src %U", unformat_ip4_address, &a->src.ip4))
		a->src_set = 4;
	else if (unformat(line, "src %U", unformat_ip6_address, &a->src.ip6))
		a->src_set = 6;
	else if (unformat(line, "mode %U", unformat_lb_rl_mode, &mode))
		a->mode = mode;
	else if (unformat(line, "load flows"))
		a->load = MLB_LOAD_FLOWS;
	else if (unformat(line, "load waiting"))
		a->load = MLB_LOAD_WAITING;
	else if (unformat(line, "table %u", &a->table))
		;
	else if (unformat(line, "sticky"))
		a->sticky = 1;
	else if (unformat(line, "no-eject"))
		a->eject_off = 1;
	else if (unformat(line, "no-guard"))
		a->guard_off = 1;
	else if (!unformat(line, "%U", unformat_lb_rl_fwd, &a->fwd))
		return lb_rl_cli_unexpected(line, lb_rl_vip_help);
	return e;
}

static clib_error_t *lb_rl_parse_vip(unformat_input_t *line, lb_rl_vip_args_t *a)
{
	clib_error_t *e = lb_rl_parse_prefix(line, a);

	while (!e && unformat_check_input(line) != UNFORMAT_END_OF_INPUT)
		e = lb_rl_parse_vip_option(line, a);
	return e;
}

static clib_error_t *lb_rl_set_vip_command_fn(vlib_main_t *vm, unformat_input_t *in, vlib_cli_command_t *cmd)
{
	unformat_input_t line;
	lb_rl_vip_args_t a = { .fwd = LB_RL_FWD_L3DSR };
	clib_error_t *e = 0;
	char err[MLB_ERR_LEN] = "";

	if (!lb_rl_cli_line(in, &line))
		return clib_error_return(0, "expected: %s", cmd->short_help);
	if (!unformat(&line, "%U", unformat_lb_rl_name, a.name))
		e = lb_rl_cli_unexpected(&line, cmd->short_help);
	else if (unformat(&line, "del")) {
		if (unformat_check_input(&line) != UNFORMAT_END_OF_INPUT)
			e = lb_rl_cli_unexpected(&line, cmd->short_help);
		else
			e = lb_rl_cli_result(lb_rl_vip_del(a.name, err), err);
	} else {
		e = lb_rl_parse_vip(&line, &a);
		if (!e)
			e = lb_rl_cli_result(lb_rl_vip_set(&a, err), err);
	}
	unformat_free(&line);
	return e;
}
/*?
 * Makes a VIP: an address or a prefix, with up to 16 ports (all of TCP and UDP without any), and how its packets reach servers.
 * Of a VIP that there is, the line says what it is from now on, while it serves: what it leaves out is the default, but for the
 * mode, which stays. Address, table, room for servers and whether replies come back through VPP do not change. `del` removes
 * it: new flows stop at once.
 *
 * @cliexpar
 * @cliexcmd{lb rl set-vip web 198.51.100.1 tcp 80,443 nat}
 * @cliexcmd{lb rl set-vip dns 198.51.100.0/28 udp 53 l3dsr dscp 7 table 3}
 * @cliexcmd{lb rl set-vip web del}
 ?*/
VLIB_CLI_COMMAND(lb_rl_set_vip_command, static) = {
	.path = "lb rl set-vip",
	.short_help = lb_rl_vip_help,
	.function = lb_rl_set_vip_command_fn,
	.is_mp_safe = 1,
};

static clib_error_t *lb_rl_set_mode_command_fn(vlib_main_t *vm, unformat_input_t *in, vlib_cli_command_t *cmd)
{
	unformat_input_t line;
	enum mlb_mode mode = 0;
	char vip[MLB_NAME_LEN] = "", err[MLB_ERR_LEN] = "";
	clib_error_t *e = 0;

	if (!lb_rl_cli_line(in, &line))
		return clib_error_return(0, "expected: %s", cmd->short_help);
	while (!e && unformat_check_input(&line) != UNFORMAT_END_OF_INPUT)
		if (!unformat(&line, "vip %U", unformat_lb_rl_name, vip) && !unformat(&line, "%U", unformat_lb_rl_mode, &mode))
			e = lb_rl_cli_unexpected(&line, cmd->short_help);
	if (!e && !mode)
		e = clib_error_return(0, "expected: %s", cmd->short_help);
	if (!e)
		e = lb_rl_cli_result(lb_rl_set_mode(vip, mode, err), err);
	unformat_free(&line);
	return e;
}
/*?
 * How new flows choose among a VIP's servers. A directive of failover may override it.
 *
 * @cliexpar
 * @cliexcmd{lb rl set-mode vip web p2c}
 ?*/
VLIB_CLI_COMMAND(lb_rl_set_mode_command, static) = {
	.path = "lb rl set-mode",
	.short_help = "lb rl set-mode [vip <name>] hash|alias|sed|p2c",
	.function = lb_rl_set_mode_command_fn,
	.is_mp_safe = 1,
};
