/* SPDX-License-Identifier: Apache-2.0 */
/* lb rl show ...: figures come from the newest frame, the same that services see, so they are at most a frame old. */
#include <lb_rl/cli_parse.h>
#include <lb_rl/clock.h>
#include <lb_rl/flows.h>
#include <lb_rl/lookup.h>
#include <lb_rl/names.h>
#include <lb_rl/stats.h>

/* [vip NAME]; all VIPs without. */
static clib_error_t *lb_rl_show_args(unformat_input_t *in, const char *help, char vip[MLB_NAME_LEN], u32 *max)
{
	unformat_input_t line;
	clib_error_t *e = 0;

	vip[0] = 0;
	if (!lb_rl_main.enabled)
		return clib_error_return(0, "lb rl is not enabled: `lb rl enable` first");
	if (!lb_rl_cli_line(in, &line))
		return 0;
	while (!e && unformat_check_input(&line) != UNFORMAT_END_OF_INPUT)
		if (!unformat(&line, "vip %U", unformat_lb_rl_name, vip) && !(max && unformat(&line, "max %u", max)))
			e = lb_rl_cli_unexpected(&line, help);
	unformat_free(&line);
	if (!e && vip[0] && !lb_rl_vip_by_name(vip))
		e = clib_error_return(0, "no VIP of name %s; `lb rl show config` lists them", vip);
	return e;
}

#define lb_rl_foreach_vip(v, which) \
	for (lb_rl_vip_t *v = lb_rl_main.vip + 1; v <= lb_rl_main.vip + MLB_MAX_VIPS; v++) \
		if (v->used == LB_RL_VIP_ACTIVE && (!(which)[0] || !strcmp((which), v->name)))

/* What a command says that finds nothing to show. */
static void lb_rl_show_none(vlib_main_t *vm)
{
	if (lb_rl_vip_any())
		return;
	vlib_cli_output(vm, "no VIP yet: `lb rl set-vip` makes one");
	if (vec_len(lb_rl_main.staged))
		vlib_cli_output(vm, "%u servers wait for it", vec_len(lb_rl_main.staged));
}

/* Servers that no frame has told of yet: a frame comes ten times a second. */
static void lb_rl_show_fresh(vlib_main_t *vm, const lb_rl_vip_t *v, const struct mlb_server_rec *recs, int n)
{
	for (u32 slot = 0; slot < v->capacity; slot++) {
		const lb_rl_server_t *srv = &v->server[slot];
		bool told = false;
		for (int i = 0; i < n; i++)
			told |= recs[i].id == srv->id;
		if (srv->id && !told)
			vlib_cli_output(vm, "  [%u] id %u %U port %u: just added, no figures yet", slot, srv->id,
					format_lb_rl_addr, &srv->addr, clib_net_to_host_u16(srv->port));
	}
}

