// SPDX-License-Identifier: Apache-2.0
import test from "ava";
import { cGraph, circles, describeCircle, importGraph } from "../lib/graph.mjs";

const fn = (name, body = "") => `void ${name}(void)\n{\n\t${body}\n}\n`;

test("imports: a circle is found, whether by types, by re-export or at run time", (t) => {
  const graph = importGraph([
    ["a/x.ts", 'import type { Y } from "./y.js";\n'],
    ["a/y.ts", 'const z = await import("../b/z.js");\n'],
    ["b/z.ts", 'export { x } from "../a/x.js";\nimport fs from "node:fs";\n'],
    ["b/leaf.ts", 'import "./z.js";\n'],
  ]);
  t.deepEqual(circles(graph), [["a/x.ts", "a/y.ts", "b/z.ts"]]);
  t.regex(describeCircle(graph, circles(graph)[0]), /a\/x\.ts imports \.\/y\.js \(a\/y\.ts\)/);
});

test("imports: a tree, and two ways to one file, are no circle", (t) => {
  const graph = importGraph([
    ["top.ts", 'import "./l.js";\nimport "./r.js";\n'],
    ["l.ts", 'import "./leaf.js";\n'],
    ["r.ts", 'import "./leaf.js";\nimport "./l.js";\n'],
    ["leaf.ts", "export {};\n"],
  ]);
  t.deepEqual(circles(graph), []);
});

test("C: a file and its header are one; calls count, declarations and tests do not", (t) => {
  const tree = [
    ["native/p/src/low.h", "void low(void);\n"],
    ["native/p/src/low.c", `#include "low.h"\n${fn("low")}`],
    ["native/p/src/high.c", `#include "low.h"\n${fn("high", "low();")}`],
    ["native/p/test/low_test.c", `#include "../src/low.h"\n${fn("high_too", "high(); low();")}`],
  ];
  t.deepEqual(circles(cGraph(tree)), []);
  // A call back, without any include.
  tree[1][1] = fn("low", "high();");
  t.deepEqual(circles(cGraph(tree)), [["native/p/high", "native/p/low"]]);
});

test("C: a public header and its source are one; an equal name is that of the own program", (t) => {
  const graph = cGraph([
    ["native/core/include/marllb/a.h", "void a(void);\n"],
    ["native/core/src/a.c", `#include <marllb/a.h>\n${fn("a")}`],
    ["native/p/src/a.h", "void a(void);\n"],
    ["native/p/src/b.c", fn("b", "a();")],
    ["native/p/src/a.c", fn("a")],
    ["native/q/src/c.c", `#include <marllb/a.h>\n${fn("c", "a();")}`],
  ]);
  t.deepEqual([...graph.get("native/p/b").keys()], ["native/p/a"]);
  t.deepEqual([...graph.get("native/q/c").keys()], ["native/core/a"]);
});
