/* SPDX-License-Identifier: Apache-2.0 */
#include "words.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "text.h"

int mlbd_words_split(struct mlbd_words *out, const char *line, char err[256])
{
	size_t len = strlen(line);
	char *p, *to;

	memset(out, 0, sizeof(*out));
	out->text = strdup(line);
	out->w = malloc((len / 2 + 2) * sizeof(*out->w));
	if (!out->text || !out->w) {
		return mlbd_no_memory(err);
	}
	for (p = out->text; *p;) {
		if (strchr(" \t\r\n", *p)) {
			p++;
			continue;
		}
		if (*p == '#')
			break;
		out->w[out->n++] = to = p;
		while (*p && !strchr(" \t\r\n", *p)) {
			if (*p != '"') {
				*to++ = *p++;
				continue;
			}
			for (p++; *p && *p != '"';)
				*to++ = *p++;
			if (!*p) {
				snprintf(err, 256, "expected a closing quote");
				return -EINVAL;
			}
			p++;
		}
		if (*p)
			p++;
		*to = 0;
	}
	return 0;
}

void mlbd_words_free(struct mlbd_words *w)
{
	free(w->text);
	free(w->w);
	memset(w, 0, sizeof(*w));
}
