/* SPDX-License-Identifier: Apache-2.0 */
#include "marllb/vocab.h"
#include "marllb/nearest.h"
#include "mlbtest.h"
#include <errno.h>
#include <stdbool.h>

TEST(words_and_values)
{
	CHECK_EQ(mlb_mode_parse("p2c"), MLB_MODE_P2C);
	CHECK_EQ(mlb_mode_parse("p3c"), -EINVAL);
	CHECK(strcmp(mlb_ladder_name(MLB_LADDER_STATIC_DP), "static-dp") == 0);
	CHECK(strcmp(mlb_ladder_name(5), "unknown") == 0);
	CHECK(strcmp(mlb_refuse_name(MLB_REFUSE_NOT_FINITE), "not-finite") == 0);
	CHECK_EQ(MLB_END_COUNT, MLB_END_TIMED_OUT + 1);
	CHECK_EQ(MLB_REFUSE_COUNT, MLB_REFUSE_MODE + 1);
}

/* Words and values are told apart by those who parse them; values index arrays, so they leave no gap (flags: single bits). */
TEST(every_vocabulary_is_sound)
{
	for (const struct mlb_vocabulary *v = mlb_vocabularies; v->name; v++)
		for (const struct mlb_word *w = v->words; w->word; w++) {
			bool plain = strspn(w->word, "abcdefghijklmnopqrstuvwxyz0123456789-") == strlen(w->word);
			bool flag = v->words == mlb_server_flag_words || v->words == mlb_in_flag_words,
			     real = v->words == mlb_trust_words || v->words == mlb_default_words;
			double index = (double)(w - v->words), expected = flag ? (double)(1u << (w - v->words)) : index;

			CHECK(plain);
			CHECK(real || w->value == expected);
			CHECK_EQ(mlb_word_find(v->words, w->word) - v->words, w - v->words);
			if (mlbtest_failed)
				printf("# %s: %s\n", v->name, w->word);
		}
}

TEST(lists_read_well)
{
	char text[80], little[12];
	CHECK(strcmp(mlb_words_list(mlb_mode_words + 1, text, sizeof(text)), "hash, alias, sed or p2c") == 0);
	CHECK(strcmp(mlb_words_list(mlb_load_words, text, sizeof(text)), "flows or waiting") == 0);
	CHECK(strcmp(mlb_words_list(mlb_mode_words + 1, little, sizeof(little)), "hash, alias") == 0);
}

TEST(the_nearest_word)
{
	static const char *const words[] = { "load", "speed", "servers", NULL }, *const none[] = { NULL };
	CHECK_EQ(mlb_edit_distance("kitten", "sitting"), 3);
	CHECK_EQ(mlb_edit_distance("", "abc"), 3);
	CHECK_EQ(mlb_edit_distance("same", "same"), 0);
	CHECK(strcmp(mlb_nearest("speeed", words), "speed") == 0);
	CHECK(strcmp(mlb_nearest("lode", words), "load") == 0);
	CHECK(mlb_nearest("x", none) == NULL);
}

MLB_TEST_MAIN(CASE(words_and_values), CASE(every_vocabulary_is_sound), CASE(lists_read_well), CASE(the_nearest_word))
