/* SPDX-License-Identifier: Apache-2.0 */
/* The C tests' one header. A file holds TEST(name) { ... CHECK(...) ... } blocks and ends with MLB_TEST_MAIN(name, name, ...).
 * Output is TAP: "ok N - name", "not ok N - name" with the failed checks as "# file:line: ..." lines, "ok N - name # SKIP why".
 */
#ifndef MLBTEST_H
#define MLBTEST_H
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int mlbtest_failed;
static const char *mlbtest_skip;

#define TEST(name) static void test_##name(void)
#define CHECK(cond) \
	do { \
		if (!(cond)) { \
			printf("# %s:%d: %s\n", __FILE__, __LINE__, #cond); \
			mlbtest_failed++; \
		} \
	} while (0)
#define CHECK_EQ(a, b) \
	do { \
		long long va_ = (long long)(a), vb_ = (long long)(b); \
		if (va_ != vb_) { \
			printf("# %s:%d: %s == %s: %lld, expected %lld\n", __FILE__, __LINE__, #a, #b, va_, vb_); \
			mlbtest_failed++; \
		} \
	} while (0)
#define CHECK_NEAR(a, b, tol) \
	do { \
		double va_ = (a), vb_ = (b); \
		if (!(fabs(va_ - vb_) <= (tol))) { \
			printf("# %s:%d: %s near %s: %.12g, expected %.12g +- %g\n", __FILE__, __LINE__, #a, #b, va_, vb_, \
			       (double)(tol)); \
			mlbtest_failed++; \
		} \
	} while (0)
#define CHECK_STR(a, b) \
	do { \
		const char *va_ = (a), *vb_ = (b); \
		if (strcmp(va_, vb_) != 0) { \
			printf("# %s:%d: %s: \"%s\", expected \"%s\"\n", __FILE__, __LINE__, #a, va_, vb_); \
			mlbtest_failed++; \
		} \
	} while (0)
#define SKIP(why) \
	do { \
		mlbtest_skip = (why); \
		return; \
	} while (0)

struct mlbtest_case {
	const char *name;
	void (*fn)(void);
};

static inline int mlbtest_run(const struct mlbtest_case *c, int n)
{
	int bad = 0;
	setvbuf(stdout, NULL, _IOLBF, 0);
	printf("1..%d\n", n);
	for (int i = 0; i < n; i++) {
		mlbtest_failed = 0;
		mlbtest_skip = NULL;
		c[i].fn();
		bad += mlbtest_failed != 0;
		printf("%s %d - %s%s%s\n", mlbtest_failed ? "not ok" : "ok", i + 1, c[i].name, mlbtest_skip ? " # SKIP " : "",
		       mlbtest_skip ? mlbtest_skip : "");
	}
	return bad != 0;
}

#define CASE(name) \
	{ \
#name, test_##name \
	}
#define MLB_TEST_MAIN(...) \
	int main(void) \
	{ \
		const struct mlbtest_case cases_[] = { __VA_ARGS__ }; \
		return mlbtest_run(cases_, (int)(sizeof(cases_) / sizeof(cases_[0]))); \
	}
#endif
