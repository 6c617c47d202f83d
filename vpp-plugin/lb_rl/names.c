/* SPDX-License-Identifier: Apache-2.0 */
/* Words and addresses, in and out. */
#include <lb_rl/lb_rl.h>

const char *const lbrl_fwd_names[LBRL_FWD_COUNT] = {
	[LBRL_FWD_L3DSR] = "l3dsr", [LBRL_FWD_NAT] = "nat",     [LBRL_FWD_GRE4] = "gre4",   [LBRL_FWD_GRE6] = "gre6",
	[LBRL_FWD_IPIP4] = "ipip4", [LBRL_FWD_IPIP6] = "ipip6", [LBRL_FWD_L2DSR] = "l2dsr",
};
const char *const lbrl_mode_names[5] = { "keep", "hash", "alias", "sed", "p2c" };
const char *const lbrl_ladder_names[5] = { "model", "kalman", "last-good", "static", "static-dp" };

vlib_error_desc_t lbrl_error_counters[] = {
#define X(n, s, t) { #n, t, VL_COUNTER_SEVERITY_##s },
	LBRL_ERRORS(X)
#undef X
};

bool lbrl_addr_is_ip4(const struct mlb_addr *a)
{
	static const u8 mapped[12] = { 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff };
	return memcmp(a->b, mapped, sizeof(mapped)) == 0;
}

void lbrl_addr_from_ip46(struct mlb_addr *out, const ip46_address_t *in, bool is_ip6)
{
	if (is_ip6) {
		clib_memcpy(out->b, &in->ip6, 16);
		return;
	}
	clib_memset(out->b, 0, 10);
	out->b[10] = out->b[11] = 0xff;
	clib_memcpy(out->b + 12, &in->ip4, 4);
}

int lbrl_mode_parse(const char *s, enum mlb_mode *out)
{
	for (u32 i = MLB_MODE_HASH; i < ARRAY_LEN(lbrl_mode_names); i++)
		if (!strcmp(s, lbrl_mode_names[i])) {
			*out = i;
			return 0;
		}
	return -1;
}

u8 *format_lbrl_addr(u8 *s, va_list *args)
{
	struct mlb_addr *a = va_arg(*args, struct mlb_addr *);
	if (lbrl_addr_is_ip4(a))
		return format(s, "%U", format_ip4_address, a->b + 12);
	return format(s, "%U", format_ip6_address, a->b);
}

const char *lbrl_proto_name(u8 proto)
{
	return proto == IP_PROTOCOL_TCP ? "tcp" : "udp";
}

u8 *format_lbrl_vip(u8 *s, va_list *args)
{
	lbrl_vip_t *v = va_arg(*args, lbrl_vip_t *);
	s = format(s, "%s %U/%u ", v->name, format_lbrl_addr, &v->addr, v->plen);
	/* As set-vip takes it: "tcp 80,443 udp 53". */
	for (u32 i = 0; i < v->n_ports; i++)
		s = i && v->ports[i].proto == v->ports[i - 1].proto ?
			    format(s, ",%u", v->ports[i].port) :
			    format(s, "%s%s %u", i ? " " : "", lbrl_proto_name(v->ports[i].proto), v->ports[i].port);
	s = format(s, v->n_ports ? " " : "all ports ");
	s = format(s, "%s", lbrl_fwd_names[v->fwd]);
	if (v->fwd == LBRL_FWD_L3DSR)
		s = format(s, " dscp %u", v->tos >> 2);
	if (lbrl_fwd_is_tunnel(v->fwd))
		s = format(s, " src %U", format_lbrl_addr, &v->src);
	return format(s, "%s", v->sticky ? " sticky" : "");
}
