/* SPDX-License-Identifier: Apache-2.0 */
#include "scenario_json.h"
#include "scenario_read.h"
#include "world_parts.h"
#include <errno.h>
#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SLOTS_MAX 2e7 /* of all servers together */

static const char *const top_keys[] = { "$schema",    "name",       "description", "seeds",     "load_balancers", "duration_s",
					"warmup_s",   "tick_ms",    "servers",     "server",    "load",           "rate_per_s",
					"sizes",      "vips",       "arrivals",    "shares",    "rtt_ms",         "one_way_ms",
					"noisy",      "hang",       "stalls",      "slowdowns", "absences",       "slow_start_s",
					"faults",     "failure_ms", "sessions",    "gossip",    "timeout_s",      "told",
					"strategies", NULL };
static const char *const server_keys[] = { "discipline", "slots", "backlog", "refusal", NULL };
static const char *const sizes_keys[] = { "kind", "mean_ms", "heavy_share", "heavy_ratio", "alpha", "sigma", NULL };
static const char *const vips_keys[] = { "share", "sizes", NULL };
static const char *const sessions_keys[] = { "requests", "requests_sigma", "think_s", "think_sigma", "load", NULL };
static const char *const gossip_keys[] = { "period_ms", "delay_ms", "lost", NULL };
static const char *const one_way_keys[] = { "least", "most", NULL };
static const char *const told_keys[] = { "load_balancers", "number", "weights", "sigma", NULL };

const struct sim_scenario_keys sim_scenario_keys[] = {
	{ "", top_keys },
	{ "servers", sim_servers_keys },
	{ "server", server_keys },
	{ "sizes", sizes_keys },
	{ "vips", vips_keys },
	{ "arrivals", sim_arrivals_keys },
	{ "sine", sim_sine_keys },
	{ "steps", sim_steps_keys },
	{ "rtt_ms", sim_rtt_keys },
	{ "one_way_ms", one_way_keys },
	{ "noisy", sim_noisy_keys },
	{ "hang", sim_hang_keys },
	{ "stalls", sim_stalls_keys },
	{ "slowdowns", sim_slowdowns_keys },
	{ "absences", sim_absences_keys },
	{ "faults", sim_faults_keys },
	{ "sessions", sessions_keys },
	{ "gossip", gossip_keys },
	{ "told", told_keys },
	{ NULL, NULL },
};

static void read_sizes(struct read_ctx *c, const struct json *j, struct sim_sizes *s)
{
	static const char *const kinds[] = { "exponential", "bimodal", "pareto", "lognormal", "constant", NULL };

	if (!read_object(c, j, "sizes", sizes_keys))
		return;
	read_need(c, j, "sizes", "kind");
	read_need(c, j, "sizes", "mean_ms");
	s->kind = (enum sim_size_kind)read_one_of(c, j, "kind", kinds);
	read_scaled(c, j, "mean_ms", 1e-3, 1e6, 1e-3, &s->mean_s);
	read_number(c, j, "heavy_share", 1e-6, .999999, &s->heavy_share);
	read_number(c, j, "heavy_ratio", 1, 1e6, &s->heavy_ratio);
	read_number(c, j, "alpha", 1.01, 20, &s->alpha);
	read_number(c, j, "sigma", 0, 4, &s->sigma);
	if (s->kind == SIM_SIZE_BIMODAL)
		read_need(c, j, "sizes of kind bimodal", "heavy_share");
	if (s->kind == SIM_SIZE_PARETO)
		read_need(c, j, "sizes of kind pareto", "alpha");
	if (s->kind == SIM_SIZE_LOGNORMAL)
		read_need(c, j, "sizes of kind lognormal", "sigma");
}

static void read_vips(struct read_ctx *c, const struct json *j)
{
	uint32_t v = 0;
	double sum = 0;

	if (j->kind != JSON_ARRAY || j->count < 1 || j->count > SIM_VIPS_MAX) {
		read_fail(c, j, "vips: expected an array of 1 to %u", SIM_VIPS_MAX);
		return;
	}
	for (const struct json *k = j->child; k && read_object(c, k, "vips", vips_keys); k = k->next, v++) {
		read_need(c, k, "vips", "share");
		read_need(c, k, "vips", "sizes");
		read_number(c, k, "share", 1e-6, 1, &c->sc->vip[v].share);
		sum += c->sc->vip[v].share;
		if (!c->failed)
			read_sizes(c, json_get(k, "sizes"), &c->sc->vip[v].sizes);
	}
	if (!c->failed && fabs(sum - 1) > 1e-6)
		read_fail(c, j, "vips: the shares sum to %g, expected 1", sum);
	c->sc->vips = j->count;
}

