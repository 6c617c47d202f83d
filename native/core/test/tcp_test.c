/* SPDX-License-Identifier: Apache-2.0 */
#include "marllb/tcp.h"
#include "mlbtest.h"

enum { F = MLB_TCP_F_FIN, S = MLB_TCP_F_SYN, R = MLB_TCP_F_RST, P = MLB_TCP_F_PSH, A = MLB_TCP_F_ACK };
enum {
	NEW = MLB_TCP_NEW,
	SYN = MLB_TCP_SYN,
	SYN_ACK = MLB_TCP_SYN_ACK,
	EST = MLB_TCP_ESTABLISHED,
	FIN_C = MLB_TCP_FIN_CLIENT,
	FIN_S = MLB_TCP_FIN_SERVER,
	CLOSING = MLB_TCP_CLOSING,
	CLOSED = MLB_TCP_CLOSED,
	RESET = MLB_TCP_RESET
};

struct segment {
	char from; /* 'c' or 's', 0 ends */
	uint8_t flags, state;
};

static const struct {
	const char *what;
	bool one_way;
	struct segment seg[10];
} cases[] = {
	{ "handshake, data, client closes first",
	  false,
	  { { 'c', S, SYN },
	    { 's', S | A, SYN_ACK },
	    { 'c', A, EST },
	    { 'c', P | A, EST },
	    { 's', P | A, EST },
	    { 'c', F | A, FIN_C },
	    { 's', A, FIN_C },
	    { 's', F | A, CLOSING },
	    { 'c', A, CLOSED } } },
	{ "server closes first",
	  false,
	  { { 'c', S, SYN },
	    { 's', S | A, SYN_ACK },
	    { 'c', A, EST },
	    { 's', F | P | A, FIN_S },
	    { 'c', A, FIN_S },
	    { 'c', F | A, CLOSING },
	    { 's', A, CLOSED } } },
	{ "both close at once",
	  false,
	  { { 'c', S, SYN },
	    { 's', S | A, SYN_ACK },
	    { 'c', A, EST },
	    { 'c', F | A, FIN_C },
	    { 's', F | A, CLOSING },
	    { 's', A, CLOSED },
	    { 'c', A, CLOSED } } },
	{ "half-closed by the client, the answer runs on",
	  false,
	  { { 'c', S, SYN },
	    { 's', S | A, SYN_ACK },
	    { 'c', A, EST },
	    { 'c', F | A, FIN_C },
	    { 's', P | A, FIN_C },
	    { 'c', A, FIN_C },
	    { 'c', F | A, FIN_C },
	    { 's', F | A, CLOSING } } },
	{ "SYN and SYN-ACK sent again",
	  false,
	  { { 'c', S, SYN },
	    { 'c', S, SYN },
	    { 's', S | A, SYN_ACK },
	    { 'c', S, SYN_ACK },
	    { 's', S | A, SYN_ACK },
	    { 'c', A, EST } } },
	{ "refused", false, { { 'c', S, SYN }, { 's', R | A, RESET }, { 'c', A, RESET } } },
	{ "reset by the client, then the port used again",
	  false,
	  { { 'c', S, SYN }, { 's', S | A, SYN_ACK }, { 'c', A, EST }, { 'c', R, RESET }, { 's', A, RESET }, { 'c', S, SYN } } },
	{ "port used again in TIME-WAIT, before and after the last ACK",
	  false,
	  { { 'c', S, SYN },
	    { 's', S | A, SYN_ACK },
	    { 'c', A, EST },
	    { 's', F | A, FIN_S },
	    { 'c', F | A, CLOSING },
	    { 'c', S, SYN },
	    { 's', S | A, SYN_ACK } } },
	{ "a stray SYN does not disturb an established flow",
	  false,
	  { { 'c', S, SYN }, { 's', S | A, SYN_ACK }, { 'c', A, EST }, { 'c', S, EST }, { 's', A, EST } } },
	{ "an ACK before the SYN-ACK establishes nothing when both sides are seen",
	  false,
	  { { 'c', S, SYN }, { 'c', A, SYN }, { 's', A, SYN }, { 's', S, SYN }, { 'c', S | A, SYN } } },
	{ "FIN with the handshake's last ACK", false, { { 'c', S, SYN }, { 's', S | A, SYN_ACK }, { 'c', F | A, FIN_C } } },
	{ "no flags, SYN with FIN, SYN with RST",
	  false,
	  { { 'c', 0, NEW }, { 'c', S, SYN }, { 'c', 0, SYN }, { 'c', S | F, SYN }, { 'c', S | R, RESET } } },
	{ "picked up in mid-flow", false, { { 'c', P | A, EST }, { 's', A, EST }, { 'c', F | A, FIN_C } } },
	{ "reserved bits do not matter",
	  false,
	  { { 'c', 0xc0 | S, SYN }, { 's', 0xe0 | S | A, SYN_ACK }, { 'c', 0xc8 | A, EST } } },
	{ "one way: SYN then ACK establishes; after the client's FIN the server may still send, until the port is used again",
	  true,
	  { { 'c', S, SYN },
	    { 'c', S, SYN },
	    { 'c', A, EST },
	    { 'c', P | A, EST },
	    { 'c', F | A, FIN_C },
	    { 'c', A, FIN_C },
	    { 'c', F | A, FIN_C },
	    { 'c', S, SYN } } },
	{ "one way: reset", true, { { 'c', S, SYN }, { 'c', A, EST }, { 'c', R, RESET } } },
};

