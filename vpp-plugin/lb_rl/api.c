/* SPDX-License-Identifier: Apache-2.0 */
/* The binary API: the same calls as the CLI's. All handlers are mp-safe. */
#include <lb_rl/enable.h>
#include <lb_rl/error.h>
#include <lb_rl/interface.h>
#include <lb_rl/log.h>
#include <lb_rl/names.h>
#include <lb_rl/server.h>
#include <lb_rl/stats.h>
#include <lb_rl/vip.h>
#include <vnet/ip/ip_types_api.h>
#include <vlibapi/api.h>
#include <vlibmemory/api.h>

#include <vnet/format_fns.h>
#include <lb_rl/lb_rl.api_enum.h>
#include <lb_rl/lb_rl.api_types.h>

#define REPLY_MSG_ID_BASE lb_rl_main.msg_id_base
#include <vlibapi/api_helper_macros.h>

#define X(name, value, word) STATIC_ASSERT(LB_RL_API_MODE_##name == (value), "lb_rl.api has the core's modes");
MLB_MODES(X)
#undef X

/* The reason of a refusal goes to the log: an API reply holds a number only. */
static int lb_rl_logged(int rv, const char err[MLB_ERR_LEN])
{
	if (rv)
		lb_rl_log_warn("refused to the API: %s", err);
	return rv;
}

static void lb_rl_string(char *out, const u8 *in, u32 n)
{
	strncpy(out, (const char *)in, n - 1);
	out[n - 1] = 0;
}

static struct mlb_endpoint lb_rl_api_endpoint(const vl_api_lb_rl_server_t *s)
{
	ip46_address_t a = {}; /* of no family: no host's */
	ip46_type_t t = ip_address_decode(&s->address, &a);

	return (struct mlb_endpoint){ .addr = lb_rl_addr_of(&a, t == IP46_TYPE_IP6), .port = s->port };
}

static void vl_api_lb_rl_enable_disable_t_handler(vl_api_lb_rl_enable_disable_t *mp)
{
	vl_api_lb_rl_enable_disable_reply_t *rmp;
	lb_rl_enable_args_t a = {
		mp->flows,      mp->half_open,           mp->established_timeout_s, mp->udp_timeout_s,     mp->sticky_timeout_s,
		mp->lease_ms,   mp->half_open_timeout_s, mp->fin_timeout_s,         mp->closing_timeout_s, mp->max_vips,
		mp->max_servers
	};
	char err[MLB_ERR_LEN];
	int rv = lb_rl_logged(mp->enable ? lb_rl_enable(&a, err) : lb_rl_disable(err), err);

	REPLY_MACRO_END(VL_API_LB_RL_ENABLE_DISABLE_REPLY);
}

static void vl_api_lb_rl_start_stop_t_handler(vl_api_lb_rl_start_stop_t *mp)
{
	vl_api_lb_rl_start_stop_reply_t *rmp;
	char err[MLB_ERR_LEN];
	int rv = lb_rl_logged(mp->start ? lb_rl_start(err) : lb_rl_stop(err), err);

	REPLY_MACRO_END(VL_API_LB_RL_START_STOP_REPLY);
}

static void vl_api_lb_rl_set_shm_t_handler(vl_api_lb_rl_set_shm_t *mp)
{
	vl_api_lb_rl_set_shm_reply_t *rmp;
	char path[256], group[MLB_NAME_LEN], err[MLB_ERR_LEN];

	lb_rl_string(path, mp->path, sizeof(path));
	lb_rl_string(group, mp->group, sizeof(group));
	int rv = lb_rl_logged(lb_rl_set_shm(path, group, err), err);
	REPLY_MACRO_END(VL_API_LB_RL_SET_SHM_REPLY);
}