static clib_error_t *lb_rl_show_stats_command_fn(vlib_main_t *vm, unformat_input_t *in, vlib_cli_command_t *cmd)
{
	char name[MLB_NAME_LEN];
	struct mlb_server_rec *recs;
	struct mlb_frame_hdr h;
	clib_error_t *e = lb_rl_show_args(in, cmd->short_help, name, 0);

	if (e)
		return e;
	lb_rl_foreach_vip(v, name)
	{
		int n = lb_rl_frame(v, &h, &recs);
		if (n < 0) {
			vlib_cli_output(vm, "%U: no frame yet", format_lb_rl_vip, v);
			continue;
		}
		u64 flows = 0, news = 0, packets = 0, bytes = 0, bytes_out = 0, half = 0;
		for (int i = 0; i < n; i++) {
			struct mlb_server_rec *r = &recs[i];
			flows += r->flows;
			half += r->half_open;
			news += r->new_flows;
			packets += r->packets_in;
			bytes += r->bytes_in;
			bytes_out += r->bytes_out;
		}
		vlib_cli_output(vm, "%U", format_lb_rl_vip, v);
		vlib_cli_output(vm, "  frame %llu, mode %s, weights from %s, %d servers", h.seq, mlb_mode_name(h.mode),
				mlb_ladder_name(h.ladder), n);
		vlib_cli_output(vm, "  flows %llu, half-open %llu, new %llu, packets in %llu, bytes in %llu, bytes out %llu",
				flows, half, news, packets, bytes, bytes_out);
		vlib_cli_output(vm, "  misses %llu, untracked %llu, no server %llu, limited %llu, recount differs by %llu",
				h.misses, h.untracked, h.no_server, h.limited, h.recount_diff);
		vlib_cli_output(vm, "  %s",
				h.one_way ? "client's side only: connect time is SYN to ACK, a client's round trip included" :
					    "both directions seen");
		for (u32 i = 1; i < MLB_REFUSE_COUNT; i++)
			if (h.refused[i])
				vlib_cli_output(vm, "  weight vectors refused (%s) %llu", mlb_refuse_name(i), h.refused[i]);
	}
	lb_rl_show_none(vm);
	/* Not ours alone: all that VPP took. Weights, modes and server lists add none. */
	vlib_cli_output(vm, "worker barriers since start %llu", vlib_worker_threads[0].barrier_sync_count);
	/* A table is made a quarter larger than what it was asked for, so that it is never looked through for long. */
	vlib_cli_output(vm, "tables of %u flows and %u half-open a worker were asked for; with the room that they have:",
			lb_rl_main.flow_capacity, lb_rl_main.half_capacity);
	for (u32 i = 0; i < vec_len(lb_rl_main.thread); i++) {
		lb_rl_thread_t *t = &lb_rl_main.thread[i];
		vlib_cli_output(vm, "thread %u: %u of %u flows, %u recounted, %u of %u half-open, hand-offs dropped %llu", i,
				mlb_flow_count(t->flows), mlb_flow_capacity(t->flows), t->found, mlb_flow_count(t->half),
				mlb_flow_capacity(t->half), t->handoff_drops);
	}
	return 0;
}
/*?
 * What each VIP counted: flows, packets, bytes, misses, refused weight vectors; and how full each thread's tables are.
 *
 * @cliexpar
 * @cliexcmd{lb rl show stats}
 ?*/
VLIB_CLI_COMMAND(lb_rl_show_stats_command, static) = {
	.path = "lb rl show stats",
	.short_help = "lb rl show stats [vip <name>]",
	.function = lb_rl_show_stats_command_fn,
	.is_mp_safe = 1,
};

static clib_error_t *lb_rl_show_weights_command_fn(vlib_main_t *vm, unformat_input_t *in, vlib_cli_command_t *cmd)
{
	char name[MLB_NAME_LEN];
	struct mlb_server_rec *recs;
	struct mlb_frame_hdr h;
	clib_error_t *e = lb_rl_show_args(in, cmd->short_help, name, 0);

	if (e)
		return e;
	lb_rl_foreach_vip(v, name)
	{
		int n = lb_rl_frame(v, &h, &recs);
		vlib_cli_output(vm, "%s: weights from %s, mode %s, kappa %.3f, sequence %llu, term %llu", v->name,
				mlb_ladder_name(n < 0 ? MLB_LADDER_STATIC_DP : h.ladder),
				mlb_mode_name(n < 0 ? MLB_MODE_SED : h.mode), n < 0 ? 1.0 : h.kappa, n < 0 ? 0 : h.applied_seq,
				n < 0 ? 0 : h.term);
		vlib_cli_output(vm, "  %-40s %9s %9s %7s %8s", "server", "static", "share", "factor", "bias");
		for (int i = 0; i < n; i++) {
			struct mlb_server_rec *r = &recs[i];
			u8 *s = format(0, "%U", format_lb_rl_addr, &r->addr);
			if (r->port)
				s = format(s, ":%u", r->port);
			vlib_cli_output(vm, "  %-40v %9.3f %9.6f %7.3f %8.2f", s, r->weight_static, r->weight, r->factor,
					r->bias);
			vec_free(s);
		}
		lb_rl_show_fresh(vm, v, recs, n);
	}
	lb_rl_show_none(vm);
	return 0;
}
/*?
 * The weights of each VIP's servers, and who set them.
 *
 * @cliexpar
 * @cliexcmd{lb rl show weights vip web}
 ?*/
VLIB_CLI_COMMAND(lb_rl_show_weights_command, static) = {
	.path = "lb rl show weights",
	.short_help = "lb rl show weights [vip <name>]",
	.function = lb_rl_show_weights_command_fn,
	.is_mp_safe = 1,
};

