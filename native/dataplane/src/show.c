/* SPDX-License-Identifier: Apache-2.0 */
#include "show.h"

#include <ctype.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <marllb/endpoint.h>
#include <marllb/layout_fields.h>
#include "workers.h"

static struct mlbd_vip *next_vip(struct mlbd_host *h, struct mlbd_vip *v)
{
	for (v = v ? v + 1 : h->vip; v < h->vip + MLB_MAX_VIPS; v++)
		if (v->used)
			return v;
	return NULL;
}

/* Config: lines that make the same data plane when read back. */

static void show_config(struct mlbd_host *h, bool json, struct mlbd_text *t)
{
	struct mlbd_plan *plan = malloc(sizeof(*plan));
	struct mlbd_text lines = { 0 };

	if (!plan || mlbd_host_plan(h, plan)) {
		free(plan);
		t->failed = true;
		return;
	}
	mlbd_plan_print(plan, &lines);
	mlbd_plan_free(plan);
	free(plan);
	t->failed |= lines.failed; /* a part of it must not look like the whole: a takeover would take it for the truth */
	if (!json) {
		mlbd_text_add(t, "%s", lines.s ? lines.s : "");
	} else {
		char *save, *line = lines.s ? strtok_r(lines.s, "\n", &save) : NULL;

		mlbd_text_add(t, "{\"config\":[");
		for (bool first = true; line; line = strtok_r(NULL, "\n", &save), first = false) {
			mlbd_text_add(t, "%s", first ? "" : ",");
			mlbd_text_json(t, line);
		}
		mlbd_text_add(t, "]}\n");
	}
	mlbd_text_free(&lines);
}

/* Servers: the list as it is now, with limits; what the directive says of them from the newest frame. */

static void flag_names(uint32_t flags, bool json, struct mlbd_text *t)
{
	const char *comma = "";

	for (const struct mlb_word *w = mlb_server_flag_words; w->word; w++)
		if (w->value != MLB_SRV_MEMBER && (flags & (uint32_t)w->value)) {
			mlbd_text_add(t, json ? "%s\"%s\"" : " %.0s%s", comma, w->word);
			comma = ",";
		}
}

static const struct mlb_server_rec *record_of(const struct mlb_server_rec *rec, int n, uint32_t id)
{
	static const struct mlb_server_rec young = { .factor = 1 }; /* younger than the frame */

	for (int i = 0; i < n; i++)
		if (rec[i].id == id)
			return &rec[i];
	return &young;
}

static void show_servers(struct mlbd_host *h, bool json, struct mlbd_text *t)
{
	struct mlb_server_rec *rec = malloc(MLB_MAX_SERVERS_PER_VIP * sizeof(*rec));
	struct mlb_frame_hdr f;
	const char *comma = "";
	char ep[MLB_ENDPOINT_LEN];

	if (!rec) {
		t->failed = true;
		return;
	}
	mlbd_text_add(t, json ? "{\"servers\":[" : "");
	for (struct mlbd_vip *v = next_vip(h, NULL); v; v = next_vip(h, v)) {
		int n = mlb_dp_frame(h->dp, v->id, &f, rec, MLB_MAX_SERVERS_PER_VIP);

		for (uint32_t i = 0; i < v->conf.capacity; i++) {
			const struct mlb_server *s = mlb_dp_server_at(h->dp, v->id, i);
			const struct mlb_server_rec *r = s ? record_of(rec, n, s->id) : NULL;

			if (!s || !(s->flags & (MLB_SRV_MEMBER | MLB_SRV_LEAVING)))
				continue;
			mlb_endpoint_text(&s->ep, ep);
			mlbd_text_add(t,
				      json ? "%s{\"vip\":\"%s\",\"address\":\"%s\",\"id\":%u,\"slot\":%u,\"weight\":%.9g,"
					     "\"factor\":%.9g,\"connections\":%u,"
					     "\"previous\":%u,\"maxConnections\":%u,\"flags\":[" :
					     "%.0svip %s server %s id %u slot %u weight %g factor %g connections %u previous %u "
					     "max-connections %u",
				      comma, v->conf.name, ep, s->id, i, (double)s->weight_static, (double)r->factor,
				      MLB_LD(v->slot[i].conns), MLB_LD(v->slot[i].previous), MLB_LD(v->slot[i].max_conns));
			flag_names(s->flags | (r->flags & (MLB_SRV_EJECTED | MLB_SRV_PROBING | MLB_SRV_GUARDED)), json, t);
			mlbd_text_add(t, json ? "]}" : "\n");
			comma = ",";
		}
	}
	mlbd_text_add(t, json ? "]}\n" : "");
	free(rec);
}

