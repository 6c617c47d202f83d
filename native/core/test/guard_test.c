/* SPDX-License-Identifier: Apache-2.0 */
/* Servers that fail fast draw no more than their share, whatever the weights, mode and load; quick ones that do not fail keep
 * what they earn. Clients arrive at random in virtual time; the data plane under test chooses, counts and guards. */
#include "dp_world.h"

#include <math.h>

enum { SERVERS = 8, FLOWS = 4096, BAD = 3 };

/* What a server does with a request: after `ms` (exponential if `random`), with this end. */
struct nature {
	double ms;
	bool random;
	enum mlb_end how;
};

struct flow {
	bool used;
	uint32_t slot;
	uint64_t start, end;
	enum mlb_end how;
};

struct bed {
	struct world *w;
	struct mlb_rng rng;
	struct nature server[SERVERS];
	struct flow flow[FLOWS];
	double debt;
	uint64_t chosen[SERVERS], total;
};

static struct bed *bed_new(enum mlb_mode mode, uint8_t load, bool no_guard)
{
	struct bed *b = calloc(1, sizeof(*b));
	b->w = world_new(1, 0, SERVERS, false);
	CHECK_EQ(mlb_dp_vip_del(b->w->dp, b->w->vip, b->w->err), 0);
	struct mlb_vip_conf c = world_vip_conf(SERVERS);
	snprintf(c.name, sizeof(c.name), "guarded");
	c.mode = (uint8_t)mode;
	c.load = load;
	c.no_guard = no_guard;
	CHECK_EQ(mlb_dp_vip_add(b->w->dp, &c, &b->w->vip, b->w->err), 0);
	for (uint32_t i = 0; i < SERVERS; i++) {
		struct mlb_endpoint e = world_ep(i + 1);
		CHECK_EQ(mlb_dp_server_add(b->w->dp, b->w->vip, &e, 1, NULL, b->w->err), 0);
		b->server[i] = (struct nature){ 50, true, MLB_END_COMPLETED };
	}
	world_run(b->w, 200 * MS, false);
	mlb_rng_seed(&b->rng, 7);
	return b;
}

static void bed_free(struct bed *b)
{
	world_free(b->w);
	free(b);
}

/* Weights as a filter gives them that takes completions for speed: nearly all to one server. */
static void believe_in(struct bed *b, uint32_t slot, float share)
{
	struct vector x;
	vector_make(b->w, &x, SERVERS);
	for (uint32_t i = 0; i < SERVERS; i++) {
		const struct mlb_server *s = mlb_dp_server_at(b->w->dp, b->w->vip, i);
		x.e[i] = (struct mlb_in_entry){ s->id, i == slot ? share : (1 - share) / (SERVERS - 1), 1, 0, 0, 0 };
	}
	CHECK_EQ(mlb_dp_apply(b->w->dp, &x.v, x.e), MLB_REFUSE_NONE);
}

static void arrive(struct bed *b)
{
	struct mlb_worker *worker = mlb_dp_worker(b->w->dp, 0);
	struct mlb_wvip *v = world_wvip(b->w, 0);
	uint32_t slot = mlb_dp_choose(b->w->dp, worker, b->w->vip, mlb_rng_next(&b->rng), b->w->now), i = 0;
	const struct nature *n = &b->server[slot];
	double us = n->ms * 1000 * (n->random ? -log(1 - mlb_rng_unit(&b->rng)) : 1);

	while (i < FLOWS && b->flow[i].used)
		i++;
	CHECK(i < FLOWS && slot < SERVERS);
	if (mlbtest_failed)
		return;
	b->flow[i] = (struct flow){ true, slot, b->w->now, b->w->now + (uint64_t)us, n->how };
	mlb_ev_open(v, slot, b->w->now);
	mlb_ev_request(v, slot, b->w->now);
	b->chosen[slot]++;
	b->total++;
}

