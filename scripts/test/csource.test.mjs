// SPDX-License-Identifier: Apache-2.0
import test from "ava";
import { blankText, columns, functions, includes, usedNames } from "../lib/csource.mjs";

const source = `/* a comment { with f(x) { } */
#define TWICE(x) \\
	do { one(x); two(x); } while (0)
static const char *const words[] = { "a{", "b}" };
struct pair {
	int a, b;
};

static int helper(const char *text, int (*each)(int))
{
	if (text[0] == '{')
		return each(1);
	return -1;
}

/* Docs. */
struct pair *api_call(
	struct pair *p)
{
	p->helper = helper(words[0], other);
	return p;
}
#ifdef __cplusplus
extern "C" {
#endif
int only_declared(int x);
static inline int in_header(int x)
{
	return only_declared(x);
}
#ifdef __cplusplus
}
#endif
TEST(a_test_case)
{
}
`;

test("functions are found with their lines; types, tables, macros and declarations are none", (t) => {
  t.deepEqual(
    functions(source).map((f) => [f.name, f.line, f.lines, f.isStatic]),
    [
      ["helper", 9, 6, true],
      ["api_call", 17, 6, false],
      ["in_header", 27, 4, true],
      ["TEST", 34, 3, false],
    ],
  );
});

test("names in use: neither declarations nor members, comments or strings", (t) => {
  const names = usedNames(source);
  for (const used of ["helper", "other", "only_declared", "each"]) t.true(names.has(used), used);
  for (const not of ["api_call", "with", "in_header"]) t.false(names.has(not), not);
  t.false(usedNames("void f(void)\n{\n\tp->relay(q.close);\n}\n").has("relay"));
});

test("includes of this tree, in quotes or angle brackets", (t) => {
  t.deepEqual(includes('#include <stdio.h>\n#include <marllb/dp.h>\n#include "conn.h"\n'), ["marllb/dp.h", "conn.h"]);
});

test("a comment keeps its lines, a tab counts to the next eighth column", (t) => {
  t.is(blankText('a /* x\n y */ "b{" // c').replace(/ +/g, " "), 'a \n " " ');
  t.is(columns("\tab\tc"), 17);
});
