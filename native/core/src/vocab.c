/* SPDX-License-Identifier: Apache-2.0 */
#include "marllb/vocab.h"

#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#define X(name, value, word) { #name, word, value },
#define END \
	{ \
		NULL, NULL, 0 \
	}
const struct mlb_word mlb_mode_words[] = { MLB_MODES(X) END };
const struct mlb_word mlb_load_words[] = { MLB_LOADS(X) END };
const struct mlb_word mlb_owner_words[] = { MLB_OWNERS(X) END };
const struct mlb_word mlb_vip_state_words[] = { MLB_VIP_STATES(X) END };
const struct mlb_word mlb_ladder_words[] = { MLB_LADDER_STEPS(X) END };
const struct mlb_word mlb_server_flag_words[] = { MLB_SERVER_FLAGS(X) END };
const struct mlb_word mlb_in_flag_words[] = { MLB_IN_FLAGS(X) END };
const struct mlb_word mlb_end_words[] = { MLB_ENDS(X) END };
const struct mlb_word mlb_refuse_words[] = { MLB_REFUSALS(X) END };
const struct mlb_word mlb_trust_words[] = { MLB_TRUSTS(X) END };
const struct mlb_word mlb_default_words[] = { MLB_DEFAULTS(X) END };
#undef X

const struct mlb_vocabulary mlb_vocabularies[] = { { "mode", mlb_mode_words },       { "load", mlb_load_words },
						   { "owner", mlb_owner_words },     { "vipState", mlb_vip_state_words },
						   { "ladder", mlb_ladder_words },   { "serverFlag", mlb_server_flag_words },
						   { "inFlag", mlb_in_flag_words },  { "end", mlb_end_words },
						   { "refusal", mlb_refuse_words },  { "trust", mlb_trust_words },
						   { "default", mlb_default_words }, { NULL, NULL } };

static const char *name_of(const struct mlb_word *w, uint32_t value)
{
	for (; w->word; w++)
		if (w->value == (double)value)
			return w->word;
	return "unknown";
}

const struct mlb_word *mlb_word_find(const struct mlb_word *w, const char *word)
{
	for (; w->word; w++)
		if (strcmp(w->word, word) == 0)
			return w;
	return NULL;
}

static int value_of(const struct mlb_word *words, const char *word)
{
	const struct mlb_word *w = mlb_word_find(words, word);
	return w ? (int)w->value : -EINVAL;
}

const char *mlb_mode_name(uint32_t v)
{
	return name_of(mlb_mode_words, v);
}

const char *mlb_load_name(uint32_t v)
{
	return name_of(mlb_load_words, v);
}

const char *mlb_owner_name(uint32_t v)
{
	return name_of(mlb_owner_words, v);
}

const char *mlb_vip_state_name(uint32_t v)
{
	return name_of(mlb_vip_state_words, v);
}

const char *mlb_ladder_name(uint32_t v)
{
	return name_of(mlb_ladder_words, v);
}

const char *mlb_end_name(uint32_t v)
{
	return name_of(mlb_end_words, v);
}

const char *mlb_refuse_name(uint32_t v)
{
	return name_of(mlb_refuse_words, v);
}

int mlb_mode_parse(const char *word)
{
	return value_of(mlb_mode_words, word);
}

int mlb_load_parse(const char *word)
{
	return value_of(mlb_load_words, word);
}

int mlb_owner_parse(const char *word)
{
	return value_of(mlb_owner_words, word);
}

char *mlb_words_list(const struct mlb_word *w, char *text, uint32_t size)
{
	uint32_t used = 0;

	text[0] = 0;
	for (const char *before = ""; w->word && used < size; w++, before = w[0].word && !w[1].word ? " or " : ", ") {
		int n = snprintf(text + used, size - used, "%s%s", before, w->word);
		used += n > 0 ? (uint32_t)n : 0;
	}
	return text;
}