static void leave(struct bed *b, struct flow *f)
{
	struct mlb_worker *worker = mlb_dp_worker(b->w->dp, 0);
	struct mlb_wvip *v = world_wvip(b->w, 0);
	uint64_t at = f->end; /* a virtual clock knows it exactly */

	f->used = false;
	if (f->how == MLB_END_COMPLETED)
		mlb_ev_answer(worker, v, f->slot, f->start, at);
	else
		mlb_ev_unwait(v, f->slot, at);
	mlb_ev_close(worker, v, f->slot, f->start, at, f->how);
}

/* ms of virtual time at `rate` requests a second; shares are counted from its start. */
static void bed_run(struct bed *b, uint32_t ms, double rate)
{
	memset(b->chosen, 0, sizeof(b->chosen));
	b->total = 0;
	for (uint32_t t = 0; t < ms && !mlbtest_failed; t++) {
		world_run(b->w, MS, false);
		mlb_dp_worker_loop(b->w->dp, mlb_dp_worker(b->w->dp, 0), b->w->now);
		for (uint32_t i = 0; i < FLOWS; i++)
			if (b->flow[i].used && b->flow[i].end <= b->w->now)
				leave(b, &b->flow[i]);
		for (b->debt += rate / 1000; b->debt >= 1; b->debt -= 1)
			arrive(b);
	}
}

static double share(const struct bed *b, uint32_t slot)
{
	return (double)b->chosen[slot] / (double)b->total;
}

static uint32_t guarded(struct bed *b, struct mlb_server_rec *of, uint32_t slot)
{
	struct mlb_frame_hdr h;
	struct mlb_server_rec r[SERVERS];
	uint32_t n = 0;
	int count = world_frame(b->w, &h, r, SERVERS);
	for (int i = 0; i < count; i++) {
		n += (r[i].flags & MLB_SRV_GUARDED) != 0;
		if (r[i].slot == slot && of)
			*of = r[i];
	}
	return n;
}

static const struct nature errors_at_once = { .3, false, MLB_END_COMPLETED }, closes = { .2, false, MLB_END_EMPTY },
			   resets = { .2, false, MLB_END_RESET }, errors_later = { 2.2, false, MLB_END_COMPLETED },
			   errors_slow = { 20, false, MLB_END_COMPLETED }, cuts = { .3, false, MLB_END_CUT };

/* All of it: what fails, the mode, the load. A second after the failure began the server has its fair share, 1/8, at most. */
TEST(a_server_that_fails_fast_draws_its_share_at_most)
{
	static const struct nature *const natures[] = { &errors_at_once, &closes, &resets, &cuts };
	static const enum mlb_mode modes[] = { MLB_MODE_SED, MLB_MODE_P2C, MLB_MODE_ALIAS };
	for (uint32_t k = 0; k < 4 * 3 * 2 && !mlbtest_failed; k++) {
		struct bed *b = bed_new(modes[k / 4 % 3], k / 12 ? MLB_LOAD_WAITING : MLB_LOAD_FLOWS, false);
		struct mlb_server_rec r = { 0 };
		bed_run(b, 3000, 150);
		CHECK_EQ(guarded(b, NULL, 0), 0);
		b->server[BAD] = *natures[k % 4];
		believe_in(b, BAD, .9f); /* as if the filter had believed it at once */
		bed_run(b, 1000, 150);
		bed_run(b, 4000, 150);
		CHECK_EQ(guarded(b, &r, BAD), 1);
		CHECK(r.flags & MLB_SRV_GUARDED);
		CHECK_EQ(r.guards, 1);
		CHECK(share(b, BAD) <= 1.05 / SERVERS);
		if (mlbtest_failed)
			printf("# nature %u, mode %u, load %u: share %.3f, suspect ends %llu %llu %llu\n", k % 4, k / 4 % 3,
			       k / 12, share(b, BAD), (unsigned long long)r.quick_ends, (unsigned long long)r.empty_ends,
			       (unsigned long long)r.resets);
		bed_free(b);
	}
}