static u8 *format_lb_rl_flags(u8 *s, va_list *args)
{
	u32 f = va_arg(*args, u32);
	if (f & MLB_SRV_LEAVING)
		return format(s, "leaving");
	s = format(s, f & MLB_SRV_DRAINING ? "draining" : "up");
	if (f & MLB_SRV_EJECTED)
		s = format(s, f & MLB_SRV_PROBING ? ",probing" : ",ejected");
	return s;
}

static clib_error_t *lb_rl_show_servers_command_fn(vlib_main_t *vm, unformat_input_t *in, vlib_cli_command_t *cmd)
{
	char name[MLB_NAME_LEN];
	struct mlb_server_rec *recs;
	struct mlb_frame_hdr h;
	clib_error_t *e = lb_rl_show_args(in, cmd->short_help, name, 0);

	if (e)
		return e;
	lb_rl_foreach_vip(v, name)
	{
		int n = lb_rl_frame(v, &h, &recs);
		vlib_cli_output(vm, "%U", format_lb_rl_vip, v);
		for (int i = 0; i < n; i++) {
			struct mlb_server_rec *r = &recs[i];
			vlib_cli_output(vm,
					"  [%u] id %u %U port %u %U: flows %u half-open %u waiting %u new %llu done %llu refused "
					"%llu reset %llu "
					"aborted %llu unanswered %llu",
					r->slot, r->id, format_lb_rl_addr, &r->addr, r->port, format_lb_rl_flags, r->flags,
					r->flows, r->half_open, r->waiting, r->new_flows, r->completions, r->refusals, r->resets,
					r->aborts, r->unanswered);
			vlib_cli_output(vm,
					"      packets %llu/%llu bytes %llu/%llu connect p90 %.0f us, first byte p90 %.0f us, "
					"duration p90 %.0f us",
					r->packets_in, r->packets_out, r->bytes_in, r->bytes_out, r->connect.dp90, r->ttfb.dp90,
					r->duration.dp90);
			vlib_cli_output(vm, "      via %U", format_dpo_id, &v->server[r->slot].dpo, 8);
		}
		lb_rl_show_fresh(vm, v, recs, n);
	}
	lb_rl_show_none(vm);
	return 0;
}
/*?
 * What each server counted, its state, and the way of the FIB to it.
 *
 * @cliexpar
 * @cliexcmd{lb rl show servers}
 ?*/
VLIB_CLI_COMMAND(lb_rl_show_servers_command, static) = {
	.path = "lb rl show servers",
	.short_help = "lb rl show servers [vip <name>]",
	.function = lb_rl_show_servers_command_fn,
	.is_mp_safe = 1,
};

static clib_error_t *lb_rl_show_config_command_fn(vlib_main_t *vm, unformat_input_t *in, vlib_cli_command_t *cmd)
{
	lb_rl_main_t *m = &lb_rl_main;
	unformat_input_t line;

	if (lb_rl_cli_line(in, &line)) {
		clib_error_t *e = lb_rl_cli_unexpected(&line, cmd->short_help);
		unformat_free(&line);
		return e;
	}
	vlib_cli_output(vm, "lb rl " LB_RL_VERSION ": %s, %s", m->enabled ? "enabled" : "disabled",
			m->started ? "started" : "stopped");
	vlib_cli_output(vm, "region %s, instance %s", m->shm_path, m->instance);
	if (vec_len(m->staged))
		vlib_cli_output(vm, "%u servers wait for set-vip", vec_len(m->staged));
	if (!m->enabled)
		return 0;
	vlib_cli_output(vm,
			"workers %u, flows %u and half-open %u a worker; time-outs: half-open %u s, established %u s, fin %u s, "
			"closing %u s, udp %u s, sticky %u s; lease %u ms; region of %u VIPs and %u servers",
			m->n_workers, m->flow_capacity, m->half_capacity, m->tcp.half_open_ms / 1000,
			m->tcp.established_ms / 1000, m->tcp.fin_ms / 1000, m->tcp.closing_ms / 1000, m->udp_ms / 1000,
			m->sticky_ms / 1000, m->lease_ms, m->limits.vips, m->limits.servers);
	for (u32 i = 0; i < vec_len(m->nat_interfaces); i++)
		vlib_cli_output(vm, "nat interface %U", format_vnet_sw_if_index_name, vnet_get_main(), m->nat_interfaces[i]);
	char all[MLB_NAME_LEN] = "";
	lb_rl_foreach_vip(v, all) vlib_cli_output(vm, "VIP [%u] %U max-servers %u", v->id, format_lb_rl_vip, v, v->capacity);
	return 0;
}
/*?
 * Settings, region, interfaces and VIPs, the latter as `lb rl set-vip` takes them.
 *
 * @cliexpar
 * @cliexcmd{lb rl show config}
 ?*/
