/* SPDX-License-Identifier: Apache-2.0 */
/* Packets that are not a plain TCP or UDP packet of a VIP's known port: options, extension headers, fragments, ICMP, malformed.
 */
#ifndef LB_RL_SLOW_H
#define LB_RL_SLOW_H
#include <lb_rl/forward.h>
#include <lb_rl/life.h>

typedef struct {
	u32 vip_id, slot, error;
	u16 next;
	u32 thread; /* ~0, or the thread that it is handed to */
} lb_rl_slow_t;

/* A client's packet. ports: NULL, or source and destination port (host order) that reassembly found for a fragment. owned:
 * another worker handed it over. */
lb_rl_slow_t lb_rl_slow_vip(lb_rl_thread_t *t, vlib_buffer_t *b, bool is6, const u16 *ports, bool owned);
/* Answers for a port without VIP or a VIP without server, in the packet's own buffer, as long as a worker's answers are not too
 * many (RFC 1812, section 4.3.2.8; RFC 4443, section 2.4 (f)). */
void lb_rl_slow_refuse(lb_rl_thread_t *t, vlib_buffer_t *b, bool is6, u32 error, lb_rl_slow_t *r);
#endif
