/* SPDX-License-Identifier: Apache-2.0 */
/* A small strict JSON reader (RFC 8259): a tree with line numbers; duplicate keys, trailing text and depth over 32 are errors. */
#ifndef MARLLB_SIM_JSON_H
#define MARLLB_SIM_JSON_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum json_kind { JSON_NULL, JSON_BOOL, JSON_NUMBER, JSON_STRING, JSON_ARRAY, JSON_OBJECT };

struct json {
	enum json_kind kind;
	uint32_t line;
	const char *key; /* in an object, else NULL */
	const char *string;
	double number;  /* also 0 or 1 of a bool */
	uint32_t count; /* children */
	struct json *child, *next;
};

/* NULL with "line N: why" in err. The text may go away afterwards. */
struct json *json_parse(const char *text, size_t len, char err[256]);
void json_free(struct json *);
const struct json *json_get(const struct json *object, const char *key); /* NULL if absent */
extern const char *const json_kind_names[];
#endif
