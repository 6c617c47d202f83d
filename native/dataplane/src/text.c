/* SPDX-License-Identifier: Apache-2.0 */
#include "text.h"

#include <errno.h>

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void mlbd_text_add(struct mlbd_text *t, const char *fmt, ...)
{
	va_list ap;
	int n;

	if (t->failed)
		return;
	va_start(ap, fmt);
	n = vsnprintf(NULL, 0, fmt, ap);
	va_end(ap);
	if (n < 0)
		return;
	if (t->len + (size_t)n + 1 > t->cap) {
		size_t cap = 2 * (t->len + (size_t)n + 1);
		char *more = realloc(t->s, cap < 1024 ? 1024 : cap);

		if (!more) {
			t->failed = true;
			return;
		}
		t->s = more;
		t->cap = cap < 1024 ? 1024 : cap;
	}
	va_start(ap, fmt);
	vsnprintf(t->s + t->len, t->cap - t->len, fmt, ap);
	va_end(ap);
	t->len += (size_t)n;
}

void mlbd_text_json(struct mlbd_text *t, const char *s)
{
	mlbd_text_add(t, "\"");
	for (; *s; s++) {
		if (*s == '"' || *s == '\\')
			mlbd_text_add(t, "\\%c", *s);
		else if ((unsigned char)*s < 0x20)
			mlbd_text_add(t, "\\u%04x", (unsigned char)*s);
		else
			mlbd_text_add(t, "%c", *s);
	}
	mlbd_text_add(t, "\"");
}

void mlbd_text_free(struct mlbd_text *t)
{
	free(t->s);
	memset(t, 0, sizeof(*t));
}

int mlbd_no_memory(char *err)
{
	strcpy(err, "no memory");
	return -ENOMEM;
}