/* Stats and weights: from the newest frame. */

/* Every counter of a server's record, by its row in fields.h: as "newFlows" in JSON, as "new-flows" in text. */
static void stats_counters(const struct mlb_server_rec *r, bool json, struct mlbd_text *t)
{
	for (uint32_t i = 0; i < mlb_server_field_count; i++) {
		const struct mlb_field *f = &mlb_server_fields[i];
		char name[48];
		uint32_t n = 0;

		if (f->role != MLB_ROLE_COUNTER)
			continue;
		for (const char *c = f->name; *c && n + 1 < sizeof(name); c++)
			if (*c != '_')
				name[n++] = *c;
			else if (!json)
				name[n++] = '-';
			else if (c[1])
				name[n++] = (char)toupper((unsigned char)*++c);
		name[n] = 0;
		mlbd_text_add(t, json ? ",\"%s\":%.0f" : " %s %.0f", name, mlb_field_value(f, r));
	}
}

static void stats_server(const struct mlb_server_rec *r, bool json, const char *comma, struct mlbd_text *t)
{
	struct mlb_endpoint e = { .addr = r->addr, .port = r->port };
	char ep[MLB_ENDPOINT_LEN];

	mlb_endpoint_text(&e, ep);
	if (json)
		mlbd_text_add(
			t, "%s{\"id\":%u,\"slot\":%u,\"address\":\"%s\",\"flows\":%u,\"waiting\":%u,\"weight\":%.9g,\"flags\":[",
			comma, r->id, r->slot, ep, r->flows, r->waiting, (double)r->weight);
	else
		mlbd_text_add(t, "  server %s flows %u waiting %u", ep, r->flows, r->waiting);
	flag_names(r->flags, json, t);
	mlbd_text_add(t, json ? "]" : "");
	stats_counters(r, json, t);
	if (json)
		mlbd_text_add(t, ",\"ttfbMeanUs\":%.9g,\"connectMeanUs\":%.9g}", (double)r->ttfb.mean, (double)r->connect.mean);
	else
		mlbd_text_add(t, "\n");
}

static void stats_vip(const struct mlbd_vip *v, const struct mlb_frame_hdr *f, const struct mlb_server_rec *rec, int n, bool json,
		      struct mlbd_text *t)
{
	char ep[MLB_ENDPOINT_LEN];

	mlb_endpoint_text(&v->conf.ep, ep);
	if (json)
		mlbd_text_add(t, "{\"name\":\"%s\",\"id\":%u,\"address\":\"%s\",\"mode\":\"%s\",\"ladder\":\"%s\",", v->conf.name,
			      v->id, ep, mlb_mode_name(f->mode), mlb_ladder_name(f->ladder));
	else
		mlbd_text_add(t, "vip %s %s mode %s weights from %s", v->conf.name, ep, mlb_mode_name(f->mode),
			      mlb_ladder_name(f->ladder));
	mlbd_text_add(t,
		      json ? "\"frame\":%" PRIu64 ",\"generation\":%u,\"connections\":%" PRIu64 ",\"acceptErrors\":%" PRIu64
			     ",\"noServer\":%" PRIu64 ",\"failed\":%" PRIu64 ",\"limited\":%" PRIu64 ",\"retries\":%" PRIu64
			     ",\"recountDiff\":%" PRIu64 ",\"localEditsRefused\":%" PRIu64 ",\"badProxyHeaders\":%" PRIu64
			     ",\"datagramsLost\":%" PRIu64 ",\"servers\":[" :
			     " frame %" PRIu64 " generation %u connections %" PRIu64 " accept-errors %" PRIu64
			     " no-server %" PRIu64 " failed %" PRIu64 " limited %" PRIu64 " retries %" PRIu64
			     " recount-diff %" PRIu64 " local-edits-refused %" PRIu64 " bad-proxy-headers %" PRIu64
			     " datagrams-lost %" PRIu64 "\n",
		      f->seq, f->generation, f->connections, f->accept_errors, f->no_server, f->failed, f->limited, f->retries,
		      f->recount_diff, f->local_edits_refused, MLB_LD(v->bad_proxy_headers), f->datagrams_lost);
	for (int i = 0; i < n; i++)
		stats_server(&rec[i], json, i ? "," : "", t);
	mlbd_text_add(t, json ? "]}" : "");
}