/* From the failure's first moment on: what it draws before it is found out, it pays back. */
TEST(over_the_whole_failure_it_draws_its_share_at_most)
{
	static const struct nature *const natures[] = { &errors_at_once, &closes, &resets, &cuts, &errors_later, &errors_slow };
	for (uint32_t k = 0; k < 6 && !mlbtest_failed; k++) {
		struct bed *b = bed_new(MLB_MODE_SED, MLB_LOAD_FLOWS, false);
		bed_run(b, 3000, 150);
		b->server[BAD] = *natures[k];
		believe_in(b, BAD, .5f);
		bed_run(b, 20000, 150);
		if (share(b, BAD) > 1.0 / SERVERS)
			printf("# nature %u: share %.3f\n", k, share(b, BAD));
		CHECK(share(b, BAD) <= 1.0 / SERVERS);
		CHECK(share(b, BAD) > .5 / SERVERS); /* it is still asked */
		bed_free(b);
	}
}

/* The same without the guard: so that the test above is known to test something. */
TEST(without_the_guard_it_draws_nearly_all)
{
	struct bed *b = bed_new(MLB_MODE_SED, MLB_LOAD_FLOWS, true);
	bed_run(b, 1000, 150);
	b->server[BAD] = errors_at_once;
	believe_in(b, BAD, .9f);
	bed_run(b, 2000, 150);
	CHECK(share(b, BAD) > .8);
	CHECK_EQ(guarded(b, NULL, 0), 0);
	bed_free(b);
}

TEST(one_that_answers_again_is_let_go)
{
	struct bed *b = bed_new(MLB_MODE_SED, MLB_LOAD_FLOWS, false);
	bed_run(b, 3000, 150);
	b->server[BAD] = errors_at_once;
	bed_run(b, 3000, 150);
	CHECK_EQ(guarded(b, NULL, 0), 1);
	b->server[BAD] = (struct nature){ 50, true, MLB_END_COMPLETED };
	bed_run(b, 12000, 150);
	CHECK_EQ(guarded(b, NULL, 0), 0);
	believe_in(b, BAD, .5f);
	bed_run(b, 4000, 150);
	CHECK(share(b, BAD) > .25);
	bed_free(b);
}

/* Quick for good reasons: better hardware, deterministic times, a pool whose answers come from a cache. */
TEST(the_quick_and_healthy_keep_what_they_earn)
{
	struct bed *b = bed_new(MLB_MODE_SED, MLB_LOAD_FLOWS, false);
	b->server[BAD].ms = 50. / 4; /* four times the speed, exponential like the others */
	bed_run(b, 3000, 150);
	believe_in(b, BAD, .36f);
	bed_run(b, 6000, 300);
	CHECK_EQ(guarded(b, NULL, 0), 0);
	CHECK(share(b, BAD) > .3);
	bed_free(b);

	b = bed_new(MLB_MODE_SED, MLB_LOAD_FLOWS, false);
	for (uint32_t i = 0; i < SERVERS; i++)
		b->server[i] = (struct nature){ i == BAD ? 20 : 50, false, MLB_END_COMPLETED };
	bed_run(b, 6000, 150);
	CHECK_EQ(guarded(b, NULL, 0), 0);
	for (uint32_t i = 0; i < SERVERS; i++)
		b->server[i] = (struct nature){ i % 2 ? .3 : .5, true, MLB_END_COMPLETED }; /* the cache is warm on all */
	bed_run(b, 15000, 600);
	CHECK_EQ(guarded(b, NULL, 0), 0);
	bed_free(b);
}

/* If the whole pool fails, nobody stands out. */
TEST(a_pool_that_fails_as_a_whole_is_left_alone)
{
	struct bed *b = bed_new(MLB_MODE_SED, MLB_LOAD_FLOWS, false);
	for (uint32_t i = 0; i < SERVERS; i++)
		b->server[i] = closes;
	bed_run(b, 5000, 150);
	CHECK_EQ(guarded(b, NULL, 0), 0);
	bed_free(b);
}

MLB_TEST_MAIN(CASE(a_server_that_fails_fast_draws_its_share_at_most), CASE(over_the_whole_failure_it_draws_its_share_at_most),
	      CASE(without_the_guard_it_draws_nearly_all), CASE(one_that_answers_again_is_let_go),
	      CASE(the_quick_and_healthy_keep_what_they_earn), CASE(a_pool_that_fails_as_a_whole_is_left_alone))
