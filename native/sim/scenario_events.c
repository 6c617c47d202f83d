/* SPDX-License-Identifier: Apache-2.0 */
/* What happens to the servers of a scenario file: changes of capacity, absences, faults. */
#include <math.h>
#include "scenario_read.h"

const char *const sim_noisy_keys[] = { "share", "duration_s", NULL };
const char *const sim_hang_keys[] = { "server", "from_s", "for_s", "factor", NULL };
const char *const sim_stalls_keys[] = { "least_s", "most_s", "every_least_s", "every_most_s", "factor", "together", NULL };
const char *const sim_slowdowns_keys[] = { "server", "first", "last", "at_s", "for_s", "every_s", "stagger_s", "factor", NULL };
const char *const sim_absences_keys[] = { "server",    "first",  "last",        "at_s", "for_s", "every_s",
					  "stagger_s", "cold_s", "cold_factor", "id",   NULL };
const char *const sim_faults_keys[] = { "server", "first", "last", "kind", "at_s", "for_s", "answer_ms", "share", NULL };

const struct json *sim_read_list(struct read_ctx *c, const struct json *o, const char *key, uint32_t most)
{
	const struct json *j = json_get(o, key);

	if (!j || c->failed)
		return NULL;
	if (j->kind == JSON_ARRAY && j->count <= most)
		return j->child;
	read_fail(c, j, "%s: expected an array of at most %u", key, most);
	return NULL;
}

void sim_read_times(struct read_ctx *c, const struct json *k, const char *what, double *at_s, double *for_s, double *every_s)
{
	*for_s = INFINITY;
	read_need(c, k, what, "at_s");
	read_number(c, k, "at_s", 0, TIME_MAX, at_s);
	read_number(c, k, "for_s", .001, TIME_MAX, for_s);
	if (every_s && read_number(c, k, "every_s", .001, TIME_MAX, every_s) && !c->failed && *for_s >= *every_s)
		read_fail(c, k, "%s: for_s must be less than every_s", what);
}

/* "server", or "first" and "last"; needed, but where none of them may mean one that is drawn. */
static void read_range(struct read_ctx *c, const struct json *k, const char *what, bool may_draw, uint32_t *first, uint32_t *last)
{
	double top = c->sc->n - 1.;
	bool one = read_whole(c, k, "server", 0, top, first);
	bool from = read_whole(c, k, "first", 0, top, first), to = read_whole(c, k, "last", 0, top, last);

	if (c->failed)
		return;
	if (one && !from && !to)
		*last = *first;
	else if (!one && !from && !to && may_draw)
		*first = *last = MLB_NONE;
	else if (one || !from || !to)
		read_fail(c, k, "%s: expected \"server\", or \"first\" and \"last\"", what);
	else if (*first > *last)
		read_fail(c, k, "%s: first %u is greater than last %u", what, *first, *last);
}

static void read_noisy(struct read_ctx *c, const struct json *o)
{
	const struct json *j = json_get(o, "noisy");

	if (!j || !read_object(c, j, "noisy", sim_noisy_keys))
		return;
	read_need(c, j, "noisy", "share");
	read_need(c, j, "noisy", "duration_s");
	read_number(c, j, "share", .001, .9, &c->sc->noisy_phi);
	read_number(c, j, "duration_s", .001, 1e4, &c->sc->noisy_d_s);
}

static void read_hang(struct read_ctx *c, const struct json *o)
{
	struct sim_scenario *sc = c->sc;
	const struct json *j = json_get(o, "hang");

	if (!j || !read_object(c, j, "hang", sim_hang_keys))
		return;
	read_need(c, j, "hang", "from_s");
	read_need(c, j, "hang", "for_s");
	read_whole(c, j, "server", 0, sc->n - 1., &sc->hang_server);
	read_number(c, j, "from_s", 0, TIME_MAX, &sc->hang_from_s);
	read_number(c, j, "for_s", .001, TIME_MAX, &sc->hang_for_s);
	read_number(c, j, "factor", 1e-4, 1, &sc->hang_factor);
}

