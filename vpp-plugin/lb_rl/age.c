/* SPDX-License-Identifier: Apache-2.0 */
/* Ageing: each worker walks its own tables, a little every millisecond, so that a whole round takes about a second. */
#include <lb_rl/life.h>
#include <lb_rl/place.h>

#define LBRL_ROUND_MS 1000
/* A SYN that its server has not answered for so long counts as unanswered; its entry waits on. */
#define LBRL_UNANSWERED_MS 3000
/* In a table that is more than three quarters full, entries of no established flow live for so long at most. */
#define LBRL_PRESSED_HALF_MS 3000
#define LBRL_PRESSED_CLOSING_MS 10000

typedef struct {
	lbrl_thread_t *t;
	struct mlb_flow_table *table;
	bool pressed;
} lbrl_age_arg_t;

static u32 lbrl_timeout_ms(const struct mlb_flow *f, bool pressed)
{
	if (f->key.proto != IP_PROTOCOL_TCP)
		return lbrl_main.udp_ms;
	u32 ms = mlb_tcp_timeout_ms(f->tcp, &lbrl_main.tcp);
	if (PREDICT_TRUE(!pressed || f->flags & MLB_FLOW_COUNTED))
		return ms;
	return clib_min(ms, f->tcp < MLB_TCP_ESTABLISHED ? LBRL_PRESSED_HALF_MS : LBRL_PRESSED_CLOSING_MS);
}

/* Seen both ways, silence is the server's. One-way it may be a flood's: no verdict on the server. */
static void lbrl_unanswered(lbrl_thread_t *t, struct mlb_flow *f)
{
	if (!(f->flags & MLB_FLOW_ONE_WAY))
		mlb_dp_connect_result(lbrl_main.dp, f->key.vip, f->slot, false, t->now_us);
	lbrl_life_over(t, f, MLB_END_UNANSWERED);
}

static bool lbrl_flushed(const lbrl_vip_t *v, const struct mlb_flow *f)
{
	return f->start_us < v->server[f->slot].flush_us;
}

static void lbrl_age_one(void *arg, struct mlb_flow *f)
{
	lbrl_age_arg_t *a = arg;
	lbrl_vip_t *v = &lbrl_main.vip[f->key.vip];
	u32 idle = a->t->now_ms - f->last_ms;

	/* The walk's now may be older than the packet that was seen last in the same loop. */
	if ((i32)idle < 0)
		return;
	if (f->flags & MLB_FLOW_HALF && f->tcp == MLB_TCP_SYN && idle > LBRL_UNANSWERED_MS)
		lbrl_unanswered(a->t, f);
	if (v->used == LBRL_VIP_ACTIVE && idle <= lbrl_timeout_ms(f, a->pressed) &&
	    PREDICT_TRUE(!v->flushes || !lbrl_flushed(v, f)))
		return;
	lbrl_life_end(a->t, f, f->flags & MLB_FLOW_HALF ? MLB_END_UNANSWERED : MLB_END_IDLE);
	lbrl_life_forget(a->t, f);
	mlb_flow_remove(a->table, f);
}

/* Entries to visit for a round in LBRL_ROUND_MS; the table has at most twice its capacity in entries. */
static void lbrl_age_table(lbrl_thread_t *t, struct mlb_flow_table *table, u32 *cursor, u32 ms)
{
	lbrl_age_arg_t a = { t, table, mlb_flow_count(table) > mlb_flow_capacity(table) / 4 * 3 };
	u32 n = (u64)mlb_flow_capacity(table) * ms / LBRL_ROUND_MS + 1;

	mlb_flow_walk(table, cursor, n, lbrl_age_one, &a);
}

void lbrl_life_age(lbrl_thread_t *t)
{
	u64 us = t->now_us - t->aged_us;

	if (us < 1000)
		return;
	u32 ms = us > 50000 ? 50 : us / 1000;
	t->aged_us = t->now_us;
	if (mlb_flow_count(t->flows))
		lbrl_age_table(t, t->flows, &t->flow_cursor, ms);
	if (mlb_flow_count(t->half))
		lbrl_age_table(t, t->half, &t->half_cursor, ms);
	if (t - lbrl_main.thread == lbrl_main.first_worker)
		lbrl_place_age(t, ms);
}
