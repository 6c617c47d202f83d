/* SPDX-License-Identifier: Apache-2.0 */
/* /lb-rl/... in the stat segment: names, and the integer fields of a frame that are exported as metrics (native/core, fields.h),
 * per VIP by VIP id, per server by slot; a VIP has its servers' sums too. Copied from the frames ten times a second by the main
 * thread, some servers a step, so the packet path pays nothing and a weight vector does not wait; sized to the VIP's maximum when
 * it is made, never grown under readers. */
#include <lb_rl/error.h>
#include <lb_rl/news.h>
#include <lb_rl/stats.h>
#include <marllb/endpoint.h>
#include <marllb/layout_fields.h>
#include <vlib/stats/stats.h>

/* Entries of one VIP id; made once and kept, for entries of a deleted VIP are reused by the next of that id. Those of the VIP:
 * the frame's own fields, then the sums over servers. */
typedef struct {
	u32 *vip, *server;                     /* stat segment's entry indices, in the order of the fields below */
	vlib_stats_string_vector_t names;      /* of servers, by slot */
	u32 room;                              /* slots that the server entries hold */
	u64 had[MLB_MAX_SERVERS_PER_VIP / 64]; /* slots that report a server */
	bool shown;
} lb_rl_stats_t;
static lb_rl_stats_t stats[MLB_MAX_VIPS + 1];
static vlib_stats_string_vector_t vip_names; /* by VIP id */
/* What is exported. */
static const struct mlb_field **vip_fields, **server_fields;

#define LB_RL_STATS_SLICE 64 /* servers copied in one step */

/* Where the copying stands: the VIP and its record that are next; of that VIP so far. A frame that comes meanwhile is taken from
 * there on, so a VIP's sums may be of two. */
static struct {
	u32 vip, at;
	u64 has[MLB_MAX_SERVERS_PER_VIP / 64];
	u64 *sum; /* vector by field */
} walk;

static const struct mlb_field **lb_rl_exported(const struct mlb_field *all, u32 n)
{
	const struct mlb_field **out = 0;

	for (u32 i = 0; i < n; i++) {
		const struct mlb_field *f = &all[i];
		if (f->metric[0] && f->count == 1 && (f->kind == MLB_FIELD_U32 || f->kind == MLB_FIELD_U64))
			vec_add1(out, f);
	}
	return out;
}

static u64 lb_rl_value(const struct mlb_field *f, const void *of)
{
	const u8 *at = (const u8 *)of + f->offset;
	return f->kind == MLB_FIELD_U32 ? *(const u32 *)at : *(const u64 *)at;
}

static counter_t *lb_rl_vector(u32 entry)
{
	counter_t **data = vlib_stats_get_entry_data_pointer(entry);
	return data[0];
}

static u32 lb_rl_entry(u32 id, const char *of, const struct mlb_field *f)
{
	return vlib_stats_add_counter_vector("/lb-rl/%u/%s/%s", id, of, f->name);
}

static void lb_rl_stats_fields(void)
{
	if (vip_fields)
		return;
	vip_fields = lb_rl_exported(mlb_frame_fields, mlb_frame_field_count);
	server_fields = lb_rl_exported(mlb_server_fields, mlb_server_field_count);
	vip_names = vlib_stats_add_string_vector("/lb-rl/names");
}

#define LB_RL_STATS_SPARE (1 << 20) /* left for others: interfaces that come, nodes' errors */

bool lb_rl_stats_fit(u32 capacity, char err[MLB_ERR_LEN])
{
	const vlib_stats_segment_t *sm = vlib_stats_get_segment();
	clib_mem_usage_t usage;

	lb_rl_stats_fields();
	u64 entries = vec_len(vip_fields) + 2 * vec_len(server_fields) + 1, overhead = 2 * CLIB_CACHE_LINE_BYTES;
	u64 names = (u64)capacity * (MLB_ENDPOINT_LEN + overhead);
	u64 counters = vec_len(server_fields) * (u64)capacity * sizeof(counter_t) + entries * 2 * overhead;
	/* The directory is one vector, which is copied when it grows. */
	u64 directory = 2 * (vec_len(sm->directory_vector) + entries) * sizeof(vlib_stats_entry_t);
	u64 need = counters + names + directory + LB_RL_STATS_SPARE;
	clib_mem_get_heap_usage(sm->heap, &usage);
	if (need <= usage.bytes_free)
		return true;
	lb_rl_fail(err, 0,
		   "the stat segment has %llu KB left, a VIP with room for %u servers needs %llu: `max-servers` lower, or "
		   "statseg { size 256M } in startup.conf",
		   (u64)usage.bytes_free >> 10, capacity, need >> 10);
	return false;
}

