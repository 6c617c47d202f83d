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
 * the client closes). */
enum mlb_tcp_state mlb_tcp_next(enum mlb_tcp_state, uint8_t flags, bool from_client, bool one_way);
/* Idle time-out in milliseconds of a state: half-open 3 s, established 1 h (configurable by the host), closing 10 s. */
uint32_t mlb_tcp_timeout_ms(enum mlb_tcp_state, uint32_t established_ms);
#endif
