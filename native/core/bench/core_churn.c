/* SPDX-License-Identifier: Apache-2.0 */
/* marllb-corechurn vip-removals [--count N] | server-changes [--seconds S]: VIPs, or servers, come and go under workers that open
 * and end flows all the time. Prints one JSON object: what was done, flows that found no server though there was one (`lost`),
 * flows whose server changed under them (`wrong`). Exit status 1 if either is not 0. Meant for a sanitizer build as much as for a
 * release build: what it looks for is a report. */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include "marllb/dp.h"
#include "world_ep.h"

enum { WORKERS = 3, HELD = 32, STEADY = 8, MOST = 64, CHURNED_IDS = 4 };

static struct mlb_dp *dp;
static uint32_t steady; /* a VIP that keeps at least STEADY servers of its own */
static _Atomic bool stop;

struct flow {
	uint32_t vip, slot, id;
	uint64_t start;
};
struct thread {
	pthread_t t;
	uint32_t index;
	uint64_t flows, lost, wrong;
	struct flow held[HELD];
};

static uint64_t now_us(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

static void must(int rc, const char *err)
{
	if (rc == 0)
		return;
	fprintf(stderr, "marllb-corechurn: %s\n", err);
	exit(1);
}

static void end_flow(struct thread *t, struct mlb_worker *w, struct flow *f, uint64_t now)
{
	struct mlb_wvip *v = atomic_load_explicit(&w->vip[f->vip - 1], memory_order_acquire);
	const struct mlb_server *s = mlb_dp_server_at(dp, f->vip, f->slot);
	t->wrong += !v || !s || s->id != f->id;
	if (v)
		mlb_ev_close(w, v, f->slot, f->start, now, MLB_END_COMPLETED);
	f->id = 0;
}

static void new_flow(struct thread *t, struct mlb_worker *w, struct flow *f, uint32_t vip, uint64_t now)
{
	struct mlb_wvip *v = atomic_load_explicit(&w->vip[vip - 1], memory_order_acquire);
	uint32_t slot = v ? mlb_dp_choose(dp, w, vip, mlb_rng_next(&w->rng), now) : MLB_NONE;
	if (slot == MLB_NONE) {
		t->lost += vip == steady;
		return;
	}
	*f = (struct flow){ vip, slot, mlb_dp_server_at(dp, vip, slot)->id, now };
	mlb_ev_open(v, slot, now);
	enum mlb_connect how = mlb_rng_below(&w->rng, 16) ? MLB_CONNECT_OK : MLB_CONNECT_REFUSED;
	mlb_dp_connect_result(dp, w, vip, slot, how, now, now);
	t->flows++;
}

static void *work(void *arg)
{
	struct thread *t = arg;
	struct mlb_worker *w = mlb_dp_worker(dp, t->index);
	for (uint32_t i = 0; !atomic_load(&stop); i++) {
		if (i % 64 == 0) { /* as around epoll_wait */
			struct timespec nap = { .tv_nsec = 20000 };
			mlb_dp_worker_idle(w, true);
			nanosleep(&nap, NULL);
			mlb_dp_worker_idle(w, false);
		}
		uint64_t now = now_us();
		struct flow *f = &t->held[i % HELD];
		mlb_dp_worker_loop(dp, w, now);
		if (f->id)
			end_flow(t, w, f, now);
		new_flow(t, w, f, i % 2 ? steady : 1 + mlb_rng_below(&w->rng, CHURNED_IDS), now);
	}
	for (uint32_t i = 0; i < HELD; i++)
		if (t->held[i].id)
			end_flow(t, w, &t->held[i], now_us());
	mlb_dp_worker_idle(w, true);
	return NULL;
}

static void poll_dp(void)
{
	while (mlb_dp_poll(dp, now_us(), 0) == 0)
		;
}

static uint32_t add_vip(const char *name, uint32_t capacity)
{
	char err[256];
	uint32_t id = 0;
	struct mlb_vip_conf c = { .mode = MLB_MODE_SED, .prefix_len = 128, .capacity = capacity, .eject = true };
	snprintf(c.name, sizeof(c.name), "%s", name);
	c.ep = world_ep(60000);
	must(mlb_dp_vip_add(dp, &c, &id, err), err);
	return id;
}

static void set_servers(uint32_t vip, uint32_t first, uint32_t n)
{
	struct mlb_endpoint ep[MOST];
	float weight[MOST];
	char err[256];
	for (uint32_t i = 0; i < n; i++) {
		ep[i] = world_ep(first + i);
		weight[i] = 1;
	}
	must(mlb_dp_server_set(dp, vip, ep, weight, n, err), err);
}

/* VIPs with many and with few servers in turn, so that a worker that mixed two of one id would leave its arrays. */
static uint64_t vip_removals(uint64_t count, uint64_t until)
{
	char err[256], name[MLB_NAME_LEN];
	uint64_t n = 0;
	for (; n < count && now_us() < until; n++) {
		snprintf(name, sizeof(name), "v%llu", (unsigned long long)n);
		uint32_t servers = n % 2 ? 6 : MOST, id = add_vip(name, servers);
		set_servers(id, 100, servers);
		poll_dp();
		must(mlb_dp_vip_del(dp, id, err), err);
		do
			poll_dp();
		while (mlb_dp_server_at(dp, id, 0));
	}
	return n;
}

static void apply_vector(struct mlb_rng *rng, uint64_t *seq)
{
	static struct mlb_server_rec r[MOST];
	struct mlb_in_entry e[MOST];
	struct mlb_frame_hdr h;
	int n = mlb_dp_frame(dp, steady, &h, r, MOST);
	struct mlb_in_vip v = { .agent_epoch = 1, .seq = ++*seq, .vip_id = steady };
	if (n < 1)
		return;
	v.birth = h.birth;
	v.dp_epoch = h.dp_epoch;
	v.generation = h.generation;
	v.count = (uint32_t)n;
	v.mode = (uint8_t)mlb_rng_below(rng, MLB_MODE_P2C + 1);
	v.term = *seq;
	for (int i = 0; i < n; i++)
		e[i] = (struct mlb_in_entry){ .server_id = r[i].id,
					      .weight = 1.0f / (float)n,
					      .factor = mlb_rng_below(rng, 4) ? 1 : 0 };
	mlb_dp_apply(dp, &v, e);
}

/* Servers beside the steady ones are added, drained, weighted and removed; modes and vectors change. */
static uint64_t server_changes(uint64_t count, uint64_t until)
{
	char err[256];
	struct mlb_rng rng;
	uint64_t n = 0, seq = 0;
	mlb_rng_seed(&rng, 5);
	for (; n < count && now_us() < until; n++) {
		struct mlb_endpoint e = world_ep(1000 + mlb_rng_below(&rng, 40));
		switch (mlb_rng_below(&rng, 5)) {
		case 0: mlb_dp_server_drain(dp, steady, &e, mlb_rng_below(&rng, 2), err); break;
		case 1: mlb_dp_server_weight(dp, steady, &e, 1 + (float)mlb_rng_below(&rng, 9), err); break;
		case 2: apply_vector(&rng, &seq); break;
		default:
			if (mlb_dp_server_add(dp, steady, &e, 1, NULL, err) == -EEXIST)
				mlb_dp_server_del(dp, steady, &e, err);
		}
		poll_dp();
	}
	return n;
}

int main(int argc, char **argv)
{
	char err[256];
	uint64_t count = UINT64_MAX, seconds = 0;
	bool vips = argc > 1 && strcmp(argv[1], "vip-removals") == 0;
	bool known = vips || (argc > 1 && strcmp(argv[1], "server-changes") == 0);
	for (int i = 2; known && i + 1 < argc; i += 2) {
		uint64_t *to = strcmp(argv[i], "--count") == 0 ? &count : strcmp(argv[i], "--seconds") == 0 ? &seconds : NULL;
		known = to != NULL;
		if (to)
			*to = strtoull(argv[i + 1], NULL, 10);
	}
	if (!known || argc % 2 != 0 || (count == UINT64_MAX && seconds == 0)) {
		fprintf(stderr, "usage: marllb-corechurn vip-removals|server-changes [--count N] [--seconds S]\n");
		return 2;
	}
	struct mlb_dp_conf c = { .no_region = true, .region = { .frame_us = 10000, .lease_us = 1000000 }, .seed = 1 };
	must(mlb_dp_new(&dp, &c, WORKERS, err), err);
	steady = add_vip("steady", MOST);
	set_servers(steady, 1, STEADY);
	static struct thread t[WORKERS];
	for (uint32_t i = 0; i < WORKERS; i++) {
		t[i].index = i;
		pthread_create(&t[i].t, NULL, work, &t[i]);
	}
	uint64_t begin = now_us(), until = seconds ? begin + seconds * 1000000 : UINT64_MAX;
	uint64_t done = vips ? vip_removals(count, until) : server_changes(count, until);
	uint64_t took = now_us() - begin, flows = 0, lost = 0, wrong = 0;
	atomic_store(&stop, true);
	for (uint32_t i = 0; i < WORKERS; i++) {
		pthread_join(t[i].t, NULL);
		flows += t[i].flows;
		lost += t[i].lost;
		wrong += t[i].wrong;
	}
	mlb_dp_free(dp);
	printf("{\"done\":%llu,\"flows\":%llu,\"lost\":%llu,\"wrong\":%llu,\"seconds\":%.1f}\n", (unsigned long long)done,
	       (unsigned long long)flows, (unsigned long long)lost, (unsigned long long)wrong, (double)took / 1e6);
	return lost || wrong;
}