static void vl_api_lb_rl_vip_set_t_handler(vl_api_lb_rl_vip_set_t *mp)
{
	vl_api_lb_rl_vip_set_reply_t *rmp;
	lb_rl_vip_args_t a = {
		.n_ports = mp->n_ports,
		.dscp = mp->dscp,
		.outer_port = mp->outer_port,
		.mode = mp->mode,
		.sticky = mp->sticky,
		.load = mp->load_waiting ? MLB_LOAD_WAITING : MLB_LOAD_FLOWS,
		.eject_off = mp->no_eject,
		.guard_off = mp->no_guard,
		.capacity = mp->max_servers,
		.table = mp->table_id,
		.mss = mp->mss,
		.quic = mp->quic_id_bytes,
	};
	char forwarding[sizeof(mp->forwarding)], err[MLB_ERR_LEN];
	fib_prefix_t pfx = {};
	int rv;

	ip_prefix_decode(&mp->prefix, &pfx);
	a.addr = pfx.fp_addr;
	a.plen = pfx.fp_len;
	a.is_ip6 = pfx.fp_proto == FIB_PROTOCOL_IP6;
	lb_rl_string(a.name, mp->name, sizeof(a.name));
	lb_rl_string(forwarding, mp->forwarding, sizeof(forwarding));
	a.fwd = lb_rl_fwd_parse(forwarding);
	for (u32 i = 0; i < clib_min(a.n_ports, LB_RL_MAX_PORTS); i++)
		a.ports[i] = (lb_rl_port_t){ mp->ports[i].port, mp->ports[i].protocol };
	if (mp->prefix.address.af != ADDRESS_IP4 && mp->prefix.address.af != ADDRESS_IP6)
		rv = lb_rl_fail(err, VNET_API_ERROR_INVALID_ADDRESS_FAMILY, "address family %u is neither IPv4 nor IPv6",
				mp->prefix.address.af);
	else if (a.fwd == LB_RL_FWD_COUNT)
		rv = lb_rl_fail(err, VNET_API_ERROR_INVALID_VALUE, "forwarding `%s`: one of" LB_RL_FWD_WORDS " expected",
				forwarding);
	else if (mp->mode > MLB_MODE_P2C)
		rv = lb_rl_fail(err, VNET_API_ERROR_INVALID_VALUE, "mode %u is none of lb_rl_mode", mp->mode);
	else {
		if (lb_rl_fwd_ops[a.fwd].outer)
			a.src_set = ip_address_decode(&mp->tunnel_src, &a.src) == IP46_TYPE_IP6 ? 6 : 4;
		rv = lb_rl_vip_set(&a, err);
	}
	lb_rl_logged(rv, err);
	REPLY_MACRO_END(VL_API_LB_RL_VIP_SET_REPLY);
}

static void vl_api_lb_rl_vip_del_t_handler(vl_api_lb_rl_vip_del_t *mp)
{
	vl_api_lb_rl_vip_del_reply_t *rmp;
	char name[MLB_NAME_LEN], err[MLB_ERR_LEN];

	lb_rl_string(name, mp->name, sizeof(name));
	int rv = lb_rl_logged(lb_rl_vip_del(name, err), err);
	REPLY_MACRO_END(VL_API_LB_RL_VIP_DEL_REPLY);
}

static void vl_api_lb_rl_set_servers_t_handler(vl_api_lb_rl_set_servers_t *mp)
{
	vl_api_lb_rl_set_servers_reply_t *rmp;
	char vip[MLB_NAME_LEN], err[MLB_ERR_LEN];
	struct mlb_endpoint *eps = 0;
	f32 *w = 0;
	int rv = 0;

	lb_rl_string(vip, mp->vip, sizeof(vip));
	if (!lb_rl_main.enabled)
		rv = VNET_API_ERROR_FEATURE_DISABLED;
	else if (mp->count < 1 || mp->count > MLB_MAX_SERVERS_PER_VIP ||
		 vl_msg_api_get_msg_length(mp) < sizeof(*mp) + mp->count * sizeof(mp->servers[0]))
		rv = VNET_API_ERROR_INVALID_VALUE;
	for (u32 i = 0; !rv && i < mp->count; i++) {
		vl_api_lb_rl_server_t s = mp->servers[i];
		vec_add1(eps, lb_rl_api_endpoint(&s));
		vec_add1(w, s.weight);
	}
	if (!rv)
		rv = lb_rl_logged(lb_rl_servers_set(vip, eps, w, vec_len(eps), err), err);
	vec_free(eps);
	vec_free(w);
	REPLY_MACRO_END(VL_API_LB_RL_SET_SERVERS_REPLY);
}

