/* SPDX-License-Identifier: Apache-2.0 */
/* Packets that are not a plain TCP or UDP packet of a VIP's known port: options, extension headers, fragments, ICMP, malformed.
 */
#ifndef LB_RL_SLOW_H
#define LB_RL_SLOW_H
#include <lb_rl/life.h>

typedef struct {
	u32 vip_id, slot, error;
	u16 next;
	u32 thread; /* ~0, or the thread that it is handed to */
} lbrl_slow_t;

/* A client's packet. ports: NULL, or source and destination port (host order) that reassembly found for a fragment. */
lbrl_slow_t lbrl_slow_vip(lbrl_thread_t *t, vlib_buffer_t *b, bool is6, const u16 *ports);
/* Rewrites or wraps any packet for its server. False: no headroom. */
bool lbrl_slow_forward(vlib_buffer_t *b, struct mlb_pkt *pkt, const lbrl_vip_t *v, const lbrl_server_t *srv, lbrl_slow_t *r);
/* Answers for a port without VIP or a VIP without server, in the packet's own buffer. */
void lbrl_slow_refuse(vlib_buffer_t *b, bool is6, u32 error, lbrl_slow_t *r);

typedef struct {
	u32 vip_id, slot, error;
	u16 next;
	u8 kind; /* 0 client's, 1 server's */
} lbrl_trace_t;
u8 *format_lbrl_trace(u8 *s, va_list *args);

/* Outer header in front of the current packet, for tunnels. False: no headroom. */
bool lbrl_encap(vlib_buffer_t *b, const struct mlb_pkt *pkt, const lbrl_vip_t *v, const lbrl_server_t *srv);
u16 lbrl_lookup_edge(bool from6, bool to6);
#endif
