/* SPDX-License-Identifier: Apache-2.0 */
/* The arrivals of a scenario file. */
#include <errno.h>
#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "scenario_read.h"

const char *const sim_arrivals_keys[] = { "kind", "sine", "burst", "lowest", "file", "steps", NULL };
const char *const sim_sine_keys[] = { "amplitude", "period_s", NULL };
const char *const sim_steps_keys[] = { "at_s", "for_s", "every_s", "factor", NULL };

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

static void read_steps(struct read_ctx *c, const struct json *o)
{
	struct sim_scenario *sc = c->sc;
	const struct json *k = sim_read_list(c, o, "steps", SIM_EVENTS_MAX);

	for (; k && read_object(c, k, "steps", sim_steps_keys); k = k->next) {
		struct sim_step *s = &sc->step[sc->steps++];
		read_need(c, k, "steps", "factor");
		sim_read_times(c, k, "steps", &s->at_s, &s->for_s, &s->every_s);
		read_number(c, k, "factor", 0, 100, &s->factor);
	}
}

void sim_read_arrivals(struct read_ctx *c, const struct json *o)
{
	static const char *const kinds[] = { "poisson", "daily", "trace", NULL };
	struct sim_scenario *sc = c->sc;
	const struct json *j = json_get(o, "arrivals");

	if (!j || c->failed || !read_object(c, j, "arrivals", sim_arrivals_keys))
		return;
	uint32_t kind = read_one_of(c, j, "kind", kinds);
	double lowest = 0;
	read_number(c, j, "lowest", .01, 1, &lowest);
	const struct json *sine = json_get(j, "sine"), *file = json_get(j, "file");
	if (sine && read_object(c, sine, "sine", sim_sine_keys)) {
		read_need(c, sine, "sine", "amplitude");
		read_need(c, sine, "sine", "period_s");
		read_number(c, sine, "amplitude", 0, 1, &sc->sine_a);
		read_number(c, sine, "period_s", .001, TIME_MAX, &sc->sine_period_s);
	}
	read_number(c, j, "burst", 0, 5, &sc->burst);
	read_steps(c, j);
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
