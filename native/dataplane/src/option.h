/* SPDX-License-Identifier: Apache-2.0 */
/* Options behind the first words of a line. A row says the word, what may stand behind it and where the value goes; parsing,
 * errors and help are made from it. */
#ifndef MLBD_OPTION_H
#define MLBD_OPTION_H
#include <stdint.h>
#include <marllb/types.h>
#include <marllb/vocab.h>
#include "text.h"

enum mlbd_option_kind {
	MLBD_OPT_COUNT,    /* uint32_t */
	MLBD_OPT_REAL,     /* float */
	MLBD_OPT_WORD,     /* uint8_t, one of `words` */
	MLBD_OPT_SWITCH,   /* bool, one of `words` */
	MLBD_OPT_NETWORKS, /* struct mlbd_nets */
	MLBD_OPT_NAME,     /* char[MLB_NAME_LEN], of a vip */
	MLBD_OPT_ENDPOINT, /* struct mlb_endpoint */
	MLBD_OPT_FLAG      /* bool, true where the word stands; nothing behind it */
};

struct mlbd_option {
	const char *word; /* NULL: end of the list */
	enum mlbd_option_kind kind;
	uint32_t off, has; /* in the record that is filled: the value, and the bool that says that the line names it (0: none) */
	double min, max;   /* COUNT, REAL */
	const struct mlb_word *words;
};

/* Fills `out` from n words. 0 or -EINVAL; of: "vip option", for errors. */
int mlbd_options_of(const struct mlbd_option *, const char *of, char *const *w, int n, void *out, char err[256]);
/* The list as "[mode sed|p2c] [drain]", in lines of at most 100 columns, each begun with `indent` spaces. */
void mlbd_options_help(const struct mlbd_option *, int indent, struct mlbd_text *);

/* One value; `what` begins the error. 0 or -EINVAL. */
int mlbd_parse_count(const char *what, const char *text, uint32_t min, uint32_t max, uint32_t *out, char err[256]);
int mlbd_parse_real(const char *what, const char *text, float min, float max, float *out, char err[256]);
int mlbd_parse_name(const char *what, const char *text, char out[MLB_NAME_LEN], char err[256]);
int mlbd_parse_word(const char *what, const char *text, const struct mlb_word *, uint8_t *out, char err[256]);
#endif
