/* SPDX-License-Identifier: Apache-2.0 */
/* Binary min-heap of timed events and a winner tree over servers' next departures. */
#ifndef MARLLB_SIM_HEAP_H
#define MARLLB_SIM_HEAP_H
#include <errno.h>
#include <math.h>
#include <stdint.h>
#include <stdlib.h>

struct sim_event {
	double at_s;
	uint32_t what; /* flow, or an index */
	uint32_t kind;
};
struct sim_heap {
	struct sim_event *e; /* e[0] is the earliest; e[0].at_s is INFINITY when empty */
	uint32_t n, cap;
};

static inline int sim_heap_init(struct sim_heap *h)
{
	h->n = 0;
	h->cap = 256;
	h->e = malloc(h->cap * sizeof(*h->e));
	if (!h->e)
		return -ENOMEM;
	h->e[0].at_s = INFINITY;
	return 0;
}

static inline int sim_heap_push(struct sim_heap *h, double at_s, uint32_t kind, uint32_t what)
{
	if (h->n == h->cap) {
		struct sim_event *more = realloc(h->e, 2 * (size_t)h->cap * sizeof(*more));
		if (!more)
			return -ENOMEM;
		h->e = more;
		h->cap *= 2;
	}
	uint32_t i = h->n++;
	while (i) {
		uint32_t up = (i - 1) / 2;
		if (h->e[up].at_s <= at_s)
			break;
		h->e[i] = h->e[up];
		i = up;
	}
	h->e[i] = (struct sim_event){ at_s, what, kind };
	return 0;
}

static inline struct sim_event sim_heap_pop(struct sim_heap *h)
{
	struct sim_event top = h->e[0], last = h->e[--h->n];
	uint32_t i = 0, n = h->n;

	if (!n) {
		h->e[0].at_s = INFINITY;
		return top;
	}
	for (;;) {
		uint32_t c = 2 * i + 1;
		if (c >= n)
			break;
		if (c + 1 < n && h->e[c + 1].at_s < h->e[c].at_s)
			c++;
		if (h->e[c].at_s >= last.at_s)
			break;
		h->e[i] = h->e[c];
		i = c;
	}
	h->e[i] = last;
	return top;
}

/* Winner tree: win[1] is the server with the least key. */
struct sim_tree {
	uint32_t leaves; /* power of two */
	uint32_t *win;   /* [2 * leaves] */
	double *key;     /* [leaves] */
};

static inline int sim_tree_init(struct sim_tree *t, uint32_t n)
{
	for (t->leaves = 2; t->leaves < n; t->leaves *= 2)
		;
	t->win = malloc(2 * t->leaves * sizeof(*t->win));
	t->key = malloc(t->leaves * sizeof(*t->key));
	if (!t->win || !t->key)
		return -ENOMEM;
	for (uint32_t i = 0; i < t->leaves; i++) {
		t->key[i] = INFINITY;
		t->win[t->leaves + i] = i;
	}
	for (uint32_t i = t->leaves; --i;)
		t->win[i] = t->win[2 * i];
	return 0;
}

static inline void sim_tree_set(struct sim_tree *t, uint32_t i, double key)
{
	t->key[i] = key;
	for (uint32_t p = (t->leaves + i) / 2; p; p /= 2) {
		uint32_t a = t->win[2 * p], b = t->win[2 * p + 1];
		t->win[p] = t->key[b] < t->key[a] ? b : a;
	}
}

static inline double sim_tree_min(const struct sim_tree *t)
{
	return t->key[t->win[1]];
}
#endif
