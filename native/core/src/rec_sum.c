/* SPDX-License-Identifier: Apache-2.0 */
#include "marllb/rec_sum.h"
#include <stdlib.h>
#include <string.h>

/* How each kind of `sum` in fields.h is summed: r the record, s the worker's slot, g its gauges, dt since they last changed. */
#define SUM_MAIN(name, of)
#define SUM_COUNT(name, of) r->name += MLB_LD(s->name);
#define SUM_SUM(name, of) r->name += (of);
#define SUM_MAX(name, of) max_into(&r->name, (of));
#define SUM_GAUGE(name, of) r->name += g.name;
#define SUM_RUN(name, of) r->name += g.name + g.of * dt;
#define SUM_BUCKETS(name, of) \
	for (uint32_t i = 0; i < MLB_HIST_BUCKETS; i++) \
		r->name[i] += MLB_LD(s->name[i]);

static inline void max_into(uint64_t *to, uint64_t value)
{
	*to = value > *to ? value : *to;
}

void mlb_rec_sum(struct mlb_server_rec *r, struct mlb_wvip *const *workers, uint32_t n, uint32_t slot, uint64_t now_us)
{
	for (uint32_t k = 0; k < n; k++) {
		struct mlb_wslot *s = mlb_wslot_at(workers[k]->slots, slot);
		struct mlb_wslot_gauges g;
		mlb_wslot_read(s, &g);
		uint64_t dt = now_us > g.last_us ? now_us - g.last_us : 0;
#define X(type, name, role, sum, of, unit, metric, help) SUM_##sum(name, of)
		MLB_SERVER_FIELDS(X)
#undef X
	}
}

void mlb_frame_sum(struct mlb_frame_hdr *r, struct mlb_wvip *const *workers, uint32_t n)
{
	for (uint32_t k = 0; k < n; k++) {
		struct mlb_wvip *s = workers[k];
#define X(type, name, role, sum, of, unit, metric, help) SUM_##sum(name, of)
		MLB_FRAME_FIELDS(X)
#undef X
	}
}

void mlb_rec_sum_connect(struct mlb_server_rec *r, struct mlb_wvip *const *workers, uint32_t n, uint32_t slot, uint32_t epoch,
			 double frame_us, struct mlb_res_decay *decay)
{
	const struct mlb_reservoir *all[n];
	for (uint32_t k = 0; k < n; k++)
		all[k] = &mlb_wslot_at(workers[k]->slots, slot)->connect;
	mlb_res_merge(all, n, epoch, frame_us, decay, &r->connect);
}

struct mlb_wslots *mlb_wslots_new(uint32_t n)
{
	void *slots = aligned_alloc(MLB_CACHE_LINE, n * sizeof(struct mlb_wslot));
	if (slots)
		memset(slots, 0, n * sizeof(struct mlb_wslot));
	return slots;
}

void mlb_wslots_free(struct mlb_wslots *slots)
{
	free(slots);
}
