/* SPDX-License-Identifier: Apache-2.0 */
#include "marllb/nearest.h"

#include <stddef.h>
#include <string.h>

#define LONGEST 63u

uint32_t mlb_edit_distance(const char *a, const char *b)
{
	uint32_t row[LONGEST + 1], n = (uint32_t)strnlen(a, LONGEST), m = (uint32_t)strnlen(b, LONGEST);

	for (uint32_t j = 0; j <= m; j++)
		row[j] = j;
	for (uint32_t i = 1; i <= n; i++) {
		uint32_t diagonal = row[0];
		row[0] = i;
		for (uint32_t j = 1; j <= m; j++) {
			uint32_t least = diagonal + (a[i - 1] != b[j - 1]);
			least = least < row[j] + 1 ? least : row[j] + 1;
			least = least < row[j - 1] + 1 ? least : row[j - 1] + 1;
			diagonal = row[j];
			row[j] = least;
		}
	}
	return row[m];
}

void mlb_nearest_offer(struct mlb_nearest *n, const char *unknown, const char *word)
{
	uint32_t d = mlb_edit_distance(unknown, word);

	if (!n->word || d < n->distance)
		*n = (struct mlb_nearest){ word, d };
}

const char *mlb_nearest(const char *unknown, const char *const *words)
{
	struct mlb_nearest n = { NULL, 0 };

	for (; *words; words++)
		mlb_nearest_offer(&n, unknown, *words);
	return n.word;
}
