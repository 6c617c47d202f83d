/* SPDX-License-Identifier: Apache-2.0 */
#include <lb_rl/forward.h>
#include <lb_rl/lb_rl.h>
#include <lb_rl/path.h>

lbrl_fwd_t lbrl_fwd_parse(const char *word)
{
	lbrl_fwd_t f = 0;

	while (f < LBRL_FWD_COUNT && strcmp(word, lbrl_fwd_ops[f].name) != 0)
		f++;
	return f;
}

u16 lbrl_lookup_edge(bool from6, bool to6)
{
	return lbrl_main.edge_lookup[from6][to6];
}

u32 lbrl_forward(vlib_buffer_t *b, const struct mlb_pkt *pkt, const lbrl_vip_t *v, const lbrl_server_t *srv, u32 flow, u16 *next)
{
	bool from6 = v->is_ip6, to6 = lbrl_leaves_as_ip6(v);
	u32 error = lbrl_fwd_ops[v->fwd].rewrite(b, pkt, v, srv, flow);

	if (PREDICT_FALSE(error == LBRL_ERROR_FORWARDED && srv->leads_back))
		error = LBRL_ERROR_LEADS_BACK;
	if (PREDICT_FALSE(error != LBRL_ERROR_FORWARDED))
		*next = IP_LOOKUP_NEXT_DROP;
	else if (from6 != to6) /* edges are those of the packet's own family; the other family's lookup goes on */
		*next = lbrl_lookup_edge(from6, to6);
	else
		*next = lbrl_next_hop(b, srv->lbi, vlib_buffer_get_current(b), to6);
	return error;
}

u32 lbrl_outer(vlib_buffer_t *b, const struct mlb_pkt *pkt, const lbrl_vip_t *v, const lbrl_server_t *srv, u32 flow, u8 proto,
	       u32 room, u8 **own)
{
	u32 ip_header = lbrl_fwd_ops[v->fwd].outer == 6 ? sizeof(ip6_header_t) : sizeof(ip4_header_t);

	/* An Ethernet header with one VLAN tag goes in front of all that. */
	if (PREDICT_FALSE(b->current_data + VLIB_BUFFER_PRE_DATA_SIZE < (i32)(ip_header + room + 18)))
		return LBRL_ERROR_NO_ROOM;
	/* Checksums that hardware was to fill in cannot wait once the packet lies inside another one. */
	if (b->flags & VNET_BUFFER_F_OFFLOAD)
		vnet_calc_checksums_inline(vlib_get_main(), b, !v->is_ip6, v->is_ip6);
	u32 n = mlb_pkt_outer(vlib_buffer_get_current(b), pkt, proto, room, flow, &v->src, &srv->addr);
	if (PREDICT_FALSE(n == 0))
		return LBRL_ERROR_TOO_LONG;
	vlib_buffer_advance(b, -(word)n);
	*own = (u8 *)vlib_buffer_get_current(b) + ip_header;
	return LBRL_ERROR_FORWARDED;
}
