/* SPDX-License-Identifier: Apache-2.0 */
/* 10 000 random mutations of the region, and of messages that are whole but garbled inside: neither side crashes, hangs, or lets
 * a weight through that is not finite or is on no server. */
#include "marllb/agent.h"
#include "marllb/rng.h"
#include "dp_world.h"

#define ROUNDS 10000
#define SERVERS 6u

static struct mlb_rng rng;
static uint64_t applied; /* frames that name another vector than the one before */

static uint32_t below(uint32_t n)
{
	return mlb_rng_below(&rng, n);
}

static void check_table(struct world *w)
{
	const struct mlb_table *t = world_table(w);
	double sum = 0;
	uint32_t eligible = 0;
	for (uint32_t i = 0; i < t->nslots; i++) {
		const struct mlb_server *s = i < SERVERS + 8 ? mlb_dp_server_at(w->dp, w->vip, i) : NULL;
		if (!isfinite(t->weight[i]) || !isfinite(t->inv_w[i]) || !isfinite(t->add[i]) || t->weight[i] < 0)
			CHECK(!"finite weights");
		if (t->weight[i] > 0 && !(s && (s->flags & MLB_SRV_MEMBER)))
			CHECK(!"a weight only where a server is");
		sum += t->weight[i];
		eligible += t->weight[i] > 0;
	}
	CHECK_EQ(eligible, t->eligible);
	if (eligible)
		CHECK_NEAR(sum, 1, 1e-4);
}

static void garble(void *p, size_t len)
{
	uint32_t n = 1 + below(4);
	for (uint32_t i = 0; i < n; i++) {
		static const uint64_t telling[] = { 0,    1,    2,    63,         64,         65,         1024,
						    1025, 4096, 4097, UINT32_MAX, UINT64_MAX, 0x7f800000, 0x7fc00000 };
		size_t at = below((uint32_t)(len / 4)) * 4;
		uint32_t v = below(2) ? (uint32_t)mlb_rng_next(&rng) : (uint32_t)telling[below(14)];
		memcpy((uint8_t *)p + at, &v, 4);
	}
}

/* A vector or a pool list as an agent would write it, garbled on its way. */
static void send_garbled(struct world *w, struct mlb_region *r)
{
	struct vector x;
	struct {
		struct mlb_pool_hdr h;
		struct mlb_pool_vip v;
		struct mlb_pool_entry e[4];
	} pool = { .h = { .vips = 1, .entries = 4, .agent_epoch = w->agent_epoch },
		   .v = { .birth = 1, .vip_id = w->vip, .owner = MLB_OWNER_MANAGED, .revision = w->seq, .count = 4 } };
	if (below(4)) {
		struct mlb_frame_hdr h = { 0 };
		struct mlb_server_rec rec[SERVERS + 8];
		int n = world_frame(w, &h, rec, SERVERS + 8);
		w->seq = h.applied_seq > w->seq ? h.applied_seq : w->seq; /* as the agent does: a garbled number passed */
		vector_make(w, &x, n > 0 ? (uint32_t)n : SERVERS);
		for (int i = 0; i < n; i++)
			x.e[i].server_id = rec[i].id;
		size_t len = sizeof(x.h) + sizeof(x.v) + x.h.entries * sizeof(x.e[0]);
		if (below(4))
			garble(&x, len);
		mlb_region_write(r, MLB_BLK_IN, &x, len);
		return;
	}
	for (uint32_t i = 0; i < 4; i++) {
		struct mlb_endpoint e = world_ep(1 + below(SERVERS));
		pool.e[i] = (struct mlb_pool_entry){ .addr = e.addr, .port = e.port, .weight = 1 };
	}
	if (below(2))
		garble(&pool, sizeof(pool));
	mlb_region_write(r, MLB_BLK_POOL, &pool, sizeof(pool));
}

/* Any word of the region, the telling places oftener. */
static void mutate(struct mlb_region *r)
{
	uint32_t where = below(4);
	if (where == 0) {
		garble((uint8_t *)r->hdr, sizeof(*r->hdr));
	} else if (where == 1) {
		garble((uint8_t *)r->blk[below(MLB_BLK_COUNT)].msg, sizeof(struct mlb_msg));
	} else if (where == 2) {
		uint32_t b = below(MLB_BLK_COUNT);
		garble(r->blk[b].base + below(2) * r->blk[b].buf_size, 512);
	} else {
		garble((uint8_t *)r->hdr, r->size);
	}
}

static void one_round(struct world *w, struct mlb_region *r, struct mlb_agent *a)
{
	static struct mlb_agent_frame f[MLB_MAX_VIPS];
	static struct mlb_effect e[MLB_MAX_VIPS];
	/* The agent would see its epoch refused and attach anew; here it goes with what the region says. */
	w->agent_epoch = atomic_load(&r->hdr->agent_epoch);
	if (below(2))
		send_garbled(w, r);
	if (below(2))
		mutate(r);
	w->now += MS * (1 + below(30));
	for (int k = 0; k < 100 && mlb_dp_poll(w->dp, w->now, 0) == 0; k++)
		CHECK(k < 99);
	static uint64_t last_seq;
	struct mlb_frame_hdr h = { 0 };
	struct mlb_server_rec rec[1];
	check_table(w);
	mlb_dp_frame(w->dp, w->vip, &h, rec, 0);
	applied += h.applied_seq != last_seq;
	last_seq = h.applied_seq;
	if (below(2))
		mutate(r);
	int n = mlb_agent_frames(a, f);
	for (int i = 0; i < n; i++) { /* every byte handed out can be read */
		uint32_t sum = 0;
		for (uint32_t k = 0; k < f[i].records_size; k++)
			sum += ((const uint8_t *)f[i].records)[k];
		CHECK(f[i].records_size == f[i].count * f[i].record_size && sum != UINT32_MAX);
	}
	n = mlb_agent_effects(a, e);
	for (int i = 0; i < n; i++)
		CHECK(strcmp(mlb_refuse_name(e[i].last_refusal), "unknown") != 0);
}

TEST(mutations_of_the_region)
{
	struct world *w = world_new(1, SERVERS, SERVERS + 8, true);
	struct mlb_agent *a = NULL;
	mlb_region_close(&w->agent, false);
	CHECK_EQ(mlb_agent_attach(&a, w->path, w->err), 0);
	struct mlb_region *r = mlb_dp_region(w->dp); /* writes like a mad agent, through the data plane's own mapping */
	mlb_rng_seed(&rng, 42);
	for (int i = 0; i < ROUNDS && !mlbtest_failed; i++)
		one_round(w, r, a);
	/* The garbage was met, not only avoided: both good and bad vectors came through. */
	struct mlb_frame_hdr h = { 0 };
	struct mlb_server_rec rec[SERVERS + 8];
	uint64_t refused = 0;
	world_frame(w, &h, rec, SERVERS + 8);
	for (int i = 1; i < MLB_REFUSE_COUNT; i++)
		refused += h.refused[i];
	CHECK(refused > 1000);
	CHECK(applied > 300);
	mlb_agent_close(a);
	world_free(w);
}

MLB_TEST_MAIN(CASE(mutations_of_the_region))