VLIB_CLI_COMMAND(lb_rl_show_config_command, static) = {
	.path = "lb rl show config",
	.short_help = "lb rl show config",
	.function = lb_rl_show_config_command_fn,
	.is_mp_safe = 1,
};

typedef struct {
	vlib_main_t *vm;
	const char *vip;
	u32 thread, left, now_ms;
	bool half;
} lb_rl_flows_arg_t;

static const char *const lb_rl_tcp_names[] = { "new",        "syn",     "syn-ack", "established", "fin-client",
					       "fin-server", "closing", "closed",  "reset" };

static void lb_rl_show_flow(void *arg, struct mlb_flow *f)
{
	lb_rl_flows_arg_t *a = arg;
	lb_rl_vip_t *v = &lb_rl_main.vip[f->key.vip];
	struct mlb_addr client = f->key.client;

	if (!a->left || (a->vip[0] && strcmp(a->vip, v->name)))
		return;
	a->left--;
	if (!v->is_ip6)
		clib_memset(client.b, 0, 8); /* a prefix VIP's host bits stand there */
	else if (v->plen < 128 && !v->sticky)
		clib_memset(client.b + 8, 0, 8); /* mixed with the destination's: the client's network is left */
	vlib_cli_output(a->vm, "[%u] %s %U port %u -> %s port %u: slot %u %U %s idle %u ms%s", a->thread,
			f->key.proto == IP_PROTOCOL_TCP ? "tcp" : "udp", format_lb_rl_addr, &client, f->key.cport, v->name,
			f->key.vport, f->slot, format_lb_rl_addr, &v->server[f->slot].addr,
			f->key.proto == IP_PROTOCOL_TCP && f->tcp < ARRAY_LEN(lb_rl_tcp_names) ? lb_rl_tcp_names[f->tcp] : "-",
			a->now_ms - f->last_ms,
			f->flags & MLB_FLOW_COUNTED ? "" :
			a->half                     ? " half-open" :
						      " ended");
}

/* The only show that looks into workers' tables: they stand still meanwhile, and `max` keeps that short. */
static clib_error_t *lb_rl_show_flows_command_fn(vlib_main_t *vm, unformat_input_t *in, vlib_cli_command_t *cmd)
{
	char name[MLB_NAME_LEN];
	u32 max = 50;
	clib_error_t *e = lb_rl_show_args(in, cmd->short_help, name, &max);

	if (e)
		return e;
	if (max > 10000)
		return clib_error_return(0, "max 1..10000 expected, not %u", max);
	lb_rl_flows_arg_t a = { .vm = vm, .vip = name, .left = max, .now_ms = lb_rl_now_us() / 1000 };
	vlib_worker_thread_barrier_sync(vm);
	for (u32 i = 0; i < vec_len(lb_rl_main.thread); i++) {
		lb_rl_thread_t *t = &lb_rl_main.thread[i];
		u32 c = 0;
		a.thread = i;
		do {
			a.half = false;
			mlb_flow_walk(t->flows, &c, 4096, lb_rl_show_flow, &a);
		} while (c && a.left);
		c = 0;
		do {
			a.half = true;
			mlb_flow_walk(t->half, &c, 4096, lb_rl_show_flow, &a);
		} while (c && a.left);
	}
	vlib_worker_thread_barrier_release(vm);
	return 0;
}
/*?
 * Flows of the workers' tables, 50 of them or `max`. The workers stand still for as long as it looks.
 *
 * @cliexpar
 * @cliexcmd{lb rl show flows vip web max 10}
 ?*/
VLIB_CLI_COMMAND(lb_rl_show_flows_command, static) = {
	.path = "lb rl show flows",
	.short_help = "lb rl show flows [vip <name>] [max <n>]",
	.function = lb_rl_show_flows_command_fn,
	.is_mp_safe = 1,
};