void lb_rl_stats_vip(lb_rl_vip_t *v)
{
	lb_rl_stats_t *s = &stats[v->id];

	lb_rl_stats_fields();
	if (!s->vip) {
		s->names = vlib_stats_add_string_vector("/lb-rl/%u/server/names", v->id);
		for (u32 i = 0; i < vec_len(vip_fields); i++)
			vec_add1(s->vip, lb_rl_entry(v->id, "vip", vip_fields[i]));
		for (u32 i = 0; i < vec_len(server_fields); i++) {
			vec_add1(s->vip, lb_rl_entry(v->id, "vip", server_fields[i]));
			vec_add1(s->server, lb_rl_entry(v->id, "server", server_fields[i]));
		}
		for (u32 i = 0; i < vec_len(s->vip); i++)
			vlib_stats_validate(s->vip[i], 0, 0);
	}
	if (v->capacity > s->room) {
		s->room = v->capacity;
		for (u32 i = 0; i < vec_len(s->server); i++)
			vlib_stats_validate(s->server[i], 0, v->capacity - 1);
	}
	vlib_stats_set_string_vector(&vip_names, v->id, "%s", v->name);
	lb_rl_news_begin(v);
}

void lb_rl_stats_server(const lb_rl_vip_t *v, u32 slot, const struct mlb_endpoint *ep)
{
	char text[MLB_ENDPOINT_LEN];

	if (ep)
		vlib_stats_set_string_vector(&stats[v->id].names, slot, "%s",
					     ep->port ? mlb_endpoint_text(ep, text) : mlb_addr_text(&ep->addr, text));
	else
		vlib_stats_set_string_vector(&stats[v->id].names, slot, "");
}

int lb_rl_frame(const lb_rl_vip_t *v, struct mlb_frame_hdr *h, struct mlb_server_rec **recs)
{
	static struct mlb_server_rec *all;

	vec_validate(all, MLB_MAX_SERVERS_PER_VIP - 1);
	*recs = all;
	return mlb_dp_frame(lb_rl_main.dp, v->id, h, all, MLB_MAX_SERVERS_PER_VIP);
}

static void lb_rl_stats_slot(lb_rl_stats_t *s, u32 slot, const struct mlb_server_rec *r)
{
	for (u32 f = 0; f < vec_len(server_fields); f++) {
		u64 value = r ? lb_rl_value(server_fields[f], r) : 0;
		lb_rl_vector(s->server[f])[slot] = value;
		walk.sum[f] += value;
	}
}

/* The VIP's own, once all its servers are copied. Slots whose server left report 0. */
static void lb_rl_stats_end(lb_rl_stats_t *s, const struct mlb_frame_hdr *h)
{
	u32 own = vec_len(vip_fields);

	for (u32 i = 0; i < ARRAY_LEN(s->had); i++) {
		for (u64 gone = s->had[i] & ~walk.has[i]; gone; gone &= gone - 1)
			lb_rl_stats_slot(s, 64 * i + count_trailing_zeros(gone), 0);
		s->had[i] = walk.has[i];
	}
	for (u32 f = 0; f < own; f++)
		lb_rl_vector(s->vip[f])[0] = h ? lb_rl_value(vip_fields[f], h) : 0;
	for (u32 f = 0; f < vec_len(server_fields); f++)
		lb_rl_vector(s->vip[own + f])[0] = walk.sum[f];
}

/* From its next server on. False: there are more than *left. */
static bool lb_rl_stats_one(lb_rl_stats_t *s, const lb_rl_vip_t *v, u32 *left)
{
	const struct mlb_frame_hdr *h;
	const struct mlb_server_rec *r;
	int n = mlb_dp_frame_at(lb_rl_main.dp, v->id, &h, &r);

	for (; (int)walk.at < n; walk.at++, --*left) {
		u32 slot = r[walk.at].slot;
		if (!*left)
			return false;
		walk.has[slot / 64] |= 1ULL << slot % 64;
		s->had[slot / 64] |= 1ULL << slot % 64;
		lb_rl_stats_slot(s, slot, &r[walk.at]);
		lb_rl_news_server(v, &r[walk.at]);
	}
	if (n >= 0) {
		lb_rl_stats_end(s, h);
		lb_rl_news_vip(v, h);
	}
	return true;
}

static void lb_rl_stats_at(u32 vip)
{
	walk.vip = vip;
	walk.at = 0;
	clib_memset(walk.has, 0, sizeof(walk.has));
	vec_zero(walk.sum);
}

bool lb_rl_stats_step(void)
{
	u32 left = LB_RL_STATS_SLICE;

	for (; walk.vip <= lb_rl_main.limits.vips; lb_rl_stats_at(walk.vip + 1)) {
		lb_rl_stats_t *s = &stats[walk.vip];
		const lb_rl_vip_t *v = &lb_rl_main.vip[walk.vip];
		if (v->used == LB_RL_VIP_ACTIVE) {
			s->shown = true;
			if (!lb_rl_stats_one(s, v, &left))
				return false;
		} else if (s->shown) {
			s->shown = false;
			vlib_stats_set_string_vector(&vip_names, walk.vip, "");
			lb_rl_stats_at(walk.vip);
			lb_rl_stats_end(s, 0);
		}
	}
	return true;
}

void lb_rl_stats_begin(void)
{
	lb_rl_stats_fields();
	vec_validate(walk.sum, vec_len(server_fields) - 1);
	lb_rl_stats_at(1);
}

void lb_rl_stats_all(void)
{
	lb_rl_stats_begin();
	while (!lb_rl_stats_step())
		;
}
