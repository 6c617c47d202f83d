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

static uint64_t fired;

static void fire(void *now_us, struct mlbd_link *l)
{
	(void)l;
	fired = *(uint64_t *)now_us;
}

/* When the wheel looks at the connection, at every millisecond from `now` on. */
static uint64_t looked_at(struct mlbd_worker *w, uint64_t now, uint64_t until)
{
	for (fired = 0; !fired && now < until; now += 1000)
		mlbd_wheel_run(&w->wheel, now, fire, &now);
	return fired;
}

TEST(a_nearer_deadline_is_looked_at_in_time)
{
	static struct mlbd_worker w;
	const uint64_t start = 1000000, tolerance = 10000;

	begin(MLBD_CONN_OPEN);
	settings.connect_ms = 2000;
	settings.first_byte_ms = 100;
	settings.idle_ms = 600000;
	w.settings = settings;
	mlbd_wheel_init(&w.wheel, start);
	conn.look_us = mlbd_wheel_add(&w.wheel, &conn.link, start + settings.connect_ms * 1000);
	conn.last_us = start; /* connected at once */
	mlbd_deadline_hasten(&w, &conn);
	uint64_t at = looked_at(&w, start, start + 3000000);

	CHECK(at >= start + 100000 && at <= start + 100000 + tolerance);
}

TEST(a_later_deadline_moves_nothing)
{
	static struct mlbd_worker w;
	const uint64_t start = 1000000;

	begin(MLBD_CONN_OPEN);
	w.settings = settings;
	w.settings.first_byte_ms = 60000;
	mlbd_wheel_init(&w.wheel, start);
	conn.last_us = start;
	uint64_t at = conn.look_us = mlbd_wheel_add(&w.wheel, &conn.link, start + 50000);

	mlbd_deadline_hasten(&w, &conn);
	CHECK_EQ(conn.look_us, at);
}

MLB_TEST_MAIN(CASE(a_connect_has_its_own), CASE(a_client_that_never_spoke_goes_first), CASE(one_word_of_either_side_is_enough),
	      CASE(half_closed_either_way), CASE(a_nearer_deadline_is_looked_at_in_time), CASE(a_later_deadline_moves_nothing))
