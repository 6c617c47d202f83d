/* SPDX-License-Identifier: Apache-2.0 */
#include "json_read.h"
#include <math.h>
#include <marllb/nearest.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

void read_fail(struct read_ctx *c, const struct json *at, const char *format, ...)
{
	char why[220];
	va_list ap;

	if (c->failed)
		return;
	c->failed = true;
	va_start(ap, format);
	vsnprintf(why, sizeof(why), format, ap);
	va_end(ap);
	snprintf(c->err, 256, "line %u: %s", at->line, why);
}

bool read_object(struct read_ctx *c, const struct json *j, const char *what, const char *const *keys)
{
	if (c->failed)
		return false;
	if (j->kind != JSON_OBJECT) {
		read_fail(c, j, "%s: expected an object, found %s", what, json_kind_names[j->kind]);
		return false;
	}
	for (const struct json *k = j->child; k; k = k->next) {
		const char *near = mlb_nearest(k->key, keys);
		if (!near || strcmp(near, k->key) != 0)
			read_fail(c, k, "%s: unknown key \"%.40s\"; nearest is \"%s\"", what, k->key, near ? near : "");
	}
	return !c->failed;
}

bool read_number(struct read_ctx *c, const struct json *o, const char *key, double lo, double hi, double *out)
{
	const struct json *j = json_get(o, key);

	if (!j || c->failed)
		return false;
	if (j->kind != JSON_NUMBER)
		read_fail(c, j, "%s: expected a number, found %s", key, json_kind_names[j->kind]);
	else if (!(j->number >= lo && j->number <= hi))
		read_fail(c, j, "%s: %g is out of range, expected %g to %g", key, j->number, lo, hi);
	else
		*out = j->number;
	return true;
}

bool read_whole(struct read_ctx *c, const struct json *o, const char *key, double lo, double hi, uint32_t *out)
{
	double v = *out;
	bool there = read_number(c, o, key, lo, hi, &v);

	if (!c->failed && v != floor(v))
		read_fail(c, json_get(o, key), "%s: expected a whole number, found %g", key, v);
	if (!c->failed)
		*out = (uint32_t)v;
	return there;
}

bool read_scaled(struct read_ctx *c, const struct json *o, const char *key, double lo, double hi, double scale, double *out)
{
	double v = 0;
	bool there = read_number(c, o, key, lo, hi, &v);

	if (there && !c->failed)
		*out = v * scale;
	return there;
}

void read_yes(struct read_ctx *c, const struct json *o, const char *key, bool *out)
{
	const struct json *j = json_get(o, key);

	if (!j || c->failed)
		return;
	if (j->kind != JSON_BOOL)
		read_fail(c, j, "%s: expected true or false, found %s", key, json_kind_names[j->kind]);
	else
		*out = j->number != 0;
}

void read_text(struct read_ctx *c, const struct json *o, const char *key)
{
	const struct json *j = json_get(o, key);

	if (j && j->kind != JSON_STRING)
		read_fail(c, j, "%s: expected a string, found %s", key, json_kind_names[j->kind]);
}

uint32_t read_one_of(struct read_ctx *c, const struct json *o, const char *key, const char *const *words)
{
	const struct json *j = json_get(o, key);
	char all[120] = "";

	if (!j || c->failed)
		return 0;
	for (uint32_t i = 0; words[i]; i++) {
		if (j->kind == JSON_STRING && strcmp(j->string, words[i]) == 0)
			return i;
		snprintf(all + strlen(all), sizeof(all) - strlen(all), "%s%s", i ? ", " : "", words[i]);
	}
	read_fail(c, j, "%s: expected one of %s", key, all);
	return 0;
}

void read_need(struct read_ctx *c, const struct json *o, const char *what, const char *key)
{
	if (!c->failed && !json_get(o, key))
		read_fail(c, o, "%s: \"%s\" is missing", what, key);
}
