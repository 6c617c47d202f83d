/* SPDX-License-Identifier: Apache-2.0 */
/* marllb-corebench [--quick] [--only ID-PREFIX]: the core's figures, one JSON object a line (see bench.h). */
#include "bench.h"
#include "marllb/flow.h"
#include "marllb/packet.h"
#include "marllb/worker.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { LOADS = 64, BATCH = 32, MILLION = 1000000 };

static struct mlb_rng rng;
static struct mlb_table *table64, *table1024;
static struct mlb_ring *ring64;
static float *q64, *q1024; /* LOADS vectors each, used in turn: a choice changes one long before it is read again, as in life */
static float weight[1024];
static uint64_t ring_key[1024];
static uint32_t ring_slot[1024];

static struct mlb_flow_table *flows_1m, *flows_262k, *flows_4k;
enum { PACKETS = 64 };
static uint8_t packet[PACKETS][128]; /* in turn: no packet is written just before it is read */
static struct mlb_pkt parsed;
static struct mlb_worker worker;
static struct mlb_wvip wvip;

static uint64_t alias_draw(uint32_t ops)
{
	uint64_t s = 0;
	for (uint32_t i = 0; i < ops; i++)
		s += mlb_alias_draw(table64, &rng);
	return s;
}

static uint64_t alias_draw_1024(uint32_t ops)
{
	uint64_t s = 0;
	for (uint32_t i = 0; i < ops; i++)
		s += mlb_alias_draw(table1024, &rng);
	return s;
}

static uint64_t alias_build(uint32_t ops)
{
	uint64_t s = 0;
	for (uint32_t i = 0; i < ops; i++) {
		struct mlb_table *t = NULL;
		if (mlb_table_new(&t, 1024, weight, NULL, 1.0f, MLB_MODE_ALIAS, i, NULL, NULL))
			abort();
		s += t->alias[i & 1023];
		mlb_table_free(t);
	}
	return s;
}

/* One flow comes to the chosen server and one leaves somewhere, so that loads wander and ties come and go. */
static uint64_t choose_in_turn(const struct mlb_table *t, float *q, uint32_t ops, mlb_sed_fn *fn)
{
	uint64_t s = 0;
	static uint32_t turn;
	for (uint32_t i = 0; i < ops; i++) {
		float *v = q + (size_t)(turn++ % LOADS) * t->nslots;
		uint32_t slot = fn(t, v, &rng), away = (turn * 31) % t->nslots;
		v[slot] += 1;
		v[away] -= v[away] > 0;
		s += slot;
	}
	return s;
}

static uint64_t sed64(uint32_t ops)
{
	return choose_in_turn(table64, q64, ops, mlb_sed);
}
static uint64_t sed64_portable(uint32_t ops)
{
	return choose_in_turn(table64, q64, ops, mlb_sed_portable);
}
static uint64_t sed1024(uint32_t ops)
{
	return choose_in_turn(table1024, q1024, ops, mlb_sed);
}
static uint64_t p2c64(uint32_t ops)
{
	return choose_in_turn(table64, q64, ops, mlb_p2c);
}

static uint64_t ring_lookup(uint32_t ops)
{
	uint64_t s = 0;
	for (uint32_t i = 0; i < ops; i++)
		s += mlb_ring_lookup(ring64, mlb_rng_next(&rng), q64);
	return s;
}
static uint64_t ring_build(uint32_t n)
{
	struct mlb_ring *r = mlb_ring_new(n, ring_key, ring_slot, weight, false);
	uint64_t s = mlb_ring_lookup(r, 1, NULL);
	mlb_ring_unref(r);
	return s;
}
static uint64_t ring_build_64(uint32_t ops)
{
	uint64_t s = 0;
	for (uint32_t i = 0; i < ops; i++)
		s += ring_build(64);
	return s;
}
static uint64_t ring_build_1024(uint32_t ops)
{
	uint64_t s = 0;
	for (uint32_t i = 0; i < ops; i++)
		s += ring_build(1024);
	return s;
}

