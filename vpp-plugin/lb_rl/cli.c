/* SPDX-License-Identifier: Apache-2.0 */
/* Commands that change something. All are mp-safe: none takes the barrier itself. */
#include <lb_rl/cli_parse.h>
#include <lb_rl/enable.h>
#include <lb_rl/interface.h>
#include <lb_rl/lookup.h>
#include <lb_rl/names.h>
#include <lb_rl/server.h>
#include <lb_rl/vip.h>

#define LBRL_CLI(var, p, fn, help) \
	VLIB_CLI_COMMAND(var, static) = { .path = p, .short_help = help, .function = fn, .is_mp_safe = 1 }

static char enable_help[] = "lb rl enable [flows <n a worker>] [half-open <n a worker>] [half-open-timeout <s>] "
			    "[established-timeout <s>] [fin-timeout <s>] [closing-timeout <s>] [udp-timeout <s>] "
			    "[sticky-timeout <s>] [lease <ms>]";

static clib_error_t *lbrl_enable_fn(vlib_main_t *vm, unformat_input_t *in, vlib_cli_command_t *cmd)
{
	unformat_input_t line;
	lbrl_enable_args_t a = {};
	clib_error_t *e = 0;
	char err[MLB_ERR_LEN];

	if (lbrl_cli_line(in, &line)) {
		while (!e && unformat_check_input(&line) != UNFORMAT_END_OF_INPUT)
			if (!unformat(&line, "flows %u", &a.flows) && !unformat(&line, "half-open-timeout %u", &a.half_open_s) &&
			    !unformat(&line, "half-open %u", &a.half_open) && !unformat(&line, "fin-timeout %u", &a.fin_s) &&
			    !unformat(&line, "closing-timeout %u", &a.closing_s) &&
			    !unformat(&line, "established-timeout %u", &a.established_s) &&
			    !unformat(&line, "udp-timeout %u", &a.udp_s) && !unformat(&line, "sticky-timeout %u", &a.sticky_s) &&
			    !unformat(&line, "lease %u", &a.lease_ms))
				e = lbrl_cli_unexpected(&line, enable_help);
		unformat_free(&line);
	}
	return e ? e : lbrl_cli_result(lbrl_enable(&a, err), err);
}
LBRL_CLI(lbrl_enable_cmd, "lb rl enable", lbrl_enable_fn, enable_help);

/* Commands without arguments. */
static clib_error_t *lbrl_plain(unformat_input_t *in, const char *help, int (*fn)(char err[MLB_ERR_LEN]))
{
	unformat_input_t line;
	char err[MLB_ERR_LEN];

	if (lbrl_cli_line(in, &line)) {
		clib_error_t *e = lbrl_cli_unexpected(&line, help);
		unformat_free(&line);
		return e;
	}
	return lbrl_cli_result(fn(err), err);
}

static clib_error_t *lbrl_disable_fn(vlib_main_t *vm, unformat_input_t *in, vlib_cli_command_t *cmd)
{
	return lbrl_plain(in, "lb rl disable", lbrl_disable);
}
LBRL_CLI(lbrl_disable_cmd, "lb rl disable", lbrl_disable_fn, "lb rl disable");

static clib_error_t *lbrl_start_fn(vlib_main_t *vm, unformat_input_t *in, vlib_cli_command_t *cmd)
{
	return lbrl_plain(in, "lb rl start", lbrl_start);
}
LBRL_CLI(lbrl_start_cmd, "lb rl start", lbrl_start_fn, "lb rl start");

static clib_error_t *lbrl_stop_fn(vlib_main_t *vm, unformat_input_t *in, vlib_cli_command_t *cmd)
{
	return lbrl_plain(in, "lb rl stop", lbrl_stop);
}
LBRL_CLI(lbrl_stop_cmd, "lb rl stop", lbrl_stop_fn, "lb rl stop");

static char shm_help[] = "lb rl set-shm <absolute path>";

static clib_error_t *lbrl_set_shm_fn(vlib_main_t *vm, unformat_input_t *in, vlib_cli_command_t *cmd)
{
	unformat_input_t line;
	clib_error_t *e = 0;
	u8 *path = 0;
	char err[MLB_ERR_LEN];

	if (!lbrl_cli_line(in, &line))
		return clib_error_return(0, "expected: %s", shm_help);
	if (!unformat(&line, "%v", &path) || unformat_check_input(&line) != UNFORMAT_END_OF_INPUT)
		e = lbrl_cli_unexpected(&line, shm_help);
	else {
		vec_add1(path, 0);
		e = lbrl_cli_result(lbrl_set_shm((char *)path, err), err);
	}
	vec_free(path);
	unformat_free(&line);
	return e;
}
LBRL_CLI(lbrl_set_shm_cmd, "lb rl set-shm", lbrl_set_shm_fn, shm_help);

