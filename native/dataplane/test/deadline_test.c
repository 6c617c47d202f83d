/* SPDX-License-Identifier: Apache-2.0 */
/* Which time-out holds in which state of a connection. Times are virtual. */
#include "mlbtest.h"

#include "deadline.h"

static struct mlbd_settings settings;
static struct mlbd_conn conn;

static void begin(enum mlbd_conn_state state)
{
	mlbd_settings_default(&settings);
	settings.connect_ms = 2;
	settings.first_byte_ms = 10;
	settings.half_closed_ms = 20;
	settings.idle_ms = 100;
	memset(&conn, 0, sizeof(conn));
	conn.state = (uint8_t)state;
	conn.connect_us = 500;
	conn.last_us = 1000;
}

static void expect(uint64_t at, enum mlbd_overdue why)
{
	enum mlbd_overdue got;

	CHECK_EQ(mlbd_deadline(&conn, &settings, &got), at);
	CHECK_EQ(got, why);
}

TEST(a_connect_has_its_own)
{
	begin(MLBD_CONN_CONNECTING);
	expect(500 + 2000, MLBD_DUE_CONNECT);
}

TEST(a_client_that_never_spoke_goes_first)
{
	begin(MLBD_CONN_OPEN);
	expect(1000 + 10000, MLBD_DUE_FIRST_BYTE);
	settings.first_byte_ms = 0;
	expect(1000 + 100000, MLBD_DUE_IDLE);
	settings.first_byte_ms = 200;
	expect(1000 + 100000, MLBD_DUE_IDLE);
}

TEST(one_word_of_either_side_is_enough)
{
	struct mlbd_queue waiting = { .len = 1 };

	for (int s = 0; s < 2; s++) {
		begin(MLBD_CONN_OPEN);
		conn.side[s].passed = true;
		expect(1000 + 100000, MLBD_DUE_IDLE);
		conn.side[s].passed = false;
		conn.side[s].queue = &waiting; /* said, and not yet taken */
		expect(1000 + 100000, MLBD_DUE_IDLE);
	}
}

TEST(half_closed_either_way)
{
	for (int s = 0; s < 2; s++) {
		begin(MLBD_CONN_OPEN);
		conn.side[MLBD_CLIENT].passed = true;
		conn.side[s].fin_sent = true;
		expect(1000 + 20000, MLBD_DUE_HALF_CLOSED);
		settings.half_closed_ms = 0;
		expect(1000 + 100000, MLBD_DUE_IDLE);
	}
}

MLB_TEST_MAIN(CASE(a_connect_has_its_own), CASE(a_client_that_never_spoke_goes_first), CASE(one_word_of_either_side_is_enough),
	      CASE(half_closed_either_way))
