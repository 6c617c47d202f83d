/* SPDX-License-Identifier: Apache-2.0 */
#include "marllb/envelope.h"

const char *const mlb_refuse_names[MLB_REFUSE_COUNT] = { [MLB_REFUSE_NONE] = "none",
#define X(n, s) [MLB_REFUSE_##n] = s,
							 MLB_REFUSALS(X)
#undef X
};