static char vip_help[] =
	"lb rl set-vip <name> <address>[/<length>] [tcp <port>[,<port>]...] [udp <port>[,<port>]...] [<forwarding>] "
	"[dscp <0..63>] [src <outer address>] [outer-port <port>] [mode hash|alias|sed|p2c] [load flows|waiting] "
	"[max-servers <n>] [sticky] [no-eject] [no-guard], or lb rl set-vip <name> del; forwarding:" LBRL_FWD_WORDS;

/* PORT[,PORT]... after tcp or udp. */
static clib_error_t *lbrl_parse_ports(unformat_input_t *line, u8 proto, lbrl_vip_args_t *a)
{
	u32 port;

	if (!unformat(line, "%u", &port))
		port = 0;
	do {
		if (port < 1 || port > 65535)
			return clib_error_return(0, "a port 1..65535 expected after %s, several as 80,443",
						 lbrl_proto_name(proto));
		if (a->n_ports == LBRL_MAX_PORTS)
			return clib_error_return(0, "at most %u ports of one VIP", LBRL_MAX_PORTS);
		a->ports[a->n_ports++] = (lbrl_port_t){ port, proto };
	} while (unformat(line, ",%u", &port));
	return 0;
}

/* ADDRESS[/LENGTH] */
static clib_error_t *lbrl_parse_prefix(unformat_input_t *line, lbrl_vip_args_t *a)
{
	u32 plen;

	if (unformat(line, "%U", unformat_ip4_address, &a->addr.ip4))
		a->plen = 32;
	else if (unformat(line, "%U", unformat_ip6_address, &a->addr.ip6)) {
		a->plen = 128;
		a->is_ip6 = 1;
	} else
		return lbrl_cli_unexpected(line, vip_help);
	if (unformat(line, "/%u", &plen)) {
		if (plen > a->plen)
			return clib_error_return(0, "prefix length 0..%u expected, not %u", a->plen, plen);
		a->plen = plen;
	}
	return 0;
}

/* One option that holds a number within a range: 0 where the line has another word, else 1, with *e where it is out of range. */
static bool lbrl_parse_number(unformat_input_t *line, const char *word, u32 least, u32 most, u16 *to, clib_error_t **e)
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

static clib_error_t *lbrl_parse_vip_option(unformat_input_t *line, lbrl_vip_args_t *a)
{
	clib_error_t *e = 0;
	enum mlb_mode mode;
	u16 dscp = 0;
	u8 proto = unformat(line, "tcp") ? IP_PROTOCOL_TCP : unformat(line, "udp") ? IP_PROTOCOL_UDP : 0;

	if (proto)
		return lbrl_parse_ports(line, proto, a);
	if (lbrl_parse_number(line, "dscp", 0, 63, &dscp, &e))
		a->dscp = dscp;
	else if (lbrl_parse_number(line, "max-servers", 1, MLB_MAX_SERVERS_PER_VIP, &a->capacity, &e) ||
		 lbrl_parse_number(line, "outer-port", 1, 65535, &a->outer_port, &e))
		;
	else if (unformat(line, "src %U", unformat_ip4_address, &a->src.ip4))
		a->src_set = 4;
	else if (unformat(line, "src %U", unformat_ip6_address, &a->src.ip6))
		a->src_set = 6;
	else if (unformat(line, "mode %U", unformat_lbrl_mode, &mode))
		a->mode = mode;
	else if (unformat(line, "load flows"))
		a->load = MLB_LOAD_FLOWS;
	else if (unformat(line, "load waiting"))
		a->load = MLB_LOAD_WAITING;
	else if (unformat(line, "sticky"))
		a->sticky = 1;
	else if (unformat(line, "no-eject"))
		a->eject_off = 1;
	else if (unformat(line, "no-guard"))
		a->guard_off = 1;
	else if (!unformat(line, "%U", unformat_lbrl_fwd, &a->fwd))
		return lbrl_cli_unexpected(line, vip_help);
	return e;
}

static clib_error_t *lbrl_parse_vip(unformat_input_t *line, lbrl_vip_args_t *a)
{
	clib_error_t *e = lbrl_parse_prefix(line, a);

	while (!e && unformat_check_input(line) != UNFORMAT_END_OF_INPUT)
		e = lbrl_parse_vip_option(line, a);
	return e;
}

