/* SPDX-License-Identifier: Apache-2.0 */
#include "json.h"
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define DEPTH_MAX 32

const char *const json_kind_names[] = { "null", "true or false", "a number", "a string", "an array", "an object" };

struct reader {
	const char *at, *end;
	uint32_t line, depth;
	char *err;
	bool failed;
};

static void fail(struct reader *r, const char *format, ...)
{
	char why[200];
	va_list ap;

	if (r->failed)
		return;
	r->failed = true;
	va_start(ap, format);
	vsnprintf(why, sizeof(why), format, ap);
	va_end(ap);
	snprintf(r->err, 256, "line %u: %s", r->line, why);
}

static void space(struct reader *r)
{
	for (; r->at < r->end && strchr(" \t\r\n", *r->at) && *r->at; r->at++)
		r->line += *r->at == '\n';
}

static bool take(struct reader *r, char c)
{
	if (r->at < r->end && *r->at == c) {
		r->at++;
		return true;
	}
	return false;
}

static int hex4(struct reader *r)
{
	int v = 0;

	for (int i = 0; i < 4; i++) {
		char c = r->at < r->end ? *r->at++ : 0;
		int d = c >= '0' && c <= '9' ? c - '0' :
			c >= 'a' && c <= 'f' ? c - 'a' + 10 :
			c >= 'A' && c <= 'F' ? c - 'A' + 10 :
					       -1;
		if (d < 0)
			return -1;
		v = v * 16 + d;
	}
	return v;
}

static char *utf8(char *to, uint32_t u)
{
	if (u < 0x80) {
		*to++ = (char)u;
	} else if (u < 0x800) {
		*to++ = (char)(0xc0 | u >> 6);
		*to++ = (char)(0x80 | (u & 0x3f));
	} else {
		if (u < 0x10000) {
			*to++ = (char)(0xe0 | u >> 12);
		} else {
			*to++ = (char)(0xf0 | u >> 18);
			*to++ = (char)(0x80 | (u >> 12 & 0x3f));
		}
		*to++ = (char)(0x80 | (u >> 6 & 0x3f));
		*to++ = (char)(0x80 | (u & 0x3f));
	}
	return to;
}

static char *escape(struct reader *r, char *to)
{
	static const char from[] = "\"\\/bfnrt", means[] = "\"\\/\b\f\n\r\t";
	char c = r->at < r->end ? *r->at++ : 0;
	const char *known = c ? strchr(from, c) : NULL;

	if (known) {
		*to++ = means[known - from];
		return to;
	}
	int u = c == 'u' ? hex4(r) : -1, low;
	if (u >= 0xd800 && u < 0xdc00) {
		low = take(r, '\\') && take(r, 'u') ? hex4(r) : -1;
		u = low >= 0xdc00 && low < 0xe000 ? 0x10000 + ((u - 0xd800) << 10) + (low - 0xdc00) : -1;
	}
	if (u <= 0 || (u >= 0xdc00 && u < 0xe000)) {
		fail(r, "a string holds an escape that JSON does not know");
		return to;
	}
	return utf8(to, (uint32_t)u);
}

/* An escape never grows the text, so the raw length is room enough. */
static char *string(struct reader *r)
{
	const char *q = r->at;

	while (q < r->end && *q != '"')
		q += *q == '\\' && q + 1 < r->end ? 2 : 1;
	char *out = malloc((size_t)(q - r->at) + 2), *to = out;
	if (!out) {
		fail(r, "out of memory");
		return NULL;
	}
	while (!r->failed) {
		if (r->at >= r->end || (unsigned char)*r->at < 0x20)
			fail(r, "a string that does not end on its line");
		else if (take(r, '"'))
			break;
		else if (take(r, '\\'))
			to = escape(r, to);
		else
			*to++ = *r->at++;
	}
	*to = 0;
	return out;
}

