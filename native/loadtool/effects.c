/* SPDX-License-Identifier: Apache-2.0 */
/* Watches a region from outside, without a lock and without waking anybody: when was each frame published, when did its weights
 * take effect (last worker passed). Reads twice a millisecond, so ticks down to a few milliseconds are seen whole. */
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include "marllb/region.h"
#include "load.h"

#define RING 4096u

struct watch {
	uint64_t *published; /* by frame number modulo RING */
	uint64_t first_seq, last_seq, last_effect;
	float *effect_ms;
	uint32_t n, cap, in_time;
	/* The effect that waits for its next frame to be seen. */
	uint64_t pending_seq, pending_ns;
};

static void judge(struct watch *w)
{
	if (!w->pending_seq || w->last_seq <= w->pending_seq)
		return;
	w->in_time += w->pending_ns < w->published[(w->pending_seq + 1) % RING];
	w->pending_seq = 0;
}

static void on_frame(struct watch *w, const struct mlb_frame_hdr *f)
{
	if (f->seq == w->last_seq)
		return;
	if (!w->first_seq)
		w->first_seq = f->seq;
	/* A frame that was overwritten before it was read: its time is that of the next one seen, which can only count against
	 * us. */
	for (uint64_t s = w->last_seq ? w->last_seq + 1 : f->seq; s < f->seq && f->seq - s < RING; s++)
		w->published[s % RING] = w->published[w->last_seq % RING];
	w->published[f->seq % RING] = f->mono_ns;
	w->last_seq = f->seq;
	judge(w);
}

static void on_effect(struct watch *w, const struct mlb_effect *e)
{
	if (!e->frame_seq || !e->all_ns || e->frame_seq == w->last_effect || e->frame_seq < w->first_seq ||
	    e->frame_seq > w->last_seq || w->last_seq - e->frame_seq >= RING)
		return;
	w->last_effect = e->frame_seq;
	if (w->n < w->cap)
		w->effect_ms[w->n++] = (float)((double)(e->all_ns - w->published[e->frame_seq % RING]) / 1e6);
	w->pending_seq = e->frame_seq;
	w->pending_ns = e->all_ns;
	judge(w);
}

static int by_value(const void *a, const void *b)
{
	float x = *(const float *)a, y = *(const float *)b;
	return (x > y) - (x < y);
}

int load_effects(const char *region, double seconds)
{
	struct mlb_region r;
	char err[256];
	int rc = mlb_region_open_ro(&r, region, err);
	if (rc < 0) {
		fprintf(stderr, "marllb-load: %s\n", err);
		return rc;
	}
	uint64_t cap_out = r.blk[MLB_BLK_OUT].buf_size, cap_eff = r.blk[MLB_BLK_EFFECT].buf_size;
	uint8_t *out = malloc(cap_out), *eff = malloc(cap_eff);
	struct watch w = { .cap = 1u << 20 };
	w.published = calloc(RING, sizeof(*w.published));
	w.effect_ms = malloc(w.cap * sizeof(*w.effect_ms));
	uint64_t end = load_now_us() + (uint64_t)(seconds * 1e6), seen_out = 0, seen_eff = 0, seq;
	while (load_now_us() < end) {
		if (mlb_msg_seq(r.blk[MLB_BLK_OUT].msg) != seen_out &&
		    mlb_msg_read(r.blk[MLB_BLK_OUT].msg, r.blk[MLB_BLK_OUT].base, cap_out, out, cap_out, &seq, 8) > 0) {
			seen_out = seq;
			if (((struct mlb_out_hdr *)(void *)out)->frames)
				on_frame(&w, (struct mlb_frame_hdr *)(void *)(out + sizeof(struct mlb_out_hdr)));
		}
		if (mlb_msg_seq(r.blk[MLB_BLK_EFFECT].msg) != seen_eff &&
		    mlb_msg_read(r.blk[MLB_BLK_EFFECT].msg, r.blk[MLB_BLK_EFFECT].base, cap_eff, eff, cap_eff, &seq, 8) > 0) {
			seen_eff = seq;
			if (((struct mlb_effect_hdr *)(void *)eff)->vips)
				on_effect(&w, (struct mlb_effect *)(void *)(eff + sizeof(struct mlb_effect_hdr)));
		}
		nanosleep(&(struct timespec){ .tv_nsec = 500000 }, NULL);
	}
	qsort(w.effect_ms, w.n, sizeof(float), by_value);
#define AT(p) (w.n ? (double)w.effect_ms[(uint32_t)((p) * (w.n - 1))] : -1.0)
	printf("{\"frames\":%llu,\"effects\":%u,\"in_time\":%u,\"p50_ms\":%.4f,\"p90_ms\":%.4f,\"p99_ms\":%.4f,\"max_ms\":%.4f,"
	       "\"effects_ms\":[",
	       (unsigned long long)(w.last_seq - w.first_seq), w.n, w.in_time, AT(.5), AT(.9), AT(.99), AT(1.));
	for (uint32_t i = 0; i < w.n; i++)
		printf("%s%.3f", i ? "," : "", (double)w.effect_ms[i]);
	puts("]}");
	free(out), free(eff), free(w.published), free(w.effect_ms);
	mlb_region_close(&r, false);
	return 0;
}