static void vl_api_lb_rl_server_add_del_t_handler(vl_api_lb_rl_server_add_del_t *mp)
{
	vl_api_lb_rl_server_add_del_reply_t *rmp;
	char vip[MLB_NAME_LEN], err[MLB_ERR_LEN];
	struct mlb_endpoint ep = lb_rl_api_endpoint(&mp->server);

	lb_rl_string(vip, mp->vip, sizeof(vip));
	int rv = lb_rl_logged(mp->is_add ? lb_rl_server_add(vip, &ep, mp->server.weight, err) : lb_rl_server_del(vip, &ep, err),
			      err);
	REPLY_MACRO_END(VL_API_LB_RL_SERVER_ADD_DEL_REPLY);
}

static void vl_api_lb_rl_drain_t_handler(vl_api_lb_rl_drain_t *mp)
{
	vl_api_lb_rl_drain_reply_t *rmp;
	char vip[MLB_NAME_LEN], err[MLB_ERR_LEN];
	struct mlb_endpoint ep = lb_rl_api_endpoint(&mp->server);

	lb_rl_string(vip, mp->vip, sizeof(vip));
	int rv = lb_rl_logged(lb_rl_server_drain(vip, &ep, mp->drain, err), err);
	REPLY_MACRO_END(VL_API_LB_RL_DRAIN_REPLY);
}

static void vl_api_lb_rl_flush_t_handler(vl_api_lb_rl_flush_t *mp)
{
	vl_api_lb_rl_flush_reply_t *rmp;
	char vip[MLB_NAME_LEN], err[MLB_ERR_LEN];
	struct mlb_endpoint ep = lb_rl_api_endpoint(&mp->server);

	lb_rl_string(vip, mp->vip, sizeof(vip));
	int rv = lb_rl_logged(lb_rl_flush(vip, mp->one_server ? &ep : 0, err), err);
	REPLY_MACRO_END(VL_API_LB_RL_FLUSH_REPLY);
}

static void vl_api_lb_rl_set_mode_t_handler(vl_api_lb_rl_set_mode_t *mp)
{
	vl_api_lb_rl_set_mode_reply_t *rmp;
	char vip[MLB_NAME_LEN], err[MLB_ERR_LEN];
	int rv;

	lb_rl_string(vip, mp->vip, sizeof(vip));
	if (mp->mode < MLB_MODE_HASH || mp->mode > MLB_MODE_P2C)
		rv = VNET_API_ERROR_INVALID_VALUE;
	else
		rv = lb_rl_logged(lb_rl_set_mode(vip, mp->mode, err), err);
	REPLY_MACRO_END(VL_API_LB_RL_SET_MODE_REPLY);
}

static void vl_api_lb_rl_nat_interface_t_handler(vl_api_lb_rl_nat_interface_t *mp)
{
	vl_api_lb_rl_nat_interface_reply_t *rmp;
	char err[MLB_ERR_LEN];
	int rv;

	VALIDATE_SW_IF_INDEX_END(mp);
	rv = lb_rl_logged(lb_rl_nat_interface(mp->sw_if_index, mp->is_add, err), err);
	BAD_SW_IF_INDEX_LABEL;
	REPLY_MACRO_END(VL_API_LB_RL_NAT_INTERFACE_REPLY);
}

