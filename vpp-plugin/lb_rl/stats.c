/* SPDX-License-Identifier: Apache-2.0 */
/* /lb-rl/... in the stat segment: names, and the integer fields of a frame that are exported as metrics (native/core, fields.h),
 * per VIP by VIP id, per server by slot; a VIP has its servers' sums too. Copied from the frames ten times a second by the main
 * thread, so the packet path pays nothing; sized to the VIP's maximum when it is made, never grown under readers. */
#include <lb_rl/error.h>
#include <lb_rl/stats.h>
#include <marllb/endpoint.h>
#include <marllb/layout_fields.h>
#include <vlib/stats/stats.h>

/* Entries of one VIP id; made once and kept, for entries of a deleted VIP are reused by the next of that id. Those of the VIP:
 * the frame's own fields, then the sums over servers. */
typedef struct {
	u32 *vip, *server;                /* stat segment's entry indices, in the order of the fields below */
	vlib_stats_string_vector_t names; /* of servers, by slot */
	u32 room;                         /* slots that the server entries hold */
	bool shown;
} lb_rl_stats_t;
static lb_rl_stats_t stats[MLB_MAX_VIPS + 1];
static vlib_stats_string_vector_t vip_names; /* by VIP id */
/* What is exported. */
static const struct mlb_field **vip_fields, **server_fields;

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

/* Slots without a server, and VIPs that were removed, report 0. kept: bitmap of slots that have one. */
static void lb_rl_stats_clear(lb_rl_stats_t *s, const u64 *kept)
{
	for (u32 slot = 0; slot < s->room; slot++)
		if (!(kept[slot / 64] >> (slot % 64) & 1))
			for (u32 i = 0; i < vec_len(s->server); i++)
				lb_rl_vector(s->server[i])[slot] = 0;
}

static void lb_rl_stats_none(lb_rl_stats_t *s)
{
	lb_rl_stats_clear(s, (u64[MLB_MAX_SERVERS_PER_VIP / 64]){});
	for (u32 i = 0; i < vec_len(s->vip); i++)
		lb_rl_vector(s->vip[i])[0] = 0;
}

static void lb_rl_stats_one(lb_rl_stats_t *s, lb_rl_vip_t *v)
{
	struct mlb_server_rec *recs;
	struct mlb_frame_hdr h;
	u64 kept[MLB_MAX_SERVERS_PER_VIP / 64] = {};
	u32 own = vec_len(vip_fields);
	int n = lb_rl_frame(v, &h, &recs);

	if (n < 0)
		return;
	for (u32 f = 0; f < own; f++)
		lb_rl_vector(s->vip[f])[0] = lb_rl_value(vip_fields[f], &h);
	for (int i = 0; i < n; i++)
		kept[recs[i].slot / 64] |= 1ULL << (recs[i].slot % 64);
	for (u32 f = 0; f < vec_len(server_fields); f++) {
		counter_t *by_slot = lb_rl_vector(s->server[f]);
		u64 sum = 0;
		for (int i = 0; i < n; i++) {
			u64 value = lb_rl_value(server_fields[f], &recs[i]);
			by_slot[recs[i].slot] = value;
			sum += value;
		}
		lb_rl_vector(s->vip[own + f])[0] = sum;
	}
	lb_rl_stats_clear(s, kept);
}

void lb_rl_stats_update(void)
{
	for (u32 id = 1; id <= MLB_MAX_VIPS; id++) {
		lb_rl_stats_t *s = &stats[id];
		if (lb_rl_main.vip[id].used == LB_RL_VIP_ACTIVE) {
			s->shown = true;
			lb_rl_stats_one(s, &lb_rl_main.vip[id]);
		} else if (s->shown) {
			s->shown = false;
			vlib_stats_set_string_vector(&vip_names, id, "");
			lb_rl_stats_none(s);
		}
	}
}
