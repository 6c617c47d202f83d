/* SPDX-License-Identifier: Apache-2.0 */
/* Four workers count into slots of their own while a reader sums them: every copy the reader takes must be a state that the
 * worker was in, and nothing may be lost. Run under TSan too (-DMARLLB_SANITIZE=thread). */
#include "marllb/worker.h"
#include "mlbtest.h"
#include <pthread.h>

enum { WORKERS = 4, PERIODS = 60000, SLOT = 1 };

/* A worker's script, eight events a microsecond apart, over and over: open, open, request, open, answer, close, close, close.
 * After event p of period k, begun at t0 = 8 k + 1: */
static const uint32_t flows_at[8] = { 1, 2, 2, 3, 3, 2, 1, 0 };
static const uint32_t waiting_at[8] = { 0, 0, 1, 1, 0, 0, 0, 0 };
static const uint32_t starts_t0[8] = { 1, 2, 2, 3, 3, 2, 1, 0 }, starts_more[8] = { 0, 1, 1, 4, 4, 4, 3, 0 };
static const uint32_t flow_us_at[8] = { 0, 1, 3, 5, 8, 11, 13, 14 };
static const uint32_t wait_us_at[8] = { 0, 0, 0, 1, 2, 2, 2, 2 };

struct thread {
	pthread_t id;
	struct mlb_worker w;
	struct mlb_wvip v;
	struct mlb_wslot *slot;
	float q[8], others[8];
	_Atomic bool done;
};
static struct thread th[WORKERS];

static void *work(void *arg)
{
	struct thread *t = arg;
	struct mlb_worker *w = &t->w;
	struct mlb_wvip *v = &t->v;
	for (uint64_t k = 0; k < PERIODS; k++) {
		uint64_t t0 = 8 * k + 1;
		mlb_ev_open(v, SLOT, t0);
		mlb_ev_half_open(v, SLOT, t0);
		mlb_ev_open(v, SLOT, t0 + 1);
		mlb_ev_request(v, SLOT, t0 + 2);
		mlb_ev_bytes(v, SLOT, true, 1, 100);
		mlb_ev_open(v, SLOT, t0 + 3);
		mlb_ev_answer(w, v, SLOT, t0 + 2, t0 + 4);
		mlb_ev_bytes(v, SLOT, false, 1, 1000);
		mlb_ev_half_established(v, SLOT, t0, t0 + 4);
		mlb_ev_close(w, v, SLOT, t0, t0 + 5, MLB_END_COMPLETED);
		mlb_ev_close(w, v, SLOT, t0 + 1, t0 + 6, MLB_END_COMPLETED);
		mlb_ev_close(w, v, SLOT, t0 + 3, t0 + 7, MLB_END_COMPLETED);
		mlb_wvip_refresh(v, SLOT, 0, 0, 0, false, t0 + 7);
	}
	atomic_store(&t->done, true);
	return NULL;
}

static uint32_t check_state(const struct mlb_wslot_gauges *g)
{
	if (g->last_us == 0)
		return g->flows || g->flow_us;
	uint64_t k = (g->last_us - 1) / 8, p = (g->last_us - 1) % 8, t0 = 8 * k + 1;
	return g->flows != flows_at[p] || g->waiting != waiting_at[p] || g->start_sum_us != starts_t0[p] * t0 + starts_more[p] ||
	       g->flow_us != 14 * k + flow_us_at[p] || g->wait_us != 2 * k + wait_us_at[p];
}

static bool all_done(void)
{
	for (int i = 0; i < WORKERS; i++)
		if (!atomic_load(&th[i].done))
			return false;
	return true;
}

TEST(reader_sees_whole_states_only)
{
	uint32_t torn = 0, backwards = 0, samples_wrong = 0;
	uint64_t reads = 0, missed = 0, merged = 0, last_new = 0;
	struct mlb_res_decay decay = { 0 };
	for (int i = 0; i < WORKERS; i++) {
		th[i].slot = aligned_alloc(MLB_CACHE_LINE, 8 * sizeof(struct mlb_wslot));
		memset(th[i].slot, 0, 8 * sizeof(struct mlb_wslot));
		th[i].v = (struct mlb_wvip){
			.slots = (struct mlb_wslots *)th[i].slot, .q = th[i].q, .others = th[i].others, .capacity = 8
		};
		mlb_rng_seed(&th[i].w.rng, (uint64_t)i);
		CHECK_EQ(pthread_create(&th[i].id, NULL, work, &th[i]), 0);
	}
	for (uint32_t epoch = 1, finished = 0; !finished; epoch++) {
		const struct mlb_reservoir *r[WORKERS];
		struct mlb_res_sum sum;
		uint64_t new_flows = 0;
		finished = all_done();
		for (int turn = 0; turn < 200; turn++)
			for (int i = 0; i < WORKERS; i++) {
				struct mlb_wslot_gauges g;
				missed += !mlb_wslot_read(&th[i].slot[SLOT], &g); /* then an older one, whole as well */
				reads++;
				torn += check_state(&g);
			}
		for (int i = 0; i < WORKERS; i++) {
			MLB_ST(th[i].w.frame_epoch, epoch);
			r[i] = &th[i].slot[SLOT].duration;
			new_flows += MLB_LD(th[i].slot[SLOT].new_flows);
		}
		backwards += new_flows < last_new;
		last_new = new_flows;
		mlb_res_merge(r, WORKERS, epoch - 1, 1000, &decay, &sum);
		merged += sum.samples;
		samples_wrong += sum.samples && (sum.min < 4 || sum.mean < 4 || sum.mean > 5);
	}
	for (int i = 0; i < WORKERS; i++) {
		struct mlb_wslot *s = &th[i].slot[SLOT];
		struct mlb_wslot_gauges g = { 0 };
		pthread_join(th[i].id, NULL);
		CHECK(mlb_wslot_read(s, &g));
		CHECK_EQ(check_state(&g), 0);
		CHECK_EQ(g.last_us, 8 * (uint64_t)PERIODS);
		CHECK_EQ(g.half_open, 0);
		CHECK_EQ(s->new_flows, 3 * (uint64_t)PERIODS);
		CHECK_EQ(s->ended[MLB_END_COMPLETED], 3 * (uint64_t)PERIODS);
		CHECK_EQ(s->answers, PERIODS);
		CHECK_EQ(s->bytes_in, 100 * (uint64_t)PERIODS);
		CHECK_EQ(s->bytes_out, 1000 * (uint64_t)PERIODS);
		CHECK_NEAR(th[i].q[SLOT], 0, 0);
		free(th[i].slot);
	}
	printf("# %llu copies taken, %llu of them older ones, %llu samples merged\n", (unsigned long long)reads,
	       (unsigned long long)missed, (unsigned long long)merged);
	CHECK(reads > 0);
	CHECK_EQ(torn, 0);
	CHECK_EQ(backwards, 0);
	CHECK_EQ(samples_wrong, 0);
}

MLB_TEST_MAIN(CASE(reader_sees_whole_states_only))
