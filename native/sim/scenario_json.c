/* SPDX-License-Identifier: Apache-2.0 */
#include "scenario_json.h"
#include "json_read.h"
#include <errno.h>
#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ARRIVALS_MAX 3e8
#define SLOTS_MAX 2e7 /* of all servers together */

static const char *const top_keys[] = { "$schema",  "name",    "description", "seeds",  "load_balancers", "duration_s",
					"warmup_s", "tick_ms", "servers",     "server", "load",           "rate_per_s",
					"sizes",    "vips",    "arrivals",    "rtt_ms", "noisy",          "hang",
					"sessions", "gossip",  "timeout_s",   NULL };
static const char *const servers_keys[] = { "count", "cores", "speed", "weight", "rtt_ms", "join_s", NULL };
static const char *const server_keys[] = { "discipline", "slots", "backlog", NULL };
static const char *const sizes_keys[] = { "kind", "mean_ms", "heavy_share", "alpha", "sigma", NULL };
static const char *const vips_keys[] = { "share", "sizes", NULL };
static const char *const arrivals_keys[] = { "kind", "sine", "burst", "lowest", "file", NULL };
static const char *const sine_keys[] = { "amplitude", "period_s", NULL };
static const char *const rtt_keys[] = { "least", "most", NULL };
static const char *const noisy_keys[] = { "share", "duration_s", NULL };
static const char *const hang_keys[] = { "server", "from_s", "for_s", "factor", NULL };
static const char *const sessions_keys[] = { "requests", "think_s", "load", NULL };
static const char *const gossip_keys[] = { "period_ms", "delay_ms", NULL };

