/* SPDX-License-Identifier: Apache-2.0 */
#include "option.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include <marllb/endpoint.h>
#include "nets.h"
#include "number.h"

#define HELP_COLUMNS 100

int mlbd_parse_count(const char *what, const char *text, uint32_t min, uint32_t max, uint32_t *out, char err[256])
{
	uint64_t v;

	if (mlbd_whole(text, &v) || v < min || v > max) {
		snprintf(err, 256, "%s '%.80s': expected a number from %u to %u, in decimal digits", what, text, min, max);
		return -EINVAL;
	}
	*out = (uint32_t)v;
	return 0;
}

int mlbd_parse_real(const char *what, const char *text, float min, float max, float *out, char err[256])
{
	char least[MLBD_NUMBER_LEN], most[MLBD_NUMBER_LEN];
	const char *rest;
	double v;

	rest = mlbd_decimal(text, &v);
	if (!rest || *rest || (float)v < min || (float)v > max) {
		snprintf(err, 256, "%s '%.80s': expected a number from %s to %s, such as 2 or 0.5", what, text,
			 mlbd_number_text(min, least), mlbd_number_text(max, most));
		return -EINVAL;
	}
	*out = (float)v;
	return 0;
}

int mlbd_parse_word(const char *what, const char *text, const struct mlb_word *words, uint8_t *out, char err[256])
{
	const struct mlb_word *found = mlb_word_find(words, text);
	char list[80];

	if (!found) {
		snprintf(err, 256, "%s '%.80s': expected %s", what, text, mlb_words_list(words, list, sizeof(list)));
		return -EINVAL;
	}
	*out = (uint8_t)found->value;
	return 0;
}

int mlbd_parse_name(const char *what, const char *text, char out[MLB_NAME_LEN], char err[256])
{
	size_t n = strspn(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-");

	if (n == 0 || text[n] || n >= MLB_NAME_LEN) {
		snprintf(err, 256, "%s '%.80s': expected 1 to %u letters, digits, '_', '.' or '-'", what, text, MLB_NAME_LEN - 1);
		return -EINVAL;
	}
	strcpy(out, text);
	return 0;
}

static int parse_value(const struct mlbd_option *k, const char *text, void *at, char err[256])
{
	uint8_t value = 0;
	int rc;

	switch (k->kind) {
	case MLBD_OPT_COUNT: return mlbd_parse_count(k->word, text, (uint32_t)k->min, (uint32_t)k->max, at, err);
	case MLBD_OPT_REAL: return mlbd_parse_real(k->word, text, (float)k->min, (float)k->max, at, err);
	case MLBD_OPT_NETWORKS: return mlbd_nets_parse(k->word, text, at, err);
	case MLBD_OPT_NAME: return mlbd_parse_name(k->word, text, at, err);
	case MLBD_OPT_ENDPOINT: return mlb_endpoint_parse(text, false, at, err);
	case MLBD_OPT_FLAG: *(bool *)at = true; return 0;
	default: break;
	}
	rc = mlbd_parse_word(k->word, text, k->words, &value, err);
	if (rc)
		return rc;
	if (k->kind == MLBD_OPT_SWITCH)
		*(bool *)at = value != 0;
	else
		*(uint8_t *)at = value;
	return 0;
}

static int unknown(const struct mlbd_option *list, const char *of, const char *word, char err[256])
{
	size_t used = (size_t)snprintf(err, 256, "%s '%.40s': expected ", of, word);

	for (const struct mlbd_option *k = list; k->word && used < 256; k++)
		used += (size_t)snprintf(err + used, 256 - used, "%s%s", k == list ? "" : k[1].word ? ", " : " or ", k->word);
	return -EINVAL;
}

int mlbd_options_of(const struct mlbd_option *list, const char *of, char *const *w, int n, void *out, char err[256])
{
	uint64_t given = 0;

	for (int i = 0; i < n; i++) {
		const struct mlbd_option *k = list;

		while (k->word && strcmp(k->word, w[i]) != 0)
			k++;
		if (!k->word)
			return unknown(list, of, w[i], err);
		if (given & (uint64_t)1 << (k - list)) {
			snprintf(err, 256, "%s '%s': expected once, given twice", of, k->word);
			return -EINVAL;
		}
		given |= (uint64_t)1 << (k - list);
		if (k->has)
			*(bool *)((char *)out + k->has) = true;
		if (k->kind != MLBD_OPT_FLAG)
			i++;
		int rc = parse_value(k, i < n ? w[i] : "", (char *)out + k->off, err);

		if (rc)
			return rc;
	}
	return 0;
}

/* What may stand behind the word. */
static void value_help(const struct mlbd_option *k, char *text, size_t size)
{
	size_t used = 0;

	text[0] = 0;
	if (k->kind == MLBD_OPT_COUNT)
		snprintf(text, size, " N");
	else if (k->kind == MLBD_OPT_REAL)
		snprintf(text, size, " X");
	else if (k->kind == MLBD_OPT_NETWORKS)
		snprintf(text, size, " NETWORK,...|none");
	else if (k->kind == MLBD_OPT_NAME)
		snprintf(text, size, " NAME");
	else if (k->kind == MLBD_OPT_ENDPOINT)
		snprintf(text, size, " ADDRESS:PORT");
	else if (k->kind != MLBD_OPT_FLAG)
		for (const struct mlb_word *w = k->words; w->word && used < size; w++)
			used += (size_t)snprintf(text + used, size - used, "%s%s", w == k->words ? " " : "|", w->word);
}

void mlbd_options_help(const struct mlbd_option *list, int indent, struct mlbd_text *t)
{
	int column = HELP_COLUMNS;

	for (const struct mlbd_option *k = list; k->word; k++) {
		char value[80], one[128];
		int width;

		value_help(k, value, sizeof(value));
		width = snprintf(one, sizeof(one), "[%s%s]", k->word, value);
		if (column + 1 + width > HELP_COLUMNS) {
			mlbd_text_add(t, "%s%*s", k == list ? "" : "\n", indent, "");
			column = indent;
		} else {
			mlbd_text_add(t, " ");
			column++;
		}
		mlbd_text_add(t, "%s", one);
		column += width;
	}
	mlbd_text_add(t, "\n");
}
