/* SPDX-License-Identifier: Apache-2.0 */
/* Words and addresses, in and out. */
#ifndef LB_RL_NAMES_H
#define LB_RL_NAMES_H
#include <vnet/ip/ip46_address.h>
#include <marllb/endpoint.h>
#include <marllb/vocab.h>

u8 *format_lb_rl_addr(u8 *s, va_list *args); /* struct mlb_addr * */
u8 *format_lb_rl_vip(u8 *s, va_list *args);  /* lb_rl_vip_t * */
const char *lb_rl_proto_name(u8 proto);
/* Letters, digits, `-`, `_`, `.`: what commands can name. */
bool lb_rl_name_ok(const char *name);
/* An address that one host has: not "any", multicast or broadcast. */
bool lb_rl_addr_is_host(const struct mlb_addr *a);

/* VPP's address as the core's. */
static inline struct mlb_addr lb_rl_addr_of(const ip46_address_t *in, bool is_ip6)
{
	struct mlb_addr a;

	if (!is_ip6)
		return mlb_addr_of_v4(&in->ip4);
	clib_memcpy_fast(a.b, &in->ip6, 16);
	return a;
}
#endif