const struct sim_scenario_keys sim_scenario_keys[] = {
	{ "", top_keys },        { "servers", servers_keys },   { "server", server_keys },     { "sizes", sizes_keys },
	{ "vips", vips_keys },   { "arrivals", arrivals_keys }, { "sine", sine_keys },         { "rtt_ms", rtt_keys },
	{ "noisy", noisy_keys }, { "hang", hang_keys },         { "sessions", sessions_keys }, { "gossip", gossip_keys },
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
	read_number(c, j, "heavy_share", .001, .999, &s->heavy_share);
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

static void add_servers(struct read_ctx *c, const struct json *k)
{
	struct sim_scenario *sc = c->sc;
	struct sim_server_conf s = { .speed = 1 };
	uint32_t count = 1;

	read_need(c, k, "servers", "cores");
	read_whole(c, k, "count", 1, MLB_MAX_SERVERS_PER_VIP, &count);
	read_number(c, k, "cores", .01, 1024, &s.cores);
	read_number(c, k, "speed", 1e-3, 1e3, &s.speed);
	s.weight = s.cores * s.speed;
	read_number(c, k, "weight", 1e-6, 1e6, &s.weight);
	read_scaled(c, k, "rtt_ms", .001, 1e5, 1e-3, &s.rtt_s); /* not 0, which stands for the scenario's */
	read_number(c, k, "join_s", 0, 1e6, &s.join_s);
	if (!c->failed && sc->n && s.join_s < sc->server[sc->n - 1].join_s)
		read_fail(c, k, "servers: those that join later must come last, in the order of joining");
	if (!c->failed && sc->n + count > MLB_MAX_SERVERS_PER_VIP)
		read_fail(c, k, "servers: more than %u", MLB_MAX_SERVERS_PER_VIP);
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

static void read_servers(struct read_ctx *c, const struct json *j)
{
	if (j->kind != JSON_ARRAY || !j->count) {
		read_fail(c, j, "servers: expected an array of at least one");
		return;
	}
	for (const struct json *k = j->child; k && read_object(c, k, "servers", servers_keys); k = k->next)
		add_servers(c, k);
	if (!c->failed && c->sc->server[0].join_s > 0)
		read_fail(c, j, "servers: at least one must be there from the start");
}

/* "SECONDS SIZE_MS", and nothing else. */
static bool trace_line(const char *text, double *t, double *ms)
{
	char rest;

	return sscanf(text, "%lf %lf %c", t, ms, &rest) == 2 && *t >= 0 && *t <= 1e9 && *ms > 0 && *ms <= 1e9;
}

static bool add_arrival(struct sim_scenario *sc, uint32_t *cap, double t, double size_s)
{
	if (sc->traced == *cap) {
		*cap = *cap ? *cap * 2 : 4096;
		double *a = realloc(sc->trace_s, *cap * sizeof(*a));
		if (a)
			sc->trace_s = a;
		double *b = realloc(sc->trace_size_s, *cap * sizeof(*b));
		if (b)
			sc->trace_size_s = b;
		if (!a || !b)
			return false;
	}
	sc->trace_s[sc->traced] = t;
	sc->trace_size_s[sc->traced++] = size_s;
	return true;
}

/* Arrivals behind duration_s are read, for they must be right, and left out. */
static void read_trace(struct read_ctx *c, const struct json *at, const char *file)
{
	struct sim_scenario *sc = c->sc;
	char path[PATH_MAX], text[128];
	double t, ms, last = 0;
	uint32_t cap = 0, line = 0;

	snprintf(path, sizeof(path), "%s%s%s", file[0] == '/' ? "" : c->dir, file[0] == '/' || !c->dir[0] ? "" : "/", file);
	FILE *f = fopen(path, "r");
	if (!f) {
		read_fail(c, at, "file: %.120s: %s", path, strerror(errno));
		return;
	}
	while (!c->failed && fgets(text, sizeof(text), f)) {
		bool whole = strchr(text, '\n') != NULL;
		line++;
		if (!whole && text[0] == '#')
			for (int k = 0; k != EOF && k != '\n';)
				k = fgetc(f);
		if (text[0] == '#' || text[strspn(text, " \t\r\n")] == 0)
			continue;
		if ((!whole && !feof(f)) || !trace_line(text, &t, &ms) || t < last)
			read_fail(c, at, "file: %.100s line %u: expected \"SECONDS SIZE_MS\", in order of time", path, line);
		else if (t < sc->end_s && sc->traced == ARRIVALS_MAX)
			read_fail(c, at, "file: %.100s holds more than the %g arrivals that a run can hold", path, ARRIVALS_MAX);
		else if (t < sc->end_s && !add_arrival(sc, &cap, t, ms * 1e-3))
			read_fail(c, at, "out of memory");
		last = t;
	}
	if (!c->failed && ferror(f))
		read_fail(c, at, "file: %.120s: %s", path, strerror(errno));
	fclose(f);
	if (!c->failed && !sc->traced)
		read_fail(c, at, "file: %.100s holds no arrivals before duration_s %g", path, sc->end_s);
}

static void read_arrivals(struct read_ctx *c, const struct json *j)
{
	static const char *const kinds[] = { "poisson", "daily", "trace", NULL };
	struct sim_scenario *sc = c->sc;

	if (!read_object(c, j, "arrivals", arrivals_keys))
		return;
	uint32_t kind = read_one_of(c, j, "kind", kinds);
	double lowest = 0;
	read_number(c, j, "lowest", .01, 1, &lowest);
	const struct json *sine = json_get(j, "sine"), *file = json_get(j, "file");
	if (sine && read_object(c, sine, "sine", sine_keys)) {
		read_need(c, sine, "sine", "amplitude");
		read_need(c, sine, "sine", "period_s");
		read_number(c, sine, "amplitude", 0, 1, &sc->sine_a);
		read_number(c, sine, "period_s", .001, 1e6, &sc->sine_period_s);
	}
	read_number(c, j, "burst", 0, 5, &sc->burst);
	read_text(c, j, "file");
	if (kind == 1) {
		read_need(c, j, "arrivals of kind daily", "lowest");
		sc->daily = lowest;
	}
	if (kind == 2) {
		read_need(c, j, "arrivals of kind trace", "file");
		if (!c->failed)
			read_trace(c, file, file->string);
	}
}

static void read_rtt(struct read_ctx *c, const struct json *o)
{
	const struct json *j = json_get(o, "rtt_ms");

	if (j && j->kind == JSON_OBJECT && read_object(c, j, "rtt_ms", rtt_keys)) {
		read_need(c, j, "rtt_ms", "least");
		read_need(c, j, "rtt_ms", "most");
		read_scaled(c, j, "least", .001, 1e5, 1e-3, &c->sc->rtt_spread_lo_s);
		read_scaled(c, j, "most", .001, 1e5, 1e-3, &c->sc->rtt_spread_hi_s);
		if (!c->failed && c->sc->rtt_spread_lo_s > c->sc->rtt_spread_hi_s)
			read_fail(c, j, "rtt_ms: least is greater than most");
	} else if (!c->failed) {
		read_scaled(c, o, "rtt_ms", 0, 1e5, 1e-3, &c->sc->rtt_s);
	}
}

static void read_disturbances(struct read_ctx *c, const struct json *o)
{
	struct sim_scenario *sc = c->sc;
	const struct json *j = json_get(o, "noisy");

	if (j && read_object(c, j, "noisy", noisy_keys)) {
		read_need(c, j, "noisy", "share");
		read_need(c, j, "noisy", "duration_s");
		read_number(c, j, "share", .001, .9, &sc->noisy_phi);
		read_number(c, j, "duration_s", .001, 1e4, &sc->noisy_d_s);
	}
	j = json_get(o, "hang");
	if (j && read_object(c, j, "hang", hang_keys)) {
		read_need(c, j, "hang", "from_s");
		read_need(c, j, "hang", "for_s");
		read_whole(c, j, "server", 0, sc->n - 1., &sc->hang_server);
		read_number(c, j, "from_s", 0, 1e6, &sc->hang_from_s);
		read_number(c, j, "for_s", .001, 1e6, &sc->hang_for_s);
		read_number(c, j, "factor", 1e-4, 1, &sc->hang_factor);
	}
	j = json_get(o, "sessions");
	if (j && read_object(c, j, "sessions", sessions_keys)) {
		static const char *const loads[] = { "waiting", "flows", NULL };
		read_need(c, j, "sessions", "requests");
		read_need(c, j, "sessions", "think_s");
		read_whole(c, j, "requests", 2, 1e6, &sc->requests);
		read_number(c, j, "think_s", 0, 1e4, &sc->think_s);
		sc->load_waiting = read_one_of(c, j, "load", loads) == 0;
	}
	j = json_get(o, "gossip");
	if (j && read_object(c, j, "gossip", gossip_keys)) {
		read_need(c, j, "gossip", "period_ms");
		read_scaled(c, j, "period_ms", .1, 1e5, 1e-3, &sc->gossip_s);
		read_scaled(c, j, "delay_ms", 0, 1e5, 1e-3, &sc->gossip_delay_s);
		if (!c->failed && sc->gossip_delay_s >= sc->gossip_s)
			read_fail(c, j, "gossip: delay_ms must be less than period_ms");
	}
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
	read_number(c, o, "duration_s", .001, 1e6, &sc->end_s);
	read_number(c, o, "warmup_s", 0, 1e6, &sc->warm_s);
	if (!c->failed && sc->warm_s >= sc->end_s)
		read_fail(c, o, "warmup_s %g leaves nothing of duration_s %g to measure", sc->warm_s, sc->end_s);
	read_scaled(c, o, "tick_ms", 1, 1e5, 1e-3, &sc->tick_s);
	read_number(c, o, "timeout_s", .001, 1e6, &sc->timeout_s);
	read_servers(c, json_get(o, "servers"));
	j = json_get(o, "server");
	if (j && read_object(c, j, "server", server_keys)) {
		static const char *const disciplines[] = { "ps", "fcfs", NULL };
		sc->fcfs = read_one_of(c, j, "discipline", disciplines) == 1;
		read_whole(c, j, "slots", 1, 1e6, &sc->slots);
		read_whole(c, j, "backlog", 0, 1e6, &sc->backlog);
		if (!c->failed && (double)sc->n * sc->slots > SLOTS_MAX)
			read_fail(c, j, "slots: %u for each of %u servers are more than a run can hold (%g)", sc->slots, sc->n,
				  SLOTS_MAX);
	}
	if (!c->failed && !json_get(o, "sizes") == !json_get(o, "vips"))
		read_fail(c, o, "expected one of \"sizes\" and \"vips\"");
	if (!c->failed && json_get(o, "sizes"))
		read_sizes(c, json_get(o, "sizes"), &sc->vip[0].sizes);
	else if (!c->failed)
		read_vips(c, json_get(o, "vips"));
	if (!c->failed && json_get(o, "arrivals"))
		read_arrivals(c, json_get(o, "arrivals"));
	read_rtt(c, o);
	read_disturbances(c, o);
	read_rate(c, o);
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
