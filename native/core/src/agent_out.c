/* SPDX-License-Identifier: Apache-2.0 */
/* What the data plane publishes, copied out and checked. */
#include "agent_priv.h"
#include "marllb/agent.h"

/* A frame that does not fit its message, or is of another layout, is passed over. */
static bool good_frame(const struct mlb_agent *a, const struct mlb_frame_hdr *f, uint32_t records)
{
	return f->vip_id >= 1 && f->vip_id <= a->limits.vips && f->schema == MLB_FRAME_SCHEMA &&
	       f->record_size == sizeof(struct mlb_server_rec) && f->count <= MLB_MAX_SERVERS_PER_VIP && f->first <= records &&
	       f->count <= records - f->first;
}

static void see(struct mlb_agent *a, struct mlb_frame_hdr *f, const struct mlb_server_rec *rec, struct mlb_agent_frame *out,
		int *n)
{
	struct agent_vip *v = &a->vip[f->vip_id - 1];
	v->present = true;
	/* A number of ours that was guessed too high (a garbled vector that passed) must not lock us out. */
	if (f->applied_agent_epoch == a->agent_epoch && f->applied_seq > a->seq)
		a->seq = f->applied_seq;
	if (f->birth != v->birth) { /* another VIP under a removed one's id */
		v->birth = f->birth;
		v->frame_seq = 0;
		v->in.count = 0;
	}
	if (f->seq == v->frame_seq || *n == (int)a->limits.vips)
		return;
	v->frame_seq = f->seq;
	out[(*n)++] = (struct mlb_agent_frame){
		.hdr = f,
		.records = rec + f->first,
		.hdr_size = sizeof(*f),
		.records_size = f->count * (uint32_t)sizeof(*rec),
		.vip_id = f->vip_id,
		.schema = f->schema,
		.record_size = f->record_size,
		.generation = f->generation,
		.count = f->count,
		.dp_epoch = f->dp_epoch,
		.birth = f->birth,
		.seq = f->seq,
		.mono_ns = f->mono_ns,
		.real_ns = f->real_ns,
	};
}

int mlb_agent_frames(struct mlb_agent *a, struct mlb_agent_frame out[])
{
	int64_t len = mlb_region_read(&a->region, MLB_BLK_OUT, a->out, a->out_size, &a->out_seq);
	if (len == 0 || len == -EAGAIN)
		return (int)len;
	const struct mlb_out_hdr *h = (const struct mlb_out_hdr *)a->out;
	if (len < (int64_t)sizeof(*h) || h->frames > a->limits.vips || h->records > a->limits.servers ||
	    sizeof(*h) + h->frames * sizeof(struct mlb_frame_hdr) + h->records * sizeof(struct mlb_server_rec) > (uint64_t)len)
		return -EPROTO;
	struct mlb_frame_hdr *f = (struct mlb_frame_hdr *)(h + 1);
	const struct mlb_server_rec *rec = (const struct mlb_server_rec *)(f + h->frames);
	int n = 0;
	for (uint32_t i = 0; i < a->limits.vips; i++)
		a->vip[i].present = false;
	for (uint32_t i = 0; i < h->frames; i++)
		if (good_frame(a, &f[i], h->records))
			see(a, &f[i], rec, out, &n);
	return n;
}

uint64_t mlb_agent_message(const struct mlb_agent *a)
{
	return a->out_seq;
}

int mlb_agent_effects(struct mlb_agent *a, struct mlb_effect out[])
{
	int64_t len =
		mlb_region_read(&a->region, MLB_BLK_EFFECT, a->effect, a->region.blk[MLB_BLK_EFFECT].buf_size, &a->effect_seq);
	if (len == 0 || len == -EAGAIN)
		return (int)len;
	const struct mlb_effect_hdr *h = (const struct mlb_effect_hdr *)a->effect;
	const struct mlb_effect *e = (const struct mlb_effect *)(h + 1);
	if (len < (int64_t)sizeof(*h) || h->vips > a->limits.vips || sizeof(*h) + h->vips * sizeof(*e) > (uint64_t)len)
		return -EPROTO;
	int n = 0;
	/* The data plane is not believed either. */
	for (const struct mlb_effect *end = e + h->vips; e < end; e++)
		if (e->vip_id >= 1 && e->vip_id <= a->limits.vips && e->last_refusal < MLB_REFUSE_COUNT)
			out[n++] = *e;
	return n;
}
