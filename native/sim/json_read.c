/* SPDX-License-Identifier: Apache-2.0 */
#include "json_read.h"
#include <math.h>
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

/* Edit distance, for naming the key that was meant. */
static uint32_t distance(const char *a, const char *b)
{
	uint32_t row[64], nb = (uint32_t)strlen(b);

	if (nb >= 63)
		return UINT32_MAX;
	for (uint32_t j = 0; j <= nb; j++)
		row[j] = j;
	for (uint32_t i = 1; a[i - 1]; i++) {
		uint32_t diagonal = row[0];
		row[0] = i;
		for (uint32_t j = 1; j <= nb; j++) {
			uint32_t best = diagonal + (a[i - 1] != b[j - 1]);
			best = row[j] + 1 < best ? row[j] + 1 : best;
			best = row[j - 1] + 1 < best ? row[j - 1] + 1 : best;
			diagonal = row[j];
			row[j] = best;
		}
	}
	return row[nb];
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
		uint32_t best = UINT32_MAX;
		const char *near = "";
		for (uint32_t i = 0; keys[i] && best; i++) {
			uint32_t d = distance(k->key, keys[i]);
			if (d < best) {
				best = d;
				near = keys[i];
			}
		}
		if (best)
			read_fail(c, k, "%s: unknown key \"%.40s\"; nearest is \"%s\"", what, k->key, near);
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
