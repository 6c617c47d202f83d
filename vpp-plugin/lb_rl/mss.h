/* SPDX-License-Identifier: Apache-2.0 */
/* The largest segment that a side announces in its SYN, made smaller where the VIP says so: for paths that lose the ICMP errors
 * by which senders would learn it (RFC 2923, section 2.1). Compiled into each march variant of the nodes. */
#ifndef LB_RL_MSS_H
#define LB_RL_MSS_H
#include <lb_rl/sums.h>

/* have: bytes of the TCP header's that stand at th. A SYN without the option is left alone: its side takes the default, 536. */
static inline void lb_rl_clamp_mss(tcp_header_t *th, u32 have, u16 most)
{
	u32 len = clib_min(have, 4u * (th->data_offset_and_reserved >> 4)), at = sizeof(*th);
	u8 *o = (u8 *)th;

	while (at + 4 <= len && o[at] != TCP_OPTION_EOL) {
		if (o[at] == TCP_OPTION_NOOP) {
			at++;
			continue;
		}
		if (o[at + 1] < 2)
			return; /* malformed: the receiver's to judge */
		if (o[at] == TCP_OPTION_MSS && o[at + 1] == TCP_OPTION_LEN_MSS) {
			u16 was = *(u16u *)(o + at + 2), is = clib_host_to_net_u16(most);
			if (clib_net_to_host_u16(was) <= most)
				return;
			*(u16u *)(o + at + 2) = is;
			/* At an odd place its bytes stand in two words of the sum, in the other order. */
			u32 delta = (u16)~was + is;
			if (at & 1)
				delta = (u16)~clib_byte_swap_u16(was) + clib_byte_swap_u16(is);
			th->checksum = lb_rl_csum_add(th->checksum, delta);
			return;
		}
		at += o[at + 1];
	}
}
#endif
