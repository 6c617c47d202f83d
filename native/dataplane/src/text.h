/* SPDX-License-Identifier: Apache-2.0 */
/* A text that grows. Out of memory is remembered and told at the end, so that printing needs no checks. */
#ifndef MLBD_TEXT_H
#define MLBD_TEXT_H
#include <stdbool.h>
#include <stddef.h>

struct mlbd_text {
	char *s;
	size_t len, cap;
	bool failed;
};

void mlbd_text_add(struct mlbd_text *, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* A JSON string with its quotes. */
void mlbd_text_json(struct mlbd_text *, const char *s);
void mlbd_text_free(struct mlbd_text *);
/* The one sentence for it, and -ENOMEM. */
int mlbd_no_memory(char *err);
#endif
