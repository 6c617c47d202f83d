/* SPDX-License-Identifier: Apache-2.0 */
/* The last word of a data plane that died, from the region that it left behind: its newest frame says what was in force, msg_in
 * what its agent had ordered since. */
#include <string.h>

#include "dp_state.h"

struct source {
	struct mlb_region region;
	uint8_t *out, *in; /* whole messages, or NULL */
	int64_t out_len, in_len;
};

static int64_t read_block(const struct mlb_region *r, enum mlb_block b, uint8_t **buf)
{
	uint64_t seq = 0;
	*buf = malloc(r->blk[b].buf_size);
	return *buf ? mlb_region_read(r, b, *buf, r->blk[b].buf_size, &seq) : -ENOMEM;
}

static struct dp_state_vip of_frame(const struct mlb_frame_hdr *f)
{
	struct dp_state_vip e = { .term = f->term,
				  .kappa = f->kappa,
				  .load_balancers = f->load_balancers,
				  .load_balancer = f->load_balancer,
				  .ladder = f->ladder,
				  .owner = f->owner };
	memcpy(e.name, f->name, sizeof(e.name));
	return e;
}

static struct dp_state_server of_record(const struct mlb_server_rec *r)
{
	return (struct dp_state_server){ .addr = r->addr,
					 .port = r->port,
					 .flags = r->flags & (MLB_SRV_MEMBER | MLB_SRV_DRAINING),
					 .weight_static = r->weight_static,
					 .share = r->weight,
					 .factor = r->factor,
					 .bias = r->bias };
}

/* The vector for this frame's VIP in msg_in; NULL: none that would have been taken. */
static const struct mlb_in_vip *vector_of(const struct source *src, const struct mlb_frame_hdr *f,
					  const struct mlb_in_entry **entries)
{
	const struct mlb_in_hdr *h = (const struct mlb_in_hdr *)src->in;
	if (src->in_len < (int64_t)sizeof(*h) || h->vips > src->region.limits.vips || h->entries > src->region.limits.servers ||
	    sizeof(*h) + h->vips * sizeof(struct mlb_in_vip) + h->entries * sizeof(**entries) > (uint64_t)src->in_len)
		return NULL;
	const struct mlb_in_vip *v = (const struct mlb_in_vip *)(h + 1);
	for (uint32_t i = 0; i < h->vips; i++) {
		if (v[i].vip_id != f->vip_id || v[i].birth != f->birth || v[i].dp_epoch != f->dp_epoch ||
		    v[i].generation != f->generation || v[i].first > h->entries || v[i].count > h->entries - v[i].first ||
		    v[i].count > MLB_MAX_SERVERS_PER_VIP)
			continue;
		*entries = (const struct mlb_in_entry *)(v + h->vips) + v[i].first;
		return &v[i];
	}
	return NULL;
}

/* What the agent ordered after the frame was summed, or what the frame cannot say: whether its mode was an override's. */
static void add_vector(const struct source *src, const struct mlb_frame_hdr *f, const struct mlb_server_rec *rec,
		       struct dp_state_vip *e, struct dp_state_server *server)
{
	const struct mlb_in_entry *entry;
	const struct mlb_in_vip *v = vector_of(src, f, &entry);
	if (!v || v->term == 0)
		return;
	bool applied = v->agent_epoch == f->applied_agent_epoch && v->seq == f->applied_seq;
	bool newer = dp_after(v->agent_epoch, f->applied_agent_epoch) ||
		     (v->agent_epoch == f->applied_agent_epoch && dp_after(v->seq, f->applied_seq));
	if (applied || newer) {
		e->exact = v->exact == 1;
		e->newcomers_wait = v->newcomers_wait == 1;
	}
	if ((applied || newer) && v->mode != MLB_MODE_KEEP) {
		e->mode = v->mode;
		e->mode_term = v->term;
	}
	if (!newer)
		return;
	e->term = v->term;
	e->kappa = v->kappa;
	e->ladder = v->ladder;
	e->load_balancers = v->load_balancers ? v->load_balancers : e->load_balancers;
	e->load_balancer = v->load_balancer;
	for (uint32_t i = 0; i < v->count; i++) {
		for (uint32_t k = 0; k < f->count; k++) {
			if (rec[k].id != entry[i].server_id)
				continue;
			server[k].share = entry[i].weight;
			server[k].factor = entry[i].factor;
			server[k].bias = entry[i].bias;
		}
	}
}