static struct mlb_flow_key flow_key(uint32_t i)
{
	struct mlb_flow_key k = { .client = { { [10] = 0xff, [11] = 0xff } },
				  .cport = (uint16_t)(1024 + i % 60000),
				  .vport = 80,
				  .vip = 1,
				  .proto = 6 };
	memcpy(k.client.b + 12, &i, 4);
	return k;
}
static struct mlb_flow_table *flow_table(uint32_t n)
{
	struct mlb_flow_table *t = mlb_flow_table_new(n, 1);
	for (uint32_t i = 0; i < n; i++) {
		struct mlb_flow_key k = flow_key(i);
		if (!mlb_flow_insert(t, &k, mlb_flow_hash(t, &k)))
			abort();
	}
	return t;
}

/* Keys of known flows at random, all made before the clock starts; a lookup hashes its key, and touches the flow as a packet
 * does. */
enum { KEYS = 1 << 16 };
static struct mlb_flow_key *key_of[3];
static uint32_t next_key;

static struct mlb_flow_key *keys_for(uint32_t n)
{
	struct mlb_flow_key *k = malloc(KEYS * sizeof(*k));
	for (uint32_t i = 0; i < KEYS; i++)
		k[i] = flow_key(mlb_rng_below(&rng, n));
	return k;
}

static uint64_t lookup_single(struct mlb_flow_table *t, const struct mlb_flow_key *keys, uint32_t ops)
{
	uint64_t s = 0;
	for (uint32_t i = 0; i < ops; i++) {
		const struct mlb_flow_key *k = &keys[next_key++ % KEYS];
		struct mlb_flow *f = mlb_flow_find(t, k, mlb_flow_hash(t, k));
		f->last_ms = i;
		s += f->slot;
	}
	return s;
}

static uint64_t lookup_batched(struct mlb_flow_table *t, const struct mlb_flow_key *keys, uint32_t ops)
{
	uint64_t s = 0, hash[BATCH];
	struct mlb_flow *f[BATCH];
	next_key = (next_key + BATCH - 1) / BATCH * BATCH;
	for (uint32_t i = 0; i + BATCH <= ops; i += BATCH, next_key += BATCH) {
		const struct mlb_flow_key *k = &keys[next_key % KEYS];
		for (uint32_t j = 0; j < BATCH; j++)
			hash[j] = mlb_flow_hash(t, &k[j]);
		mlb_flow_find_batch(t, k, hash, BATCH, f);
		for (uint32_t j = 0; j < BATCH; j++) {
			f[j]->last_ms = i;
			s += f[j]->slot;
		}
	}
	return s;
}

static uint64_t lookup_1m(uint32_t ops)
{
	return lookup_batched(flows_1m, key_of[0], ops);
}
static uint64_t lookup_1m_single(uint32_t ops)
{
	return lookup_single(flows_1m, key_of[0], ops);
}
static uint64_t lookup_262k(uint32_t ops)
{
	return lookup_batched(flows_262k, key_of[1], ops);
}
static uint64_t lookup_4k(uint32_t ops)
{
	return lookup_batched(flows_4k, key_of[2], ops);
}
static uint64_t flow_churn(uint32_t ops) /* at 1 M flows: a new one, then it goes */
{
	for (uint32_t i = 0; i < ops; i++) {
		struct mlb_flow_key k = flow_key(MILLION + (uint32_t)(mlb_rng_next(&rng) >> 40));
		mlb_flow_remove(flows_1m, mlb_flow_insert(flows_1m, &k, mlb_flow_hash(flows_1m, &k)));
	}
	return mlb_flow_count(flows_1m);
}

static uint64_t ev_flow(uint32_t ops)
{
	static uint64_t now;
	for (uint32_t i = 0; i < ops; i++, now += 3) {
		uint32_t s = i & 15;
		mlb_ev_open(&wvip, s, now);
		mlb_ev_request(&wvip, s, now);
		mlb_ev_answer(&worker, &wvip, s, now, now + 1);
		mlb_ev_close(&worker, &wvip, s, now, now + 2, MLB_END_COMPLETED);
	}
	return MLB_LD(mlb_wslot_at(wvip.slots, 3)->new_flows);
}
static uint64_t ev_bytes(uint32_t ops)
{
	for (uint32_t i = 0; i < ops; i++)
		mlb_ev_bytes(&wvip, (i * 7) & 15, i & 1, 1, 64);
	return MLB_LD(mlb_wslot_at(wvip.slots, 3)->packets_in);
}

