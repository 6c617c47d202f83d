/* SPDX-License-Identifier: Apache-2.0 */
/* Ageing: each worker walks its own tables, a little every millisecond, so that a whole round takes about a second; and the
 * recount that goes along with it (recount.h). */
#include <lb_rl/life.h>
#include <lb_rl/place.h>
#include <lb_rl/recount.h>

#define LB_RL_ROUND_MS 1000
/* A SYN that its server has not answered for so long counts as unanswered; its entry waits on. */
#define LB_RL_UNANSWERED_MS 3000
/* In a table that is more than three quarters full, entries of no established flow live for so long at most. */
#define LB_RL_PRESSED_HALF_MS 3000
#define LB_RL_PRESSED_CLOSING_MS 10000

typedef struct {
	lb_rl_thread_t *t;
	struct mlb_flow_table *table;
	bool pressed;
} lb_rl_age_arg_t;

static u32 lb_rl_timeout_ms(const struct mlb_flow *f, bool pressed)
{
	if (f->key.proto != IP_PROTOCOL_TCP)
		return lb_rl_main.udp_ms;
	u32 ms = mlb_tcp_timeout_ms(f->tcp, &lb_rl_main.tcp);
	if (PREDICT_TRUE(!pressed || f->flags & MLB_FLOW_COUNTED))
		return ms;
	return clib_min(ms, f->tcp < MLB_TCP_ESTABLISHED ? LB_RL_PRESSED_HALF_MS : LB_RL_PRESSED_CLOSING_MS);
}

/* Seen both ways, silence is the server's. One-way it may be a flood's: no verdict on the server. */
static void lb_rl_unanswered(lb_rl_thread_t *t, struct mlb_flow *f)
{
	if (!(f->flags & MLB_FLOW_ONE_WAY))
		mlb_dp_connect_result(lb_rl_main.dp, t->w, f->key.vip, f->slot, MLB_CONNECT_UNANSWERED, f->start_us, t->now_us);
	lb_rl_life_over(t, f, MLB_END_UNANSWERED);
}

static bool lb_rl_flushed(const lb_rl_vip_t *v, const struct mlb_flow *f)
{
	return f->start_us < v->server[f->slot].flush_us;
}

static void lb_rl_age_one(void *arg, struct mlb_flow *f)
{
	lb_rl_age_arg_t *a = arg;
	lb_rl_vip_t *v = &lb_rl_main.vip[f->key.vip];
	u32 idle = a->t->now_ms - f->last_ms;

	/* The walk's now may be older than the packet that was seen last in the same loop. */
	if ((i32)idle < 0)
		return;
	if (f->flags & MLB_FLOW_HALF && f->tcp == MLB_TCP_SYN && idle > LB_RL_UNANSWERED_MS)
		lb_rl_unanswered(a->t, f);
	if (v->used == LB_RL_VIP_ACTIVE && idle <= lb_rl_timeout_ms(f, a->pressed) &&
	    PREDICT_TRUE(!v->flushes || !lb_rl_flushed(v, f))) {
		if (f->flags & MLB_FLOW_COUNTED)
			lb_rl_recount_flow(a->t, f);
		return;
	}
	lb_rl_life_end(a->t, f, f->flags & MLB_FLOW_HALF ? MLB_END_UNANSWERED : MLB_END_IDLE);
	lb_rl_life_forget(a->t, f);
	mlb_flow_remove(a->table, f);
}

/* Entries to visit for a round in LB_RL_ROUND_MS; the table has at most twice its capacity in entries. */
static void lb_rl_age_table(lb_rl_thread_t *t, struct mlb_flow_table *table, u32 *cursor, u32 ms)
{
	lb_rl_age_arg_t a = { t, table, mlb_flow_count(table) > mlb_flow_capacity(table) / 4 * 3 };
	u32 n = (u64)mlb_flow_capacity(table) * ms / LB_RL_ROUND_MS + 1;

	mlb_flow_walk(table, cursor, n, lb_rl_age_one, &a);
}

/* A round takes a second at least, so that what it recounts is compared once in one. */
static void lb_rl_age_flows(lb_rl_thread_t *t, u32 ms)
{
	if (t->recounted == ~0) {
		if (!lb_rl_recount_compare(t) || t->now_us - t->round_us < LB_RL_ROUND_MS * 1000)
			return;
		lb_rl_recount_begin(t);
		t->round_us = t->now_us;
	}
	lb_rl_age_table(t, t->flows, &t->flow_cursor, ms);
	t->recounted = t->flow_cursor ? t->flow_cursor : ~0;
}

void lb_rl_life_age(lb_rl_thread_t *t)
{
	u64 us = t->now_us - t->aged_us;

	if (us < 1000)
		return;
	u32 ms = us > 50000 ? 50 : us / 1000;
	t->aged_us = t->now_us;
	lb_rl_age_flows(t, ms);
	if (mlb_flow_count(t->half))
		lb_rl_age_table(t, t->half, &t->half_cursor, ms);
	if (t - lb_rl_main.thread == lb_rl_main.first_worker)
		lb_rl_place_age(t, ms);
}