static void weights_vip(const struct mlbd_vip *v, const struct mlb_frame_hdr *f, const struct mlb_server_rec *rec, int n,
			bool json, struct mlbd_text *t)
{
	char ep[MLB_ENDPOINT_LEN];

	mlbd_text_add(
		t, json ? "{\"name\":\"%s\",\"mode\":\"%s\",\"ladder\":\"%s\",\"servers\":[" : "vip %s mode %s weights from %s\n",
		v->conf.name, mlb_mode_name(f->mode), mlb_ladder_name(f->ladder));
	for (int i = 0; i < n; i++) {
		struct mlb_endpoint e = { .addr = rec[i].addr, .port = rec[i].port };

		mlbd_text_add(
			t,
			json ? "%s{\"address\":\"%s\",\"id\":%u,\"static\":%.9g,\"weight\":%.9g,\"factor\":%.9g,\"bias\":%.9g}" :
			       "%s  server %s id %u static %g weight %.5f factor %g bias %g\n",
			json && i ? "," : "", mlb_endpoint_text(&e, ep), rec[i].id, (double)rec[i].weight_static,
			(double)rec[i].weight, (double)rec[i].factor, (double)rec[i].bias);
	}
	mlbd_text_add(t, json ? "]}" : "");
}

static void show_frames(struct mlbd_host *h, bool weights, bool json, struct mlbd_text *t)
{
	struct mlb_server_rec *rec = malloc(MLB_MAX_SERVERS_PER_VIP * sizeof(*rec));
	const char *comma = "";

	if (!rec) {
		t->failed = true;
		return;
	}
	if (json)
		mlbd_text_add(t,
			      "{\"connections\":%" PRIu64 ",\"handedOver\":%s,\"logLinesLost\":%" PRIu64
			      ",\"logLinesLeftOut\":%" PRIu64 ",\"vips\":[",
			      mlbd_workers_conns(h), h->handed_over ? "true" : "false", mlbd_log_lost(), MLB_LD(h->left_out));
	else if (!weights)
		mlbd_text_add(
			t, "connections %" PRIu64 " handed-over %s log-lines-lost %" PRIu64 " log-lines-left-out %" PRIu64 "\n",
			mlbd_workers_conns(h), h->handed_over ? "yes" : "no", mlbd_log_lost(), MLB_LD(h->left_out));
	for (struct mlbd_vip *v = next_vip(h, NULL); v; v = next_vip(h, v)) {
		struct mlb_frame_hdr f;
		int n = mlb_dp_frame(h->dp, v->id, &f, rec, MLB_MAX_SERVERS_PER_VIP);

		if (n < 0) { /* too young for a frame */
			memset(&f, 0, sizeof(f));
			f.mode = v->conf.mode;
			f.ladder = MLB_LADDER_STATIC_DP;
			n = 0;
		}
		mlbd_text_add(t, "%s", json ? comma : "");
		(weights ? weights_vip : stats_vip)(v, &f, rec, n, json, t);
		comma = ",";
	}
	mlbd_text_add(t, json ? "]}\n" : "");
	free(rec);
}