static uint64_t pkt_parse(uint32_t ops)
{
	uint64_t s = 0;
	for (uint32_t i = 0; i < ops; i++) {
		struct mlb_pkt p;
		s += mlb_pkt_parse(packet[i % PACKETS], 64, &p) + p.sport;
	}
	return s;
}
static uint64_t pkt_nat(uint32_t ops)
{
	struct mlb_addr to = { { [10] = 0xff, [11] = 0xff, [12] = 10 } };
	for (uint32_t i = 0; i < ops; i++) {
		to.b[15] = (uint8_t)i;
		mlb_pkt_nat(packet[i % PACKETS], &parsed, true, &to, (uint16_t)(8000 + (i & 7)));
	}
	return packet[5][10];
}
static uint64_t pkt_l3dsr(uint32_t ops)
{
	struct mlb_addr to = { { [10] = 0xff, [11] = 0xff, [12] = 10 } };
	for (uint32_t i = 0; i < ops; i++) {
		to.b[15] = (uint8_t)i;
		mlb_pkt_l3dsr(packet[i % PACKETS], &parsed, &to, i & 63);
	}
	return packet[5][10];
}

static void setup(void)
{
	mlb_rng_seed(&rng, 1);
	mlb_choose_init();
	for (uint32_t i = 0; i < 1024; i++) {
		weight[i] = (float)(0.5 + 3.5 * mlb_rng_unit(&rng));
		ring_key[i] = mlb_rng_next(&rng);
		ring_slot[i] = i;
	}
	if (mlb_table_new(&table64, 64, weight, NULL, 1, MLB_MODE_SED, 1, NULL, NULL) ||
	    mlb_table_new(&table1024, 1024, weight, NULL, 1, MLB_MODE_SED, 1, NULL, NULL))
		abort();
	ring64 = mlb_ring_new(64, ring_key, ring_slot, weight, false);
	q64 = aligned_alloc(64, sizeof(float) * 64 * LOADS);
	q1024 = aligned_alloc(64, sizeof(float) * 1024 * LOADS);
	for (uint32_t i = 0; i < 64 * LOADS; i++)
		q64[i] = (float)mlb_rng_below(&rng, 12);
	for (uint32_t i = 0; i < 1024 * LOADS; i++)
		q1024[i] = (float)mlb_rng_below(&rng, 12);
	flows_1m = flow_table(MILLION);
	flows_262k = flow_table(262144);
	flows_4k = flow_table(4096);
	key_of[0] = keys_for(MILLION);
	key_of[1] = keys_for(262144);
	key_of[2] = keys_for(4096);
	mlb_rng_seed(&worker.rng, 2);
	wvip.slots = aligned_alloc(64, 16 * sizeof(struct mlb_wslot));
	memset(wvip.slots, 0, 16 * sizeof(struct mlb_wslot));
	wvip.q = calloc(16, sizeof(float));
	wvip.others = calloc(16, sizeof(float));
	wvip.capacity = 16;
	static const uint8_t head[40] = { 0x45, 0, 0, 64,  0,  1,   0x40, 0,    64,   6, 0,  0,           192,
					  0,    2, 1, 198, 51, 100, 7,    0x9c, 0x40, 0, 80, [32] = 0x50, 0x10 };
	for (int i = 0; i < PACKETS; i++)
		memcpy(packet[i], head, sizeof(head));
	mlb_pkt_parse(packet[0], 64, &parsed);
}