TEST(described_flows)
{
	for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		enum mlb_tcp_state s = MLB_TCP_NEW;
		for (const struct segment *g = cases[i].seg; g < cases[i].seg + 10 && g->from; g++) {
			s = mlb_tcp_next(s, g->flags, g->from == 'c', cases[i].one_way);
			if (s != g->state)
				printf("# %s: segment %d gives state %d\n", cases[i].what, (int)(g - cases[i].seg) + 1, s);
			CHECK_EQ(s, g->state);
		}
	}
}

/* Every state, every flag byte, both directions: a state comes out, RST always resets, pure PSH or nothing changes nothing. */
TEST(every_input_gives_a_state)
{
	for (int s = MLB_TCP_NEW; s <= MLB_TCP_RESET; s++)
		for (int flags = 0; flags < 256; flags++)
			for (int way = 0; way < 4; way++) {
				enum mlb_tcp_state n = mlb_tcp_next((enum mlb_tcp_state)s, (uint8_t)flags, way & 1, way & 2);
				CHECK(n <= MLB_TCP_RESET);
				CHECK(!(flags & R) || n == MLB_TCP_RESET);
				CHECK((flags & (F | S | R | A)) || n == (enum mlb_tcp_state)s);
			}
}

TEST(timeouts)
{
	static const struct mlb_tcp_timeouts t = { 1, 2, 3, 4 };
	CHECK_EQ(mlb_tcp_timeout_ms(MLB_TCP_NEW, &t), 1);
	CHECK_EQ(mlb_tcp_timeout_ms(MLB_TCP_SYN, &t), 1);
	CHECK_EQ(mlb_tcp_timeout_ms(MLB_TCP_SYN_ACK, &t), 1);
	CHECK_EQ(mlb_tcp_timeout_ms(MLB_TCP_ESTABLISHED, &t), 2);
	CHECK_EQ(mlb_tcp_timeout_ms(MLB_TCP_FIN_CLIENT, &t), 3);
	CHECK_EQ(mlb_tcp_timeout_ms(MLB_TCP_FIN_SERVER, &t), 3);
	CHECK_EQ(mlb_tcp_timeout_ms(MLB_TCP_CLOSING, &t), 4);
	CHECK_EQ(mlb_tcp_timeout_ms(MLB_TCP_CLOSED, &t), 4);
	CHECK_EQ(mlb_tcp_timeout_ms(MLB_TCP_RESET, &t), 4);
}

MLB_TEST_MAIN(CASE(described_flows), CASE(every_input_gives_a_state), CASE(timeouts))
