/* SPDX-License-Identifier: Apache-2.0 */
/* RFC 9293's states as a middle box can know them. Sequence numbers are not tracked: the two ends judge what is in their window.
 */
#include "marllb/tcp.h"

static enum mlb_tcp_state on_syn(enum mlb_tcp_state s, bool one_way)
{
	switch (s) {
	case MLB_TCP_FIN_CLIENT: return one_way ? MLB_TCP_SYN : s; /* the server's side may be over, out of our sight */
	case MLB_TCP_NEW:
	case MLB_TCP_CLOSING: /* TIME-WAIT at one end: the port is used again */
	case MLB_TCP_CLOSED:
	case MLB_TCP_RESET: return MLB_TCP_SYN;
	default: return s; /* sent again, or a stray one that the server answers with a challenge ACK */
	}
}

static enum mlb_tcp_state on_fin(enum mlb_tcp_state s, bool from_client)
{
	switch (s) {
	case MLB_TCP_NEW:
	case MLB_TCP_SYN:
	case MLB_TCP_SYN_ACK:
	case MLB_TCP_ESTABLISHED: return from_client ? MLB_TCP_FIN_CLIENT : MLB_TCP_FIN_SERVER;
	case MLB_TCP_FIN_CLIENT: return from_client ? s : MLB_TCP_CLOSING;
	case MLB_TCP_FIN_SERVER: return from_client ? MLB_TCP_CLOSING : s;
	default: return s;
	}
}

static enum mlb_tcp_state on_ack(enum mlb_tcp_state s, bool from_client, bool one_way)
{
	switch (s) {
	case MLB_TCP_NEW: /* picked up in mid-flow */ return MLB_TCP_ESTABLISHED;
	case MLB_TCP_SYN: return from_client && one_way ? MLB_TCP_ESTABLISHED : s;
	case MLB_TCP_SYN_ACK: return from_client ? MLB_TCP_ESTABLISHED : s;
	case MLB_TCP_CLOSING: return MLB_TCP_CLOSED;
	default: return s;
	}
}

enum mlb_tcp_state mlb_tcp_next(enum mlb_tcp_state s, uint8_t flags, bool from_client, bool one_way)
{
	flags &= MLB_TCP_F_FIN | MLB_TCP_F_SYN | MLB_TCP_F_RST | MLB_TCP_F_ACK;
	if (flags & MLB_TCP_F_RST)
		return MLB_TCP_RESET;
	if (flags & MLB_TCP_F_SYN) {
		if (flags & MLB_TCP_F_FIN)
			return s; /* no such segment: the ends drop it */
		if (from_client)
			return flags & MLB_TCP_F_ACK ? s : on_syn(s, one_way);
		return s == MLB_TCP_SYN && (flags & MLB_TCP_F_ACK) ? MLB_TCP_SYN_ACK : s;
	}
	if (flags & MLB_TCP_F_FIN)
		return on_fin(s, from_client);
	if (flags & MLB_TCP_F_ACK)
		return on_ack(s, from_client, one_way);
	return s;
}

uint32_t mlb_tcp_timeout_ms(enum mlb_tcp_state s, const struct mlb_tcp_timeouts *t)
{
	switch (s) {
	case MLB_TCP_NEW:
	case MLB_TCP_SYN:
	case MLB_TCP_SYN_ACK: return t->half_open_ms;
	case MLB_TCP_ESTABLISHED: return t->established_ms;
	case MLB_TCP_FIN_CLIENT: /* a half-closed flow may still carry a long answer, but each of its packets begins anew */
	case MLB_TCP_FIN_SERVER: return t->fin_ms;
	default: return t->closing_ms;
	}
}