static void read_sessions(struct read_ctx *c, const struct json *o)
{
	static const char *const loads[] = { "waiting", "flows", NULL };
	struct sim_scenario *sc = c->sc;
	const struct json *j = json_get(o, "sessions");

	if (!j || !read_object(c, j, "sessions", sessions_keys))
		return;
	read_need(c, j, "sessions", "requests");
	read_need(c, j, "sessions", "think_s");
	read_whole(c, j, "requests", 2, 1e6, &sc->requests);
	read_number(c, j, "requests_sigma", .001, 3, &sc->requests_sigma);
	read_number(c, j, "think_s", 0, 1e4, &sc->think_s);
	read_number(c, j, "think_sigma", .001, 3, &sc->think_sigma);
	sc->load_waiting = read_one_of(c, j, "load", loads) == 0;
}

static void read_gossip(struct read_ctx *c, const struct json *o)
{
	struct sim_scenario *sc = c->sc;
	const struct json *j = json_get(o, "gossip");

	if (!j || !read_object(c, j, "gossip", gossip_keys))
		return;
	read_need(c, j, "gossip", "period_ms");
	read_scaled(c, j, "period_ms", .1, 1e5, 1e-3, &sc->gossip_s);
	read_scaled(c, j, "delay_ms", 0, 1e5, 1e-3, &sc->gossip_delay_s);
	read_number(c, j, "lost", 0, .99, &sc->gossip_lost);
	if (!c->failed && sc->gossip_delay_s >= sc->gossip_s)
		read_fail(c, j, "gossip: delay_ms must be less than period_ms");
}

/* A load balancer that sees the client's side only cannot tell one request of a connection from the next. */
static void read_one_way(struct read_ctx *c, const struct json *o)
{
	struct sim_scenario *sc = c->sc;
	const struct json *j = json_get(o, "one_way_ms");

	if (!j || !read_object(c, j, "one_way_ms", one_way_keys))
		return;
	read_need(c, j, "one_way_ms", "least");
	read_need(c, j, "one_way_ms", "most");
	read_scaled(c, j, "least", 0, 1e6, 1e-3, &sc->one_way_lo_s);
	read_scaled(c, j, "most", .001, 1e6, 1e-3, &sc->one_way_hi_s);
	if (!c->failed && sc->one_way_lo_s > sc->one_way_hi_s)
		read_fail(c, j, "one_way_ms: least is greater than most");
	if (!c->failed && sc->requests > 1)
		read_fail(c, j, "one_way_ms: not together with sessions");
}

static void read_shares(struct read_ctx *c, const struct json *o)
{
	struct sim_scenario *sc = c->sc;
	const struct json *j = json_get(o, "shares");
	double sum = 0;
	uint32_t i = 0;

	if (!j || c->failed)
		return;
	if (j->kind != JSON_ARRAY || j->count != sc->lbs) {
		read_fail(c, j, "shares: expected an array of %u, one for each load balancer", sc->lbs);
		return;
	}
	for (const struct json *k = j->child; k && !c->failed; k = k->next) {
		if (k->kind != JSON_NUMBER || !(k->number >= 1e-6 && k->number <= 1))
			read_fail(c, k, "shares: expected numbers from 1e-06 to 1");
		else
			sum += sc->lb_share[i++] = k->number;
	}
	if (!c->failed && fabs(sum - 1) > 1e-4)
		read_fail(c, j, "shares: they sum to %g, expected 1", sum);
}

