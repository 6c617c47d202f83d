// SPDX-License-Identifier: Apache-2.0
import test from "ava";
import { draw } from "../plot.js";
import { drawLines, marks } from "../plot-lines.js";
import { step } from "../svg.js";

test("an axis has about eight round steps", (t) => {
  t.deepEqual([3.2, 8, 9, 40].map(step), [0.5, 1, 2, 5]);
});

test("bars start at 1, intervals lie over them, text is escaped", (t) => {
  const svg = draw(
    "a < b & c",
    ["mean", "p99"],
    [
      {
        label: 'pool "x"',
        bars: [
          { value: 1.5, low: 1.4, high: 1.6 },
          { value: 0.5, low: 0.4, high: 0.6 },
        ],
      },
    ],
  );
  t.regex(svg, /^<svg xmlns="http:\/\/www.w3.org\/2000\/svg" width="\d+" height="\d+"/);
  t.true(svg.includes("a &#60; b &#38; c") && svg.includes("pool &#34;x&#34;"));
  const rectangles = (colour: string) =>
    [...svg.matchAll(/<rect x="([\d.]+)" y="([\d.]+)" width="([\d.]+)" height="[\d.]+" fill="(.+?)"/g)]
      .filter((m) => m[4] === colour)
      .map((m) => ({ x: Number(m[1]), y: Number(m[2]), end: Number(m[1]) + Number(m[3]) }));
  const [, more] = rectangles("#3465a4"); // the first of each colour is the legend's
  const [, less] = rectangles("#cc7832");
  t.true(
    more !== undefined && less !== undefined && Math.abs(more.x - less.end) < 0.2,
    "one grows to the right of 1, one to the left",
  );
  t.true((more?.y ?? 0) < (less?.y ?? 0));
  t.true(svg.includes(">1.500<") && svg.includes(">0.500<"));
  t.is(svg.match(/<text/g)?.length, svg.match(/<\/text>/g)?.length);
});

test("the vertical axis of curves has marks at 1, 2 and 5 of each power", (t) => {
  t.deepEqual(marks(90, 1100), [100, 200, 500, 1000]);
});

test("curves lie within the plot, a point a pair", (t) => {
  const svg = drawLines("p99 & load", "load", "ms", [
    {
      label: "a < b",
      points: [
        [0.5, 100],
        [1, 400],
      ],
    },
  ]);
  const points = /polyline points="([^"]+)"/.exec(svg)?.[1]?.split(" ") ?? [];
  t.is(points.length, 2);
  const [first, last] = points.map((p) => p.split(",").map(Number)) as [number[], number[]];
  t.true((first[0] as number) < (last[0] as number) && (first[1] as number) > (last[1] as number));
  t.true(svg.includes("a &#60; b"));
});
