/* SPDX-License-Identifier: Apache-2.0 */
/* What the data plane publishes, copied out and checked. */
#include "agent_priv.h"
#include "marllb/agent.h"

/* A frame that does not fit its message, or is of another layout, is passed over. */
static bool good_frame(const struct mlb_frame_hdr *f, uint32_t records)
{
	return f->vip_id >= 1 && f->vip_id <= MLB_MAX_VIPS && f->schema == MLB_FRAME_SCHEMA &&
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
	if (f->seq == v->frame_seq || *n == (int)MLB_MAX_VIPS)
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

int mlb_agent_frames(struct mlb_agent *a, struct mlb_agent_frame out[MLB_MAX_VIPS])
{
	int64_t len = mlb_region_read(&a->region, MLB_BLK_OUT, a->out, a->out_size, &a->out_seq);
	if (len == 0 || len == -EAGAIN)
		return (int)len;
	const struct mlb_out_hdr *h = (const struct mlb_out_hdr *)a->out;
	if (len < (int64_t)sizeof(*h) || h->frames > MLB_MAX_VIPS || h->records > MLB_MAX_SERVERS ||
	    sizeof(*h) + h->frames * sizeof(struct mlb_frame_hdr) + h->records * sizeof(struct mlb_server_rec) > (uint64_t)len)
		return -EPROTO;
	struct mlb_frame_hdr *f = (struct mlb_frame_hdr *)(h + 1);
	const struct mlb_server_rec *rec = (const struct mlb_server_rec *)(f + h->frames);
	int n = 0;
	for (uint32_t i = 0; i < MLB_MAX_VIPS; i++)
		a->vip[i].present = false;
	for (uint32_t i = 0; i < h->frames; i++)
		if (good_frame(&f[i], h->records))
			see(a, &f[i], rec, out, &n);
	return n;
}

uint64_t mlb_agent_message(const struct mlb_agent *a)
{
	return a->out_seq;
}

int mlb_agent_effects(struct mlb_agent *a, struct mlb_effect out[MLB_MAX_VIPS])
{
	struct {
		struct mlb_effect_hdr h;
		struct mlb_effect e[MLB_MAX_VIPS];
	} in;
	int64_t len = mlb_region_read(&a->region, MLB_BLK_EFFECT, &in, sizeof(in), &a->effect_seq);
	if (len == 0 || len == -EAGAIN)
		return (int)len;
	if (len < (int64_t)sizeof(in.h) || in.h.vips > MLB_MAX_VIPS || sizeof(in.h) + in.h.vips * sizeof(in.e[0]) > (uint64_t)len)
		return -EPROTO;
	int n = 0;
	for (uint32_t i = 0; i < in.h.vips; i++) {
		const struct mlb_effect *e = &in.e[i];
		if (e->vip_id < 1 || e->vip_id > MLB_MAX_VIPS || e->last_refusal >= MLB_REFUSE_COUNT)
			continue; /* the data plane is not believed either */
		out[n++] = *e;
	}
	return n;
}
