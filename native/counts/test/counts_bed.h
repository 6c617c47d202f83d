/* SPDX-License-Identifier: Apache-2.0 */
/* Load balancers that share counts, in virtual time, over a network that a test may spoil. */
#ifndef COUNTS_BED_H
#define COUNTS_BED_H
#include <netinet/in.h>

#include "counts.h"
#include "marllb/endpoint.h"
#include "mlbtest.h"
#include "wire.h"

#define MS 1000u
#define PERIOD (20 * MS)
#define KEY "0123456789abcdef0123456789abcdef"

static uint64_t bed_now = 5000 * MS, bed_random = 7;

struct node {
	struct mlb_counts *c;
	uint32_t parts;
	struct mlb_counts_datagram out[MLB_COUNTS_PARTS];
	struct mlb_peer peer[MLB_MAX_SERVERS];
};

static inline struct mlb_counts *bed_counts(const char *name, uint64_t epoch, const char *key)
{
	struct mlb_counts_conf conf = { .epoch = epoch, .period_us = PERIOD, .keys = 1, .key = { { key, strlen(key) } } };
	struct mlb_counts *c = NULL;
	char err[256];
	snprintf(conf.instance, sizeof(conf.instance), "%s", name);
	CHECK_EQ(mlb_counts_new(&c, &conf, err), 0);
	return c;
}

static inline struct node *node_new(const char *name, uint64_t epoch)
{
	struct node *n = calloc(1, sizeof(*n));
	n->c = bed_counts(name, epoch, KEY);
	return n;
}

static inline void node_free(struct node *n)
{
	mlb_counts_free(n->c);
	free(n);
}

static inline struct mlb_live bed_live(uint32_t vip, uint32_t id, uint32_t host, uint32_t flows)
{
	struct mlb_live l = { .vip_id = vip, .server_id = id, .slot = id - 1, .flows = flows, .waiting = flows / 2 };
	uint8_t v4[4] = { 10, 0, (uint8_t)(host >> 8), (uint8_t)host };
	l.ep = (struct mlb_endpoint){ .addr = mlb_addr_of_v4(v4), .port = 80, .proto = IPPROTO_TCP };
	return l;
}

/* Servers 10.0.0.1 .. of VIP 1, all with as many flows. */
static inline void node_has(struct node *n, uint32_t servers, uint32_t flows)
{
	static struct mlb_live l[MLB_MAX_SERVERS];
	for (uint32_t i = 0; i < servers; i++)
		l[i] = bed_live(1, i + 1, i + 1, flows);
	mlb_counts_own(n->c, l, servers);
}

static inline void node_say(struct node *n)
{
	n->parts = mlb_counts_say(n->c, bed_now, ++bed_random * 0x9e3779b97f4a7c15, n->out);
}

static inline enum mlb_counts_verdict node_hear(struct node *n, const struct node *from, uint32_t part)
{
	struct mlb_endpoint ep = { .port = 7400 };
	return mlb_counts_hear(n->c, from->out[part].bytes, from->out[part].len, &ep, bed_now);
}

/* Both say and hear once. */
static inline void meet(struct node *a, struct node *b)
{
	node_say(a);
	node_say(b);
	for (uint32_t i = 0; i < a->parts; i++)
		node_hear(b, a, i);
	for (uint32_t i = 0; i < b->parts; i++)
		node_hear(a, b, i);
	bed_now += PERIOD;
}

static inline int node_sum(struct node *n)
{
	return mlb_counts_sum(n->c, bed_now, n->peer);
}

/* What others have at one of this node's servers; -1: it knows nobody. */
static inline long node_at(struct node *n, uint32_t vip, uint32_t id)
{
	int k = node_sum(n);
	for (int i = 0; i < k; i++)
		if (n->peer[i].vip_id == vip && n->peer[i].server_id == id)
			return n->peer[i].flows;
	return k < 0 ? -1 : 0;
}

static inline struct mlb_counts_peer node_peer(struct node *n, uint32_t i)
{
	static struct mlb_counts_peer p[MLB_COUNTS_PEERS];
	uint32_t k = mlb_counts_peers(n->c, bed_now, p);
	return i < k ? p[i] : (struct mlb_counts_peer){ 0 };
}
#endif
