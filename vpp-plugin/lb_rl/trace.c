/* SPDX-License-Identifier: Apache-2.0 */
#include <lb_rl/counters.h>
#include <lb_rl/lb_rl.h>
#include <lb_rl/names.h>
#include <lb_rl/trace.h>

u8 *format_lb_rl_trace(u8 *s, va_list *args)
{
	CLIB_UNUSED(vlib_main_t * vm) = va_arg(*args, vlib_main_t *);
	CLIB_UNUSED(vlib_node_t * node) = va_arg(*args, vlib_node_t *);
	lb_rl_trace_t *t = va_arg(*args, lb_rl_trace_t *);
	lb_rl_vip_t *v = &lb_rl_main.vip[t->vip_id <= MLB_MAX_VIPS ? t->vip_id : 0];

	s = format(s, "lb-rl %s: %s", t->from_server ? "server" : "client", lb_rl_error_counters[t->error].desc);
	if (t->vip_id)
		s = format(s, "\n  VIP %s", v->used ? v->name : "(removed since)");
	if (t->slot != MLB_NONE && v->used && t->slot < v->capacity)
		s = format(s, ", server %U slot %u", format_lb_rl_addr, &v->server[t->slot].addr, t->slot);
	return format(s, ", next %u", t->next);
}
