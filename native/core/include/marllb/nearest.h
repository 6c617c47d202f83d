/* SPDX-License-Identifier: Apache-2.0 */
/* Names the word that was meant where a word is unknown. */
#ifndef MARLLB_NEAREST_H
#define MARLLB_NEAREST_H
#include <stdint.h>

/* Edits (insert, delete, replace a letter) that make b of a (Levenshtein 1966); only the first 63 letters of each count. */
uint32_t mlb_edit_distance(const char *a, const char *b);

/* Keeps the nearest of the words offered one by one: start with { 0 }; `word` is NULL while none was offered. */
struct mlb_nearest {
	const char *word;
	uint32_t distance;
};
void mlb_nearest_offer(struct mlb_nearest *, const char *unknown, const char *word);
/* The nearest of a list that ends with NULL; NULL if it is empty. */
const char *mlb_nearest(const char *unknown, const char *const *words);
#endif
