/* SPDX-License-Identifier: Apache-2.0 */
/* The servers of a scenario file and how far away they are. */
#include <stdlib.h>
#include "scenario_read.h"

const char *const sim_servers_keys[] = { "count", "cores", "speed", "weight", "rtt_ms", "join_s", NULL };
const char *const sim_rtt_keys[] = { "least", "most", "each", NULL };

/* A list of one RTT for each load balancer. */
static void read_pairs(struct read_ctx *c, const struct json *j, uint32_t first, uint32_t count)
{
	struct sim_scenario *sc = c->sc;
	uint32_t i = 0;

	if (j->count != sc->lbs) {
		read_fail(c, j, "rtt_ms: expected %u numbers, one for each load balancer, found %u", sc->lbs, j->count);
		return;
	}
	if (!sc->pair_rtt_s)
		sc->pair_rtt_s = calloc((size_t)MLB_MAX_SERVERS_PER_VIP * sc->lbs, sizeof(double));
	if (!sc->pair_rtt_s) {
		read_fail(c, j, "out of memory");
		return;
	}
	for (const struct json *k = j->child; k; k = k->next, i++) {
		if (k->kind != JSON_NUMBER || !(k->number >= .001 && k->number <= 1e5)) {
			read_fail(c, k, "rtt_ms: expected numbers from 0.001 to 100000");
			return;
		}
		for (uint32_t s = first; s < first + count; s++)
			sc->pair_rtt_s[(size_t)s * sc->lbs + i] = k->number * 1e-3;
	}
}

static void add_servers(struct read_ctx *c, const struct json *k)
{
	struct sim_scenario *sc = c->sc;
	struct sim_server_conf s = { .speed = 1 };
	const struct json *rtt = json_get(k, "rtt_ms");
	uint32_t count = 1;

	read_need(c, k, "servers", "cores");
	read_whole(c, k, "count", 1, MLB_MAX_SERVERS_PER_VIP, &count);
	read_number(c, k, "cores", .01, 1024, &s.cores);
	read_number(c, k, "speed", 1e-3, 1e3, &s.speed);
	s.weight = s.cores * s.speed;
	read_number(c, k, "weight", 1e-6, 1e6, &s.weight);
	if (!rtt || rtt->kind != JSON_ARRAY)
		read_scaled(c, k, "rtt_ms", .001, 1e5, 1e-3, &s.rtt_s); /* not 0, which stands for the scenario's */
	read_number(c, k, "join_s", 0, TIME_MAX, &s.join_s);
	if (!c->failed && sc->n && s.join_s < sc->server[sc->n - 1].join_s)
		read_fail(c, k, "servers: those that join later must come last, in the order of joining");
	if (!c->failed && sc->n + count > MLB_MAX_SERVERS_PER_VIP)
		read_fail(c, k, "servers: more than %u", MLB_MAX_SERVERS_PER_VIP);
	if (!c->failed && rtt && rtt->kind == JSON_ARRAY)
		read_pairs(c, rtt, sc->n, count);
	if (c->failed)
		return;
	struct sim_server_conf *more = realloc(sc->server, (sc->n + count) * sizeof(*more));
	if (!more) {
		read_fail(c, k, "out of memory");
		return;
	}
	sc->server = more;
	while (count--)
		sc->server[sc->n++] = s;
}

void sim_read_servers(struct read_ctx *c, const struct json *o)
{
	const struct json *j = json_get(o, "servers");

	if (c->failed)
		return;
	if (j->kind != JSON_ARRAY || !j->count) {
		read_fail(c, j, "servers: expected an array of at least one");
		return;
	}
	for (const struct json *k = j->child; k && read_object(c, k, "servers", sim_servers_keys); k = k->next)
		add_servers(c, k);
	if (!c->failed && c->sc->server[0].join_s > 0)
		read_fail(c, j, "servers: at least one must be there from the start");
}

void sim_read_rtt(struct read_ctx *c, const struct json *o)
{
	static const char *const each[] = { "server", "pair", NULL };
	struct sim_scenario *sc = c->sc;
	const struct json *j = json_get(o, "rtt_ms");

	if (!j || j->kind != JSON_OBJECT) {
		read_scaled(c, o, "rtt_ms", 0, 1e5, 1e-3, &sc->rtt_s);
		return;
	}
	if (!read_object(c, j, "rtt_ms", sim_rtt_keys))
		return;
	read_need(c, j, "rtt_ms", "least");
	read_need(c, j, "rtt_ms", "most");
	read_scaled(c, j, "least", .001, 1e5, 1e-3, &sc->rtt_spread_lo_s);
	read_scaled(c, j, "most", .001, 1e5, 1e-3, &sc->rtt_spread_hi_s);
	sc->rtt_of_pair = read_one_of(c, j, "each", each) == 1;
	if (!c->failed && sc->rtt_spread_lo_s > sc->rtt_spread_hi_s)
		read_fail(c, j, "rtt_ms: least is greater than most");
}