int main(int argc, char **argv)
{
	uint32_t rounds = 1001;
	const char *only = "";
	for (int i = 1; i < argc; i++) {
		if (strcmp(argv[i], "--quick") == 0) {
			rounds = 201;
		} else if (strcmp(argv[i], "--only") == 0 && i + 1 < argc) {
			only = argv[++i];
		} else {
			fprintf(stderr, "usage: %s [--quick] [--only ID-PREFIX]\n", argv[0]);
			return 2;
		}
	}
	setup();
	static struct bench_item items[] = {
		{ "core.alias_draw_ns", "ns", "64 servers", alias_draw, 10000, NULL },
		{ "core.alias_draw_1024_ns", "ns", "1024 servers", alias_draw_1024, 10000, NULL },
		{ "core.alias_build_1024_us", "us", "mlb_table_new and mlb_table_free: shares, score factors and alias table",
		  alias_build, 8, NULL },
		{ "core.sed64_ns", "ns", "AVX2, loads wandering, ties at random", sed64, 2000, NULL },
		{ "core.sed64_portable_ns", "ns", "the same without AVX2", sed64_portable, 2000, NULL },
		{ "core.sed1024_ns", "ns", "best variant of this CPU", sed1024, 200, NULL },
		{ "core.p2c64_ns", "ns", "weighted two choices", p2c64, 4000, NULL },
		{ "core.ring_lookup_ns", "ns", "64 servers", ring_lookup, 4000, NULL },
		{ "core.ring_build_64_us", "us", "consistent ring, on the main thread", ring_build_64, 1, NULL },
		{ "core.flow_lookup_262k_ns", "ns", "batches of 32", lookup_262k, 2048, NULL },
		{ "core.flow_lookup_4k_ns", "ns", "batches of 32", lookup_4k, 2048, NULL },
		{ "core.flow_new_ns", "ns", "insert and remove among 1 M flows", flow_churn, 1000, NULL },
		{ "core.ev_flow_ns", "ns", "a flow's open, request, answer, close", ev_flow, 1000, NULL },
		{ "core.ev_bytes_ns", "ns", "counting a packet", ev_bytes, 10000, NULL },
		{ "core.pkt_parse_ns", "ns", "IPv4 TCP, 64 bytes", pkt_parse, 4000, NULL },
		{ "core.pkt_nat_ns", "ns", "IPv4 TCP, address and port", pkt_nat, 4000, NULL },
		{ "core.pkt_l3dsr_ns", "ns", "IPv4 TCP", pkt_l3dsr, 4000, NULL },
	};
	/* by themselves: forwards and backwards, each side comes as often after the other as after its like */
	static struct bench_item lookups[] = {
		{ "core.flow_lookup_1m_ns", "ns", "batches of 32, hash and touch of the flow included", lookup_1m, 2048, NULL },
		{ "core.flow_lookup_1m_unbatched_ns", "ns", "one at a time", lookup_1m_single, 2048, NULL },
		{ NULL, "ns", "the first again, for the self row", lookup_1m, 2048, NULL },
	};
	enum { N = sizeof(items) / sizeof(items[0]) };
	static struct bench_item slow = { "core.ring_build_1024_us", "us", "consistent ring, on the main thread",
					  ring_build_1024,           1,    NULL };
	const struct bench_ratio ratio = { "core.flow_lookup_1m_vs_unbatched", "full keys, 80 % load, huge pages advised",
					   &lookups[0], &lookups[1] };
	const struct bench_ratio self = { "core.flow_lookup_1m.self", "two runs of the same", &lookups[0], &lookups[2] };

	bench_run(items, N, rounds);
	bench_run(lookups, 3, rounds);
	bench_run(&slow, 1, 31);
	for (uint32_t i = 0; i < N; i++) {
		if (strncmp(items[i].id, only, strlen(only)) != 0)
			continue;
		if (items[i].fn == sed64 && mlb_sed == mlb_sed_portable)
			bench_print_absent(items[i].id, "ns", "this CPU has no AVX2");
		else
			bench_print(&items[i], rounds);
	}
	for (uint32_t i = 0; i < 2; i++)
		if (strncmp(lookups[i].id, only, strlen(only)) == 0)
			bench_print(&lookups[i], rounds);
	if (strncmp(slow.id, only, strlen(only)) == 0)
		bench_print(&slow, 31);
	if (strncmp(ratio.id, only, strlen(only)) == 0)
		bench_print_ratio(&ratio, rounds);
	if (strncmp(self.id, only, strlen(only)) == 0)
		bench_print_ratio(&self, rounds);
	return 0;
}