static void vl_api_lb_rl_vip_dump_t_handler(vl_api_lb_rl_vip_dump_t *mp)
{
	vl_api_registration_t *reg = vl_api_client_index_to_registration(mp->client_index);
	u32 context = mp->context;
	struct mlb_server_rec *recs;
	struct mlb_frame_hdr h;

	if (!reg || !lb_rl_main.enabled)
		return;
	for (u32 id = 1; id <= MLB_MAX_VIPS; id++) {
		lb_rl_vip_t *v = &lb_rl_main.vip[id];
		vl_api_lb_rl_vip_details_t *rmp;
		if (v->used != LB_RL_VIP_ACTIVE)
			continue;
		clib_memset(&h, 0, sizeof(h));
		int n = lb_rl_frame(v, &h, &recs);
		REPLY_MACRO_DETAILS4_END(VL_API_LB_RL_VIP_DETAILS, reg, context, ({
						 strncpy((char *)rmp->name, v->name, sizeof(rmp->name) - 1);
						 rmp->vip_id = id;
						 ip_prefix_encode(&lb_rl_main.prefix[v->prefix].pfx, &rmp->prefix);
						 rmp->n_ports = v->n_ports;
						 for (u32 i = 0; i < v->n_ports; i++) {
							 rmp->ports[i].protocol = v->ports[i].proto;
							 rmp->ports[i].port = v->ports[i].port;
						 }
						 strncpy((char *)rmp->forwarding, lb_rl_fwd_ops[v->fwd].name,
							 sizeof(rmp->forwarding) - 1);
						 rmp->outer_port = v->outer_port;
						 rmp->dscp = v->tos >> 2;
						 rmp->mode = h.mode;
						 rmp->sticky = v->sticky;
						 rmp->table_id = v->table;
						 rmp->mss = v->mss;
						 rmp->quic_id_bytes = v->quic;
						 rmp->servers = n > 0 ? n : 0;
						 rmp->frame_seq = h.seq;
						 rmp->misses = h.misses;
						 rmp->untracked = h.untracked;
						 rmp->no_server = h.no_server;
					 }));
	}
}

static void lb_rl_send_servers(vl_api_registration_t *reg, u32 context, lb_rl_vip_t *v)
{
	struct mlb_server_rec *recs;
	struct mlb_frame_hdr h;
	int n = lb_rl_frame(v, &h, &recs);

	for (int i = 0; i < n; i++) {
		struct mlb_server_rec *r = &recs[i];
		vl_api_lb_rl_server_details_t *rmp;
		bool is4 = mlb_addr_is_v4(&r->addr);
		ip46_address_t a = {};
		clib_memcpy(is4 ? (void *)&a.ip4 : (void *)&a.ip6, r->addr.b + (is4 ? 12 : 0), is4 ? 4 : 16);
		REPLY_MACRO_DETAILS4_END(VL_API_LB_RL_SERVER_DETAILS, reg, context, ({
						 rmp->vip_id = v->id;
						 rmp->server_id = r->id;
						 rmp->slot = r->slot;
						 rmp->flags = r->flags;
						 ip_address_encode(&a, is4 ? IP46_TYPE_IP4 : IP46_TYPE_IP6, &rmp->address);
						 rmp->port = r->port;
						 rmp->weight_static = r->weight_static;
						 rmp->weight = r->weight;
						 rmp->flows = r->flows;
						 rmp->half_open = r->half_open;
						 rmp->new_flows = r->new_flows;
						 rmp->completions = r->completions;
						 rmp->packets_in = r->packets_in;
						 rmp->packets_out = r->packets_out;
						 rmp->bytes_in = r->bytes_in;
						 rmp->bytes_out = r->bytes_out;
					 }));
	}
}

static void vl_api_lb_rl_server_dump_t_handler(vl_api_lb_rl_server_dump_t *mp)
{
	vl_api_registration_t *reg = vl_api_client_index_to_registration(mp->client_index);
	char vip[MLB_NAME_LEN];

	if (!reg || !lb_rl_main.enabled)
		return;
	lb_rl_string(vip, mp->vip, sizeof(vip));
	for (u32 id = 1; id <= MLB_MAX_VIPS; id++)
		if (lb_rl_main.vip[id].used == LB_RL_VIP_ACTIVE && (!vip[0] || !strcmp(vip, lb_rl_main.vip[id].name)))
			lb_rl_send_servers(reg, mp->context, &lb_rl_main.vip[id]);
}

#include <lb_rl/lb_rl.api.c>

static clib_error_t *lb_rl_api_init(vlib_main_t *vm)
{
	api_main_t *am = vlibapi_get_main();

	lb_rl_main.msg_id_base = setup_message_id_table();
	for (u32 i = 0; i < VL_MSG_LB_RL_LAST; i++)
		vl_api_set_msg_thread_safe(am, lb_rl_main.msg_id_base + i, 1);
	return 0;
}

VLIB_API_INIT_FUNCTION(lb_rl_api_init);