static void read_told(struct read_ctx *c, const struct json *o)
{
	static const char *const words[] = { "configured", "equal", "reversed", "noisy", NULL };
	struct sim_scenario *sc = c->sc;
	const struct json *j = json_get(o, "told");
	bool number = true;

	if (!j || !read_object(c, j, "told", told_keys))
		return;
	read_whole(c, j, "load_balancers", 1, SIM_LBS_MAX, &sc->told_lbs);
	read_yes(c, j, "number", &number);
	sc->number_not_told = !number;
	sc->told_weights = (enum sim_told_weights)read_one_of(c, j, "weights", words);
	read_number(c, j, "sigma", 0, 4, &sc->told_sigma);
	if (sc->told_weights == SIM_TOLD_NOISY)
		read_need(c, j, "told weights that are noisy", "sigma");
}

/* The strategies themselves are read when a run begins: which there are is not a scenario's matter. */
static void read_strategies(struct read_ctx *c, const struct json *o)
{
	struct sim_scenario *sc = c->sc;
	const struct json *j = json_get(o, "strategies");
	uint32_t i = 0;

	if (!j || c->failed)
		return;
	if (j->kind != JSON_ARRAY || j->count != sc->lbs) {
		read_fail(c, j, "strategies: expected an array of %u, one for each load balancer", sc->lbs);
		return;
	}
	sc->policy = calloc(sc->lbs, sizeof(*sc->policy));
	if (!sc->policy)
		read_fail(c, j, "out of memory");
	for (const struct json *k = j->child; k && !c->failed; k = k->next, i++)
		if (k->kind == JSON_STRING && k->string[0] && strlen(k->string) < SIM_POLICY_LEN)
			snprintf(sc->policy[i], SIM_POLICY_LEN, "%s", k->string);
		else if (k->kind != JSON_NULL)
			read_fail(c, k,
				  "strategies: expected a strategy of at most %u bytes, or null for the one that is measured",
				  SIM_POLICY_LEN - 1);
}

/* load: share of the capacity that is there from the start and, with noisy neighbours, on average. */
static void read_rate(struct read_ctx *c, const struct json *o)
{
	struct sim_scenario *sc = c->sc;
	double load = 0;
	bool traced = sc->traced > 0;

	if (!c->failed && (json_get(o, "load") != NULL) + (json_get(o, "rate_per_s") != NULL) != !traced)
		read_fail(c, o,
			  traced ? "arrivals of kind trace: load and rate_per_s are given by the trace" :
				   "expected one of \"load\" and \"rate_per_s\"");
	read_number(c, o, "rate_per_s", 1e-6, 1e8, &sc->rate);
	if (read_number(c, o, "load", .001, 5, &load) && !c->failed)
		sc->rate = load * sim_scenario_capacity(sc, false) * (1 - .6 * sc->noisy_phi) / sim_scenario_mean_size(sc) /
			   sc->requests;
	if (!c->failed && sc->rate * sc->end_s > ARRIVALS_MAX)
		read_fail(c, o, "%.3g arrivals are more than a run can hold (%g)", sc->rate * sc->end_s, ARRIVALS_MAX);
}

static void read_server(struct read_ctx *c, const struct json *o)
{
	static const char *const disciplines[] = { "ps", "fcfs", NULL }, *const refusals[] = { "silent", "reset", NULL };
	struct sim_scenario *sc = c->sc;
	const struct json *j = json_get(o, "server");

	if (!j || !read_object(c, j, "server", server_keys))
		return;
	sc->fcfs = read_one_of(c, j, "discipline", disciplines) == 1;
	sc->refuses_at_once = read_one_of(c, j, "refusal", refusals) == 1;
	read_whole(c, j, "slots", 1, 1e6, &sc->slots);
	read_whole(c, j, "backlog", 0, 1e6, &sc->backlog);
	if (!c->failed && (double)sc->n * sc->slots > SLOTS_MAX)
		read_fail(c, j, "slots: %u for each of %u servers are more than a run can hold (%g)", sc->slots, sc->n,
			  SLOTS_MAX);
}

/* Who is in the list when is worked out here once, so that no run can fail for it. */
static void check_turns(struct read_ctx *c, const struct json *o)
{
	struct sim_world w = { .sc = c->sc };
	char why[256] = "out of memory";

	if (c->failed)
		return;
	if (sim_turns_make(&w, why))
		read_fail(c, o, "absences: %.150s", why);
	sim_world_free(&w);
}