static clib_error_t *lbrl_set_vip_fn(vlib_main_t *vm, unformat_input_t *in, vlib_cli_command_t *cmd)
{
	unformat_input_t line;
	lbrl_vip_args_t a = { .fwd = LBRL_FWD_L3DSR };
	clib_error_t *e = 0;
	char err[MLB_ERR_LEN] = "";

	if (!lbrl_cli_line(in, &line))
		return clib_error_return(0, "expected: %s", vip_help);
	if (!unformat(&line, "%U", unformat_lbrl_name, a.name))
		e = lbrl_cli_unexpected(&line, vip_help);
	else if (unformat(&line, "del")) {
		if (unformat_check_input(&line) != UNFORMAT_END_OF_INPUT)
			e = lbrl_cli_unexpected(&line, vip_help);
		else
			e = lbrl_cli_result(lbrl_vip_del(a.name, err), err);
	} else {
		e = lbrl_parse_vip(&line, &a);
		if (!e)
			e = lbrl_cli_result(lbrl_vip_add(&a, err), err);
	}
	unformat_free(&line);
	return e;
}
LBRL_CLI(lbrl_set_vip_cmd, "lb rl set-vip", lbrl_set_vip_fn, vip_help);

static char servers_help[] = "lb rl set-servers [vip <name>] <ip>[:<port>][=<weight>] ...";

static clib_error_t *lbrl_set_servers_fn(vlib_main_t *vm, unformat_input_t *in, vlib_cli_command_t *cmd)
{
	unformat_input_t line;
	struct mlb_endpoint ep, *eps = 0;
	f32 w, *weights = 0;
	char vip[MLB_NAME_LEN] = "", err[MLB_ERR_LEN] = "";
	clib_error_t *e = 0;

	if (!lbrl_cli_line(in, &line))
		return clib_error_return(0, "expected: %s", servers_help);
	while (!e && unformat_check_input(&line) != UNFORMAT_END_OF_INPUT) {
		if (unformat(&line, "vip %U", unformat_lbrl_name, vip))
			;
		else if (unformat(&line, "%U", unformat_lbrl_endpoint, &ep, &w)) {
			vec_add1(eps, ep);
			vec_add1(weights, w);
		} else
			e = lbrl_cli_unexpected(&line, servers_help);
	}
	if (!e && !vec_len(eps))
		e = clib_error_return(0, "expected: %s", servers_help);
	if (!e) {
		if (vip[0] || lbrl_vip_any())
			e = lbrl_cli_result(lbrl_servers_set(vip, eps, weights, vec_len(eps), err), err);
		else {
			vec_free(lbrl_main.staged);
			vec_free(lbrl_main.staged_weight);
			lbrl_main.staged = eps;
			lbrl_main.staged_weight = weights;
			eps = 0;
			weights = 0;
			vlib_cli_output(vm, "no VIP yet: %u servers wait for `lb rl set-vip`", vec_len(lbrl_main.staged));
		}
	}
	vec_free(eps);
	vec_free(weights);
	unformat_free(&line);
	return e;
}
LBRL_CLI(lbrl_set_servers_cmd, "lb rl set-servers", lbrl_set_servers_fn, servers_help);

typedef int lbrl_one_server_fn(const char *vip, const struct mlb_endpoint *ep, f32 w, bool undo, char err[MLB_ERR_LEN]);

static clib_error_t *lbrl_one_server(unformat_input_t *in, const char *help, const char *undo_word, lbrl_one_server_fn *fn)
{
	unformat_input_t line;
	struct mlb_endpoint ep;
	f32 w = 1;
	bool have = false, undo = false;
	char vip[MLB_NAME_LEN] = "", err[MLB_ERR_LEN] = "";
	clib_error_t *e = 0;

	if (!lbrl_cli_line(in, &line))
		return clib_error_return(0, "expected: %s", help);
	while (!e && unformat_check_input(&line) != UNFORMAT_END_OF_INPUT) {
		if (unformat(&line, "vip %U", unformat_lbrl_name, vip))
			;
		else if (undo_word && unformat(&line, undo_word))
			undo = true;
		else if (!have && unformat(&line, "%U", unformat_lbrl_endpoint, &ep, &w))
			have = true;
		else
			e = lbrl_cli_unexpected(&line, help);
	}
	if (!e && !have)
		e = clib_error_return(0, "expected: %s", help);
	if (!e)
		e = lbrl_cli_result(fn(vip, &ep, w, undo, err), err);
	unformat_free(&line);
	return e;
}

static int lbrl_do_add(const char *vip, const struct mlb_endpoint *ep, f32 w, bool undo, char err[MLB_ERR_LEN])
{
	return lbrl_server_add(vip, ep, w, err);
}
static int lbrl_do_del(const char *vip, const struct mlb_endpoint *ep, f32 w, bool undo, char err[MLB_ERR_LEN])
{
	return lbrl_server_del(vip, ep, err);
}
static int lbrl_do_drain(const char *vip, const struct mlb_endpoint *ep, f32 w, bool undo, char err[MLB_ERR_LEN])
{
	return lbrl_server_drain(vip, ep, !undo, err);
}

