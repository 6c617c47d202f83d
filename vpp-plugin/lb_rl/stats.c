/* SPDX-License-Identifier: Apache-2.0 */
/* /lb-rl/... in the stat segment: per VIP by VIP id, per server by slot under the VIP's name. Copied from the frames ten times a
 * second by the main thread, so the packet path pays nothing; sized to the VIP's maximum when it is made, never grown under
 * readers. */
#include <lb_rl/stats.h>
#include <vlib/stats/stats.h>

#define LBRL_VIP_STATS(X) \
	X(flows) X(new_flows) X(packets_in) X(packets_out) X(bytes_in) X(bytes_out) X(misses) X(untracked) X(no_server)
#define LBRL_SERVER_STATS(X) \
	X(flows) X(half_open) X(new_flows) X(completions) X(packets_in) X(packets_out) X(bytes_in) X(bytes_out)

enum {
#define X(n) V_##n,
	LBRL_VIP_STATS(X)
#undef X
		V_COUNT
};
enum {
#define X(n) S_##n,
	LBRL_SERVER_STATS(X)
#undef X
		S_COUNT
};
static const char *const vip_names[V_COUNT] = {
#define X(n) #n,
	LBRL_VIP_STATS(X)
#undef X
};
static const char *const server_names[S_COUNT] = {
#define X(n) #n,
	LBRL_SERVER_STATS(X)
#undef X
};
/* Entry indices; made once per VIP id and kept, for entries of a deleted VIP are reused by the next of that id. */
static u32 vip_entry[MLB_MAX_VIPS + 1][V_COUNT], server_entry[MLB_MAX_VIPS + 1][S_COUNT];
static u32 server_room[MLB_MAX_VIPS + 1];
static u8 made[MLB_MAX_VIPS + 1], shown[MLB_MAX_VIPS + 1];

static counter_t *lbrl_vector(u32 entry)
{
	counter_t **data = vlib_stats_get_entry_data_pointer(entry);
	return data[0];
}

void lbrl_stats_vip(lbrl_vip_t *v)
{
	if (!made[v->id]) {
		made[v->id] = 1;
		for (u32 i = 0; i < V_COUNT; i++)
			vip_entry[v->id][i] = vlib_stats_add_counter_vector("/lb-rl/%u/vip/%s", v->id, vip_names[i]);
		for (u32 i = 0; i < S_COUNT; i++)
			server_entry[v->id][i] = vlib_stats_add_counter_vector("/lb-rl/%u/server/%s", v->id, server_names[i]);
		for (u32 i = 0; i < V_COUNT; i++)
			vlib_stats_validate(vip_entry[v->id][i], 0, 0);
	}
	if (v->capacity > server_room[v->id]) {
		server_room[v->id] = v->capacity;
		for (u32 i = 0; i < S_COUNT; i++)
			vlib_stats_validate(server_entry[v->id][i], 0, v->capacity - 1);
	}
}

int lbrl_frame(const lbrl_vip_t *v, struct mlb_frame_hdr *h, struct mlb_server_rec **recs)
{
	static struct mlb_server_rec *all;

	vec_validate(all, MLB_MAX_SERVERS_PER_VIP - 1);
	*recs = all;
	return mlb_dp_frame(lbrl_main.dp, v->id, h, all, MLB_MAX_SERVERS_PER_VIP);
}

/* Slots without a server, and VIPs that were removed, report 0. */
static void lbrl_stats_clear(u32 id, const u64 *kept)
{
	for (u32 s = 0; s < server_room[id]; s++)
		if (!(kept[s / 64] >> (s % 64) & 1))
			for (u32 i = 0; i < S_COUNT; i++)
				lbrl_vector(server_entry[id][i])[s] = 0;
}

static void lbrl_stats_none(u32 id)
{
	lbrl_stats_clear(id, (u64[MLB_MAX_SERVERS_PER_VIP / 64]){});
	for (u32 i = 0; i < V_COUNT; i++)
		lbrl_vector(vip_entry[id][i])[0] = 0;
}

static void lbrl_stats_one(lbrl_vip_t *v)
{
	struct mlb_server_rec *recs;
	struct mlb_frame_hdr h;
	u64 sum[V_COUNT] = {}, kept[MLB_MAX_SERVERS_PER_VIP / 64] = {};

	int n = lbrl_frame(v, &h, &recs);
	if (n < 0)
		return;
	for (int i = 0; i < n; i++) {
		struct mlb_server_rec *r = &recs[i];
		if (r->slot >= server_room[v->id])
			continue;
		kept[r->slot / 64] |= 1ULL << (r->slot % 64);
#define X(f) lbrl_vector(server_entry[v->id][S_##f])[r->slot] = r->f;
		LBRL_SERVER_STATS(X)
#undef X
		sum[V_flows] += r->flows;
		sum[V_new_flows] += r->new_flows;
		sum[V_packets_in] += r->packets_in;
		sum[V_packets_out] += r->packets_out;
		sum[V_bytes_in] += r->bytes_in;
		sum[V_bytes_out] += r->bytes_out;
	}
	lbrl_stats_clear(v->id, kept);
	sum[V_misses] = h.misses;
	sum[V_untracked] = h.untracked;
	sum[V_no_server] = h.no_server;
	for (u32 i = 0; i < V_COUNT; i++)
		lbrl_vector(vip_entry[v->id][i])[0] = sum[i];
}

void lbrl_stats_update(void)
{
	for (u32 id = 1; id <= MLB_MAX_VIPS; id++)
		if (lbrl_main.vip[id].used == LBRL_VIP_ACTIVE) {
			shown[id] = 1;
			lbrl_stats_one(&lbrl_main.vip[id]);
		} else if (shown[id]) {
			shown[id] = 0;
			lbrl_stats_none(id);
		}
}
