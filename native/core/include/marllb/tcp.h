/* SPDX-License-Identifier: Apache-2.0 */
/* TCP state of a tracked flow as a middle box sees it; pure. Works with both directions (NAT) or the client's alone (DSR). */
#ifndef MARLLB_TCP_H
#define MARLLB_TCP_H
#include "types.h"

enum mlb_tcp_state {
	MLB_TCP_NEW,
	MLB_TCP_SYN,
	MLB_TCP_SYN_ACK,
	MLB_TCP_ESTABLISHED,
	MLB_TCP_FIN_CLIENT,
	MLB_TCP_FIN_SERVER,
	MLB_TCP_CLOSING,
	MLB_TCP_CLOSED,
	MLB_TCP_RESET
};
enum { MLB_TCP_F_FIN = 1, MLB_TCP_F_SYN = 2, MLB_TCP_F_RST = 4, MLB_TCP_F_PSH = 8, MLB_TCP_F_ACK = 16 };

/* State after a packet. from_client: its direction; one_way: server's packets are never seen (SYN then ACK establishes, a FIN of
 * the client leaves FIN_CLIENT, for the server may still send). */
enum mlb_tcp_state mlb_tcp_next(enum mlb_tcp_state, uint8_t flags, bool from_client, bool one_way);
/* Idle time-outs, milliseconds: of a handshake under way; established; one side closed; both closed, or reset. */
struct mlb_tcp_timeouts {
	uint32_t half_open_ms, established_ms, fin_ms, closing_ms;
};
uint32_t mlb_tcp_timeout_ms(enum mlb_tcp_state, const struct mlb_tcp_timeouts *);
#endif