static void read_stalls(struct read_ctx *c, const struct json *o)
{
	struct sim_stalls *s = &c->sc->stalls;
	const struct json *j = json_get(o, "stalls");

	if (!j || !read_object(c, j, "stalls", sim_stalls_keys))
		return;
	for (uint32_t i = 0; i < 4; i++)
		read_need(c, j, "stalls", sim_stalls_keys[i]);
	read_number(c, j, "least_s", .001, 1e4, &s->least_s);
	read_number(c, j, "most_s", .001, 1e4, &s->most_s);
	read_number(c, j, "every_least_s", .01, 1e5, &s->every_least_s);
	read_number(c, j, "every_most_s", .01, 1e5, &s->every_most_s);
	read_number(c, j, "factor", 0, 1, &s->factor);
	read_yes(c, j, "together", &s->common);
	if (!c->failed && (s->least_s > s->most_s || s->every_least_s > s->every_most_s))
		read_fail(c, j, "stalls: least is greater than most");
}

static void read_slowdowns(struct read_ctx *c, const struct json *o)
{
	struct sim_scenario *sc = c->sc;
	const struct json *k = sim_read_list(c, o, "slowdowns", SIM_EVENTS_MAX);

	for (; k && read_object(c, k, "slowdowns", sim_slowdowns_keys); k = k->next) {
		struct sim_slowdown *s = &sc->slowdown[sc->slowdowns++];
		read_need(c, k, "slowdowns", "factor");
		read_range(c, k, "slowdowns", false, &s->first, &s->last);
		sim_read_times(c, k, "slowdowns", &s->at_s, &s->for_s, &s->every_s);
		read_number(c, k, "stagger_s", 0, TIME_MAX, &s->stagger_s);
		read_number(c, k, "factor", 0, 10, &s->factor);
	}
}

static void read_absences(struct read_ctx *c, const struct json *o)
{
	static const char *const ids[] = { "same", "new", NULL };
	struct sim_scenario *sc = c->sc;
	const struct json *k = sim_read_list(c, o, "absences", SIM_EVENTS_MAX);

	for (; k && read_object(c, k, "absences", sim_absences_keys); k = k->next) {
		struct sim_absence *a = &sc->absence[sc->absences++];
		a->cold_factor = 1;
		read_range(c, k, "absences", false, &a->first, &a->last);
		sim_read_times(c, k, "absences", &a->at_s, &a->for_s, &a->every_s);
		read_number(c, k, "stagger_s", 0, TIME_MAX, &a->stagger_s);
		read_number(c, k, "cold_s", .001, TIME_MAX, &a->cold_s);
		read_number(c, k, "cold_factor", 0, 1, &a->cold_factor);
		a->new_id = read_one_of(c, k, "id", ids) == 1;
		if (!c->failed && !json_get(k, "cold_s") != !json_get(k, "cold_factor"))
			read_fail(c, k, "absences: cold_s and cold_factor go together");
		if (!c->failed && a->every_s > 0 && a->for_s + a->cold_s > a->every_s && a->cold_s > 0)
			read_fail(c, k, "absences: for_s and cold_s together must be at most every_s");
	}
}

static void read_faults(struct read_ctx *c, const struct json *o)
{
	static const char *const kinds[] = { "error", "reset", "empty", "hang", NULL };
	struct sim_scenario *sc = c->sc;
	const struct json *k = sim_read_list(c, o, "faults", SIM_EVENTS_MAX);

	for (; k && read_object(c, k, "faults", sim_faults_keys); k = k->next) {
		struct sim_fault *f = &sc->fault[sc->faults++];
		*f = (struct sim_fault){ .answer_s = .001, .share = 1 };
		read_need(c, k, "faults", "kind");
		f->kind = (enum sim_fault_kind)read_one_of(c, k, "kind", kinds);
		read_range(c, k, "faults", true, &f->first, &f->last);
		sim_read_times(c, k, "faults", &f->at_s, &f->for_s, NULL);
		read_scaled(c, k, "answer_ms", 0, 1e6, 1e-3, &f->answer_s);
		read_number(c, k, "share", .001, 1, &f->share);
	}
}

void sim_read_events(struct read_ctx *c, const struct json *o)
{
	read_noisy(c, o);
	read_hang(c, o);
	read_stalls(c, o);
	read_slowdowns(c, o);
	read_absences(c, o);
	read_faults(c, o);
	read_number(c, o, "slow_start_s", .001, TIME_MAX, &c->sc->slow_start_s);
}