static void number(struct reader *r, struct json *j)
{
	const char *s = r->at, *p = s;
	char copy[64], *end;

	while (p < r->end && *p && strchr("+-.eE0123456789", *p))
		p++;
	const char *digits = s + (s < p && *s == '-');
	size_t len = (size_t)(p - s);
	bool ok = len < sizeof(copy) && digits < p && *digits >= '0' && *digits <= '9' &&
		  !(digits[0] == '0' && digits + 1 < p && digits[1] >= '0' && digits[1] <= '9');
	if (ok) {
		memcpy(copy, s, len);
		copy[len] = 0;
		j->number = strtod(copy, &end);
		ok = !*end && copy[len - 1] != '.' && !strstr(copy, ".e") && !strstr(copy, ".E");
	}
	if (!len) { /* "NaN", a bare word, a stray quote */
		int seen = 0;
		while (seen < 12 && seen < r->end - s && (unsigned char)s[seen] >= 0x20)
			seen++;
		fail(r, "expected a value, found \"%.*s\"", seen, s);
	}
	if (!ok)
		fail(r, "\"%.*s\" is no JSON number", len < 20 ? (int)len : 20, s);
	j->kind = JSON_NUMBER;
	r->at = p;
}

static struct json *value(struct reader *r);

static void children(struct reader *r, struct json *j, char close)
{
	struct json **tail = &j->child;

	if (++r->depth > DEPTH_MAX)
		fail(r, "nested deeper than %d", DEPTH_MAX);
	space(r);
	if (!r->failed && take(r, close)) {
		r->depth--;
		return;
	}
	while (!r->failed) {
		char *key = NULL;
		space(r);
		if (close == '}') {
			if (!take(r, '"')) {
				fail(r, "expected a key in double quotes");
				break;
			}
			key = string(r);
			if (!r->failed && json_get(j, key))
				fail(r, "key \"%.60s\" appears twice", key);
			space(r);
			if (!r->failed && !take(r, ':'))
				fail(r, "expected : after \"%.60s\"", key);
		}
		struct json *c = r->failed ? NULL : value(r);
		if (!c) {
			free(key);
			break;
		}
		c->key = key;
		*tail = c;
		tail = &c->next;
		j->count++;
		space(r);
		if (take(r, close))
			break;
		if (!take(r, ','))
			fail(r, "expected , or %c", close);
	}
	r->depth--;
}

static bool word(struct reader *r, const char *w)
{
	size_t n = strlen(w);

	if ((size_t)(r->end - r->at) < n || memcmp(r->at, w, n) != 0)
		return false;
	r->at += n;
	return true;
}

static struct json *value(struct reader *r)
{
	space(r);
	struct json *j = calloc(1, sizeof(*j));
	if (!j) {
		fail(r, "out of memory");
		return NULL;
	}
	j->line = r->line;
	if (take(r, '{')) {
		j->kind = JSON_OBJECT;
		children(r, j, '}');
	} else if (take(r, '[')) {
		j->kind = JSON_ARRAY;
		children(r, j, ']');
	} else if (take(r, '"')) {
		j->kind = JSON_STRING;
		j->string = string(r);
	} else if (word(r, "true")) {
		j->kind = JSON_BOOL;
		j->number = 1;
	} else if (word(r, "false")) {
		j->kind = JSON_BOOL;
	} else if (!word(r, "null")) {
		if (r->at < r->end)
			number(r, j);
		else
			fail(r, "the text ends where a value was expected");
	}
	return j;
}

struct json *json_parse(const char *text, size_t len, char err[256])
{
	struct reader r = { .at = text, .end = text + len, .line = 1, .err = err };
	struct json *j = value(&r);

	space(&r);
	if (!r.failed && r.at < r.end)
		fail(&r, "text after the end of the JSON value");
	if (r.failed) {
		json_free(j);
		return NULL;
	}
	return j;
}

void json_free(struct json *j)
{
	while (j) {
		struct json *next = j->next;
		json_free(j->child);
		free((char *)j->key);
		free((char *)j->string);
		free(j);
		j = next;
	}
}

const struct json *json_get(const struct json *object, const char *key)
{
	for (const struct json *c = object ? object->child : NULL; c; c = c->next)
		if (c->key && strcmp(c->key, key) == 0)
			return c;
	return NULL;
}
