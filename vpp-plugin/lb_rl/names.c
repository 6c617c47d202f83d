/* SPDX-License-Identifier: Apache-2.0 */
#include <lb_rl/forward.h>
#include <lb_rl/names.h>
#include <ctype.h>

u8 *format_lb_rl_addr(u8 *s, va_list *args)
{
	char text[MLB_ENDPOINT_LEN];

	return format(s, "%s", mlb_addr_text(va_arg(*args, struct mlb_addr *), text));
}

bool lb_rl_name_ok(const char *name)
{
	u32 n = 0;

	while (isalnum((u8)name[n]) || (name[n] && strchr("-_.", name[n])))
		n++;
	return n > 0 && n < MLB_NAME_LEN && !name[n];
}

bool lb_rl_addr_is_host(const struct mlb_addr *a)
{
	bool some = false;

	if (mlb_addr_is_v4(a))
		return a->b[12] != 0 && a->b[12] < 224;
	for (u32 i = 0; i < 16; i++)
		some |= a->b[i] != 0;
	return some && a->b[0] != 0xff;
}

const char *lb_rl_proto_name(u8 proto)
{
	return proto == IP_PROTOCOL_TCP ? "tcp" : "udp";
}

/* As set-vip takes it. */
u8 *format_lb_rl_vip(u8 *s, va_list *args)
{
	lb_rl_vip_t *v = va_arg(*args, lb_rl_vip_t *);
	const lb_rl_fwd_ops_t *fwd = &lb_rl_fwd_ops[v->fwd];

	s = format(s, "%s %U/%u ", v->name, format_lb_rl_addr, &v->addr, v->plen);
	for (u32 i = 0; i < v->n_ports; i++)
		s = i && v->ports[i].proto == v->ports[i - 1].proto ?
			    format(s, ",%u", v->ports[i].port) :
			    format(s, "%s%s %u", i ? " " : "", lb_rl_proto_name(v->ports[i].proto), v->ports[i].port);
	s = format(s, v->n_ports ? " " : "all ports ");
	s = format(s, "%s", fwd->name);
	if (fwd->takes_dscp)
		s = format(s, " dscp %u", v->tos >> 2);
	if (fwd->outer)
		s = format(s, " src %U", format_lb_rl_addr, &v->src);
	if (fwd->outer_port)
		s = format(s, " outer-port %u", v->outer_port);
	if (v->mss)
		s = format(s, " mss %u", v->mss);
	if (v->quic)
		s = format(s, " quic-lb %u", v->quic);
	if (v->table)
		s = format(s, " table %u", v->table);
	return format(s, "%s", v->sticky ? " sticky" : "");
}