/* Flows: from the workers' own tables. */

static void flow(struct mlbd_host *h, const struct mlbd_flow_row *r, bool json, const char *comma, struct mlbd_text *t)
{
	const struct mlb_server *s = mlb_dp_server_at(h->dp, r->vip, r->slot);
	const char *state = r->connecting ? "connecting" : r->waiting ? "waiting" : "open";
	char client[MLB_ENDPOINT_LEN], server[MLB_ENDPOINT_LEN];

	mlb_endpoint_text(&r->client, client);
	/* The flow may have ended since and its slot have a new server. */
	if (s && s->id == r->server_id)
		mlb_endpoint_text(&s->ep, server);
	else
		strcpy(server, "-");
	mlbd_text_add(t,
		      json ? "%s{\"vip\":\"%s\",\"client\":\"%s\",\"server\":\"%s\",\"serverId\":%u,\"state\":\"%s\","
			     "\"ageMs\":%" PRIu64 ",\"idleMs\":%" PRIu64 ",\"worker\":%u}" :
			     "%svip %s client %s server %s id %u %s age %" PRIu64 "ms idle %" PRIu64 "ms worker %u\n",
		      comma, h->vip[r->vip - 1].conf.name, client, server, r->server_id, state, r->age_us / 1000,
		      r->idle_us / 1000, r->worker);
}

void mlbd_show_flows(struct mlbd_host *h, uint32_t vip, const struct mlbd_flow_pick *pick, bool json, struct mlbd_text *t)
{
	struct mlbd_flow_list list = { .pick = pick, .vip = vip };

	mlbd_text_add(t, json ? "{\"flows\":[" : "");
	for (uint32_t i = 0; i < h->threads; i++)
		mlbd_workers_ask(&h->worker[i], &(struct mlbd_mail){ .kind = MLBD_MAIL_FLOWS, .flows = &list });
	for (uint32_t k = 0; k < list.count; k++)
		flow(h, &list.row[k], json, json && k ? "," : "", t);
	if (json)
		mlbd_text_add(t, "],\"total\":%" PRIu64 "}\n", list.total);
	else
		mlbd_text_add(t, "%" PRIu64 " flows, %u shown\n", list.total, list.count);
	free(list.row);
}

void mlbd_show_answer(struct mlbd_host *h, enum mlbd_show what, bool json, struct mlbd_text *t)
{
	switch (what) {
	case MLBD_SHOW_CONFIG: show_config(h, json, t); break;
	case MLBD_SHOW_SERVERS: show_servers(h, json, t); break;
	default: show_frames(h, what == MLBD_SHOW_WEIGHTS, json, t);
	}
}

void mlbd_show_ready(struct mlbd_host *h, struct mlbd_text *t)
{
	const char *control, *comma = "";
	char addr[MLB_ENDPOINT_LEN], path[216];

	mlbd_text_add(t, "{\"ready\":true,\"pid\":%d,\"instance\":", (int)getpid());
	mlbd_text_json(t, h->settings.instance);
	mlbd_text_add(t, ",\"threads\":%u,\"shm\":", h->threads);
	if (strcmp(h->settings.region, "off") == 0)
		mlbd_text_add(t, "null");
	else
		mlbd_text_json(t, h->settings.region);
	mlbd_text_add(t, ",\"control\":");
	control = mlbd_control_path(&h->settings, path);
	if (control)
		mlbd_text_json(t, control);
	else
		mlbd_text_add(t, "null");
	mlbd_text_add(t, ",\"vips\":[");
	for (struct mlbd_vip *v = next_vip(h, NULL); v; v = next_vip(h, v)) {
		mlbd_text_add(t, "%s{\"name\":\"%s\",\"id\":%u,\"address\":\"%s\",\"port\":%u}", comma, v->conf.name, v->id,
			      mlb_addr_text(&v->conf.ep.addr, addr), v->conf.ep.port);
		comma = ",";
	}
	mlbd_text_add(t, "]}\n");
}