static char add_help[] = "lb rl add-server [vip <name>] <ip>[:<port>][=<weight>]";
static char del_help[] = "lb rl del-server [vip <name>] <ip>[:<port>]";
static char drain_help[] = "lb rl drain [vip <name>] <ip>[:<port>] [off]";

static clib_error_t *lbrl_add_server_fn(vlib_main_t *vm, unformat_input_t *in, vlib_cli_command_t *cmd)
{
	return lbrl_one_server(in, add_help, 0, lbrl_do_add);
}
LBRL_CLI(lbrl_add_server_cmd, "lb rl add-server", lbrl_add_server_fn, add_help);

static clib_error_t *lbrl_del_server_fn(vlib_main_t *vm, unformat_input_t *in, vlib_cli_command_t *cmd)
{
	return lbrl_one_server(in, del_help, 0, lbrl_do_del);
}
LBRL_CLI(lbrl_del_server_cmd, "lb rl del-server", lbrl_del_server_fn, del_help);

static clib_error_t *lbrl_drain_fn(vlib_main_t *vm, unformat_input_t *in, vlib_cli_command_t *cmd)
{
	return lbrl_one_server(in, drain_help, "off", lbrl_do_drain);
}
LBRL_CLI(lbrl_drain_cmd, "lb rl drain", lbrl_drain_fn, drain_help);

static char flush_help[] = "lb rl flush [vip <name>] [<ip>[:<port>]]";

static clib_error_t *lbrl_flush_fn(vlib_main_t *vm, unformat_input_t *in, vlib_cli_command_t *cmd)
{
	unformat_input_t line;
	struct mlb_endpoint ep;
	f32 w;
	bool one = false;
	char vip[MLB_NAME_LEN] = "", err[MLB_ERR_LEN] = "";
	clib_error_t *e = 0;

	if (lbrl_cli_line(in, &line)) {
		while (!e && unformat_check_input(&line) != UNFORMAT_END_OF_INPUT)
			if (unformat(&line, "vip %U", unformat_lbrl_name, vip))
				;
			else if (!one && unformat(&line, "%U", unformat_lbrl_endpoint, &ep, &w))
				one = true;
			else
				e = lbrl_cli_unexpected(&line, flush_help);
		unformat_free(&line);
	}
	return e ? e : lbrl_cli_result(lbrl_flush(vip, one ? &ep : 0, err), err);
}
LBRL_CLI(lbrl_flush_cmd, "lb rl flush", lbrl_flush_fn, flush_help);

static char mode_help[] = "lb rl set-mode [vip <name>] hash|alias|sed|p2c";

static clib_error_t *lbrl_set_mode_fn(vlib_main_t *vm, unformat_input_t *in, vlib_cli_command_t *cmd)
{
	unformat_input_t line;
	enum mlb_mode mode = 0;
	char vip[MLB_NAME_LEN] = "", err[MLB_ERR_LEN] = "";
	clib_error_t *e = 0;

	if (!lbrl_cli_line(in, &line))
		return clib_error_return(0, "expected: %s", mode_help);
	while (!e && unformat_check_input(&line) != UNFORMAT_END_OF_INPUT)
		if (!unformat(&line, "vip %U", unformat_lbrl_name, vip) && !unformat(&line, "%U", unformat_lbrl_mode, &mode))
			e = lbrl_cli_unexpected(&line, mode_help);
	if (!e && !mode)
		e = clib_error_return(0, "expected: %s", mode_help);
	if (!e)
		e = lbrl_cli_result(lbrl_set_mode(vip, mode, err), err);
	unformat_free(&line);
	return e;
}
LBRL_CLI(lbrl_set_mode_cmd, "lb rl set-mode", lbrl_set_mode_fn, mode_help);

static char nat_help[] = "lb rl nat interface <interface> [del]";

static clib_error_t *lbrl_nat_fn(vlib_main_t *vm, unformat_input_t *in, vlib_cli_command_t *cmd)
{
	unformat_input_t line;
	u32 sw_if_index = ~0;
	bool add = true;
	char err[MLB_ERR_LEN] = "";
	clib_error_t *e = 0;

	if (!lbrl_cli_line(in, &line))
		return clib_error_return(0, "expected: %s", nat_help);
	while (!e && unformat_check_input(&line) != UNFORMAT_END_OF_INPUT)
		if (unformat(&line, "del"))
			add = false;
		else if (!unformat(&line, "%U", unformat_vnet_sw_interface, vnet_get_main(), &sw_if_index))
			e = lbrl_cli_unexpected(&line, nat_help);
	if (!e && sw_if_index == ~0)
		e = clib_error_return(0, "expected: %s", nat_help);
	if (!e)
		e = lbrl_cli_result(lbrl_nat_interface(sw_if_index, add, err), err);
	unformat_free(&line);
	return e;
}
LBRL_CLI(lbrl_nat_cmd, "lb rl nat interface", lbrl_nat_fn, nat_help);
