/* SPDX-License-Identifier: Apache-2.0 */
/* What must hold. Checked in sanitizer builds (so in the tests), in fuzzers, and wherever MLB_ASSERTS is defined as 1; costs
 * nothing elsewhere. The condition must have no effect of its own. */
#ifndef MARLLB_ASSERT_H
#define MARLLB_ASSERT_H

#ifndef MLB_ASSERTS
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__) || defined(FUZZING_BUILD_MODE_UNSAFE_FOR_PRODUCTION)
#define MLB_ASSERTS 1
#else
#define MLB_ASSERTS 0
#endif
#endif

#if MLB_ASSERTS
#include <stdio.h>
#include <stdlib.h>
#define MLB_ASSERT(cond) \
	do { \
		if (!(cond)) { \
			fprintf(stderr, "%s:%d: %s: this must hold: %s\n", __FILE__, __LINE__, __func__, #cond); \
			abort(); \
		} \
	} while (0)
#else
#define MLB_ASSERT(cond) ((void)sizeof(!(cond)))
#endif
#endif
