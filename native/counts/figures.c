/* SPDX-License-Identifier: Apache-2.0 */
#include "figures.h"

const char *mlb_counts_verdict_word(uint32_t verdict)
{
	static const char *const words[] = {
#define X(name, word, help) word,
		MLB_COUNTS_VERDICTS(X)
#undef X
	};
	return verdict < MLB_COUNTS_VERDICT_COUNT ? words[verdict] : "";
}