/* Appends one VIP's state; a VIP or server that makes no sense is left out. */
static void append(const struct source *src, const struct mlb_frame_hdr *f, const struct mlb_server_rec *rec,
		   struct dp_state_vip *vip, struct dp_state_server *out, struct dp_state_hdr *h)
{
	struct dp_state_server server[MLB_MAX_SERVERS_PER_VIP];
	struct dp_state_vip e = of_frame(f), bare = e;
	for (uint32_t i = 0; i < f->count; i++)
		server[i] = of_record(&rec[i]);
	add_vector(src, f, rec, &e, server);
	if (!dp_state_good_vip(&e))
		e = bare;
	if (!dp_state_good_vip(&e))
		return;
	e.first = h->servers;
	for (uint32_t i = 0; i < f->count; i++)
		if ((server[i].flags & MLB_SRV_MEMBER) && dp_state_good_server(&server[i]))
			out[h->servers++] = server[i];
	e.count = h->servers - e.first;
	vip[h->vips++] = e;
}

static void *build(const struct source *src)
{
	const struct mlb_out_hdr *o = (const struct mlb_out_hdr *)src->out;
	if (src->out_len < (int64_t)sizeof(*o) || o->frames > src->region.limits.vips ||
	    o->records > src->region.limits.servers ||
	    sizeof(*o) + o->frames * sizeof(struct mlb_frame_hdr) + o->records * sizeof(struct mlb_server_rec) >
		    (uint64_t)src->out_len)
		return NULL;
	const struct mlb_frame_hdr *f = (const struct mlb_frame_hdr *)(o + 1);
	const struct mlb_server_rec *rec = (const struct mlb_server_rec *)(f + o->frames);
	struct dp_state_server *server = calloc(o->records + 1, sizeof(*server));
	struct dp_state_vip *vip = calloc(o->frames + 1, sizeof(*vip));
	struct dp_state_hdr h = { .magic = DP_STATE_MAGIC };
	uint8_t *state = NULL;
	for (uint32_t i = 0; server && vip && i < o->frames; i++)
		if (f[i].schema == MLB_FRAME_SCHEMA && f[i].record_size == sizeof(*rec) && f[i].first <= o->records &&
		    f[i].count <= o->records - f[i].first && f[i].count <= MLB_MAX_SERVERS_PER_VIP &&
		    h.servers + f[i].count <= o->records)
			append(src, &f[i], rec + f[i].first, vip, server, &h);
	if (h.vips)
		state = malloc(dp_state_size(h.vips, h.servers));
	if (state) {
		memcpy(state, &h, sizeof(h));
		memcpy(dp_state_vips(state), vip, h.vips * sizeof(vip[0]));
		memcpy(dp_state_servers(state), server, h.servers * sizeof(server[0]));
	}
	free(vip);
	free(server);
	return state;
}

void *dp_state_of_region(const char *path)
{
	struct source src = { 0 };
	char err[256];
	if (mlb_region_open_ro(&src.region, path, err) != 0)
		return NULL; /* none, or of another layout: the first order comes with the agent */
	src.out_len = read_block(&src.region, MLB_BLK_OUT, &src.out);
	src.in_len = read_block(&src.region, MLB_BLK_IN, &src.in);
	void *state = build(&src);
	free(src.out);
	free(src.in);
	mlb_region_close(&src.region, false);
	return state;
}