static void read_top(struct read_ctx *c, const struct json *o, uint32_t *seeds)
{
	struct sim_scenario *sc = c->sc;
	const struct json *j;

	if (!read_object(c, o, "scenario", top_keys))
		return;
	read_need(c, o, "scenario", "name");
	read_need(c, o, "scenario", "servers");
	j = json_get(o, "name");
	if (!c->failed && (j->kind != JSON_STRING || !j->string[0] || strlen(j->string) >= sizeof(sc->name)))
		read_fail(c, j, "name: expected a string of 1 to %zu bytes", sizeof(sc->name) - 1);
	read_text(c, o, "$schema");
	read_text(c, o, "description");
	if (c->failed)
		return;
	snprintf(sc->name, sizeof(sc->name), "%s", j->string);
	*seeds = 12;
	read_whole(c, o, "seeds", 1, 1e6, seeds);
	read_whole(c, o, "load_balancers", 1, SIM_LBS_MAX, &sc->lbs);
	read_number(c, o, "duration_s", .001, TIME_MAX, &sc->end_s);
	read_number(c, o, "warmup_s", 0, TIME_MAX, &sc->warm_s);
	if (!c->failed && sc->warm_s >= sc->end_s)
		read_fail(c, o, "warmup_s %g leaves nothing of duration_s %g to measure", sc->warm_s, sc->end_s);
	read_scaled(c, o, "tick_ms", 1, 1e5, 1e-3, &sc->tick_s);
	read_number(c, o, "timeout_s", .001, TIME_MAX, &sc->timeout_s);
	read_scaled(c, o, "failure_ms", .001, 1e9, 1e-3, &sc->failure_s);
	sim_read_servers(c, o);
	read_server(c, o);
	if (!c->failed && !json_get(o, "sizes") == !json_get(o, "vips"))
		read_fail(c, o, "expected one of \"sizes\" and \"vips\"");
	if (!c->failed && json_get(o, "sizes"))
		read_sizes(c, json_get(o, "sizes"), &sc->vip[0].sizes);
	else if (!c->failed)
		read_vips(c, json_get(o, "vips"));
	sim_read_arrivals(c, o);
	read_shares(c, o);
	sim_read_rtt(c, o);
	sim_read_events(c, o);
	read_sessions(c, o);
	read_gossip(c, o);
	read_one_way(c, o);
	read_told(c, o);
	read_strategies(c, o);
	read_rate(c, o);
	check_turns(c, o);
}

int sim_scenario_parse(struct sim_scenario *sc, uint32_t *seeds, const char *text, size_t len, const char *dir, char err[256])
{
	struct read_ctx c = { .sc = sc, .dir = dir, .err = err };
	struct json *j = json_parse(text, len, err);

	sim_scenario_init(sc);
	if (!j)
		return -EINVAL;
	read_top(&c, j, seeds);
	json_free(j);
	if (!c.failed)
		return 0;
	sim_scenario_free(sc);
	return -EINVAL;
}

int sim_scenario_read(struct sim_scenario *sc, uint32_t *seeds, const char *path, char err[256])
{
	char why[256], dir[PATH_MAX];
	FILE *f = fopen(path, "r");
	char *text = NULL;
	size_t len = 0, cap = 0;
	int e = 0;

	if (!f) {
		snprintf(err, 256, "%.180s: %s", path, strerror(errno));
		return -errno;
	}
	for (size_t got = 1; got && !e; len += got) {
		if (cap - len < 4096) {
			char *more = realloc(text, cap = 2 * cap + 8192);
			if (!more) {
				e = -ENOMEM;
				break;
			}
			text = more;
		}
		got = fread(text + len, 1, cap - len, f);
	}
	if (!e && ferror(f)) {
		e = -EIO;
		snprintf(why, sizeof(why), "%s", strerror(errno)); /* of a folder, say */
	}
	fclose(f);
	snprintf(dir, sizeof(dir), "%s", path);
	char *slash = strrchr(dir, '/');
	*(slash ? slash : dir) = 0;
	if (!e)
		e = sim_scenario_parse(sc, seeds, text, len, dir, why);
	if (e)
		snprintf(err, 256, "%.80s: %.170s", path, e == -ENOMEM ? "out of memory" : why);
	free(text);
	return e;
}
