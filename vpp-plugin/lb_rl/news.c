/* SPDX-License-Identifier: Apache-2.0 */
#include <lb_rl/log.h>
#include <lb_rl/news.h>
#include <marllb/endpoint.h>
#include <marllb/vocab.h>

/* What was said last. The log begins with a VIP's state of nothing out, weights of its own, tables with room. */
typedef struct {
	u32 *out; /* vector by slot: id of the server that is put out; 0: none */
	u64 untracked, full_seq;
	u8 ladder, full;
} lb_rl_news_t;
static lb_rl_news_t news[MLB_MAX_VIPS + 1];

#define LB_RL_ROOM_FRAMES 100 /* without a flow that found no room, until the next one is news again: ten seconds */

void lb_rl_news_begin(const lb_rl_vip_t *v)
{
	lb_rl_news_t *n = &news[v->id];

	vec_validate(n->out, v->capacity - 1);
	vec_zero(n->out);
	n->untracked = n->full_seq = n->full = 0;
	n->ladder = MLB_LADDER_STATIC_DP;
}

void lb_rl_news_server(const lb_rl_vip_t *v, const struct mlb_server_rec *r)
{
	u32 *out = vec_elt_at_index(news[v->id].out, r->slot), is = r->flags & MLB_SRV_EJECTED ? r->id : 0;
	const struct mlb_endpoint ep = { .addr = r->addr, .port = r->port };
	char text[MLB_ENDPOINT_LEN];

	if (*out == is)
		return;
	/* Another server in the slot of one that left while it was out: nobody came back. */
	if (is || *out == r->id)
		lb_rl_log_warn("VIP %s: server %s %s", v->name,
			       ep.port ? mlb_endpoint_text(&ep, text) : mlb_addr_text(&ep.addr, text),
			       is ? "does not answer as others do: it is ejected, no new flows" : "takes new flows again");
	*out = is;
}

void lb_rl_news_vip(const lb_rl_vip_t *v, const struct mlb_frame_hdr *h)
{
	lb_rl_news_t *n = &news[v->id];

	if (h->ladder != n->ladder)
		lb_rl_log_warn("VIP %s: weights are from %s, they were from %s%s", v->name, mlb_ladder_name(h->ladder),
			       mlb_ladder_name(n->ladder),
			       h->ladder == MLB_LADDER_STATIC_DP ? ": the agent has been silent for longer than its lease" : "");
	n->ladder = h->ladder;
	if (h->untracked != n->untracked) {
		if (!n->full)
			lb_rl_log_warn("VIP %s: a flow table is full: new flows are placed by the ring, unremembered", v->name);
		n->full = 1;
		n->full_seq = h->seq;
	} else if (n->full && h->seq - n->full_seq > LB_RL_ROOM_FRAMES) {
		lb_rl_log_notice("VIP %s: the flow tables have room again", v->name);
		n->full = 0;
	}
	n->untracked = h->untracked;
}
