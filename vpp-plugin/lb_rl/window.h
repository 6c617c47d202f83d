/* SPDX-License-Identifier: Apache-2.0 */
/* Whose resets and ends of TCP streams are believed: those that lie in their receiver's window, where both directions are seen
 * (NAT). Others pass on, for the receiver to judge, and change nothing here, so that who cannot see a connection cannot make it
 * look over. Compiled into each march variant of the nodes. */
#ifndef LB_RL_WINDOW_H
#define LB_RL_WINDOW_H
#include <marllb/flow.h>
#include <marllb/tcp.h>
#include <vnet/tcp/tcp_packet.h>

/* How far ahead of what its receiver acknowledged a segment may begin: more than windows of today, for a reset that is wrongly
 * not believed leaves a flow that counts until it idles out. A number out of nowhere hits it once in 256 times. */
#define LB_RL_WINDOW (1u << 24)

/* The next byte that a side expects of the other, as its newest acknowledgement said; 0: it has said nothing yet. */
static_always_inline u32 lb_rl_expects(const struct mlb_flow *f, bool client)
{
	return client ? f->host2 >> 32 : (u32)f->host2;
}

/* A side's acknowledgement. */
static_always_inline void lb_rl_heard(struct mlb_flow *f, const tcp_header_t *th, bool from_client)
{
	u64 ack = clib_net_to_host_u32(th->ack_number);

	if (PREDICT_FALSE((th->flags & (MLB_TCP_F_ACK | MLB_TCP_F_RST)) != MLB_TCP_F_ACK))
		return;
	f->host2 = from_client ? (f->host2 & 0xffffffffu) | ack << 32 : (f->host2 & ~0xffffffffULL) | ack;
}

/* The packet's flags, less a reset or an end that its receiver will not believe. An end that was sent before is no news. */
static_always_inline u8 lb_rl_believed(const struct mlb_flow *f, const tcp_header_t *th, bool from_client)
{
	u8 flags = th->flags & 0x1f;
	u32 next = lb_rl_expects(f, !from_client), ahead = clib_net_to_host_u32(th->seq_number) - next;

	if (PREDICT_TRUE(!(flags & (MLB_TCP_F_RST | MLB_TCP_F_FIN))) || !next || f->tcp < MLB_TCP_ESTABLISHED)
		return flags;
	if (ahead >= LB_RL_WINDOW)
		flags &= ~MLB_TCP_F_RST;
	if (ahead >= LB_RL_WINDOW && -ahead >= LB_RL_WINDOW)
		flags &= ~MLB_TCP_F_FIN;
	return flags;
}
#endif
